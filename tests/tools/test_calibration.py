"""Calibration: bins by hand, and a model that is calibrated by construction."""

import numpy as np
import pytest

from rnnlit.tools.calibration import expected_calibration_error, reliability
from tests.tolerances import TOLERANCE

EXACT = TOLERANCE[np.float64]


def two(confidence):
    confidence = np.array(confidence)
    return np.stack([confidence, 1 - confidence], axis=1)


def test_worked_by_hand():
    """Two cases at 0.6, one of them right; two at 0.9, both right: 2/4·0.1 + 2/4·0.1."""
    probabilities, labels = two([0.6, 0.6, 0.9, 0.9]), [0, 1, 0, 0]
    r = reliability(probabilities, labels, bins=5)
    np.testing.assert_array_equal(r.cases, [0, 0, 2, 0, 2])
    np.testing.assert_allclose(r.confidence, [np.nan, np.nan, 0.6, np.nan, 0.9], **EXACT)
    np.testing.assert_allclose(r.accuracy, [np.nan, np.nan, 0.5, np.nan, 1.0], **EXACT)
    np.testing.assert_allclose(expected_calibration_error(probabilities, labels, 5), 0.1, **EXACT)


def test_a_sure_model():
    assert expected_calibration_error(two([1.0, 1.0]), [0, 0]) == 0
    assert expected_calibration_error(two([1.0, 1.0]), [1, 1]) == 1


def test_labels_drawn_from_the_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 40_000)
    labels = (rng.random(40_000) > confidence).astype(int)
    # Each bin's gap has a standard error of at most 0.5/sqrt(8000) = 0.006.
    assert expected_calibration_error(two(confidence), labels) < 0.02
    overconfident = two(np.minimum(1.0, confidence + 0.2))
    assert expected_calibration_error(overconfident, labels) > 0.12


@pytest.mark.parametrize(
    "probabilities, labels, error, word",
    [
        (two([0.6, 0.7]), [0, 2], ValueError, "labels"),
        (two([0.6, 0.7]), [0.0, 1.0], TypeError, "labels"),
        (two([0.6, 0.7]), [0], ValueError, "labels"),
        (np.array([[0.5, 0.6]]), [0], ValueError, "probabilities"),
        (np.array([[np.nan, 0.6]]), [0], ValueError, "probabilities"),
        ([[0.5, 0.5]], [0], TypeError, "probabilities"),
    ],
)
def test_bad_arguments_are_named(probabilities, labels, error, word):
    with pytest.raises(error, match=f"^{word}: expected"):
        reliability(probabilities, labels)
    with pytest.raises(ValueError, match="bins"):
        reliability(two([0.6]), [0], 0)
