"""Oracles: readings from a dictionary that everyone has, counts by hand, the file's own description."""

import hashlib
import re
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit.tasks import polyphones as poly


@pytest.fixture(scope="module")
def table():
    return poly.polyphones()


def rng(seed=0):
    return np.random.default_rng(seed)


# 长 is asked, with two readings; 大 and 发 are not asked here.
SMALL = poly.Polyphones(
    phrases=("长大", "长发", "发长", "大长发"),
    pinyin=(("zhǎng", "dà"), ("cháng", "fà"), ("fā", "zhǎng"), ("dà", "cháng", "fà")),
    readings={"长": ("cháng", "zhǎng")},
    characters="\0发大长",
    classes=(("长", "cháng"), ("长", "zhǎng")),
)


# --- the file -------------------------------------------------------------------------------------


def test_polyphones_are_as_many_as_the_page_says(table):
    assert (len(table.phrases), len(table.readings), len(table.classes)) == (19_264, 135, 274)
    assert len(set(table.phrases)) == len(table.phrases)
    assert {len(phrase) for phrase in table.phrases} == set(range(2, 11))
    assert len(table.characters) == 3770 and table.characters[0] == "\0"


@pytest.mark.parametrize(
    ("phrase", "pinyin"),
    {
        "重要": "zhòng yào",
        "重复": "chóng fù",
        "银行": "yín háng",
        "行动": "xíng dòng",
        "长大": "zhǎng dà",
        "长城": "cháng chéng",
        "音乐": "yīn yuè",
        "快乐": "kuài lè",
        "睡着": "shuì zháo",
    }.items(),
)
def test_polyphones_read_common_words_as_any_dictionary_does(table, phrase, pinyin):
    assert " ".join(table.pinyin[table.phrases.index(phrase)]) == pinyin


def test_every_phrase_has_a_reading_for_each_character_and_asks_for_one(table):
    for phrase, pinyin in zip(table.phrases, table.pinyin, strict=True):
        assert len(phrase) == len(pinyin) and all(pinyin)
        assert any(character in table.readings for character in phrase)


def test_every_reading_counts_ten_times_and_stands_in_order_of_frequency(table):
    counts = {pair: 0 for pair in table.classes}
    for phrase, pinyin in zip(table.phrases, table.pinyin, strict=True):
        for pair in zip(phrase, pinyin, strict=True):
            if pair in counts:
                counts[pair] += 1
    assert min(counts.values()) >= 10
    for character, readings in table.readings.items():
        numbers = [counts[character, reading] for reading in readings]
        assert len(readings) >= 2 and numbers == sorted(numbers, reverse=True)
    assert not {"一", "不"} & set(table.readings)


def test_polyphones_file_is_the_one_its_page_describes():
    folder = files("rnnlit").joinpath("data")
    content = folder.joinpath("polyphones.tsv").read_bytes()
    page = folder.joinpath("POLYPHONES.md").read_text(encoding="utf-8")
    assert hashlib.sha256(content).hexdigest() in re.findall(r"`([0-9a-f]{64})`", page)
    assert len(content) < 1_000_000
    assert "MIT License" in page and "Copyright (c) 2016 mozillazg" in page and "0.55.0" in page


# --- arrays ---------------------------------------------------------------------------------------


def test_encode_gives_numbers_classes_and_padding():
    batch = poly.encode(SMALL, [0, 3])
    assert batch.x.T.tolist() == [[3, 2, 0], [2, 3, 1]]
    assert batch.y.T.tolist() == [[1, -1, -1], [-1, 0, -1]]
    assert batch.lengths.tolist() == [2, 3]


def test_encode_refuses_no_phrases():
    with pytest.raises(ValueError, match="index: expected the number of one phrase or more"):
        poly.encode(SMALL, [])


