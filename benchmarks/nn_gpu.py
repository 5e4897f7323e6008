"""How fast the LSTM's variants are on a GPU: against cuDNN's plain LSTM and against a loop over LSTMCell.

    python benchmarks/nn_gpu.py             checks, prints the table, writes rnnlit/pages/records/nn_gpu.json
    python benchmarks/nn_gpu.py --within 300    the same in at most about so many seconds
    python benchmarks/nn_gpu.py --quick     a small size, few rounds

First the scan is compared with the NumPy references on fresh random inputs, values and all gradients, often
enough that CUDA graphs are replayed; layer normalisation, which has no reference, with a loop in float64. If
one of these fails nothing is timed. Then come the first calls of a layer, which build kernels and record
graphs. Then each variant is trained (forward and backward) and run without
gradient, in float32 (TF32 off) and bfloat16, each round all sides in turn:

    ours              with fused kernels and CUDA graphs
    no graphs, no kernels, neither        the same without one or both (RNNLIT_GRAPHS=0, RNNLIT_TRITON=0)
    cuDNN             torch.nn.LSTM without the variant
    loop              the variant as a loop over torch's cell or its equations, as users write it today

A ratio is our time over theirs in the same round; a row holds medians and quartiles, and the memory that its
graphs hold. The aim is at most 1.5 times cuDNN's time and, where our scan runs, at most an eighth of the
loop's; where cuDNN runs it is cuDNN that is compared with the loop. The last line says which switches may be
on by default: those with which no row is slower, and which bring most.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from nn_variants import VARIANTS, loop, passes
from torch.nn.functional import layer_norm, linear

from rnnlit import dropout_lstm, lstm, lstm_peephole, nn
from rnnlit.nn.direction import run_scan
from rnnlit.nn.gpu import graph
from rnnlit.nn.gpu.dispatch import TRITON, tried
from rnnlit.nn.gpu.graph import GRAPHS
from rnnlit.nn.scan.lstm import Inputs, ScanLSTM
from rnnlit.pages import records
from rnnlit.tools.machine import describe

SIZE, SMALL = (256, 64, 512), (9, 3, 20)  # T, B, H; as many inputs as H
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WAYS = {"ours": (), "no graphs": (GRAPHS,), "no kernels": (TRITON,), "neither": (GRAPHS, TRITON)}
SWITCHES = {  # that are on in these
    "ours": "RNNLIT_TRITON and RNNLIT_GRAPHS",
    "no graphs": "RNNLIT_TRITON",
    "no kernels": "RNNLIT_GRAPHS",
}
SLOWER = 1.02  # times the time without: more is no noise
AIMS = {"cuDNN": 1.5, "loop": 1 / 8}
CALLS = graph.AFTER + 2  # the first ones capture a graph
CLOSE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2}  # relative to an array's norm
FIRST = "zoneout", "layer_norm"  # whose first calls are timed: these have kernels of their own
NORMED = 4  # times that: a normalisation takes the mean away, and so what was right in the first digits
RESULTS = records.HERE / "nn_gpu.json"
Arrays = list[np.ndarray]


@contextmanager
def way(name: str) -> Iterator[None]:
    """Turn on all but what this way does without."""
    with ExitStack() as stack:
        for switch in (GRAPHS, TRITON):
            stack.enter_context(switch.set(switch not in WAYS[name]))
        yield


# ---- correct first ----------------------------------------------------------------------------------------


def reference(name: str, rng: np.random.Generator, dtype: torch.dtype) -> tuple[list[Any], Arrays, Arrays]:
    """Arguments of a scan, the gradients of h and c, and what the reference makes of them, in float64.

    The arguments: those of `Inputs` from x to the peepholes, with W_ih = 1, which the reference takes too, so
    that the gradient of the sums is the input's.
    """
    T, B, H = 17, 5, 37

    def draw(*shape: int) -> np.ndarray:  # what the dtype can hold
        return torch.tensor(rng.normal(size=shape)).to(dtype).double().numpy()

    peephole = draw(3, H) / 8  # by a power of two, which no dtype rounds
    eye, zero = np.eye(4 * H), np.zeros(4 * H)
    x, weight, h0, c0 = draw(T, B, 4 * H), draw(4 * H, H) / 8, draw(B, H), draw(B, H)
    outer = [draw(T, B, H) for _ in range(2)]
    options: list[Any] = [None] * 5
    if name == "peephole":
        cell, params, more = lstm_peephole, lstm_peephole.Params(eye, weight, zero, zero, *peephole), []
        options[4] = peephole
    elif name == "dropout":
        m_h = np.broadcast_to((draw(1, B, H) > 0) * 2.0, (T, B, H)).copy()
        m_g = (draw(T, B, H) > 0) * 2.0
        z_h, z_c = ((draw(T, B, H) > 0.5) * 1.0 for _ in range(2))
        cell, params = dropout_lstm, lstm.Params(eye, weight, zero, zero)
        more = [dropout_lstm.Masks(h=m_h, g=m_g, zoneout_h=z_h, zoneout_c=z_c)]
        options[:4] = m_h[:1], m_g, z_h, z_c
    else:
        cell, params, more = lstm, lstm.Params(eye, weight, zero, zero), []
    run = cell.forward(params, x, *more, h0, c0)
    grads = cell.backward(params, run, *outer)
    wanted = [run.h, run.c, grads.x, grads.params.weight_hh, grads.h0, grads.c0]
    wanted += [np.stack(grads.params[4:])] if name == "peephole" else []
    return [x, eye, weight, None, h0, c0, *options], outer, wanted


def off_by(ours: list[torch.Tensor], wanted: Arrays) -> float:
    """The norm of the difference over that of what is wanted, the largest of all arrays."""
    found = [
        np.linalg.norm(one.detach().double().cpu().numpy() - other) / np.linalg.norm(other)
        for one, other in zip(ours, wanted, strict=True)
    ]
    return float(np.max(found))  # NaN if there is one; Python's max may pass over it


def scanned(arguments: list[Any], outer: Arrays, dtype: torch.dtype, device: str) -> list[torch.Tensor]:
    """Values and gradients of our scan."""
    tensors = [None if a is None else torch.tensor(a).to(device, dtype) for a in arguments]
    inputs = Inputs(*tensors)
    leaves = [x for x in (inputs.x, inputs.weight_hh, inputs.h0, inputs.c0, inputs.peephole) if x is not None]
    for leaf in leaves:
        leaf.requires_grad_()
    states = run_scan(ScanLSTM, inputs)
    gradients = [torch.tensor(d).to(device, dtype) for d in outer]
    return [*states, *torch.autograd.grad(states, leaves, gradients)]


def normed(rng: np.random.Generator, dtype: torch.dtype, device: str) -> float:
    """How far layer normalisation is from its equations, in float64 on the CPU."""
    T, B, H = 17, 5, 37
    shapes = [(T, B, 4 * H), (4 * H, H), (B, H), (B, H), (4 * H,), (4 * H,), (H,), (H,)]
    drawn = [torch.tensor(rng.normal(size=s)).to(dtype) for s in shapes]
    drawn[1] /= 8
    drawn[4], drawn[6] = 1 + drawn[4] / 8, 1 + drawn[6] / 8
    ours, theirs = ([x.to(where).requires_grad_() for x in drawn] for where in (device, torch.float64))
    x, weight, h, c, *norms = ours
    norms = dict(zip(("gain_h", "shift_h", "gain_c", "shift_c"), norms, strict=True))
    states = run_scan(ScanLSTM, Inputs(x, torch.eye(4 * H).to(x), weight, None, h, c, **norms))

    sums, weight, h, c, gain_h, shift_h, gain_c, shift_c = theirs
    hs, cs = [], []
    for a in sums:
        i, f, g, o = (a + layer_norm(linear(h, weight), gain_h.shape, gain_h, shift_h)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(layer_norm(c, gain_c.shape, gain_c, shift_c))
        hs, cs = [*hs, h], [*cs, c]
    found = []
    for values, leaves in ((list(states), ours), ([torch.stack(hs), torch.stack(cs)], theirs)):
        loss = torch.stack([(v * v).sum() for v in values]).sum()
        found.append([*values, *torch.autograd.grad(loss, leaves)])
    return off_by(found[0], [x.detach().numpy() for x in found[1]])


def check(device: str, seed: int) -> list[dict]:
    """Compare every variant, dtype and way with the references; SystemExit if one is wrong."""
    rng, rows = np.random.default_rng(seed), []
    for dtype in CLOSE:
        for name in ("plain", "peephole", "dropout", "layer_norm"):
            for one in WAYS:
                worst = 0.0
                for _ in range(CALLS):
                    with way(one):
                        if name == "layer_norm":
                            wrong = normed(rng, dtype, device)
                        else:
                            arguments, outer, wanted = reference(name, rng, dtype)
                            wrong = off_by(scanned(arguments, outer, dtype, device), wanted)
                    worst = float(np.maximum(worst, wrong))
                bound = CLOSE[dtype] * (NORMED if name == "layer_norm" else 1)
                if not worst <= bound:
                    raise SystemExit(
                        f"{name}, {dtype}, {one}: off by {worst:.1e} from the reference, more than "
                        f"{bound:.0e}; nothing is timed (seed {seed})"
                    )
                rows.append({"what": name, "dtype": str(dtype), "way": one, "off_by": float(f"{worst:.1e}")})
    print(f"correct: {len(rows)} comparisons of values and gradients with the references (seed {seed})")
    return rows


# ---- the first calls ------------------------------------------------------------------------------------


def first_calls(args: argparse.Namespace) -> dict[str, list[float]]:
    """The seconds of each of a process's first calls, by variant; Triton has nothing in its cache."""
    command = [sys.executable, __file__, "--first-calls", "--device", args.device]
    command += ["--quick"] if args.quick else []
    with tempfile.TemporaryDirectory() as empty:
        there = os.environ | {"TRITON_CACHE_DIR": empty}
        answer = subprocess.run(command, env=there, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = json.loads(answer)
    print("first calls, in seconds:   " + "   ".join(f"{name} {times}" for name, times in found.items()))
    return found


def time_first_calls(size: tuple[int, int, int], device: str) -> dict[str, list[float]]:
    """The same in this process: forward and backward in float32."""
    found = {}
    for name in FIRST:
        run = contest(name, size, torch.float32, True, device)["ours"]
        found[name] = [round(seconds(run, 1, device), 3) for _ in range(CALLS)]
    return found


# ---- then fast --------------------------------------------------------------------------------------------


def contest(
    name: str, size: tuple[int, int, int], dtype: torch.dtype, backward: bool, device: str
) -> dict[str, Callable[[], None]]:
    """The runs to compare, ours first."""
    T, B, H = size
    torch.manual_seed(0)
    ours = nn.LSTM(H, H, **VARIANTS[name]).to(device, dtype)
    theirs = torch.nn.LSTM(H, H).to(device, dtype)
    x = torch.randn(T, B, H, device=device, dtype=dtype, requires_grad=True)
    leaves = [x, *ours.parameters(), *theirs.parameters()]

    def by(one: str) -> Callable[[], torch.Tensor]:
        def call() -> torch.Tensor:
            with way(one):
                return ours(x)[0]

        return call

    calls = {one: by(one) for one in WAYS}
    calls |= {"cuDNN": lambda: theirs(x)[0], "loop": lambda: loop(ours, name, x)}
    return {key: passes(call, leaves, backward) for key, call in calls.items()}


def seconds(run: Callable[[], None], n: int, device: str) -> float:
    """The time of one of n calls, until the GPU is done."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    for _ in range(n):
        run()
    wait()
    return (time.perf_counter() - start) / n


def compare(runs: dict[str, Callable[[], None]], args: argparse.Namespace) -> dict:
    """Time all runs in turn; return medians, and the ratios of ours to each other's."""
    for run in runs.values():
        seconds(run, CALLS, args.device)
    many = {key: max(1, round(0.02 / seconds(run, 1, args.device))) for key, run in runs.items()}
    times: dict[str, list[float]] = {key: [] for key in runs}
    turn, end = list(runs), time.perf_counter() + args.seconds
    while len(times["ours"]) < args.rounds or time.perf_counter() < end:
        for key in turn:
            times[key].append(seconds(runs[key], many[key], args.device))
        turn.reverse()
    against = {}
    for key in list(runs)[1:]:
        low, ratio, high = statistics.quantiles(
            [a / b for a, b in zip(times["ours"], times[key], strict=True)], n=4
        )
        ms = round(1e3 * statistics.median(times[key]), 3)
        against[key] = {"ratio": round(ratio, 3), "quartiles": [round(low, 3), round(high, 3)], "ms": ms}
    found = {"rounds": len(times["ours"]), "ours_ms": round(1e3 * statistics.median(times["ours"]), 3)}
    return found | {
        "graphs": len(graph.ON_CUDA.recordings),
        "against": against,
        "meets": {key: against[key]["ratio"] <= aim for key, aim in AIMS.items()},
    }


def memory_of_graphs(device: str) -> float:
    """Free the graphs; the MiB that they held."""

    def reserved() -> int:
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved() if device == "cuda" else 0

    before = reserved()
    graph.clear()
    return round((before - reserved()) / 2**20, 1)


def measure(args: argparse.Namespace) -> list[dict]:
    """All rows, printed as they come."""
    rows, size = [], SMALL if args.quick else SIZE
    left = [(named, name, back) for named in DTYPES for name in VARIANTS for back in (True, False)]
    end, longest = args.started + args.within, args.seconds
    memory_of_graphs(args.device)  # those of the checks would keep the place from the first row's
    while left:
        named, name, backward = left.pop(0)
        # half of what is left for a row: warming up and the last round take their time too
        args.seconds = min(longest, max(0.0, (end - time.perf_counter()) / (len(left) + 1) / 2))
        row = {"variant": name, "dtype": named, "size": list(size)}
        row["pass"] = "forward and backward" if backward else "forward"
        kernel = nn.LSTM(2, 3, **VARIANTS[name]).kernel(torch.ones(4, 5, 2))
        row["runs"] = "scan" if kernel.startswith("our scan") else "cuDNN"
        row |= compare(contest(name, size, DTYPES[named], backward, args.device), args)
        row["graphs_mib"] = memory_of_graphs(args.device)
        rows.append(row)
        ratios = "   ".join(f"{key} {value['ratio']:.2f}" for key, value in row["against"].items())
        print(f"{name:18} {named:8} {row['pass']:20} {row['ours_ms']:.2f} ms over   {ratios}", flush=True)
    return rows


def times(rows: list[dict], one: str, other: str) -> list[float]:
    """The time of one over that of the other, in each row."""
    over = [row["against"] | {"ours": {"ratio": 1.0}} for row in rows]
    return [against[other]["ratio"] / against[one]["ratio"] for against in over]


def verdict(rows: list[dict]) -> str:
    """Which switches may be on by default, by the rows of our scan, and whether the aims are met so."""
    scans, others = ([row for row in rows if (row["runs"] == "scan") is ours] for ours in (True, False))
    found = {one: times(scans, one, "neither") for one in SWITCHES}
    good = {one: statistics.geometric_mean(found[one]) for one in found if max(found[one]) <= SLOWER}
    best = min(good, key=lambda one: good[one], default="ours")
    if good and good[best] < 1 / SLOWER:
        said = f"{SWITCHES[best]} may be on by default: no row is slower, the mean is {good[best]:.2f}"
    else:
        worst = [f"with {SWITCHES[one]} a row takes {max(over):.2f}" for one, over in found.items()]
        said, best = f"No switch may be on by default: {', '.join(worst)}", "neither"
    cudnn, loop = max(times(rows, best, "cuDNN")), max(times(scans, best, "loop"))
    met = ["meets" if one <= AIMS[key] else "misses" for key, one in (("cuDNN", cudnn), ("loop", loop))]
    said += (
        f" times the time without. At worst that is {cudnn:.2f} times cuDNN's plain LSTM, which {met[0]} the "
        f"aim of {AIMS['cuDNN']}, and {1 / loop:.1f} times as fast as the loop, which {met[1]} the aim of "
        f"{1 / AIMS['loop']:.0f}."
    )
    return f"{said} {of_cudnn(others)}" if others else said


def of_cudnn(rows: list[dict]) -> str:
    """How the rows whose kernel is cuDNN's own stand to the loop."""
    faster, names = times(rows, "loop", "cuDNN"), " and ".join(dict.fromkeys(row["variant"] for row in rows))
    return (
        f"The last is said of our scan; {names} run cuDNN's kernel, which even without the variant is only "
        f"{min(faster):.1f} to {max(faster):.1f} times as fast as the loop."
    )


def gpu() -> dict:
    """The GPU, its driver, and what of CUDA this build of torch has."""
    found = {"cuda": torch.version.cuda}
    if not torch.cuda.is_available():
        return found | {"name": None}
    try:
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
    except OSError:
        answer = []
    return found | {
        "name": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "driver": answer[0] if answer else None,
        "cudnn": torch.backends.cudnn.version(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Check, measure, and write the file at the end."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a small size, few rounds")
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each row (5)")
    parser.add_argument("--within", type=float, default=3600.0, help="time for all, shared among the rows")
    parser.add_argument("--rounds", type=int, default=9, help="at least so many rounds for each row (9)")
    parser.add_argument("--seed", type=int, help="of the checks' random inputs (another one each time)")
    parser.add_argument("--first-calls", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=pathlib.Path, help="where the JSON goes (rnnlit/pages/records/)")
    args = parser.parse_args(arguments)
    args.started = time.perf_counter()
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "nn_gpu.py: torch sees no GPU; this benchmark needs one, and a build of torch for CUDA"
        )
    if args.first_calls:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        return print(json.dumps(time_first_calls(SMALL if args.quick else SIZE, args.device)))
    if args.device == "cpu" and args.output is None:
        raise SystemExit("nn_gpu.py: on the CPU this only tries itself out: name a file by --output")
    if args.quick:
        args.seconds, args.rounds = 0.0, 3
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    seed = args.seed if args.seed is not None else int(np.random.SeedSequence().entropy % 2**32)
    record = {
        "command": "python benchmarks/nn_gpu.py" + (" --quick" if args.quick else ""),
        "tf32": False,
        "seed": seed,
        "checks": check(args.device, seed),
        "kernels": {f"{dtype}{' normed' * normed}": works for (_, dtype, normed), works in tried.items()},
        "first_calls_s": first_calls(args),
        "aims": AIMS,
    }
    rows = measure(args)
    record |= {"rows": rows, "verdict": verdict(rows), "gpu": gpu(), "machine": describe()}
    output = args.output or RESULTS
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(record, indent=1) + "\n")
    print(record["verdict"])


if __name__ == "__main__":
    main()
