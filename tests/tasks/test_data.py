"""Oracles: UCI's description of the recordings, lines of its files, the papers' rules, closed forms."""

import hashlib
import math
import re
from importlib.resources import files

import numpy as np
import pytest

from rnnlit.tasks import data
from tests.tolerances import TOLERANCE

# Japanese Vowels: what UCI's page and its files size_ae.train, size_ae.test, ae.train and ae.test say.
TRAIN_COUNTS = [30] * 9
TEST_COUNTS = [31, 35, 88, 44, 29, 24, 40, 50, 29]
FIRST_TRAIN_LENGTHS = [20, 26, 22, 20, 21, 23]
FRAMES = {  # (split, utterance, frame): the line of the file
    ("train", 0, 0): "1.860936 -0.207383 0.261557 -0.214562 -0.171253 -0.118167 "
    "-0.277557 0.025668 0.126701 -0.306756 -0.213076 0.088728",
    ("train", 0, 19): "1.261441 -0.638350 0.217443 0.263384 0.391115 -0.176897 "
    "-0.510697 0.020526 -0.217709 -0.219071 -0.033314 -0.175986",
    ("train", 1, 0): "1.303905 0.067256 0.597720 -0.271474 -0.236808 -0.411125 "
    "-0.014826 0.113175 -0.058230 -0.173138 0.093058 0.099247",
    ("train", 269, 8): "0.966744 -0.323093 0.305467 -0.419457 0.514195 -0.311060 "
    "-0.033985 0.154038 -0.389686 -0.089183 0.166250 0.173642",
    ("test", 368, -1): "1.418509 -0.780273 0.285353 -0.087637 0.481431 -0.123554 "
    "-0.313209 0.004093 -0.366268 -0.083416 0.109575 -0.027859",
    ("test", 369, 0): "1.421622 -0.386758 -0.187715 -0.504102 -0.026528 -0.562740 "
    "0.087821 0.168902 -0.137287 0.087146 -0.142142 0.101818",
    ("test", 369, 10): "1.177449 -0.404080 0.052026 -0.284812 0.429840 -0.203484 "
    "-0.072393 -0.080955 -0.244424 -0.001849 -0.016634 0.224688",
}


@pytest.fixture(scope="module")
def vowels():
    train, test = data.japanese_vowels()
    return {"train": train, "test": test}


def rng(seed=0):
    return np.random.default_rng(seed)


def made_up(dtype=np.float32):
    """Three sequences of 2, 5 and 3 steps and two coefficients, counted off so that each number is known."""
    lengths = np.array([2, 5, 3])
    x = np.arange(1, 31, dtype=dtype).reshape(5, 3, 2)
    for b, length in enumerate(lengths):
        x[length:, b] = 0
    return data.Utterances(x, lengths, np.array([4, 0, 8]))


# --- Japanese Vowels ------------------------------------------------------------------------------


def test_japanese_vowels_has_ucis_counts_per_speaker(vowels):
    assert np.bincount(vowels["train"].speaker).tolist() == TRAIN_COUNTS
    assert np.bincount(vowels["test"].speaker).tolist() == TEST_COUNTS
    assert len(vowels["train"].speaker) == 270
    assert len(vowels["test"].speaker) == 370


def test_japanese_vowels_stand_in_ucis_order(vowels):
    for split in ("train", "test"):
        assert np.all(np.diff(vowels[split].speaker) >= 0)
    assert vowels["train"].lengths[:6].tolist() == FIRST_TRAIN_LENGTHS


def test_japanese_vowels_are_7_to_29_frames_long(vowels):
    lengths = np.concatenate([vowels["train"].lengths, vowels["test"].lengths])
    assert (lengths.min(), lengths.max()) == (7, 29)


@pytest.mark.parametrize(("place", "line"), FRAMES.items())
def test_japanese_vowels_frames_are_ucis(vowels, place, line):
    split, b, t = place
    utterances = vowels[split]
    frame = utterances.x[t % utterances.lengths[b], b]
    assert [f"{value:.6f}" for value in frame] == line.split()


