"""Answers to the exercises of the page on learning to execute, as a reader may write them."""

import numpy as np
import pytest

from rnnlit.exercises import execution
from rnnlit.exercises.check import RIGHT, WRONG
from rnnlit.practice.execution import Curriculum
from rnnlit.tasks import programs
from rnnlit.tasks.programs import Die, Program


def asked(chars, begins):
    """Column by column."""
    write = np.full((len(chars) - 1, chars.shape[1]), -100)
    for b, begin in enumerate(begins):
        for t in range(begin, len(chars) - 1):
            if chars[t + 1, b] == 0:
                break
            write[t, b] = chars[t + 1, b]
    return write


def teacher(guess, write):
    right = asked = 0
    for g, w in zip(guess.ravel(), write.ravel(), strict=True):
        right, asked = right + (g == w), asked + (w != -100)
    return right / asked


def exact(guess, write):
    columns = zip(guess.T, write.T, strict=True)
    whole = [all(g == w for g, w in zip(*pair, strict=True) if w != -100) for pair in columns]
    return sum(whole) / len(whole)


def mixture(at, K):
    return [0.2 / K + (0.8 if k == at else 0) for k in range(K)]


@pytest.mark.parametrize("answer", [asked, teacher, exact, mixture])
def test_an_answer_is_right(answer):
    assert getattr(execution, answer.__name__).judge(answer).outcome == RIGHT


def test_what_is_asked_is_what_the_network_is_trained_on():
    some = [Program("print(7+5)", "12"), Program("print(3-19)", "-16")]
    chars = programs.numbers([one.text + "@" + one.answer + "." for one in some])
    write = execution.asked.oracle(chars, np.array([10, 11]))
    trained = programs.encode(some).write
    np.testing.assert_array_equal(np.where(write < 0, write, write - 1), trained)


def test_the_mixture_is_how_often_combined_draws():
    curriculum = Curriculum("combined", 3, 2)
    curriculum.at = 2
    drawn = curriculum.draw(6000, Die(np.random.default_rng(0)))
    shares = [drawn.count(level) / 6000 for level in curriculum.levels]
    np.testing.assert_allclose(shares, execution.mixture.oracle(2, 6), atol=0.02)  # a deviation is 0.005


def test_a_lost_share_is_named():
    verdict = execution.mixture.judge(lambda at, K: [0.8 if k == at else 0.2 / K for k in range(K)])
    assert (verdict.outcome, verdict.mistake) == (WRONG, "the present difficulty is drawn by naive alone")
