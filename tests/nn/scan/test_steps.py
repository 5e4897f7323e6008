"""The small parts of the scans, worked by hand."""

import pytest
import torch

from rnnlit.nn.scan import steps
from rnnlit.nn.scan.steps import (
    before,
    block_size,
    each,
    each_step,
    first_derivative_only,
    is_quick,
    part,
    squash_,
    tanh,
    twice_differentiable,
)
from rnnlit.nn.scan.sums import WeightGradient


def test_each_takes_one_mask_for_all_steps_or_one_for_each():
    masks = torch.arange(24.0).reshape(4, 2, 3)
    assert all(torch.equal(one, masks[t]) for t, one in enumerate(each(masks, 1, 4), 1))
    assert len(each(masks[:1], 5, 9)) == 4 and torch.equal(each(masks[:1], 5, 9)[2], masks[0])
    assert each(None, 1, 4) == [None] * 3
    assert torch.equal(part(masks, 1, 3), masks[1:3]) and torch.equal(part(masks[:1], 1, 3), masks[:1])


@pytest.mark.parametrize("span", [1, 3, 4, 100])
def test_each_step_goes_through_all_steps_once(span, monkeypatch):
    monkeypatch.setattr(steps, "SPAN", span)
    states, one = torch.arange(24.0).reshape(4, 2, 3), torch.ones(1, 2, 3)
    found = [*each_step(4, states, one, None)]
    assert torch.equal(torch.stack([step[0] for step in found]), states)
    assert all(torch.equal(step[1], one[0]) and step[2] is None for step in found)


def test_before_shifts_the_states_by_one_step():
    states, first = torch.arange(24.0).reshape(4, 2, 3), torch.full((2, 3), -1.0)
    want = torch.stack([first, states[0], states[1], states[2]])
    for start in range(4):
        for end in range(start + 1, 5):
            assert torch.equal(before(states, first, start, end), want[start:end])


def test_weight_gradient_is_the_sum_of_outer_products():
    dy, seen = torch.arange(16.0).reshape(4, 2, 2), torch.arange(24.0).reshape(4, 2, 3)
    want = sum(torch.outer(dy[t, b], seen[t, b]) for t in range(4) for b in range(2))
    gradient = WeightGradient(torch.ones(2, 3), True)
    for block in (slice(0, 3), slice(3, 4)):
        gradient.add(dy[block], seen[block])
    assert torch.equal(gradient.total, want)
    rows = WeightGradient(torch.ones(5, 3), True)
    rows.add(dy, seen, slice(1, 3))
    assert torch.equal(rows.total[1:3], want) and not rows.total[[0, 3, 4]].any()
    assert WeightGradient(torch.ones(2, 3), False).total is None


def test_a_block_has_many_rows_but_no_more_steps_than_there_are():
    cpu = torch.device("cpu")
    assert block_size(100, 64, cpu) * 64 == steps.ROWS
    assert block_size(100, 10**6, cpu) == 1 and block_size(5, 2, cpu) == 5
    assert block_size(100, 64, torch.device("cuda")) == 100


def test_tanh_from_the_sigmoid_is_within_two_ten_millionths():
    a = torch.linspace(-30, 30, 2_000_001)
    quick, want = tanh(a, torch.empty_like(a), True), torch.tanh(a.double())
    assert (quick - want).abs().max() < 2e-7
    assert quick.abs().max() <= 1 and torch.equal(tanh(a, a.clone(), False), torch.tanh(a))
    extremes = torch.tensor([-torch.inf, -1e4, 0.0, 1e4, torch.inf])
    assert tanh(extremes, extremes, True).tolist() == [-1, -1, 0, 1, 1]


@pytest.mark.parametrize("quick", [False, True])
def test_squash_is_sigma_but_for_one_part(quick):
    a = torch.linspace(-5, 5, 24).reshape(2, 12)
    want = torch.cat([torch.sigmoid(a[:, :6]), torch.tanh(a[:, 6:9]), torch.sigmoid(a[:, 9:])], 1)
    torch.testing.assert_close(squash_(a, a[:, 6:9], quick), want)


def test_quick_is_for_many_numbers_in_float32():
    many = torch.empty(32, 64)
    assert is_quick(many) and not is_quick(many[:2]) and not is_quick(many.double())


class Cube(torch.autograd.Function):
    """x^3, with its first derivative in closed form."""

    calls = 0

    @staticmethod
    def forward(ctx, keeps, x, power):
        steps.keep(ctx, (x, power))
        return x**power

    @staticmethod
    @twice_differentiable(lambda x, power: (x**power,))
    def backward(ctx, outer):
        Cube.calls += 1
        (x, _), _ = steps.kept_by(ctx)
        return None, 3 * x**2 * outer, None


def test_a_second_derivative_comes_from_the_loop_and_a_first_one_does_not():
    x = torch.tensor([2.0, -1.0], requires_grad=True)
    assert torch.autograd.grad(Cube.apply(True, x, 3).sum(), x)[0].tolist() == [12, 3] and Cube.calls == 1
    (first,) = torch.autograd.grad(Cube.apply(True, x, 3).sum(), x, create_graph=True)
    assert first.tolist() == [12, 3] and Cube.calls == 1
    assert torch.autograd.grad(first.sum(), x)[0].tolist() == [12, -6]


def test_a_second_derivative_is_refused_where_there_is_none():
    backward = first_derivative_only(lambda ctx, outer: outer)
    with torch.no_grad():
        assert backward(None, 3) == 3
    with pytest.raises(RuntimeError, match="no second derivative"):
        backward(None, 3)
