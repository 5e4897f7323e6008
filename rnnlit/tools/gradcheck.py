"""Gradients by central differences: slow, blind to how a backward pass was derived, and so a judge of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def central_differences(loss: Callable[[], float], arrays: Any, *, eps: float = 1e-5) -> Any:
    """dL/da = (L(a + eps) - L(a - eps)) / (2 eps), for every number in `arrays`.

    loss: called without arguments, reads `arrays`, returns a number. arrays: a float64 array, or a
    tuple (NamedTuples too) of such; each number is moved in place and put back. Returns the same
    structure. The error is about eps^2 |L'''|/6 + 1e-16 |L|/eps.

    TypeError: an array that is not float64, where rounding would drown the difference.
    """
    if isinstance(arrays, tuple):
        parts = [central_differences(loss, part, eps=eps) for part in arrays]
        return type(arrays)(*parts) if hasattr(arrays, "_fields") else tuple(parts)
    if not isinstance(arrays, np.ndarray) or arrays.dtype != np.float64:
        raise TypeError(
            f"arrays: expected float64 arrays, got {getattr(arrays, 'dtype', type(arrays).__name__)}"
        )
    gradient = np.empty_like(arrays)
    for index in np.ndindex(arrays.shape):
        kept = arrays[index]
        arrays[index] = kept + eps
        above = loss()
        arrays[index] = kept - eps
        below = loss()
        arrays[index] = kept
        gradient[index] = (above - below) / (2 * eps)
    return gradient


def largest_difference(a: Any, b: Any) -> float:
    """The largest absolute difference between two arrays, or two tuples of arrays, of the same shapes."""
    if isinstance(a, tuple):
        return max(largest_difference(x, y) for x, y in zip(a, b, strict=True))
    if np.shape(a) != np.shape(b):
        raise ValueError(f"a, b: expected equal shapes, got {np.shape(a)} and {np.shape(b)}")
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b))))
