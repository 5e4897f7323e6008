"""A hidden Markov model: networks of one and of two directions against the best that is possible.

    python benchmarks/birnn_hmm.py            writes rnnlit/pages/records/birnn_hmm.json (some minutes)
    python benchmarks/birnn_hmm.py --seeds 1  a quick look

A GRU sees the symbols and names the hidden state at every step. It is trained on fresh sequences. Nothing is
sampled for the test: there are 3^10 = 59 049 sequences of ten symbols, so the expected accuracy of a network
is summed over all of them,

    1/T sum_t sum_x P(x) P(z_t = the state named at t | x),

and so is the best that is possible: given the past (filtering), given the past and d further steps (fixed-lag
smoothing), given all steps (smoothing).

Readers: left to right with 16 and with 64 units; the same with an answer that comes d steps late, for which d
blank symbols follow each sequence; right to left; both directions with 16 units each; the article's form,
where a third chain reads these two.
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
import torch

from rnnlit import nn
from rnnlit.nn.bidirectional import Article
from rnnlit.pages import records
from rnnlit.tasks import hmm, tagger_torch
from rnnlit.tools import train, train_torch
from rnnlit.tools.machine import describe

RESULT = records.HERE / "birnn_hmm.json"
T, BATCH, EMBEDDING, RATE = 10, 64, 8, 1e-2
MODEL = hmm.HMM(
    start=np.full(4, 0.25),
    transition=np.array([[2, 0, 2, 0], [0, 2, 0, 2], [1, 1, 2, 0], [1, 1, 0, 2]]) / 4,
    emission=np.array([[18, 1, 1], [18, 1, 1], [1, 18, 1], [1, 1, 18]]) / 20,
)
READERS = {  # units, kind, steps of delay
    "past, 16 units": (16, "past", 0),
    "past, 64 units": (64, "past", 0),
    "past and 1 step": (16, "past", 1),
    "past and 2 steps": (16, "past", 2),
    "past and 4 steps": (16, "past", 4),
    "right to left, 16 units": (16, "future", 0),
    "both, 16 + 16 units": (16, "both", 0),
    "article, 16 + 16 + 16": (16, "article", 0),
}


def late(x: np.ndarray, z: np.ndarray, delay: int) -> tuple[np.ndarray, np.ndarray]:
    """Ask for the state of step t at step t + delay; a fourth symbol fills the end."""
    B = x.shape[1]
    blank, unasked = np.full((delay, B), 3), np.full((delay, B), tagger_torch.UNASKED)
    return np.concatenate([x, blank]), np.concatenate([unasked, z])


def seen(x: np.ndarray, kind: str, delay: int) -> np.ndarray:
    """What a reader of this kind knows of each state at best: (T, B, K)."""
    if kind == "past":
        ends = [min(t + delay + 1, T) for t in range(T)]
        return np.stack([hmm.posterior(MODEL, x[:end]).smoothed[t] for t, end in enumerate(ends)])
    if kind == "future":
        return hmm.posterior(turned(), x[::-1]).filtered[::-1]
    return hmm.posterior(MODEL, x).smoothed


def turned() -> hmm.HMM:
    """The model of the turned sequences: the start is stationary, so  A'[k, j] = p_j A[j, k] / p_k."""
    start = MODEL.start
    assert np.allclose(start @ MODEL.transition, start)
    return MODEL._replace(transition=(start[:, None] * MODEL.transition).T / start[:, None])


def network(units: int, kind: str) -> tagger_torch.Tagger:
    if kind == "article":
        layer = Article.of("gru", EMBEDDING, units, units)
        return tagger_torch.Tagger(layer, 4, 4, sizes=(EMBEDDING, units))
    return tagger_torch.Tagger(nn.GRU(EMBEDDING, units, bidirectional=kind == "both"), 4, 4)


def fitted(units: int, kind: str, delay: int, steps: int, seed: int) -> tagger_torch.Tagger:
    """Train a network on fresh sequences."""
    torch.manual_seed(seed)
    model = network(units, kind)
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    step = train_torch.make_step(model, adam, tagger_torch.loss)

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z, x = hmm.sample(MODEL, T, BATCH, rng)
        return late(x[::-1].copy(), z[::-1].copy(), 0) if kind == "future" else late(x, z, delay)

    train.fit(step, draw, steps=steps, rng=np.random.default_rng(seed), progress=False)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each reader (5)")
    parser.add_argument("--steps", type=int, default=400, help="steps of training (400)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    x = np.indices((3,) * T).reshape(T, -1)
    known = hmm.posterior(MODEL, x)
    weight = np.exp(known.log_likelihood)
    assert abs(weight.sum() - 1) < 1e-9
    rows = []
    for name, (units, kind, delay) in READERS.items():
        ceiling = float((seen(x, kind, delay).max(2).mean(0) * weight).sum())
        for seed in range(arguments.seeds):
            model = fitted(units, kind, delay, arguments.steps, seed)
            asked = late(x[::-1].copy() if kind == "future" else x, x, delay)
            named = tagger_torch.predict(model, asked).numpy()[delay:]
            if kind == "future":
                named = named[::-1]
            right = np.take_along_axis(known.smoothed, named[..., None], 2)[..., 0]
            score = float((right.mean(0) * weight).sum())
            print(f"{name:24} seed {seed}   accuracy {score:.4f}   ceiling {ceiling:.4f}", flush=True)
            rows.append(
                dict(name=name, seed=seed, accuracy=round(score, 5), ceiling=round(ceiling, 5))
                | dict(parameters=sum(p.numel() for p in model.layer.parameters()))
            )
    record = dict(command="python benchmarks/birnn_hmm.py", T=T, steps=arguments.steps, rows=rows)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record | dict(machine=describe()), indent=1) + "\n")


if __name__ == "__main__":
    main()
