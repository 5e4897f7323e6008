"""What a language model is measured by: bits, beside those of counting and of compressors; and its cells.

N tokens of a text.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from functools import cache
from typing import Any

import numpy as np
import torch

from rnnlit.practice.language_model_net import (
    UNITS,
    LanguageModel,
    log_probabilities,
    memory,
    parts,
    start,
    tokens,
)
from rnnlit.tasks import pride
from rnnlit.tasks.ngrams import KneserNey, bits
from rnnlit.tools.probes import auc, auc_by_chance

ORDERS = {"characters": (1, 2, 3, 4, 5, 6, 7, 8, 9), "words": (1, 2, 3, 4, 5, 6)}  # n-grams that are tried
PIECES = 64  # that a text is read in, side by side
ORDER = {"characters": 8, "words": 6}  # the best of them on the validation chapters


def scores(model: LanguageModel, unit: str) -> dict[str, Any]:
    """Bits of each part, and of the mean with an n-gram model, whose weight the validation part chooses."""
    text, validation, test = parts(unit)
    first = start(unit)
    logs = {
        name: log_probabilities(model, part, first, PIECES)
        for name, part in (("train", text[: len(test)]), ("validation", validation), ("test", test))
    }
    found: dict[str, Any] = {name: round(float(-one.mean()), 4) for name, one in logs.items()}
    grams = ngrams(unit)
    p = {name: grams.probabilities(part) for name, part in (("validation", validation), ("test", test))}
    shares = np.arange(0.05, 1, 0.05)

    def mixed(name: str, share: float) -> float:
        return bits(share * 2.0 ** logs[name] + (1 - share) * p[name])

    best = min(shares, key=lambda share: mixed("validation", share))
    found["mixed"] = {"share": round(float(best), 2), "test": round(mixed("test", best), 4)}
    if unit == "characters":
        found["places"] = by_place(pride.parts().test, -logs["test"])
        found["quotes"] = quotes(model)
    return found


@cache
def ngrams(unit: str, order: int | None = None) -> KneserNey:
    """The n-gram model of the training chapters; None: of the order of ORDER."""
    return KneserNey(parts(unit)[0], order or ORDER[unit], len(tokens(unit)), start=start(unit))


PLACES = (
    "first letter of a word",
    "later letter",
    "space or line's end",
    "quotation opens",
    "quotation closes",
    "other sign",
)


def places(text: str) -> np.ndarray:
    """What stands at each place of a text, as numbers of PLACES."""
    opened = pride.inside_quotes(text)
    found = np.empty(len(text), np.int64)
    for k, character in enumerate(text):
        if character.isalpha():
            found[k] = bool(k and text[k - 1].isalpha())
        elif character in " \n":
            found[k] = 2
        elif character == '"':
            found[k] = 3 if opened[k] else 4
        else:
            found[k] = 5
    return found


def by_place(text: str, costs: np.ndarray) -> dict[str, float]:
    """The mean of costs (N,) over each of PLACES."""
    where = places(text)
    return {name: round(float(costs[where == k].mean()), 3) for k, name in enumerate(PLACES)}


def quotes(model: LanguageModel, seed: int = 0) -> dict[str, Any]:
    """Which cell tells best whether a quotation is open? It is chosen on the validation chapters.

    Beside its AUC on the test chapters: that of an untrained network's best cell, chosen alike, and the
    largest of all cells where the answers are shifted by a random number of characters, in 20 draws. Every
    fourth character is asked.
    """
    torch.manual_seed(seed)
    untrained = LanguageModel(
        model.embed.num_embeddings, model.embed.embedding_dim, model.lstm.hidden_size, model.lstm.num_layers
    ).to(model.device)
    texts, (_, *numbers) = pride.parts()[1:], parts("characters")
    truths = [pride.inside_quotes(text)[::4] for text in texts]
    found: dict[str, Any] = {"inside": round(float(truths[1].mean()), 3)}
    for name, one in (("trained", model), ("untrained", untrained)):
        cells = [memory(one, part, start("characters"), PIECES)[::4] for part in numbers]
        chosen = auc(cells[0], truths[0])
        unit = int(np.abs(chosen - 0.5).argmax())
        rng = np.random.default_rng(seed)
        on_test = auc(cells[1][:, [unit]], truths[1])[0]
        chance = auc_by_chance(cells[1], truths[1], rng, 20)
        found[name] = {
            "cell": unit,
            "validation": round(float(chosen[unit]), 4),
            "test": round(float(on_test), 4),
            "chance": round(float(chance.mean()), 4),
            "chance_max": round(float(chance.max()), 4),
        }
    return found


def baselines() -> dict[str, Any]:
    """What counting and what compressors reach: bits of each order of n-grams, and of a test character.

    A compressor gets the training and the test chapters in one, and the training chapters alone; the
    difference, over the number of test characters, is what the test costs it.
    """
    found: dict[str, Any] = {}
    for unit in UNITS:
        _, validation, test = parts(unit)
        rows = []
        for n in ORDERS[unit]:
            model = ngrams(unit, n)
            validated, tested = (bits(model.probabilities(part)) for part in (validation, test))
            rows.append({"n": n, "validation": round(validated, 4), "test": round(tested, 4)})
        found[unit] = {"tokens": len(tokens(unit)), "unknown": 0.0, "ngrams": rows}
        if unit == "words":
            found[unit]["unknown"] = round(float((test == 0).mean()), 4)
    text = pride.parts()
    for name, compress in (("zlib", _zlib), ("bz2", _bz2), ("lzma", _lzma)):
        size = compress(text.train + text.test) - compress(text.train)
        alone = compress(text.test)
        count = len(text.test)
        found[name] = {"after_training": round(8 * size / count, 4), "alone": round(8 * alone / count, 4)}
    return found


def _zlib(text: str) -> int:
    return len(zlib.compress(text.encode("ascii"), 9))


def _bz2(text: str) -> int:
    return len(bz2.compress(text.encode("ascii"), 9))


def _lzma(text: str) -> int:
    return len(lzma.compress(text.encode("ascii"), preset=9 | lzma.PRESET_EXTREME))
