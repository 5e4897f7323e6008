"""An LSTM's step after its products, with what the variants add to it.

B batch, H hidden;   gates i f g o, in this order.

Written once, for arrays and tensors alike: sigma and tanh are arguments. It is the
step of `lstm_peephole`, of `dropout_lstm`, of the twins of both in torch, and of the
loop in `rnnlit.nn.scan`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnlit.dropout_masks import times
from rnnlit.tools.functions import sigmoid


class New(NamedTuple):
    """What a step makes of the products and the old cell state; each (B, H)."""

    h: Any  # h'
    c: Any  # c'
    gates: tuple[Any, Any, Any, Any]  # activations of i f g o
    tanh_c: Any  # tanh(norm(c'))


def cell(
    a: Sequence[Any],
    c: Any,
    peepholes: Sequence[Any] | None = None,
    *,
    m_g: Any = None,
    m_c: Any = None,
    norm: Callable[[Any], Any] | None = None,
    sigmoid: Callable[[Any], Any] = sigmoid,
    tanh: Callable[[Any], Any] = np.tanh,
) -> New:
    """Advance one step from the sums a = W_ih x + b_ih + W_hh h + b_hh of each gate:

        i = sigma(a_i + w_ci c)      g  = tanh(a_g)
        f = sigma(a_f + w_cf c)      c' = m_c (f c + i m_g g)
        o = sigma(a_o + w_co c')     h' = o tanh(norm(c'))

    a: the sums of i f g o, and c, each (B, H). What is None is left out: peepholes
    (w_ci, w_cf, w_co), each (H,); masks m_g and m_c, each (B, H); a normalisation.
    Without all of them it is the step of `rnnlit.lstm`.
    """
    a_i, a_f, a_g, a_o = a
    w_ci, w_cf, w_co = (None, None, None) if peepholes is None else peepholes
    i = sigmoid(_seen(a_i, w_ci, c))
    f = sigmoid(_seen(a_f, w_cf, c))
    g = tanh(a_g)
    c = cell_state(i, f, g, c, m_g, m_c)
    o = sigmoid(_seen(a_o, w_co, c))
    tanh_c = tanh(c if norm is None else norm(c))
    return New(o * tanh_c, c, (i, f, g, o), tanh_c)


def cell_state(i: Any, f: Any, g: Any, c: Any, m_g: Any = None, m_c: Any = None) -> Any:
    """The new cell state  c' = m_c (f c + i m_g g),  where a mask None stands for 1."""
    return times(m_c, f * c + i * times(m_g, g))


def _seen(a: Any, w: Any, c: Any) -> Any:
    """a + w c, where w = None stands for 0."""
    return a if w is None else a + w * c
