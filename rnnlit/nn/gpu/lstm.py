"""The scan of an LSTM on a GPU: a product and a kernel a step.   T steps, B batch, H hidden; blocks i f g o.

Reference: `rnnlit.nn.scan.lstm`, with the same `Inputs`. The differences:

    what surrounds the product in a step is one kernel of `lstm_triton` forwards and one backwards
    from step to step c goes on in float32, however it is stored; so do its gradient and zoneout's part of
    that of h; float64 stays float64
    tanh(c') is computed again in the backward pass, not saved
    there is no layer normalisation

This module needs triton. `rnnlit.nn.gpu.dispatch` decides when it is used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnnlit.nn.gpu.lstm_triton import backward_step, forward_step, launcher, wide
from rnnlit.nn.scan.loop import lstm as lstm_loop
from rnnlit.nn.scan.lstm import Inputs, Masks
from rnnlit.nn.scan.steps import before, each_step, save, saved, twice_differentiable


class Steps(NamedTuple):
    """What the forward pass computes in all steps (T, B, N), and saves."""

    gates: Tensor  # i f g o
    h: Tensor
    c: Tensor
    new_c: Tensor | None  # c', where zoneout makes it another than c
    masked_h: Tensor | None  # m_h h_{t-1}


class Step(NamedTuple):
    """What a kernel reads and writes in a step (B, N)."""

    gates: Tensor
    h: Tensor
    c: Tensor
    new_c: Tensor | None
    masked_h: Tensor | None
    mask_h: Any
    mask_g: Tensor | None
    keep_h: Tensor | None
    keep_c: Tensor | None
    da: Tensor | None = None
    dh: Tensor | None = None  # the gradients of h_t and c_t from outside
    dc: Tensor | None = None


class FusedLSTM(torch.autograd.Function):
    """`ScanLSTM` by fused kernels, for the inputs that `dispatch.suits` lets in."""

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """The states h and c of all steps (T, B, H)."""
        a = Inputs(*inputs)
        T, (B, H) = len(a.x), a.h0.shape
        sums = linear(a.x, a.weight_ih, a.bias)  # the gates are written in their place
        h, c, new_c, masked_h = sums.new_empty(T, B, H), sums.new_empty(T, B, H), None, None
        if keeps and a.keep_c is not None:
            new_c = sums.new_empty(T, B, H)
        if a.mask_h is not None:
            masked_h = sums.new_empty(T if keeps else 1, B, H)
        all_steps, masks, peephole = Steps(sums, h, c, new_c, masked_h), *_dense(a)
        steps = [*each_step(Step(*all_steps, *masks), T)]
        cell, old_h = a.c0.to(wide(a.c0.dtype), copy=True), a.h0.contiguous()
        weight_t, kernel = a.weight_hh.t(), launcher(forward_step, B, H, h.dtype)
        read = old_h if masked_h is None else torch.mul(old_h, steps[0].mask_h, out=steps[0].masked_h)
        for s, following in zip(steps, [*steps[1:], None], strict=True):
            s.gates.addmm_(read, weight_t)
            after: Any = (None, None) if following is None else (following.masked_h, following.mask_h)
            written = s.gates if keeps else None, cell, old_h, s.h, s.c, s.new_c, *after
            kernel(s.gates, *written, s.mask_g, s.keep_h, s.keep_c, peephole)
            old_h = s.h
            read = old_h if masked_h is None else after[0]
        if keeps:
            save(ctx, a, all_steps)
            ctx.set_materialize_grads(False)
        return h, c

    @staticmethod
    @twice_differentiable(lstm_loop)
    def backward(ctx: Any, dh_outer: Tensor | None, dc_outer: Tensor | None) -> Any:
        """The gradients of all inputs, by the equations of `ScanLSTM.backward`."""
        a, saved_steps = saved(ctx)
        wanted: Any = Inputs(*ctx.needs_input_grad[1:])
        T, B, H = saved_steps.h.shape
        gates, h, c, new_c, masked_h = saved_steps
        new_c = c if new_c is None else new_c
        da, dc = torch.empty_like(gates), torch.zeros_like(a.c0, dtype=wide(c.dtype)).contiguous()
        kept_dh = None if a.keep_h is None else torch.zeros_like(dc)
        outer = (None if d is None else d.contiguous() for d in (dh_outer, dc_outer))
        masks, peephole = _dense(a)
        steps = [*each_step(Step(gates, h, c, new_c, masked_h, *masks, da, *outer), T)]
        dread = torch.zeros_like(a.h0).contiguous()  # W_hh^T da of the following step, of which mask_h is
        mask_h, kernel = steps[-1].mask_h, launcher(backward_step, B, H, h.dtype)
        old_cs = [a.c0.contiguous(), *(s.c for s in steps[:-1])]
        for s, old_c in reversed([*zip(steps, old_cs, strict=True)]):
            of_h = dc, kept_dh, dread, mask_h, s.dh, s.dc
            kernel(s.da, *of_h, s.gates, old_c, s.new_c, s.mask_g, s.keep_h, s.keep_c, peephole)
            torch.mm(s.da, a.weight_hh, out=dread)
            mask_h = s.mask_h
        dh = dread if mask_h is None else dread * mask_h
        dh = dh if kept_dh is None else dh + kept_dh
        flat = da.flatten(0, 1)
        read = before(h, a.h0, 0, T) if masked_h is None else masked_h
        dx = torch.matmul(da, a.weight_ih) if wanted.x else None
        dweight_ih = flat.t() @ a.x.flatten(0, 1) if wanted.weight_ih else None
        dweight_hh = flat.t() @ read.flatten(0, 1) if wanted.weight_hh else None
        dbias = flat.sum(0) if wanted.bias else None
        dpeephole = None if a.peephole is None else _dpeephole(da, before(c, a.c0, 0, T), new_c)
        states = dh.to(a.h0.dtype), dc.to(a.c0.dtype)
        gradients: Any = dx, dweight_ih, dweight_hh, dbias, *states, *[None] * 4, dpeephole
        return None, *Inputs(*gradients)


def _dense(a: Inputs) -> tuple[Masks, Tensor | None]:
    """Masks and peepholes in memory as the kernels read them: (T, B, H) or (1, B, H), and (3, H)."""
    masks = (m if m is None else m.expand(len(m), *a.h0.shape).contiguous() for m in a.masks)
    return Masks(*masks), None if a.peephole is None else a.peephole.contiguous()


def _dpeephole(da: Tensor, old_c: Tensor, new_c: Tensor) -> Tensor:
    """The gradient of the peepholes (3, H).   da (T, B, 4H); c_{t-1}, c' (T, B, H)"""
    di, df, _, do = da.chunk(4, 2)
    return torch.stack([(d * c).sum((0, 1)) for d, c in ((di, old_c), (df, old_c), (do, new_c))])
