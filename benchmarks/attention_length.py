"""Quality against the length of the sentence, with and without attention: Bahdanau et al. (2015), figure 2.

    python benchmarks/attention_length.py          writes rnnlit/pages/records/attention_length.json (minutes)
    python benchmarks/attention_length.py --seeds 1   a quick look

The task is `rnnlit.tasks.translation`: a fixed lexicon and one local rule, so that only the length makes a
sentence difficult. Both nets have the order of Bahdanau. One attends (additive score); the other takes the
encoder's last state at every step, as Cho et al. (2014), and has a few more units, so that it has at least as
many parameters. Each is trained on sentences of 2 to 10 and of 2 to 20 words. A third, wide one without
attention has 128 units. All get the same number of steps, batches and the same learning rate.

Recorded for each seed and for each length of 2, 4 .. 40 words, on the same 200 fresh sentences, written
freely by greedy search: the share of sentences without an error; the share of places with the right word, a
missing word counting as wrong; edit distance over words. Beside them what a lexicon alone would reach.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import time

# One thread, set before NumPy is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
import torch

from rnnlit.nn.seq2seq import EncoderDecoder
from rnnlit.pages import records
from rnnlit.tasks.tokens import exact_match, token_error_rate
from rnnlit.tasks.translation import ENGLISH, FRENCH, sentences, word_for_word
from rnnlit.tools.machine import describe
from rnnlit.tools.train import fit
from rnnlit.tools.train_torch import make_step

RESULT = records.HERE / "attention_length.json"
EMBEDDING, HIDDEN, BATCH, RATE, EVERY = 16, 48, 32, 4e-3, 50
LENGTHS, FRESH = list(range(2, 41, 2)), 200


def build(seed: int, hidden: int, **options) -> EncoderDecoder:
    """A net for the task, drawn from this seed."""
    torch.manual_seed(seed)
    return EncoderDecoder(len(FRENCH), len(ENGLISH), EMBEDDING, hidden, **options)


def size_of(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def matching_units(**options) -> int:
    """The fewest units with which a net without attention has as many parameters as one with HIDDEN units."""
    wanted = size_of(build(0, HIDDEN, **options))
    return next(h for h in range(HIDDEN, 2 * HIDDEN) if size_of(build(0, h, attention=None)) >= wanted)


def train(model: EncoderDecoder, longest: int, steps: int, seed: int) -> list[float]:
    """Train on fresh sentences of 2 to `longest` words; return the loss, averaged over every EVERY steps."""
    optimiser = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    update = make_step(model, optimiser, lambda model, batch: model.loss(*batch))

    def step(batch):
        metrics = update(batch)
        schedule.step()
        return metrics

    def draw(rng):
        return sentences(int(rng.integers(2, longest + 1)), BATCH, rng)

    rng = np.random.default_rng(seed)
    history = fit(step, draw, steps=steps, every=EVERY, rng=rng, progress=False)
    return np.round(history["loss"], 4).tolist()


def quality(model: EncoderDecoder, length: int, size: int = FRESH) -> tuple[float, float, float]:
    """Right sentences, right words and token error rate on fresh sentences of this length, written freely."""
    batch = sentences(length, size, np.random.default_rng(10**6 + length))
    found = model.decode(batch.source, batch.source_lengths, max_length=length + 10)
    written = [hypothesis.tokens for hypothesis in found]
    wanted = list(batch.target.T)
    right = sum(int((w[: len(v)] == v[: len(w)]).sum()) for w, v in zip(written, wanted, strict=True))
    return exact_match(written, wanted), right / batch.target.size, token_error_rate(written, wanted)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each net (5)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training (1500)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    matched = matching_units(attention="additive")
    nets = [
        (f"{name}, trained to {longest}", longest, hidden, attention)
        for longest in (10, 20)
        for name, hidden, attention in (
            ("attention", HIDDEN, "additive"),
            ("no attention", matched, None),
        )
    ] + [("no attention, 128 units, trained to 20", 20, 128, None)]
    rows, began = [], time.process_time()
    for name, longest, hidden, attention in nets:
        for seed in range(arguments.seeds):
            model = build(seed, hidden, attention=attention)
            curve = train(model, longest, arguments.steps, seed)
            exact, words, errors = zip(*(quality(model, n) for n in LENGTHS), strict=True)
            rows.append(
                dict(name=name, trained_to=longest, attention=attention, hidden=hidden, seed=seed)
                | dict(parameters=size_of(model), loss=curve)
                | dict(exact=np.round(exact, 4).tolist(), words=np.round(words, 4).tolist())
                | dict(token_error_rate=np.round(errors, 4).tolist())
            )
            shown = "  ".join(f"{n}: {exact[LENGTHS.index(n)]:.2f}" for n in (4, 10, 14, 20, 22, 30, 40))
            print(f"{name:40} seed {seed}   right sentences  {shown}", flush=True)
    lexicon = [word_for_word(n) for n in LENGTHS]
    record = dict(
        command="python benchmarks/attention_length.py",
        steps=arguments.steps,
        batch=BATCH,
        every=EVERY,
        fresh=FRESH,
        lengths=LENGTHS,
        lexicon=dict(exact=[round(e, 6) for e, _ in lexicon], words=[round(w, 4) for _, w in lexicon]),
        rows=rows,
        cpu_seconds=round(time.process_time() - began),
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")
    print(f"a lexicon alone: right sentences {lexicon[1][0]:.4f} at 4 words, {lexicon[4][0]:.4f} at 10 words")
    print(f"{record['cpu_seconds']} s of processor time")


if __name__ == "__main__":
    main()
