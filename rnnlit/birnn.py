"""Bidirectional networks.   B batch, T steps, I inputs, H hidden, L layers.

Two chains with weights of their own read one sequence, one from each end, and their
states are set side by side. The chains can be of any cell: a module with `init`,
`forward` and `backward`, such as `rnn`, `gru` or `lstm`, is the first argument of
all that stands here.

There is no `step`. The reverse chain begins at the end of the sequence, so its state
at the first step is not known before the last step is: the network is not causal, and
can't answer at once while its input still comes in.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import (
    check_array,
    check_gradients,
    check_init,
    check_lengths,
    check_size,
)

ChainStates = tuple[np.ndarray, ...]  # of one chain: (h,), or (h, c) for an LSTM


class Params(NamedTuple):
    """The parameters of both chains: two Params of one and the same cell."""

    forward: Any  # the chain that starts at the first step
    reverse: Any  # the chain that starts at the last step


class Run(NamedTuple):
    """What `forward` returns: both chains' states, and what `backward` needs."""

    h: np.ndarray  # (T, B, 2H) [forward; reverse], zero after a sequence's end
    h_n: np.ndarray  # (B, 2H) each chain's last state; the reverse one's is at step 1
    forward: Any  # the cell's Run of the forward chain
    reverse: Any  # the cell's Run of the reverse chain, over the turned sequence
    lengths: np.ndarray | None  # (B,)


class Grads(NamedTuple):
    """What `backward` returns: the loss's gradient for all that `forward` took."""

    params: Params
    x: np.ndarray  # (T, B, I)
    states: tuple[
        ChainStates, ChainStates
    ]  # the initial ones, forward and reverse, each (B, H)


class Stack(NamedTuple):
    """What `forward_stack` returns."""

    h: np.ndarray  # (T, B, 2H) of the last layer
    h_n: np.ndarray  # (L, B, 2H)
    layers: tuple[Run, ...]


class StackGrads(NamedTuple):
    """What `backward_stack` returns: as `Grads`, with one entry for each layer."""

    params: tuple[Params, ...]
    x: np.ndarray  # (T, B, I)
    states: tuple[tuple[ChainStates, ChainStates], ...]


def flip(x: np.ndarray, lengths: Any = None) -> np.ndarray:
    """Turn each sequence round in time, from its own end; the padding stays.

    x (T, B, ...) of any dtype, lengths (B,) or None for all T  ->  (T, B, ...)

        flip(x)_t = x_{n+1-t}  for t <= n,   x_t  in the padding

    Done twice it gives x back: it is a permutation of the steps that is its own
    inverse, hence its own transpose, so that its gradient is turned by flip as well.
    Without lengths the result is a view of x and costs nothing.
    """
    _check_sequences(x)
    if lengths is None:
        return x[::-1]
    lengths = check_lengths(lengths, *x.shape[:2])
    t, b = np.ogrid[: x.shape[0], : x.shape[1]]
    return x[np.where(t < lengths, lengths - 1 - t, t), b]


def init(
    cell: ModuleType,
    input_size: int,
    hidden_size: int,
    *,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    **options: Any,
) -> Params:
    """Draw the forward chain's parameters and then the reverse one's by `cell.init`.

    options: what the cell's `init` takes besides, such as forget_bias.
    """
    _check_cell(cell)
    options |= dict(rng=rng, dtype=dtype)
    return Params(*(cell.init(input_size, hidden_size, **options) for _ in range(2)))


def forward(
    cell: ModuleType,
    params: Params,
    x: np.ndarray,
    lengths: Any = None,
    states: tuple[ChainStates, ChainStates] | None = None,
    **options: Any,
) -> Run:
    """Run both chains and set their states side by side (Schuster & Paliwal 1997):

        h_t = [h^f_t; h^r_t],   h^f = cell(x),   h^r = flip(cell(flip(x)))

    x (T, B, I); lengths (B,) integers, 1 <= length <= T, in any order, for a padded
    batch. states: the initial ones of both chains, ((h0,), (h0,)), for an LSTM
    ((h0, c0), (h0, c0)), each (B, H); zero if not given. options: what the cell's
    `forward` takes besides, such as reset_after. Beside what the cell's two Runs
    keep, it takes 2·T·B·H numbers for h and T·B·I for the turned input.

    TypeError, ValueError: no cell; Params of another cell; chains of two sizes; what
    the cell's `forward` refuses.
    """
    _check_params(cell, params)
    states = _check_states(states)
    options["lengths"] = lengths
    ahead = cell.forward(params.forward, x, *states[0], **options)
    turned = np.ascontiguousarray(flip(x, lengths))
    back = cell.forward(params.reverse, turned, *states[1], **options)
    h = np.concatenate([ahead.h, flip(back.h, lengths)], axis=2)
    h_n = np.concatenate([ahead.h_n, back.h_n], axis=1)
    return Run(h, h_n, ahead, back, ahead.lengths)


def backward(
    cell: ModuleType,
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
) -> Grads:
    """Each chain goes back through its own time; the input adds up what both send.

        [dh^f_t; dh^r_t] = dh_t,   dx = dx^f + flip(dx^r),
        where cell's backward makes dx^f of dh^f, and dx^r of flip(dh^r)

    dh (T, B, 2H) is dL/d(run.h); dh_n (B, 2H) is dL/d(run.h_n); give one of them or
    both. What is given at the padding has no effect.
    """
    _check_params(cell, params)
    check_gradients(run.h.shape, run.h.dtype, dh=dh, dh_n=dh_n)
    dh_f, dh_r = _halves(dh)
    end_f, end_r = _halves(dh_n)
    if dh_r is not None:
        dh_r = flip(dh_r, run.lengths)
    ahead = cell.backward(params.forward, run.forward, dh=dh_f, dh_n=end_f)
    back = cell.backward(params.reverse, run.reverse, dh=dh_r, dh_n=end_r)
    dx = ahead.x + flip(back.x, run.lengths)
    return Grads(Params(ahead.params, back.params), dx, (ahead[2:], back[2:]))


