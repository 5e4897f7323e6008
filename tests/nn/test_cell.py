"""The cells of rnnlit.nn against torch's cells, and against the layers with the same parameters."""

import copy
import pickle

import numpy as np
import pytest
import torch

from rnnlit import nn
from tests.tolerances import TOLERANCE

EXACT, SAME = TOLERANCE[np.float64], dict(rtol=0, atol=0)
B, T, I, H = 2, 5, 3, 4
CASES = [
    ("LSTM", {}),
    ("LSTM", {"bias": False}),
    ("LSTM", {"layer_norm": True}),
    ("LSTM", {"peephole": True}),
    ("LSTM", {"layer_norm": True, "peephole": True, "bias": False}),
    ("GRU", {}),
    ("GRU", {"layer_norm": True}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"reset_after": False, "layer_norm": True, "bias": False}),
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("RNN", {"layer_norm": True, "bias": False}),
    ("RNN", {"layer_norm": True, "nonlinearity": "relu"}),
]
every_case = pytest.mark.parametrize("kind, options", CASES)
every_kind = pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])


def make(kind, options=None, owner=nn, dtype=torch.float64):
    """A cell; gains and shifts are drawn too, so that none of them can be missed."""
    torch.manual_seed(0)
    cell = getattr(owner, f"{kind}Cell")(I, H, dtype=dtype, **(options or {}))
    with torch.no_grad():
        for name, p in cell.named_parameters():
            if name.startswith("norm"):
                p.normal_().add_(0.5)
    return cell


def noise(*shape, seed=1):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def start(kind, *batch):
    h, c = (noise(*batch, H, seed=s).requires_grad_() for s in (2, 3))
    return (h, c) if kind == "LSTM" else h


def flat(result):
    return [result] if isinstance(result, torch.Tensor) else list(result)


def gradients(result, leaves):
    loss = sum((t * noise(*t.shape, seed=k)).sum() for k, t in enumerate(flat(result)))
    return torch.autograd.grad(loss, list(leaves))


def assert_same(ours, theirs, tolerance=SAME):
    for one, other in zip(flat(ours), flat(theirs), strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@every_kind
@pytest.mark.parametrize("bias", [True, False])
def test_the_plain_cell_is_torchs_bit_for_bit(kind, bias):
    ours, theirs = (make(kind, {"bias": bias}, owner) for owner in (nn, torch.nn))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_same(list(ours.parameters()), list(theirs.parameters()))
    for x, hx in (
        (noise(B, I), start(kind, B)),
        (noise(B, I), None),
        (noise(I), start(kind)),
        (noise(I), None),
    ):
        out, want = ours(x, hx), theirs(x, hx)
        assert_same(out, want)
        assert_same(gradients(out, ours.parameters()), gradients(want, theirs.parameters()))
    assert isinstance(ours, getattr(torch.nn, f"{kind}Cell"))


def test_torchs_positions_of_arguments():
    assert make("LSTM").bias and not nn.LSTMCell(I, H, False).bias and not nn.GRUCell(I, H, False).bias
    assert nn.RNNCell(I, H, True, "relu").nonlinearity == "relu"


@every_case
def test_a_loop_over_the_cell_is_the_layer(kind, options):
    """Values and all gradients, over T steps."""
    cell = make(kind, options)
    layer = getattr(nn, kind)(I, H, dtype=torch.float64, **options)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()}, strict=True)
    x, hx = noise(T, B, I).requires_grad_(), start(kind, B)
    state, hs = hx, []
    for x_t in x:
        state = cell(x_t, state)
        hs.append(flat(state)[0])
    output, last = layer(x, tuple(s[None] for s in hx) if kind == "LSTM" else hx[None])
    assert_same(torch.stack(hs), output, EXACT)
    assert_same(state, [s[0] for s in flat(last)], EXACT)
    ours = gradients([torch.stack(hs), *flat(state)], [x, *flat(hx), *cell.parameters()])
    want = gradients([output, *(s[0] for s in flat(last))], [x, *flat(hx), *layer.parameters()])
    assert_same(ours, want, EXACT)


@every_case
def test_one_without_a_batch_and_without_a_state(kind, options):
    cell = make(kind, options)
    x, hx = noise(B, I), start(kind, B)
    one = tuple(s[1] for s in hx) if kind == "LSTM" else hx[1]
    assert_same(cell(x[1], one), [s[1] for s in flat(cell(x, hx))], EXACT)
    zero = torch.zeros(B, H, dtype=torch.float64)
    assert_same(cell(x), cell(x, (zero, zero) if kind == "LSTM" else zero))


@every_case
def test_copies(kind, options):
    cell = make(kind, options)
    x = noise(B, I)
    for twin in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert repr(twin) == repr(cell)
        assert_same(twin(x), cell(x))
    assert all(f"{name}={value!r}".replace("'", "") in repr(cell) for name, value in options.items())


@every_case
def test_autocast(kind, options):
    cell = make(kind, options, dtype=torch.float32)
    x = noise(B, I).float()
    want = flat(cell(x))
    with torch.autocast("cpu", torch.bfloat16):
        out = flat(cell(x))
    for one, other in zip(out, want, strict=True):  # bfloat16 keeps 8 bits of a number
        torch.testing.assert_close(one.float(), other, rtol=2**-5, atol=2**-5)


def test_initial_values():
    cell = nn.LSTMCell(I, H, forget_bias=1.5, orthogonal=True, layer_norm=True)
    total = cell.bias_ih + cell.bias_hh
    assert (total[H : 2 * H] == 1.5).all() and (total[:H] != 1.5).all()
    for block in cell.weight_hh.split(H):
        torch.testing.assert_close(block @ block.T, torch.eye(H), rtol=1e-5, atol=1e-5)
    chrono = nn.LSTMCell(I, H, chrono=50)
    total = chrono.bias_ih + chrono.bias_hh
    assert_same(total[:H], -total[H : 2 * H])
    assert (total[H : 2 * H].exp() <= 49 * (1 + 1e-6)).all()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: nn.LSTMCell(-1, H), ValueError, "input_size: expected an integer of at least 0, got -1"),
        (lambda: nn.GRUCell(I, 2.0), TypeError, "hidden_size: expected an integer of at least 0, got 2.0"),
        (lambda: nn.LSTMCell(I, H, False, forget_bias=1), ValueError, "forget_bias: expected bias=True"),
        (lambda: nn.RNNCell(I, H, layer_norm=1), TypeError, "layer_norm: expected True or False, got 1"),
        (lambda: nn.GRUCell(I, H, orthogonal=1), TypeError, "orthogonal: expected True or False, got 1"),
        (lambda: make("LSTM")([0.0]), TypeError, "input: expected a tensor, got list"),
        (lambda: make("GRU")(noise(B, H)), ValueError, r"input: expected shape .* I = 3, got \(2, 4\)"),
        (
            lambda: make("RNN")(noise(B, I).float()),
            TypeError,
            "input: expected torch.float64 like the weights",
        ),
        (
            lambda: make("LSTM")(noise(B, I), noise(B, H)),
            TypeError,
            r"hx: expected a pair \(h0, c0\), got Tensor",
        ),
        (
            lambda: make("LSTM")(noise(B, I), (noise(B, H), noise(B, I))),
            ValueError,
            r"hx: c0: .* \(2, 4\), got \(2, 3\)",
        ),
        (lambda: make("GRU")(noise(I), noise(B, H)), ValueError, r"hx: expected shape \(4,\), got \(2, 4\)"),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
