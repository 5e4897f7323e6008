"""Weights to and from Keras, flax and ONNX.   I inputs, H hidden, D directions (1 or 2), T steps, B batch.

The libraries compute one and the same cell and store it differently. They stack the gates in another order,
transpose the matrices, keep one bias or two, and pass the state as (h, c) or (c, h). `GATE_ORDER` says who
does what, `table` prints it, and the converters read the order of the gates from it. The gate that Keras and
ONNX call c is the candidate g of an LSTM, and what they call h is the candidate n of a GRU.

Keras and flax have one bias where there are two here. On export the two are summed. On import the
sum becomes bias_ih and bias_hh is zero: the cell computes the same from other arrays. In a GRU with the reset
gate after the product, the candidate's two biases can't be summed, and both are kept.

A GRU's Params, and its arrays in a library, do not say where the reset gate stands: the caller must, and
whatever else a library's layer says is compared with it. An option of a layer that changes what it computes
is refused by its name.

Nor do they say what the update gate z does. Here and in these libraries z = 1 keeps the old state. Where it
writes the new one, `flip_update_gate` goes there and back:

    ====================================  =============================  ============================
    h' = (1 - z) n + z h                  z keeps                        this package, torch, cuDNN,
                                                                         Keras, flax, ONNX;
                                                                         Cho et al. (2014), eq. 7
    h' = z n + (1 - z) h                  z writes                       Chung et al. (2014), eq. 5;
                                                                         Lasagne's GRULayer, with the
                                                                         reset after the product;
                                                                         Chainer's StatelessGRU and
                                                                         StatefulGRU, before it
    ====================================  =============================  ============================

Sources: documentation and source of torch 2.13, Keras 3.15, flax 0.12 and ONNX 1.23 (operator set 22), and
cuDNN's reference, under cudnnGetRNNWeightParams. The tests run torch, Keras, flax and ONNX Runtime; the
converters need NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnlit.tools.interop_layout import GATE_ORDER, Layout, table
from rnnlit.tools.params import GATES, known_cell, params_of

__all__ = [
    "GATE_ORDER",
    "Layout",
    "flip_update_gate",
    "from_flax",
    "from_keras",
    "from_onnx",
    "table",
    "to_flax",
    "to_keras",
    "to_onnx",
]


_CELLS = tuple(GATE_ORDER)
_FLAX = ("linen", "nnx", "nnx_optimized")
_KERAS = {"LSTM": "lstm", "SimpleRNN": "rnn", "GRU": "gru"}
_KERAS |= {name + "Cell": cell for name, cell in _KERAS.items()}


# ---- Keras 3 -----------------------------------------------------------------------------------------------


def to_keras(params: tuple, *, reset_after: bool = True) -> list[np.ndarray]:
    """Return [kernel (I, GH), recurrent_kernel (H, GH), bias (GH,)] for `set_weights` of a Keras layer.

    params  `lstm.Params` (G = 4) for a layer LSTM, `gru.Params` (G = 3) for GRU or `rnn.Params` (G = 1) for
            SimpleRNN, with their default activations. `unit_forget_bias` is a start value only, which
            `set_weights` replaces.
    reset_after  of a GRU, as in the layer. True keeps both biases, as one array (2, 3H).

    TypeError: another cell.  ValueError: shapes that do not fit each other; reset_after=False for no GRU.

    >>> from rnnlit import lstm
    >>> params = lstm.init(3, 5, rng=np.random.default_rng(0))
    >>> kernel, recurrent_kernel, bias = to_keras(params)
    >>> kernel.shape, recurrent_kernel.shape, bias.shape  # for layer.set_weights
    ((3, 20), (5, 20), (20,))
    """
    weight_ih, weight_hh, bias_ih, bias_hh = _in_order_of("Keras 3", params)
    is_gru = len(weight_hh) == 3 * weight_hh.shape[1]
    if not is_gru and not reset_after:
        raise ValueError("reset_after: expected gru.Params beside reset_after=False, got another cell")
    bias = np.stack([bias_ih, bias_hh]) if is_gru and reset_after else bias_ih + bias_hh
    return [weight_ih.T.copy(), weight_hh.T.copy(), bias]


def from_keras(source: Any, *, reset_after: bool = True) -> Any:
    """Return the Params of a Keras layer LSTM, GRU or SimpleRNN.

    source       the layer, built, or its `get_weights()`: kernel, recurrent_kernel and (with use_bias) bias
    reset_after  of a GRU, which its Params don't hold: that of the layer, and that with which `gru.forward`
                 has to be called

    Of arrays a bias (2, 3H) is that of reset_after=True, (3H,) that of False; without a bias nothing tells.
    What drops numbers in training alone, and unroll, return_sequences and the like, change nothing here.
    ValueError: another layer; go_backwards, stateful, other activations than tanh and sigmoid; the other form
    of a GRU; arrays of other number or shape.  TypeError: neither layer nor list, dtypes but float32 and
    float64.

    >>> from rnnlit import gru
    >>> params = gru.init(3, 5, rng=np.random.default_rng(0))
    >>> back = from_keras(to_keras(params))  # or a layer, or its get_weights()
    >>> bool(np.allclose(back.weight_ih, params.weight_ih))
    True
    """
    if callable(getattr(source, "get_weights", None)):
        _check_keras_layer(source, reset_after)
        source = source.get_weights()
    if not isinstance(source, list | tuple):
        raise TypeError(
            f"source: expected a built Keras layer or a list of its weights, got {type(source).__name__}"
        )
    arrays = [_array("source", f"array {k}", value) for k, value in enumerate(source)]
    dimensions = [array.ndim for array in arrays]
    two = dimensions == [2, 2, 2] and arrays[2].shape == (2, 3 * len(arrays[1]))
    if dimensions not in ([2, 2], [2, 2, 1]) and not two:
        shapes = ", ".join(str(array.shape) for array in arrays) or "none (build the layer first)"
        raise ValueError(
            "source: expected kernel, recurrent_kernel (matrices) and bias (a vector, or (2, 3H) of a GRU), "
            f"got shapes {shapes}"
        )
    kernel, recurrent_kernel, *bias = arrays
    is_gru = recurrent_kernel.shape[1] == 3 * recurrent_kernel.shape[0] > 0
    if bias and is_gru and two != reset_after:
        raise ValueError(
            f"reset_after: expected {two}, which a bias {bias[0].shape} belongs to, here and in gru.forward, "
            f"got {reset_after}"
        )
    if not reset_after and not is_gru:
        raise ValueError("reset_after: expected a GRU beside reset_after=False, got another cell")
    bias = [*bias[0]] if two else bias
    return _from_order_of("Keras 3", "source", kernel.T, recurrent_kernel.T, *bias)


def _check_keras_layer(layer: Any, reset_after: bool) -> None:
    """Refuse a layer that computes something else; its weights would be taken for those of our cell."""
    names = [kind.__name__ for kind in type(layer).__mro__ if kind.__name__ in _KERAS]
    if not names:
        raise ValueError(f"source: expected a Keras layer LSTM, GRU or SimpleRNN, got {type(layer).__name__}")
    expected = {"activation": "tanh"} | (
        {} if _KERAS[names[0]] == "rnn" else {"recurrent_activation": "sigmoid"}
    )
    for attribute, name in expected.items():
        function = getattr(layer, attribute)
        if getattr(function, "__name__", None) != name:
            raise ValueError(
                f"source: expected {attribute} {name}, got {getattr(function, '__name__', function)}"
            )
    for option, instead in (
        ("go_backwards", "turn the sequences round, and give its get_weights()"),
        ("stateful", "pass the state on from call to call, and give its get_weights()"),
    ):
        if getattr(layer, option, False):
            raise ValueError(f"source: expected a layer without {option}, got {option}=True; {instead}")
    form = getattr(layer, "reset_after", True)
    if _KERAS[names[0]] == "gru" and bool(form) != reset_after:
        raise ValueError(
            f"reset_after: expected {bool(form)}, the form of the layer, here and in gru.forward, "
            f"got {reset_after}"
        )


# ---- flax --------------------------------------------------------------------------------------------------


def to_flax(params: tuple, api: str = "linen") -> dict[str, dict[str, np.ndarray]]:
    """Return the parameters of a flax cell: layers by name, each with its kernel and perhaps its bias.

    params  `lstm.Params` for LSTMCell or OptimizedLSTMCell, `gru.Params` for GRUCell, `rnn.Params` for
            SimpleCell
    api     "linen": `cell.apply({"params": to_flax(params)}, (c, h), x)`; one form for both LSTM cells
            "nnx": `nnx.update(cell, to_flax(params, "nnx"))` for LSTMCell, GRUCell or SimpleCell
            "nnx_optimized": likewise for nnx.OptimizedLSTMCell, which joins its gates into two layers

    Mind the carry of both LSTM cells, which is (c, h). GRUCell has the reset gate after the product; flax has
    no cell with it before. That of nnx has no b_hn, the candidate's bias inside the reset: it must be zero.
    TypeError: another cell.  ValueError: another api, shapes that do not fit each other; a b_hn for nnx.

    >>> from rnnlit import lstm
    >>> params = lstm.init(3, 5, rng=np.random.default_rng(0))
    >>> sorted(to_flax(params))
    ['hf', 'hg', 'hi', 'ho', 'if', 'ig', 'ii', 'io']
    """
    if api not in _FLAX:
        raise ValueError(f"api: expected one of {', '.join(_FLAX)}, got {api!r}")
    weight_ih, weight_hh, bias_ih, bias_hh = _in_order_of("flax linen", params)
    bias, H = bias_ih + bias_hh, weight_hh.shape[1]
    if len(weight_hh) == 3 * H:
        return _gru_to_flax(api, weight_ih, weight_hh, bias_ih, bias_hh)
    if len(weight_hh) == H:
        i, h = ("i", "h") if api == "linen" else ("dense_i", "dense_h")
        return {i: {"kernel": weight_ih.T.copy(), "bias": bias}, h: {"kernel": weight_hh.T.copy()}}
    if api == "nnx_optimized":
        return {
            "dense_i": {"kernel": weight_ih.T.copy()},
            "dense_h": {"kernel": weight_hh.T.copy(), "bias": bias},
        }
    names_i, names_h = _flax_names(api)
    layers_i = {
        name: {"kernel": block.T.copy()} for name, block in zip(names_i, np.split(weight_ih, 4), strict=True)
    }
    blocks = zip(names_h, np.split(weight_hh, 4), np.split(bias, 4), strict=True)
    return layers_i | {name: {"kernel": block.T.copy(), "bias": b.copy()} for name, block, b in blocks}


def _gru_to_flax(
    api: str, weight_ih: np.ndarray, weight_hh: np.ndarray, bias_ih: np.ndarray, bias_hh: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """The biases of r and z are summed, b_in and b_hn are not."""
    H = weight_hh.shape[1]
    bias, b_hn = np.concatenate([(bias_ih + bias_hh)[: 2 * H], bias_ih[2 * H :]]), bias_hh[2 * H :]
    if api == "linen":
        blocks = (np.split(array, 3) for array in (weight_ih, weight_hh, bias))
        layers: dict[str, dict[str, np.ndarray]] = {}
        for gate, w, u, b in zip(GATE_ORDER["gru"]["flax linen"].gates.split(), *blocks, strict=True):
            layers["i" + gate] = {"kernel": w.T.copy(), "bias": b.copy()}
            layers["h" + gate] = {"kernel": u.T.copy()}
        layers["hn"]["bias"] = b_hn.copy()
        return layers
    if b_hn.any():
        raise ValueError(
            "params: expected b_hn = 0, the last H numbers of bias_hh, since nnx.GRUCell, unlike that of "
            f"linen, has no bias inside the reset, got {b_hn.tolist()}"
        )
    return {
        "dense_i": {"kernel": weight_ih.T.copy(), "bias": bias},
        "dense_h": {"kernel": weight_hh.T.copy()},
    }


def from_flax(tree: Mapping[str, Any], cell: Any = None) -> Any:
    """Return the Params of a flax cell: (Optimized)LSTMCell, GRUCell or SimpleCell, of linen or of nnx.

    tree  linen: the variables {"params": {...}} of the cell, or what stands under "params"
          nnx: `nnx.to_pure_dict(nnx.state(cell, nnx.Param))`
    cell  the cell itself, whose options are then looked at. A tree does not name them: without the cell, its
          default activations, and no `residual`, are taken for granted.

    ValueError: layers of other names or shapes; another cell, other activations, residual=True.
    TypeError: no mapping, dtypes but float32 and float64.

    >>> from rnnlit import lstm
    >>> params = lstm.init(3, 5, rng=np.random.default_rng(0))
    >>> bool(np.allclose(from_flax(to_flax(params)).weight_hh, params.weight_hh))
    True
    """
    if cell is not None:
        _check_flax_cell(cell)
    if isinstance(tree, Mapping) and set(tree) == {"params"}:
        tree = tree["params"]
    if not isinstance(tree, Mapping) or not all(isinstance(layer, Mapping) for layer in tree.values()):
        raise TypeError(
            f"tree: expected a dict of layers, each a dict with its kernel, got {type(tree).__name__}"
        )
    keys = {f"{name}/{key}" for name, layer in tree.items() for key in layer}
    if {"in/kernel", "hn/kernel"} <= keys:
        return _gru_from_linen(tree, keys)
    for names_i, names_h in (
        (("i",), ("h",)),
        (("dense_i",), ("dense_h",)),
        _flax_names("linen"),
        _flax_names("nnx"),
    ):
        kernels = {f"{name}/kernel" for name in (*names_i, *names_h)}
        for biased in (names_i, names_h):
            if keys == kernels | {f"{name}/bias" for name in biased}:
                weight_ih, weight_hh = (_flax_stack(tree, names, "kernel") for names in (names_i, names_h))
                if len(weight_hh) == 3 * weight_hh.shape[1] and biased is names_h:
                    raise ValueError(
                        "tree: expected the bias of a GRUCell of nnx in dense_i, got it in dense_h"
                    )
                return _from_order_of(
                    "flax linen", "tree", weight_ih, weight_hh, _flax_stack(tree, biased, "bias")
                )
    raise ValueError(
        "tree: expected ii, if (or if_), ig, io with kernels and hi, hf, hg, ho with kernels and biases, "
        "or ir, iz, in, hr, hz, hn with kernels and all but hr and hz with biases, "
        f"or i and h, or dense_i and dense_h, one with a bias, got {', '.join(sorted(keys)) or 'none'}"
    )


def _check_flax_cell(cell: Any) -> None:
    """Refuse a cell that computes something else from the same tree."""
    known = ("LSTMCell", "OptimizedLSTMCell", "GRUCell", "SimpleCell")
    if not any(kind.__name__ in known for kind in type(cell).__mro__):
        raise ValueError(f"cell: expected a flax {', '.join(known)}, got {type(cell).__name__}")
    for attribute, name in (("gate_fn", "sigmoid"), ("activation_fn", "tanh")):
        function = getattr(cell, attribute, None)
        if function is not None and getattr(function, "__name__", None) != name:
            raise ValueError(
                f"cell: expected {attribute} {name}, got {getattr(function, '__name__', function)}"
            )
    if getattr(cell, "residual", False):
        raise ValueError("cell: expected a cell without residual, got residual=True")


def _gru_from_linen(tree: Mapping[str, Any], keys: set[str]) -> Any:
    gates = GATE_ORDER["gru"]["flax linen"].gates.split()
    names_i, names_h = ([side + gate for gate in gates] for side in "ih")
    expected = {f"{name}/kernel" for name in names_i + names_h} | {
        f"{name}/bias" for name in [*names_i, "hn"]
    }
    if keys != expected:
        raise ValueError(f"tree: expected {', '.join(sorted(expected))}, got {', '.join(sorted(keys))}")
    weights = [_flax_stack(tree, names, "kernel") for names in (names_i, names_h)]
    bias_ih, b_hn = _flax_stack(tree, names_i, "bias"), _flax_stack(tree, ["hn"], "bias")
    bias_hh = np.concatenate([np.zeros_like(bias_ih[: -len(b_hn)]), b_hn])
    return _from_order_of("flax linen", "tree", *weights, bias_ih, bias_hh)


def _flax_names(api: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the layers for x and for h; in nnx they are attributes, and `if` is a keyword."""
    gates = GATE_ORDER["lstm"]["flax linen"].gates.split()
    return tuple("if_" if api == "nnx" and g == "f" else "i" + g for g in gates), tuple(
        "h" + g for g in gates
    )


