"""The probes against closed forms."""

import numpy as np
import pytest

from rnnlit import lstm, rnn
from rnnlit.tools.functions import sigmoid
from rnnlit.tools.probes import auc, auc_by_chance, gradient_over_lag, half_life

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


def test_auc_by_counting_pairs():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 6, (40, 3)).astype(np.float32)  # with many that are equal
    truth = rng.random(40) < 0.4
    for u in range(3):
        yes, no = values[truth, u][:, None], values[~truth, u][None]
        wanted = np.mean((yes > no) + 0.5 * (yes == no))
        assert auc(values, truth)[u] == pytest.approx(wanted, rel=1e-12)


def test_auc_of_what_tells_always_never_and_wrongly():
    truth = np.array([True, False, True, True, False])
    values = np.stack([truth, np.zeros(5), ~truth], axis=1)
    np.testing.assert_array_equal(auc(values, truth), [1, 0.5, 0])


def test_auc_by_chance_is_that_of_shifted_truths():
    rng = np.random.default_rng(2)
    values, truth = rng.standard_normal((60, 4)), rng.random(60) < 0.5
    got = auc_by_chance(values, truth, np.random.default_rng(3), 5)
    again = np.random.default_rng(3)
    for one in got:
        shifted = np.roll(truth, again.integers(6, 54))
        assert one == pytest.approx(0.5 + np.abs(auc(values, shifted) - 0.5).max())


def test_auc_wants_both_kinds_and_one_truth_for_each():
    with pytest.raises(ValueError, match="expected some of both kinds"):
        auc(np.zeros((4, 2)), np.zeros(4, bool))
    with pytest.raises(ValueError, match=r"got \(3,\) for \(4, 2\)"):
        auc(np.zeros((4, 2)), np.array([True, False, True]))
