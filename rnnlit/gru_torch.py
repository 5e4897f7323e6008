"""GRU in torch: the twin of `rnnlit.gru`.

B batch, T steps, I inputs, H hidden;   blocks r z n.

`step` and `forward` are the formula in torch, with autograd for the backward pass; they
differ from the reference in nothing else. The layer for work is `rnnlit.nn.GRU`.
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


def step(
    params: Sequence[Any], x: Tensor, h: Tensor, *, reset_after: bool = True
) -> Tensor:
    """Advance one step: as torch with reset_after, as Cho et al. (2014) without.

        r, z = sigma(W_ih x + b_ih + W_hh h + b_hh)        h' = (1 - z) n + z h
        n    = tanh(W_in x + b_in + r (W_hn h + b_hn))     with reset_after
        n    = tanh(W_in x + b_in + W_hn (r h) + b_hn)     without

    params: `rnnlit.gru.Params` of tensors, or one entry of a layer's `all_weights`.
    x (B, I), h (B, H)  ->  (B, H)
    """
    check_cell(params, 3, x, 2, h=h)
    weight_ih, weight_hh, bias_ih, bias_hh = params
    weight_hr, weight_hz, weight_hn = weight_hh.chunk(3)
    bias_hr, bias_hz, bias_hn = bias_hh.chunk(3)
    a_r, a_z, a_n = (x @ weight_ih.T + bias_ih).chunk(3, 1)
    r = torch.sigmoid(a_r + h @ weight_hr.T + bias_hr)
    z = torch.sigmoid(a_z + h @ weight_hz.T + bias_hz)
    if reset_after:
        n = torch.tanh(a_n + r * (h @ weight_hn.T + bias_hn))
    else:
        n = torch.tanh(a_n + (r * h) @ weight_hn.T + bias_hn)
    return (1 - z) * n + z * h


def forward(
    params: Sequence[Any],
    x: Tensor,
    h0: Tensor | None = None,
    lengths: Any = None,
    *,
    reset_after: bool = True,
) -> Run:
    """Run over whole sequences: `step`, T times.

    x (T, B, I); h0 (B, H), zero if not given; lengths (B,) integers, 1 <= length <= T,
    in any order, if the batch is padded.
    TypeError, ValueError: an argument of another type, dtype or shape; lengths out of
    range.
    """
    check_cell(params, 3, x, 3, h0=h0)
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
        new = step(params, x[t], h, reset_after=reset_after)
        # a sequence that has ended keeps its last state
        h = new if padded is None else torch.where(padded[t], h, new)
        hs.append(h)
    states = torch.stack(hs)
    return Run(states if padded is None else states.masked_fill(padded, 0), h)
