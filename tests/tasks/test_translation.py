"""The small French and English against their rule, word by word, and the lexicon's rates by counting."""

import itertools

import numpy as np
import pytest

from rnnlit.tasks.tokens import STOP
from rnnlit.tasks.translation import ADJECTIVES, ENGLISH, FRENCH, NOUNS, sentences, word_for_word


def translate(french):
    """The rule, on words."""
    english, k = [], 0
    while k < len(french):
        if french[k] in NOUNS and k + 1 < len(french) and french[k + 1] in ADJECTIVES:
            english += [ADJECTIVES[french[k + 1]], NOUNS[french[k]]]
            k += 2
        else:
            english.append((NOUNS | ADJECTIVES)[french[k]])
            k += 1
    return english


def test_the_rule_worked_by_hand():
    assert translate(["noir", "chat", "noir", "vin", "vin", "rouge", "froid"]) == (
        ["black", "black", "cat", "wine", "red", "wine", "cold"]
    )


@pytest.mark.parametrize("length", [1, 2, 3, 9])
def test_sentences_follow_the_rule(length):
    batch = sentences(length, 70, np.random.default_rng(0))
    assert batch.source.shape == batch.target.shape == (length, 70)
    assert (batch.source_lengths == length).all() and (batch.target_lengths == length).all()
    for source, target in zip(batch.source.T, batch.target.T, strict=True):
        assert ENGLISH.decode(target) == translate(FRENCH.decode(source))


def test_all_words_are_drawn_and_the_vocabularies_are_of_one_size():
    assert len(FRENCH) == len(ENGLISH) == STOP + 1 + len(NOUNS) + len(ADJECTIVES)
    drawn = sentences(20, 100, np.random.default_rng(0))
    assert set(np.unique(drawn.source)) == set(np.unique(drawn.target)) == set(range(STOP + 1, len(FRENCH)))


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_what_a_lexicon_reaches_by_counting_all_patterns(n):
    exact = words = 0
    for pattern in itertools.product([False, True], repeat=n):  # True: an adjective
        moved = 2 * sum(b and not a for a, b in itertools.pairwise(pattern))
        exact += moved == 0
        words += n - moved
    want = exact / 2**n, words / (n * 2**n)
    np.testing.assert_allclose(word_for_word(n), want, rtol=1e-14)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="length: expected a positive integer, got 0"):
        sentences(0, 2, np.random.default_rng(0))
    with pytest.raises(TypeError, match="length: expected a positive integer"):
        word_for_word(2.5)