def _flax_stack(tree: Mapping[str, Any], names: Sequence[str], key: str) -> np.ndarray:
    """The kernels, transposed, or the biases of some layers, one under the other."""
    arrays = [_array("tree", f"{name}/{key}", tree[name][key]).T for name in names]
    if len({array.shape for array in arrays}) > 1 or arrays[0].ndim != (2 if key == "kernel" else 1):
        raise ValueError(
            f"tree: expected each {key} of {', '.join(names)} alike, got shapes {[a.T.shape for a in arrays]}"
        )
    return np.concatenate(arrays)


# ---- ONNX --------------------------------------------------------------------------------------------------


def to_onnx(params: tuple, reverse: tuple | None = None) -> dict[str, np.ndarray]:
    """Return the inputs W (D, GH, I), R (D, GH, H) and B (D, 2GH) of the ONNX operators LSTM, GRU and RNN.

    params   `lstm.Params` (G = 4), `gru.Params` (G = 3) or `rnn.Params` (G = 1); `lstm_peephole.Params` give
             P (D, 3H) as well
    reverse  Params of the same kind and sizes for the backward direction of `direction="bidirectional"`

    B holds bias_ih and then bias_hh, so nothing is summed and `from_onnx` gives back the same arrays.
    Both forms of a GRU have the same arrays: the operator's attribute linear_before_reset is 1 for our
    reset_after=True, and its default 0 is our reset_after=False.
    TypeError: another cell, or two cells.  ValueError: shapes that do not fit.

    >>> from rnnlit import lstm
    >>> params = lstm.init(3, 5, rng=np.random.default_rng(0))
    >>> {name: array.shape for name, array in to_onnx(params).items()}
    {'W': (1, 20, 3), 'R': (1, 20, 5), 'B': (1, 40)}
    """
    one = _to_onnx("params", params)
    if reverse is None:
        return {name: array[None] for name, array in one.items()}
    two = _to_onnx("reverse", reverse)
    if type(reverse) is not type(params):
        cells = [type(value).__module__ + ".Params" for value in (params, reverse)]
        raise TypeError(f"reverse: expected {cells[0]} as in params, got {cells[1]}")
    for name in one:
        if two[name].shape != one[name].shape or two[name].dtype != one[name].dtype:
            raise ValueError(
                f"reverse: expected sizes and dtype of params, {name} {one[name].shape} {one[name].dtype}, "
                f"got {two[name].shape} {two[name].dtype}"
            )
    return {name: np.stack([one[name], two[name]]) for name in one}


