"""Characters. Oracles: a count by dictionaries, perplexities known in closed form, and the text itself."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlit.tasks.characters import encode, help_texts, ngram_perplexity, one_hot, streams


def test_help_texts_are_what_help_prints():
    text = help_texts()
    assert 300_000 < len(text) < 1_000_000
    assert 'The "for" statement is used to iterate over the elements of a sequence' in text
    assert text == help_texts()


def test_counting_on_the_help_texts_reaches_what_the_record_says():
    """Python 3.11: 25.5, 10.1 and 5.6 (records/rnn_text.json); other versions differ a little."""
    train, test, alphabet = encode(help_texts())
    for n, low, high in ((1, 20, 30), (2, 8, 12), (3, 5, 7)):
        assert low < ngram_perplexity(train, test, n, len(alphabet)) < high


def test_encoded_text_reads_back():
    text = "abracadabra"
    train, test, alphabet = encode(text, share=0.3)
    assert alphabet == "abcdr"
    assert "".join(alphabet[k] for k in train) == "abracada"
    assert "".join(alphabet[k] for k in test) == "bra"
    assert train.dtype == test.dtype == np.int64


@given(st.integers(1, 40), st.integers(1, 7))
def test_streams_are_consecutive_pieces(N, size):
    numbers = np.arange(N)
    if size > N:
        with pytest.raises(ValueError, match=f"size: expected at most {N} pieces"):
            streams(numbers, size)
        return
    pieces = streams(numbers, size)
    T = N // size
    assert pieces.shape == (T, size)
    for b in range(size):
        np.testing.assert_array_equal(pieces[:, b], numbers[b * T : (b + 1) * T])


def test_one_hot_by_hand():
    got = one_hot(np.array([[2, 0], [1, 1]]), 3)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [[[0, 0, 1], [1, 0, 0]], [[0, 1, 0], [0, 1, 0]]])


def by_dictionary(train, test, n, K, alpha):
    """The same model, by dictionaries of tuples."""
    grams = Counter(tuple(train[k : k + n]) for k in range(len(train) - n + 1))
    contexts = Counter(tuple(train[k : k + n - 1]) for k in range(len(train) - n + 1))
    logs = []
    for k in range(len(test) - n + 1):
        gram = tuple(test[k : k + n])
        logs.append(math.log((grams[gram] + alpha) / (contexts[gram[:-1]] + alpha * K)))
    return math.exp(-sum(logs) / len(logs))


@given(st.integers(1, 4), st.integers(2, 5), st.integers(0, 1000), st.sampled_from([0.01, 0.1, 1.0]))
def test_perplexity_is_that_of_a_plain_count(n, K, seed, alpha):
    rng = np.random.default_rng(seed)
    train, test = rng.integers(0, K, 60), rng.integers(0, K, 23)
    got = ngram_perplexity(train, test, n, K, alpha=alpha)
    assert got == pytest.approx(by_dictionary(train.tolist(), test.tolist(), n, K, alpha), rel=1e-10)


def test_probabilities_sum_to_one():
    """Over all K characters after one context, 1 / perplexity of that one question is a probability."""
    train, K = np.array([0, 1, 2, 0, 1, 1, 0, 2]), 4
    asked = (np.array([0, c]) for c in range(K))
    assert sum(1 / ngram_perplexity(train, pair, 2, K) for pair in asked) == pytest.approx(1, rel=1e-12)


def test_perplexities_known_in_closed_form():
    cycle = np.arange(3000) % 3
    assert ngram_perplexity(cycle, cycle, 1, 3) == pytest.approx(3, rel=1e-6)
    assert ngram_perplexity(cycle, cycle, 2, 3) == pytest.approx(1, abs=1e-3)
    # without a count of its context, every character is as likely
    assert ngram_perplexity(np.zeros(9, np.int64), np.full(9, 1), 2, 7) == pytest.approx(7, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: encode(b"abc"), TypeError, "text: expected a str, got bytes"),
        (lambda a: encode("abc", 0.0), ValueError, "share: expected both parts to hold a character, got 0.0"),
        (lambda a: streams(a * 1.0, 2), TypeError, "numbers: expected an array of integers, got float64"),
        (lambda a: one_hot(a, 3), ValueError, "numbers: expected 0 <= number < K = 3, got 4"),
        (lambda a: one_hot(a - 1, 9), ValueError, "numbers: expected numbers from 0 on, got -1"),
        (lambda a: ngram_perplexity(a, a[:2], 3, 5), ValueError, "test: expected 3 numbers at least, got 2"),
        (lambda a: ngram_perplexity(a, a, 0, 5), ValueError, "n: expected a positive integer, got 0"),
        (
            lambda a: ngram_perplexity(a, a, 2, 5, alpha=0),
            ValueError,
            "alpha: expected a finite number above 0",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(np.arange(5))
