"""Attention as its formulas have it, to be read.   B batch, T queries, S keys, values.

`rnnlit.attention` has all scores, windows and padding, and works in place; here are
the few lines that remain without them. Queries are (T, B, Q), keys (S, B, K), values
(S, B, V), scores and weights (T, B, S). Three differences from `rnnlit.attention`:
values need not be the keys; a mask (T, B, S), or what broadcasts to it, says what may
be seen; and arguments are not checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit.attention import softmax


def additive(
    query: np.ndarray,
    keys: np.ndarray,
    W_q: np.ndarray,
    W_k: np.ndarray,
    v: np.ndarray,
) -> np.ndarray:
    """The scores (T, B, S) of Bahdanau et al. (2015, A.1.2):

        e_ts = v^T tanh(W_q q_t + W_k k_s)

    W_q is (A, Q), W_k (A, K), and v (A,).
    """
    q, k = query @ W_q.T, keys @ W_k.T  # (T, B, A), (S, B, A)
    a = q[:, None] + k  # (T, S, B, A): each query with each key
    return (np.tanh(a) @ v).swapaxes(1, 2)


def scaled_dot(query: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The scores (T, B, S) of Vaswani et al. (2017, eq. 1):

        e_ts = q_t · k_s / sqrt(K)

    Queries and keys have one size, K.
    """
    K = keys.shape[2]
    return np.einsum("tbk,sbk->tbs", query, keys) / np.sqrt(K)


def read(
    scores: np.ndarray, values: np.ndarray, seen: Any = True
) -> tuple[np.ndarray, np.ndarray]:
    """What the queries read, and with which weights:

        weights = softmax over s of scores
        context_t = sum over s of weights_ts values_s

    seen: False where a query may not look. Returns context (T, B, V), weights.
    """
    weights = softmax(np.where(seen, scores, -np.inf))
    context = np.einsum("tbs,sbv->tbv", weights, values)
    return context, weights


def read_backward(
    weights: np.ndarray, values: np.ndarray, dcontext: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of what `read` took, scores (T, B, S) and values (S, B, V):

    dvalues_s = sum over t of weights_ts dcontext_t
    dweights_ts = values_s · dcontext_t
    dscores_ts = weights_ts (dweights_ts - sum over s of weights_ts dweights_ts)
    """
    dvalues = np.einsum("tbs,tbv->sbv", weights, dcontext)
    dweights = np.einsum("tbv,sbv->tbs", dcontext, values)
    mean = (weights * dweights).sum(axis=-1, keepdims=True)
    dscores = weights * (dweights - mean)
    return dscores, dvalues


def additive_backward(
    query: np.ndarray,
    keys: np.ndarray,
    W_q: np.ndarray,
    W_k: np.ndarray,
    v: np.ndarray,
    dscores: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """The gradients of what `additive` took, in its order:

    da_ts = de_ts v (1 - tanh^2 a_ts)          dv = sum over t, s of de_ts tanh a_ts
    dq_t = W_q^T sum over s of da_ts           dW_q = sum over t, s of da_ts q_t^T
    dk_s = W_k^T sum over t of da_ts           dW_k = sum over t, s of da_ts k_s^T
    """
    h = np.tanh((query @ W_q.T)[:, None] + keys @ W_k.T)  # (T, S, B, A)
    de = dscores.swapaxes(1, 2)[..., None]  # (T, S, B, 1)
    da = de * v * (1 - h**2)
    dv = (de * h).sum(axis=(0, 1, 2))
    to_query, to_keys = da.sum(axis=1), da.sum(axis=0)  # (T, B, A), (S, B, A)
    dW_q = np.einsum("tba,tbq->aq", to_query, query)
    dW_k = np.einsum("sba,sbk->ak", to_keys, keys)
    return to_query @ W_q, to_keys @ W_k, dW_q, dW_k, dv


def self_attention(
    x: np.ndarray,
    W_q: np.ndarray,
    W_k: np.ndarray,
    W_v: np.ndarray,
    causal: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """A sequence (T, B, I) that asks itself   (Vaswani et al. 2017, section 3.2):

        q = W_q x        k = W_k x        v = W_v x        e_ts = q_t · k_s / sqrt(K)

    causal: step t sees the steps s <= t alone. Returns context (T, B, V), weights.
    """
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    T = len(x)
    past = np.tril(np.ones((T, T), bool))[:, None]  # (T, 1, T)
    return read(scaled_dot(q, k), v, seen=past if causal else True)
