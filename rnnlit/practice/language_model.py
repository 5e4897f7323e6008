"""What comes next? Language models of "Pride and Prejudice", by characters and by words.

    python -m rnnlit.practice.language_model --dropout gal --checkpoint run.safetensors --resume auto
    python -m rnnlit.practice.language_model --unit words --dropout zaremba
    python -m rnnlit.practice.language_model --baselines --record baselines.json

A model reads the novel token by token and says how probable each next token is. Training is truncated
backpropagation through time with the state carried on: the text is cut into B streams that are read side by
side, T tokens at a time; each window begins with the state that the window before ended with, and the
gradient stops there. Dropout is none, Zaremba's (connections that aren't recurrent, new at each step) or
Gal's (inputs, recurrent connections and, among words, whole tokens, one mask for a window). The weights of
the best row on the validation chapters are kept, and scored on the test chapters, which are read in 64 pieces
side by side, each after the 500 tokens before it. With --limit the whole schedule of the learning rate fits
into so many seconds, and a run that was broken off begins its schedule again.

    bits        the mean of -log2 p(token | all before it), per character or per word
    perplexity  2 ** bits

`language_model_net` has the model, `language_model_scores` what it is measured by.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Sequence
from functools import cache
from numbers import Real
from typing import Any

import numpy as np
import torch

from rnnlit.practice import records, stored
from rnnlit.practice.language_model_net import (
    KINDS,
    UNITS,
    LanguageModel,
    Stateful,
    Window,
    Windows,
    build,
    encode,
    load,
    parts,
    start,
    tokens,
    write,
)
from rnnlit.practice.language_model_scores import baselines, scores
from rnnlit.practice.options import add_run, parsed
from rnnlit.tools.train import fit
from rnnlit.tools.train_torch import TorchState, evaluating, make_step

# What the options leave open, by unit.
DEFAULTS: dict[str, dict[str, Any]] = {
    "characters": {"hidden": 256, "embedding": 64, "tied": False, "batch": 64, "window": 100, "steps": 2500},
    "words": {"hidden": 200, "embedding": 200, "tied": True, "batch": 20, "window": 35, "steps": 2500},
}
# The shares that are dropped if the options don't say: of inputs and outputs; of the recurrent connections.
RATES = {
    ("characters", "zaremba"): (0.3, 0.0),
    ("characters", "gal"): (0.25, 0.15),
    ("words", "zaremba"): (0.5, 0.0),
    ("words", "gal"): (0.5, 0.25),
}


def continue_text(
    text: str, length: int = 300, *, temperature: float = 0.7, top_p: float = 0.95, seed: int = 0
) -> str:
    """Go on from a text, character by character, with the weights that come with the package.

    ->  the text and `length` more characters

    temperature  below 1: the probable more often than the model says; 0: always the most probable
    top_p        draw from the smallest set of characters that has at least this probability
    seed         the same seed, the same text

    TypeError: no string, or no number where one belongs.  ValueError: an empty text or one of more than 5 000
    characters, a character that the novel doesn't have, a number out of its range.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, got {type(text).__name__}")
    if not 0 < len(text) <= 5000:
        raise ValueError(f"text: expected 1 to 5000 characters, got {len(text)}")
    for name, number in (("length", length), ("seed", seed)):
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"{name}: expected an integer, got {type(number).__name__}")
    shares: dict[str, Any] = {"temperature": temperature, "top_p": top_p}
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, Real):
            raise TypeError(f"{name}: expected a number, got {type(share).__name__}")
    if not 0 < length <= 10_000:
        raise ValueError(f"length: expected 1 to 10000 characters, got {length}")
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature: expected a number from 0 on, got {temperature!r}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a number above 0 and at most 1, got {top_p!r}")
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}")
    numbers = np.concatenate([[start("characters")], encode("characters", text)])
    rng = np.random.default_rng(seed)
    drawn = write(shipped(), numbers, length, rng, temperature=temperature, top_p=top_p)
    return text + "".join(tokens("characters")[k] for k in drawn)


@cache
def shipped() -> LanguageModel:
    """The model of characters that comes with the package."""
    return load(stored.HERE / "language_model.safetensors")


class OutOfTime(Exception):
    """The limit of seconds has been reached."""


