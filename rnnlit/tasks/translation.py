"""A small French and English in which the length of a sentence is the difficulty.   B sentences.

Eight nouns, eight adjectives, and one rule: French puts the adjective behind its noun, English before it, so
"chat noir" becomes "black cat". A word's translation is fixed, and whether two words change places is seen
from these two alone. So a long sentence is no harder than a short one, but for its length. NumPy only.
"""

from __future__ import annotations

import numpy as np

from rnnlit.tasks.tokens import STOP, Pairs, Vocabulary
from rnnlit.tools.checks import check_size

NOUNS = {
    "chat": "cat",
    "chien": "dog",
    "livre": "book",
    "pont": "bridge",
    "toit": "roof",
    "train": "train",
    "vent": "wind",
    "vin": "wine",
}
ADJECTIVES = {
    "blanc": "white",
    "bleu": "blue",
    "froid": "cold",
    "gris": "grey",
    "jaune": "yellow",
    "noir": "black",
    "rouge": "red",
    "vert": "green",
}
FRENCH = Vocabulary([*NOUNS, *ADJECTIVES])
ENGLISH = Vocabulary([*NOUNS.values(), *ADJECTIVES.values()])
FIRST_ADJECTIVE = STOP + 1 + len(NOUNS)


def sentences(length: int, size: int, rng: np.random.Generator) -> Pairs:
    """Draw `size` sentences of `length` words, each word at random, and their translations.

    ->  Pairs with source and target (length, size)

    An adjective that stands directly behind a noun comes before it in the target; all other words keep their
    places. The vocabularies are FRENCH and ENGLISH.
    """
    T, B = check_size("length", length), check_size("size", size)
    source = rng.integers(STOP + 1, len(FRENCH), (T, B))
    target = source.copy()
    adjective = source >= FIRST_ADJECTIVE
    # Two such pairs never share a word: the second word of one is an adjective, the first of the next a noun.
    t, b = np.nonzero(~adjective[:-1] & adjective[1:])
    target[t, b], target[t + 1, b] = source[t + 1, b], source[t, b]
    lengths = np.full(B, T)
    return Pairs(source, lengths, target, lengths.copy())


def word_for_word(length: int) -> tuple[float, float]:
    """What a lexicon alone reaches: the share of right sentences, and of right words.

    A word is a noun or an adjective with probability 1/2. A sentence of n words has no noun before an
    adjective if all its adjectives come first: n + 1 of 2^n patterns. Of its n - 1 neighbouring pairs a
    quarter changes places, two words each:

        right sentences (n + 1) / 2^n        right words 1 - (n - 1) / (2 n)
    """
    n = check_size("length", length)
    return (n + 1) / 2**n, 1 - (n - 1) / (2 * n)
