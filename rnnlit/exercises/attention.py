"""Exercises of the attention chapter.   B batch, S source positions, Q query, K key, A attention size.

dot(query, keys) -> scores                     query (B, K), keys (S, B, K), scores (B, S)
scaled_dot(query, keys) -> scores              the same, over sqrt(K)
additive(W_q, W_k, v, query, keys) -> scores   query (B, Q)
weights(scores, lengths) -> weights            softmax over the valid positions, 0 at the padding
context(weights, keys) -> context              (B, K)
softmax_backward(weights, dweights) -> dscores
window(p, D, S) -> (S,), True from p - D to p + D
scaled_dot_product(Q, K, V) -> output          causal: position t sees 0 to t
beam_step(scores, logs, size) -> row, token    the best `size` of all one-token extensions
length_normaliser(length, alpha) -> a number
shift(target, lengths) -> read, write          tokens (T, B), padded; read and write (T+1, B)
beam(logs, size) -> words, totals              a whole search; viterbi(logs) -> words, total, the best of all
causal(x, W_q, W_k, W_v) -> context            self-attention, (T, B, I) -> (T, B, V)
look_back: a puzzle

logs (n, N, N) of a whole search: at each step the log-probability of each of N words after each; the word
before the first is word 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit import attention, attention_plain, attention_scores, search
from rnnlit.attention import softmax
from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import drawn_lengths, normal
from rnnlit.exercises.puzzle import Puzzle, Trace, Wanted
from rnnlit.tasks.tokens import PAD, START, STOP
from rnnlit.tools.functions import sigmoid

BY_KEY = {"B": "B", "T": "S", "H": "K"}

# ---------------------------------------------------------------- scores


def _scores(score: Any, query: Any, keys: Any) -> Any:
    """The package's scores, for one query a sequence."""
    return attention_scores.forward(score, query[None], keys)[0][0]


def _dot(query: Any, keys: Any) -> Any:
    return np.einsum("bk,sbk->bs", query, keys)


def _cosine(query: Any, keys: Any) -> Any:
    lengths = np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(keys, axis=2).T
    return _dot(query, keys) / lengths


DOT_MISTAKES = (
    Mistake(
        "the scores stand source first",
        "One row a sequence, one column a source position: (B, S).",
        lambda query, keys: _dot(query, keys).T,
    ),
    Mistake(
        "query and keys are scaled to length 1",
        "That is the cosine. The dot product keeps the lengths.",
        _cosine,
    ),
    Mistake(
        "the products are averaged over K",
        "A dot product is a sum.",
        lambda query, keys: _dot(query, keys) / query.shape[1],
    ),
)

dot = Exercise(
    "dot(query, keys)",
    lambda query, keys: _scores(attention_scores.Dot(), query, keys),
    normal("BH", "TBH"),
    {"scores": "B, S"},
    (
        *DOT_MISTAKES,
        Mistake(
            "the scores are divided by sqrt(K)",
            "That is the scaled form, the next one. Here the plain product.",
            lambda query, keys: _dot(query, keys) / query.shape[1] ** 0.5,
        ),
    ),
    names=BY_KEY,
)

scaled_dot = Exercise(
    "scaled_dot(query, keys)",
    lambda query, keys: _dot(query, keys) / np.sqrt(query.shape[1]).astype(query.dtype),
    normal("BH", "TBH"),
    {"scores": "B, S"},
    (
        Mistake(
            "the scale is missing",
            "The sum of K products has K times the variance of one: divide by sqrt(K).",
            _dot,
        ),
        Mistake(
            "the scores are divided by K",
            "The standard deviation grows with sqrt(K), not with K.",
            lambda query, keys: _dot(query, keys) / query.shape[1],
        ),
        Mistake(
            "the scores are multiplied by sqrt(K)",
            "Divide: the scale keeps the softmax from saturating.",
            lambda query, keys: _dot(query, keys) * query.shape[1] ** 0.5,
        ),
        Mistake(
            "the scores are divided by sqrt(S)",
            "The sum runs over the K numbers of a key, not over the source.",
            lambda query, keys: _dot(query, keys) / len(keys) ** 0.5,
        ),
        Mistake(
            "the scores stand source first",
            "One row a sequence, one column a source position: (B, S).",
            lambda query, keys: _dot(query, keys).T / query.shape[1] ** 0.5,
        ),
    ),
    names=BY_KEY,
)


