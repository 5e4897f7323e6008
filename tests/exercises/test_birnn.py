"""Answers to the exercises of the chapter on two directions, as a reader may write them."""

import numpy as np
import pytest

from rnnlit import rnn
from rnnlit.exercises import birnn
from rnnlit.exercises.check import RIGHT


def mask(lengths, T):
    return np.array([[t < length for length in lengths] for t in range(T)])


def flip(x, lengths):
    turned = x.copy()
    for b, length in enumerate(lengths):
        turned[:length, b] = x[:length, b][::-1]
    return turned


def merge(h_f, h_r, lengths):
    return np.dstack([h_f, flip(h_r, lengths)])


def last(h, lengths):
    H = h.shape[2] // 2
    return np.array([[*h[length - 1, b, :H], *h[0, b, H:]] for b, length in enumerate(lengths)])


def forward(params, x, lengths):
    """Sequence by sequence, each without its padding."""
    T, B, _ = x.shape
    H = len(params.forward.weight_hh)
    h = np.zeros((T, B, 2 * H))
    for b, n in enumerate(lengths):
        state = np.zeros((1, H), x.dtype)
        for t in range(n):
            state = rnn.step(params.forward, x[t, [b]], state)
            h[t, b, :H] = state[0]
        state = np.zeros((1, H), x.dtype)
        for t in range(n - 1, -1, -1):
            state = rnn.step(params.reverse, x[t, [b]], state)
            h[t, b, H:] = state[0]
    return h


def backward(dx_f, dx_r, lengths):
    return dx_f + flip(dx_r, lengths)


def mean_pool(h, lengths):
    return np.stack([h[:length, b].mean(axis=0) for b, length in enumerate(lengths)])


def masked_loss(losses, lengths):
    kept = [loss for b, length in enumerate(lengths) for loss in losses[:length, b]]
    return sum(kept) / len(kept)


@pytest.mark.parametrize(
    "answer",
    [mask, flip, merge, last, forward, backward, mean_pool, masked_loss],
    ids=lambda answer: answer.__name__,
)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(birnn, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_a_mask_of_numbers_is_a_mask():
    assert birnn.mask.judge(lambda lengths, T: mask(lengths, T).astype(float)).outcome == RIGHT


def test_lengths_are_within_and_some_are_short():
    short = 0
    for case in birnn.flip.cases():
        lengths = case.arguments[1]
        assert lengths.min() >= 1
        short += len(set(lengths)) > 1
    assert short
