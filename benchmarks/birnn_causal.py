"""A bidirectional network that is trained to predict the next step: what it learns, and what it then writes.

    python benchmarks/birnn_causal.py            writes rnnlit/pages/records/birnn_causal.json (a minute)
    python benchmarks/birnn_causal.py --seeds 1  a quick look

The text is a Markov chain of four states: the walk of benchmarks/birnn_hmm.py, seen as it is. A GRU of 16
units, in one direction or in both, is trained to name the next state at each step. Recorded: the loss over
whole sequences, as in training; the loss at the end of a prefix, where no next step is there to be seen; and
the share of steps that repeat the last state in what the network then writes by itself, from one state on.
The entropy rate of the chain, and the share of repeats in the chain itself, are exact.
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
from birnn_hmm import BATCH, EMBEDDING, MODEL, RATE

from rnnlit import nn
from rnnlit.pages import records
from rnnlit.tasks import hmm, tagger_torch
from rnnlit.tools import train, train_torch
from rnnlit.tools.machine import describe

RESULT = records.HERE / "birnn_causal.json"
T, PREFIX, TEST, UNITS = 20, 10, 2000, 16


def next_step(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each step but the last, the state that comes next."""
    return z, np.concatenate([z[1:], np.full_like(z[:1], tagger_torch.UNASKED)])


def measure(both: bool, seed: int, steps: int) -> dict[str, float]:
    torch.manual_seed(seed)
    model = tagger_torch.Tagger(nn.GRU(EMBEDDING, UNITS, bidirectional=both), 4, 4)
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    step = train_torch.make_step(model, adam, tagger_torch.loss)
    rng = np.random.default_rng(seed)
    train.fit(
        step,
        lambda rng: next_step(hmm.sample(MODEL, T, BATCH, rng).z),
        steps=steps,
        rng=rng,
        progress=False,
    )
    z = hmm.sample(MODEL, T, TEST, np.random.default_rng(10**6)).z
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        whole = tagger_torch.loss(model, next_step(z)).item()
        logits, following = model(z[:PREFIX])[-1], torch.from_numpy(z[PREFIX])
        end = torch.nn.functional.cross_entropy(logits, following).item()
        text = torch.from_numpy(z[:1])
        for _ in range(T):
            p = model(text)[-1].softmax(-1)
            text = torch.cat([text, torch.multinomial(p, 1, generator=generator).T])
    repeats = (text[1:] == text[:-1]).double().mean().item()
    return dict(loss=round(whole, 4), loss_at_end=round(end, 4), repeats=round(repeats, 4))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each network (5)")
    parser.add_argument("--steps", type=int, default=250, help="steps of training (250)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    rows = []
    for name, both in (("forward", False), ("both", True)):
        for seed in range(arguments.seeds):
            rows.append(dict(name=name, seed=seed) | measure(both, seed, arguments.steps))
            print(rows[-1], flush=True)
    share, step = MODEL.start, MODEL.transition  # the start is stationary
    rate = -(share[:, None] * step * np.log(np.where(step > 0, step, 1))).sum()
    exact = dict(entropy_rate=round(float(rate), 4), repeats=float((share * np.diag(step)).sum()))
    record = dict(command="python benchmarks/birnn_causal.py", steps=arguments.steps, **exact, rows=rows)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record | dict(machine=describe()), indent=1) + "\n")


if __name__ == "__main__":
    main()
