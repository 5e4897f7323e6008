"""A layer of `rnnlit.nn` one step at a time, for loops in which what comes out goes back in.

B batch, I inputs, H hidden, L layers in one direction.

A step is the call of a layer over a sequence of one step, but for the masks that hold for a whole sequence:
`masks_of` draws them at its start, and `step` takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout

from rnnlit.dropout_masks import times
from rnnlit.dropout_torch import mask
from rnnlit.nn.direction import Direction
from rnnlit.nn.layer import Layer
from rnnlit.nn.variants import PLAIN, extra_sizes

# One step of a layer without variants, by its mode; that of an LSTM takes a pair.
CELLS: dict[str, Any] = {
    "GRU": torch.gru_cell,
    "RNN_TANH": torch.rnn_tanh_cell,
    "RNN_RELU": torch.rnn_relu_cell,
}


class Masks(NamedTuple):
    """What one layer multiplies with at every step of a batch of sequences; None is no mask."""

    x: Tensor | None = None  # (B, I) its input
    h: Tensor | None = None  # (B, H) h_{t-1} where the gates read it
    weight_hh: Tensor | None = None  # (G·H, H) the recurrent weights themselves, some of them dropped
    output: Tensor | None = None  # (B, H) the output of the last layer

    def select(self, rows: Tensor) -> Masks:
        """The sequences `rows` (M,), in this order, as often as named."""
        x, h, output = (None if m is None else m[rows] for m in (self.x, self.h, self.output))
        return Masks(x, h, self.weight_hh, output)


def masks_of(layer: Layer, batch: int, generator: torch.Generator | None = None) -> tuple[Masks, ...]:
    """Draw the masks that hold for whole sequences, for each of the L layers; () if there are none."""
    v, L = layer.variants, layer.num_layers
    if not layer.training or not (
        v.input_dropout or v.recurrent_dropout or v.weight_drop or v.output_dropout
    ):
        return ()

    def drawn(p: float, shape: Sequence[int], like: Tensor) -> Tensor | None:
        return mask(shape, p, generator, like=like) if p else None

    found = []
    for k, (weight_ih, weight_hh, *_) in enumerate(layer.all_weights):
        H = weight_hh.shape[1]
        kept = drawn(v.weight_drop, weight_hh.shape, weight_hh)
        x = drawn(v.input_dropout, (batch, weight_ih.shape[1]), weight_ih)
        h = drawn(v.recurrent_dropout, (batch, H), weight_hh)
        output = drawn(v.output_dropout, (batch, H), weight_hh) if k == L - 1 else None
        found.append(Masks(x, h, None if kept is None else kept * weight_hh, output))
    return tuple(found)


def step(
    layer: Layer, x: Tensor, states: Sequence[tuple[Tensor, ...]], masks: Sequence[Masks] = ()
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """Advance all L layers by one step; returns the output (B, H) and each layer's new state.

    x (B, I). states: of each layer (h,), of an LSTM's (h, c), each (B, H). masks: those of `masks_of`.
    Between the layers, and in candidates and zoneout, other masks are drawn at each step, as a layer does it.
    """
    inside = layer.variants != PLAIN and layer.variants.inside(layer.training)
    m, new = Masks(), []
    weights: Sequence[Tensor]
    for k, (weights, state) in enumerate(zip(layer.all_weights, states, strict=True)):
        if k:
            x = dropout(x, layer.dropout, layer.training)
        if masks:
            m = masks[k]
            x = times(m.x, x)
            weights = weights if m.weight_hh is None else [weights[0], m.weight_hh, *weights[2:]]
        if inside:
            names = extra_sizes(layer.variants, layer.mode, 0)
            extra = {name: getattr(layer, f"{name}_l{k}") for name in names}
            one = Direction(weights, extra, x[None], training=layer.training, mask_h=m.h)
            state = tuple(layer._scan(one, *state)[1])
        elif layer.mode == "LSTM":
            state = torch.lstm_cell(x, state, *weights)
        else:
            state = (CELLS[layer.mode](x, state[0], *weights),)
        new.append(state)
        x = state[0]
    return times(m.output, x), new
