"""Oracles: Keras, flax and ONNX Runtime themselves, and small arrays written by hand.

The tests with a library skip where it is absent; the others need NumPy alone.
"""

import importlib
import inspect
import os
from contextlib import nullcontext

import numpy as np
import pytest

from rnnlit import gru, lstm, lstm_1997, lstm_peephole, rnn
from rnnlit.tools import interop, interop_layout
from rnnlit.tools.params import GATES
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
# gru has the reset gate after the product, gru_before before it.
CELLS = {"rnn": rnn, "lstm": lstm, "lstm_peephole": lstm_peephole, "gru": gru, "gru_before": gru}
ONE_STATE = ("rnn", "gru", "gru_before")
DTYPES = [np.float32, np.float64]


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def draw(cell, rng, dtype=np.float32):
    """Params with every array random, the biases too, which `init` leaves at zero."""
    params = CELLS[cell].init(I, H, rng=rng, dtype=dtype)
    return type(params)(*(rng.uniform(-1, 1, array.shape).astype(dtype) for array in params))


def draw_input(cell, rng, dtype):
    """An input (T, B, I) and the initial state: h, or h and c, each (B, H)."""
    x = rng.normal(size=(T, B, I)).astype(dtype)
    return x, [rng.uniform(-1, 1, (B, H)).astype(dtype) for _ in range(1 if cell in ONE_STATE else 2)]


def run(cell, params, x, state, lengths=None):
    """All h (T, B, H) and the last state of our own cell."""
    options = {"reset_after": cell == "gru"} if cell.startswith("gru") else {}
    out = CELLS[cell].forward(params, x, *state, lengths=lengths, **options)
    return [out.h, out.h_n] if cell in ONE_STATE else [out.h, out.h_n, out.c_n]


def assert_close(got, expected, dtype):
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, **TOLERANCE[dtype])


def assert_same(got, expected):
    assert type(got) is type(expected)
    for name, a, b in zip(expected._fields, got, expected, strict=True):
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)


def assert_same_up_to_biases(got, expected):
    """The two biases have become one: their sum is the same and bias_hh is zero."""
    both = expected.bias_ih + expected.bias_hh
    assert_same(got, expected._replace(bias_ih=both, bias_hh=np.zeros_like(both)))


def library(name):
    """Import a library, or skip where it is absent. With RNNLIT_INTEROP set it must be there."""
    if os.environ.get("RNNLIT_INTEROP"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"needs {name}: pip install -r requirements-interop.txt")


# ---- small arrays written by hand --------------------------------------------------------------------------

# The digits of a weight: gate (i 1, f 2, g 3, o 4), unit, input. H = 2, I = 3.
HAND = lstm_peephole.Params(
    weight_ih=np.array(
        [
            [111, 112, 113],
            [121, 122, 123],
            [211, 212, 213],
            [221, 222, 223],
            [311, 312, 313],
            [321, 322, 323],
            [411, 412, 413],
            [421, 422, 423],
        ],
        np.float32,
    ),
    weight_hh=np.array(
        [[-11, -12], [-13, -14], [-21, -22], [-23, -24], [-31, -32], [-33, -34], [-41, -42], [-43, -44]],
        np.float32,
    ),
    bias_ih=np.array([11, 12, 21, 22, 31, 32, 41, 42], np.float32),
    bias_hh=np.array([100, 100, 200, 200, 300, 300, 400, 400], np.float32),
    weight_ci=np.array([1, 2], np.float32),
    weight_cf=np.array([3, 4], np.float32),
    weight_co=np.array([5, 6], np.float32),
)
HAND_LSTM = lstm.Params(*HAND[:4])
# A GRU's gates r z n are the first three blocks, so their digits are 1, 2 and 3.
HAND_GRU = gru.Params(HAND.weight_ih[:6], HAND.weight_hh[:6], HAND.bias_ih[:6], HAND.bias_hh[:6])
HAND_RNN = rnn.Params(HAND.weight_ih[:2], HAND.weight_hh[:2], HAND.bias_ih[:2], HAND.bias_hh[:2])


def assert_tree(got, expected):
    assert list(got) == list(expected)
    for name, layer in expected.items():
        assert got[name].keys() == layer.keys(), name
        for key, array in layer.items():
            np.testing.assert_array_equal(got[name][key], array, err_msg=f"{name}/{key}")


def test_keras_by_hand():
    kernel, recurrent_kernel, bias = interop.to_keras(HAND_LSTM)
    np.testing.assert_array_equal(
        kernel,
        [
            [111, 121, 211, 221, 311, 321, 411, 421],
            [112, 122, 212, 222, 312, 322, 412, 422],
            [113, 123, 213, 223, 313, 323, 413, 423],
        ],
    )
    np.testing.assert_array_equal(
        recurrent_kernel, [[-11, -13, -21, -23, -31, -33, -41, -43], [-12, -14, -22, -24, -32, -34, -42, -44]]
    )
    np.testing.assert_array_equal(bias, [111, 112, 221, 222, 331, 332, 441, 442])
    kernel, recurrent_kernel, bias = interop.to_keras(HAND_RNN)
    np.testing.assert_array_equal(kernel, [[111, 121], [112, 122], [113, 123]])
    np.testing.assert_array_equal(recurrent_kernel, [[-11, -13], [-12, -14]])
    np.testing.assert_array_equal(bias, [111, 112])


LINEN = {
    "ii": {"kernel": [[111, 121], [112, 122], [113, 123]]},
    "if": {"kernel": [[211, 221], [212, 222], [213, 223]]},
    "ig": {"kernel": [[311, 321], [312, 322], [313, 323]]},
    "io": {"kernel": [[411, 421], [412, 422], [413, 423]]},
    "hi": {"kernel": [[-11, -13], [-12, -14]], "bias": [111, 112]},
    "hf": {"kernel": [[-21, -23], [-22, -24]], "bias": [221, 222]},
    "hg": {"kernel": [[-31, -33], [-32, -34]], "bias": [331, 332]},
    "ho": {"kernel": [[-41, -43], [-42, -44]], "bias": [441, 442]},
}


