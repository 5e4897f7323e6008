"""A trained model of torch in NumPy, and in one file.   B batch, T steps, I inputs, H hidden, L layers.

    save("model.safetensors", model)             # a torch.nn.Module with whatever parts
    net = load("model.safetensors")              # without torch
    h, _ = net["lstm"](x, lengths)               # what the layer gives in evaluation
    logits = layers.affine(net["readout"], h)

What a part becomes, in a dict with the names that the module gives its parts:

    ==================================  ====================================================================
    a recurrent layer of torch or ours  `Recurrent`, which is called as the layer is
    a recurrent cell                    Params of our cell, for its `step`
    Linear                              `rnnlit.tools.layers.Params`, for `affine`
    a module with parts                 a dict of them
    any other, such as Embedding        its parameters and buffers as arrays, in a dict, by their names
    what has nothing of all that        left out: dropout, activations
    ==================================  ====================================================================

The file is one of safetensors with the names of the `state_dict`, so that torch loads it too:
`model.load_state_dict(safetensors.torch.load_file(path))`; only where a layer has no biases, the file has
zeros. The module imports with NumPy alone; `save` and `load` need safetensors:
`pip install "rnnlit[weights]"`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools import layers, weights
from rnnlit.tools.checkpoint import write_atomically
from rnnlit.tools.modules import ancestors, as_array, from_torch, is_cell, is_layer
from rnnlit.tools.params import GATES, cell_of, check_fit, is_params, kind_of, names_of

DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool")
_IN_FILE = ("F32", "F64", "I64", "I32", "U8", "BOOL")
_FORM = "1"  # of the description in the header


class Recurrent(NamedTuple):
    """A recurrent layer of L layers and one or two directions, in evaluation.

    >>> import torch
    >>> layer = to_numpy(torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True))
    >>> output, (h, c) = layer(np.zeros((7, 4, 3), np.float32))
    >>> output.shape, h.shape
    ((7, 4, 10), (4, 4, 5))
    """

    rows: tuple[Any, ...]  # Params for each layer and direction, in the order of h_n
    bidirectional: bool = False
    batch_first: bool = False
    reset_after: bool = True  # of a GRU

    def __call__(self, x: np.ndarray, lengths: Any = None, hx: Any = None) -> tuple[np.ndarray, Any]:
        """Run over (T, B, I), or (B, T, I) with batch_first; returns what the layer of torch returns.

        lengths  (B,) integers, in any order, if the batch is padded: as in `rnnlit.nn.LSTM`
        hx       the states to begin with, (LD, B, H), for an LSTM a pair (h0, c0); zero if not given

        The output is (T, B, DH), or batch first; then h_n (LD, B, H), for an LSTM (h_n, c_n). Where the
        layers have several sizes, each of the states is a tuple with (B, H) for each layer and direction.

        TypeError, ValueError: what the cell's `forward` refuses.
        """
        cell = importlib.import_module(type(self.rows[0]).__module__)
        flip = importlib.import_module("rnnlit.birnn").flip
        options = {} if cell.__name__ != "rnnlit.gru" else {"reset_after": self.reset_after}
        kinds = [kind for kind in ("h_n", "c_n") if kind in cell.Run._fields]
        starts = [None] * len(kinds) if hx is None else [hx] if len(kinds) == 1 else [*hx]
        D, last = 2 if self.bidirectional else 1, []
        if self.batch_first:
            x = x.swapaxes(0, 1)
        for k in range(0, len(self.rows), D):
            outputs = []
            for j, params in enumerate(self.rows[k : k + D]):
                start = [None if s is None else s[k + j] for s in starts]
                turned = flip(x, lengths) if j else x
                run = cell.forward(params, np.ascontiguousarray(turned), *start, lengths=lengths, **options)
                outputs.append(flip(run.h, lengths) if j else run.h)
                last.append([getattr(run, kind) for kind in kinds])
            x = np.concatenate(outputs, axis=2)
        states = [_stacked(kind) for kind in zip(*last, strict=True)]
        return x.swapaxes(0, 1) if self.batch_first else x, tuple(states) if len(kinds) == 2 else states[0]


def to_numpy(model: Any) -> Any:
    """Return a module of torch as the table above says: a dict, or what a single layer becomes.

    The arrays are copies. Tied parameters become arrays of their own.

    TypeError: no module; another dtype than float32, float64 or whole numbers. ValueError, with the part's
    name: a recurrent layer with an option that Params don't hold, see `weights.from_torch`.

    >>> import torch
    >>> tree = to_numpy(torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 5), "out": torch.nn.Linear(5, 2)}))
    >>> list(tree), tree["out"].weight.shape
    (['rnn', 'out'], (2, 5))
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile has wrapped
    if not hasattr(model, "named_children") or not hasattr(model, "state_dict"):
        raise TypeError(f"model: expected a torch.nn.Module, got {kind_of(model)}")
    found = _converted("model", model)
    if not isinstance(found, dict) or found:
        return found
    raise ValueError(f"model: expected one with parameters, got {kind_of(model)} without any")


