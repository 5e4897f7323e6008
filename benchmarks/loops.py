"""What a loop over an LSTM's steps loses its time to, and what torch.compile and torch.jit.script win back.

    python benchmarks/loops.py            prints, writes rnnlit/pages/records/loops.json (about 6 minutes)
    python benchmarks/loops.py --questions parts    measures these rows again; the others stay in the file
    python benchmarks/loops.py --quick    small sizes, few rounds, prints only

    parts      a training pass of a loop over torch's cell, beside the arithmetic that it cannot do without:
               the matrix products, taken together where they need not wait for a step, and the element-wise
               work of all steps in calls of 512 rows (`rnnlit.pages.timing_torch`). The rest of the loop's
               time goes to Python, to torch's bookkeeping and to work in small pieces. Of the latter one is
               timed by itself: the gradients of the two matrices, step by step and of all steps at once
    compiled   a training pass of an LSTM with a mask on h, T = 32 steps: the loop as it is written, the same
               function through torch.jit.script, its step through torch.compile, the whole loop through
               torch.compile, and rnnlit.nn. `first_s` is the time of the first call, which compiles, with
               torch's cache of compiled code turned off

Before it is timed each side is compared with the loop. A round times all sides in turn; a ratio is the plain
loop's time over the side's in the same round, so above 1 the side is quicker; rows hold medians and
quartiles. One thread of the CPU, its time counted; of first calls the clock's, since compilers are processes
of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")

import torch
from nn_variants import compare, passes
from torch import Tensor
from torch.nn.functional import linear

from rnnlit import nn
from rnnlit.pages import records, timing_torch
from rnnlit.tools.machine import describe

SIZES = [(100, 1, 8), (100, 32, 128), (100, 64, 256), (200, 32, 512)]  # T, B, H; as many inputs as H
SHORT = [
    (32, 1, 8),
    (32, 32, 128),
    (32, 64, 256),
]  # to compile a loop takes the longer, the more steps it has
P = 0.25
QUESTIONS = ["parts", "compiled"]
RESULTS = records.HERE / "loops.json"


def step(of_x: Tensor, h: Tensor, c: Tensor, w_hh: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM with a mask on h; of_x (B, 4H) is what comes from the input."""
    i, f, g, o = (of_x + linear(h * mask, w_hh)).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def loop(x: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """All steps; written so that torch.jit.script can read it."""
    h = torch.zeros_like(mask)
    c = torch.zeros_like(mask)
    outputs: list[Tensor] = []
    for of_x in linear(x, w_ih, b).unbind(0):
        h, c = step(of_x, h, c, w_hh, mask)
        outputs.append(h)
    return torch.stack(outputs)


def loop_of(one: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., Tensor]:
    """The same loop over another step."""

    def run(x: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor, mask: Tensor) -> Tensor:
        h = c = torch.zeros_like(mask)
        outputs = []
        for of_x in linear(x, w_ih, b).unbind(0):
            h, c = one(of_x, h, c, w_hh, mask)
            outputs.append(h)
        return torch.stack(outputs)

    return run


def compiled(size: tuple[int, int, int], args: argparse.Namespace) -> dict:
    """A row: the loop against what torch makes of it, and against our layer."""
    T, B, H = size
    torch.manual_seed(0)
    layer = nn.LSTM(H, H, recurrent_dropout=P)
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
    x = torch.randn(T, B, H, requires_grad=True)
    torch._dynamo.reset()
    with warnings.catch_warnings():  # torch.jit.script says that it is deprecated
        warnings.simplefilter("ignore")
        sides = {
            "loop": loop,
            "jit.script": torch.jit.script(loop),
            "compile, step": loop_of(torch.compile(step, dynamic=False)),
            "compile, loop": torch.compile(loop, dynamic=False),
        }

    def call(function: Callable[..., Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            mask = x.new_empty(1, B, H).bernoulli_(1 - P).div_(1 - P)[0]
            return function(x, w_ih, w_hh, b_ih + b_hh, mask)

        return run

    calls = {name: call(function) for name, function in sides.items()}
    calls["rnnlit.nn"] = lambda: layer(x)[0]
    leaves = [x, *layer.parameters()]
    first = {}
    torch.manual_seed(1)
    want = calls["loop"]()
    want_grads = torch.autograd.grad(want.sum(), leaves)
    for name, one in calls.items():
        torch.manual_seed(1)
        start = time.perf_counter()
        found = one()
        grads = torch.autograd.grad(found.sum(), leaves)
        first[name] = round(time.perf_counter() - start, 2)
        torch.testing.assert_close((found, grads), (want, want_grads), rtol=1e-3, atol=1e-3)
        print(f"  {size} {name:15} first call {first[name]:6.2f} s", flush=True)
    runs = {name: passes(one, leaves, True) for name, one in calls.items()}
    found = in_turn(runs, "loop", args)
    for name in found["against"]:
        found["against"][name]["first_s"] = first[name]
    return {"size": list(size)} | found


def in_turn(runs: dict[str, Callable[[], None]], base: str, args: argparse.Namespace) -> dict:
    """`nn_variants.compare`, with the base's time over each other's."""
    found = compare({"ours": runs[base]} | {name: run for name, run in runs.items() if name != base}, args)
    return {"rounds": found["rounds"], "loop_ms": found["ours_ms"], "against": found["against"]}


def gradients(size: tuple[int, int, int], together: bool) -> Callable[[], None]:
    """dW_ih and dW_hh, as a sum over steps or as one product of all rows each."""
    T, B, H = size
    da, x, h = torch.randn(T, B, 4 * H), torch.randn(T, B, H), torch.randn(T, B, H)

    def run() -> None:
        for other in (x, h):
            if together:
                torch.mm(da.flatten(0, 1).t(), other.flatten(0, 1))
                continue
            total = torch.zeros(4 * H, H)
            for da_t, other_t in zip(da, other, strict=True):
                total += torch.mm(da_t.t(), other_t)

    return run


def parts(size: tuple[int, int, int], args: argparse.Namespace) -> dict:
    """A row: the loop over torch's cell, and the two parts of its arithmetic alone."""
    T, B, H = size
    torch.manual_seed(0)
    layer = torch.nn.LSTM(H, H)
    x = torch.randn(T, B, H, requires_grad=True)

    cell = torch.nn.LSTMCell(H, H)
    leaves = [x, *layer.parameters(), *cell.parameters()]
    runs = {
        "loop": passes(lambda: timing_torch.loop(cell, x), leaves, True),
        "torch.nn.LSTM": passes(lambda: layer(x)[0], leaves, True),
        "products": timing_torch.products(T, B, H, H),
        "element-wise": timing_torch.element_wise(T, B, H),
        "gradients, step by step": gradients(size, together=False),
        "gradients, at once": gradients(size, together=True),
    }
    return {"size": list(size)} | in_turn(runs, "loop", args)


def main() -> None:
    """Measure all rows, print them as they come, and write the file at the end."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=QUESTIONS, help="both")
    parser.add_argument("--seconds", type=float, default=4.0, help="time for each row (4)")
    parser.add_argument("--rounds", type=int, default=7, help="at least so many rounds for each row (7)")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds, prints only")
    args = parser.parse_args()
    args.device = "cpu"
    torch.set_num_threads(1)
    if args.quick:
        args.seconds, args.rounds = 0.0, 3
    older = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    record: dict = {"command": "python benchmarks/loops.py", "seconds": args.seconds, "machine": describe()}
    same = older.get("machine", {}) | {"date": record["machine"]["date"]} == record["machine"]
    for part, sizes, small in ((parts, SIZES, (20, 2, 8)), (compiled, SHORT, (4, 2, 8))):
        name = part.__name__
        if name not in args.questions:
            record |= {name: older[name]} if same else {}
            continue
        record[name] = []
        for size in [small] if args.quick else sizes:
            row = part(size, args)
            record[name].append(row)
            ratios = "   ".join(f"{k} {side['ratio']:.2f}" for k, side in row["against"].items())
            print(f"{name:9} {size!s:15} {row['loop_ms']:9.2f} ms over   {ratios}", flush=True)
    if not args.quick:
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
