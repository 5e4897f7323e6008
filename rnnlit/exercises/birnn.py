"""Exercises of the chapter on bidirectional networks.   T steps, B batch, I inputs, H hidden;   K states.

    flip(x, lengths) -> turned                  forward(f, r, x, lengths) -> h (T, B, 2H)
    last_states(h, lengths) -> h_n (B, 2H)      mean_pool(h, lengths) -> mean (B, H)
    backward(f, r, x, lengths, dh) -> dx        filter_step(p, A, e) -> p_next (B, K)
    smooth(p, A, e) -> g (T, B, K)              viterbi(start, A, e) -> path (T, B)

f and r are `rnn.Params` of the forward and the reverse chain; brackets is a puzzle. A (K, K) holds
P(z_{t+1} = k | z_t = j), j the row; e is the probability of what is seen in each state, E[k, x_t].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlit import birnn, rnn
from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import drawn_lengths, normal, with_letters, with_params
from rnnlit.exercises.puzzle import Puzzle, Trace, Wanted


def _padding(h: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.arange(len(h))[:, None] >= lengths


# ---------------------------------------------------------------- turn a padded batch


def _draw_flip(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return (*normal("TBI")(rng, sizes), drawn_lengths(rng, sizes))


def _flip_and_clear(x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    turned = birnn.flip(x, lengths).copy()
    turned[_padding(x, lengths)] = 0
    return turned


flip = Exercise(
    "flip(x, lengths)",
    birnn.flip,
    with_letters(_draw_flip, "TBI"),
    {"turned": "T, B, I"},
    (
        Mistake(
            "the padding is turned to the front",
            "x[::-1] turns all T steps. Turn each from its own end: step t < n comes from step n - 1 - t.",
            lambda x, lengths: x[::-1],
        ),
        Mistake(
            "the batch is turned, and not the time",
            "Time is the first axis: x has the shape (T, B, I).",
            lambda x, lengths: x[:, ::-1],
        ),
        Mistake(
            "the inputs are turned, and not the time",
            "Time is the first axis: x has the shape (T, B, I).",
            lambda x, lengths: x[..., ::-1],
        ),
        Mistake(
            "the padding is set to zero",
            "What stands after a sequence's end stays where it is, so that turning twice gives x back.",
            _flip_and_clear,
        ),
        Mistake(
            "all sequences are turned at the shortest one's end",
            "Each sequence has its own length: compare t (T, 1) with lengths (B,).",
            lambda x, lengths: birnn.flip(x, np.full_like(lengths, lengths.min())),
        ),
    ),
)

# ---------------------------------------------------------------- both chains


def _draw_chains(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    f, x = with_params(rnn.Params, 1, "TBI")(rng, sizes)
    (r,) = with_params(rnn.Params, 1)(rng, sizes)
    return f, r, x, drawn_lengths(rng, sizes)


def _whole(x: np.ndarray, lengths: Any = None) -> np.ndarray:
    return x[::-1].copy()


def _same(x: np.ndarray, lengths: Any = None) -> np.ndarray:
    return x


def _chains(
    f: Any,
    r: Any,
    x: np.ndarray,
    lengths: Any,
    *,
    turn: Callable[..., np.ndarray] = birnn.flip,
    turn_back: Callable[..., np.ndarray] = birnn.flip,
    masked: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """The states of both chains, with a mistake in them or with none."""
    n = lengths if masked else None
    ahead = rnn.forward(f, x, lengths=n).h
    back = rnn.forward(r, np.ascontiguousarray(turn(x, lengths)), lengths=n).h
    return ahead, turn_back(back, lengths)


def _joined(*a: Any, **options: Any) -> np.ndarray:
    return np.concatenate(_chains(*a, **options), axis=2)


forward = Exercise(
    "forward(f, r, x, lengths)",
    lambda f, r, x, lengths: birnn.forward(rnn, birnn.Params(f, r), x, lengths).h,
    with_letters(_draw_chains, "TBIH"),
    {"h": "T, B, 2H"},
    (
        Mistake(
            "the reverse states are not turned back",
            "They come out last step first. Turn them with flip before they stand beside the others.",
            lambda *a: _joined(*a, turn_back=_same),
        ),
        Mistake(
            "the reverse chain reads from left to right",
            "It reads flip(x, lengths), so that it begins at the end.",
            lambda *a: _joined(*a, turn=_same, turn_back=_same),
        ),
        Mistake(
            "the input is not turned, but the states are",
            "Both: flip the input, run the chain, flip its states back.",
            lambda *a: _joined(*a, turn=_same),
        ),
        Mistake(
            "the padding is turned to the front",
            "x[::-1] lets the reverse chain read the padding first. Turn with flip(x, lengths), and back.",
            lambda *a: (
                _joined(*a, turn=_whole, turn_back=_whole, masked=False) * ~_padding(a[2], a[3])[..., None]
            ),
        ),
        Mistake(
            "everything is turned with [::-1], without lengths",
            "A short sequence begins with its padding then. Turn each one from its own end.",
            lambda *a: _joined(*a, turn=_whole, turn_back=_whole, masked=False),
        ),
        Mistake(
            "the states in the padding are not zero",
            "Give the lengths to rnn.forward as well: rnn.forward(f, x, lengths=lengths).",
            lambda *a: _joined(*a, masked=False),
        ),
        Mistake(
            "both chains have the weights of the forward one",
            "The reverse chain has weights of its own: r.",
            lambda f, r, x, lengths: _joined(f, f, x, lengths),
        ),
        Mistake(
            "the chains have each other's weights",
            "f belongs to the chain that begins at the first step.",
            lambda f, r, x, lengths: _joined(r, f, x, lengths),
        ),
        Mistake(
            "the halves stand in the wrong order",
            "The forward half comes first: [h^f; h^r].",
            lambda *a: np.concatenate(_chains(*a)[::-1], axis=2),
        ),
        Mistake(
            "the halves are added, and not set side by side",
            "That is one way to join them. Here they are concatenated: (T, B, 2H).",
            lambda *a: np.add(*_chains(*a)),
        ),
    ),
)


def _draw_backward(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    dh = rng.standard_normal((sizes.T, sizes.B, 2 * sizes.H))
    return (*_draw_chains(rng, sizes), dh)


def _backward(
    f: Any,
    r: Any,
    x: np.ndarray,
    lengths: Any,
    dh: np.ndarray,
    *,
    turn: Callable[..., np.ndarray] = birnn.flip,
    turn_back: Callable[..., np.ndarray] = birnn.flip,
    order: int = 1,
    weights: tuple[int, int] = (1, 1),
) -> np.ndarray:
    """dx, with a mistake in it or with none."""
    dh_f, dh_r = np.split(dh, 2, axis=2)[::order]
    turned = np.ascontiguousarray(birnn.flip(x, lengths))
    ahead = rnn.backward(f, rnn.forward(f, x, lengths=lengths), dh=dh_f)
    back = rnn.backward(r, rnn.forward(r, turned, lengths=lengths), dh=turn(dh_r, lengths))
    return weights[0] * ahead.x + weights[1] * turn_back(back.x, lengths)


backward = Exercise(
    "backward(f, r, x, lengths, dh)",
    _backward,
    with_letters(_draw_backward, "TBIH"),
    {"dx": "T, B, I"},
    (
        Mistake(
            "the reverse chain's dh is not turned",
            "That chain ran on the turned input, so its half of dh is turned as well before it goes in.",
            lambda *a: _backward(*a, turn=_same),
        ),
        Mistake(
            "the reverse chain's dx is not turned back",
            "It belongs to the turned input. Flip it before you add it.",
            lambda *a: _backward(*a, turn_back=_same),
        ),
        Mistake(
            "nothing is turned",
            "Turn the reverse half of dh, and turn the dx that comes out of it.",
            lambda *a: _backward(*a, turn=_same, turn_back=_same),
        ),
        Mistake(
            "only the forward chain's gradient arrives",
            "Both chains read x, so both send a gradient: dx = dx^f + dx^r.",
            lambda *a: _backward(*a, weights=(1, 0)),
        ),
        Mistake(
            "only the reverse chain's gradient arrives",
            "Both chains read x, so both send a gradient: dx = dx^f + dx^r.",
            lambda *a: _backward(*a, weights=(0, 1)),
        ),
        Mistake(
            "the halves of dh are exchanged",
            "The first H numbers of dh belong to the forward chain.",
            lambda *a: _backward(*a, order=-1),
        ),
    ),
)

# ---------------------------------------------------------------- one answer for a whole sequence


def _draw_states(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    lengths = drawn_lengths(rng, sizes)
    h = rng.standard_normal((sizes.T, sizes.B, 2 * sizes.H))
    h[_padding(h, lengths)] = 0
    return h, lengths


def _rows(h: np.ndarray, forward_row: Any, reverse_row: Any) -> np.ndarray:
    """The forward half of one row and the reverse half of another, for each sequence."""
    H, b = h.shape[2] // 2, np.arange(h.shape[1])
    rows = (np.broadcast_to(row, b.shape) for row in (forward_row, reverse_row))
    first, second = rows
    return np.concatenate([h[first, b, :H], h[second, b, H:]], axis=1)


last_states = Exercise(
    "last_states(h, lengths)",
    lambda h, lengths: _rows(h, lengths - 1, 0),
    with_letters(_draw_states, "TBH"),
    {"h_n": "B, 2H"},
    (
        Mistake(
            "both halves are read at the last row, output[-1]",
            "The reverse chain begins there, and a short sequence has ended before. Read the forward half at "
            "n - 1, and the reverse half at 0.",
            lambda h, lengths: h[-1],
        ),
        Mistake(
            "both halves are read at each sequence's last step",
            "The reverse chain ends at the first step: its half stands in row 0.",
            lambda h, lengths: _rows(h, lengths - 1, lengths - 1),
        ),
        Mistake(
            "the forward half is read at the padding",
            "Row T - 1 is right for a sequence without padding. Of a short one, read row n - 1.",
            lambda h, lengths: _rows(h, len(h) - 1, 0),
        ),
        Mistake(
            "both halves are read at the first row",
            "That is where the reverse chain ends. The forward chain ends at each sequence's own last step.",
            lambda h, lengths: h[0],
        ),
        Mistake(
            "the halves are exchanged",
            "The first H numbers belong to the forward chain.",
            lambda h, lengths: np.roll(_rows(h, lengths - 1, 0), h.shape[2] // 2, axis=1),
        ),
    ),
)


def _draw_pool(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return (*normal("TBH")(rng, sizes), drawn_lengths(rng, sizes))


def _sum(h: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return (h * ~_padding(h, lengths)[..., None]).sum(0)


mean_pool = Exercise(
    "mean_pool(h, lengths)",
    lambda h, lengths: _sum(h, lengths) / lengths[:, None].astype(h.dtype),
    with_letters(_draw_pool, "TBH"),
    {"mean": "B, H"},
    (
        Mistake(
            "the padding is averaged too",
            "Count the real steps alone: those with t < lengths.",
            lambda h, lengths: h.mean(0),
        ),
        Mistake(
            "the sum is divided by T",
            "Divide by each sequence's own length.",
            lambda h, lengths: _sum(h, lengths) / len(h),
        ),
        Mistake("the sum is not divided", "A mean is the sum over the length.", _sum),
        Mistake(
            "the sum over all steps, padding too, is divided by the length",
            "Leave the padding out of the sum as well.",
            lambda h, lengths: h.sum(0) / lengths[:, None],
        ),
        Mistake(
            "the largest number is taken, and not the mean",
            "That is max pooling, which is used as well. Here the mean is asked for.",
            lambda h, lengths: np.where(_padding(h, lengths)[..., None], -np.inf, h).max(0),
        ),
    ),
)

# ---------------------------------------------------------------- the hidden Markov model


def _rows_of(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Distributions over the last axis."""
    p = rng.uniform(0.05, 1, shape)
    return p / p.sum(-1, keepdims=True)


