"""Answers to the exercises of the page on speed, as a reader may write them."""

import numpy as np
import pytest

from rnnlit.exercises import speed
from rnnlit.exercises.check import RIGHT, WRONG


def join(f1, u1, f2, u2):
    """The line through two points: what two steps make of c = 0 and of c = 1."""
    at_0 = f2 * (f1 * 0 + u1) + u2
    at_1 = f2 * (f1 * 1 + u1) + u2
    return at_1 - at_0, at_0


def products_together(x, W):
    """Number by number."""
    a = np.zeros((*x.shape[:2], len(W)), x.dtype)
    for t, b, j in np.ndindex(a.shape):
        a[t, b, j] = sum(W[j, i] * x[t, b, i] for i in range(x.shape[2]))
    return a


@pytest.mark.parametrize("answer", [join, products_together])
def test_an_answer_is_right(answer):
    assert getattr(speed, answer.__name__).judge(answer).outcome == RIGHT


def test_the_right_answer_joins_the_steps_of_a_recurrence():
    f, u = np.random.default_rng(0).standard_normal((2, 5, 3))
    c, joined = np.zeros(3), (np.ones(3), np.zeros(3))
    for f_t, u_t in zip(f, u, strict=True):
        c = f_t * c + u_t
        joined = speed.join.oracle(*joined, f_t, u_t)
    assert np.allclose(joined[1], c) and np.allclose(joined[0], f.prod(0))


def test_a_wrong_order_is_named():
    verdict = speed.join.judge(lambda f1, u1, f2, u2: (f1 * f2, u1 + f1 * u2))
    assert (verdict.outcome, verdict.mistake) == (WRONG, "the second step is taken first")
