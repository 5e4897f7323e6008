"""Attention.   B batch, T queries (decoder steps), S source steps, Q query, K key.

A query looks at the keys of a source sequence: a score for every position, a softmax,
and the mean of the keys with these weights, the context. Time comes first: queries
are (T, B, Q), keys (S, B, K), weights (T, B, S). Positions count from 0.

The six scores are in `rnnlit.attention_scores`, the Gaussian of local-p is in
`rnnlit.attention_local`. Here are the softmax, its windows and the context.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from rnnlit import attention_scores
from rnnlit.attention_local import (
    Gaussian,
    Place,
    gaussian_backward,
    gaussian_of,
)
from rnnlit.attention_scores import (
    KINDS,
    SCORES,
    Additive,
    Concat,
    Dot,
    General,
    Location,
    ScaledDot,
    Score,
    ScoreName,
    mix,
    pairs,
    shapes_of,
    uniform,
)
from rnnlit.attention_state import (
    Combine,
    CombineGrads,
    combine,
    combine_backward,
    combine_init,
)
from rnnlit.tools.checks import check_array, check_init, check_lengths, check_size

__all__ = [
    "SCORES",
    "WINDOWS",
    "Additive",
    "Combine",
    "CombineGrads",
    "Concat",
    "Dot",
    "General",
    "Grads",
    "Location",
    "Params",
    "Place",
    "Run",
    "ScaledDot",
    "backward",
    "combine",
    "combine_backward",
    "combine_init",
    "forward",
    "init",
    "softmax",
]

Window = Literal["local_m", "local_p"]
WINDOWS: tuple[Window | None, ...] = (None, *get_args(Window))


class Params(NamedTuple):
    """The parameters of the score, and with local-p those of the place."""

    score: Score
    place: Place | tuple[()] = ()


class Run(NamedTuple):
    """What `forward` returns: context and weights, and what `backward` needs."""

    context: np.ndarray  # (T, B, K)
    weights: np.ndarray  # (T, B, S) exactly 0 at the padding and outside the window
    scores: np.ndarray  # (T, B, S) -inf there
    query: np.ndarray  # (T, B, Q) the arguments, as they came
    keys: np.ndarray  # (S, B, K)
    align: np.ndarray  # (T, B, S) the softmax: the weights, if not local-p
    inner: np.ndarray | None  # (T, B, S, A) the tanh of additive and concat
    gaussian: Gaussian | None


class Grads(NamedTuple):
    """What `backward` returns: the gradient of the loss for what `forward` took."""

    params: Params
    query: np.ndarray  # (T, B, Q)
    keys: np.ndarray  # (S, B, K)


def init(
    score: ScoreName,
    query_size: int,
    key_size: int,
    *,
    rng: np.random.Generator,
    size: int | None = None,
    dtype: Any = np.float32,
    window: Window | None = None,
    max_length: int | None = None,
) -> Params:
    """Draw each weight from U(-1/sqrt(n), 1/sqrt(n)), n the size of its last axis.

    score: one of SCORES; window: one of WINDOWS. size: A, for additive and concat; Q
    if not given. max_length: the rows of location, one for each source position.

    TypeError, ValueError: an unknown score or window; dot or scaled_dot with Q != K;
    location without max_length; a size that is no positive integer.
    """
    Q, K = check_init(query_size, key_size, rng, dtype)
    check_window(window)
    weights = attention_scores.init(
        score, Q, K, rng=rng, size=size, dtype=dtype, max_length=max_length
    )
    if window != "local_p":
        return Params(weights)
    place = Place(uniform((Q, Q), rng, dtype), uniform((Q,), rng, dtype))
    return Params(weights, place)


def forward(
    params: Params,
    query: np.ndarray,
    keys: np.ndarray,
    lengths: Any = None,
    *,
    window: Window | None = None,
    D: int = 10,
    position: int = 0,
) -> Run:
    """Attend with every query to the source positions s:

        weights = softmax over s of score(q, k_s)        context = sum_s weights_s k_s

    window: None looks at all positions. "local_m" looks at those from p - D to p + D,
    where p is the query's own position. "local_p" finds p by itself (see `Place`);
    after the softmax over the window it multiplies by exp(-(s - p)^2 / (2 sigma^2)),
    sigma = D/2, and nothing is normalised again: the weights sum to 1 at most.

    query (T, B, Q); keys (S, B, K); lengths (B,) of the sources, 1 <= length <= S, in
    any order, if they are padded. All arrays share one dtype, float32 or float64.
    position: that of the first query, for local_m. A window with no valid position in
    it, beyond a source's end, gives weights and context 0.

    The Run of additive and concat keeps T·B·S·A numbers.
    TypeError, ValueError: an array of another type, dtype or shape; NaN; lengths out
    of range; a window that does not fit the parameters.
    """
    T, S, lengths = _check(params, query, keys, lengths, window, D, position)
    scores, inner = attention_scores.forward(params.score, query, keys)

    s = np.arange(S)
    seen = s < lengths[:, None]  # (B, S)
    if isinstance(params.score, Location):
        seen = seen & (s < len(params.score.weight))
    gaussian = None
    if window == "local_m":
        seen = seen & (abs(s - position - np.arange(T)[:, None, None]) <= D)
    elif isinstance(params.place, Place):
        gaussian = gaussian_of(params.place, query, S, lengths, D / 2)
        seen = seen & (abs(s - gaussian.center[:, :, None]) <= D)

    scores = np.where(seen, scores, query.dtype.type(-np.inf))
    align = softmax(scores)
    weights = align if gaussian is None else align * gaussian.factor
    context = mix(weights, keys)
    return Run(context, weights, scores, query, keys, align, inner, gaussian)


def backward(
    params: Params,
    run: Run,
    dcontext: np.ndarray | None = None,
    dweights: np.ndarray | None = None,
) -> Grads:
    """The gradients of what `forward` took. With w = align factor (1 if not local-p):

        dw += k^T dcontext            dk = sum_t w dcontext + what the scores send
        dalign = dw factor            dscore = align (dalign - sum_s align dalign)
        dfactor = dw align            dp = sum_s dfactor factor (s - p) / sigma^2

    dcontext (T, B, K) is dL/d(run.context), dweights (T, B, S) dL/d(run.weights);
    give one of them or both. The edges of the window count as fixed: a position that
    enters or leaves it makes a jump, which has no gradient.
    """
    if dcontext is None and dweights is None:
        raise ValueError("dcontext, dweights: expected at least one gradient, got none")
    dtype = run.query.dtype
    dw, dkeys = np.zeros_like(run.weights), np.zeros_like(run.keys)
    if dweights is not None:
        dw += check_array("dweights", dweights, dw.shape, dtype)
    if dcontext is not None:
        check_array("dcontext", dcontext, run.context.shape, dtype)
        dw += pairs(dcontext, run.keys)
        dkeys += mix(run.weights.swapaxes(0, 2), dcontext)

    place, dquery, dalign = params.place, np.zeros_like(run.query), dw
    if isinstance(place, Place) and run.gaussian is not None:
        dalign, dfactor = dw * run.gaussian.factor, dw * run.align
        place, dquery = gaussian_backward(place, run.gaussian, run.query, dfactor)
    ds = run.align * (dalign - (run.align * dalign).sum(axis=-1, keepdims=True))
    score, through_query, through_keys = attention_scores.backward(
        params.score, run.query, run.keys, run.inner, ds
    )
    return Grads(Params(score, place), dquery + through_query, dkeys + through_keys)


def softmax(scores: np.ndarray) -> np.ndarray:
    """exp(e) / sum of exp(e) over the last axis; 0 where e is -inf, even if all are.

    The largest score is subtracted first, so that no exponential overflows.
    """
    top = scores.max(axis=-1, keepdims=True)
    e = np.exp(scores - np.where(np.isneginf(top), 0, top).astype(scores.dtype))
    # A sum is at least 1, since the largest score gives 1, or it is 0.
    return e / np.maximum(e.sum(axis=-1, keepdims=True), 1)


def check_window(window: Any) -> None:
    """Accept what is one of WINDOWS.   ValueError: something else."""
    if window not in WINDOWS:
        raise ValueError(f"window: expected None, local_m or local_p, got {window!r}")


def _check(
    params: Any,
    query: Any,
    keys: Any,
    lengths: Any,
    window: Any,
    D: Any,
    position: Any,
) -> tuple[int, int, np.ndarray]:
    """Check the arguments of `forward`; return T, S and the lengths."""
    if not isinstance(params, Params):
        raise TypeError(
            f"params: expected rnnlit.attention.Params, got {type(params).__name__}"
        )
    score = params.score
    name = next((n for n, kind in KINDS.items() if isinstance(score, kind)), None)
    if name is None:
        kind = type(score).__name__
        raise TypeError(f"params.score: expected one of the six scores, got {kind}")
    T, B, Q = check_array("query", query, ("T", "B", "Q"), finite=True).shape
    S, _, K = check_array("keys", keys, ("S", B, "K"), query.dtype, finite=True).shape
    check_window(window)
    if (window == "local_p") != isinstance(params.place, Place):
        has = "has" if isinstance(params.place, Place) else "lacks"
        raise ValueError(
            f"window: got {window!r}, but params {has} the place of local_p"
        )
    rows = len(score[-1]) if score else None  # v or the one weight
    shapes = {f"score.{n}": s for n, s in shapes_of(name, Q, K, rows, rows).items()}
    values = {f"score.{n}": value for n, value in score._asdict().items()}
    if isinstance(params.place, Place):
        shapes |= {"place.weight": (Q, Q), "place.v": (Q,)}
        values |= {f"place.{n}": value for n, value in params.place._asdict().items()}
    for n, shape in shapes.items():
        if np.shape(values[n]) != shape:
            raise ValueError(
                f"params.{n}: expected shape {shape} for queries of size {Q} and "
                f"keys of size {K}, got {np.shape(values[n])}"
            )
        check_array(f"params.{n}", values[n], shape, query.dtype)
    check_size("D", D)
    check_position(position)
    lengths = np.full(B, S) if lengths is None else check_lengths(lengths, S, B)
    return T, S, lengths


def check_position(position: Any) -> int:
    """Return `position` as an int.   TypeError: no integer.   ValueError: below 0."""
    wanted = f"position: expected an integer of at least 0, got {position!r}"
    if isinstance(position, bool) or not isinstance(position, int | np.integer):
        raise TypeError(wanted)
    if position < 0:
        raise ValueError(wanted)
    return int(position)