def _draw_filter(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    B, K = sizes.B, sizes.H
    return _rows_of(rng, B, K), _rows_of(rng, K, K), rng.uniform(0.05, 1, (B, K))


def _divided(p: np.ndarray) -> np.ndarray:
    return p / p.sum(-1, keepdims=True)


filter_step = Exercise(
    "filter_step(p, A, e)",
    lambda p, A, e: _divided(e * (p @ A)),
    with_letters(_draw_filter, "BH"),
    {"p_next": "B, K"},
    (
        Mistake(
            "the result does not sum to 1",
            "Divide by the sum over the states.",
            lambda p, A, e: e * (p @ A),
        ),
        Mistake(
            "A is used the wrong way round",
            "A[j, k] leads from j, the row, to k: sum_j p(j) A[j, k] is p @ A.",
            lambda p, A, e: _divided(e * (p @ A.T)),
        ),
        Mistake(
            "what is seen is weighed before the step, and not after it",
            "e belongs to the new state: e(k) sum_j p(j) A[j, k].",
            lambda p, A, e: _divided((e * p) @ A),
        ),
        Mistake(
            "what is seen is not used",
            "Multiply by e(k), the probability of the new symbol in state k.",
            lambda p, A, e: _divided(p @ A),
        ),
        Mistake(
            "the walk is left out",
            "Before the new symbol is weighed, the walker makes a step: sum_j p(j) A[j, k].",
            lambda p, A, e: _divided(e * p),
        ),
        Mistake(
            "the batch is divided by its sum, and not each sequence",
            "Sum over the last axis, the states: sum(axis=1, keepdims=True).",
            lambda p, A, e: e * (p @ A) / (e * (p @ A)).sum(),
        ),
    ),
)


def _draw_smooth(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    T, B, K = sizes.T, sizes.B, sizes.H
    return _rows_of(rng, T, B, K), _rows_of(rng, K, K), rng.uniform(0.05, 1, (T, B, K))


def _later(A: np.ndarray, e: np.ndarray, *, seen: bool = True, shift: int = 1) -> np.ndarray:
    """beta, with a mistake in it or with none."""
    beta = np.ones_like(e)
    for t in reversed(range(len(e) - 1)):
        beta[t] = (e[t + shift] * beta[t + 1] if seen else beta[t + 1]) @ A.T
    return beta


smooth = Exercise(
    "smooth(p, A, e)",
    lambda p, A, e: _divided(p * _later(A, e)),
    with_letters(_draw_smooth, "TBH"),
    {"g": "T, B, K"},
    (
        Mistake(
            "what is seen is missing in beta",
            "beta_t(j) = sum_k A[j, k] e_{t+1}(k) beta_{t+1}(k). Without e, beta stays 1.",
            lambda p, A, e: _divided(p * _later(A, e, seen=False)),
        ),
        Mistake(
            "beta weighs the symbol of its own step",
            "p_t knows x_t already. beta_t begins with the next one: e_{t+1}.",
            lambda p, A, e: _divided(p * _later(A, e, shift=0)),
        ),
        Mistake(
            "A is used the wrong way round",
            "beta goes back along the arrows: sum_k A[j, k] (...)(k) is (...) @ A.T.",
            lambda p, A, e: _divided(p * _later(A.T, e)),
        ),
        Mistake(
            "the result does not sum to 1",
            "Divide by the sum over the states, at each step.",
            lambda p, A, e: p * _later(A, e),
        ),
        Mistake(
            "only beta is returned",
            "Both sides count: p_t(k) beta_t(k).",
            lambda p, A, e: _divided(_later(A, e)),
        ),
        Mistake(
            "p and beta are added",
            "The past and the future are multiplied: given the state, they are independent.",
            lambda p, A, e: _divided(p + _later(A, e)),
        ),
        Mistake(
            "e_t is multiplied in once more",
            "p_t knows x_t already.",
            lambda p, A, e: _divided(e * p * _later(A, e)),
        ),
    ),
)


def _draw_viterbi(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    T, B, K = sizes.T, sizes.B, sizes.H
    return _rows_of(rng, K), _rows_of(rng, K, K), rng.uniform(0.05, 1, (T, B, K))


def _viterbi(start: np.ndarray, A: np.ndarray, e: np.ndarray, *, go_back: bool = True) -> np.ndarray:
    v, ways = start * e[0], []
    best = [v.argmax(1)]
    for seen in e[1:]:
        reach = v[:, :, None] * A
        ways.append(reach.argmax(1))
        v = reach.max(1) * seen
        best.append(v.argmax(1))
    if not go_back:
        return np.stack(best)
    path = [best[-1]]
    for way in reversed(ways):
        path.insert(0, way[np.arange(len(v)), path[0]])
    return np.stack(path)


def _greedy(start: np.ndarray, A: np.ndarray, e: np.ndarray) -> np.ndarray:
    path = [(start * e[0]).argmax(1)]
    for seen in e[1:]:
        path.append((A[path[-1]] * seen).argmax(1))
    return np.stack(path)


def _filtered(start: np.ndarray, A: np.ndarray, e: np.ndarray) -> np.ndarray:
    p = [_divided(start * e[0])]
    for seen in e[1:]:
        p.append(_divided(seen * (p[-1] @ A)))
    return np.stack(p)


viterbi = Exercise(
    "viterbi(start, A, e)",
    _viterbi,
    with_letters(_draw_viterbi, "TBH"),
    {"path": "T, B"},
    (
        Mistake(
            "each step names the end of its own best path",
            "Remember at each step where each state came from. Choose at the last step, and go back.",
            lambda *a: _viterbi(*a, go_back=False),
        ),
        Mistake(
            "the next state is chosen before the future is known",
            "That is the greedy path. Keep the best way to each of the K states, and choose at the end.",
            _greedy,
        ),
        Mistake(
            "each state is the most probable one given the past",
            "That is filtering: each step by itself. Here one path as a whole is asked for.",
            lambda *a: _filtered(*a).argmax(2),
        ),
        Mistake(
            "each state is the most probable one given both sides",
            "That is smoothing: the best state at each step. Side by side they need not be a possible path.",
            lambda start, A, e: (_filtered(start, A, e) * _later(A, e)).argmax(2),
        ),
        Mistake(
            "the moves are left out",
            "What is seen is not all: a path also pays for each move, A[j, k].",
            lambda start, A, e: e.argmax(2),
        ),
        Mistake(
            "the path comes out last step first",
            "Going back, put each state before those that you have.",
            lambda *a: _viterbi(*a)[::-1],
        ),
    ),
)

# ---------------------------------------------------------------- a puzzle


def _run(weights: dict[str, np.ndarray], x: np.ndarray) -> Trace:
    """Two units, one a direction:  h = tanh(w_open [x opens] + w_close [x closes] + u h_before + b)."""
    ways = []
    for name, sequence in (("forward", x), ("reverse", x[::-1])):
        (w_open, w_close, u, b), h, states = weights[name], 0.0, []
        for symbol in sequence:
            h = float(np.tanh(w_open * (symbol > 0) + w_close * (symbol < 0) + u * h + b))
            states.append(h)
        ways.append(np.array(states))
    h_f, h_r = ways[0], ways[1][::-1]
    v_f, v_r, c = weights["output"]
    return Trace(v_f * h_f + v_r * h_r + c, {"h_f": h_f, "h_r": h_r})


def _sequences(rng: np.random.Generator) -> list[np.ndarray]:
    texts = ["[.]", ".[.].", "..", "[..", "..]", "].[", ".]..[.", "[.].[..]", "..[..].."]
    first = [np.array([{"[": 1.0, "]": -1.0, ".": 0.0}[one] for one in text]) for text in texts]
    return first + [rng.choice([1.0, -1.0] + [0.0] * 8, size=size) for size in (20, 50, 200)]


def _wanted(x: np.ndarray) -> Wanted:
    opened = np.cumsum(x > 0) > 0
    closes = np.cumsum((x < 0)[::-1])[::-1] > 0
    inside = opened & closes
    words = {
        (True, True): "a [ stands here or before, a ] here or after",
        (True, False): "no ] stands here or after",
        (False, True): "no [ stands here or before",
        (False, False): "neither a [ before nor a ] after",
    }
    why = [words[bool(a), bool(b)] for a, b in zip(opened, closes, strict=True)]
    return Wanted(np.where(inside, 0.5, -np.inf), np.where(inside, np.inf, -0.5), why)


brackets = Puzzle(
    "brackets",
    {
        "forward": ("w_open", "w_close", "u", "b"),
        "reverse": ("w_open", "w_close", "u", "b"),
        "output": ("v_f", "v_r", "c"),
    },
    _run,
    _sequences,
    _wanted,
    lambda value: "[" if value > 0 else "]" if value < 0 else ".",
    output="y",
    praise="two units, one in each direction, mark what stands between brackets, up to {longest} steps.",
)
