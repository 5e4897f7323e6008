"""Exercises of the page on the gradient of the plain network.   B batch, T steps, I inputs, H hidden.

    jacobian(W_hh, h) -> J        windows(params, x, dh, window) -> dW_hh

Clipping and orthogonal initialization are in `rnnlit.exercises.rnn`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit import rnn
from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import with_letters, with_params
from rnnlit.tools.truncated import truncated_gradients


def _draw_jacobian(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return rng.standard_normal((sizes.H, sizes.H)), np.tanh(rng.standard_normal(sizes.H))


jacobian = Exercise(
    "jacobian(W_hh, h)",
    lambda W, h: np.diag(1 - h**2) @ W,
    with_letters(_draw_jacobian, "H"),
    {"J": "H, H"},
    (
        Mistake(
            "the Jacobian is transposed",
            "Row i belongs to unit i of the new state, column j to unit j of the old one.",
            lambda W, h: (np.diag(1 - h**2) @ W).T,
        ),
        Mistake(
            "the slopes multiply the columns",
            "diag(u) W multiplies the rows, for the slope is the new unit's: (1 - h**2)[:, None] * W.",
            lambda W, h: W * (1 - h**2),
        ),
        Mistake("the slope is missing", "The new state has passed a tanh: diag(1 - h²) W.", lambda W, h: +W),
        Mistake(
            "the slope is 1 - h",
            "The slope of tanh is 1 - h², with h its value.",
            lambda W, h: (1 - h)[:, None] * W,
        ),
        Mistake(
            "the slope is taken at h, and h is tanh(a) already",
            "1 - h², not 1 - tanh(h)².",
            lambda W, h: (1 - np.tanh(h) ** 2)[:, None] * W,
        ),
    ),
)


def _draw_windows(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Sequences of seven steps, in windows of two and three: the last window is shorter."""
    sizes = sizes._replace(T=7)
    return (*with_params(rnn.Params, 1, "TBI", "TBH")(rng, sizes), 2 + sizes.B % 2)


def _windows(
    params: Any, x: Any, dh: Any, window: int, *, carry: float = 1, total: bool = True, length: int = 0
) -> Any:
    """The gradient within windows, with a mistake in it, or with none."""
    h, dW_hh = np.zeros_like(dh[0]), np.zeros_like(params.weight_hh)
    for start in range(0, len(x), length or window):
        part = slice(start, start + (length or window))
        run = rnn.forward(params, x[part], h)
        new = rnn.backward(params, run, dh=dh[part]).params.weight_hh
        dW_hh, h = (dW_hh + new if total else new), carry * run.h_n
    return dW_hh


windows = Exercise(
    "windows(params, x, dh, window)",
    lambda params, x, dh, window: truncated_gradients(rnn, params, x, dh, window)[1].weight_hh,
    with_letters(_draw_windows, "BIH"),
    {"dW_hh": "H, H"},
    (
        Mistake(
            "every window starts from a state of zero",
            "The state goes on: the next window starts from run.h_n. Only the gradient stops at the border.",
            lambda *a: _windows(*a, carry=0),
        ),
        Mistake(
            "the gradient passes over the borders",
            "That is the whole gradient. Call rnn.forward and rnn.backward for each window by itself.",
            lambda p, x, dh, window: _windows(p, x, dh, len(x)),
        ),
        Mistake(
            "the gradient is that of the last window alone",
            "Each window has one; add them up.",
            lambda *a: _windows(*a, total=False),
        ),
        Mistake(
            "the last, shorter window is left out",
            "T need not be a multiple: range(0, T, window) reaches the rest too.",
            lambda p, x, dh, window: _windows(
                p, x[: len(x) // window * window], dh[: len(x) // window * window], window
            ),
        ),
        Mistake(
            "the windows are one step long",
            "A window has `window` steps: range(0, T, window).",
            lambda *a: _windows(*a, length=1),
        ),
    ),
)
