"""The adding problem of 1997 at T = 100, learned by the cell of 1997 and by the LSTM of today.

    python benchmarks/hochreiter_1997.py

trains each variant below from several seeds and writes pages/records/hochreiter_1997.json, and beside it
one trained net (that of seed 0, whether it is the best or not) for each variant marked `keep`. It takes about
six minutes of one core. Another processor may round otherwise and then meet the criterion elsewhere.

The task is the paper's (Hochreiter & Schmidhuber 1997, section 5.4, table 7). So are the criterion that ends
training, the test on 2560 fresh sequences with a tolerance of 0.04, the number of cells (4), and for the 1997
cell its squashing functions and its input gate biases of -3 and -6. DIFFERENCES lists what is not; it stands
in the results too, so that nobody takes the numbers of sequences for a race on equal terms.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

# One thread, set before NumPy is imported: the matrices are tiny.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np

from rnnlit import lstm, lstm_1997
from rnnlit.pages import records
from rnnlit.tasks import data
from rnnlit.tools import layers, weights
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam, clip_by_norm

RESULTS = records.HERE

T = 100
CELLS = 4
BATCH = 20
LEARNING_RATE = 0.01
CLIP = 1.0
TOLERANCE = 0.04  # an answer is right if it is nearer than this
RECENT = 2000  # sequences that must all be right at the end of training
AVERAGE = 0.01  # and their mean absolute error must be below this
TESTED = 2560

PAPER = {
    "source": "Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 5.4 and table 7",
    "T": 100,
    "weights": 93,
    "wrong": 1,
    "tested": 2560,
    "sequences": 74_000,
    "trials": 10,
    "note": "wrong and sequences are means of 10 trials; no trial had more than 3 wrong",
}

DIFFERENCES = [
    "Learning: the paper changes the weights after each sequence, at a rate of 0.5, by a truncated gradient"
    " that goes back in time through the cell states alone. Here Adam takes the whole gradient of"
    f" {BATCH} sequences at a time, clipped to norm {CLIP}, at a rate of {LEARNING_RATE}.",
    "Net: the paper has two blocks of two cells that share their gates, and its units see the gates as well,"
    " 93 weights in all. Here each cell has its own gates, and units see the input and the cells' outputs.",
    "Output: logistic in the paper, affine here.",
    "First weights: from U(-0.1, 0.1) in the paper. Here from U(-1/2, 1/2), the cell's biases 0 but for those"
    " named.",
    "Criterion: the paper asks for an average training error below 0.01 and does not define it. Here it is"
    " the mean absolute error of the 2000 most recent sequences; as a squared error it would follow from all"
    " being right.",
    "Marks on the first pair: see the docstring of rnnlit.tasks.data.adding_1997.",
]


class Variant(NamedTuple):
    """A cell and how it starts."""

    cell: ModuleType
    start: dict[str, Any]  # arguments of the cell's init
    about: str
    keep: bool  # whether seed 0's trained net is stored


VARIANTS = {
    "lstm_1997": Variant(
        lstm_1997,
        {"input_bias": np.array([-3, -3, -6, -6])},
        "the cell of 1997, without a forget gate; input gate biases -3, -3, -6, -6, as in the two blocks",
        True,
    ),
    "lstm_chrono": Variant(
        lstm,
        {"chrono": T + T // 10},
        "today's cell; chrono initialisation for lags up to 110: forget biases log u, input biases -log u",
        True,
    ),
    "lstm_forget_1": Variant(
        lstm, {"forget_bias": 1.0}, "today's cell; forget bias 1, the usual default", False
    ),
    "lstm_forget_5": Variant(lstm, {"forget_bias": 5.0}, "today's cell; forget bias 5, input bias 0", False),
}


class Net(NamedTuple):
    """A recurrent layer and the affine map that reads its last hidden state."""

    cell: Any
    head: layers.Params


def new_net(variant: Variant, rng: np.random.Generator) -> Net:
    return Net(variant.cell.init(2, CELLS, rng=rng, **variant.start), layers.init(CELLS, 1, rng=rng))


def count_weights(net: Net) -> int:
    """Count the weights that are trained: all but bias_hh, which stays zero, as one bias a unit is enough."""
    return sum(p.size for p in (*net.cell, *net.head)) - net.cell.bias_hh.size


def errors(cell: ModuleType, net: Net, x: np.ndarray, lengths: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Answer each sequence at its end and subtract the target.  ->  (B,)"""
    return (layers.affine(net.head, cell.forward(net.cell, x, lengths=lengths).h_n) - y)[:, 0]


