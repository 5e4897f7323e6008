"""How other libraries store a recurrent cell: the order of the gates, the names, the shapes.

I inputs, H hidden, D directions (1 or 2). `interop` converts the weights and reads the order of the gates
here; its docstring names the sources. The gate that Keras and ONNX call c (of an LSTM) or h (of a GRU) is the
candidate: our g or n. A GRU's update gate z keeps the old state in each of these libraries.
"""

from __future__ import annotations

from typing import NamedTuple


class Layout(NamedTuple):
    """How a library stores one cell, in its own words."""

    gates: str  # in the order in which they are stacked or numbered
    input_weights: str
    recurrent_weights: str
    biases: str
    peepholes: str
    state: str  # in the order in which it is passed and returned
    reset: str = "none"  # of a GRU: where the reset gate stands, after the recurrent product or before it


NONE = "none"

GATE_ORDER: dict[str, dict[str, Layout]] = {
    "lstm": {
        "rnnlit": Layout(
            "i f g o",
            "weight_ih (4H, I)",
            "weight_hh (4H, H)",
            "bias_ih (4H,), bias_hh (4H,)",
            "weight_ci, weight_cf, weight_co (H,), in lstm_peephole",
            "h, c",
        ),
        "torch": Layout(
            "i f g o",
            "weight_ih_l0 (4H, I)",
            "weight_hh_l0 (4H, H)",
            "bias_ih_l0 (4H,), bias_hh_l0 (4H,)",
            NONE,
            "h, c",
        ),
        "cuDNN": Layout(
            "i f g o",
            "matrices 0 to 3, each (H, I)",
            "matrices 4 to 7, each (H, H)",
            "one (H,) for each matrix",
            NONE,
            "h, c",
        ),
        "Keras 3": Layout(
            "i f c o", "kernel (I, 4H)", "recurrent_kernel (H, 4H)", "bias (4H,)", NONE, "h, c"
        ),
        "flax linen": Layout(
            "i f g o",
            "ii, if, ig, io: kernel (I, H)",
            "hi, hf, hg, ho: kernel (H, H)",
            "hi, hf, hg, ho: bias (H,)",
            NONE,
            "c, h",
        ),
        "flax nnx": Layout(
            "i f g o",
            "ii, if_, ig, io: kernel (I, H)",
            "hi, hf, hg, ho: kernel (H, H)",
            "hi, hf, hg, ho: bias (H,)",
            NONE,
            "c, h",
        ),
        "flax nnx, OptimizedLSTMCell": Layout(
            "i f g o",
            "dense_i: kernel (I, 4H)",
            "dense_h: kernel (H, 4H)",
            "dense_h: bias (4H,)",
            NONE,
            "c, h",
        ),
        "ONNX": Layout(
            "i o f c", "W (D, 4H, I)", "R (D, 4H, H)", "B (D, 8H), W's before R's", "P (D, 3H): i o f", "h, c"
        ),
    },
    "rnn": {
        "rnnlit": Layout(
            NONE, "weight_ih (H, I)", "weight_hh (H, H)", "bias_ih (H,), bias_hh (H,)", NONE, "h"
        ),
        "torch": Layout(
            NONE, "weight_ih_l0 (H, I)", "weight_hh_l0 (H, H)", "bias_ih_l0 (H,), bias_hh_l0 (H,)", NONE, "h"
        ),
        "cuDNN": Layout(NONE, "matrix 0 (H, I)", "matrix 1 (H, H)", "one (H,) for each matrix", NONE, "h"),
        "Keras 3": Layout(NONE, "kernel (I, H)", "recurrent_kernel (H, H)", "bias (H,)", NONE, "h"),
        "flax linen": Layout(NONE, "i: kernel (I, H)", "h: kernel (H, H)", "i: bias (H,)", NONE, "h"),
        "flax nnx": Layout(
            NONE, "dense_i: kernel (I, H)", "dense_h: kernel (H, H)", "dense_i: bias (H,)", NONE, "h"
        ),
        "ONNX": Layout(NONE, "W (D, H, I)", "R (D, H, H)", "B (D, 2H), W's before R's", NONE, "h"),
    },
    "gru": {
        "rnnlit": Layout(
            "r z n",
            "weight_ih (3H, I)",
            "weight_hh (3H, H)",
            "bias_ih (3H,), bias_hh (3H,)",
            NONE,
            "h",
            "after; before with reset_after=False",
        ),
        "torch": Layout(
            "r z n",
            "weight_ih_l0 (3H, I)",
            "weight_hh_l0 (3H, H)",
            "bias_ih_l0 (3H,), bias_hh_l0 (3H,)",
            NONE,
            "h",
            "after",
        ),
        "Keras 3": Layout(
            "z r h",
            "kernel (I, 3H)",
            "recurrent_kernel (H, 3H)",
            "bias (2, 3H); (3H,) with reset_after=False",
            NONE,
            "h",
            "after; before with reset_after=False",
        ),
        "flax linen": Layout(
            "r z n",
            "ir, iz, in: kernel (I, H)",
            "hr, hz, hn: kernel (H, H)",
            "ir, iz, in, hn: bias (H,)",
            NONE,
            "h",
            "after",
        ),
        "flax nnx": Layout(
            "r z n",
            "dense_i: kernel (I, 3H)",
            "dense_h: kernel (H, 3H)",
            "dense_i: bias (3H,)",
            NONE,
            "h",
            "after",
        ),
        "ONNX": Layout(
            "z r h",
            "W (D, 3H, I)",
            "R (D, 3H, H)",
            "B (D, 6H), W's before R's",
            NONE,
            "h",
            "before; after with linear_before_reset=1",
        ),
    },
}


def table(cell: str = "lstm") -> str:
    """Return one cell's part of `GATE_ORDER` as a table in Markdown.    ValueError: no such cell.

    What no library has of this cell, such as the peepholes of a GRU, gets no column.
    """
    if cell not in GATE_ORDER:
        raise ValueError(f"cell: expected one of {', '.join(GATE_ORDER)}, got {cell!r}")
    layouts = GATE_ORDER[cell].values()
    columns = [name for name in Layout._fields if any(getattr(layout, name) != NONE for layout in layouts)]
    columns.sort(key=lambda name: name not in ("gates", "reset", "state"))  # what goes wrong most
    rows = [("library", *columns), ("---",) * (1 + len(columns))]
    rows += [
        (library, *(getattr(layout, name) for name in columns))
        for library, layout in GATE_ORDER[cell].items()
    ]
    return "\n".join(
        "| " + " | ".join(field.replace("_", " ") if k == 0 else field for field in row) + " |"
        for k, row in enumerate(rows)
    )
