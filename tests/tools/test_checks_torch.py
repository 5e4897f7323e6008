"""What the checks at the torch door return; their errors are tested where users meet them, in test_nn.py."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from rnnlit.tools.checks_torch import check_input, check_lengths, check_state

B, T, INPUTS, H = 2, 5, 3, 4


@pytest.mark.parametrize("batch_first, shape", [(False, (T, B, INPUTS)), (True, (B, T, INPUTS))])
def test_check_input_returns_the_shape_of_the_batch(batch_first, shape):
    module, x = torch.nn.LSTM(INPUTS, H, batch_first=batch_first), torch.zeros(shape)
    assert check_input(module, x) == (B,)
    assert check_input(module, torch.zeros(T, INPUTS)) == ()
    packed = pack_padded_sequence(x, torch.tensor([3, 5]), batch_first=batch_first, enforce_sorted=False)
    assert check_input(module, packed) == (B,)


def test_check_input_leaves_dtypes_to_autocast():
    module, x = torch.nn.RNN(INPUTS, H), torch.zeros(T, B, INPUTS, dtype=torch.bfloat16)
    with pytest.raises(TypeError, match=r"input: expected torch.float32 .* got torch.bfloat16"):
        check_input(module, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert check_input(module, x) == (B,)
        check_state("hx", torch.zeros(B, H, dtype=torch.bfloat16), (B, H), torch.zeros(B, H))


@pytest.mark.parametrize("lengths", [[3, 5], (3, 5), np.array([3, 5], np.uint8), torch.tensor([3, 5]).int()])
def test_check_lengths_returns_int64_on_the_cpu(lengths):
    checked = check_lengths(lengths, T, B)
    assert checked.dtype == torch.int64 and checked.device.type == "cpu"
    assert checked.tolist() == [3, 5]


def test_check_lengths_keeps_its_hands_off_the_callers():
    lengths = torch.tensor([3, 5])
    check_lengths(lengths, T, B).zero_()
    assert lengths.tolist() == [3, 5]
