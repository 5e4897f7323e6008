"""Dropout of units and weights: moments, the law of memory, each against a simulation with its error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit import dropout
from tests.tolerances import TOLERANCE

EXACT = TOLERANCE[np.float64]
W = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
X = np.array([1.0, -1.0, 2.0])


def rng(seed=0):
    return np.random.default_rng(seed)


def assert_mean(samples, want, errors=5):
    """The mean of samples (N, ...) lies within so many standard errors of `want`."""
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(0) - want) <= errors * error + 1e-12)


@settings(deadline=None, max_examples=30)
@given(st.tuples(st.integers(2, 6), st.integers(2, 7)), st.floats(0, 0.95), st.integers(0, 99))
def test_a_mask_holds_zero_and_one_over_q(shape, p, seed):
    m = dropout.mask(shape, p, rng(seed), np.float64)
    assert m.shape == shape and set(np.unique(m)) <= {0.0, 1 / (1 - p)}
    kept = dropout.binary_mask(shape, p, rng(seed), np.float64)
    np.testing.assert_array_equal(m > 0, kept == 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_p_is_the_probability_to_drop_and_the_mean_is_one(dtype):
    m = dropout.mask((200_000,), 0.2, rng(), dtype)
    assert m.dtype == dtype
    assert_mean((m == 0).astype(float), 0.2)
    assert_mean(m.astype(float), 1.0)
    np.testing.assert_allclose(m.var(), 0.2 / 0.8, rtol=0.02)


def test_units_and_weights_multiply_by_their_mask_and_evaluation_is_the_identity():
    x = rng(1).standard_normal((4, 5))
    for drop in (dropout.units, dropout.weights):
        y, m = drop(x, 0.5, rng())
        np.testing.assert_array_equal(y, m * x)
        assert 0 < (m == 0).sum() < m.size
        y, m = drop(x, 0.5, rng(), training=False)
        np.testing.assert_array_equal(y, x)
        assert (m == 1).all()
    _, m = dropout.units(x, 0.5, rng())
    for index in np.ndindex(x.shape):  # y = m x is linear: its slope is m
        one = np.zeros_like(x)
        one[index] = 1.0
        np.testing.assert_array_equal(dropout.units_backward(one, m), m * one)


def test_moments_worked_by_hand():
    """D4: the same variances, 41 and 6; covariance 1 + 2 + 12 = 15 for units, 0 for weights."""
    for moments, covariance in ((dropout.unit_moments, 15.0), (dropout.weight_moments, 0.0)):
        got = moments(W, X, 0.5)
        np.testing.assert_allclose(got.mean, [5.0, 2.0], **EXACT)
        np.testing.assert_allclose(got.covariance, [[41.0, covariance], [covariance, 6.0]], **EXACT)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_moments_match_a_simulation(p):
    N, r = 100_000, rng(3)
    y_units = (dropout.mask((N, 3), p, r, np.float64) * X) @ W.T
    y_weights = np.einsum("noi,oi,i->no", dropout.mask((N, 2, 3), p, r, np.float64), W, X)
    for y, moments in ((y_units, dropout.unit_moments), (y_weights, dropout.weight_moments)):
        want = moments(W, X, p)
        assert_mean(y, want.mean)
        centred = y - want.mean
        assert_mean(centred[:, :, None] * centred[:, None, :], want.covariance)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 4), st.floats(0.05, 0.9), st.integers(0, 99))
def test_unit_moments_match_all_masks_one_by_one(I, p, seed):
    """The law of 2^I masks is finite: sum over all of them."""
    r = rng(seed)
    w, x = r.standard_normal((3, I)), r.standard_normal(I)
    bits = np.array(list(np.ndindex(*[2] * I)))
    chance = np.prod(np.where(bits == 1, 1 - p, p), axis=1)
    y = (bits / (1 - p) * x) @ w.T
    mean = chance @ y
    want = dropout.unit_moments(w, x, p)
    np.testing.assert_allclose(want.mean, mean, rtol=1e-9, atol=1e-9)
    covariance = np.einsum("n,na,nb->ab", chance, y - mean, y - mean)
    np.testing.assert_allclose(want.covariance, covariance, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("f", [1.0, 0.9])
@pytest.mark.parametrize("scheme", dropout.SCHEMES)
def test_survival_matches_a_simulation(scheme, f):
    """4 steps, p = 0.3: alive, mean and second moment within 5 standard errors."""
    c = dropout.simulate(scheme, 0.3, 4, 200_000, rng(5), f)
    law = dropout.survival(scheme, 0.3, np.arange(5), f)
    for k in range(5):
        assert_mean((c[k] != 0).astype(float), law.alive[k])
        assert_mean(c[k], law.mean[k])
        assert_mean(c[k] ** 2, law.second_moment[k])
    np.testing.assert_allclose(law.variance, law.second_moment - law.mean**2, **EXACT)


@pytest.mark.parametrize("f", [1.0, 0.8, 0.0])
@pytest.mark.parametrize("scheme", dropout.SCHEMES)
def test_survival_matches_all_draws_one_by_one(scheme, f):
    """Three steps have eight draws; the one mask of a sequence has two."""
    p, q, steps = 0.4, 0.6, 3
    alive = mean = second = 0.0
    for kept in np.ndindex(2, 2, 2):
        chance = np.prod([q if bit else p for bit in kept])
        if scheme.startswith("per_sequence"):
            if len(set(kept)) > 1:
                continue
            chance = q if kept[0] else p
        c = 1.0
        for bit in kept:
            factor = {
                "none": f,
                "per_step": bit * f / q,
                "per_sequence": bit * f / q,
                "per_sequence_binary": bit * f,
                "zoneout": f if bit else 1.0,
            }[scheme]
            c *= factor
        alive, mean, second = alive + chance * (c != 0), mean + chance * c, second + chance * c * c
    law = dropout.survival(scheme, p, steps, f)
    np.testing.assert_allclose([law.alive, law.mean, law.second_moment], [alive, mean, second], **EXACT)


def test_survival_at_one_half():
    """D3: 3e-2, 1e-3, 1e-6 alive after 5, 10, 20 steps; the second moment is their reciprocal."""
    law = dropout.survival("per_step", 0.5, np.array([5, 10, 20]))
    np.testing.assert_allclose(law.alive, [2.0**-5, 2.0**-10, 2.0**-20], **EXACT)
    np.testing.assert_allclose(law.second_moment, 1 / law.alive, **EXACT)
    np.testing.assert_allclose(law.mean, 1.0, **EXACT)
    np.testing.assert_allclose(dropout.survival("per_sequence", 0.5, 10).mean, 2.0**9, **EXACT)
    assert dropout.survival("zoneout", 0.5, 10).variance == 0
    for scheme in dropout.SCHEMES:
        assert dropout.survival(scheme, 0.5, 0).mean == 1


def test_mc_dropout_of_known_passes():
    passes = iter([np.log([[0.9, 0.1]]), np.log([[0.5, 0.5]])])
    got = dropout.mc_dropout(lambda x: next(passes), None, 2)
    np.testing.assert_allclose(got.mean, [[0.7, 0.3]], **EXACT)
    np.testing.assert_allclose(got.variance, [[0.04, 0.04]], **EXACT)
    entropy = -(0.7 * np.log(0.7) + 0.3 * np.log(0.3))
    np.testing.assert_allclose(got.entropy, [entropy], **EXACT)
    mean_entropy = (-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)) + np.log(2)) / 2
    np.testing.assert_allclose(got.mutual_information, [entropy - mean_entropy], **EXACT)
    sure = dropout.predictive(np.array([[[1.0, 0.0]], [[1.0, 0.0]]]))
    assert sure.entropy == sure.mutual_information == 0


@pytest.mark.parametrize("p", [1, 1.0, -0.1, np.nan, 2])
def test_a_p_out_of_range_is_refused(p):
    with pytest.raises(ValueError, match=r"p: expected a probability, 0 <= p < 1, got"):
        dropout.mask((2, 3), p, rng())


def test_other_bad_arguments_are_named():
    for bad in ("0.5", None, True):
        with pytest.raises(TypeError, match="p: expected"):
            dropout.units(W, bad, rng())
    with pytest.raises(TypeError, match="rng: expected"):
        dropout.mask((2, 3), 0.5, 0)
    with pytest.raises(TypeError, match="dtype: expected"):
        dropout.mask((2, 3), 0.5, rng(), np.int64)
    with pytest.raises(ValueError, match=r"scheme: expected one of none, per_step.*got 'gal'"):
        dropout.survival("gal", 0.5, 3)
    with pytest.raises(ValueError, match="scheme: expected"):
        dropout.simulate("gal", 0.5, 3, 2, rng())
    with pytest.raises(ValueError, match="k: expected 0 steps or more, got -1"):
        dropout.survival("none", 0.5, -1)
    with pytest.raises(TypeError, match="k: expected integers"):
        dropout.survival("none", 0.5, 1.5)
    with pytest.raises(ValueError, match="f: expected a forget gate"):
        dropout.survival("none", 0.5, 1, 1.5)
    with pytest.raises(ValueError, match="x: expected shape"):
        dropout.unit_moments(W, X[:2], 0.5)
