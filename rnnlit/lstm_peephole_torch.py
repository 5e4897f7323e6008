"""LSTM with peepholes in torch: the twin of `rnnlit.lstm_peephole`.

B batch, T steps, I inputs, H hidden.

`step` and `forward` are the formula in torch, with autograd for the backward pass; they
differ from the reference in nothing else. No fused kernel knows this cell; the layer
for work is `rnnlit.nn.LSTM(..., peephole=True)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnlit.lstm_torch import Run, unroll
from rnnlit.lstm_variants import cell
from rnnlit.tools.checks_torch import check_cell


def step(
    params: Sequence[Any], x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Advance one step (Gers, Schraudolph & Schmidhuber 2002).

    The equations are those of `rnnlit.lstm_peephole.step`.
    params: `rnnlit.lstm_peephole.Params` holding tensors.
    x (B, I), h (B, H), c (B, H)  ->  h' (B, H), c' (B, H)
    """
    check_cell(params, 4, x, 2, peepholes=3, h=h, c=c)
    weight_ih, weight_hh, bias_ih, bias_hh, *peepholes = params
    a = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
    new = cell(a.chunk(4, 1), c, peepholes, sigmoid=torch.sigmoid, tanh=torch.tanh)
    return new.h, new.c


def forward(
    params: Sequence[Any],
    x: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Any = None,
) -> Run:
    """Run over whole sequences: `step`, T times; as `rnnlit.lstm_torch.forward`."""
    check_cell(params, 4, x, 3, peepholes=3, h0=h0, c0=c0)
    return unroll(step, params, x, h0, c0, lengths)
