"""Layers of different sizes against a chain of torch's layers; long sequences; the reference with dropout."""

import copy
import pathlib
import pickle
import sys

import numpy as np
import pytest
import torch

from rnnlit import lstm, nn
from rnnlit.nn.direction import run_scan
from rnnlit.nn.scan.lstm import Inputs, ScanLSTM
from tests.programs import run
from tests.tolerances import TOLERANCE

EXACT, SAME = TOLERANCE[np.float64], dict(rtol=0, atol=0)
B, T, I = 2, 5, 3
SIZES = (6, 4, 5)
ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = ("LSTM", "GRU", "RNN")
every_kind = pytest.mark.parametrize("kind", KINDS)
CASES = [{}, {"bidirectional": True}, {"bidirectional": True, "bias": False}, {"layer_norm": True}]


def make(kind, sizes=SIZES, **options):
    torch.manual_seed(0)
    return getattr(nn, kind)(I, sizes, dtype=torch.float64, **options)


def noise(*shape, seed=1):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def start(kind, directions=1, *batch):
    h, c = (
        tuple(
            noise(*batch, size, seed=seed + k).requires_grad_() for k, size in enumerate(SIZES * directions)
        )
        for seed in (10, 20)
    )
    order = [layer + 3 * d for layer in range(3) for d in range(directions)]
    h, c = (tuple(state[k] for k in order) for state in (h, c))
    return (h, c) if kind == "LSTM" else h


def flat(result):
    return [result] if isinstance(result, torch.Tensor) else [t for part in result for t in flat(part)]


def gradients(result, leaves):
    loss = sum((t * noise(*t.shape, seed=k)).sum() for k, t in enumerate(flat(result)))
    return torch.autograd.grad(loss, list(leaves))


def assert_same(ours, theirs, tolerance=SAME):
    for one, other in zip(flat(ours), flat(theirs), strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def chain(layer, x, hx, lengths=None):
    """The same by layers of one size, one after another, each with the weights of its own level."""
    kind, D = type(layer).__name__, 2 if layer.bidirectional else 1
    last = []
    for k, size in enumerate(layer.hidden_size):
        options = dict(
            bias=layer.bias, bidirectional=layer.bidirectional, layer_norm=layer.variants.layer_norm
        )
        one = getattr(nn, kind)(x.shape[-1], size, dtype=torch.float64, **options)
        names = [n for n in layer.state_dict() if f"_l{k}" in n]
        values = {n.replace(f"_l{k}", "_l0"): getattr(layer, n) for n in names}
        rows = slice(k * D, (k + 1) * D)
        state = tuple(torch.stack(s[rows]) for s in hx) if kind == "LSTM" else torch.stack(hx[rows])
        x, new = torch.func.functional_call(one, values, (x, state), {"lengths": lengths})
        last.append([new] if kind != "LSTM" else list(new))
    return x, [[s[d] for s in states for d in range(D)] for states in zip(*last, strict=True)]


@every_kind
@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("lengths", [None, [5, 3]])
def test_different_sizes_are_a_chain_of_layers(kind, options, lengths):
    layer = make(kind, **options)
    D = 2 if layer.bidirectional else 1
    x, hx = noise(T, B, I).requires_grad_(), start(kind, D, B)
    output, last, states = layer(x, hx, lengths=lengths, return_all_states=True)
    want, want_last = chain(layer, x, hx, lengths)
    assert_same(output, want, EXACT)
    assert_same(last, want_last, EXACT)
    assert output.shape == (T, B, D * SIZES[-1])
    assert [s.shape for s in states.h] == [(T, B, size) for size in SIZES for _ in range(D)]
    assert [s.shape for s in flat(last)] == [(B, s) for s in SIZES for _ in range(D)] * len(states)
    assert_same(torch.cat(states.h[-D:], -1), output)
    leaves = [x, *flat(hx), *layer.parameters()]
    assert_same(gradients([output, last], leaves), gradients([want, want_last], leaves), EXACT)


@every_kind
def test_different_sizes_in_other_layouts(kind):
    layer = make(kind, zoneout=0.2).eval()
    first = make(kind, zoneout=0.2, batch_first=True).eval()
    x = noise(T, B, I)
    out, other = layer(x, return_all_states=True), first(x.transpose(0, 1), return_all_states=True)
    assert_same(out[0], other[0].transpose(0, 1))
    assert_same(out[1], other[1])
    assert_same(flat(out[2]), [s.transpose(0, 1) for s in flat(other[2])])
    alone = layer(x[:, 0], start(kind), return_all_states=True)
    batch = layer(x[:, :1], start(kind, 1, 1), return_all_states=True)
    assert [s.shape for s in flat(alone[1])][:3] == [(size,) for size in SIZES]
    one = start(kind)
    assert_same(layer(x[:, 0], one)[0], layer(x[:, :1], _batched(one))[0][:, 0], EXACT)
    assert [s.shape for s in flat(alone[2])] == [(T, s.shape[-1]) for s in flat(batch[2])]


def _batched(hx):
    return hx[None] if isinstance(hx, torch.Tensor) else tuple(_batched(part) for part in hx)


@every_kind
def test_different_sizes_start_each_from_its_own_range(kind):
    layer = make(
        kind, (100, 4), layer_norm=True, orthogonal=True, **({"forget_bias": 1} if kind == "LSTM" else {})
    )
    big, small = layer.weight_ih_l0.abs().max().item(), layer.weight_ih_l1.abs().max().item()
    assert 0.09 < big <= 0.1 and 0.4 < small <= 0.5
    for weight, H in ((layer.weight_hh_l0, 100), (layer.weight_hh_l1, 4)):
        for block in weight.split(H):
            assert_same(block @ block.T, torch.eye(H, dtype=torch.float64), EXACT)
    gains = [p for name, p in layer.named_parameters() if name.startswith("norm_gain")]
    assert len(gains) >= 2 and all((p == 1).all() for p in gains)
    if kind == "LSTM":
        assert ((layer.bias_ih_l1 + layer.bias_hh_l1)[4:8] == 1).all()


@every_kind
def test_copies_and_state_dicts_of_different_sizes(kind):
    layer = make(kind, layer_norm=True, dropout=0.3)
    restored = make(kind, layer_norm=True, dropout=0.3)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.1)
    restored.load_state_dict(layer.state_dict(), strict=True)
    x = noise(T, B, I)
    want = layer(x, generator=torch.Generator().manual_seed(0))
    for twin in (restored, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(twin) == repr(layer)
        assert_same(twin(x, generator=torch.Generator().manual_seed(0)), want)
    assert layer.float()(x.float())[0].dtype == torch.float32
    assert "(3, (6, 4, 5), num_layers=3" in repr(layer)


@every_kind
def test_one_size_in_a_tuple_still_gives_tuples(kind):
    """What comes back depends on how the sizes are given, not on which they are."""
    layer, plain = make(kind, [4, 4]), getattr(nn, kind)(I, 4, 2, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    x = noise(T, B, I)
    (output, last), (want, want_last) = layer(x), plain(x)
    assert_same(output, want, EXACT)
    assert_same(last, [list(s) for s in want_last] if kind == "LSTM" else list(want_last), EXACT)
    assert layer.kernel(x).endswith(": a hidden_size for each layer")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: nn.LSTM(I, (4, 0)), ValueError, "hidden_size: expected a positive integer, got 0"),
        (
            lambda: nn.GRU(I, ()),
            ValueError,
            r"num_layers: expected the number of sizes beside hidden_size=\(\)",
        ),
        (lambda: nn.RNN(I, (4, 5), 3), ValueError, r"num_layers: .* beside hidden_size=\(4, 5\), got 3"),
        (
            lambda: nn.LSTM(I, (4, 5), proj_size=2),
            ValueError,
            "proj_size: expected 0 with a hidden_size for each",
        ),
        (lambda: make("GRU")(noise(T, B, I), noise(3, B, 4)), TypeError, "hx: expected 3 tensors"),
        (
            lambda: make("GRU")(noise(T, B, I), [noise(B, 6)] * 3),
            ValueError,
            r"hx\[1\]: expected shape \(2, 4\)",
        ),
        (lambda: make("LSTM")(noise(T, B, I), start("GRU", 1, B)), ValueError, "hx: expected a pair"),
    ],
)
def test_bad_sizes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_num_layers_may_agree_with_the_sizes():
    assert nn.GRU(I, (4, 5), 2).num_layers == 2


