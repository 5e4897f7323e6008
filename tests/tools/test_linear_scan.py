"""The linear recurrence in rounds, against the loop and a closed form."""

import numpy as np
import pytest

from rnnlit.tools.linear_scan import linear_scan
from tests.tolerances import TOLERANCE


@pytest.mark.parametrize("T, rounds", [(1, 0), (2, 1), (5, 3), (64, 6), (65, 7)])
def test_it_is_the_loop(T, rounds):
    rng = np.random.default_rng(0)
    f, u = rng.uniform(0, 1, (T, 2, 3)), rng.standard_normal((T, 2, 3))
    copies = f.copy(), u.copy()
    c, states = np.zeros((2, 3)), []
    for t in range(T):
        c = f[t] * c + u[t]
        states.append(c)
    got, taken = linear_scan(f, u)
    np.testing.assert_allclose(got, states, **{**TOLERANCE[np.float64]})
    assert taken == rounds
    assert np.array_equal(f, copies[0]) and np.array_equal(u, copies[1])


def test_constant_factor_has_a_closed_form():
    """c_t = (1 - f^t) / (1 - f)"""
    c, _ = linear_scan(np.full(20, 0.9), np.ones(20))
    np.testing.assert_allclose(c, (1 - 0.9 ** np.arange(1, 21)) / 0.1, **TOLERANCE[np.float64])


def test_zero_factor_forgets():
    c, _ = linear_scan(np.array([1.0, 1.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert c.tolist() == [1, 3, 3, 7]


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match="u: expected"):
        linear_scan(np.ones((4, 2)), np.ones((4, 3)))
