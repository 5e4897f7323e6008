"""Bidirectional networks in torch against the reference, derived by hand, and against torch.nn."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit import (
    birnn,
    birnn_torch,
    gru,
    gru_torch,
    lstm,
    lstm_1997,
    lstm_1997_torch,
    lstm_peephole,
    lstm_peephole_torch,
    lstm_torch,
    nn,
    rnn,
    rnn_torch,
)
from rnnlit.tools import weights
from tests.tolerances import TOLERANCE

B, T, I, H, O, L = 2, 5, 3, 4, 6, 2
LENGTHS = [3, 5]
EXACT = TOLERANCE[np.float64]
PAIRS = [
    (rnn, rnn_torch),
    (gru, gru_torch),
    (lstm, lstm_torch),
    (lstm_1997, lstm_1997_torch),
    (lstm_peephole, lstm_peephole_torch),
]
pairs = pytest.mark.parametrize("cell, twin", PAIRS, ids=lambda m: m.__name__.split(".")[1])
both_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=str)
fused = pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
REFERENCE = {"RNN": rnn, "GRU": gru, "LSTM": lstm}


def noise(*shape, seed=1, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def leaves(tree):
    if isinstance(tree, (np.ndarray, torch.Tensor)):
        return [tree]
    return [leaf for part in tree for leaf in leaves(part)]


def noisy(tree, seed=5):
    """The same tree of arrays with noise on each, so that biases and peepholes are not zero."""
    rng = np.random.default_rng(seed)
    return rebuild(tree, [(a + 0.3 * rng.standard_normal(a.shape)).astype(a.dtype) for a in leaves(tree)])


def rebuild(tree, values):
    """The same tuples in tuples with other leaves."""
    values = iter(values)

    def visit(part):
        if isinstance(part, np.ndarray):
            return next(values)
        parts = [visit(one) for one in part]
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)

    return visit(tree)


def as_leaves(tree):
    """The same tuples in tuples with tensors that want a gradient."""
    return rebuild(tree, [torch.tensor(a, requires_grad=True) for a in leaves(tree)])


def assert_close(got, want, dtype=np.float64):
    for a, b in zip(leaves(got), leaves(want), strict=True):
        a, b = (v.detach().numpy() if isinstance(v, torch.Tensor) else v for v in (a, b))
        np.testing.assert_allclose(a, b, **TOLERANCE[dtype])


def gradients(tree):
    return [leaf.grad for leaf in leaves(tree)]


def draw(cell, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    params = noisy(birnn.init(cell, I, H, rng=rng, dtype=dtype))
    count = 1 if cell in (rnn, gru) else 2
    states = tuple(tuple(rng.standard_normal((B, H)).astype(dtype) for _ in range(count)) for _ in range(2))
    return params, rng.standard_normal((T, B, I)).astype(dtype), states


# ---------------------------------------------------------------- the functions against the reference


@both_lengths
def test_flip_is_the_references(lengths):
    x = noise(T, B, I)
    assert np.array_equal(birnn_torch.flip(torch.tensor(x), lengths).numpy(), birnn.flip(x, lengths))


@pairs
@both_lengths
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_twin_matches_reference(cell, twin, lengths, dtype):
    params, x, states = draw(cell, dtype)
    dh, dh_n = noise(T, B, 2 * H, dtype=dtype), noise(B, 2 * H, seed=2, dtype=dtype)
    run = birnn.forward(cell, params, x, lengths, states)
    grads = birnn.backward(cell, params, run, dh, dh_n)
    tree = as_leaves((params, x, states))
    ours = birnn_torch.forward(twin, tree[0], tree[1], lengths, tree[2])
    ((ours.h * torch.tensor(dh)).sum() + (ours.h_n * torch.tensor(dh_n)).sum()).backward()
    assert_close((ours.h, ours.h_n), (run.h, run.h_n), dtype)
    assert_close(gradients(tree), tuple(grads), dtype)


def test_twin_takes_the_cells_options():
    params, x, _ = draw(gru)
    run = birnn.forward(gru, params, x, LENGTHS, reset_after=False)
    ours = birnn_torch.forward(gru_torch, as_leaves(params), torch.tensor(x), LENGTHS, reset_after=False)
    assert_close(ours.h, run.h)


@pairs
@both_lengths
def test_stack_matches_reference(cell, twin, lengths):
    params = noisy(birnn.init_stack(cell, I, H, L, rng=np.random.default_rng(0), dtype=np.float64))
    x, states = noise(T, B, I), tuple(draw(cell, seed=k)[2] for k in range(L))
    dh, dh_n = noise(T, B, 2 * H), noise(L, B, 2 * H, seed=2)
    run = birnn.forward_stack(cell, params, x, lengths, states)
    grads = birnn.backward_stack(cell, params, run, dh, dh_n)
    tree = as_leaves((params, x, states))
    ours = birnn_torch.forward_stack(twin, tree[0], tree[1], lengths, tree[2])
    ((ours.h * torch.tensor(dh)).sum() + (ours.h_n * torch.tensor(dh_n)).sum()).backward()
    assert_close((ours.h, ours.h_n), (run.h, run.h_n))
    assert_close(gradients(tree), tuple(grads))


# ---------------------------------------------------------------- the reference against torch.nn


@fused
@both_lengths
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_reference_is_torchs_two_layers_in_two_directions(name, lengths, dtype):
    """Values and every gradient; with lengths, torch gets a packed sequence, and rnnlit.nn the lengths."""
    torch.manual_seed(0)
    options = dict(num_layers=L, bidirectional=True, dtype=getattr(torch, np.dtype(dtype).name))
    theirs = getattr(torch.nn, name)(I, H, **options)
    cell, x, dh = REFERENCE[name], noise(T, B, I, dtype=dtype), noise(T, B, 2 * H, dtype=dtype)
    dh_n = noise(2 * L, B, H, seed=2, dtype=dtype)
    params = tuple(
        birnn.Params(*(weights.from_torch(theirs, k, reverse) for reverse in (False, True))) for k in range(L)
    )
    run = birnn.forward_stack(cell, params, x, lengths)
    side_by_side = dh_n.reshape(L, 2, B, H).swapaxes(1, 2).reshape(L, B, 2 * H)
    grads = birnn.backward_stack(cell, params, run, dh, np.ascontiguousarray(side_by_side))

    drop_in = getattr(nn, name)(I, H, **options)
    drop_in.load_state_dict(theirs.state_dict())
    for layer, arguments in ((theirs, {}), (drop_in, dict(lengths=lengths))):
        leaf = torch.tensor(x, requires_grad=True)
        if layer is theirs and lengths is not None:
            packed = pack_padded_sequence(leaf, torch.tensor(lengths), enforce_sorted=False)
            output, last = layer(packed)
            output = pad_packed_sequence(output, total_length=T)[0]
        else:
            output, last = layer(leaf, **arguments)
        h_n = last[0] if name == "LSTM" else last
        ((output * torch.tensor(dh)).sum() + (h_n * torch.tensor(dh_n)).sum()).backward()
        assert_close(output, run.h, dtype)
        assert_close(h_n.reshape(L, 2, B, H).transpose(1, 2).reshape(L, B, 2 * H), run.h_n, dtype)
        assert_close([p.grad for p in layer.parameters()], grads.params, dtype)
        assert_close(leaf.grad, grads.x, dtype)


def test_the_reverse_chains_last_state_stands_at_the_first_step():
    """Erratum R6, in torch's own layer."""
    torch.manual_seed(0)
    layer = torch.nn.GRU(I, H, bidirectional=True, dtype=torch.float64)
    output, h_n = layer(torch.tensor(noise(T, B, I)))
    assert torch.equal(h_n[1], output[0, :, H:]) and torch.equal(h_n[0], output[-1, :, :H])
    assert not torch.allclose(h_n[1], output[-1, :, H:])
