"""The scan of a plain network.   T steps, B batch, I inputs, H hidden.

sums = W_ih x + b
a    = norm(sums_t + W_hh (m_h h_{t-1}))
h_t  = k_h h_{t-1} + (1 - k_h) tanh(a)               or relu(a)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.nn.scan.loop import rnn as rnn_loop
from rnnlit.nn.scan.products import Product, Sums, SumsGradient, WeightGradient
from rnnlit.nn.scan.steps import (
    StepNorm,
    before,
    blocks_of,
    each_step,
    goes_by_sigmoid,
    part,
    parts,
    save,
    saved,
    tanh,
    twice_differentiable,
)

aten = torch.ops.aten


class Inputs(NamedTuple):
    """All that the scan takes; its gradients have the same fields. None leaves an option out."""

    x: Tensor  # (T, B, I)
    weight_ih: Tensor  # (H, I)
    weight_hh: Tensor  # (H, H)
    bias: Tensor | None  # (H,)
    h0: Tensor  # (B, H)
    relu: bool | None = False
    mask_h: Tensor | None = None  # m_h (Gal & Ghahramani 2016); masks are (T, B, H) or (1, B, H)
    keep_h: Tensor | None = None  # k_h, zoneout (Krueger et al. 2017)
    gain: Tensor | None = None  # (H,) of norm (Ba et al. 2016)
    shift: Tensor | None = None

    @property
    def masks(self) -> Masks:
        """What may be another one in every step."""
        return Masks(self.mask_h, self.keep_h)


class Masks(NamedTuple):
    """The masks of all steps (T, B, H)."""

    mask_h: Tensor | None
    keep_h: Tensor | None


class Steps(NamedTuple):
    """What the forward pass computes in all steps (T, B, H), and saves."""

    h: Tensor
    new_h: Tensor  # tanh(a)
    masked_h: Tensor | None  # m_h h_{t-1}
    total: Tensor | None  # sums_t + W_hh (m_h h_{t-1}), where it is normalised


class Step(NamedTuple):
    """What the forward pass reads and writes in a block of steps (n, B, H), or in one (B, H)."""

    sums: Tensor
    h: Tensor
    new_h: Tensor
    masked_h: Tensor | None
    total: Tensor | None
    mask_h: Tensor | None
    keep_h: Tensor | None


class Gradients(NamedTuple):
    """What the backward pass needs in a block of steps (n, B, H), or in one (B, H)."""

    dtotal: Tensor  # the gradient of what is normalised; that of a itself, where nothing is
    da: Tensor
    new_h: Tensor
    total: Tensor | None
    mask_h: Tensor | None
    keep_h: Tensor | None
    dh: Tensor  # the gradient of h_t from outside


class Cell(NamedTuple):
    """What all steps share."""

    product: Product  # with W_hh; in the backward pass with its transpose
    norm: StepNorm
    relu: bool
    by_sigmoid: bool


class ScanRNN(torch.autograd.Function):
    """The equations above as one node of autograd's graph:  (h,) = ScanRNN.apply(keeps, *Inputs(...)).

    keeps: whether a backward pass can come, so that all steps are saved;   h (T, B, H)
    """

    loop = staticmethod(rnn_loop)

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """The states of all steps."""
        a = Inputs(*inputs)
        T, (B, H), empty = len(a.x), a.h0.shape, a.h0.new_empty
        blocks, n = blocks_of(T, B, a.h0.device), T if keeps else 1
        sums = Sums(a.x, a.weight_ih, a.bias, blocks, keeps)
        cell = _cell(a, Product(a.weight_hh, B, T), StepNorm(a.gain, a.shift))
        h = empty(T, B, H)
        new_h = h if a.keep_h is None else empty(n, B, H)
        options = (None if option is None else empty(n, B, H) for option in (a.mask_h, a.gain))
        steps, old = Steps(h, new_h, *options), a.h0
        for start, end in blocks:
            block, masks = parts(steps, start, end), parts(a.masks, start, end)
            views = Step(sums=sums.block(start, end), **block._asdict(), **masks._asdict())
            for s in each_step(views, end - start):
                _step(cell, s, old)
                old = s.h
        if keeps:
            save(ctx, a, steps, cell.norm.statistics, sums.saved)
        return (steps.h,)

    @staticmethod
    @twice_differentiable(rnn_loop)
    def backward(ctx: Any, dh_outer: Tensor) -> Any:
        """The gradients of all inputs, from that of h; from the last step to the first

            da       = dh (1 - k_h) (1 - tanh(a)^2)               or dh (1 - k_h) where relu(a) > 0
            dh_{t-1} = m_h W_hh^T norm'(da) + k_h dh

        where norm'(.) is the gradient through norm. That of the sums is norm'(da).
        """
        a, steps, of_norm, of_sums = saved(ctx)
        wanted: Any = Inputs(*ctx.needs_input_grad[1:])
        T, B, H = steps.h.shape
        blocks = blocks_of(T, B, a.h0.device)
        wanted_sums = wanted.x, wanted.weight_ih, wanted.bias, False
        sums = SumsGradient(a.x, a.weight_ih, a.bias, blocks, wanted_sums, of_sums)
        cell = _cell(a, Product(a.weight_hh.t(), B, T), StepNorm(a.gain, a.shift, of_norm))
        dweight_hh, dh = WeightGradient(a.weight_hh, wanted.weight_hh), torch.zeros_like(a.h0)
        dtotals = a.h0.new_empty(blocks[0][1], B, H)  # of one block after another
        das = dtotals if a.gain is None else torch.empty_like(dtotals)
        for start, end in reversed(blocks):
            n, old_h = end - start, before(steps.h, a.h0, start, end)
            s, m = parts(steps, start, end), parts(a.masks, start, end)
            block = Gradients(
                dtotal=dtotals[:n],
                da=das[:n],
                new_h=s.new_h,
                total=s.total,
                dh=part(dh_outer, start, end),
                **m._asdict(),
            )
            for t, d in reversed([*enumerate(each_step(block, n), start)]):
                dh = _backward_step(cell, d, dh, t)
            dweight_hh.add(block.dtotal, old_h if s.masked_h is None else s.masked_h)
            sums.add(block.dtotal, start, end)
            cell.norm.add(block.da, s.total, start)
        return None, *Inputs(
            x=sums.dx,
            weight_ih=sums.dweight.total,
            weight_hh=dweight_hh.total,
            bias=sums.dbias,
            h0=dh,
            relu=None,
            gain=cell.norm.dgain,
            shift=cell.norm.dshift,
        )


def _cell(a: Inputs, product: Product, norm: StepNorm) -> Cell:
    """What all steps of a pass share."""
    return Cell(product, norm, bool(a.relu), goes_by_sigmoid(a.h0))


def _step(cell: Cell, s: Step, h: Tensor) -> None:
    """A step from the state h (B, H); all that it computes is written to s."""
    # a = norm(sums + W_hh (m_h h))
    masked_h = h if s.mask_h is None else torch.mul(h, s.mask_h, out=s.masked_h)
    if s.total is None:
        cell.product.add(s.sums, masked_h, out=s.new_h)
    else:
        s.new_h.copy_(cell.norm(cell.product.add(s.sums, masked_h, out=s.total)))
    # h_t = k_h h + (1 - k_h) tanh(a)
    s.new_h.relu_() if cell.relu else tanh(s.new_h, s.new_h, cell.by_sigmoid)
    if s.keep_h is not None:
        torch.lerp(s.new_h, h, s.keep_h, out=s.h)


def _backward_step(cell: Cell, d: Gradients, dh: Tensor, t: int) -> Tensor:
    """From dh at h_t (B, H), without that from outside, to that at h_{t-1}."""
    dh += d.dh
    kept_dh = None if d.keep_h is None else dh * d.keep_h
    if kept_dh is not None:
        dh -= kept_dh
    # da = dh (1 - k_h) (1 - tanh(a)^2)
    if cell.relu:
        torch.mul(dh, d.new_h > 0, out=d.da)
    else:
        aten.tanh_backward.grad_input(dh, d.new_h, grad_input=d.da)
    # dh_{t-1} = m_h W_hh^T norm'(da) + k_h dh
    if d.total is not None:
        d.dtotal.copy_(cell.norm.backward(d.da, d.total, t))
    old_dh = cell.product.times(d.dtotal)
    if d.mask_h is not None:
        old_dh *= d.mask_h
    if kept_dh is not None:
        old_dh += kept_dh
    return old_dh
