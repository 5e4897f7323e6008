"""Exercises of the page on terms.   B batch, T steps, H hidden.

    mask(lengths, T) -> (T, B), True where a step is real
    last(h, lengths) -> (B, H), the state after each sequence's own last step, out of h (T, B, H)
    masked_loss(losses, lengths) -> the mean over all steps that are real

lengths (B,) are integers. What stands at the padding may be anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit.exercises.check import Exercise, Mistake
from rnnlit.exercises.draw import Draw, drawn_lengths, normal, with_letters
from rnnlit.tools.sequences import clear_padding


def _with_lengths(draw: Draw, letters: str) -> Draw:
    """A drawer of what another draws, and of lengths."""
    return with_letters(lambda rng, sizes: (*draw(rng, sizes), drawn_lengths(rng, sizes)), letters)


def _within(lengths: Any, T: int) -> Any:
    return np.arange(T)[:, None] < lengths


def _cleared(x: Any, lengths: Any) -> Any:
    x = x.copy()
    clear_padding(lengths, x)
    return x


mask = Exercise(
    "mask(lengths, T)",
    lambda lengths, T: _within(lengths, T),
    with_letters(lambda rng, sizes: (drawn_lengths(rng, sizes), sizes.T), "TB"),
    {"mask": "T, B"},
    (
        Mistake(
            "one step too many is let through",
            "Steps are counted from 0: a sequence of length 3 has the steps 0, 1 and 2, so t < length.",
            lambda lengths, T: np.arange(T)[:, None] <= lengths,
        ),
        Mistake(
            "the mask is the wrong way round",
            "True where the sequence still goes on: t < length.",
            lambda lengths, T: ~_within(lengths, T),
        ),
        Mistake(
            "the mask is batch first",
            "Time comes first in this book: np.arange(T)[:, None] < lengths is (T, B).",
            lambda lengths, T: _within(lengths, T).T,
        ),
        Mistake(
            "the first step is missing",
            "Steps are counted from 0: np.arange(T).",
            lambda lengths, T: _within(lengths, T) & (np.arange(T)[:, None] > 0),
        ),
    ),
)

last = Exercise(
    "last(h, lengths)",
    lambda h, lengths: h[lengths - 1, np.arange(h.shape[1])],
    _with_lengths(normal("TBH"), "TBH"),
    {"h_n": "B, H"},
    (
        Mistake(
            "the last row is taken",
            "A shorter sequence has padding there. Its own last state is that of step lengths[b] - 1.",
            lambda h, lengths: h[-1],
        ),
        Mistake(
            "the step after the last one is taken",
            "Steps are counted from 0: the last one of a sequence of length 3 is step 2.",
            lambda h, lengths: h[np.minimum(lengths, len(h) - 1), np.arange(h.shape[1])],
        ),
        Mistake(
            "the last but one state is taken",
            "Steps are counted from 0: the last one of a sequence of length 3 is step 2.",
            lambda h, lengths: h[np.maximum(lengths - 2, 0), np.arange(h.shape[1])],
        ),
        Mistake(
            "the first state is taken",
            "Here it is the state after each sequence's last step.",
            lambda h, lengths: h[0],
        ),
        Mistake(
            "the mean state is taken",
            "Here it is the last one, not the mean.",
            lambda h, lengths: (_cleared(h, lengths).sum(0) / lengths[:, None]).astype(h.dtype),
        ),
    ),
)

masked_loss = Exercise(
    "masked_loss(losses, lengths)",
    lambda losses, lengths: (losses * _within(lengths, len(losses))).sum() / lengths.sum(),
    _with_lengths(normal("TB"), "TB"),
    {"loss": ""},
    (
        Mistake(
            "the padding is counted",
            "Losses at the padding are no losses: leave them out.",
            lambda losses, lengths: losses.mean(),
        ),
        Mistake(
            "the sum is divided by all T·B steps",
            "Divide by the number of steps that count: lengths.sum().",
            lambda losses, lengths: _cleared(losses, lengths).mean(),
        ),
        Mistake(
            "each sequence counts the same, however long it is",
            "That is the mean of the sequences' means. Here each step counts the same.",
            lambda losses, lengths: (_cleared(losses, lengths).sum(0) / lengths).mean(),
        ),
        Mistake(
            "the losses are summed",
            "Divide by the number of steps that count: lengths.sum().",
            lambda losses, lengths: _cleared(losses, lengths).sum(),
        ),
        Mistake(
            "the sum is divided by the number of sequences",
            "Divide by the number of steps that count: lengths.sum().",
            lambda losses, lengths: _cleared(losses, lengths).sum() / len(lengths),
        ),
    ),
)
