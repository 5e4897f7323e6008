"""Weights of a recurrent layer or cell of torch as Params of ours, and back.   I inputs, H hidden.

A module is known by torch's own classes among its ancestors, so those of `rnnlit.nn` and one's own subclasses
count, and scripted ones too. An option that changes what the layer computes in evaluation, and that Params
don't hold, is refused by its name; what only drops numbers in training, or only draws the first weights, is
none of these. `rnnlit.tools.weights` hands both functions on.

Only `to_torch` needs torch.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnlit.tools.params import GATES, check_fit, kind_of, known_cell, names_of, params_of

FIELDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
PEEPHOLES = ("weight_ci", "weight_cf", "weight_co")
LAYERS = ("LSTM", "GRU", "RNN", "RNNBase")
CELLS = ("LSTMCell", "GRUCell", "RNNCell")

# The parameters of recurrent layers and cells, and those that make one of them.
_NAMES = re.compile(
    r"(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh|weight_c[ifo]|norm_\w+?)(_l\d+(_reverse)?)?"
    r"|parametrizations\..*|\w+_(orig|mask)"
)

# Variants of `rnnlit.nn` that do nothing in evaluation, or that Params or an argument here can hold.
_DROPPED = ("input_dropout", "output_dropout", "recurrent_dropout", "candidate_dropout", "weight_drop")
_HELD = (*_DROPPED, "peephole", "reset_before")


def to_torch(params: tuple, layer: int | None = 0, reverse: bool = False) -> dict[str, Any]:
    """Return one layer and direction of the `state_dict` of a recurrent layer, or that of a cell.

    params          `rnn.Params` (with tanh), `lstm.Params` or `gru.Params`, for a layer of torch or of
                    `rnnlit.nn`; `lstm_peephole.Params` for `rnnlit.nn.LSTM(..., peephole=True)`
    layer, reverse  choose the names: `weight_ih_l0`; `weight_ih_l1_reverse` in the second layer, backwards;
                    None is a cell, whose names have no end: `weight_ih`

    The tensors are copies on the CPU and keep the dtype. Several layers go into one dict with `|`.
    TypeError: another cell.  ValueError: shapes that do not fit each other; a cell backwards.
    ImportError: no torch.

    >>> import torch
    >>> from rnnlit import gru
    >>> layer = torch.nn.GRU(3, 5, num_layers=2)
    >>> rows = [gru.init(I, 5, rng=np.random.default_rng(I)) for I in (3, 5)]
    >>> layer.load_state_dict(to_torch(rows[0]) | to_torch(rows[1], layer=1))
    <All keys matched successfully>
    """
    # A cell of 1997 has its module in `rnnlit.nn.bidirectional`, with the names of a cell.
    known = ("rnn", "lstm", "gru", "lstm_peephole") if layer is not None else tuple(GATES)
    known_cell("params", params, known)
    end = _suffix(layer, reverse)
    try:
        import torch
    except ImportError as error:
        raise ImportError('to_torch needs torch: pip install "rnnlit[torch]"') from error
    fields = params._asdict()  # type: ignore[attr-defined]
    return {name + end: torch.tensor(array) for name, array in fields.items()}


def from_torch(source: Any, layer: int | None = 0, reverse: bool = False, *, reset_after: bool = True) -> Any:
    """Return one layer and direction of a recurrent layer, or a cell, as Params of our cell.

    source  `torch.nn.LSTM`, `GRU` or `RNN` (tanh), their cells, those of `rnnlit.nn`; or the `state_dict` of
            one, with tensors on any device or with arrays as `load(path)` returns. A `state_dict` names
            neither cell nor options: H rows of weight_hh are taken for an RNN with tanh, 4 H rows for an
            LSTM, 3 H rows for a GRU.
    layer, reverse  as in `to_torch`; a cell is layer 0, or None
    reset_after     the form of a GRU, which its Params don't hold: that of the layer, and that with which
                    `gru.forward` has to be called

    With peepholes the Params are those of `lstm_peephole`. The arrays are copies and keep the dtype. Where
    the source has no biases (`bias=False`) they are zero. Under a parametrization they are what it makes.

    ValueError: no such layer; an option that no Params hold (layer_norm, zoneout, proj_size, relu), the other
    form of a GRU; another number of gates.  TypeError: another kind of source, or a dtype other than float32
    and float64.

    >>> import torch
    >>> from rnnlit import lstm
    >>> layer = torch.nn.LSTM(3, 5)
    >>> x = torch.randn(7, 4, 3)
    >>> run = lstm.forward(from_torch(layer), x.numpy())
    >>> bool(np.allclose(run.h, layer(x)[0].detach(), atol=1e-6))
    True
    """
    source = getattr(source, "_orig_mod", source)  # what torch.compile has wrapped
    if not isinstance(source, Mapping):
        check_module(source)
    state = source if isinstance(source, Mapping) else source.state_dict()
    made = () if isinstance(source, Mapping) else getattr(source, "parametrizations", ())
    known = {*state, *made}
    end = _suffix(layer, reverse)
    if {"weight_ih", "weight_hh"} & known:  # a cell
        if layer or reverse:
            raise ValueError(
                f"layer: expected 0 or None for a cell, forwards, got {layer}, reverse={reverse}"
            )
        end = ""
    names = [name for name in FIELDS + PEEPHOLES if name + end in known]
    values = {n: getattr(source, n + end) if n + end in made else state[n + end] for n in names}
    _check_names(known, names, end)
    arrays = {name: as_array("source", name, value) for name, value in values.items()}
    own = getattr(source, "cell", None)  # of a layer of `nn.bidirectional`, which names its cell
    if own == "lstm_1997":
        params = importlib.import_module("rnnlit.lstm_1997").Params(**arrays)
        check_fit("source", params)
    else:
        params = params_of("source", **arrays)
    _check_form(source, type(params).__module__ == "rnnlit.gru", reset_after)
    return params


def check_module(source: Any) -> None:
    """TypeError: no recurrent layer or cell.  ValueError: one with options that Params don't hold."""
    if not is_layer(source) and not is_cell(source):
        names = ", ".join(LAYERS[:3] + CELLS)
        more = "; rnnlit.tools.models takes a whole model" if hasattr(source, "state_dict") else ""
        raise TypeError(
            f"source: expected a layer or cell of torch.nn or rnnlit.nn ({names}), or a state_dict of one, "
            f"got {kind_of(source)}{more}"
        )
    others = [name for name in source.state_dict() if not _NAMES.fullmatch(name)]
    if others:
        raise ValueError(
            f"source: expected nothing but a recurrent layer's own parameters, got {names_of(others)} as well"
        )
    options = _options(source)
    if options:
        raise ValueError(
            f"source: expected a layer without {names_of(options)}, which no Params of rnnlit hold, got "
            f"{kind_of(source)} with {', '.join(f'{name}={value}' for name, value in options.items())}"
        )


