"""Answers to the exercises of the attention chapter, as a reader may write them; and its puzzle."""

import itertools
import math

import numpy as np
import pytest

from rnnlit.exercises import attention
from rnnlit.exercises.check import NOT_TRIED, RIGHT, WRONG
from rnnlit.tasks.tokens import START, STOP


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


def shift(target, lengths):
    """Sentence by sentence."""
    T, B = target.shape
    read, write = np.zeros((T + 1, B), int), np.zeros((T + 1, B), int)
    for b in range(B):
        sentence = target[: lengths[b], b]
        read[: lengths[b] + 1, b] = [START, *sentence]
        write[: lengths[b] + 1, b] = [*sentence, STOP]
    return read, write


def beam(logs, size):
    kept = {(0,): 0.0}
    for step in logs:
        grown = {(*w, k): p + step[w[-1], k] for w, p in kept.items() for k in range(len(step))}
        kept = {w: grown[w] for w in sorted(grown, key=grown.get)[-size:]}
    best = sorted(kept, key=kept.get, reverse=True)
    return np.array([words[1:] for words in best]), np.array([kept[words] for words in best])


def viterbi(logs):
    """A beam that is large enough never to lose a beginning."""
    n, N, _ = logs.shape
    best = {k: (logs[0, 0, k], [k]) for k in range(N)}
    for step in logs[1:]:
        best = {
            k: max(((p + step[a, k], [*w, k]) for a, (p, w) in best.items()), key=lambda h: h[0])
            for k in range(N)
        }
    total, words = max(best.values(), key=lambda h: h[0])
    assert len(words) == n
    return words, total


def causal(x, W_q, W_k, W_v):
    """Step by step: each query meets the past alone, which needs no mask."""
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    out = []
    for t in range(len(x)):
        e = np.exp((q[t] * k[: t + 1]).sum(-1) / np.sqrt(q.shape[2]))
        out.append((e[..., None] * v[: t + 1]).sum(0) / e.sum(0)[:, None])
    return np.array(out)


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
        shift,
        beam,
        viterbi,
        causal,
    ],
    ids=lambda answer: answer.__name__,
)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(attention, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_viterbi_finds_the_best_of_all_and_a_small_beam_need_not():
    """200 models of four words in four steps, against all 256 ways."""
    rng, missed = np.random.default_rng(0), 0
    ways = np.array(list(itertools.product(range(4), repeat=4)))
    before = np.pad(ways, ((0, 0), (1, 0)))[:, :4]
    for _ in range(200):
        logs = np.log(rng.dirichlet(np.full(4, 0.5), (4, 4)))
        best = logs[np.arange(4), before, ways].sum(axis=1).max()
        assert abs(viterbi(logs)[1] - best) < 1e-12
        missed += beam(logs, 1)[1][0] < best - 1e-12
    assert 20 < missed < 180


# ---------------------------------------------------------------- the puzzle


def turned(by, strength):
    """The score p_i^T W p_j, which is largest where j is `by` steps behind i."""
    angle = 2 * np.pi * by / 12
    cos, sin = np.cos(angle), np.sin(angle)
    return tuple(strength * np.array([[cos, -sin], [sin, cos]]).ravel())


def test_look_back():
    """A turn by one twelfth; seen from below, 0.134 of its strength part the best place from the next."""
    assert attention.look_back.judge(W=turned(1, 60)).outcome == RIGHT


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (turned(1, 2), "the context should be at least"),  # too soft
        (turned(-1, 60), "weight of the place before"),  # the step after
        (turned(0, 60), "came before"),  # itself
        ((0, 0, 0, 0), "the context should be"),  # a plain mean
    ],
)
def test_look_back_says_where_it_fails(weights, sentence):
    verdict = attention.look_back.judge(W=weights)
    assert verdict.outcome == WRONG and sentence in verdict.text


def test_look_back_that_is_not_tried():
    assert attention.look_back.judge(W=(..., 0, 0, 0)).outcome == NOT_TRIED
    assert "W takes 4 numbers" in attention.look_back.judge(W=(1, 2)).text
