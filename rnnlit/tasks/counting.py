"""Strings to count: a^n b^n, a^n b^n c^n, and bits with their parity.   T steps, B strings, H units.

    a a a b b b      after each b: is another one due, or is the string at its end?
    1 0 1 1 0        after each bit: has the number of ones so far been odd?

Letters are numbers: a is 0, b is 1, c is 2; END, 3, is an answer and never a letter. Beside them stands the
step of a cell whose gate does not see the state, as a NumPy function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnlit.tools.checks import check_rng, check_size
from rnnlit.tools.functions import sigmoid

LETTERS = "abc"
END = 3
UNASKED = -100  # the answer where nothing is asked; torch's cross_entropy leaves it out


class Batch(NamedTuple):
    """B strings side by side, (T, B) int64 each."""

    letters: np.ndarray  # 0 after a string's end
    answers: np.ndarray  # what is right after each letter, UNASKED where nothing is asked


def strings(counts: Sequence[int] | np.ndarray, letters: int = 2) -> Batch:
    """For each count n the string a^n b^n, or with 3 letters a^n b^n c^n, and which letter comes next.

    Nothing is asked at the a's: whether another one comes nobody can know. From the first b on the answer is
    certain; at the end it is END.

    counts: n >= 1 for each of B strings; T = letters times the largest n
    TypeError, ValueError: a count below 1, letters not 2 or 3.
    """
    sizes = [check_size("counts", n) for n in counts]
    if letters not in (2, 3):
        raise ValueError(f"letters: expected 2 or 3, got {letters!r}")
    if not sizes:
        raise ValueError("counts: expected one or more, got none")
    read = np.zeros((letters * max(sizes), len(sizes)), np.int64)
    answers = np.full_like(read, UNASKED)
    for b, n in enumerate(sizes):
        read[: letters * n, b] = np.repeat(np.arange(letters), n)
        answers[n : letters * n - 1, b] = read[n + 1 : letters * n, b]
        answers[letters * n - 1, b] = END
    return Batch(read, answers)


def bits(length: int, size: int, rng: np.random.Generator) -> Batch:
    """Random strings, and after each bit the parity of the ones so far: (x_1 + ... + x_t) mod 2.

    length T and size B  ->  (T, B) each
    """
    T, B = check_size("length", length), check_size("size", size)
    read = check_rng(rng).integers(0, 2, (T, B))
    return Batch(read, read.cumsum(0) % 2)


def input_gate_step(
    params: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    x: np.ndarray,
    h: np.ndarray,
    *,
    signed: bool = False,
) -> np.ndarray:
    """One step of minGRU, whose gate and candidate see the input alone:

        z = sigma(W_z x + b_z)      n = W_n x + b_n      h' = (1 - z) h + z n

    With signed the factor of h is between -1 and 1:     h' = (1 - 2 z) h + z n

    Feng et al. (2024); the second form is what Grazzi et al. (2025) do with Mamba.

    params W_z (H, I), b_z (H,), W_n (H, I), b_n (H,)
    x (B, I), h (B, H)  ->  h' (B, H)
    """
    W_z, b_z, W_n, b_n = params
    z = sigmoid(x @ W_z.T + b_z)
    n = x @ W_n.T + b_n
    keep = 1 - 2 * z if signed else 1 - z
    return keep * h + z * n
