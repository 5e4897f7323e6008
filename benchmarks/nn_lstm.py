"""How much slower than torch's own layers those of rnnlit.nn are, and what lengths and all states cost.

    python benchmarks/nn_lstm.py                    prints the table and writes pages/records/nn_lstm.json
    python benchmarks/nn_lstm.py --device cuda      on a GPU; writes rnnlit/pages/records/nn_lstm_cuda.json

Three questions, each a ratio of two times:

    plain      rnnlit.nn called as torch.nn is                   over   torch.nn
    lengths    rnnlit.nn with lengths, half to full, unsorted    over   packing, torch.nn, unpacking
    states     rnnlit.nn with all states                         over   torch.nn, which returns the last ones

Each round times both sides one after the other, in turns which is first, and gives one ratio; a row holds the
median of the ratios and their quartiles. The plain rows also hold the same figure for torch.nn over itself
(`control`): as far as it is from 1, the machine was not quiet. A short call is timed in a loop of many.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit import nn
from rnnlit.pages import records
from rnnlit.tools.machine import describe

SIZES = [(20, 1, 8, 8), (100, 32, 128, 128), (100, 64, 256, 256), (200, 32, 512, 512)]
QUESTIONS = ["plain", "lengths", "states"]
RESULTS = records.HERE
LOOP = 0.004  # seconds that one timing should last at least


def padded(module: torch.nn.Module, x: torch.Tensor, lengths: torch.Tensor) -> tuple:
    """torch's way with a padded batch."""
    packed, last = module(pack_padded_sequence(x, lengths, enforce_sorted=False))
    output, _ = pad_packed_sequence(packed, total_length=x.shape[0])
    return output, last


def contestants(question: str, kind: str, size: tuple[int, ...], device: str) -> tuple[list[Callable], list]:
    """The calls to compare, ours first, and what gets a gradient."""
    T, B, inputs, hidden = size
    torch.manual_seed(0)
    ours, theirs = (getattr(module, kind)(inputs, hidden).to(device) for module in (nn, torch.nn))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(T, B, inputs, device=device, requires_grad=True)
    lengths = torch.randint(T // 2, T + 1, (B,))
    calls = {
        "plain": [lambda: ours(x), lambda: theirs(x), lambda: theirs(x)],
        "lengths": [lambda: ours(x, lengths=lengths), lambda: padded(theirs, x, lengths)],
        "states": [lambda: ours(x, return_all_states=True), lambda: theirs(x)],
    }
    return calls[question], [x, *ours.parameters(), *theirs.parameters()]


def passes(call: Callable, leaves: list, backward: bool) -> Callable:
    """One pass without gradients, or forward and backward from all that comes back."""

    def tensors(result):
        return [result] if isinstance(result, torch.Tensor) else [t for part in result for t in tensors(part)]

    def both():
        outputs = tensors(call())
        torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
        for leaf in leaves:
            leaf.grad = None

    def forward():
        with torch.no_grad():
            call()

    return both if backward else forward


def timer(device: str) -> Callable:
    """A function that times n calls in seconds."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None

    def measure(run: Callable, n: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(n):
            run()
        wait()
        return time.perf_counter() - start

    return measure


def compare(
    runs: list[Callable], device: str, seconds: float, least: int
) -> tuple[list[list[float]], list[float]]:
    """Time the runs in turn for some seconds; return all ratios to the second run, and the medians."""
    measure = timer(device)
    once = min(measure(runs[1], 1) for _ in range(3))
    n = max(1, round(LOOP / once))
    for run in runs:
        measure(run, n)  # warm up
    times: list[list[float]] = [[] for _ in runs]
    end, turn = time.perf_counter() + seconds, list(enumerate(runs))
    while time.perf_counter() < end or len(times[0]) < least:
        turn.reverse()
        for k, run in turn:
            times[k].append(measure(run, n) / n)
    ratios = [[t / base for t, base in zip(row, times[1], strict=True)] for row in times]
    return ratios, [statistics.median(row) for row in times]


def row(question: str, kind: str, size: tuple[int, ...], backward: bool, args: argparse.Namespace) -> dict:
    """Measure one row of the table."""
    calls, leaves = contestants(question, kind, size, args.device)
    runs = [passes(call, leaves, backward) for call in calls]
    ratios, medians = compare(runs, args.device, args.seconds, args.rounds)
    low, median, high = statistics.quantiles(ratios[0], n=4)
    found = {
        "question": question,
        "layer": kind,
        "size": list(size),
        "pass": "forward and backward" if backward else "forward",
        "threads": torch.get_num_threads(),
        "ratio": round(median, 3),
        "quartiles": [round(low, 3), round(high, 3)],
        "rounds": len(ratios[0]),
        "ours_ms": round(1e3 * medians[0], 3),
        "torch_ms": round(1e3 * medians[1], 3),
    }
    return found | ({"control": round(statistics.median(ratios[2]), 3)} if len(runs) > 2 else {})


def main() -> None:
    """Measure all rows, print them as they come, and write the file at the end."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of CPU threads (1 2)")
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=QUESTIONS, help="all three")
    parser.add_argument("--seconds", type=float, default=6.0, help="time for each row (6)")
    parser.add_argument("--rounds", type=int, default=15, help="at least so many rounds for each row (15)")
    parser.add_argument("--output", type=pathlib.Path, help="where the JSON goes (rnnlit/pages/records/)")
    args = parser.parse_args()
    name = "nn_lstm.json" if args.device == "cpu" else "nn_lstm_cuda.json"
    output, rows = args.output or RESULTS / name, []
    print(f"{'':8} layer {'(T, B, I, H)':21} {'pass':21} threads  ratio  quartiles       control")
    for question in args.questions:
        for threads in args.threads if args.device == "cpu" else args.threads[:1]:
            torch.set_num_threads(threads)
            for kind in ("LSTM", "RNN"):
                for size in SIZES:
                    for backward in (False, True):
                        rows.append(row(question, kind, size, backward, args))
                        show(rows[-1])
    record = {
        "command": f"python benchmarks/nn_lstm.py --device {args.device}",
        "device": torch.cuda.get_device_name() if args.device.startswith("cuda") else "cpu",
        "seconds": args.seconds,
        "machine": describe(),
        "rows": rows,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(record, indent=1) + "\n")


def show(found: dict) -> None:
    """Print a row."""
    low, high = found["quartiles"]
    print(
        f"{found['question']:8} {found['layer']:5} {tuple(found['size'])!s:21} {found['pass']:21}"
        f" {found['threads']:7}  {found['ratio']:.3f}  {low:.3f} to {high:.3f}  {found.get('control', ''):7}"
        f"   {found['ours_ms']:.3f} ms over {found['torch_ms']:.3f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
