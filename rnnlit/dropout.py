"""Dropout of units and of weights, its moments, and what it leaves of a memory.

B batch, T steps, I inputs, O outputs, H hidden;   q = 1 - p.

p is the probability to DROP, as in torch and Keras. Srivastava et al. (2014) write p
for the probability to keep. Kept numbers are divided by 1 - p in training ("inverted"
dropout), so that nothing is scaled at evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from rnnlit.tools.checks import (
    check_array,
    check_probability,
    check_rng,
    check_size,
)


class Moments(NamedTuple):
    """First and second moments of the outputs of an affine map under dropout."""

    mean: np.ndarray  # (O,)
    covariance: np.ndarray  # (O, O), with the variances on its diagonal


class Law(NamedTuple):
    """What is left of a number 1 after k steps in the state; each of k's shape."""

    alive: np.ndarray  # probability that it is not exactly zero
    mean: np.ndarray
    second_moment: np.ndarray
    variance: np.ndarray


class Predictive(NamedTuple):
    """What several stochastic passes say about K classes; see `mc_dropout`."""

    mean: np.ndarray  # (..., K) mean probability over the passes
    variance: np.ndarray  # (..., K) variance of the probability over the passes
    entropy: np.ndarray  # (...) entropy of the mean, in nats
    mutual_information: np.ndarray  # (...) entropy less mean entropy, in nats


Scheme = Literal["none", "per_step", "per_sequence", "per_sequence_binary", "zoneout"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)


def mask(
    shape: tuple[int, ...],
    p: float,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw an inverted dropout mask:  m = 1/(1 - p) with probability 1 - p, else 0.

    Its mean is 1 and its variance is p/(1 - p). p: the probability to DROP.
    TypeError, ValueError: no Generator; not 0 <= p < 1; a dtype that is no float.
    """
    q = 1.0 - check_probability("p", p)
    return binary_mask(shape, p, rng, dtype) / np.dtype(dtype).type(q)


def binary_mask(
    shape: tuple[int, ...],
    p: float,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw a mask without scaling:  m = 1 with probability 1 - p, else 0."""
    p, rng = check_probability("p", p), check_rng(rng)
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype: expected float32 or float64, got {np.dtype(dtype)}")
    return (rng.random(shape) >= p).astype(dtype)


def units(
    x: np.ndarray, p: float, rng: np.random.Generator, training: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Drop units (Srivastava et al. 2014):  y = m * x.  Returns y and m.

    Each number of x has a coin of its own, so in a batch each example has its own
    mask. training=False gives y = x and m = 1: the mean of y in training.
    """
    check_probability("p", p)
    check_array("x", x, np.shape(x))
    m = mask(x.shape, p, rng, x.dtype) if training else np.ones_like(x)
    return m * x, m


def units_backward(dy: np.ndarray, m: np.ndarray) -> np.ndarray:
    """The gradient for x from that for y = m * x:  dx = m * dy."""
    check_array("dy", dy, m.shape, m.dtype)
    return m * dy


def weights(
    W: np.ndarray, p: float, rng: np.random.Generator, training: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Drop weights (DropConnect, Wan et al. 2013):  V = m * W.  Returns V and m.

    W stays as it is. The gradient for W from that for V is m * dV (`units_backward`).
    """
    check_array("W", W, ("O", "I"))
    return units(W, p, rng, training)


def unit_moments(W: np.ndarray, x: np.ndarray, p: float) -> Moments:
    """Mean and covariance of y = W (m * x), one mask number for each unit of x.

    y_a = sum_j W_aj m_j x_j, E m = 1, var m = p/q, and the m_j are independent:

        E y_a = (W x)_a        cov(y_a, y_b) = p/q sum_j W_aj W_bj x_j^2

    All outputs read the same masked unit, so they vary together. W (O, I), x (I,).
    """
    p = _check_affine(W, x, p)
    return Moments(W @ x, p / (1 - p) * (W * x**2) @ W.T)


def weight_moments(W: np.ndarray, x: np.ndarray, p: float) -> Moments:
    """Mean and covariance of y = (M * W) x, one mask number for each weight.

    y_a = sum_j M_aj W_aj x_j, and rows a and b of M share no number:

        E y_a = (W x)_a        cov(y_a, y_b) = [a = b] p/q sum_j W_aj^2 x_j^2

    The variances are those of `unit_moments`, the covariances 0. W (O, I), x (I,).
    """
    p = _check_affine(W, x, p)
    return Moments(W @ x, np.diag(p / (1 - p) * (W**2 @ x**2)))


def survival(scheme: Scheme, p: float, k: Any, f: float = 1.0) -> Law:
    """What is left after k steps of a number 1 in a linear state, c' = f c + new.

    The number is followed alone, so `new` is 0. q = 1 - p. m is 1 with probability q,
    and has one draw for all steps; m_t is drawn anew at each step; d_t too, and is 1
    with probability p: zoneout keeps the old value then.

        scheme               c'                    alive  mean         second moment
        none                 f c                   1      f^k          f^2k
        per_step             m_t f c / q           q^k    f^k          (f^2/q)^k
        per_sequence         m f c / q             q      q (f/q)^k    q (f/q)^2k
        per_sequence_binary  m f c                 q      q f^k        q f^2k
        zoneout              d_t c + (1 - d_t) f c 1      (p + q f)^k  (p + q f^2)^k

    The steps of per_step and zoneout are independent, so their moments are powers of
    one step's. A fixed mask is one draw, m^k = m, but 1/q is multiplied in k times:
    the mean grows as q^(1 - k). At k = 0 the number is 1 in all schemes; at f = 0 it
    lives on in zoneout alone, with probability p^k.

    k: integers of 0 or more, of any shape. f: the forget gate, 0 <= f <= 1.
    Which scheme a method is on which path: `rnnlit.dropout_lstm.ON_CELL`, `ON_STATE`.
    """
    if scheme not in SCHEMES:
        raise ValueError(
            f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}"
        )
    p = check_probability("p", p)
    q = 1.0 - p
    if not 0 <= f <= 1:
        raise ValueError(f"f: expected a forget gate, 0 <= f <= 1, got {f}")
    steps = np.asarray(k)
    if steps.dtype.kind not in "iu":
        raise TypeError(f"k: expected integers, got {steps.dtype}")
    if steps.size and steps.min() < 0:
        raise ValueError(f"k: expected 0 steps or more, got {steps.min()}")
    n = steps.astype(float)
    once = np.where(n > 0, q, 1.0)
    open_ = np.where(n > 0, float(f > 0), 1.0)
    if scheme == "none":
        alive, mean, second = open_, f**n, f ** (2 * n)
    elif scheme == "per_step":
        alive, mean, second = open_ * q**n, f**n, (f * f / q) ** n
    elif scheme == "per_sequence":
        alive, mean, second = (
            open_ * once,
            once * (f / q) ** n,
            once * (f / q) ** (2 * n),
        )
    elif scheme == "per_sequence_binary":
        alive, mean, second = open_ * once, once * f**n, once * f ** (2 * n)
    else:
        alive = np.ones_like(n) if f > 0 else p**n
        mean, second = (p + q * f) ** n, (p + q * f * f) ** n
    return Law(alive, mean, second, np.maximum(second - mean**2, 0.0))


def simulate(
    scheme: Scheme,
    p: float,
    steps: int,
    samples: int,
    rng: np.random.Generator,
    f: float = 1.0,
) -> np.ndarray:
    """Carry a number 1 through all steps with drawn masks: (steps + 1, samples)."""
    if scheme not in SCHEMES:
        raise ValueError(
            f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}"
        )
    p, T = check_probability("p", p), check_size("steps", steps)
    N = check_size("samples", samples)
    c = np.ones((T + 1, N))
    fixed = binary_mask((N,), p, rng, np.float64)
    for t in range(T):
        if scheme == "none":
            c[t + 1] = f * c[t]
        elif scheme == "per_step":
            c[t + 1] = mask((N,), p, rng, np.float64) * f * c[t]
        elif scheme == "per_sequence":
            c[t + 1] = fixed / (1 - p) * f * c[t]
        elif scheme == "per_sequence_binary":
            c[t + 1] = fixed * f * c[t]
        else:
            c[t + 1] = np.where(rng.random(N) < p, c[t], f * c[t])
    return c


