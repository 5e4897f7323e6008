"""How fast rnnlit.nn's layers and variants are: against torch.nn, hand-written loops, and peers.

    python benchmarks/nn_variants.py                    prints the table, writes records/nn_variants.json
    python benchmarks/nn_variants.py --device cuda      on a GPU; writes pages/records/nn_variants_cuda.json
    python benchmarks/nn_variants.py --threads 2        these rows again, the others stay in the file;
                                                        so do --questions and --variants
    python benchmarks/nn_variants.py --quick            two small sizes, one thread, few rounds

    plain      RNN, LSTM and GRU, training and inference        against torch.nn and the products alone
    variant    an LSTM with one variant, training               against torch.nn.LSTM without it, what users
               write today with the same mathematics, the products alone, torchrecurrent and Keras
    steps      the time of an LSTM's scan by the number of steps T, and the exponent fitted to it

What users write today depends on where the variant is. A mask on the input or on the weights is made before
torch's layer is called ("by hand"). Inside the recurrence it takes a loop, with autograd, in two ways: "loop"
iterates over x; "loop, indexed" takes x[t], as the documentation of torch's cells does, and the gradient of
that is an array of the size of x at each step. (`loops.py` has `torch.compile` and `torch.jit.script`.)
Before they are timed, their output is compared with ours, under the same masks. The products
are the layer's matrix products alone, taken as our scan takes them, one call for each step and for each block
of inputs: the scan cannot be quicker than that. torchrecurrent's nearest layer is its PeepholeLSTM; it has no
other LSTM that is as near.

Each round times all sides in turn; a ratio is our time over theirs in the same round, and a row holds medians
and quartiles. With one thread on the CPU the processor's time counts, otherwise the clock. torchrecurrent and
Keras (on torch) are left out, with a line that says so, where they are not installed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec

os.environ.setdefault("KERAS_BACKEND", "torch")

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from rnnlit import nn
from rnnlit.nn.scan.products import Product, WeightGradient
from rnnlit.nn.scan.steps import blocks_of
from rnnlit.pages import records
from rnnlit.tools.machine import describe

SIZES = [(100, 1, 8), (100, 32, 128), (100, 64, 256), (200, 32, 512)]  # T, B, H; as many inputs as H
STEPS = [64, 128, 256, 512, 1024, 2048, 4096, 8192]
P = 0.25
VARIANTS = {
    "recurrent_dropout": {"recurrent_dropout": P},
    "zoneout": {"zoneout": P},
    "layer_norm": {"layer_norm": True},
    "peephole": {"peephole": True},
    "weight_drop": {"weight_drop": P},
    "input_dropout": {"input_dropout": P},
}
OUTSIDE = ("weight_drop", "input_dropout")  # made before the recurrence, so that torch's layer can do them
QUESTIONS = ["plain", "variant", "steps"]
KEYS = ("question", "layer", "variant", "pass", "threads", "size")  # name a row
RESULTS = records.HERE


def dropout_mask(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """0 with probability P, else 1 / (1 - P)."""
    return like.new_empty(shape).bernoulli_(1 - P).div_(1 - P)


def steps_of(x: Tensor, indexed: bool) -> Iterable[Tensor]:
    """The steps of x (T, B, N), taken in one of two ways."""
    return (x[t] for t in range(len(x))) if indexed else x


def cell_loop(layer: torch.nn.Module, name: str, x: Tensor, indexed: bool) -> Tensor:
    """The variant as a loop over torch's fused cell, on the layer's own parameters."""
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
    T, B, I = x.shape
    H = w_hh.shape[1]
    h = c = x.new_zeros(B, H)
    if name == "weight_drop":
        w_hh = w_hh * dropout_mask(w_hh.shape, w_hh)
    if name == "input_dropout":
        x = x * dropout_mask((1, B, I), x)
    on_h = dropout_mask((B, H), x) if name == "recurrent_dropout" else None
    if name == "zoneout":
        keep_h, keep_c = (x.new_empty(T, B, H).uniform_().lt_(P) for _ in range(2))
    outputs = []
    for t, x_t in enumerate(steps_of(x, indexed)):
        new_h, new_c = torch.lstm_cell(x_t, (h if on_h is None else h * on_h, c), w_ih, w_hh, b_ih, b_hh)
        if name == "zoneout":
            new_h = keep_h[t] * h + (1 - keep_h[t]) * new_h
            new_c = keep_c[t] * c + (1 - keep_c[t]) * new_c
        h, c = new_h, new_c
        outputs.append(h)
    return torch.stack(outputs)


def open_loop(layer: torch.nn.Module, name: str, x: Tensor, indexed: bool) -> Tensor:
    """The variants that torch's cell can't do, written out; the input's product is taken once, before."""
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
    h = c = x.new_zeros(x.shape[1], w_hh.shape[1])

    def norm(a: Tensor, part: str) -> Tensor:
        gain, shift = getattr(layer, f"norm_gain_{part}_l0"), getattr(layer, f"norm_shift_{part}_l0")
        return layer_norm(a, gain.shape, gain, shift)

    gates = (
        norm(linear(x, w_ih), "ih") + b_ih + b_hh if name == "layer_norm" else linear(x, w_ih, b_ih + b_hh)
    )
    outputs = []
    for of_x in steps_of(gates, indexed):
        y = linear(h, w_hh)
        i, f, g, o = (of_x + (norm(y, "hh") if name == "layer_norm" else y)).chunk(4, 1)
        if name == "peephole":
            i, f = i + layer.weight_ci_l0 * c, f + layer.weight_cf_l0 * c
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        if name == "peephole":
            o = o + layer.weight_co_l0 * c
        h = torch.sigmoid(o) * torch.tanh(norm(c, "c") if name == "layer_norm" else c)
        outputs.append(h)
    return torch.stack(outputs)


