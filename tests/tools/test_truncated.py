"""Truncated BPTT. Oracles: the whole gradient, torch's autograd with `detach`, and a chain worked by hand."""

import numpy as np
import pytest
import torch

from rnnlit import rnn, rnn_torch
from rnnlit.tools.gradcheck import largest_difference
from rnnlit.tools.truncated import truncated_gradients
from tests.tolerances import TOLERANCE

T, B, I, H = 7, 2, 3, 4


def draw(dtype=np.float64):
    rng = np.random.default_rng(0)
    params = rnn.init(I, H, rng=rng, dtype=dtype)
    params = rnn.Params(*((a + 0.3 * rng.standard_normal(a.shape)).astype(dtype) for a in params))
    x, h0, dh = (rng.standard_normal(s).astype(dtype) for s in ((T, B, I), (B, H), (T, B, H)))
    return params, x, h0, dh


@pytest.mark.parametrize("window", [7, 50])
def test_a_window_that_covers_the_sequence_gives_the_whole_gradient(window):
    params, x, h0, dh = draw()
    h, grads = truncated_gradients(rnn, params, x, dh, window, h0)
    run = rnn.forward(params, x, h0)
    whole = rnn.backward(params, run, dh=dh).params
    assert largest_difference(h, run.h) == 0
    assert largest_difference(grads, whole) == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("window", [1, 2, 3, 6])
def test_it_is_autograd_with_detach(window, dtype):
    params, x, h0, dh = draw(dtype)
    h, grads = truncated_gradients(rnn, params, x, dh, window, h0)
    leaves = [torch.from_numpy(a).requires_grad_() for a in params]
    state, states = torch.from_numpy(h0), []
    for t in range(T):
        if t % window == 0:
            state = state.detach()
        state = rnn_torch.step(leaves, torch.from_numpy(x[t]), state)
        states.append(state)
    hs = torch.stack(states)
    wanted = torch.autograd.grad((hs * torch.from_numpy(dh)).sum(), leaves)
    np.testing.assert_allclose(h, hs.detach().numpy(), **TOLERANCE[dtype])
    for got, want in zip(grads, wanted, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want.numpy(), **TOLERANCE[dtype])


def test_the_forward_pass_knows_no_windows():
    params, x, h0, dh = draw()
    run = rnn.forward(params, x, h0)
    for window in (1, 3):
        np.testing.assert_allclose(
            truncated_gradients(rnn, params, x, dh, window, h0)[0], run.h, **TOLERANCE[np.float64]
        )


def test_what_is_cut_by_hand():
    """One unit, a loss on the last of three states: windows of 2 leave only the last step's own path."""
    params = rnn.Params(np.array([[1.0]]), np.array([[0.8]]), np.zeros(1), np.zeros(1))
    x = np.array([0.5, -0.2, 0.3]).reshape(3, 1, 1)
    dh = np.array([0.0, 0.0, 1.0]).reshape(3, 1, 1)
    h, grads = truncated_gradients(rnn, params, x, dh, 2)
    slope = 1 - h[2, 0, 0] ** 2
    np.testing.assert_allclose(grads.weight_hh, [[slope * h[1, 0, 0]]], rtol=1e-12)
    np.testing.assert_allclose(grads.weight_ih, [[slope * 0.3]], rtol=1e-12)
    whole = truncated_gradients(rnn, params, x, dh, 3)[1]
    assert abs(whole.weight_ih - grads.weight_ih) > 0.05


def test_bad_input_is_named():
    params, x, h0, dh = draw()
    with pytest.raises(ValueError, match="window: expected a positive integer, got 0"):
        truncated_gradients(rnn, params, x, dh, 0)
    with pytest.raises(ValueError, match=r"dh: expected shape \(7, 2, 4\), got \(6, 2, 4\)"):
        truncated_gradients(rnn, params, x, dh[:-1], 2)
    with pytest.raises(TypeError, match="dh: expected float64 like the parameters, got float32"):
        truncated_gradients(rnn, params, x, dh.astype(np.float32), 2)
    with pytest.raises(ValueError, match=r"h0: expected shape \(2, 4\), got \(4, 2\)"):
        truncated_gradients(rnn, params, x, dh, 2, h0.T)
