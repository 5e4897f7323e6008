"""One step at a time: against the layer's own call, and where masks hold for a sequence, against a loop."""

import copy

import numpy as np
import pytest
import torch

from rnnlit import nn
from rnnlit.nn.stepwise import Masks, masks_of, step
from tests.tolerances import TOLERANCE

EXACT = TOLERANCE[np.float64]
T, B, I, H, L = 5, 2, 3, 4, 3
CASES = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "zoneout": 0.3}),
    ("RNN", {"nonlinearity": "relu"}),
    ("RNN", {"layer_norm": True}),
    ("GRU", {}),
    ("GRU", {"bias": False}),
    ("GRU", {"reset_after": False, "layer_norm": True}),
    ("GRU", {"recurrent_dropout": 0.3, "zoneout": 0.2}),
    ("LSTM", {}),
    ("LSTM", {"bias": False, "input_dropout": 0.3, "weight_drop": 0.3, "output_dropout": 0.3}),
    ("LSTM", {"layer_norm": True, "peephole": True}),
    ("LSTM", {"zoneout": (0.1, 0.4), "candidate_dropout": 0.2, "recurrent_dropout": 0.3}),
]
every_case = pytest.mark.parametrize("kind, options", CASES, ids=str)
SEQUENCE = {"input_dropout": 0.4, "recurrent_dropout": 0.3, "weight_drop": 0.2, "output_dropout": 0.5}


def make(kind, layers=L, **options):
    torch.manual_seed(0)
    layer = getattr(nn, kind)(I, H, layers, dtype=torch.float64, **options)
    with torch.no_grad():
        for weight in layer.parameters():
            weight += 0.3 * torch.randn_like(weight)  # so that gains differ and peepholes count
    return layer


def noise(*shape, seed=1):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def starts(kind):
    parts = 2 if kind == "LSTM" else 1
    return [noise(L, B, H, seed=2 + k) for k in range(parts)]


def steps(layer, x, states, masks=()):
    """All outputs (T, B, H), and the last states (L, B, H)."""
    states, outputs = list(zip(*states, strict=True)), []
    for x_t in x:
        output, states = step(layer, x_t, states, masks)
        outputs.append(output)
    return torch.stack(outputs), [torch.stack(part) for part in zip(*states, strict=True)]


def assert_same(mine, theirs):
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@every_case
def test_steps_are_the_call_in_evaluation(kind, options):
    layer, x, h0 = make(kind, **options).eval(), noise(T, B, I).requires_grad_(), starts(kind)
    assert masks_of(layer, B) == ()
    output, last = layer(x, tuple(h0) if kind == "LSTM" else h0[0])
    whole = [output, *(last if kind == "LSTM" else [last])]
    got = steps(layer, x, h0)
    assert_same([got[0], *got[1]], whole)
    leaves = [x, *layer.parameters()]
    pulls = [noise(*part.shape, seed=9) for part in whole]
    assert_same(
        torch.autograd.grad([got[0], *got[1]], leaves, pulls), torch.autograd.grad(whole, leaves, pulls)
    )


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_masks_that_hold_for_sequences(kind):
    """Against a loop that is written out: every kind of them at once, values and gradients."""
    layer, x, h0 = make(kind, **SEQUENCE), noise(T, B, I).requires_grad_(), starts(kind)
    masks = masks_of(layer, B, torch.Generator().manual_seed(0))
    assert len(masks) == L and [m.output is None for m in masks] == [True, True, False]
    output, last = steps(layer, x, h0, masks)

    states, outputs = list(zip(*h0, strict=True)), []
    for x_t in x:
        for k, m in enumerate(masks):
            w_ih, w_hh, b_ih, b_hh = layer.all_weights[k]
            w_hh = torch.where(m.weight_hh == 0, 0, w_hh / 0.8)  # what is kept is divided by 1 - p
            h = states[k][0]
            a, b = (m.x * x_t) @ w_ih.T + b_ih, (m.h * h) @ w_hh.T + b_hh
            if kind == "RNN":
                states[k] = (torch.tanh(a + b),)
            elif kind == "GRU":
                (r, z, n), (r_h, z_h, n_h) = a.chunk(3, 1), b.chunk(3, 1)
                r, z = torch.sigmoid(r + r_h), torch.sigmoid(z + z_h)
                states[k] = ((1 - z) * torch.tanh(n + r * n_h) + z * h,)
            else:
                i, f, g, o = (a + b).chunk(4, 1)
                c = torch.sigmoid(f) * states[k][1] + torch.sigmoid(i) * torch.tanh(g)
                states[k] = torch.sigmoid(o) * torch.tanh(c), c
            x_t = states[k][0]
        outputs.append(masks[-1].output * x_t)
    want = [torch.stack(outputs), *(torch.stack(part) for part in zip(*states, strict=True))]
    assert_same([output, *last], want)
    leaves = [x, *layer.parameters()]
    pulls = [noise(*part.shape, seed=9) for part in want]
    assert_same(torch.autograd.grad([output, *last], leaves, pulls), torch.autograd.grad(want, leaves, pulls))


def test_the_masks_have_the_probabilities_that_were_asked_for():
    """200 sequences of 50 units: within 5 standard errors. Of the weights, one mask for all sequences."""
    layer = nn.LSTM(50, 50, 2, **SEQUENCE)
    masks = masks_of(layer, 200, torch.Generator().manual_seed(0))
    for m, weights in zip(masks, layer.all_weights, strict=True):
        dropped = m.weight_hh == 0
        assert dropped.any() and torch.equal(m.weight_hh[~dropped], (weights[1] * (1 / 0.8))[~dropped])
        for name, p in (("x", 0.4), ("h", 0.3)):
            part = getattr(m, name)
            assert part.shape == (200, 50)
            torch.testing.assert_close(part.unique(), torch.tensor([0, 1 / (1 - p)]))
            assert abs((part == 0).double().mean() - p) < 5 * (p * (1 - p) / part.numel()) ** 0.5
    assert abs((masks[1].output == 0).double().mean() - 0.5) < 5 * (0.25 / 10_000) ** 0.5


@pytest.mark.parametrize("options", [{"zoneout": 0.5}, {"candidate_dropout": 0.5}], ids=str)
def test_other_masks_are_drawn_at_each_step(options):
    layer, x, h0 = make("GRU", **options), noise(B, I), list(zip(*starts("GRU"), strict=True))
    assert masks_of(layer, B) == ()
    torch.manual_seed(0)
    outputs = [step(layer, x, h0)[0] for _ in range(4)]
    assert any(not torch.equal(outputs[0], other) for other in outputs[1:])


def test_dropout_between_the_layers_is_drawn_at_each_step():
    layer, x, h0 = make("GRU", dropout=0.5), noise(B, I), list(zip(*starts("GRU"), strict=True))
    torch.manual_seed(0)
    outputs = [step(layer, x, h0)[0] for _ in range(4)]
    assert any(not torch.equal(outputs[0], other) for other in outputs[1:])
    one = copy.deepcopy(layer).eval()
    torch.testing.assert_close(step(one, x, h0)[0], step(one, x, h0)[0], rtol=0, atol=0)


def test_masks_go_with_their_sequences():
    masks = masks_of(make("LSTM", **SEQUENCE), 4, torch.Generator().manual_seed(0))[-1]
    rows = torch.tensor([3, 0, 0, 2, 1])
    chosen = masks.select(rows)
    for name in ("x", "h", "output"):
        assert torch.equal(getattr(chosen, name), getattr(masks, name)[rows])
    assert chosen.weight_hh is masks.weight_hh
    assert Masks().select(rows) == Masks()
