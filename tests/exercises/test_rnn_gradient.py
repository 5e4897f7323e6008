"""Answers to the exercises on the gradient of the plain network, as a reader may write them."""

import numpy as np
import pytest

from rnnlit import rnn
from rnnlit.exercises import rnn_gradient
from rnnlit.exercises.check import RIGHT


def jacobian(W_hh, h):
    J = np.empty_like(W_hh)
    for i in range(len(h)):
        for j in range(len(h)):
            J[i, j] = (1 - h[i] ** 2) * W_hh[i, j]
    return J


def windows(params, x, dh, window):
    """The recursion over all steps, with nothing carried back over a border."""
    W_ih, W_hh, b_ih, b_hh = params
    h = [np.zeros_like(dh[0])]
    for x_t in x:
        h.append(np.tanh(x_t @ W_ih.T + b_ih + h[-1] @ W_hh.T + b_hh))
    total, flow = 0 * W_hh, 0 * dh[0]
    for t in range(len(x) - 1, -1, -1):
        border = (t + 1) % window == 0
        da = (dh[t] + (0 if border else 1) * flow) * (1 - h[t + 1] ** 2)
        total, flow = total + da.T @ h[t], da @ W_hh
    return total


@pytest.mark.parametrize("answer", [jacobian, windows], ids=lambda answer: answer.__name__)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(rnn_gradient, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_the_jacobian_is_what_a_step_does_to_a_small_change():
    rng = np.random.default_rng(0)
    params = rnn.init(3, 4, rng=rng, dtype=np.float64)
    x, h, eps = rng.standard_normal((1, 3)), rng.standard_normal((1, 4)), 1e-6
    wanted = np.stack(
        [
            (rnn.step(params, x, h + eps * e) - rnn.step(params, x, h - eps * e))[0] / (2 * eps)
            for e in np.eye(4)
        ],
        axis=1,
    )
    got = rnn_gradient.jacobian.oracle(params.weight_hh, rnn.step(params, x, h)[0])
    np.testing.assert_allclose(got, wanted, atol=1e-8)
