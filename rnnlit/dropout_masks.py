"""The masks of every kind of recurrent dropout, drawn for one batch.

B batch, T steps, I inputs, H hidden;   p is the probability to DROP.

`rnnlit.dropout_lstm` takes them; its twin in torch draws the same kinds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit.dropout import binary_mask, check_p, mask
from rnnlit.tools.checks import check_array

# Which scheme of `dropout.survival` a kind is: for a number in the LSTM's cell c, and
# for one in the state h of a plain recurrent cell h' = w h, with the kind put on h.
ON_CELL = {
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
ON_STATE = {
    "none": "none",
    "zaremba": "none",
    "gal": "per_sequence",
    "naive_h": "per_step",
    "weight_drop": "per_sequence",
    "zoneout": "zoneout",
}
KINDS = tuple(ON_CELL)


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
    kind: str,
    p: float,
    T: int,
    B: int,
    I: int,
    H: int,
    *,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    per_sequence: bool = False,
    p_h: float | None = None,
) -> Masks:
    """Draw the masks of one batch for training. p: the probability to DROP.

    none         no mask
    naive_h      h_{t-1} in the gates, new at each step
    naive_c      the carried cell c_t, new at each step
    zaremba      x and the output, new at each step: non-recurrent connections only
                 (Zaremba, Sutskever & Vinyals 2014)
    gal          x and h_{t-1} in the gates, one mask per sequence, the same for all
                 four gates: the tied form (Gal & Ghahramani 2016)
    rnndrop      c_t, one 0/1 mask per sequence (Moon et al. 2015). Scaling c would
                 compound, so here h is scaled by 1/(1 - p) where it is read:
                 our choice, which makes evaluation the identity
    semeniuta    the candidate g, new at each step (Semeniuta, Severyn & Barth 2016)
    zoneout      c and h keep the old value with probability p (Krueger et al. 2017);
                 p_h for h, if another than p
    weight_drop  the weights W_hh, one mask for the whole batch (Merity et al. 2018)

    per_sequence: one mask for all steps also where the kind draws anew at each step.
    """
    check_kind(kind)
    p, p_h = check_p(p), check_p(p if p_h is None else p_h, "p_h")
    steps = 1 if per_sequence else T

    def new(first: int, size: int) -> np.ndarray:
        return mask((first, B, size), p, rng, dtype)

    if kind == "zaremba":
        return Masks(x=new(steps, I), out=new(steps, H))
    if kind == "gal":
        return Masks(x=new(1, I), h=new(1, H))
    if kind == "naive_h":
        return Masks(h=new(steps, H))
    if kind == "naive_c":
        return Masks(c=new(steps, H))
    if kind == "rnndrop":
        m = binary_mask((1, B, H), p, rng, dtype)
        scale = np.full_like(m, 1 / (1 - p))
        return Masks(c=m, h=scale, out=scale)
    if kind == "semeniuta":
        return Masks(g=new(steps, H))
    if kind == "zoneout":
        keep_h, keep_c = (
            1 - binary_mask((steps, B, H), z, rng, dtype) for z in (p_h, p)
        )
        return Masks(zoneout_h=keep_h, zoneout_c=keep_c)
    if kind == "weight_drop":
        return Masks(weight_hh=mask((4 * H, H), p, rng, dtype))
    return Masks()


def evaluation(
    kind: str,
    p: float,
    B: int,
    H: int,
    *,
    dtype: Any = np.float32,
    p_h: float | None = None,
) -> Masks:
    """The masks at evaluation: none for inverted kinds, the numbers z for zoneout.

    Zoneout then mixes old and new, c_t = z c_{t-1} + (1 - z) c_new, and h likewise:
    the mean over the masks of this one step. An LSTM is not linear, so over several
    steps, and for the other kinds, evaluation is not exactly the mean of training.
    """
    check_kind(kind)
    p, p_h = check_p(p), check_p(p if p_h is None else p_h, "p_h")
    if kind != "zoneout":
        return Masks()
    return Masks(
        zoneout_h=np.full((1, B, H), p_h, dtype),
        zoneout_c=np.full((1, B, H), p, dtype),
    )


def check_kind(kind: Any) -> None:
    """ValueError: not one of KINDS."""
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")


def check_masks(masks: Any, T: int, B: int, I: int, H: int, dtype: Any) -> Masks:
    """Check each mask's shape and dtype; return them, `Masks()` for None."""
    if masks is None:
        return Masks()
    if not isinstance(masks, Masks):
        raise TypeError(f"masks: expected Masks or None, got {type(masks).__name__}")
    for name, value in masks._asdict().items():
        if value is None:
            continue
        if name == "weight_hh":
            check_array("masks.weight_hh", value, (4 * H, H), dtype)
        else:
            first = 1 if np.shape(value)[:1] == (1,) else T
            check_array(
                f"masks.{name}", value, (first, B, I if name == "x" else H), dtype
            )
    return masks
