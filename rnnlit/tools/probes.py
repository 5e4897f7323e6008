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
