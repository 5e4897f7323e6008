"""Exercises of the page on learning to execute.   T steps, B programs, K difficulties.

    asked(chars, begins) -> write (T-1, B), what is to be written after each step
    teacher(guess, write) -> the share of right characters
    exact(guess, write) -> the share of right answers
    mixture(at, K) -> p (K,), how often `combined` draws each difficulty

chars (T, B) are programs with their answers, as numbers, 0 after the end of each; begins (B,), the steps at
which "@" is read. In write stands -100 where nothing is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import with_letters

IGNORE = -100


def _chars(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Columns of random characters with an end, and the steps at which their answers begin."""
    T, B = sizes.T + 5, sizes.B
    chars, begins = rng.integers(1, 13, (T, B)), rng.integers(1, 3, B)
    ends = begins + 1 + rng.integers(1, T - begins - 1)
    ends[0] = T - 2  # one of them is padded
    chars[np.arange(T)[:, None] > ends] = 0
    return chars, begins


def _guesses(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Guesses that are mostly right, and what was to be written: two characters at least in each column."""
    T, B = sizes.T + 4, sizes.B + 3
    write = rng.integers(0, 12, (T, B))
    steps = np.arange(T)[:, None]
    begins, ends = rng.integers(1, 3, B), T - rng.integers(0, 2, B)
    guess = np.where(rng.random((T, B)) < 0.25, (write + 1) % 12, write)
    guess[:, 0] = write[:, 0]  # one answer is right, one has a mistake at its end
    guess[ends[1] - 1, 1] = (write[ends[1] - 1, 1] + 1) % 12
    return guess, np.where((steps >= begins) & (steps < ends), write, IGNORE)


def _asked(chars: Any, begins: Any) -> Any:
    steps = np.arange(len(chars) - 1)[:, None]
    return np.where((steps >= begins) & (chars[1:] != 0), chars[1:], IGNORE)


asked = Exercise(
    "asked(chars, begins)",
    _asked,
    with_letters(_chars, "TB"),
    {"write": "T-1, B"},
    (
        Mistake(
            "the program is asked for too",
            "Before @ is read there is nothing to be written: -100 where the step is smaller than begins.",
            lambda chars, begins: np.where(chars[1:] != 0, chars[1:], IGNORE),
        ),
        Mistake(
            "the padding is asked for",
            "After the full stop of an answer come zeros: -100 there too.",
            lambda chars, begins: np.where(np.arange(len(chars) - 1)[:, None] >= begins, chars[1:], IGNORE),
        ),
        Mistake(
            "the first character of the answer is not asked for",
            "It is to be written when @ is read, at the step begins itself: >=, not >.",
            lambda chars, begins: np.where(
                (np.arange(len(chars) - 1)[:, None] > begins) & (chars[1:] != 0), chars[1:], IGNORE
            ),
        ),
        Mistake(
            "it is to write what it reads",
            "At step t the character of step t + 1 is asked for: chars[1:], not chars[:-1].",
            lambda chars, begins: np.where(
                (np.arange(len(chars) - 1)[:, None] >= begins) & (chars[1:] != 0), chars[:-1], IGNORE
            ),
        ),
    ),
)


def _teacher(guess: Any, write: Any) -> Any:
    return (guess == write)[write != IGNORE].mean()


teacher = Exercise(
    "teacher(guess, write)",
    _teacher,
    with_letters(_guesses, ""),
    {"share": ""},
    (
        Mistake(
            "places where nothing is asked count as wrong",
            "Divide by the number of characters that are asked for, not by T B.",
            lambda guess, write: (guess == write).mean(),
        ),
        Mistake(
            "places where nothing is asked count as right",
            "Take the asked characters alone: write != -100.",
            lambda guess, write: ((guess == write) | (write == IGNORE)).mean(),
        ),
        Mistake(
            "each program counts alike, however long its answer is",
            "All characters go into one mean. The mean of the programs' shares is another number.",
            lambda guess, write: ((guess == write).sum(0) / (write != IGNORE).sum(0)).mean(),
        ),
    ),
)


def _exact(guess: Any, write: Any) -> Any:
    return ((guess == write) | (write == IGNORE)).all(axis=0).mean()


exact = Exercise(
    "exact(guess, write)",
    _exact,
    with_letters(_guesses, ""),
    {"share": ""},
    (
        Mistake(
            "the share of characters",
            "An answer is right if all of its characters are: .all(axis=0), one truth for each program.",
            _teacher,
        ),
        Mistake(
            "places where nothing is asked have to be right too",
            "Where write is -100 anything will do: (guess == write) | (write == -100).",
            lambda guess, write: (guess == write).all(axis=0).mean(),
        ),
        Mistake(
            "one right character is enough",
            "An answer with one wrong digit is wrong: .all(axis=0), not .any(axis=0).",
            lambda guess, write: (guess == write).any(axis=0).mean(),
        ),
        Mistake(
            "only the last place counts",
            "All characters of an answer have to be right, not only those of the last step.",
            lambda guess, write: ((guess == write) | (write == IGNORE))[-1].mean(),
        ),
    ),
)


def _mixture(at: Any, K: Any) -> Any:
    p = np.full(K, 0.2 / K)
    p[at] += 0.8
    return p


mixture = Exercise(
    "mixture(at, K)",
    _mixture,
    with_letters(lambda rng, sizes: (int(rng.integers(0, sizes.H + 1)), sizes.H + 1), ""),
    {"p": "K"},
    (
        Mistake(
            "the present difficulty is drawn by naive alone",
            "It may come from the mix too: 0.8 + 0.2 / K. The shares have to add up to 1.",
            lambda at, K: np.where(np.arange(K) == at, 0.8, 0.2 / K),
        ),
        Mistake(
            "the mix leaves the present difficulty out",
            "The mix draws all K difficulties alike: 0.2 / K each, the present one included.",
            lambda at, K: np.where(np.arange(K) == at, 0.8, 0.2 / (K - 1)),
        ),
        Mistake(
            "the two shares are exchanged",
            "One program in five comes from the mix, four from the present difficulty.",
            lambda at, K: np.full(K, 0.8 / K) + 0.2 * (np.arange(K) == at),
        ),
        Mistake(
            "only easier difficulties are mixed in",
            "The mix goes over all difficulties, the harder ones too.",
            lambda at, K: np.where(np.arange(K) <= at, 0.2 / (at + 1), 0.0) + 0.8 * (np.arange(K) == at),
        ),
    ),
)
