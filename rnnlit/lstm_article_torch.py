"""The LSTM of the source article, at its word: evidence for the errata, not for use.

B batch, T steps, I inputs, H hidden. The article's formulas can be read in more
than one way, so each reading is a `step` of its own. They are in torch because
autograd shows best what reaches what; a NumPy twin would only give a wrong cell a
second home. Errata L3 to L17.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Step = Callable[["Params", Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class Params(NamedTuple):
    """The article's weights by its names; those of three "gates" multiply the state."""

    W_ix: Tensor  # (I, H) "input gate"
    W_fx: Tensor  # (H, H) "forget gate"
    W_cx: Tensor  # (H, H) "reset gate", which no LSTM has
    W_ox: Tensor  # (H, H) "output gate"
    W_ih: Tensor  # (I, H) "new cell state"
    bias_i: Tensor  # (H,)
    bias_f: Tensor  # (H,)
    bias_c: Tensor  # (H,)
    bias_o: Tensor  # (H,)
    bias_h: Tensor  # (H,)


def init(
    input_size: int,
    hidden_size: int,
    *,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Params:
    """Draw everything from U(-1/sqrt(H), 1/sqrt(H)), with gradients switched on."""
    I, H, k = input_size, hidden_size, hidden_size**-0.5
    shapes = [(I, H), (H, H), (H, H), (H, H), (I, H), *[(H,)] * 5]
    drawn = (torch.rand(shape, generator=generator, dtype=dtype) for shape in shapes)
    return Params(*(((2 * u - 1) * k).requires_grad_() for u in drawn))


def gates(
    params: Params, x: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four "gates" as printed: one sees x alone, three the "state vector"."""
    i = torch.sigmoid(x @ params.W_ix + params.bias_i)
    f = torch.sigmoid(state @ params.W_fx + params.bias_f)
    r = torch.sigmoid(state @ params.W_cx + params.bias_c)
    o = torch.sigmoid(state @ params.W_ox + params.bias_o)
    return i, f, r, o


def literal_step_a(
    params: Params, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """C' = x W_ih + bias_h, O_t = O C'; the "state vector" is the old cell state."""
    _, _, _, o = gates(params, x, c)
    c = x @ params.W_ih + params.bias_h
    return o * c, c


def literal_step_b(
    params: Params, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """C' = x W_ih + bias_h, O_t = O C'; the "state vector" is the previous output."""
    _, _, _, o = gates(params, x, h)
    c = x @ params.W_ih + params.bias_h
    return o * c, c


def charitable_step(
    params: Params, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """What the prose seems to mean:  c' = r f c + i (x W_ih + bias_h),  h' = o c'."""
    i, f, r, o = gates(params, x, h)
    c = r * f * c + i * (x @ params.W_ih + params.bias_h)
    return o * c, c


def forward(step: Step, params: Params, x: Tensor) -> Tensor:
    """Run a reading over whole sequences, from zero.   x (T, B, I)  ->  (T, B, H)"""
    h = c = x.new_zeros(x.shape[1], params.bias_h.shape[0])
    outputs = []
    for x_t in x:
        h, c = step(params, x_t, h, c)
        outputs.append(h)
    return torch.stack(outputs)
