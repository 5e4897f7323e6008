"""Checkpoints: arrays, numbers and words in one safetensors file that is always whole.

The arrays are NumPy's or torch's. Reading a checkpoint runs no code, whoever wrote it: nothing is unpickled.
"""

from __future__ import annotations

import importlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Path_ = str | os.PathLike[str]
MARK = "rnnlit.fit"  # the key in the file's header under which the JSON stands
# What JSON doesn't have is a dict with one of these names in it.
_TAGS: dict[str, Callable[[Any], Any]] = {"array": str, "tuple": tuple, "dict": dict, "counter": Counter}


def write_checkpoint(path: Path_, note: Mapping[str, Any], **parts: Mapping[str, Any]) -> None:
    """Write each part, a dict of arrays and of values, and the note, which is all JSON.

    A value is None, a bool, a number, a string, an array, or a dict, list, tuple or Counter of values; it is
    read again as it was.  TypeError, with its name: anything else.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "state.safetensors")
    >>> write_checkpoint(path, {"epoch": 3}, state={"w": np.arange(3.0), "order": (2, 0, 1)})
    >>> note, state = read_checkpoint(path, "state")
    >>> note, state["order"], state["w"].tolist()
    ({'epoch': 3}, (2, 0, 1), [0.0, 1.0, 2.0])
    """
    entries = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    arrays = {name: value for name, value in entries.items() if hasattr(value, "shape")}
    others = {name: value for name, value in entries.items() if name not in arrays}
    values = {name: _packed(name, value, arrays) for name, value in others.items()}
    of_torch = {name for name, array in arrays.items() if type(array).__module__.startswith("torch")}
    framework = "torch" if of_torch else "numpy"
    content = {"framework": framework, "values": values, "packed": True, "note": note}
    content["numpy"] = sorted(arrays.keys() - of_torch)
    # Some of NumPy's bit generators keep arrays in their state.
    text = json.dumps(content, default=np.ndarray.tolist)
    library = _safetensors(framework)
    ready = {name: _ready(array, name in of_torch, framework) for name, array in arrays.items()}
    write_atomically(path, library.save(ready, metadata={MARK: text}))


