"""Layer normalisation inside a recurrence: forward and backward of one step at a time.   N units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

aten = torch.ops.aten
EPS = 1e-5


class Norm(NamedTuple):
    """Layer normalisation  gain (a - mean) / sqrt(variance + eps) + shift,  over N units (Ba et al. 2016)."""

    gain: Tensor  # (N,)
    shift: Tensor  # (N,)
    eps: float = EPS


class Normed:
    """A `Norm` in every step of a recurrence, or none at all if gain is None.

    Calling it in step after step keeps each step's statistics. A second one, made from these for the backward
    pass, takes the gradient back through each step, and sums those of gain and shift, a block of steps at a
    time, in `dgain` and `dshift`.
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
        return _back(dy, a, *self.statistics[t], self.gain, self.shift, [True, False, False])[0]

    def add(self, dy: Tensor, a: Tensor, start: int) -> None:
        """Add to the gradients of gain and shift those of a block of steps from start on.

        dy, a (n, B, N): what `backward` took in these steps
        """
        if self.gain is None:
            return
        block = self.statistics[start : start + len(dy)]
        mean, scale = (torch.stack(one) for one in zip(*block, strict=True))
        _, dgain, dshift = _back(dy, a, mean, scale, self.gain, self.shift, [False, True, True])
        self.dgain, self.dshift = self.dgain + dgain, self.dshift + dshift


class NormedParts:
    """Layer normalisation of a block of n steps, in parts of N, each with a mean and a scale of its own."""

    def __init__(self, parts: tuple[int, ...], gain: Tensor, shift: Tensor) -> None:
        self.parts = parts
        self.gains, self.shifts = gain.split(parts), shift.split(parts)

    def __call__(self, a: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Normalise a (n, B, N); and what `backward` needs beside it."""
        results = [
            torch.native_layer_norm(part, part.shape[-1:], gain, shift, EPS)
            for part, gain, shift in zip(a.split(self.parts, -1), self.gains, self.shifts, strict=True)
        ]
        return _together([result[0] for result in results]), [x for result in results for x in result[1:]]

    def backward(self, dy: Tensor, a: Tensor, statistics: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients for a, gain and shift, from that for the normalised values."""
        parts = zip(dy.split(self.parts, -1), a.split(self.parts, -1), self.gains, self.shifts, strict=True)
        results = [
            _back(dy_p, a_p, *statistics[2 * p : 2 * p + 2], gain, shift, [True, True, True])
            for p, (dy_p, a_p, gain, shift) in enumerate(parts)
        ]
        da, dgain, dshift = (_together(list(one)) for one in zip(*results, strict=True))
        return da, dgain, dshift


def _back(dy: Tensor, a: Tensor, *more: Any) -> tuple[Any, ...]:
    """The gradients for a, gain and shift. more: mean, scale, gain, shift, and which gradients are wanted"""
    return aten.native_layer_norm_backward(dy.contiguous(), a.contiguous(), a.shape[-1:], *more)


def _together(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)
