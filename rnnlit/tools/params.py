"""Which cell a NamedTuple of arrays belongs to, and whether its arrays fit each other.

I inputs, H hidden, G blocks of H rows in a matrix. A cell's Params are found by their module: `lstm` for
`rnnlit.lstm.Params`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from rnnlit.tools.checks import check_array, check_params

# The blocks of each recurrent cell, in the order in which its weights are stacked, under its module's name.
GATES: dict[str, tuple[str, ...]] = {
    "rnn": ("h",),
    "lstm": ("i", "f", "g", "o"),
    "lstm_peephole": ("i", "f", "g", "o"),
    "lstm_1997": ("i", "g", "o"),
    "gru": ("r", "z", "n"),
}


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


def known_cell(argument: str, params: Any, cells: Iterable[str]) -> str:
    """Return the cell's name, one of `cells`.    TypeError: another.  ValueError: shapes that do not fit."""
    cells = tuple(cells)
    cell = cell_of(type(params)) if is_params(type(params)) else ""
    if cell not in cells:
        expected = " or ".join(f"rnnlit.{name}.Params" for name in cells)
        raise TypeError(f"{argument}: expected {expected}, got {kind_of(params)}")
    check_fit(argument, params)
    return cell


def check_fit(argument: str, params: Any) -> None:
    """Raise TypeError or ValueError, naming the argument, unless these Params fit each other."""
    cell, fields = cell_of(type(params)), params._asdict()
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


def is_params(kind: Any) -> bool:
    """Whether this is a NamedTuple class of the package."""
    named = isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
    return named and kind.__module__.startswith("rnnlit.")


def cell_of(kind: type) -> str:
    """`lstm` for `rnnlit.lstm.Params`, `lstm.Run` for a class of another name."""
    stem = kind.__module__.rpartition(".")[2]
    return stem if kind.__name__ == "Params" else f"{stem}.{kind.__name__}"


def names_of(names: Iterable[Any]) -> str:
    """Names in order, for a message."""
    return ", ".join(sorted(map(str, names))) or "none"


def kind_of(value: Any) -> str:
    """The kind of a value, for a message."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
