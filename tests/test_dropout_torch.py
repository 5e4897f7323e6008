"""Dropout in torch: masks, layers that keep their weights, passes for uncertainty."""

import copy

import numpy as np
import pytest
import torch

from rnnlit import dropout, dropout_lstm_torch, dropout_torch, nn
from rnnlit.nn import bidirectional
from rnnlit.tasks import tagger_torch
from tests.tolerances import TOLERANCE

EXACT = TOLERANCE[np.float64]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=9):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def test_masks_are_zero_or_one_over_q_with_mean_one():
    m = dropout_torch.mask((100_000,), 0.2, generator(), torch.float64)
    assert set(m.unique().tolist()) == {0.0, 1 / 0.8}
    assert abs(m.mean() - 1) < 5 * m.std() / 100_000**0.5
    assert abs((m == 0).double().mean() - 0.2) < 5 * (0.2 * 0.8 / 100_000) ** 0.5


@pytest.mark.parametrize("per_sequence", [True, False])
def test_dropout_layer(per_sequence):
    layer = dropout_torch.Dropout(0.5, per_sequence=per_sequence, generator=generator())
    x = torch.ones(20, 3, 4, requires_grad=True)
    y = layer(x)
    assert bool((y == y[0]).all()) == per_sequence
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())  # x is 1, so y is the mask
    assert torch.equal(layer.eval()(x), x)
    twin = copy.deepcopy(layer).train()
    torch.testing.assert_close(twin(x), layer.train()(x))


@pytest.mark.parametrize("layer", [dropout_torch.Dropout(0.5), dropout_torch.DropConnect(4, 3, 0.5)])
def test_each_call_under_vmap_has_masks_of_its_own(layer):
    x = torch.ones(20, 6, 4)
    y = torch.func.vmap(layer, randomness="different")(x).detach()
    assert len(y.flatten(1).unique(dim=0)) > 10
    same = torch.func.vmap(layer, randomness="same")(x)
    torch.testing.assert_close(same, same[:1].expand_as(same))


def test_dropconnect_leaves_the_weights_alone_and_has_the_gradient_of_its_mask():
    layer = dropout_torch.DropConnect(3, 4, 0.5, generator=generator(), dtype=torch.float64)
    before = copy.deepcopy(layer.state_dict())
    m = dropout_torch.mask((4, 3), 0.5, generator(), torch.float64)
    x, dy = noise(2, 3), noise(2, 4, seed=2)
    y = layer(x)
    torch.testing.assert_close(y, x @ (m * layer.weight).T + layer.bias, **EXACT)
    y.backward(dy)
    torch.testing.assert_close(layer.weight.grad, m * (dy.T @ x), **EXACT)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
    layer.eval()
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
    assert list(before) == list(torch.nn.Linear(3, 4).state_dict())


def test_dropconnect_has_the_moments_of_the_closed_form():
    W, x = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]), np.array([1.0, -1.0, 2.0])
    layer = dropout_torch.DropConnect(3, 2, 0.5, generator=generator(), bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(W))
        y = torch.stack([layer(torch.tensor(x)) for _ in range(20_000)]).numpy()
    want = dropout.weight_moments(W, x, 0.5)
    centred = y - want.mean
    for samples, value in ((y, want.mean), (centred[:, :, None] * centred[:, None], want.covariance)):
        assert (np.abs(samples.mean(0) - value) < 5 * samples.std(0) / 20_000**0.5).all()


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = dropout_lstm_torch.DroppedLSTM(3, 4, "gal", 0.5, generator=generator())
        self.norm = torch.nn.BatchNorm1d(4)
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x, lengths=None):
        return self.head(self.drop(self.norm(self.cell(x, lengths=lengths)[1][0])))


def test_mc_dropout_draws_masks_at_evaluation_and_puts_the_modes_back():
    model, x = Model().eval(), torch.randn(5, 2, 3, generator=generator(3))
    running = model.norm.running_mean.clone()
    got = dropout_torch.mc_dropout(model, x, 30, lengths=[3, 5])
    assert not any(m.training for m in model.modules())
    assert torch.equal(model.norm.running_mean, running)
    assert got.mean.shape == got.variance.shape == (2, 2) and got.entropy.shape == (2,)
    assert got.variance.min() > 0 and not got.mean.requires_grad
    torch.testing.assert_close(got.mean.sum(-1), torch.ones(2))
    assert (got.mutual_information >= 0).all() and (got.mutual_information <= got.entropy).all()


ANY = ["input_dropout", "recurrent_dropout", "output_dropout", "weight_drop", "zoneout"]
KINDS = [
    *[(kind, {name: 0.5}) for kind in ("LSTM", "GRU", "RNN") for name in ANY],
    *[(kind, {"candidate_dropout": 0.5}) for kind in ("LSTM", "GRU")],
    *[(kind, {"dropout": 0.5, "num_layers": 2}) for kind in ("LSTM", "GRU", "RNN")],
    ("LSTM", {"zoneout": (0.5, 0.0)}),
    ("LSTM", {"zoneout": (0.0, 0.5), "layer_norm": True}),
]


