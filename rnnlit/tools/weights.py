"""Weights to and from a `.safetensors` file and torch.   I inputs, H hidden, G blocks of H rows in a matrix.

The parameters of a cell are a NamedTuple with torch's names, order and shapes, so nothing is transposed or
permuted here:

    weight_ih (G H, I)    weight_hh (G H, H)    bias_ih (G H,)    bias_hh (G H,)    each peephole (H,)

A weight file is a header in JSON and then the plain numbers. Reading one runs no code, whoever wrote it. That
is why pickled files (`torch.save`) are refused.   Format: https://github.com/huggingface/safetensors

The module imports with NumPy alone. `save`, `load` and `metadata` need safetensors, which
`pip install "rnnlit[weights]"` brings, and `to_torch` needs torch, `pip install "rnnlit[torch]"`. A whole
model of several parts, straight from torch, goes by `rnnlit.tools.models`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

import numpy as np

from rnnlit.tools.checkpoint import write_atomically
from rnnlit.tools.modules import from_torch, to_torch
from rnnlit.tools.params import GATES, cell_of, check_fit, is_params, kind_of, names_of

__all__ = ["from_torch", "load", "metadata", "save", "to_torch"]

P = TypeVar("P", bound=tuple)
StrPath = str | os.PathLike[str]

LAYOUT = "1"  # of the file; to be raised when an old file would be misread
_FLOATS = ("F32", "F64")  # safetensors' names of float32 and float64


# ---- a file ------------------------------------------------------------------------------------------------


def save(path: StrPath, params: tuple | Mapping[str, Any], **metadata: str | float) -> None:
    """Write parameters to a `.safetensors` file.

    params    Params of the package, or a model: a dict from names to Params and to arrays; float32 or float64
    metadata  more for the header, such as `epochs=20`; kept as text, see `metadata`

    The file appears whole or not at all: it is written beside its place and then renamed, over an older file
    if there is one.

    TypeError, ValueError: another kind of object, another dtype, shapes that do not fit each other.
    FileNotFoundError: no such folder.  ImportError: no safetensors.

    >>> import tempfile
    >>> from rnnlit import lstm
    >>> path = Path(tempfile.mkdtemp(), "lstm.safetensors")
    >>> params = lstm.init(3, 5, rng=np.random.default_rng(0))
    >>> save(path, params, epochs=20)
    >>> load(path, like=lstm.Params).weight_ih.shape, metadata(path)["epochs"]
    ((20, 3), '20')
    """
    target = check_path(path)
    arrays, header = _flatten(params)
    add_metadata(header, metadata)
    data = safetensors_module("safetensors.numpy").save(arrays, metadata=header)
    write_atomically(target, data)


@overload
def load(path: StrPath, like: None = None) -> dict[str, np.ndarray]: ...
@overload
def load(path: StrPath, like: type[P]) -> P: ...
@overload
def load(path: StrPath, like: Mapping[str, type]) -> dict[str, Any]: ...
def load(path: StrPath, like: Any = None) -> Any:
    """Read parameters from a `.safetensors` file; nothing is ever unpickled.

    like  what the file must hold: a Params class (`lstm.Params`), or for a model a dict from each name to its
          Params class or to `np.ndarray`. The result has the same form. Without it, the arrays of any file
          come back by their names.

    ValueError: no safetensors file, other dtypes than float32 and float64; with `like` also another cell or
    order of gates, missing or further arrays, shapes that do not fit each other.
    TypeError: `like` is something else.  FileNotFoundError: no such file.  ImportError: no safetensors.

    See `save` for an example.
    """
    parts = dict(like) if isinstance(like, Mapping) else {"": like}
    for name, kind in parts.items():
        known = is_params(kind) or (kind is np.ndarray and isinstance(like, Mapping))
        if like is not None and not (known and isinstance(name, str)):
            raise TypeError(
                "like: expected a Params class of rnnlit, or a dict from names to such classes and to"
                f" np.ndarray, got {like!r}"
            )
    arrays, header = read_file(path)
    if like is None:
        return arrays
    where = f"path: {os.fspath(path)!r}"
    kinds = {name: kind for name, kind in parts.items() if kind is not np.ndarray}
    if kinds and header.get("rnnlit") != LAYOUT:
        raise ValueError(
            f"{where}: expected a file that save() wrote, got one without its header (rnnlit: {LAYOUT}), so"
            f" cell and order of gates are unknown. It holds {names_of(arrays)}; load(path) returns them,"
            " and from_torch takes those of a torch.nn.LSTM, GRU or RNN, or of a cell"
        )
    for name, kind in kinds.items():
        for key, expected in _description(name, kind).items():
            if header.get(key) != expected:
                raise ValueError(f"{where}: expected {key} = {expected!r}, got {header.get(key)!r}")
    wanted = {key for name, kind in parts.items() for key in _keys(name, kind)}
    if wanted != set(arrays):
        raise ValueError(
            f"{where}: expected the arrays {names_of(wanted)}, got {names_of(arrays)}; "
            f"missing: {names_of(wanted - set(arrays))}, too many: {names_of(set(arrays) - wanted)}"
        )
    result = {}
    for name, kind in parts.items():
        values = [arrays[key] for key in _keys(name, kind)]
        result[name] = values[0] if kind is np.ndarray else kind(*values)
        if kind is not np.ndarray:
            try:
                check_fit(f"{where}: {name}" if name else where, result[name])
            except TypeError as error:  # two dtypes: the file is wrong, not the type of an argument
                raise ValueError(str(error)) from error
    return result if isinstance(like, Mapping) else result[""]


def metadata(path: StrPath) -> dict[str, str]:
    """Return the header of a `.safetensors` file: cell, order of gates, and what else `save` was given.

    Errors as for `load`.

    See `save` for an example.
    """
    return read_file(path)[1]


# ---- what stands in a file ---------------------------------------------------------------------------------


def add_metadata(header: dict[str, str], metadata: Mapping[str, Any]) -> None:
    """Put them into the header.  TypeError: no string or number.  ValueError: a name that is taken."""
    for key, value in metadata.items():
        if not isinstance(value, str | int | float):
            raise TypeError(f"metadata: expected strings and numbers, got {key}={value!r}")
        if key in header or key in ("cell", "gates"):
            raise ValueError(f"metadata: expected another name than {key!r}, which `save` itself writes")
        header[key] = str(value)


def _keys(name: str, kind: Any) -> list[str]:
    """Keys of one part in the file: `weight_ih`, `name.weight_ih`, or for a plain array `name`."""
    return [name] if kind is np.ndarray else [f"{name}.{field}" if name else field for field in kind._fields]


def _description(name: str, kind: type) -> dict[str, str]:
    """What the header says of one part: its cell, and the order of its gates if it has any."""
    cell = cell_of(kind)
    entries = {"cell": cell} | ({"gates": " ".join(GATES[cell])} if cell in GATES else {})
    return {f"{key}.{name}" if name else key: value for key, value in entries.items()}


def _flatten(params: Any) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and header of a file, checked."""
    if not is_params(type(params)) and not isinstance(params, Mapping):
        raise TypeError(
            f"params: expected Params of rnnlit, or a dict of them and arrays, got {kind_of(params)}"
            + ("; rnnlit.tools.models.save takes a model of torch" if hasattr(params, "state_dict") else "")
        )
    if not params:
        raise ValueError("params: expected at least one array, got an empty dict")
    arrays: dict[str, np.ndarray] = {}
    header = {"rnnlit": LAYOUT}
    for name, part in params.items() if isinstance(params, Mapping) else [("", params)]:
        if not isinstance(name, str) or (isinstance(params, Mapping) and not name):
            raise TypeError(f"params: expected names that are strings and not empty, got {name!r}")
        argument = f"params[{name!r}]" if name else "params"
        if is_params(type(part)):
            check_fit(argument, part)
            header |= _description(name, type(part))
        elif not isinstance(part, np.ndarray) or part.dtype not in (np.float32, np.float64):
            expected = "Params of rnnlit or an array of float32 or float64"
            raise TypeError(f"{argument}: expected {expected}, got {kind_of(part)}")
        keys, values = (_keys(name, type(part)), part) if isinstance(part, tuple) else ([name], [part])
        for key, value in zip(keys, values, strict=True):
            if key in arrays:
                raise ValueError(f"params: expected different names, got two arrays called {key!r}")
            arrays[key] = np.array(value, order="C")
    return arrays, header