def test_encode_can_be_read_back(table):
    chosen = rng().choice(len(table.phrases), 50)
    batch = poly.encode(table, chosen)
    assert (batch.y >= 0).any()
    for b, phrase in enumerate(table.phrases[k] for k in chosen):
        assert "".join(table.characters[k] for k in batch.x[: batch.lengths[b], b]) == phrase
        assert not batch.x[batch.lengths[b] :, b].any()
        for t, k in enumerate(batch.y[:, b]):
            reading = (
                table.classes[k] if k >= 0 else None
            )  # of a character with one reading there is no class
            spoken = (phrase[t], table.pinyin[chosen[b]][t]) if t < len(phrase) else None
            assert reading == (spoken if spoken in table.classes else None)


def test_candidates_are_a_characters_own_readings(table):
    allowed = poly.candidates(table)
    assert allowed.shape == (3770, 274) and (allowed.sum(axis=0) == 1).all()
    for k, character in enumerate(table.characters):
        assert allowed[k].sum() == len(table.readings.get(character, ()))


def test_draw_takes_whole_phrases_and_none_twice():
    batch = poly.encode(SMALL, range(4))
    seen = {tuple(column) for seed in range(20) for column in poly.draw(batch, 1, rng(seed)).x.T.tolist()}
    assert seen == {(3, 2), (3, 1), (1, 3), (2, 3, 1)}
    everything = poly.draw(batch, 4, rng())
    assert sorted(everything.x.T.tolist()) == sorted(batch.x.T.tolist())
    with pytest.raises(ValueError, match="size: expected at most 4"):
        poly.draw(batch, 5, rng())


# --- the split ------------------------------------------------------------------------------------


@given(
    phrases=st.lists(st.text("abc", min_size=2, max_size=5), min_size=4, max_size=30, unique=True),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_split_keeps_no_phrase_within_or_around_a_held_out_one(phrases, seed):
    train, test = poly.split(phrases, 0.25, rng(seed))
    held_out = [phrases[b] for b in test]
    assert len(set(test)) == len(test) == round(0.25 * len(phrases))
    inside = {b for b, p in enumerate(phrases) if any(p in other or other in p for other in held_out)}
    assert set(train) == set(range(len(phrases))) - inside
    loose, same = poly.split(phrases, 0.25, rng(seed), strict=False)
    assert set(same) == set(test) and set(loose) == set(range(len(phrases))) - set(test)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5])
def test_split_refuses_a_share_that_leaves_a_side_empty(share):
    with pytest.raises(ValueError, match="share: expected one that leaves phrases on both sides"):
        poly.split(SMALL.phrases, share, rng())


# --- the baseline ---------------------------------------------------------------------------------


def read(table, train, test, **sides):
    """What a Lookup that was fed the one batch says about the other."""
    learn, asked = poly.encode(table, train), poly.encode(table, test)
    return poly.Lookup(learn, **sides)(asked.x, asked.y != poly.UNASKED).tolist()


def test_lookup_without_sides_gives_the_most_frequent_reading():
    # seen: zhǎng, cháng, zhǎng
    assert read(SMALL, [0, 1, 2], [0, 1, 3]) == [1, 1, 1]
    # a draw goes to the first class
    assert read(SMALL, [0, 1], [2]) == [0]


def test_lookup_looks_at_the_side_that_it_is_told():
    # 长 before 大: zhǎng. 长 before 发: cháng. 长 at the beginning: one of each. 长 at the end: zhǎng.
    assert read(SMALL, [0, 1, 2], [0, 1, 2], right=True) == [1, 0, 1]
    assert read(SMALL, [0, 1, 2], [0, 1, 2], left=True) == [0, 0, 1]
    assert read(SMALL, [0, 1, 2], [0, 1, 2], left=True, right=True) == [1, 0, 1]


def test_lookup_falls_back_on_what_it_has_seen():
    # 大长发: the pair (大, 发) is new; of the sides, (大, -) is new and (-, 发) says cháng.
    assert read(SMALL, [0, 1, 2], [3], left=True, right=True) == [0]
    # and to the left nothing is known: the most frequent reading
    assert read(SMALL, [0, 1, 2], [3], left=True) == [1]


def test_lookup_refuses_a_character_that_it_never_saw():
    learn = poly.encode(SMALL, [0])
    with pytest.raises(ValueError, match="asked in training, got number 2"):
        poly.Lookup(learn)(np.array([[2]]), np.array([[True]]))
