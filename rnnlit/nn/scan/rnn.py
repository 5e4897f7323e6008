"""The scan of a plain network: the loop of `scans.rnn`.   T steps, B batch, H hidden."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnnlit.nn.scan import loop
from rnnlit.nn.scan.matmul import Product
from rnnlit.nn.scan.norm import Normed
from rnnlit.nn.scan.steps import (
    before,
    block_size,
    each,
    each_step,
    is_quick,
    keep,
    kept_by,
    tanh,
    twice_differentiable,
)
from rnnlit.nn.scan.sums import WeightGradient, sums_of

aten = torch.ops.aten


class ScanRNN(torch.autograd.Function):
    """`scans.rnn` as one node of the graph; its letters are those of that equation.

    The arguments: whether to keep the steps for a backward pass; the six `sums_torch.Arguments`; weight_hh,
    h0, relu; the options, the norm as (gain, shift, eps).
    """

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """Run all steps; if `keeps`, keep what `backward` needs."""
        given, (weight_hh, h0, relu), (mask_h, keep_h, gain, shift, eps) = inputs[:6], inputs[6:9], inputs[9:]
        norm = Normed(gain, shift, eps)
        T, (B, H), new_empty = len(given[0] if given[1] is None else given[1]), h0.shape, h0.new_empty
        size = block_size(T, B, h0.device)
        given_sums, product = sums_of(given, size, keeps=keeps), Product(weight_hh, B, T)
        S = T if keeps else 1  # how many steps to keep
        h = new_empty(T, B, H)
        new = h if keep_h is None else new_empty(S, B, H)
        masked = None if mask_h is None else new_empty(S, B, H)
        sums = None if gain is None else new_empty(S, B, H)
        old, quick = h0, is_quick(h0)
        for t, step in enumerate(each_step(T, h, new, masked, sums, mask_h, keep_h)):
            if t % size == 0:
                block = given_sums.block(t, t + size).unbind()
            h_t, fresh, seen, a, m_h, k_h = step
            seen = old if m_h is None else torch.mul(old, m_h, out=seen)
            if a is None:
                product.add(block[t % size], seen, out=fresh)
            else:
                fresh.copy_(norm(product.add(block[t % size], seen, out=a)))
            fresh.relu_() if relu else tanh(fresh, fresh, quick)
            if k_h is not None:
                torch.lerp(fresh, old, k_h, out=h_t)
            old = h_t
        if not keeps:
            return h
        apart = None if keep_h is None else new
        keep(ctx, inputs, h, apart, masked, sums, *given_sums.kept)
        ctx.statistics = norm.statistics
        return h

    @staticmethod
    @twice_differentiable(loop.rnn)
    def backward(ctx: Any, outer: Tensor) -> Any:
        """The gradients for all that `forward` took, step by step from the end."""
        inputs, (h, new, masked, sums, *of_sums) = kept_by(ctx)
        given, (weight_hh, h0, relu), (mask_h, keep_h, gain, shift, eps) = inputs[:6], inputs[6:9], inputs[9:]
        norm, new = Normed(gain, shift, eps, ctx.statistics), h if new is None else new
        T, B, H = h.shape
        size, wanted = block_size(T, B, h.device), ctx.needs_input_grad[1:]
        given_sums, product = sums_of(given, size, wanted=wanted, kept=of_sums), Product(weight_hh.t(), B, T)
        dweight = WeightGradient(weight_hh, wanted[6])
        spare, dh = h.new_empty(size, B, H), torch.zeros_like(h0)
        spare_y = None if sums is None else torch.empty_like(spare)  # the gradient at the normalised sums
        for start in reversed(range(0, T, size)):
            end = min(start + size, T)
            da = given_sums.room(start, end, spare)
            dy = da if spare_y is None else spare_y[: end - start]
            constants = (each(x, start, end) for x in (outer, new, sums, mask_h, keep_h))
            steps = zip(da, dy, *constants, strict=True)
            for t, (da_t, dy_t, out, fresh, a, m_h, k_h) in reversed([*enumerate(steps, start)]):
                dh += out
                stays = None
                if k_h is not None:
                    stays = dh * k_h
                    dh -= stays
                if relu:
                    torch.mul(dh, fresh > 0, out=dy_t)
                else:
                    aten.tanh_backward.grad_input(dh, fresh, grad_input=dy_t)
                if a is not None:
                    da_t.copy_(norm.backward(dy_t, a, t))
                dh = product.times(da_t)
                if m_h is not None:
                    dh *= m_h
                if stays is not None:
                    dh += stays
            dweight.add(da, before(h, h0, start, end) if masked is None else masked[start:end])
            given_sums.take(start, end, da)
            if sums is not None:
                norm.add(dy, sums[start:end], start)
        norms = norm.dgain, norm.dshift, None
        return None, *given_sums.gradients, dweight.total, dh, None, None, None, *norms
