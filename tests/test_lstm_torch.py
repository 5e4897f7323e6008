"""The LSTM and its ancestors in torch against the references, whose backward passes are derived by hand."""

import numpy as np
import pytest
import torch

from rnnlit import lstm, lstm_1997, lstm_1997_torch, lstm_peephole, lstm_peephole_torch, lstm_torch
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
TWINS = {
    "lstm": (lstm, lstm_torch),
    "lstm_peephole": (lstm_peephole, lstm_peephole_torch),
    "lstm_1997": (lstm_1997, lstm_1997_torch),
}


def leaf(array):
    return torch.tensor(array, requires_grad=True)


@pytest.fixture(params=TWINS)
def twins(request):
    return TWINS[request.param]


def draw(reference, rng, dtype):
    """Parameters (biases not zero), input, h0 and c0."""
    params = reference.init(I, H, rng=rng, dtype=dtype)
    biases = {n: rng.standard_normal(params.bias_ih.shape).astype(dtype) for n in ("bias_ih", "bias_hh")}
    x, h0, c0 = (rng.standard_normal(shape).astype(dtype) for shape in ((T, B, I), (B, H), (B, H)))
    return params._replace(**biases), x, h0, c0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [None, [3, 5]])
def test_twin_matches_reference(twins, lengths, dtype):
    """Values, and the gradient of a loss on h, c, h_n and c_n for every parameter, x, h0 and c0."""
    reference, twin = twins
    rng = np.random.default_rng(0)
    params, x, h0, c0 = draw(reference, rng, dtype)
    outer = [rng.standard_normal(shape).astype(dtype) for shape in ((T, B, H), (T, B, H), (B, H), (B, H))]
    run = reference.forward(params, x, h0, c0, lengths)
    grads = reference.backward(params, run, *outer)

    leaves = [leaf(array) for array in (*params, x, h0, c0)]
    params, (x, h0, c0) = reference.Params(*leaves[:-3]), leaves[-3:]
    out = twin.forward(params, x, h0, c0, lengths)
    sum((value * torch.tensor(d)).sum() for value, d in zip(out, outer, strict=True)).backward()

    for mine, theirs in zip(out, (run.h, run.c, run.h_n, run.c_n), strict=True):
        np.testing.assert_allclose(mine.detach(), theirs, **TOLERANCE[dtype])
    for mine, theirs in zip(leaves, (*grads.params, grads.x, grads.h0, grads.c0), strict=True):
        np.testing.assert_allclose(mine.grad, theirs, **TOLERANCE[dtype])


def test_step_is_torchs_cell():
    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(I, H, dtype=torch.float64)
    x, h, c = (torch.randn(B, n, dtype=torch.float64) for n in (I, H, H))
    ours = lstm_torch.step(list(cell.parameters()), x, h, c)
    torch.testing.assert_close(ours, cell(x, (h, c)), **TOLERANCE[np.float64])


def test_forward_without_states_starts_at_zero(twins):
    reference, twin = twins
    params, x, _, _ = draw(reference, np.random.default_rng(1), np.float64)
    params, x = reference.Params(*map(torch.tensor, params)), torch.tensor(x)
    zero = torch.zeros(B, H).double()
    for mine, theirs in zip(twin.forward(params, x), twin.forward(params, x, zero, zero), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (dict(x=np.zeros((T, B, I))), TypeError, "x: expected a tensor, got ndarray"),
        (dict(x=torch.zeros(T, B, I)), TypeError, r"x: .* torch.float64 like weight_ih, got torch.float32"),
        (dict(x=torch.zeros(B, I).double()), ValueError, r"x: .* \(T, B, I\) with I = 3, got \(2, 3\)"),
        (dict(h0=torch.zeros(B, I).double()), ValueError, r"h0: expected shape \(2, 4\), got \(2, 3\)"),
        (dict(c0=torch.zeros(H).double()), ValueError, r"c0: expected shape \(2, 4\), got \(4,\)"),
        (dict(lengths=[5, 6]), ValueError, "lengths: expected 1 <= length <= T = 5, got 5 to 6"),
        (dict(lengths=["a", "b"]), TypeError, "lengths: expected integers"),
    ],
)
def test_bad_arguments_are_named(twins, changes, error, words):
    reference, twin = twins
    params, x, h0, c0 = draw(reference, np.random.default_rng(0), np.float64)
    arguments = dict(x=torch.tensor(x), h0=torch.tensor(h0), c0=torch.tensor(c0)) | changes
    with pytest.raises(error, match=words):
        twin.forward(reference.Params(*map(torch.tensor, params)), **arguments)


def test_parameters_of_another_cell_are_refused():
    params, x, h0, c0 = draw(lstm_peephole, np.random.default_rng(0), np.float64)
    params, (x, h0, c0) = [torch.tensor(p) for p in params], map(torch.tensor, (x, h0, c0))
    with pytest.raises(ValueError, match=r"params: expected 4 tensors .* got 7"):
        lstm_torch.step(params, x[0], h0, c0)
    with pytest.raises(ValueError, match=r"params: expected 7 tensors .* got 4"):
        lstm_peephole_torch.step(params[:4], x[0], h0, c0)
    with pytest.raises(ValueError, match=r"weight_ih: expected shape \(12, 3\), got \(16, 3\)"):
        lstm_1997_torch.step(params[:4], x[0], h0, c0)
