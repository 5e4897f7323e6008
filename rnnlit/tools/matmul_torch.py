"""The recurrent product h W^T, taken once in every step, by the quicker of two ways.

torch.mm repacks the weights at every call. oneDNN, which torch contains, can keep them packed; on some
processors that is much quicker, on others not. Its operators are torch's own but not public, so they are
tried once for each size: they must exist, agree with torch.mm, and be quicker. Otherwise torch.mm does the
work.

The two round differently, and which is quicker is measured; so two runs may differ in the last bits.
torch.use_deterministic_algorithms(True) leaves the work to torch.mm, and so does torch.export.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch
from torch import Tensor

FEW = 16  # products, for which packing the weights, which costs about as much as one, is not worth a thought


class Recurrent:
    """A matrix that many small batches meet in turn.   weight (N, K)

    batch: how many rows at a time;   uses: how many products are to come
    bias (N,): what `times` adds to each product, at no cost, if given
    """

    def __init__(self, weight: Tensor, batch: int, uses: int, bias: Tensor | None = None) -> None:
        self.weight_t, self.bias = weight.t(), bias
        self.packed: Tensor | None = None
        settled = torch.are_deterministic_algorithms_enabled() or torch.compiler.is_compiling()
        if settled or uses < FEW:
            return
        if packing_pays(batch, *weight.shape, weight.dtype, weight.device.type, torch.get_num_threads()):
            self.packed = _pack(weight, batch)

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


@functools.cache
def packing_pays(batch: int, N: int, K: int, dtype: torch.dtype, device: str, threads: int) -> bool:
    """Whether oneDNN's packed product is there, agrees with torch.mm, and is quicker, at this size."""
    if device != "cpu" or dtype != torch.float32 or N * K < 64 * 64:
        return False
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(N, K, generator=generator)
    h = torch.randn(batch, K, generator=generator)
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
    return sorted(quick)[3] < 0.95 * sorted(plain)[3]


def _seconds(product: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    product()
    return time.perf_counter() - start


def _pack(weight: Tensor, batch: int) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), batch)


def _linear(h: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(h, packed, bias, "none", [], "")
