"""Oracles: the bytes of a file read by hand, the safetensors library, and torch.nn with its outputs."""

import importlib
import inspect
import json
import os
import pickle
import pkgutil
import stat
import sys
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from torch.nn.utils import prune

import rnnlit
from rnnlit import dropout_lstm_torch, gru, lstm, lstm_1997, lstm_peephole, nn, rnn
from rnnlit.nn import bidirectional
from rnnlit.tools import layers, modules, weights
from tests import programs
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
CELLS = {"rnn": rnn, "lstm": lstm, "lstm_peephole": lstm_peephole, "lstm_1997": lstm_1997}
DTYPES = [np.float32, np.float64]
EXACT = TOLERANCE[np.float64]
TORCH = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM}


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def draw(kind, rng, dtype=np.float32, input_size=I):
    """Params with every array random, the biases too, which `init` leaves at zero."""
    params = kind.init(input_size, H, rng=rng, dtype=dtype)
    return type(params)(*(rng.uniform(-1, 1, array.shape).astype(dtype) for array in params))


def assert_same(got, expected):
    assert type(got) is type(expected)
    for name, a, b in zip(expected._fields, got, expected, strict=True):
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)


# ---- a file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_file_gives_back_the_same_arrays(tmp_path, rng, cell, dtype):
    params = draw(CELLS[cell], rng, dtype)
    weights.save(tmp_path / "cell.safetensors", params)
    loaded = weights.load(tmp_path / "cell.safetensors", CELLS[cell].Params)
    assert_same(loaded, params)
    loaded.weight_hh[0] = 0  # writable: training may go on from here


def test_file_is_what_the_format_says(tmp_path, rng):
    """The format by hand: 8 bytes of length, the header in JSON, then the numbers row by row."""
    params = draw(lstm, rng)
    params = params._replace(
        weight_hh=np.asfortranarray(params.weight_hh), bias_ih=np.repeat(params.bias_ih, 2)[::2]
    )
    path = tmp_path / "cell.safetensors"
    weights.save(path, params, epochs=20, note="ümlaut", loss=0.5)
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    assert header.pop("__metadata__") == {
        "rnnlit": "1",
        "cell": "lstm",
        "gates": "i f g o",
        "epochs": "20",
        "note": "ümlaut",
        "loss": "0.5",
    }
    assert set(header) == set(params._fields)
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        array = np.frombuffer(data[start:][first:last], "<f4").reshape(entry["shape"])
        np.testing.assert_array_equal(array, getattr(params, name))


def test_metadata_is_read_back_in_the_order_of_its_names(tmp_path, rng):
    path = tmp_path / "cell.safetensors"
    weights.save(path, draw(rnn, rng), seed=7, data="adding")
    assert list(weights.metadata(path).items()) == [
        ("cell", "rnn"),
        ("data", "adding"),
        ("gates", "h"),
        ("rnnlit", "1"),
        ("seed", "7"),
    ]


@pytest.mark.parametrize("name", ["epochs", "file.st"])
def test_path_may_be_a_string(tmp_path, rng, name):
    params = draw(rnn, rng)
    weights.save(str(tmp_path / name), params)
    assert_same(weights.load(str(tmp_path / name), rnn.Params), params)


def test_model_of_several_parts(tmp_path, rng):
    model = {
        "encoder": draw(lstm, rng),
        "decoder": draw(lstm_peephole, rng, np.float64),
        "readout": layers.init(H, 9, rng=rng),
        "scale": np.array(2.5, np.float32),
        "mean": rng.normal(size=(I,)),
    }
    like = {"encoder": lstm.Params, "decoder": lstm_peephole.Params, "readout": layers.Params}
    like |= {"scale": np.ndarray, "mean": np.ndarray}
    path = tmp_path / "model.safetensors"
    weights.save(path, model)
    loaded = weights.load(path, like)
    assert list(loaded) == list(like)
    for name in ("encoder", "decoder", "readout"):
        assert_same(loaded[name], model[name])
    for name in ("scale", "mean"):
        assert loaded[name].shape == model[name].shape
        np.testing.assert_array_equal(loaded[name], model[name])
    plain = weights.load(path)
    np.testing.assert_array_equal(plain["decoder.weight_co"], model["decoder"].weight_co)


