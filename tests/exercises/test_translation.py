"""Answers to the exercises of the page on translation, as a reader may write them."""

import math

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from rnnlit.exercises import translation
from rnnlit.exercises.check import NOT_TRIED, RIGHT, WRONG
from rnnlit.practice import translation_transformer
from rnnlit.tasks import subwords


def similarity(a, b):
    A, B = set(np.flatnonzero(a)), set(np.flatnonzero(b))
    return len(A & B) / len(A | B)


def precision(found, wanted, n):
    left = [tuple(wanted[k : k + n]) for k in range(len(wanted) - n + 1)]
    right = 0
    for k in range(len(found) - n + 1):
        gram = tuple(found[k : k + n])
        if gram in left:
            left.remove(gram)
            right += 1
    return right / (len(found) - n + 1)


def brevity(c, r):
    return 1.0 if c >= r else math.exp(1 - r / c)


def f_score(p, r, beta):
    return (1 + beta**2) / (1 / p + beta**2 / r)


def join(tokens, a, b, new):
    names = {a: "a", b: "b"} if a != b else {a: "a"}
    word = "".join(names.get(int(t), str(t)) for t in tokens)
    word = word.replace(names[a] + names[b], str(new))
    back = {name: number for number, name in names.items()}
    return [back.get(c, int(c) if c.isdigit() else None) for c in word]


def positions(T, D):
    p = np.zeros((T, D))
    for t in range(T):
        for d in range(D):
            angle = t / 10_000 ** (2 * (d // 2) / D)
            p[t, d] = math.cos(angle) if d % 2 else math.sin(angle)
    return p


ANSWERS = {f.__name__: f for f in (similarity, precision, brevity, f_score, join, positions)}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_ones_own_is_right(name):
    assert getattr(translation, name).judge(ANSWERS[name]).outcome == RIGHT


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stub_is_not_tried_yet(name):
    assert getattr(translation, name).judge(lambda *arguments: ...).outcome == NOT_TRIED
    assert getattr(translation, name).judge(lambda *arguments: 0.5).outcome == WRONG


def test_precision_and_brevity_make_sacrebleus_bleu():
    found, wanted = "abcdabcxy", "abcdabzabcq"
    one, other = ([ord(word) for word in side] for side in (found, wanted))
    logs = [math.log(translation.precision.oracle(one, other, n)) for n in (1, 2, 3, 4)]
    ours = 100 * translation.brevity.oracle(len(one), len(other)) * math.exp(sum(logs) / 4)
    theirs = BLEU().corpus_score([" ".join(found)], [[" ".join(wanted)]]).score
    assert math.isclose(ours, theirs, rel_tol=1e-9)


def test_join_and_positions_are_those_of_the_package():
    word = "aaabab"
    numbers = translation.join.oracle([ord(c) for c in word], ord("a"), ord("b"), ord("X"))
    assert "".join(map(chr, numbers)) == "".join(subwords.join(word, ("a", "b"))).replace("ab", "X")
    wanted = translation_transformer.positions(7, 10).numpy()
    np.testing.assert_allclose(translation.positions.oracle(7, 10), wanted, atol=1e-6)
