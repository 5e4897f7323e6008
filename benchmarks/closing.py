"""Which bracket closes next? Plain network, LSTM (two forget biases) and GRU with as many parameters each.

    python benchmarks/closing.py             writes rnnlit/pages/records/closing.json (about 3 minutes)
    python benchmarks/closing.py --seeds 1   a quick look

The task is that of rnnlit/tasks/closing.py: brackets in the text of Alice, sequences of 100 characters. All
nets of one seed read the same batches of 32 fresh sequences, from the first nine tenths of the text, and
take 600 steps of Adam, gradient norm clipped at 1. First each cell is trained for 200 steps at four learning
rates, one seed, and tested on sequences from the last fiftieth of the training text; it keeps the rate that
is best there. Recorded for each net: loss and accuracy in training, averaged over every 20 steps; the share
of right answers on 1000 sequences from the last tenth of the text, for all and by the distance of the
opening bracket. Beside it what two guesses reach: the kind that opened last, and the same kind always.
Parameters are counted as torch counts them, with both biases, without the readout.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
from functools import partial
from types import SimpleNamespace

# One thread, set before NumPy is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np

from rnnlit import gru, lstm, rnn
from rnnlit.pages import records
from rnnlit.tasks import closing
from rnnlit.tasks.characters import one_hot
from rnnlit.tools import layers
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam, clip_by_norm

RESULT = records.HERE / "closing.json"
V, BATCH, EVERY = len(closing.ALPHABET), 32, 20
RATES, TRIAL, TRIAL_SEED = (0.001, 0.003, 0.01, 0.03), 200, 100


def forget(bias):
    """An LSTM with that forget bias."""
    return SimpleNamespace(
        init=partial(lstm.init, forget_bias=bias), forward=lstm.forward, backward=lstm.backward
    )


CELLS = {  # the cell and its H, chosen so that all have about 16 000 parameters
    "RNN": (rnn, 110),
    "LSTM, b_f = 0": (forget(0.0), 48),
    "LSTM, b_f = 1": (forget(1.0), 48),
    "GRU": (gru, 57),
}


def batches(text, seed, steps):
    rng = np.random.default_rng((seed, 1))
    return [closing.draw(text, BATCH, rng) for _ in range(steps)]


def answers(cell, params, head, batch, part=100):
    """The kind that each net's answer names, (T, B)."""
    chosen = []
    for b in range(0, batch.x.shape[1], part):
        run = cell.forward(params, one_hot(batch.x[:, b : b + part], V))
        chosen.append(layers.affine(head, run.h).argmax(2))
    return np.concatenate(chosen, axis=1)


def train(cell, hidden, rate, seed, drawn):
    """A trained cell, its readout, and loss and accuracy in training over every EVERY steps."""
    rng = np.random.default_rng((seed, 2))
    params, head = cell.init(V, hidden, rng=rng), layers.init(hidden, closing.K, rng=rng)
    optimiser, losses, right = Adam((params, head), lr=rate), [], []
    for batch in drawn:
        asked = batch.target != closing.NOTHING
        run = cell.forward(params, one_hot(batch.x, V))
        logits = layers.affine(head, run.h[asked])
        loss, dlogits = layers.softmax_cross_entropy(logits, batch.target[asked])
        at_head, dh = layers.affine_backward(head, run.h[asked], dlogits), np.zeros_like(run.h)
        dh[asked] = at_head.x
        at_cell = cell.backward(params, run, dh=dh)
        optimiser.step(clip_by_norm((at_cell.params, at_head.params), 1.0)[0])
        losses.append(loss)
        right.append((logits.argmax(1) == batch.target[asked]).mean())
    return params, head, *(np.reshape(a, (-1, EVERY)).mean(1).round(4).tolist() for a in (losses, right))


def share(guess, batch):
    asked = batch.target != closing.NOTHING
    return round(float((guess == batch.target)[asked].mean()), 4)


def by_distance(guess, batch):
    return np.round(closing.accuracy(guess, batch), 4).tolist()


def best_rate(cell, hidden, text):
    """The rate that is best on the end of the training text, and what each reached there."""
    cut = len(text) * 49 // 50
    drawn = batches(text[:cut], TRIAL_SEED, TRIAL)
    held_out = closing.draw(text[cut:], 200, np.random.default_rng(TRIAL_SEED))
    reached = {}
    for rate in RATES:
        params, head, *_ = train(cell, hidden, rate, TRIAL_SEED, drawn)
        reached[rate] = share(answers(cell, params, head, held_out), held_out)
    return max(reached, key=reached.get), reached


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds for each cell (3)")
    parser.add_argument("--steps", type=int, default=600, help="steps of training (600)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    text, unseen = closing.texts()
    test = closing.draw(unseen, 1000, np.random.default_rng(7))
    rates, trials = {}, {}
    for name, (cell, hidden) in CELLS.items():
        rates[name], reached = best_rate(cell, hidden, text)
        trials[name] = reached
        print(f"{name:14} {reached}", flush=True)
    rows = []
    for seed in range(arguments.seeds):
        drawn = batches(text, seed, arguments.steps)
        for name, (cell, hidden) in CELLS.items():
            params, head, losses, right = train(cell, hidden, rates[name], seed, drawn)
            guess = answers(cell, params, head, test)
            row = dict(name=name, seed=seed, hidden=hidden, parameters=sum(a.size for a in params))
            row |= dict(rate=rates[name], test=share(guess, test), accuracy=by_distance(guess, test))
            rows.append(row | dict(loss=losses, training=right))
            print(f"{name:14} seed {seed}   {row['test']:.4f}   {row['accuracy']}", flush=True)
    guesses = {"last opened": closing.last_opened(test.x), "always round": np.zeros_like(test.x)}
    record = dict(
        command="python benchmarks/closing.py",
        T=len(test.x),
        batch=BATCH,
        steps=arguments.steps,
        every=EVERY,
        from_distance=[1, 6, 11, 21, 41, 81],
        questions=np.bincount(
            np.searchsorted([6, 11, 21, 41, 81], test.distance[test.target != closing.NOTHING], side="right")
        ).tolist(),
        trials=trials,
        guesses={
            name: dict(test=share(guess, test), accuracy=by_distance(guess, test))
            for name, guess in guesses.items()
        },
        rows=rows,
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
