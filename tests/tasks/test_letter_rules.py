"""Reading by counted rules. Oracles: all cuts of a short word, and a language whose rules are known."""

import itertools
import math

import pytest

from rnnlit.tasks.letter_rules import EDGE, RARE, Rules, align, contexts, learn_costs

COSTS = {
    "b": {("B",): 0.5, (): 3.0},
    "o": {("AA",): 1.0, ("OW",): 0.9, (): 2.0},
    "x": {("K", "S"): 0.3, ("K",): 2.0, (): 2.5},
}


def every_cut(word, phonemes):
    """All ways to cut the phonemes into chunks of 0, 1 or 2, one a letter."""
    for sizes in itertools.product(range(3), repeat=len(word)):
        if sum(sizes) == len(phonemes):
            ends = list(itertools.accumulate(sizes, initial=0))
            yield [phonemes[a:b] for a, b in itertools.pairwise(ends)]


def price(word, cut):
    return sum(COSTS[letter].get(chunk, RARE) for letter, chunk in zip(word, cut, strict=True))


@pytest.mark.parametrize(
    "phonemes", [("B", "AA", "K", "S"), ("B", "OW"), ("K", "S"), ("B", "B", "AA", "K", "S"), ()]
)
def test_the_cheapest_of_all_cuts(phonemes):
    cuts = list(every_cut("box", phonemes))
    assert len(cuts) > 0
    best = align("box", phonemes, COSTS)
    assert best in cuts
    assert price("box", best) == pytest.approx(min(price("box", cut) for cut in cuts))


def test_by_hand():
    assert align("box", ("B", "AA", "K", "S"), COSTS) == [("B",), ("AA",), ("K", "S")]
    assert align("ox", ("AA", "K", "S", "K", "S"), COSTS) is None  # five for two letters


def test_contexts_of_a_letter():
    first, second = contexts("ox")
    assert first == [
        EDGE * 4 + "ox" + EDGE * 3,
        EDGE * 3 + "ox" + EDGE * 2,
        EDGE * 2 + "ox" + EDGE,
        "#ox",
        "o",
    ]
    assert second[-2:] == ["ox#", "x"]


# c before e says S, elsewhere K; e at the end says nothing; the rest say what they look like.
SAYS = {"a": "AE", "e": "EH", "t": "T", "n": "N"}


def spoken(word):
    sounds = []
    for i, letter in enumerate(word):
        if letter == "c":
            sounds.append("S" if word[i + 1 : i + 2] == "e" else "K")
        elif letter != "e" or i + 1 < len(word):
            sounds.append(SAYS[letter])
    return tuple(sounds)


def test_the_rules_of_a_regular_language_are_found():
    words = ["".join(letters) for n in (3, 4) for letters in itertools.product("acent", repeat=n)]
    known, unknown = words[::2], words[1::2]
    rules = Rules([(word, spoken(word)) for word in known])
    right = [rules.read(word) == spoken(word) for word in unknown]
    assert sum(right) > 0.95 * len(right)
    assert rules.read("zzz") == ()


def test_costs_are_of_probabilities():
    costs = learn_costs([("at", ("AE", "T")), ("ten", ("T", "EH", "N")), ("net", ("N", "EH", "T"))])
    assert {"a", "t", "e", "n"} == set(costs)
    for chunks in costs.values():
        assert sum(math.exp(-cost) for cost in chunks.values()) == pytest.approx(1)


def test_no_words():
    with pytest.raises(ValueError, match="words: expected one or more, got none"):
        Rules([])
