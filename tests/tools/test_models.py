"""Whole models in NumPy: the oracle is the torch model in evaluation, and the safetensors library."""

import json
import os
import sys

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from rnnlit import gru, lstm, lstm_peephole, nn, rnn
from rnnlit.nn import bidirectional
from rnnlit.tools import layers, models, weights
from tests import programs
from tests.tolerances import TOLERANCE

B, T, I, H, O = 2, 5, 3, 4, 6
LENGTHS = [3, 5]


class Classifier(torch.nn.Module):
    """Embedding, layers in two directions, dropout, affine maps: what a model in use may have."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(7, I)
        self.body = torch.nn.ModuleDict(
            {
                "lstm": nn.LSTM(I, H, num_layers=2, bidirectional=True, recurrent_dropout=0.5),
                "gru": torch.nn.GRU(2 * H, H, num_layers=3, batch_first=True),
            }
        )
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Sequential(
            torch.nn.Linear(H, 5), torch.nn.Tanh(), torch.nn.Linear(5, O, bias=False)
        )

    def forward(self, tokens, lengths=None):
        h, _ = self.body["lstm"](self.embedding(tokens), lengths=lengths)
        h, _ = self.body["gru"](h.transpose(0, 1))
        return self.head(self.drop(h.transpose(0, 1)))


def numpy_classifier(net, tokens, lengths=None):
    h, _ = net["body"]["lstm"](net["embedding"]["weight"][tokens], lengths)
    h, _ = net["body"]["gru"](h.swapaxes(0, 1))
    return layers.affine(net["head"]["2"], np.tanh(layers.affine(net["head"]["0"], h.swapaxes(0, 1))))


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_goes_into_a_file_and_computes_the_same_without_torch(tmp_path, dtype, lengths):
    path = tmp_path / "model.safetensors"
    torch.manual_seed(1)
    model = Classifier().to(torch.float32 if dtype is np.float32 else torch.float64).eval()
    models.save(path, model, epochs=20)
    tokens = torch.randint(7, (T, B))
    with torch.no_grad():
        expected = model(tokens, lengths).numpy()
    for net in (models.to_numpy(model), models.load(path)):
        assert list(net) == ["embedding", "body", "head"] and list(net["head"]) == ["0", "2"]
        got = numpy_classifier(net, tokens.numpy(), lengths)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, **TOLERANCE[dtype])
        assert np.abs(got - expected).max() <= (1e-6 if dtype is np.float32 else 1e-14)
    assert weights.metadata(path)["epochs"] == "20"
    assert os.listdir(tmp_path) == ["model.safetensors"]
    # torch reads it too: its names are those of the state_dict, and a bias that isn't there is zero
    state = safetensors.torch.load_file(path)
    assert not state.pop("head.2.bias").any()
    torch.manual_seed(2)
    other = Classifier().to(next(model.parameters()).dtype).eval()
    other.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(other(tokens, lengths), model(tokens, lengths))


CODE = """
import sys
sys.modules["torch"] = None
import numpy as np
from rnnlit.tools import layers, models
net = models.load(sys.argv[1])
x = np.load(sys.argv[2])
np.save(sys.argv[3], layers.affine(net["1"], net["0"](x, [3, 5])[0]))
"""


def test_a_file_is_read_and_run_where_there_is_no_torch(tmp_path):
    class First(torch.nn.LSTM):
        def forward(self, x):
            return super().forward(x)[0]

    torch.manual_seed(1)
    model = torch.nn.Sequential(First(I, H, 2, bidirectional=True), torch.nn.Linear(2 * H, O)).eval()
    x = np.random.default_rng(0).standard_normal((T, B, I), dtype=np.float32)
    path, given, told = (tmp_path / name for name in ("model.safetensors", "x.npy", "y.npy"))
    models.save(path, model)
    np.save(given, x)
    command = [sys.executable, "-c", CODE, path, given, told]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = programs.run(command, cwd=tmp_path, env=paths)
    assert done.returncode == 0, done.stderr
    net = nn.LSTM(I, H, 2, bidirectional=True)
    net.load_state_dict(model[0].state_dict())
    with torch.no_grad():
        expected = model[1](net(torch.from_numpy(x), lengths=[3, 5])[0]).numpy()
    np.testing.assert_allclose(np.load(told), expected, **TOLERANCE[np.float32])


CASES = [
    (kind, L, both, options)
    for kind, more in (
        ("LSTM", {"peephole": True}),
        ("LSTM", {"zoneout": 0.0, "weight_drop": 0.5}),
        ("GRU", {"reset_after": False}),
        ("GRU", {"batch_first": True}),
        ("RNN", {"bias": False}),
    )
    for L in (1, 3)
    for both in (False, True)
    for options in (more, more | {"hidden_size": tuple(range(4, 4 + L))})
]


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("kind, L, both, options", CASES)
def test_a_recurrent_layer_is_called_as_torchs(tmp_path, kind, L, both, options, lengths):
    """Output and last states, from given ones, in every number of layers and directions."""
    torch.manual_seed(L)
    options = {"hidden_size": H} | options
    layer = getattr(nn, kind)(I, num_layers=L, bidirectional=both, dtype=torch.float64, **options).eval()
    sizes = [size for size in layer.sizes or (H,) * L for _ in range(1 + both)]
    x, first = torch.randn(T, B, I, dtype=torch.float64), options.get("batch_first", False)
    x = x.transpose(0, 1) if first else x
    states = [
        [torch.randn(B, size, dtype=torch.float64) for size in sizes] for _ in range(1 + (kind == "LSTM"))
    ]
    models.save(tmp_path / "layer", layer)
    net = models.load(tmp_path / "layer")
    for given in (None, states):
        hx = given and [torch.stack(s) if layer.sizes is None else tuple(s) for s in given]
        hx = hx and (tuple(hx) if kind == "LSTM" else hx[0])
        with torch.no_grad():
            output, last = layer(x, hx, lengths=lengths)
        arrays = given and [[part.numpy() for part in s] for s in given]
        got, ours = net(x.numpy(), lengths, arrays and (arrays if kind == "LSTM" else arrays[0]))
        np.testing.assert_allclose(got, output.numpy(), **TOLERANCE[np.float64])
        pairs = zip(ours, last, strict=True) if kind == "LSTM" else [(ours, last)]
        for one, two in pairs:
            assert len(one) == len(two) == len(sizes)
            for a, b in zip(one, two, strict=True):
                np.testing.assert_allclose(a, b.numpy(), **TOLERANCE[np.float64])


def test_what_each_part_becomes(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.ModuleDict(
        {
            "cell": torch.nn.GRUCell(I, H),
            "peephole": nn.LSTMCell(I, H, peephole=True),
            "loop": bidirectional.OneWay("lstm_1997", I, H),
            "both": nn.Bidirectional.of("rnn", I, H),
            "norm": torch.nn.BatchNorm1d(H),
            "attention": nn.AdditiveAttention(H, 5, 6),
            "scaled": torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(I, O)),
            "none": torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Dropout(0.5)),
        }
    )
    model["own"] = Classifier().embedding
    model.register_buffer("mean", torch.arange(3.0))
    models.save(tmp_path / "model", model)
    net = models.load(tmp_path / "model")
    assert list(net) == ["mean", "cell", "peephole", "loop", "both", "norm", "attention", "scaled", "own"]
    assert type(net["cell"]) is gru.Params and type(net["peephole"]) is lstm_peephole.Params
    assert type(net["loop"]).__module__ == "rnnlit.lstm_1997"
    assert {*net["both"]} == {"forward_layer", "reverse_layer"}
    assert type(net["both"]["forward_layer"].rows[0]) is rnn.Params
    assert net["norm"]["num_batches_tracked"].dtype == np.int64
    np.testing.assert_array_equal(net["scaled"].weight, model["scaled"].weight.detach())
    np.testing.assert_array_equal(net["mean"], [0, 1, 2])
    flat = models.state_dict(net)
    state = {name: value for name, value in model.state_dict().items() if "parametrizations" not in name}
    assert flat.keys() - state.keys() == {"scaled.weight"} and len(state) > 30
    for name, tensor in state.items():
        np.testing.assert_array_equal(flat[name], tensor.numpy(), err_msg=name)


def test_nothing_is_shared_and_wrappers_are_seen_through(tmp_path):
    layer = torch.nn.LSTM(I, H)
    net = models.to_numpy(layer)
    net.rows[0].weight_hh[:] = 7
    assert not (layer.weight_hh_l0 == 7).any()
    compiled = torch.compile(torch.nn.Sequential(layer), backend="eager")
    assert list(models.to_numpy(compiled)) == ["0"]
    np.testing.assert_array_equal(
        models.to_numpy(compiled)["0"].rows[0].weight_hh, layer.weight_hh_l0.detach().numpy()
    )

    class Longer(torch.nn.Linear):
        def __init__(self):
            super().__init__(I, O)
            self.scale = torch.nn.Parameter(torch.ones(O))

    assert {*models.to_numpy(torch.nn.Sequential(Longer()))["0"]} == {
        "weight",
        "bias",
        "scale",
    }  # no plain map


@pytest.mark.parametrize(
    "model, error, message",
    [
        ({"a": 1}, TypeError, "model: expected a torch.nn.Module, or what to_numpy makes, got int"),
        (3, TypeError, "model: expected a torch.nn.Module, or what to_numpy makes, got int"),
        (torch.nn.ReLU(), ValueError, "model: expected one with parameters, got .*ReLU without any"),
        (
            torch.nn.Sequential(nn.LSTM(I, H, layer_norm=True)),
            ValueError,
            "model.0: source: expected a layer without layer_norm",
        ),
        (
            torch.nn.ModuleDict({"a": torch.nn.ModuleDict({"b": nn.GRU(I, H, zoneout=0.5)})}),
            ValueError,
            "model.a.b: source: expected a layer without zoneout",
        ),
        (torch.nn.LSTM(I, H, proj_size=2), ValueError, "model: source: .* without proj_size"),
        (torch.nn.Linear(I, H).half(), TypeError, "model: weight: expected float32 .*, got torch.float16"),
        ({"a": np.zeros(3, complex)}, TypeError, "model: a: expected float32 or .*, got complex128"),
    ],
)
def test_what_cannot_go_is_refused_and_named(tmp_path, model, error, message):
    with pytest.raises(error, match=message):
        models.save(tmp_path / "model", model)
    assert not os.listdir(tmp_path)


def test_to_numpy_wants_a_module():
    with pytest.raises(TypeError, match=r"model: expected a torch\.nn\.Module, got dict"):
        models.to_numpy({})


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError, match="path: expected a file, found none"):
        models.load(path)
    weights.save(path, lstm.init(I, H, rng=np.random.default_rng(0)))
    with pytest.raises(ValueError, match=r"expected a file that models\.save\(\) wrote, got one without"):
        models.load(path)
    models.save(path, torch.nn.Sequential(torch.nn.GRU(I, H), torch.nn.Linear(H, O)))
    arrays, header = safetensors.numpy.load_file(path), weights.metadata(path)
    with pytest.raises(ValueError, match="expected cell = 'lstm', got None"):
        weights.load(path, lstm.Params)
    tree = json.loads(header["model"])

    def forged(change=lambda tree: None, **others):
        one = json.loads(json.dumps(tree))
        change(one)
        content = {name: a for name, a in (arrays | others).items() if a is not None}
        safetensors.numpy.save_file(content, path, metadata=header | {"model": json.dumps(one)})
        return models.load(path)

    assert type(forged()["0"].rows[0]) is gru.Params  # the forgery itself is sound
    for change, others, message in (
        (lambda t: None, {"0.bias_hh_l0": None}, "expected an array '0.bias_hh_l0', got 0.bias_ih_l0"),
        (
            lambda t: None,
            {"2.weight": arrays["1.weight"]},
            "expected no arrays but the model's, got 2.weight",
        ),
        (lambda t: None, {"1.bias": arrays["1.bias"][1:]}, r"bias: expected shape \(6,\), got \(5,\)"),
        (lambda t: t["parts"]["0"]["recurrent"].update(gates="z r n"), {}, "its order of gates"),
        (lambda t: t["parts"]["0"]["recurrent"].update(cell="os"), {}, "expected a cell and its order"),
        (lambda t: t["parts"]["0"]["recurrent"].update(rows=2), {}, "expected an array '0.weight_ih_l1'"),
        (lambda t: t["parts"].update(x=[1]), {}, "expected a cell and its order"),
        (lambda t: t.update(parts=3), {}, "file'.*"),
    ):
        with pytest.raises(ValueError, match=message):
            forged(change, **others)


def test_a_state_dict_out_of_a_file_goes_back_to_torch(tmp_path):
    """And what came from weights.from_torch is saved as well as a module is."""
    model = torch.nn.Sequential(nn.LSTM(I, H, peephole=True), torch.nn.Linear(H, O))
    tree = {"cell": weights.from_torch(model[0]), "head": models.to_numpy(model[1])}
    models.save(tmp_path / "model", tree)
    net = models.load(tmp_path / "model")
    assert type(net["cell"]) is lstm_peephole.Params and type(net["head"]) is layers.Params
    other = torch.nn.Sequential(nn.LSTM(I, H, peephole=True), torch.nn.Linear(H, O))
    arrays = models.state_dict(models.to_numpy(model))
    other.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
