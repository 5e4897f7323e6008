"""Answers to the exercises of the attention chapter, as a reader may write them."""

import math

import numpy as np
import pytest

from rnnlit.exercises import attention
from rnnlit.exercises.check import RIGHT


def dot(query, keys):
    B, S = len(query), len(keys)
    return np.array([[query[b] @ keys[s, b] for s in range(S)] for b in range(B)])


def scaled_dot(query, keys):
    return dot(query, keys) / math.sqrt(query.shape[1])


def additive(W_q, W_k, v, query, keys):
    B, S = len(query), len(keys)
    return np.array([[v @ np.tanh(W_q @ query[b] + W_k @ keys[s, b]) for s in range(S)] for b in range(B)])


def weights(scores, lengths):
    w = np.zeros_like(scores)
    for b, n in enumerate(lengths):
        e = np.exp(scores[b, :n] - scores[b, :n].max())
        w[b, :n] = e / e.sum()
    return w


def context(weights, keys):
    return sum(weights[:, s, None] * keys[s] for s in range(len(keys)))


def softmax_backward(weights, dweights):
    rows = [(np.diag(w) - np.outer(w, w)) @ dw for w, dw in zip(weights, dweights, strict=True)]
    return np.array(rows)


def window(p, D, S):
    return [p - D <= s <= p + D for s in range(S)]


def scaled_dot_product(Q, K, V):
    rows = []
    for t in range(len(Q)):
        scores = [Q[t] @ K[s] / math.sqrt(len(K[s])) for s in range(t + 1)]
        w = np.exp(np.array(scores) - max(scores))
        rows.append(sum(w[s] * V[s] for s in range(t + 1)) / w.sum())
    return np.array(rows)


def beam_step(scores, logs, size):
    every = [
        (scores[n] + logs[n, token], n, token) for n in range(len(logs)) for token in range(logs.shape[1])
    ]
    best = sorted(every, reverse=True)[:size]
    return [n for _, n, _ in best], [token for _, _, token in best]


def length_normaliser(length, alpha):
    return math.exp(alpha * math.log((5 + length) / 6))


@pytest.mark.parametrize(
    "answer",
    [
        dot,
        scaled_dot,
        additive,
        weights,
        context,
        softmax_backward,
        window,
        scaled_dot_product,
        beam_step,
        length_normaliser,
    ],
    ids=lambda answer: answer.__name__,
)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(attention, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text
