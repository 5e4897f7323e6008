"""Calibration: does a model that says 80 % come true in 80 of 100 cases?   N cases, K classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_array, check_size


class Reliability(NamedTuple):
    """The points of a reliability diagram, one for each bin of confidence; NaN where a bin is empty."""

    edges: np.ndarray  # (bins + 1,) from 0 to 1
    cases: np.ndarray  # (bins,) how many fall in each bin
    confidence: np.ndarray  # (bins,) mean of the highest probability
    accuracy: np.ndarray  # (bins,) share of right answers


def reliability(probabilities: np.ndarray, labels: Any, bins: int = 10) -> Reliability:
    """Sort cases by confidence, the highest probability, into equal bins ((k-1)/bins, k/bins].

    probabilities (N, K), rows that sum to 1; labels (N,) integers from 0 to K-1.
    TypeError, ValueError: another shape or dtype; numbers that are no probabilities; a label out of range.
    """
    N, K = check_array("probabilities", probabilities, ("N", "K"), finite=True).shape
    labels, bins = np.asarray(labels), check_size("bins", bins)
    if probabilities.min() < 0 or np.abs(probabilities.sum(1) - 1).max() > 1e-4:
        raise ValueError("probabilities: expected rows of numbers from 0 that sum to 1, got others")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels: expected integers, got {labels.dtype}")
    if labels.shape != (N,):
        raise ValueError(f"labels: expected shape (N,) = ({N},), got {labels.shape}")
    if labels.min() < 0 or labels.max() >= K:
        raise ValueError(f"labels: expected 0 <= label < K = {K}, got {labels.min()} to {labels.max()}")
    confidence, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    some = np.where(count > 0, count, np.nan)
    means = (np.bincount(place, weights=values, minlength=bins) / some for values in (confidence, right))
    return Reliability(edges, count, *means)


def expected_calibration_error(probabilities: np.ndarray, labels: Any, bins: int = 10) -> float:
    """ECE = sum over bins of cases/N |accuracy - confidence|; 0 is best.

    Naeini et al. (2015), for two classes; Guo et al. (2017), for the class that a net names.
    """
    r = reliability(probabilities, labels, bins)
    filled = r.cases > 0
    gap = np.abs(r.accuracy[filled] - r.confidence[filled])
    return float((r.cases[filled] * gap).sum() / r.cases.sum())
