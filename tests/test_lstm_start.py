"""The second page on the LSTM: how a layer starts, in torch and here, and how far a gradient reaches."""

import numpy as np
import pytest
import torch

from rnnlit import lstm, nn
from rnnlit.tools import probes
from rnnlit.tools.functions import sigmoid
from tests.tolerances import TOLERANCE

I, H = 12, 64


def forget_bias(layer):
    """The bias of the forget gate as the cell adds it: rows H to 2H of both arrays."""
    return (layer.bias_ih_l0 + layer.bias_hh_l0)[H : 2 * H].detach()


@pytest.mark.parametrize("make", [torch.nn.LSTM, nn.LSTM])
def test_a_layer_starts_with_a_forget_bias_near_0_unless_told(make):
    """Each of the two biases is from U(-1/sqrt(H), 1/sqrt(H)), so their sum has mean 0, variance 2/(3H)."""
    torch.manual_seed(0)
    drawn = torch.cat([forget_bias(make(I, H)) for _ in range(50)])
    assert drawn.abs().max() < 2 / H**0.5 and drawn.abs().max() > 1.5 / H**0.5
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.var() * 3 * H / 2 - 1) < 0.1


def test_forget_bias_is_what_the_page_writes_by_hand():
    told, by_hand = nn.LSTM(I, H, forget_bias=1.0), torch.nn.LSTM(I, H)
    assert torch.equal(forget_bias(told), torch.ones(H))
    by_hand.load_state_dict(told.state_dict())
    with torch.no_grad():
        by_hand.bias_ih_l0[H : 2 * H] = 1.0
        by_hand.bias_hh_l0[H : 2 * H] = 0.0
    for name, value in told.state_dict().items():
        assert torch.equal(value, by_hand.state_dict()[name])
    assert np.array_equal(lstm.init(I, H, rng=np.random.default_rng(0)).bias_ih[H : 2 * H], np.ones(H))


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0, 5.0])
def test_without_side_ways_the_gradient_reaches_as_far_as_the_forget_gate_lets_it(bias):
    """With no weights at all f = sigma(b_f) at every step, and sigma(b_f)^k is left after k steps."""
    size = 4
    params = lstm.Params(
        np.zeros((4 * size, 2)),
        np.zeros((4 * size, size)),
        np.repeat([0, bias, 0.7, 0], size),
        np.zeros(4 * size),
    )
    rng = np.random.default_rng(0)
    v = rng.standard_normal((3, size))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    lags = [1, 7, 50]
    left = probes.gradient_over_lag(lstm, params, rng.standard_normal((60, 3, 2)), v, lags)
    f = sigmoid(np.array(bias))
    np.testing.assert_allclose(left, f ** np.array(lags), **TOLERANCE[np.float64])
    np.testing.assert_allclose(f ** probes.half_life(f), 0.5, **TOLERANCE[np.float64])


def test_a_larger_forget_bias_reaches_further_in_a_cell_that_is_drawn():
    """The setting of the page: 32 units read noise; b_f = 0 hardly beats nothing, and 3 keeps it all."""
    rng = np.random.default_rng(0)
    noise, v = rng.standard_normal((100, 16, 2)), rng.standard_normal((16, 32))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    left = []
    for bias in (0, 1, 3):
        params = lstm.init(2, 32, rng=np.random.default_rng(1), dtype=np.float64, forget_bias=bias)
        left += probes.gradient_over_lag(lstm, params, noise, v, [51]).tolist()
    assert 1e-12 < left[0] < 1e-10 and 1e-5 < left[1] < 1e-3 and 0.5 < left[2] < 5
