"""The plain cell in torch against the reference, whose backward pass is derived by hand."""

import numpy as np
import pytest
import torch

from rnnlit import rnn, rnn_torch
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
LENGTHS = [5, 3]


def draw(rng, dtype):
    """Parameters (biases not zero), input and initial state."""
    params = rnn.init(I, H, rng=rng, dtype=dtype)
    params = params._replace(**{n: rng.standard_normal(H).astype(dtype) for n in ("bias_ih", "bias_hh")})
    return params, rng.standard_normal((T, B, I)).astype(dtype), rng.standard_normal((B, H)).astype(dtype)


def leaf(array):
    return torch.tensor(array, requires_grad=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_twin_matches_reference(lengths, dtype):
    rng = np.random.default_rng(0)
    params, x, h0 = draw(rng, dtype)
    dh, dh_n = (rng.standard_normal(shape).astype(dtype) for shape in ((T, B, H), (B, H)))
    run = rnn.forward(params, x, h0, lengths)
    grads = rnn.backward(params, run, dh, dh_n)

    params, x, h0 = rnn.Params(*map(leaf, params)), leaf(x), leaf(h0)
    twin = rnn_torch.forward(params, x, h0, lengths)
    ((twin.h * torch.tensor(dh)).sum() + (twin.h_n * torch.tensor(dh_n)).sum()).backward()

    np.testing.assert_allclose(twin.h.detach(), run.h, **TOLERANCE[dtype])
    np.testing.assert_allclose(twin.h_n.detach(), run.h_n, **TOLERANCE[dtype])
    for mine, theirs in zip((*params, x, h0), (*grads.params, grads.x, grads.h0), strict=True):
        np.testing.assert_allclose(mine.grad, theirs, **TOLERANCE[dtype])


def test_step_is_torchs_cell():
    torch.manual_seed(0)
    cell = torch.nn.RNNCell(I, H, dtype=torch.float64)
    x, h = torch.randn(B, I, dtype=torch.float64), torch.randn(B, H, dtype=torch.float64)
    ours = rnn_torch.step(list(cell.parameters()), x, h)
    torch.testing.assert_close(ours, cell(x, h), **TOLERANCE[np.float64])


def test_forward_without_state_starts_at_zero():
    params, x, _ = draw(np.random.default_rng(1), np.float64)
    params, x = rnn.Params(*map(torch.tensor, params)), torch.tensor(x)
    zero = torch.zeros(B, H).double()
    assert torch.equal(rnn_torch.forward(params, x).h, rnn_torch.forward(params, x, zero).h)


def bad(**changes):
    params, x, h0 = draw(np.random.default_rng(0), np.float64)
    arguments = dict(params=rnn.Params(*map(torch.tensor, params)), x=torch.tensor(x), h0=torch.tensor(h0))
    return arguments | changes


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (dict(x=np.zeros((T, B, I))), TypeError, "x: expected a tensor, got ndarray"),
        (dict(x=torch.zeros(T, B, I)), TypeError, r"x: .* torch.float64 like weight_ih, got torch.float32"),
        (dict(x=torch.zeros(T, I).double()), ValueError, r"x: .* \(T, B, I\) with I = 3, got \(5, 3\)"),
        (dict(x=torch.zeros(T, B, 7).double()), ValueError, r"x: .* I = 3, got \(5, 2, 7\)"),
        (dict(x=torch.zeros(0, B, I).double()), ValueError, r"x: .* got \(0, 2, 3\)"),
        (dict(h0=torch.zeros(H, B).double()), ValueError, r"h0: expected shape \(2, 4\), got \(4, 2\)"),
        (dict(h0=torch.zeros(B, H)), TypeError, "h0: expected torch.float64 .* got torch.float32"),
        (dict(lengths=[5, 6]), ValueError, "lengths: expected 1 <= length <= T = 5, got 5 to 6"),
        (dict(lengths=[5, 0]), ValueError, "lengths: .* got 0 to 5"),
        (dict(lengths=[5]), ValueError, r"lengths: expected shape \(B,\) = \(2,\), got \(1,\)"),
        (dict(lengths=[5.0, 3.0]), TypeError, "lengths: expected integers, got float64"),
        (dict(params=(torch.zeros(H, I),) * 3), ValueError, r"params: .* 4 tensors \(weight_ih, .*\), got 3"),
    ],
)
def test_bad_arguments_are_named(changes, error, words):
    with pytest.raises(error, match=words):
        rnn_torch.forward(**bad(**changes))


def test_bad_parameters_are_named():
    params = bad()["params"]
    with pytest.raises(ValueError, match=r"weight_hh: expected shape \(4, 4\), got \(5, 4\)"):
        rnn_torch.step(params._replace(weight_hh=torch.zeros(5, H).double()), bad()["x"][0], bad()["h0"])
    with pytest.raises(ValueError, match=r"bias_hh: expected shape \(4,\), got \(3,\)"):
        rnn_torch.step(params._replace(bias_hh=torch.zeros(3).double()), bad()["x"][0], bad()["h0"])
