"""Bidirectional networks in torch against the reference, derived by hand, and against torch.nn."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit import (
    birnn,
    birnn_article,
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


# ---------------------------------------------------------------- the layers


@pytest.mark.parametrize("name", birnn_torch.CELLS)
@both_lengths
def test_bidirectional_matches_reference(name, lengths):
    cell = dict(zip(birnn_torch.CELLS, (rnn, gru, lstm, lstm_1997, lstm_peephole), strict=True))[name]
    torch.manual_seed(0)
    module = birnn_torch.Bidirectional.of(name, I, H, dtype=torch.float64)
    params = birnn.Params(
        *(
            cell.Params(*(p.detach().numpy().copy() for p in layer.parameters()))
            for layer in (module.forward_layer, module.reverse_layer)
        )
    )
    x, dh, states = noise(T, B, I), noise(T, B, 2 * H), draw(cell)[2]
    run = birnn.forward(cell, params, x, lengths, states)
    grads = birnn.backward(cell, params, run, dh)
    leaf = torch.tensor(x, requires_grad=True)
    hx = [tuple(torch.tensor(s)[None] for s in chain) for chain in states]
    hx = tuple(chain if len(chain) == 2 else chain[0] for chain in hx)
    output, last = module(leaf, hx, lengths=lengths)
    (output * torch.tensor(dh)).sum().backward()
    assert_close(output, run.h)
    for state, want in zip(last, np.split(run.h_n, 2, axis=1), strict=True):
        assert_close((state[0] if isinstance(state, tuple) else state)[0], want)
    assert_close([p.grad for p in module.parameters()], grads.params)
    assert_close(leaf.grad, grads.x)


@fused
@both_lengths
def test_bidirectional_is_torchs_switch(name, lengths):
    torch.manual_seed(0)
    one = getattr(nn, name)(I, H, bidirectional=True, dtype=torch.float64)
    two = birnn_torch.Bidirectional.of(name.lower(), I, H, dtype=torch.float64)
    state = one.state_dict()
    ahead = {k: v for k, v in state.items() if not k.endswith("_reverse")}
    back = {k.removesuffix("_reverse"): v for k, v in state.items() if k.endswith("_reverse")}
    two.forward_layer.load_state_dict(ahead)
    two.reverse_layer.load_state_dict(back)
    x = torch.tensor(noise(T, B, I))
    assert_close(two(x, lengths=lengths)[0], one(x, lengths=lengths)[0])
    assert sum(p.numel() for p in two.parameters()) == sum(p.numel() for p in one.parameters())


def test_chains_may_differ_in_kind_and_size():
    torch.manual_seed(0)
    layers = nn.LSTM(I, H, num_layers=2), birnn_torch.Layer("lstm_peephole", I, O)
    module, x = birnn_torch.Bidirectional(*layers), torch.randn(T, B, I)
    output, (last, first) = module(x, lengths=LENGTHS)
    assert output.shape == (T, B, H + O) and last[0].shape == (2, B, H) and first[0].shape == (1, B, O)
    alone, _ = module(x[:3, :1])
    torch.testing.assert_close(output[:3, :1], alone, **TOLERANCE[np.float32])
    torch.testing.assert_close(module(x, (None, None), lengths=LENGTHS)[0], output, rtol=0, atol=0)


def test_one_layer_given_twice_has_its_weights_tied():
    torch.manual_seed(0)
    layer, x = nn.GRU(I, H), torch.randn(T, B, I)
    tied = birnn_torch.Bidirectional(layer, layer)
    assert len(list(tied.parameters())) == 4
    ahead, back = tied(x)[0].split(H, -1)
    torch.testing.assert_close(tied(x.flip(0))[0][..., :H].flip(0), back, **TOLERANCE[np.float32])
    assert not torch.allclose(ahead, back)


@both_lengths
def test_stacked_is_torchs_two_layers(lengths):
    torch.manual_seed(0)
    one = nn.LSTM(I, H, num_layers=L, bidirectional=True, dtype=torch.float64)
    two = birnn_torch.Stacked.of("lstm", I, H, L, dtype=torch.float64)
    with torch.no_grad():
        for mine, theirs in zip(two.parameters(), one.parameters(), strict=True):
            mine.copy_(theirs)
    x = torch.tensor(noise(T, B, I))
    output, (h_n, _) = one(x, lengths=lengths)
    ours, last = two(x, lengths=lengths)
    assert_close(ours, output)
    assert_close(torch.cat([h for pair in last for h, _ in pair]), h_n)


def test_dropout_between_stacked_layers_acts_in_training_only():
    torch.manual_seed(0)
    module, x = birnn_torch.Stacked.of("rnn", I, H, L, dropout=0.5), torch.randn(T, B, I)
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    plain = birnn_torch.Stacked(list(module.layers))
    assert torch.equal(module(x)[0], plain(x)[0])


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
@both_lengths
def test_article_matches_reference(name, lengths):
    cell = dict(rnn=rnn, gru=gru, lstm=lstm)[name]
    params = noisy(birnn_article.init(cell, I, H, O, rng=np.random.default_rng(0), dtype=np.float64))
    module = birnn_torch.Article.of(name, I, H, O, dtype=torch.float64)
    with torch.no_grad():
        for mine, array in zip(module.parameters(), leaves(params), strict=True):
            mine.copy_(torch.tensor(array))
    x, dh, leaf = noise(T, B, I), noise(T, B, O), torch.tensor(noise(T, B, I), requires_grad=True)
    run = birnn_article.forward(cell, params, x, lengths)
    grads = birnn_article.backward(cell, params, run, dh)
    output, last = module(leaf, lengths=lengths)
    (output * torch.tensor(dh)).sum().backward()
    assert_close(output, run.h)
    assert_close((last[0] if name == "lstm" else last)[0], run.h_n)
    assert_close([p.grad for p in module.parameters()], grads.params)
    assert_close(leaf.grad, grads.x)


@pytest.mark.parametrize("name", birnn_torch.CELLS)
def test_layers_are_saved_copied_and_trained(name, tmp_path):
    torch.manual_seed(0)
    module, x = birnn_torch.Bidirectional.of(name, I, H), torch.randn(T, B, I)
    twin = copy.deepcopy(module)
    assert torch.equal(twin(x)[0], module(x)[0])
    torch.save(module.state_dict(), tmp_path / "state")
    other = birnn_torch.Bidirectional.of(name, I, H)
    assert not torch.equal(other(x)[0], module(x)[0])
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert torch.equal(other(x)[0], module(x)[0])
    optimiser, losses = torch.optim.Adam(module.parameters(), lr=0.02), []
    for _ in range(30):
        loss = ((module(x, lengths=LENGTHS)[0].sum(-1) - x.sum(-1)) ** 2)[:3].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_plain_layer_draws_from_its_generator_and_takes_options():
    def draw():
        generator = torch.Generator().manual_seed(3)
        return birnn_torch.Layer("lstm_peephole", I, H, generator=generator, forget_bias=2.0)

    one, other = draw(), draw()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert (one.bias_ih[H : 2 * H] == 2).all() and one.weight_co.shape == (H,)
    assert "lstm_peephole, 3, 4" in repr(one)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", birnn_torch.CELLS)
@both_lengths
def test_gpu_gives_what_the_cpu_gives(name, lengths):
    torch.manual_seed(0)
    module, x = birnn_torch.Bidirectional.of(name, I, H, dtype=torch.float64), torch.tensor(noise(T, B, I))
    want, _ = module(x, lengths=lengths)
    wanted = torch.autograd.grad(want.square().sum(), list(module.parameters()))
    got, _ = module.cuda()(x.cuda(), lengths=lengths)
    gotten = torch.autograd.grad(got.square().sum(), list(module.parameters()))
    for a, b in zip((got, *gotten), (want, *wanted), strict=True):
        torch.testing.assert_close(a.cpu(), b, **EXACT)


def test_bad_arguments_are_named():
    layer, x = nn.GRU(I, H), torch.zeros(T, B, I)
    module = birnn_torch.Bidirectional(layer, nn.GRU(I, H))
    cases = [
        (
            TypeError,
            "reverse_layer: expected a layer, got str",
            lambda: birnn_torch.Bidirectional(layer, "gru"),
        ),
        (
            ValueError,
            "forward_layer: expected a layer with bidirectional=False",
            lambda: birnn_torch.Bidirectional(nn.GRU(I, H, bidirectional=True), layer),
        ),
        (
            ValueError,
            "reverse_layer: expected a layer with batch_first=False",
            lambda: birnn_torch.Bidirectional(layer, nn.GRU(I, H, batch_first=True)),
        ),
        (
            ValueError,
            "reverse_layer: expected input_size 3 of forward_layer, got 4",
            lambda: birnn_torch.Bidirectional(layer, nn.GRU(I + 1, H)),
        ),
        (ValueError, "cell: expected one of rnn, gru, .*, got 'GRU'", lambda: birnn_torch.layer("GRU", I, H)),
        (
            ValueError,
            "cell: expected one of lstm_1997, lstm_peephole, got 'gru'",
            lambda: birnn_torch.Layer("gru", I, H),
        ),
        (TypeError, r"x: expected a tensor \(T, B, N\), got ndarray", lambda: module(x.numpy())),
        (ValueError, r"x: expected shape \(T, B, N\) .* got \(5, 3\)", lambda: module(x[:, 0])),
        (ValueError, r"input: expected shape .* with I = 3, got \(5, 2, 2\)", lambda: module(x[..., :2])),
        (ValueError, "lengths: expected 1 <= length <= T = 5, got 2 to 6", lambda: module(x, lengths=[2, 6])),
        (TypeError, "hx: expected a pair, for the two layers, got Tensor", lambda: module(x, x)),
        (TypeError, "layers: expected Bidirectional layers", lambda: birnn_torch.Stacked([layer])),
        (ValueError, "dropout: expected a probability, got 2", lambda: birnn_torch.Stacked([module], 2)),
        (
            ValueError,
            "num_layers: expected a positive integer",
            lambda: birnn_torch.Stacked.of("gru", I, H, 0),
        ),
        (TypeError, "second: expected a layer, got NoneType", lambda: birnn_torch.Article(module, None)),
    ]
    for error, words, call in cases:
        with pytest.raises(error, match=words):
            call()
