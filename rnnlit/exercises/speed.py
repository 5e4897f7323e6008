"""Exercises of the page on speed.   B batch, H hidden.

join(f1, u1, f2, u2) -> f, u
products_together(x, W) -> a
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit.exercises.check import Exercise, Mistake
from rnnlit.exercises.draw import normal


def _join(f1: Any, u1: Any, f2: Any, u2: Any) -> tuple[Any, Any]:
    """Two steps of c' = f c + u in a row, the first one first."""
    return f2 * f1, f2 * u1 + u2


join = Exercise(
    "join(f1, u1, f2, u2)",
    _join,
    normal("BH", "BH", "BH", "BH"),
    {"f": "B, H", "u": "B, H"},
    (
        Mistake(
            "the second step is taken first",
            "Step 1 comes first: f2 (f1 c + u1) + u2. So f2 stands in front of u1.",
            lambda f1, u1, f2, u2: (f2 * f1, f1 * u2 + u1),
        ),
        Mistake(
            "the two inputs are added as they are",
            "u1 goes through step 2 too: f2 (f1 c + u1) + u2.",
            lambda f1, u1, f2, u2: (f2 * f1, u1 + u2),
        ),
        Mistake(
            "the factors are added",
            "The old c is multiplied by f1 and then by f2.",
            lambda f1, u1, f2, u2: (f1 + f2, f2 * u1 + u2),
        ),
        Mistake(
            "the first input is lost",
            "u1 is a part of what step 2 reads.",
            lambda f1, u1, f2, u2: (f2 * f1, u2),
        ),
        Mistake(
            "f1 stands before its own input",
            "In f1 c + u1 the factor is of c alone; only f2 meets u1.",
            lambda f1, u1, f2, u2: (f2 * f1, f2 * f1 * u1 + u2),
        ),
    ),
)


def _together(x: Any, W: Any) -> Any:
    return x @ W.T


products_together = Exercise(
    "products_together(x, W)",
    _together,
    normal("TBI", "HI"),
    {"a": "T, B, H"},
    (
        Mistake(
            "steps and sequences are mixed up when the rows are folded back",
            "Rows stand step by step, B of them for each: reshape(T, B, H), not (B, T, H) turned round.",
            lambda x, W: (x.reshape(-1, x.shape[2]) @ W.T).reshape(len(x[0]), len(x), -1).swapaxes(0, 1),
        ),
        Mistake(
            "only the first step is multiplied",
            "All T B rows go into the one product: x.reshape(T * B, I) @ W.T.",
            lambda x, W: np.broadcast_to(x[0] @ W.T, (len(x), len(x[0]), len(W))),
        ),
        Mistake(
            "the rows of all steps are added up",
            "Each row has its own product; nothing is summed over steps.",
            lambda x, W: np.broadcast_to((x @ W.T).sum(0), (len(x), len(x[0]), len(W))),
        ),
        Mistake(
            "the rows are not folded back",
            "The result has three axes again: (T, B, H).",
            lambda x, W: x.reshape(-1, x.shape[2]) @ W.T,
        ),
    ),
)
