"""Answers to the exercises of the page on terms, as a reader may write them."""

import numpy as np
import pytest

from rnnlit.exercises import terminology
from rnnlit.exercises.check import RIGHT


def mask(lengths, T):
    return np.array([[t < length for length in lengths] for t in range(T)])


def last(h, lengths):
    return np.stack([h[length - 1, b] for b, length in enumerate(lengths)])


def masked_loss(losses, lengths):
    kept = [loss for b, length in enumerate(lengths) for loss in losses[:length, b]]
    return sum(kept) / len(kept)


@pytest.mark.parametrize("answer", [mask, last, masked_loss], ids=lambda answer: answer.__name__)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(terminology, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_a_mask_of_numbers_is_a_mask():
    assert terminology.mask.judge(lambda lengths, T: mask(lengths, T).astype(float)).outcome == RIGHT


def test_worked_by_hand():
    losses = np.array([[1.0, 4.0], [2.0, 9.0], [3.0, 9.0]])  # 9 at the padding
    lengths = np.array([3, 1])
    assert terminology.masked_loss.oracle(losses, lengths) == 2.5
    assert terminology.last.oracle(losses[:, :, None], lengths).tolist() == [[3.0], [4.0]]
    assert terminology.mask.oracle(lengths, 3).tolist() == [[True, True], [True, False], [True, False]]
