"""Exercises of the page on translation.   V trigrams, T tokens, D features.

similarity(a, b) -> a number              Jaccard's index of two sets, a and b (V,): 1 for what is in the set
precision(found, wanted, n) -> a number   BLEU's: the share of n-grams found that the reference has, clipped
brevity(c, r) -> a number                 BLEU's penalty for c words where the reference has r
f_score(p, r, beta) -> a number           chrF's: of precision p and recall r
join(tokens, a, b, new) -> tokens         byte pair encoding: each a b becomes new, from the left
positions(T, D) -> (T, D)                 a Transformer's sines and cosines
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from rnnlit.exercises.check import Exercise, Mistake, Sizes

# ---------------------------------------------------------------- alike


def _draw_sets(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Two sets with a member in common, of 6 to 12 trigrams in all."""
    a, b = rng.integers(0, 2, (2, 3 * sizes.H))
    a[0] = b[0] = a[1] = 1
    b[1] = a[2] = b[2] = 0
    return a, b


similarity = Exercise(
    "similarity(a, b)",
    lambda a, b: (a & b).sum() / (a | b).sum(),
    _draw_sets,
    {"similarity": ""},
    (
        Mistake(
            "twice the common part over the sum of the sizes",
            "That is Dice's coefficient. Jaccard's is the common part over the union.",
            lambda a, b: 2 * (a & b).sum() / (a.sum() + b.sum()),
        ),
        Mistake(
            "the common part is divided by the sum of the sizes",
            "What both have is counted twice there: the union is |A| + |B| - |A and B|.",
            lambda a, b: (a & b).sum() / (a.sum() + b.sum()),
        ),
        Mistake(
            "trigrams that neither has count as agreement",
            "Nearly all trigrams are in neither string. Count only those of the union.",
            lambda a, b: (a == b).mean(),
        ),
        Mistake(
            "the common part is divided by the size of the first set",
            "Then the index depends on which string comes first. Divide by the union.",
            lambda a, b: (a & b).sum() / a.sum(),
        ),
    ),
    names={},
)

# ---------------------------------------------------------------- scores


def _ngrams(tokens: Any, n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(map(int, tokens[k : k + n])) for k in range(len(tokens) - n + 1))


