"""Padding and the products over all steps, against loops."""

import numpy as np

from rnnlit import rnn
from rnnlit.tools.sequences import beyond, gradient_of_states, last, product, weight_gradients
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
    np.testing.assert_array_equal(gradient_of_states(d, d_last, LENGTHS, d.shape), want)
    np.testing.assert_array_equal(gradient_of_states(d, None, LENGTHS, d.shape), np.where(want != 0, d, 0))
    only_last = gradient_of_states(None, d_last, None, d.shape)
    assert not only_last[:-1].any() and np.array_equal(only_last[-1], d_last)
    assert (
        gradient_of_states(d, None, None, d.shape) is d
        and gradient_of_states(None, None, LENGTHS, d.shape) is None
    )


def test_products_over_all_steps_are_sums_of_products():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((T, B, I)), rng.standard_normal((I, H))
    np.testing.assert_allclose(
        product(x, weight), np.stack([x[t] @ weight for t in range(T)]), **TOLERANCE[np.float64]
    )
    params = rnn.init(I, H, rng=rng, dtype=np.float64)
    run, da = rnn.forward(params, x), rng.standard_normal((T, B, H))
    weight_ih, weight_hh, bias_ih, bias_hh = weight_gradients(da, run)
    np.testing.assert_allclose(weight_ih, sum(da[t].T @ x[t] for t in range(T)), **TOLERANCE[np.float64])
    want = sum(da[t].T @ run.h[t - 1] for t in range(1, T))
    np.testing.assert_allclose(weight_hh, want, **TOLERANCE[np.float64])
    np.testing.assert_allclose(bias_ih, da.sum((0, 1)), **TOLERANCE[np.float64])
    assert np.array_equal(bias_ih, bias_hh) and bias_ih is not bias_hh
