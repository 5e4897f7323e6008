"""Long short-term memory.   B batch, T steps, I inputs, H hidden;   gates i f g o, in this order.

i input gate, f forget gate, g candidate, o output gate.

Time comes first: inputs are (T, B, I), states (T, B, H). Parameters have torch's
names, order and shapes. Beside this cell stand its ancestors: `lstm_1997` has no
forget gate, `lstm_peephole` lets the gates look at the cell.
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
    bias = params.bias_ih + params.bias_hh
    a = x @ params.weight_ih.T + h @ params.weight_hh.T + bias
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
    """Run over whole sequences: `step` T times, all input products taken in one.

    x (T, B, I); h0, c0 (B, H), zero if not given; lengths (B,) integers, 1 <=
    length <= T, in any order, for a padded batch. All arrays share the dtype of the
    parameters, float32 or float64. The Run keeps 7·T·B·H numbers beside the input.

    All four gates come from one tanh, since sigma(a) = tanh(a/2)/2 + 1/2: the rows
    of i, f, o are halved before it.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    T, B, H, dtype, lengths = check_forward(
        params, Params, 4, x, lengths, h0=h0, c0=c0
    )

    half = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], dtype), H)
    shift = np.repeat(np.array([0.5, 0.5, 0.0, 0.5], dtype), H)
    weight_ih, weight_hh = (
        half[:, None] * params.weight_ih,
        half[:, None] * params.weight_hh,
    )
    bias = half * (params.bias_ih + params.bias_hh)

    gates = product(x, weight_ih.T)
    blocks = gates.reshape(T, B, 4, H).swapaxes(1, 2)
    h, c = np.empty((T + 1, B, H), dtype), np.empty((T + 1, B, H), dtype)
    tanh_c = np.empty((T, B, H), dtype)
    h[0] = 0.0 if h0 is None else h0
    c[0] = 0.0 if c0 is None else c0
    recurrent, written = np.empty((B, 4 * H), dtype), np.empty((B, H), dtype)
    for t in range(T):
        a = gates[t]
        a += np.matmul(h[t], weight_hh.T, out=recurrent)
        a += bias
        np.tanh(a, out=a)
        a *= half
        a += shift
        i, f, g, o = blocks[t]
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += np.multiply(i, g, out=written)
        np.tanh(c[t + 1], out=tanh_c[t])
        np.multiply(o, tanh_c[t], out=h[t + 1])

    h_n, c_n = last(h, lengths), last(c, lengths)
    if lengths is not None:
        padding = beyond(lengths, T)
        for states in (h[1:], c[1:], gates):
            states[padding] = 0.0
    return Run(h[1:], c[1:], gates, h_n, c_n, x, lengths, h[:-1], c[:-1], tanh_c)


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dc: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
    dc_n: np.ndarray | None = None,
) -> Grads:
    """Backpropagation through time, with nothing truncated. At each step:

        dc += dh o (1 - tanh(c)^2)
        da  = [dc g,  dc c_{t-1},  dc i,  dh tanh(c)] times the slope of i, f, g, o
        dc_{t-1} = dc f        dh_{t-1} = W_hh^T da

    dh, dc (T, B, H) are the gradients of the loss for run.h and run.c; dh_n, dc_n
    (B, H) those for run.h_n and run.c_n; give one at least. What is given at the
    padding has no effect. Beside the Run it takes 4·T·B·H numbers, and T·B·H more
    for each of h and c where lengths or last states are in play.
    """
    _, H, dtype = check_params(params, Params, 4)
    T, B, _ = run.h.shape
    check_gradients((T, B, H), dtype, dh=dh, dc=dc, dh_n=dh_n, dc_n=dc_n)
    outer_h = gradient_of_states(dh, dh_n, run.lengths, run.h.shape)
    outer_c = gradient_of_states(dc, dc_n, run.lengths, run.c.shape)

    is_tanh = np.repeat(np.array([0.0, 0.0, 1.0, 0.0], dtype), H)
    da = np.empty((T, B, 4 * H), dtype)
    blocks, dblocks = (
        array.reshape(T, B, 4, H).swapaxes(1, 2) for array in (run.gates, da)
    )
    dh, dc = np.zeros((B, H), dtype), np.zeros((B, H), dtype)
    slope, through_h = np.empty((B, 4 * H), dtype), np.empty((B, H), dtype)
    for t in reversed(range(T)):
        i, f, g, o = blocks[t]
        di, df, dg, do = dblocks[t]
        if outer_h is not None:
            dh += outer_h[t]
        if outer_c is not None:
            dc += outer_c[t]
        np.multiply(run.h[t], run.tanh_c[t], out=through_h)
        np.subtract(
            o, through_h, out=through_h
        )  # o (1 - tanh(c)^2), since h = o tanh(c)
        dc += np.multiply(dh, through_h, out=through_h)
        np.multiply(dc, g, out=di)
        np.multiply(dc, run.c_before[t], out=df)
        np.multiply(dc, i, out=dg)
        np.multiply(dh, run.tanh_c[t], out=do)
        # A sigmoid's slope is (1 - y) y, a tanh's is (1 - y)(y + 1).
        da[t] *= np.subtract(1.0, run.gates[t], out=slope)
        da[t] *= np.add(run.gates[t], is_tanh, out=slope)
        dc *= f
        np.matmul(da[t], params.weight_hh, out=dh)

    grads = Params(*weight_gradients(da, run))
    return Grads(grads, product(da, params.weight_ih), dh, dc)