def test_flax_by_hand():
    assert_tree(interop.to_flax(HAND_LSTM), LINEN)
    assert_tree(
        interop.to_flax(HAND_LSTM, "nnx"), {"if_" if name == "if" else name: LINEN[name] for name in LINEN}
    )
    kernel, recurrent_kernel, bias = interop.to_keras(HAND_LSTM)  # both join i f g o side by side
    assert_tree(
        interop.to_flax(HAND_LSTM, "nnx_optimized"),
        {"dense_i": {"kernel": kernel}, "dense_h": {"kernel": recurrent_kernel, "bias": bias}},
    )
    i, h = {"kernel": LINEN["ii"]["kernel"], "bias": [111, 112]}, {"kernel": LINEN["hi"]["kernel"]}
    assert_tree(interop.to_flax(HAND_RNN), {"i": i, "h": h})
    assert_tree(interop.to_flax(HAND_RNN, "nnx"), {"dense_i": i, "dense_h": h})


def test_onnx_by_hand():
    tensors = interop.to_onnx(HAND)
    assert list(tensors) == ["W", "R", "B", "P"]
    np.testing.assert_array_equal(
        tensors["W"],
        [
            [
                [111, 112, 113],
                [121, 122, 123],
                [411, 412, 413],
                [421, 422, 423],
                [211, 212, 213],
                [221, 222, 223],
                [311, 312, 313],
                [321, 322, 323],
            ]
        ],
    )
    np.testing.assert_array_equal(
        tensors["R"],
        [[[-11, -12], [-13, -14], [-41, -42], [-43, -44], [-21, -22], [-23, -24], [-31, -32], [-33, -34]]],
    )
    np.testing.assert_array_equal(
        tensors["B"], [[11, 12, 41, 42, 21, 22, 31, 32, 100, 100, 400, 400, 200, 200, 300, 300]]
    )
    np.testing.assert_array_equal(tensors["P"], [[1, 2, 5, 6, 3, 4]])
    tensors = interop.to_onnx(HAND_RNN)
    assert list(tensors) == ["W", "R", "B"]
    np.testing.assert_array_equal(tensors["W"], [[[111, 112, 113], [121, 122, 123]]])
    np.testing.assert_array_equal(tensors["R"], [[[-11, -12], [-13, -14]]])
    np.testing.assert_array_equal(tensors["B"], [[11, 12, 100, 100]])


def test_gru_by_hand():
    kernel, recurrent_kernel, bias = interop.to_keras(HAND_GRU)
    np.testing.assert_array_equal(
        kernel,
        [[211, 221, 111, 121, 311, 321], [212, 222, 112, 122, 312, 322], [213, 223, 113, 123, 313, 323]],
    )
    np.testing.assert_array_equal(
        recurrent_kernel, [[-21, -23, -11, -13, -31, -33], [-22, -24, -12, -14, -32, -34]]
    )
    np.testing.assert_array_equal(bias, [[21, 22, 11, 12, 31, 32], [200, 200, 100, 100, 300, 300]])
    np.testing.assert_array_equal(
        interop.to_keras(HAND_GRU, reset_after=False)[2], [221, 222, 111, 112, 331, 332]
    )
    linen = {
        "ir": {"kernel": [[111, 121], [112, 122], [113, 123]], "bias": [111, 112]},
        "hr": {"kernel": [[-11, -13], [-12, -14]]},
        "iz": {"kernel": [[211, 221], [212, 222], [213, 223]], "bias": [221, 222]},
        "hz": {"kernel": [[-21, -23], [-22, -24]]},
        "in": {"kernel": [[311, 321], [312, 322], [313, 323]], "bias": [31, 32]},
        "hn": {"kernel": [[-31, -33], [-32, -34]], "bias": [300, 300]},
    }
    assert_tree(interop.to_flax(HAND_GRU), linen)
    no_b_hn = HAND_GRU._replace(bias_hh=np.array([100, 100, 200, 200, 0, 0], np.float32))
    joined = {
        "dense_i": {
            "kernel": np.hstack([linen[name]["kernel"] for name in ("ir", "iz", "in")]),
            "bias": [111, 112, 221, 222, 31, 32],
        },
        "dense_h": {"kernel": np.hstack([linen[name]["kernel"] for name in ("hr", "hz", "hn")])},
    }
    assert_tree(interop.to_flax(no_b_hn, "nnx"), joined)
    tensors = interop.to_onnx(HAND_GRU)
    rows = [2, 3, 0, 1, 4, 5]
    assert list(tensors) == ["W", "R", "B"]
    np.testing.assert_array_equal(tensors["W"], HAND.weight_ih[rows][None])
    np.testing.assert_array_equal(tensors["R"], HAND.weight_hh[rows][None])
    np.testing.assert_array_equal(tensors["B"], [[21, 22, 11, 12, 31, 32, 200, 200, 100, 100, 300, 300]])


