"""The plain recurrent network in torch: the twin of `rnnlit.rnn`.

B batch, T steps, I inputs, H hidden.

`step` and `forward` are the formula in torch, with autograd for the backward pass; they
differ from the reference in nothing else. The layer for work is `rnnlit.nn.RNN`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.tools.checks_torch import check_cell, check_lengths
from rnnlit.tools.sequences_torch import padding_of


class Run(NamedTuple):
    """What `forward` returns."""

    h: Tensor  # (T, B, H) states, zero after a sequence's end
    h_n: Tensor  # (B, H) last state of each sequence


def step(params: Sequence[Any], x: Tensor, h: Tensor) -> Tensor:
    """Advance one step:  h' = tanh(W_ih x + b_ih + W_hh h + b_hh)    (Elman 1990)

    params: `rnnlit.rnn.Params` of tensors, or one entry of a layer's `all_weights`.
    x (B, I), h (B, H)  ->  (B, H)
    """
    check_cell(params, 1, x, 2, h=h)
    weight_ih, weight_hh, bias_ih, bias_hh = params
    return torch.tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)


def forward(
    params: Sequence[Any], x: Tensor, h0: Tensor | None = None, lengths: Any = None
) -> Run:
    """Run over whole sequences: `step`, T times.

    x (T, B, I); h0 (B, H), zero if not given; lengths (B,) integers, 1 <= length <= T,
    in any order, if the batch is padded.
    TypeError, ValueError: an argument of another type, dtype or shape; lengths out of
    range.
    """
    check_cell(params, 1, x, 3, h0=h0)
    T, B, _ = x.shape
    H = params[1].shape[1]
    padded = (
        None
        if lengths is None
        else padding_of(check_lengths(lengths, T, B), T, x.device).mask
    )
    h = x.new_zeros(B, H) if h0 is None else h0
    hs = []
    for t in range(T):
        new = step(params, x[t], h)
        # a sequence that has ended keeps its last state
        h = new if padded is None else torch.where(padded[t], h, new)
        hs.append(h)
    states = torch.stack(hs)
    return Run(states if padded is None else states.masked_fill(padded, 0), h)
