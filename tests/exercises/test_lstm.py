"""Answers to the exercises of the LSTM chapter, written as a reader may write them; and its puzzles."""

import numpy as np
import pytest

from rnnlit import lstm as cell
from rnnlit.exercises import lstm
from rnnlit.exercises.check import NOT_TRIED, RIGHT, WRONG


def sigma(a):
    return 1 / (1 + np.exp(-a))


def step(params, x, h, c):
    """Unit by unit and sequence by sequence: the formula with its sums."""
    W_ih, W_hh, b_ih, b_hh = params
    B, H = h.shape
    new_h, new_c = np.zeros_like(h), np.zeros_like(c)
    for b in range(B):
        for k in range(H):
            rows = [k, H + k, 2 * H + k, 3 * H + k]
            i, f, g, o = (W_ih[r] @ x[b] + b_ih[r] + W_hh[r] @ h[b] + b_hh[r] for r in rows)
            new_c[b, k] = sigma(f) * c[b, k] + sigma(i) * np.tanh(g)
            new_h[b, k] = sigma(o) * np.tanh(new_c[b, k])
    return new_h, new_c


def forward(params, x, h0, c0):
    h, c = [h0], [c0]
    for x_t in x:
        after = step(params, x_t, h[-1], c[-1])
        h.append(after[0])
        c.append(after[1])
    return np.array(h[1:]), np.array(c[1:])


def masked_step(params, x, h, c, valid):
    new_h, new_c = step(params, x, h, c)
    m = valid[:, None].astype(h.dtype)
    return m * new_h + (1 - m) * h, m * new_c + (1 - m) * c


def backward_step(params, x, h, c, dh, dc):
    W_ih, W_hh, b_ih, b_hh = params
    i, f, g, o = np.split(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh, 4, axis=1)
    i, f, g, o = sigma(i), sigma(f), np.tanh(g), sigma(o)
    new_c = f * c + i * g
    dc = dc + dh * o * (1 - np.tanh(new_c) ** 2)
    da = np.hstack(
        [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * np.tanh(new_c) * o * (1 - o)]
    )
    return da.T @ x, da.T @ h, da.sum(axis=0), da @ W_ih, da @ W_hh, dc * f


def backward(params, x, dh):
    h = [np.zeros_like(dh[0])]
    c = [np.zeros_like(dh[0])]
    for x_t in x:
        after = cell.step(params, x_t, h[-1], c[-1])
        h.append(after[0])
        c.append(after[1])
    sums, dx = [0, 0, 0], np.zeros_like(x)
    flow_h = flow_c = np.zeros_like(dh[0])
    for t in range(len(x) - 1, -1, -1):
        *parts, dx[t], flow_h, flow_c = backward_step(params, x[t], h[t], c[t], dh[t] + flow_h, flow_c)
        sums = [a + b for a, b in zip(sums, parts, strict=True)]
    return (*sums, dx)


def peephole_step(params, x, h, c):
    W_ih, W_hh, b_ih, b_hh, w_ci, w_cf, w_co = params
    a = x @ W_ih.T + h @ W_hh.T + (b_ih + b_hh)
    H = h.shape[1]
    i = sigma(a[:, :H] + w_ci * c)
    f = sigma(a[:, H : 2 * H] + w_cf * c)
    c = f * c + i * np.tanh(a[:, 2 * H : 3 * H])
    return sigma(a[:, 3 * H :] + w_co * c) * np.tanh(c), c


def count_parameters(I, H):
    return 4 * H * (I + H + 2)


@pytest.mark.parametrize(
    "answer",
    [step, forward, masked_step, backward_step, backward, peephole_step, count_parameters],
    ids=lambda answer: answer.__name__,
)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(lstm, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_a_mistake_in_a_step_shows_in_the_whole_sequence():
    verdict = lstm.forward.judge(
        lambda p, x, h, c: lstm._forward_with(lstm.STEP_MISTAKES[3].wrong, p, x, h, c)
    )
    assert verdict.mistake == "in the step, the candidate g goes through sigma"


def test_time_read_as_batch_is_told_by_its_shape():
    verdict = lstm.forward.judge(lambda p, x, h, c: forward(p, x.swapaxes(0, 1), h, c))
    assert verdict.outcome == WRONG and "should have shape (T, B, H) = (5, 2, 4)" in verdict.text


# ---------------------------------------------------------------- puzzles

LATCH = dict(i=(20, 0, -10), f=(20, 0, 10), g=(0, 0, 10), o=(0, 0, 10))
COUNTER = dict(i=(0, 0, 50), f=(0, 0, 50), g=(50, 0, 0), o=(0, 0, 50))


def test_latch():
    assert lstm.latch.judge(LATCH).outcome == RIGHT
    assert lstm.latch.judge(**LATCH).outcome == RIGHT


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (dict(f=(0, 0, 10)), "h should be at least -0.1 and at most 0.1 (off since step 3)"),
        (dict(f=(0, 0, -10)), "h should be at least 0.5 (on since step 1)"),
        (dict(i=(0, 0, -10)), "h should be at least 0.5 (on since step 1)"),
        (dict(i=(0, 0, 10)), "(nothing has come yet)"),
        (dict(f=(20, 0, 5)), "h should be at least 0.5"),
    ],
)
def test_latch_says_where_it_fails(change, sentence):
    verdict = lstm.latch.judge({**LATCH, **change})
    assert verdict.outcome == WRONG
    assert sentence in verdict.text
    assert "At that step: i = " in verdict.text


def test_counter():
    assert lstm.counter.judge(COUNTER).outcome == RIGHT
    text = lstm.counter.judge({**COUNTER, "f": (0, 0, 5)}).text
    assert "a a a a b b b b" in text and "4 a and 4 b have come" in text
    assert lstm.counter.judge({**COUNTER, "g": (0, 0, 50)}).outcome == WRONG


def test_weights_of_another_form():
    assert lstm.latch.judge(...).outcome == NOT_TRIED
    assert lstm.latch.judge({**LATCH, "i": (..., 0, ...)}).outcome == NOT_TRIED
    assert lstm.latch.judge({**LATCH, "i": ...}).outcome == NOT_TRIED
    assert "i takes 3 numbers: (w_x, w_h, b)" in lstm.latch.judge({**LATCH, "i": (1, 2)}).text
    assert "i takes 3 numbers" in lstm.latch.judge({**LATCH, "i": (1, 2, "3")}).text
    assert "Got i, f, g" in lstm.latch.judge({name: LATCH[name] for name in "ifg"}).text
    assert "by name" in lstm.latch.judge([1, 2, 3]).text
    assert "Got nothing" in lstm.latch.judge().text


def test_puzzles_print_and_return_nothing(capsys):
    assert lstm.latch.check(LATCH) is None
    assert lstm.counter.check(**COUNTER) is None
    printed = capsys.readouterr().out
    assert printed.count("Right:") == 2
    assert "1,000" in printed
