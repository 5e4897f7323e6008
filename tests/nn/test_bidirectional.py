"""`Bidirectional`, `Stacked` and `Article` against the reference, and against torch.nn."""

import copy

import numpy as np
import pytest
import torch

from rnnlit import birnn, birnn_article, gru, lstm, lstm_1997, lstm_peephole, nn, rnn
from rnnlit.nn import bidirectional
from tests.test_birnn_torch import (
    assert_close,
    both_lengths,
    draw,
    fused,
    leaves,
    noise,
    noisy,
)
from tests.tolerances import TOLERANCE

B, T, I, H, O, L = 2, 5, 3, 4, 6, 2
LENGTHS = [3, 5]
EXACT = TOLERANCE[np.float64]


@pytest.mark.parametrize("name", bidirectional.CELLS)
@both_lengths
def test_bidirectional_matches_reference(name, lengths):
    cell = dict(zip(bidirectional.CELLS, (rnn, gru, lstm, lstm_1997, lstm_peephole), strict=True))[name]
    torch.manual_seed(0)
    module = bidirectional.Bidirectional.of(name, I, H, dtype=torch.float64)
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
    two = bidirectional.Bidirectional.of(name.lower(), I, H, dtype=torch.float64)
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
    layers = nn.LSTM(I, H, num_layers=2), bidirectional.OneWay("lstm_peephole", I, O)
    module, x = bidirectional.Bidirectional(*layers), torch.randn(T, B, I)
    output, (last, first) = module(x, lengths=LENGTHS)
    assert output.shape == (T, B, H + O) and last[0].shape == (2, B, H) and first[0].shape == (1, B, O)
    alone, _ = module(x[:3, :1])
    torch.testing.assert_close(output[:3, :1], alone, **TOLERANCE[np.float32])
    torch.testing.assert_close(module(x, (None, None), lengths=LENGTHS)[0], output, rtol=0, atol=0)


def test_one_layer_given_twice_has_its_weights_tied():
    torch.manual_seed(0)
    layer, x = nn.GRU(I, H), torch.randn(T, B, I)
    tied = bidirectional.Bidirectional(layer, layer)
    assert len(list(tied.parameters())) == 4
    ahead, back = tied(x)[0].split(H, -1)
    torch.testing.assert_close(tied(x.flip(0))[0][..., :H].flip(0), back, **TOLERANCE[np.float32])
    assert not torch.allclose(ahead, back)


@both_lengths
def test_stacked_is_torchs_two_layers(lengths):
    torch.manual_seed(0)
    one = nn.LSTM(I, H, num_layers=L, bidirectional=True, dtype=torch.float64)
    two = bidirectional.Stacked.of("lstm", I, H, L, dtype=torch.float64)
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
    module, x = bidirectional.Stacked.of("rnn", I, H, L, dropout=0.5), torch.randn(T, B, I)
    (first, states), (second, others) = module(x), module(x)
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(states[0], others[0], strict=True))  # the input stays whole
    module.eval()
    plain = bidirectional.Stacked(list(module.layers))
    assert torch.equal(module(x)[0], plain(x)[0])


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
@both_lengths
def test_article_matches_reference(name, lengths):
    cell = dict(rnn=rnn, gru=gru, lstm=lstm)[name]
    params = noisy(birnn_article.init(cell, I, H, O, rng=np.random.default_rng(0), dtype=np.float64))
    module = bidirectional.Article.of(name, I, H, O, dtype=torch.float64)
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


@pytest.mark.parametrize("name", bidirectional.CELLS)
def test_layers_are_saved_copied_and_trained(name, tmp_path):
    torch.manual_seed(0)
    module, x = bidirectional.Bidirectional.of(name, I, H), torch.randn(T, B, I)
    twin = copy.deepcopy(module)
    assert torch.equal(twin(x)[0], module(x)[0])
    torch.save(module.state_dict(), tmp_path / "state")
    other = bidirectional.Bidirectional.of(name, I, H)
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
        return bidirectional.OneWay("lstm_peephole", I, H, generator=generator, forget_bias=2.0)

    one, other = draw(), draw()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert (one.bias_ih[H : 2 * H] == 2).all() and one.weight_co.shape == (H,)
    assert "lstm_peephole, 3, 4" in repr(one)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", bidirectional.CELLS)
@both_lengths
def test_gpu_gives_what_the_cpu_gives(name, lengths):
    torch.manual_seed(0)
    module, x = bidirectional.Bidirectional.of(name, I, H, dtype=torch.float64), torch.tensor(noise(T, B, I))
    want, _ = module(x, lengths=lengths)
    wanted = torch.autograd.grad(want.square().sum(), list(module.parameters()))
    got, _ = module.cuda()(x.cuda(), lengths=lengths)
    gotten = torch.autograd.grad(got.square().sum(), list(module.parameters()))
    for a, b in zip((got, *gotten), (want, *wanted), strict=True):
        torch.testing.assert_close(a.cpu(), b, **EXACT)


def test_bad_arguments_are_named():
    layer, x = nn.GRU(I, H), torch.zeros(T, B, I)
    module = bidirectional.Bidirectional(layer, nn.GRU(I, H))
    cases = [
        (
            TypeError,
            "reverse_layer: expected a layer, got str",
            lambda: bidirectional.Bidirectional(layer, "gru"),
        ),
        (
            ValueError,
            "forward_layer: expected a layer with bidirectional=False",
            lambda: bidirectional.Bidirectional(nn.GRU(I, H, bidirectional=True), layer),
        ),
        (
            ValueError,
            "reverse_layer: expected a layer with batch_first=False",
            lambda: bidirectional.Bidirectional(layer, nn.GRU(I, H, batch_first=True)),
        ),
        (
            ValueError,
            "reverse_layer: expected input_size 3 of forward_layer, got 4",
            lambda: bidirectional.Bidirectional(layer, nn.GRU(I + 1, H)),
        ),
        (
            ValueError,
            "cell: expected one of rnn, gru, .*, got 'GRU'",
            lambda: bidirectional.layer_of("GRU", I, H),
        ),
        (
            ValueError,
            "cell: expected one of lstm_1997, lstm_peephole, got 'gru'",
            lambda: bidirectional.OneWay("gru", I, H),
        ),
        (TypeError, r"x: expected a tensor \(T, B, N\), got ndarray", lambda: module(x.numpy())),
        (ValueError, r"x: expected shape \(T, B, N\) .* got \(5, 3\)", lambda: module(x[:, 0])),
        (ValueError, r"input: expected shape .* with I = 3, got \(5, 2, 2\)", lambda: module(x[..., :2])),
        (ValueError, "lengths: expected 1 <= length <= T = 5, got 2 to 6", lambda: module(x, lengths=[2, 6])),
        (TypeError, "hx: expected a pair, for the two layers, got Tensor", lambda: module(x, x)),
        (TypeError, "layers: expected Bidirectional layers", lambda: bidirectional.Stacked([layer])),
        (ValueError, "dropout: expected a probability, got 2", lambda: bidirectional.Stacked([module], 2)),
        (
            ValueError,
            "num_layers: expected a positive integer",
            lambda: bidirectional.Stacked.of("gru", I, H, 0),
        ),
        (TypeError, "second: expected a layer, got NoneType", lambda: bidirectional.Article(module, None)),
    ]
    for error, words, call in cases:
        with pytest.raises(error, match=words):
            call()
