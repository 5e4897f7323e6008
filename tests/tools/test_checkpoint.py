"""The checkpoint file: whole or not at all, and the same arrays and values when it is read again."""

import os
from collections import Counter

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from rnnlit.tools.checkpoint import check_entries, read_checkpoint, shapes, write_atomically, write_checkpoint


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(descriptor):
        assert path.read_bytes() == b"old"  # the new content is elsewhere until it is on the disk
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("torch_", [False, True])
def test_arrays_and_values_come_back_as_they_were(tmp_path, torch_):
    path, rng = tmp_path / "c.safetensors", np.random.default_rng(0)
    arrays = {
        "float": rng.standard_normal((5, 2, 3)),
        "view": rng.standard_normal((4, 3), dtype=np.float32).T,  # not contiguous
        "count": np.array(7),
        "mask": np.array([True, False, True]),
    }
    if torch_:
        arrays = {name: torch.tensor(a) for name, a in arrays.items()}
        arrays["view"] = arrays["view"].T.contiguous().T
        arrays["half"] = torch.arange(6, dtype=torch.bfloat16)
        arrays["alias"] = arrays["float"]
    values = {"lr": 0.1, "groups": [{"eps": 1e-8, "name": None}]}
    note = {"rows": [{"step": 2, "loss": 1 / 3}], "large": 2**127 + 1}
    write_checkpoint(path, note, state=arrays | values, best={})
    back_note, state, best = read_checkpoint(path, "state", "best")
    assert back_note == note and best == {} and state.keys() == (arrays | values).keys()
    for name, value in values.items():
        assert state[name] == value
    for name, a in arrays.items():
        assert type(state[name]) is type(a) and state[name].dtype == a.dtype and (state[name] == a).all()
    assert shapes({name: state[name] for name in arrays}) == shapes(arrays)
    if not torch_:  # an independent reader sees plain arrays
        np.testing.assert_array_equal(load_file(path)["state.view"], arrays["view"])


@pytest.mark.parametrize("torch_", [False, True])
def test_values_come_back_as_they_were_whatever_is_in_them(tmp_path, torch_):
    """JSON alone would turn tuples into lists and whole numbers as keys into words."""
    path = tmp_path / "c.safetensors"
    array = torch.arange(3.0) if torch_ else np.arange(3.0)
    values = {
        "milestones": Counter({5: 2, 7: 1}),
        "keys": {1: "a", "1": "b", (2, None): 0.5, False: []},
        "tags": {"tuple": [1], "array": "x", "dict": {}, "counter": 3},
        "one": {"array": (1, [2, (3,)])},
        "empty": [(), {}, [], Counter()],
        "numbers": [True, 2**127, 1 / 3, float("inf"), -0.0, None, "ü"],
    }
    nested = {"deep": [{"inside": (array, np.arange(4, dtype=np.int16))}], 3: array, "3": array + 1}
    write_checkpoint(path, {}, state=values | {"nested": nested, "nested.3": array + 2, "plain": array})
    _, state = read_checkpoint(path, "state")
    assert {name: state[name] for name in values} == values
    assert type(state["milestones"]) is Counter and state["milestones"][6] == 0
    assert state["keys"][1] == "a" and type(state["one"]["array"]) is tuple
    inside = state["nested"]["deep"][0]["inside"]
    assert type(inside) is tuple and inside[1].dtype == np.int16 and inside[1].tolist() == [0, 1, 2, 3]
    for one in (inside[0], state["nested"][3], state["plain"]):
        assert type(one) is type(array) and (one == array).all()
    assert (state["nested"]["3"] == array + 1).all() and (state["nested.3"] == array + 2).all()
    assert state.keys() == values.keys() | {"nested", "nested.3", "plain"}
    _, plain = read_checkpoint(path, "state", numpy=True)
    assert type(plain["plain"]) is np.ndarray and type(plain["nested"][3]) is np.ndarray


@pytest.mark.parametrize("value, kind", [({1, 2}, "set"), (len, "builtin_function"), (1j, "complex")])
def test_a_value_that_cannot_be_held_is_named(tmp_path, value, kind):
    with pytest.raises(TypeError, match=rf"^state\.a\.deep\.1: expected None, numbers, .* got {kind}"):
        write_checkpoint(tmp_path / "c.safetensors", {}, state={"a": {"deep": [0, value]}})
    assert not [*tmp_path.iterdir()]


def test_the_place_of_a_file_is_checked(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path: expected an existing folder, got .*none"):
        write_atomically(tmp_path / "none" / "c", b"")
    with pytest.raises(IsADirectoryError, match="path: expected the name of a file, got the folder"):
        write_atomically(tmp_path, b"")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, {"k": 1}, state={"a": np.ones(3)})
    with pytest.raises(TypeError):
        write_checkpoint(path, {"k": {1, 2}}, state={"a": np.zeros(3)})  # no JSON
    note, state = read_checkpoint(path, "state")
    assert note == {"k": 1} and state["a"].sum() == 3 and [*tmp_path.iterdir()] == [path]


def test_entries_that_differ_are_all_named():
    check_entries("model", {"a": (4, 3)}, {"a": (4, 3)})
    with pytest.raises(
        ValueError,
        match=r"^model: missing b \(2,\); foreign c \(5,\); a: expected shape \(4, 3\), got \(3,\)$",
    ):
        check_entries("model", {"a": (4, 3), "b": (2,)}, {"a": (3,), "c": (5,)})
