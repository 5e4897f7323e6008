"""The scan of an LSTM on a GPU: a product and a kernel a step.   T steps, B batch, H hidden; gates i f g o.

Reference: `rnnlit.nn.scan.scans.lstm`. The differences:

    what surrounds the product in a step is one kernel of `lstm_triton` forwards and one backwards
    from step to step c goes on in float32, however it is stored; so do its gradient and zoneout's part of
    that of h; float64 stays float64
    tanh(c') is computed again in the backward pass, not kept
    there is no layer normalisation

This module needs triton. `rnnlit.nn.gpu.way` decides when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnnlit.nn.gpu.lstm_triton import backward_step, forward_step, launcher, wide


class FusedLSTM(torch.autograd.Function):
    """`scans.lstm` as one node of the graph, for what `scan_gpu_torch.suits` lets in.

    The arguments: whether to keep the steps for a backward pass; the gates' sums (T, B, 4H), or None; x,
    weight_ih and bias, of which they are to be made then; weight_hh, h0, c0; and mask_h, mask_g, mask_c,
    keep_h, keep_c, peephole.
    """

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """Run all steps; if `keeps`, keep what `backward` needs: the gates and the states."""
        (gates, x, weight_ih, bias), (weight_hh, h0, c0), options = inputs[:4], inputs[4:7], inputs[7:]
        # The product of each step is added to its sums in place.
        a = (
            linear(x, weight_ih, bias)
            if gates is None
            else gates.clone(memory_format=torch.contiguous_format)
        )
        (T, B, _), H = a.shape, h0.shape[1]
        *masks, peephole = _dense(options, B, H)
        mask_h, keep_c = masks[0], masks[4]
        h, c, cell = a.new_empty(T, B, H), a.new_empty(T, B, H), c0.to(wide(c0.dtype), copy=True)
        masked = None if mask_h is None else a.new_empty(T if keeps else 1, B, H)
        fresh = None if not keeps or keep_c is None else a.new_empty(T, B, H)
        steps = (a, a if keeps else None, h, c, fresh, masked, *masks)
        a_t, kept_t, h_t, c_t, fresh_t, masked_t, m_h, m_g, m_c, k_h, k_c = (_each(x, T) for x in steps)
        weight_t, old_h, run = weight_hh.t(), h0.contiguous(), launcher(forward_step, B, H, h.dtype)
        seen: Any = old_h if masked is None else torch.mul(old_h, m_h[0], out=masked_t[0])
        for t in range(T):
            a_t[t].addmm_(seen, weight_t)
            then = (masked_t[t + 1], m_h[t + 1]) if t + 1 < T else (None, None)
            states = cell, old_h, h_t[t], c_t[t], fresh_t[t]
            run(a_t[t], kept_t[t], *states, *then, m_g[t], m_c[t], k_h[t], k_c[t], peephole)
            old_h = h_t[t]
            seen = old_h if masked is None else then[0]
        if keeps:
            ctx.save_for_backward(*inputs, a, h, c, fresh, masked)
            ctx.set_materialize_grads(False)
        return h, c

    @staticmethod
    def backward(ctx: Any, outer_h: Tensor | None, outer_c: Tensor | None) -> Any:
        """The gradients for all that `forward` took, step by step from the end.

        For a second derivative (create_graph=True) they come from `loop`, which autograd differentiates.
        """
        inputs, (kept, h, c, fresh, masked) = ctx.saved_tensors[:13], ctx.saved_tensors[13:]
        if torch.is_grad_enabled():
            return None, *_differentiable(inputs, ctx.needs_input_grad[1:], (outer_h, outer_c))
        (gates, x, weight_ih, _), (weight_hh, h0, c0), options = inputs[:4], inputs[4:7], inputs[7:]
        T, B, H = h.shape
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
        _, _, for_x, for_ih, for_bias, for_hh, *_ = ctx.needs_input_grad
        flat, dpeephole = da.flatten(0, 1), None
        seen = (_before(h, h0) if masked is None else masked) if for_hh else None
        if peephole is not None:
            old = _before(c, c0)
            di, df, _, do = da.split(H, dim=2)
            pairs = (di, old), (df, old), (do, fresh)
            dpeephole = torch.stack([(d * cell).sum((0, 1)) for d, cell in pairs])
        return (
            None,
            None if gates is None else da,
            torch.matmul(da, weight_ih) if for_x else None,
            flat.t() @ x.flatten(0, 1) if for_ih else None,
            flat.sum(0) if for_bias else None,
            None if seen is None else flat.t() @ seen.flatten(0, 1),
            dh.to(h0.dtype),
            dc.to(c0.dtype),
            *[None] * 5,
            dpeephole,
        )


def loop(*inputs: Any) -> tuple[Tensor, Tensor]:
    """The states by torch's own operations, as the equation has it; the arguments after the first."""
    (gates, x, weight_ih, bias), (weight_hh, h, c), options = inputs[:4], inputs[4:7], inputs[7:]
    gates = linear(x, weight_ih, bias) if gates is None else gates
    neutral = (1.0, 1.0, 1.0, 0.0, 0.0)
    constants = (h.new_full((1, 1, 1), n) if m is None else m for m, n in zip(options, neutral, strict=False))
    p_i, p_f, p_o = h.new_zeros(3, 1) if options[5] is None else options[5]
    hs: list[Tensor] = []
    cs: list[Tensor] = []
    for a, m_h, m_g, m_c, k_h, k_c in zip(gates, *(_each(m, len(gates)) for m in constants), strict=True):
        i, f, g, o = (a + (m_h * h) @ weight_hh.t()).chunk(4, 1)
        new = m_c * (torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * m_g * torch.tanh(g))
        h = k_h * h + (1 - k_h) * torch.sigmoid(o + p_o * new) * torch.tanh(new)
        c = k_c * c + (1 - k_c) * new
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), torch.stack(cs)


def _differentiable(inputs: Sequence[Any], needed: Sequence[bool], outer: Sequence[Any]) -> list[Any]:
    # an alias of each, so that one tensor in two places gets a gradient for each place
    inputs = [None if x is None else x.view_as(x) for x in inputs]
    wanted = [k for k, one in enumerate(needed) if one]
    states, given = zip(
        *((s, d) for s, d in zip(loop(*inputs), outer, strict=True) if d is not None), strict=True
    )
    leaves = [inputs[k] for k in wanted]
    found = torch.autograd.grad(states, leaves, given, create_graph=True, allow_unused=True)
    places = dict(zip(wanted, found, strict=True))
    return [places.get(k) for k in range(len(inputs))]


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