def test_japanese_vowels_lengths_are_the_lengths_of_the_files_blocks(vowels):
    # The last line of a block is known above; the frame after it must be padding.
    assert vowels["train"].lengths[269] == 9
    assert vowels["test"].lengths[369] == 11


@pytest.mark.parametrize("split", ["train", "test"])
def test_japanese_vowels_padding_is_zero_and_frames_are_not(vowels, split):
    x, lengths, speaker = vowels[split]
    assert x.shape == (lengths.max(), len(lengths), 12)
    assert (x.dtype, lengths.dtype, speaker.dtype) == (np.float32, np.int64, np.int64)
    for b, length in enumerate(lengths):
        assert not x[length:, b].any()
        assert x[:length, b].any(axis=1).all()


def test_japanese_vowels_arrays_are_fresh_at_each_call(vowels):
    again, _ = data.japanese_vowels()
    again.x[:] = 0
    assert data.japanese_vowels()[0].x.any()


def test_japanese_vowels_file_is_the_one_its_page_describes():
    folder = files("rnnlit").joinpath("data")
    content = folder.joinpath("japanese_vowels.npz").read_bytes()
    page = folder.joinpath("JAPANESE_VOWELS.md").read_text(encoding="utf-8")
    assert hashlib.sha256(content).hexdigest() in re.findall(r"`([0-9a-f]{64})`", page)
    assert len(content) < 500_000
    assert "CC BY 4.0" in page and "10.24432/C5NS47" in page


# --- standardise ----------------------------------------------------------------------------------


def test_standardise_gives_the_training_frames_mean_zero_and_deviation_one(vowels):
    train, _ = data.standardise(vowels["train"], vowels["test"])
    frames = np.concatenate([train.x[:length, b] for b, length in enumerate(train.lengths)]).astype(
        np.float64
    )
    assert frames.shape == (4274, 12)
    np.testing.assert_allclose(frames.mean(axis=0), 0, **TOLERANCE[np.float32])
    np.testing.assert_allclose(frames.std(axis=0), 1, **TOLERANCE[np.float32])


def test_standardise_moves_the_test_set_by_the_training_sets_numbers():
    train, test = made_up(np.float64), made_up(np.float64)
    test.x[:, :, 1] *= 7
    values = [[train.x[t, b, k] for b, length in enumerate((2, 5, 3)) for t in range(length)] for k in (0, 1)]
    mean = [sum(v) / 10 for v in values]
    deviation = [math.sqrt(sum((x - m) ** 2 for x in v) / 10) for v, m in zip(values, mean, strict=True)]
    _, scaled = data.standardise(train, test)
    for b, length in enumerate(test.lengths):
        for t in range(5):
            expected = [(test.x[t, b, k] - mean[k]) / deviation[k] if t < length else 0 for k in (0, 1)]
            np.testing.assert_allclose(scaled.x[t, b], expected, **TOLERANCE[np.float64])


def test_standardise_leaves_padding_zero_and_its_arguments_alone(vowels):
    before = vowels["test"].x.copy()
    for scaled in data.standardise(vowels["train"], vowels["test"]):
        assert scaled.x.dtype == np.float32
        for b, length in enumerate(scaled.lengths):
            assert not scaled.x[length:, b].any()
    np.testing.assert_array_equal(vowels["test"].x, before)


def test_standardise_ignores_what_stands_in_the_padding():
    clean, dirty = made_up(), made_up()
    dirty.x[2:, 0] = 1e6
    np.testing.assert_array_equal(data.standardise(dirty, clean)[1].x, data.standardise(clean, clean)[1].x)


def test_standardise_refuses_a_coefficient_that_never_varies():
    flat = made_up()
    flat.x[:, :, 1] = 3
    with pytest.raises(ValueError, match=r"one value at all steps for \[1\]"):
        data.standardise(flat, made_up())


def test_standardise_refuses_different_numbers_of_coefficients():
    narrow = made_up()
    narrow = narrow._replace(x=narrow.x[:, :, :1])
    with pytest.raises(ValueError, match=r"test\.x: expected shape \(T, B, 2\), got \(5, 3, 1\)"):
        data.standardise(made_up(), narrow)


