"""Exercises of the page on pronunciation.   N words or phonemes, M models, B sequences, V phonemes.

score(found, listed) -> wer, per      found: a tuple of phonemes a word; listed: its pronunciations, each
                                      such a tuple. `rnnlit.tasks.tokens.edit_distance(a, b)` is there.
smoothed(logits, target, epsilon)     logits (N, V), target (N,) integers -> the loss, a number
ensemble(logs) -> logs                (M, B, V) log-probabilities -> (B, V), those of the mean
z_score(right_a, right_b) -> z        (N,) each, True where a model is right: McNemar's test
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import Draw, with_letters
from rnnlit.tasks.tokens import edit_distance

# ---------------------------------------------------------------- error rates


def _draw_score(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Words with one to three pronunciations: found right, found by a later one, or found with a slip."""
    found, listed = [], []
    for b in range(4 * sizes.B + 3):
        length = int(rng.integers(2, 9))
        first = [str(p) for p in rng.choice(["AH", "IH", "K", "N", "S", "T"], length)]
        every = [tuple(first)]
        for _ in range(b % 3):
            other = list(first)
            other[int(rng.integers(length))] = "OW"
            every.append((*other, "Z") if b % 2 else tuple(other))
        spoken = every[b // 2 % len(every)]
        if b % 4 in (1, 2):
            spoken = (*spoken, "ER", "T") if b % 4 == 1 else spoken[1:]
        found.append(spoken)
        listed.append(tuple(dict.fromkeys(every)))
    return found, listed


def _nearest(spoken: Any, every: Any) -> tuple[int, int]:
    return min((edit_distance(spoken, one), len(one)) for one in every)


def _score(found: Any, listed: Any) -> tuple[float, float]:
    pairs = [_nearest(spoken, every) for spoken, every in zip(found, listed, strict=True)]
    errors, lengths = np.array(pairs).T
    return float((errors > 0).mean()), float(errors.sum() / lengths.sum())


def _mean_of_rates(found: Any, listed: Any) -> tuple[float, float]:
    pairs = [_nearest(spoken, every) for spoken, every in zip(found, listed, strict=True)]
    return _score(found, listed)[0], float(np.mean([errors / length for errors, length in pairs]))


def _by_found(found: Any, listed: Any) -> tuple[float, float]:
    errors = sum(_nearest(spoken, every)[0] for spoken, every in zip(found, listed, strict=True))
    return _score(found, listed)[0], errors / sum(map(len, found))


score = Exercise(
    "score(found, listed)",
    _score,
    with_letters(_draw_score, "B"),
    {"wer": "", "per": ""},
    (
        Mistake(
            "only the first pronunciation counts",
            "A word is right if it was said as any of its listed pronunciations; take the nearest of them.",
            lambda found, listed: _score(found, [every[:1] for every in listed]),
        ),
        Mistake(
            "only the last pronunciation counts",
            "A word is right if it was said as any of its listed pronunciations; take the nearest of them.",
            lambda found, listed: _score(found, [every[-1:] for every in listed]),
        ),
        Mistake(
            "the phoneme error rate is averaged over words",
            "It is all errors over all phonemes, so long words weigh more: sum both, then divide.",
            _mean_of_rates,
        ),
        Mistake(
            "the errors are divided by the number of phonemes found",
            "Divide by the true phonemes, those of the nearest listed pronunciation.",
            _by_found,
        ),
        Mistake(
            "the first result is the share of right words",
            "An error rate counts what is wrong: 1 minus that.",
            lambda found, listed: (1 - _score(found, listed)[0], _score(found, listed)[1]),
        ),
        Mistake(
            "the phoneme errors are a number, not a rate",
            "Divide the sum of all distances by the sum of all true lengths.",
            lambda found, listed: (
                _score(found, listed)[0],
                float(sum(_nearest(s, every)[0] for s, every in zip(found, listed, strict=True))),
            ),
        ),
    ),
    names={"B": "B"},
)

# ---------------------------------------------------------------- label smoothing


def _draw_smoothed(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    N, V = 3 * sizes.B + 1, sizes.H + 2
    return 2 * rng.standard_normal((N, V)), rng.integers(0, V, N), float(rng.uniform(0.1, 0.3))


def _log_softmax(a: Any) -> Any:
    return a - np.logaddexp.reduce(a, axis=-1, keepdims=True)


def _smoothed(logits: Any, target: Any, epsilon: float) -> Any:
    logs = _log_softmax(logits)
    true = logs[np.arange(len(target)), target]
    return np.mean(-(1 - epsilon) * true - epsilon * logs.mean(axis=1))


def _smoothed_others(logits: Any, target: Any, epsilon: float) -> Any:
    logs = _log_softmax(logits)
    true = logs[np.arange(len(target)), target]
    return np.mean(-(1 - epsilon) * true - epsilon * (logs.sum(axis=1) - true) / (logs.shape[1] - 1))


def _smoothed_sum(logits: Any, target: Any, epsilon: float) -> Any:
    logs = _log_softmax(logits)
    true = logs[np.arange(len(target)), target]
    return np.mean(-(1 - epsilon) * true - epsilon * logs.sum(axis=1))


smoothed = Exercise(
    "smoothed(logits, target, epsilon)",
    _smoothed,
    with_letters(_draw_smoothed, "BH"),
    {"loss": ""},
    (
        Mistake(
            "nothing is smoothed",
            "That is the plain cross-entropy: epsilon of the target's weight goes to all V entries.",
            lambda logits, target, epsilon: _smoothed(logits, target, 0.0),
        ),
        Mistake(
            "epsilon is shared among the other V - 1 entries",
            "As torch does it, it is shared among all V, the true one too, which then has 1 - epsilon + "
            "epsilon / V.",
            _smoothed_others,
        ),
        Mistake(
            "each entry gets epsilon, not epsilon / V",
            "The target must sum to 1: the mean of log p over the entries, not their sum.",
            _smoothed_sum,
        ),
        Mistake(
            "1 - epsilon and epsilon are exchanged",
            "Most of the weight stays on the true entry: 1 - epsilon.",
            lambda logits, target, epsilon: _smoothed(logits, target, 1 - epsilon),
        ),
        Mistake(
            "the losses are summed",
            "Take the mean over the N phonemes.",
            lambda logits, target, epsilon: _smoothed(logits, target, epsilon) * len(target),
        ),
        Mistake(
            "the sign is missing",
            "A cross-entropy is minus the mean of the logarithm.",
            lambda logits, target, epsilon: -_smoothed(logits, target, epsilon),
        ),
    ),
    names={"B": "B", "H": "H"},
)

# ---------------------------------------------------------------- ensemble


def _draw_ensemble(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return (_log_softmax(2 * rng.standard_normal((sizes.T, sizes.B, sizes.H))),)


def _ensemble(logs: Any) -> Any:
    return np.logaddexp.reduce(logs, axis=0) - np.log(len(logs)).astype(logs.dtype)


ensemble = Exercise(
    "ensemble(logs)",
    _ensemble,
    with_letters(_draw_ensemble, "TBH"),
    {"logs": "B, H"},
    (
        Mistake(
            "the logarithms are averaged",
            "That is the geometric mean, in which one model that says no outvotes all others. Average the "
            "probabilities: exp, mean, log.",
            lambda logs: logs.mean(axis=0),
        ),
        Mistake(
            "the logarithms are averaged, and normalised again",
            "That is the geometric mean. Average the probabilities: exp, mean, log.",
            lambda logs: _log_softmax(logs.mean(axis=0)),
        ),
        Mistake(
            "the probabilities are summed",
            "Divide by the number of models, or subtract its logarithm.",
            lambda logs: np.logaddexp.reduce(logs, axis=0),
        ),
        Mistake(
            "probabilities come back, not their logarithms",
            "The search adds logarithms: take the log of the mean.",
            lambda logs: np.exp(logs).mean(axis=0),
        ),
        Mistake(
            "the most certain model is taken",
            "Every model has a say: the mean over the first axis, not the largest.",
            lambda logs: logs.max(axis=0),
        ),
    ),
    names={"T": "M", "B": "B", "H": "V"},
)

# ---------------------------------------------------------------- is the difference real?


def _draw_z(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    N = 30 * (sizes.T + sizes.B)
    a = rng.random(N) < 0.75
    return a, np.where(rng.random(N) < 0.2, ~a, a)


def _z(a: Any, b: Any) -> Any:
    only_a, only_b = (a & ~b).sum(), (b & ~a).sum()
    return (only_a - only_b) / np.sqrt(only_a + only_b)


def _z_independent(a: Any, b: Any) -> Any:
    p, q = a.mean(), b.mean()
    return (p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / len(a))


draw_z: Draw = with_letters(_draw_z, "TB")
z_score = Exercise(
    "z_score(right_a, right_b)",
    _z,
    draw_z,
    {"z": ""},
    (
        Mistake(
            "the two models are taken as if they had read different words",
            "They read the same words, and most are right in both. Only the words count that one has right "
            "and the other wrong.",
            _z_independent,
        ),
        Mistake(
            "the sign is turned round",
            "z is above 0 where the first model is right more often.",
            lambda a, b: -_z(a, b),
        ),
        Mistake(
            "the square root is missing",
            "The variance of the difference is n_a + n_b; z divides by its root.",
            lambda a, b: ((a & ~b).sum() - (b & ~a).sum()) / ((a & ~b).sum() + (b & ~a).sum()),
        ),
        Mistake(
            "z is squared",
            "That is the chi-squared form of the test, which has lost the sign.",
            lambda a, b: _z(a, b) ** 2,
        ),
        Mistake(
            "the difference is divided by the number of words",
            "Divide by sqrt(n_a + n_b): the words on which both agree say nothing of the difference.",
            lambda a, b: ((a & ~b).sum() - (b & ~a).sum()) / np.sqrt(len(a)),
        ),
    ),
    names={"T": "T", "B": "B"},
)
