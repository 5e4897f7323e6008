"""Kneser-Ney. Oracles: a text of six letters by hand, in fractions, and counting with dictionaries."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from rnnlit.tasks.ngrams import FALLBACK, KneserNey, _discounts, bits
from tests.tolerances import TOLERANCE

V = 9


def text(length, seed=0):
    """Random letters, rare ones among them, in which each is often followed by the next."""
    rng = np.random.default_rng(seed)
    rare = 0.6 ** np.arange(V)
    found = [0]
    for _ in range(length - 1):
        found.append((found[-1] + 1) % V if rng.random() < 0.3 else int(rng.choice(V, p=rare / rare.sum())))
    return np.array(found)


def test_bigrams_of_six_letters_by_hand():
    """a b a b a c after c.  Bigrams: ca 1, ab 2, ba 2, ac 1; discounts 1/2, 1 and 3/2."""
    a, b, c = 0, 1, 2
    model = KneserNey([a, b, a, b, a, c], 2, 3, start=c)
    assert model.orders[1].discounts == FALLBACK == (0.5, 1.0, 1.5)
    # Two letters stand before a (b and c), one before b, one before c: 2, 1, 1. gamma = (2·1/2 + 1·1)/4.
    below = {a: Fraction(1, 4) + Fraction(1, 6), b: Fraction(1, 8) + Fraction(1, 6)}
    below[c] = below[b]
    assert sum(below.values()) == 1
    # After a: b twice, c once. gamma = (1 + 1/2)/3.
    after_a = [below[a] / 2, Fraction(1, 3) + below[b] / 2, Fraction(1, 6) + below[c] / 2]
    assert after_a == [Fraction(10, 48), Fraction(23, 48), Fraction(15, 48)]
    np.testing.assert_allclose(model.next([a]), [float(p) for p in after_a], **TOLERANCE[np.float64])
    # After c, which was seen before a alone: max(1 - 1/2, 0)/1 + 1/2 of what is below.
    after_c = [Fraction(1, 2) + below[a] / 2, below[b] / 2, below[c] / 2]
    np.testing.assert_allclose(model.next([]), [float(p) for p in after_c], **TOLERANCE[np.float64])
    got = model.probabilities([c, a, b])
    wanted = [after_c[c], after_c[a], after_a[b]]
    np.testing.assert_allclose(got, [float(p) for p in wanted], **TOLERANCE[np.float64])


def test_discounts_by_hand():
    """n_1 = 3, n_2 = 2, n_3 = n_4 = 1: Y = 3/7."""
    np.testing.assert_allclose(
        _discounts(np.array([1, 1, 1, 2, 2, 3, 4.0])), [3 / 7, 19 / 14, 9 / 7], **TOLERANCE[np.float64]
    )
    assert _discounts(np.array([1, 1, 1, 2, 2, 3.0])) == FALLBACK  # no count of 4
    assert _discounts(np.array([1, 2, 3] + 10 * [4.0])) == FALLBACK  # D_3 would be below 0


def by_dictionaries(numbers, order, start, context, w):
    """The formula of the module, word for word, with tuples for n-grams."""
    padded = (start,) * (order - 1) + tuple(int(k) for k in numbers)
    ends = range(order, len(padded) + 1)

    def counts(n):
        if n == order:
            return Counter(padded[e - n : e] for e in ends)
        return Counter(gram[1:] for gram in {padded[e - n - 1 : e] for e in ends})

    def probability(n, h):
        if n == 0:
            return 1 / V
        count = counts(n)
        d = dict(enumerate((0.0, *_discounts(np.array(sorted(count.values()), float)))))
        follow = [k for gram, k in count.items() if gram[:-1] == h]
        lower = probability(n - 1, h[1:])
        if not follow:
            return lower
        gamma = sum(d[min(k, 3)] for k in follow) / sum(follow)
        own = count[(*h, w)]
        return max(own - d[min(own, 3)], 0) / sum(follow) + gamma * lower

    h = ((start,) * order + tuple(int(k) for k in context))[-(order - 1) :] if order > 1 else ()
    return probability(order, h)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_every_probability_is_that_of_counting_with_dictionaries(order):
    train, asked = text(300), text(25, seed=1)
    model = KneserNey(train, order, V, start=3)
    wanted = [by_dictionaries(train, order, 3, asked[:k], int(w)) for k, w in enumerate(asked)]
    np.testing.assert_allclose(model.probabilities(asked), wanted, **TOLERANCE[np.float64])
    if order > 1:
        assert model.orders[-1].discounts != FALLBACK  # what was estimated has been compared


def test_next_is_the_whole_distribution():
    train, asked = text(300), text(9, seed=2)
    model = KneserNey(train, 3, V, start=4)
    for k in range(len(asked)):
        p = model.next(asked[:k])
        assert abs(p.sum() - 1) < 1e-12 and p.min() > 0
        assert abs(p[asked[k]] - model.probabilities(asked)[k]) < 1e-12


def test_a_token_that_was_never_seen_costs_something_finite():
    model = KneserNey(text(50) % 4, 3, V)
    p = model.probabilities([7, 7, 7])
    assert p.min() > 0 and bits(p) > bits(model.probabilities([0, 1, 2]))


def test_bits_by_hand():
    assert bits(np.array([0.5, 0.25, 0.125])) == 2


@pytest.mark.parametrize(
    "numbers, error, words",
    [
        ([0.5, 1.0], TypeError, r"numbers: expected integers \(N,\), got float64"),
        ([0, V], ValueError, "from 0 to 8, got 0 to 9"),
        (np.array([], int), ValueError, "got none"),
    ],
)
def test_what_is_no_text_is_refused(numbers, error, words):
    with pytest.raises(error, match=words):
        KneserNey(numbers, 2, V)
