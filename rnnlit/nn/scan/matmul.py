"""Products with a weight matrix, many in turn, by the quicker of two ways: those of a recurrence.

torch.mm repacks the weights at every call. oneDNN, which torch contains, can keep them packed, and on some
processors its product is quicker anyway. Its operators are torch's own but not public, so they are tried once
for each size: they must exist, agree with torch.mm, and be quicker. Otherwise torch.mm does the work.

The two round differently, and which is quicker is measured; so two runs may differ in the last bits where the
weights have 2**16 numbers or more. torch.use_deterministic_algorithms(True) leaves the work to torch.mm, and
so does torch.export.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch
from torch import Tensor

FEW = 16  # products, for which packing the weights, which costs about as much as one, is not worth a thought
MANY = 512  # rows, for which it always is; all larger products of a size take the same way
SMALL = 2**16  # numbers in the weights, below which packing gains nothing


class Product:
    """A matrix that many small batches meet in turn.   weight (N, K)

    batch: how many rows at a time;   uses: how many products are to come
    bias (N,): what `times` adds to each product, at no cost, if given
    """

    def __init__(self, weight: Tensor, batch: int, uses: int, bias: Tensor | None = None) -> None:
        self.weight_t, self.bias = weight.t(), bias
        self.packed = _pack(weight, batch) if _packs(weight, batch, uses) else None

    def times(self, h: Tensor) -> Tensor:
        """h W^T + bias.   h (batch, K)  ->  (batch, N)"""
        if self.packed is not None:
            return _linear(h, self.packed, self.bias)
        return torch.mm(h, self.weight_t) if self.bias is None else torch.addmm(self.bias, h, self.weight_t)

    def add(self, a: Tensor, h: Tensor, *, out: Tensor) -> Tensor:
        """a + h W^T, without the bias, written to `out`.   a (batch, N), h (batch, K)"""
        if self.packed is None:
            return torch.addmm(a, h, self.weight_t, out=out)
        return torch.add(a, _linear(h, self.packed), out=out)


def _packs(weight: Tensor, batch: int, uses: int) -> bool:
    if uses < FEW and uses * batch < MANY:
        return False
    if torch.are_deterministic_algorithms_enabled() or torch.compiler.is_compiling():
        return False
    rows = min(MANY, 1 << (batch - 1).bit_length())  # a probe for each power of two is enough
    return packing_pays(rows, *weight.shape, weight.dtype, weight.device.type, torch.get_num_threads())


@functools.cache
def packing_pays(batch: int, N: int, K: int, dtype: torch.dtype, device: str, threads: int) -> bool:
    """Whether oneDNN's packed product is there, agrees with torch.mm, and is quicker, at this size."""
    if device != "cpu" or dtype != torch.float32 or N * K < SMALL:
        return False
    generator = torch.Generator("cpu").manual_seed(0)
    weight = torch.randn(N, K, generator=generator, dtype=dtype, device="cpu")
    h = torch.randn(batch, K, generator=generator, dtype=dtype, device="cpu")
    try:
        packed = _pack(weight, batch)
        agrees = (_linear(h, packed) - torch.mm(h, weight.t())).abs().max() < 1e-5 * K**0.5  # sums of size √K
    except (AttributeError, RuntimeError):  # another version of torch
        return False
    if not bool(agrees):
        return False
    plain, quick = [], []
    weight_t = weight.t()
    for _ in range(12):  # in turn, so that a slow moment meets both
        plain.append(_seconds(lambda: torch.mm(h, weight_t)))
        quick.append(_seconds(lambda: _linear(h, packed)))
        if sum(plain) > 0.25:  # seconds
            break
    return sorted(quick)[len(quick) // 4] < 0.95 * sorted(plain)[len(plain) // 4]


def _seconds(product: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    product()
    return time.perf_counter() - start


def _pack(weight: Tensor, batch: int) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), batch)


def _linear(h: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(h, packed, bias, "none", [], "")
