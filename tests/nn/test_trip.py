"""How far a call goes before its first gate, in files and frames; how long the functions of a scan are."""

import ast
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


MOST_LINES = 45


def lengths(source):
    """The lines of each function from `def` to its end, without its docstring."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            doc = first.end_lineno - first.lineno + 1 if ast.get_docstring(node, clean=False) else 0
            found[node.name] = node.end_lineno - node.lineno + 1 - doc
    return found


def test_functions_of_a_scan_fit_a_screen():
    """But for Triton's kernels, whose arguments take a line each."""
    folder = Path(nn.__file__).parent
    files = [one for name in ("scan", "gpu") for one in sorted((folder / name).glob("*.py"))]
    sizes = {
        (file.name, name): size
        for file in files
        if not file.stem.endswith("_triton")
        for name, size in lengths(file.read_text()).items()
    }
    assert len(sizes) > 60 and ("lstm.py", "backward") in sizes
    assert {where: size for where, size in sizes.items() if size > MOST_LINES} == {}


def test_lines_are_counted_without_the_docstring():
    source = 'def f(x):\n    """One.\n\n    Two.\n    """\n    y = x\n\n    # three\n    return y\n'
    assert lengths(source) == {"f": 5}
