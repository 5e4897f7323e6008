"""The six attention scores and their gradients.   Q query, K key, A attention size.

B batch, T queries, S source positions: queries are (T, B, Q), keys (S, B, K), and the
score of every query for every position is (T, B, S). What turns scores into a context
is in `rnnlit.attention`; where nothing else is said, the source is Luong et al.
(2015, section 3.1). A score is known by the type of its parameters.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_size
from rnnlit.tools.sequences import product


class Additive(NamedTuple):
    """v^T tanh(W_q q + W_k k)   (Bahdanau et al. 2015, A.1.2)"""

    weight_q: np.ndarray  # (A, Q)
    weight_k: np.ndarray  # (A, K)
    v: np.ndarray  # (A,)


class Dot(NamedTuple):
    """q^T k, for Q = K; it has no parameters."""


class ScaledDot(NamedTuple):
    """q^T k / sqrt(K), for Q = K, without parameters   (Vaswani et al. 2017, eq. 1)"""


class General(NamedTuple):
    """q^T W k"""

    weight: np.ndarray  # (Q, K)


class Concat(NamedTuple):
    """v^T tanh(W [q; k]): the additive score, its two weights in one."""

    weight: np.ndarray  # (A, Q+K)
    v: np.ndarray  # (A,)


class Location(NamedTuple):
    """(W q)_s: a row of W for each position, and no key; later ones are not seen."""

    weight: np.ndarray  # (largest S, Q)


Score = Additive | Dot | ScaledDot | General | Concat | Location
ScoreName = Literal["additive", "dot", "scaled_dot", "general", "concat", "location"]
KINDS: dict[ScoreName, type[Score]] = {
    "additive": Additive,
    "dot": Dot,
    "scaled_dot": ScaledDot,
    "general": General,
    "concat": Concat,
    "location": Location,
}
SCORES: tuple[ScoreName, ...] = tuple(KINDS)


def init(
    score: ScoreName,
    query_size: int,
    key_size: int,
    *,
    rng: np.random.Generator,
    size: int | None = None,
    dtype: Any = np.float32,
    max_length: int | None = None,
) -> Score:
    """Draw the parameters of a score; arguments as in `rnnlit.attention.init`."""
    shapes = shapes_of(score, query_size, key_size, size, max_length)
    return KINDS[score](
        **{name: uniform(shape, rng, dtype) for name, shape in shapes.items()}
    )


def uniform(shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> np.ndarray:
    """A weight from U(-1/sqrt(n), 1/sqrt(n)), n the size of its last axis."""
    k = shape[-1] ** -0.5
    return rng.uniform(-k, k, shape).astype(dtype)


def shapes_of(
    score: Any, Q: int, K: int, A: int | None = None, max_length: int | None = None
) -> dict[str, tuple[int, ...]]:
    """The parameters of a score by name, with their shapes; A is Q if not given.

    ValueError: an unknown score; dot or scaled_dot with Q != K; location without
    max_length.
    """
    if score not in SCORES:
        raise ValueError(f"score: expected one of {', '.join(SCORES)}, got {score!r}")
    if score in ("dot", "scaled_dot") and Q != K:
        raise ValueError(
            f"score {score}: expected queries and keys of one size, got Q = {Q} and "
            f"K = {K}; the score general takes any two"
        )
    if score == "location" and max_length is None:
        raise ValueError(
            "max_length: location needs the largest source length, got None"
        )
    A = check_size("size", Q if A is None else A)
    if score == "additive":
        return {"weight_q": (A, Q), "weight_k": (A, K), "v": (A,)}
    if score == "general":
        return {"weight": (Q, K)}
    if score == "concat":
        return {"weight": (A, Q + K), "v": (A,)}
    if score == "location":
        return {"weight": (check_size("max_length", max_length), Q)}
    return {}


def forward(
    score: Score, query: np.ndarray, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """The scores (T, B, S), and for additive and concat their tanh (T, B, S, A)."""
    if isinstance(score, Additive | Concat):
        weight_q, weight_k, v = as_additive(score, query.shape[2])
        q, k = product(query, weight_q.T), product(keys, weight_k.T)
        inner = np.empty((*q.shape[:2], len(k), len(v)), v.dtype)
        np.add(q[:, :, None], k.swapaxes(0, 1), out=inner)
        np.tanh(inner, out=inner)
        return inner @ v, inner
    if isinstance(score, Location):
        rows = score.weight[: len(keys)]
        unseen = np.zeros((*query.shape[:2], len(keys) - len(rows)), query.dtype)
        return np.concatenate([product(query, rows.T), unseen], axis=2), None
    if isinstance(score, General):
        query = product(query, score.weight)
    if isinstance(score, ScaledDot):
        query = query * keys.shape[2] ** -0.5
    return pairs(query, keys), None


def backward(
    score: Score, query: np.ndarray, keys: np.ndarray, inner: Any, ds: np.ndarray
) -> tuple[Score, np.ndarray, np.ndarray]:
    """The gradients of parameters, query and keys from ds (T, B, S), dL/d(scores).

    additive:   da = ds v (1 - inner^2),   dq = W_q^T sum_s da,   dk = W_k^T sum_t da
    """
    if isinstance(score, Additive | Concat):
        weight_q, weight_k, v = as_additive(score, query.shape[2])
        dv = ds.reshape(-1) @ inner.reshape(-1, len(v))
        dq, dk = (
            np.empty((*query.shape[:2], len(v)), ds.dtype),
            np.zeros_like(inner[0]),
        )
        da = np.empty_like(inner[0])  # (B, S, A), one query at a time
        for t, tanh in enumerate(inner):
            np.multiply(tanh, tanh, out=da)
            np.subtract(1, da, out=da)
            da *= ds[t, :, :, None]
            da.sum(axis=1, out=dq[t])
            dk += da
        dq, dk = dq * v, (dk * v).swapaxes(0, 1)
        dweight_q, dweight_k = weight_gradient(dq, query), weight_gradient(dk, keys)
        grads: Score = Additive(dweight_q, dweight_k, dv)
        if isinstance(score, Concat):
            grads = Concat(np.concatenate([dweight_q, dweight_k], axis=1), dv)
        return grads, product(dq, weight_q), product(dk, weight_k)
    if isinstance(score, Location):
        rows, dweight = score.weight[: len(keys)], np.zeros_like(score.weight)
        ds = ds[:, :, : len(rows)]
        dweight[: len(rows)] = weight_gradient(ds, query)
        return Location(dweight), product(ds, rows), np.zeros_like(keys)
    if isinstance(score, ScaledDot):
        ds = ds * keys.shape[2] ** -0.5
    from_keys = mix(ds, keys)
    if isinstance(score, Dot | ScaledDot):
        return score, from_keys, mix(ds.swapaxes(0, 2), query)
    dkeys = mix(ds.swapaxes(0, 2), product(query, score.weight))
    dweight = weight_gradient(query, from_keys)
    return General(dweight), product(from_keys, score.weight.T), dkeys


def as_additive(score: Additive | Concat, Q: int) -> Additive:
    """W [q; k] = W_q q + W_k k: concat is additive, its W cut after Q columns."""
    if isinstance(score, Additive):
        return score
    return Additive(score.weight[:, :Q], score.weight[:, Q:], score.v)


def pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a_t · b_s for all t and s:   (T, B, N), (S, B, N)  ->  (T, B, S)"""
    return (a.swapaxes(0, 1) @ b.transpose(1, 2, 0)).swapaxes(0, 1)


def mix(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The sum over s of weights_ts values_s:   (T, B, S), (S, B, N)  ->  (T, B, N)"""
    return (weights.swapaxes(0, 1) @ values.swapaxes(0, 1)).swapaxes(0, 1)


def weight_gradient(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The gradient of W in y = W x:   dy (..., O), x (..., I)  ->  (O, I)"""
    return dy.reshape(-1, dy.shape[-1]).T @ x.reshape(-1, x.shape[-1])
