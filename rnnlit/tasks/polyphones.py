"""Chinese characters with several readings, in phrases from a dictionary.

T steps, B phrases, C characters, K classes; a class is a character with one of its readings.

Which reading is meant, the neighbours tell: 重 is zhòng in 重要, important, and chóng in 重复, to repeat.
The phrases come from the Python package pypinyin (MIT): rnnlit/data/POLYPHONES.md. Nothing is fetched.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_size

UNASKED = -1


class Polyphones(NamedTuple):
    """The phrases and what is asked about them."""

    phrases: tuple[str, ...]
    pinyin: tuple[tuple[str, ...], ...]  # a reading for each character of each phrase
    readings: dict[str, tuple[str, ...]]  # of each asked character, the most frequent first
    characters: str  # all that occur, by their number; number 0 is no character, but the padding
    classes: tuple[tuple[str, str], ...]  # (character, reading)


class Batch(NamedTuple):
    """A padded batch of phrases, time first."""

    x: np.ndarray  # (T, B) int64, the characters' numbers, 0 after a phrase's end
    y: np.ndarray  # (T, B) int64, the class, or -1 where nothing is asked
    lengths: np.ndarray  # (B,) int64


def polyphones() -> Polyphones:
    """Read the 19,264 phrases with one or more of 135 asked characters, which have 274 readings in all.

    A phrase holds 2 to 10 characters and stands here once. Source, licence and choice: POLYPHONES.md.
    """
    source = files("rnnlit").joinpath("data", "polyphones.tsv")
    rows = [line.split("\t") for line in source.read_text(encoding="utf-8").splitlines()]
    readings = {row[1]: tuple(row[2].split(" ")) for row in rows if row[0] == "#"}
    phrases = tuple(row[0] for row in rows if row[0] != "#")
    pinyin = tuple(tuple(row[1].split(" ")) for row in rows if row[0] != "#")
    characters = "\0" + "".join(sorted(set("".join(phrases))))
    classes = tuple((character, reading) for character in readings for reading in readings[character])
    return Polyphones(phrases, pinyin, readings, characters, classes)


def candidates(table: Polyphones) -> np.ndarray:
    """Which classes a character can have: (C, K) bool, one or more in the row of an asked character."""
    return np.array([[c == character for c, _ in table.classes] for character in table.characters])


def encode(table: Polyphones, index: Sequence[int] | np.ndarray) -> Batch:
    """The phrases with these numbers as arrays, padded to the longest of them.

    ValueError: no index.  IndexError: an index beyond the phrases.
    """
    if len(index) == 0:
        raise ValueError("index: expected the number of one phrase or more, got none")
    number = {character: k for k, character in enumerate(table.characters)}
    label = {pair: k for k, pair in enumerate(table.classes)}
    lengths = np.array([len(table.phrases[b]) for b in index])
    x = np.zeros((lengths.max(), len(index)), np.int64)
    y = np.full_like(x, UNASKED)
    for column, b in enumerate(index):
        for t, pair in enumerate(zip(table.phrases[b], table.pinyin[b], strict=True)):
            x[t, column], y[t, column] = number[pair[0]], label.get(pair, UNASKED)
    return Batch(x, y, lengths)


def draw(batch: Batch, size: int, rng: np.random.Generator) -> Batch:
    """Draw `size` of the phrases, none twice, cut to the longest.   ValueError: more than there are."""
    size = check_size("size", size)
    if size > len(batch.lengths):
        raise ValueError(f"size: expected at most {len(batch.lengths)}, the phrases there are, got {size}")
    chosen = rng.choice(len(batch.lengths), size, replace=False)
    lengths = batch.lengths[chosen]
    return Batch(batch.x[: lengths.max(), chosen], batch.y[: lengths.max(), chosen], lengths)


def split(
    phrases: Sequence[str], share: float, rng: np.random.Generator, *, strict: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share of the phrases: the numbers of those to train on, and of those to test on.

    strict: leave out of training each phrase that lies within a held-out one or around it. With 重要 held
        out, 重要性 would give the answer away.
    ValueError: a share that leaves nothing to train on or nothing to test on.
    """
    count = round(share * len(phrases))
    if not 0 < count < len(phrases):
        raise ValueError(f"share: expected one that leaves phrases on both sides, got {share}")
    order = rng.permutation(len(phrases))
    test, train = order[:count], order[count:]
    if strict:
        held_out = {phrases[b] for b in test}
        inside = {part for phrase in held_out for part in _parts(phrase)}
        train = np.array(
            [b for b in train if phrases[b] not in inside and held_out.isdisjoint(_parts(phrases[b]))], int
        )
    return train, test


def _parts(phrase: str) -> Iterable[str]:
    """All stretches of two characters or more."""
    return {phrase[i:j] for i in range(len(phrase)) for j in range(i + 2, len(phrase) + 1)}


class Lookup:
    """A baseline that counts: the most frequent class of a character beside the neighbours that it has.

    left, right: whether to look at the neighbour on that side; the edge of a phrase counts as one. With both,
    the pair of neighbours is looked up first, then the two sides by themselves with their counts added. What
    was never seen in training gets the character's most frequent class; without left and right, all do.
    """

    def __init__(self, batch: Batch, *, left: bool = False, right: bool = False) -> None:
        self.sides = [side for side, use in ((-1, left), (1, right)) if use]
        self.counts: defaultdict[tuple[Any, ...], Counter[int]] = defaultdict(Counter)
        for t, b in np.argwhere(batch.y != UNASKED):
            for level in self._levels(batch.x, t, b):
                for key in level:
                    self.counts[key][int(batch.y[t, b])] += 1

    def __call__(self, x: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """x (T, B), asked (T, B) bool  ->  the class at each asked step, in the order of x[asked]

        ValueError: a character that was never asked in training.
        """
        return np.array([self._best(x, t, b) for t, b in np.argwhere(asked)], np.int64)

    def _best(self, x: np.ndarray, t: int, b: int) -> int:
        for level in self._levels(x, t, b):
            total: Counter[int] = Counter()
            for key in level:
                total.update(self.counts.get(key, {}))
            if total:
                # of classes that are equally frequent, the one with the lower number
                return min(total, key=lambda k: (-total[k], k))
        raise ValueError(f"x: expected characters that were asked in training, got number {x[t, b]}")

    def _levels(self, x: np.ndarray, t: int, b: int) -> list[list[tuple[Any, ...]]]:
        """What to look up, from the most telling to the least."""
        here = int(x[t, b])
        beside = {side: int(x[t + side, b]) if 0 <= t + side < len(x) else 0 for side in self.sides}
        singles = [(here, side, neighbour) for side, neighbour in beside.items()]
        pair = [[(here, *beside.values())]] if len(self.sides) == 2 else []
        return [*pair, singles, [(here,)]]
