"""Greedy and beam search, and sampling.   B sequences, N hypotheses, V tokens.

A model is a function `step(tokens, state) -> (log_probabilities, state)`: tokens (N,)
int64, the last token of each hypothesis; log_probabilities (N, V), natural
logarithms; state, whatever the model carries from step to step, a row for each
hypothesis. The search needs NumPy alone; the model may be made of anything.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_size

Step = Callable[[np.ndarray, Any], tuple[Any, Any]]
Select = Callable[[Any, np.ndarray], Any]


class Hypothesis(NamedTuple):
    """One output of a search."""

    tokens: np.ndarray  # (length,) int64, without start and stop
    log_probability: (
        float  # the sum over its tokens, and over the stop if it is finished
    )
    score: float  # log_probability divided by the length penalty: what it is ranked by
    finished: bool  # False: cut off at max_length


def select_rows(state: Any, rows: np.ndarray) -> Any:
    """Rows of each array in `state`: an array, None, a tuple, list or dict of them.

    rows (M,) int64, in any order and as often as wished. A state whose rows are not
    on the first axis needs a function of its own.

    >>> select_rows((np.array([10, 20, 30]), None), np.array([2, 0, 0]))
    (array([30, 10, 10]), None)
    """
    if state is None:
        return None
    if isinstance(state, dict):
        return {name: select_rows(part, rows) for name, part in state.items()}
    if isinstance(state, tuple | list):
        parts = [select_rows(part, rows) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    return state[rows]


def length_normaliser(length: int, alpha: float) -> float:
    """lp = ((5 + length) / (5 + 1))^alpha   (Wu et al. 2016, section 7)

    length counts the tokens that were chosen, the stop among them. 1 if alpha is 0.

    >>> length_normaliser(7, alpha=1.0)
    2.0
    """
    return float(((5 + length) / 6) ** alpha)


def greedy(
    step: Step, state: Any, start: Any, stop: int, max_length: int
) -> list[Hypothesis]:
    """Take the most probable token at every step: one Hypothesis for each sequence.

    state: B rows. start: the token before the first, an integer (then B = 1) or
    integers (B,). stop: the token that ends a sequence. max_length: the largest
    number of steps, that of the stop included. Among equals, the smallest token is
    taken. A sequence that has ended is stepped on with the stop, and what comes is
    not read.

    TypeError, ValueError: an argument that is no token or size; what `step` gave is
    not (N, V), holds NaN or a number above 0, or leaves a row without a possible
    token.

    >>> p = [[1, 0, 0, 0], [0.4, 0.3, 0.3, 0], [0.9, 0.1, 0, 0], [0, 0.6, 0.4, 0]]
    >>> def step(tokens, state):  # a Markov chain: 0 is the stop, 3 the start
    ...     with np.errstate(divide="ignore"):
    ...         return np.log([p[k] for k in tokens]), state
    >>> best = greedy(step, None, start=3, stop=0, max_length=8)[0]
    >>> best.tokens.tolist(), f"{np.exp(best.log_probability):.2f}"  # not the best
    ([1], '0.24')
    """
    last = _starts(start)
    ended, total = np.zeros(len(last), bool), np.zeros(len(last))
    chosen = []
    for _ in range(check_size("max_length", max_length)):
        logs, state = _step(step, last, state, stop, ended)
        token = np.where(ended, stop, logs.argmax(axis=1))
        total += logs[np.arange(len(last)), token]
        ended |= token == stop
        last = token
        chosen.append(token)
        if ended.all():
            break
    paths = np.stack(chosen, axis=1)
    ends = np.where(ended, (paths == stop).argmax(axis=1), paths.shape[1])
    return [
        Hypothesis(
            paths[b, : ends[b]], float(total[b]), float(total[b]), bool(ended[b])
        )
        for b in range(len(last))
    ]


def beam(
    step: Step,
    state: Any,
    start: Any,
    stop: int,
    max_length: int,
    size: int,
    *,
    length_penalty: float = 0.0,
    select: Select = select_rows,
) -> list[list[Hypothesis]]:
    """Keep several hypotheses: `size` for each of the B sequences, best first.

    At each step every hypothesis is extended by every token, and the most probable
    extensions of a sequence stay. One that ends leaves the beam as complete
    (Sutskever et al. 2014, section 3.2), and the beam is one place smaller from then
    on. So the search ends when `size` are complete, or after max_length steps; what
    is then without an end is ranked behind all that have one.

    length_penalty: alpha of `length_normaliser`, at least 0. It ranks the results,
    not what is kept, because all extensions of one step are equally long.
    select(state, rows): the state of the hypotheses `rows` (M,), each from 0 to N-1,
    in this order. N is B at the first step, and B·size at most. The other arguments
    and the errors are those of `greedy`.

    >>> p = [[1, 0, 0, 0], [0.4, 0.3, 0.3, 0], [0.9, 0.1, 0, 0], [0, 0.6, 0.4, 0]]
    >>> def step(tokens, state):  # a Markov chain: 0 is the stop, 3 the start
    ...     with np.errstate(divide="ignore"):
    ...         return np.log([p[k] for k in tokens]), state
    >>> found = beam(step, None, start=3, stop=0, max_length=8, size=2)[0]
    >>> [(h.tokens.tolist(), f"{np.exp(h.log_probability):.2f}") for h in found]
    [([2], '0.36'), ([1], '0.24')]
    """
    last = _starts(start)
    size, max_length = check_size("size", size), check_size("max_length", max_length)
    if not length_penalty >= 0:
        raise ValueError(
            f"length_penalty: expected a number of at least 0, got {length_penalty!r}"
        )
    done: list[list[Hypothesis]] = [[] for _ in last]
    owner, paths, total = (
        np.arange(len(last)),
        np.empty((len(last), 0), np.int64),
        np.zeros(len(last)),
    )
    for length in range(1, max_length + 1):
        logs, state = _step(step, last, state, stop)
        extended = total[:, None] + logs
        row, token = _best(extended, owner, [size - len(ended) for ended in done])
        owner, paths, total = (
            owner[row],
            np.column_stack([paths[row], token]),
            extended[row, token],
        )
        live = (token != stop) & (length < max_length)
        for n in np.flatnonzero(~live):
            finished = bool(token[n] == stop)
            score = float(total[n]) / length_normaliser(length, length_penalty)
            path = paths[n, :-1] if finished else paths[n]
            done[owner[n]].append(Hypothesis(path, float(total[n]), score, finished))
        if not live.any():
            break
        owner, paths, total, last = owner[live], paths[live], total[live], token[live]
        state = select(state, row[live])
    return [sorted(ended, key=lambda h: (not h.finished, -h.score)) for ended in done]


def beam_of_one(
    step: Step, state: Any, start: int, stop: int, max_length: int, size: int
) -> list[Hypothesis]:
    """`beam` for one sequence and without a length penalty, to be read: best first.

        log p(y_1 .. y_i) = log p(y_1 .. y_{i-1}) + log p(y_i | y_1 .. y_{i-1})

    step takes the last token (1,) and a state, and gives log-probabilities (1, V) and
    the new state. What has not ended after max_length steps is left out. Arguments
    are not checked.
    """
    live = [(0.0, [start], state)]
    done: list[Any] = []
    for _ in range(max_length):
        grown = []
        for total, path, old in live:
            logs, new = step(np.array(path[-1:]), old)
            pairs = [(k, log) for k, log in enumerate(logs[0]) if log > -np.inf]
            grown += [(total + log, [*path, k], new) for k, log in pairs]
        best = sorted(grown, key=itemgetter(0), reverse=True)[: size - len(done)]
        done += [h for h in best if h[1][-1] == stop]
        live = [h for h in best if h[1][-1] != stop]
    done.sort(key=itemgetter(0), reverse=True)
    return [Hypothesis(np.array(path[1:-1]), p, p, True) for p, path, _ in done]


def sampling_probabilities(
    logits: Any, temperature: float = 1.0, top_p: float = 1.0
) -> np.ndarray:
    """The probabilities to draw a token from.   logits (V,)  ->  (V,) float64

        p_k = exp(l_k / temperature) / sum
        all but the nucleus becomes 0, and p is divided by its sum again

    The nucleus is the smallest set of the most probable tokens whose probabilities
    sum to top_p or more (Holtzman et al. 2020). Temperature 0 puts all on the most
    probable token.

    >>> logits = np.log([0.5, 0.3, 0.15, 0.05])
    >>> sampling_probabilities(logits, top_p=0.7).round(3).tolist()
    [0.625, 0.375, 0.0, 0.0]
    """
    logits = np.asarray(logits, np.float64)
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    p = np.exp((logits - logits.max()) / temperature)
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    before = np.cumsum(p[order]) - p[order]  # the sum of all that are more probable
    p[order[before >= top_p]] = 0
    return p / p.sum()


def _best(
    extended: np.ndarray, owner: np.ndarray, places: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Row and token of each sequence's best extensions, as many as it has places.

    extended (N, V); owner (N,) the sequence of each row. Of equals, the first is
    taken.
    """
    V = extended.shape[1]
    found = []
    for b in np.unique(owner):
        rows = np.flatnonzero(owner == b)
        flat = extended[rows].reshape(-1)
        best = np.argsort(-flat, kind="stable")[: places[b]]
        best = best[flat[best] > -np.inf]
        found.append((rows[best // V], best % V))
    row, token = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return row, token


def _starts(start: Any) -> np.ndarray:
    """The start tokens as an int64 array (B,)."""
    tokens = np.atleast_1d(np.asarray(start))
    if tokens.dtype.kind not in "iu":
        raise TypeError(
            f"start: expected an integer or integers (B,), got {tokens.dtype}"
        )
    if tokens.ndim != 1 or not len(tokens):
        raise ValueError(
            f"start: expected an integer or integers (B,), got shape {tokens.shape}"
        )
    return tokens.astype(np.int64)


def _step(
    step: Step, tokens: np.ndarray, state: Any, stop: Any, unread: Any = ()
) -> tuple[np.ndarray, Any]:
    """Call `step` and check what it gives: float64, with 0 in the rows `unread`."""
    logs, state = step(tokens, state)
    logs = np.array(logs, np.float64)
    if logs.ndim != 2 or len(logs) != len(tokens):
        raise ValueError(
            f"step: expected log-probabilities ({len(tokens)}, V), got {logs.shape}"
        )
    if isinstance(stop, bool) or not isinstance(stop, int | np.integer):
        raise TypeError(f"stop: expected an integer, got {stop!r}")
    if not 0 <= stop < logs.shape[1]:
        raise ValueError(
            f"stop: expected a token from 0 to {logs.shape[1] - 1}, got {stop}"
        )
    if len(unread):
        logs[unread] = 0.0
    if not logs.max() <= 1e-3:  # NaN too; rounding may leave a little above 0
        raise ValueError(
            f"step: expected log-probabilities, 0 at most, got {logs.max()}"
        )
    if np.isneginf(logs.max(axis=1)).any():
        raise ValueError(
            "step: expected a possible token in every row, got a row of -inf"
        )
    return logs, state
