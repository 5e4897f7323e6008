"""Answers to the exercises of the page on language models, as a reader may write them."""

import itertools
import math

import numpy as np
import pytest

from rnnlit.exercises import language_model
from rnnlit.exercises.check import RIGHT, WRONG


def bits(p):
    return sum(-math.log2(one) for one in p) / len(p)


def continuations(numbers, V):
    pairs = {(int(a), int(b)) for a, b in itertools.pairwise(numbers)}
    return np.array([sum(b == v for _, b in pairs) for v in range(V)])


def kneser_ney(count, discount, total, gamma, lower):
    taken = np.array([c - d if c > d else 0.0 for c, d in zip(count, discount, strict=True)], count.dtype)
    return taken / total + gamma * lower


def temperature(logits, tau):
    p = [math.exp(one / tau) for one in logits]
    return np.array(p) / sum(p)


def nucleus(p, top_p):
    q, total = np.zeros_like(p), 0.0
    for k in sorted(range(len(p)), key=lambda k: -p[k]):
        if total >= top_p:
            break
        q[k] = p[k]
        total += p[k]
    return q / total


def auc(values, truth):
    yes, no = values[truth], values[~truth]
    return np.array([np.mean([a > b for a in yes[:, u] for b in no[:, u]]) for u in range(values.shape[1])])


@pytest.mark.parametrize("answer", [bits, continuations, kneser_ney, temperature, nucleus, auc])
def test_an_answer_is_right(answer):
    verdict = getattr(language_model, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_a_cut_without_the_token_that_reaches_the_sum_is_named():
    def short(p, top_p):
        order = np.argsort(-p)
        q = np.zeros_like(p)
        kept = order[np.cumsum(p[order]) < top_p]
        q[kept] = p[kept]
        return q / q.sum()

    verdict = language_model.nucleus.judge(short)
    assert (verdict.outcome, verdict.mistake) == (WRONG, "the token that reaches the sum is left out")