def loop(layer: torch.nn.Module, name: str, x: Tensor, indexed: bool = False) -> Tensor:
    """An LSTM with this variant as users write it today."""
    return (open_loop if name in ("peephole", "layer_norm") else cell_loop)(layer, name, x, indexed)


def by_hand(layer: torch.nn.Module, plain: torch.nn.Module, name: str, x: Tensor) -> Tensor:
    """A variant outside the recurrence as users write it: torch's own layer, on `layer`'s parameters."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = dict(zip(names, layer.all_weights[0], strict=True))
    if name == "weight_drop":
        w_hh = weights["weight_hh_l0"]
        weights["weight_hh_l0"] = w_hh * dropout_mask(w_hh.shape, w_hh)
    else:
        x = x * dropout_mask((1, *x.shape[1:]), x)
    output: Tensor = torch.func.functional_call(plain, weights, (x,))[0]
    return output


def products(layer: torch.nn.Module, x: Tensor, backward: bool) -> Callable[[], None]:
    """The matrix products of one layer alone: of the input, of T steps, and of the backward pass."""
    w_ih, w_hh = (weight.detach() for weight in layer.all_weights[0][:2])
    x, (T, B, _) = x.detach(), x.shape
    h, da = x.new_zeros(B, w_hh.shape[1]), x.new_zeros(T, B, w_hh.shape[0])
    blocks = [slice(start, end) for start, end in blocks_of(T, B, x.device)]
    rows = blocks[0].stop * B

    def run() -> None:
        of_input, step = Product(w_ih, rows, len(blocks)), Product(w_hh, B, T)
        for block in blocks:
            of_input.times(x[block].flatten(0, 1))
        for _ in range(T):
            step.times(h)
        if not backward:
            return
        of_input, step = Product(w_ih.t(), rows, len(blocks)), Product(w_hh.t(), B, T)
        for t in range(T):
            step.times(da[t])
        gradients = [WeightGradient(w, True) for w in (w_ih, w_hh)]
        for block in blocks:
            of_input.times(da[block].flatten(0, 1))
            for gradient in gradients:  # here as many inputs as H
                gradient.add(da[block], x[block])

    return run


def peers(name: str, H: int, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The nearest layers of other packages that are installed."""
    found: dict[str, Callable[[], Tensor]] = {}
    if name == "peephole" and find_spec("torchrecurrent"):
        from torchrecurrent import PeepholeLSTM

        theirs = PeepholeLSTM(H, H).to(x.device)
        found["torchrecurrent"] = lambda: theirs(x)[0]
    if name == "recurrent_dropout" and find_spec("keras"):
        import keras

        keras_layer = keras.layers.LSTM(H, return_sequences=True, recurrent_dropout=P)
        # Keras puts the batch first
        found["Keras"] = lambda: keras_layer(x.transpose(0, 1), training=True)
    return found


