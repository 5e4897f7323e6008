"""A whole training on sequences of unequal length: lengths= of rnnlit.nn against packing with torch.nn.

    python benchmarks/lengths_script.py            prints a row a size, writes the record (about 2 minutes)
    python benchmarks/lengths_script.py --quick    few updates of a small network, prints only

Nine speakers are told apart by their Japanese vowels: 270 utterances of 7 to 26 steps, 64 in a batch, an
LSTM, an affine map of its last state, softmax cross-entropy, clipping, Adam. All that a script does beside
the layer is in the time: drawing the batch, the loss, the update.

    ours      rnnlit.nn.LSTM, layer(x, lengths=lengths)
    packed    torch.nn.LSTM, between pack_padded_sequence and the last state

Both start with the same weights and see the same batches, and advance in turn, 20 updates at a time; their
losses are compared. The time is the processor's, on one thread. A ratio is packed over ours in the same
turn; a row holds the median with the quartiles, and the seconds of all turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence

from rnnlit import nn
from rnnlit.pages import records
from rnnlit.tasks.data import japanese_vowels, standardise
from rnnlit.tools.machine import describe

SIZES = [64, 128, 256]
TURN, BATCH = 20, 64
RESULTS = records.HERE / "lengths_script.json"


class Classifier(torch.nn.Module):
    """The last state of an LSTM, and an affine map of it; the LSTM is ours, or torch's with packing."""

    def __init__(self, H: int, ours: bool) -> None:
        super().__init__()
        self.ours = ours
        self.lstm = (nn if ours else torch.nn).LSTM(12, H)
        self.readout = torch.nn.Linear(H, 9)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (T, B, 12), lengths (B,) -> logits (B, 9)"""
        if self.ours:
            _, (h, _) = self.lstm(x, lengths=lengths)
        else:
            _, (h, _) = self.lstm(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return self.readout(h[0])


class Training:
    """One of the two trainings, to be advanced by so many updates at a time."""

    def __init__(self, H: int, ours: bool) -> None:
        torch.manual_seed(0)
        self.data, _ = standardise(*japanese_vowels())
        self.model, self.rng = Classifier(H, ours), np.random.default_rng(0)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=3e-3)
        self.losses: list[float] = []

    def advance(self, updates: int) -> float:
        """Do so many updates; return the processor's seconds."""
        begin = time.process_time()
        for _ in range(updates):
            rows = self.rng.choice(len(self.data.lengths), BATCH, replace=False)
            lengths = torch.from_numpy(self.data.lengths[rows])
            x = torch.from_numpy(self.data.x[: int(lengths.max()), rows])
            loss = cross_entropy(self.model(x, lengths), torch.from_numpy(self.data.speaker[rows]))
            self.adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.adam.step()
            self.losses.append(loss.item())
        return time.process_time() - begin


def row(H: int, updates: int) -> dict:
    """Advance both in turn; the losses of the first turns are the same to rounding."""
    ours, packed = Training(H, True), Training(H, False)
    times = []
    for turn in range(updates // TURN):
        pair = (ours, packed) if turn % 2 else (packed, ours)
        took = {side.model.ours: side.advance(TURN) for side in pair}
        times.append((took[True], took[False]))
    np.testing.assert_allclose(ours.losses[:50], packed.losses[:50], rtol=1e-3, atol=1e-4)
    times = times[1:]  # the first one warms up
    low, ratio, high = statistics.quantiles([b / a for a, b in times], n=4)
    seconds = [round(sum(side), 2) for side in zip(*times, strict=True)]
    return {
        "hidden": H,
        "updates": TURN * len(times),
        "ratio": round(ratio, 2),
        "quartiles": [round(low, 2), round(high, 2)],
        "seconds": dict(zip(("ours", "packed"), seconds, strict=True)),
        "loss": {"ours": round(ours.losses[-1], 4), "packed": round(packed.losses[-1], 4)},
    }


def main() -> None:
    """Measure all rows, print them as they come, and write the file at the end."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--updates", type=int, default=520, help="of each training (520)")
    parser.add_argument("--quick", action="store_true", help="few updates of a small network, prints only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for H in [8] if args.quick else SIZES:
        rows.append(row(H, 60 if args.quick else args.updates))
        print(json.dumps(rows[-1]), flush=True)
    if args.quick:
        return
    record = {"command": "python benchmarks/lengths_script.py", "machine": describe(), "rows": rows}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
