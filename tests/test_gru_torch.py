"""The GRU in torch against the reference, derived by hand, and against torch's cell."""

import numpy as np
import pytest
import torch

from rnnlit import gru, gru_torch
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
LENGTHS = [3, 5]
EXACT = TOLERANCE[np.float64]
both_forms = pytest.mark.parametrize("reset_after", [True, False])


def draw(rng, dtype):
    """Parameters (biases not zero), input and initial state."""
    params = gru.init(I, H, rng=rng, dtype=dtype)
    params = params._replace(**{n: rng.standard_normal(3 * H).astype(dtype) for n in ("bias_ih", "bias_hh")})
    return params, rng.standard_normal((T, B, I)).astype(dtype), rng.standard_normal((B, H)).astype(dtype)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@both_forms
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_twin_matches_reference(lengths, dtype, reset_after):
    rng = np.random.default_rng(0)
    params, x, h0 = draw(rng, dtype)
    dh, dh_n = (rng.standard_normal(shape).astype(dtype) for shape in ((T, B, H), (B, H)))
    run = gru.forward(params, x, h0, lengths, reset_after=reset_after)
    grads = gru.backward(params, run, dh, dh_n)

    leaves = [torch.tensor(a, requires_grad=True) for a in (*params, x, h0)]
    twin = gru_torch.forward(gru.Params(*leaves[:4]), *leaves[4:], lengths, reset_after=reset_after)
    ((twin.h * torch.tensor(dh)).sum() + (twin.h_n * torch.tensor(dh_n)).sum()).backward()
    np.testing.assert_allclose(twin.h.detach(), run.h, **TOLERANCE[dtype])
    np.testing.assert_allclose(twin.h_n.detach(), run.h_n, **TOLERANCE[dtype])
    for mine, theirs in zip(leaves, (*grads.params, grads.x, grads.h0), strict=True):
        np.testing.assert_allclose(mine.grad, theirs, **TOLERANCE[dtype])


def test_step_is_torchs_cell():
    torch.manual_seed(0)
    cell = torch.nn.GRUCell(I, H, dtype=torch.float64)
    ours = gru_torch.step(list(cell.parameters()), noise(B, I), noise(B, H))
    torch.testing.assert_close(ours, cell(noise(B, I), noise(B, H)), **EXACT)