# ---- there and back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("api", ["keras", "linen", "nnx", "nnx_optimized"])
def test_one_bias_there_and_back(rng, cell, api, dtype):
    params = draw(cell, rng, dtype)
    if api == "keras":
        back = interop.from_keras(interop.to_keras(params))
    else:
        back = interop.from_flax(interop.to_flax(params, api))
    assert_same_up_to_biases(back, params)
    assert all(array.flags.c_contiguous for array in back)
    x, state = draw_input(cell, rng, dtype)
    assert_close(run(cell, back, x, state), run(cell, params, x, state), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gru_there_and_back(rng, dtype):
    """Keras keeps both biases with reset_after; flax sums those of r and z; without, all are summed."""
    params, (x, state) = draw("gru", rng, dtype), draw_input("gru", rng, dtype)
    assert_same(interop.from_keras(interop.to_keras(params)), params)
    before = interop.from_keras(interop.to_keras(params, reset_after=False), reset_after=False)
    assert_same_up_to_biases(before, params)
    assert_close(run("gru_before", before, x, state), run("gru_before", params, x, state), dtype)
    linen = interop.from_flax(interop.to_flax(params))
    assert_close(run("gru", linen, x, state), run("gru", params, x, state), dtype)
    np.testing.assert_array_equal(linen.bias_hh, [*[0] * (2 * H), *params.bias_hh[2 * H :]])
    no_b_hn = params._replace(bias_hh=params.bias_hh * np.repeat([1, 1, 0], H).astype(dtype))
    nnx = interop.from_flax(interop.to_flax(no_b_hn, "nnx"))
    assert_close(run("gru", nnx, x, state), run("gru", no_b_hn, x, state), dtype)
    assert all(array.flags.c_contiguous for array in (*before, *linen, *nnx))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_onnx_there_and_back(rng, cell, dtype):
    params, reverse = draw(cell, rng, dtype), draw(cell, rng, dtype)
    assert_same(interop.from_onnx(interop.to_onnx(params)), params)
    both = interop.to_onnx(params, reverse)
    assert_same(interop.from_onnx(both), params)
    assert_same(interop.from_onnx(both, direction=1), reverse)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_absent_biases_are_zero(rng, cell):
    params = draw(cell, rng)
    zeros = np.zeros_like(params.bias_ih)
    expected = params._replace(bias_ih=zeros, bias_hh=zeros)
    assert_same(interop.from_keras(interop.to_keras(params)[:2]), expected)
    tensors = interop.to_onnx(params)
    del tensors["B"]
    assert_same(interop.from_onnx(tensors), expected)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("convert", [interop.to_keras, interop.to_flax, interop.to_onnx])
def test_nothing_is_shared(rng, cell, convert):
    """Overwriting what came out leaves what went in, and the other way round."""
    back = {
        interop.to_keras: interop.from_keras,
        interop.to_flax: interop.from_flax,
        interop.to_onnx: interop.from_onnx,
    }
    params = draw(cell, rng)
    before = [array.copy() for array in params]
    there = convert(params)
    again = back[convert](there)
    leaves = (
        there
        if isinstance(there, list)
        else [a for v in there.values() for a in (v.values() if isinstance(v, dict) else [v])]
    )
    for array in leaves:
        array[...] = 7
    assert not any((array == 7).any() for array in (*params, *again))
    for array, old in zip(params, before, strict=True):
        np.testing.assert_array_equal(array, old)


# ---- the table ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", interop.GATE_ORDER)
def test_table_is_markdown_with_a_row_for_each_library(cell):
    head, rule, *rows = interop.table(cell).splitlines()
    cells = [[entry.strip() for entry in line.strip("|").split("|")] for line in (head, rule, *rows)]
    weights_columns = ["input weights", "recurrent weights", "biases"]
    assert (
        cells[0]
        == {
            "lstm": ["library", "gates", "state", *weights_columns, "peepholes"],
            "gru": ["library", "gates", "state", "reset", *weights_columns],
            "rnn": ["library", "state", *weights_columns],
        }[cell]
    )
    assert set(cells[1]) == {"---"}
    for row, (library_name, layout) in zip(cells[2:], interop_layout.GATE_ORDER[cell].items(), strict=True):
        fields = [name.replace(" ", "_") for name in cells[0][1:]]
        assert row == [library_name, *(getattr(layout, name) for name in fields)]


def test_table_of_an_unknown_cell():
    with pytest.raises(ValueError, match="cell: expected one of lstm, rnn, gru, got 'lstm_2000'"):
        interop.table("lstm_2000")


def test_each_order_has_the_same_four_gates():
    for name, layout in interop.GATE_ORDER["lstm"].items():
        assert sorted(layout.gates.replace("c", "g").split()) == ["f", "g", "i", "o"], name
    for name, layout in interop.GATE_ORDER["gru"].items():
        assert sorted(layout.gates.replace("h", "n").split()) == ["n", "r", "z"], name
    for name in ("rnnlit", "torch"):
        assert tuple(interop.GATE_ORDER["gru"][name].gates.split()) == GATES["gru"]
        assert tuple(interop.GATE_ORDER["lstm"][name].gates.split()) == GATES["lstm"]


# ---- the update gate that writes ---------------------------------------------------------------------------


def written(params, x, h, reset_after):
    """The cell of Chung et al. (2014), equations 5 to 8, step by step, with the reset in both places."""
    H = h.shape[1]
    (W_r, W_z, W_n), (U_r, U_z, U_n) = (np.split(w, 3) for w in (params.weight_ih, params.weight_hh))
    (b_r, b_z, b_n), (c_r, c_z, c_n) = (b.reshape(3, H) for b in (params.bias_ih, params.bias_hh))
    states = []
    for x_t in x:
        r, z = (
            1 / (1 + np.exp(-a))
            for a in (
                x_t @ W_r.T + b_r + h @ U_r.T + c_r,
                x_t @ W_z.T + b_z + h @ U_z.T + c_z,
            )
        )
        product = r * (h @ U_n.T + c_n) if reset_after else (r * h) @ U_n.T + c_n
        n = np.tanh(x_t @ W_n.T + b_n + product)
        h = z * n + (1 - z) * h
        states.append(h)
    return np.stack(states)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", ["gru", "gru_before"])
def test_an_update_gate_that_writes(rng, cell, dtype):
    theirs, (x, [h0]) = draw(cell, rng, dtype), draw_input(cell, rng, dtype)
    ours = interop.flip_update_gate(theirs)
    expected = written(theirs, x, h0, cell == "gru")
    assert_close([run(cell, ours, x, [h0])[0]], [expected], dtype)
    assert np.abs(run(cell, theirs, x, [h0])[0] - expected).max() > 0.1  # taken over unchanged
    # and the other way round: ours as weights for a cell that writes
    back = written(interop.flip_update_gate(theirs), x, h0, cell == "gru")
    assert_close([back], [run(cell, theirs, x, [h0])[0]], dtype)
    assert_same(interop.flip_update_gate(ours), theirs)
    assert all(a.flags.c_contiguous and not np.shares_memory(a, b) for a, b in zip(ours, theirs, strict=True))


def test_only_a_gru_has_an_update_gate(rng):
    with pytest.raises(TypeError, match=r"params: expected rnnlit\.gru\.Params, got rnnlit\.lstm\.Params"):
        interop.flip_update_gate(draw("lstm", rng))


# ---- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [interop.to_keras, interop.to_flax, interop.to_onnx])
def test_cells_that_the_libraries_lack(rng, convert):
    params = lstm_1997.init(I, H, rng=rng)
    with pytest.raises(
        TypeError, match=r"params: expected rnnlit\.lstm\.Params .* got rnnlit\.lstm_1997\.Params"
    ):
        convert(params)
    with pytest.raises(TypeError, match=r"params: expected rnnlit\.lstm\.Params .* got tuple"):
        convert(tuple(draw("lstm", rng)))
    with pytest.raises(ValueError, match=r"params: bias_hh: expected shape \(16,\), got \(15,\)"):
        convert(draw("lstm", rng)._replace(bias_hh=np.zeros(15, np.float32)))


@pytest.mark.parametrize("convert", [interop.to_keras, interop.to_flax])
def test_keras_and_flax_have_no_peepholes(rng, convert):
    with pytest.raises(TypeError, match=r"params: expected .* got rnnlit\.lstm_peephole\.Params"):
        convert(draw("lstm_peephole", rng))


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([], ValueError, "got shapes none"),
        ([zeros(3, 16)], ValueError, r"got shapes \(3, 16\)"),
        (
            [zeros(3, 12), zeros(4, 12), zeros(2, 16)],
            ValueError,
            r"got shapes \(3, 12\), \(4, 12\), \(2, 16\)",
        ),
        ([zeros(3, 20), zeros(4, 20), zeros(20)], ValueError, r"expected weight_hh .* got \(20, 4\)"),
        (
            [zeros(3, 16), zeros(4, 16), zeros(2, 12)],
            ValueError,
            r"bias_ih: expected shape \(16,\), got \(12,\)",
        ),
        (
            [zeros(3, 12), zeros(4, 16), zeros(16)],
            ValueError,
            r"weight_ih: expected shape \(16, I\), got \(12, 3\)",
        ),
        (
            [zeros(3, 16), zeros(4, 16), zeros(12)],
            ValueError,
            r"bias_ih: expected shape \(16,\), got \(12,\)",
        ),
        ([zeros(3, 0), zeros(0, 0), zeros(0)], ValueError, r"expected weight_hh .* got \(0, 0\)"),
        (
            [zeros(3, 16), zeros(4, 16, dtype=np.float64), zeros(16)],
            TypeError,
            "expected float64 .* got float32",
        ),
        ([zeros(3, 16, dtype=np.float16), zeros(4, 16)], TypeError, "array 0: expected .* got float16"),
        ([zeros(3, 16), "kernel"], TypeError, "array 1: expected an array of float32 or float64, got <U6"),
        (None, TypeError, "expected a built Keras layer or a list of its weights, got NoneType"),
    ],
)
def test_from_keras_refuses(source, error, message):
    with pytest.raises(error, match="source: .*" + message):
        interop.from_keras(source)