# A long sequence in pieces.

FLAT = """
import resource, torch
from rnnlit.nn import {kind}
torch.manual_seed(0)
layer = {kind}(8, 32, recurrent_dropout=0.1, zoneout=0.1, layer_norm=True)
hx = None
for piece in range(1, 101):
    output, hx = layer(torch.randn(20, 25, 8), hx)
    output.square().mean().backward()
    hx = tuple(s.detach() for s in hx) if isinstance(hx, tuple) else hx.detach()
    if piece in (20, 100):
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the module resource is Unix's")
@every_kind
def test_truncated_bptt_keeps_memory_flat(kind):
    """2,000 steps in pieces of 20, each from the detached states of the last, need no more than 400."""
    program = [sys.executable, "-c", FLAT.format(kind=kind)]
    done = run(program, cwd=ROOT, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    first, last = (int(line) * unit for line in done.stdout.split())
    # had each of the 80 further pieces left one tensor (20, 25, 32) of 4 bytes a number
    assert last - first < 80 * 20 * 25 * 32 * 4


# The reference in NumPy, with every mask at once.


def test_the_scan_is_the_reference_with_dropout():
    reference = pytest.importorskip("rnnlit.dropout_lstm", reason="the chapter on dropout is not there yet")
    H = 4
    rng = np.random.default_rng(0)
    params, x = lstm.init(I, H, rng=rng, dtype=np.float64), rng.standard_normal((T, B, I))
    h0, c0 = rng.standard_normal((2, B, H))
    dh, dc = rng.standard_normal((2, T, B, H))
    shapes = dict(x=(1, B, I), h=(1, B, H), g=(T, B, H), zoneout_h=(T, B, H), zoneout_c=(T, B, H))
    m = reference.Masks(**{n: rng.random(s) for n, s in shapes.items()}, weight_hh=rng.random((4 * H, H)))
    run = reference.forward(params, x, m, h0, c0)
    grads = reference.backward(params, run, dh, dc)

    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h0, c0, *params)]
    x_, h, c, W, U, b, d = leaves
    masks = {name: torch.tensor(value) for name, value in m._asdict().items() if value is not None}
    options = (masks[name] for name in ("h", "g", "zoneout_h", "zoneout_c"))
    inputs = Inputs(x_ * masks["x"], W, U * masks["weight_hh"], b + d, h, c, *options)
    hs, cs = run_scan(ScanLSTM, inputs)
    np.testing.assert_allclose(hs.detach(), run.h, **EXACT)
    np.testing.assert_allclose(cs.detach(), run.c, **EXACT)
    ((hs * torch.tensor(dh)).sum() + (cs * torch.tensor(dc)).sum()).backward()
    for leaf, value in zip(leaves, (grads.x, grads.h0, grads.c0, *grads.params), strict=True):
        np.testing.assert_allclose(leaf.grad, value, **EXACT)
