"""The plain cell: worked by hand, and what its gradient must do. (What cells share: test_cells.py.)"""

import numpy as np

from rnnlit import rnn


def scalar_cell(w, u):
    return rnn.Params(np.array([[w]]), np.array([[u]]), np.zeros(1), np.zeros(1))


def test_step_worked_by_hand():
    params = rnn.Params(
        np.array([[1.0, 0.0], [0.0, -1.0]]),
        np.array([[0.0, 1.0], [0.5, 0.0]]),
        np.array([0.1, 0.0]),
        np.array([0.0, 0.2]),
    )
    h = rnn.step(params, np.array([[0.8, 0.7]]), np.array([[0.2, -0.4]]))
    np.testing.assert_allclose(h, np.tanh([[0.8 + 0.1 - 0.4, -0.7 + 0.2 + 0.1]]), rtol=1e-12)


def test_gradient_over_a_lag_is_the_product_of_slopes_and_weights():
    params, T = scalar_cell(1.0, 0.9), 6
    x = np.linspace(-1, 1, T).reshape(T, 1, 1)
    run = rnn.forward(params, x)
    grads = rnn.backward(params, run, dh_n=np.ones((1, 1)))
    slopes = 1 - run.h[:, 0, 0] ** 2
    for k in range(T):
        np.testing.assert_allclose(grads.x[k, 0, 0], 0.9 ** (T - 1 - k) * np.prod(slopes[k:]), rtol=1e-12)
