"""The state of a decoder, and its step in two orders.   B batch, S source steps, E embedding, H hidden.

K key. The equations are those of `rnnlit.nn.seq2seq`: s_i is the state of the decoder,
h the keys, y the token before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.attention_torch import Memory
from rnnlit.nn import stepwise

if TYPE_CHECKING:
    from rnnlit.nn.seq2seq import EncoderDecoder


class State(NamedTuple):
    """What the decoder carries from step to step."""

    h: Tensor  # (B, H) s_i, the state of the last layer
    c: Tensor | None  # (B, H) its cell, in an LSTM
    fed: Tensor | None  # (B, H) h~_i, with input feeding
    memory: Memory | Tensor  # the keys; without attention the encoder's last state (B, K)
    position: int = 0  # steps made so far
    below: tuple[tuple[Tensor, ...], ...] = ()  # (h,) or (h, c) of the layers below
    masks: tuple[stepwise.Masks, ...] = ()  # of each layer, where they hold for sequences

    def layers(self) -> tuple[tuple[Tensor, ...], ...]:
        """The states of all layers, (h,) or (h, c), the last layer's at the end."""
        return (*self.below, (self.h,) if self.c is None else (self.h, self.c))

    def select(self, rows: Any) -> State:
        """The hypotheses `rows` (M,), for beam search."""
        rows = torch.as_tensor(rows, device=self.h.device)
        c, fed = (None if part is None else part[rows] for part in (self.c, self.fed))
        memory = self.memory
        memory = memory.select(rows) if isinstance(memory, Memory) else memory[rows]
        below = tuple(tuple(part[rows] for part in layer) for layer in self.below)
        masks = tuple(m.select(rows) for m in self.masks)
        return State(self.h[rows], c, fed, memory, self.position, below, masks)


class Step(NamedTuple):
    """What one step of the decoder gives."""

    readout: Tensor  # what W_o meets: (B, H+E+K) for "bahdanau", (B, H) for "luong"
    weights: Tensor | None  # (B, S) of the attention
    state: State


def bahdanau_step(net: EncoderDecoder, y: Tensor, state: State) -> Step:
    """c_i = attend(s_{i-1}, h)   s_i = f(s_{i-1}, [y; c_i])   W_o meets [s_i; y; c_i]

    y (B, E): the token before, embedded.
    """
    context, weights = net._attend(state.h, state)
    s, state = net._advance(torch.cat([y, context], -1), state)
    return Step(torch.cat([s, y, context], -1), weights, state)


def luong_step(net: EncoderDecoder, y: Tensor, state: State) -> Step:
    """s_i = f(s_{i-1}, [y; h~_{i-1}])   c_i = attend(s_i, h)   W_o meets h~_i

    y (B, E): the token before, embedded. Without input feeding s_i = f(s_{i-1}, y).
    """
    x = y if state.fed is None else torch.cat([y, state.fed], -1)
    s, new = net._advance(x, state)
    h, weights = net._attentional(s, state)
    return Step(h, weights, new if state.fed is None else new._replace(fed=h))
