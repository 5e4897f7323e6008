"""Exercises of the dropout chapter.   B batch, T steps, H hidden;   p is the probability to DROP.

mask(shape, p, rng) -> m                inverted: 0, or 1/(1 - p)
apply(x, p, training, rng) -> y         m x in training, x itself at test time
backward(dy, m) -> dx                   through y = m x
sequence_mask(T, B, H, p, rng) -> m     (T, B, H), the same at every step
weight_drop(W, p, rng) -> W             single weights, not whole units
zoneout_step(old, new, z) -> state      z = 1 keeps the old state
zoneout_test(old, new, p) -> state      the mean over masks
scaled_weights(W, p) -> W               for a network trained with masks of 0 and 1, not inverted
naive(c, i, f, g, m) -> c               m (f c + i g)
candidate(c, i, f, g, m) -> c           f c + i (m g)
memory_backward(dc, f, m) -> dc         through c' = m (f c + i g), back to c
average(logits) -> mean                 logits (S, B, K) of S passes with masks on, K classes
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit import dropout, dropout_masks
from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import normal, with_letters
from rnnlit.exercises.drawn import Drawn, Rule
from rnnlit.lstm_variants import cell_state

# ---------------------------------------------------------------- what a mask holds


def _share(m: Any) -> float:
    """The share of zeros."""
    return float((np.asarray(m) == 0).mean())


def _kept(m: Any) -> Any:
    return np.asarray(m, dtype=float)[np.asarray(m) != 0]


def _holds(m: Any, value: float) -> bool:
    """Whether all that is not 0 is this number."""
    kept = _kept(m)
    return len(kept) > 0 and np.allclose(kept, value, rtol=1e-5)


def _binary(shape: Any, p: float, rng: Any) -> Any:
    return (rng.random(shape) >= p).astype(float)


# The share of zeros of 4800 numbers or more is within 0.03 of p: four standard deviations and more.
NEAR = 0.03

mask = Drawn(
    "mask(shape, p, rng)",
    lambda shape, p, rng: dropout.mask(shape, p, rng),
    (((60, 80), 0.2), ((40, 120), 0.6)),
    {"m": "N, M"},
    rules=(
        Rule("a number of the mask is neither 0 nor 1/(1 - p).", lambda a, m: _holds(m, 1 / (1 - a[1]))),
        Rule("the share of zeros is not p.", lambda a, m: abs(_share(m) - a[1]) < NEAR),
        Rule(
            "whole rows or columns are zero together: draw a number for each place.",
            lambda a, m: all(0 < _share(row) < 1 for row in (*m, *m.T)),
        ),
    ),
    mistakes=(
        Mistake(
            "the factor 1/(1 - p) is missing",
            "Without it the mean of m x is (1 - p) x, and at test time all is larger than in training.",
            _binary,
            lambda a, m: _holds(m, 1) and abs(_share(m) - a[1]) < NEAR,
        ),
        Mistake(
            "p is taken for the probability to keep",
            "Here p is the probability to drop: a share p of the mask is 0.",
            lambda shape, p, rng: _binary(shape, 1 - p, rng) / p,
            lambda a, m: _holds(m, 1 / a[1]) and abs(_share(m) - (1 - a[1])) < NEAR,
        ),
        Mistake(
            "the mask is the wrong way round",
            "rng.random(shape) is below p with probability p; there the mask is 0: rng.random(shape) >= p.",
            lambda shape, p, rng: _binary(shape, 1 - p, rng) / (1 - p),
            lambda a, m: _holds(m, 1 / (1 - a[1])) and abs(_share(m) - (1 - a[1])) < NEAR,
        ),
        Mistake(
            "what is kept is divided by p",
            "A share 1 - p is kept, so the mean is right with 1/(1 - p).",
            lambda shape, p, rng: _binary(shape, p, rng) / p,
            lambda a, m: _holds(m, 1 / a[1]) and abs(_share(m) - a[1]) < NEAR,
        ),
        Mistake(
            "what is kept is multiplied by 1 - p",
            "Divide by 1 - p: fewer numbers are kept, so each counts more.",
            lambda shape, p, rng: _binary(shape, p, rng) * (1 - p),
            lambda a, m: _holds(m, 1 - a[1]),
        ),
        Mistake(
            "one number serves a whole row",
            "Draw one for each place: rng.random(shape).",
            lambda shape, p, rng: np.broadcast_to(_binary((shape[0], 1), p, rng) / (1 - p), shape),
            lambda a, m: bool((m == m[:, :1]).all()) and 0 < _share(m) < 1,
        ),
        Mistake(
            "one number serves a whole column",
            "Draw one for each place: rng.random(shape).",
            lambda shape, p, rng: np.broadcast_to(_binary((1, shape[1]), p, rng) / (1 - p), shape),
            lambda a, m: bool((m == m[:1]).all()) and 0 < _share(m) < 1,
        ),
        Mistake(
            "the mask is normal noise",
            "That is multiplicative Gaussian noise. Dropout's mask is 0 or 1/(1 - p).",
            lambda shape, p, rng: 1 + (p / (1 - p)) ** 0.5 * rng.standard_normal(shape),
            lambda a, m: len(np.unique(m)) > m.size // 2,
        ),
        Mistake(
            "the same number of places is dropped in every row",
            "Each place is dropped by itself, so rows differ in how many.",
            lambda shape, p, rng: (
                (np.argsort(rng.random(shape), axis=1).argsort(axis=1) >= round(p * shape[1])).astype(float)
                / (1 - p)
            ),
            lambda a, m: len({int((row == 0).sum()) for row in m}) == 1 and 0 < _share(m) < 1,
        ),
    ),
    praise="each number is 0 or 1/(1 - p), a share p of them is 0, and each place is drawn by itself.",
)

# ---------------------------------------------------------------- in training, and at test time


def _apply(x: Any, p: float, training: bool, rng: Any, *, always: bool = False, keep: Any = None) -> Any:
    """Dropout of x with a mistake, or with none; `keep` is what a kept number is multiplied by."""
    if not training and not always:
        return x.copy()
    return x * _binary(x.shape, p, rng) * (1 / (1 - p) if keep is None else keep(p))


_X = np.random.default_rng(3).standard_normal((60, 80)) + 3.0  # no zeros
_TRAIN, _TEST = (_X, 0.3, True), (_X, 0.3, False)


def _ratio(a: Any, y: Any) -> Any:
    return y / a[0]


def _in_training(test: Any) -> Any:
    """A mistake that shows in training, as `test` tells from y / x; at test time nothing is looked at."""
    return lambda a, y: bool(test(a, _ratio(a, y))) if a[2] else True


def _only_at_test(test: Any) -> Any:
    """A mistake that shows at test time alone; in training all is as it should be."""

    def shows(a: Any, y: Any) -> bool:
        m = _ratio(a, y)
        return _holds(m, 1 / (1 - a[1])) if a[2] else bool(test(a, m))

    return shows


apply = Drawn(
    "apply(x, p, training, rng)",
    lambda x, p, training, rng: dropout.units(x, p, rng, training)[0],
    (_TRAIN, _TEST),
    {"y": "N, M"},
    rules=(
        Rule(
            "in training a number of y is neither 0 nor x/(1 - p).",
            lambda a, y: not a[2] or _holds(_ratio(a, y), 1 / (1 - a[1])),
        ),
        Rule(
            "in training the share of zeros is not p.", lambda a, y: not a[2] or abs(_share(y) - a[1]) < NEAR
        ),
        Rule("at test time y is not x.", lambda a, y: bool(a[2]) or np.allclose(y, a[0])),
    ),
    mistakes=(
        Mistake(
            "numbers are dropped at test time too",
            "With training=False nothing is random: y = x.",
            lambda x, p, training, rng: _apply(x, p, training, rng, always=True),
            _only_at_test(lambda a, m: 0 < _share(m) < 1),
        ),
        Mistake(
            "x is multiplied by 1 - p at test time, and divided by it in training",
            "One of the two is enough. Inverted dropout does it in training; at test time y = x.",
            lambda x, p, training, rng: _apply(x, p, training, rng) * (1 if training else 1 - p),
            _only_at_test(lambda a, m: _holds(m, 1 - a[1]) and _share(m) == 0),
        ),
        Mistake(
            "the factor 1/(1 - p) is missing in training",
            "The mean of y is to be x: divide what is kept by 1 - p.",
            lambda x, p, training, rng: _apply(x, p, training, rng, keep=lambda p: 1),
            _in_training(lambda a, m: _holds(m, 1) and _share(m) > 0),
        ),
        Mistake(
            "training and test time are swapped",
            "Numbers are dropped in training, and never at test time.",
            lambda x, p, training, rng: _apply(x, p, not training, rng),
            lambda a, y: np.allclose(y, a[0]) if a[2] else 0 < _share(y) < 1,
        ),
        Mistake(
            "nothing is dropped",
            "In training a share p of y is 0.",
            lambda x, p, training, rng: x.copy(),
            _in_training(lambda a, m: _share(m) == 0),
        ),
        Mistake(
            "p is taken for the probability to keep",
            "Here p is the probability to drop.",
            lambda x, p, training, rng: _apply(x, 1 - p, training, rng),
            _in_training(lambda a, m: abs(_share(m) - (1 - a[1])) < NEAR),
        ),
    ),
    praise="in training a share p is 0 and the rest x/(1 - p), so that the mean is x; at test time y is x.",
)


def _draw_masked(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    (dy,) = normal("BH")(rng, sizes)
    m = (np.arange(dy.size).reshape(dy.shape) % 3 > 0) / 0.6
    return dy, m


backward = Exercise(
    "backward(dy, m)",
    dropout.units_backward,
    _draw_masked,
    {"dx": "B, H"},
    (
        Mistake(
            "the mask is not used on the way back",
            "y = m x, so dx = m dy: what was dropped gets no gradient.",
            lambda dy, m: dy.copy(),
        ),
        Mistake(
            "the factor of the mask is lost on the way back",
            "dx = m dy, with m as it was drawn, 1/(1 - p) and all.",
            lambda dy, m: dy * (m > 0),
        ),
        Mistake(
            "the gradient is divided by the mask's factor",
            "The derivative of m x is m, not 1/m.",
            lambda dy, m: dy * (m > 0) / m.max(),
        ),
        Mistake(
            "the mask is used twice",
            "dx = m dy.",
            lambda dy, m: dy * m * m,
        ),
        Mistake(
            "the mask is the wrong way round",
            "What was dropped gets no gradient.",
            lambda dy, m: dy * (m == 0) * m.max(),
        ),
    ),
    names={"B": "B", "H": "H"},
)

# ---------------------------------------------------------------- along a sequence


def _new_each_step(T: int, B: int, H: int, p: float, rng: Any) -> Any:
    return _binary((T, B, H), p, rng) / (1 - p)


def _spread(m: Any, T: int, B: int, H: int) -> Any:
    return np.broadcast_to(m, (T, B, H)).copy()


sequence_mask = Drawn(
    "sequence_mask(T, B, H, p, rng)",
    lambda T, B, H, p, rng: _spread(dropout_masks.draw("gal", p, T, B, 1, H, rng=rng).h, T, B, H),
    ((6, 60, 80, 0.25), (5, 40, 120, 0.6)),
    {"m": "T, B, H"},
    rules=(
        Rule("the mask is not the same at every step.", lambda a, m: bool((m == m[:1]).all())),
        Rule("a number of the mask is neither 0 nor 1/(1 - p).", lambda a, m: _holds(m, 1 / (1 - a[3]))),
        Rule("the share of zeros is not p.", lambda a, m: abs(_share(m[0]) - a[3]) < NEAR),
        Rule("the sequences of a batch share a mask.", lambda a, m: not (m == m[:, :1]).all()),
    ),
    mistakes=(
        Mistake(
            "the mask is drawn anew at each step",
            "One mask serves the whole sequence: draw (1, B, H) once, for all steps.",
            _new_each_step,
            lambda a, m: not ((m == 0) == (m[:1] == 0)).all() and abs(_share(m) - a[3]) < NEAR,
        ),
        Mistake(
            "the factor 1/(1 - p) is missing",
            "The mean of the mask is to be 1.",
            lambda T, B, H, p, rng: _spread(_binary((1, B, H), p, rng), T, B, H),
            lambda a, m: bool((m == m[:1]).all()) and _holds(m, 1),
        ),
        Mistake(
            "one mask serves the whole batch",
            "Each sequence has a mask of its own: draw (1, B, H).",
            lambda T, B, H, p, rng: _spread(_binary((1, 1, H), p, rng) / (1 - p), T, B, H),
            lambda a, m: bool((m == m[:1, :1]).all()),
        ),
        Mistake(
            "all units of a sequence share one number",
            "Each unit has a number of its own: draw (1, B, H).",
            lambda T, B, H, p, rng: _spread(_binary((1, B, 1), p, rng) / (1 - p), T, B, H),
            lambda a, m: bool((m == m[:1, :, :1]).all()),
        ),
        Mistake(
            "the factor 1/(1 - p) is applied once a step",
            "The mask is one and the same array at each step, with the factor once in it.",
            lambda T, B, H, p, rng: (
                _spread(_binary((1, B, H), p, rng), T, B, H) / (1 - p) ** np.arange(1, T + 1)[:, None, None]
            ),
            lambda a, m: (
                bool(((m == 0) == (m[:1] == 0)).all()) and _kept(m[-1]).max() > 1.5 * _kept(m[0]).max()
            ),
        ),
        Mistake(
            "p is taken for the probability to keep",
            "Here p is the probability to drop.",
            lambda T, B, H, p, rng: _spread(_binary((1, B, H), 1 - p, rng) / p, T, B, H),
            lambda a, m: _holds(m, 1 / a[3]) and abs(_share(m[0]) - (1 - a[3])) < NEAR,
        ),
    ),
    praise="one mask for all T steps, another for each sequence, its numbers 0 or 1/(1 - p).",
)

_W = np.random.default_rng(4).standard_normal((80, 60)) + 3.0


weight_drop = Drawn(
    "weight_drop(W, p, rng)",
    lambda W, p, rng: dropout.weights(W, p, rng)[0],
    ((_W, 0.3), (_W, 0.6)),
    {"W": "O, I"},
    rules=(
        Rule("a weight is neither 0 nor W/(1 - p).", lambda a, V: _holds(_ratio(a, V), 1 / (1 - a[1]))),
        Rule("the share of zeros is not p.", lambda a, V: abs(_share(V) - a[1]) < NEAR),
    ),
    mistakes=(
        Mistake(
            "whole columns are dropped",
            "That drops units of the input, as ordinary dropout does. Here each weight is drawn by itself.",
            lambda W, p, rng: W * _binary((1, W.shape[1]), p, rng) / (1 - p),
            lambda a, V: bool(((V == 0) == (V[:1] == 0)).all()) and 0 < _share(V) < 1,
        ),
        Mistake(
            "whole rows are dropped",
            "That drops units of the output. Here each weight is drawn by itself.",
            lambda W, p, rng: W * _binary((W.shape[0], 1), p, rng) / (1 - p),
            lambda a, V: bool(((V == 0) == (V[:, :1] == 0)).all()) and 0 < _share(V) < 1,
        ),
        Mistake(
            "the factor 1/(1 - p) is missing",
            "The mean of what is returned is to be W.",
            lambda W, p, rng: W * _binary(W.shape, p, rng),
            lambda a, V: _holds(_ratio(a, V), 1) and 0 < _share(V) < 1,
        ),
        Mistake(
            "p is taken for the probability to keep",
            "Here p is the probability to drop.",
            lambda W, p, rng: W * _binary(W.shape, 1 - p, rng) / p,
            lambda a, V: _holds(_ratio(a, V), 1 / a[1]),
        ),
        Mistake(
            "the mask is returned, and not W",
            "Return m * W.",
            lambda W, p, rng: _binary(W.shape, p, rng) / (1 - p),
            lambda a, V: _holds(V, 1 / (1 - a[1])),
        ),
    ),
    praise="each weight is 0 or W/(1 - p), a share p of them is 0, and each is drawn by itself.",
)

# ---------------------------------------------------------------- zoneout, and the test-time rules


def _draw_zoneout(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    old, new = normal("BH", "BH")(rng, sizes)
    return old, new, (np.arange(old.size).reshape(old.shape) % 3 > 0).astype(float)


zoneout_step = Exercise(
    "zoneout_step(old, new, z)",
    lambda old, new, z: dropout_masks.mix(z, old, new),
    _draw_zoneout,
    {"state": "B, H"},
    (
        Mistake(
            "z and 1 - z are swapped",
            "z = 1 keeps the old state: z old + (1 - z) new.",
            lambda old, new, z: z * new + (1 - z) * old,
        ),
        Mistake(
            "what is not updated becomes zero",
            "That is dropout. Zoneout keeps the old value: z old + (1 - z) new.",
            lambda old, new, z: (1 - z) * new,
        ),
        Mistake(
            "the old state is dropped where it should be kept, and nothing is new",
            "z old + (1 - z) new: two terms.",
            lambda old, new, z: z * old,
        ),
        Mistake(
            "old and new are added",
            "They share: where z is 1 the old value, else the new one.",
            lambda old, new, z: z * old + new,
        ),
        Mistake(
            "the mask is not used",
            "z old + (1 - z) new.",
            lambda old, new, z: new.copy(),
        ),
    ),
    names={"B": "B", "H": "H"},
)


def _draw_zoneout_test(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return (*normal("BH", "BH")(rng, sizes), {2: 0.1, 3: 0.25, 1: 0.4, 4: 0.05}[sizes.B])


zoneout_test = Exercise(
    "zoneout_test(old, new, p)",
    lambda old, new, p: dropout_masks.mix(p, old, new),
    _draw_zoneout_test,
    {"state": "B, H"},
    (
        Mistake(
            "p and 1 - p are swapped",
            "In training the old value is kept with probability p, so its mean share is p.",
            lambda old, new, p: (1 - p) * old + p * new,
        ),
        Mistake(
            "the new state is taken whole",
            "So it is with dropout. Zoneout's mean over masks is p old + (1 - p) new.",
            lambda old, new, p: new.copy(),
        ),
        Mistake(
            "old and new get one half each",
            "Their shares are p and 1 - p.",
            lambda old, new, p: (old + new) / 2,
        ),
        Mistake(
            "the new state is scaled, and the old one is not there",
            "p old + (1 - p) new: two terms.",
            lambda old, new, p: (1 - p) * new,
        ),
        Mistake(
            "the new state is divided by 1 - p",
            "Nothing was dropped in training, so nothing is scaled: p old + (1 - p) new.",
            lambda old, new, p: p * old + new / (1 - p),
        ),
    ),
    names={"B": "B", "H": "H"},
)

scaled_weights = Exercise(
    "scaled_weights(W, p)",
    lambda W, p: ((1 - p) * W).astype(W.dtype),
    lambda rng, sizes: (rng.standard_normal((sizes.H, sizes.I)), {2: 0.2, 3: 0.6, 1: 0.4, 4: 0.1}[sizes.B]),
    {"W": "O, I"},
    (
        Mistake(
            "the weights are divided by 1 - p",
            "In training a share 1 - p of the inputs was there; at test time all are, so each counts less.",
            lambda W, p: W / (1 - p),
        ),
        Mistake(
            "the weights are multiplied by p",
            "p is the probability to drop, and 1 - p that to keep.",
            lambda W, p: W * p,
        ),
        Mistake(
            "the weights stay as they are",
            "That is right for inverted masks. Masks of 0 and 1 leave a mean of (1 - p) W x.",
            lambda W, p: W.copy(),
        ),
        Mistake(
            "the weights are divided by p",
            "Multiply by 1 - p, the share that was kept in training.",
            lambda W, p: W / p,
        ),
    ),
    names={"H": "O", "I": "I"},
)

# ---------------------------------------------------------------- in the LSTM's memory


def _draw_cell(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    c, g = normal("BH", "BH")(rng, sizes)
    i, f = rng.uniform(0.1, 0.9, (2, sizes.B, sizes.H))
    m = dropout.mask(c.shape, 0.4, rng, np.float64)
    m[0, 0] = 1 / 0.6
    return c, i, f, g, m


naive = Exercise(
    "naive(c, i, f, g, m)",
    lambda c, i, f, g, m: cell_state(i, f, g, c, m_c=m),
    with_letters(_draw_cell, "BH"),
    {"c": "B, H"},
    (
        Mistake(
            "the mask lies on the candidate alone",
            "In the naive cell the mask lies on all of the new memory: m (f c + i g).",
            lambda c, i, f, g, m: f * c + i * (m * g),
        ),
        Mistake(
            "the mask lies on the old cell state alone",
            "In the naive cell the mask lies on all of the new memory: m (f c + i g).",
            lambda c, i, f, g, m: m * f * c + i * g,
        ),
        Mistake(
            "the mask is forgotten",
            "Multiply the new memory by m.",
            lambda c, i, f, g, m: f * c + i * g,
        ),
    ),
)

candidate = Exercise(
    "candidate(c, i, f, g, m)",
    lambda c, i, f, g, m: cell_state(i, f, g, c, m_g=m),
    with_letters(_draw_cell, "BH"),
    {"c": "B, H"},
    (
        Mistake(
            "the mask lies on the whole new cell state",
            "That is the naive way: what is carried is lost as well. Only the candidate g is masked.",
            lambda c, i, f, g, m: m * (f * c + i * g),
        ),
        Mistake(
            "the mask lies on the old cell state",
            "f c is safe here: the mask belongs to g.",
            lambda c, i, f, g, m: m * f * c + i * g,
        ),
        Mistake(
            "the mask is forgotten",
            "c = f c + i (m g): multiply g by m.",
            lambda c, i, f, g, m: f * c + i * g,
        ),
        Mistake(
            "the factor is forgotten",
            "m holds 0 or 1/(1 - p); multiply by it, and not by m > 0.",
            lambda c, i, f, g, m: f * c + i * (g * (m > 0)),
        ),
        Mistake(
            "i and f are swapped",
            "f decides what is kept of c, i what is taken in of g.",
            lambda c, i, f, g, m: i * c + f * (m * g),
        ),
        Mistake(
            "the input gate is missing",
            "What is written is i (m g).",
            lambda c, i, f, g, m: f * c + m * g,
        ),
    ),
)

memory_backward = Exercise(
    "memory_backward(dc, f, m)",
    lambda dc, f, m: m * f * dc,
    with_letters(lambda rng, sizes: tuple(_draw_cell(rng, sizes)[k] for k in (3, 2, 4)), "BH"),
    {"dc": "B, H"},
    (
        Mistake(
            "the mask is forgotten on the way back",
            "The new state is m (f c + i g). Its slope with respect to c is m f, not f.",
            lambda dc, f, m: f * dc,
        ),
        Mistake(
            "the forget gate is forgotten on the way back",
            "The new state is m (f c + i g). Its slope with respect to c is m f, not m.",
            lambda dc, f, m: m * dc,
        ),
        Mistake(
            "the factor is forgotten on the way back",
            "m holds its factor 1/(1 - p): multiply by m, not by m > 0.",
            lambda dc, f, m: (m > 0) * f * dc,
        ),
        Mistake(
            "it divides by the mask",
            "The way back multiplies by the same m as the way forward.",
            lambda dc, f, m: np.where(m > 0, f * dc / np.maximum(m, 1e-9), 0 * dc),
        ),
    ),
)

# ---------------------------------------------------------------- the mean of several passes


def _softmax(a: Any, axis: int = -1) -> Any:
    e = np.exp(a - a.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


average = Exercise(
    "average(logits)",
    lambda logits: dropout.predictive(_softmax(logits)).mean,
    lambda rng, sizes: (3 * rng.standard_normal((sizes.T + 1, sizes.B + 1, sizes.H + 1)),),
    {"mean": "B, K"},
    (
        Mistake(
            "the logits are averaged, and not the probabilities",
            "First softmax for each pass, then the mean. (The softmax of mean logits is a geometric mean of "
            "the passes, made to sum to 1.)",
            lambda logits: _softmax(logits.mean(0)),
        ),
        Mistake("the softmax is missing", "Logits are no probabilities.", lambda logits: logits.mean(0)),
        Mistake(
            "the sum is taken, not the mean",
            "Divide by the number S of passes: each row has to sum to 1.",
            lambda logits: _softmax(logits).sum(0),
        ),
        Mistake(
            "the softmax goes over the passes",
            "The classes are the last axis: each pass and each example has probabilities that sum to 1.",
            lambda logits: _softmax(logits, 0).mean(0),
        ),
        Mistake(
            "the softmax goes over the examples",
            "The classes are the last axis: each pass and each example has probabilities that sum to 1.",
            lambda logits: _softmax(logits, 1).mean(0),
        ),
        Mistake(
            "one pass is taken",
            "The mean goes over all passes, the first axis.",
            lambda logits: _softmax(logits)[0],
        ),
    ),
)