def test_standardise_refuses_anything_but_utterances():
    with pytest.raises(TypeError, match=r"test: expected Utterances, got ndarray"):
        data.standardise(made_up(), made_up().x)


# --- minibatches ----------------------------------------------------------------------------------


def test_minibatches_hold_each_utterance_once_and_nothing_else(vowels):
    train = vowels["train"]
    seen = []
    for batch in data.minibatches(train, 32, rng()):
        assert len(batch.x) == batch.lengths.max()
        for b, length in enumerate(batch.lengths):
            assert not batch.x[length:, b].any()
            seen.append((batch.speaker[b], batch.x[:length, b].tobytes()))
    expected = [(train.speaker[b], train.x[:length, b].tobytes()) for b, length in enumerate(train.lengths)]
    assert sorted(seen) == sorted(expected)
    assert seen != expected


def test_minibatches_are_of_the_size_asked_and_the_last_holds_the_rest(vowels):
    sizes = [len(batch.lengths) for batch in data.minibatches(vowels["train"], 32, rng())]
    assert sizes == [32] * 8 + [14]


def test_minibatches_follow_the_generator(vowels):
    def order(seed):
        return np.concatenate(
            [batch.speaker for batch in data.minibatches(vowels["train"], 50, rng(seed))]
        ).tolist()

    assert order(3) == order(3)
    assert order(3) != order(4)


@pytest.mark.parametrize("size", [0, -2])
def test_minibatches_refuse_a_size_below_one_at_the_call(vowels, size):
    with pytest.raises(ValueError, match="size"):
        data.minibatches(vowels["train"], size, rng())


def test_minibatches_refuse_a_seed_in_place_of_a_generator(vowels):
    with pytest.raises(TypeError, match=r"rng: expected a NumPy Generator.*got int"):
        data.minibatches(vowels["train"], 4, 0)


def test_minibatches_refuse_lengths_beyond_the_steps():
    wrong = made_up()._replace(lengths=np.array([2, 6, 3]))
    with pytest.raises(ValueError, match="lengths"):
        data.minibatches(wrong, 2, rng())


