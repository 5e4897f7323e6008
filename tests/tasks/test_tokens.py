"""Vocabularies, padding and the measures of error, against cases worked by hand and brute force."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlit.tasks import tokens
from rnnlit.tasks.tokens import PAD, START, STOP, Vocabulary

words = st.lists(st.integers(0, 3), max_size=6)


def test_a_vocabulary_numbers_the_tokens_behind_the_special_ones():
    vocabulary = Vocabulary.of(["banana", "cab"])
    assert vocabulary.tokens == ("<pad>", "<start>", "<stop>", "a", "b", "c", "n")
    assert [vocabulary.tokens[k] for k in (PAD, START, STOP)] == ["<pad>", "<start>", "<stop>"]
    assert len(vocabulary) == 7
    assert vocabulary.encode("can") == [5, 3, 6]
    assert vocabulary.decode(np.array([5, 3, 6, STOP])) == ["c", "a", "n", "<stop>"]
    assert repr(vocabulary) == "Vocabulary of 7: <pad> <start> <stop> a b c n"


@given(st.lists(st.text(max_size=3), min_size=1, unique=True))
def test_decode_undoes_encode(entries):
    vocabulary = Vocabulary(entries)
    assert vocabulary.decode(vocabulary.encode(entries)) == entries


def test_pad_puts_sequences_side_by_side():
    array, lengths = tokens.pad([[5, 3], [4, 6, 7], [3]])
    np.testing.assert_array_equal(array, [[5, 4, 3], [3, 6, PAD], [PAD, 7, PAD]])
    np.testing.assert_array_equal(lengths, [2, 3, 1])
    assert array.dtype == lengths.dtype == np.int64


def test_batches_are_an_epoch_of_neighbours_in_length():
    rng = np.random.default_rng(0)
    sources = [[3 + k % 5] * int(rng.integers(1, 30)) for k in range(103)]
    targets = [[3, *source] for source in sources]
    seen, padding = [], 0
    for batch in tokens.batches(sources, targets, 10, rng):
        assert batch.source.shape[1] <= 10
        padding += (batch.source == PAD).sum()
        for b, (s, t) in enumerate(zip(batch.source_lengths, batch.target_lengths, strict=True)):
            assert t == s + 1
            seen.append(batch.source[:s, b].tolist())
            assert batch.target[:t, b].tolist() == [3, *seen[-1]]
            assert not batch.source[s:, b].any() and not batch.target[t:, b].any()
    assert sorted(seen) == sorted(sources)
    mixed = sum((b.source == PAD).sum() for b in tokens.batches(sources, targets, 10, rng, pool=1))
    assert padding < mixed / 3
    first, second = (next(tokens.batches(sources, targets, 10, rng)) for _ in range(2))
    assert first.source.shape != second.source.shape or (first.source != second.source).any()


@pytest.mark.parametrize(
    "a, b, distance",
    [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("abc", "", 3),
        ("same", "same", 0),
        ("ab", "ba", 2),
        ("abcd", "bcde", 2),
        ([1, 2, 3], (1, 3), 1),
    ],
)
def test_edit_distance_worked_by_hand(a, b, distance):
    assert tokens.edit_distance(a, b) == distance


@given(words, words)
def test_edit_distance_is_the_definition(a, b):
    @functools.cache
    def d(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    assert tokens.edit_distance(a, b) == tokens.edit_distance(b, a) == d(len(a), len(b))


@given(words, words, words)
def test_edit_distance_is_a_metric(a, b, c):
    assert tokens.edit_distance(a, c) <= tokens.edit_distance(a, b) + tokens.edit_distance(b, c)
    assert (tokens.edit_distance(a, b) == 0) == (a == b)


def test_error_rates_worked_by_hand():
    wanted = [[1, 2, 3], [4, 5], [6, 7, 8, 9, 1]]
    predicted = [np.array([1, 2, 3]), (4,), [7, 8, 9, 1]]
    assert tokens.exact_match(predicted, wanted) == pytest.approx(1 / 3, abs=1e-15)
    assert tokens.token_error_rate(predicted, wanted) == pytest.approx(2 / 10, abs=1e-15)
    assert tokens.token_error_rate([[1, 1, 1]], [[2]]) == 3.0


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: Vocabulary([]), ValueError, "tokens: expected at least one token, got none"),
        (lambda: Vocabulary("aba"), ValueError, "tokens: expected each token once, got 'a' twice"),
        (lambda: Vocabulary(["a", "<pad>"]), ValueError, "got '<pad>' twice"),
        (lambda: Vocabulary("ab").encode("abx"), ValueError, "sequence: .* got 'x'"),
        (lambda: Vocabulary("ab").decode([3, 5]), ValueError, "numbers: expected 0 <= number < 5, got 5"),
        (lambda: Vocabulary("ab").decode([-1]), ValueError, "numbers: .* got -1"),
        (lambda: tokens.pad([]), ValueError, r"sequences: expected at least one.* got lengths \[\]"),
        (lambda: tokens.pad([[3], []]), ValueError, r"none of them empty, got lengths \[1, 0\]"),
        (lambda: tokens.pad([[0.5]]), TypeError, "sequences: expected lists of integers"),
        (lambda: tokens.pad(["ab"]), TypeError, "sequences: expected lists of integers"),
        (lambda: tokens.pairs([[3]], []), ValueError, "targets: expected 1 like the sources, got 0"),
        (lambda: next(tokens.batches([[3]], [], 2, None)), ValueError, "targets: expected 1"),
        (lambda: next(tokens.batches([[3]], [[3]], 0, None)), ValueError, "size: expected a positive"),
        (lambda: tokens.exact_match([[1]], []), ValueError, "predicted: expected as many as wanted"),
        (lambda: tokens.token_error_rate([], []), ValueError, "predicted: expected as many"),
        (lambda: tokens.token_error_rate([[1]], [[]]), ValueError, "wanted: expected at least one token"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