def _to_onnx(argument: str, params: Any) -> dict[str, np.ndarray]:
    """One direction, without the axis D."""
    weight_ih, weight_hh, bias_ih, bias_hh = _in_order_of(
        "ONNX", params, argument, (*_CELLS, "lstm_peephole")
    )
    arrays = {"W": weight_ih, "R": weight_hh, "B": np.concatenate([bias_ih, bias_hh])}
    if "weight_ci" in params._fields:
        arrays["P"] = np.concatenate([getattr(params, name) for name in _onnx_peepholes()])
    return arrays


def from_onnx(
    tensors: Mapping[str, Any],
    direction: int = 0,
    attributes: Mapping[str, Any] | None = None,
    *,
    reset_after: bool = True,
) -> Any:
    """Return the Params of one direction of the ONNX operator LSTM, GRU or RNN.

    tensors      W, R, perhaps B (else zero), perhaps P (then `lstm_peephole.Params`), by these names, with D
    direction    0 forward (or the only one), 1 backward
    attributes   those of the node, `{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}`,
                 which are then looked at. Tensors do not name them: without attributes the operator's
                 defaults are taken for granted, all but the direction, and for a GRU linear_before_reset.
                 layout only says in which order the axes of x come.
    reset_after  of a GRU, which its Params don't hold: True where linear_before_reset is 1, False where it is
                 0, its default; and that with which `gru.forward` has to be called. It is compared with the
                 attributes.

    ValueError: other names, shapes or direction; an attribute that changes what the operator computes: other
    activations, clip, input_forget, another hidden_size; a direction "reverse" that is taken for forward; the
    other form of a GRU.  TypeError: no mapping, dtypes but float32 and float64.

    >>> from rnnlit import lstm
    >>> params = lstm.init(3, 5, rng=np.random.default_rng(0))
    >>> back = from_onnx(to_onnx(params))  # W, R and B of the model's node
    >>> bool(np.array_equal(back.weight_hh, params.weight_hh))
    True
    """
    if not isinstance(tensors, Mapping):
        raise TypeError(
            f"tensors: expected a dict with W, R and perhaps B and P, got {type(tensors).__name__}"
        )
    if not {"W", "R"} <= set(tensors) <= {"W", "R", "B", "P"}:
        names = ", ".join(sorted(map(str, tensors))) or "none"
        raise ValueError(f"tensors: expected W, R and perhaps B and P, got {names}")
    arrays = {name: _array("tensors", name, value) for name, value in tensors.items()}
    for name, array in arrays.items():
        letters = {"W": "(D, GH, I)", "R": "(D, GH, H)", "B": "(D, 2GH)", "P": "(D, 3H)"}[name]
        if array.ndim != letters.count(",") + 1 or len(array) not in {1, 2} & {len(arrays["W"])}:
            raise ValueError(f"tensors: {name}: expected shape {letters}, D = 1 or 2, got {array.shape}")
    reverse = attributes is not None and direction == 1 and len(arrays["W"]) == 1
    if direction not in range(len(arrays["W"])) and not reverse:
        raise ValueError(f"direction: expected 0 to {len(arrays['W']) - 1}, got {direction!r}")
    if attributes is not None:
        direction = _check_attributes(attributes, arrays, direction, reset_after)
    one = {name: array[direction] for name, array in arrays.items()}
    (rows, H), biases, peepholes = one["R"].shape, [], {}
    if "B" in one:
        if one["B"].size != 2 * rows:
            raise ValueError(
                f"tensors: B: expected {2 * rows} numbers to {rows} rows of R, got {one['B'].size}"
            )
        biases = np.split(one["B"], 2)
    if "P" in one:
        if one["P"].size != 3 * H or rows != 4 * H:
            shapes = f"P {one['P'].shape}, R {one['R'].shape}"
            raise ValueError(f"tensors: expected P (3H,) beside R (4H, H) of an LSTM, got {shapes}")
        by_gate = dict(zip(_onnx_peepholes(), np.split(one["P"], 3), strict=True))
        peepholes = {name: by_gate[name].copy() for name in ("weight_ci", "weight_cf", "weight_co")}
    return _from_order_of("ONNX", "tensors", one["W"], one["R"], *biases, **peepholes)


