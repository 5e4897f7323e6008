"""Closing brackets: which one closes next?   T steps, B sequences, K kinds of brackets.

    so (she [was considering     a square one closes next, then a round one

Text of "Alice's Adventures in Wonderland" in small letters, with brackets around words at random, one
inside another. At the last character before a bracket closes, the network is asked which one it will
be. To answer, it has to keep the innermost open bracket in its state while other text goes by, and
when that has closed, the one around it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlit.tasks.alice import letters
from rnnlit.tools.checks import check_size

OPENING, CLOSING = "([{", ")]}"
ALPHABET = " abcdefghijklmnopqrstuvwxyz" + OPENING + CLOSING  # its characters are numbered in this order
NOTHING = -1  # the target where nothing is asked
SPACE = ALPHABET.index(" ")
K = len(OPENING)
FIRST = ALPHABET.index(OPENING[0])


class Batch(NamedTuple):
    """B sequences of T characters side by side, (T, B) int64 each."""

    x: np.ndarray  # the characters, 0 to 32: places in ALPHABET
    target: np.ndarray  # which kind closes next, 0 to K-1, if one does; NOTHING elsewhere
    distance: np.ndarray  # how many steps ago it was opened; 0 elsewhere


def texts(share: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """The letters of the story as numbers, (N,) int64: what to train on, and its last `share` to test on."""
    numbers = np.array([ALPHABET.index(letter) for letter in letters()])
    cut = len(numbers) - round(share * len(numbers))
    return numbers[:cut], numbers[cut:]


def draw(
    text: np.ndarray,
    size: int,
    rng: np.random.Generator,
    length: int = 100,
    depth: int = 3,
    often: float = 0.4,
) -> Batch:
    """B = size sequences of T = length characters, from random places of a text (N,).

    Before a word a bracket opens with the probability `often` if fewer than `depth` are open; after a
    word the innermost one closes with that probability if one is open.

    ValueError: a size, length or depth below 1, a text that is not longer than a sequence, often not
    between 0 and 1.
    """
    B, T, depth = check_size("size", size), check_size("length", length), check_size("depth", depth)
    if len(text) <= T:
        raise ValueError(f"text: expected more than the {T} characters of a sequence, got {len(text)}")
    if not 0 < often < 1:
        raise ValueError(f"often: expected a probability between 0 and 1, got {often}")
    x, target, distance = (np.zeros((T + 1, B), dtype=np.int64) for _ in range(3))
    target[:] = NOTHING
    for b in range(B):
        at = int(rng.integers(len(text) - T))
        still_open: list[tuple[int, int]] = []  # (kind, when it opened)
        chance, kinds = rng.random(T + 1), rng.integers(K, size=T + 1)
        for t in range(T + 1):
            before, after = (x[t - 1, b] if t else SPACE), text[at]
            if chance[t] < often and before == SPACE != after and len(still_open) < depth:
                still_open.append((kinds[t], t))
                x[t, b] = FIRST + kinds[t]
            elif chance[t] < often and after == SPACE != before and still_open:
                target[t, b], opened = still_open.pop()
                x[t, b], distance[t, b] = FIRST + K + target[t, b], t - opened
            else:
                x[t, b] = text[at]
                at += 1
    return Batch(x[:-1], target[1:], distance[1:])


def read(x: np.ndarray) -> str:
    """A sequence (T,) as text."""
    return "".join(ALPHABET[k] for k in x)


def last_opened(x: np.ndarray) -> np.ndarray:
    """The guess that the last bracket that opened closes next, closed or not: (T, B) -> (T, B).

    Before the first one it says 0.
    """
    guess, last = np.zeros_like(x), np.zeros(x.shape[1], dtype=np.int64)
    for t, column in enumerate(x):
        opens = (column >= FIRST) & (column < FIRST + K)
        last = np.where(opens, column - FIRST, last)
        guess[t] = last
    return guess


def accuracy(guess: np.ndarray, batch: Batch, edges: tuple[int, ...] = (1, 6, 11, 21, 41, 81)) -> np.ndarray:
    """The share of right answers (len(edges),), by how long ago the bracket opened.

    guess (T, B), 0 to K-1. The n-th share is over the questions with edges[n] <= distance <
    edges[n + 1], the last one over all from edges[-1] on; NaN where there is no question.
    """
    asked = batch.target != NOTHING
    right, distance = (guess == batch.target)[asked], batch.distance[asked]
    groups = np.searchsorted(edges, distance, side="right")
    counts = np.bincount(groups, minlength=len(edges) + 1)[1:]
    hits = np.bincount(groups, weights=right, minlength=len(edges) + 1)[1:]
    with np.errstate(invalid="ignore"):
        return hits / counts
