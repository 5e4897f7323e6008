"""The source article's bidirectional network, with a second recurrent net on top.

B batch, T steps, I inputs, H hidden in each chain, O outputs. In the network of
Schuster & Paliwal (1997) an output layer reads both chains at each step. Here a
recurrent net reads them, and its states are the output: a layer in two directions
below a layer in one. It is a network that works, with a third recurrence that
"bidirectional" does not mean. Erratum R4.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from rnnlit import birnn


class Params(NamedTuple):
    """The parameters of three chains of one cell."""

    both: birnn.Params  # I inputs, H hidden
    second: Any  # 2H inputs, O hidden


class Run(NamedTuple):
    """What `forward` returns."""

    h: np.ndarray  # (T, B, O) states of the second net, zero after a sequence's end
    h_n: np.ndarray  # (B, O) its last state
    both: birnn.Run
    second: Any  # the cell's Run


class Grads(NamedTuple):
    """What `backward` returns: the gradient of the loss for what `forward` took."""

    params: Params
    x: np.ndarray  # (T, B, I)


def init(
    cell: ModuleType,
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    **options: Any,
) -> Params:
    """Draw the two chains and then the second net, as `birnn.init`."""
    options |= dict(rng=rng, dtype=dtype)
    both = birnn.init(cell, input_size, hidden_size, **options)
    return Params(both, cell.init(2 * hidden_size, output_size, **options))


def forward(
    cell: ModuleType,
    params: Params,
    x: np.ndarray,
    lengths: Any = None,
    **options: Any,
) -> Run:
    """Run two chains, and over their states a second net, from first to last step:

        h_t = cell([h^f_t; h^r_t], h_{t-1})

    x (T, B, I); lengths (B,) and options as in `birnn.forward`.
    """
    _check(params)
    both = birnn.forward(cell, params.both, x, lengths, **options)
    second = cell.forward(params.second, both.h, lengths=lengths, **options)
    return Run(second.h, second.h_n, both, second)


def backward(
    cell: ModuleType,
    params: Params,
    run: Run,
    dh: np.ndarray | None = None,
    dh_n: np.ndarray | None = None,
) -> Grads:
    """Back through the second net; what it sends to its input is the two chains' dh.

    dh (T, B, O) is dL/d(run.h); dh_n (B, O) is dL/d(run.h_n); give one of them or
    both.
    """
    _check(params)
    second = cell.backward(params.second, run.second, dh=dh, dh_n=dh_n)
    both = birnn.backward(cell, params.both, run.both, second.x)
    return Grads(Params(both.params, second.params), both.x)


def _check(params: Any) -> None:
    if not isinstance(params, Params):
        raise TypeError(
            f"params: expected rnnlit.birnn_article.Params, got {type(params).__name__}"
        )
