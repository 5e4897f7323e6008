"""Answers to the exercises on the plain network, as a reader may write them; and its puzzles."""

import numpy as np
import pytest

from rnnlit import rnn as cell
from rnnlit.exercises import rnn
from rnnlit.exercises.check import RIGHT, WRONG


def step(params, x, h):
    """Number by number: the formula with its sums."""
    W_ih, W_hh, b_ih, b_hh = params
    B, H = h.shape
    new = np.zeros_like(h)
    for b in range(B):
        for j in range(H):
            a = b_ih[j] + b_hh[j]
            a += sum(W_ih[j, i] * x[b, i] for i in range(x.shape[1]))
            a += sum(W_hh[j, k] * h[b, k] for k in range(H))
            new[b, j] = np.tanh(a)
    return new


def forward(params, x, h0):
    h = [h0]
    for x_t in x:
        h.append(step(params, x_t, h[-1]))
    return h[1:]


def backward(params, x, h0, dh):
    W_ih, W_hh = params.weight_ih, params.weight_hh
    h = [h0]
    for x_t in x:
        h.append(cell.step(params, x_t, h[-1]))
    dW_ih, dW_hh, db, dx = 0 * W_ih, 0 * W_hh, 0 * params.bias_ih, np.zeros_like(x)
    flow = np.zeros_like(h0)
    for t in range(len(x) - 1, -1, -1):
        da = (dh[t] + flow) * (1 - h[t + 1] ** 2)
        dW_ih = dW_ih + da.T @ x[t]
        dW_hh = dW_hh + da.T @ h[t]
        db = db + da.sum(axis=0)
        dx[t] = da @ W_ih
        flow = da @ W_hh
    return dW_ih, dW_hh, db, dx, flow


def softmax(logits):
    rows = []
    for row in logits:
        e = np.exp(row - np.max(row))
        rows.append(e / np.sum(e))
    return np.array(rows)


def temperature(logits, tau):
    return softmax(logits / tau)


def cross_entropy(logits, labels):
    p = softmax(logits)
    loss = np.mean([-np.log(p[b, label]) for b, label in enumerate(labels)])
    d = p.copy()
    for b, label in enumerate(labels):
        d[b, label] -= 1
    return loss, d / len(labels)


def clip_by_norm(dW, db, max_norm):
    norm = np.linalg.norm(np.concatenate([dW.ravel(), db]))
    if norm <= max_norm:
        return dW, db
    return dW * (max_norm / norm), db * (max_norm / norm)


def orthogonal(H, rng):
    u, _, v = np.linalg.svd(rng.standard_normal((H, H)))
    return u @ v


def count_parameters(I, H):
    return H * (I + H + 2)


@pytest.mark.parametrize(
    "answer",
    [
        step,
        forward,
        backward,
        softmax,
        temperature,
        cross_entropy,
        clip_by_norm,
        orthogonal,
        count_parameters,
    ],
    ids=lambda answer: answer.__name__,
)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(rnn, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_clipping_is_tried_on_both_sides_of_the_limit():
    clipped = [
        np.linalg.norm(np.concatenate([dW.ravel(), db])) > max_norm
        for dW, db, max_norm in (case.arguments for case in rnn.clip_by_norm.cases())
    ]
    assert any(clipped) and not all(clipped)


def test_identity_is_not_drawn():
    assert "another rng gave the same numbers" in rnn.orthogonal.judge(lambda H, rng: np.eye(H)).text
    assert "W^T W is not the identity" in rnn.orthogonal.judge(lambda H, rng: 3 * orthogonal(H, rng)).text


def test_latch():
    assert rnn.latch.judge(w_x=10, w_h=5, b=0).outcome == RIGHT
    weak = rnn.latch.judge(w_x=10, w_h=0.5, b=0)
    assert weak.outcome == WRONG and "h should be at least 0.5 (on since step 1)" in weak.text
    assert rnn.latch.judge(w_x=1, w_h=5, b=0).outcome == WRONG
    assert rnn.latch.judge(w_x=(10,), w_h=(5,), b=(0,)).outcome == RIGHT


def test_delay():
    second = (0, 5, 0, 0)
    assert rnn.delay.judge(first=(2, 0, 0, 0), second=second).outcome == RIGHT
    text = rnn.delay.judge(first=(2, 0, 0, 0), second=(5, 0, 0, 0)).text
    assert "the second unit should be at least 0.5 (the input before was +1), and is -1.000" in text
    assert rnn.delay.judge(first=(2, 0, 0, 0), second=(0, 0, 5, 0)).outcome == WRONG


PARITY = dict(first=(20, 10, -10, -10), second=(20, 10, -10, -30), readout=(1, -1, -1))


def test_parity():
    assert rnn.parity.judge(PARITY).outcome == RIGHT
    one = rnn.parity.judge({**PARITY, "second": (20, 10, -10, -10)})
    assert one.outcome == WRONG and "the number of ones is 1" in one.text and "first = " in one.text
    assert rnn.parity.judge({**PARITY, "readout": (-1, 1, 1)}).outcome == WRONG
    forgetful = {**PARITY, "first": (20, 0, 0, -10), "second": (20, 0, 0, -30)}
    assert "the readout should be at least 0.5 (the number of ones is 1)" in rnn.parity.judge(forgetful).text
