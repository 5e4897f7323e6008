"""What a padded batch costs by the share of it that is no padding: rnnlit.nn with lengths=, packing, neither.

    python benchmarks/lengths.py            prints the table, writes records/lengths.json (about 4 minutes)
    python benchmarks/lengths.py --quick    one small size, few rounds, prints only

    ours       rnnlit.nn.LSTM(...)(x, lengths=lengths): zeros after each sequence's end, true last states
    packed     pack_padded_sequence, torch.nn.LSTM, pad_packed_sequence: the same results
    sorted     the same with sequences in the order that packing wants, longest first
    ignored    torch.nn.LSTM on the padded batch as it is, which goes on into the padding: other results

A training pass, forward and backward from output and last states. Lengths are drawn uniformly, so that their
mean is `full` times T, and one of them is T. Before anything is timed, ours and packed are compared, values
and gradients. Each round times all sides in turn; a ratio is our time over theirs in the same round, and a
row holds medians and quartiles (`nn_variants.compare`). With one thread the processor's time counts,
otherwise the clock.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import torch
from nn_variants import compare
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit import nn
from rnnlit.pages import records
from rnnlit.tools.machine import describe

SIZES = [(60, 64, 128), (100, 32, 256), (100, 64, 256)]  # T, B, H; as many inputs as H
FULL = [0.9, 0.75, 0.5, 0.25, 0.1]
RESULTS = records.HERE / "lengths.json"


def lengths_of(T: int, B: int, full: float) -> Tensor:
    """B lengths between 1 and T, uniform, with mean `full` T; the first is T."""
    low, high = (2 * full * T - T, T) if full > 0.5 else (1, 2 * full * T - 1)
    lengths = torch.randint(round(low), round(high) + 1, (B,))
    lengths[0] = T
    return lengths


def packed(layer: torch.nn.Module, x: Tensor, lengths: Tensor, in_order: bool) -> tuple[Tensor, Tensor]:
    """torch's way: output and last state."""
    sequences = pack_padded_sequence(x, lengths, enforce_sorted=in_order)
    output, (h_n, _) = layer(sequences)
    return pad_packed_sequence(output, total_length=len(x))[0], h_n


def contest(kind: str, size: tuple[int, int, int], full: float) -> dict[str, Callable[[], None]]:
    """The runs to compare, ours first."""
    T, B, H = size
    torch.manual_seed(0)
    ours, theirs = (getattr(module, kind)(H, H) for module in (nn, torch.nn))
    theirs.load_state_dict(ours.state_dict())
    x, lengths = torch.randn(T, B, H, requires_grad=True), lengths_of(T, B, full)
    order = lengths.argsort(descending=True)
    x_sorted = x.detach()[:, order].clone().requires_grad_()
    calls: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
        "ours": lambda: (lambda run: (run[0], run[1][0]))(ours(x, lengths=lengths)),
        "packed": lambda: packed(theirs, x, lengths, in_order=False),
        "sorted": lambda: packed(theirs, x_sorted, lengths[order], in_order=True),
        "ignored": lambda: (lambda run: (run[0], run[1][0]))(theirs(x)),
    }
    leaves = [x, x_sorted, *ours.parameters(), *theirs.parameters()]

    def run(call: Callable[[], tuple[Tensor, Tensor]]) -> Callable[[], None]:
        def both() -> None:
            outputs = call()
            torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
            for leaf in leaves:
                leaf.grad = None

        return both

    check(calls["ours"], calls["packed"], x)
    return {name: run(call) for name, call in calls.items()}


def check(first: Callable[[], tuple], second: Callable[[], tuple], x: Tensor) -> None:
    """Both have the same values, and the same gradient with respect to x."""
    found = []
    for call in (first, second):
        outputs = call()
        (gradient,) = torch.autograd.grad(outputs, x, [torch.ones_like(output) for output in outputs])
        found.append([*outputs, gradient])
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)


def main() -> None:
    """Measure all rows, print them as they come, and write the file at the end."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of CPU threads (1 2)")
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each row (5)")
    parser.add_argument("--rounds", type=int, default=7, help="at least so many rounds for each row (7)")
    parser.add_argument("--quick", action="store_true", help="one small size, few rounds, prints only")
    args = parser.parse_args()
    args.device = "cpu"
    if args.quick:
        args.threads, args.seconds, args.rounds = [1], 0.0, 3
    rows = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        for size in [(20, 4, 8)] if args.quick else SIZES:
            for full in FULL:
                row = {"layer": "LSTM", "size": list(size), "full": full, "threads": threads}
                rows.append(row | compare(contest("LSTM", size, full), args))
                ratios = "   ".join(f"{k} {side['ratio']:.2f}" for k, side in rows[-1]["against"].items())
                print(
                    f"{size!s:15} {full:4} {threads}  {rows[-1]['ours_ms']:8.2f} ms over   {ratios}",
                    flush=True,
                )
    if args.quick:
        return
    record = {
        "command": "python benchmarks/lengths.py",
        "seconds": args.seconds,
        "machine": describe(),
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
