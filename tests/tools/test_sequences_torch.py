"""Padding in torch against sequences that are taken one by one."""

import pytest
import torch

from rnnlit.tools.sequences_torch import last_state, padding_of, turn

T, B, N = 5, 3, 2
LENGTHS = torch.tensor([3, 5, 2])


@pytest.fixture
def x():
    return torch.arange(float(T * B * N)).reshape(T, B, N)


def test_padding_says_where_sequences_end():
    padding = padding_of(LENGTHS, T, torch.device("cpu"))
    assert padding.mask.shape == (T, B, 1)
    assert (~padding.mask[..., 0]).sum(0).tolist() == LENGTHS.tolist()
    assert padding.mask[2, 2] and not padding.mask[2, 0]
    assert padding.last.tolist() == [2, 4, 1]


def test_turn_reverses_each_sequence_from_its_own_end(x):
    turned = turn(x, padding_of(LENGTHS, T, x.device))
    for b, n in enumerate(LENGTHS.tolist()):
        assert torch.equal(turned[:n, b], x[:n, b].flip(0)) and torch.equal(turned[n:, b], x[n:, b])
    assert torch.equal(turn(turned, padding_of(LENGTHS, T, x.device)), x)
    assert torch.equal(turn(x, None), x.flip(0))


def test_last_state_is_the_one_at_the_end(x):
    last = last_state(x, padding_of(LENGTHS, T, x.device))
    assert torch.equal(last, torch.stack([x[n - 1, b] for b, n in enumerate(LENGTHS.tolist())]))
    assert torch.equal(last_state(x, None), x[-1])
