"""The reader in torch: the NumPy reader with the same weights, its padding, and where its dropout falls."""

import numpy as np
import pytest
import torch

from rnnlit import lstm
from rnnlit.tasks import reader, reader_torch
from rnnlit.tools import layers, weights
from tests.tolerances import TOLERANCE

T, B, I, H, O = 5, 2, 3, 4, 6
LENGTHS = [3, 5]


@pytest.fixture
def pair():
    """The same net twice, in NumPy and in torch, and an input."""
    rng = np.random.default_rng(0)
    ours = reader.Reader(
        lstm, I, H, O, rng=rng, pool="mean", loss=layers.softmax_cross_entropy, dtype=np.float64
    )
    twin = reader_torch.Reader(torch.nn.LSTM(I, H), O, dropout=0.5).double()
    twin.layer.load_state_dict(weights.to_torch(ours.params.cell))
    for parameter, value in zip(twin.readout.parameters(), ours.params.head, strict=True):
        assert parameter.shape == value.shape
        parameter.data = torch.tensor(value)
    return ours, twin, rng.standard_normal((T, B, I))


def test_at_test_time_it_is_the_reader_in_numpy_with_every_gradient(pair):
    ours, twin, x = pair
    logits = twin.eval()(torch.tensor(x), torch.tensor(LENGTHS))
    np.testing.assert_allclose(logits.detach(), ours(x, LENGTHS), **TOLERANCE[np.float64])
    y = np.array([4, 1])
    loss, grads = ours.gradients(x, y, LENGTHS)
    own = torch.nn.functional.cross_entropy(logits, torch.tensor(y))
    own.backward()
    np.testing.assert_allclose(own.item(), loss, **TOLERANCE[np.float64])
    wanted = (*grads.cell, *grads.head)
    for parameter, want in zip(twin.parameters(), wanted, strict=True):
        np.testing.assert_allclose(parameter.grad, want, **TOLERANCE[np.float64])


def test_padding_changes_nothing(pair):
    _, twin, x = pair
    other = x.copy()
    other[3:, 0] = 7.0
    lengths = torch.tensor(LENGTHS)
    a, b = (twin.eval()(torch.tensor(one), lengths) for one in (x, other))
    torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_dropout_falls_on_the_input_with_a_new_mask_at_each_step(pair):
    _, twin, x = pair
    seen = []
    twin.layer.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    twin.train()(torch.tensor(x), torch.tensor(LENGTHS))
    twin.eval()(torch.tensor(x), torch.tensor(LENGTHS))
    dropped, plain = seen
    np.testing.assert_array_equal(plain, x)
    assert bool(((dropped == 0) | torch.isclose(dropped, 2 * plain)).all())
    zero = dropped == 0
    assert 0 < zero.sum() < zero.numel() and not torch.equal(zero[0], zero[1])
