"""Strings of JupyterLab's interface in English, French and Chinese, and how alike two are.   N strings.

Source, licence and cleaning: rnnlit/data/TRANSLATION.md. Nothing is fetched. NumPy only.

Interfaces say almost the same many times: "Close Tab", "Close All Tabs", "Close tab". Cut at random, half of
the strings to test on have such a twin among those to learn from. So strings that are alike stay together:

    similarity  |A ∩ B| / |A ∪ B|, where A and B are the sets of three letters in a row (trigrams) of two
                strings without case, placeholders and punctuation      (Jaccard's index)

Two strings of different parts are never as alike as `ALIKE`.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from rnnlit.tools.checks import check_size

ALIKE = 0.5
LANGUAGES = {"fr": "French", "zh": "Chinese"}
PARTS = ("train", "validation", "test")


class Strings(NamedTuple):
    """Strings and their translations, one by one."""

    en: tuple[str, ...]
    fr: tuple[str, ...]
    zh: tuple[str, ...]


class Interface(NamedTuple):
    """The three parts."""

    train: Strings
    validation: Strings
    test: Strings


@cache
def strings() -> Interface:
    """Read the strings; no string of one part is ALIKE one of another."""
    data = files("rnnlit").joinpath("data", "translation.tsv.gz").read_bytes()
    lines = gzip.decompress(data).decode("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("# ")]
    parts = ([row[1:] for row in rows if row[0] == part] for part in PARTS)
    return Interface(*(Strings(*map(tuple, zip(*part, strict=True))) for part in parts))


def normal(string: str) -> str:
    """Its words, without case, placeholders and punctuation: "Close %1…" is "close"."""
    return " ".join(re.findall(r"[^\W_]+", re.sub(r"%\d", " ", string.lower())))


def trigrams(string: str) -> frozenset[str]:
    """Three letters in a row of " close ", the space at both ends included."""
    framed = f" {normal(string)} "
    return frozenset(framed[k : k + 3] for k in range(max(1, len(framed) - 2)))


def similarity(a: str, b: str) -> float:
    """|A ∩ B| / |A ∪ B|: 1 for strings of the same words, 0 without a common trigram."""
    A, B = trigrams(a), trigrams(b)
    return len(A & B) / len(A | B)


def similarities(one: Sequence[str], other: Sequence[str]) -> np.ndarray:
    """`similarity` of each of `one` with each of `other`: (N, M) float32."""
    number: dict[str, int] = {}
    sets = [[trigrams(string) for string in group] for group in (one, other)]
    for group in sets:
        for grams in group:
            for gram in sorted(grams):
                number.setdefault(gram, len(number))
    marks = [np.zeros((len(group), len(number)), np.float32) for group in sets]
    for mark, group in zip(marks, sets, strict=True):
        for row, grams in zip(mark, group, strict=True):
            row[[number[gram] for gram in grams]] = 1
    common = marks[0] @ marks[1].T  # whole numbers, exact in float32
    sizes = [mark.sum(1) for mark in marks]
    return common / (sizes[0][:, None] + sizes[1] - common)


def groups(english: Sequence[str], alike: float = ALIKE) -> list[list[int]]:
    """Cut strings into groups so that no two of different groups are alike: lists of their indices.

    A string joins all that are alike to it, and these theirs (single linkage).
    """
    linked = similarities(english, english) >= alike
    group = np.full(len(english), -1)
    found: list[list[int]] = []
    for first in range(len(english)):
        if group[first] >= 0:
            continue
        new = np.zeros(len(english), bool)
        new[first] = True
        members = new
        while new.any():
            new = linked[new].any(0) & ~members
            members = members | new
        group[members] = len(found)
        found.append(np.flatnonzero(members).tolist())
    return found


def nearest(wanted: Sequence[str], memory: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A translation memory: which of its strings is most like each wanted one, and how alike: (N,), (N,).

    Of equals, the first is taken. ValueError: an empty memory.
    """
    check_size("len(memory)", len(memory))
    alike = similarities(wanted, memory)
    best = alike.argmax(1)
    return best, alike[np.arange(len(wanted)), best]
