"""The exercises of the page on counting, answered anew, as a reader might."""

import numpy as np
import pytest

from rnnlit.exercises import counting
from rnnlit.exercises.check import NOT_TRIED, RIGHT, WRONG

TWO = dict(unit_1=(9, -9, 0), unit_2=(0, 9, -9))
FLIP = dict(z=(80, -40), n=(0, 1))


def test_parities_one_by_one():
    def parities(bits):
        out, odd = [], np.zeros(bits.shape[1], int)
        for row in bits:
            odd = odd ^ row
            out.append(odd)
        return np.array(out)

    assert counting.parities.judge(parities).outcome == RIGHT


def test_a_step():
    def input_step(params, x, h):
        W_z, b_z, W_n, b_n = params
        z = 1 / (1 + np.exp(-(x @ W_z.T + b_z)))
        return h + z * (x @ W_n.T + b_n - h)

    assert counting.input_step.judge(input_step).outcome == RIGHT


def test_two_counters_in_three_ways():
    assert counting.two_counters.judge(TWO).outcome == RIGHT
    assert counting.two_counters.judge(unit_1=(9, -9, 0), unit_2=(9, 0, -9)).outcome == RIGHT
    assert counting.two_counters.judge(unit_1=(1, -1, 0), unit_2=(0, 1, -1)).outcome == RIGHT  # 0.76 a letter


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(unit_2=(0, 0, 0)), "c comes next"),
        (dict(unit_1=(9, 0, -9)), "c comes next"),
        (dict(unit_1=(9, -9, 9)), "the string is at its end"),
        (dict(unit_1=(0, 9, -9)), "comes next"),
    ],
)
def test_two_counters_say_where_they_fail(change, words):
    verdict = counting.two_counters.judge({**TWO, **change})
    assert verdict.outcome == WRONG and words in verdict.text, verdict.text


def test_flip():
    assert counting.flip.judge(FLIP).outcome == RIGHT
    assert counting.flip.judge(z=(80, -40), n=(1, 0)).outcome == RIGHT
    leaky = counting.flip.judge(z=(8, -4), n=(0, 1))  # right for some steps, not for a thousand
    assert leaky.outcome == WRONG and "the number of ones is" in leaky.text
    assert counting.flip.judge(z=(0, -40), n=(0, 1)).outcome == WRONG
    assert counting.flip.judge(z=(..., ...), n=(..., ...)).outcome == NOT_TRIED