def passes(call: Callable[[], Tensor], leaves: list[Tensor], backward: bool) -> Callable[[], None]:
    """One pass without gradients, or forward and backward from the output."""

    def both() -> None:
        output = call()
        output.backward(torch.ones_like(output))
        for leaf in leaves:
            leaf.grad = None

    def forward() -> None:
        with torch.no_grad():
            call()

    return both if backward else forward


def timer(device: str) -> Callable[[Callable[[], None], int], float]:
    """A function that times n calls in seconds."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter

    def measure(run: Callable[[], None], n: int) -> float:
        wait()
        start = clock()
        for _ in range(n):
            run()
        wait()
        return (clock() - start) / n

    return measure


def compare(runs: dict[str, Callable[[], None]], args: argparse.Namespace) -> dict:
    """Time the runs in turn, ours first; return the medians and the ratios of ours to each other's."""
    measure = timer(args.device)
    once = max(min(measure(run, 1) for _ in range(2)) for run in runs.values())  # a warm-up as well
    n = max(1, round(0.004 / max(once, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    turn, end = list(runs), time.perf_counter() + args.seconds
    while len(times["ours"]) < args.rounds or time.perf_counter() < end:
        for name in turn:
            times[name].append(measure(runs[name], n))
        turn.reverse()
    against = {}
    for name in list(runs)[1:]:
        ratios = [a / max(b, 1e-9) for a, b in zip(times["ours"], times[name], strict=True)]
        low, ratio, high = statistics.quantiles(ratios, n=4)
        against[name] = {
            "ratio": round(ratio, 3),
            "quartiles": [round(low, 3), round(high, 3)],
            "ms": round(1e3 * statistics.median(times[name]), 3),
        }
    ours = round(1e3 * statistics.median(times["ours"]), 3)
    return {"rounds": len(times["ours"]), "ours_ms": ours, "against": against}


def contest(
    question: str, kind: str, name: str, size: tuple[int, int, int], backward: bool, device: str
) -> dict[str, Callable[[], None]]:
    """The runs to compare, ours first."""
    T, B, H = size
    torch.manual_seed(0)
    ours = getattr(nn, kind)(H, H, **VARIANTS.get(name, {})).to(device)
    theirs = getattr(torch.nn, kind)(H, H).to(device)
    x = torch.randn(T, B, H, device=device, requires_grad=True)
    calls = {"ours": lambda: ours(x)[0], f"torch.nn.{kind}": lambda: theirs(x)[0]}
    if question == "variant":
        if name in OUTSIDE:
            today = {"by hand": lambda: by_hand(ours, theirs, name, x)}
        else:
            today = {"loop": lambda: loop(ours, name, x)}
        outputs = []
        for call in (calls["ours"], *today.values()):
            torch.manual_seed(1)
            outputs.append(call().detach())
        first = [output[:20] for output in outputs]  # later, float32's rounding has grown
        torch.testing.assert_close(*first, rtol=1e-3, atol=1e-4)
        calls |= today | peers(name, H, x)
        if name not in OUTSIDE:
            calls["loop, indexed"] = lambda: loop(ours, name, x, indexed=True)
    leaves = [x, *ours.parameters(), *theirs.parameters()]
    runs = {key: passes(call, leaves, backward) for key, call in calls.items()}
    return runs | {"products": products(ours, x, backward)}


def growth(args: argparse.Namespace) -> dict:
    """The time of a training pass at each T, and the exponent of T fitted to it by least squares."""
    torch.manual_seed(0)
    layer = nn.LSTM(64, 64, recurrent_dropout=P).to(args.device)
    lengths = STEPS[:4] if args.quick else STEPS
    runs = {}
    for T in lengths:
        x = torch.randn(T, 8, 64, device=args.device)
        runs[T] = passes(lambda x=x: layer(x)[0], list(layer.parameters()), True)
    measure = timer(args.device)
    times: dict[int, list[float]] = {T: [] for T in lengths}
    for counted in range(4):
        for T in lengths:
            seconds = measure(runs[T], 1)
            if counted:
                times[T].append(seconds)
    medians = [statistics.median(times[T]) for T in lengths]
    slope, _ = statistics.linear_regression([math.log(T) for T in lengths], [math.log(s) for s in medians])
    return {
        "question": "steps",
        "layer": "LSTM",
        "variant": "recurrent_dropout",
        "size": [None, 8, 64],
        "threads": torch.get_num_threads(),
        "T": lengths,
        "ms": [round(1e3 * seconds, 3) for seconds in medians],
        "exponent": round(slope, 3),
    }


def rows_of(question: str, args: argparse.Namespace) -> list[tuple[str, str, tuple[int, int, int], bool]]:
    """Layer, variant, size and whether there is a backward pass, for each row of a question."""
    sizes = SIZES[:2] if args.quick else SIZES
    if question == "variant":
        return [("LSTM", name, size, True) for size in sizes for name in args.variants]
    kinds = ("LSTM", "RNN", "GRU")
    return [(kind, "", size, backward) for size in sizes for kind in kinds for backward in (False, True)]


def main() -> None:
    """Measure all rows, print them as they come, and write the file after each number of threads."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of CPU threads (1 2)")
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=QUESTIONS, help="all three")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="all six")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each row (2)")
    parser.add_argument("--rounds", type=int, default=7, help="at least so many rounds for each row (7)")
    parser.add_argument("--quick", action="store_true", help="small sizes, one thread, few rounds")
    parser.add_argument("--output", type=pathlib.Path, help="where the JSON goes (rnnlit/pages/records/)")
    args = parser.parse_args()
    if args.quick:
        args.threads, args.seconds, args.rounds = [1], 0.2, 3
    name = "nn_variants.json" if args.device == "cpu" else "nn_variants_cuda.json"
    missing = [peer for peer in ("torchrecurrent", "keras") if not find_spec(peer)]
    for peer in missing:
        print(f"{peer}: left out, it is not installed")
    rows = []
    for threads in args.threads if args.device == "cpu" else args.threads[:1]:
        torch.set_num_threads(threads)
        for question in args.questions:
            if question == "steps":
                rows.append(growth(args))
                print(f"steps: T {rows[-1]['T']}, ms {rows[-1]['ms']}, exponent {rows[-1]['exponent']}")
                continue
            for kind, variant, size, backward in rows_of(question, args):
                found = {
                    "question": question,
                    "layer": kind,
                    "variant": variant,
                    "size": list(size),
                    "pass": "forward and backward" if backward else "forward",
                    "threads": threads,
                }
                found |= {"seconds": args.seconds, "least_rounds": args.rounds}
                found |= compare(contest(question, kind, variant, size, backward, args.device), args)
                rows.append(found)
                show(found)
        write(rows, missing, args, args.output or RESULTS / name)


def named(row: dict) -> str:
    """What a row is about, without what was measured."""
    return json.dumps([row.get(key) for key in KEYS])


def write(rows: list[dict], missing: list[str], args: argparse.Namespace, path: pathlib.Path) -> None:
    """Write the file; rows that were not measured now stay in it, from a run on the same machine."""
    machine = describe()
    older = json.loads(path.read_text()) if path.exists() else {"machine": None, "rows": []}
    if (older["machine"] or {}) | {"date": machine["date"]} == machine:
        measured = {named(row) for row in rows}
        rows = [row for row in older["rows"] if named(row) not in measured] + rows
    record = {
        "command": f"python benchmarks/nn_variants.py --device {args.device}",
        "device": torch.cuda.get_device_name() if args.device.startswith("cuda") else "cpu",
        "left_out": missing,
        "machine": machine,
        "rows": rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")


def show(found: dict) -> None:
    """Print a row."""
    ratios = "   ".join(f"{key} {value['ratio']:.2f}" for key, value in found["against"].items())
    print(
        f"{found['question']:8} {found['layer']:5} {found['variant']:18} {tuple(found['size'])!s:15}"
        f" {found['pass']:21} {found['threads']}  {found['ours_ms']:.2f} ms over   {ratios}",
        flush=True,
    )


if __name__ == "__main__":
    main()
