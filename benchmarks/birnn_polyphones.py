"""Chinese characters with several readings: one direction, the other, both, and tables that count.

    python benchmarks/birnn_polyphones.py            writes pages/records/birnn_polyphones.json (minutes)
    python benchmarks/birnn_polyphones.py --seeds 1  a quick look

A GRU reads a phrase of the dictionary, and at each character with several readings it names one of them.
Each seed holds out another fifth of the phrases; from the rest, every phrase is taken out that lies within a
held-out one or around it. The settings were chosen with seed 0, which is not among those that are measured.

Recorded for each seed and reader: the share of the asked characters that are read right; the same at the
first character of a phrase, at its last and between; the same where the right reading is the character's most
frequent one in training, and where it is not. At the end the same without strictness: only equal phrases are
kept apart. Of the first split, some phrases are recorded with the readings that two of the readers named.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib

# One thread, set before NumPy is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
import torch

from rnnlit import nn
from rnnlit.pages import records
from rnnlit.tasks import polyphones, tagger_torch
from rnnlit.tools import train, train_torch
from rnnlit.tools.machine import describe

RESULT = records.HERE / "birnn_polyphones.json"
EMBEDDING, DROPOUT, RATE, BATCH = 64, 0.4, 3e-3, 128
TABLES = {
    "most frequent reading": {},
    "table, left neighbour": dict(left=True),
    "table, right neighbour": dict(right=True),
    "table, both neighbours": dict(left=True, right=True),
}
READERS = {  # hidden units, both directions, turn the phrases round
    "left to right": (64, False, False),
    "left to right, 100 units": (100, False, False),
    "right to left": (64, False, True),
    "both directions": (64, True, False),
}


def turned(batch: polyphones.Batch) -> polyphones.Batch:
    """Each phrase from its own end to its beginning."""
    t = np.arange(len(batch.x))[:, None]
    index = np.where(t < batch.lengths, batch.lengths - 1 - t, t)
    return batch._replace(**{k: np.take_along_axis(getattr(batch, k), index, 0) for k in ("x", "y")})


def read(
    table: polyphones.Polyphones,
    units: int,
    both: bool,
    learn: polyphones.Batch,
    test: polyphones.Batch,
    steps: int,
    seed: int,
) -> tuple[np.ndarray, int]:
    """Train a reader; return the class that it names at every step (T, B), and its number of parameters."""
    torch.manual_seed(seed)
    layer = nn.GRU(EMBEDDING, units, bidirectional=both)
    options = dict(dropout=DROPOUT, candidates=polyphones.candidates(table))
    model = tagger_torch.Tagger(layer, len(table.characters), len(table.classes), **options)
    step = train_torch.make_step(model, torch.optim.Adam(model.parameters(), lr=RATE), tagger_torch.loss)
    rng = np.random.default_rng(seed)
    train.fit(step, lambda rng: polyphones.draw(learn, BATCH, rng), steps=steps, rng=rng, progress=False)
    return tagger_torch.predict(model, test).numpy(), sum(p.numel() for p in layer.parameters())


def scores(named: np.ndarray, usual: np.ndarray, test: polyphones.Batch) -> dict[str, float]:
    """Shares read right: of all, by place in the phrase, and by whether the reading is the usual one."""
    asked = test.y != polyphones.UNASKED
    right = named == test.y
    t = np.arange(len(test.x))[:, None]
    first, last = np.broadcast_to(t == 0, asked.shape), t == test.lengths - 1
    parts = {
        "accuracy": asked,
        "first": asked & first,
        "between": asked & ~first & ~last,
        "last": asked & last,
        "usual": asked & (usual == test.y),
        "unusual": asked & (usual != test.y),
    }
    return {name: round(float(right[part].mean()), 4) for name, part in parts.items()}


def examples(
    table: polyphones.Polyphones, test: polyphones.Batch, named: dict[str, np.ndarray], count: int = 12
) -> dict[str, list[dict]]:
    """The first phrases of the test set in which only the reader of both directions is right, and so on."""
    asked = test.y != polyphones.UNASKED
    left, both = (named[name] == test.y for name in ("left to right", "both directions"))
    kinds = {"only both": both & ~left, "only left to right": left & ~both, "neither": ~left & ~both}
    found = {}
    for kind, where in kinds.items():
        rows = []
        for b, t in np.argwhere((asked & where).T)[:count]:
            phrase = "".join(table.characters[k] for k in test.x[: test.lengths[b], b])
            answers = {name: table.classes[answer[t, b]][1] for name, answer in named.items()}
            right = table.classes[test.y[t, b]]
            rows.append(dict(phrase=phrase, character=right[0], right=right[1]) | answers)
        found[kind] = rows
    return found


def measure(
    table: polyphones.Polyphones, seed: int, steps: int, strict: bool
) -> tuple[list[dict], dict[str, list[dict]]]:
    rng = np.random.default_rng(seed)
    learn, test = (
        polyphones.encode(table, k) for k in polyphones.split(table.phrases, 0.2, rng, strict=strict)
    )
    asked = test.y != polyphones.UNASKED
    named, rows = {}, []
    for name, sides in TABLES.items():
        named[name] = np.full_like(test.y, polyphones.UNASKED - 1), 0
        named[name][0][asked] = polyphones.Lookup(learn, **sides)(test.x, asked)
    usual = named["most frequent reading"][0]
    for name, (units, both, turn) in READERS.items():
        sets = [turned(batch) if turn else batch for batch in (learn, test)]
        answer, count = read(table, units, both, *sets, steps, seed)
        named[name] = turned(test._replace(y=answer)).y if turn else answer, count
    for name, (answer, count) in named.items():
        row = scores(answer, usual, test)
        rows.append(dict(name=name, seed=seed, strict=strict, parameters=count) | row)
        print(f"{name:26} seed {seed} strict {strict}   {row}", flush=True)
    sizes = dict(train=len(learn.lengths), test=len(test.lengths), asked=int(asked.sum()))
    two = {name: named[name][0] for name in ("left to right", "both directions")}
    return [row | sizes for row in rows], examples(table, test, two)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="splits to measure, from 1 on (5)")
    parser.add_argument("--steps", type=int, default=1000, help="steps of training (1000)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    table = polyphones.polyphones()
    measured = [measure(table, seed, arguments.steps, True) for seed in range(1, arguments.seeds + 1)]
    measured.append(measure(table, 1, arguments.steps, strict=False))
    rows = [row for rows, _ in measured for row in rows]
    settings = dict(embedding=EMBEDDING, dropout=DROPOUT, rate=RATE, batch=BATCH, steps=arguments.steps)
    record = dict(command="python benchmarks/birnn_polyphones.py", **settings, rows=rows)
    record |= dict(examples=measured[0][1], machine=describe())
    arguments.output.parent.mkdir(exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
