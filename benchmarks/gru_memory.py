"""How do trained GRUs and LSTMs keep: one unit that holds still, or many that hold each other up?

    python benchmarks/gru_memory.py          writes rnnlit/pages/records/gru_memory.json (about 10 minutes)
    python benchmarks/gru_memory.py --seeds 1   a quick look

Nets that have learned two tasks: closing brackets (rnnlit/tasks/closing.py, 32 units, 300 steps of Adam, as
on the pages) at two learning rates, and the adding problem over 60 steps (16 units, trained as in
benchmarks/adding.py). The LSTM's forget bias starts at 1. Recorded for each net, on fresh sequences: its
score (share of right answers; mean squared error); the half-life of each unit where there is nothing to
write, at letters or where no flag is set, ln(1/2) / mean(ln z), with f for z in the LSTM, longest first; and
how much of a gradient of length 1 at the last state is left 40 steps earlier, by all ways and along the
state line alone, where it meets nothing but z or f (geometric mean over the sequences).
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

from rnnlit import gru, lstm
from rnnlit.pages import records
from rnnlit.tasks import closing
from rnnlit.tasks.data import adding
from rnnlit.tasks.reader import Reader, make_step
from rnnlit.tools import layers, probes
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam, clip_by_norm
from rnnlit.tools.train import fit

RESULT = records.HERE / "gru_memory.json"
CELLS, ONE_HOT, LAG = {"GRU": gru, "LSTM": lstm}, np.eye(len(closing.ALPHABET)), 40


def brackets(cell, rate, seed):
    """A net that closes brackets: weights, share of right answers, texts, and where a letter stands."""
    text, unseen = closing.texts()
    rng = np.random.default_rng(seed)
    params = cell.init(len(ONE_HOT), 32, rng=rng, dtype=np.float64)
    head = layers.init(32, closing.K, rng=rng, dtype=np.float64)
    adam = Adam((params, head), lr=rate)
    for _ in range(300):
        batch = closing.draw(text, 32, rng)
        asked = batch.target != closing.NOTHING
        run = cell.forward(params, ONE_HOT[batch.x])
        _, dlogits = layers.softmax_cross_entropy(layers.affine(head, run.h[asked]), batch.target[asked])
        at_head, dh = layers.affine_backward(head, run.h[asked], dlogits), np.zeros_like(run.h)
        dh[asked] = at_head.x
        at_cell = cell.backward(params, run, dh=dh)
        adam.step(clip_by_norm((at_cell.params, at_head.params), 1.0)[0])
    test = closing.draw(unseen, 400, np.random.default_rng(7))
    asked = test.target != closing.NOTHING
    answer = layers.affine(head, cell.forward(params, ONE_HOT[test.x]).h).argmax(2)
    right = float((answer == test.target)[asked].mean())
    return params, right, ONE_HOT[test.x], test.x < closing.FIRST


def sums(cell, rate, seed):
    """A net that adds: its weights, its error, sequences, and where no flag is set."""
    model = Reader(cell, 2, 16, 1, rng=np.random.default_rng(seed), dtype=np.float64)
    rng = np.random.default_rng((seed, 1))
    fit(
        make_step(model, Adam(model.params, lr=rate)),
        lambda rng: tuple(a.astype(np.float64) for a in adding(60, 50, rng)),
        steps=1500,
        rng=rng,
        progress=False,
    )
    x, y = (a.astype(np.float64) for a in adding(60, 400, np.random.default_rng(10**6)))
    return model.params.cell, float(((model(x) - y) ** 2).mean()), x, x[:, :, 1] == 0


TASKS = [
    dict(task="brackets", rate=0.03, train=brackets),
    dict(task="brackets", rate=0.01, train=brackets),
    dict(task="adding", rate=0.01, train=sums),
]


def look(cell, params, x, idle):
    """Half-lives at rest, and what is left of a gradient after LAG steps, by all ways and by one."""
    H = params.weight_hh.shape[1]
    keep = cell.forward(params, x).gates[:, :, H : 2 * H]  # the second block: z, or f
    v = np.random.default_rng(0).standard_normal((x.shape[1], H))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    whole = probes.gradient_over_lag(cell, params, x, v, [LAG])[0]
    line = np.linalg.norm(v * keep[-LAG:].prod(axis=0), axis=1)
    half_lives = np.log(0.5) / np.log(keep[idle]).mean(axis=0)
    return np.sort(half_lives)[::-1], whole, np.exp(np.log(line).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds for each cell and task (3)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    for setting in TASKS:
        for seed in range(arguments.seeds):
            for name, cell in CELLS.items():
                params, score, x, idle = setting["train"](cell, setting["rate"], seed)
                half_lives, whole, line = look(cell, params, x, idle)
                row = dict(task=setting["task"], rate=setting["rate"], cell=name, seed=seed)
                row |= dict(score=round(score, 5), half_lives=half_lives.round(2).tolist())
                rows.append(row | dict(whole=float(f"{whole:.3g}"), line=float(f"{line:.3g}")))
                print({k: v for k, v in rows[-1].items() if k != "half_lives"}, half_lives[:4], flush=True)
    record = dict(command="python benchmarks/gru_memory.py", lag=LAG, rows=rows, machine=describe())
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
