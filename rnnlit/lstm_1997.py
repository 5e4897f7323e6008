"""LSTM of 1997, without a forget gate.

B batch, T steps, I inputs, H hidden;   gates i g o.

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
    check_backward,
    check_forward,
    check_init,
    check_step,
)
from rnnlit.tools.functions import sigmoid
from rnnlit.tools.sequences import (
    clear_padding,
    gradient_of_states,
    last,
    outer_sum,
    product,
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
    W_ih, W_hh, b_ih, b_hh = params
    a = x @ W_ih.T + b_ih + h @ W_hh.T + b_hh
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
    """Run over whole sequences: `step`, t = 1 to T, with all W_ih x_t in one product.

        i_t, o_t = sigma(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
        g_t      = 4 sigma(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) - 2
        c_t = c_{t-1} + i_t g_t        h_t = o_t (2 sigma(c_t) - 1)

    x (T, B, I); h0, c0 (B, H), zero if not given; lengths (B,) integers, 1 <=
    length <= T, in any order, for a padded batch. All arrays share the dtype of the
    parameters, float32 or float64. The Run keeps 5·T·B·H numbers beside the input.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    lengths, h0, c0 = check_forward(params, Params, 3, x, lengths, h0=h0, c0=c0)
    W_ih, W_hh, b_ih, b_hh = params
    (T, B, _), H = x.shape, W_hh.shape[1]
    x_i, x_g, x_o = np.split(product(x, W_ih.T), 3, axis=2)  # (T, B, H) each
    W_hi, W_hg, W_ho = np.split(W_hh, 3)  # (H, H) each
    b_i, b_g, b_o = np.split(b_ih + b_hh, 3)
    h, c = np.empty((2, T + 1, B, H), x.dtype)  # h[t], c[t]: before step t
    h[0], c[0] = h0, c0
    gates = np.empty((T, B, 3 * H), x.dtype)
    i, g, o = np.split(gates, 3, axis=2)  # views: what i gets stands in gates
    for t in range(T):
        i[t] = sigmoid(x_i[t] + h[t] @ W_hi.T + b_i)
        g[t] = squash_input(x_g[t] + h[t] @ W_hg.T + b_g)
        o[t] = sigmoid(x_o[t] + h[t] @ W_ho.T + b_o)
        c[t + 1] = c[t] + i[t] * g[t]
        h[t + 1] = o[t] * squash_cell(c[t + 1])

    h_n, c_n = last(h, lengths), last(c, lengths)
    clear_padding(lengths, h[1:], c[1:], gates)
    return Run(h[1:], c[1:], gates, h_n, c_n, x, lengths, h[:-1])


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dc: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
    dc_n: np.ndarray | None = None,
) -> Grads:
    """Backpropagation through time, with nothing truncated, t = T to 1; s_t = h(c_t):

        dh_t = dh_loss_t + W_hh^T da_{t+1}
        dc_t = dc_loss_t + dc_{t+1} + dh_t o_t (1 - s_t^2) / 2
        di_t = dc_t g_t i_t (1 - i_t)           dg_t = dc_t i_t (1 - g_t^2 / 4)
        do_t = dh_t s_t o_t (1 - o_t)           da_t = [di_t; dg_t; do_t]

    The cell's gradient travels back unchanged: the "constant error carousel" of the
    paper. dh_loss and dc_loss are what the loss itself gives: dh, dc (T, B, H) are
    its gradients for run.h and run.c; dh_n, dc_n (B, H) those for run.h_n and
    run.c_n; give one at least. What is given at the padding has no effect.
    """
    check_backward(params, Params, 3, run, dh=dh, dc=dc, dh_n=dh_n, dc_n=dc_n)
    W_ih, W_hh, _, _ = params
    dh_loss = gradient_of_states(dh, dh_n, run.lengths, run.h)
    dc_loss = gradient_of_states(dc, dc_n, run.lengths, run.c)
    i, g, o = np.split(run.gates, 3, axis=2)
    da = np.empty_like(run.gates)
    di, dg, do = np.split(da, 3, axis=2)  # views: what di gets stands in da
    dh, dc = np.zeros_like(run.h_n), np.zeros_like(run.c_n)
    for t in reversed(range(len(da))):
        s = squash_cell(run.c[t])
        dh = dh + dh_loss[t]
        dc = dc + dc_loss[t] + dh * o[t] * (1 - s**2) / 2
        di[t] = dc * g[t] * i[t] * (1 - i[t])
        dg[t] = dc * i[t] * (1 - g[t] ** 2 / 4)
        do[t] = dh * s * o[t] * (1 - o[t])
        dh = da[t] @ W_hh

    dW_ih, dW_hh = outer_sum(da, run.x), outer_sum(da, run.h_before)
    db = da.sum((0, 1))
    return Grads(Params(dW_ih, dW_hh, db, db.copy()), product(da, W_ih), dh, dc)