def is_layer(module: Any) -> bool:
    """Whether a module is a recurrent layer of torch or of ours, with names such as weight_ih_l0."""
    return bool(ancestors(module) & {*LAYERS}) or (_is_ours(module) and hasattr(module, "weight_ih_l0"))


def is_cell(module: Any) -> bool:
    """Whether a module is a recurrent cell of torch or of ours, or a loop over one (`OneWay`)."""
    return bool(ancestors(module) & {*CELLS}) or (_is_ours(module) and hasattr(module, "weight_ih"))


def ancestors(module: Any) -> set[str]:
    """Names of torch's classes that a module is one of; of a scripted one, that of its class."""
    kinds = {kind.__name__ for kind in type(module).__mro__ if kind.__module__.startswith("torch.nn.")}
    return kinds | {getattr(module, "original_name", "")}


def _is_ours(module: Any) -> bool:
    return type(module).__module__.startswith("rnnlit.") and hasattr(module, "state_dict")


def _options(module: Any) -> dict[str, Any]:
    """The options of a module that change what it computes in evaluation and that Params don't hold."""
    variants = getattr(module, "variants", None)  # of a layer or cell of `rnnlit.nn`
    fields = {} if variants is None else variants._asdict()
    found = {name: value for name, value in fields.items() if value and name not in _HELD}
    zoneout = {name: found.pop(name) for name in ("zoneout_h", "zoneout_c") if name in found}
    if zoneout:
        found["zoneout"] = (fields["zoneout_h"], fields["zoneout_c"])
    if getattr(module, "nonlinearity", "tanh") != "tanh":
        found["nonlinearity"] = module.nonlinearity
    elif getattr(module, "mode", "") == "RNN_RELU":
        found["nonlinearity"] = "relu"
    if getattr(module, "proj_size", 0):
        found["proj_size"] = module.proj_size
    if getattr(module, "kind", None) == "zoneout":  # of `dropout_lstm_torch.LSTM`
        found["kind"] = "zoneout"
    return found