class Clock:
    """How much of the training is done: of its steps, or of its seconds where these are scarcer."""

    def __init__(self, steps: int, limit: float | None = None) -> None:
        self.steps, self.limit, self.begin = steps, limit, time.perf_counter()

    def progress(self, step: int) -> float:
        """From 0 to 1."""
        gone = (time.perf_counter() - self.begin) / self.limit if self.limit else 0.0
        return min(1.0, max(step / self.steps, gone))

    def rate(self, step: int) -> float:
        """A factor of the learning rate: up in the first tenth of the training, then down as a cosine."""
        done = self.progress(step)
        return 0.04 + 0.96 * done / 0.1 if done < 0.1 else (1 + math.cos(math.pi * (done - 0.1) / 0.9)) / 2


class Best:
    """The weights with the fewest bits so far, and the rows up to now."""

    def __init__(self, model: LanguageModel) -> None:
        self.model, self.bits, self.weights = model, math.inf, model.state_dict()

    def see(self, bits: float) -> None:
        """Keep the weights as they are now, if these bits are the fewest."""
        if bits < self.bits:
            self.bits, self.weights = bits, copy.deepcopy(self.model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"bits": self.bits} | {f"weights.{name}": value for name, value in self.weights.items()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Put a `state_dict` back."""
        self.bits = saved["bits"]
        self.weights = {name: saved[f"weights.{name}"] for name in self.weights}


def train(options: argparse.Namespace) -> tuple[LanguageModel, list[dict[str, float]]]:
    """Train as the options say; the model has the weights of the row with the fewest bits. And the rows."""
    torch.manual_seed(options.seed)
    text, validation, _ = parts(options.unit)
    windows = Windows(text, options.batch, options.window, options.device)
    watched = Windows(validation, options.batch, options.window, options.device)
    model = build(**setting_of(options)).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    clock = Clock(options.steps, options.limit)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, clock.rate)
    loss_fn, best, rows = Stateful(), Best(model), []
    inner = make_step(model, optimizer, loss_fn, scheduler=scheduler)

    def step(window: Window) -> dict[str, float]:
        if clock.progress(scheduler.last_epoch) == 1:
            raise OutOfTime
        return inner(window)

    step.scheduler = scheduler  # type: ignore[attr-defined]  # for fit, as make_step gives it

    def evaluate() -> dict[str, float]:
        stateful = Stateful()
        with evaluating(model):
            losses = [stateful(model, window).item() for window in watched]
        bits = float(np.mean(losses) / np.log(2))
        best.see(bits)
        rows.append({"step": scheduler.last_epoch, "bits": bits})
        return {"bits": bits}

    try:
        history = fit(
            step,
            windows,
            steps=options.steps,
            every=options.every,
            evaluate=evaluate,
            checkpoint=options.checkpoint,
            resume=options.resume,
            csv=options.csv,
            state=TorchState(model, optimizer, scheduler=scheduler, carried=loss_fn, best=best),
        )
        rows = history.rows
    except OutOfTime:
        evaluate()
    model.load_state_dict(best.weights)
    return model, rows


def setting_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `build` needs to know."""
    names = ("unit", "hidden", "embedding", "tied", "layers", "p", "p_h", "p_tokens")
    return {name: getattr(options, name) for name in names} | {"kind": options.dropout}


# ---------------------------------------------------------------- the record


def recorded(unit: str, kind: str, layers: int = 2) -> list[dict[str, Any]]:
    """The full runs of the record with this unit, kind of dropout and number of layers, by their seeds."""
    runs = [run for run in records.load("language_model")["runs"] if "bits" in run]
    wanted = unit, kind, layers
    return sorted((r for r in runs if (r["unit"], r["kind"], r["layers"]) == wanted), key=lambda r: r["seed"])


def recorded_baselines() -> dict[str, Any]:
    """What n-grams and compressors reach, of the record."""
    (found,) = (run["baselines"] for run in records.load("language_model")["runs"] if "baselines" in run)
    return found


def beside() -> list[records.Beside]:
    """Our results beside published ones; the texts differ, so the first line gives each text's yardstick."""

    def perplexity(kind: str) -> float:
        return float(np.mean([2 ** run["bits"]["test"] for run in recorded("words", kind)]))

    def bits(kind: str, layers: int = 2) -> float:
        return float(np.mean([run["bits"]["test"] for run in recorded("characters", kind, layers)]))

    grams = min(recorded_baselines()["words"]["ngrams"], key=lambda row: row["validation"])
    text = "a novel, 118 thousand tokens of 3 608 kinds; theirs Penn Treebank, 930 thousand of 10 000"
    units = f"{text}; ours 200 units and 14 epochs, theirs 650"
    words, characters = "language model, perplexity of a word", "language model, bits per character"
    novel = "a novel, 549 thousand characters"
    treebank = (
        f"{novel}, cut off after 730 and 1700 steps; theirs Penn Treebank, a million words, one LSTM layer"
    )
    wikipedia = f"{novel}; theirs Wikipedia with markup, 96 million, 7 LSTM layers, validation"
    rows = [
        (f"{words}: Kneser-Ney", 2 ** grams["test"], "141", "mikolov2012statistical", text),
        (f"{words}: no dropout", perplexity("none"), "114.5", "zaremba2014recurrent", text),
        (f"{words}: Zaremba's", perplexity("zaremba"), "82.7", "zaremba2014recurrent", units),
        (f"{words}: Gal's", perplexity("gal"), "79.7", "gal2016theoretically", units),
        (f"{characters}: no dropout", bits("none"), "1.32", "graves2013generating", treebank),
        (
            f"{characters}: the best",
            bits("zaremba", 1),
            "1.67",
            "graves2013generating",
            wikipedia,
        ),
    ]
    return [
        records.Beside(what, f"{ours:.1f}" if ours > 10 else f"{ours:.2f}", theirs, work, differs)
        for what, ours, theirs, work, differs in rows
    ]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. SystemExit: what argparse refuses, and --resume without --checkpoint."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--unit", choices=UNITS, default="characters", help="what a token is (characters)")
    parser.add_argument("--dropout", choices=KINDS, default="gal", help="where (gal)")
    parser.add_argument("--p", type=float, help="share of inputs and outputs that is dropped (see RATES)")
    parser.add_argument("--p-h", type=float, help="share of recurrent connections and words, for gal")
    parser.add_argument("--hidden", type=int, help="units of a layer (256; words 200)")
    parser.add_argument("--layers", type=int, default=2, help="of the LSTM (2)")
    parser.add_argument("--steps", type=int, help="steps of the optimiser (2500)")
    parser.add_argument("--limit", type=float, help="seconds of training, where the steps would take longer")
    parser.add_argument("--batch", type=int, help="streams that are read side by side (64; words 20)")
    parser.add_argument("--window", type=int, help="tokens that the gradient goes back (100; words 35)")
    parser.add_argument("--lr", type=float, default=4e-3, help="Adam's highest learning rate (0.004)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and masks (0)")
    parser.add_argument("--every", type=int, default=100, help="steps from one row to the next (100)")
    add_run(parser)
    parser.add_argument("--baselines", action="store_true", help="only n-grams and compressors; no network")
    options = parsed(parser, arguments)
    defaults = DEFAULTS[options.unit]
    options.tied = defaults["tied"]
    for name in ("hidden", "batch", "window", "steps"):
        if getattr(options, name) is None:
            setattr(options, name, defaults[name])
    options.embedding = options.hidden if options.tied else defaults["embedding"]
    rates = RATES.get((options.unit, options.dropout), (0.0, 0.0))
    options.p = rates[0] if options.p is None else options.p
    options.p_h = rates[1] if options.p_h is None else options.p_h
    options.p_tokens = options.p_h if options.unit == "words" else 0.0  # a text without any e can't be read
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, and write what is asked for."""
    options = parse(arguments)
    begin = time.perf_counter()
    gpu = torch.cuda.get_device_name() if options.device.startswith("cuda") else None
    record = records.stamp("rnnlit.practice.language_model", arguments, gpu=gpu)
    if options.baselines:
        record |= {"baselines": baselines()}
    else:
        model, rows = train(options)
        seconds = time.perf_counter() - begin
        if options.export is not None:  # first, since it is soon done, and scoring takes a while
            stored.save(options.export, model, setting_of(options))
        record |= setting_of(options) | {
            "seed": options.seed,
            "batch": options.batch,
            "window": options.window,
            "parameters": sum(p.numel() for p in model.parameters()),
            "steps": int(rows[-1]["step"]),
            "best": int(min(rows, key=lambda row: row["bits"])["step"]),
            "seconds": round(seconds),
            "rows": [{name: round(x, 4) for name, x in row.items()} for row in rows],
            "bits": scores(model, options.unit),
        }
    if options.record is not None:
        options.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in record.items() if k not in ("rows", "machine")}))


if __name__ == "__main__":
    main()
