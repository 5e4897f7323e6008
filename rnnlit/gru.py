"""Gated recurrent unit.   B batch, T steps, I inputs, H hidden;   blocks r z n, in this order.

r reset gate, z update gate, n candidate ("new"). z = 1 keeps the old state.

Time comes first: inputs are (T, B, I), states (T, B, H). Parameters have torch's
names, order and shapes. There are two forms of the candidate: `reset_after=True` is
that of torch, cuDNN and Keras, `reset_after=False` that of Cho et al. (2014).
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
from rnnlit.tools.sequences import beyond, gradient_of_states, last, product


class Params(NamedTuple):
    """Parameters of one layer, named, ordered and shaped as in torch.nn.GRU."""

    weight_ih: np.ndarray  # (3H, I)
    weight_hh: np.ndarray  # (3H, H)
    bias_ih: np.ndarray  # (3H,)
    bias_hh: np.ndarray  # (3H,)


class Run(NamedTuple):
    """What `forward` returns: the states and the gates, and what `backward` needs.

    One of the last two is None, and tells `backward` which form was run.
    """

    h: np.ndarray  # (T, B, H) states, zero after a sequence's end
    gates: np.ndarray  # (T, B, 3H) activations of r z n, likewise
    h_n: np.ndarray  # (B, H) last state of each sequence
    x: np.ndarray  # (T, B, I) the input, as it came
    lengths: np.ndarray | None  # (B,)
    h_before: np.ndarray  # (T, B, H) the state that each step started from
    recurrent: np.ndarray | None  # (T, B, H) W_hn h + b_hn, with reset_after
    reset_h: np.ndarray | None  # (T, B, H) r h, without


class Grads(NamedTuple):
    """What `backward` returns: the gradient of the loss for all that `forward` took."""

    params: Params
    x: np.ndarray  # (T, B, I)
    h0: np.ndarray  # (B, H)


def init(
    input_size: int,
    hidden_size: int,
    *,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    update_bias: float = 0.0,
) -> Params:
    """Draw the weights from U(-1/sqrt(H), 1/sqrt(H)), as torch; biases are zero.

    update_bias: the update gate's bias. Above 0 it favours keeping the old state.
    The whole of it stands in bias_ih.
    """
    I, H = check_init(input_size, hidden_size, rng, dtype)
    k = H**-0.5
    weight_ih, weight_hh = (
        rng.uniform(-k, k, (3 * H, n)).astype(dtype) for n in (I, H)
    )
    bias = np.zeros(3 * H, dtype)
    bias[H : 2 * H] = update_bias
    return Params(weight_ih, weight_hh, bias, np.zeros(3 * H, dtype))


def step(
    params: Params, x: np.ndarray, h: np.ndarray, *, reset_after: bool = True
) -> np.ndarray:
    """Advance one step (Cho et al. 2014):

        r, z = sigma(W_ih x + b_ih + W_hh h + b_hh)        h' = (1 - z) n + z h
        n    = tanh(W_in x + b_in + r (W_hn h + b_hn))     with reset_after
        n    = tanh(W_in x + b_in + W_hn (r h) + b_hn)     without

    x (B, I), h (B, H)  ->  (B, H)
    """
    check_step(params, Params, 3, x, h=h)
    weight_hr, weight_hz, weight_hn = np.split(params.weight_hh, 3)
    bias_hr, bias_hz, bias_hn = np.split(params.bias_hh, 3)
    a_r, a_z, a_n = np.split(x @ params.weight_ih.T + params.bias_ih, 3, axis=1)
    r = sigmoid(a_r + h @ weight_hr.T + bias_hr)
    z = sigmoid(a_z + h @ weight_hz.T + bias_hz)
    if reset_after:
        n = np.tanh(a_n + r * (h @ weight_hn.T + bias_hn))
    else:
        n = np.tanh(a_n + (r * h) @ weight_hn.T + bias_hn)
    return (1 - z) * n + z * h


def forward(
    params: Params,
    x: np.ndarray,
    h0: np.ndarray | None = None,
    lengths: Any = None,
    *,
    reset_after: bool = True,
) -> Run:
    """Run over whole sequences: `step` T times, all input products taken in one.

    x (T, B, I); h0 (B, H), zero if not given; lengths (B,) integers, 1 <= length <=
    T, in any order, for a padded batch. All arrays share the dtype of the
    parameters, float32 or float64. The Run keeps 5·T·B·H numbers beside the input.

    Without reset_after, the candidate has to wait for r, which costs a second
    product in every step.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    T, B, H, dtype, lengths = check_forward(params, Params, 3, x, lengths, h0=h0)

    # sigma(a) = tanh(a/2)/2 + 1/2, so the rows of r and z are halved.
    half = np.repeat(np.array([0.5, 0.5, 1.0], dtype), H)
    weight_ih, weight_hh = (half[:, None] * w for w in params[:2])
    bias_ih, bias_hh = half * params.bias_ih, half * params.bias_hh
    gates_bias = bias_ih[: 2 * H] + bias_hh[: 2 * H]
    bias_in, bias_hn = bias_ih[2 * H :], bias_hh[2 * H :]

    gates = product(x, weight_ih.T)
    h, inner = np.empty((T + 1, B, H), dtype), np.empty((T, B, H), dtype)
    h[0] = 0.0 if h0 is None else h0
    rows = 3 * H if reset_after else 2 * H  # of weight_hh that h itself meets
    recurrent, part = np.empty((B, rows), dtype), np.empty((B, H), dtype)
    for t in range(T):
        rz, n = gates[t, :, : 2 * H], gates[t, :, 2 * H :]
        np.matmul(h[t], weight_hh[:rows].T, out=recurrent)
        rz += recurrent[:, : 2 * H]
        rz += gates_bias
        np.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        r, z = rz[:, :H], rz[:, H:]
        n += bias_in
        if reset_after:
            np.add(recurrent[:, 2 * H :], bias_hn, out=inner[t])
            n += np.multiply(r, inner[t], out=part)
        else:
            np.multiply(r, h[t], out=inner[t])
            n += np.matmul(inner[t], weight_hh[2 * H :].T, out=part)
            n += bias_hn
        np.tanh(n, out=n)
        np.subtract(h[t], n, out=part)
        part *= z
        np.add(n, part, out=h[t + 1])  # n + z (h - n), the same with one product

    h_n = last(h, lengths)
    if lengths is not None:
        padding = beyond(lengths, T)
        for states in (h[1:], gates):
            states[padding] = 0.0
    kept = (inner, None) if reset_after else (None, inner)
    return Run(h[1:], gates, h_n, x, lengths, h[:-1], *kept)


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
) -> Grads:
    """Backpropagation through time, with nothing truncated. At each step:

        dn = dh (1 - z) (1 - n^2)      dz = dh (h_{t-1} - n) z (1 - z)
        dh_{t-1} = dh z + W_hr^T dr + W_hz^T dz + what comes through the candidate

        with reset_after    dq = dn r            dr = dq q (1 - r),  q = W_hn h + b_hn
                            the candidate sends back  W_hn^T dq
        without             dp = W_hn^T dn       dr = dp h_{t-1} r (1 - r)
                            the candidate sends back  dp r

    dh (T, B, H) is dL/d(run.h); dh_n (B, H) is dL/d(run.h_n); give one of them or
    both. What is given at the padding has no effect. Beside the Run it takes
    5·T·B·H numbers at most, and T·B·H more where lengths or last states are in play.
    """
    _, H, dtype = check_params(params, Params, 3)
    T, B, _ = run.h.shape
    check_gradients((T, B, H), dtype, dh=dh, dh_n=dh_n)
    outer = gradient_of_states(dh, dh_n, run.lengths, run.h.shape)
    assert outer is not None

    # Blocks q r z n: the first three are the gradient at W_hh h, the last three at
    # W_ih x. So W_hh is wanted in the order n r z.
    da = np.empty((T, B, 4 * H), dtype)
    weight_nrz = np.roll(params.weight_hh, H, axis=0)
    weight_hn, weight_rz = weight_nrz[:H], weight_nrz[H:]
    dh, part, rest = (np.zeros((B, H), dtype) for _ in range(3))
    for t in reversed(range(T)):
        r, z, n = (run.gates[t, :, k * H : (k + 1) * H] for k in range(3))
        dq, dr, dz, dn = (da[t, :, k * H : (k + 1) * H] for k in range(4))
        dh += outer[t]
        np.subtract(1.0, z, out=rest)
        np.subtract(run.h_before[t], n, out=dz)
        dz *= dh
        dz *= z
        dz *= rest
        np.multiply(dh, rest, out=dn)
        np.multiply(n, n, out=part)
        dn *= np.subtract(1.0, part, out=part)
        dh *= z
        np.subtract(1.0, r, out=rest)
        if run.recurrent is not None:
            np.multiply(dn, r, out=dq)
            np.multiply(dq, run.recurrent[t], out=dr)
            dr *= rest
            dh += np.matmul(da[t, :, : 3 * H], weight_nrz, out=part)
        else:
            np.matmul(dn, weight_hn, out=part)
            part *= r
            dh += part
            np.multiply(part, run.h_before[t], out=dr)
            dr *= rest
            dh += np.matmul(da[t, :, H : 3 * H], weight_rz, out=part)

    flat = da.reshape(T * B, 4 * H)
    flat_h, flat_x = run.h_before.reshape(T * B, H), run.x.reshape(T * B, -1)
    at_input, bias_ih = flat[:, H:], flat[:, H:].sum(0)
    if run.reset_h is None:
        weight_hh = np.roll(flat[:, : 3 * H].T @ flat_h, -H, axis=0)
        bias_hh = np.concatenate([bias_ih[: 2 * H], flat[:, :H].sum(0)])
    else:
        through_n = flat[:, 3 * H :].T @ run.reset_h.reshape(T * B, H)
        weight_hh = np.concatenate([flat[:, H : 3 * H].T @ flat_h, through_n])
        bias_hh = bias_ih.copy()
    grads = Params(at_input.T @ flat_x, weight_hh, bias_ih, bias_hh)
    return Grads(grads, (at_input @ params.weight_ih).reshape(run.x.shape), dh)
