"""Hidden Markov models: what the past alone can tell, and what both sides can.   K states, M symbols.

T steps, B sequences, z_t the unseen state, x_t the symbol. A reader that has to name z_t can do no better
than to name the likeliest state given all it may look at: x_1 to x_t for one that is causal, x_1 to x_T for
one that looks both ways. So the best possible accuracies are known before any network is trained.

Source: Rabiner (1989), A tutorial on hidden Markov models, Proceedings of the IEEE 77, 257-286.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_array, check_size


class HMM(NamedTuple):
    """A hidden Markov model; every row is a distribution."""

    start: np.ndarray  # (K,) P(z_1 = k)
    transition: np.ndarray  # (K, K) P(z_{t+1} = k | z_t = j), j the row
    emission: np.ndarray  # (K, M) P(x_t = m | z_t = k), k the row


class Sample(NamedTuple):
    """Sequences drawn from a model."""

    z: np.ndarray  # (T, B) states, integers from 0
    x: np.ndarray  # (T, B) symbols, integers from 0


class Posterior(NamedTuple):
    """What a reader knows of each state at best."""

    filtered: np.ndarray  # (T, B, K) P(z_t | x_1 .. x_t)
    smoothed: np.ndarray  # (T, B, K) P(z_t | x_1 .. x_T)
    log_likelihood: np.ndarray  # (B,) log P(x_1 .. x_T)


class Ceiling(NamedTuple):
    """The best possible accuracy of a reader, and how well it is known."""

    causal: float  # mean of max_k P(z_t = k | x_1 .. x_t)
    causal_error: float  # its standard error; 0 where it was computed exactly
    both: float  # mean of max_k P(z_t = k | x_1 .. x_T)
    both_error: float


def check(model: HMM) -> tuple[int, int]:
    """Return K and M.    TypeError: no HMM, or not float64.  ValueError: shapes; rows not summing to 1."""
    if not isinstance(model, HMM):
        raise TypeError(f"model: expected rnnlit.tasks.hmm.HMM, got {type(model).__name__}")
    K = check_array("start", model.start, ("K",), np.float64).shape[0]
    check_array("transition", model.transition, (K, K), np.float64)
    M = check_array("emission", model.emission, (K, "M"), np.float64).shape[1]
    for name, rows in model._asdict().items():
        if not (rows >= 0).all() or not np.allclose(rows.sum(-1), 1, rtol=0, atol=1e-9):
            raise ValueError(f"{name}: expected rows of probabilities that sum to 1, got {rows.tolist()}")
    return K, M


def sample(model: HMM, steps: int, sequences: int, rng: np.random.Generator) -> Sample:
    """Draw B sequences of T steps."""
    check(model)
    T, B = check_size("steps", steps), check_size("sequences", sequences)
    z = np.empty((T, B), np.int64)
    z[0] = _draw(np.broadcast_to(model.start, (B, len(model.start))), rng)
    for t in range(1, T):
        z[t] = _draw(model.transition[z[t - 1]], rng)
    return Sample(z, _draw(model.emission[z.reshape(-1)], rng).reshape(T, B))


def forward(model: HMM, x: Any) -> tuple[np.ndarray, np.ndarray]:
    """What the past tells of each state: filtering (Rabiner 1989, normalised).

        a_t(k) = E[k, x_t] sum_j f_{t-1}(j) A[j, k]
        f_t(k) = a_t(k) / sum_k a_t(k) = P(z_t = k | x_1 .. x_t)

    x (T, B) symbols  ->  f (T, B, K), and (T, B) sum_k a_t(k) = P(x_t | x_1 .. x_{t-1}).
    ValueError: a symbol out of range, or a sequence that the model can't produce.
    """
    x = _check_symbols(model, x)
    seen = model.emission.T[x]  # (T, B, K) E[k, x_t]
    f, evidence = np.empty(seen.shape), np.empty(x.shape)
    expected = model.start  # P(z_t | x_1 .. x_{t-1})
    for t in range(len(x)):
        a = seen[t] * expected
        evidence[t] = a.sum(1)
        f[t] = a / evidence[t][:, None]
        expected = f[t] @ model.transition
    return f, evidence


def backward(model: HMM, x: Any) -> np.ndarray:
    """What the future tells of each state (Rabiner 1989). Each b_t sums to 1.

        b_t(j) = sum_k A[j, k] E[k, x_{t+1}] b_{t+1}(k)        b_T = 1

    b_t(j) is P(x_{t+1} .. x_T | z_t = j), up to a factor that all states share.
    x (T, B) symbols  ->  b (T, B, K).
    """
    x = _check_symbols(model, x)
    seen = model.emission.T[x]  # (T, B, K) E[k, x_t]
    b = np.ones(seen.shape)
    for t in reversed(range(len(x) - 1)):
        b[t] = (seen[t + 1] * b[t + 1]) @ model.transition.T
        b[t] /= b[t].sum(1, keepdims=True)
    return b


def posterior(model: HMM, x: Any) -> Posterior:
    """Filter and smooth by the forward-backward algorithm:

        P(z_t = k | x_1 .. x_T) = f_t(k) b_t(k) / sum_k f_t(k) b_t(k)

    and log P(x_1 .. x_T) is the sum of log P(x_t | x_1 .. x_{t-1}).   x (T, B) symbols.
    """
    f, evidence = forward(model, x)
    both = f * backward(model, x)
    smoothed = both / both.sum(2, keepdims=True)
    return Posterior(f, smoothed, np.log(evidence).sum(0))


def viterbi(model: HMM, x: Any) -> np.ndarray:
    """The most probable sequence of states, as a whole (Rabiner 1989):

        v_t(k) = log E[k, x_t] + max_j (v_{t-1}(j) + log A[j, k])

    x (T, B) symbols  ->  (T, B) states. It need not name the most probable state at each step.
    """
    x = _check_symbols(model, x)
    with np.errstate(divide="ignore"):  # log 0 is -inf: never the best
        start, transition, emission = (np.log(p) for p in model)
    v, came_from = start + emission.T[x[0]], []
    for t in range(1, len(x)):
        ways = v[:, :, None] + transition  # (B, K, K) from j to k
        came_from.append(ways.argmax(1))
        v = ways.max(1) + emission.T[x[t]]
    path = [v.argmax(1)]
    for step in reversed(came_from):
        path.insert(0, step[np.arange(x.shape[1]), path[0]])
    return np.array(path)


def accuracy(model: HMM, steps: int, sequences: int, rng: np.random.Generator) -> Ceiling:
    """Estimate the best possible accuracy over T steps from B sequences drawn from the model.

    The mean of the largest posterior, over all steps and sequences; it varies less than the share of right
    answers would, and has the same mean. Its standard error is over the B >= 2 sequences, whose steps are not
    independent of each other.
    """
    if check_size("sequences", sequences) < 2:
        raise ValueError(f"sequences: expected 2 at least, for a standard error, got {sequences}")
    known = posterior(model, sample(model, steps, sequences, rng).x)
    columns = []
    for p in known[:2]:
        mean = p.max(2).mean(0)  # of each sequence
        columns += [float(mean.mean()), float(mean.std(ddof=1) / len(mean) ** 0.5)]
    return Ceiling(*columns)


def exact_accuracy(model: HMM, steps: int) -> Ceiling:
    """Compute the best possible accuracy over T steps by going through all M^T sequences, 10^6 at most:

    1/T sum_t sum_x P(x) max_k P(z_t = k | what of x the reader has seen)
    """
    _, M = check(model)
    T = check_size("steps", steps)
    if M**T > 10**6:
        raise ValueError(f"steps: expected M^T of 10^6 at most, got {M}^{T}; use accuracy")
    x = np.array(list(itertools.product(range(M), repeat=T))).T
    possible = _probability(model, x) > 0
    known = posterior(model, x[:, possible])
    weight = np.exp(known.log_likelihood)
    causal, both = (float((p.max(2).mean(0) * weight).sum()) for p in known[:2])
    return Ceiling(causal, 0.0, both, 0.0)


def _probability(model: HMM, x: np.ndarray) -> np.ndarray:
    """P(x_1 .. x_T) of each sequence, unscaled: for a few steps only."""
    forward = model.start * model.emission.T[x[0]]
    for symbols in x[1:]:
        forward = forward @ model.transition * model.emission.T[symbols]
    return forward.sum(1)


def _draw(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One index from each row of probabilities (N, K), by inverting its distribution function."""
    below = rows.cumsum(1)
    return (rng.random((len(rows), 1)) * below[:, -1:] >= below[:, :-1]).sum(1)


def _check_symbols(model: HMM, x: Any) -> np.ndarray:
    """x as an array.   ValueError: symbols out of range, or sequences that the model can't produce."""
    _, M = check(model)
    x = np.asarray(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"x: expected integers, got {x.dtype}")
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"x: expected shape (T, B), got {x.shape}")
    if x.min() < 0 or x.max() >= M:
        raise ValueError(f"x: expected 0 <= symbol < M = {M}, got {x.min()} to {x.max()}")
    reached = model.start > 0
    for t, symbols in enumerate(x):
        possible = reached & (model.emission.T[symbols] > 0)
        if not possible.any(1).all():
            b = int(np.argmin(possible.any(1)))
            raise ValueError(
                f"x: expected sequences that the model can produce, got {x[: t + 1, b].tolist()}"
            )
        reached = possible @ (model.transition > 0)
    return x
