"""What enters a recurrence from outside, W_ih x + b, a block of steps at a time; and the weights' gradients.

T steps, n of them in a block, B batch, I inputs, N sums.

A product of all steps at once writes T B N numbers to memory, and the recurrence reads them again; so does
their gradient on the way back. Taken block by block both stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.nn.scan.matmul import Product
from rnnlit.nn.scan.norm import NormedParts


class Affine(NamedTuple):
    """W x + b, still to be computed.   x (T, B, I), weight (N, I), bias (N,) or None

    gain (N,): W x is normalised, times this, before b is added (`rnnlit.nn.scan.norm.Norm`), each of the
    parts of N, such as (2H, H), with a mean and a scale of its own. b is there then.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None = None
    gain: Tensor | None = None
    parts: tuple[int, ...] = ()


# Sums that are there (T, B, N), or an Affine, as the arguments of an autograd function; and their gradients.
Arguments = tuple[Any, ...]


def arguments(sums: Tensor | Affine) -> Arguments:
    """Sums (T, B, N), or what they are made of, as the first six arguments of a scan's function."""
    return (None, *sums) if isinstance(sums, Affine) else (sums, None, None, None, None, ())


def sums_of(
    given: Arguments,
    size: int,
    *,
    keeps: bool = False,
    wanted: tuple[bool, ...] | None = None,
    kept: Sequence[Tensor] = (),
) -> GivenSums | AffineSums:
    """The sums, block by block, and on the way back what their gradient means for x, W, b and the gain.

    size: n, the steps of a block;   keeps: on the way forward, whether a way back can come
    wanted: on the way back, which of the arguments need a gradient
    kept: on the way back, what the way forward had in `kept` at its end
    """
    if given[0] is not None:
        return GivenSums(given[0], wanted)
    return AffineSums(Affine(*given[1:]), size, keeps, wanted, kept)


class GivenSums:
    """Sums that are there already."""

    kept: tuple[Tensor, ...] = ()

    def __init__(self, sums: Tensor, wanted: tuple[bool, ...] | None) -> None:
        self.sums, self.gradient = sums, None if wanted is None else torch.empty_like(sums)

    def block(self, start: int, end: int) -> Tensor:
        """The sums (n, B, N) of the steps from start to end."""
        return self.sums[start:end]

    def room(self, start: int, end: int, spare: Tensor) -> Tensor:
        """Where the gradient of a block's sums (n, B, N) is to be written."""
        return spare[: end - start] if self.gradient is None else self.gradient[start:end]

    def take(self, start: int, end: int, da: Tensor) -> None:
        """Nothing is left to be done: the gradient stands in its room."""

    @property
    def gradients(self) -> Arguments:
        """In the order of the arguments."""
        return self.gradient, None, None, None, None, None


class AffineSums:
    """Sums that are computed block by block."""

    def __init__(
        self,
        affine: Affine,
        size: int,
        keeps: bool,
        wanted: tuple[bool, ...] | None,
        kept: Sequence[Tensor],
    ) -> None:
        self.x, weight, bias, gain, parts = affine
        T, B, _ = self.x.shape
        rows, uses = size * B, -(-T // size)
        self.size, self.keeps = size, keeps
        self.kept = [*kept]  # W x of each block, and its statistics, if it is normalised
        self.norm = None
        if gain is not None:
            assert bias is not None
            self.norm = NormedParts(parts, gain, bias)
        if wanted is None:
            self.product = Product(weight, rows, uses, bias if gain is None else None)
            return
        _, for_x, for_weight, for_bias, for_gain = wanted[:5]
        self.product = Product(weight.t(), rows, uses)
        self.dx = torch.empty_like(self.x) if for_x else None
        self.dweight = WeightGradient(weight, for_weight)
        self.dbias = torch.zeros_like(bias) if bias is not None and for_bias else None
        self.dgain = torch.zeros_like(gain) if gain is not None and for_gain else None

    def block(self, start: int, end: int) -> Tensor:
        """The sums (n, B, N) of the steps from start to end."""
        x = self.x[start:end]
        sums = self.product.times(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        if self.norm is None:
            return sums
        normed, statistics = self.norm(sums)
        if self.keeps:
            self.kept += [sums, *statistics]
        return normed

    def room(self, start: int, end: int, spare: Tensor) -> Tensor:
        """Where the gradient of a block's sums (n, B, N) is to be written; spare has n steps or more."""
        return spare[: end - start]

    def take(self, start: int, end: int, da: Tensor) -> None:
        """Go on from the gradient of a block's sums, da (n, B, N), to those of x, W, b and the gain."""
        if self.norm is not None:
            each, block = 1 + 2 * len(self.norm.parts), start // self.size
            sums, *statistics = self.kept[block * each : (block + 1) * each]
            da, dgain, dbias = self.norm.backward(da, sums, statistics)
            if self.dgain is not None:
                self.dgain += dgain
            if self.dbias is not None:
                self.dbias += dbias
        elif self.dbias is not None:
            self.dbias += da.sum((0, 1))
        if self.dx is not None:
            self.dx[start:end] = self.product.times(da.flatten(0, 1)).unflatten(0, da.shape[:2])
        self.dweight.add(da, self.x[start:end])

    @property
    def gradients(self) -> Arguments:
        """In the order of the arguments."""
        return None, self.dx, self.dweight.total, self.dbias, self.dgain, None


class WeightGradient:
    """The gradient of W in y = W seen, summed over blocks of steps.   weight (N, K)

    It is gathered as (K, N): that product is the quicker one of the two, if anything.
    """

    def __init__(self, weight: Tensor, wanted: bool) -> None:
        self.sum = weight.new_zeros(weight.shape[1], weight.shape[0]) if wanted else None

    def add(self, dy: Tensor, seen: Tensor, rows: slice = slice(None)) -> None:
        """Add a block's.   dy (n, B, N), seen (n, B, K); rows: which of W these N are"""
        if self.sum is not None:
            self.sum[:, rows].addmm_(seen.flatten(0, 1).t(), dy.flatten(0, 1))

    @property
    def total(self) -> Tensor | None:
        """(N, K), or None if it is not wanted."""
        return None if self.sum is None else self.sum.t().contiguous()
