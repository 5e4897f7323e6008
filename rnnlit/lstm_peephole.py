"""LSTM with peepholes.

B batch, T steps, I inputs, H hidden;   gates i f g o, in this order.

Each gate also sees the cell, through one weight a unit (Gers, Schraudolph &
Schmidhuber 2002): i and f look at the cell state before the step, o at the one
after it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit import lstm
from rnnlit.lstm_variants import cell
from rnnlit.tools.checks import check_backward, check_forward, check_step
from rnnlit.tools.sequences import (
    clear_padding,
    gradient_of_states,
    last,
    outer_sum,
    product,
)


class Params(NamedTuple):
    """Parameters of one layer: those of `rnnlit.lstm`, and the three peepholes."""

    weight_ih: np.ndarray  # (4H, I)
    weight_hh: np.ndarray  # (4H, H)
    bias_ih: np.ndarray  # (4H,)
    bias_hh: np.ndarray  # (4H,)
    weight_ci: np.ndarray  # (H,) from c_{t-1} to i
    weight_cf: np.ndarray  # (H,) from c_{t-1} to f
    weight_co: np.ndarray  # (H,) from c_t to o


class Run(NamedTuple):
    """What `forward` returns: the states and the gates, and what `backward` needs."""

    h: np.ndarray  # (T, B, H) hidden states, zero after a sequence's end
    c: np.ndarray  # (T, B, H) cell states, likewise
    gates: np.ndarray  # (T, B, 4H) activations of i f g o, likewise
    h_n: np.ndarray  # (B, H) last hidden state of each sequence
    c_n: np.ndarray  # (B, H) last cell state of each sequence
    x: np.ndarray  # (T, B, I) the input, as it came
    lengths: np.ndarray | None  # (B,)
    h_before: np.ndarray  # (T, B, H) the hidden state that each step started from
    c_before: np.ndarray  # (T, B, H) the cell state that each step started from


class Grads(NamedTuple):
    """What `backward` returns: the gradient of the loss for all that `forward` took."""

    params: Params
    x: np.ndarray  # (T, B, I)
    h0: np.ndarray  # (B, H)
    c0: np.ndarray  # (B, H)


def init(
    input_size: int,
    hidden_size: int,
    *,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    forget_bias: float = 1.0,
    chrono: float | None = None,
) -> Params:
    """As `rnnlit.lstm.init`; the peepholes are drawn like the other weights."""
    options: dict[str, Any] = dict(
        rng=rng, dtype=dtype, forget_bias=forget_bias, chrono=chrono
    )
    params = lstm.init(input_size, hidden_size, **options)
    k = hidden_size**-0.5
    return Params(
        *params, *(rng.uniform(-k, k, hidden_size).astype(dtype) for _ in range(3))
    )


def step(
    params: Params, x: np.ndarray, h: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Advance one step (Gers, Schraudolph & Schmidhuber 2002).

    With a = W_ih x + b_ih + W_hh h + b_hh,

        i = sigma(a_i + w_ci c)      g  = tanh(a_g)       o  = sigma(a_o + w_co c')
        f = sigma(a_f + w_cf c)      c' = f c + i g       h' = o tanh(c')

    x (B, I), h (B, H), c (B, H)  ->  h' (B, H), c' (B, H)
    """
    check_step(params, Params, 4, x, h=h, c=c)
    W_ih, W_hh, b_ih, b_hh, *peepholes = params
    a = x @ W_ih.T + b_ih + h @ W_hh.T + b_hh
    new = cell(np.split(a, 4, axis=1), c, peepholes)
    return new.h, new.c


