"""What stands around a cell: an affine map, the mean over time, and two losses, each with its gradient.

T steps, B batch, I inputs, O outputs, H hidden, K classes. NumPy alone; float32 and float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_array, check_lengths, check_size


class Params(NamedTuple):
    """Weights of an affine map, named and shaped as in torch.nn.Linear."""

    weight: np.ndarray  # (O, I)
    bias: np.ndarray  # (O,)


class Grads(NamedTuple):
    """What `affine_backward` returns: the gradient of the loss for everything that `affine` took."""

    params: Params
    x: np.ndarray  # (..., I)


def init(input_size: int, output_size: int, *, rng: np.random.Generator, dtype: Any = np.float32) -> Params:
    """Draw weight and bias from U(-1/sqrt(I), 1/sqrt(I)), as torch.nn.Linear does."""
    I, O = check_size("input_size", input_size), check_size("output_size", output_size)
    k = I**-0.5
    return Params(rng.uniform(-k, k, (O, I)).astype(dtype), rng.uniform(-k, k, O).astype(dtype))


def affine(params: Params, x: np.ndarray) -> np.ndarray:
    """y = x W^T + b.   x (..., I)  ->  (..., O)"""
    _check_rows("x", x, (*np.shape(x)[:-1], params.weight.shape[1]), params.weight.dtype)
    # One product over all leading axes; NumPy would otherwise make one for each of the T steps.
    y = x.reshape(-1, x.shape[-1]) @ params.weight.T
    y += params.bias
    return y.reshape(*x.shape[:-1], len(params.bias))


def affine_backward(params: Params, x: np.ndarray, dy: np.ndarray) -> Grads:
    """dW = dy^T x,   db = sum of dy,   dx = dy W.   dy (..., O) is the gradient for what `affine` gave."""
    O, I = params.weight.shape
    _check_rows("x", x, (*np.shape(x)[:-1], I), params.weight.dtype)
    _check_rows("dy", dy, (*x.shape[:-1], O), params.weight.dtype)
    dy = dy.reshape(-1, O)
    return Grads(Params(dy.T @ x.reshape(-1, I), dy.sum(axis=0)), (dy @ params.weight).reshape(x.shape))


def mean_pool(h: np.ndarray, lengths: Any = None) -> np.ndarray:
    """Mean of h over the steps of each sequence.   h (T, B, H), lengths (B,) or None for all T  ->  (B, H)

    Whatever h holds after a sequence's end has no effect.
    """
    T, B, _ = check_array("h", h, ("T", "B", "H")).shape
    if lengths is None:
        return h.mean(axis=0)
    lengths = check_lengths(lengths, T, B)
    return h.sum(axis=0, where=_within(lengths, T)) / lengths[:, None].astype(h.dtype)


def mean_pool_backward(dy: np.ndarray, T: int, lengths: Any = None) -> np.ndarray:
    """The gradient for h (T, B, H) from dy (B, H): dy / length within a sequence, else zero."""
    B, H = check_array("dy", dy, ("B", "H")).shape
    lengths = check_lengths(np.full(B, T) if lengths is None else lengths, check_size("T", T), B)
    return np.where(_within(lengths, T), dy / lengths[:, None].astype(dy.dtype), np.zeros(H, dy.dtype))


def softmax_cross_entropy(logits: np.ndarray, labels: Any) -> tuple[float, np.ndarray]:
    """Mean of -log softmax(logits)[label], in nats, and its gradient  (softmax(logits) - onehot(label)) / N.

    logits (..., K), labels (...) integers from 0 to K-1, N of them  ->  loss, dlogits (..., K)
    The largest logit of each row is subtracted first, so that no exponential overflows.
    """
    labels = np.asarray(labels)
    _check_rows("logits", logits, (*labels.shape, np.shape(logits)[-1] if np.ndim(logits) else "K"))
    K, N = logits.shape[-1], labels.size
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels: expected integers, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= K:
        raise ValueError(f"labels: expected 0 <= label < K = {K}, got {labels.min()} to {labels.max()}")
    rows, column = np.arange(N), labels.reshape(N)
    z = logits.reshape(N, K) - logits.reshape(N, K).max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - z[rows, column])
    e /= total * N
    e[rows, column] -= 1 / N
    return float(loss), e.reshape(logits.shape)


def mean_squared_error(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of (prediction - target)² over all N elements, and its gradient  2 (prediction - target) / N."""
    _check_rows("prediction", prediction, np.shape(prediction))
    _check_rows("target", target, prediction.shape, prediction.dtype)
    error = prediction - target
    return float(np.mean(error * error)), error * (2 / error.size)


def _check_rows(name: str, value: Any, shape: tuple[Any, ...], dtype: Any = None) -> None:
    """`check_array`, for an array that is to have an axis and something in it."""
    check_array(name, value, shape, dtype)
    if value.ndim == 0 or value.size == 0:
        raise ValueError(
            f"{name}: expected an array of one axis or more with something in it, got {value.shape}"
        )


def _within(lengths: np.ndarray, T: int) -> np.ndarray:
    """True at the steps of each sequence: (T, B, 1)."""
    return (np.arange(T)[:, None] < lengths)[:, :, None]
