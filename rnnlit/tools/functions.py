"""The elementwise functions that every gated cell needs."""

from __future__ import annotations

import numpy as np


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Logistic function  1 / (1 + exp(-a)), written as (1 + tanh(a/2)) / 2, which never overflows."""
    return 0.5 * np.tanh(0.5 * a) + 0.5
