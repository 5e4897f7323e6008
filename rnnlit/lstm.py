"""Long short-term memory.

B batch, T steps, I inputs, H hidden;   gates i f g o, in this order.

i input gate, f forget gate, g candidate, o output gate.

Time comes first: inputs are (T, B, I), states (T, B, H). Parameters have torch's
names, order and shapes. Beside this cell stand its ancestors: `lstm_1997` has no
forget gate, `lstm_peephole` lets the gates look at the cell.
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
    """Parameters of one layer, named, ordered and shaped as in torch.nn.LSTM."""

    weight_ih: np.ndarray  # (4H, I)
    weight_hh: np.ndarray  # (4H, H)
    bias_ih: np.ndarray  # (4H,)
    bias_hh: np.ndarray  # (4H,)


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
    tanh_c: np.ndarray  # (T, B, H)


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
    """Draw weights from U(-1/sqrt(H), 1/sqrt(H)); only the forget gate gets a bias.

    forget_bias: the forget gate's bias, 1 as Jozefowicz et al. (2015) advise. The
    two biases of torch are added in the cell, so the whole of it stands in bias_ih
    and bias_hh is zero.
    chrono: the longest lag T_max that the task is thought to have, in steps, more
    than 2; then b_f = log u with u ~ U(1, T_max - 1) for each unit and b_i = -b_f
    (Tallec & Ollivier 2018), and forget_bias is not used.
    """
    I, H = check_init(input_size, hidden_size, rng, dtype)
    k = H**-0.5
    weight_ih, weight_hh = (
        rng.uniform(-k, k, (4 * H, n)).astype(dtype) for n in (I, H)
    )
    bias = np.zeros(4 * H, dtype)
    if chrono is None:
        bias[H : 2 * H] = forget_bias
    elif chrono > 2:
        bias[H : 2 * H] = np.log(rng.uniform(1, chrono - 1, H))
        bias[:H] = -bias[H : 2 * H]
    else:
        raise ValueError(f"chrono: expected a lag of more than 2 steps, got {chrono}")
    return Params(weight_ih, weight_hh, bias, np.zeros(4 * H, dtype))


def step(
    params: Params, x: np.ndarray, h: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Advance one step (Gers, Schmidhuber & Cummins 2000):

        i, f, o = sigma(W_ih x + b_ih + W_hh h + b_hh)        c' = f c + i g
        g       = tanh (W_ih x + b_ih + W_hh h + b_hh)        h' = o tanh(c')

    x (B, I), h (B, H), c (B, H)  ->  h' (B, H), c' (B, H)
    """
    check_step(params, Params, 4, x, h=h, c=c)
    W_ih, W_hh, b_ih, b_hh = params
    a = x @ W_ih.T + b_ih + h @ W_hh.T + b_hh
    i, f, g, o = np.split(a, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, c


def forward(
    params: Params,
    x: np.ndarray,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
    lengths: Any = None,
) -> Run:
    """Run over whole sequences: `step`, t = 1 to T, all W_ih x_t in one product.

        i_t, f_t, o_t = sigma(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
        g_t           = tanh (W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
        c_t = f_t c_{t-1} + i_t g_t        h_t = o_t tanh(c_t)

    x (T, B, I); h0, c0 (B, H), zero if not given; lengths (B,) integers, 1 <=
    length <= T, in any order, for a padded batch. All arrays share the dtype of the
    parameters, float32 or float64. The Run keeps 7·T·B·H numbers beside the input.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    lengths, h0, c0 = check_forward(params, Params, 4, x, lengths, h0=h0, c0=c0)
    W_ih, W_hh, b_ih, b_hh = params
    (T, B, _), H = x.shape, W_hh.shape[1]
    x_i, x_f, x_g, x_o = np.split(product(x, W_ih.T), 4, axis=2)  # (T, B, H) each
    W_hi, W_hf, W_hg, W_ho = np.split(W_hh, 4)  # (H, H) each
    b_i, b_f, b_g, b_o = np.split(b_ih + b_hh, 4)
    h, c = np.empty((2, T + 1, B, H), x.dtype)  # h[t], c[t]: before step t
    h[0], c[0] = h0, c0
    gates, tanh_c = np.empty((T, B, 4 * H), x.dtype), np.empty((T, B, H), x.dtype)
    i, f, g, o = np.split(gates, 4, axis=2)  # views: what i gets stands in gates
    for t in range(T):
        i[t] = sigmoid(x_i[t] + h[t] @ W_hi.T + b_i)
        f[t] = sigmoid(x_f[t] + h[t] @ W_hf.T + b_f)
        g[t] = np.tanh(x_g[t] + h[t] @ W_hg.T + b_g)
        o[t] = sigmoid(x_o[t] + h[t] @ W_ho.T + b_o)
        c[t + 1] = f[t] * c[t] + i[t] * g[t]
        tanh_c[t] = np.tanh(c[t + 1])
        h[t + 1] = o[t] * tanh_c[t]

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
    """Backpropagation through time, with nothing truncated, t = T to 1:

        dh_t = dh_loss_t + W_hh^T da_{t+1}
        dc_t = dc_loss_t + dc_{t+1} f_{t+1} + dh_t o_t (1 - tanh(c_t)^2)
        di_t = dc_t g_t i_t (1 - i_t)        df_t = dc_t c_{t-1} f_t (1 - f_t)
        dg_t = dc_t i_t (1 - g_t^2)          do_t = dh_t tanh(c_t) o_t (1 - o_t)
        da_t = [di_t; df_t; dg_t; do_t]      dx_t = W_ih^T da_t
        dW_ih = sum_t da_t x_t^T,   dW_hh = sum_t da_t h_{t-1}^T,   db = sum_t da_t

    dh_loss and dc_loss are what the loss itself gives: dh, dc (T, B, H) are its
    gradients for run.h and run.c; dh_n, dc_n (B, H) those for run.h_n and run.c_n;
    give one at least. What is given at the padding has no effect. Beside the Run it
    takes 4·T·B·H numbers, and T·B·H more for each of h and c where lengths or last
    states are in play.
    """
    check_backward(params, Params, 4, run, dh=dh, dc=dc, dh_n=dh_n, dc_n=dc_n)
    W_ih, W_hh, _, _ = params
    dh_loss = gradient_of_states(dh, dh_n, run.lengths, run.h)
    dc_loss = gradient_of_states(dc, dc_n, run.lengths, run.c)
    c_before, tanh_c = run.c_before, run.tanh_c
    i, f, g, o = np.split(run.gates, 4, axis=2)
    da = np.empty_like(run.gates)
    di, df, dg, do = np.split(da, 4, axis=2)  # views: what di gets stands in da
    dh, dc = np.zeros_like(run.h_n), np.zeros_like(run.c_n)
    for t in reversed(range(len(da))):
        dh = dh + dh_loss[t]
        dc = dc + dc_loss[t] + dh * o[t] * (1 - tanh_c[t] ** 2)
        di[t] = dc * g[t] * i[t] * (1 - i[t])
        df[t] = dc * c_before[t] * f[t] * (1 - f[t])
        dg[t] = dc * i[t] * (1 - g[t] ** 2)
        do[t] = dh * tanh_c[t] * o[t] * (1 - o[t])
        dc = dc * f[t]
        dh = da[t] @ W_hh

    dW_ih, dW_hh = outer_sum(da, run.x), outer_sum(da, run.h_before)
    db = da.sum((0, 1))
    return Grads(Params(dW_ih, dW_hh, db, db.copy()), product(da, W_ih), dh, dc)
