"""Luong's attentional state, which joins the context and the decoder's state.

K key size, Q size of the decoder's state, H size of the attentional one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit.attention_scores import uniform
from rnnlit.tools.checks import check_array, check_init, check_size


class Combine(NamedTuple):
    """The weight of Luong's attentional state."""

    weight: np.ndarray  # (H, K+Q)


class CombineGrads(NamedTuple):
    """What `combine_backward` returns."""

    params: Combine
    context: np.ndarray  # (..., K)
    h: np.ndarray  # (..., Q)


def combine_init(
    query_size: int,
    key_size: int,
    *,
    rng: np.random.Generator,
    size: int | None = None,
    dtype: Any = np.float32,
) -> Combine:
    """Draw W_c (H, K+Q) from U(-1/sqrt(K+Q), 1/sqrt(K+Q)); size: H, or Q."""
    Q, K = check_init(query_size, key_size, rng, dtype)
    return Combine(
        uniform((check_size("size", Q if size is None else size), K + Q), rng, dtype)
    )


def combine(params: Combine, context: np.ndarray, h: np.ndarray) -> np.ndarray:
    """The attentional state   h~ = tanh(W_c [c; h])   (Luong et al. 2015, section 3).

    context (..., K), h (..., Q)  ->  (..., H)
    """
    both = _joined(params, context, h)
    return np.tanh(both @ params.weight.T).reshape(*h.shape[:-1], -1)


def combine_backward(
    params: Combine,
    context: np.ndarray,
    h: np.ndarray,
    state: np.ndarray,
    dstate: np.ndarray,
) -> CombineGrads:
    """The gradients of `combine`:   da = dstate (1 - state^2),   [dc; dh] = W_c^T da.

    state (..., H) is what `combine` gave, dstate (..., H) is dL/d(state).
    """
    both = _joined(params, context, h)
    check_array("dstate", dstate, state.shape, params.weight.dtype)
    da = (dstate * (1 - state * state)).reshape(len(both), -1)
    dboth, K = da @ params.weight, context.shape[-1]
    return CombineGrads(
        Combine(da.T @ both),
        dboth[:, :K].reshape(context.shape),
        dboth[:, K:].reshape(h.shape),
    )


def _joined(params: Combine, context: np.ndarray, h: np.ndarray) -> np.ndarray:
    """[c; h] with all leading axes in one, (N, K+Q)."""
    dtype, width = params.weight.dtype, params.weight.shape[1]
    check_array("h", h, h.shape, dtype)
    check_array("context", context, (*h.shape[:-1], width - h.shape[-1]), dtype)
    return np.concatenate([context, h], axis=-1).reshape(-1, width)
