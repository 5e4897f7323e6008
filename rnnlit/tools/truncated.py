"""Truncated backpropagation through time: carry the state from window to window, cut the gradient there.

B batch, T steps, I inputs, H hidden.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from rnnlit.tools.checks import check_array, check_size


def truncated_gradients(
    cell: ModuleType,
    params: Any,
    x: np.ndarray,
    dh: np.ndarray,
    window: int,
    h0: np.ndarray | None = None,
) -> tuple[np.ndarray, Any]:
    """All states, and the gradient that windows of `window` steps give the parameters.

        h    runs through all T steps and knows no windows
        dW = sum over windows of the dW that `cell.backward` finds within each

    cell: the module of a cell whose only state is h, such as `rnnlit.rnn`. x (T, B, I);
    dh (T, B, H), the gradient of the loss for each state; h0 (B, H), zero if not given;
    the last window is shorter where T is no multiple.  ->  h (T, B, H), and the cell's
    Params

    With window >= T it is the whole gradient. Else every path over a border is missing:
    a step learns from its own window alone. Windows stand side by side and do not
    overlap. Compare Williams & Peng (1990), whose algorithm lies between epochwise and
    truncated backpropagation.

    ValueError, TypeError: a size below 1, an array of another shape or dtype.
    """
    T, B, _ = check_array("x", x, ("T", "B", "I")).shape
    H = params.weight_hh.shape[1]
    check_array("dh", dh, (T, B, H), params.weight_hh.dtype)
    window = check_size("window", window)

    h, states, total = h0, [], None
    for start in range(0, T, window):
        part = slice(start, start + window)
        run = cell.forward(params, x[part], h)
        grads = cell.backward(params, run, dh=dh[part]).params
        if total is not None:
            grads = type(grads)(*(a + b for a, b in zip(total, grads, strict=True)))
        total = grads
        states.append(run.h)
        h = run.h_n
    return np.concatenate(states), total
