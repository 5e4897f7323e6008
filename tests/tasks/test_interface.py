"""Interface strings. Oracles: sets of trigrams one by one, components by a walk, and the file itself."""

import numpy as np
import pytest

from rnnlit.tasks import interface
from rnnlit.tasks.interface import ALIKE, groups, nearest, normal, similarities, similarity, strings, trigrams


def test_the_file_holds_what_its_note_says():
    parts = strings()
    assert [len(part.en) for part in parts] == [2360, 200, 400]
    everything = [row for part in parts for row in zip(*part, strict=True)]
    assert len({english for english, _, _ in everything}) == 2960
    for row in everything:
        assert all(one == one.strip() and one and "\n" not in one and "..." not in one for one in row)
        assert len(row[0].split()) <= 40 and normal(row[0])
        assert set(row[1:]) != {row[0]}


def test_no_string_is_alike_one_of_another_part():
    train, validation, test = (part.en for part in strings())
    for one, other in ((train, test), (train, validation), (validation, test)):
        assert similarities(one, other).max() < ALIKE
        forms = {normal(string) for string in one}
        assert not forms & {normal(string) for string in other}


def test_a_random_cut_would_have_twins():
    """What the groups are for: half of a random test part is alike to a string of its training part."""
    everything = [english for part in strings() for english in part.en]
    order = np.random.default_rng(0).permutation(len(everything))
    test, train = ([everything[k] for k in part] for part in (order[:400], order[600:]))
    assert 0.4 < (nearest(test, train)[1] >= ALIKE).mean() < 0.7


def test_normal_forms():
    assert normal("Close %1…") == normal("close") == "close"
    assert normal("It's a_b") == "it s a b"


def test_similarity_by_hand():
    assert trigrams("Tab") == {" ta", "tab", "ab "}
    assert similarity("Tab", "Table") == 2 / (3 + 5 - 2)  # " ta", "tab"
    assert similarity("Close %1", "close!") == 1 and similarity("tab", "xyz") == 0


def test_all_similarities_are_those_of_the_sets():
    one, other = strings().test.en[:30], strings().train.en[:40]
    wanted = [[similarity(a, b) for b in other] for a in one]
    np.testing.assert_allclose(similarities(one, other), wanted, rtol=1e-6)
    best, alike = nearest(one, other)
    assert [wanted[k][n] for k, n in enumerate(best)] == [max(row) for row in wanted]
    np.testing.assert_allclose(alike, np.max(wanted, 1), rtol=1e-6)


def test_groups_are_the_components():
    few = strings().train.en[:250]
    found = groups(few, 0.4)
    assert sorted(k for group in found for k in group) == list(range(250)) and len(found) < 240
    of = {k: n for n, group in enumerate(found) for k in group}
    for k in range(250):
        for n in range(k):
            assert of[k] == of[n] or similarity(few[k], few[n]) < 0.4
    for group in found:  # each is connected: a walk from its first reaches all
        reached, todo = {group[0]}, [group[0]]
        while todo:
            k = todo.pop()
            new = {n for n in group if n not in reached and similarity(few[k], few[n]) >= 0.4}
            reached |= new
            todo += new
        assert reached == set(group)


def test_an_empty_memory_is_refused():
    with pytest.raises(ValueError, match="memory"):
        nearest(["Save"], [])
    assert interface.LANGUAGES == {"fr": "French", "zh": "Chinese"}
