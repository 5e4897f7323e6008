"""Checkpoints: arrays, and facts that JSON can hold, in one safetensors file that is always whole.

The arrays are NumPy's or torch's. Reading a checkpoint runs no code, whoever wrote it: nothing is unpickled.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Path_ = str | os.PathLike[str]
MARK = "rnnlit.fit"  # the key in the file's header under which the JSON stands


def write_checkpoint(path: Path_, note: Mapping[str, Any], **parts: Mapping[str, Any]) -> None:
    """Write each part, a dict of arrays and of values that JSON can hold, and the note, which is all JSON."""
    arrays: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for part, entries in parts.items():
        for name, value in entries.items():
            (arrays if hasattr(value, "shape") else values)[f"{part}.{name}"] = value
    if any(type(a).__module__.startswith("torch") for a in arrays.values()):
        framework = "torch"
        # safetensors takes no tensors that share memory, as tied weights do
        arrays = {name: a.detach().cpu().contiguous().clone() for name, a in arrays.items()}
    else:
        framework = "numpy"
        arrays = {name: np.array(a, order="C") for name, a in arrays.items()}
    # Some of NumPy's bit generators keep arrays in their state.
    text = json.dumps({"framework": framework, "values": values, "note": note}, default=np.ndarray.tolist)
    write_atomically(path, _safetensors(framework).save(arrays, metadata={MARK: text}))


def read_checkpoint(path: Path_, *parts: str) -> list[dict[str, Any]]:
    """The note and then the parts, as they were written.

    FileNotFoundError: no file.  ValueError: none that `fit` wrote.
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
    entries = content["values"] | _safetensors(content["framework"]).load(Path(path).read_bytes())
    return [content["note"]] + [
        {name.removeprefix(f"{part}."): v for name, v in entries.items() if name.startswith(f"{part}.")}
        for part in parts
    ]


def write_atomically(path: Path_, content: bytes) -> None:
    """Replace the file at one stroke: whenever the process is killed, it is the old one or the new one.

    One process at a time may write it. A killed one leaves its name with .part behind, which the next one
    overwrites.
    """
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
        raise ImportError('checkpoints need safetensors: pip install "rnnlit[torch]"') from error
