"""The plain recurrent network (Elman 1990).   B batch, T steps, I inputs, H hidden.

Time comes first: inputs are (T, B, I), states (T, B, H). Parameters have torch's
names, order and shapes.
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
from rnnlit.tools.sequences import (
    clear_padding,
    gradient_of_states,
    last,
    outer_sum,
    product,
)


class Params(NamedTuple):
    """Parameters of one layer, named and shaped as in torch.nn.RNN."""

    weight_ih: np.ndarray  # (H, I)
    weight_hh: np.ndarray  # (H, H)
    bias_ih: np.ndarray  # (H,)
    bias_hh: np.ndarray  # (H,)


class Run(NamedTuple):
    """What `forward` returns: the states, and what `backward` needs."""

    h: np.ndarray  # (T, B, H) states, zero after a sequence's end
    h_n: np.ndarray  # (B, H) last state of each sequence
    x: np.ndarray  # (T, B, I) the input, as it came
    lengths: np.ndarray | None  # (B,)
    h_before: np.ndarray  # (T, B, H) the state that each step started from


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
    recurrent: str = "uniform",
    gain: float = 1.0,
) -> Params:
    """Draw the weights from U(-1/sqrt(H), 1/sqrt(H)), as torch; biases are zero.

    recurrent: "orthogonal" draws weight_hh evenly among the matrices with
    W^T W = gain^2 1 instead, so that all its singular values are `gain` (Saxe,
    McClelland & Ganguli 2014). gain multiplies weight_hh in either case.

    ValueError: another word for recurrent, or a gain that is not above 0.
    """
    I, H = check_init(input_size, hidden_size, rng, dtype)
    if recurrent not in ("uniform", "orthogonal"):
        raise ValueError(
            f"recurrent: expected 'uniform' or 'orthogonal', got {recurrent!r}"
        )
    if not 0 < gain < np.inf:
        raise ValueError(f"gain: expected a finite number above 0, got {gain!r}")
    k = H**-0.5
    weight_ih = rng.uniform(-k, k, (H, I))
    if recurrent == "uniform":
        weight_hh = rng.uniform(-k, k, (H, H))
    else:
        q, r = np.linalg.qr(rng.standard_normal((H, H)))
        # With a positive diagonal of r, QR is unique, and q is even on the group.
        weight_hh = q * np.sign(np.diagonal(r))
    weight_hh *= gain
    zero = np.zeros(H, dtype)
    return Params(weight_ih.astype(dtype), weight_hh.astype(dtype), zero, zero.copy())


def step(params: Params, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Advance one step:  h' = tanh(W_ih x + b_ih + W_hh h + b_hh)  (Elman 1990)

    x (B, I), h (B, H)  ->  (B, H)
    """
    check_step(params, Params, 1, x, h=h)
    W_ih, W_hh, b_ih, b_hh = params
    a = x @ W_ih.T + b_ih + h @ W_hh.T + b_hh
    return np.tanh(a)


def forward(
    params: Params, x: np.ndarray, h0: np.ndarray | None = None, lengths: Any = None
) -> Run:
    """Run over whole sequences: `step`, t = 1 to T, all W_ih x_t in one product.

        h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

    x (T, B, I); h0 (B, H), zero if not given; lengths (B,) integers, 1 <= length <=
    T, in any order, for a padded batch. All arrays share the dtype of the
    parameters, float32 or float64. The Run keeps T·B·H numbers beside the input.

    TypeError, ValueError: an array of another type, dtype or shape; NaN in x;
    lengths out of range.
    """
    lengths, h0 = check_forward(params, Params, 1, x, lengths, h0=h0)
    W_ih, W_hh, b_ih, b_hh = params
    (T, B, _), H = x.shape, len(W_hh)
    a_x, b = product(x, W_ih.T), b_ih + b_hh  # (T, B, H), (H,)
    h = np.empty((T + 1, B, H), x.dtype)  # h[t] is the state before step t
    h[0] = h0
    for t in range(T):
        h[t + 1] = np.tanh(a_x[t] + h[t] @ W_hh.T + b)

    h_n = last(h, lengths)
    clear_padding(lengths, h[1:])
    return Run(h[1:], h_n, x, lengths, h[:-1])


def backward(
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
) -> Grads:
    """Backpropagation through time (Werbos 1990), not truncated, t = T to 1:

        dh_t  = dh_loss_t + W_hh^T da_{t+1}        da_t  = dh_t (1 - h_t^2)
        dW_ih = sum_t da_t x_t^T                   dW_hh = sum_t da_t h_{t-1}^T
        db    = sum_t da_t                         dx_t  = W_ih^T da_t

    dh_loss is what the loss itself gives: dh (T, B, H) is dL/d(run.h), dh_n (B, H) is
    dL/d(run.h_n); give one of them or both. What is given at the padding has no
    effect.
    """
    check_backward(params, Params, 1, run, dh=dh, dh_n=dh_n)
    W_ih, W_hh, _, _ = params
    dh_loss = gradient_of_states(dh, dh_n, run.lengths, run.h)
    da, dh = np.empty_like(run.h), np.zeros_like(run.h[0])
    for t in reversed(range(len(da))):
        dh = dh + dh_loss[t]
        da[t] = dh * (1 - run.h[t] ** 2)
        dh = da[t] @ W_hh

    dW_ih, dW_hh = outer_sum(da, run.x), outer_sum(da, run.h_before)
    db = da.sum((0, 1))
    return Grads(Params(dW_ih, dW_hh, db, db.copy()), product(da, W_ih), dh)