def forward(
    params: Params,
    x: np.ndarray,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
    lengths: Any = None,
) -> Run:
    """Run over whole sequences: `step`, t = 1 to T, with all W_ih x_t in one product.

    With a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh,

        i_t = sigma(a_i + w_ci c_{t-1})       g_t = tanh(a_g)
        f_t = sigma(a_f + w_cf c_{t-1})       c_t = f_t c_{t-1} + i_t g_t
        o_t = sigma(a_o + w_co c_t)           h_t = o_t tanh(c_t)

    x (T, B, I); h0, c0 (B, H), zero if not given; lengths (B,) integers, 1 <=
    length <= T, in any order, for a padded batch. All arrays share the dtype of the
    parameters, float32 or float64. The Run keeps 6·T·B·H numbers beside the input.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    lengths, h0, c0 = check_forward(params, Params, 4, x, lengths, h0=h0, c0=c0)
    W_ih, W_hh, b_ih, b_hh, *peepholes = params
    (T, B, _), H = x.shape, W_hh.shape[1]
    a_x = product(x, W_ih.T) + (b_ih + b_hh)  # (T, B, 4H)
    h, c = np.empty((2, T + 1, B, H), x.dtype)  # h[t], c[t]: before step t
    h[0], c[0] = h0, c0
    gates = np.empty_like(a_x)
    for t in range(T):
        a = a_x[t] + h[t] @ W_hh.T
        new = cell(np.split(a, 4, axis=1), c[t], peepholes)
        h[t + 1], c[t + 1] = new.h, new.c
        gates[t] = np.concatenate(new.gates, axis=1)

    h_n, c_n = last(h, lengths), last(c, lengths)
    clear_padding(lengths, h[1:], c[1:], gates)
    return Run(h[1:], c[1:], gates, h_n, c_n, x, lengths, h[:-1], c[:-1])


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dc: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
    dc_n: np.ndarray | None = None,
) -> Grads:
    """Backpropagation through time; the peepholes carry gradient too, t = T to 1:

        dh_t = dh_loss_t + W_hh^T da_{t+1}
        do_t = dh_t tanh(c_t) o_t (1 - o_t)
        dc_t = dc_loss_t + dh_t o_t (1 - tanh(c_t)^2) + w_co do_t
               + dc_{t+1} f_{t+1} + w_ci di_{t+1} + w_cf df_{t+1}
        di_t = dc_t g_t i_t (1 - i_t)        df_t = dc_t c_{t-1} f_t (1 - f_t)
        dg_t = dc_t i_t (1 - g_t^2)          da_t = [di_t; df_t; dg_t; do_t]
        dw_ci = sum_t di_t c_{t-1},  dw_cf = sum_t df_t c_{t-1},  dw_co = sum_t do_t c_t

    dh_loss and dc_loss are what the loss itself gives: dh, dc (T, B, H) are its
    gradients for run.h and run.c; dh_n, dc_n (B, H) those for run.h_n and run.c_n;
    give one at least. What is given at the padding has no effect.
    """
    check_backward(params, Params, 4, run, dh=dh, dc=dc, dh_n=dh_n, dc_n=dc_n)
    W_ih, W_hh, _, _, w_ci, w_cf, w_co = params
    dh_loss = gradient_of_states(dh, dh_n, run.lengths, run.h)
    dc_loss = gradient_of_states(dc, dc_n, run.lengths, run.c)
    c, c_before = run.c, run.c_before
    i, f, g, o = np.split(run.gates, 4, axis=2)
    da = np.empty_like(run.gates)
    di, df, dg, do = np.split(da, 4, axis=2)  # views: what di gets stands in da
    dh, dc = np.zeros_like(run.h_n), np.zeros_like(run.c_n)
    for t in reversed(range(len(da))):
        tanh_c = np.tanh(c[t])
        dh = dh + dh_loss[t]
        do[t] = dh * tanh_c * o[t] * (1 - o[t])
        dc = dc + dc_loss[t] + dh * o[t] * (1 - tanh_c**2) + w_co * do[t]
        di[t] = dc * g[t] * i[t] * (1 - i[t])
        df[t] = dc * c_before[t] * f[t] * (1 - f[t])
        dg[t] = dc * i[t] * (1 - g[t] ** 2)
        dc = dc * f[t] + w_ci * di[t] + w_cf * df[t]
        dh = da[t] @ W_hh

    dW_ih, dW_hh = outer_sum(da, run.x), outer_sum(da, run.h_before)
    db = da.sum((0, 1))
    dw_ci, dw_cf = (di * c_before).sum((0, 1)), (df * c_before).sum((0, 1))
    dw_co = (do * c).sum((0, 1))
    grads = Params(dW_ih, dW_hh, db, db.copy(), dw_ci, dw_cf, dw_co)
    return Grads(grads, product(da, W_ih), dh, dc)