def update(cell: ModuleType, net: Net, optimizer: Adam, batch: tuple[np.ndarray, ...]) -> np.ndarray:
    """Take one step down the batch's mean squared error.  ->  errors (B,) as they were before the step"""
    x, lengths, y = batch
    run = cell.forward(net.cell, x, lengths=lengths)
    answer = layers.affine(net.head, run.h_n)
    _, d_answer = layers.mean_squared_error(answer, y)
    head = layers.affine_backward(net.head, run.h_n, d_answer)
    recurrent = cell.backward(net.cell, run, dh_n=head.x).params
    recurrent = recurrent._replace(bias_hh=np.zeros_like(recurrent.bias_hh))
    grads, _ = clip_by_norm(Net(recurrent, head.params), CLIP)
    optimizer.step(grads)
    return (answer - y)[:, 0]


def criterion(recent: np.ndarray) -> bool:
    """The paper's: the 2000 most recent sequences were right, and their average error is below 0.01."""
    return len(recent) == RECENT and recent.max() < TOLERANCE and recent.mean() < AVERAGE


def train(variant: Variant, seed: int, limit: int) -> tuple[Net, dict[str, Any]]:
    """Train until the criterion is met or `limit` sequences have been seen, then test on fresh sequences."""
    training, testing = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    net = new_net(variant, training)
    optimizer = Adam(net, lr=LEARNING_RATE)
    recent = np.empty(0, np.float32)
    seen, met, curve = 0, False, []
    while not met and seen < limit:
        batch = data.adding_1997(T, BATCH, training)
        absolute = np.abs(update(variant.cell, net, optimizer, batch))
        recent = np.concatenate([recent, absolute])[-RECENT:]
        seen += BATCH
        met = criterion(recent)
        if seen % RECENT == 0:
            curve.append(float(f"{np.mean(recent**2):.3g}"))
    error = errors(variant.cell, net, *data.adding_1997(T, TESTED, testing)).astype(np.float64)
    return net, {
        "seed": seed,
        "sequences": seen if met else None,
        "trained_on": seen,
        "wrong": int(np.sum(np.abs(error) >= TOLERANCE)),
        "mse": float(f"{np.mean(error**2):.3g}"),
        "mean_absolute_error": float(f"{np.mean(np.abs(error)):.3g}"),
        "mse_of_each_2000": curve,
    }


def write(path: Path, record: dict[str, Any]) -> None:
    """Write JSON in one move, with each list of numbers on one line."""
    text = json.dumps(record, indent=1)
    text = re.sub(r"\[[-+.\de,\s]+\]", lambda numbers: " ".join(numbers[0].split()), text)
    partial = path.with_suffix(".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="runs of each variant (default 5)")
    parser.add_argument("--limit", type=int, default=100_000, help="sequences a run may see (100000)")
    arguments = parser.parse_args()
    record: dict[str, Any] = {
        "command": "python benchmarks/hochreiter_1997.py"
        f" --seeds {arguments.seeds} --limit {arguments.limit}",
        "task": {"T": T, "tolerance": TOLERANCE, "recent": RECENT, "average": AVERAGE, "tested": TESTED},
        "limit": arguments.limit,
        # A net without memory: the docstring of adding_1997 derives it.
        "mse_without_memory": round((2 - (1 / 10 + 9 / 10 / (T // 2 - 1))) / 48, 4),
        "paper": PAPER,
        "differences": DIFFERENCES,
        "machine": describe(),
        "variants": {},
    }
    for name, variant in VARIANTS.items():
        runs = []
        for seed in range(arguments.seeds):
            net, run = train(variant, seed, arguments.limit)
            runs.append(run)
            after = f"met after {run['sequences']}" if run["sequences"] else f"not met in {run['trained_on']}"
            print(f"{name:14s} seed {seed}: {after:20s} {run['wrong']:4d} of {TESTED} wrong", end="  ")
            print(f"mse {run['mse']:.2g}", flush=True)
            if seed == 0 and variant.keep:
                path = RESULTS / f"hochreiter_1997_{name}.safetensors"
                weights.save(path, net._asdict(), seed=seed, trained_on=run["trained_on"])
        record["variants"][name] = {"about": variant.about, "weights": count_weights(net), "runs": runs}
        write(
            RESULTS / "hochreiter_1997.json", record
        )  # after each variant: a run cut short keeps what it has


if __name__ == "__main__":
    main()
