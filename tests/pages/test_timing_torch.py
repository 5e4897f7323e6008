"""Oracles: counts of calls and of torch's products, torch's own layer. No test depends on times."""

import pytest
import torch
from torch.profiler import profile

from rnnlit.pages import timing_torch

T, B, I, H = 5, 2, 3, 4


def test_runs_are_timed_in_turn():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    found = timing_torch.in_turn(runs, seconds=0.0, rounds=3)
    assert list(found) == ["a", "b"] and all(ms >= 0 for ms in found.values())
    assert calls == ["a", "b"] * 4  # one more, before the clock runs
    with pytest.raises(ValueError, match="runs"):
        timing_torch.in_turn({})
    with pytest.raises(ValueError, match="rounds"):
        timing_torch.in_turn(runs, rounds=0)


def test_loop_is_torchs_layer():
    layer, cell = torch.nn.LSTM(I, H), torch.nn.LSTMCell(I, H)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    x = torch.randn(T, B, I, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(timing_torch.loop(cell, x), layer(x)[0])


def test_training_goes_forward_and_backward():
    x = torch.randn(B, H, requires_grad=True)
    timing_torch.training(lambda: 3 * x)()
    assert torch.equal(x.grad, torch.full((B, H), 3.0))


def multiplications(run):
    """How many numbers torch multiplies in products of matrices, from the shapes that its profiler notes."""
    with profile(record_shapes=True) as found:
        run()
    total = 0
    for event in found.key_averages(group_by_input_shape=True):
        if event.key in ("aten::mm", "aten::addmm_"):
            (rows, inner), (_, columns) = (
                event.input_shapes[-2:] if event.key == "aten::mm" else event.input_shapes[1:3]
            )
            total += event.count * rows * inner * columns
    return total


@pytest.mark.parametrize(("steps", "batch"), [(T, B), (300, 4)])
def test_products_are_those_of_a_training_pass(steps, batch):
    """Three times forward's; 1200 rows take three blocks."""
    run = timing_torch.products(steps, batch, I, H)
    assert multiplications(run) == 3 * steps * batch * 4 * H * (I + H)
    with pytest.raises(ValueError, match="H"):
        timing_torch.products(T, B, I, 0)


def test_element_wise_work_covers_all_rows():
    """400 rows are one call, 1200 are three of 512."""
    for steps, batch, calls in ((100, 4, 1), (300, 4, 3)):
        with profile() as found:
            timing_torch.element_wise(steps, batch, H)()
        count = {event.key: event.count for event in found.key_averages()}
        assert (count["aten::tanh"], count["aten::sigmoid"]) == (2 * calls, 3 * calls)
    with pytest.raises(ValueError, match="T"):
        timing_torch.element_wise(0, B, H)
