"""The scan of an LSTM on a GPU: a product and a kernel a step.   T steps, B batch, H hidden; blocks i f g o.

Reference: `rnnlit.nn.scan.lstm`, with the same `Inputs`. The differences:

    what surrounds the product in a step is one kernel of `lstm_triton` forwards and one backwards
    from step to step c goes on in float32, however it is stored; so do its gradient and zoneout's part of
    that of h; float64 stays float64
    tanh(norm_c(c')) and the statistics of norm_h and norm_c are not saved but computed again

This module needs triton. `rnnlit.nn.gpu.dispatch` decides when it is used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.nn.gpu.lstm_triton import backward_step, forward_step, launcher, wide
from rnnlit.nn.scan.loop import lstm as lstm_loop
from rnnlit.nn.scan.lstm import Inputs, Masks
from rnnlit.nn.scan.products import Sums, SumsGradient
from rnnlit.nn.scan.steps import EPS, before, each_step, norm_backward, save, saved, twice_differentiable


class Steps(NamedTuple):
    """What the forward pass computes in all steps (T, B, N), and saves."""

    gates: Tensor  # i f g o
    h: Tensor
    c: Tensor
    new_c: Tensor | None  # c', where zoneout makes it another than c
    masked_h: Tensor | None  # m_h h_{t-1}
    product: Tensor | None  # W_hh (m_h h_{t-1}), where it is normalised


class Step(NamedTuple):
    """What a kernel reads and writes in a step (B, N)."""

    gates: Tensor
    h: Tensor
    c: Tensor
    new_c: Tensor | None
    masked_h: Tensor | None
    product: Tensor | None
    mask_h: Any
    mask_g: Tensor | None
    keep_h: Tensor | None
    keep_c: Tensor | None
    da: Tensor | None = None
    dh: Tensor | None = None  # the gradients of h_t and c_t from outside
    dc: Tensor | None = None
    dproduct: Tensor | None = None
    slope: Tensor | None = None  # the gradient of norm_c(c')


class FusedLSTM(torch.autograd.Function):
    """`ScanLSTM` by fused kernels, for the inputs that `dispatch.suits` lets in."""

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """The states h and c of all steps (T, B, H)."""
        a = Inputs(*inputs)
        T, (B, H) = len(a.x), a.h0.shape
        sums = Sums(a.x, a.weight_ih, a.bias, [(0, T)], keeps, a.gain_x, (4 * H,))
        gates, n = sums.block(0, T), T if keeps else 1  # the gates are written in the place of the sums
        empty = gates.new_empty
        h, c = empty(T, B, H), empty(T, B, H)
        new_c = empty(T, B, H) if keeps and a.keep_c is not None else None
        masked_h = None if a.mask_h is None else empty(n, B, H)
        product = None if a.gain_h is None else empty(n, B, 4 * H)
        all_steps, masks, vectors = Steps(gates, h, c, new_c, masked_h, product), *_dense(a)
        steps = [*each_step(Step(*all_steps, *masks), T)]
        cell, old_h = a.c0.to(wide(a.c0.dtype), copy=True), a.h0.contiguous()
        weight_t, kernel = a.weight_hh.t(), launcher(forward_step, B, H, h.dtype, _normed(a))
        read = old_h if masked_h is None else torch.mul(old_h, steps[0].mask_h, out=steps[0].masked_h)
        for s, following in zip(steps, [*steps[1:], None], strict=True):
            if s.product is None:
                s.gates.addmm_(read, weight_t)
            else:
                torch.mm(read, weight_t, out=s.product)
            after: Any = (None, None) if following is None else (following.masked_h, following.mask_h)
            written = s.gates if keeps else None, cell, old_h, s.h, s.c, s.new_c, *after
            kernel(s.gates, *written, s.mask_g, s.keep_h, s.keep_c, vectors.peephole, s.product, *vectors[1:])
            old_h = s.h
            read = old_h if masked_h is None else after[0]
        if keeps:
            save(ctx, a, all_steps, sums.saved)
            ctx.set_materialize_grads(False)
        return h, c

    @staticmethod
    @twice_differentiable(lstm_loop)
    def backward(ctx: Any, dh_outer: Tensor | None, dc_outer: Tensor | None) -> Any:
        """The gradients of all inputs, by the equations of `ScanLSTM.backward`."""
        a, saved_steps, of_sums = saved(ctx)
        wanted: Any = Inputs(*ctx.needs_input_grad[1:])
        T, _, H = saved_steps.h.shape
        gates, h, c, new_c, masked_h, product = saved_steps
        new_c = c if new_c is None else new_c
        da, dc = torch.empty_like(gates), torch.zeros_like(a.c0, dtype=wide(c.dtype)).contiguous()
        dproduct = da if product is None else torch.empty_like(product)
        slope = None if a.gain_c is None else torch.empty_like(c)
        kept_dh = None if a.keep_h is None else torch.zeros_like(dc)
        dh_outer, dc_outer = (None if d is None else d.contiguous() for d in (dh_outer, dc_outer))
        masks, vectors = _dense(a)
        given = Step(gates, h, c, new_c, masked_h, product, *masks)
        given = given._replace(da=da, dh=dh_outer, dc=dc_outer, dproduct=dproduct, slope=slope)
        dh = _backward_steps(a, given, vectors, dc, kept_dh)
        wanted_sums = wanted.x, wanted.weight_ih, wanted.bias, wanted.gain_x
        sums = SumsGradient(a.x, a.weight_ih, a.bias, [(0, T)], wanted_sums, of_sums, a.gain_x, (4 * H,))
        sums.add(da, 0, T)
        read = before(h, a.h0, 0, T) if masked_h is None else masked_h
        dweight_hh: Any = dproduct.flatten(0, 1).t() @ read.flatten(0, 1) if wanted.weight_hh else None
        dgain_h, dshift_h = _dnorm(da, product, a.gain_h, a.shift_h)
        dgain_c, dshift_c = _dnorm(slope, new_c, a.gain_c, a.shift_c)
        return None, *Inputs(
            x=sums.dx,
            weight_ih=sums.dweight.total,
            weight_hh=dweight_hh,
            bias=sums.dbias,
            h0=dh.to(a.h0.dtype),
            c0=dc.to(a.c0.dtype),
            peephole=None if a.peephole is None else _dpeephole(da, before(c, a.c0, 0, T), new_c),
            gain_x=sums.dgain,
            gain_h=dgain_h,
            shift_h=dshift_h,
            gain_c=dgain_c,
            shift_c=dshift_c,
        )


class Vectors(NamedTuple):
    """The parameters that stand beside the weights."""

    peephole: Tensor | None
    gain_h: Tensor | None
    shift_h: Tensor | None
    gain_c: Tensor | None
    shift_c: Tensor | None


def _backward_steps(a: Inputs, given: Step, vectors: Vectors, dc: Tensor, kept_dh: Tensor | None) -> Tensor:
    """Fill da, dproduct and slope of all steps, from the last to the first; return the gradient of h_0."""
    (T, B, H), dtype = given.h.shape, given.h.dtype
    steps = [*each_step(given, T)]
    # W_hh^T dproduct of the following step, of which mask_h is too
    dread = torch.zeros_like(a.h0).contiguous()
    mask_h, kernel = steps[-1].mask_h, launcher(backward_step, B, H, dtype, _normed(a))
    old_cs = [a.c0.contiguous(), *(s.c for s in steps[:-1])]
    norms = vectors.gain_h, vectors.gain_c, vectors.shift_c
    for s, old_c in reversed([*zip(steps, old_cs, strict=True)]):
        of_h = dc, kept_dh, dread, mask_h, s.dh, s.dc
        of_step = s.gates, old_c, s.new_c, s.mask_g, s.keep_h, s.keep_c, vectors.peephole
        kernel(s.da, *of_h, *of_step, s.product, s.dproduct, s.slope, *norms)
        torch.mm(s.dproduct, a.weight_hh, out=dread)
        mask_h = s.mask_h
    dh = dread if mask_h is None else dread * mask_h
    return dh if kept_dh is None else dh + kept_dh


def _dense(a: Inputs) -> tuple[Masks, Vectors]:
    """What a kernel reads, in memory as it reads it: masks (T, B, H) or (1, B, H), and vectors."""
    masks = (m if m is None else m.expand(len(m), *a.h0.shape).contiguous() for m in a.masks)
    vectors = (None if v is None else v.contiguous() for v in (getattr(a, name) for name in Vectors._fields))
    return Masks(*masks), Vectors(*vectors)


def _normed(a: Inputs) -> bool:
    """Whether a step has sums over all units."""
    return a.gain_h is not None or a.gain_c is not None


def _dnorm(dy: Any, x: Any, gain: Tensor | None, shift: Tensor | None) -> tuple[Any, Any]:
    """The gradients of a norm's gain and shift, from those of its values and its argument (T, B, N)."""
    if gain is None:
        return None, None
    statistics = torch.native_layer_norm(x, gain.shape, gain, shift, EPS)[1:]
    return norm_backward(dy, x, *statistics, gain, shift, [False, True, True])[1:]


def _dpeephole(da: Tensor, old_c: Tensor, new_c: Tensor) -> Tensor:
    """The gradient of the peepholes (3, H).   da (T, B, 4H); c_{t-1}, c' (T, B, H)"""
    di, df, _, do = da.chunk(4, 2)
    return torch.stack([(d * c).sum((0, 1)) for d, c in ((di, old_c), (df, old_c), (do, new_c))])
