"""Oracles: the sources' own numbers, which are written out here, and properties that a decoding must have."""

import hashlib
import re
from importlib.resources import files

import numpy as np
import pytest

from rnnlit.tasks import data, samples


def test_one_hot_gives_the_text_back():
    x, alphabet = samples.one_hot(samples.POEM)
    assert x.shape == (24, 1, 19) and x.dtype == np.float32
    assert np.array_equal(np.unique(x), [0, 1]) and np.array_equal(x.sum(axis=2), np.ones((24, 1)))
    assert "".join(alphabet[k] for k in x[:, 0].argmax(axis=1)) == samples.POEM


def test_poem_has_four_lines_of_five_characters():
    assert [len(line) for line in re.split("[，。]", samples.POEM)] == [5, 5, 5, 5, 0]


@pytest.mark.parametrize(("text", "error"), [("", ValueError), (b"abc", TypeError), (["a"], TypeError)])
def test_one_hot_refuses_what_is_no_text(text, error):
    with pytest.raises(error, match=r"^text: expected"):
        samples.one_hot(text)


def test_utterance_is_the_recording_without_its_padding():
    train, _ = data.japanese_vowels()
    x = samples.utterance(1)
    assert x.shape == (26, 1, 12)  # UCI's file says 26 frames
    assert np.array_equal(x[:, 0], train.x[:26, 1]) and np.abs(x[-1]).max() > 0
    with pytest.raises(ValueError, match="number: expected 0 to 269, got 270"):
        samples.utterance(270)


def test_clip_is_what_its_description_says():
    path = files("rnnlit").joinpath("data", "bunny.npz")
    text = files("rnnlit").joinpath("data", "BUNNY.md").read_text(encoding="utf-8")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    x = samples.clip()
    assert x.shape == (33, 36, 64) and x.dtype == np.float32
    assert 0 <= x.min() < 0.1 and 0.9 < x.max() <= 1
    # The camera stands still: the sky at the upper right stays, the burrow at the left changes.
    moved = np.abs(np.diff(x, axis=0)).mean(axis=0)
    assert moved[:8, 58:].mean() < 0.1 * moved[8:30, 10:30].mean()


def test_prices_are_those_of_the_first_day_and_in_order():
    days, x = samples.prices()
    assert x.shape == (len(days), 1, 4) == (1047, 1, 4) and x.dtype == np.float32
    assert str(days[0]) == "2004-08-19" and str(days[-1]) == "2008-10-14"
    np.testing.assert_allclose(x[0, 0], [100.0, 104.06, 95.96, 100.34], rtol=1e-6)
    opening, high, low, close = x[:, 0].T
    assert (low <= np.minimum(opening, close)).all() and (np.maximum(opening, close) <= high).all()
    assert (np.diff(days).astype(int) > 0).all()
