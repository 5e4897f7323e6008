"""Recall the first symbol after a long gap: what the first recurrent weights are worth in the plain network.

    python benchmarks/rnn_recall.py          writes rnnlit/pages/records/rnn_recall.json (about 4 minutes)
    python benchmarks/rnn_recall.py --seeds 1   a quick look

The first input is one of four symbols (a 1 in one of four places). T - 1 steps of Gaussian noise follow, and
at the end the net says which symbol it was. Guessing is right in a quarter of the cases. Every net has 32
units and is trained by Adam (learning rate 0.001, gradient norm clipped at 1) with 400 fresh batches of 50.
Recorded for each seed: the share of 1000 fresh sequences that is named right.

The starts of weight_hh: U(-1/sqrt(H), 1/sqrt(H)), as torch draws it; the same times sqrt(3), whose largest
eigenvalue is about 1 in size; orthogonal; and, with ReLU in the place of tanh, the identity (Le, Jaitly &
Hinton 2015). All other weights are drawn as torch draws them, and biases are zero.
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

from rnnlit import nn, rnn
from rnnlit.pages import records
from rnnlit.tasks.reader import Reader, make_step
from rnnlit.tools.layers import softmax_cross_entropy
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit

RESULT = records.HERE / "rnn_recall.json"
SYMBOLS, HIDDEN, BATCH, FRESH, RATE = 4, 32, 50, 1000, 1e-3
STARTS = {
    "uniform": {},
    "uniform, times 1.73": {"gain": 3**0.5},
    "orthogonal": {"recurrent": "orthogonal"},
    "identity, with ReLU": None,
}


def draw(T, B, noise, rng):
    """x (T, B, 4) and the symbol (B,) that stands at its beginning."""
    symbol = rng.integers(0, SYMBOLS, B)
    x = noise * rng.standard_normal((T, B, SYMBOLS), dtype=np.float32)
    x[0] = np.eye(SYMBOLS, dtype=np.float32)[symbol]
    return x, symbol


def tanh_net(T, noise, init, steps, seed):
    """Train the NumPy network; the share of fresh sequences that it names right."""
    rng = np.random.default_rng(seed)
    reader = Reader(rnn, SYMBOLS, HIDDEN, SYMBOLS, rng=rng, loss=softmax_cross_entropy, **init)
    fit(
        make_step(reader, Adam(reader.params, lr=RATE)),
        lambda rng: draw(T, BATCH, noise, rng),
        steps=steps,
        rng=rng,
        progress=False,
    )
    x, symbol = draw(T, FRESH, noise, np.random.default_rng(10**6))
    return float((reader(x).argmax(1) == symbol).mean())


def relu_net(T, noise, steps, seed):
    """The same with ReLU and the identity, in torch."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layer = nn.RNN(SYMBOLS, HIDDEN, nonlinearity="relu")
    head = torch.nn.Linear(HIDDEN, SYMBOLS)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.eye(HIDDEN))
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    parameters = [*layer.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    for _ in range(steps):
        x, symbol = (torch.from_numpy(a) for a in draw(T, BATCH, noise, rng))
        loss = torch.nn.functional.cross_entropy(head(layer(x)[0][-1]), symbol)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
    x, symbol = draw(T, FRESH, noise, np.random.default_rng(10**6))
    with torch.no_grad():
        named = head(layer(torch.from_numpy(x))[0][-1]).argmax(1).numpy()
    return float((named == symbol).mean())


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each setting (5)")
    parser.add_argument("--steps", type=int, default=400, help="steps of training (400)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    for noise in (0.1, 1.0):
        for T in (20, 60, 120):
            for name, init in STARTS.items():
                if init is None:
                    right = [relu_net(T, noise, arguments.steps, seed) for seed in range(arguments.seeds)]
                else:
                    right = [
                        tanh_net(T, noise, init, arguments.steps, seed) for seed in range(arguments.seeds)
                    ]
                rows.append(dict(start=name, T=T, noise=noise, right=right))
                print(f"noise {noise}   T={T:4}   {name:20} {right}", flush=True)
    record = dict(
        command="python benchmarks/rnn_recall.py",
        symbols=SYMBOLS,
        hidden=HIDDEN,
        steps=arguments.steps,
        rows=rows,
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
