"""The reader of a whole sequence in torch, with dropout on its input: the twin of `rnnlit.tasks.reader`.

T steps, B sequences, I inputs, H hidden, O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Reader(nn.Module):
    """Many to one:  y = W s + b, with s the mean of a recurrent layer's states over a sequence's own steps.

    layer: such as nn.LSTM(I, H), time first, one direction. dropout: of the numbers of the input, a new mask
    at each step.
    """

    def __init__(self, layer: nn.Module, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.drop, self.layer = nn.Dropout(dropout), layer
        self.readout = nn.Linear(layer.hidden_size, outputs)  # type: ignore[arg-type]

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (T, B, I), lengths (B,)  ->  (B, O)"""
        h, _ = self.layer(self.drop(x))  # (T, B, H)
        steps = torch.arange(len(x), device=x.device)[:, None]  # (T, 1)
        real = steps < lengths  # (T, B), False in the padding
        mean = (h * real[..., None]).sum(0) / lengths[:, None]  # (B, H)
        return self.readout(mean)