def tree(**layers):
    return {name: {key: zeros(*shape) for key, shape in layer.items()} for name, layer in layers.items()}


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (None, TypeError, "expected a dict of layers, .* got NoneType"),
        ({"i": zeros(3, 4)}, TypeError, "expected a dict of layers"),
        ({}, ValueError, "got none"),
        ({"params": {"cell": {}}}, ValueError, "got none"),
        (tree(i={"kernel": (3, 4)}, h={"kernel": (4, 4)}), ValueError, "got h/kernel, i/kernel"),
        (tree(hn={"kernel": (3, 4)}), ValueError, "got hn/kernel"),
        (
            {name: interop.to_flax(HAND_GRU)[name] for name in ("in", "hn", "ir", "iz", "hr")},
            ValueError,
            "expected hn/bias, hn/kernel, hr/kernel, hz/kernel, .*, got hn/bias, hn/kernel, hr/kernel, in",
        ),
        (
            tree(dense_i={"kernel": (3, 12)}, dense_h={"kernel": (4, 12), "bias": (12,)}),
            ValueError,
            "expected the bias of a GRUCell of nnx in dense_i",
        ),
        (tree(i={"kernel": (3, 4), "bias": (4,)}, h={"kernel": (4, 5)}), ValueError, "expected weight_hh"),
        (
            tree(i={"kernel": (3, 4), "bias": (4, 1)}, h={"kernel": (4, 4)}),
            ValueError,
            "each bias of i alike",
        ),
        (
            tree(i={"kernel": (3, 5), "bias": (4,)}, h={"kernel": (4, 4)}),
            ValueError,
            "weight_ih: expected shape",
        ),
        (
            {"i": {"kernel": zeros(3, 4), "bias": zeros(4)}, "h": {"kernel": np.zeros((4, 4), int)}},
            TypeError,
            "h/kernel: expected an array of float32 or float64, got int64",
        ),
        (
            interop.to_flax(HAND_LSTM) | tree(ig={"kernel": (3, 4)}),
            ValueError,
            r"each kernel of ii, if, ig, io alike, got shapes .*\(3, 4\)",
        ),
    ],
)
def test_from_flax_refuses(source, error, message):
    with pytest.raises(error, match="tree: .*" + message):
        interop.from_flax(source)


def test_what_a_librarys_gru_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=r"params: expected b_hn = 0, .* got \[300.0, 300.0\]"):
        interop.to_flax(HAND_GRU, "nnx")
    with pytest.raises(ValueError, match=r"reset_after: expected gru\.Params beside reset_after=False"):
        interop.to_keras(HAND_LSTM, reset_after=False)


def test_to_flax_refuses_another_api():
    with pytest.raises(ValueError, match="api: expected one of linen, nnx, nnx_optimized, got 'haiku'"):
        interop.to_flax(HAND_LSTM, "haiku")


