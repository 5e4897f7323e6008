"""LSTM in torch: the twin of `rnnlit.lstm`.

B batch, T steps, I inputs, H hidden;   gates i f g o.

`step` and `forward` are the formula in torch, with autograd for the backward pass; they
differ from the reference in nothing else. The layer for work is `rnnlit.nn.LSTM`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.tools.checks_torch import check_cell, check_lengths
from rnnlit.tools.sequences_torch import padding_of


class Run(NamedTuple):
    """What `forward` returns."""

    h: Tensor  # (T, B, H) hidden states, zero after a sequence's end
    c: Tensor  # (T, B, H) cell states, likewise
    h_n: Tensor  # (B, H) last hidden state of each sequence
    c_n: Tensor  # (B, H) last cell state of each sequence


def step(
    params: Sequence[Any], x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Advance one step (Gers, Schmidhuber & Cummins 2000):

        i, f, o = sigma(W_ih x + b_ih + W_hh h + b_hh)        c' = f c + i g
        g       = tanh (W_ih x + b_ih + W_hh h + b_hh)        h' = o tanh(c')

    params: `rnnlit.lstm.Params` of tensors, or one entry of a layer's `all_weights`.
    x (B, I), h (B, H), c (B, H)  ->  h' (B, H), c' (B, H)
    """
    check_cell(params, 4, x, 2, h=h, c=c)
    weight_ih, weight_hh, bias_ih, bias_hh = params
    a = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
    i, f, g, o = a.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


def forward(
    params: Sequence[Any],
    x: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Any = None,
) -> Run:
    """Run over whole sequences: `step`, T times.

    x (T, B, I); h0, c0 (B, H), zero if not given; lengths (B,) integers, 1 <=
    length <= T, in any order, for a padded batch.
    TypeError, ValueError: an argument of another type, dtype or shape; lengths out of
    range.
    """
    check_cell(params, 4, x, 3, h0=h0, c0=c0)
    return unroll(step, params, x, h0, c0, lengths)


def unroll(
    step: Callable[..., tuple[Tensor, Tensor]],
    params: Sequence[Any],
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Any,
) -> Run:
    """Apply `step` to each x_t of x (T, B, I); at the padding the last state stays."""
    T, B, _ = x.shape
    H = params[1].shape[1]
    padded = (
        None
        if lengths is None
        else padding_of(check_lengths(lengths, T, B), T, x.device).mask
    )
    h = x.new_zeros(B, H) if h0 is None else h0
    c = x.new_zeros(B, H) if c0 is None else c0
    hs, cs = [], []
    for t in range(T):
        new = step(params, x[t], h, c)
        if padded is not None:
            new = torch.where(padded[t], h, new[0]), torch.where(padded[t], c, new[1])
        h, c = new
        hs.append(h)
        cs.append(c)
    all_h, all_c = torch.stack(hs), torch.stack(cs)
    if padded is not None:
        all_h, all_c = all_h.masked_fill(padded, 0), all_c.masked_fill(padded, 0)
    return Run(all_h, all_c, h, c)
