"""Alice. Oracles: the record of where the text comes from, and what is known of the book."""

import hashlib
from importlib.resources import files

from rnnlit.tasks.alice import letters, story


def test_the_story_is_whole():
    text = story()
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("CHAPTER ")] == [
        f"CHAPTER {n}" for n in ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
    ]
    assert lines[1] == "Down the Rabbit-Hole" and text.endswith("and the happy summer days.\n")
    assert "`and what is the use of a book,' thought Alice `without pictures or conversation?'" in text
    assert "WAISTCOAT-POCKET" in text and "  " not in text and "*" not in text
    assert all(lines)


def test_it_is_the_file_that_was_made():
    """A change by accident is seen; `benchmarks/make_alice.py --check` asks the source."""
    data = files("rnnlit").joinpath("data", "alice.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == (
        "0f6556af77c413d76467d4ed29074e214c81bd35d0cf3864a67e43a951d4981e"
    )


def test_letters_are_words_of_the_story():
    text = letters()
    assert set(text) == set(" abcdefghijklmnopqrstuvwxyz") and "  " not in text
    assert text.startswith("chapter i down the rabbit hole alice was beginning to get very tired of sitting")
    assert "i dont think" in text and text.count(" alice ") > 300
