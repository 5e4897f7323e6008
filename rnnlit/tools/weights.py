"""Weights to and from a `.safetensors` file and torch.   I inputs, H hidden, G blocks of H rows in a matrix.

The parameters of a cell are a NamedTuple with torch's names, order and shapes, so nothing is transposed or
permuted here:

    weight_ih (G H, I)    weight_hh (G H, H)    bias_ih (G H,)    bias_hh (G H,)    each peephole (H,)

A weight file is a header in JSON and then the plain numbers. Reading one runs no code, whoever wrote it. That
is why pickled files (`torch.save`) are refused.   Format: https://github.com/huggingface/safetensors

The module imports with NumPy alone. `save`, `load` and `metadata` need safetensors, `to_torch` needs torch;
`pip install "rnnlit[torch]"` brings both.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

import numpy as np

from rnnlit.tools.checkpoint import write_atomically
from rnnlit.tools.checks import check_array, check_params

P = TypeVar("P", bound=tuple)
StrPath = str | os.PathLike[str]

# The blocks of each recurrent cell, in the order in which its weights are stacked, under its module's name.
GATES: dict[str, tuple[str, ...]] = {
    "rnn": ("h",),
    "lstm": ("i", "f", "g", "o"),
    "lstm_peephole": ("i", "f", "g", "o"),
    "lstm_1997": ("i", "g", "o"),
    "gru": ("r", "z", "n"),
}

_LAYOUT = "1"  # of the file; to be raised when an old file would be misread
_FLOATS = ("F32", "F64")  # safetensors' names of float32 and float64
_TORCH = {"RNN_TANH": "rnn", "LSTM": "lstm", "GRU": "gru"}  # torch's mode -> our cell
_FIELDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


# ---- a file ------------------------------------------------------------------------------------------------


def save(path: StrPath, params: tuple | Mapping[str, Any], **metadata: str | float) -> None:
    """Write parameters to a `.safetensors` file.

    params    Params of the package, or a model: a dict from names to Params and to arrays; float32 or float64
    metadata  more for the header, such as `epochs=20`; kept as text, see `metadata`

    The file appears whole or not at all: it is written beside its place and then renamed, over an older file
    if there is one.

    TypeError, ValueError: another kind of object, another dtype, shapes that do not fit each other.
    FileNotFoundError: no such folder.  ImportError: no safetensors.
    """
    target = _path(path)
    arrays, header = _flatten(params)
    for key, value in metadata.items():
        if not isinstance(value, str | int | float):
            raise TypeError(f"metadata: expected strings and numbers, got {key}={value!r}")
        if key in header or key in ("cell", "gates"):
            raise ValueError(f"metadata: expected another name than {key!r}, which `save` itself writes")
        header[key] = str(value)
    data = _safetensors("safetensors.numpy").save(arrays, metadata=header)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path: expected an existing folder, got {str(target.parent)!r}")
    if target.is_dir():
        raise IsADirectoryError(f"path: expected the name of a file, got the folder {str(target)!r}")
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
    """
    parts = dict(like) if isinstance(like, Mapping) else {"": like}
    for name, kind in parts.items():
        known = _is_params(kind) or (kind is np.ndarray and isinstance(like, Mapping))
        if like is not None and not (known and isinstance(name, str)):
            raise TypeError(
                "like: expected a Params class of rnnlit, or a dict from names to such classes and to"
                f" np.ndarray, got {like!r}"
            )
    arrays, header = _read(path)
    if like is None:
        return arrays
    where = f"path: {os.fspath(path)!r}"
    kinds = {name: kind for name, kind in parts.items() if kind is not np.ndarray}
    if kinds and header.get("rnnlit") != _LAYOUT:
        raise ValueError(
            f"{where}: expected a file that save() wrote, got one without its header (rnnlit: {_LAYOUT}), so"
            f" cell and order of gates are unknown. It holds {_names(arrays)}; load(path) returns them,"
            " and from_torch takes those of a torch.nn.LSTM or torch.nn.RNN"
        )
    for name, kind in kinds.items():
        for key, expected in _description(name, kind).items():
            if header.get(key) != expected:
                raise ValueError(f"{where}: expected {key} = {expected!r}, got {header.get(key)!r}")
    wanted = {key for name, kind in parts.items() for key in _keys(name, kind)}
    if wanted != set(arrays):
        raise ValueError(
            f"{where}: expected the arrays {_names(wanted)}, got {_names(arrays)}; "
            f"missing: {_names(wanted - set(arrays))}, too many: {_names(set(arrays) - wanted)}"
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
    """
    return _read(path)[1]


# ---- torch -------------------------------------------------------------------------------------------------


def to_torch(params: tuple, layer: int = 0, reverse: bool = False) -> dict[str, Any]:
    """Return one layer and direction of the `state_dict` of a `torch.nn.RNN` (tanh), `LSTM` or `GRU`.

    params          `rnn.Params`, `lstm.Params` or `gru.Params`
    layer, reverse  choose the names: `weight_ih_l0`; `weight_ih_l1_reverse` in the second layer, backwards

    The tensors are copies on the CPU and keep the dtype. Several layers go into one dict with `|`.
    TypeError: another cell.  ValueError: shapes that do not fit each other.  ImportError: no torch.
    """
    check_cell("params", params, _TORCH.values())
    suffix = _suffix(layer, reverse)
    try:
        import torch
    except ImportError as error:
        raise ImportError('to_torch needs torch: pip install "rnnlit[torch]"') from error
    return {name + suffix: torch.tensor(array) for name, array in zip(_FIELDS, params, strict=True)}


def from_torch(source: Any, layer: int = 0, reverse: bool = False) -> Any:
    """Return one layer and direction of `torch.nn.RNN` (tanh), `LSTM` or `GRU` as Params of our cell.

    source  the module, or its `state_dict` with tensors on any device or with arrays as `load(path)` returns.
            A `state_dict` names neither cell nor activation: H rows of weight_hh are taken for an RNN with
            tanh, 4 H rows for an LSTM, 3 H rows for a GRU. A GRU's Params do not say which form of the reset
            gate they were trained with.

    The arrays are copies and keep the dtype. Where the source has no biases (`bias=False`) they are zero.
    ValueError: no such layer; a projection (`proj_size`), relu, or another number of gates.
    TypeError: another kind of source, or a dtype other than float32 and float64.
    """
    suffix = _suffix(layer, reverse)
    mode = getattr(source, "mode", None)
    state = source.state_dict() if callable(getattr(source, "state_dict", None)) else source
    if not isinstance(state, Mapping):
        raise TypeError(f"source: expected a torch.nn.LSTM or RNN, or a state_dict, got {_kind(source)}")
    if mode is not None and mode not in _TORCH:
        raise ValueError(f"source: expected a torch.nn.LSTM or a torch.nn.RNN with tanh, got mode {mode}")
    if "weight_hr" + suffix in state:
        raise ValueError(f"source: expected an LSTM without projection (proj_size=0), got weight_hr{suffix}")
    arrays = {name: _copy("source", name, state[name + suffix]) for name in _FIELDS if name + suffix in state}
    missing = [name + suffix for name in _FIELDS if name not in arrays]
    if missing and missing != ["bias_ih" + suffix, "bias_hh" + suffix]:
        raise ValueError(f"source: expected {_names(missing)} as well, got {_names(state)}")
    return params_of("source", **arrays)


def _suffix(layer: int, reverse: bool) -> str:
    if isinstance(layer, bool) or not isinstance(layer, int | np.integer):
        raise TypeError(f"layer: expected an integer from 0, got {layer!r}")
    if layer < 0:
        raise ValueError(f"layer: expected an integer from 0, got {layer}")
    return f"_l{layer}" + ("_reverse" if reverse else "")


def _copy(argument: str, name: str, value: Any) -> np.ndarray:
    """An array of its own from an array, or from a tensor of torch on any device."""
    if hasattr(value, "detach"):
        if str(value.dtype) not in ("torch.float32", "torch.float64"):
            raise TypeError(f"{argument}: {name}: expected float32 or float64, got {value.dtype}")
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{argument}: {name}: expected a tensor or an array, got {_kind(value)}")
    return value.copy()


# ---- which cell --------------------------------------------------------------------------------------------


def params_of(
    argument: str,
    weight_ih: np.ndarray,
    weight_hh: np.ndarray,
    bias_ih: np.ndarray | None = None,
    bias_hh: np.ndarray | None = None,
    **peepholes: np.ndarray,
) -> Any:
    """Return the Params that these arrays make: `rnn` for H rows of weight_hh, `lstm` for 4 H, `gru` for 3 H.

    argument   where the arrays come from, to be named in an error
    peepholes  weight_ci, weight_cf and weight_co make it `lstm_peephole`

    A missing bias is zero.  ValueError: shapes that fit neither.  TypeError: other dtypes, or several.
    """
    rows, H = weight_hh.shape if weight_hh.ndim == 2 else (0, 0)
    cell = "lstm_peephole" if peepholes else {H: "rnn", 3 * H: "gru"}.get(rows, "lstm")
    if not rows or rows != len(GATES[cell]) * H:
        raise ValueError(
            f"{argument}: expected weight_hh (H, H) for an RNN, (4H, H) for an LSTM or (3H, H) for a GRU, "
            f"got {weight_hh.shape}"
        )
    bias_ih, bias_hh = (np.zeros(rows, weight_hh.dtype) if b is None else b for b in (bias_ih, bias_hh))
    # Found by name, and only now: the tools lie under the cells and import none of them.
    kind = importlib.import_module(f"rnnlit.{cell}").Params
    params = kind(weight_ih, weight_hh, bias_ih, bias_hh, **peepholes)
    check_fit(argument, params)
    return params


def check_cell(argument: str, params: Any, cells: Iterable[str]) -> str:
    """Return the cell's name, one of `cells`.    TypeError: another.  ValueError: shapes that do not fit."""
    cells = tuple(cells)
    cell = _cell(type(params)) if _is_params(type(params)) else ""
    if cell not in cells:
        expected = " or ".join(f"rnnlit.{name}.Params" for name in cells)
        raise TypeError(f"{argument}: expected {expected}, got {_kind(params)}")
    check_fit(argument, params)
    return cell


def check_fit(argument: str, params: Any) -> None:
    """Raise TypeError or ValueError, naming the argument, unless these Params fit each other."""
    cell, fields = _cell(type(params)), params._asdict()
    try:
        for name, array in fields.items():
            check_array(name, array, np.shape(array))
        if cell in GATES:
            check_params(params, type(params), len(GATES[cell]))
        elif tuple(fields) == ("weight", "bias"):
            weight = check_array("weight", params.weight, ("O", "I"))
            check_array("bias", params.bias, weight.shape[:1], weight.dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{argument}: {error}") from error


# ---- what stands in a file ---------------------------------------------------------------------------------


def _is_params(kind: Any) -> bool:
    """Whether this is a NamedTuple class of the package."""
    named = isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
    return named and kind.__module__.startswith("rnnlit.")


def _cell(kind: type) -> str:
    """`lstm` for `rnnlit.lstm.Params`, `lstm.Run` for a class of another name."""
    stem = kind.__module__.rpartition(".")[2]
    return stem if kind.__name__ == "Params" else f"{stem}.{kind.__name__}"


def _keys(name: str, kind: Any) -> list[str]:
    """Keys of one part in the file: `weight_ih`, `name.weight_ih`, or for a plain array `name`."""
    return [name] if kind is np.ndarray else [f"{name}.{field}" if name else field for field in kind._fields]


def _description(name: str, kind: type) -> dict[str, str]:
    """What the header says of one part: its cell, and the order of its gates if it has any."""
    cell = _cell(kind)
    entries = {"cell": cell} | ({"gates": " ".join(GATES[cell])} if cell in GATES else {})
    return {f"{key}.{name}" if name else key: value for key, value in entries.items()}


def _flatten(params: Any) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and header of a file, checked."""
    if not _is_params(type(params)) and not isinstance(params, Mapping):
        raise TypeError(
            f"params: expected Params of rnnlit, or a dict of them and arrays, got {_kind(params)}"
        )
    if not params:
        raise ValueError("params: expected at least one array, got an empty dict")
    arrays: dict[str, np.ndarray] = {}
    header = {"rnnlit": _LAYOUT}
    for name, part in params.items() if isinstance(params, Mapping) else [("", params)]:
        if not isinstance(name, str) or (isinstance(params, Mapping) and not name):
            raise TypeError(f"params: expected names that are strings and not empty, got {name!r}")
        argument = f"params[{name!r}]" if name else "params"
        if _is_params(type(part)):
            check_fit(argument, part)
            header |= _description(name, type(part))
        elif not isinstance(part, np.ndarray) or part.dtype not in (np.float32, np.float64):
            expected = "Params of rnnlit or an array of float32 or float64"
            raise TypeError(f"{argument}: expected {expected}, got {_kind(part)}")
        keys, values = (_keys(name, type(part)), part) if isinstance(part, tuple) else ([name], [part])
        for key, value in zip(keys, values, strict=True):
            if key in arrays:
                raise ValueError(f"params: expected different names, got two arrays called {key!r}")
            arrays[key] = np.array(value, order="C")
    return arrays, header


def _read(path: StrPath) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and header of any safetensors file that holds float32 and float64."""
    source = _path(path)
    if source.is_dir():
        raise IsADirectoryError(f"path: expected a file, got the folder {str(source)!r}")
    if not source.exists():
        raise FileNotFoundError(f"path: expected a file, found none at {str(source)!r}")
    safetensors = _safetensors("safetensors")
    try:
        with safetensors.safe_open(source, framework="np") as file:
            dtypes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 - it is no dict
            other = {key: dtype for key, dtype in dtypes.items() if dtype not in _FLOATS}
            if other:
                raise ValueError(f"path: {str(source)!r}: expected arrays of F32 and F64, got {other}")
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


def _safetensors(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError('weight files need safetensors: pip install "rnnlit[torch]"') from error


def _path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path: expected a string or a Path, got {_kind(path)}")
    if not os.fspath(path):
        raise ValueError("path: expected the name of a file, got an empty string")
    return Path(path)


def _names(names: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, names))) or "none"


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
