"""Exercises of the page on counting.   T steps, B strings, I inputs, H hidden.

    parities(bits) -> (T, B)                 input_step(params, x, h) -> h
    two_counters, flip: puzzles

params unpack as W_z (H, I), b_z (H,), W_n (H, I), b_n (H,).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit import lstm
from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import with_letters
from rnnlit.exercises.puzzle import Puzzle, Trace, Wanted
from rnnlit.tasks.counting import END, UNASKED, strings
from rnnlit.tasks.counting import input_gate_step as right_step
from rnnlit.tools.functions import sigmoid

# ---------------------------------------------------------------- parity of every prefix


def _parities(bits: Any, *, axis: int = 0) -> Any:
    return np.cumsum(bits, axis=axis) % 2


def _draw_bits(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    read = rng.integers(0, 2, (sizes.T, sizes.B))
    read[0] = 1  # so that the first answer tells something
    return (read,)


parities = Exercise(
    "parities(bits)",
    _parities,
    with_letters(_draw_bits, "TB"),
    {"parity": "T, B"},
    (
        Mistake(
            "the ones are counted, and the remainder is not taken",
            "Odd or even: the count modulo 2.",
            lambda bits: np.cumsum(bits, axis=0),
        ),
        Mistake(
            "each answer comes one step late",
            "The answer at step t counts the bit of step t too.",
            lambda bits: (np.cumsum(bits, axis=0) - bits) % 2,
        ),
        Mistake(
            "the sum runs over the strings",
            "Time is the first axis: cumsum(axis=0).",
            lambda bits: _parities(bits, axis=1),
        ),
        Mistake(
            "only the parity of the whole string is returned",
            "There is an answer after every bit: (T, B).",
            lambda bits: bits.sum(axis=0) % 2,
        ),
        Mistake(
            "1 stands for even",
            "Odd is 1: after a single one the answer is 1.",
            lambda bits: 1 - _parities(bits),
        ),
    ),
)

# ---------------------------------------------------------------- a gate that does not see the state


def _step(
    params: Any,
    x: Any,
    h: Any,
    *,
    squash: Any = sigmoid,
    candidate: Any = lambda n: n,
    keeps: bool = False,
    ungated: bool = False,
    bias: float = 1.0,
) -> Any:
    """A step with a mistake in it, or with none."""
    W_z, b_z, W_n, b_n = params
    z = squash(x @ W_z.T + bias * b_z)
    n = candidate(x @ W_n.T + bias * b_n)
    if keeps:
        z = 1 - z
    return (1 - z) * h + (n if ungated else z * n)


def _draw_step(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    I, H, B = sizes.I, sizes.H, sizes.B
    shapes = (H, I), (H,), (H, I), (H,)
    params = tuple(rng.standard_normal(shape) for shape in shapes)
    return params, rng.standard_normal((B, I)), rng.standard_normal((B, H))


input_step = Exercise(
    "input_step(params, x, h)",
    right_step,
    with_letters(_draw_step, "BIH"),
    {"h": "B, H"},
    (
        Mistake(
            "z and 1 - z are swapped",
            "In minGRU z takes the new: h' = (1 - z) h + z n. (In torch's GRU z keeps the old.)",
            lambda *a: _step(*a, keeps=True),
        ),
        Mistake(
            "the gate is not squashed",
            "z = sigma(...): between 0 and 1.",
            lambda *a: _step(*a, squash=lambda a: a),
        ),
        Mistake(
            "the candidate goes through tanh",
            "minGRU has no tanh: n = W_n x + b_n.",
            lambda *a: _step(*a, candidate=np.tanh),
        ),
        Mistake(
            "the candidate is not multiplied by z",
            "What is taken of the new is z n.",
            lambda *a: _step(*a, ungated=True),
        ),
        Mistake(
            "the biases are missing",
            "Gate and candidate have a bias each, b_z and b_n.",
            lambda *a: _step(*a, bias=0.0),
        ),
        Mistake(
            "the factor of h is 1 - 2 z",
            "That is the signed form, which comes later on the page. Here it is 1 - z.",
            lambda *a: right_step(*a, signed=True),
        ),
    ),
)

# ---------------------------------------------------------------- puzzles

OPEN = 40.0
NEXT = {1: 1.0, 2: 2.0, END: 3.0}  # how the puzzle writes b, c and the end


def _two_units(weights: dict[str, np.ndarray], x: np.ndarray) -> Trace:
    """An LSTM of two units with open gates; the reader sets what the candidates see of a, b and c."""
    weight_ih, bias = np.zeros((8, 3)), np.zeros(8)
    weight_ih[4], weight_ih[5] = weights["unit_1"], weights["unit_2"]
    bias[[0, 1, 2, 3, 6, 7]] = OPEN
    params = lstm.Params(weight_ih, np.zeros((8, 2)), bias, np.zeros(8))
    run = lstm.forward(params, np.eye(3)[x.astype(int)][:, None])
    h_1, h_2 = run.h[:, 0, 0], run.h[:, 0, 1]
    answer = np.where(h_1 > 0.4, 1.0, np.where(h_2 > 0.4, 2.0, 3.0))
    return Trace(answer, {"c of unit 1": run.c[:, 0, 0], "c of unit 2": run.c[:, 0, 1]})


def _two_wanted(x: np.ndarray) -> Wanted:
    n = len(x) // 3
    asked = strings([n], 3).answers[:, 0]
    wanted = np.array([NEXT.get(int(one), 0.0) for one in asked])
    free = asked == UNASKED
    words = {1: "b comes next", 2: "c comes next", END: "the string is at its end"}
    return Wanted(
        np.where(free, -np.inf, wanted),
        np.where(free, np.inf, wanted),
        [words.get(int(one), "nothing is asked") for one in asked],
    )


two_counters = Puzzle(
    "two_counters",
    {"unit_1": ("a", "b", "c"), "unit_2": ("a", "b", "c")},
    _two_units,
    lambda rng: [np.repeat([0.0, 1.0, 2.0], n) for n in (1, 2, 3, 7, 40, 333)],
    _two_wanted,
    lambda value: "abc"[int(value)],
    output="the answer (1: b, 2: c, 3: the end)",
    praise="after every b and c the next letter is known, for strings of up to {longest} letters.",
)


def _signed_unit(weights: dict[str, np.ndarray], x: np.ndarray) -> Trace:
    """One unit of the signed cell; gate and candidate have a weight for the bit and a bias each."""
    W_z, b_z, W_n, b_n = (weights[part][[k]] for part in ("z", "n") for k in (0, 1))
    params = W_z[:, None], b_z, W_n[:, None], b_n
    h, states = np.zeros((1, 1)), []
    for bit in x:
        h = right_step(params, np.full((1, 1), bit), h, signed=True)
        states.append(h[0, 0])
    z = sigmoid(W_z[0] * x + b_z[0])
    return Trace(np.array(states), {"z": z, "n": W_n[0] * x + b_n[0], "1 - 2z": 1 - 2 * z})


def _flip_wanted(x: np.ndarray) -> Wanted:
    ones = np.cumsum(x)
    odd = ones % 2
    return Wanted(odd - 0.1, odd + 0.1, [f"the number of ones is {int(n)}" for n in ones])


flip = Puzzle(
    "flip",
    {"z": ("w_x", "b"), "n": ("w_x", "b")},
    _signed_unit,
    lambda rng: [
        np.array([0.0, 1, 0]),
        np.array([1.0, 1, 0, 1]),
        *(rng.integers(0, 2, T).astype(float) for T in (40, 1000)),
    ],
    _flip_wanted,
    lambda value: f"{value:.0f}",
    praise="h is 1 when the number of ones is odd and 0 when it is even, for up to {longest} bits.",
)
