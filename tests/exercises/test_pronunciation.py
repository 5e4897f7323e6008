"""Answers to the exercises of the page on pronunciation, as a reader may write them."""

import math

import numpy as np
import pytest
import torch

from rnnlit.exercises import pronunciation
from rnnlit.exercises.check import NOT_TRIED, RIGHT, WRONG
from rnnlit.tasks.tokens import edit_distance


def score(found, listed):
    wrong = errors = phonemes = 0
    for spoken, every in zip(found, listed, strict=True):
        wrong += spoken not in every
        nearest = min(every, key=lambda one: (edit_distance(spoken, one), len(one)))
        errors += edit_distance(spoken, nearest)
        phonemes += len(nearest)
    return wrong / len(found), errors / phonemes


def smoothed(logits, target, epsilon):
    """As torch does it."""
    tensors = torch.tensor(logits), torch.tensor(target)
    return torch.nn.functional.cross_entropy(*tensors, label_smoothing=epsilon).numpy()


def ensemble(logs):
    return np.log(np.exp(logs).mean(axis=0))


def z_score(right_a, right_b):
    pairs = list(zip(right_a, right_b, strict=True))
    a, b = pairs.count((True, False)), pairs.count((False, True))
    return (a - b) / math.sqrt(a + b)


@pytest.mark.parametrize("answer", [score, smoothed, ensemble, z_score], ids=lambda answer: answer.__name__)
def test_an_answer_of_a_reader_is_right(answer):
    verdict = getattr(pronunciation, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_blanks_are_not_tried_yet():
    def with_blanks(logits, target, epsilon):
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        true = logs[np.arange(len(target)), target]
        return np.mean(-... * true - ... * logs.mean(axis=1))

    assert pronunciation.smoothed.judge(with_blanks).outcome == NOT_TRIED


def test_a_new_mistake_is_wrong_without_a_name():
    verdict = pronunciation.ensemble.judge(lambda logs: logs[0] if len(logs) > 1 else logs[0] * 2)
    assert verdict.outcome == WRONG and verdict.mistake is None
