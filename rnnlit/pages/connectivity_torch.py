"""Train the three networks of `connectivity`: the next letter of a novel with brackets in it.

    python -m rnnlit.pages.connectivity_torch            writes rnnlit/pages/weights/connectivity.npz
    python -m rnnlit.pages.connectivity_torch --kinds gru --output gru.npz               one of them
    python -m rnnlit.pages.connectivity_torch --gather rnn.npz lstm.npz gru.npz          what such runs gave
    python -m rnnlit.pages.connectivity                                        then writes the browser's file

A plain network, an LSTM and a GRU, one layer each, with about as many weights as each other. Each update
reads B fresh sequences of T letters. The loss has two terms: the cross-entropy of every next letter; and
where a bracket closes, that of its kind, among the three that close. (Without the second, at B = 32,
often = 0.2 and a rate of 0.015, an LSTM knew nothing of the brackets after 2500 updates: 0.33 to 0.39
right.) Adam, the gradient's norm clipped at 1, the learning rate falling as a cosine. The plain network's
recurrent weights begin orthogonal, the LSTM's forget gate with a bias of 1. Recorded of each, after its
weights were rounded to 8 bits, over 400 sequences of the test chapters:

    bits      the mean of -log2 p(letter | those before it)
    closing   the share of closing brackets whose kind is the likeliest of the three, by how many steps ago
              the bracket was opened: 1 to 5, 6 to 10, 11 to 20, 21 to 40, 41 and more
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from rnnlit.pages import connectivity
from rnnlit.pages.connectivity import ALPHABET, CELLS, Model
from rnnlit.tasks import closing
from rnnlit.tasks.characters import one_hot
from rnnlit.tools import layers
from rnnlit.tools.machine import describe
from rnnlit.tools.modules import from_torch

LAYERS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
HIDDEN = {"rnn": 100, "lstm": 48, "gru": 56}  # some 18 000 weights each
EDGES = (1, 6, 11, 21, 41)  # of the distances, in steps
RATES = {"rnn": 0.006, "lstm": 0.02, "gru": 0.02}


def build(kind: str, hidden: int) -> tuple[torch.nn.Module, torch.nn.Linear]:
    """A layer as torch draws it, but for the two starts that help; and the map to the logits."""
    layer, head = LAYERS[kind](len(ALPHABET), hidden), torch.nn.Linear(hidden, len(ALPHABET))
    with torch.no_grad():
        if kind == "rnn":
            torch.nn.init.orthogonal_(layer.weight_hh_l0)
        if kind == "lstm":
            layer.bias_ih_l0[hidden : 2 * hidden] = 1
            layer.bias_hh_l0[hidden : 2 * hidden] = 0
    return layer, head


def train(kind: str, text: np.ndarray, options: argparse.Namespace) -> tuple[Model, list[float]]:
    """A trained network, and the bits of every `options.every` steps."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    layer, head = build(kind, options.hidden or HIDDEN[kind])
    parameters, eye = [*layer.parameters(), *head.parameters()], torch.eye(len(ALPHABET))
    first = options.lr or RATES[kind]
    adam = torch.optim.Adam(parameters, lr=first)
    rows, bits = [], []
    for step in range(options.steps):
        for group in adam.param_groups:
            group["lr"] = first * (0.01 + 0.99 * (1 + math.cos(math.pi * step / options.steps)) / 2)
        batch = closing.draw(text, options.batch, rng, options.window + 1)
        x, kind_of = torch.as_tensor(batch.x), torch.as_tensor(batch.target[:-1])
        logits = head(layer(eye[x[:-1]])[0])  # (T, B, K)
        loss = cross_entropy(logits.flatten(0, 1), x[1:].flatten())
        closes = kind_of != closing.NOTHING
        kinds = cross_entropy(logits[closes][:, -closing.K :], kind_of[closes])
        adam.zero_grad()
        (loss + kinds).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()
        bits.append(loss.item() / math.log(2))
        if (step + 1) % options.every == 0:
            rows.append(round(float(np.mean(bits[-options.every :])), 3))
            print(f"{rows[-1]:.3f} bits   {kind}, step {step + 1}", flush=True)
    return Model(kind, from_torch(layer), as_affine(head)), rows


