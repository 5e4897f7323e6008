"""Byte pair encoding: frequent words as one token, rare ones in pieces.   (Sennrich et al. 2016)

It begins with characters and joins the most frequent pair of neighbours, again and again, never across words:

    l o w   l o w e r   n e w e r     ->     lo w   lo w e r   n e w e r     ->     low   low e r   n e w e r

What has been joined often is a token of its own; a word that was never seen is spelt in pieces. Our texts
are cut into words as follows: a space belongs to the word behind it, so that the text comes back from its
tokens, and the first word has one too, so that it is the same word there; a placeholder such as %1 stays
whole; a Chinese character is a word; and of a capitalised word the capital is a token of its own, so that
"Save" and "save" share theirs. NumPy only.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from rnnlit.tools.checks import check_size

CAPITAL = "⇧"  # the next letter is a capital
FIRST = re.compile(r"%\d|[^\W\d_\u3400-\u9fff]")  # what is given a space at the beginning
WORD = re.compile(r" ?%\d|[\u3400-\u9fff]| ?[^\W\d_\u3400-\u9fff]+|\s|[^\s]")


def words(text: str) -> list[str]:
    """Cut a text into words: "Save %1" -> ⇧, " save", " %1"."""
    found = []
    for word in WORD.findall(" " * bool(FIRST.match(text)) + text):
        bare = word.lstrip(" ")
        if bare[:1].isupper() and bare[1:] == bare[1:].lower():
            found.append(CAPITAL)
            word = word[: len(word) - len(bare)] + bare.lower()
        found.append(word)
    return found


def text(pieces: Iterable[str]) -> str:
    """Put the pieces together again, without a space at the beginning."""
    written, capital = "", False
    for piece in pieces:
        if piece == CAPITAL:
            capital = True
            continue
        bare = piece.lstrip(" ")
        if capital and bare:
            piece = piece[: len(piece) - len(bare)] + bare[0].upper() + bare[1:]
            capital = False
        written += piece
    return written.removeprefix(" ")


def whole(word: str) -> bool:
    """Whether the word is one token from the start: a capital, or a placeholder."""
    return word == CAPITAL or bool(re.fullmatch(r" ?%\d", word))


def start(word: str) -> tuple[str, ...]:
    """What the joins begin with: the characters of a word, or all of it."""
    return (word,) if whole(word) else tuple(word)


def learn(texts: Iterable[str], merges: int) -> list[tuple[str, str]]:
    """The pairs to join, in their order: each time the most frequent one, of equals the first by its letters.

    No pair is joined that occurs but once. ValueError: merges below 1.
    """
    check_size("merges", merges)
    counts = Counter(word for one in texts for word in words(one) if not whole(word))
    spelt = {word: tuple(word) for word in counts}
    pairs: Counter[tuple[str, str]] = Counter()
    users: defaultdict[tuple[str, str], set[str]] = defaultdict(set)  # the words that hold a pair

    def count(word: str, sign: int) -> None:
        for pair in pairwise(spelt[word]):
            pairs[pair] += sign * counts[word]
            users[pair].add(word)

    for word in spelt:
        count(word, 1)
    joined: list[tuple[str, str]] = []
    while len(joined) < merges and pairs:
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < 2:
            break
        joined.append(best)
        for word in users[best]:
            count(word, -1)
            spelt[word] = join(spelt[word], best)
            count(word, 1)
    return joined


def join(parts: Sequence[str], pair: tuple[str, str]) -> tuple[str, ...]:
    """Join each such pair of neighbours, from the left."""
    found: list[str] = []
    k = 0
    while k < len(parts):
        size = 2 if tuple(parts[k : k + 2]) == pair else 1
        found.append("".join(parts[k : k + size]))
        k += size
    return tuple(found)


class Subwords:
    """Cut texts into pieces by the joins that `learn` finds in `texts`.

    pieces: what those texts are cut into, and all their characters: what a vocabulary needs. A piece that
    they are never cut into, a step on the way to a longer one, is spelt by characters.
    """

    def __init__(self, texts: Sequence[str], merges: int) -> None:
        self.rank = {pair: k for k, pair in enumerate(learn(texts, merges))}
        self._known: dict[str, tuple[str, ...]] = {}
        found = {word: self._joined(word) for one in texts for word in words(one)}
        spelt = {piece for word in found for piece in start(word)}
        self.pieces = sorted({CAPITAL, *spelt, *(piece for parts in found.values() for piece in parts)})
        self._seen = set(self.pieces)

    def cut(self, one: str, rng: np.random.Generator | None = None, drop: float = 0.0) -> list[str]:
        """The pieces of a text, which `text` puts together again.

        drop: each join that could be made is skipped with this probability, drawn by `rng`, so that training
        meets a word in many pieces (BPE-dropout, Provilkov et al. 2020). A character that the training texts
        lack stays, as a piece that is not among `pieces`.
        """
        if drop and rng is not None:
            return [piece for word in words(one) for piece in self._spelt(self._joined(word, rng, drop))]
        return [piece for word in words(one) for piece in self._word(word)]

    def _word(self, word: str) -> tuple[str, ...]:
        if word not in self._known:
            self._known[word] = self._spelt(self._joined(word))
        return self._known[word]

    def _spelt(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        whole = ((part,) if part in self._seen else start(part) for part in parts)
        return tuple(piece for part in whole for piece in part)

    def _joined(
        self, word: str, rng: np.random.Generator | None = None, drop: float = 0.0
    ) -> tuple[str, ...]:
        """Join the pair that was learnt first, as long as there is one."""
        parts = start(word)
        while len(parts) > 1:
            pairs = [pair for pair in pairwise(parts) if pair in self.rank]
            if rng is not None:
                kept = rng.random(len(pairs)) >= drop
                pairs = [pair for pair, keep in zip(pairs, kept, strict=True) if keep]
            if not pairs:
                break
            parts = join(parts, min(pairs, key=self.rank.__getitem__))
        return parts