def save(path: weights.StrPath, model: Any, **metadata: str | float) -> None:
    """Write a module of torch, or what `to_numpy` has made of one, to one `.safetensors` file.

    metadata  more for the header, such as `epochs=20`; `weights.metadata` reads it

    The file appears whole or not at all.  TypeError, ValueError: as in `to_numpy`, and for metadata.
    FileNotFoundError: no such folder.  ImportError: no safetensors.

    >>> import pathlib, tempfile, torch
    >>> path = pathlib.Path(tempfile.mkdtemp(), "model.safetensors")
    >>> save(path, torch.nn.LSTM(3, 5), epochs=20)  # where torch is
    >>> output, (h, c) = load(path)(np.zeros((7, 4, 3), np.float32))  # where NumPy suffices
    >>> output.shape
    (7, 4, 5)
    """
    target = weights.check_path(path)
    tree = to_numpy(model) if hasattr(model, "state_dict") else model
    arrays, described = _flat("", tree)
    header = {"rnnlit": weights.LAYOUT, "form": _FORM, "model": json.dumps(described)}
    weights.add_metadata(header, metadata)
    library = weights.safetensors_module("safetensors.numpy")
    ready = {name: np.array(array, order="C") for name, array in arrays.items()}
    write_atomically(target, library.save(ready, metadata=header))


def load(path: weights.StrPath) -> Any:
    """Read a file that `save` wrote; torch isn't needed.

    ValueError: another file; missing or further arrays, shapes that do not fit each other.
    FileNotFoundError: no such file.  ImportError: no safetensors.

    See `save` for an example.
    """
    arrays, header = weights.read_file(path, _IN_FILE)
    where = f"path: {str(path)!r}"
    if header.get("form") != _FORM or "model" not in header:
        raise ValueError(
            f"{where}: expected a file that models.save() wrote, got one without its header. It holds "
            f"{names_of(arrays)}; weights.load reads those of weights.save, and the arrays of any file"
        )
    try:
        tree = _built("", json.loads(header["model"]), arrays)
    except KeyError as error:
        raise ValueError(f"{where}: expected an array {error.args[0]!r}, got {names_of(arrays)}") from error
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error
    known = _flat("", tree)[0].keys()
    if known != arrays.keys():
        raise ValueError(
            f"{where}: expected no arrays but the model's, got {names_of(arrays.keys() - known)}"
        )
    return tree


def state_dict(tree: Any) -> dict[str, np.ndarray]:
    """Return the arrays of `to_numpy` or `load` by the names of torch's `state_dict`, not copied.

    TypeError: something else.

    >>> import torch
    >>> sorted(state_dict(to_numpy(torch.nn.GRU(3, 5))))
    ['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0']
    """
    return _flat("", tree)[0]


# ---- torch -> NumPy ----------------------------------------------------------------------------------------


def _converted(where: str, module: Any) -> Any:
    try:
        if is_cell(module):
            return from_torch(module, None, reset_after=_reset_after(module))
        if is_layer(module):
            return _recurrent(module)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from error
    made = getattr(module, "parametrizations", ())
    parts = {
        name: part for name, part in module.named_children() if not (made and name == "parametrizations")
    }
    inside = tuple(f"{name}." for name in (*parts, "parametrizations"))
    own = [name for name in module.state_dict() if not name.startswith(inside)]
    found = {name: as_array(where, name, getattr(module, name), DTYPES) for name in (*own, *made)}
    if "Linear" in ancestors(module) and {"weight"} <= found.keys() <= {"weight", "bias"} and not parts:
        weight = found["weight"]
        return layers.Params(weight, found.get("bias", np.zeros(len(weight), weight.dtype)))
    found |= {name: _converted(f"{where}.{name}", part) for name, part in parts.items()}
    return {name: value for name, value in found.items() if not (isinstance(value, dict) and not value)}