def read_file(
    path: StrPath, allowed: tuple[str, ...] = _FLOATS
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and header of any safetensors file that holds float32 and float64, or what is allowed."""
    source = check_path(path)
    if source.is_dir():
        raise IsADirectoryError(f"path: expected a file, got the folder {str(source)!r}")
    if not source.exists():
        raise FileNotFoundError(f"path: expected a file, found none at {str(source)!r}")
    safetensors = safetensors_module("safetensors")
    try:
        with safetensors.safe_open(source, framework="np") as file:
            dtypes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 - it is no dict
            other = {key: dtype for key, dtype in dtypes.items() if dtype not in allowed}
            if other:
                wanted = " and ".join(allowed)
                raise ValueError(f"path: {str(source)!r}: expected arrays of {wanted}, got {other}")
            # Sorted, since the order of the header changes from file to file.
            return {key: file.get_tensor(key) for key in sorted(dtypes)}, dict(
                sorted((file.metadata() or {}).items())
            )
    except safetensors.SafetensorError as error:
        hint = _likeness(source)
        raise ValueError(f"path: expected a safetensors file, got {str(source)!r}: {hint}{error}") from error


def _likeness(source: Path) -> str:
    """A hint for the files that are taken for weights most often."""
    with open(source, "rb") as file:
        start = file.read(2)
    if start == b"PK" or start[:1] == b"\x80":
        return (
            "it looks like one of torch.save or numpy.savez. Pickled weights are not read here, since reading"
            " them can run code. torch.load(path, weights_only=True) gives a state_dict for from_torch. "
        )
    return "" if start else "it is empty. "


def safetensors_module(module: str) -> ModuleType:
    """The module. ImportError, with the extra that brings it: it isn't there."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError('weight files need safetensors: pip install "rnnlit[weights]"') from error


def check_path(path: Any) -> Path:
    """Return a Path.  TypeError, ValueError: no string or Path, or an empty one."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path: expected a string or a Path, got {kind_of(path)}")
    if not os.fspath(path):
        raise ValueError("path: expected the name of a file, got an empty string")
    return Path(path)