def _check_names(known: set[str], names: list[str], end: str) -> None:
    """ValueError: parameters of this layer that are missing, or that Params have no place for."""
    missing = [name + end for name in FIELDS if name not in names]
    if missing and missing != ["bias_ih" + end, "bias_hh" + end]:
        raise ValueError(f"source: expected {names_of(missing)} as well, got {names_of(known)}")
    if 0 < len({*names} & {*PEEPHOLES}) < 3:
        raise ValueError(f"source: expected {', '.join(n + end for n in PEEPHOLES)}, got {names_of(known)}")
    others = [name for name in known if name.endswith(end) and name.removesuffix(end) not in names]
    others = [name for name in others if end or "." not in name]
    if others:
        words = {"weight_hr": "proj_size", "norm_gain": "layer_norm", "norm_shift": "layer_norm"}
        options = {word for start, word in words.items() for name in others if name.startswith(start)}
        without = names_of(options or others)
        raise ValueError(
            f"source: expected a layer without {without}, which no Params of rnnlit hold, got "
            f"{names_of(others)}"
        )


def _check_form(source: Any, is_gru: bool, reset_after: bool) -> None:
    """ValueError: reset_after is not what the layer says, or is said of no GRU."""
    if not is_gru:
        if not reset_after:
            raise ValueError(f"reset_after: expected a GRU beside reset_after=False, got {kind_of(source)}")
        return
    variants = getattr(source, "variants", None)
    form = reset_after if isinstance(source, Mapping) else not getattr(variants, "reset_before", False)
    if form != reset_after:
        raise ValueError(
            f"reset_after: expected {form}, the form of the layer, here and in gru.forward, got {reset_after}"
        )


def _suffix(layer: int | None, reverse: bool) -> str:
    if layer is None:
        if reverse:
            raise ValueError("reverse: expected False for a cell (layer=None), got True")
        return ""
    if isinstance(layer, bool) or not isinstance(layer, int | np.integer):
        raise TypeError(f"layer: expected an integer from 0, or None for a cell, got {layer!r}")
    if layer < 0:
        raise ValueError(f"layer: expected an integer from 0, or None for a cell, got {layer}")
    return f"_l{layer}" + ("_reverse" if reverse else "")


def as_array(
    argument: str, name: str, value: Any, dtypes: tuple[str, ...] = ("float32", "float64")
) -> np.ndarray:
    """An array of its own from an array, or from a tensor of torch on any device.

    TypeError: neither, or another dtype.
    """
    if not hasattr(value, "detach") and not isinstance(value, np.ndarray):
        raise TypeError(f"{argument}: {name}: expected a tensor or an array, got {kind_of(value)}")
    if str(value.dtype).removeprefix("torch.") not in dtypes:
        raise TypeError(f"{argument}: {name}: expected {' or '.join(dtypes)}, got {value.dtype}")
    return value.detach().cpu().numpy().copy() if hasattr(value, "detach") else value.copy()
