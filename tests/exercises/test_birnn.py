"""Answers to the exercises of the chapter on bidirectional networks, written as a reader may; its puzzle."""

import itertools

import numpy as np
import pytest

from rnnlit import birnn as package
from rnnlit import rnn
from rnnlit.exercises import birnn
from rnnlit.exercises.check import NOT_TRIED, RIGHT, WRONG
from rnnlit.tasks import hmm
from tests.tolerances import TOLERANCE


def flip(x, lengths):
    turned = x.copy()
    for b, n in enumerate(lengths):
        turned[:n, b] = x[:n, b][::-1]
    return turned


def forward(f, r, x, lengths):
    """Sequence by sequence and step by step."""
    T, B, _ = x.shape
    H = f.weight_hh.shape[0]
    h = np.zeros((T, B, 2 * H), x.dtype)
    for b, n in enumerate(lengths):
        for params, steps, half in ((f, range(n), slice(0, H)), (r, range(n)[::-1], slice(H, None))):
            state = np.zeros((1, H), x.dtype)
            for t in steps:
                state = rnn.step(params, x[t, b : b + 1], state)
                h[t, b, half] = state[0]
    return h


def backward(f, r, x, lengths, dh):
    """Of each sequence alone, so that no padding is there."""
    dx, H = np.zeros_like(x), dh.shape[2] // 2
    for b, n in enumerate(lengths):
        one, d = x[:n, b : b + 1].copy(), dh[:n, b : b + 1]
        turned = one[::-1].copy()
        dx_f = rnn.backward(f, rnn.forward(f, one), dh=d[..., :H].copy()).x
        dx_r = rnn.backward(r, rnn.forward(r, turned), dh=d[::-1, :, H:].copy()).x
        dx[:n, b] = (dx_f + dx_r[::-1])[:, 0]
    return dx


def last_states(h, lengths):
    H = h.shape[2] // 2
    return np.array([[*h[n - 1, b, :H], *h[0, b, H:]] for b, n in enumerate(lengths)])


def mean_pool(h, lengths):
    return np.array([h[:n, b].mean(axis=0) for b, n in enumerate(lengths)])


def filter_step(p, A, e):
    new = np.einsum("bj,jk,bk->bk", p, A, e)
    return new / new.sum(axis=1, keepdims=True)


def smooth(p, A, e):
    g = p.copy()
    for t in range(len(p) - 1):
        for b in range(p.shape[1]):
            beta = np.ones(len(A))
            for s in range(len(p) - 1, t, -1):
                beta = A @ (e[s, b] * beta)
            g[t, b] = p[t, b] * beta / (p[t, b] @ beta)
    return g


def viterbi(start, A, e):
    T, B, K = e.shape
    path = np.zeros((T, B), int)
    for b in range(B):
        best = -1.0
        for z in itertools.product(range(K), repeat=T):
            p = start[z[0]] * e[0, b, z[0]]
            for t in range(1, T):
                p *= A[z[t - 1], z[t]] * e[t, b, z[t]]
            if p > best:
                best, path[:, b] = p, z
    return path


ANSWERS = [flip, forward, backward, last_states, mean_pool, filter_step, smooth, viterbi]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(birnn, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_the_oracles_of_the_hidden_markov_model_are_the_packages():
    rng = np.random.default_rng(0)
    model = hmm.HMM(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(4), 3))
    x = rng.integers(0, 4, (5, 2))
    e, known = model.emission.T[x], hmm.posterior(model, x)
    A = model.transition
    g = birnn.smooth.oracle(known.filtered, A, e)
    np.testing.assert_allclose(g, known.smoothed, **TOLERANCE[np.float64])
    following = birnn.filter_step.oracle(known.filtered[1], A, e[2])
    np.testing.assert_allclose(following, known.filtered[2], **TOLERANCE[np.float64])
    np.testing.assert_array_equal(birnn.viterbi.oracle(model.start, A, e), hmm.viterbi(model, x))


def test_the_oracle_of_backward_is_the_packages():
    rng = np.random.default_rng(0)
    f, r = (rnn.init(3, 4, rng=rng, dtype=np.float64) for _ in range(2))
    x, dh, lengths = rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 8)), [3, 5]
    params = package.Params(f, r)
    dx = package.backward(rnn, params, package.forward(rnn, params, x, lengths), dh).x
    np.testing.assert_array_equal(birnn.backward.oracle(f, r, x, lengths, dh), dx)


# ---------------------------------------------------------------- the puzzle

LATCHES = dict(forward=(20, 0, 4, -1), reverse=(0, 20, 4, -1), output=(2, 2, -2))


def test_brackets():
    assert birnn.brackets.judge(LATCHES).outcome == RIGHT
    assert birnn.brackets.judge({**LATCHES, "output": ...}).outcome == NOT_TRIED


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            dict(reverse=(20, 0, 4, -1)),
            "y should be at least 0.5 (a [ stands here or before, a ] here or after)",
        ),
        (dict(forward=(20, 0, 0, -1)), "y should be at least 0.5"),
        (dict(forward=(20, 0, 4, 0)), "y should be at most -0.5"),
        (dict(output=(2, 2, 0)), "y should be at most -0.5"),
        (dict(output=(4, 0, 0)), "(no ] stands here or after)"),
    ],
)
def test_brackets_say_where_they_fail(change, sentence):
    verdict = birnn.brackets.judge({**LATCHES, **change})
    assert verdict.outcome == WRONG
    assert sentence in " ".join(verdict.text.split()), verdict.text
    assert "h_f = " in verdict.text and "h_r = " in verdict.text