def _check_attributes(
    attributes: Mapping[str, Any], arrays: Mapping[str, np.ndarray], direction: int, reset_after: bool
) -> int:
    """Refuse what computes something else from the same tensors; return the place of the direction."""
    if not isinstance(attributes, Mapping):
        raise TypeError(f"attributes: expected a dict, got {type(attributes).__name__}")
    rest = {name: _text(value) for name, value in attributes.items()}
    D, rows, H = arrays["R"].shape
    name = rest.pop("direction", "forward")
    names = {"forward": 1, "reverse": 1, "bidirectional": 2}
    if names.get(name) != D:
        raise ValueError(f"attributes: expected a direction with D = {D} rows of weights, got {name!r}")
    if D == 1 and direction != (name == "reverse"):
        meant = "1, since it runs backwards" if name == "reverse" else "0"
        raise ValueError(
            f"direction: expected {meant}, for the operator's direction {name!r}, got {direction}"
        )
    hidden = rest.pop("hidden_size", H)
    if hidden != H:
        raise ValueError(f"attributes: expected hidden_size {H}, as in R, got {hidden}")
    rest.pop("layout", None)
    default = {1: ["tanh"], 3: ["sigmoid", "tanh"], 4: ["sigmoid", "tanh", "tanh"]}.get(rows // H, [])
    functions = [_text(f).lower() for f in rest.pop("activations", [])] or default * D
    if functions != default * D:
        raise ValueError(f"attributes: expected activations {default * D}, got {functions}")
    form = bool(rest.pop("linear_before_reset", 0))
    if rows == 3 * H and form != reset_after:
        raise ValueError(
            f"reset_after: expected {form}, since linear_before_reset is {int(form)}, here and in "
            f"gru.forward, got {reset_after}"
        )
    # What is left is 0 by default, or absent: clip, input_forget, activation_alpha, activation_beta.
    others = {name: value for name, value in rest.items() if value not in (0, [], None)}
    if others:
        got = ", ".join(f"{name}={value}" for name, value in others.items())
        raise ValueError(f"attributes: expected none that changes the cell, got {got}")
    return 0 if D == 1 else direction


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _onnx_peepholes() -> list[str]:
    """Our names of the peepholes in ONNX's order, i o f; the candidate has none."""
    return ["weight_c" + gate for gate in GATE_ORDER["lstm"]["ONNX"].gates.split() if gate != "c"]


# ---- the update gate that writes ---------------------------------------------------------------------------


def flip_update_gate(params: Any) -> Any:
    """Return a GRU's Params for the other meaning of its update gate; twice gives the first ones back.

        sigma(-a) = 1 - sigma(a),    so    z n + (1 - z) h    becomes    (1 - z) n + z h

    when the weights and biases of z change their sign. The first is what Chung et al. (2014) have, with z = 1
    for writing, the second what this package has.

    params  `gru.Params`. Those of a library are first turned into ours, and flipped then.

    TypeError: another cell.  ValueError: shapes that do not fit each other.

    >>> from rnnlit import gru
    >>> params = gru.init(3, 5, rng=np.random.default_rng(0))  # z is the share that stays
    >>> other = flip_update_gate(params)  # z is the share that is new
    >>> bool(np.array_equal(flip_update_gate(other).weight_ih, params.weight_ih))
    True
    """
    known_cell("params", params, ("gru",))
    sign = np.repeat([1, -1, 1], params.weight_hh.shape[1])  # of the rows of r, z, n
    return type(params)(*((array.T * sign.astype(array.dtype)).T.copy() for array in params))


# ---- what they share ---------------------------------------------------------------------------------------


def _in_order_of(
    library: str, params: Any, argument: str = "params", cells: tuple[str, ...] = _CELLS
) -> list[np.ndarray]:
    """Weights and biases, copied, with their rows in the order of the library."""
    cell, H = known_cell(argument, params, cells).removesuffix("_peephole"), params.weight_hh.shape[1]
    rows = np.arange(H) if cell == "rnn" else _rows(GATES[cell], _gates(library, cell), H)
    return [array[rows].copy() for array in params[:4]]


def _from_order_of(library: str, argument: str, *arrays: np.ndarray, **peepholes: np.ndarray) -> Any:
    """Params, copied, from weight_ih, weight_hh and perhaps biases whose rows have the library's order."""
    weight_hh, rows = arrays[1], np.arange(len(arrays[1]))
    cell = {3: "gru", 4: "lstm"}.get(len(weight_hh) / max(1, weight_hh.shape[1]))
    if cell:
        rows = _rows(_gates(library, cell), GATES[cell], weight_hh.shape[1])
    # An array with another number of rows is left as it is: params_of refuses it and says why.
    ordered = [np.array(a[rows] if len(a) == len(rows) else a, order="C") for a in arrays]
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return params_of(argument, **dict(zip(names, ordered, strict=False)), **peepholes)


def _gates(library: str, cell: str) -> list[str]:
    """Order of the gates in a library, in our letters."""
    ours = {"lstm": {"c": "g"}, "gru": {"h": "n"}}[cell]
    return [ours.get(gate, gate) for gate in GATE_ORDER[cell][library].gates.split()]


def _rows(source: Any, target: Any, H: int) -> np.ndarray:
    """Which row of a matrix stacked as `source` goes where in one stacked as `target`."""
    return np.concatenate([np.arange(H) + H * list(source).index(gate) for gate in target])


def _array(argument: str, name: str, value: Any) -> np.ndarray:
    """An array of a library as one of NumPy."""
    array = np.asarray(value)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"{argument}: {name}: expected an array of float32 or float64, got {array.dtype}")
    return array
