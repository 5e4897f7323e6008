"""How far the NumPy cells are from the matrix products that they cannot avoid.

    python benchmarks/numpy_cells.py     prints the table, writes rnnlit/pages/records/numpy_cells.json

For each size the products of one forward and one backward pass are timed alone (x W_ih^T over all
steps at once, h W_hh^T and da W_hh step by step, and the three products of the gradients), then the
whole pass, in turn, in one run on one thread; the processor's time counts. `lstm_in_place` is the LSTM
with one tanh for all gates and no spare array, `birnn` a GRU in both directions, against the products
of both. What is recorded is the ratio of the two times in each round, and its median. A ratio of 1
would mean that everything else is free. `bar` is the most that the cell is allowed, since its source
is written to be read. The last rows compare the LSTM's `forward` with a loop over its `step`.

Arrays of many megabytes that were freed go back to the system, and come again page by page, at a price
that depends on the system and its load more than on the code. So the process keeps them here, where the
C library allows it (`--give-back` leaves that as it is).
"""

from __future__ import annotations

import argparse
import ctypes
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

from rnnlit import birnn, gru, lstm, lstm_in_place, rnn
from rnnlit.pages import records
from rnnlit.tools.machine import describe

SIZES = [(100, 32, 128, 128), (100, 64, 256, 256), (200, 32, 512, 512)]
CELLS = {"rnn": rnn, "lstm": lstm, "lstm_in_place": lstm_in_place, "gru": gru}
BARS = {"lstm": (1.7, 1.45, 1.25), "gru": (1.9, 1.4, 1.3)}
RESULT = records.HERE / "numpy_cells.json"


def keep_freed_memory() -> bool:
    """Ask glibc to give no memory back to the system. Returns whether it could be asked."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    trim_threshold, mmap_threshold = -1, -3  # as in malloc.h
    return bool(mallopt(trim_threshold, 2**31 - 1) and mallopt(mmap_threshold, 2**30))


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
        start = time.process_time()
        products(params, x, h, da)
        middle = time.process_time()
        run = cell.forward(params, x)
        forward = time.process_time()
        cell.backward(params, run, dh=dh)
        end = time.process_time()
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
        start = time.process_time()
        for chain, (h, da) in zip(params, states, strict=True):
            products(chain, x, h, da)
        middle = time.process_time()
        run = birnn.forward(cell, params, x)
        forward = time.process_time()
        birnn.backward(cell, params, run, dh=dh)
        end = time.process_time()
        times.append((middle - start, forward - middle, end - forward))
    return times[1:]


def measure_forward(T, B, I, H, rounds, rng):
    """Rounds of [a loop over `step`, `forward`, `forward` in place] of the LSTM, each in seconds."""
    params = lstm.init(I, H, rng=rng)
    x = rng.standard_normal((T, B, I), dtype=np.float32)
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        h, c = np.zeros((2, B, H), np.float32)
        for x_t in x:
            h, c = lstm.step(params, x_t, h, c)
        middle = time.process_time()
        lstm.forward(params, x)
        forward = time.process_time()
        lstm_in_place.forward(params, x)
        times.append((middle - start, forward - middle, time.process_time() - forward))
    return times[1:]


MEASURES = {name: functools.partial(measure, cell) for name, cell in CELLS.items()}
MEASURES["birnn"] = functools.partial(measure_both, gru)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="rounds at each size (15)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    parser.add_argument("--give-back", action="store_true", help="let freed memory go back to the system")
    arguments = parser.parse_args()
    kept = not arguments.give_back and keep_freed_memory()
    print("freed memory is kept by the process:", kept)
    rows = []
    print(
        f"{'cell':13} {'(T, B, I, H)':22} {'products':>10} {'forward':>10} {'backward':>10}"
        "   ratio (quartiles)"
    )
    for name, measured in MEASURES.items():
        for k, size in enumerate(SIZES):
            times = measured(*size, arguments.rounds, np.random.default_rng(0))
            ratio = [(forward + backward) / alone for alone, forward, backward in times]
            low, median, high = statistics.quantiles(ratio, n=4)
            alone, forward, backward = (
                1e3 * statistics.median(column) for column in zip(*times, strict=True)
            )
            print(
                f"{name:13} {size!s:22} {alone:7.1f} ms {forward:7.1f} ms {backward:7.1f} ms"
                f"   {median:.2f} ({low:.2f} to {high:.2f})"
                + (f", at most {BARS[name][k]}" if name in BARS else "")
            )
            rows.append(
                dict(cell=name, size=size, ratio=round(median, 3), quartiles=[round(low, 3), round(high, 3)])
                | dict(
                    products_ms=round(alone, 2), forward_ms=round(forward, 2), backward_ms=round(backward, 2)
                )
                | (dict(bar=BARS[name][k]) if name in BARS else {})
            )
    passes = []
    for size in SIZES:
        times = measure_forward(*size, arguments.rounds, np.random.default_rng(0))
        row = dict(size=size)
        for name, column in (("forward", 1), ("in_place", 2)):
            ratios = [t[column] / t[0] for t in times]
            low, median, high = statistics.quantiles(ratios, n=4)
            row[name] = dict(ratio=round(median, 3), quartiles=[round(low, 3), round(high, 3)])
        passes.append(row)
        print(
            f"forward of the LSTM over a loop of its step, {size!s:20} "
            f"{row['forward']['ratio']:.2f}, in place {row['in_place']['ratio']:.2f}"
        )
    over = [f"{row['cell']} {row['size']}" for row in rows if row["ratio"] > row.get("bar", row["ratio"])]
    print("over the bar:", ", ".join(over) or "none")
    arguments.output.parent.mkdir(exist_ok=True)
    record = dict(
        command="python benchmarks/numpy_cells.py", rounds=arguments.rounds, machine=describe(), rows=rows
    ) | dict(freed_memory_kept=kept, forward_over_step=passes)
    arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
