"""The adding problem over several seeds: plain network, LSTM and both forms of the GRU.

    python benchmarks/gru_adding.py          writes rnnlit/pages/records/gru_adding.json (some minutes)
    python benchmarks/gru_adding.py --seeds 1   a quick look

Every net reads 60 steps and is trained as in benchmarks/adding.py. Recorded for each seed: the training loss
averaged over every 50 steps, the mean squared error on 2560 fresh sequences, and the number of parameters.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
from functools import partial
from types import SimpleNamespace

# One thread, set before NumPy is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
from adding import EVERY, HIDDEN, train

from rnnlit import gru, lstm, rnn
from rnnlit.pages import records
from rnnlit.tools.machine import describe

RESULT = records.HERE / "gru_adding.json"
LENGTH = 60
BEFORE = SimpleNamespace(
    init=gru.init, forward=partial(gru.forward, reset_after=False), backward=gru.backward
)
CELLS = {"plain network": rnn, "LSTM": lstm, "GRU": gru, "GRU, reset before": BEFORE}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each cell (5)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training (1500)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    for name, cell in CELLS.items():
        for seed in range(arguments.seeds):
            curve, error = train(cell, LENGTH, {}, arguments.steps, seed)
            size = sum(a.size for a in cell.init(2, HIDDEN, rng=np.random.default_rng(0)))
            print(f"{name:18} seed {seed}   test MSE {error:.5f}", flush=True)
            rows.append(
                dict(name=name, seed=seed, parameters=size, test=round(error, 5))
                | dict(loss=np.round(curve, 5).tolist())
            )
    record = dict(
        command="python benchmarks/gru_adding.py",
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
