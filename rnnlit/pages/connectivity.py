"""Which earlier letters does a prediction depend on? Three small networks that the page lets a reader ask.

    model = connectivity.models()["gru"]
    p, norms = connectivity.connection(model, "so (she [was considering", "]")

T steps, K letters, H hidden. A plain network, an LSTM and a GRU, each of one layer, have learned to predict
the next letter of "Pride and Prejudice" in small letters, with brackets put around words as in
`tasks.closing` (`connectivity_torch` trains them). Before a text stands a space. The connection from x_s to
the output of step t is the length of a gradient,

    || d log p(k | x_1 ... x_t) / d x_s ||_2,    x_s one-hot, k the letter that is asked about

after Madsen (2019), who takes the logit of k in place of its log-probability. The weights are stored as whole
numbers of 8 bits, the largest of each array 127 units; `script` writes the file that a browser reads.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from rnnlit import gru, lstm, rnn
from rnnlit.tasks import pride
from rnnlit.tasks.characters import one_hot
from rnnlit.tasks.closing import ALPHABET
from rnnlit.tools import layers
from rnnlit.tools.checkpoint import write_atomically

CELLS: dict[str, ModuleType] = {"rnn": rnn, "lstm": lstm, "gru": gru}
NAMES = {"rnn": "Plain RNN", "lstm": "LSTM", "gru": "GRU"}
LONGEST = 200  # letters of a reader's text
WEIGHTS = Path("pages", "weights", "connectivity.npz")  # within the package
SCRIPT = Path("book", "_static", "play", "connectivity-data.js")  # within the repository


class Model(NamedTuple):
    """One network: a cell, and the affine map from its state to the K logits."""

    kind: str  # a name in CELLS
    cell: Any  # Params of that cell, (G H, K), (G H, H), two biases
    head: layers.Params  # (K, H), (K,)


def encode(text: str) -> np.ndarray:
    """The numbers of a text's letters and brackets, (N,) int64.   ValueError: one that ALPHABET lacks."""
    strange = sorted(set(text) - set(ALPHABET))
    if strange:
        raise ValueError(f"text: expected characters of {ALPHABET!r}, got {' '.join(map(repr, strange[:9]))}")
    return np.array([ALPHABET.index(letter) for letter in text], np.int64)


def letters(text: str) -> str:
    """The words of a text in small letters, with one space between two, and nothing else."""
    return " ".join(re.findall("[a-z]+", text.lower().replace("'", "")))


def texts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The novel's chapters to train on, to validate and to test, as numbers; without brackets yet."""
    train, validation, test = (encode(letters(part)) for part in pride.parts())
    return train, validation, test


# ---------------------------------------------------------------- what the figure computes


def connection(model: Model, text: str, asked: str) -> tuple[np.ndarray, np.ndarray]:
    """What follows a text, and how far log p of the letter `asked` depends on each one before it.

    ->  p (K,), and the norms (T + 1,): of the space before the text, then of its T letters

    ValueError: no single letter is asked about, or one that ALPHABET lacks.
    """
    if len(asked) != 1:
        raise ValueError(f"asked: expected one letter, got {asked!r}")
    module = CELLS[model.kind]
    x = one_hot(encode(" " + text), len(ALPHABET)).astype(model.head.weight.dtype)[:, None]
    run = module.forward(model.cell, x)
    logits = layers.affine(model.head, run.h_n)
    _, dlogits = layers.softmax_cross_entropy(logits, encode(asked))  # of -log p
    dh_n = layers.affine_backward(model.head, run.h_n, dlogits).x
    dx = module.backward(model.cell, run, dh_n=dh_n).x
    e = np.exp(logits[0] - logits.max())
    return e / e.sum(), np.linalg.norm(dx[:, 0], axis=1)


# ---------------------------------------------------------------- weights


def models(path: Path | None = None) -> dict[str, Model]:
    """The networks in float64, as the stored whole numbers give them.   path: another file of `save`"""
    stored, told = _stored(path)
    found = {}
    for kind in told["networks"]:
        module = CELLS[kind]
        cell = module.Params(*(_floats(stored, kind, name) for name in module.Params._fields))
        head = layers.Params(*(_floats(stored, kind, name) for name in layers.Params._fields))
        found[kind] = Model(kind, cell, head)
    return found


def record(path: Path | None = None) -> dict[str, Any]:
    """How the networks were trained and how well they predict: command, machine, versions, bits."""
    return _stored(path)[1]


def save(path: Path, networks: Mapping[str, Model], told: Mapping[str, Any]) -> None:
    """Write networks as whole numbers of 8 bits, with their record `told`."""
    import io

    arrays: dict[str, np.ndarray] = {}
    for kind, model in networks.items():
        for name, array in {**model.cell._asdict(), **model.head._asdict()}.items():
            arrays[f"{kind}.{name}"], arrays[f"{kind}.{name}.unit"] = quantised(array)
    text = json.dumps(dict(told), ensure_ascii=False).encode()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, record=np.frombuffer(text, np.uint8), **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def quantised(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers q from -127 to 127 and a unit u with  array = u q  but for at most u / 2."""
    unit = np.array(max(np.abs(array).max(), 1e-12) / 127, np.float32)
    return np.clip(np.rint(array / unit), -127, 127).astype(np.int8), unit


def rounded(model: Model) -> Model:
    """A network with its weights as they are stored, in float64."""

    def there_and_back(params: Any) -> Any:
        pairs = map(quantised, params)
        return type(params)(*(numbers * np.float64(unit) for numbers, unit in pairs))

    return Model(model.kind, there_and_back(model.cell), there_and_back(model.head))


def script(path: Path | None = None) -> str:
    """The JavaScript file with the weights: for each array its shape, its unit and its numbers in base64."""
    stored, told = _stored(path)
    nets = {}
    for kind, module in CELLS.items():
        arrays = {}
        for name in (*module.Params._fields, *layers.Params._fields):
            numbers, unit = stored[f"{kind}.{name}"], float(stored[f"{kind}.{name}.unit"])
            arrays[name] = {
                "shape": numbers.shape,
                "unit": unit,
                "int8": base64.b64encode(numbers.tobytes()).decode(),
            }
        facts = told["networks"][kind]
        nets[kind] = {"name": NAMES[kind], "bits": facts["bits"], "units": facts["hidden"], "arrays": arrays}
    data = json.dumps({"alphabet": ALPHABET, "longest": LONGEST, "models": nets})
    about = "Weights of three small networks, made by `python -m rnnlit.pages.connectivity`."
    return f"// {about}\nglobalThis.rlConnectivity = {data};\n"


@cache
def _stored(path: Path | None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    source = path or files("rnnlit").joinpath(*WEIGHTS.parts)
    with source.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return arrays, json.loads(arrays.pop("record").tobytes())


def _floats(stored: dict[str, np.ndarray], kind: str, name: str) -> np.ndarray:
    return stored[f"{kind}.{name}"] * np.float64(stored[f"{kind}.{name}.unit"])


def main() -> None:
    """Write the file for the browser."""
    parser = argparse.ArgumentParser(description="Write the networks' weights as the browser reads them.")
    parser.add_argument("--output", type=Path, default=SCRIPT, help=f"where the file goes ({SCRIPT})")
    output = parser.parse_args().output
    write_atomically(output, script().encode())
    print(f"{output.stat().st_size} bytes in {output}")


if __name__ == "__main__":
    main()
