"""Speaker identification on Japanese Vowels with the plain network, ten seeds: clipping, start, and an LSTM.

    python benchmarks/rnn_vowels.py          writes rnnlit/pages/records/rnn_vowels.json (about 2 minutes)
    python benchmarks/rnn_vowels.py --seeds 1   a quick look

The settings of benchmarks/japanese_vowels.py with noise 0.5: 64 units, the mean of the states, an affine map,
Adam, 25 passes. Recorded for each seed: the share of the 370 test utterances that is named right, and the
largest norm that a gradient had during training.
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

from rnnlit import lstm, rnn
from rnnlit.pages import records
from rnnlit.tasks.data import japanese_vowels, standardise
from rnnlit.tasks.reader import Passes, Reader, make_step
from rnnlit.tools.layers import softmax_cross_entropy
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit

RESULT = records.HERE / "rnn_vowels.json"
HIDDEN, BATCH, STEPS, NOISE = 64, 27, 250, 0.5
SETTINGS = {
    "plain network": (rnn, {}, 1.0),
    "plain, not clipped": (rnn, {}, 1e9),
    "plain, orthogonal": (rnn, {"recurrent": "orthogonal"}, 1.0),
    "LSTM": (lstm, {}, 1.0),
}


def accuracy(train, test, cell, init, clip, seed):
    """The share named right after one training, and the largest norm of a gradient in it."""
    rng = np.random.default_rng(seed)
    reader = Reader(cell, 12, HIDDEN, 9, rng=rng, pool="mean", loss=softmax_cross_entropy, **init)
    history = fit(
        make_step(reader, Adam(reader.params, lr=4e-3), clip),
        Passes(train, BATCH, rng, NOISE),
        steps=STEPS,
        every=1,
        progress=False,
    )
    named = reader(test.x, test.lengths).argmax(1)
    return float((named == test.speaker).mean()), float(history["gradient norm"].max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="seeds for each setting (10)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    train, test = standardise(*japanese_vowels())
    rows = []
    for name, (cell, init, clip) in SETTINGS.items():
        both = [accuracy(train, test, cell, init, clip, seed) for seed in range(arguments.seeds)]
        right, norms = np.transpose(both)
        rows.append(dict(name=name, test=np.round(right, 4).tolist(), norm=np.round(norms, 2).tolist()))
        print(f"{name:20} {right.mean():.4f} ± {right.std():.4f}   norm {norms.max():.2f}", flush=True)
    record = dict(command="python benchmarks/rnn_vowels.py", rows=rows, machine=describe())
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
