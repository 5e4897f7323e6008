"""What the loops over time share in all cells: padding, and the products over all steps.

B batch, T steps, I inputs, H hidden, G = H times the number of gates.

A padded batch has `lengths` (B,); step t of sequence b is valid while t < lengths[b]. Arrays of
states that run over time have T+1 rows: row 0 is the initial state and row t+1 is the state after
step t, so the last state of b stands in row lengths[b].
"""

from __future__ import annotations

import numpy as np


def beyond(lengths: np.ndarray, T: int) -> np.ndarray:
    """Mask (T, B): True at the padding, after a sequence's end."""
    return np.arange(T)[:, None] >= lengths


def last(states: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """The true last state (B, H) of each sequence, out of states (T+1, B, H)."""
    if lengths is None:
        return states[-1].copy()
    return states[lengths, np.arange(states.shape[1])]


def clear_padding(lengths: np.ndarray | None, *arrays: np.ndarray) -> None:
    """Set each array (T, B, ...) to zero after its sequences' ends."""
    if lengths is not None:
        for array in arrays:
            array[beyond(lengths, len(array))] = 0.0


def gradient_of_states(
    d: np.ndarray | None, d_last: np.ndarray | None, lengths: np.ndarray | None, states: np.ndarray
) -> np.ndarray:
    """dL/d(states) (T, B, H), out of what the loss gives for all of them and for the last ones (B, H).

    The gradient at the padding is dropped, because the states there are constants; that of a last
    state is added at the step where its sequence ends. The arguments are left as they are. Without
    either the result is zero, and takes no memory.
    """
    if d is None and d_last is None:
        return np.broadcast_to(states.dtype.type(0), states.shape)
    if d is not None and d_last is None and lengths is None:
        return d
    T, B, _ = states.shape
    total = np.zeros_like(states) if d is None else d.copy()
    clear_padding(lengths, total)
    if d_last is not None:
        total[T - 1 if lengths is None else lengths - 1, np.arange(B)] += d_last
    return total


def product(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x_t W for all steps in one matrix product:  x (T, B, I), W (I, G)  ->  (T, B, G)."""
    T, B, I = x.shape
    return (x.reshape(T * B, I) @ weight).reshape(T, B, -1)


def outer_sum(da: np.ndarray, x: np.ndarray) -> np.ndarray:
    """sum_t da_t x_t^T over steps and batch:  (T, B, G), (T, B, I)  ->  (G, I)."""
    T, B, G = da.shape
    return da.reshape(T * B, G).T @ x.reshape(T * B, -1)