def tensors(**changes):
    shapes = {"W": (1, 16, 3), "R": (1, 16, 4), "B": (1, 32), "P": (1, 12)} | changes
    return {name: zeros(*shape) for name, shape in shapes.items() if shape}


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([zeros(1, 16, 3)], TypeError, "expected a dict with W, R and perhaps B and P, got list"),
        ({}, ValueError, "expected W, R and perhaps B and P, got none"),
        (tensors(R=None), ValueError, "got B, P, W"),
        (tensors(X=(5, 2, 3)), ValueError, "got B, P, R, W, X"),
        (tensors(W=(16, 3)), ValueError, r"W: expected shape \(D, GH, I\), D = 1 or 2, got \(16, 3\)"),
        (tensors(B=(32,)), ValueError, r"B: expected shape \(D, 2GH\), D = 1 or 2, got \(32,\)"),
        (tensors(P=(2, 12)), ValueError, r"P: expected shape \(D, 3H\), D = 1 or 2, got \(2, 12\)"),
        (tensors(W=(3, 16, 3)), ValueError, r"W: expected shape \(D, GH, I\), D = 1 or 2, got \(3, 16, 3\)"),
        (
            tensors(W=(1, 20, 3), R=(1, 20, 4), B=(1, 40), P=None),
            ValueError,
            r"expected weight_hh .* got \(20, 4\)",
        ),
        (tensors(B=(1, 16)), ValueError, "B: expected 32 numbers to 16 rows of R, got 16"),
        (
            tensors(P=(1, 16)),
            ValueError,
            r"expected P \(3H,\) beside R \(4H, H\) of an LSTM, got P \(16,\), R \(16, 4\)",
        ),
        (tensors(W=(1, 4, 3), R=(1, 4, 4), B=(1, 8)), ValueError, r"expected P \(3H,\) beside R"),
        (tensors(W=(1, 12, 3)), ValueError, r"weight_ih: expected shape \(16, I\), got \(12, 3\)"),
        (tensors() | {"W": zeros(1, 16, 3, dtype=np.float16)}, TypeError, "W: expected .* got float16"),
    ],
)
def test_from_onnx_refuses(source, error, message):
    with pytest.raises(error, match="tensors: .*" + message):
        interop.from_onnx(source)


ATTRIBUTES = [
    ("lstm", {}, None),
    ("lstm", {"hidden_size": H, "layout": 1, "direction": b"forward", "clip": 0.0, "input_forget": 0}, None),
    ("lstm", {"activations": [b"Sigmoid", b"Tanh", b"Tanh"]}, None),
    ("rnn", {"activations": ["Tanh"]}, None),
    ("gru", {"activations": ["sigmoid", "TANH"], "linear_before_reset": 1}, None),
    ("lstm", {"activations": [b"Relu", b"Tanh", b"Tanh"]}, "expected activations .* got .*relu"),
    ("rnn", {"activations": ["Affine"], "activation_alpha": [0.5]}, "expected activations .* got .*affine"),
    ("rnn", {"activation_alpha": [0.5]}, r"none that changes the cell, got activation_alpha=\[0.5\]"),
    ("lstm", {"clip": 3.0}, "none that changes the cell, got clip=3.0"),
    ("lstm", {"input_forget": 1}, "none that changes the cell, got input_forget=1"),
    ("lstm", {"hidden_size": 7}, "expected hidden_size 4, as in R, got 7"),
    ("lstm", {"direction": "bidirectional"}, "expected a direction with D = 1 rows of weights, got 'bid"),
    ("lstm", {"direction": "sideways"}, "expected a direction with D = 1 rows of weights, got 'side"),
    ("lstm", {"novelty": 1}, "none that changes the cell, got novelty=1"),
]


@pytest.mark.parametrize("cell, attributes, message", ATTRIBUTES)
def test_attributes_of_onnx_are_looked_at(rng, cell, attributes, message):
    params = draw(cell, rng)
    if message is None:
        assert_same(interop.from_onnx(interop.to_onnx(params), attributes=attributes), params)
    else:
        with pytest.raises(ValueError, match="attributes: .*" + message):
            interop.from_onnx(interop.to_onnx(params), attributes=attributes)


def test_direction_and_form_of_onnx_have_to_be_named(rng):
    params, other = draw("gru", rng), draw("gru", rng)
    one, both = interop.to_onnx(params), interop.to_onnx(params, other)
    reverse = {"direction": "reverse", "linear_before_reset": 1}
    assert_same(interop.from_onnx(one, 1, reverse), params)
    assert_same(interop.from_onnx(both, 1, reverse | {"direction": "bidirectional"}), other)
    with pytest.raises(ValueError, match=r"direction: expected 1, since it runs backwards, .* got 0"):
        interop.from_onnx(one, attributes=reverse)
    with pytest.raises(
        ValueError, match="direction: expected 0, for the operator's direction 'forward', got 1"
    ):
        interop.from_onnx(one, 1, {"linear_before_reset": 1})
    assert_same(interop.from_onnx(one, attributes={}, reset_after=False), params)
    for attributes, form in (({}, False), ({"linear_before_reset": 1}, True)):
        with pytest.raises(ValueError, match=f"reset_after: expected {form}, since linear_.* got {not form}"):
            interop.from_onnx(one, attributes=attributes, reset_after=not form)
    with pytest.raises(TypeError, match="attributes: expected a dict, got list"):
        interop.from_onnx(one, attributes=[])


@pytest.mark.parametrize("direction", [1, -1, None])
def test_from_onnx_refuses_another_direction(direction):
    with pytest.raises(ValueError, match=f"direction: expected 0 to 0, got {direction}"):
        interop.from_onnx(tensors(), direction)


