"""The scan of an LSTM: the loop of `scans.lstm`.   T steps, B batch, H hidden; gates i f g o."""

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
    part,
    squash_,
    tanh,
    twice_differentiable,
)
from rnnlit.nn.scan.sums import WeightGradient, sums_of

aten = torch.ops.aten


class ScanLSTM(torch.autograd.Function):
    """`scans.lstm` as one node of the graph; its letters are those of that equation.

    The arguments: whether to keep the steps for a backward pass; the six `sums_torch.Arguments`; weight_hh,
    h0, c0; the options, norms as (gain, shift, eps).
    """

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """Run all steps; if `keeps`, keep what `backward` needs: the gates, the states and tanh(c')."""
        given, (weight_hh, h0, c0), options = inputs[:6], inputs[6:9], inputs[9:]
        mask_h, keep_c, peephole = options[0], options[4], options[5]
        norm_h, norm_c = Normed(*options[6:9]), Normed(*options[9:12])
        T, (B, H), new_empty = len(given[0] if given[1] is None else given[1]), h0.shape, h0.new_empty
        size = block_size(T, B, h0.device)
        sums, product = sums_of(given, size, keeps=keeps), Product(weight_hh, B, T)
        S = T if keeps else 1  # how many steps to keep
        kept, tanh_c = new_empty(S, B, 4 * H), new_empty(S, B, H)
        h, c = new_empty(T, B, H), new_empty(T, B, H)
        fresh = c if keep_c is None else new_empty(S, B, H)  # c'
        masked = None if mask_h is None else new_empty(S, B, H)
        raw = None if norm_h.gain is None else new_empty(S, B, 4 * H)  # W_hh h before it is normalised
        first = 4 * H if peephole is None else 3 * H  # the output gate waits for c' if it sees it
        stored = (kept, kept[..., :first], *kept.split(H, 2), h, c, tanh_c, fresh, masked, raw)
        quick = is_quick(h0)
        old_h, old_c = h0, c0
        for t, step in enumerate(each_step(T, *stored, *options[:5])):
            if t % size == 0:
                block = sums.block(t, t + size).unbind()
            a, a_first, i, f, g, o, h_t, c_t, tanh_t, new, seen, y, m_h, m_g, m_c, k_h, k_c = step
            seen = old_h if m_h is None else torch.mul(old_h, m_h, out=seen)
            if y is None:
                product.add(block[t % size], seen, out=a)
            else:
                torch.add(block[t % size], norm_h(y.copy_(product.times(seen))), out=a)
            if peephole is not None:
                i.addcmul_(peephole[0], old_c)
                f.addcmul_(peephole[1], old_c)
            squash_(a_first, g, quick)
            torch.mul(i, g, out=new)
            if m_g is not None:
                new.mul_(m_g)
            new.addcmul_(f, old_c)
            if m_c is not None:
                new.mul_(m_c)
            if peephole is not None:
                o.addcmul_(peephole[2], new).sigmoid_()
            torch.mul(o, tanh(norm_c(new), tanh_t, quick), out=h_t)
            if k_c is not None:
                torch.lerp(new, old_c, k_c, out=c_t)
            if k_h is not None:
                h_t.lerp_(old_h, k_h)
            old_h, old_c = h_t, c_t
        if not keeps:
            return h, c
        apart = None if keep_c is None else fresh  # without zoneout it is c
        keep(ctx, inputs, kept, h, c, tanh_c, apart, masked, raw, *sums.kept)
        ctx.statistics = norm_h.statistics, norm_c.statistics
        ctx.set_materialize_grads(False)
        return h, c

    @staticmethod
    @twice_differentiable(loop.lstm)
    def backward(ctx: Any, outer_h: Tensor | None, outer_c: Tensor | None) -> Any:
        """The gradients for all that `forward` took, step by step from the end.

        In each block of steps da begins as the slopes of the gates, and each step then multiplies its own by
        what comes back from the steps after it.
        """
        inputs, (kept, h, c, tanh_c, fresh, masked, raw, *of_sums) = kept_by(ctx)
        given, (weight_hh, h0, c0), options = inputs[:6], inputs[6:9], inputs[9:]
        mask_h, mask_g, mask_c, keep_h, keep_c, peephole = options[:6]
        norm_h = Normed(options[6], options[7], options[8], ctx.statistics[0])
        norm_c = Normed(options[9], options[10], options[11], ctx.statistics[1])
        fresh = c if fresh is None else fresh
        T, B, H = h.shape
        size, wanted = block_size(T, B, h.device), ctx.needs_input_grad[1:]
        sums, product = sums_of(given, size, wanted=wanted, kept=of_sums), Product(weight_hh.t(), B, T)
        dweight = WeightGradient(weight_hh, wanted[6])
        dpeephole = None if peephole is None else torch.zeros_like(peephole)
        spare = kept.new_empty(size, B, 4 * H)
        through = None if raw is None else torch.empty_like(spare)  # the gradient at W_hh h
        slope = torch.empty_like(spare[..., :H])
        constants = (outer_h, outer_c, keep_h, keep_c, mask_h, mask_c, kept[..., H : 2 * H])
        dh, dc = torch.zeros_like(h0), torch.zeros_like(c0)
        for start in reversed(range(0, T, size)):
            end = min(start + size, T)
            old_c = before(c, c0, start, end)
            da = _slopes(sums.room(start, end, spare), slope, kept, tanh_c, old_c, mask_g, keep_h, start)
            free_c = None if keep_c is None else 1 - part(keep_c, start, end)
            dy = da if through is None else through[: end - start]
            difg = da.unflatten(2, (4, H))[:, :, :3]
            of_block = [x.unbind() for x in (da, difg, da[..., 3 * H :], slope[: end - start], dy)]
            frees = each(free_c, 0, end - start)
            steps = zip(*of_block, frees, *(each(x, start, end) for x in constants), strict=True)
            for t, step in reversed([*enumerate(steps, start)]):
                da_t, difg_t, do, slope_t, dy_t, free, out_h, out_c, k_h, k_c, m_h, m_c, f = step
                if out_h is not None:
                    dh += out_h
                if out_c is not None:
                    dc += out_c
                do.mul_(dh)
                dc_t = dc
                if k_c is not None:
                    dc = dc_t * free
                if norm_c.gain is None:
                    dc.addcmul_(dh, slope_t)
                else:
                    dc += norm_c.backward(slope_t.mul_(dh), fresh[t], t)
                if peephole is not None:
                    dc.addcmul_(peephole[2], do)
                if m_c is not None:
                    dc *= m_c
                difg_t.mul_(dc[:, None])
                dc *= f
                if peephole is not None:
                    dc.addcmul_(peephole[0], difg_t[:, 0]).addcmul_(peephole[1], difg_t[:, 1])
                if k_c is not None:
                    dc.addcmul_(dc_t, k_c)
                if raw is not None:
                    dy_t.copy_(norm_h.backward(da_t, raw[t], t))
                dh_t, dh = dh, product.times(dy_t)
                if m_h is not None:
                    dh *= m_h
                if k_h is not None:
                    dh.addcmul_(dh_t, k_h)
            dweight.add(dy, before(h, h0, start, end) if masked is None else masked[start:end])
            sums.take(start, end, da)
            if raw is not None:
                norm_h.add(da, raw[start:end], start)
            norm_c.add(slope[: end - start], fresh[start:end], start)
            if dpeephole is not None:
                for row, d, cell in ((0, 0, old_c), (1, 1, old_c), (2, 3, fresh[start:end])):
                    dpeephole[row] += (da.unflatten(2, (4, H))[:, :, d] * cell).sum((0, 1))
        of_norms = norm_h.dgain, norm_h.dshift, None, norm_c.dgain, norm_c.dshift, None
        return None, *sums.gradients, dweight.total, dh, dc, *[None] * 5, dpeephole, *of_norms


