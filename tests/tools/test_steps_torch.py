"""The small parts of the scans, worked by hand."""

import pytest
import torch

from rnnlit.tools.steps_torch import at, before, first_derivative_only, weight_gradient


def test_at_takes_one_mask_for_all_steps_or_one_for_each():
    each = torch.arange(24.0).reshape(4, 2, 3)
    assert torch.equal(at(each, 2), each[2])
    assert torch.equal(at(each[:1], 2), each[0])


def test_before_shifts_the_states_by_one_step():
    states, first = torch.arange(24.0).reshape(4, 2, 3), torch.full((2, 3), -1.0)
    want = torch.stack([first, states[0], states[1], states[2]])
    assert torch.equal(before(states, first), want)


def test_weight_gradient_is_the_sum_of_outer_products():
    dy, seen = torch.arange(16.0).reshape(4, 2, 2), torch.arange(24.0).reshape(4, 2, 3)
    want = sum(torch.outer(dy[t, b], seen[t, b]) for t in range(4) for b in range(2))
    assert torch.equal(weight_gradient(dy, seen), want)


def test_a_second_derivative_is_refused():
    backward = first_derivative_only(lambda ctx, outer: outer)
    with torch.no_grad():
        assert backward(None, 3) == 3
    with pytest.raises(RuntimeError, match="no second derivative"):
        backward(None, 3)
