"""Layer normalisation step by step against torch's own over all steps at once."""

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm

from rnnlit.nn.scan.norm import EPS, Normed, NormedParts
from tests.tolerances import TOLERANCE

T, B, N = 5, 2, 4


def normal(*shape, seed):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_forward_and_backward_are_those_of_torch(eps):
    a, gain, shift = (normal(*s, seed=k).requires_grad_() for k, s in enumerate([(T, B, N), (N,), (N,)]))
    dy = normal(T, B, N, seed=3)
    want = layer_norm(a, (N,), gain, shift, eps)
    gradients = torch.autograd.grad((want * dy).sum(), [a, gain, shift])
    with torch.no_grad():
        forward = Normed(gain, shift, eps)
        out = torch.stack([forward(step) for step in a])
        backward = Normed(gain, shift, eps, forward.statistics)
        da = [backward.backward(dy[t], a[t], t) for t in reversed(range(T))]
        for start, end in ((3, T), (0, 3)):
            backward.add(dy[start:end], a[start:end], start)
    exact = TOLERANCE[np.float64]
    torch.testing.assert_close(out, want, **exact)
    ours = torch.stack(da[::-1]), backward.dgain, backward.dshift
    torch.testing.assert_close(ours, gradients, **exact)


@pytest.mark.parametrize("parts", [(N,), (1, 3)])
def test_a_block_in_parts_is_normalised_part_by_part(parts):
    a, gain, shift = (normal(*s, seed=k).requires_grad_() for k, s in enumerate([(T, B, N), (N,), (N,)]))
    dy = normal(T, B, N, seed=3)
    split = zip(a.split(parts, -1), gain.split(parts), shift.split(parts), parts, strict=True)
    want = torch.cat([layer_norm(x, (n,), g, s, EPS) for x, g, s, n in split], -1)
    gradients = torch.autograd.grad((want * dy).sum(), [a, gain, shift])
    with torch.no_grad():
        norm = NormedParts(parts, gain, shift)
        out, statistics = norm(a)
        ours = norm.backward(dy, a, statistics)
    exact = TOLERANCE[np.float64]
    torch.testing.assert_close(out, want, **exact)
    torch.testing.assert_close(ours, gradients, **exact)


def test_without_a_gain_it_is_not_there():
    a, normed = normal(B, N, seed=0), Normed(None, None, 0.0)
    assert normed(a) is a and normed.backward(a, a, 0) is a
    assert normed.dgain is None and normed.statistics == []
