"""The masks of every kind of recurrent dropout, drawn for one batch.

B batch, T steps, I inputs, H hidden;   p is the probability to DROP.

`rnnlit.dropout_lstm` takes them, and so does its twin in torch, which gives `draw` a
maker of tensors. `at`, `times` and `mix` apply them, to arrays and tensors alike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from rnnlit.dropout import Scheme, binary_mask
from rnnlit.tools.checks import check_array, check_probability, check_rng

Kind = Literal[
    "none",
    "zaremba",
    "gal",
    "naive_h",
    "naive_c",
    "rnndrop",
    "semeniuta",
    "zoneout",
    "weight_drop",
]

# Which scheme of `dropout.survival` a kind is: for a number in the LSTM's cell c, and
# for one in the state h of a plain recurrent cell h' = w h, with the kind put on h.
ON_CELL: dict[Kind, Scheme] = {
    "none": "none",
    "zaremba": "none",
    "gal": "none",
    "naive_h": "none",
    "naive_c": "per_step",
    "rnndrop": "per_sequence_binary",
    "semeniuta": "none",
    "zoneout": "zoneout",
    "weight_drop": "none",
}
ON_STATE: dict[Kind, Scheme] = {
    "none": "none",
    "zaremba": "none",
    "gal": "per_sequence",
    "naive_h": "per_step",
    "weight_drop": "per_sequence",
    "zoneout": "zoneout",
}
KINDS: tuple[Kind, ...] = get_args(Kind)


class Masks(NamedTuple):
    """What multiplies what; None is no mask. First axis: T, or 1 for all steps."""

    x: np.ndarray | None = None  # (T or 1, B, I) the input
    h: np.ndarray | None = None  # (T or 1, B, H) h_{t-1} where the gates read it
    g: np.ndarray | None = None  # (T or 1, B, H) the candidate
    c: np.ndarray | None = None  # (T or 1, B, H) the new cell state, carried on
    out: np.ndarray | None = None  # (T or 1, B, H) h_t where the layer above reads it
    zoneout_h: np.ndarray | None = None  # (T or 1, B, H) 1 keeps h_{t-1}, 0 does not
    zoneout_c: np.ndarray | None = None  # (T or 1, B, H) 1 keeps c_{t-1}, 0 does not
    weight_hh: np.ndarray | None = None  # (4H, H) the recurrent weights


def draw(
    kind: Kind,
    p: float,
    T: int,
    B: int,
    I: int,
    H: int,
    *,
    rng: np.random.Generator | None = None,
    dtype: Any = np.float32,
    per_sequence: bool = False,
    p_h: float | None = None,
    new: Callable[[tuple[int, ...], float], Any] | None = None,
) -> Masks:
    """Draw the masks of one batch for training. p: the probability to DROP.

    none         no mask
    naive_h      h_{t-1} in the gates, new at each step
    naive_c      the carried cell c_t, new at each step
    zaremba      x and the output, new at each step: non-recurrent connections only
                 (Zaremba, Sutskever & Vinyals 2014)
    gal          x and h_{t-1} where they are read, one mask per sequence, the same
                 for the three gates and the candidate: the tied form
                 (Gal & Ghahramani 2016)
    rnndrop      c_t, one 0/1 mask per sequence (Moon et al. 2015). Scaling c would
                 compound, so here h is scaled by 1/(1 - p) where it is read:
                 our choice, which makes evaluation the identity
    semeniuta    the candidate g, new at each step (Semeniuta, Severyn & Barth 2016)
    zoneout      c and h keep the old value with probability p (Krueger et al. 2017);
                 p_h for h, if another than p
    weight_drop  the weights W_hh, one mask for the whole batch (Merity et al. 2018)

    per_sequence: one mask for all steps also where the kind draws anew at each step.
    new: makes a 0/1 mask from a shape and p, as `binary_mask` does; that of NumPy with
    rng and dtype if not given. The twin in torch gives its own.
    """
    check_kind(kind)
    p = check_probability("p", p)
    p_h = p if p_h is None else check_probability("p_h", p_h)
    steps = 1 if per_sequence else T
    binary = new or partial(binary_mask, rng=check_rng(rng), dtype=dtype)

    def inverted(*shape: int) -> Any:
        return binary(shape, p) / (1 - p)

    if kind == "zaremba":
        return Masks(x=inverted(steps, B, I), out=inverted(steps, B, H))
    if kind == "gal":
        return Masks(x=inverted(1, B, I), h=inverted(1, B, H))
    if kind == "naive_h":
        return Masks(h=inverted(steps, B, H))
    if kind == "naive_c":
        return Masks(c=inverted(steps, B, H))
    if kind == "rnndrop":
        m = binary((1, B, H), p)
        scale = 0 * m + 1 / (1 - p)  # the same number everywhere
        return Masks(c=m, h=scale, out=scale)
    if kind == "semeniuta":
        return Masks(g=inverted(steps, B, H))
    if kind == "zoneout":
        keep_h, keep_c = (1 - binary((steps, B, H), z) for z in (p_h, p))
        return Masks(zoneout_h=keep_h, zoneout_c=keep_c)
    if kind == "weight_drop":
        return Masks(weight_hh=inverted(4 * H, H))
    return Masks()


def evaluation(
    kind: Kind,
    p: float,
    B: int,
    H: int,
    *,
    dtype: Any = np.float32,
    p_h: float | None = None,
    full: Callable[[tuple[int, ...], float], Any] | None = None,
) -> Masks:
    """The masks at evaluation: each is replaced by its mean, so that no coin is tossed.

    The mean of an inverted mask is 1: no mask. That of zoneout's is p, the number z.
    Zoneout then mixes old and new, c_t = z c_{t-1} + (1 - z) new_c, and h likewise:
    the mean over the masks of this one step. An LSTM is not linear, so over several
    steps, and for the other kinds, evaluation is not exactly the mean of training.

    full: makes an array of a shape from one number; that of NumPy if not given.
    """
    check_kind(kind)
    p = check_probability("p", p)
    p_h = p if p_h is None else check_probability("p_h", p_h)
    if kind != "zoneout":
        return Masks()
    full = full or partial(np.full, dtype=dtype)
    return Masks(zoneout_h=full((1, B, H), p_h), zoneout_c=full((1, B, H), p))


def check_kind(kind: Any) -> None:
    """ValueError: not one of KINDS."""
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")


def check_masks(
    masks: Any,
    T: int,
    B: int,
    I: int,
    H: int,
    like: Any,
    check: Callable[[str, Any, tuple[int, ...], Any], Any] = check_array,
) -> Masks:
    """Check each mask's shape and dtype; return them, `Masks()` for None.

    like: the dtype; or what else `check` takes beside a name, a value and its shape.
    """
    if masks is None:
        return Masks()
    if not isinstance(masks, Masks):
        raise TypeError(f"masks: expected Masks or None, got {type(masks).__name__}")
    for name, value in masks._asdict().items():
        if value is None:
            continue
        if name == "weight_hh":
            check("masks.weight_hh", value, (4 * H, H), like)
        else:
            first = 1 if np.shape(value)[:1] == (1,) else T
            shape = (first, B, I if name == "x" else H)
            check(f"masks.{name}", value, shape, like)
    return masks


def of_step(masks: Masks, t: int) -> Masks:
    """The masks of step t, counted from 0, without their first axis."""
    return Masks._make([*(at(m, t) for m in masks[:-1]), masks.weight_hh])


def check_masks_of_step(masks: Any, B: int, I: int, H: int, like: Any) -> Masks:
    """Check the masks of one step, (B, I), (B, H) or (4H, H), as `check_masks` does."""
    if not isinstance(masks, Masks):
        return check_masks(masks, 1, B, I, H, like)
    whole = [None if m is None else np.asarray(m)[None] for m in masks[:-1]]
    check_masks(Masks._make([*whole, masks.weight_hh]), 1, B, I, H, like)
    return masks


def at(m: Any, t: int) -> Any:
    """The mask of step t, one for all steps or one of T; None is no mask."""
    return None if m is None else m[t if len(m) > 1 else 0]


def times(m: Any, value: Any) -> Any:
    """m * value, where m = None stands for 1."""
    return value if m is None else m * value


def mix(z: Any, old: Any, new: Any) -> Any:
    """z old + (1 - z) new, where z = None stands for 0."""
    return new if z is None else z * old + (1 - z) * new
