"""What all cells share of their way through time: padding, and the products over all steps.

B batch, T steps, I inputs, H hidden, G = H times the number of gates.

A padded batch has `lengths` (B,); step t of sequence b is valid while t < lengths[b]. Arrays of
states that run over time have T+1 rows: row 0 is the initial state and row t+1 is the state after
step t, so the last state of b stands in row lengths[b].
"""

from __future__ import annotations

from typing import Any

import numpy as np


def beyond(lengths: np.ndarray, T: int) -> np.ndarray:
    """Mask (T, B): True at the padding, after a sequence's end."""
    return np.arange(T)[:, None] >= lengths


def last(states: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """The true last state (B, H) of each sequence, out of states (T+1, B, H)."""
    if lengths is None:
        return states[-1].copy()
    return states[lengths, np.arange(states.shape[1])]


def gradient_of_states(
    d: np.ndarray | None, d_last: np.ndarray | None, lengths: np.ndarray | None, shape: tuple[int, int, int]
) -> np.ndarray | None:
    """Join the gradients of all states (T, B, H) and of the last ones (B, H) into one (T, B, H), or None.

    The gradient at the padding is dropped, because the states there are constants; that of a last
    state is added at the step where its sequence ends. The arguments are left as they are.
    """
    if d_last is None and (d is None or lengths is None):
        return d
    T, B, _ = shape
    total = np.zeros(shape, d_last.dtype) if d is None and d_last is not None else np.array(d)
    if lengths is not None:
        total[beyond(lengths, T)] = 0.0
    if d_last is not None:
        total[-1 if lengths is None else lengths - 1, np.arange(B)] += d_last
    return total


def product(states: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """states (T, B, I) times weight (I, G): one matrix product over all steps, (T, B, G)."""
    T, B, I = states.shape
    return (states.reshape(T * B, I) @ weight).reshape(T, B, -1)


def weight_gradients(da: np.ndarray, run: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """dL/d(weight_ih, weight_hh, bias_ih, bias_hh) from dL/da (T, B, G), one product over all steps each."""
    flat = da.reshape(-1, da.shape[2])
    x, h_before = (states.reshape(flat.shape[0], -1) for states in (run.x, run.h_before))
    bias = flat.sum(0)
    return flat.T @ x, flat.T @ h_before, bias, bias.copy()
