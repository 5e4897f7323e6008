"""The small parts of the scans: worked by hand, and layer normalisation against torch's own."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm

from rnnlit.nn.scan import steps
from rnnlit.nn.scan.steps import (
    EPS,
    BlockNorm,
    StepNorm,
    before,
    blocks_of,
    each,
    each_step,
    goes_by_sigmoid,
    part,
    parts,
    squash_,
    tanh,
    twice_differentiable,
)
from tests.tolerances import TOLERANCE

T, B, N = 5, 2, 4


class Arrays(NamedTuple):
    """As a scan has them."""

    states: Any
    one: Any
    absent: Any = None


def test_each_takes_one_mask_for_all_steps_or_one_for_each():
    masks = torch.arange(24.0).reshape(4, 2, 3)
    assert all(torch.equal(one, masks[t]) for t, one in enumerate(each(masks[1:], 3), 1))
    assert len(each(masks[:1], 4)) == 4 and torch.equal(each(masks[:1], 4)[2], masks[0])
    assert each(None, 3) == (None,) * 3
    assert torch.equal(part(masks, 1, 3), masks[1:3]) and torch.equal(part(masks[:1], 1, 3), masks[:1])
    assert part(None, 1, 3) is None


def test_each_step_goes_through_all_steps_once():
    arrays = Arrays(torch.arange(24.0).reshape(4, 2, 3), torch.ones(1, 2, 3))
    block = parts(arrays, 1, 4)
    found = [*each_step(block, 3)]
    assert {type(one) for one in (block, *found)} == {Arrays}
    assert torch.equal(torch.stack([step.states for step in found]), arrays.states[1:])
    assert all(torch.equal(step.one, arrays.one[0]) and step.absent is None for step in found)


def test_before_shifts_the_states_by_one_step():
    states, first = torch.arange(24.0).reshape(4, 2, 3), torch.full((2, 3), -1.0)
    want = torch.stack([first, states[0], states[1], states[2]])
    for start in range(4):
        for end in range(start + 1, 5):
            assert torch.equal(before(states, first, start, end), want[start:end])


def test_blocks_have_many_rows_but_no_more_steps_than_there_are():
    cpu, n = torch.device("cpu"), steps.BLOCK // 64
    assert blocks_of(2 * n + 3, 64, cpu) == [(0, n), (n, 2 * n), (2 * n, 2 * n + 3)]
    assert blocks_of(3, 10**6, cpu) == [(0, 1), (1, 2), (2, 3)] and blocks_of(5, 2, cpu) == [(0, 5)]
    assert blocks_of(100, 64, torch.device("cuda")) == [(0, 100)]


def test_tanh_from_the_sigmoid_is_within_two_ten_millionths():
    a = torch.linspace(-30, 30, 2_000_001)
    quick, want = tanh(a, torch.empty_like(a), True), torch.tanh(a.double())
    assert (quick - want).abs().max() < 2e-7
    assert quick.abs().max() <= 1 and torch.equal(tanh(a, a.clone(), False), torch.tanh(a))
    extremes = torch.tensor([-torch.inf, -1e4, 0.0, 1e4, torch.inf])
    assert tanh(extremes, extremes, True).tolist() == [-1, -1, 0, 1, 1]


@pytest.mark.parametrize("by_sigmoid", [False, True])
def test_squash_is_sigma_but_for_one_part(by_sigmoid):
    a = torch.linspace(-5, 5, 24).reshape(2, 12)
    want = torch.cat([torch.sigmoid(a[:, :6]), torch.tanh(a[:, 6:9]), torch.sigmoid(a[:, 9:])], 1)
    torch.testing.assert_close(squash_(a, a[:, 6:9], by_sigmoid), want)


def test_the_sigmoid_is_for_many_numbers_in_float32():
    many = torch.empty(32, 64)
    assert goes_by_sigmoid(many)
    assert not goes_by_sigmoid(many[:2]) and not goes_by_sigmoid(many.double())


class Inputs(NamedTuple):
    """Of a power."""

    x: torch.Tensor
    power: int


class Cube(torch.autograd.Function):
    """x^3, with its first derivative in closed form."""

    calls = 0

    @staticmethod
    def forward(ctx, keeps, x, power):
        steps.save(ctx, Inputs(x, power))
        return x**power

    @staticmethod
    @twice_differentiable(lambda inputs: (inputs.x**inputs.power,))
    def backward(ctx, outer):
        Cube.calls += 1
        (inputs,) = steps.saved(ctx)
        return None, 3 * inputs.x**2 * outer, None


def test_a_second_derivative_comes_from_the_loop_and_a_first_one_does_not():
    x = torch.tensor([2.0, -1.0], requires_grad=True)
    assert torch.autograd.grad(Cube.apply(True, x, 3).sum(), x)[0].tolist() == [12, 3] and Cube.calls == 1
    (first,) = torch.autograd.grad(Cube.apply(True, x, 3).sum(), x, create_graph=True)
    assert first.tolist() == [12, 3] and Cube.calls == 1
    assert torch.autograd.grad(first.sum(), x)[0].tolist() == [12, -6]


class Sum(torch.autograd.Function):
    """Saves groups of tensors and others; its backward pass notes what comes back."""

    @staticmethod
    def forward(ctx, x, power, y):
        steps.save(ctx, Inputs(x, power), [y, None], Arrays(None, False))
        return x + y

    @staticmethod
    def backward(ctx, outer):
        Sum.found = steps.saved(ctx)
        return outer, None, outer


def test_groups_come_back_as_they_were_saved():
    x, y = torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    Sum.apply(x, 3, y).sum().backward()
    inputs, others, arrays = Sum.found
    assert type(inputs) is Inputs and inputs.x is x and inputs.power == 3
    assert others[0] is y and others[1:] == [None] and arrays == Arrays(None, False)


def normal(*shape, seed):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_forward_and_backward_are_those_of_torch():
    a, gain, shift = (normal(*s, seed=k).requires_grad_() for k, s in enumerate([(T, B, N), (N,), (N,)]))
    dy = normal(T, B, N, seed=3)
    want = layer_norm(a, (N,), gain, shift, EPS)
    gradients = torch.autograd.grad((want * dy).sum(), [a, gain, shift])
    with torch.no_grad():
        forward = StepNorm(gain, shift)
        out = torch.stack([forward(step) for step in a])
        backward = StepNorm(gain, shift, forward.statistics)
        da = [backward.backward(dy[t], a[t], t) for t in reversed(range(T))]
        for start, end in ((3, T), (0, 3)):
            backward.add(dy[start:end], a[start:end], start)
    exact = TOLERANCE[np.float64]
    torch.testing.assert_close(out, want, **exact)
    ours = torch.stack(da[::-1]), backward.dgain, backward.dshift
    torch.testing.assert_close(ours, gradients, **exact)


@pytest.mark.parametrize("parts", [(N,), (1, 3)])
def test_a_block_in_parts_is_normalised_part_by_part(parts):
    a, gain, shift = (normal(*s, seed=k).requires_grad_() for k, s in enumerate([(T, B, N), (N,), (N,)]))
    dy = normal(T, B, N, seed=3)
    split = zip(a.split(parts, -1), gain.split(parts), shift.split(parts), parts, strict=True)
    want = torch.cat([layer_norm(x, (n,), g, s, EPS) for x, g, s, n in split], -1)
    gradients = torch.autograd.grad((want * dy).sum(), [a, gain, shift])
    with torch.no_grad():
        norm = BlockNorm(parts, gain, shift)
        out, statistics = norm(a)
        ours = norm.backward(dy, a, statistics)
    exact = TOLERANCE[np.float64]
    torch.testing.assert_close(out, want, **exact)
    torch.testing.assert_close(ours, gradients, **exact)


def test_without_a_gain_it_is_not_there():
    a, norm = normal(B, N, seed=0), StepNorm(None, None)
    assert norm(a) is a and norm.backward(a, a, 0) is a
    assert norm.dgain is None and norm.statistics == (None, None)