def test_to_onnx_refuses_two_directions_that_do_not_fit(rng):
    params = draw("lstm", rng)
    with pytest.raises(
        TypeError, match=r"reverse: expected rnnlit\.lstm\.Params as in params, got rnnlit\.rnn\.Params"
    ):
        interop.to_onnx(params, draw("rnn", rng))
    with pytest.raises(ValueError, match=r"reverse: expected sizes and dtype of params, W \(16, 3\) float32"):
        interop.to_onnx(params, lstm.init(I + 2, H, rng=rng))
    with pytest.raises(ValueError, match=r"got \(16, 3\) float64"):
        interop.to_onnx(params, draw("lstm", rng, np.float64))


# ---- Keras -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv(
            "KERAS_HOME", str(tmp_path_factory.mktemp("keras"))
        )  # its settings file stays out of the home folder
        module = library("keras")
    assert module.backend.backend() == "torch"
    return module


KERAS = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU", "gru_before": "GRU"}

# No SimpleRNN or GRU in float64: keras.ops.matmul, on which they stand, computes in float32 (Keras 3.15 with
# torch).
KERAS_CASES = [(cell, np.float32) for cell in KERAS] + [("lstm", np.float64)]

# Keras 3.15 itself, in get_weights: its variables have no `copy` keyword yet.
keras_warns = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def run_keras(keras, layer, x, state):
    """Keras takes the batch first, and turns arrays into float32 unless told otherwise."""
    x, *state = (
        keras.ops.convert_to_tensor(array, dtype=array.dtype.name) for array in (x.swapaxes(0, 1), *state)
    )
    outputs = layer(x, initial_state=state)
    h, *last = (output.detach().cpu().numpy() for output in outputs)
    return [h.swapaxes(0, 1), *last]


def keras_layer(keras, cell, dtype, **options):
    if cell == "gru_before":  # of "gru", True is the default of Keras
        options["reset_after"] = False
    layer = getattr(keras.layers, KERAS[cell])(
        H, return_sequences=True, return_state=True, dtype=np.dtype(dtype).name, **options
    )
    layer.build((B, T, I))
    return layer


@pytest.mark.parametrize(("cell", "dtype"), KERAS_CASES)
def test_keras_computes_the_same(keras, rng, cell, dtype):
    params, (x, state) = draw(cell, rng, dtype), draw_input(cell, rng, dtype)
    layer = keras_layer(keras, cell, dtype)
    form = {"reset_after": False} if cell == "gru_before" else {}
    layer.set_weights(interop.to_keras(params, **form))
    assert_close(run_keras(keras, layer, x, state), run(cell, params, x, state), dtype)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("cell", "dtype"), KERAS_CASES)
@keras_warns
def test_from_keras_computes_the_same(keras, rng, cell, use_bias, dtype):
    """With Keras' own start values, among them a forget bias of 1."""
    x, state = draw_input(cell, rng, dtype)
    layer = keras_layer(keras, cell, dtype, use_bias=use_bias)
    form = {"reset_after": False} if cell == "gru_before" else {}
    params = interop.from_keras(layer, **form)
    if cell == "lstm" and use_bias:
        np.testing.assert_array_equal(params.bias_ih, [0] * H + [1] * H + [0] * (2 * H))
    assert_close(run(cell, params, x, state), run_keras(keras, layer, x, state), dtype)
    assert_same(interop.from_keras(layer.get_weights(), **form), params)
    assert_same(interop.from_keras(layer.cell, **form), params)


def test_from_keras_refuses_other_layers(keras):
    for layer, message in (
        (keras.layers.Dense(H), "expected a Keras layer LSTM, GRU or SimpleRNN, got Dense"),
        (
            keras.layers.Bidirectional(keras.layers.LSTM(H)),
            "expected a Keras layer LSTM, GRU or SimpleRNN, got Bidirectional",
        ),
        (keras.layers.GRU(H, activation="relu"), "expected activation tanh, got relu"),
        (keras.layers.LSTM(H), r"got shapes none \(build the layer first\)"),
        (keras.layers.LSTM(H, activation="relu"), "expected activation tanh, got relu"),
        (
            keras.layers.LSTM(H, recurrent_activation="hard_sigmoid"),
            "recurrent_activation sigmoid, got hard_sigmoid",
        ),
        (keras.layers.SimpleRNN(H, activation=None), "expected activation tanh, got linear"),
        (keras.layers.RNN(keras.layers.LSTMCell(H)), "expected a Keras layer LSTM, GRU or .*, got RNN"),
        *[
            (
                getattr(keras.layers, KERAS[cell])(H, **{option: True}),
                f"without {option}, got {option}=True; ",
            )
            for cell in ("lstm", "gru", "rnn")
            for option in ("go_backwards", "stateful")
        ],
    ):
        with pytest.raises(ValueError, match="source: .*" + message):
            interop.from_keras(layer)


@keras_warns
def test_options_of_keras_that_change_nothing(keras, rng):
    """Every option of the constructors is one that is refused, or one of these."""
    harmless = dict(unroll=True, dropout=0.5, recurrent_dropout=0.5, seed=3, name="cell")
    harmless |= dict(kernel_initializer="zeros", recurrent_initializer="zeros", bias_initializer="ones")
    harmless |= {f"{part}_regularizer": "l2" for part in ("kernel", "recurrent", "bias", "activity")}
    harmless |= {f"{part}_constraint": "non_neg" for part in ("kernel", "recurrent", "bias")}
    seen = {"self", "kwargs", "units", "return_sequences", "return_state", "use_bias", "unit_forget_bias"}
    seen |= {"use_cudnn"}  # which kernel runs
    refused = {"go_backwards", "stateful", "activation", "recurrent_activation", "reset_after"}
    for cell in ("lstm", "gru", "rnn"):
        kind = getattr(keras.layers, KERAS[cell])
        options = set(inspect.signature(kind.__init__).parameters)
        assert options <= {*harmless} | seen | refused
        layer = keras_layer(keras, cell, np.float32, **harmless)
        params = draw(cell, rng)
        layer.set_weights(interop.to_keras(params))
        x, state = draw_input(cell, rng, np.float32)
        got = run(cell, interop.from_keras(layer), x, state)
        assert_close(got, run_keras(keras, layer, x, state), np.float32)