def test_saving_replaces_an_older_file(tmp_path, rng):
    path = tmp_path / "cell.safetensors"
    old, new = draw(lstm, rng), draw(rnn, rng)
    weights.save(path, old)
    weights.save(path, new)
    assert_same(weights.load(path, rnn.Params), new)
    assert os.listdir(tmp_path) == ["cell.safetensors"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupted_save_leaves_the_older_file_and_nothing_else(tmp_path, rng, monkeypatch, call):
    path = tmp_path / "cell.safetensors"
    old = draw(rnn, rng)
    weights.save(path, old)

    def fail(*args):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="no space left"):
            weights.save(path, draw(rnn, rng))
    assert_same(weights.load(path, rnn.Params), old)
    assert os.listdir(tmp_path) == ["cell.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_file_has_the_mode_of_any_new_file(tmp_path, rng):
    (tmp_path / "plain").touch()
    weights.save(tmp_path / "cell.safetensors", draw(rnn, rng))
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "cell.safetensors")]
    assert modes[0] == modes[1]


class _Foreign(NamedTuple):
    weight: np.ndarray


W = np.ones((H, I), np.float32)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (W, TypeError, "params: expected Params of rnnlit.* got an array of float32"),
        ([W], TypeError, "params: expected Params of rnnlit.* got list"),
        (_Foreign(W), TypeError, "params: expected Params of rnnlit.*_Foreign"),
        ({}, ValueError, "params: expected at least one array"),
        ({"": W}, TypeError, "params: expected names that are strings and not empty, got ''"),
        ({3: W}, TypeError, "params: expected names that are strings and not empty, got 3"),
        ({"ids": np.arange(I)}, TypeError, r"params\['ids'\]: expected .* got an array of int64"),
        ({"half": W.astype(np.float16)}, TypeError, r"params\['half'\]: expected .* got an array of float16"),
        ({"big": W.astype(">f4")}, TypeError, r"params\['big'\]: expected .* got an array of >f4"),
        ({"list": [1.0]}, TypeError, r"params\['list'\]: expected .* got list"),
        ({"a": layers.Params(W, W[:, 0].copy()), "a.bias": W}, ValueError, "two arrays called 'a.bias'"),
        (layers.Params(W, W[0]), ValueError, r"params: bias: expected shape \(4,\), got \(3,\)"),
        (rnn.Params(W, W, W[:, 0], W[:, 0]), ValueError, r"params: weight_hh: expected shape"),
        ({"cell": rnn.Params(None, None, None, None)}, TypeError, r"params\['cell'\]: weight_ih: expected"),
    ],
)
def test_save_refuses_and_writes_nothing(tmp_path, params, error, message):
    with pytest.raises(error, match=message):
        weights.save(tmp_path / "cell.safetensors", params)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("field", lstm_peephole.Params._fields)
def test_save_refuses_each_array_of_a_wrong_shape_or_dtype(tmp_path, rng, field):
    params = draw(lstm_peephole, rng)
    for wrong, error in (
        (getattr(params, field)[:-1], ValueError),
        (getattr(params, field).astype(float), TypeError),
    ):
        with pytest.raises(error, match=r"params: weight_|params: bias_"):
            weights.save(tmp_path / "cell.safetensors", params._replace(**{field: wrong}))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("metadata", "error"),
    [({"cell": "gru"}, ValueError), ({"rnnlit": 2}, ValueError), ({"losses": [1.0]}, TypeError)],
)
def test_save_refuses_metadata(tmp_path, rng, metadata, error):
    with pytest.raises(error, match="metadata: expected"):
        weights.save(tmp_path / "cell.safetensors", draw(rnn, rng), **metadata)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["cell", "gates", "rnnlit", "cell.lstm"])
def test_no_metadata_stands_for_what_the_header_says_of_a_model(tmp_path, name):
    """The header of a model has `cell.lstm`; `cell` beside it would be read as that of one cell."""
    params = lstm.init(3, 4, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="metadata: expected another name"):
        weights.save(tmp_path / "model.safetensors", {"lstm": params}, **{name: "gru"})


def test_paths_at_the_door(tmp_path, rng):
    params = draw(rnn, rng)
    with pytest.raises(FileNotFoundError, match=r"path: expected a file, found none at .*none\.safetensors"):
        weights.load(tmp_path / "none.safetensors", rnn.Params)
    with pytest.raises(FileNotFoundError, match=r"path: expected an existing folder, got .*nowhere"):
        weights.save(tmp_path / "nowhere" / "cell.safetensors", params)
    for call in (lambda path: weights.save(path, params), weights.load, weights.metadata):
        with pytest.raises(IsADirectoryError, match="path: expected"):
            call(tmp_path)
        with pytest.raises(TypeError, match="path: expected a string or a Path, got int"):
            call(3)
        with pytest.raises(ValueError, match="path: expected the name of a file, got an empty string"):
            call("")


