"""What the time and the memory of a recurrent layer go into, part by part: the record of the speed page.

    python benchmarks/speed_parts.py            prints, and writes records/speed_parts.json (about 3 minutes)
    python benchmarks/speed_parts.py --quick    shorter, prints only

    products      h W^T with W (4H, H), for a batch of 1 to 512 rows: how many operations a second
    together      one product for all T steps against T products, one a step
    operations    y + y for 1 to 2^20 numbers: what a small operation costs
    tanh          torch's tanh, and tanh from the sigmoid
    indexing      a loop over LSTMCell, forward and backward, with x[t] and with `for x_t in x`
    memory        how much the peak of a process grows in training on T steps at once, and in windows

All on one thread of the CPU, in float32. A time is the least of several, since noise only adds to it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from rnnlit.nn.scan.steps import tanh
from rnnlit.pages import records
from rnnlit.tools.machine import describe

H, T = 256, 100
RESULTS = records.HERE / "speed_parts.json"
WINDOW = 1000  # steps
WHOLE, WINDOWS = [2000, 8000, 32000, 128000], [8000, 128000, 1000000]
TRAIN = """
import resource, sys
import torch
from rnnlit.nn import LSTM

torch.set_num_threads(1)
torch.manual_seed(0)
T, window = map(int, sys.argv[1:])
layer, states = LSTM(1, 64, recurrent_dropout=0.25), None
optimizer = torch.optim.SGD(layer.parameters(), lr=1e-3)

def steps(n):
    global states
    output, states = layer(torch.randn(n, 1, 1), states)
    output.square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    states = tuple(state.detach() for state in states)

def peak():
    try:  # getrusage would count what the process that started this one had used
        status = open("/proc/self/status").read()
    except FileNotFoundError:  # macOS, where it counts bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

steps(100)  # what torch itself needs comes first
before = peak()
for start in range(0, T, window):
    steps(min(window, T - start))
print(peak() - before)
"""


def seconds(run: Callable[[], object], least: float = 0.05) -> float:
    """The time of one call: the least mean of nine rounds."""
    run()
    start = time.perf_counter()
    run()
    n = max(1, round(least / 9 / max(time.perf_counter() - start, 1e-7)))
    means = []
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(n):
            run()
        means.append((time.perf_counter() - start) / n)
    return min(means)


def products() -> list[dict]:
    """The rate of a step's product by the number of rows; 2 B 4H H operations each."""
    weight_t, rows = torch.randn(4 * H, H).t(), []
    for B in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
        h = torch.randn(B, H)
        taken = seconds(lambda h=h: torch.mm(h, weight_t))
        # weights and states are read, sums are written, 4 bytes a number
        moved = 4 * (4 * H * H + B * H + B * 4 * H)
        rows.append(
            {
                "batch": B,
                "us": round(1e6 * taken, 2),
                "gflops": round(8 * B * H * H / taken / 1e9, 2),
                "operations_per_byte": round(8 * B * H * H / moved, 2),
            }
        )
    return rows


def together() -> list[dict]:
    """The input's product of T steps: in one, and step by step."""
    rows, weight_t = [], torch.randn(4 * H, H).t()
    for B in (1, 4, 16, 64):
        x = torch.randn(T, B, H)
        once = seconds(lambda x=x: torch.mm(x.flatten(0, 1), weight_t))
        each = seconds(lambda x=x: [torch.mm(x_t, weight_t) for x_t in x.unbind()])
        rows.append({"batch": B, "together_ms": round(1e3 * once, 3), "one_by_one_ms": round(1e3 * each, 3)})
    return rows


def operations() -> list[dict]:
    """An addition of so many numbers to themselves."""
    rows = []
    for power in range(0, 21, 2):
        y = torch.zeros(2**power)
        rows.append({"numbers": 2**power, "us": round(1e6 * seconds(lambda y=y: torch.add(y, y, out=y)), 3)})
    return rows


def tanhs() -> list[dict]:
    """Both ways to tanh, for the state of a batch of 64."""
    a = torch.randn(64, H)
    out = torch.empty_like(a)
    ways = {"torch.tanh": False, "from the sigmoid": True}
    return [
        {"way": way, "us": round(1e6 * seconds(lambda quick=quick: tanh(a, out, quick)), 2)}
        for way, quick in ways.items()
    ]


def indexing() -> list[dict]:
    """A training pass of a loop that takes x[t], and of one that iterates over x, by the number of steps."""
    cell, rows = torch.nn.LSTMCell(64, 64), []

    def run(inputs: Iterable[Tensor]) -> None:
        h, c = torch.zeros(8, 64), torch.zeros(8, 64)
        for x_t in inputs:
            h, c = cell(x_t, (h, c))
        h.sum().backward()

    for steps in (100, 300, 1000, 3000):
        x = torch.randn(steps, 8, 64, requires_grad=True)
        iterated = seconds(lambda x=x: run(x))
        indexed = seconds(lambda x=x, n=steps: run(x[t] for t in range(n)))
        rows.append(
            {"T": steps, "iterated_ms": round(1e3 * iterated, 2), "indexed_ms": round(1e3 * indexed, 2)}
        )
    return rows


def memory(quick: bool) -> list[dict]:
    """How far the peak of memory rises, in a process of its own for each length."""
    lengths = [(T, T) for T in WHOLE] + [(T, WINDOW) for T in WINDOWS]
    rows = []
    for steps, window in lengths[: 2 if quick else None]:
        command = [sys.executable, "-c", TRAIN, str(steps), str(window)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append({"steps": steps, "window": window, "mib": round(int(answer.stdout) / 2**20, 1)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, print, and write the file."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--quick", action="store_true", help="shorter, prints only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    record: dict = {"command": "python benchmarks/speed_parts.py", "H": H, "T": T, "machine": describe()}
    for part in (products, together, operations, tanhs, indexing):
        record[part.__name__] = part()
        print(part.__name__, *record[part.__name__], sep="\n  ", flush=True)
    record["memory"] = memory(args.quick)
    if not args.quick:
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