@keras_warns
def test_the_form_of_keras_gru_has_to_be_named(keras):
    for cell, form in (("gru", True), ("gru_before", False)):
        layer = keras_layer(keras, cell, np.float32)
        assert type(interop.from_keras(layer, reset_after=form)) is gru.Params
        for source in (layer, layer.cell, layer.get_weights()):
            with pytest.raises(ValueError, match=f"reset_after: expected {form}, .*, got {not form}"):
                interop.from_keras(source, reset_after=not form)


# ---- flax --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jax():
    return library("jax")


@pytest.fixture(scope="module")
def linen(jax):
    library("flax")
    return importlib.import_module("flax.linen")


@pytest.fixture(scope="module")
def nnx(jax):
    library("flax")
    return importlib.import_module("flax.nnx")


def precise(jax, dtype):
    """jax computes in float64 only where it is asked to."""
    return jax.enable_x64(True) if dtype == np.float64 else nullcontext()


def run_flax(step, x, state):
    """Call step(carry, x_t) over the time. The carry is (c, h), or h for SimpleCell."""
    carry = state[0] if len(state) == 1 else (state[1], state[0])
    outputs = []
    for x_t in x:
        carry, h = step(carry, x_t)
        outputs.append(np.asarray(h))
    last = [carry] if len(state) == 1 else [carry[1], carry[0]]
    return [np.stack(outputs), *map(np.asarray, last)]


LINEN_CELLS = [("LSTMCell", "lstm"), ("OptimizedLSTMCell", "lstm"), ("SimpleCell", "rnn"), ("GRUCell", "gru")]
NNX_CELLS = [
    ("LSTMCell", "lstm", "nnx"),
    ("OptimizedLSTMCell", "lstm", "nnx_optimized"),
    ("SimpleCell", "rnn", "nnx"),
    ("GRUCell", "gru", "nnx"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "cell"), LINEN_CELLS)
def test_linen_computes_the_same(jax, linen, rng, name, cell, dtype):
    params, (x, state) = draw(cell, rng, dtype), draw_input(cell, rng, dtype)
    module = getattr(linen, name)(H)
    with precise(jax, dtype):
        variables = {"params": interop.to_flax(params)}
        got = run_flax(lambda carry, x_t: module.apply(variables, carry, x_t), x, state)
    assert_close(got, run(cell, params, x, state), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "cell"), LINEN_CELLS)
def test_from_linen_computes_the_same(jax, linen, rng, name, cell, dtype):
    x, state = draw_input(cell, rng, dtype)
    with precise(jax, dtype):
        module = getattr(linen, name)(H, param_dtype=dtype, bias_init=linen.initializers.normal())
        key = jax.random.key(0)
        variables = module.init(key, module.initialize_carry(key, (B, I)), x[0])
        expected = run_flax(lambda carry, x_t: module.apply(variables, carry, x_t), x, state)
        params = interop.from_flax(variables)
    assert params.bias_ih.all()
    assert_close(run(cell, params, x, state), expected, dtype)
    assert_same(interop.from_flax(variables["params"]), params)


@pytest.mark.parametrize("api", ["linen", "nnx"])
def test_options_of_flax_are_looked_at_where_the_cell_is_given(jax, linen, nnx, rng, api):
    def make(name, **options):
        if api == "linen":
            return getattr(linen, name)(H, **options)
        return getattr(nnx, name)(I, H, rngs=nnx.Rngs(0), **options)

    names = {"LSTMCell": "lstm", "OptimizedLSTMCell": "lstm", "GRUCell": "gru", "SimpleCell": "rnn"}
    for name, cell in names.items():
        params = draw(cell, rng)
        if cell == "gru":
            params.bias_hh[2 * H :] = 0
        tree = interop.to_flax(params, api)
        assert type(interop.from_flax(tree, make(name))) is type(params)
        with pytest.raises(ValueError, match="cell: expected activation_fn tanh, got relu"):
            interop.from_flax(tree, make(name, activation_fn=linen.relu))
        if cell == "rnn":
            with pytest.raises(ValueError, match="cell: expected a cell without residual, got residual=True"):
                interop.from_flax(tree, make(name, residual=True))
        else:
            with pytest.raises(ValueError, match="cell: expected gate_fn sigmoid, got hard_sigmoid"):
                interop.from_flax(tree, make(name, gate_fn=linen.hard_sigmoid))
    with pytest.raises(ValueError, match=r"cell: expected a flax LSTMCell, .*, got Dense"):
        interop.from_flax(tree, linen.Dense(H))


def nnx_cell(jax, nnx, name, dtype):
    return getattr(nnx, name)(
        I, H, param_dtype=dtype, dtype=dtype, bias_init=nnx.initializers.normal(), rngs=nnx.Rngs(0)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "cell", "api"), NNX_CELLS)
def test_nnx_computes_the_same(jax, nnx, rng, name, cell, api, dtype):
    params, (x, state) = draw(cell, rng, dtype), draw_input(cell, rng, dtype)
    if cell == "gru":  # without b_hn, for which nnx.GRUCell has no place
        params.bias_hh[2 * H :] = 0
    with precise(jax, dtype):
        module = nnx_cell(jax, nnx, name, dtype)
        nnx.update(module, interop.to_flax(params, api))
        got = run_flax(module, x, state)
    assert_close(got, run(cell, params, x, state), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "cell", "api"), NNX_CELLS)
def test_from_nnx_computes_the_same(jax, nnx, rng, name, cell, api, dtype):
    x, state = draw_input(cell, rng, dtype)
    with precise(jax, dtype):
        module = nnx_cell(jax, nnx, name, dtype)
        expected = run_flax(module, x, state)
        params = interop.from_flax(nnx.to_pure_dict(nnx.state(module, nnx.Param)))
    assert params.bias_ih.all()
    assert_close(run(cell, params, x, state), expected, dtype)


# ---- ONNX --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def onnx():
    return library("onnx")