# ---- foreign files -----------------------------------------------------------------------------------------


class _Attack:
    """Unpickling one runs code: it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_pickles_are_refused_and_never_run(tmp_path):
    attack = {"weight_ih": _Attack(tmp_path / "run")}
    pickle.loads(pickle.dumps(attack))
    assert (tmp_path / "run").is_dir()  # the attack works
    os.rmdir(tmp_path / "run")
    torch.save(attack, tmp_path / "zip.pt")
    torch.save(attack, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pickle").write_bytes(pickle.dumps(attack))
    for name in ("zip.pt", "legacy.pt", "plain.pickle"):
        for like in (None, lstm.Params):
            with pytest.raises(
                ValueError, match=r"path: expected a safetensors file.*Pickled weights are not read here"
            ):
                weights.load(tmp_path / name, like)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "it is empty"), (b"x", "got"), (b"weights" * 9, "got"), (b"\xff" * 64, "got")],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    for read in (weights.load, weights.metadata):
        with pytest.raises(ValueError, match=f"path: expected a safetensors file, .*{message}"):
            read(tmp_path / "file")


def test_a_truncated_file_is_refused(tmp_path, rng):
    path = tmp_path / "cell.safetensors"
    weights.save(path, draw(lstm, rng))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="path: expected a safetensors file"):
        weights.load(path, lstm.Params)


@pytest.mark.parametrize("dtype", [np.float16, np.int64])
def test_other_dtypes_are_refused(tmp_path, dtype):
    safetensors.numpy.save_file({"a": W, "b": W.astype(dtype)}, tmp_path / "file")
    with pytest.raises(ValueError, match=r"expected arrays of F32 and F64, got \{'b': '[FI]\d\d'\}"):
        weights.load(tmp_path / "file")


def test_bfloat16_is_refused(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "file")
    with pytest.raises(ValueError, match=r"expected arrays of F32 and F64, got \{'a': 'BF16'\}"):
        weights.load(tmp_path / "file")


@pytest.mark.parametrize("other", CELLS)
@pytest.mark.parametrize("cell", CELLS)
def test_only_the_cell_that_was_saved_is_loaded(tmp_path, rng, cell, other):
    path = tmp_path / "cell.safetensors"
    weights.save(path, draw(CELLS[cell], rng))
    if cell == other:
        assert isinstance(weights.load(path, CELLS[other].Params), CELLS[other].Params)
    else:
        with pytest.raises(ValueError, match=f"path: .* expected cell = '{other}', got '{cell}'"):
            weights.load(path, CELLS[other].Params)


def forged(path, arrays, **changes):
    """A file with the header of `save` and other contents."""
    header = {"rnnlit": "1", "cell": "lstm", "gates": "i f g o"} | changes
    safetensors.numpy.save_file(arrays, path, metadata=header)


def test_a_forged_file_is_refused(tmp_path, rng):
    path = tmp_path / "cell.safetensors"
    params = draw(lstm, rng)
    arrays = params._asdict()

    forged(path, arrays)
    assert_same(weights.load(path, lstm.Params), params)  # the forgery itself is sound

    forged(path, arrays, gates="i f o g")
    with pytest.raises(ValueError, match=r"path: .* expected gates = 'i f g o', got 'i f o g'"):
        weights.load(path, lstm.Params)

    forged(path, arrays, rnnlit="2")
    with pytest.raises(ValueError, match=r"path: .* expected a file that save\(\) wrote"):
        weights.load(path, lstm.Params)

    forged(path, {name: array for name, array in arrays.items() if name != "bias_hh"})
    with pytest.raises(ValueError, match=r"path: .* missing: bias_hh, too many: none"):
        weights.load(path, lstm.Params)

    forged(path, arrays | {"weight_hr": W})
    with pytest.raises(ValueError, match=r"path: .* missing: none, too many: weight_hr"):
        weights.load(path, lstm.Params)

    forged(path, arrays | {"weight_ih": arrays["weight_ih"][:-1]})
    with pytest.raises(ValueError, match=r"path: .*weight_ih: expected shape \(16, I\), got \(15, 3\)"):
        weights.load(path, lstm.Params)

    forged(path, arrays | {"bias_ih": arrays["bias_ih"].astype(np.float64)})
    with pytest.raises(ValueError, match=r"path: .*bias_ih: expected float32"):
        weights.load(path, lstm.Params)


def test_a_file_without_our_header_gives_its_arrays_only(tmp_path, rng):
    arrays = draw(lstm, rng)._asdict()
    safetensors.numpy.save_file(arrays, tmp_path / "file")
    with pytest.raises(
        ValueError, match=r"path: .* cell and order of gates are unknown\. It holds bias_hh, bias_ih"
    ):
        weights.load(tmp_path / "file", lstm.Params)
    loaded = weights.load(tmp_path / "file")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_a_model_needs_each_part_under_its_name(tmp_path, rng):
    path = tmp_path / "model.safetensors"
    weights.save(path, {"encoder": draw(lstm, rng), "scale": W})
    with pytest.raises(ValueError, match="missing: none, too many: scale"):
        weights.load(path, {"encoder": lstm.Params})
    with pytest.raises(ValueError, match=r"expected cell\.decoder = 'lstm', got None"):
        weights.load(path, {"decoder": lstm.Params, "scale": np.ndarray})
    with pytest.raises(ValueError, match="expected cell = 'lstm', got None"):
        weights.load(path, lstm.Params)


@pytest.mark.parametrize(
    "like", [dict, "lstm", lstm, np.ndarray, _Foreign, {"a": "lstm"}, {3: lstm.Params}, lstm.init]
)
def test_like_is_checked_before_the_file(like):
    with pytest.raises(TypeError, match="like: expected a Params class of rnnlit"):
        weights.load("no such file", like)


# ---- torch -------------------------------------------------------------------------------------------------


def run(cell, params, x):
    out = CELLS[cell].forward(params, x)
    return out.h, [out.h_n] if cell == "rnn" else [out.h_n, out.c_n]


def run_torch(module, x):
    with torch.no_grad():
        h, state = module(torch.from_numpy(x))
    return h.numpy(), [s.numpy() for s in (state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", TORCH)
def test_torch_computes_the_same(rng, cell, dtype):
    params, x = draw(CELLS[cell], rng, dtype), rng.normal(size=(T, B, I)).astype(dtype)
    module = TORCH[cell](I, H).to(torch.from_numpy(x).dtype)
    module.load_state_dict(weights.to_torch(params), strict=True)
    (h, states), (h_torch, states_torch) = run(cell, params, x), run_torch(module, x)
    np.testing.assert_allclose(h, h_torch, **TOLERANCE[dtype])
    for ours, theirs in zip(states, states_torch, strict=True):
        np.testing.assert_allclose(ours, theirs[0], **TOLERANCE[dtype])


@pytest.mark.parametrize("cell", TORCH)
def test_torch_with_two_layers_and_two_directions(rng, cell):
    """Backwards is forwards over reversed input and the second layer reads both directions of the first."""
    dtype = np.float64
    x = rng.normal(size=(T, B, I))
    params = {
        (k, back): draw(CELLS[cell], rng, dtype, I if k == 0 else 2 * H)
        for k in (0, 1)
        for back in (False, True)
    }
    module = TORCH[cell](I, H, num_layers=2, bidirectional=True, dtype=torch.float64)
    state = {}
    for (k, back), part in params.items():
        state |= weights.to_torch(part, k, back)
    module.load_state_dict(state, strict=True)
    below = x
    for k in (0, 1):
        there = run(cell, params[k, False], below)[0]
        back = run(cell, params[k, True], below[::-1].copy())[0][::-1]
        below = np.concatenate([there, back], axis=2)
    np.testing.assert_allclose(below, run_torch(module, x)[0], **TOLERANCE[dtype])
    for (k, back), part in params.items():
        assert_same(weights.from_torch(module, k, back), part)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", TORCH)
def test_from_torch_computes_the_same(rng, cell, bias, dtype):
    x = rng.normal(size=(T, B, I)).astype(dtype)
    module = TORCH[cell](I, H, bias=bias).to(torch.from_numpy(x).dtype)
    for source in (module, module.state_dict()):
        params = weights.from_torch(source)
        assert isinstance(params, CELLS[cell].Params)
        assert bias or not (params.bias_ih.any() or params.bias_hh.any())
        (h, states), (h_torch, states_torch) = run(cell, params, x), run_torch(module, x)
        np.testing.assert_allclose(h, h_torch, **TOLERANCE[dtype])
        for ours, theirs in zip(states, states_torch, strict=True):
            np.testing.assert_allclose(ours, theirs[0], **TOLERANCE[dtype])


@pytest.mark.parametrize("cell", TORCH)
def test_from_torch_undoes_to_torch(rng, cell):
    params = draw(CELLS[cell], rng)
    assert_same(weights.from_torch(weights.to_torch(params, 3, True), 3, True), params)


def test_nothing_is_shared_with_torch(rng):
    params = draw(lstm, rng)
    before = params.weight_hh.copy()
    for tensor in weights.to_torch(params).values():
        tensor.zero_()
    np.testing.assert_array_equal(params.weight_hh, before)
    module = torch.nn.LSTM(I, H)
    params = weights.from_torch(module)
    for array in params:
        array[...] = 7
    assert not any((value == 7).any() for value in module.state_dict().values())
    assert params.bias_ih is not params.bias_hh


def test_a_state_dict_of_torch_comes_through_a_file(tmp_path):
    module = torch.nn.LSTM(I, H)
    safetensors.torch.save_file(module.state_dict(), tmp_path / "file")
    with pytest.raises(ValueError, match=r"from_torch takes those of a torch\.nn\.LSTM"):
        weights.load(tmp_path / "file", lstm.Params)
    assert_same(weights.from_torch(weights.load(tmp_path / "file")), weights.from_torch(module))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (torch.nn.LSTM(I, H, proj_size=2), ValueError, "without proj_size, .* with proj_size=2"),
        (
            torch.nn.LSTM(I, H, proj_size=2).state_dict(),
            ValueError,
            "without proj_size, which no .*, got weight_hr_l0",
        ),
        (torch.nn.RNN(I, H, nonlinearity="relu"), ValueError, "without nonlinearity, .* nonlinearity=relu"),
        (torch.nn.RNNCell(I, H, nonlinearity="relu"), ValueError, "RNNCell with nonlinearity=relu"),
        (
            {"weight_ih_l0": W[:2], "weight_hh_l0": torch.zeros(8, 4)},
            ValueError,
            r"weight_hh .* got \(8, 4\)",
        ),
        (torch.nn.LSTM(I, H).half(), TypeError, "weight_ih: expected float32 or float64, got torch.float16"),
        (
            torch.nn.Linear(I, H),
            TypeError,
            r"\(LSTM, GRU, RNN, .*\), or a state_dict of one, got torch.*Linear; rnnlit.tools.models",
        ),
        (torch.nn.Linear(I, H).state_dict(), ValueError, "expected .*weight_ih_l0 as well, got bias, weight"),
        (
            torch.nn.Sequential(torch.nn.LSTM(I, H)),
            TypeError,
            "got torch.nn.*Sequential; rnnlit.tools.models",
        ),
        (
            nn.Bidirectional.of("gru", I, H),
            TypeError,
            "Bidirectional; rnnlit.tools.models takes a whole model",
        ),
        (nn.AdditiveAttention(I, H, 5), TypeError, "got rnnlit.*AdditiveAttention; rnnlit.tools.models"),
        (torch.nn.LSTM, TypeError, "got type"),
        ({}, ValueError, "expected .*weight_ih_l0 as well, got none"),
        (
            {"weight_ih_l0": W, "weight_hh_l0": [1.0]},
            TypeError,
            "weight_hh: expected a tensor or an array, got list",
        ),
        ({"weight_ih_l0": W, "weight_hh_l0": W}, ValueError, r"expected weight_hh \(H, H\).* got \(4, 3\)"),
        ({"weight_ih_l0": W, "weight_hh_l0": W[0]}, ValueError, r"expected weight_hh \(H, H\).* got \(3,\)"),
        (
            {"weight_ih_l0": W, "weight_hh_l0": W[:, :0]},
            ValueError,
            r"expected weight_hh \(H, H\).* got \(4, 0\)",
        ),
        (
            {"weight_ih_l0": W, "weight_hh_l0": W[:3]},
            ValueError,
            r"weight_ih: expected shape \(3, I\), got \(4, 3\)",
        ),
        (torch.zeros(3), TypeError, "or a state_dict of one, got torch.Tensor"),
        ("lstm.pt", TypeError, "or a state_dict of one, got str"),
    ],
)
def test_from_torch_refuses(source, error, message):
    with pytest.raises(error, match=r"source: .*" + message):
        weights.from_torch(source)


def test_one_bias_alone_is_refused():
    state = torch.nn.LSTM(I, H).state_dict()
    del state["bias_hh_l0"]
    with pytest.raises(ValueError, match="source: expected bias_hh_l0 as well"):
        weights.from_torch(state)


@pytest.mark.parametrize(
    ("layer", "error"), [(1, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)]
)
def test_a_layer_that_is_not_there(layer, error):
    with pytest.raises(error, match=r"expected (weight|.*weight_ih_l1|an integer)"):
        weights.from_torch(torch.nn.LSTM(I, H), layer)


@pytest.mark.parametrize("cell", ["lstm_1997"])
def test_to_torch_refuses_cells_that_torch_lacks(rng, cell):
    with pytest.raises(
        TypeError, match=rf"params: expected rnnlit\.rnn\.Params or .* got rnnlit\.{cell}\.Params"
    ):
        weights.to_torch(draw(CELLS[cell], rng))


def test_to_torch_refuses_shapes_that_do_not_fit(rng):
    params = draw(lstm, rng)
    with pytest.raises(ValueError, match=r"params: bias_hh: expected shape \(16,\), got \(15,\)"):
        weights.to_torch(params._replace(bias_hh=params.bias_hh[1:]))


# ---- the house ---------------------------------------------------------------------------------------------


def test_every_recurrent_cell_has_its_order_of_gates(rng):
    """A new cell module with weight_hh must enter GATES, with as many blocks as its weights have."""
    found = {}
    for module in pkgutil.iter_modules(rnnlit.__path__):
        if not module.ispkg and not module.name.endswith(("_torch", "_triton")) and module.name != "nn":
            content = importlib.import_module(f"rnnlit.{module.name}")
            kind = getattr(content, "Params", tuple)
            own = kind.__module__ == content.__name__  # a module may take over the Params of another one
            if own and "weight_hh" in kind._fields:
                found[module.name] = len(content.init(I, H, rng=rng).weight_hh) // H
    assert found == {cell: len(gates) for cell, gates in weights.GATES.items()}


WITHOUT = """
import sys
for name in {absent!r}:
    sys.modules[name] = None
