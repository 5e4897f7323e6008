"""Evaluation mode for a while."""

import pytest
import torch

from rnnlit.tools.evaluating_torch import evaluating


def test_each_part_gets_its_mode_back_even_after_an_error():
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5))
    net[0].eval()  # a part that is frozen on purpose
    with pytest.raises(RuntimeError, match="on purpose"), evaluating(net):
        assert not any(part.training for part in net.modules())
        assert not net(torch.ones(4, 2)).requires_grad
        raise RuntimeError("on purpose")
    assert [part.training for part in net.modules()] == [True, False, True]
    assert net(torch.ones(4, 2)).requires_grad