# --- the adding problem of today ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("T", [2, 7, 40])
def test_adding_marks_one_step_in_each_half_and_asks_for_their_sum(T, dtype):
    x, y = data.adding(T, 300, rng(), dtype)
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((T, 300, 2), (300, 1), dtype, dtype)
    assert x[:, :, 0].min() >= 0 and x[:, :, 0].max() <= 1
    assert np.isin(x[:, :, 1], (0, 1)).all()
    assert (x[: T // 2, :, 1].sum(axis=0) == 1).all()
    assert (x[T // 2 :, :, 1].sum(axis=0) == 1).all()
    np.testing.assert_allclose(y[:, 0], (x[:, :, 0] * x[:, :, 1]).sum(axis=0), **TOLERANCE[dtype])


def test_adding_marks_every_step_of_its_half_equally_often():
    T, B = 7, 21_000
    x, _ = data.adding(T, B, rng())
    share = x[:, :, 1].mean(axis=1, dtype=np.float64)
    for part, expected in ((share[:3], 1 / 3), (share[3:], 1 / 4)):
        error = np.sqrt(expected * (1 - expected) / B)
        assert np.all(np.abs(part - expected) < 5 * error)


def test_adding_without_memory_costs_one_sixth():
    _, y = data.adding(9, 200_000, rng(), np.float64)
    squares = (y - 1) ** 2
    assert abs(squares.mean() - 1 / 6) < 4 * squares.std() / np.sqrt(squares.size)
    assert abs(y.mean() - 1) < 4 * y.std() / np.sqrt(y.size)


def test_adding_follows_the_generator():
    np.testing.assert_array_equal(data.adding(6, 5, rng(1))[0], data.adding(6, 5, rng(1))[0])
    assert not np.array_equal(data.adding(6, 5, rng(1))[0], data.adding(6, 5, rng(2))[0])


# --- the adding problem of 1997 -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("T", [20, 53, 100])
def test_adding_1997_keeps_the_papers_rules(T, dtype):
    B = 600
    x, lengths, y = data.adding_1997(T, B, rng(), dtype)
    assert (x.shape, lengths.shape, y.shape) == ((T + T // 10, B, 2), (B,), (B, 1))
    assert (x.dtype, y.dtype) == (dtype, dtype)
    assert np.abs(x[:, :, 0]).max() <= 1 and x[:, :, 0].min() < -0.9 and x[:, :, 0].max() > 0.9
    assert set(lengths) == set(range(T, T + T // 10 + 1))
    for b, length in enumerate(lengths):
        markers = x[:, b, 1]
        assert not x[length:, b].any()
        assert markers[0] == -1 and markers[length - 1] == -1
        marked = np.flatnonzero(markers == 1)
        assert np.flatnonzero(markers).size == marked.size + 2
        assert marked.max(initial=0) <= T // 2 - 1
        if len(marked) == 1:  # the other mark fell on the first pair
            assert x[0, b, 0] == 0
            target = 0.5 + x[marked[0], b, 0] / 4
        else:
            assert len(marked) == 2 and marked[0] < 10
            target = 0.5 + (x[marked[0], b, 0] + x[marked[1], b, 0]) / 4
        assert 0 <= y[b, 0] <= 1
        np.testing.assert_allclose(y[b, 0], target, **TOLERANCE[dtype])


def test_adding_1997_reaches_every_place_that_the_paper_allows():
    x, _, _ = data.adding_1997(20, 20_000, rng())
    # First of ten, then one of the first nine unmarked: the places from 1 to 9 are marked, none beyond.
    assert np.flatnonzero((x[:, :, 1] == 1).any(axis=1)).tolist() == list(range(1, 10))
    x, _, _ = data.adding_1997(60, 20_000, rng())
    assert np.flatnonzero((x[:, :, 1] == 1).any(axis=1)).tolist() == list(range(1, 30))


def test_adding_1997_marks_places_as_often_as_the_paper_says():
    # Place 0: 1/10 + 9/10 / (T/2 - 1).  Place 29: only as the last of the first 29 unmarked pairs, 1/29.
    B = 40_000
    x, _, _ = data.adding_1997(60, B, rng())
    one_mark = ((x[:, :, 1] == 1).sum(axis=0) == 1).mean()
    last_place = (x[29, :, 1] == 1).mean()
    for share, expected in ((one_mark, 0.1 + 0.9 / 29), (last_place, 1 / 29)):
        assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / B)


def test_adding_1997_without_memory_costs_what_the_docstring_says():
    _, _, y = data.adding_1997(100, 60_000, rng(), np.float64)
    squares = (y - 0.5) ** 2
    p = 1 / 10 + 9 / 10 / 49
    assert abs(squares.mean() - (2 - p) / 48) < 4 * squares.std() / np.sqrt(squares.size)
    assert f"{(2 - p) / 48:.4f}" in data.adding_1997.__doc__


def test_adding_1997_follows_the_generator():
    for one, two in zip(data.adding_1997(30, 7, rng(1)), data.adding_1997(30, 7, rng(1)), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(data.adding_1997(30, 7, rng(1))[0], data.adding_1997(30, 7, rng(2))[0])


@pytest.mark.parametrize(("draw", "least"), [(data.adding, 2), (data.adding_1997, 20)])
def test_adding_problems_refuse_bad_arguments(draw, least):
    draw(least, 3, rng())
    with pytest.raises(ValueError, match=rf"T: expected at least {least}.* got {least - 1}"):
        draw(least - 1, 3, rng())
    with pytest.raises(ValueError, match="B"):
        draw(30, 0, rng())
    with pytest.raises(TypeError, match="T"):
        draw(30.5, 3, rng())
    with pytest.raises(TypeError, match=r"rng: .*got int"):
        draw(30, 3, 0)
    with pytest.raises(TypeError, match="dtype: expected float32 or float64, got int64"):
        draw(30, 3, rng(), np.int64)
