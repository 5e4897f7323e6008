"""The text of "Pride and Prejudice" (Jane Austen 1813), which stands in the package."""

from __future__ import annotations

import bz2
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

VALIDATION, TEST = "\nChapter 51\n", "\nChapter 56\n"  # where these parts begin
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[^\sa-z]|\n")


class Parts(NamedTuple):
    """The novel in three pieces, in its order."""

    train: str  # chapters 1 to 50
    validation: str  # 51 to 55
    test: str  # 56 to 61


@cache
def story() -> str:
    """The novel, 682 208 characters of 74 kinds: a paragraph a line, a quotation between double quotes.

    Public domain; where it comes from: rnnlit/data/PRIDE.md.
    """
    stored = files("rnnlit").joinpath("data", "pride.txt.bz2").read_bytes()
    return bz2.decompress(stored).decode("ascii")


def parts() -> Parts:
    """The novel, cut before chapters 51 and 56: 80, 10 and 10 percent of its characters."""
    text = story()
    first, second = text.index(VALIDATION) + 1, text.index(TEST) + 1
    return Parts(text[:first], text[first:second], text[second:])


def words(text: str) -> list[str]:
    """The words of a text in small letters, each other sign and each line's end as a word of its own.

    An underscore, which marks italics, is left out.
    """
    return WORD.findall(text.lower().replace("_", ""))


def vocabulary(tokens: Iterable[str], least: int = 1) -> list[str]:
    """The tokens that occur `least` times or more, sorted."""
    counts: dict[str, int] = {}
    for token in tokens:
        counts[token] = counts.get(token, 0) + 1
    return sorted(token for token, count in counts.items() if count >= least)


def inside_quotes(text: str) -> np.ndarray:
    """Whether a quotation is open after each character, (N,) bool.

    A quotation mark opens or closes; a new paragraph closes all. A speech of several paragraphs opens a
    quotation in each of them, and closes it in the last alone.
    """
    marks = np.array([character == '"' for character in text])
    count = np.cumsum(marks)
    ends = np.array([character == "\n" for character in text])
    at = np.where(ends, np.arange(len(text)), -1)
    last = np.maximum.accumulate(at)  # the last line's end so far
    before = np.where(last >= 0, count[last], 0)
    return (count - before) % 2 == 1