def _reset_after(module: Any) -> bool:
    """The form of a GRU of ours; True for everything else."""
    return not getattr(getattr(module, "variants", None), "reset_before", False)


def _recurrent(module: Any) -> Recurrent:
    form, both = _reset_after(module), bool(getattr(module, "bidirectional", False))
    ways = [
        (k, reverse) for k in range(getattr(module, "num_layers", 1)) for reverse in (False, True)[: 1 + both]
    ]
    rows = tuple(from_torch(module, k, reverse, reset_after=form) for k, reverse in ways)
    return Recurrent(rows, both, bool(getattr(module, "batch_first", False)), form)


# ---- NumPy <-> a file --------------------------------------------------------------------------------------


def _flat(name: str, tree: Any) -> tuple[dict[str, np.ndarray], Any]:
    """The arrays by torch's names, and what JSON can say of the rest."""
    if isinstance(tree, np.ndarray):
        if str(tree.dtype) not in DTYPES:
            raise TypeError(f"model: {name}: expected {' or '.join(DTYPES)}, got {tree.dtype}")
        return {name: tree}, "array"
    if isinstance(tree, Recurrent):
        ends = [
            f"_l{k // 2}{'_reverse' * (k % 2)}" if tree.bidirectional else f"_l{k}"
            for k in range(len(tree.rows))
        ]
        cell = cell_of(type(tree.rows[0]))
        arrays = {
            _joined(name, field + end): array
            for end, params in zip(ends, tree.rows, strict=True)
            for field, array in params._asdict().items()
        }
        fields = {"cell": cell, "gates": " ".join(GATES[cell]), "rows": len(tree.rows)}
        return arrays, {"recurrent": fields | {n: getattr(tree, n) for n in Recurrent._fields[1:]}}
    if is_params(type(tree)):
        check_fit(f"model: {name}" if name else "model", tree)
        cell = cell_of(type(tree))
        arrays = {_joined(name, field): array for field, array in tree._asdict().items()}
        return arrays, {"params": {"cell": cell, "gates": " ".join(GATES.get(cell, ()))}}
    if not isinstance(tree, Mapping):
        raise TypeError(f"model: expected a torch.nn.Module, or what to_numpy makes, got {kind_of(tree)}")
    parts = {part: _flat(_joined(name, part), value) for part, value in tree.items()}
    arrays = {key: array for found, _ in parts.values() for key, array in found.items()}
    return arrays, {"parts": {part: described for part, (_, described) in parts.items()}}


def _built(name: str, described: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """What `_flat` was given. KeyError: an array that is not there.  ValueError: another description."""
    if described == "array":
        return arrays[name]
    ((kind, fields),) = (
        described.items() if isinstance(described, dict) and len(described) == 1 else [("", {})]
    )
    if kind == "parts":
        return {part: _built(_joined(name, part), value, arrays) for part, value in fields.items()}
    cell = fields.get("cell", "")
    if kind == "params" and cell == "layers":
        params = layers.Params(arrays[_joined(name, "weight")], arrays[_joined(name, "bias")])
        check_fit(name, params)
        return params
    if (
        cell not in GATES
        or fields.get("gates") != " ".join(GATES[cell])
        or kind not in ("params", "recurrent")
    ):
        raise ValueError(
            f"model: {name}: expected a cell and its order of gates as in {GATES}, got {described}"
        )
    if kind == "params":
        return _cell(cell, name, "", arrays)
    both = bool(fields["bidirectional"])
    ends = [f"_l{k // 2}{'_reverse' * (k % 2)}" if both else f"_l{k}" for k in range(fields["rows"])]
    rows = tuple(_cell(cell, name, end, arrays) for end in ends)
    return Recurrent(rows, both, bool(fields["batch_first"]), bool(fields["reset_after"]))


def _cell(cell: str, name: str, end: str, arrays: Mapping[str, np.ndarray]) -> Any:
    kind = importlib.import_module(f"rnnlit.{cell}").Params
    params = kind(*(arrays[_joined(name, field + end)] for field in kind._fields))
    check_fit(name or "model", params)
    return params


def _joined(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part


def _stacked(states: tuple[np.ndarray, ...]) -> Any:
    """Of all layers and directions; a tuple where their sizes differ."""
    return np.stack(states) if len({state.shape for state in states}) == 1 else states
