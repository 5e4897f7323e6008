"""The adding problem with an easy part and without one: must both flags come long before the answer?

    python benchmarks/adding_early.py          writes rnnlit/pages/records/adding_early.json (about 5 minutes)
    python benchmarks/adding_early.py --seeds 1   a quick look

LSTMs of 16 units, trained as in benchmarks/adding.py, on sequences of 100 steps. In "anywhere" the second
flag comes in the second half, often near the end, as the task is posed there. In "first half" both flags
come in the first 50 steps, one in each quarter, and 50 steps of noise follow, as in the experiment of 1997.
Recorded for each seed: the training loss averaged over every 50 steps, and the mean squared error on 2560
fresh sequences.
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

from rnnlit import lstm
from rnnlit.pages import records
from rnnlit.tasks.data import adding
from rnnlit.tasks.reader import Reader, make_step
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit

RESULT = records.HERE / "adding_early.json"
LENGTH = 100


def anywhere(B, rng):
    return adding(LENGTH, B, rng)


def first_half(B, rng):
    """The same task over half the length, and then as many steps of noise without a flag."""
    x, y = adding(LENGTH // 2, B, rng)
    noise = np.zeros_like(x)
    noise[:, :, 0] = rng.random(noise.shape[:2], noise.dtype)
    return np.concatenate([x, noise]), y


SETTINGS = [
    dict(name="anywhere, b_f = 1", draw=anywhere, init={"forget_bias": 1.0}),
    dict(name="first half, b_f = 1", draw=first_half, init={"forget_bias": 1.0}),
    dict(name="first half, chrono", draw=first_half, init={"chrono": LENGTH}),
]


def train(draw, init, steps, seed):
    """One training: the loss curve, and the error on fresh sequences."""
    reader = Reader(lstm, 2, HIDDEN, 1, rng=np.random.default_rng(seed), **init)
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each setting (5)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training (1500)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    for setting in SETTINGS:
        for seed in range(arguments.seeds):
            curve, error = train(setting["draw"], setting["init"], arguments.steps, seed)
            rows.append(dict(name=setting["name"], seed=seed, test=round(error, 5)))
            rows[-1]["loss"] = np.round(curve, 5).tolist()
            print(f"{setting['name']:20} seed {seed}   test MSE {error:.5f}", flush=True)
    record = dict(
        command="python benchmarks/adding_early.py",
        T=LENGTH,
        steps=arguments.steps,
        every=EVERY,
        rows=rows,
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
