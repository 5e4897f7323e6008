"""How far the NumPy cells are from the matrix products that they cannot avoid.

    python benchmarks/numpy_cells.py     prints the table, writes benchmarks/results/numpy_cells.json

For each size the products of one forward and one backward pass are timed alone (x W_ih^T over all
steps at once, h W_hh^T and da W_hh step by step, and the three products of the gradients), then the
whole pass, in turn, in one run on one thread. `birnn` is a GRU in both directions, against the products
of both. What is recorded is the ratio of the two times in
each round, and its median. A ratio of 1 would mean that everything else is free.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import statistics
import time

# One thread, set before NumPy is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
from machine import describe

from rnnlit import birnn, gru, lstm, rnn

SIZES = [(100, 32, 128, 128), (100, 64, 256, 256), (200, 32, 512, 512)]
CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru}
RESULT = pathlib.Path(__file__).parent / "results" / "numpy_cells.json"


def products(params, x, h, da):
    """The matrix products of a forward and a backward pass, and nothing else."""
    (T, B, I), G, H = x.shape, params.weight_hh.shape[0], params.weight_hh.shape[1]
    flat_x, flat_h, flat_da = x.reshape(T * B, I), h.reshape(T * B, H), da.reshape(T * B, G)
    recurrent, back = np.empty((B, G), x.dtype), np.empty((B, H), x.dtype)
    flat_x @ params.weight_ih.T
    for t in range(T):
        np.matmul(h[t], params.weight_hh.T, out=recurrent)
    for t in range(T):
        np.matmul(da[t], params.weight_hh, out=back)
    flat_da.T @ flat_x, flat_da.T @ flat_h, flat_da @ params.weight_ih


def measure(cell, T, B, I, H, rounds, rng):
    """Rounds of [products alone, forward, backward], each in seconds."""
    params = cell.init(I, H, rng=rng)
    x, dh = (rng.standard_normal((T, B, n), dtype=np.float32) for n in (I, H))
    h, da = (0.1 * rng.standard_normal((T, B, n), dtype=np.float32) for n in (H, params.weight_hh.shape[0]))
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        products(params, x, h, da)
        middle = time.perf_counter()
        run = cell.forward(params, x)
        forward = time.perf_counter()
        cell.backward(params, run, dh=dh)
        end = time.perf_counter()
        times.append((middle - start, forward - middle, end - forward))
    return times[1:]


def measure_both(cell, T, B, I, H, rounds, rng):
    """The same for two chains of a cell, one in each direction."""
    params = birnn.init(cell, I, H, rng=rng)
    x, dh = (rng.standard_normal((T, B, n), dtype=np.float32) for n in (I, 2 * H))
    sizes = H, params.forward.weight_hh.shape[0]
    states = [[0.1 * rng.standard_normal((T, B, n), dtype=np.float32) for n in sizes] for _ in params]
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for chain, (h, da) in zip(params, states, strict=True):
            products(chain, x, h, da)
        middle = time.perf_counter()
        run = birnn.forward(cell, params, x)
        forward = time.perf_counter()
        birnn.backward(cell, params, run, dh=dh)
        end = time.perf_counter()
        times.append((middle - start, forward - middle, end - forward))
    return times[1:]


MEASURES = {name: functools.partial(measure, cell) for name, cell in CELLS.items()}
MEASURES["birnn"] = functools.partial(measure_both, gru)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="rounds at each size (15)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    print(
        f"{'cell':5} {'(T, B, I, H)':22} {'products':>10} {'forward':>10} {'backward':>10}"
        "   ratio (quartiles)"
    )
    for name, measured in MEASURES.items():
        for size in SIZES:
            times = measured(*size, arguments.rounds, np.random.default_rng(0))
            ratio = [(forward + backward) / alone for alone, forward, backward in times]
            low, median, high = statistics.quantiles(ratio, n=4)
            alone, forward, backward = (
                1e3 * statistics.median(column) for column in zip(*times, strict=True)
            )
            print(
                f"{name:5} {size!s:22} {alone:7.1f} ms {forward:7.1f} ms {backward:7.1f} ms"
                f"   {median:.2f} ({low:.2f} to {high:.2f})"
            )
            rows.append(
                dict(cell=name, size=size, ratio=round(median, 3), quartiles=[round(low, 3), round(high, 3)])
                | dict(
                    products_ms=round(alone, 2), forward_ms=round(forward, 2), backward_ms=round(backward, 2)
                )
            )
    arguments.output.parent.mkdir(exist_ok=True)
    record = dict(
        command="python benchmarks/numpy_cells.py", rounds=arguments.rounds, machine=describe(), rows=rows
    )
    arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
