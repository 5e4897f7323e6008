"""Does dropout help? The answer depends on how long one trains: cross-validation on 270 utterances.

    python benchmarks/dropout_length.py          writes rnnlit/pages/records/dropout_length.json (15 minutes)
    python benchmarks/dropout_length.py --seeds 1   a quick look

The net of benchmarks/dropout_vowels.py, without dropout and with Gal's kind at p = 0.25. The 270 training
utterances are cut into five folds; each is held out once, while the net is trained on the other four. Every
100 steps of the training the net names the speakers of the held-out fold, with nothing dropped. A seed gives
the folds, the first weights, the order of utterances and the masks. Recorded for each seed and number of
steps: how many of the 270 each net names right, and on how many only one of the two is right. The test set of
370 utterances is not used.
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

from rnnlit.dropout_lstm import Dropped
from rnnlit.pages import records
from rnnlit.tasks.data import Utterances, japanese_vowels, standardise
from rnnlit.tasks.reader import Passes, Reader, make_step
from rnnlit.tools.layers import softmax_cross_entropy
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit

RESULT = records.HERE / "dropout_length.json"
HIDDEN, BATCH, EVERY, FOLDS, P = 64, 27, 100, 5, 0.25
KINDS = ("none", "gal")


def train(utterances: Utterances, fold: np.ndarray, kind: str, steps: int, seed: int) -> list[np.ndarray]:
    """Train without the fold; which of its utterances are named right after every 100 steps."""
    x, lengths, speaker = utterances
    rest = np.setdiff1d(np.arange(len(lengths)), fold)
    part = Utterances(x[:, rest], lengths[rest], speaker[rest])
    rng = np.random.default_rng(seed)
    cell = Dropped(kind, P, np.random.default_rng([seed, 1]))
    reader = Reader(cell, 12, HIDDEN, 9, rng=rng, pool="mean", loss=softmax_cross_entropy)
    named = []

    def evaluate() -> dict[str, float]:
        cell.eval()
        named.append(reader(x[:, fold], lengths[fold]).argmax(1) == speaker[fold])
        cell.train()
        return {"right": float(named[-1].mean())}

    step = make_step(reader, Adam(reader.params, lr=4e-3))
    fit(step, Passes(part, BATCH, rng), steps=steps, evaluate=evaluate, every=EVERY, progress=False)
    return named


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=6, help="seeds (6)")
    parser.add_argument("--steps", type=int, default=800, help="steps of training (800)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    utterances, _ = standardise(*japanese_vowels())
    N = len(utterances.lengths)
    rows = []
    for seed in range(arguments.seeds):
        folds = np.array_split(np.random.default_rng(seed).permutation(N), FOLDS)
        right = {kind: np.zeros((arguments.steps // EVERY, N), bool) for kind in KINDS}
        for kind in KINDS:
            for fold in folds:
                right[kind][:, fold] = train(utterances, fold, kind, arguments.steps, seed)
        for k, (none, gal) in enumerate(zip(*right.values(), strict=True), 1):
            counts = dict(
                none=none.sum(), gal=gal.sum(), gained=(gal & ~none).sum(), lost=(none & ~gal).sum()
            )
            row = dict(seed=seed, steps=EVERY * k, **{name: int(n) for name, n in counts.items()})
            rows.append(row)
            print(*(f"{name} {value:4}  " for name, value in row.items()), flush=True)
    record = dict(
        command="python benchmarks/dropout_length.py",
        utterances=N,
        folds=FOLDS,
        p=P,
        rows=rows,
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
