"""Padding and the products over all steps, against loops."""

import numpy as np

from rnnlit.tools.sequences import beyond, clear_padding, gradient_of_states, last, outer_sum, product
from tests.tolerances import TOLERANCE

T, B, I, H = 5, 3, 2, 4
LENGTHS = np.array([2, 5, 1])


def test_beyond_marks_the_padding():
    assert beyond(LENGTHS, T).T.astype(int).tolist() == [[0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]]


def test_last_takes_each_sequence_at_its_end_and_copies():
    states = np.random.default_rng(0).standard_normal((T + 1, B, H))
    np.testing.assert_array_equal(
        last(states, LENGTHS), np.stack([states[n, b] for b, n in enumerate(LENGTHS)])
    )
    whole = last(states, None)
    np.testing.assert_array_equal(whole, states[-1])
    whole[:] = 0
    assert states[-1].all()


def test_gradients_of_states_are_joined_by_a_loop():
    rng = np.random.default_rng(0)
    d, d_last = rng.standard_normal((T, B, H)), rng.standard_normal((B, H))
    want = np.zeros((T, B, H))
    for b, n in enumerate(LENGTHS):
        want[:n, b] = d[:n, b]
        want[n - 1, b] += d_last[b]
    states, given = np.full((T, B, H), np.nan), (d.copy(), d_last.copy())
    np.testing.assert_array_equal(gradient_of_states(d, d_last, LENGTHS, states), want)
    np.testing.assert_array_equal(gradient_of_states(d, None, LENGTHS, states), np.where(want != 0, d, 0))
    only_last = gradient_of_states(None, d_last, None, states)
    assert not only_last[:-1].any() and np.array_equal(only_last[-1], d_last)
    assert gradient_of_states(d, None, None, states) is d
    assert np.array_equal(d, given[0]) and np.array_equal(d_last, given[1])


def test_without_a_gradient_it_is_zero_in_the_states_dtype():
    zero = gradient_of_states(None, None, LENGTHS, np.full((T, B, H), np.nan, np.float32))
    assert zero.shape == (T, B, H) and zero.dtype == np.float32 and not zero.any()


def test_padding_is_cleared_and_nothing_else():
    rng = np.random.default_rng(0)
    states, gates = rng.standard_normal((T, B, H)), rng.standard_normal((T, B, 3 * H))
    before = states.copy(), gates.copy()
    clear_padding(None, states, gates)
    assert np.array_equal(states, before[0]) and np.array_equal(gates, before[1])
    clear_padding(LENGTHS, states, gates)
    for array, old in zip((states, gates), before, strict=True):
        for b, n in enumerate(LENGTHS):
            assert np.array_equal(array[:n, b], old[:n, b]) and not array[n:, b].any()


def test_products_over_all_steps_are_sums_of_products():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((T, B, I)), rng.standard_normal((I, H))
    np.testing.assert_allclose(
        product(x, weight), np.stack([x[t] @ weight for t in range(T)]), **TOLERANCE[np.float64]
    )
    da = rng.standard_normal((T, B, H))
    want = sum(np.outer(da[t, b], x[t, b]) for t in range(T) for b in range(B))
    np.testing.assert_allclose(outer_sum(da, x), want, **TOLERANCE[np.float64])
    block = rng.standard_normal((T, B, 3 * H))[..., H : 2 * H]  # a view, as of one gate
    want = sum(np.outer(block[t, b], x[t, b]) for t in range(T) for b in range(B))
    np.testing.assert_allclose(outer_sum(block, x), want, **TOLERANCE[np.float64])
