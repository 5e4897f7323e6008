"""Layer normalisation inside a recurrence: forward and backward of one step at a time.   N units."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

aten = torch.ops.aten


class Norm(NamedTuple):
    """Layer normalisation  gain (a - mean) / sqrt(variance + eps) + shift,  over N units (Ba et al. 2016)."""

    gain: Tensor  # (N,)
    shift: Tensor  # (N,)
    eps: float = 1e-5


class Normed:
    """A `Norm` in every step of a recurrence, or none at all if gain is None.

    Calling it in step after step keeps each step's statistics. A second one, made from these for the backward
    pass, sums the gradients of gain and shift in `dgain` and `dshift`.
    """

    def __init__(
        self,
        gain: Tensor | None,
        shift: Tensor | None,
        eps: float,
        statistics: list[tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self.gain, self.shift, self.eps = gain, shift, eps
        self.statistics = [] if statistics is None else statistics
        self.dgain = self.dshift = None if gain is None else torch.zeros_like(gain)

    def __call__(self, a: Tensor) -> Tensor:
        """Normalise a (B, N), the next step's."""
        if self.gain is None:
            return a
        out, mean, scale = torch.native_layer_norm(a, (a.shape[-1],), self.gain, self.shift, self.eps)
        self.statistics.append((mean, scale))
        return out

    def backward(self, dy: Tensor, a: Tensor, t: int) -> Tensor:
        """The gradient for a (B, N) of step t, from that for its normalised values dy (B, N)."""
        if self.gain is None:
            return dy
        da, dgain, dshift = aten.native_layer_norm_backward(
            dy.contiguous(),
            a.contiguous(),
            (a.shape[-1],),
            *self.statistics[t],
            self.gain,
            self.shift,
            [True, True, True],
        )
        self.dgain, self.dshift = self.dgain + dgain, self.dshift + dshift
        return da
