"""The scan of an LSTM on a GPU: a product and a kernel a step.   T steps, B batch, H hidden; gates i f g o.

Reference: `rnnlit.scan_torch.lstm`. The differences:

    what surrounds the product in a step is one kernel of `rnnlit.lstm_triton` forwards and one backwards
    from step to step c goes on in float32, however it is stored; so do its gradient and zoneout's part of
    that of h; float64 stays float64
    tanh(c') is computed again in the backward pass, not kept
    there is no layer normalisation

This module needs triton. `rnnlit.scan_gpu_torch` decides when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnlit.lstm_triton import backward_step, forward_step, launcher, wide
from rnnlit.tools.steps_torch import first_derivative_only


class FusedLSTM(torch.autograd.Function):
    """`rnnlit.scan_torch.lstm` as one node of the graph, for what `scan_gpu_torch.suits` lets in."""

    @staticmethod
    def forward(
        ctx: Any,
        keeps: bool,
        gates: Tensor,
        weight_hh: Tensor,
        h0: Tensor,
        c0: Tensor,
        *options: Tensor | None,
    ) -> Any:
        """Run all steps; if `keeps`, keep what `backward` needs: the gates and the states.

        options: mask_h, mask_g, mask_c, keep_h, keep_c, peephole
        """
        T, B, G = gates.shape
        H = G // 4
        *masks, peephole = _dense(options, B, H)
        mask_h, keep_c = masks[0], masks[4]
        h, c, cell = gates.new_empty(T, B, H), gates.new_empty(T, B, H), c0.to(wide(c0.dtype), copy=True)
        # The product is added to the gates where these may be overwritten: in a copy.
        kept = gates.clone(memory_format=torch.contiguous_format) if keeps else None
        y = None if keeps else gates.new_empty(B, G)
        masked = None if mask_h is None else gates.new_empty(T if keeps else 1, B, H)
        fresh = None if not keeps or keep_c is None else gates.new_empty(T, B, H)
        steps = (gates.contiguous() if kept is None else kept, kept, h, c, fresh, masked, *masks)
        gates_t, kept_t, h_t, c_t, fresh_t, masked_t, m_h, m_g, m_c, k_h, k_c = (_each(x, T) for x in steps)
        seen: Any
        weight_t, old_h, run = weight_hh.t(), h0.contiguous(), launcher(forward_step, B, H, h.dtype)
        seen = old_h if masked is None else torch.mul(old_h, m_h[0], out=masked_t[0])
        for t in range(T):
            if y is None:
                gates_t[t].addmm_(seen, weight_t)
            else:
                torch.mm(seen, weight_t, out=y)
            then = (masked_t[t + 1], m_h[t + 1]) if t + 1 < T else (None, None)
            states = cell, old_h, h_t[t], c_t[t], fresh_t[t]
            run(gates_t[t], y, kept_t[t], *states, *then, m_g[t], m_c[t], k_h[t], k_c[t], peephole)
            old_h = h_t[t]
            seen = old_h if masked is None else then[0]
        if keeps:
            ctx.save_for_backward(weight_hh, h0, c0, kept, h, c, fresh, masked, *options)
            ctx.set_materialize_grads(False)
        return h, c

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, outer_h: Tensor | None, outer_c: Tensor | None) -> Any:
        """The gradients for all that `forward` took, step by step from the end."""
        weight_hh, h0, c0, kept, h, c, fresh, masked, *options = ctx.saved_tensors
        T, B, G = kept.shape
        H = G // 4
        *masks, peephole = _dense(options, B, H)
        mask_h, keep_h = masks[0], masks[3]
        fresh = c if fresh is None else fresh
        da, dc = torch.empty_like(kept), c0.new_zeros(B, H, dtype=wide(c0.dtype))
        stays = None if keep_h is None else torch.zeros_like(dc)
        y = h0.new_zeros(B, H)
        outer = (None if d is None else d.contiguous() for d in (outer_h, outer_c))
        steps = (da, kept, fresh, c, *outer, *masks)
        da_t, kept_t, fresh_t, c_t, out_h, out_c, m_h, m_g, m_c, k_h, k_c = (_each(x, T) for x in steps)
        first, run = c0.contiguous(), launcher(backward_step, B, H, h.dtype)
        for t in reversed(range(T)):
            old_c = c_t[t - 1] if t else first
            came = y, m_h[min(t + 1, T - 1)], out_h[t], out_c[t]  # at the end y is zero
            options_t = m_g[t], m_c[t], k_h[t], k_c[t], peephole
            run(da_t[t], dc, stays, *came, kept_t[t], old_c, fresh_t[t], *options_t)
            torch.mm(da_t[t], weight_hh, out=y)
        dh = y if mask_h is None else y * m_h[0]
        dh = dh if stays is None else dh + stays
        dweight = dpeephole = None
        if ctx.needs_input_grad[2]:
            dweight = da.flatten(0, 1).t() @ (_before(h, h0) if masked is None else masked).flatten(0, 1)
        if peephole is not None:
            old = _before(c, c0)
            di, df, _, do = da.split(H, dim=2)
            pairs = (di, old), (df, old), (do, fresh)
            dpeephole = torch.stack([(d * seen).sum((0, 1)) for d, seen in pairs])
        return None, da, dweight, dh.to(h0.dtype), dc.to(c0.dtype), *[None] * 5, dpeephole


def _dense(options: Any, B: int, H: int) -> list[Tensor | None]:
    """The options in memory as the kernels read them: masks (T, B, H) or (1, B, H), peepholes (3, H)."""
    masks = [None if m is None else m.expand(len(m), B, H).contiguous() for m in options[:5]]
    return [*masks, None if options[5] is None else options[5].contiguous()]


def _each(x: Tensor | None, T: int) -> Sequence[Any]:
    """The part (B, N) of every step, of one for each (T, B, N), of one for all (1, B, N), or of None."""
    if x is None:
        return [None] * T
    return x.unbind() if len(x) == T else x.unbind() * T


def _before(states: Tensor, first: Tensor) -> Tensor:
    """The state that each step started from.   states (T, B, H), first (B, H)  ->  (T, B, H)"""
    return torch.cat([first[None], states[:-1]])