def as_affine(head: torch.nn.Linear) -> layers.Params:
    """The map to the logits in NumPy."""
    return layers.Params(*(array.detach().numpy().copy() for array in (head.weight, head.bias)))


def questions(text: np.ndarray, window: int) -> closing.Batch:
    """400 sequences of T + 1 letters, always the same ones of a text."""
    return closing.draw(text, 400, np.random.default_rng(7), window + 1)


def scores(model: Model, batch: closing.Batch) -> dict[str, Any]:
    """Bits a letter, and the share of brackets that close rightly, by distance."""
    x = one_hot(batch.x[:-1], len(ALPHABET)).astype(model.head.weight.dtype)
    logits = layers.affine(model.head, CELLS[model.kind].forward(model.cell, x).h)  # (T, B, K)
    loss, _ = layers.softmax_cross_entropy(logits, batch.x[1:])
    last = np.argmax(logits[..., -closing.K :], axis=2)  # of the three that close
    asked = closing.Batch(batch.x[:-1], batch.target[:-1], batch.distance[:-1])
    return {
        "bits": round(loss / math.log(2), 3),
        "closing": closing.accuracy(last, asked, EDGES).round(3).tolist(),
    }


def parser() -> argparse.ArgumentParser:
    """The options of a run."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--kinds", nargs="+", choices=LAYERS, default=[*LAYERS], help="which networks (all)")
    made.add_argument("--hidden", type=int, help="units of each; 100, 48 and 56 if not given")
    made.add_argument("--steps", type=int, default=1500, help="updates (1500)")
    made.add_argument("--batch", type=int, default=32, help="sequences of an update (32)")
    made.add_argument("--window", type=int, default=100, help="letters of a sequence (100)")
    made.add_argument("--lr", type=float, help="first learning rate; 0.006, 0.02 and 0.02 if not given")
    made.add_argument("--every", type=int, default=250, help="steps between two lines (250)")
    made.add_argument("--seed", type=int, default=0, help="seed of the weights (0)")
    made.add_argument("--characters", type=int, help="take so many letters of each part alone")
    made.add_argument(
        "--gather", nargs="+", type=Path, metavar="FILE", help="put runs together, train nothing"
    )
    made.add_argument("--output", type=Path, help="where the weights go; into the package if not given")
    return made


def gathered(paths: Sequence[Path]) -> tuple[dict[str, Model], dict[str, Any]]:
    """The networks of several files of `save`, and the record of the first with all of them in it."""
    networks: dict[str, Model] = {}
    told = [connectivity.record(path) for path in paths]
    for path in paths:
        networks |= connectivity.models(path)
    facts = {kind: facts for record in told for kind, facts in record["networks"].items()}
    return networks, told[0] | {"networks": {kind: facts[kind] for kind in LAYERS if kind in facts}}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, round to 8 bits, score, store; the record of it."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)
    output = options.output or Path(str(files("rnnlit"))).joinpath(*connectivity.WEIGHTS.parts)
    if options.gather:
        together, record = gathered(options.gather)
        connectivity.save(output, together, record)
        return record
    text, *unseen = (part[: options.characters] for part in connectivity.texts())
    validation, test = (questions(part, options.window) for part in unseen)
    networks: dict[str, Model] = {}
    told: dict[str, Any] = {}
    for kind in options.kinds:
        begin = time.perf_counter()
        model, rows = train(kind, text, options)
        networks[kind] = connectivity.rounded(model)
        told[kind] = {
            "hidden": model.cell.weight_hh.shape[1],
            "weights": sum(array.size for array in (*model.cell, *model.head)),
            "lr": options.lr or RATES[kind],
            "seconds": round(time.perf_counter() - begin),
            "rows": rows,
            "validation": scores(networks[kind], validation)["bits"],
            "before_rounding": scores(model, test)["bits"],
            **scores(networks[kind], test),
        }
        print(told[kind], flush=True)
    kept = ("steps", "batch", "window", "every", "seed", "characters")
    record = {
        "command": "python -m rnnlit.pages.connectivity_torch",
        **{name: getattr(options, name) for name in kept},
        "networks": told,
        "machine": describe(),
    }
    connectivity.save(output, networks, record)
    return record


if __name__ == "__main__":
    main()
