"""Pride and Prejudice. Oracles: what is known of the book, and short texts marked by hand."""

import hashlib

import numpy as np

from rnnlit.tasks import pride
from rnnlit.tasks.pride import inside_quotes, story, vocabulary, words


def test_the_novel_is_whole():
    text = story()
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("Chapter ")] == [f"Chapter {n}" for n in range(1, 62)]
    assert lines[1].startswith("It is a truth universally acknowledged, that a single man in possession")
    assert text.endswith("by bringing her into Derbyshire, had been the means of uniting them.\n")
    assert "My good opinion once lost, is lost forever." in text
    assert "  " not in text and "*" not in text and all(lines)


def test_it_is_the_text_that_was_made():
    """A change by accident is seen; `benchmarks/make_pride.py --check` asks the source."""
    assert hashlib.sha256(story().encode("ascii")).hexdigest() == (
        "e5b7fd6de18733b191adc132ee0357a633ca3af61bb05eab85a7852df59ec06f"
    )


def test_the_parts_are_chapters_one_after_the_other():
    train, validation, test = pride.parts()
    assert train + validation + test == story()
    assert [part.count("\nChapter ") + part.startswith("Chapter ") for part in (train, validation, test)] == [
        50,
        5,
        6,
    ]
    assert [round(len(part) / len(story()), 2) for part in (train, validation, test)] == [0.8, 0.1, 0.1]


def test_words_by_hand():
    assert words('"_You_ want"\nMr. Darcy\'s, 10!') == [
        *('"', "you", "want", '"', "\n"),
        *("mr", ".", "darcy's", ",", "1", "0", "!"),
    ]
    assert vocabulary("banana") == ["a", "b", "n"] and vocabulary("banana", least=2) == ["a", "n"]


def test_inside_quotes_by_hand():
    #       a paragraph that closes; one that goes on, and is closed by the line's end; the last half
    text = 'a"bc"d\n"ef\ng"h'
    marks = "011100" + "0" + "111" + "0" + "011"
    np.testing.assert_array_equal(inside_quotes(text), [mark == "1" for mark in marks])


def test_quotations_of_the_novel_are_in_order():
    """Paragraphs with an odd number of marks begin with one: a speech or letter that goes on."""
    odd = [line for line in story().splitlines() if line.count('"') % 2]
    assert len(odd) == 51 and all(line[0] == '"' for line in odd)
