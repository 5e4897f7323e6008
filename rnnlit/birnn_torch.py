"""Bidirectional networks in torch: the twin of `rnnlit.birnn`.

B batch, T steps, I inputs, H hidden.

`flip`, `forward` and `forward_stack` are the formula in torch, with autograd for the
backward pass; the cell is a module such as `rnnlit.gru_torch`. There is no `step`,
since the network is not causal. For work there are
`rnnlit.nn.LSTM(..., bidirectional=True)` and, for any two layers,
`rnnlit.nn.Bidirectional`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.tools.checks import ShapeError
from rnnlit.tools.checks_torch import check_lengths
from rnnlit.tools.sequences_torch import padding_of, turn


class Run(NamedTuple):
    """What `forward` returns."""

    h: Tensor  # (T, B, 2H) [forward; reverse], zero after a sequence's end
    h_n: Tensor  # (B, 2H) each chain's last state; the reverse one's is at step 1
    forward: Any  # the cell's Run of the forward chain
    reverse: Any  # the cell's Run of the reverse chain, over the turned sequence


class Stack(NamedTuple):
    """What `forward_stack` returns."""

    h: Tensor  # (T, B, 2H) of the last layer
    h_n: Tensor  # (L, B, 2H)
    layers: tuple[Run, ...]


def flip(x: Tensor, lengths: Any = None) -> Tensor:
    """Turn each sequence of x (T, B, N) round in time; its padding stays in place.

    TypeError, ValueError: no tensor with three axes; lengths out of range.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"x: expected a tensor (T, B, N), got {type(x).__name__}")
    if x.dim() != 3 or 0 in (x.shape[0], x.shape[2]):
        raise ShapeError(
            f"x: expected shape (T, B, N) with something in it, got {tuple(x.shape)}"
        )
    T, B, _ = x.shape
    return turn(
        x,
        None
        if lengths is None
        else padding_of(check_lengths(lengths, T, B), T, x.device),
    )


def forward(
    cell: ModuleType,
    params: Any,
    x: Tensor,
    lengths: Any = None,
    states: Any = None,
    **options: Any,
) -> Run:
    """Run both chains side by side:  h = [cell(x); flip(cell(flip(x)))]

    cell: `rnn_torch`, `gru_torch`, `lstm_torch`, `lstm_peephole_torch` or
    `lstm_1997_torch`. params: a pair of the cell's parameters, such as `birnn.Params`
    that hold Params of tensors. The rest is as in `rnnlit.birnn.forward`.
    """
    first, second = ((), ()) if states is None else states
    ahead = cell.forward(params[0], x, *first, lengths=lengths, **options)
    back = cell.forward(
        params[1], flip(x, lengths), *second, lengths=lengths, **options
    )
    h = torch.cat([ahead.h, flip(back.h, lengths)], -1)
    return Run(h, torch.cat([ahead.h_n, back.h_n], -1), ahead, back)


def forward_stack(
    cell: ModuleType,
    params: Sequence[Any],
    x: Tensor,
    lengths: Any = None,
    states: Sequence[Any] | None = None,
    **options: Any,
) -> Stack:
    """Run L bidirectional layers, as `rnnlit.birnn.forward_stack`."""
    layers: list[Run] = []
    for layer, start in zip(
        params, [None] * len(params) if states is None else states, strict=True
    ):
        layers.append(
            forward(
                cell, layer, layers[-1].h if layers else x, lengths, start, **options
            )
        )
    return Stack(
        layers[-1].h, torch.stack([layer.h_n for layer in layers]), tuple(layers)
    )
