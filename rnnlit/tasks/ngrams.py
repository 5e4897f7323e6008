"""What counting can do: a language model of n-grams with interpolated modified Kneser-Ney smoothing.

N tokens of a text, V kinds of them, numbered from 0 to V-1;  n the order: n - 1 tokens before, and the next.

    p_n(w | h)  =  max(c(h w) - D(c(h w)), 0) / c(h .)  +  gamma(h) p_{n-1}(w | h')      h' = h less its first
    gamma(h)    =  (D_1 N_1(h .) + D_2 N_2(h .) + D_3 N_3+(h .)) / c(h .)
    p_0(w)      =  1 / V

At the highest order c counts how often h w occurs. Below it counts in how many different ways: the number of
different tokens that stand before h w. N_1(h .) is the number of tokens that follow h with count 1, N_3+
with 3 or more. With n_k the number of n-grams of count k, and Y = n_1 / (n_1 + 2 n_2), an order's discounts

    D_1 = 1 - 2 Y n_2/n_1     D_2 = 2 - 3 Y n_3/n_2     D_3 = 3 - 4 Y n_4/n_3     (counts of 3 and above)

Sources: Kneser & Ney 1995 for the counts below the highest order; Chen & Goodman 1999, section 3, for three
discounts and interpolation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_size

FALLBACK = (0.5, 1.0, 1.5)  # discounts where an order has too few counts of 1 to 4 to estimate them


class Order(NamedTuple):
    """All n-grams of one order, and what follows each context of n - 1 tokens."""

    keys: np.ndarray  # (G,) int64, sorted: number of the first n - 1 tokens, times V, plus the last token
    counts: np.ndarray  # (G,) float64
    total: np.ndarray  # (contexts,) c(h .)
    gamma: np.ndarray  # (contexts,)
    discounts: tuple[float, float, float]


class KneserNey:
    """The counts of a text, as a model: `probabilities(text)` and `next(context)`.

    numbers (N,)  the text, integers from 0 to V-1
    order         n, 1 or more
    size          V
    start         the token that stands before the first, as often as an n-gram needs it

    TypeError: no integers.  ValueError: no tokens, or one that is not below V.
    """

    def __init__(self, numbers: Any, order: int, size: int, *, start: int = 0) -> None:
        self.order, self.size, self.start = check_size("order", order), check_size("size", size), start
        text = self._padded(numbers)
        self.orders: list[Order] = []
        ids = np.zeros(len(text), np.int64)  # of the n-1 tokens that end here; at first of none
        grams: list[np.ndarray] = []
        for _ in range(order):
            key = np.roll(ids, 1) * size + text
            keys, ids = np.unique(key, return_inverse=True)
            grams.append(ids)
            self.orders.append(Order(keys, *4 * (np.empty(0),)))  # type: ignore[arg-type]
        for n in range(order):
            self.orders[n] = self._count(n, grams, first=order - 1)

    def probabilities(self, numbers: Any) -> np.ndarray:
        """The probability of each token of a text, given those before it.   (M,)  ->  (M,) float64

        Before the first stands `start`, so every token is asked for.
        """
        text = self._padded(numbers)
        contexts = np.zeros(len(text), np.int64)  # number of the context before each token, -1 if never seen
        p = np.full(len(text), 1 / self.size)
        chain = []
        for one in self.orders:
            chain.append(contexts)
            key = np.where(contexts < 0, -1, contexts * self.size + text)
            contexts = np.roll(_find(one.keys, key), 1)
        for one, context in zip(self.orders, chain, strict=True):
            found = _find(one.keys, np.where(context < 0, -1, context * self.size + text))
            p = self._mix(one, context, found, p)
        return p[self.order - 1 :]

    def next(self, context: Any) -> np.ndarray:
        """The probability of each of the V tokens after a context (M,); M may be 0.   ->  (V,) float64"""
        context = np.asarray(context, np.int64)[-(self.order - 1) :] if self.order > 1 else np.empty(0, int)
        padded = np.concatenate([np.full(self.order - 1, self.start), context])[-(self.order - 1) or None :]
        ids = np.zeros(1, np.int64)
        p, tokens = np.full(self.size, 1 / self.size), np.arange(self.size)
        for n, one in enumerate(self.orders):
            ids = np.zeros(1, np.int64)
            for k, token in enumerate(padded[len(padded) - n :] if n else ()):
                ids = _find(self.orders[k].keys, np.where(ids < 0, -1, ids * self.size + token))
            every = np.repeat(ids, self.size)
            p = self._mix(one, every, _find(one.keys, np.where(every < 0, -1, every * self.size + tokens)), p)
        return p

    def _mix(self, one: Order, context: np.ndarray, found: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """One line of the formula: what is counted at this order, and the share of the order below."""
        count = np.where(found < 0, 0, one.counts[found])
        d = np.array((0.0, *one.discounts))[np.minimum(count, 3).astype(int)]
        total = np.where(context < 0, 0, one.total[np.minimum(context, len(one.total) - 1)])
        known = total > 0
        p = np.maximum(count - d, 0) / np.where(known, total, 1)
        gamma = one.gamma[np.minimum(context, len(one.gamma) - 1)]
        return np.where(known, p + gamma * lower, lower)

    def _count(self, n: int, grams: list[np.ndarray], first: int) -> Order:
        """Counts of order n + 1, where `grams` holds the number of the n-gram that ends at each place."""
        keys = self.orders[n].keys
        ids = grams[n][first:]
        if n + 1 < len(grams):  # in how many ways it can be preceded: n-grams one longer, each once
            _, once = np.unique(grams[n + 1][first:], return_index=True)
            ids = ids[once]
        counts = np.bincount(ids, minlength=len(keys)).astype(np.float64)
        discounts = _discounts(counts)
        contexts = keys // self.size
        total = np.bincount(contexts, counts)
        with_discount = np.array((0.0, *discounts))[np.minimum(counts, 3).astype(int)]
        gamma = np.bincount(contexts, with_discount) / np.where(total > 0, total, 1)
        return Order(keys, counts, total, gamma, discounts)

    def _padded(self, numbers: Any) -> np.ndarray:
        """The text, with `start` n - 1 times before it."""
        text = np.asarray(numbers)
        if text.dtype.kind not in "iu" or text.ndim != 1:
            raise TypeError(f"numbers: expected integers (N,), got {text.dtype} {text.shape}")
        if not len(text) or text.min() < 0 or text.max() >= self.size:
            got = f"{text.min()} to {text.max()}" if len(text) else "none"
            raise ValueError(f"numbers: expected one or more, from 0 to {self.size - 1}, got {got}")
        return np.concatenate([np.full(self.order - 1, self.start), text]).astype(np.int64)


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of each wanted number among sorted keys, -1 if it isn't there."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)


def _discounts(counts: np.ndarray) -> tuple[float, float, float]:
    n1, n2, n3, n4 = (float((counts == k).sum()) for k in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) == 0:
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    return found if all(0 <= d <= k for k, d in enumerate(found, 1)) else FALLBACK


def bits(probabilities: np.ndarray) -> float:
    """Bits per token: the mean of -log2 p."""
    return float(-np.log2(probabilities).mean())
