"""LSTM of 1997 in torch: the twin of `rnnlit.lstm_1997`.   gates i g o.

B batch, T steps, I inputs, H hidden.

`step` and `forward` are the formula in torch, with autograd for the backward pass; they
differ from the reference in nothing else. No fused kernel knows this cell, so there is
no layer for work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnlit.lstm_torch import Run, unroll
from rnnlit.tools.checks_torch import check_cell


def step(
    params: Sequence[Any], x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Advance one step (Hochreiter & Schmidhuber 1997, section 4).

    The equations are those of `rnnlit.lstm_1997.step`.
    params: `rnnlit.lstm_1997.Params` holding tensors.
    x (B, I), h (B, H), c (B, H)  ->  h' (B, H), c' (B, H)
    """
    check_cell(params, 3, x, 2, h=h, c=c)
    weight_ih, weight_hh, bias_ih, bias_hh = params
    a = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
    i, g, o = a.chunk(3, 1)
    c = c + torch.sigmoid(i) * (4 * torch.sigmoid(g) - 2)
    h = torch.sigmoid(o) * (2 * torch.sigmoid(c) - 1)
    return h, c


def forward(
    params: Sequence[Any],
    x: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Any = None,
) -> Run:
    """Run over whole sequences: `step`, T times; as `rnnlit.lstm_torch.forward`."""
    check_cell(params, 3, x, 3, h0=h0, c0=c0)
    return unroll(step, params, x, h0, c0, lengths)
