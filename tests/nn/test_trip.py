"""How far a call goes before the first gate is computed: files of the package and frames of it."""

import sys
from pathlib import Path

import pytest
import torch

import rnnlit
from rnnlit import nn

PACKAGE = str(Path(rnnlit.__file__).parent)
T, B, I, H = 5, 2, 3, 4
MOST_FILES, MOST_FRAMES = 9, 6


def trip(layer, first, *arguments, **options):
    """The files that a call runs code of until torch's function `first` is called, and how deep that is."""
    files, depth, found = set(), 0, []

    def note(frame, event, argument):
        nonlocal depth
        ours = frame.f_code.co_filename.startswith(PACKAGE)
        if found or not (ours or event == "c_call"):
            return
        if event == "call":
            depth += 1
            files.add(frame.f_code.co_filename.removeprefix(PACKAGE))
        elif event == "return":
            depth -= 1
        elif event == "c_call" and argument.__name__ == first:
            found.append(depth)

    sys.setprofile(note)
    try:
        layer(*arguments, **options)
    finally:
        sys.setprofile(None)
    return files, *found


@pytest.mark.parametrize(
    "kind, options, first",
    [
        ("LSTM", {"recurrent_dropout": 0.3}, "sigmoid_"),
        ("LSTM", {"layer_norm": True, "peephole": True}, "sigmoid_"),
        ("GRU", {"recurrent_dropout": 0.3}, "sigmoid_"),
        ("RNN", {"recurrent_dropout": 0.3}, "tanh"),
    ],
)
def test_a_call_reaches_its_first_gate_soon(kind, options, first):
    files, depth = trip(getattr(nn, kind)(I, H, **options), first, torch.ones(T, B, I))
    assert "/nn/scan/" + kind.lower() + ".py" in files
    assert len(files) <= MOST_FILES, sorted(files)
    assert depth <= MOST_FRAMES
    assert not any(name.startswith("/nn/gpu/") for name in files)


def test_the_measure_itself(monkeypatch):
    """A call that goes one frame deeper, through a file more, is seen to do so."""
    layer = nn.LSTM(I, H, recurrent_dropout=0.3)
    files, depth = trip(layer, "sigmoid_", torch.ones(T, B, I))
    scan, namespace = type(layer)._scan, {}
    further = compile("def further(*args): return scan(*args)", PACKAGE + "/further.py", "exec")
    exec(further, namespace | {"scan": scan}, namespace)
    namespace["further"].__globals__["scan"] = scan
    monkeypatch.setattr(type(layer), "_scan", namespace["further"])
    more, deeper = trip(layer, "sigmoid_", torch.ones(T, B, I))
    assert more == files | {"/further.py"} and deeper == depth + 1
