"""The benchmark of the layers: a small run of each kind of row, and what its file keeps."""

import argparse
import json
from pathlib import Path

import pytest
import torch

SMALL = (20, 2, 8)
VARIANTS = ["recurrent_dropout", "zoneout", "layer_norm", "peephole", "weight_drop", "input_dropout"]


@pytest.fixture
def nn_variants(monkeypatch):
    """The script as a module, without the peers."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    monkeypatch.setenv("KERAS_BACKEND", "torch")  # the script sets it
    import nn_variants

    monkeypatch.setattr(nn_variants, "find_spec", lambda name: None)
    return nn_variants


@pytest.mark.parametrize("name", VARIANTS)
def test_a_row_names_all_sides_and_their_ratio(nn_variants, name):
    """Before it times anything it compares the output of what users write with ours."""
    assert list(nn_variants.VARIANTS) == VARIANTS
    args = argparse.Namespace(device="cpu", seconds=0.0, rounds=3)
    found = nn_variants.compare(nn_variants.contest("variant", "LSTM", name, SMALL, True, "cpu"), args)
    today = {"by hand"} if name in ("weight_drop", "input_dropout") else {"loop", "loop, indexed"}
    assert set(found["against"]) == {"torch.nn.LSTM", "products"} | today
    for side in found["against"].values():
        low, high = side["quartiles"]
        assert 0 < low <= side["ratio"] <= high


@pytest.mark.parametrize("name", VARIANTS)
def test_both_loops_compute_the_same(nn_variants, name):
    T, B, H = SMALL
    layer = nn_variants.nn.LSTM(H, H, **nn_variants.VARIANTS[name])
    x = torch.randn(T, B, H, generator=torch.Generator().manual_seed(0))
    outputs = []
    for indexed in (False, True):
        torch.manual_seed(1)
        outputs.append(nn_variants.loop(layer, name, x, indexed))
    torch.testing.assert_close(*outputs)


@pytest.mark.parametrize("name", ["weight_drop", "input_dropout"])
def test_by_hand_and_the_loop_compute_the_same(nn_variants, name):
    T, B, H = SMALL
    layer, plain = nn_variants.nn.LSTM(H, H), torch.nn.LSTM(H, H)
    x = torch.randn(T, B, H, generator=torch.Generator().manual_seed(0))
    outputs = []
    for call in (
        lambda: nn_variants.by_hand(layer, plain, name, x),
        lambda: nn_variants.loop(layer, name, x),
    ):
        torch.manual_seed(1)
        outputs.append(call())
    torch.testing.assert_close(*outputs)
    assert not torch.allclose(outputs[0], layer(x)[0])


def test_a_loop_that_computes_something_else_is_not_timed(nn_variants, monkeypatch):
    monkeypatch.setattr(nn_variants, "loop", lambda layer, name, x: torch.zeros(*x.shape[:2], 8))
    with pytest.raises(AssertionError, match="not close"):
        nn_variants.contest("variant", "LSTM", "zoneout", SMALL, True, "cpu")


def test_rows_of_another_variant_stay_in_the_file(nn_variants, tmp_path):
    path = tmp_path / "rows.json"
    args = argparse.Namespace(device="cpu", seconds=1.0, rounds=3)
    old = [{"variant": name, "size": [2, 3], "k": "old"} for name in ("zoneout", "peephole")]
    nn_variants.write(old, [], args, path)
    new = {"variant": "peephole", "size": [2, 3], "k": "new"}
    nn_variants.write([new], [], args, path)
    assert json.loads(path.read_text())["rows"] == [old[0], new]


def test_rows_of_other_numbers_of_threads_stay_in_the_file(nn_variants, tmp_path):
    path = tmp_path / "rows.json"
    args = argparse.Namespace(device="cpu", seconds=1.0, rounds=3)
    nn_variants.write([{"threads": 1, "k": "old"}, {"threads": 2, "k": "old"}], [], args, path)
    nn_variants.write([{"threads": 2, "k": "new"}], [], args, path)
    record = json.loads(path.read_text())
    assert record["rows"] == [{"threads": 1, "k": "old"}, {"threads": 2, "k": "new"}]
    record["machine"]["cpu"] = "another"
    path.write_text(json.dumps(record))
    nn_variants.write([{"threads": 2, "k": "newer"}], [], args, path)
    assert json.loads(path.read_text())["rows"] == [{"threads": 2, "k": "newer"}]
