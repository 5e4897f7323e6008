"""LSTM with dropout in all the places that the literature puts it.

B batch, T steps, I inputs, H hidden;   gates i f g o;   p is the probability to DROP.

A mask is an argument: `draw` makes them, `forward` and `backward` take them, and
without any the cell is `rnnlit.lstm`. Parameters are `lstm.Params`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit import lstm
from rnnlit.dropout_masks import (
    KINDS,
    ON_CELL,
    ON_STATE,
    Kind,
    Masks,
    at,
    check_kind,
    check_masks,
    check_masks_of_step,
    draw,
    evaluation,
    mix,
    of_step,
    times,
)
from rnnlit.lstm import Params
from rnnlit.lstm_variants import cell
from rnnlit.tools.checks import (
    check_array,
    check_backward,
    check_forward,
    check_params,
    check_probability,
    check_rng,
    check_step,
)
from rnnlit.tools.sequences import (
    clear_padding,
    gradient_of_states,
    last,
    outer_sum,
    product,
)

__all__ = [
    "KINDS",
    "ON_CELL",
    "ON_STATE",
    "Dropped",
    "Masks",
    "Params",
    "Run",
    "backward",
    "draw",
    "evaluation",
    "forward",
    "of_step",
    "step",
]


class Run(NamedTuple):
    """What `forward` returns: the states, and what `backward` needs."""

    h: np.ndarray  # (T, B, H) hidden states times the mask `out`, zero after the end
    c: np.ndarray  # (T, B, H) cell states, likewise
    h_n: np.ndarray  # (B, H) last row of h of each sequence
    c_n: np.ndarray  # (B, H) last cell state of each sequence
    state_n: np.ndarray  # (B, H) last hidden state, without `out`: h0 of a next piece
    x: np.ndarray  # (T, B, I) the input, as it came
    lengths: np.ndarray | None  # (B,)
    gates: np.ndarray  # (T, B, 4H) activations of i f g o, g before its mask, likewise
    h_before: np.ndarray  # (T, B, H) the hidden state that each step started from
    c_before: np.ndarray  # (T, B, H) the cell state that each step started from
    tanh_c: np.ndarray  # (T, B, H) of the new cell state, before zoneout
    masks: Masks


def step(
    params: Params, x: np.ndarray, h: np.ndarray, c: np.ndarray, m: Masks | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One step with the masks m of this step; a mask that is None is not there.

        a     = W_ih (m_x x) + (m_W W_hh) (m_h h) + b
        i f o = sigma(a),  g = tanh(a)
        new_c = m_c (f c + i (m_g g))        c becomes  z_c c + (1 - z_c) new_c
        new_h = o tanh(new_c)                h becomes  z_h h + (1 - z_h) new_h

    x (B, I); h, c (B, H); m as `of_step` gives it, (B, I) or (B, H), m_W (4H, H).
    Returns h and c. `forward` is this at all steps, and m_out besides.
    TypeError, ValueError: an array of another type, dtype or shape.
    """
    check_step(params, Params, 4, x, h=h, c=c)
    m = check_masks_of_step(m, len(x), x.shape[1], h.shape[1], x.dtype)
    W_ih, W_hh, b_ih, b_hh = params
    recurrent = times(m.h, h) @ times(m.weight_hh, W_hh).T  # (B, 4H)
    a = times(m.x, x) @ W_ih.T + recurrent + b_ih + b_hh  # (B, 4H)
    new = cell(np.split(a, 4, axis=1), c, m_g=m.g, m_c=m.c)
    return mix(m.zoneout_h, h, new.h), mix(m.zoneout_c, c, new.c)


