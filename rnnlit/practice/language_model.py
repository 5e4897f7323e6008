"""What comes next? Language models of "Pride and Prejudice", by characters and by words.

    python -m rnnlit.practice.language_model --dropout gal --checkpoint run.safetensors --resume auto
    python -m rnnlit.practice.language_model --unit words --dropout zaremba
    python -m rnnlit.practice.language_model --baselines --record baselines.json

A model reads the novel token by token and says how probable each next token is. Training is truncated
backpropagation through time with the state carried on: the text is cut into B streams that are read side by
side, T tokens at a time; each window begins with the state that the window before ended with, and the
gradient stops there. Dropout is none, Zaremba's (connections that aren't recurrent, new at each step) or
Gal's (inputs, recurrent connections and, among words, whole tokens, one mask for a window). The weights of
the best row on the validation chapters are kept, and scored on the test chapters, which are read from first
to last token as one sequence.

    bits        the mean of -log2 p(token | all before it), per character or per word
    perplexity  2 ** bits

`language_model_net` has the model, `language_model_scores` what it is measured by.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnlit.practice import records
from rnnlit.practice.language_model_net import (
    KINDS,
    UNITS,
    LanguageModel,
    Stateful,
    Windows,
    build,
    encode,
    load,
    parts,
    save,
    start,
    tokens,
    write,
)
from rnnlit.practice.language_model_scores import baselines, scores
from rnnlit.tools.train import History, fit
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

    TypeError: no string.  ValueError: an empty text or one of more than 5 000 characters, a character that
    the novel doesn't have, a number out of its range.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, got {type(text).__name__}")
    if not 0 < len(text) <= 5000:
        raise ValueError(f"text: expected 1 to 5000 characters, got {len(text)}")
    if isinstance(length, bool) or not isinstance(length, int):
        raise TypeError(f"length: expected an integer, got {type(length).__name__}")
    if not 0 < length <= 10_000:
        raise ValueError(f"length: expected 1 to 10000 characters, got {length}")
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature: expected a number from 0 on, got {temperature!r}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a number above 0 and at most 1, got {top_p!r}")
    numbers = np.concatenate([[start("characters")], encode("characters", text)])
    rng = np.random.default_rng(seed)
    drawn = write(shipped(), numbers, length, rng, temperature=temperature, top_p=top_p)
    return text + "".join(tokens("characters")[k] for k in drawn)


@cache
def shipped() -> LanguageModel:
    """The model of characters that comes with the package."""
    stored = files("rnnlit").joinpath("practice", "weights", "language_model.safetensors")
    with as_file(stored) as path:
        return load(path)


def train(options: argparse.Namespace) -> tuple[LanguageModel, History]:
    """Train as the options say; the model has the weights of the row with the fewest bits."""
    torch.manual_seed(options.seed)
    text, validation, _ = parts(options.unit)
    windows = Windows(text, options.batch, options.window, options.device)
    watched = Windows(validation, options.batch, options.window, options.device)
    model = build(**setting_of(options)).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, options.steps, pct_start=0.1)
    loss_fn = Stateful()

    def evaluate() -> dict[str, float]:
        stateful = Stateful()
        with evaluating(model):
            losses = [stateful(model, window).item() for window in watched]
        return {"bits": float(np.mean(losses) / np.log(2))}

    history = fit(
        make_step(model, optimizer, loss_fn, scheduler=scheduler),
        windows,
        steps=options.steps,
        every=options.every,
        evaluate=evaluate,
        metric="bits",
        patience=options.steps,  # never stops before the last step; puts the best row's weights back
        checkpoint=options.checkpoint,
        resume=options.resume,
        csv=options.csv,
        state=TorchState(model, optimizer, scheduler=scheduler, carried=loss_fn),
    )
    return model, history


def setting_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `build` needs to know."""
    names = ("unit", "hidden", "embedding", "tied", "layers", "p", "p_h", "p_tokens")
    return {name: getattr(options, name) for name in names} | {"kind": options.dropout}


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
    parser.add_argument("--batch", type=int, help="streams that are read side by side (64; words 20)")
    parser.add_argument("--window", type=int, help="tokens that the gradient goes back (100; words 35)")
    parser.add_argument("--lr", type=float, default=4e-3, help="Adam's highest learning rate (0.004)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and masks (0)")
    parser.add_argument("--every", type=int, default=100, help="steps from one row to the next (100)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checkpoint", type=Path, help="a .safetensors file")
    parser.add_argument("--resume", nargs="?", const=True, default=False, choices=["auto"])
    parser.add_argument("--csv", type=Path, help="a file for the rows of the history")
    parser.add_argument("--export", type=Path, help="a .safetensors file for the trained weights, in float16")
    parser.add_argument("--record", type=Path, help="a .json file for the scores")
    parser.add_argument("--baselines", action="store_true", help="only n-grams and compressors; no network")
    options = parser.parse_args(arguments)
    if options.resume and options.checkpoint is None:
        parser.error("--resume needs --checkpoint")
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
        model, history = train(options)
        seconds = time.perf_counter() - begin
        record |= setting_of(options) | {
            "seed": options.seed,
            "batch": options.batch,
            "window": options.window,
            "parameters": sum(p.numel() for p in model.parameters()),
            "steps": history.step,
            "best": int(history.best["step"]),
            "seconds": round(seconds),
            "rows": [{name: round(x, 4) for name, x in row.items()} for row in history.rows],
            "bits": scores(model, options.unit),
        }
    if options.record is not None:
        options.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.export is not None and not options.baselines:
        save(options.export, model, **setting_of(options))
    print(json.dumps({k: v for k, v in record.items() if k not in ("rows", "machine")}))


if __name__ == "__main__":
    main()
