"""Gated recurrent unit.

B batch, T steps, I inputs, H hidden;   blocks r z n, in this order.

r reset gate, z update gate, n candidate ("new"). z = 1 keeps the old state.

Time comes first: inputs are (T, B, I), states (T, B, H). Parameters have torch's
names, order and shapes. There are two forms of the candidate: `reset_after=True` is
that of torch, cuDNN and Keras, `reset_after=False` that of Cho et al. (2014).
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
    """Advance one step: as torch with reset_after, as Cho et al. (2014) without.

        r, z = sigma(W_ih x + b_ih + W_hh h + b_hh)        h' = (1 - z) n + z h
        n    = tanh(W_in x + b_in + r (W_hn h + b_hn))     with reset_after
        n    = tanh(W_in x + b_in + W_hn (r h) + b_hn)     without

    x (B, I), h (B, H)  ->  (B, H)
    """
    check_step(params, Params, 3, x, h=h)
    W_ih, W_hh, b_ih, b_hh = params
    W_hr, W_hz, W_hn = np.split(W_hh, 3)
    b_hr, b_hz, b_hn = np.split(b_hh, 3)
    x_r, x_z, x_n = np.split(x @ W_ih.T + b_ih, 3, axis=1)
    r = sigmoid(x_r + h @ W_hr.T + b_hr)
    z = sigmoid(x_z + h @ W_hz.T + b_hz)
    if reset_after:
        q = h @ W_hn.T + b_hn
        n = np.tanh(x_n + r * q)
    else:
        p = r * h
        n = np.tanh(x_n + p @ W_hn.T + b_hn)
    return (1 - z) * n + z * h


def forward(
    params: Params,
    x: np.ndarray,
    h0: np.ndarray | None = None,
    lengths: Any = None,
    *,
    reset_after: bool = True,
) -> Run:
    """Run over whole sequences: `step`, t = 1 to T, all W_ih x_t in one product.

        r_t, z_t = sigma(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
        n_t = tanh(W_in x_t + b_in + r_t q_t)           with reset_after,
                                                        q_t = W_hn h_{t-1} + b_hn
        n_t = tanh(W_in x_t + b_in + W_hn p_t + b_hn)   without, p_t = r_t h_{t-1}
        h_t = (1 - z_t) n_t + z_t h_{t-1}

    x (T, B, I); h0 (B, H), zero if not given; lengths (B,) integers, 1 <= length <=
    T, in any order, for a padded batch. All arrays share the dtype of the
    parameters, float32 or float64. The Run keeps 5·T·B·H numbers beside the input.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    lengths, h0 = check_forward(params, Params, 3, x, lengths, h0=h0)
    W_ih, W_hh, b_ih, b_hh = params
    (T, B, _), H = x.shape, W_hh.shape[1]
    x_r, x_z, x_n = np.split(product(x, W_ih.T), 3, axis=2)  # (T, B, H) each
    W_hr, W_hz, W_hn = np.split(W_hh, 3)  # (H, H) each
    b_r, b_z, _ = np.split(b_ih + b_hh, 3)
    b_in, b_hn = b_ih[2 * H :], b_hh[2 * H :]  # apart: b_hn stands inside the reset
    h = np.empty((T + 1, B, H), x.dtype)  # h[t] is the state before step t
    h[0] = h0
    p, q = np.empty((T, B, H), x.dtype), np.empty((T, B, H), x.dtype)
    gates = np.empty((T, B, 3 * H), x.dtype)
    r, z, n = np.split(gates, 3, axis=2)  # views: what r gets stands in gates
    for t in range(T):
        r[t] = sigmoid(x_r[t] + h[t] @ W_hr.T + b_r)
        z[t] = sigmoid(x_z[t] + h[t] @ W_hz.T + b_z)
        if reset_after:
            q[t] = h[t] @ W_hn.T + b_hn
            n[t] = np.tanh(x_n[t] + b_in + r[t] * q[t])
        else:
            p[t] = r[t] * h[t]
            n[t] = np.tanh(x_n[t] + b_in + p[t] @ W_hn.T + b_hn)
        h[t + 1] = (1 - z[t]) * n[t] + z[t] * h[t]

    h_n = last(h, lengths)
    clear_padding(lengths, h[1:], gates)
    kept = (q, None) if reset_after else (None, p)
    return Run(h[1:], gates, h_n, x, lengths, h[:-1], *kept)


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
) -> Grads:
    """Backpropagation through time, with nothing truncated, t = T to 1:

        dn_t = dh_t (1 - z_t) (1 - n_t^2)
        dz_t = dh_t (h_{t-1} - n_t) z_t (1 - z_t)
        dh_{t-1} = dh_loss_{t-1} + dh_t z_t + W_hr^T dr_t + W_hz^T dz_t
                   + through n_t:

        reset_after   dq_t = dn_t r_t        dr_t = dn_t q_t r_t (1 - r_t)
                      through n_t:  W_hn^T dq_t
        without       dp_t = W_hn^T dn_t     dr_t = dp_t h_{t-1} r_t (1 - r_t)
                      through n_t:  dp_t r_t

    The weights are summed over time: W_ih from [dr; dz; dn], W_hh from [dr; dz; dq].
    Without reset_after dq = dn, and what W_hn has read is p. dh_loss is what the
    loss itself gives: dh (T, B, H) is dL/d(run.h), dh_n (B, H) is dL/d(run.h_n); give
    one of them or both. What is given at the padding has no effect. Beside the Run
    it takes 5·T·B·H numbers at most, and T·B·H more where lengths or last states are
    in play.
    """
    check_backward(params, Params, 3, run, dh=dh, dh_n=dh_n)
    W_ih, W_hh, _, _ = params
    W_hr, W_hz, W_hn = np.split(W_hh, 3)
    dh_loss = gradient_of_states(dh, dh_n, run.lengths, run.h)
    h_before, p, q = run.h_before, run.reset_h, run.recurrent
    r, z, n = np.split(run.gates, 3, axis=2)
    da, dq = np.empty_like(run.gates), np.empty_like(run.h)
    dr, dz, dn = np.split(da, 3, axis=2)  # views: what dr gets stands in da
    dh = np.zeros_like(run.h_n)
    for t in reversed(range(len(da))):
        dh = dh + dh_loss[t]
        dn[t] = dh * (1 - z[t]) * (1 - n[t] ** 2)
        dz[t] = dh * (h_before[t] - n[t]) * z[t] * (1 - z[t])
        if q is not None:  # with reset_after
            dq[t] = dn[t] * r[t]
            dr[t] = dn[t] * q[t] * r[t] * (1 - r[t])
            through_n = dq[t] @ W_hn
        else:
            dq[t] = dn[t]
            dp = dq[t] @ W_hn
            dr[t] = dp * h_before[t] * r[t] * (1 - r[t])
            through_n = dp * r[t]
        dh = dh * z[t] + dr[t] @ W_hr + dz[t] @ W_hz + through_n

    dW_hr, dW_hz = outer_sum(dr, h_before), outer_sum(dz, h_before)
    dW_hn = outer_sum(dq, h_before if p is None else p)
    dW_ih, dW_hh = outer_sum(da, run.x), np.concatenate([dW_hr, dW_hz, dW_hn])
    db_ih = da.sum((0, 1))
    db_hh = np.concatenate([db_ih[: 2 * len(W_hn)], dq.sum((0, 1))])
    return Grads(Params(dW_ih, dW_hh, db_ih, db_hh), product(da, W_ih), dh)