class Last(torch.nn.Module):
    """The last output of a recurrent layer as logits."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0][-1]


@pytest.mark.parametrize("kind, options", KINDS)
def test_mc_dropout_draws_every_kind_of_a_layer_of_ours(kind, options):
    """By a way of its own: the passes of a copy in training mode, from the same seed."""
    torch.manual_seed(5)
    net, x = Last(getattr(nn, kind)(3, 4, **options)), torch.randn(5, 2, 3)
    twin = copy.deepcopy(net).train()
    torch.manual_seed(6)
    got = dropout_torch.mc_dropout(net.eval(), x, 7)
    assert not any(m.training for m in net.modules())
    assert got.variance.min() > 0
    torch.manual_seed(6)
    with torch.no_grad():
        passes = torch.stack([twin(x).softmax(-1) for _ in range(7)])
    torch.testing.assert_close(got.variance, passes.var(0, correction=0))


class Bare(torch.nn.Module):
    """Drops by torch's function; with `draws_masks` it says so."""

    def __init__(self, says):
        super().__init__()
        if says:
            self.draws_masks = True

    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5, self.training)


def attends():
    layer = torch.nn.MultiheadAttention(4, 2, dropout=0.5)
    return Wrapped(layer, lambda x: layer(x, x, x)[0])


class Wrapped(torch.nn.Module):
    def __init__(self, part, call):
        super().__init__()
        self.part, self.call = part, call

    def forward(self, x):
        return self.call(x)


def first(part):
    return Wrapped(part, lambda x: part(x)[0])


OTHERS = {
    "torch's LSTM": lambda: first(torch.nn.LSTM(4, 4, num_layers=2, dropout=0.5)),
    "a stack": lambda: first(bidirectional.Stacked.of("gru", 4, 4, 2, dropout=0.5)),
    "both directions": lambda: first(nn.Bidirectional.of("lstm", 4, 4, recurrent_dropout=0.5)),
    "attention": attends,
    "transformer": lambda: torch.nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5),
    "scripted": lambda: torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))),
    "channels": lambda: torch.nn.Dropout1d(0.5),
    "alpha": lambda: torch.nn.AlphaDropout(0.5),
    "one's own": lambda: Bare(True),
    "compiled": lambda: torch.compile(torch.nn.Dropout(0.5), backend="eager"),
    "parallel": lambda: torch.nn.DataParallel(torch.nn.Dropout(0.5)),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*nested:UserWarning")
def test_mc_dropout_draws_the_masks_of_other_layers(name):
    torch.manual_seed(1)
    net, x = OTHERS[name]().eval(), torch.randn(5, 3, 4)
    assert torch.equal(net(x), net(x))
    assert dropout_torch.mc_dropout(net, x, 20).variance.min() > 0
    assert not any(m.training for m in net.modules())
    assert torch.equal(net(x), net(x))


def test_mc_dropout_of_a_tagger():
    net = tagger_torch.Tagger(nn.GRU(4, 5), 7, 6, dropout=0.5).eval()
    assert dropout_torch.mc_dropout(net, torch.tensor([[1, 2], [3, 4], [5, 6]]), 20).variance.min() > 0


@pytest.mark.parametrize(
    "net",
    [
        torch.nn.Linear(4, 4),
        Last(nn.LSTM(4, 4)),
        Last(nn.LSTM(4, 4, layer_norm=True, peephole=True)),
        Last(torch.nn.GRU(4, 4, num_layers=2)),
        first(bidirectional.Stacked.of("gru", 4, 4, 2)),
        torch.nn.MultiheadAttention(4, 2),
        Bare(False),
    ],
)
def test_mc_dropout_of_a_net_without_dropout(net):
    with pytest.raises(ValueError, match=r"model: expected one dropout layer .* got none"):
        dropout_torch.mc_dropout(net, torch.ones(5, 3, 4), 3)


def test_mc_dropout_agrees_with_numpy_on_the_same_passes():
    class Replay(torch.nn.Module):
        def __init__(self, passes):
            super().__init__()
            self.drop, self.passes = torch.nn.Dropout(0.5), iter(passes)

        def forward(self, x):
            return next(self.passes)

    logits = noise(6, 2, 3)
    got = dropout_torch.mc_dropout(Replay(logits), None, 6)
    passes = iter(logits.numpy())
    want = dropout.mc_dropout(lambda x: next(passes), None, 6)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, **EXACT)


def test_bad_arguments_are_named():
    for p in (1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="p: expected a probability"):
            dropout_torch.Dropout(p)
        with pytest.raises(ValueError, match="p: expected a probability"):
            dropout_torch.DropConnect(3, 4, p)
    with pytest.raises(ValueError, match="x: expected shape"):
        dropout_torch.Dropout(0.5, per_sequence=True)(torch.ones(3, 4))
    with pytest.raises(ValueError, match="model: expected one dropout layer"):
        dropout_torch.mc_dropout(torch.nn.Linear(3, 2), torch.ones(2, 3), 3)
    with pytest.raises(ValueError, match="samples"):
        dropout_torch.mc_dropout(Model(), torch.ones(5, 2, 3), 0)
