"""The three networks of the figure: their arithmetic against torch, their weights and their record."""

import base64
import gzip
import json
import math

import numpy as np
import pytest
import torch

from rnnlit.pages import connectivity, connectivity_torch
from rnnlit.pages.connectivity import ALPHABET, CELLS, SCRIPT, Model
from rnnlit.tools import layers
from tests.site.conftest import ROOT
from tests.tolerances import TOLERANCE

SIZES = {"rnn": 7, "lstm": 5, "gru": 6}
TEXTS = (("do (you {see", "}"), ("she was in no hum", "o"), ("it", " "), ("", "t"))


def drawn(kind: str) -> Model:
    """A network with random weights, large enough that its gates are not all half open."""
    rng, K, module = np.random.default_rng(0), len(ALPHABET), CELLS[kind]
    cell = module.init(K, SIZES[kind], rng=rng, dtype=np.float64)
    cell = module.Params(*(rng.normal(0, 0.8, array.shape) for array in cell))
    return Model(kind, cell, layers.init(SIZES[kind], K, rng=rng, dtype=np.float64))


def by_autograd(model: Model, text: str, asked: str) -> tuple[np.ndarray, np.ndarray]:
    """What `connection` returns, by torch's layers and torch's gradient."""
    K, H = len(ALPHABET), model.cell.weight_hh.shape[1]
    layer = connectivity_torch.LAYERS[model.kind](K, H).double()
    with torch.no_grad():
        for name, array in model.cell._asdict().items():
            getattr(layer, f"{name}_l0").copy_(torch.as_tensor(array))
    x = torch.eye(K, dtype=torch.float64)[[ALPHABET.index(mark) for mark in " " + text]].requires_grad_()
    h = layer(x)[0][-1]
    logits = torch.as_tensor(model.head.weight) @ h + torch.as_tensor(model.head.bias)
    logs = logits.log_softmax(0)
    logs[ALPHABET.index(asked)].backward()
    return logs.exp().detach().numpy(), x.grad.norm(dim=1).numpy()


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("text", "asked"), TEXTS)
def test_connection_is_the_norm_that_torch_finds(kind, text, asked):
    model = drawn(kind)
    (p, norms), (p_torch, norms_torch) = (
        f(model, text, asked) for f in (connectivity.connection, by_autograd)
    )
    assert p.shape == (len(ALPHABET),) and norms.shape == (len(text) + 1,)
    np.testing.assert_allclose(p, p_torch, **TOLERANCE[np.float64])
    np.testing.assert_allclose(norms, norms_torch, **TOLERANCE[np.float64])


@pytest.mark.parametrize(
    ("text", "asked", "message"),
    [
        ("it's", "c", 'text: expected characters of .*, got "\'"'),
        ("ab", "cd", "asked: expected one letter, got 'cd'"),
        ("ab", "", "asked: expected one letter, got ''"),
        ("ab", "?", r"text: expected characters of .*, got '\?'"),
    ],
)
def test_other_characters_are_refused(text, asked, message):
    with pytest.raises(ValueError, match=message):
        connectivity.connection(drawn("gru"), text, asked)


def test_letters_leaves_words_and_spaces():
    assert connectivity.letters('He: "No_w_!" (1)\n  it\'s') == "he no w its"
    train, validation, test = connectivity.texts()
    assert 20 * len(test) > len(train) > 7 * len(validation) > 7 * 50_000 and train.max() == 26


def test_quantised_is_off_by_half_a_unit_at_most():
    array = np.random.default_rng(0).standard_normal((5, 7))
    numbers, unit = connectivity.quantised(array)
    assert numbers.dtype == np.int8 and np.abs(numbers).max() == 127
    assert np.abs(array - numbers * np.float64(unit)).max() <= unit * 0.5001
    assert not connectivity.quantised(np.zeros((2, 3)))[0].any()


# ---------------------------------------------------------------- what is stored


def test_the_browser_has_the_package_s_weights():
    """Byte for byte; and read again from it, each array is the one that the package computes with."""
    text = (ROOT / SCRIPT).read_text(encoding="utf-8")
    assert text == connectivity.script(), "python -m rnnlit.pages.connectivity writes it anew"
    data = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert data["alphabet"] == ALPHABET and list(data["models"]) == list(CELLS)
    for kind, model in connectivity.models().items():
        arrays = data["models"][kind]["arrays"]
        for name, array in {**model.cell._asdict(), **model.head._asdict()}.items():
            numbers = np.frombuffer(base64.b64decode(arrays[name]["int8"]), np.int8)
            np.testing.assert_array_equal(
                numbers.reshape(arrays[name]["shape"]) * arrays[name]["unit"], array
            )


def test_the_weights_are_small():
    assert len(gzip.compress((ROOT / SCRIPT).read_bytes())) <= 60 * 1024


def test_the_networks_predict_as_well_as_their_record_says():
    """By torch: bits of every letter; of the brackets that close, the share whose kind is the likeliest."""
    told = connectivity.record()
    batch = connectivity_torch.questions(connectivity.texts()[2], told["window"])
    for kind, model in connectivity.models().items():
        facts = told["networks"][kind]
        layer = connectivity_torch.LAYERS[kind](len(ALPHABET), facts["hidden"])
        with torch.no_grad():
            for name, array in model.cell._asdict().items():
                getattr(layer, f"{name}_l0").copy_(torch.as_tensor(array))
            h, _ = layer(torch.eye(len(ALPHABET))[batch.x[:-1]])
            logits = (
                h @ torch.as_tensor(model.head.weight).float().T + torch.as_tensor(model.head.bias).float()
            )
        y = torch.as_tensor(batch.x[1:])
        bits = float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())) / math.log(2)
        assert abs(bits - facts["bits"]) < 0.001, kind
        far = (y >= 30) & (torch.as_tensor(batch.distance[:-1]) > 40)
        right = (logits[..., 30:].argmax(-1) + 30 == y)[far].float().mean()
        assert abs(float(right) - facts["closing"][-1]) < 0.01 and far.sum() > 100, kind
        assert facts["weights"] == sum(array.size for array in (*model.cell, *model.head))
        assert abs(facts["bits"] - facts["before_rounding"]) < 0.01


def test_a_small_run_learns_and_is_the_same_again(tmp_path, capsys):
    options = ["--characters", "3000", "--steps", "40", "--every", "20", "--hidden", "6"]
    options += ["--batch", "5", "--window", "12", "--lr", "0.03"]
    stored = []
    for number in range(2):
        path = tmp_path / f"{number}.npz"
        told = connectivity_torch.main([*options, "--output", str(path)])["networks"]
        assert list(told) == list(CELLS)
        for kind, facts in told.items():
            assert facts["rows"][-1] < facts["rows"][0] and facts["hidden"] == 6, kind
            assert facts["bits"] < math.log2(len(ALPHABET)), "worse than to know nothing"
        stored.append(connectivity.models(path))
    for kind in CELLS:
        for one, other in zip(stored[0][kind].cell, stored[1][kind].cell, strict=True):
            np.testing.assert_array_equal(one, other)
    assert "bits   gru, step 40" in capsys.readouterr().out
    assert connectivity.record(path)["steps"] == 40
