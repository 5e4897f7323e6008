"""The adding problem over several seeds: plain network against LSTM, and what the forget bias does.

    python benchmarks/adding.py          writes pages/records/adding.json (about 10 minutes on one core)
    python benchmarks/adding.py --seeds 1   a quick look

Every net has 16 units and is trained by Adam (learning rate 0.01, gradient norm clipped at 1) on
fresh batches of 50 sequences. Recorded for each seed: the training loss averaged over every 50
steps, and the mean squared error on 2560 fresh sequences.
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

from rnnlit import lstm, rnn
from rnnlit.pages import records
from rnnlit.tasks.data import adding
from rnnlit.tasks.reader import Reader, make_step
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit

RESULT = records.HERE / "adding.json"
HIDDEN, BATCH, EVERY, FRESH = 16, 50, 50, 2560
COMPARISON = [
    dict(name="plain network", cell=rnn, T=60, init={}),
    dict(name="LSTM", cell=lstm, T=60, init={"forget_bias": 1.0}),
]
FORGET_BIAS = [
    dict(name=f"b_f = {bias:g}", cell=lstm, T=100, init={"forget_bias": bias})
    for bias in (-2.0, 0.0, 1.0, 3.0)
] + [dict(name="chrono", cell=lstm, T=100, init={"chrono": 100})]


def train(cell, T, init, steps, seed):
    """One training: the loss curve, and the error on fresh sequences."""
    rng = np.random.default_rng(seed)
    reader = Reader(cell, 2, HIDDEN, 1, rng=rng, **init)
    optimiser = Adam(reader.params, lr=1e-2)
    history = fit(
        make_step(reader, optimiser),
        lambda rng: adding(T, BATCH, rng),
        steps=steps,
        every=EVERY,
        rng=rng,
        progress=False,
    )
    x, y = adding(T, FRESH, np.random.default_rng(10**6))
    return history["loss"], float(((reader(x) - y) ** 2).mean())


def study(settings, steps, seeds):
    rows = []
    for setting in settings:
        for seed in range(seeds):
            curve, error = train(setting["cell"], setting["T"], setting["init"], steps, seed)
            rows.append(
                dict(
                    name=setting["name"],
                    T=setting["T"],
                    seed=seed,
                    test=round(error, 5),
                    loss=np.round(curve, 5).tolist(),
                )
            )
            print(f"{setting['name']:14} T={setting['T']:4} seed {seed}   test MSE {error:.5f}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each setting (5)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training (1500)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    record = dict(
        command="python benchmarks/adding.py",
        steps=arguments.steps,
        every=EVERY,
        comparison=study(COMPARISON, arguments.steps, arguments.seeds),
        forget_bias=study(FORGET_BIAS, arguments.steps, arguments.seeds),
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