def _slopes(
    da: Tensor,
    slope: Tensor,
    kept: Tensor,
    tanh_c: Tensor,
    old_c: Tensor,
    mask_g: Tensor | None,
    keep_h: Tensor | None,
    start: int,
) -> Tensor:
    """Write into da (n, B, 4H), and slope, what dc and dh will be multiplied by, for n steps from start on.

    di = dc m_g g i (1 - i)    df = dc c_{t-1} f (1 - f)    dg = dc m_g i (1 - g^2)
    do = dh (1 - k_h) tanh(c') o (1 - o)    dc = dh (1 - k_h) o (1 - tanh(c')^2)
    """
    H, end = old_c.shape[2], start + len(da)
    i, f, g, o = kept[start:end].split(H, 2)
    di, df, dg, do = da.split(H, 2)
    tanh_c = tanh_c[start:end]
    aten.sigmoid_backward.grad_input(g, i, grad_input=di)
    aten.sigmoid_backward.grad_input(old_c, f, grad_input=df)
    aten.tanh_backward.grad_input(i, g, grad_input=dg)
    aten.sigmoid_backward.grad_input(tanh_c, o, grad_input=do)
    aten.tanh_backward.grad_input(o, tanh_c, grad_input=slope[: len(da)])
    if mask_g is not None:
        di.mul_(part(mask_g, start, end))
        dg.mul_(part(mask_g, start, end))
    if keep_h is not None:
        free = 1 - part(keep_h, start, end)
        do.mul_(free)
        slope[: len(da)].mul_(free)
    return da
