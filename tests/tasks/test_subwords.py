"""Byte pair encoding. Oracles: the joins worked by hand, and the text that comes back."""

from itertools import pairwise

import numpy as np
import pytest

from rnnlit.tasks import interface, subwords
from rnnlit.tasks.subwords import CAPITAL, Subwords, join, learn, text, words


def test_words_of_a_text():
    assert words("Save %1 as PDF…") == [CAPITAL, " save", " %1", " as", " PDF", "…"]
    assert words("删除 3 个 Cells!") == ["删", "除", " ", "3", " ", "个", CAPITAL, " cells", "!"]
    assert words("JupyterLab's") == [" JupyterLab", "'", "s"]
    assert words("%1 (all)") == [" %1", " ", "(", "all", ")"]


def test_joins_by_hand():
    """space-l, l-o and o-w occur 4 times: space-l comes first by its letters, then " l"-o, then " lo"-w."""
    assert learn(["low low lower lower"], 3) == [(" ", "l"), (" l", "o"), (" lo", "w")]
    assert learn(["ab"], 5) == []  # no pair twice


def test_equal_pairs_go_by_their_letters():
    assert learn(["(cd", "(cd", "(ab", "(ab"], 1) == [("a", "b")]


def test_join_begins_at_the_left():
    assert join("aaab", ("a", "a")) == ("aa", "a", "b")
    assert join("abcab", ("a", "b")) == ("ab", "c", "ab")


def slow(texts, merges):
    """The definition, counted anew at each join."""
    spelt = [list(subwords.start(word)) for one in texts for word in words(one)]
    joined = []
    while len(joined) < merges:
        pairs = {}
        for parts in spelt:
            for pair in pairwise(parts):
                pairs[pair] = pairs.get(pair, 0) + 1
        most = max(pairs.values(), default=0)
        if most < 2:
            break
        best = min(pair for pair, count in pairs.items() if count == most)
        joined.append(best)
        for parts in spelt:
            k = 0
            while k < len(parts) - 1:
                if (parts[k], parts[k + 1]) == best:
                    parts[k : k + 2] = ["".join(best)]
                k += 1
    return joined


@pytest.mark.parametrize("language", ["en", "fr", "zh"])
def test_the_fast_count_joins_as_the_slow_one(language):
    texts = getattr(interface.strings().train, language)[:150]
    assert learn(texts, 60) == slow(texts, 60)


@pytest.mark.parametrize("language", ["en", "fr", "zh"])
def test_every_text_comes_back(language):
    cut = Subwords(getattr(interface.strings().train, language)[:300], 200)
    rng = np.random.default_rng(0)
    for one in getattr(interface.strings().test, language):
        assert text(cut.cut(one)) == one
        assert text(cut.cut(one, rng, 0.5)) == one


def test_pieces_are_those_of_training():
    texts = interface.strings().train.en[:300]
    cut = Subwords(texts, 200)
    assert {piece for one in texts for piece in cut.cut(one)} <= set(cut.pieces)
    for drop in (0.0, 0.5):
        one = cut.cut("Unseen wizardry in the terminal", np.random.default_rng(0), drop)
        assert set(one) <= set(cut.pieces)
    assert cut.cut("文") == ["文"] and "文" not in cut.pieces


def test_all_joins_dropped_are_characters():
    cut = Subwords(["save save"], 9)
    assert cut.cut("save") == [" save"]
    assert cut.cut("save", np.random.default_rng(0), 1.0) == list(" save")


def test_merges_are_counted():
    with pytest.raises(ValueError, match="merges"):
        learn(["ab ab"], 0)
