"""Questions that one asks a cell: how far back does its gradient reach, how long does it remember?"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from rnnlit.tools.checks import check_array


def gradient_over_lag(
    cell: ModuleType, params: Any, x: np.ndarray, direction: np.ndarray, lags: Sequence[int]
) -> np.ndarray:
    """How much of the gradient of the last state is left k steps earlier, for each lag k.

    With s the memory of the cell (c where there is one, else h), the norm of  d(v . s_T) / d
    s_{T-k}  for each sequence, averaged over the batch geometrically.  x (T, B, I); direction v (B,
    H), of length 1 in each row; 1 <= lag < T.
    """
    T = check_array("x", x, ("T", "B", "I")).shape[0]
    if min(lags) < 1 or max(lags) >= T:
        raise ValueError(f"lags: expected 1 <= lag < T = {T}, got {min(lags)} to {max(lags)}")
    run = cell.forward(params, x)
    memory = "c" if hasattr(run, "c") else "h"
    names = ["h", "c"] if memory == "c" else ["h"]
    norms = []
    for lag in lags:
        start = [getattr(run, name)[T - lag - 1] for name in names]
        part = cell.forward(params, x[T - lag :], *start)
        grads = cell.backward(params, part, **{f"d{memory}_n": direction})
        norms.append(np.linalg.norm(getattr(grads, f"{memory}0"), axis=1))
    return np.exp(np.log(np.maximum(norms, np.finfo(x.dtype).tiny)).mean(axis=1))


def half_life(f: float | np.ndarray) -> float | np.ndarray:
    """Steps after which a forget gate that stays at f has halved the memory:  ln(1/2) / ln f."""
    return np.log(0.5) / np.log(f)


def auc(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How well each number tells yes from no: the area under its ROC curve.   (N, U), (N,)  ->  (U,)

        AUC = P(value where yes > value where no) + P(equal) / 2  =  (R - n(n + 1)/2) / (n m)

    with n the number of yes, m that of no, and R the sum of the ranks where yes, equal values sharing their
    mean rank (Mann & Whitney's U). 1 and 0 tell always, 0.5 is no better than a coin.

    ValueError: another number of values than of truths, or none of yes or of no.
    """
    truth = np.asarray(truth, bool)
    _check_truth(values, truth)
    return _areas(_ranks(values), truth[None])[0]


def auc_by_chance(values: np.ndarray, truth: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """How far from 0.5 the best of U numbers comes without telling anything.   ->  (draws,), 0.5 to 1

    For each draw the truths are shifted by a random number of places, at least a tenth of N, around the end:
    runs of yes and no stay as long as they are, and belong to other values. What comes back is the larger of
    AUC and 1 - AUC of the number that is best for that draw.
    """
    truth = np.asarray(truth, bool)
    _check_truth(values, truth)
    N = len(truth)
    shifted = np.stack([np.roll(truth, rng.integers(N // 10, N - N // 10)) for _ in range(draws)])
    return 0.5 + np.abs(_areas(_ranks(values), shifted) - 0.5).max(axis=1)


def _ranks(values: np.ndarray) -> np.ndarray:
    """The ranks from 1 on in each column, equal values sharing their mean."""
    columns = np.ascontiguousarray(values.T)
    order = np.argsort(columns, axis=1)
    ranks = np.empty(columns.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, len(values) + 1)[None], axis=1)
    ordered = np.take_along_axis(columns, order, axis=1)
    for u in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)):  # those with equal values
        _, place, count = np.unique(columns[u], return_inverse=True, return_counts=True)
        ranks[u] = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks.T


def _areas(ranks: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """ranks (N, U), truths (M, N)  ->  (M, U)"""
    yes = truths.sum(axis=1, keepdims=True)
    return (truths.astype(float) @ ranks - yes * (yes + 1) / 2) / (yes * (truths.shape[1] - yes))


def _check_truth(values: np.ndarray, truth: np.ndarray) -> None:
    if values.ndim != 2 or truth.shape != values.shape[:1]:
        raise ValueError(
            f"truth: expected one for each of values (N, U), got {truth.shape} for {values.shape}"
        )
    if truth.all() or not truth.any():
        raise ValueError("truth: expected some of both kinds, got one kind alone")
