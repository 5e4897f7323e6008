"""Spelling and pronunciation: 18 000 English words from the CMU Pronouncing Dictionary.

A word is spelt with letters and pronounced with phonemes, 39 kinds of them in the dictionary's alphabet
(ARPAbet): "phone" is F OW N. Source, licence and choice: rnnlit/data/CMUDICT.md. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np

PARTS = {"train": 15_000, "validation": 1_000, "test": 2_000}  # words, in the file's order


class Words(NamedTuple):
    """Words and how they are pronounced, one by one."""

    spelling: tuple[str, ...]  # 3 to 12 letters, a to z
    phonemes: tuple[tuple[str, ...], ...]  # without marks of stress


class Dictionary(NamedTuple):
    """The three parts; no word stands in two of them."""

    train: Words  # 15 000
    validation: Words  # 1 000
    test: Words  # 2 000


def pronunciations() -> Dictionary:
    """Read the words, in the file's order, which is as good as random.

    Each has one pronunciation in the dictionary. Many are names, and a test word's relatives, such as its
    plural, may be among the training words.
    """
    source = files("rnnlit").joinpath("data", "cmudict.tsv")
    lines = (line for line in source.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    rows = [line.split("\t") for line in lines]
    parts, start = {}, 0
    for name, count in PARTS.items():
        part = rows[start : start + count]
        parts[name] = Words(tuple(row[0] for row in part), tuple(tuple(row[1].split(" ")) for row in part))
        start += count
    return Dictionary(**parts)


def nearest(word: str, spellings: Sequence[str]) -> int:
    """Which of the spellings is the most alike: the index of the smallest edit distance to the word.

    The distance counts letters to put in, to leave out or to change (Levenshtein). Of equals, the first is
    taken. Reading out the neighbour of an unknown word is a baseline that learns nothing.

    TypeError, ValueError: a word or spelling that is no string, or an empty one; no spellings.
    """
    if len(spellings) == 0:
        raise ValueError("spellings: expected one or more, got none")
    for name, value in [("word", word), *((f"spellings[{k}]", s) for k, s in enumerate(spellings))]:
        if not isinstance(value, str):
            raise TypeError(f"{name}: expected a string, got {type(value).__name__}")
        if not value:
            raise ValueError(f"{name}: expected a letter or more, got an empty string")
    return int(np.argmin(edit_distances(word, spellings)))


def edit_distances(word: str, spellings: Sequence[str]) -> np.ndarray:
    """The Levenshtein distance of a word to each of the spellings: int64 (N,), all at once."""
    lengths = np.array([len(s) for s in spellings])
    letters = np.zeros((lengths.max(), len(spellings)), np.int64)
    for n, s in enumerate(spellings):
        letters[: len(s), n] = [ord(c) for c in s]
    # above[j, n]: the distance of the word's first i letters to the first j letters of spelling n
    above = np.tile(np.arange(len(letters) + 1)[:, None], len(spellings))
    for i, letter in enumerate(word, 1):
        row = np.empty_like(above)
        row[0] = i
        for j in range(1, len(row)):
            change = above[j - 1] + (letters[j - 1] != ord(letter))
            row[j] = np.minimum(np.minimum(above[j], row[j - 1]) + 1, change)
        above = row
    return above[lengths, np.arange(len(spellings))]