import numpy as np
from rnnlit import rnn
from rnnlit.tools import interop, weights
params = rnn.init({I}, {H}, rng=np.random.default_rng(0))
for call in (lambda: weights.save("none", params), lambda: weights.to_torch(params)):
    try:
        call()
    except ImportError as error:
        print(error)
print(weights.from_torch({{"weight_ih_l0": params.weight_ih, "weight_hh_l0": params.weight_hh}}).bias_hh)
print(interop.from_onnx(interop.to_onnx(params)).weight_ih.shape)
"""


def test_without_torch_and_safetensors(tmp_path):
    """The modules import, and what needs a library names the extra that brings it."""
    code = WITHOUT.format(absent=["torch", "safetensors", "safetensors.numpy"], I=I, H=H)
    done = programs.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.stdout.splitlines() == [
        'weight files need safetensors: pip install "rnnlit[weights]"',
        'to_torch needs torch: pip install "rnnlit[torch]"',
        "[0. 0. 0. 0.]",
        "(4, 3)",
    ]
    assert os.listdir(tmp_path) == []


# ---- every option, every class -----------------------------------------------------------------------------

# What a layer of ours can be asked for, and whether its Params say all of it in evaluation.
OPTIONS = {
    "input_dropout": (0.5, True),
    "recurrent_dropout": (0.5, True),
    "output_dropout": (0.5, True),
    "candidate_dropout": (0.5, True),
    "weight_drop": (0.5, True),
    "orthogonal": (True, True),
    "forget_bias": (1.0, True),
    "chrono": (7.0, True),
    "peephole": (True, True),
    "bias": (False, True),
    "batch_first": (True, True),
    "zoneout": (0.5, False),
    "layer_norm": (True, False),
    "reset_after": (False, False),
    "proj_size": (2, False),
    "nonlinearity": ("relu", False),
}
PLAIN = {"self", "input_size", "hidden_size", "num_layers", "bidirectional", "dropout", "device", "dtype"}
REFUSED = [("proj_size", "GRU"), ("proj_size", "RNN")]  # by the constructors themselves
CASES = [
    (kind, name)
    for kind in ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell")
    for name in OPTIONS
    if name in inspect.signature(getattr(nn, kind).__init__).parameters and (name, kind) not in REFUSED
]


def test_every_option_of_a_layer_has_its_case():
    for kind in {kind for kind, _ in CASES}:
        given = set(inspect.signature(getattr(nn, kind).__init__).parameters)
        assert given - PLAIN == {name for one, name in [*CASES, *(r[::-1] for r in REFUSED)] if one == kind}


@pytest.mark.parametrize("kind, name", CASES)
def test_an_option_is_held_or_refused_by_its_name(rng, kind, name):
    """The oracle is the module itself in evaluation."""
    value, held = OPTIONS[name]
    torch.manual_seed(3)
    module = getattr(nn, kind)(I, H, **{name: value}).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-1, 1)
    if not held:
        with pytest.raises(ValueError, match=name):
            weights.from_torch(module)
        if name in ("layer_norm", "proj_size"):
            with pytest.raises(ValueError, match=f"source: expected a layer without {name}"):
                weights.from_torch(module.state_dict())
        return
    params = weights.from_torch(module)
    x = rng.normal(size=(T, B, I)).astype(np.float32)
    cell = importlib.import_module(type(params).__module__)
    assert cell.__name__ == "rnnlit.lstm_peephole" if name == "peephole" else f"rnnlit.{kind.lower()[:3]}"
    ours = cell.forward(params, x)
    given = torch.from_numpy(x)
    with torch.no_grad():
        if kind.endswith("Cell"):
            state = None
            for x_t in given:
                state = module(x_t, state)
            h, theirs = ours.h_n, state[0] if isinstance(state, tuple) else state
        else:
            out = module(given.transpose(0, 1) if name == "batch_first" else given)[0]
            h, theirs = ours.h, out.transpose(0, 1) if name == "batch_first" else out
    np.testing.assert_allclose(h, theirs.numpy(), **TOLERANCE[np.float32])
    if name != "bias":
        end = {"layer": None} if kind.endswith("Cell") else {}
        other = getattr(nn, kind)(I, H, **{name: value})
        other.load_state_dict(weights.to_torch(params, **end))
        for one, two in zip(module.parameters(), other.parameters(), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("cls", [nn.GRU, nn.GRUCell])
def test_the_other_form_of_a_gru_has_to_be_named(rng, cls):
    module, x = cls(I, H, reset_after=False, dtype=torch.float64), rng.normal(size=(T, B, I))
    with pytest.raises(
        ValueError, match=r"reset_after: expected False, the form of the layer, here and in gru"
    ):
        weights.from_torch(module)
    params = weights.from_torch(module, reset_after=False)
    layer = nn.GRU(I, H, reset_after=False, dtype=torch.float64)
    layer.load_state_dict(weights.to_torch(params))
    expected = layer(torch.from_numpy(x))[0].detach().numpy()
    got = gru.forward(params, x, reset_after=False).h
    np.testing.assert_allclose(got, expected, **TOLERANCE[np.float64])
    assert (
        type(weights.from_torch(module.state_dict(), reset_after=False)) is gru.Params
    )  # as the caller says
    for source in (torch.nn.GRU(I, H), nn.GRU(I, H)):
        with pytest.raises(ValueError, match="reset_after: expected True, the form of the layer"):
            weights.from_torch(source, reset_after=False)
    with pytest.raises(ValueError, match=r"reset_after: expected a GRU beside reset_after=False, got .*LSTM"):
        weights.from_torch(nn.LSTM(I, H), reset_after=False)


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("library", [torch.nn, nn])
def test_a_cell_is_taken_and_given(rng, library, kind):
    module = getattr(library, kind)(I, H)
    params = weights.from_torch(module)
    assert_same(weights.from_torch(module, None), params)
    assert_same(weights.from_torch(module.state_dict()), params)
    assert type(params).__module__ == "rnnlit." + kind.removesuffix("Cell").lower()
    other = getattr(library, kind)(I, H)
    other.load_state_dict(weights.to_torch(params, layer=None))
    for one, two in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(ValueError, match="layer: expected 0 or None for a cell, forwards, got 1"):
        weights.from_torch(module, 1)
    with pytest.raises(
        ValueError, match="layer: expected 0 or None for a cell, forwards, got 0, reverse=True"
    ):
        weights.from_torch(module, reverse=True)
    with pytest.raises(ValueError, match=r"reverse: expected False for a cell \(layer=None\), got True"):
        weights.to_torch(params, None, True)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("layer", [0, 1])
def test_peepholes_of_any_layer_and_direction(rng, layer, reverse):
    module = nn.LSTM(I, H, num_layers=2, bidirectional=True, peephole=True, dtype=torch.float64)
    params = draw(lstm_peephole, rng, np.float64, I if layer == 0 else 2 * H)
    state = module.state_dict()
    given = weights.to_torch(params, layer, reverse)
    assert given.keys() <= state.keys() and len(given) == 7
    module.load_state_dict(state | given)
    assert_same(weights.from_torch(module, layer, reverse), params)
    assert_same(weights.from_torch(module.state_dict(), layer, reverse), params)
    alone = nn.LSTM(params.weight_ih.shape[1], H, peephole=True, dtype=torch.float64)
    alone.load_state_dict(weights.to_torch(params))
    x = rng.normal(size=(T, B, params.weight_ih.shape[1]))
    expected = alone(torch.from_numpy(x), lengths=[5, 3])[0].detach().numpy()
    np.testing.assert_allclose(lstm_peephole.forward(params, x, lengths=[5, 3]).h, expected, **EXACT)
    part = {name: value for name, value in given.items() if "weight_co" not in name}
    with pytest.raises(ValueError, match="source: expected weight_ci_l"):
        weights.from_torch(part, layer, reverse)


def test_weights_hands_on_what_modules_has():
    assert (weights.from_torch, weights.to_torch) == (modules.from_torch, modules.to_torch)
    kinds = [nn.LSTM(I, H), torch.nn.GRU(I, H), dropout_lstm_torch.LSTM(I, H)]
    assert [modules.is_layer(one) for one in kinds] == [True] * 3 and not any(map(modules.is_cell, kinds))
    kinds = [nn.LSTMCell(I, H), torch.nn.RNNCell(I, H), bidirectional.OneWay("lstm_1997", I, H)]
    assert [modules.is_cell(one) for one in kinds] == [True] * 3 and not any(map(modules.is_layer, kinds))
    for other in (torch.nn.Linear(I, H), nn.Bidirectional.of("gru", I, H), None, {}):
        assert not modules.is_layer(other) and not modules.is_cell(other)


def test_a_size_for_each_layer():
    module = nn.LSTM(I, (H, 6), num_layers=2, bidirectional=True)
    shapes = [weights.from_torch(module, k, r).weight_ih.shape for k in (0, 1) for r in (False, True)]
    assert shapes == [(16, 3), (16, 3), (24, 8), (24, 8)]


class Mine(torch.nn.LSTM):
    """A subclass of one's own."""


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_classes_are_known_by_what_they_are_made_of(rng):
    """Subclasses, scripted modules, parametrized ones, and the other layers of this package."""
    module = torch.nn.LSTM(I, H)
    expected = weights.from_torch(module)
    mine = Mine(I, H)
    mine.load_state_dict(module.state_dict())
    assert_same(weights.from_torch(mine), expected)
    assert_same(weights.from_torch(torch.jit.script(module)), expected)
    assert_same(weights.from_torch(torch.compile(module, backend="eager")), expected)
    torch.nn.utils.parametrizations.weight_norm(mine, "weight_hh_l0")
    with torch.no_grad():
        mine.parametrizations.weight_hh_l0.original0 *= 2
    assert_same(weights.from_torch(mine), expected._replace(weight_hh=mine.weight_hh_l0.detach().numpy()))
    assert not np.allclose(mine.weight_hh_l0.detach(), module.weight_hh_l0.detach())
    pruned = prune.l1_unstructured(torch.nn.LSTM(I, H), "weight_hh_l0", 0.5)
    with pytest.raises(ValueError, match=r"source: expected weight_hh_l0 as well, got .*weight_hh_l0_orig"):
        weights.from_torch(pruned)

    mine = Mine(I, H)
    mine.scale = torch.nn.Parameter(torch.ones(H))
    with pytest.raises(ValueError, match=r"source: expected nothing but .* own parameters, got scale as"):
        weights.from_torch(mine)

    assert type(weights.from_torch(dropout_lstm_torch.LSTM(I, H, "gal", 0.5))) is lstm.Params
    with pytest.raises(ValueError, match=r"without kind, .* got rnnlit.*LSTM with kind=zoneout"):
        weights.from_torch(dropout_lstm_torch.LSTM(I, H, "zoneout", 0.5))
    for cell in ("lstm_1997", "lstm_peephole"):
        loop = bidirectional.OneWay(cell, I, H)
        params = weights.from_torch(loop)
        assert type(params) is CELLS[cell].Params
        other = bidirectional.OneWay(cell, I, H)
        other.load_state_dict(weights.to_torch(params, None))
        for one, two in zip(loop.parameters(), other.parameters(), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("reverse", [False, True])
def test_gru_goes_to_torch_and_back(reverse):
    layer = torch.nn.GRU(I, H, num_layers=2, bidirectional=True)
    for layer_number in (0, 1):
        params = weights.from_torch(layer, layer_number, reverse)
        assert type(params) is gru.Params
        returned = weights.to_torch(params, layer_number, reverse)
        for name, tensor in returned.items():
            assert torch.equal(tensor, layer.state_dict()[name])
    assert type(weights.from_torch(layer.state_dict())) is gru.Params
