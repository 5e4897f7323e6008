"""The LSTM's passes without a spare array.

B batch, T steps, I inputs, H hidden;   gates i f g o.

The same functions of the same arguments as `rnnlit.lstm.forward` and `backward`, which
are the ones to read. Here each operation writes into an array that is there already,
all four gates come from one tanh, and the slopes of a step from two operations. The
chapter on speed says what that brings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit.lstm import Grads, Params, Run, init
from rnnlit.tools.checks import check_backward, check_forward
from rnnlit.tools.sequences import (
    clear_padding,
    gradient_of_states,
    last,
    outer_sum,
    product,
)

__all__ = ["Grads", "Params", "Run", "backward", "forward", "init"]


def forward(
    params: Params,
    x: np.ndarray,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
    lengths: Any = None,
) -> Run:
    """As `rnnlit.lstm.forward`, with one tanh for all gates, in place.

        sigma(a) = tanh(a/2)/2 + 1/2

    so the rows of i, f, o in W_ih, W_hh and b are halved beforehand, and their tanh
    is halved and shifted by 1/2. Arguments, result and errors are those of
    `rnnlit.lstm.forward`.
    """
    lengths, h0, c0 = check_forward(params, Params, 4, x, lengths, h0=h0, c0=c0)
    (T, B, _), H = x.shape, params.weight_hh.shape[1]
    half = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], x.dtype), H)
    shift = np.repeat(np.array([0.5, 0.5, 0.0, 0.5], x.dtype), H)
    W_ih, W_hh = half[:, None] * params.weight_ih, half[:, None] * params.weight_hh
    b = half * (params.bias_ih + params.bias_hh)

    gates = product(x, W_ih.T)  # W_ih x_t, of which step t makes the gates
    blocks = gates.reshape(T, B, 4, H).swapaxes(1, 2)
    h, c = np.empty((2, T + 1, B, H), x.dtype)
    h[0], c[0] = h0, c0
    tanh_c = np.empty((T, B, H), x.dtype)
    from_h, written = np.empty((B, 4 * H), x.dtype), np.empty((B, H), x.dtype)
    for t in range(T):
        a = gates[t]
        a += np.matmul(h[t], W_hh.T, out=from_h)
        a += b
        np.tanh(a, out=a)
        a *= half
        a += shift
        i, f, g, o = blocks[t]
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += np.multiply(i, g, out=written)
        np.tanh(c[t + 1], out=tanh_c[t])
        np.multiply(o, tanh_c[t], out=h[t + 1])

    h_n, c_n = last(h, lengths), last(c, lengths)
    clear_padding(lengths, h[1:], c[1:], gates)
    return Run(h[1:], c[1:], gates, h_n, c_n, x, lengths, h[:-1], c[:-1], tanh_c)


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dc: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
    dc_n: np.ndarray | None = None,
) -> Grads:
    """As `rnnlit.lstm.backward`, in place, the slopes of all gates of a step in one.

        sigma: (1 - y) y        tanh: (1 - y)(1 + y)        with y the gate itself

    And o (1 - tanh(c)^2) = o - h tanh(c), since h = o tanh(c). Arguments, result and
    errors are those of `rnnlit.lstm.backward`.
    """
    check_backward(params, Params, 4, run, dh=dh, dc=dc, dh_n=dh_n, dc_n=dc_n)
    T, B, H = run.h.shape
    dh_loss = gradient_of_states(dh, dh_n, run.lengths, run.h)
    dc_loss = None
    if dc is not None or dc_n is not None:
        dc_loss = gradient_of_states(dc, dc_n, run.lengths, run.c)
    is_tanh = np.repeat(np.array([0.0, 0.0, 1.0, 0.0], run.h.dtype), H)
    da = np.empty_like(run.gates)
    blocks, dblocks = (
        array.reshape(T, B, 4, H).swapaxes(1, 2) for array in (run.gates, da)
    )
    dh, dc = np.zeros_like(run.h_n), np.zeros_like(run.c_n)
    slope, through_h = np.empty_like(da[0]), np.empty_like(dh)
    for t in reversed(range(T)):
        i, f, g, o = blocks[t]
        di, df, dg, do = dblocks[t]
        dh += dh_loss[t]
        if dc_loss is not None:
            dc += dc_loss[t]
        np.multiply(run.h[t], run.tanh_c[t], out=through_h)
        np.subtract(o, through_h, out=through_h)
        dc += np.multiply(dh, through_h, out=through_h)
        np.multiply(dc, g, out=di)
        np.multiply(dc, run.c_before[t], out=df)
        np.multiply(dc, i, out=dg)
        np.multiply(dh, run.tanh_c[t], out=do)
        da[t] *= np.subtract(1.0, run.gates[t], out=slope)
        da[t] *= np.add(run.gates[t], is_tanh, out=slope)
        dc *= f
        np.matmul(da[t], params.weight_hh, out=dh)

    dW_ih, dW_hh = outer_sum(da, run.x), outer_sum(da, run.h_before)
    db = da.sum((0, 1))
    grads = Params(dW_ih, dW_hh, db, db.copy())
    return Grads(grads, product(da, params.weight_ih), dh, dc)
