"""LSTM with peepholes.   B batch, T steps, I inputs, H hidden;   gates i f g o, in this order.

Each gate also sees the cell, through one weight a unit (Gers, Schraudolph &
Schmidhuber 2002): i and f look at the cell state before the step, o at the one
after it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit import lstm
from rnnlit.tools.checks import (
    check_forward,
    check_gradients,
    check_params,
    check_step,
)
from rnnlit.tools.functions import sigmoid
from rnnlit.tools.sequences import (
    beyond,
    gradient_of_states,
    last,
    product,
    weight_gradients,
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
    """As `rnnlit.lstm.init`; the peepholes are drawn from the range of the other weights."""
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
    bias = params.bias_ih + params.bias_hh
    a = x @ params.weight_ih.T + h @ params.weight_hh.T + bias
    i, f, g, o = np.split(a, 4, axis=1)
    i, f = sigmoid(i + params.weight_ci * c), sigmoid(f + params.weight_cf * c)
    c = f * c + i * np.tanh(g)
    h = sigmoid(o + params.weight_co * c) * np.tanh(c)
    return h, c


def forward(
    params: Params,
    x: np.ndarray,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
    lengths: Any = None,
) -> Run:
    """Run over whole sequences: `step`, T times.

    x (T, B, I); h0, c0 (B, H), zero if not given; lengths (B,) integers, 1 <=
    length <= T, in any order, for a padded batch. All arrays share the dtype of the
    parameters, float32 or float64. The Run keeps 6·T·B·H numbers beside the input.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    T, B, H, dtype, lengths = check_forward(
        params, Params, 4, x, lengths, h0=h0, c0=c0
    )

    gates = product(x, params.weight_ih.T)
    h, c = np.empty((T + 1, B, H), dtype), np.empty((T + 1, B, H), dtype)
    h[0] = 0.0 if h0 is None else h0
    c[0] = 0.0 if c0 is None else c0
    bias = params.bias_ih + params.bias_hh
    for t in range(T):
        a = gates[t]
        a += h[t] @ params.weight_hh.T + bias
        i, f, g, o = (a[:, k * H : (k + 1) * H] for k in range(4))
        i[:] = sigmoid(i + params.weight_ci * c[t])
        f[:] = sigmoid(f + params.weight_cf * c[t])
        g[:] = np.tanh(g)
        c[t + 1] = f * c[t] + i * g
        o[:] = sigmoid(o + params.weight_co * c[t + 1])
        h[t + 1] = o * np.tanh(c[t + 1])

    h_n, c_n = last(h, lengths), last(c, lengths)
    if lengths is not None:
        padding = beyond(lengths, T)
        for states in (h[1:], c[1:], gates):
            states[padding] = 0.0
    return Run(h[1:], c[1:], gates, h_n, c_n, x, lengths, h[:-1], c[:-1])


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dc: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
    dc_n: np.ndarray | None = None,
) -> Grads:
    """Backpropagation through time; the peepholes carry gradient too:

        da_o = dh tanh(c) o (1-o)        dc += dh o (1 - tanh(c)^2) + w_co da_o
        da_i = dc g i (1-i)      da_f = dc c_{t-1} f (1-f)      da_g = dc i (1-g^2)
        dc_{t-1} = dc f + w_ci da_i + w_cf da_f        dh_{t-1} = W_hh^T da

    dh, dc (T, B, H) are the gradients of the loss for run.h and run.c; dh_n, dc_n
    (B, H) those for run.h_n and run.c_n; give one at least. What is given at the
    padding has no effect.
    """
    _, H, dtype = check_params(params, Params, 4)
    T, B, _ = run.h.shape
    check_gradients((T, B, H), dtype, dh=dh, dc=dc, dh_n=dh_n, dc_n=dc_n)
    outer_h = gradient_of_states(dh, dh_n, run.lengths, run.h.shape)
    outer_c = gradient_of_states(dc, dc_n, run.lengths, run.c.shape)

    da = np.empty((T, B, 4 * H), dtype)
    dh, dc = np.zeros((B, H), dtype), np.zeros((B, H), dtype)
    for t in reversed(range(T)):
        i, f, g, o = (run.gates[t, :, k * H : (k + 1) * H] for k in range(4))
        if outer_h is not None:
            dh = dh + outer_h[t]
        if outer_c is not None:
            dc = dc + outer_c[t]
        tanh_c, c_before = np.tanh(run.c[t]), run.c_before[t]
        da_o = dh * tanh_c * o * (1 - o)
        dc = dc + dh * o * (1 - tanh_c**2) + params.weight_co * da_o
        da_i, da_f = dc * g * i * (1 - i), dc * c_before * f * (1 - f)
        da_g = dc * i * (1 - g**2)
        da[t] = np.hstack([da_i, da_f, da_g, da_o])
        dc = dc * f + params.weight_ci * da_i + params.weight_cf * da_f
        dh = da[t] @ params.weight_hh

    da_i, da_f, _, da_o = (da[..., k * H : (k + 1) * H] for k in range(4))
    seen = ((da_i, run.c_before), (da_f, run.c_before), (da_o, run.c))
    grads = Params(
        *weight_gradients(da, run), *((d * c).sum((0, 1)) for d, c in seen)
    )
    return Grads(grads, product(da, params.weight_ih), dh, dc)
