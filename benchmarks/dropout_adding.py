"""The adding problem with each kind of dropout: which kinds hurt the memory.

    python benchmarks/dropout_adding.py          writes pages/records/dropout_adding.json (some minutes)
    python benchmarks/dropout_adding.py --seeds 1   a quick look

An LSTM of 16 units reads 30 steps and is trained as in benchmarks/adding.py, with masks of p = 0.3. The data
are fresh at every step, so nothing can be overfitted: what a kind costs is what its noise does to the memory.
Recorded for each seed: the training loss averaged over every 50 steps, and the mean squared error on 2560
fresh sequences with nothing dropped.

Zaremba's and Gal's kinds also mask the input. There are two input numbers here, a value and its flag, and a
net from which they are hidden cannot add. So the masks on the input are left out, and these two kinds are
measured once more with them.
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
from adding import EVERY, FRESH, HIDDEN

from rnnlit import dropout_lstm
from rnnlit.dropout_lstm import KINDS, Dropped
from rnnlit.pages import records
from rnnlit.tasks.data import adding
from rnnlit.tasks.reader import Reader, make_step
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit

RESULT = records.HERE / "dropout_adding.json"
LENGTH, BATCH, P = 30, 50, 0.3


class OnStates(Dropped):
    """`Dropped`, without its mask on the input."""

    def forward(self, params, x, h0=None, c0=None, lengths=None):
        (T, B, I), H = x.shape, params.weight_hh.shape[1]
        if self.training:
            masks = dropout_lstm.draw(self.kind, self.p, T, B, I, H, rng=self.rng)._replace(x=None)
        else:
            masks = dropout_lstm.evaluation(self.kind, self.p, B, H)
        return dropout_lstm.forward(params, x, masks, h0, c0, lengths)


def train(adapter: type[Dropped], kind: str, steps: int, seed: int) -> tuple[np.ndarray, float]:
    """One training: the loss curve, and the error on fresh sequences without masks."""
    rng = np.random.default_rng(seed)
    cell = adapter(kind, P, np.random.default_rng([seed, 1]))
    reader = Reader(cell, 2, HIDDEN, 1, rng=rng)
    history = fit(
        make_step(reader, Adam(reader.params, lr=1e-2)),
        lambda rng: adding(LENGTH, BATCH, rng),
        steps=steps,
        every=EVERY,
        rng=rng,
        progress=False,
    )
    cell.eval()
    x, y = adding(LENGTH, FRESH, np.random.default_rng(10**6))
    return history["loss"], float(((reader(x) - y) ** 2).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each kind (5)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training (1500)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    settings = [(kind, OnStates, False) for kind in KINDS]
    settings += [(kind, Dropped, True) for kind in ("zaremba", "gal")]
    for kind, adapter, on_input in settings:
        for seed in range(arguments.seeds):
            curve, error = train(adapter, kind, arguments.steps, seed)
            print(f"{kind:12} input {on_input!s:5} seed {seed}   test MSE {error:.5f}", flush=True)
            rows.append(
                dict(
                    kind=kind,
                    on_input=on_input,
                    seed=seed,
                    test=round(error, 5),
                    loss=np.round(curve, 5).tolist(),
                )
            )
    record = dict(
        command="python benchmarks/dropout_adding.py",
        T=LENGTH,
        p=P,
        steps=arguments.steps,
        every=EVERY,
        rows=rows,
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
