"""The checks of arguments: what passes, what is refused, what the refusal says. (In use: test_cells.py.)"""

import numpy as np
import pytest

from rnnlit.tools.checks import (
    check_array,
    check_gradients,
    check_init,
    check_lengths,
    check_probability,
    check_rng,
    check_size,
)


@pytest.mark.parametrize("value", [1, np.int64(7)])
def test_sizes_pass_as_ints(value):
    assert check_size("H", value) == value and type(check_size("H", value)) is int


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError), ("4", TypeError)],
)
def test_other_sizes_are_refused(value, error):
    with pytest.raises(error, match="H: expected a positive integer, got"):
        check_size("H", value)


@pytest.mark.parametrize("value", [0, 0.25, np.float32(0.25), np.int64(0)])
def test_probabilities_pass_as_floats(value):
    assert check_probability("p", value) == value and type(check_probability("p", value)) is float


@pytest.mark.parametrize(
    ("value", "error"),
    [(1, ValueError), (-0.1, ValueError), (np.nan, ValueError), (True, TypeError), ("0.5", TypeError)],
)
def test_other_probabilities_are_refused(value, error):
    words = "expected a probability, 0 <= p < 1, got" if error is ValueError else "expected a number, got"
    with pytest.raises(error, match=f"zoneout: {words} {value!r}"):
        check_probability("zoneout", value)


def test_a_generator_passes_and_a_seed_is_refused():
    rng = np.random.default_rng(0)
    assert check_rng(rng) is rng
    with pytest.raises(TypeError, match=r"rng: expected a numpy\.random\.Generator, got int"):
        check_rng(0)


def test_arrays_pass_as_they_are():
    x = np.zeros((5, 2, 3), np.float32)
    assert check_array("x", x, ("T", "B", 3), np.float32, finite=True) is x


def test_a_shape_is_named_and_an_empty_axis_refused():
    with pytest.raises(ValueError, match=r"x: expected shape \(T, B, 3\), got \(5, 0, 3\)"):
        check_array("x", np.zeros((5, 0, 3)), ("T", "B", 3))
    with pytest.raises(ValueError, match=r"b: expected shape \(4,\), got \(\)"):
        check_array("b", np.zeros(()), (4,))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_its_place(bad):
    x = np.zeros((5, 2))
    x[3, 1] = bad
    with pytest.raises(ValueError, match=r"x: expected finite numbers, got -?(nan|inf) at index \(3, 1\)"):
        check_array("x", x, (5, 2), finite=True)
    assert check_array("x", x, (5, 2)) is x


def test_lengths_pass_in_any_order_and_type():
    for given in ([5, 1, 3], np.array([5, 1, 3], np.int16), (5, 1, 3)):
        lengths = check_lengths(given, T=5, B=3)
        assert lengths.dtype == np.int64 and lengths.tolist() == [5, 1, 3]
    with pytest.raises(TypeError, match="lengths: expected integers, got bool"):
        check_lengths([True, True, False], T=5, B=3)


def test_init_and_gradients():
    assert check_init(3, 4, np.random.default_rng(0), "float32") == (3, 4)
    check_gradients((5, 2, 4), np.float64, dh=None, dh_n=np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"dh_n: expected shape \(2, 4\), got \(5, 2, 4\)"):
        check_gradients((5, 2, 4), np.float64, dh=None, dh_n=np.zeros((5, 2, 4)))