def mc_dropout(
    model: Callable[..., np.ndarray], x: Any, samples: int, *args: Any
) -> Predictive:
    """Mean, variance, entropy of classes over random passes, with all masks on.

        mean = 1/S sum_s softmax(model(x))        entropy = - sum_k mean_k log mean_k

    model: gives logits (..., K), drawing new masks at each call, such as a `Reader`
    around `rnnlit.dropout_lstm.Dropped` in training mode; args go to it after x, as
    lengths do. samples: the number S of passes. mutual_information is the part of the
    entropy that the masks make; it is 0 where all passes agree.
    The average: Srivastava et al. (2014, section 7.5). Read as a posterior's, with its
    spread as uncertainty: Gal & Ghahramani (2016).
    """
    S = check_size("samples", samples)
    return predictive(np.stack([_softmax(model(x, *args)) for _ in range(S)]))


def predictive(probabilities: np.ndarray) -> Predictive:
    """`Predictive` from the probabilities (S, ..., K) of S passes."""
    mean = probabilities.mean(0)
    entropy = _entropy(mean)
    information = entropy - _entropy(probabilities).mean(0)
    return Predictive(mean, probabilities.var(0), entropy, np.maximum(information, 0.0))


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _entropy(probability: np.ndarray) -> np.ndarray:
    log = np.log(np.where(probability > 0, probability, 1.0))
    return -(probability * log).sum(-1)


def _check_affine(W: np.ndarray, x: np.ndarray, p: float) -> float:
    check_array("W", W, ("O", "I"))
    check_array("x", x, (W.shape[1],), W.dtype)
    return check_probability("p", p)