def _draw_additive(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    A, Q, K = sizes.H + sizes.I, sizes.H, sizes.I
    shapes = ((A, Q), (A, K), (A,), (sizes.B, Q), (sizes.T, sizes.B, K))
    return tuple(rng.standard_normal(shape) for shape in shapes)


def _additive(
    W_q: Any, W_k: Any, v: Any, query: Any, keys: Any, *, squash: Any = np.tanh, late: bool = False
) -> Any:
    inner = (query @ W_q.T)[:, None] + np.einsum("ak,sbk->bsa", W_k, keys)  # (B, S, A)
    return squash(inner @ v) if late else squash(inner) @ v


additive = Exercise(
    "additive(W_q, W_k, v, query, keys)",
    lambda W_q, W_k, v, query, keys: _scores(attention_scores.Additive(W_q, W_k, v), query, keys),
    _draw_additive,
    {"scores": "B, S"},
    (
        Mistake(
            "the tanh is missing",
            "Without it the query adds the same number to every score, and the softmax does not see it: "
            "v^T tanh(W_q q + W_k k).",
            lambda *a: _additive(*a, squash=lambda a: a),
        ),
        Mistake(
            "the tanh comes after v",
            "First tanh of all A numbers, then their sum weighted by v.",
            lambda *a: _additive(*a, late=True),
        ),
        Mistake(
            "sigma stands in the place of tanh",
            "v^T tanh(W_q q + W_k k).",
            lambda *a: _additive(*a, squash=sigmoid),
        ),
        Mistake(
            "the query is not used",
            "Then every query looks at the same places: add W_q q.",
            lambda W_q, *a: _additive(0 * W_q, *a),
        ),
        Mistake(
            "the keys are not used",
            "Then all positions score the same: add W_k k.",
            lambda W_q, W_k, *a: _additive(W_q, 0 * W_k, *a),
        ),
        Mistake(
            "v is missing",
            "The A numbers are weighted by v before they are summed.",
            lambda W_q, W_k, v, *a: _additive(W_q, W_k, np.ones_like(v), *a),
        ),
        Mistake(
            "the scores stand source first",
            "One row a sequence, one column a source position: (B, S).",
            lambda *a: _additive(*a).T,
        ),
    ),
    names={"B": "B", "T": "S", "H": "Q", "I": "K"},
)

# ---------------------------------------------------------------- weights and context


def _softmax(scores: Any, axis: int = -1) -> Any:
    e = np.exp(scores - scores.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _valid(scores: Any, lengths: Any) -> Any:
    return np.arange(scores.shape[1]) < lengths[:, None]


def _weights(scores: Any, lengths: Any, *, hidden: float = -np.inf, axis: int = -1) -> Any:
    return _softmax(np.where(_valid(scores, lengths), scores, scores.dtype.type(hidden)), axis)


def _naive(scores: Any, lengths: Any) -> Any:
    e = np.exp(scores) * _valid(scores, lengths)
    return e / e.sum(-1, keepdims=True)


def _draw_weights(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Scores (B, S), those of the last size so large that their exponentials overflow."""
    scale = 1000 if sizes.B == 4 else 1
    return (scale * rng.standard_normal((sizes.B, sizes.T)), drawn_lengths(rng, sizes))


weights = Exercise(
    "weights(scores, lengths)",
    lambda scores, lengths: attention.softmax(
        np.where(_valid(scores, lengths), scores, scores.dtype.type(-np.inf))
    ),
    _draw_weights,
    {"weights": "B, S"},
    (
        Mistake(
            "the mask is forgotten",
            "The padding gets weight too. Set the scores there to -inf before the softmax.",
            lambda scores, lengths: _softmax(scores),
        ),
        Mistake(
            "the mask comes after the softmax",
            "Then the rest doesn't sum to 1. Set the scores at the padding to -inf before the softmax.",
            lambda scores, lengths: _softmax(scores) * _valid(scores, lengths),
        ),
        Mistake(
            "the scores at the padding are set to 0",
            "exp(0) is 1, not 0. Set them to -inf.",
            lambda scores, lengths: _weights(scores, lengths, hidden=0),
        ),
        Mistake(
            "the mask is the wrong way round",
            "Positions before lengths[b] count, those after it are padding.",
            lambda scores, lengths: np.where(
                _valid(scores, lengths), 0, _softmax(np.where(_valid(scores, lengths), -1e30, scores))
            ),
        ),
        Mistake(
            "the softmax runs over the batch",
            "Each row is a distribution over the source: axis=-1.",
            lambda scores, lengths: _softmax(
                np.where(_valid(scores, lengths), scores, scores.dtype.type(-1e30)), axis=0
            ),
        ),
        Mistake(
            "the exponentials overflow",
            "exp(1000) is inf. Subtract the largest score of each row first.",
            _naive,
        ),
    ),
    names={"B": "B", "T": "S"},
)


def _draw_context(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    scores, keys = normal("BT", "TBH")(rng, sizes)
    return _softmax(scores), keys


def _context(weights: Any, keys: Any) -> Any:
    return np.einsum("bs,sbk->bk", weights, keys)


context = Exercise(
    "context(weights, keys)",
    lambda weights, keys: attention_scores.mix(weights[None], keys)[0],
    _draw_context,
    {"context": "B, K"},
    (
        Mistake(
            "the keys are averaged, whatever the weights are",
            "Multiply each key by its weight, then sum.",
            lambda weights, keys: keys.mean(0),
        ),
        Mistake(
            "only the key with the largest weight is taken",
            "That is hard attention, which has no gradient. Here all keys count, by their weights.",
            lambda weights, keys: keys[weights.argmax(1), np.arange(len(weights))],
        ),
        Mistake(
            "the weighted keys are averaged",
            "The weights sum to 1 already: sum, don't divide by S.",
            lambda weights, keys: _context(weights, keys) / len(keys),
        ),
        Mistake(
            "the weighted keys are not summed",
            "Sum over the source positions: (B, K) is left.",
            lambda weights, keys: weights.T[:, :, None] * keys,
        ),
        Mistake(
            "the keys are summed without weights",
            "Multiply each key by its weight first.",
            lambda weights, keys: keys.sum(0),
        ),
    ),
    names=BY_KEY,
)


def _draw_softmax_backward(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    scores, dweights = normal("BT", "BT")(rng, sizes)
    return _softmax(scores), dweights


softmax_backward = Exercise(
    "softmax_backward(weights, dweights)",
    lambda weights, dweights: weights * (dweights - (weights * dweights).sum(-1, keepdims=True)),
    _draw_softmax_backward,
    {"dscores": "B, S"},
    (
        Mistake(
            "only the diagonal of the derivative is used",
            "A score moves every weight of its row, since they sum to 1: subtract sum_s w_s dw_s.",
            lambda w, dw: w * (1 - w) * dw,
        ),
        Mistake(
            "the sum is not subtracted",
            "ds = w (dw - sum_s w_s dw_s).",
            lambda w, dw: w * dw,
        ),
        Mistake(
            "the mean of the gradient is subtracted",
            "It is the mean weighted by w: sum_s w_s dw_s.",
            lambda w, dw: w * (dw - dw.mean(-1, keepdims=True)),
        ),
        Mistake(
            "the result is not multiplied by the weights",
            "ds = w (dw - sum_s w_s dw_s).",
            lambda w, dw: dw - (w * dw).sum(-1, keepdims=True),
        ),
        Mistake(
            "the sum runs over the batch",
            "Each row is a distribution of its own: axis=-1.",
            lambda w, dw: w * (dw - (w * dw).sum(0)),
        ),
    ),
    names={"B": "B", "T": "S"},
)


def _draw_window(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return {2: (4, 2, 9), 3: (1, 3, 7), 1: (7, 1, 8), 4: (2, 0, 6)}[sizes.B]


def _away(p: int, S: int) -> Any:
    return np.arange(S) - p


window = Exercise(
    "window(p, D, S)",
    lambda p, D, S: np.abs(_away(p, S)) <= D,
    _draw_window,
    {"window": "S"},
    (
        Mistake(
            "the edges are left out",
            "p - D and p + D belong to the window: 2D + 1 positions.",
            lambda p, D, S: np.abs(_away(p, S)) < D,
        ),
        Mistake(
            "only the positions before p are seen",
            "The window reaches from p - D to p + D.",
            lambda p, D, S: (_away(p, S) <= 0) & (_away(p, S) >= -D),
        ),
        Mistake(
            "only the positions after p are seen",
            "The window reaches from p - D to p + D.",
            lambda p, D, S: (_away(p, S) >= 0) & (_away(p, S) <= D),
        ),
        Mistake(
            "the upper edge is left out",
            "A slice [p - D : p + D] ends before p + D. Add 1.",
            lambda p, D, S: (_away(p, S) >= -D) & (_away(p, S) < D),
        ),
        Mistake(
            "the window is as wide as D in all",
            "It reaches D to each side.",
            lambda p, D, S: 2 * np.abs(_away(p, S)) <= D,
        ),
        Mistake(
            "the window is the wrong way round",
            "True inside of it.",
            lambda p, D, S: np.abs(_away(p, S)) > D,
        ),
    ),
    names={},
)

# ---------------------------------------------------------------- towards the Transformer


def _attend(
    Q: Any,
    K: Any,
    V: Any,
    *,
    scale: Any = lambda k: k**-0.5,
    seen: Any = np.tril,
    value: Any = None,
    axis: int = -1,
) -> Any:
    """Causal attention with a mistake in it, or with none."""
    scores = Q @ K.T * scale(K.shape[1])
    if seen is not None:
        scores = np.where(seen(np.ones_like(scores)) > 0, scores, scores.dtype.type(-1e30))
    return _softmax(scores, axis) @ (V if value is None else value)


def _draw_attend(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Queries and keys (T, K), values (T, K): of one size, so that no shape tells which is which."""
    return normal("TH", "TH", "TH")(rng, sizes)


def _masked_late(Q: Any, K: Any, V: Any) -> Any:
    return np.tril(_softmax(Q @ K.T * K.shape[1] ** -0.5)) @ V


scaled_dot_product = Exercise(
    "scaled_dot_product(Q, K, V)",
    _attend,
    _draw_attend,
    {"output": "T, V"},
    (
        Mistake(
            "the keys are mixed in place of the values",
            "Keys say where to look, values what is read there: weights @ V.",
            lambda Q, K, V: _attend(Q, K, V, value=K),
        ),
        Mistake(
            "the future is seen",
            "Position t may see 0 to t alone: set the scores above the diagonal to -inf.",
            lambda *a: _attend(*a, seen=None),
        ),
        Mistake(
            "the mask hides the past",
            "Position t sees 0 to t: the lower triangle of the scores stays.",
            lambda *a: _attend(*a, seen=np.triu),
        ),
        Mistake(
            "a position doesn't see itself",
            "Position t sees 0 to t, itself among them.",
            lambda *a: _attend(*a, seen=lambda ones: np.tril(ones, -1)),
        ),
        Mistake(
            "the mask comes after the softmax",
            "Then a row doesn't sum to 1. Set the scores of the future to -inf before the softmax.",
            _masked_late,
        ),
        Mistake(
            "the scale 1/sqrt(K) is missing",
            "Divide the scores by sqrt(K), K the size of a key.",
            lambda *a: _attend(*a, scale=lambda k: 1.0),
        ),
        Mistake(
            "the scores are divided by K",
            "Divide by sqrt(K).",
            lambda *a: _attend(*a, scale=lambda k: 1 / k),
        ),
        Mistake(
            "the softmax runs over the queries",
            "Each query has weights over the keys: axis=-1.",
            lambda *a: _attend(*a, axis=0),
        ),
        Mistake(
            "queries and keys are swapped",
            "Row t of Q @ K.T is what query t scores.",
            lambda Q, K, V: _attend(K, Q, V),
        ),
    ),
    names={"T": "T", "H": "K"},
)

# ---------------------------------------------------------------- search


def _log_softmax(logits: Any) -> Any:
    z = logits - logits.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def _draw_beam(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Sums of log probabilities of N hypotheses, log probabilities (N, V) of their next token, and N."""
    N, V = sizes.B + 1, sizes.H + 1
    logs = _log_softmax(2 * rng.standard_normal((N, V)))
    return -3 * rng.random(N), logs, N


def _best(total: Any, size: int, worst: bool = False) -> tuple[Any, Any]:
    flat = total.reshape(-1)
    order = np.argsort(flat if worst else -flat, kind="stable")[:size]
    return order // total.shape[1], order % total.shape[1]


def _by_row(scores: Any, logs: Any, size: int) -> tuple[Any, Any]:
    """The best extension of each hypothesis, the best first."""
    token = logs.argmax(1)
    order = np.argsort(-(scores + logs.max(1)), kind="stable")
    return order, token[order]


def _wrong_width(scores: Any, logs: Any, size: int) -> tuple[Any, Any]:
    order = np.argsort(-(scores[:, None] + logs).reshape(-1), kind="stable")[:size]
    return order % len(logs), order // len(logs)


beam_step = Exercise(
    "beam_step(scores, logs, size)",
    lambda scores, logs, size: search._best(scores[:, None] + logs, np.zeros(len(logs), int), [size]),
    _draw_beam,
    {"row": "size", "token": "size"},
    (
        Mistake(
            "each hypothesis keeps its best extension",
            "All extensions of all hypotheses compete: a good hypothesis may have several, a bad one none.",
            _by_row,
        ),
        Mistake(
            "what came before is not counted",
            "Rank by the sum: the hypothesis's own score plus the new token's log probability.",
            lambda scores, logs, size: _best(logs, size),
        ),
        Mistake(
            "the score is multiplied, not added",
            "Probabilities are multiplied, so their logarithms are added.",
            lambda scores, logs, size: _best(scores[:, None] * logs, size),
        ),
        Mistake(
            "the least probable are kept",
            "The largest sums come first: argsort of the negative.",
            lambda scores, logs, size: _best(scores[:, None] + logs, size, worst=True),
        ),
        Mistake(
            "the flat index is divided by the wrong size",
            "Row n holds V tokens, so row = index // V and token = index % V.",
            _wrong_width,
        ),
        Mistake(
            "row and token are swapped",
            "First the rows of the hypotheses that are extended, then the tokens.",
            lambda scores, logs, size: _best(scores[:, None] + logs, size)[::-1],
        ),
        Mistake(
            "the worst of the kept comes first",
            "The best comes first. argsort sorts upwards, so turn its end round, or sort the negative.",
            lambda scores, logs, size: tuple(a[::-1] for a in _best(scores[:, None] + logs, size)),
        ),
    ),
    names={},
)

length_normaliser = Exercise(
    "length_normaliser(length, alpha)",
    search.length_normaliser,
    lambda rng, sizes: (sizes.T + sizes.B, {2: 0.6, 3: 1.0, 1: 0.5, 4: 2.0}[sizes.B]),
    {"lp": ""},
    (
        Mistake(
            "the length itself is taken to the power",
            "Wu et al. (2016) shift it: ((5 + length) / 6)^alpha.",
            lambda length, alpha: length**alpha,
        ),
        Mistake(
            "the denominator is missing",
            "((5 + length) / (5 + 1))^alpha, so that a length of 1 gives 1.",
            lambda length, alpha: (5 + length) ** alpha,
        ),
        Mistake(
            "alpha multiplies, and is no power",
            "((5 + length) / 6)^alpha.",
            lambda length, alpha: (5 + length) / 6 * alpha,
        ),
        Mistake(
            "alpha is not used",
            "((5 + length) / 6)^alpha.",
            lambda length, alpha: (5 + length) / 6,
        ),
    ),
    names={},
)

# ---------------------------------------------------------------- teacher forcing


def _row(token: int, target: Any) -> Any:
    return np.full((1, target.shape[1]), token, target.dtype)


def _read(target: Any) -> Any:
    return np.concatenate([_row(START, target), target])


def _write(target: Any, lengths: Any) -> Any:
    write = np.concatenate([target, _row(PAD, target)])
    write[lengths, np.arange(len(lengths))] = STOP
    return write


def _draw_shift(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    T, B = sizes.T, sizes.B
    lengths = rng.integers(1, T + 1, B)
    lengths[0] = T
    target = rng.integers(STOP + 1, 20, (T, B))
    return np.where(np.arange(T)[:, None] < lengths, target, PAD), lengths


shift = Exercise(
    "shift(target, lengths)",
    lambda target, lengths: (_read(target), _write(target, lengths)),
    _draw_shift,
    {"read": "T+1, B", "write": "T+1, B"},
    (
        Mistake(
            "the stop stands in the last row, behind the padding",
            "Each sentence has its stop right behind its own last word: write[lengths, np.arange(B)] = STOP.",
            lambda y, n: (_read(y), np.concatenate([y, _row(STOP, y)])),
        ),
        Mistake(
            "there is no stop",
            "Behind its last word the decoder should write STOP, or it never learns to end.",
            lambda y, n: (_read(y), np.concatenate([y, _row(PAD, y)])),
        ),
        Mistake(
            "what is read is not shifted",
            "The decoder reads the word before: START first, then the target. "
            "Here it reads what it should write.",
            lambda y, n: (_write(y, n), _write(y, n)),
        ),
        Mistake(
            "the start stands in what is written",
            "Nobody is asked for START: what is written begins with the first word.",
            lambda y, n: (_read(y), _read(y)),
        ),
        Mistake("read and write are swapped", "read comes first.", lambda y, n: (_write(y, n), _read(y))),
    ),
    names={"T": "T", "B": "B"},
)

# ---------------------------------------------------------------- search, to the end


def _draw_logs(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    logits = rng.standard_normal((sizes.T + 3, sizes.H, sizes.H))
    return (logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)),)


def _beam(
    logs: Any,
    size: int,
    *,
    add: Any = lambda total, log: total + log,
    best: Any = lambda grown, size: sorted(grown, key=lambda h: -h[0])[:size],
) -> tuple[Any, Any]:
    """Hypotheses as (log-probability, words); a mistake is in `add` or in `best`."""
    kept = [(0.0, [0])]
    for step in logs:
        grown = []
        for total, words in kept:
            grown += [(add(total, log), [*words, k]) for k, log in enumerate(step[words[-1]])]
        kept = best(grown, size)
    kept = sorted(kept, key=lambda h: -h[0])
    return np.array([words[1:] for _, words in kept]), np.array([total for total, _ in kept], logs.dtype)


def _own_best(grown: Any, size: int) -> Any:
    """The best extension of each beginning; at the first step, of the only one, the `size` best."""
    beginnings: dict[tuple[int, ...], list[Any]] = {}
    for total, words in grown:
        beginnings.setdefault(tuple(words[:-1]), []).append((total, words))
    if len(beginnings) == 1:
        return sorted(grown, key=lambda h: -h[0])[:size]
    return [max(extensions, key=lambda h: h[0]) for extensions in beginnings.values()]


beam = Exercise(
    "beam(logs, size)",
    _beam,
    lambda rng, sizes: (*_draw_logs(rng, sizes), sizes.B),
    {"words": "size, n", "totals": "size"},
    (
        Mistake(
            "the least probable come first",
            "The best of what is left comes first.",
            lambda logs, size: tuple(one[::-1] for one in _beam(logs, size)),
        ),
        Mistake(
            "the log-probabilities of a path are not added up",
            "A beginning is as probable as all its words together: total + log.",
            lambda logs, size: _beam(logs, size, add=lambda total, log: log),
        ),
        Mistake(
            "each beginning keeps its own best word",
            "All extensions of all beginnings compete for the `size` places; one beginning may take several.",
            lambda logs, size: _beam(logs, size, best=_own_best),
        ),
        Mistake(
            "the least probable are kept",
            "Sort from the largest log-probability down.",
            lambda logs, size: _beam(
                logs, size, best=lambda grown, size: sorted(grown, key=lambda h: h[0])[:size]
            ),
        ),
        Mistake(
            "the totals are probabilities",
            "A total is a sum of logarithms; leave it so.",
            lambda logs, size: (lambda words, totals: (words, np.exp(totals)))(*_beam(logs, size)),
        ),
    ),
    names={"H": "N"},
)


def _viterbi(logs: Any, *, reduce: Any = np.max, back: bool = True, start: Any = None) -> tuple[Any, Any]:
    """The best total of each last word, and the word before it on that way."""
    T = len(logs)
    total = logs[0][0] if start is None else start(logs[0])
    ways, totals = [], [total]
    for step in logs[1:]:
        grown = total[:, None] + step  # (word before, word)
        ways.append(grown.argmax(axis=0))
        total = reduce(grown, axis=0)
        totals.append(total)
    words = [int(total.argmax())]
    for way in ways[::-1]:
        words.append(int(way[words[-1]]))
    if not back:
        words = [int(one.argmax()) for one in totals][::-1]
    return np.array(words[::-1][:T]), reduce(total)


def _log_sum(a: Any, axis: Any = None) -> Any:
    return np.log(np.exp(a).sum(axis=axis))


viterbi = Exercise(
    "viterbi(logs)",
    _viterbi,
    _draw_logs,
    {"words": "n", "total": ""},
    (
        Mistake(
            "the search is greedy",
            "Keep the best beginning for *each* last word, not the best beginning alone.",
            lambda logs: tuple(one[0] for one in _beam(logs, 1)),
        ),
        Mistake(
            "the way back is not followed",
            "The best last word at a step need not lie on the best way. Note for each word "
            "the word before it, and go back from the end.",
            lambda logs: _viterbi(logs, back=False),
        ),
        Mistake(
            "the beginnings are summed, and not compared",
            "That sum is the filter of a hidden Markov model. Here the best beginning counts: max.",
            lambda logs: _viterbi(logs, reduce=_log_sum),
        ),
        Mistake(
            "the first word follows any word",
            "The word before the first is word 0: start with logs[0][0].",
            lambda logs: _viterbi(logs, start=lambda step: step.max(axis=0)),
        ),
    ),
    names={"H": "N"},
)

# ---------------------------------------------------------------- self-attention


def _causal(
    x: Any,
    W_q: Any,
    W_k: Any,
    W_v: Any,
    *,
    mask: Any = np.tril,
    scale: Any = lambda K: K**-0.5,
    after: bool = False,
) -> Any:
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    seen = mask(np.ones((len(x), len(x)), bool))[:, None]
    scores = np.einsum("tbk,sbk->tbs", q, k) * q.dtype.type(scale(q.shape[2]))
    weights = softmax(scores) * seen if after else softmax(np.where(seen, scores, -np.inf))
    return np.einsum("tbs,sbv->tbv", weights, v)


def _draw_causal(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    T, B, I, K, V = sizes.T, sizes.B, sizes.I, sizes.H, sizes.H + 1
    return tuple(rng.standard_normal(shape) for shape in ((T, B, I), (K, I), (K, I), (V, I)))


causal = Exercise(
    "causal(x, W_q, W_k, W_v)",
    lambda *a: attention_plain.self_attention(*a)[0],
    _draw_causal,
    {"context": "T, B, V"},
    (
        Mistake(
            "every step sees the future",
            "Step t may look at steps 0 to t alone: np.tril(np.ones((T, T), bool)).",
            lambda *a: _causal(*a, mask=lambda ones: ones),
        ),
        Mistake(
            "the mask is the wrong way round",
            "np.tril keeps the past, row t from column 0 to t; np.triu keeps the future.",
            lambda *a: _causal(*a, mask=np.triu),
        ),
        Mistake(
            "the scores are not divided by sqrt(K)",
            "q · k / sqrt(K).",
            lambda *a: _causal(*a, scale=lambda K: 1),
        ),
        Mistake(
            "the scores are divided by K",
            "By its square root.",
            lambda *a: _causal(*a, scale=lambda K: 1 / K),
        ),
        Mistake(
            "queries and keys are swapped",
            "q = W_q x asks, k = W_k x answers; row t of the scores belongs to the query of step t.",
            lambda x, W_q, W_k, W_v: _causal(x, W_k, W_q, W_v),
        ),
        Mistake(
            "the mask comes after the softmax",
            "The future has had its share of the sum already. Mask the scores, with -inf.",
            lambda *a: _causal(*a, after=True),
        ),
    ),
    names={"T": "T", "B": "B", "I": "I", "H": "K"},
)

# ---------------------------------------------------------------- a puzzle

_HOURS = 12  # positions on the clock


def _clock(T: int) -> Any:
    """p_t = (cos, sin) of t twelfths of a turn, (T, 2)."""
    angle = 2 * np.pi * np.arange(T) / _HOURS
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _run_look_back(numbers: dict[str, Any], x: Any) -> Trace:
    p, W = _clock(len(x)), numbers["W"].reshape(2, 2)
    weights = softmax(p @ W @ p.T)
    place = weights.argmax(axis=1)
    before = np.array([weights[t, max(t - 1, 0)] for t in range(len(x))])
    inside = {"largest weight at place": place.astype(float), "weight of the place before": before}
    return Trace(weights @ x, inside)


def _want_look_back(x: Any) -> Wanted:
    low, high = np.r_[-np.inf, x[:-1] - 0.05], np.r_[np.inf, x[:-1] + 0.05]
    return Wanted(low, high, ["nothing came before", *(f"{value:g} came before" for value in x[:-1])])


look_back = Puzzle(
    "look_back",
    {"W": ("w11", "w12", "w21", "w22")},
    _run_look_back,
    lambda rng: [rng.integers(0, 2, T).astype(float) for T in (2, 3, 5, 8, 11)],
    _want_look_back,
    lambda value: f"{value:g}",
    "the context",
    "at every step your score looks at the step before, on sequences of up to {longest} steps.",
)
