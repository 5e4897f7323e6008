"""Spelling. Oracles: the dictionary's list of phonemes, lines of its file, distances by recursion."""

import hashlib
import re
from functools import cache
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlit.tasks.spelling import edit_distances, nearest, pronunciations

# The 39 phonemes of cmudict.phones.
VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
CONSONANTS = set("BDFGKLMNPRSTVWYZ") | {"CH", "DH", "HH", "JH", "NG", "SH", "TH", "ZH"}
LETTERS = st.text("abc", min_size=1, max_size=6)


@pytest.fixture(scope="module")
def dictionary():
    return pronunciations()


def test_the_parts_have_their_sizes_and_share_no_word(dictionary):
    assert [len(part.spelling) for part in dictionary] == [15_000, 1_000, 2_000]
    assert [len(part.phonemes) for part in dictionary] == [15_000, 1_000, 2_000]
    words = [word for part in dictionary for word in part.spelling]
    assert len(set(words)) == 18_000


def test_words_are_letters_and_pronunciations_are_the_dictionarys_phonemes(dictionary):
    for part in dictionary:
        assert all(re.fullmatch("[a-z]{3,12}", word) for word in part.spelling)
    assert {p for part in dictionary for phonemes in part.phonemes for p in phonemes} == VOWELS | CONSONANTS


def test_words_stand_in_the_order_of_their_hash(dictionary):
    hashes = [hashlib.sha256(w.encode()).hexdigest() for part in dictionary for w in part.spelling]
    assert hashes == sorted(hashes)


@pytest.mark.parametrize(
    ("word", "phonemes"),  # lines of cmudict.dict, without the marks of stress
    [
        ("dismore", "D IH S M AO R"),
        ("grady", "G R EY D IY"),
        ("werewolf", "W EH R W UH L F"),
        ("haritos", "HH EH R IY T OW S"),
    ],
)
def test_known_words(dictionary, word, phonemes):
    index = dictionary.train.spelling.index(word)
    assert " ".join(dictionary.train.phonemes[index]) == phonemes


def test_the_notice_of_the_licence_is_kept():
    text = files("rnnlit").joinpath("data", "cmudict.tsv").read_text(encoding="utf-8")
    notice = [line for line in text.splitlines() if line.startswith("#")]
    assert notice == text.splitlines()[: len(notice)]
    assert "# Copyright (C) 1993-2015 Carnegie Mellon University. All rights reserved." in notice
    assert any("PROVIDED BY CARNEGIE MELLON UNIVERSITY ``AS IS''" in line for line in notice)
    stated = files("rnnlit").joinpath("data", "CMUDICT.md").read_text(encoding="utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() in stated


@cache
def by_recursion(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(
        by_recursion(a[1:], b) + 1,
        by_recursion(a, b[1:]) + 1,
        by_recursion(a[1:], b[1:]) + (a[0] != b[0]),
    )


@given(LETTERS, st.lists(LETTERS, min_size=1, max_size=5))
def test_edit_distances_match_the_recursion(word, spellings):
    expected = [by_recursion(word, s) for s in spellings]
    assert edit_distances(word, spellings).tolist() == expected
    assert nearest(word, spellings) == expected.index(min(expected))


def test_distances_by_hand():
    assert edit_distances("kitten", ["sitting", "kitten", "kit", "mitten"]).tolist() == [3, 0, 3, 1]
    assert nearest("kitten", ["sitting", "mitten", "kitteny"]) == 1


@pytest.mark.parametrize(
    ("word", "spellings", "error", "message"),
    [
        ("a", [], ValueError, "spellings: expected one or more"),
        ("", ["a"], ValueError, "word: expected a letter"),
        ("a", ["b", ""], ValueError, r"spellings\[1\]: expected a letter"),
        (3, ["a"], TypeError, "word: expected a string, got int"),
        ("a", [b"a"], TypeError, r"spellings\[0\]: expected a string, got bytes"),
    ],
)
def test_bad_input_is_named(word, spellings, error, message):
    with pytest.raises(error, match=message):
        nearest(word, spellings)