def forward(
    params: Params,
    x: np.ndarray,
    masks: Masks | None = None,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
    lengths: Any = None,
) -> Run:
    """Run over whole sequences. With masks m and zoneout masks z, at each step:

        a     = W_ih (m_x x) + b_ih + (m_W W_hh) (m_h h_{t-1}) + b_hh
        i f o = sigma(a),  g = tanh(a)
        new_c = m_c (f c_{t-1} + i m_g g)        new_h = o tanh(new_c)
        c_t   = z_c c_{t-1} + (1 - z_c) new_c    h_t   = z_h h_{t-1} + (1 - z_h) new_h

    The layer above reads m_out h_t. x (T, B, I); h0, c0 (B, H), zero if not given;
    lengths (B,) for a padded batch.
    TypeError, ValueError: an array of another type, dtype or shape; NaN in x.
    """
    lengths, h0, c0 = check_forward(params, Params, 4, x, lengths, h0=h0, c0=c0)
    (T, B, I), H = x.shape, params.weight_hh.shape[1]
    m = check_masks(masks, T, B, I, H, x.dtype)
    W_ih, W_hh, b_ih, b_hh = params
    W_hh = times(m.weight_hh, W_hh)
    a_x = product(times(m.x, x), W_ih.T) + (b_ih + b_hh)  # (T, B, 4H)
    h, c = np.empty((2, T + 1, B, H), x.dtype)  # h[t], c[t]: before step t
    h[0], c[0] = h0, c0
    gates, tanh_c = np.empty_like(a_x), np.empty((T, B, H), x.dtype)
    for t in range(T):
        a = a_x[t] + times(at(m.h, t), h[t]) @ W_hh.T
        new = cell(np.split(a, 4, axis=1), c[t], m_g=at(m.g, t), m_c=at(m.c, t))
        c[t + 1] = mix(at(m.zoneout_c, t), c[t], new.c)
        h[t + 1] = mix(at(m.zoneout_h, t), h[t], new.h)
        gates[t], tanh_c[t] = np.concatenate(new.gates, axis=1), new.tanh_c

    read = np.concatenate([h[:1], times(m.out, h[1:])])
    h_n, c_n, state_n = (last(states, lengths) for states in (read, c, h))
    cells = c[1:].copy()
    clear_padding(lengths, read[1:], cells, gates)
    return Run(
        read[1:],
        cells,
        h_n,
        c_n,
        state_n,
        x,
        lengths,
        gates,
        h[:-1],
        c[:-1],
        tanh_c,
        m,
    )


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dc: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
    dc_n: np.ndarray | None = None,
) -> lstm.Grads:
    """Backpropagation through time with the masks of the run. At each step:

        dh += m_out times the gradient for what the layer above reads
        dnew_h = (1 - z_h) dh
        dnew_c = (1 - z_c) dc + dnew_h o (1 - tanh(new_c)^2)
        ds     = m_c dnew_c
        da     = slopes times [ds m_g g, ds c_{t-1}, ds m_g i, dnew_h tanh(new_c)]
        dc_{t-1} = z_c dc + f ds
        dh_{t-1} = z_h dh + m_h (m_W W_hh)^T da

    dh, dc (T, B, H) are the gradients for run.h and run.c; dh_n, dc_n (B, H) for
    run.h_n and run.c_n; give one at least. Masks are constants.
    """
    check_backward(params, Params, 4, run, dh=dh, dc=dc, dh_n=dh_n, dc_n=dc_n)
    m, W_ih = run.masks, params.weight_ih
    W_hh = times(m.weight_hh, params.weight_hh)
    dh_loss = gradient_of_states(dh, dh_n, run.lengths, run.h)
    dc_loss = gradient_of_states(dc, dc_n, run.lengths, run.c)
    da = np.empty_like(run.gates)
    dh, dc = np.zeros_like(run.h_n), np.zeros_like(run.c_n)
    for t in reversed(range(len(da))):
        i, f, g, o = np.split(run.gates[t], 4, axis=1)
        dh = dh + times(at(m.out, t), dh_loss[t])
        dc = dc + dc_loss[t]
        dh_kept, dnew_h = _unmix(at(m.zoneout_h, t), dh)
        dc_kept, dnew_c = _unmix(at(m.zoneout_c, t), dc)
        dnew_c = dnew_c + dnew_h * o * (1 - run.tanh_c[t] ** 2)
        ds = times(at(m.c, t), dnew_c)
        written = times(at(m.g, t), ds)
        da[t] = np.concatenate(
            [
                written * g * i * (1 - i),
                ds * run.c_before[t] * f * (1 - f),
                written * i * (1 - g**2),
                dnew_h * run.tanh_c[t] * o * (1 - o),
            ],
            axis=1,
        )
        dc = dc_kept + f * ds
        dh = dh_kept + times(at(m.h, t), da[t] @ W_hh)

    dW_ih = outer_sum(da, times(m.x, run.x))
    dW_hh = times(m.weight_hh, outer_sum(da, times(m.h, run.h_before)))
    db = da.sum((0, 1))
    grads = Params(dW_ih, dW_hh, db, db.copy())
    return lstm.Grads(grads, times(m.x, product(da, W_ih)), dh, dc)


class Dropped:
    """An LSTM with one kind of dropout, in the shape of a cell, as `Reader` wants it.

    Each `forward` in training draws new masks; `eval()` switches to `evaluation`,
    `train()` back. Training mode is the start.

        reader = Reader(Dropped("gal", 0.3, rng), I, H, O, rng=rng, ...)
        reader.cell.eval()
    """

    def __init__(
        self, kind: Kind, p: float, rng: np.random.Generator, **options: Any
    ) -> None:
        """kind, p, per_sequence, p_h as in `draw`; rng draws all masks."""
        check_kind(kind)
        unknown = sorted(set(options) - {"per_sequence", "p_h"})
        if unknown:
            raise TypeError(
                f"options: expected per_sequence or p_h, got {', '.join(unknown)}"
            )
        self.kind, self.p = kind, check_probability("p", p)
        self.rng, self.options = check_rng(rng), options
        self.training = True

    init = staticmethod(lstm.init)
    backward = staticmethod(backward)

    def train(self, mode: bool = True) -> Dropped:
        """Draw masks from now on (mode=True), or not."""
        self.training = mode
        return self

    def eval(self) -> Dropped:
        """No randomness from now on."""
        return self.train(False)

    def forward(
        self,
        params: Params,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        c0: np.ndarray | None = None,
        lengths: Any = None,
    ) -> Run:
        """`forward` with new masks in training, with those of `evaluation` else."""
        I, H, dtype = check_params(params, Params, 4)
        T, B, _ = check_array("x", x, ("T", "B", I), dtype).shape
        if self.training:
            masks = draw(
                self.kind,
                self.p,
                T,
                B,
                I,
                H,
                rng=self.rng,
                dtype=dtype,
                **self.options,
            )
        else:
            p_h = self.options.get("p_h")
            masks = evaluation(self.kind, self.p, B, H, dtype=dtype, p_h=p_h)
        return forward(params, x, masks, h0, c0, lengths)


def _unmix(z: np.ndarray | None, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (np.zeros_like(d), d) if z is None else (z * d, (1 - z) * d)