def init_stack(
    cell: ModuleType,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    *,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    **options: Any,
) -> tuple[Params, ...]:
    """Draw L layers, as `init`; all but the first have 2H inputs."""
    I, H = check_init(input_size, hidden_size, rng, dtype)
    options |= dict(rng=rng, dtype=dtype)
    sizes = [I, *[2 * H] * (check_size("num_layers", num_layers) - 1)]
    return tuple(init(cell, size, H, **options) for size in sizes)


def forward_stack(
    cell: ModuleType,
    params: tuple[Params, ...],
    x: np.ndarray,
    lengths: Any = None,
    states: tuple[tuple[ChainStates, ChainStates], ...] | None = None,
    **options: Any,
) -> Stack:
    """Run L bidirectional layers, each over both halves of the one below.

    params and states: one entry for each layer; the rest is as in `forward`.
    """
    each = (None,) * len(_check_layers(params)) if states is None else states
    if len(each) != len(params):
        raise ValueError(f"states: expected {len(params)} entries, got {len(each)}")
    layers: list[Run] = []
    for layer, start in zip(params, each, strict=True):
        below = layers[-1].h if layers else x
        layers.append(forward(cell, layer, below, lengths, start, **options))
    h_n = np.stack([layer.h_n for layer in layers])
    return Stack(layers[-1].h, h_n, tuple(layers))


def backward_stack(
    cell: ModuleType,
    params: tuple[Params, ...],
    run: Stack,
    dh: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
) -> StackGrads:
    """From the last layer to the first; a layer's dx is the dh of the one below.

    dh (T, B, 2H) is dL/d(run.h); dh_n (L, B, 2H) is dL/d(run.h_n); give one of them
    or both.
    """
    dtype, L = run.h.dtype, len(_check_layers(params))
    if len(run.layers) != L:
        raise ValueError(f"params: expected {len(run.layers)} layers, got {L}")
    if dh is None and dh_n is None:
        raise ValueError("dh, dh_n: expected at least one gradient, got none")
    if dh_n is not None:
        check_array("dh_n", dh_n, run.h_n.shape, dtype)
    if dh is None:
        dh = np.zeros_like(run.h)
    grads: list[Grads] = []
    for k in reversed(range(L)):
        last = None if dh_n is None else dh_n[k]
        grads.insert(0, backward(cell, params[k], run.layers[k], dh, last))
        dh = grads[0].x
    kinds = list(zip(*grads, strict=True))
    return StackGrads(kinds[0], grads[0].x, kinds[2])


def _halves(gradient: np.ndarray | None) -> list[Any]:
    """The forward and the reverse chain's part of (..., 2H); of none, none."""
    return [None, None] if gradient is None else np.split(gradient, 2, axis=-1)


def _check_sequences(x: Any) -> None:
    if not isinstance(x, np.ndarray) or x.ndim < 2 or 0 in x.shape:
        what = x.shape if isinstance(x, np.ndarray) else type(x).__name__
        raise ValueError(f"x: expected an array (T, B, ...), not empty, got {what}")


def _check_cell(cell: Any) -> None:
    names = ("init", "forward", "backward", "Params")
    if not all(hasattr(cell, name) for name in names):
        raise TypeError(
            "cell: expected a module with init, forward and backward, such as "
            f"rnnlit.lstm, got {cell!r}"
        )


def _check_params(cell: Any, params: Any) -> None:
    """Two chains of this cell that fit each other."""
    _check_cell(cell)
    if not isinstance(params, Params):
        raise TypeError(
            f"params: expected rnnlit.birnn.Params, got {type(params).__name__}"
        )
    for name, chain in params._asdict().items():
        if not isinstance(chain, cell.Params):
            raise TypeError(
                f"params.{name}: expected {cell.__name__}.Params, got "
                f"{type(chain).__module__}.{type(chain).__name__}"
            )
    shapes, others = ([np.shape(a) for a in chain] for chain in params)
    if shapes != others:
        raise ValueError(
            f"params.reverse: expected the shapes of params.forward, {shapes}, "
            f"got {others}"
        )


def _check_states(states: Any) -> tuple[ChainStates, ChainStates]:
    """Both chains' initial states; none, where each cell takes zeros."""
    if states is None:
        return (), ()
    two = isinstance(states, tuple | list) and len(states) == 2
    if not two or not all(isinstance(chain, tuple | list) for chain in states):
        raise TypeError(
            "states: expected two tuples, ((h0,), (h0,)) or for an LSTM ((h0, c0), "
            f"(h0, c0)), got {type(states).__name__}"
        )
    return tuple(states[0]), tuple(states[1])


def _check_layers(params: Any) -> tuple[Params, ...]:
    if not isinstance(params, tuple | list) or isinstance(params, Params) or not params:
        raise TypeError(
            "params: expected a tuple of rnnlit.birnn.Params, one for each layer, got "
            f"{type(params).__name__}"
        )
    return tuple(params)
