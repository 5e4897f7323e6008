"""Closing brackets. Oracles: a parser with a stack, over the text that a reader sees, and cases by hand."""

import numpy as np
import pytest

from rnnlit.tasks import closing
from rnnlit.tasks.closing import CLOSING, NOTHING, OPENING, accuracy, draw, last_opened, read, texts


def parse(text):
    """Where brackets close: {step: (kind, distance)}, by a stack; and the greatest depth."""
    stack, found, deepest, pairs = [], {}, 0, []
    for t, letter in enumerate(text):
        if letter in OPENING:
            stack.append((letter, t))
            deepest = max(deepest, len(stack))
        elif letter in CLOSING:
            bracket, opened = stack.pop()
            pairs.append(bracket + letter)
            found[t] = OPENING.index(bracket), t - opened
    assert set(pairs) <= {"()", "[]", "{}"}
    return found, deepest


@pytest.mark.parametrize("depth", [2, 3])
def test_marks_nest_and_targets_are_what_closes_next(depth):
    train, _ = texts()
    T, B = 90, 25
    batch = draw(train, B, np.random.default_rng(3), length=T, depth=depth)
    assert all(part.shape == (T, B) and part.dtype == np.int64 for part in batch)
    deepest, asked = 0, 0
    for b in range(B):
        found, deep = parse(read(batch.x[:, b]))
        deepest = max(deepest, deep)
        for t in range(T - 1):  # what closes after the last step is not in x
            kind, distance = found.get(t + 1, (NOTHING, 0))
            assert (batch.target[t, b], batch.distance[t, b]) == (kind, distance)
            asked += kind != NOTHING
    assert deepest == depth and asked > 50


def test_what_stands_between_the_marks_is_the_text():
    train, test = texts()
    for text in (train, test):
        batch = draw(text, 7, np.random.default_rng(0), length=60)
        whole = read(text)
        for b in range(7):
            between = "".join(c for c in read(batch.x[:, b]) if c not in OPENING + CLOSING)
            assert between in whole
            assert not any(f"{mark} " in read(batch.x[:, b]) for mark in OPENING)
    assert len(test) == round(0.1 * (len(train) + len(test)))
    assert read(test).endswith("and the happy summer days")


def test_the_same_generator_gives_the_same_batch():
    train, _ = texts()
    one, other, third = (draw(train, 3, np.random.default_rng(seed), length=40) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.x, other.x)
    assert (one.x != third.x).any()


def encode(text):
    return np.array([[closing.ALPHABET.index(c)] for c in text])


def test_the_last_opened_mark_by_hand():
    guess = last_opened(encode("a(b[c]d)"))
    assert guess[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    # Right for the inner mark (asked after c), wrong for the outer (asked after d).
    assert guess[4, 0] == OPENING.index("[") and guess[6, 0] != OPENING.index("(")


def test_accuracy_by_hand():
    target = np.array([[0, NOTHING], [2, 1], [NOTHING, 1]])
    distance = np.array([[2, 0], [5, 6], [0, 30]])
    batch = closing.Batch(np.zeros_like(target), target, distance)
    guess = np.array([[0, 0], [1, 1], [2, 0]])
    got = accuracy(guess, batch, edges=(1, 6, 40))
    np.testing.assert_array_equal(got, [0.5, 0.5, np.nan])  # 0 right and 2 wrong; 1 right and 1 wrong; none


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(size=0), "size: expected .* got 0"),
        (dict(length=10**6), "text: expected more than the 1000000 characters"),
        (dict(depth=0), "depth: expected .* got 0"),
        (dict(often=1), "often: expected a probability between 0 and 1, got 1"),
        (dict(often=0), "often: expected a probability between 0 and 1, got 0"),
    ],
)
def test_bad_arguments_are_named(change, words):
    train, _ = texts()
    with pytest.raises(ValueError, match=words):
        draw(train, **(dict(size=2, rng=np.random.default_rng(0)) | change))