def _draw_sentences(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Sentences of few words, so that n-grams come twice, and an n from 1 to 3."""
    found, wanted = rng.integers(3, 6, 8 + sizes.T), rng.integers(3, 6, 5 + 2 * sizes.B)
    found[:4] = 3, 4, 3, 4
    wanted[:3] = 3, 4, 5
    return found, wanted, 1 + sizes.T % 3


def _precision(found: Any, wanted: Any, n: int) -> float:
    one, other = _ngrams(found, n), _ngrams(wanted, n)
    return (one & other).total() / one.total()


precision = Exercise(
    "precision(found, wanted, n)",
    _precision,
    _draw_sentences,
    {"precision": ""},
    (
        Mistake(
            "the counts are not clipped",
            'Then "the the the" is right three times where the reference has one "the". An n-gram counts '
            "at most as often as the reference has it.",
            lambda f, w, n: (
                sum(count for gram, count in _ngrams(f, n).items() if gram in _ngrams(w, n))
                / _ngrams(f, n).total()
            ),
        ),
        Mistake(
            "it is divided by the n-grams of the reference",
            "That is the recall. BLEU is precision alone: divide by those that were written.",
            lambda f, w, n: (_ngrams(f, n) & _ngrams(w, n)).total() / _ngrams(w, n).total(),
        ),
        Mistake(
            "every n-gram counts once",
            "An n-gram that was written twice, and that the reference has twice, counts twice: no sets.",
            lambda f, w, n: len(set(_ngrams(f, n)) & set(_ngrams(w, n))) / len(_ngrams(f, n)),
        ),
        Mistake(
            "n-grams are compared place by place",
            "Where they stand does not matter: a translation may be shifted by one word and be good.",
            lambda f, w, n: (
                sum(tuple(f[k : k + n]) == tuple(w[k : k + n]) for k in range(min(len(f), len(w)) - n + 1))
                / (len(f) - n + 1)
            ),
        ),
    ),
    names={},
)


def _draw_lengths(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return {2: (4, 7), 3: (9, 7), 1: (5, 5), 4: (8, 9)}[sizes.B]


brevity = Exercise(
    "brevity(c, r)",
    lambda c, r: min(1.0, math.exp(1 - r / c)),
    _draw_lengths,
    {"brevity": ""},
    (
        Mistake(
            "a long translation is rewarded",
            "Where c is more than r, the penalty is 1: what is too long has lost precision already.",
            lambda c, r: math.exp(1 - r / c),
        ),
        Mistake(
            "lengths are the wrong way round",
            "The penalty is exp(1 - r / c) for c < r.",
            lambda c, r: min(1.0, math.exp(1 - c / r)),
        ),
        Mistake(
            "the ratio is taken without exp",
            "The penalty is exp(1 - r / c): 0.47 for 4 words in place of 7, not 0.57.",
            lambda c, r: min(1.0, c / r),
        ),
        Mistake(
            "a long translation is punished",
            "The penalty is for brevity alone.",
            lambda c, r: math.exp(1 - max(c, r) / min(c, r)),
        ),
    ),
    names={},
)


def _draw_shares(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    p, r = rng.uniform(0.1, 0.9, 2)
    return float(p), float(r), {2: 2.0, 3: 3.0, 1: 2.0, 4: 0.5}[sizes.B]


f_score = Exercise(
    "f_score(p, r, beta)",
    lambda p, r, beta: (1 + beta**2) * p * r / (beta**2 * p + r),
    _draw_shares,
    {"f_score": ""},
    (
        Mistake(
            "beta is not squared",
            "F = (1 + beta^2) p r / (beta^2 p + r).",
            lambda p, r, beta: (1 + beta) * p * r / (beta * p + r),
        ),
        Mistake(
            "precision and recall are exchanged",
            "With beta = 2 the recall weighs more: beta^2 stands at the precision, below the line.",
            lambda p, r, beta: (1 + beta**2) * p * r / (beta**2 * r + p),
        ),
        Mistake(
            "beta is left out",
            "That is F1, where precision and recall weigh the same.",
            lambda p, r, beta: 2 * p * r / (p + r),
        ),
        Mistake(
            "the factor 1 + beta^2 is missing",
            "Without it a perfect translation would not have 1.",
            lambda p, r, beta: p * r / (beta**2 * p + r),
        ),
    ),
    names={},
)

# ---------------------------------------------------------------- subwords


def _draw_tokens(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    a, b = (3, 3) if sizes.B % 2 else (3, 4)
    tokens = rng.integers(3, 6, 7 + sizes.T)
    tokens[1:6] = 3, 3, 3, 4, 3
    tokens[-2:] = a, b
    return tokens, a, b, 9


def _join(tokens: Any, a: int, b: int, new: int, *, once: bool = False) -> list[int]:
    found: list[int] = []
    k = 0
    while k < len(tokens):
        pair = k + 1 < len(tokens) and (tokens[k], tokens[k + 1]) == (a, b)
        if pair and not (once and new in found):
            found.append(new)
            k += 2
        else:
            found.append(int(tokens[k]))
            k += 1
    return found


def _kept_second(tokens: Any, a: int, b: int, new: int) -> list[int]:
    """The first of a pair is replaced, and the second stays."""
    pair = [k + 1 < len(tokens) and (tokens[k], tokens[k + 1]) == (a, b) for k in range(len(tokens))]
    return [new if here else int(one) for one, here in zip(tokens, pair, strict=True)]


def _last_left_out(tokens: Any, a: int, b: int, new: int) -> list[int]:
    """The loop ends before the last pair."""
    return [*_join(tokens[:-1], a, b, new), int(tokens[-1])]


join = Exercise(
    "join(tokens, a, b, new)",
    lambda tokens, a, b, new: np.array(_join(tokens, a, b, new)),
    _draw_tokens,
    {"tokens": "N"},
    (
        Mistake(
            "only the first pair is joined",
            "A join is made wherever the pair stands.",
            lambda tokens, a, b, new: np.array(_join(tokens, a, b, new, once=True)),
        ),
        Mistake(
            "the pairs are joined from the right",
            "Three equal tokens a a a become new a, not a new: begin at the left.",
            lambda tokens, a, b, new: np.array(_join(tokens[::-1], b, a, new)[::-1]),
        ),
        Mistake(
            "the second token of a pair stays",
            "Two tokens become one: go on two places further.",
            lambda tokens, a, b, new: np.array(_kept_second(tokens, a, b, new)),
        ),
        Mistake(
            "the last pair is left out",
            "The last pair begins one place before the end.",
            lambda tokens, a, b, new: np.array(_last_left_out(tokens, a, b, new)),
        ),
    ),
    names={},
)

# ---------------------------------------------------------------- order


def _waves(
    T: int, D: int, *, first: Any = np.sin, second: Any = np.cos, rate: float = 2, since: int = 0
) -> Any:
    """Sines and cosines of the angles, (T, D/2) each, with a mistake or with none."""
    k = np.arange(D // 2)
    angle = (np.arange(T) + since)[:, None] / 10_000 ** (rate * k / D)
    return first(angle), second(angle)


def _interleaved(waves: tuple[Any, Any]) -> Any:
    return np.stack(waves, -1).reshape(len(waves[0]), -1)


positions = Exercise(
    "positions(T, D)",
    lambda T, D: _interleaved(_waves(T, D)),
    lambda rng, sizes: (sizes.T + 1, 2 * sizes.H + 2),
    {"positions": "T, D"},
    (
        Mistake(
            "all sines stand before all cosines",
            "They alternate: p[t, 2k] is a sine, p[t, 2k + 1] the cosine of the same angle.",
            lambda T, D: np.concatenate(_waves(T, D), -1),
        ),
        Mistake(
            "sine and cosine are exchanged",
            "The sine comes first: p[0] is 0, 1, 0, 1, ...",
            lambda T, D: _interleaved(_waves(T, D, first=np.cos, second=np.sin)),
        ),
        Mistake(
            "the exponent is k / D",
            "It is 2k / D, so that the rates reach from 1 nearly to 1/10000.",
            lambda T, D: _interleaved(_waves(T, D, rate=1)),
        ),
        Mistake(
            "positions begin at 1",
            "They begin at 0: p[0] is 0, 1, 0, 1, ...",
            lambda T, D: _interleaved(_waves(T, D, since=1)),
        ),
    ),
    names={},
)
