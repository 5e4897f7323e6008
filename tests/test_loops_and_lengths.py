"""The benchmarks of loops and of padded batches: a small run of each row, without torch.compile."""

import argparse
from pathlib import Path

import pytest
import torch

SMALL = (7, 3, 4)
ARGS = argparse.Namespace(device="cpu", seconds=0.0, rounds=3)


@pytest.fixture
def scripts(monkeypatch):
    """Both scripts as modules."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    monkeypatch.setenv("KERAS_BACKEND", "torch")  # one that they import sets it
    monkeypatch.setenv("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")  # so does the other
    import lengths
    import loops

    return lengths, loops


@pytest.mark.parametrize("full", [0.9, 0.75, 0.5, 0.25, 0.1])
def test_lengths_have_the_mean_that_is_asked_for(scripts, full):
    torch.manual_seed(0)
    found = scripts[0].lengths_of(100, 4000, full)
    assert found[0] == 100 and found.min() >= 1 and found.max() <= 100
    assert abs(found.float().mean() / 100 - full) < 0.02


def test_a_row_of_lengths_names_all_sides(scripts):
    found = scripts[0].compare(scripts[0].contest("LSTM", SMALL, 0.5), ARGS)
    assert set(found["against"]) == {"packed", "sorted", "ignored"}
    for side in found["against"].values():
        assert 0 < side["quartiles"][0] <= side["ratio"] <= side["quartiles"][1]


def test_packing_is_torchs_and_in_order_the_same(scripts):
    T, B, H = SMALL
    layer, x = torch.nn.LSTM(H, H), torch.randn(T, B, H)
    sizes = torch.tensor([7, 5, 2])
    output, h_n = scripts[0].packed(layer, x, sizes, in_order=True)
    torch.testing.assert_close((output, h_n), scripts[0].packed(layer, x, sizes, in_order=False))
    for b, n in enumerate(sizes.tolist()):
        alone, (last, _) = layer(x[:n, b])
        torch.testing.assert_close((output[:n, b], h_n[:, b]), (alone, last))
        assert not output[n:, b].any()


def test_a_side_with_other_gradients_is_not_timed(scripts):
    x = torch.randn(2, 3, requires_grad=True)
    with pytest.raises(AssertionError, match="not close"):
        scripts[0].check(lambda: (x, x), lambda: (x, 0 * x + x.detach()), x)


def test_a_row_of_parts_names_all_sides(scripts):
    found = scripts[1].parts(SMALL, ARGS)
    parts = {"products", "element-wise", "gradients, step by step", "gradients, at once"}
    assert found["size"] == list(SMALL) and found["loop_ms"] > 0
    assert set(found["against"]) == {"torch.nn.LSTM"} | parts


def test_a_row_of_compiled_loops_names_all_sides(scripts, monkeypatch):
    """All are compared with the loop first, values and gradients."""
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    found = scripts[1].compiled(SMALL, ARGS)
    assert set(found["against"]) == {"jit.script", "compile, step", "compile, loop", "rnnlit.nn"}
    assert all(side["first_s"] >= 0 for side in found["against"].values())


def test_a_compiled_loop_that_computes_something_else_is_not_timed(scripts, monkeypatch):
    def wrong(function, **options):
        return lambda *arguments: (
            function(*arguments) if function is scripts[1].step else 2 * function(*arguments)
        )

    monkeypatch.setattr(torch, "compile", wrong)
    with pytest.raises(AssertionError, match="not close"):
        scripts[1].compiled(SMALL, ARGS)


def test_the_loop_is_an_lstm(scripts):
    T, B, H = SMALL
    layer, x = torch.nn.LSTM(H, H), torch.randn(T, B, H)
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
    arguments = x, w_ih, w_hh, b_ih + b_hh, torch.ones(B, H)
    for function in (scripts[1].loop, scripts[1].loop_of(scripts[1].step)):
        torch.testing.assert_close(function(*arguments), layer(x)[0])
