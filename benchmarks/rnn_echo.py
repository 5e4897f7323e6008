"""Repeat each input a few steps later: which windows of truncated backpropagation can learn it?

    python benchmarks/rnn_echo.py          writes rnnlit/pages/records/rnn_echo.json (about 2 minutes)
    python benchmarks/rnn_echo.py --seeds 1   a quick look

The inputs are -1 and 1 at random, and the target at step t is the input of step t - 5. A plain network of 32
units reads 32 endless streams of them, window by window, with its state carried over and the gradient cut at
the borders: 1500 windows of each size, one step of Adam for each (learning rate 0.003, gradient norm clipped
at 1). Recorded for each seed: the mean squared error over the last tenth of the windows, before their own
step. To always answer 0 gives an error of exactly 1. At the end the same with all weights of the cell left as
they were drawn, so that only the affine map behind it learns.
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

from rnnlit import rnn
from rnnlit.pages import records
from rnnlit.tools import layers
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam, clip_by_norm

RESULT = records.HERE / "rnn_echo.json"
DELAY, HIDDEN, STREAMS, RATE = 5, 32, 32, 3e-3
WINDOWS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20)
FROZEN = 5  # the window of the cells that do not learn


def train(window, steps, seed, frozen=False):
    """The mean squared error over the last tenth of the windows; `frozen` leaves the cell as drawn."""
    rng = np.random.default_rng(seed)
    cell, head = rnn.init(1, HIDDEN, rng=rng), layers.init(HIDDEN, 1, rng=rng)
    optimiser = Adam((head,) if frozen else (head, cell), lr=RATE)
    signs = rng.choice([-1.0, 1.0], size=(DELAY + steps * window, STREAMS, 1)).astype(np.float32)
    h, losses = np.zeros((STREAMS, HIDDEN), np.float32), []
    for start in range(0, steps * window, window):
        target = signs[start : start + window]
        run = rnn.forward(cell, signs[start + DELAY : start + DELAY + window], h)
        loss, doutput = layers.mean_squared_error(layers.affine(head, run.h), target)
        at_head = layers.affine_backward(head, run.h, doutput)
        at_cell = rnn.backward(cell, run, dh=at_head.x)
        grads = (at_head.params,) if frozen else (at_head.params, at_cell.params)
        optimiser.step(clip_by_norm(grads, 1.0)[0])
        h = run.h_n  # carried on as a number: no gradient will pass here
        losses.append(loss)
    return float(np.mean(losses[-steps // 10 :]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each window (5)")
    parser.add_argument("--steps", type=int, default=1500, help="windows to train on (1500)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    for window in WINDOWS:
        errors = [train(window, arguments.steps, seed) for seed in range(arguments.seeds)]
        rows.append(dict(window=window, error=np.round(errors, 5).tolist()))
        print(f"window {window:3}   {np.round(errors, 4).tolist()}", flush=True)
    frozen = [train(FROZEN, arguments.steps, seed, frozen=True) for seed in range(arguments.seeds)]
    print(f"frozen       {np.round(frozen, 4).tolist()}", flush=True)
    record = dict(
        command="python benchmarks/rnn_echo.py",
        delay=DELAY,
        steps=arguments.steps,
        rows=rows,
        frozen=np.round(frozen, 5).tolist(),
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
