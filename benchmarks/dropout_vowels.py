"""Speaker identification from 270 utterances with each kind of dropout, and how sure the nets then are.

    python benchmarks/dropout_vowels.py          writes rnnlit/pages/records/dropout_vowels.json (10 minutes)
    python benchmarks/dropout_vowels.py --seeds 1   a quick look

The net of benchmarks/japanese_vowels.py: an LSTM of 64 units, the mean of its states, an affine map; Adam, 40
passes over the 270 training utterances in batches of 27. Every seed gives all kinds the same first weights
and the same order of utterances. Nothing is chosen by looking at the test set: both rates of every kind are
recorded. For each seed, on the 370 test utterances: the share named right, the cross-entropy in nats and the
calibration error, once with nothing dropped and once by the mean of 30 runs with masks (MC dropout). For
comparison stands Gaussian noise of 0.5 on the training input; its test is without noise. Gal's kind masks the
input and the state; "gal_x" and "gal_h" have one of these masks each.
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

from rnnlit import dropout_lstm
from rnnlit.dropout import mc_dropout
from rnnlit.dropout_lstm import KINDS, Dropped
from rnnlit.pages import records
from rnnlit.tasks.data import japanese_vowels, standardise
from rnnlit.tasks.reader import Passes, Reader, make_step
from rnnlit.tools.calibration import expected_calibration_error, reliability
from rnnlit.tools.layers import softmax_cross_entropy
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit

RESULT = records.HERE / "dropout_vowels.json"
HIDDEN, BATCH, STEPS, RUNS = 64, 27, 400, 30

RATES = (0.25, 0.5)


class Half(Dropped):
    """Gal's masks, on the input alone ("x") or on the state alone ("h")."""

    def __init__(self, part: str, p: float, rng: np.random.Generator) -> None:
        super().__init__("gal", p, rng)
        self.other = {"x": "h", "h": "x"}[part]

    def forward(self, params, x, h0=None, c0=None, lengths=None):
        (T, B, I), H = x.shape, params.weight_hh.shape[1]
        masks = dropout_lstm.Masks()
        if self.training:
            masks = dropout_lstm.draw("gal", self.p, T, B, I, H, rng=self.rng)._replace(**{self.other: None})
        return dropout_lstm.forward(params, x, masks, h0, c0, lengths)


def make_cell(kind: str, p: float, rng: np.random.Generator) -> Dropped:
    return Half(kind[-1], p, rng) if kind in ("gal_x", "gal_h") else Dropped(kind, p, rng)


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def judge(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """The share named right, the cross-entropy, the calibration error, and what its bins hold."""
    given = probabilities[np.arange(len(labels)), labels]
    bins = reliability(probabilities, labels)
    return dict(
        accuracy=round(float((probabilities.argmax(1) == labels).mean()), 4),
        loss=round(float(-np.log(np.maximum(given, 1e-12)).mean()), 4),
        calibration=round(expected_calibration_error(probabilities, labels), 4),
        cases=bins.cases.tolist(),
        confidence=np.round(np.nan_to_num(bins.confidence), 4).tolist(),
        right=np.round(np.nan_to_num(bins.cases * bins.accuracy)).astype(int).tolist(),
    )


def train(train_set, test_set, kind: str, p: float, noise: float, seed: int) -> dict:
    """One training and its two judgements on the test set."""
    rng = np.random.default_rng(seed)
    cell = make_cell(kind, p, np.random.default_rng([seed, 1]))
    reader = Reader(cell, 12, HIDDEN, 9, rng=rng, pool="mean", loss=softmax_cross_entropy)
    step = make_step(reader, Adam(reader.params, lr=4e-3))
    fit(step, Passes(train_set, BATCH, rng, noise), steps=STEPS, progress=False)
    cell.eval()
    plain = softmax(reader(test_set.x, test_set.lengths))
    seen = reader.loss(reader(train_set.x, train_set.lengths), train_set.speaker)[0]
    result = dict(seed=seed, seen=round(seen, 4), plain=judge(plain, test_set.speaker))
    if kind != "none":
        cell.train()
        mean = mc_dropout(reader, test_set.x, RUNS, test_set.lengths).mean
        result["mc"] = judge(mean, test_set.speaker)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each setting (5)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    train_set, test_set = standardise(*japanese_vowels())
    settings = [("none", 0.0, 0.0), ("none", 0.0, 0.5)]
    settings += [(kind, p, 0.0) for p in RATES for kind in (*KINDS[1:], "gal_x", "gal_h")]
    rows = []
    for kind, p, noise in settings:
        runs = [train(train_set, test_set, kind, p, noise, seed) for seed in range(arguments.seeds)]
        rows.append(dict(kind=kind, p=p, noise=noise, runs=runs))
        right = [run["plain"]["accuracy"] for run in runs]
        print(f"{kind:10} p {p:4} noise {noise}   {np.mean(right):.4f} ± {np.std(right):.4f}", flush=True)
    record = dict(
        command="python benchmarks/dropout_vowels.py", passes=40, mc_runs=RUNS, rows=rows, machine=describe()
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
