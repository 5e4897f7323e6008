"""One unit beside a cliff of its loss: how often does a training without clipping end far from the valley?

    python benchmarks/rnn_cliff.py          writes rnnlit/pages/records/rnn_cliff.json (about 2 minutes)
    python benchmarks/rnn_cliff.py --starts 20   a quick look

The unit h_t = tanh(w h_{t-1} + b) starts at h_0 = 0.5, and after 50 steps it is to stand at 0.7. Gradient
descent (learning rate 0.02, 300 steps) begins at random w from 1.2 to 1.6 and b from -0.4 to -0.2. Most of
these starts lie on the plateau above the cliff, a few (large w, b near -0.2) beyond it already. Recorded for
each: the loss at the end, without clipping and clipped at norm 1.
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
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import SGD, clip_by_norm

RESULT = records.HERE / "rnn_cliff.json"
T, H0, TARGET, RATE, CLIP = 50, 0.5, 0.7, 0.02, 1.0


def descend(w, b, clip, steps):
    """The loss after gradient descent on w and b."""
    unit = rnn.Params(np.zeros((1, 1)), np.array([[w]]), np.array([b]), np.zeros(1))
    optimiser = SGD({"w": unit.weight_hh, "b": unit.bias_ih}, lr=RATE)
    x, h0 = np.zeros((T, 1, 1)), np.full((1, 1), H0)
    for _ in range(steps):
        run = rnn.forward(unit, x, h0)
        grads = rnn.backward(unit, run, dh_n=2 * (run.h_n - TARGET)).params
        moved = {"w": grads.weight_hh, "b": grads.bias_ih}
        optimiser.step(clip_by_norm(moved, clip)[0] if clip else moved)
    return float((rnn.forward(unit, x, h0).h_n[0, 0] - TARGET) ** 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=300, help="random starts (300)")
    parser.add_argument("--steps", type=int, default=300, help="steps of descent (300)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    starts = np.random.default_rng(0).uniform((1.2, -0.4), (1.6, -0.2), (arguments.starts, 2))
    losses = {
        name: [descend(w, b, clip, arguments.steps) for w, b in starts]
        for name, clip in (("without clipping", None), ("clipped", CLIP))
    }
    for name, values in losses.items():
        print(f"{name:18} above 0.01: {(np.array(values) > 0.01).sum()} of {arguments.starts}", flush=True)
    record = dict(
        command="python benchmarks/rnn_cliff.py",
        steps=arguments.steps,
        starts=np.round(starts, 4).tolist(),
        loss={name: [float(f"{value:.3g}") for value in values] for name, values in losses.items()},
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
