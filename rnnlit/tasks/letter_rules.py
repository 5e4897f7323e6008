"""Reading by rules that are counted: what each letter says, between which neighbours.

A rule is "between these letters, this letter says this": in "phone", p before h says nothing, and h after p
says F. Nobody writes the rules; they are counted from words and their pronunciations, in two steps:

1. `align` cuts the phonemes of each word into as many chunks as it has letters, of 0, 1 or 2 phonemes each,
   so that the product of p(chunk | letter) is largest. p is counted from the cuts, and the cuts are made
   anew, a few times (Viterbi training, as for a hidden Markov model). The first p is counted from all pairs
   of a letter and a chunk that share a word, divided by how common the chunk is.
2. `count` notes for each letter with its n neighbours on each side, n = 4, 3, 2, 1 and 0, how often it said
   which chunk. `read` takes the widest context that occurred in training, and its most frequent chunk.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

Phonemes = tuple[str, ...]
Costs = Mapping[str, Mapping[Phonemes, float]]  # -log p(chunk | letter)
WIDTH, MOST = 4, 2  # neighbours on each side, phonemes in a chunk
EDGE = "#"
RARE = 12.0  # the cost of a chunk that its letter has never said


def align(word: str, phonemes: Phonemes, costs: Costs) -> list[Phonemes] | None:
    """The cheapest cut of the phonemes into one chunk a letter; None if they are more than 2 a letter.

    best(i, j) is the cost of the first i letters saying the first j phonemes:

        best(i, j) = min over k of best(i-1, j-k) + cost(letter i, phonemes j-k to j),   k = 0, 1, 2
    """
    best: dict[int, float] = {0: 0.0}  # by the number of phonemes said so far
    back: list[dict[int, int]] = []  # how many of them the last letter said
    for letter in word:
        cost = costs.get(letter, {})
        row: dict[int, float] = {}
        came: dict[int, int] = {}
        for j, total in best.items():
            for k in range(min(MOST, len(phonemes) - j) + 1):
                new = total + cost.get(phonemes[j : j + k], RARE)
                if new < row.get(j + k, math.inf):
                    row[j + k], came[j + k] = new, k
        best = row
        back.append(came)
    if len(phonemes) not in best:
        return None
    end, chunks = len(phonemes), []
    for came in reversed(back):
        chunks.append(phonemes[end - came[end] : end])
        end -= came[end]
    return chunks[::-1]


def learn_costs(words: Sequence[tuple[str, Phonemes]], rounds: int = 4) -> Costs:
    """The costs after so many rounds of cutting and counting."""
    together: dict[str, Counter[Phonemes]] = defaultdict(Counter)
    common: Counter[Phonemes] = Counter()
    for word, phonemes in words:
        chunks = [phonemes[j : j + k] for k in range(MOST + 1) for j in range(len(phonemes) + 1 - k)]
        common.update(chunks)
        for letter in set(word):
            together[letter].update(set(chunks))
    costs: Costs = {
        letter: {chunk: -math.log(n / common[chunk]) + 2 * abs(len(chunk) - 1) for chunk, n in counts.items()}
        for letter, counts in together.items()
    }
    for _ in range(rounds):
        said: dict[str, Counter[Phonemes]] = defaultdict(Counter)
        for word, phonemes in words:
            for letter, chunk in zip(word, align(word, phonemes, costs) or (), strict=False):
                said[letter][chunk] += 1
        costs = {
            letter: {chunk: -math.log(n / counts.total()) for chunk, n in counts.items()}
            for letter, counts in said.items()
        }
    return costs


def contexts(word: str) -> list[list[str]]:
    """For each letter its contexts, widest first: "####phone", "###phon", ..., "p" for the first of phone."""
    padded = EDGE * WIDTH + word + EDGE * WIDTH
    return [
        [padded[i + WIDTH - n : i + WIDTH + n + 1] for n in range(WIDTH, -1, -1)] for i in range(len(word))
    ]


class Rules:
    """Rules that are counted from words and their pronunciations. ValueError: no words."""

    def __init__(self, words: Sequence[tuple[str, Phonemes]], rounds: int = 4) -> None:
        if not words:
            raise ValueError("words: expected one or more, got none")
        self.costs = learn_costs(words, rounds)
        counts: dict[str, Counter[Phonemes]] = defaultdict(Counter)
        for word, phonemes in words:
            chunks = align(word, phonemes, self.costs)
            for every, chunk in zip(contexts(word), chunks or (), strict=False):
                for context in every:
                    counts[context][chunk] += 1
        self.says = {context: max(found, key=lambda c: found[c]) for context, found in counts.items()}

    def read(self, word: str) -> Phonemes:
        """The phonemes of a word; a letter that was never seen says nothing."""
        chunks = (
            next((self.says[context] for context in every if context in self.says), ())
            for every in contexts(word)
        )
        return tuple(phoneme for chunk in chunks for phoneme in chunk)
