"""Dropout in torch: masks, layers that keep their weights, passes for uncertainty."""

import copy

import numpy as np
import pytest
import torch

from rnnlit import dropout, dropout_lstm_torch, dropout_torch
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
        self.cell = dropout_lstm_torch.LSTM(3, 4, "gal", 0.5, generator=generator())
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
        with pytest.raises(ValueError, match="p: expected a probability to drop"):
            dropout_torch.Dropout(p)
        with pytest.raises(ValueError, match="p: expected a probability to drop"):
            dropout_torch.DropConnect(3, 4, p)
    with pytest.raises(ValueError, match="x: expected shape"):
        dropout_torch.Dropout(0.5, per_sequence=True)(torch.ones(3, 4))
    with pytest.raises(ValueError, match="model: expected one dropout layer"):
        dropout_torch.mc_dropout(torch.nn.Linear(3, 2), torch.ones(2, 3), 3)
    with pytest.raises(ValueError, match="samples"):
        dropout_torch.mc_dropout(Model(), torch.ones(5, 2, 3), 0)
