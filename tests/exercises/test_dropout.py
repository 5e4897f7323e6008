"""Answers to the exercises of the dropout chapter, as a reader may write them."""

import numpy as np
import pytest

from rnnlit.exercises import dropout
from rnnlit.exercises.check import RIGHT, WRONG


def mask(shape, p, rng):
    return rng.binomial(1, 1 - p, shape) / (1 - p)


def apply(x, p, training, rng):
    if not training:
        return x
    return np.where(rng.random(x.shape) < p, 0.0, x / (1 - p))


def backward(dy, m):
    return np.array([[dy[b, h] * m[b, h] for h in range(dy.shape[1])] for b in range(len(dy))])


def sequence_mask(T, B, H, p, rng):
    one = rng.choice([0.0, 1 / (1 - p)], (B, H), p=[p, 1 - p])
    return np.stack([one] * T)


def weight_drop(W, p, rng):
    return W * mask(W.shape, p, rng)


def zoneout_step(old, new, z):
    return np.where(z == 1, old, new)


def zoneout_test(old, new, p):
    return new + p * (old - new)


def scaled_weights(W, p):
    return W - p * W


def naive(c, i, f, g, m):
    return np.where(m == 0, 0, (c * f + g * i) * m)


def candidate(c, i, f, g, m):
    return c * f + np.where(m == 0, 0, i * g * m)


def memory_backward(dc, f, m):
    return dc * (f * m)


def average(logits):
    total = 0
    for one in logits:
        e = np.exp(one)
        total = total + e / e.sum(axis=1, keepdims=True)
    return total / len(logits)


ANSWERS = [mask, apply, backward, sequence_mask, weight_drop, zoneout_step, zoneout_test, scaled_weights]
ANSWERS += [naive, candidate, memory_backward, average]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(dropout, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


@pytest.mark.parametrize(
    "answer", [mask, apply, sequence_mask, weight_drop], ids=lambda answer: answer.__name__
)
def test_a_right_draw_is_right_for_many_seeds(answer):
    """The rules have room: what is right is not called wrong by chance, whatever order it draws in."""
    exercise = getattr(dropout, answer.__name__)

    def after(n):
        def shifted(*arguments, rng):
            rng.random(n)
            return answer(*arguments, rng=rng)

        return shifted

    outcomes = [exercise.judge(after(n)).outcome for n in range(60)]
    assert outcomes == [RIGHT] * 60


def test_a_rate_that_is_a_little_off_is_wrong():
    assert (
        "the share of zeros is not p"
        in dropout.mask.judge(lambda shape, p, rng: (rng.random(shape) >= p + 0.1) / (1 - p)).text
    )
    assert (
        dropout.weight_drop.judge(lambda W, p, rng: W * (rng.random(W.shape) >= p + 0.1) / (1 - p)).outcome
        == WRONG
    )


def test_sequences_may_not_share_a_mask():
    verdict = dropout.sequence_mask.judge(lambda T, B, H, p, rng: np.tile(mask((1, 1, H), p, rng), (T, B, 1)))
    assert verdict.mistake == "one mask serves the whole batch"
