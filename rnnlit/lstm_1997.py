"""LSTM of 1997, without a forget gate.   B batch, T steps, I inputs, H hidden;   gates i g o.

i input gate, g candidate, o output gate, stacked in this order.

The cell of Hochreiter & Schmidhuber (1997), section 4: its state is only ever added
to. Its squashing functions are the paper's: g(a) = 4 sigma(a) - 2 in (-2, 2) and
h(c) = 2 sigma(c) - 1 in (-1, 1). What is not the paper's: one cell a block, gates
that see x and h_{t-1} alone, and an exact gradient where the paper truncates it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import (
    check_forward,
    check_gradients,
    check_init,
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
    """Parameters of one layer: three blocks, where the LSTM of 2000 has four."""

    weight_ih: np.ndarray  # (3H, I)
    weight_hh: np.ndarray  # (3H, H)
    bias_ih: np.ndarray  # (3H,)
    bias_hh: np.ndarray  # (3H,)


class Run(NamedTuple):
    """What `forward` returns: the states and the gates, and what `backward` needs."""

    h: np.ndarray  # (T, B, H) hidden states, zero after a sequence's end
    c: np.ndarray  # (T, B, H) cell states, likewise
    gates: np.ndarray  # (T, B, 3H) activations of i g o, likewise
    h_n: np.ndarray  # (B, H) last hidden state of each sequence
    c_n: np.ndarray  # (B, H) last cell state of each sequence
    x: np.ndarray  # (T, B, I) the input, as it came
    lengths: np.ndarray | None  # (B,)
    h_before: np.ndarray  # (T, B, H) the hidden state that each step started from


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
    input_bias: float = 0.0,
) -> Params:
    """Draw weights from U(-1/sqrt(H), 1/sqrt(H)); only the input gate gets a bias.

    input_bias: a number, or one for each unit (H,). The paper starts it below zero,
    so that the cells are not written to before the net has learned what is worth
    it.
    """
    I, H = check_init(input_size, hidden_size, rng, dtype)
    k = H**-0.5
    weight_ih, weight_hh = (
        rng.uniform(-k, k, (3 * H, n)).astype(dtype) for n in (I, H)
    )
    bias = np.zeros(3 * H, dtype)
    bias[:H] = input_bias
    return Params(weight_ih, weight_hh, bias, np.zeros(3 * H, dtype))


def squash_input(a: np.ndarray) -> np.ndarray:
    """g(a) = 4 sigma(a) - 2, in (-2, 2); its slope is 1 - g^2/4."""
    return 2.0 * np.tanh(0.5 * a)


def squash_cell(c: np.ndarray) -> np.ndarray:
    """h(c) = 2 sigma(c) - 1, in (-1, 1); its slope is (1 - h^2)/2."""
    return np.tanh(0.5 * c)


def step(
    params: Params, x: np.ndarray, h: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Advance one step (Hochreiter & Schmidhuber 1997, section 4):

        i, o = sigma(W_ih x + b_ih + W_hh h + b_hh)            c' = c + i g
        g    = 4 sigma(W_ih x + b_ih + W_hh h + b_hh) - 2      h' = o (2 sigma(c') - 1)

    x (B, I), h (B, H), c (B, H)  ->  h' (B, H), c' (B, H)
    """
    check_step(params, Params, 3, x, h=h, c=c)
    bias = params.bias_ih + params.bias_hh
    a = x @ params.weight_ih.T + h @ params.weight_hh.T + bias
    i, g, o = np.split(a, 3, axis=1)
    c = c + sigmoid(i) * squash_input(g)
    h = sigmoid(o) * squash_cell(c)
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
    parameters, float32 or float64. The Run keeps 5·T·B·H numbers beside the input.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    T, B, H, dtype, lengths = check_forward(
        params, Params, 3, x, lengths, h0=h0, c0=c0
    )

    gates = product(x, params.weight_ih.T)
    h, c = np.empty((T + 1, B, H), dtype), np.empty((T + 1, B, H), dtype)
    h[0] = 0.0 if h0 is None else h0
    c[0] = 0.0 if c0 is None else c0
    bias = params.bias_ih + params.bias_hh
    for t in range(T):
        a = gates[t]
        a += h[t] @ params.weight_hh.T + bias
        i, g, o = (a[:, k * H : (k + 1) * H] for k in range(3))
        i[:], g[:], o[:] = sigmoid(i), squash_input(g), sigmoid(o)
        c[t + 1] = c[t] + i * g
        h[t + 1] = o * squash_cell(c[t + 1])

    h_n, c_n = last(h, lengths), last(c, lengths)
    if lengths is not None:
        padding = beyond(lengths, T)
        for states in (h[1:], c[1:], gates):
            states[padding] = 0.0
    return Run(h[1:], c[1:], gates, h_n, c_n, x, lengths, h[:-1])


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dc: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
    dc_n: np.ndarray | None = None,
) -> Grads:
    """Backpropagation through time, with nothing truncated:

        dc += dh o (1 - h(c)^2)/2
        da  = [dc g i (1-i),  dc i (1 - g^2/4),  dh h(c) o (1-o)]
        dc_{t-1} = dc        dh_{t-1} = W_hh^T da

    The cell's gradient travels back unchanged: the "constant error carousel" of the
    paper. dh, dc (T, B, H) are the gradients of the loss for run.h and run.c; dh_n,
    dc_n (B, H) those for run.h_n and run.c_n; give one at least. What is given at
    the padding has no effect.
    """
    _, H, dtype = check_params(params, Params, 3)
    T, B, _ = run.h.shape
    check_gradients((T, B, H), dtype, dh=dh, dc=dc, dh_n=dh_n, dc_n=dc_n)
    outer_h = gradient_of_states(dh, dh_n, run.lengths, run.h.shape)
    outer_c = gradient_of_states(dc, dc_n, run.lengths, run.c.shape)

    da = np.empty((T, B, 3 * H), dtype)
    dh, dc = np.zeros((B, H), dtype), np.zeros((B, H), dtype)
    for t in reversed(range(T)):
        i, g, o = (run.gates[t, :, k * H : (k + 1) * H] for k in range(3))
        if outer_h is not None:
            dh = dh + outer_h[t]
        if outer_c is not None:
            dc = dc + outer_c[t]
        squashed = squash_cell(run.c[t])
        dc = dc + dh * o * 0.5 * (1 - squashed**2)
        da[t] = np.hstack(
            [
                dc * g * i * (1 - i),
                dc * i * (1 - g**2 / 4),
                dh * squashed * o * (1 - o),
            ]
        )
        dh = da[t] @ params.weight_hh

    grads = Params(*weight_gradients(da, run))
    return Grads(grads, product(da, params.weight_ih), dh, dc)
