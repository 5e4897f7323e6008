"""The step that the LSTM's variants share: each unit worked out alone with `math`, and torch's own cell."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm

from rnnlit.lstm_variants import cell, cell_state
from tests.tolerances import TOLERANCE

EXACT = TOLERANCE[np.float64]
B, I, H = 2, 3, 4
OPTIONS = ("peepholes", "m_g", "m_c")
TORCH = dict(sigmoid=torch.sigmoid, tanh=torch.tanh)


def drawn(options, seed=0):
    """The sums of the four gates, c, and the options by name."""
    rng = np.random.default_rng(seed)
    sizes = {"peepholes": (3, H), "m_g": (B, H), "m_c": (B, H)}
    given = {name: rng.standard_normal(sizes[name]) for name in options}
    return rng.standard_normal((4, B, H)), rng.standard_normal((B, H)), given


def sigma(a):
    return 1 / (1 + math.exp(-a))


def one_unit(a, c, peepholes=(0.0, 0.0, 0.0), m_g=1.0, m_c=1.0):
    """The equations for numbers: h', c', i, f, g, o, tanh(c')."""
    i, f, g = sigma(a[0] + peepholes[0] * c), sigma(a[1] + peepholes[1] * c), math.tanh(a[2])
    c = m_c * (f * c + i * m_g * g)
    o = sigma(a[3] + peepholes[2] * c)
    return o * math.tanh(c), c, i, f, g, o, math.tanh(c)


@pytest.mark.parametrize("tensors", [False, True], ids=["arrays", "tensors"])
@pytest.mark.parametrize("options", [(), *((name,) for name in OPTIONS), OPTIONS], ids="-".join)
def test_each_unit_is_worked_out_alone(options, tensors):
    a, c, given = drawn(options)
    if tensors:
        values = {name: torch.tensor(value) for name, value in given.items()}
        new = cell(torch.tensor(a), torch.tensor(c), **values, **TORCH)
    else:
        new = cell(a, c, **given)
    found = np.stack([np.asarray(part) for part in (new.h, new.c, *new.gates, new.tanh_c)])
    for b in range(B):
        for k in range(H):
            own = {name: value[:, k] if name == "peepholes" else value[b, k] for name, value in given.items()}
            np.testing.assert_allclose(found[:, b, k], one_unit(a[:, b, k], c[b, k], **own), **EXACT)


def test_without_options_it_is_torchs_cell():
    torch.manual_seed(0)
    theirs = torch.nn.LSTMCell(I, H, dtype=torch.float64)
    x, h, c = (torch.randn(B, n, dtype=torch.float64) for n in (I, H, H))
    a = x @ theirs.weight_ih.T + theirs.bias_ih + h @ theirs.weight_hh.T + theirs.bias_hh
    new = cell(a.chunk(4, 1), c, **TORCH)
    for found, expected in zip((new.h, new.c), theirs(x, (h, c)), strict=True):
        torch.testing.assert_close(found, expected, **EXACT)


def test_the_output_alone_reads_the_normalised_cell():
    a, c, given = drawn(OPTIONS)
    new = cell(a, c, **given, norm=lambda c: layer_norm(torch.tensor(c), (H,), eps=0.0).numpy())
    plain = cell(a, c, **given)
    np.testing.assert_array_equal(new.c, plain.c)
    mean, deviation = plain.c.mean(1, keepdims=True), plain.c.std(1, keepdims=True)
    np.testing.assert_allclose(new.tanh_c, np.tanh((plain.c - mean) / deviation), **EXACT)
    np.testing.assert_allclose(new.h, plain.gates[3] * new.tanh_c, **EXACT)


def test_the_new_cell_state_worked_by_hand():
    """i = 1/2, f = 3/4, g = -0.4, c = 2: kept 1.5, written -0.2; masks of 0 take away the one or both."""
    numbers = 0.5, 0.75, -0.4, 2.0
    assert cell_state(*numbers) == pytest.approx(1.3)
    assert cell_state(*numbers, m_g=0.0) == pytest.approx(1.5)
    assert cell_state(*numbers, m_c=0.0) == 0.0
    assert cell_state(*numbers, m_g=2.0, m_c=10.0) == pytest.approx(11.0)
