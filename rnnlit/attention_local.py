"""Local-p: attention that predicts where to look (Luong et al. 2015, section 3.2).

B batch, T queries, S source steps, Q query size. The window and the softmax are in
`rnnlit.attention`; here are the place p of each query and the Gaussian around it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlit.attention_scores import weight_gradient
from rnnlit.tools.functions import sigmoid
from rnnlit.tools.sequences import product


class Place(NamedTuple):
    """Where local-p looks: p = S sigma(v^T tanh(W q)), S the length of the source."""

    weight: np.ndarray  # (Q, Q)
    v: np.ndarray  # (Q,)


class Gaussian(NamedTuple):
    """Local-p's part of a Run."""

    center: np.ndarray  # (T, B) p, the position that each query looks at
    factor: np.ndarray  # (T, B, S) exp(-(s - p)^2 / (2 sigma^2))
    inner: np.ndarray  # (T, B, Q) tanh(W q)
    lengths: np.ndarray  # (B,)
    sigma: float


def gaussian_of(
    place: Place, query: np.ndarray, S: int, lengths: np.ndarray, sigma: float
) -> Gaussian:
    """p = S sigma(v^T tanh(W q)) and the factor exp(-(s - p)^2 / (2 sigma^2))."""
    inner = np.tanh(product(query, place.weight.T))
    lengths = lengths.astype(query.dtype)
    center = lengths * sigmoid(inner @ place.v)
    away = (np.arange(S, dtype=query.dtype) - center[:, :, None]) / sigma
    return Gaussian(center, np.exp(-0.5 * away * away), inner, lengths, sigma)


def gaussian_backward(
    place: Place, gaussian: Gaussian, query: np.ndarray, dfactor: np.ndarray
) -> tuple[Place, np.ndarray]:
    """The gradients for place and query; p = S sigma(u), so dp/du = p (1 - p / S)."""
    p, factor, inner, lengths, sigma = gaussian
    away = (np.arange(factor.shape[2], dtype=p.dtype) - p[:, :, None]) / sigma**2
    du = (dfactor * factor * away).sum(axis=-1) * p * (1 - p / lengths)
    da = du[:, :, None] * place.v * (1 - inner * inner)
    dv = du.reshape(-1) @ inner.reshape(-1, len(place.v))
    return Place(weight_gradient(da, query), dv), product(da, place.weight)