def read_checkpoint(path: Path_, *parts: str, numpy: bool = False) -> list[dict[str, Any]]:
    """The note and then the parts, as they were written; with `numpy` all arrays are NumPy's.

    FileNotFoundError: no file.  ValueError: none that `fit` wrote.

    See `write_checkpoint` for an example.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"checkpoint: expected a file to resume from, got {path}, which doesn't exist"
        )
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(path, "np") as file:
            header = (file.metadata() or {}).get(MARK)
    except safetensors.SafetensorError as error:
        raise ValueError(f"checkpoint: expected a safetensors file, got {path} ({error})") from error
    if header is None:
        raise ValueError(
            f"checkpoint: expected a file that fit wrote, got {path}, which holds something else"
        )
    content = json.loads(header)
    framework = "numpy" if numpy else content["framework"]
    arrays = _safetensors(framework).load(Path(path).read_bytes())
    if framework == "torch":
        arrays |= {name: arrays[name].numpy() for name in content.get("numpy", ())}
    values = content["values"]
    if content.get("packed"):  # an older file holds what JSON can hold, and nothing else
        values = {name: _unpacked(value, arrays) for name, value in values.items()}
    entries = values | arrays
    return [content["note"]] + [
        {name.removeprefix(f"{part}."): v for name, v in entries.items() if name.startswith(f"{part}.")}
        for part in parts
    ]


def read_state_dict(path: Path_, which: str = "last", *, numpy: bool = False) -> dict[str, Any]:
    """The model's `state_dict` out of a checkpoint of `fit`, without optimiser and random numbers.

    which  "last" or, of a training with patience, "best": the state that `fit` puts back at its end
    numpy  arrays of NumPy instead of tensors; then torch isn't needed

    It is for `model.load_state_dict`, or with `numpy` for `weights.from_torch`. Of a training in NumPy it
    holds the parameters by their names.

    FileNotFoundError: no file.  ValueError: none that `fit` wrote, no best state, another `which`.

    >>> import tempfile, torch
    >>> from rnnlit.tools.train import fit
    >>> from rnnlit.tools.train_torch import TorchState, make_step
    >>> model = torch.nn.GRU(3, 5)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> step = make_step(model, optimizer, lambda model, x: model(x)[0].square().mean())
    >>> path = Path(tempfile.mkdtemp(), "run.safetensors")
    >>> state = TorchState(model, optimizer)
    >>> history = fit(step, [torch.randn(7, 4, 3)], steps=2, checkpoint=path, state=state)
    >>> sorted(read_state_dict(path))
    ['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0']
    """
    if which not in ("last", "best"):
        raise ValueError(f'which: expected "last" or "best", got {which!r}')
    _, state = read_checkpoint(path, "state" if which == "last" else "best", numpy=numpy)
    if not state:
        raise ValueError(f"which: expected a checkpoint of a training with patience, got {path}")
    for prefix, mark in (("model.", "optimizer"), ("params.", "steps")):
        if mark in state:  # the state of a `TorchState`, or of an optimiser of `optim`
            parts = {name: value for name, value in state.items() if name.startswith(prefix)}
            return {name.removeprefix(prefix): value for name, value in parts.items()}
    return state


def _packed(name: str, value: Any, arrays: dict[str, Any]) -> Any:
    """A value as JSON can hold it; the arrays in it go into `arrays`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "shape"):
        while name in arrays:  # 1 and "1" may both be keys of a dict
            name += "'"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, list | tuple):
        items = [_packed(f"{name}.{k}", item, arrays) for k, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        pairs = [[_packed(name, k, {}), _packed(f"{name}.{k}", item, arrays)] for k, item in value.items()]
        if isinstance(value, Counter):
            return {"counter": pairs}
        simple = all(type(k) is str and k not in _TAGS for k in value)
        return dict(pairs) if simple else {"dict": pairs}
    raise TypeError(
        f"{name}: expected None, numbers, strings and arrays, or dicts, lists and tuples of them, in what a "
        f"checkpoint is to hold, got {type(value).__name__}"
    )


def _unpacked(value: Any, arrays: dict[str, Any]) -> Any:
    """What `_packed` was given; it takes the arrays that it needs out of `arrays`."""
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value), "")
    if tag not in _TAGS:
        return {name: _unpacked(item, arrays) for name, item in value.items()}
    if tag == "array":
        return arrays.pop(value[tag])
    items = _unpacked(value[tag], arrays)
    return tuple(items) if tag == "tuple" else _TAGS[tag](dict(items))


def _ready(array: Any, of_torch: bool, framework: str) -> Any:
    """An array or tensor as safetensors takes it: contiguous, sharing no memory, as tied weights do."""
    if of_torch:
        return array.detach().cpu().contiguous().clone()
    own = np.array(array, order="C")
    return importlib.import_module("torch").from_numpy(own) if framework == "torch" else own


def write_atomically(path: Path_, content: bytes) -> None:
    """Replace the file at one stroke: whenever the process is killed, it is the old one or the new one.

    One process at a time may write it. A killed one leaves its name with .part behind, which the next one
    overwrites.

    FileNotFoundError: no such folder.  IsADirectoryError: the path is a folder.
    """
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"path: expected an existing folder, got {str(Path(path).parent)!r}")
    if Path(path).is_dir():
        raise IsADirectoryError(f"path: expected the name of a file, got the folder {str(path)!r}")
    part = Path(f"{os.fspath(path)}.part")  # in the same folder, since a rename can't cross file systems
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def shapes(arrays: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each array or tensor, by name; () for anything else."""
    return {name: tuple(getattr(a, "shape", ())) for name, a in arrays.items()}


def check_entries(what: str, expected: Mapping[str, Any], got: Mapping[str, Any]) -> None:
    """Raise ValueError, listing what differs, unless both name the same entries with the same shapes."""
    if expected == got:
        return
    faults = [f"missing {name} {expected[name]}" for name in expected if name not in got]
    faults += [f"foreign {name} {got[name]}" for name in got if name not in expected]
    both = [name for name in expected if name in got and expected[name] != got[name]]
    faults += [f"{name}: expected shape {expected[name]}, got {got[name]}" for name in both]
    raise ValueError(f"{what}: " + "; ".join(faults))


def _safetensors(module: str = "") -> Any:
    try:
        return importlib.import_module(f"safetensors.{module}".rstrip("."))
    except ImportError as error:
        raise ImportError('checkpoints need safetensors: pip install "rnnlit[weights]"') from error
