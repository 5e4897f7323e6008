"""The matrix products of a scan: with W_hh in every step, with W_ih by blocks of steps, and for gradients.

T steps, n of them in a block, B batch, I inputs, N and K units.

A product of all steps at once writes T B N numbers to memory, and the recurrence reads them again; so does
their gradient in the backward pass. Taken block by block both stay in the processor's cache.

torch.mm packs the weights anew at every call; oneDNN, which torch contains, can keep them packed. Where it
was measured, on an Intel Xeon, a training pass then took 0.98 to 1.12 times as long, so it is off.
RNNLIT_PACKING=1 in the environment, or `with PACKING.set(True):`, turns it on, for weights of 2**16 numbers
and more; its results are torch.mm's to within rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnlit.nn.scan.steps import BlockNorm
from rnnlit.tools.private_torch import pack, packed_linear
from rnnlit.tools.switch import Switch

PACKING = Switch("RNNLIT_PACKING")
FEWEST_USES = 16  # of packed weights: packing costs about as much as a product
FEWEST_NUMBERS = 2**16  # in the weights: below, there is nothing to gain


class Product:
    """The product of one matrix with many small batches in turn.   weight (N, K)

    batch: number of rows in each;   uses: number of products to come
    bias (N,): what `times` adds to each product, at no cost, if given
    """

    def __init__(self, weight: Tensor, batch: int, uses: int, bias: Tensor | None = None) -> None:
        self.weight_t, self.bias = weight.t(), bias
        packs = PACKING.on and uses >= FEWEST_USES and weight.numel() >= FEWEST_NUMBERS
        self.packed = pack(weight, batch) if packs else None

    def times(self, h: Tensor) -> Tensor:
        """h W^T + bias.   h (batch, K)  ->  (batch, N)"""
        if self.packed is not None:
            return packed_linear(h, self.packed, self.bias)
        return torch.mm(h, self.weight_t) if self.bias is None else torch.addmm(self.bias, h, self.weight_t)

    def add(self, a: Tensor, h: Tensor, *, out: Tensor) -> Tensor:
        """a + h W^T, without the bias, written to `out`.   a (batch, N), h (batch, K)"""
        if self.packed is None:
            return torch.addmm(a, h, self.weight_t, out=out)
        return torch.add(a, packed_linear(h, self.packed), out=out)


class Sums:
    """W x + b a block of steps at a time; with a gain it is  norm(W x) + b.   x (T, B, I), weight (N, I)

    bias (N,): b, or None;   gain (N,): of the normalisation, whose shift is b then
    sizes: the parts of N, such as (2H, H), that are normalised on their own
    keeps: whether a backward pass can come; then `saved` has what it needs
    """

    def __init__(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        blocks: Sequence[tuple[int, int]],
        keeps: bool,
        gain: Tensor | None = None,
        sizes: tuple[int, ...] = (),
    ) -> None:
        self.x, self.keeps, self.saved = x, keeps, list[Tensor]()
        self.norm = norm_of(gain, bias, sizes)
        rows = blocks[0][1] * x.shape[1]
        self.product = Product(weight, rows, len(blocks), bias if gain is None else None)

    def block(self, start: int, end: int) -> Tensor:
        """Those of the steps from start to end, (n, B, N)."""
        x = self.x[start:end]
        sums = self.product.times(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        if self.norm is None:
            return sums
        normed, statistics = self.norm(sums)
        if self.keeps:
            self.saved += [sums, *statistics]
        return normed


class SumsGradient:
    """The gradients of x, W, b and the gain of `Sums`, from that of the sums a block of steps at a time.

    wanted: which of the four are wanted;   saved: that of the `Sums`
    """

    def __init__(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        blocks: Sequence[tuple[int, int]],
        wanted: tuple[bool, bool, bool, bool],
        saved: Sequence[Tensor] = (),
        gain: Tensor | None = None,
        sizes: tuple[int, ...] = (),
    ) -> None:
        for_x, for_weight, for_bias, for_gain = wanted
        self.x, self.saved, self.norm = x, list(saved), norm_of(gain, bias, sizes)
        self.product = Product(weight.t(), blocks[0][1] * x.shape[1], len(blocks))
        self.dx: Any = torch.empty_like(x) if for_x else None
        self.dweight = WeightGradient(weight, for_weight)
        self.dbias = torch.zeros_like(bias) if bias is not None and for_bias else None
        self.dgain = torch.zeros_like(gain) if gain is not None and for_gain else None

    def add(self, da: Tensor, start: int, end: int) -> None:
        """Add a block's, the last one first.   da (n, B, N): the gradient of its sums"""
        if self.norm is not None:
            first = len(self.saved) - 1 - 2 * len(self.norm.sizes)
            (sums, *statistics), self.saved = self.saved[first:], self.saved[:first]
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


def norm_of(gain: Tensor | None, shift: Tensor | None, sizes: tuple[int, ...]) -> BlockNorm | None:
    """The normalisation with this gain, or None without one."""
    return None if gain is None or shift is None else BlockNorm(sizes, gain, shift)


class WeightGradient:
    """The gradient of W in y = W x, summed over blocks of steps.   weight (N, K)

    The sum is stored transposed, (K, N), because that product is at least as fast as the other.
    """

    def __init__(self, weight: Tensor, wanted: bool) -> None:
        self.sum = weight.new_zeros(weight.shape[1], weight.shape[0]) if wanted else None

    def add(self, dy: Tensor, x: Tensor, rows: slice = slice(None)) -> None:
        """Add a block's.   dy (n, B, N), x (n, B, K); rows: which rows of W these N are"""
        if self.sum is not None:
            self.sum[:, rows].addmm_(x.flatten(0, 1).t(), dy.flatten(0, 1))

    @property
    def total(self) -> Any:
        """(N, K), or None if it is not wanted."""
        return None if self.sum is None else self.sum.t().contiguous()
