"""The check of a batch of tokens, and the two views of a target."""

import numpy as np
import pytest
import torch

from rnnlit.tasks.tokens import PAD, START, STOP, pad
from rnnlit.tasks.tokens_torch import check_tokens, shift

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, lambda x: torch.tensor(x, dtype=torch.int32)])
def test_padding_is_replaced_and_not_looked_at(kind):
    tokens, lengths = check_tokens("source", kind([[3, 4], [-9, 5], [99, 3]]), [1, 3], 6, CPU)
    assert torch.equal(tokens, torch.tensor([[3, 4], [PAD, 5], [PAD, 3]]))
    assert torch.equal(lengths, torch.tensor([1, 3]))
    assert tokens.dtype == lengths.dtype == torch.int64


def test_what_came_is_left_as_it_is():
    array = np.array([[3, 4], [5, 5]])
    check_tokens("source", array, [1, 2], 6, CPU)
    np.testing.assert_array_equal(array, [[3, 4], [5, 5]])


def test_shift_worked_by_hand():
    target, lengths = map(torch.from_numpy, pad([[5, 3], [4, 6, 7]]))
    read, write = shift(target, lengths)
    assert read.T.tolist() == [[START, 5, 3, PAD], [START, 4, 6, 7]]
    assert write.T.tolist() == [[5, 3, STOP, PAD], [4, 6, 7, STOP]]


@pytest.mark.parametrize(
    "arguments, options, error, words",
    [
        (([[3]], None), {}, TypeError, "source: expected a tensor or an array, got list"),
        ((np.ones((2, 3)), None), {}, TypeError, "source: expected integers, got torch.float64"),
        ((np.ones((2, 3), bool), None), {}, TypeError, "source: expected integers, got torch.bool"),
        ((np.ones(3, int), None), {}, ValueError, r"source: expected shape \(steps, B\), got \(3,\)"),
        ((np.ones((0, 3), int), None), {}, ValueError, r"source: expected shape \(steps, B\), got \(0, 3\)"),
        ((np.ones((2, 3), int), None), dict(batch=4), ValueError, r"\(steps, B\) with B = 4, got \(2, 3\)"),
        ((np.ones((2, 3), int), [1, 2]), {}, ValueError, r"source_lengths: expected shape \(B,\) = \(3,\)"),
        ((np.ones((2, 3), int), [0, 1, 2]), {}, ValueError, "source_lengths: .* got 0 to 2"),
        ((np.ones((2, 3), int), [1.0] * 3), {}, TypeError, "source_lengths: expected integers"),
        ((np.full((2, 3), 6), None), {}, ValueError, "source: expected 1 <= token < 6 .* got 6$"),
        ((np.array([[0, 9]]), None), {}, ValueError, "source: .* got 0; is it padding. give lengths"),
        ((np.array([[-2, 9]]), None), {}, ValueError, "source: .* got -2$"),
        (
            (np.array([[STOP, 3]]), None),
            dict(least=3),
            ValueError,
            "expected 3 <= token < 6 .* got 2$",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, options, error, words):
    with pytest.raises(error, match=words):
        check_tokens("source", *arguments, 6, CPU, **options)
