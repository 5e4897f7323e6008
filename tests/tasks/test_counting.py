"""Strings to count. Oracles: Python's own strings, sums of bits one by one, and steps worked by hand."""

import numpy as np
import pytest

from rnnlit.tasks.counting import END, LETTERS, UNASKED, bits, input_gate_step, strings
from tests.tolerances import TOLERANCE


@pytest.mark.parametrize("letters", [2, 3])
def test_what_comes_next_is_what_comes_next(letters):
    ns = [4, 1, 3]
    batch = strings(ns, letters)
    assert batch.letters.shape == batch.answers.shape == (4 * letters, 3)
    asked = 0
    for b, n in enumerate(ns):
        text = "".join(letter * n for letter in LETTERS[:letters])
        assert "".join(LETTERS[k] for k in batch.letters[: len(text), b]) == text
        for t in range(len(batch.letters)):
            answer = batch.answers[t, b]
            if n <= t < len(text):  # from the first b on
                asked += 1
                assert answer == (END if t + 1 == len(text) else LETTERS.index(text[t + 1]))
            else:
                assert answer == UNASKED
    assert asked == sum(ns) * (letters - 1)


def test_parities_by_counting():
    batch = bits(7, 5, np.random.default_rng(0))
    assert batch.letters.shape == (7, 5) and set(np.unique(batch.letters)) == {0, 1}
    for b in range(5):
        ones = 0
        for t in range(7):
            ones += int(batch.letters[t, b])
            assert batch.answers[t, b] == (ones % 2 == 1)
    again = bits(7, 5, np.random.default_rng(0))
    assert (again.letters == batch.letters).all()


def test_a_step_by_hand():
    """z = sigma(ln 3) = 3/4, n = 2 * 0.5 + 1 = 2;  1/4 * 0.8 + 3/4 * 2 = 1.7;  -1/2 * 0.8 + 3/4 * 2 = 1.1"""
    params = np.zeros((1, 1)), np.array([np.log(3)]), np.array([[2.0]]), np.array([1.0])
    x, h = np.array([[0.5]]), np.array([[0.8]])
    np.testing.assert_allclose(input_gate_step(params, x, h), [[1.7]], **TOLERANCE[np.float64])
    np.testing.assert_allclose(input_gate_step(params, x, h, signed=True), [[1.1]], **TOLERANCE[np.float64])


def test_a_gate_of_the_input_keeps_the_order_of_two_states():
    """Between 0 and 1 the factor can't put the lower state above the higher one; a signed one can."""
    rng = np.random.default_rng(1)
    params = tuple(rng.standard_normal(shape) for shape in ((4, 3), (4,), (4, 3), (4,)))
    x, low = rng.standard_normal((2, 3)), rng.standard_normal((2, 4))
    high = low + rng.random((2, 4))
    assert (input_gate_step(params, x, low) < input_gate_step(params, x, high)).all()
    turned = input_gate_step(params, x, low, signed=True) > input_gate_step(params, x, high, signed=True)
    assert turned.any() and not turned.all()


@pytest.mark.parametrize(
    ("counts", "letters", "error", "words"),
    [
        ([], 2, ValueError, "counts: expected one or more, got none"),
        ([3, 0], 2, ValueError, "counts: expected a positive integer, got 0"),
        ([2.5], 2, TypeError, "counts: expected a positive integer, got 2.5"),
        ([2], 4, ValueError, "letters: expected 2 or 3, got 4"),
    ],
)
def test_what_cannot_be_counted(counts, letters, error, words):
    with pytest.raises(error, match=words):
        strings(counts, letters)


def test_bits_need_a_generator_and_sizes():
    with pytest.raises(TypeError):
        bits(3, 2, 0)
    with pytest.raises(ValueError, match="length"):
        bits(0, 2, np.random.default_rng(0))