def onnx_model(onnx, cell, feeds, directions=1):
    """A model of one node that takes all of `feeds` as inputs."""
    names = [
        "X",
        "W",
        "R",
        "B",
        "sequence_lens",
        "initial_h",
        *([] if cell in ONE_STATE else ["initial_c", "P"]),
    ]
    outputs = ["Y", "Y_h", *([] if cell in ONE_STATE else ["Y_c"])]
    inputs = [name if name in feeds else "" for name in names]
    direction = {} if directions == 1 else {"direction": "bidirectional"}
    if cell == "gru":  # of "gru_before", 0 is the default of ONNX
        direction["linear_before_reset"] = 1
    operator = {"rnn": "RNN", "gru": "GRU", "gru_before": "GRU"}.get(cell, "LSTM")
    node = onnx.helper.make_node(operator, inputs, outputs, hidden_size=H, **direction)
    kind = {name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in feeds.items()}
    values = [
        onnx.helper.make_tensor_value_info(name, kind[name], array.shape) for name, array in feeds.items()
    ]
    shapes = [(T, directions, B, H)] + [(directions, B, H)] * (len(outputs) - 1)
    results = [
        onnx.helper.make_tensor_value_info(*r) for r in zip(outputs, [kind["X"]] * 3, shapes, strict=False)
    ]
    graph = onnx.helper.make_graph([node], "cell", values, results)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def run_onnxruntime(model, feeds):
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def onnx_feeds(x, state, tensors):
    """The inputs of the operator; ONNX takes the time first, as we do."""
    D = len(tensors["W"])
    return (
        tensors
        | {"X": x}
        | {n: np.stack([s] * D) for n, s in zip(("initial_h", "initial_c"), state, strict=False)}
    )


@pytest.mark.parametrize("cell", CELLS)
def test_onnxruntime_computes_the_same(onnx, rng, cell):
    """In float32; ONNX Runtime has no kernel for these operators in float64."""
    dtype = np.float32
    params, (x, state) = draw(cell, rng, dtype), draw_input(cell, rng, dtype)
    feeds = onnx_feeds(x, state, interop.to_onnx(params))
    Y, *last = run_onnxruntime(onnx_model(onnx, cell, feeds), feeds)
    assert_close([Y[:, 0], *(s[0] for s in last)], run(cell, params, x, state), dtype)


@pytest.mark.parametrize("cell", CELLS)
def test_onnxruntime_in_two_directions_with_lengths(onnx, rng, cell):
    """The backward direction reads each sequence from its own last step."""
    dtype, lengths = np.float32, np.array([3, 5])
    params, reverse, (x, state) = draw(cell, rng, dtype), draw(cell, rng, dtype), draw_input(cell, rng, dtype)
    feeds = onnx_feeds(x, state, interop.to_onnx(params, reverse)) | {
        "sequence_lens": lengths.astype(np.int32)
    }
    Y, *last = run_onnxruntime(onnx_model(onnx, cell, feeds, directions=2), feeds)
    assert_close([Y[:, 0], *(s[0] for s in last)], run(cell, params, x, state, lengths), dtype)

    def flip(array):
        flipped = np.zeros_like(array)
        for b, length in enumerate(lengths):
            flipped[:length, b] = array[:length, b][::-1]
        return flipped

    back, *last_back = run(cell, reverse, flip(x), state, lengths)
    assert_close([Y[:, 1], *(s[1] for s in last)], [flip(back), *last_back], dtype)


@pytest.mark.parametrize("cell", ["lstm", "lstm_peephole", "gru", "gru_before"])
def test_onnx_reference_computes_the_same(onnx, rng, cell):
    """ONNX' own evaluator, in float64."""
    evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator
    dtype = np.float64
    params, (x, state) = draw(cell, rng, dtype), draw_input(cell, rng, dtype)
    feeds = onnx_feeds(x, state, interop.to_onnx(params))
    Y, *last = evaluator(onnx_model(onnx, cell, feeds)).run(None, feeds)
    assert_close([Y[:, 0], *(s[0] for s in last)], run(cell, params, x, state), dtype)


def test_the_order_of_gates_matters(onnx, rng):
    """With our own order, ONNX Runtime computes something else: the tests above can fail."""
    params, (x, state) = draw("lstm", rng), draw_input("lstm", rng, np.float32)
    wrong = {
        "W": params.weight_ih[None],
        "R": params.weight_hh[None],
        "B": np.concatenate([params.bias_ih, params.bias_hh])[None],
    }
    feeds = onnx_feeds(x, state, wrong)
    Y = run_onnxruntime(onnx_model(onnx, "lstm", feeds), feeds)[0]
    assert np.abs(Y[:, 0] - run("lstm", params, x, state)[0]).max() > 0.1


def test_onnx_says_the_order_that_the_table_says(onnx):
    doc = onnx.defs.get_schema("LSTM").doc
    gates = interop.GATE_ORDER["lstm"]["ONNX"].gates.replace(" ", "")
    assert f"`W[{gates}]`" in doc and f"`R[{gates}]`" in doc and f"`Wb[{gates}]`" in doc
    assert f"`P[{gates.replace('c', '')}]`" in doc


@pytest.mark.parametrize("cell", ["gru", "gru_before"])
def test_the_form_of_a_gru_matters(onnx, rng, cell):
    """The same arrays in the other form give something else."""
    params, (x, state) = draw("gru", rng), draw_input("gru", rng, np.float32)
    feeds = onnx_feeds(x, state, interop.to_onnx(params))
    Y = run_onnxruntime(onnx_model(onnx, cell, feeds), feeds)[0][:, 0]
    other = "gru_before" if cell == "gru" else "gru"
    assert np.abs(Y - run(other, params, x, state)[0]).max() > 0.01


def test_onnx_says_the_order_of_the_grus_gates_that_the_table_says(onnx):
    doc = onnx.defs.get_schema("GRU").doc
    gates = interop_layout.GATE_ORDER["gru"]["ONNX"].gates.replace(" ", "")
    assert f"`W[{gates}]`" in doc and f"`R[{gates}]`" in doc and f"`Wb[{gates}]`" in doc
