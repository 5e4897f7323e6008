"""The probes against closed forms."""

import numpy as np
import pytest

from rnnlit import lstm, rnn
from rnnlit.tools.functions import sigmoid
from rnnlit.tools.probes import gradient_over_lag, half_life

T, B, I, H = 9, 2, 3, 4


def unit_rows(rng):
    v = rng.standard_normal((B, H))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def test_plain_cell_with_an_orthogonal_matrix_and_no_input_keeps_the_norm():
    rng = np.random.default_rng(0)
    orthogonal, _ = np.linalg.qr(rng.standard_normal((H, H)))
    params = rnn.Params(np.zeros((H, I)), orthogonal, np.zeros(H), np.zeros(H))
    norms = gradient_over_lag(rnn, params, np.zeros((T, B, I)), unit_rows(rng), [1, 3, 8])
    np.testing.assert_allclose(norms, 1, rtol=1e-12)  # h stays 0, where the slope of tanh is 1


def test_lstm_with_constant_gates_decays_as_the_forget_gate():
    rng = np.random.default_rng(0)
    params = lstm.Params(
        np.zeros((4 * H, I)),
        np.zeros((4 * H, H)),
        np.repeat([0, 1.5, 0, 0], H).astype(float),
        np.zeros(4 * H),
    )
    norms = gradient_over_lag(lstm, params, np.zeros((T, B, I)), unit_rows(rng), [1, 3, 8])
    np.testing.assert_allclose(norms, sigmoid(np.array(1.5)) ** np.array([1, 3, 8]), rtol=1e-12)


def test_lags_out_of_range_are_refused():
    rng = np.random.default_rng(0)
    params = rnn.init(I, H, rng=rng, dtype=np.float64)
    with pytest.raises(ValueError, match="lags: expected 1 <= lag < T = 9, got 1 to 9"):
        gradient_over_lag(rnn, params, np.zeros((T, B, I)), unit_rows(rng), [1, 9])


def test_half_life():
    assert half_life(0.5) == 1
    np.testing.assert_allclose(0.9 ** half_life(0.9), 0.5)
