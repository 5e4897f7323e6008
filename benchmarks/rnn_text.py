"""Predict the next character of Python's help texts by truncated backpropagation with a carried state.

    python benchmarks/rnn_text.py          writes rnnlit/pages/records/rnn_text.json (about 5 minutes)
    python benchmarks/rnn_text.py --seeds 1   a quick look

A plain network of 128 units reads the first nine tenths of the text, in windows; B streams of T steps with
B T = 1600, so that every setting takes the same number of steps on the same number of characters. 2000 steps
of Adam (learning rate 0.005, gradient norm clipped at 1), 7.6 times through the text. Recorded for each
seed: the perplexity on the last tenth, read as one stream; and a sample of what one net writes. Beside it the
perplexities of models that count n-grams, with their smoothing chosen on the last tenth of the training text.
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

from rnnlit import rnn
from rnnlit.pages import records
from rnnlit.tasks.characters import encode, help_texts, ngram_perplexity, one_hot, streams
from rnnlit.tools import layers
from rnnlit.tools.machine import describe
from rnnlit.tools.optim import Adam, clip_by_norm

RESULT = records.HERE / "rnn_text.json"
HIDDEN, CHARACTERS, RATE = 128, 1600, 5e-3
WINDOWS = (1, 2, 5, 10, 25, 50, 100)
ORDERS, SMOOTHINGS = (1, 2, 3, 4, 5), (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)


def train(text, window, steps, seed):
    """A trained cell and the affine map behind it."""
    rng, K = np.random.default_rng(seed), len(text.alphabet)
    cell, head = rnn.init(K, HIDDEN, rng=rng), layers.init(HIDDEN, K, rng=rng)
    optimiser = Adam((cell, head), lr=RATE)
    numbers = streams(text.train, CHARACTERS // window)
    starts = range(0, len(numbers) - window, window)
    zero = np.zeros((numbers.shape[1], HIDDEN), np.float32)
    for step in range(steps):
        start = starts[step % len(starts)]
        if start == 0:
            h = zero
        part = numbers[start : start + window + 1]
        run = rnn.forward(cell, one_hot(part[:-1], K), h)
        _, dlogits = layers.softmax_cross_entropy(layers.affine(head, run.h), part[1:])
        at_head = layers.affine_backward(head, run.h, dlogits)
        at_cell = rnn.backward(cell, run, dh=at_head.x)
        optimiser.step(clip_by_norm((at_cell.params, at_head.params), 1.0)[0])
        h = run.h_n
    return cell, head


def perplexity(cell, head, text):
    """On the test text, read as one stream."""
    run = rnn.forward(cell, one_hot(text.test[:-1, None], len(text.alphabet)))
    loss, _ = layers.softmax_cross_entropy(layers.affine(head, run.h), text.test[1:, None])
    return float(np.exp(loss))


def sample(cell, head, text, length, rng):
    """Let the net write: each character is drawn from what it predicts, and read next."""
    K, number, written = len(text.alphabet), text.alphabet.index("\n"), []
    h = np.zeros((1, HIDDEN), np.float32)
    for _ in range(length):
        h = rnn.step(cell, one_hot(np.array([number]), K), h)
        logits = layers.affine(head, h)[0].astype(np.float64)
        p = np.exp(logits - logits.max())
        number = int(rng.choice(K, p=p / p.sum()))
        written.append(text.alphabet[number])
    return "".join(written)


def counted(text):
    """The perplexities of n-gram models, each with the smoothing that is best on the training text's end."""
    K, cut = len(text.alphabet), len(text.train) * 9 // 10
    rows = []
    for n in ORDERS:
        alpha = min(
            SMOOTHINGS, key=lambda a: ngram_perplexity(text.train[:cut], text.train[cut:], n, K, alpha=a)
        )
        value = ngram_perplexity(text.train, text.test, n, K, alpha=alpha)
        rows.append(dict(n=n, alpha=alpha, perplexity=round(value, 3)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds for each window (3)")
    parser.add_argument("--steps", type=int, default=2000, help="steps of training (2000)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    text = encode(help_texts())
    grams, rows, written = counted(text), [], ""
    print(grams, flush=True)
    for window in WINDOWS:
        nets = [train(text, window, arguments.steps, seed) for seed in range(arguments.seeds)]
        reached = [perplexity(*net, text) for net in nets]
        rows.append(
            dict(window=window, streams=CHARACTERS // window, perplexity=np.round(reached, 3).tolist())
        )
        print(f"window {window:3}   {np.round(reached, 3).tolist()}", flush=True)
        if window == 25:
            written = sample(*nets[0], text, 400, np.random.default_rng(0))
    record = dict(
        command="python benchmarks/rnn_text.py",
        train=len(text.train),
        test=len(text.test),
        characters=len(text.alphabet),
        steps=arguments.steps,
        grams=grams,
        rows=rows,
        sample=written,
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
