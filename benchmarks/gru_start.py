"""The GRU's update gate at the start: does it matter where z begins, and when?

    python benchmarks/gru_start.py          writes rnnlit/pages/records/gru_start.json (about 10 minutes)
    python benchmarks/gru_start.py --seeds 1   a quick look

GRUs of 16 units on the adding problem over 100 steps, trained as in benchmarks/adding.py. In "anywhere" the
second flag comes in the second half, often near the end. In "first half" both flags come in the first 50
steps, one in each quarter, and 50 steps of noise follow. The biases of the update gate start at 0, or at log
u with u uniform between 1 and T - 1 for each unit, as Tallec & Ollivier (2018) advise for forget gates
("chrono"). Recorded for each seed: the training loss averaged over every 50 steps, and the mean squared
error on 2560 fresh sequences. Beside it, for "first half", a GRU with b_z = 0 and an LSTM with a forget bias
of 1 after 200 steps, when neither has found the flags: the training loss of the last 50 steps; mean and
largest unit of the gate that keeps (z, or f), and the LSTM's output gate, at first and then; and how much of
a gradient of length 1 at the last state is left 60 steps earlier (probes.gradient_over_lag).
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
from adding import BATCH, EVERY, FRESH, HIDDEN
from adding_early import LENGTH, anywhere, first_half

from rnnlit import gru, lstm
from rnnlit.pages import records
from rnnlit.tasks.reader import Reader, make_step
from rnnlit.tools import probes
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit

RESULT = records.HERE / "gru_start.json"


def zero(rng):
    return 0.0


def chrono(rng):
    return np.log(rng.uniform(1, LENGTH - 1, HIDDEN))


SETTINGS = [
    dict(name="anywhere, b_z = 0", draw=anywhere, bias=zero),
    dict(name="first half, b_z = 0", draw=first_half, bias=zero),
    dict(name="first half, chrono", draw=first_half, bias=chrono),
]


def train(draw, bias, steps, seed):
    """One training: the loss curve, and the error on fresh sequences."""
    rng = np.random.default_rng(seed)
    reader = Reader(gru, 2, HIDDEN, 1, rng=rng, update_bias=bias(rng))
    history = fit(
        make_step(reader, Adam(reader.params, lr=1e-2)),
        lambda rng: draw(BATCH, rng),
        steps=steps,
        every=EVERY,
        rng=np.random.default_rng((seed, 1)),
        progress=False,
    )
    x, y = draw(FRESH, np.random.default_rng(10**6))
    return history["loss"], float(((reader(x) - y) ** 2).mean())


def gates(cell, params):
    """What the gates do on noise with flags in its first half, and how far a gradient gets."""
    x, _ = first_half(64, np.random.default_rng(5))
    run = cell.forward(params, x)
    keep, shown = run.gates[:, :, HIDDEN : 2 * HIDDEN], run.gates[:, :, 3 * HIDDEN :]
    v = np.random.default_rng(1).standard_normal((64, HIDDEN)).astype(x.dtype)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    row = dict(keep=keep.mean(), largest=keep.mean(axis=(0, 1)).max())
    row["left"] = probes.gradient_over_lag(cell, params, x, v, [60])[0]
    if shown.size:
        row["shown"] = shown.mean()
    return {key: float(f"{value:.3g}") for key, value in row.items()}


def early(cell, seed):
    """The gates before training and after 200 steps of it."""
    reader = Reader(cell, 2, HIDDEN, 1, rng=np.random.default_rng(seed))
    before = gates(cell, reader.params.cell)
    history = fit(
        make_step(reader, Adam(reader.params, lr=1e-2)),
        lambda rng: first_half(BATCH, rng),
        steps=200,
        every=EVERY,
        rng=np.random.default_rng((seed, 1)),
        progress=False,
    )
    after = gates(cell, reader.params.cell)
    return dict(seed=seed, loss=round(history["loss"][-1], 4), before=before, after=after)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each setting (5)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training (1500)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        for setting in SETTINGS:
            curve, error = train(setting["draw"], setting["bias"], arguments.steps, seed)
            rows.append(dict(name=setting["name"], seed=seed, test=round(error, 5)))
            rows[-1]["loss"] = np.round(curve, 5).tolist()
            print(f"{setting['name']:20} seed {seed}   test MSE {error:.5f}", flush=True)
    first = [
        dict(cell=name, **early(cell, seed))
        for name, cell in (("GRU", gru), ("LSTM", lstm))
        for seed in range(arguments.seeds)
    ]
    record = dict(
        command="python benchmarks/gru_start.py",
        T=LENGTH,
        steps=arguments.steps,
        every=EVERY,
        rows=rows,
        early=first,
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
