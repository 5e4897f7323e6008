"""Exercises of the page on language models.   N places in a text, V kinds of tokens, U units.

bits(p) -> bits                                     p (N,) the probabilities that the right tokens had
continuations(numbers, V) -> counts                 in how many ways each token is preceded, (V,)
kneser_ney(count, discount, total, gamma, lower) -> p      one line of the formula
temperature(logits, tau) -> p                       (V,)
nucleus(p, top_p) -> q                              all but the nucleus 0, (V,)
auc(values, truth) -> areas                         (N, U), (N,) -> (U,)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import with_letters
from rnnlit.search import sampling_probabilities
from rnnlit.tasks import ngrams
from rnnlit.tools import probes

# ---------------------------------------------------------------- bits


def _probabilities(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return (rng.uniform(0.05, 0.95, 3 * sizes.T + 2),)


bits = Exercise(
    "bits(p)",
    ngrams.bits,
    with_letters(_probabilities, "T"),
    {"bits": ""},
    (
        Mistake(
            "the natural logarithm is taken",
            "That is in nats; bits have the logarithm to base 2, np.log2.",
            lambda p: -np.log(p).mean(),
        ),
        Mistake(
            "the sum is taken",
            "Bits per token are the mean over all tokens.",
            lambda p: -np.log2(p).sum(),
        ),
        Mistake(
            "the minus is missing",
            "The logarithm of a probability is below 0: take -log2 p.",
            lambda p: np.log2(p).mean(),
        ),
        Mistake(
            "the mean is taken before the logarithm",
            "First the logarithm of each probability, then the mean: one impossible token costs without end.",
            lambda p: -np.log2(p.mean()),
        ),
        Mistake(
            "this is the perplexity",
            "The perplexity is 2 to the power of the bits; leave out the power.",
            lambda p: 2 ** -np.log2(p).mean(),
        ),
    ),
)

# ---------------------------------------------------------------- Kneser-Ney


def _text(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    V = sizes.H + 2
    rare = 0.5 ** np.arange(V)
    text = rng.choice(V, 12 * V, p=rare / rare.sum())
    text[: 2 * V] = np.repeat(rng.permutation(V), 2)  # each occurs; one may follow itself
    return text, V


def _pairs(numbers: Any, V: int) -> Any:
    """Each pair of neighbours once, as rows."""
    return np.unique(np.stack([numbers[:-1], numbers[1:]]), axis=1)


continuations = Exercise(
    "continuations(numbers, V)",
    lambda numbers, V: np.bincount(_pairs(numbers, V)[1], minlength=V),
    with_letters(_text, "H"),
    {"counts": "V"},
    (
        Mistake(
            "occurrences are counted",
            "Count how many different tokens stand before each, not how often it occurs.",
            lambda numbers, V: np.bincount(numbers, minlength=V),
        ),
        Mistake(
            "occurrences after the first token are counted",
            "Each pair of neighbours counts once, however often it occurs: np.unique, or a set.",
            lambda numbers, V: np.bincount(numbers[1:], minlength=V),
        ),
        Mistake(
            "what follows is counted",
            "Count the different tokens that stand before each one; these are those that stand after it.",
            lambda numbers, V: np.bincount(_pairs(numbers, V)[0], minlength=V),
        ),
        Mistake(
            "a token that follows itself is left out",
            "The pair of a token with itself is a pair like any other.",
            lambda numbers, V: np.bincount(
                _pairs(numbers, V)[1][_pairs(numbers, V)[0] != _pairs(numbers, V)[1]], minlength=V
            ),
        ),
        Mistake(
            "the counts are divided by their sum",
            "These are counts; the division comes later, in the formula.",
            lambda numbers, V: np.bincount(_pairs(numbers, V)[1], minlength=V) / len(_pairs(numbers, V)[1]),
        ),
    ),
)


def _line(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    count = np.concatenate([[0.0, 0.0, 1.0], rng.integers(0, 9, 2 * sizes.H).astype(float)])
    discount = np.where(count > 0, rng.uniform(0.2, 0.9, len(count)), 0.7)
    lower = rng.uniform(0.1, 1, len(count))
    return count, discount, count.sum(), rng.uniform(0.2, 0.6), lower / lower.sum()


kneser_ney = Exercise(
    "kneser_ney(count, discount, total, gamma, lower)",
    lambda count, discount, total, gamma, lower: np.maximum(count - discount, 0) / total + gamma * lower,
    with_letters(_line, "H"),
    {"p": "V"},
    (
        Mistake(
            "a count of 0 becomes negative",
            "Nothing can be taken from a count of 0: np.maximum(count - discount, 0).",
            lambda count, discount, total, gamma, lower: (count - discount) / total + gamma * lower,
        ),
        Mistake(
            "the order below is left out",
            "What was taken away is given to the order below: + gamma * lower.",
            lambda count, discount, total, gamma, lower: np.maximum(count - discount, 0) / total,
        ),
        Mistake(
            "the order below is asked only where the count is 0",
            "That is backing off. Interpolation adds gamma * lower everywhere.",
            lambda count, discount, total, gamma, lower: np.where(
                count > 0, np.maximum(count - discount, 0) / total, gamma * lower
            ),
        ),
        Mistake(
            "nothing is taken away",
            "Each count gives its discount away: count - discount.",
            lambda count, discount, total, gamma, lower: count / total + gamma * lower,
        ),
        Mistake(
            "the order below is divided by the total too",
            "gamma is a share already: only the counts are divided by the total.",
            lambda count, discount, total, gamma, lower: (
                (np.maximum(count - discount, 0) + gamma * lower) / total
            ),
        ),
        Mistake(
            "gamma is forgotten",
            "The order below gets the share gamma, not all of its probability.",
            lambda count, discount, total, gamma, lower: np.maximum(count - discount, 0) / total + lower,
        ),
    ),
)

# ---------------------------------------------------------------- writing


def _logits(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return 2 * rng.standard_normal(2 * sizes.H + 1), float(rng.uniform(0.4, 0.8))


def _softmax(a: Any) -> Any:
    e = np.exp(a - np.max(a))
    return e / e.sum()


temperature = Exercise(
    "temperature(logits, tau)",
    lambda logits, tau: _softmax(logits / tau),
    with_letters(_logits, "H"),
    {"p": "V"},
    (
        Mistake(
            "the logits are multiplied by the temperature",
            "Divide: a low temperature makes the differences larger, and the text safer.",
            lambda logits, tau: _softmax(logits * tau),
        ),
        Mistake(
            "the probabilities are divided by the temperature",
            "Divide the logits, before the softmax; afterwards it only spoils the sum of 1.",
            lambda logits, tau: _softmax(logits) / tau,
        ),
        Mistake(
            "nothing is divided",
            "The temperature changes nothing here: use logits / tau.",
            lambda logits, tau: _softmax(logits),
        ),
        Mistake(
            "the probabilities don't sum to 1",
            "Divide by the sum of exp(logits / tau).",
            lambda logits, tau: np.exp(logits / tau),
        ),
        Mistake(
            "the softmax is taken twice",
            "Divide the logits and take the softmax once.",
            lambda logits, tau: _softmax(_softmax(logits) / tau),
        ),
    ),
)


def _shares(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    p = rng.permutation(0.6 ** np.arange(sizes.H + 4)) * rng.uniform(0.9, 1.1, sizes.H + 4)
    return p / p.sum(), 0.8


def _nucleus(p: Any, top_p: float, *, crossing: bool = True, rarest: bool = False) -> Any:
    """p where it belongs to the nucleus, and 0 elsewhere; not yet summing to 1."""
    order = np.argsort(p if rarest else -p)
    sums = np.cumsum(p[order])
    kept = sums - p[order] < top_p if crossing else sums < top_p
    q = np.zeros_like(p)
    q[order[kept]] = p[order[kept]]
    return q


def _normalised(q: Any) -> Any:
    return q / q.sum()


nucleus = Exercise(
    "nucleus(p, top_p)",
    lambda p, top_p: sampling_probabilities(np.log(p), 1.0, top_p),
    with_letters(_shares, "H"),
    {"q": "V"},
    (
        Mistake(
            "the token that reaches the sum is left out",
            "The nucleus sums to top_p or more: the token with which the sum gets there belongs to it.",
            lambda p, top_p: _normalised(_nucleus(p, top_p, crossing=False)),
        ),
        Mistake(
            "what is left doesn't sum to 1",
            "Divide by the sum of the nucleus.",
            lambda p, top_p: _nucleus(p, top_p),
        ),
        Mistake(
            "the rarest tokens are kept",
            "Sort so that the most probable token comes first: np.argsort(-p).",
            lambda p, top_p: _normalised(_nucleus(p, top_p, rarest=True)),
        ),
        Mistake(
            "the tokens come back sorted",
            "q[k] has to be the probability of token k, at its old place.",
            lambda p, top_p: _normalised(np.sort(_nucleus(p, top_p))[::-1]),
        ),
        Mistake(
            "the sum is taken in the order of the tokens",
            "Sort by probability first: the nucleus holds the most probable tokens.",
            lambda p, top_p: _normalised(np.where(np.cumsum(p) - p < top_p, p, 0)),
        ),
        Mistake(
            "tokens of low probability are cut",
            "top_p bounds the sum of the nucleus, not the probability of each token.",
            lambda p, top_p: _normalised(np.where(p >= (1 - top_p), p, 0)),
        ),
    ),
)

# ---------------------------------------------------------------- cells


def _cells(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    N = 6 * sizes.T + 5
    truth = np.arange(N) % 5 < 2
    values = rng.standard_normal((N, sizes.H + 1)) + truth[:, None] * rng.uniform(-2, 2, sizes.H + 1)
    return values, truth


def _mean_difference(values: Any, truth: Any) -> Any:
    return values[truth].mean(0) - values[~truth].mean(0)


def _pairs_won(values: Any, truth: Any) -> Any:
    return (values[truth][:, None] > values[~truth][None]).sum((0, 1))


auc = Exercise(
    "auc(values, truth)",
    probes.auc,
    with_letters(_cells, "TH"),
    {"areas": "U"},
    (
        Mistake(
            "yes and no are exchanged",
            "It is the probability that a value where the truth is yes is the larger one.",
            lambda values, truth: 1 - probes.auc(values, truth),
        ),
        Mistake(
            "the pairs are counted",
            "Divide by the number of pairs: how many are yes, times how many are no.",
            _pairs_won,
        ),
        Mistake(
            "the pairs are divided by the square of all",
            "Only pairs of a yes with a no are compared: divide by their number.",
            lambda values, truth: _pairs_won(values, truth) / len(truth) ** 2,
        ),
        Mistake(
            "the means are compared",
            "Compare each value of the one kind with each of the other, and take the share that is larger.",
            _mean_difference,
        ),
        Mistake(
            "the better of both directions is taken",
            "A cell that is low inside has an area below 0.5; leave it so.",
            lambda values, truth: 0.5 + np.abs(probes.auc(values, truth) - 0.5),
        ),
    ),
)
