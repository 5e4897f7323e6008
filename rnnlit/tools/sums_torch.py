"""What enters a recurrence from outside, W_ih x + b, a block of steps at a time; and the weights' gradients.

T steps, n of them in a block, B batch, I inputs, N sums.

A product of all steps at once writes T B N numbers to memory, and the recurrence reads them again; so does
their gradient on the way back. Taken block by block both stay in the processor's cache.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rnnlit.tools.matmul_torch import Product


class Affine(NamedTuple):
    """W x + b, still to be computed.   x (T, B, I), weight (N, I), bias (N,) or None"""

    x: Tensor
    weight: Tensor
    bias: Tensor | None = None


# Sums that are there (T, B, N), or an Affine, as the arguments of an autograd function; and their gradients.
Arguments = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]


def arguments(sums: Tensor | Affine) -> Arguments:
    """Sums (T, B, N), or what they are made of, as the first four arguments of a scan's function."""
    return (None, *sums) if isinstance(sums, Affine) else (sums, None, None, None)


def sums_of(given: Arguments, size: int, wanted: tuple[bool, ...] | None = None) -> GivenSums | AffineSums:
    """The sums, block by block, and on the way back what their gradient means for x, W and b.

    size: n, the steps of a block;   wanted: on the way back, which of the arguments need a gradient
    """
    sums, x, weight, bias = given
    if sums is not None:
        return GivenSums(sums, wanted)
    assert x is not None and weight is not None
    return AffineSums(Affine(x, weight, bias), size, wanted)


class GivenSums:
    """Sums that are there already."""

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
        return self.gradient, None, None, None


class AffineSums:
    """Sums that are computed block by block."""

    def __init__(self, affine: Affine, size: int, wanted: tuple[bool, ...] | None) -> None:
        self.x, weight, bias = affine
        T, B, _ = self.x.shape
        rows, uses = size * B, -(-T // size)
        if wanted is None:
            self.product = Product(weight, rows, uses, bias)
            return
        _, for_x, for_weight, for_bias = wanted[:4]
        self.product = Product(weight.t(), rows, uses)
        self.dx = torch.empty_like(self.x) if for_x else None
        self.dweight = WeightGradient(weight, for_weight)
        self.dbias = torch.zeros_like(bias) if bias is not None and for_bias else None

    def block(self, start: int, end: int) -> Tensor:
        """The sums (n, B, N) of the steps from start to end."""
        x = self.x[start:end]
        return self.product.times(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def room(self, start: int, end: int, spare: Tensor) -> Tensor:
        """Where the gradient of a block's sums (n, B, N) is to be written; spare has n steps or more."""
        return spare[: end - start]

    def take(self, start: int, end: int, da: Tensor) -> None:
        """Go on from the gradient of a block's sums, da (n, B, N), to those of x, W and b."""
        if self.dx is not None:
            self.dx[start:end] = self.product.times(da.flatten(0, 1)).unflatten(0, da.shape[:2])
        self.dweight.add(da, self.x[start:end])
        if self.dbias is not None:
            self.dbias += da.sum((0, 1))

    @property
    def gradients(self) -> Arguments:
        """In the order of the arguments."""
        return None, self.dx, self.dweight.total, self.dbias


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
