"""The scan of an LSTM: the loop of `rnnlit.scan_torch.lstm`.   T steps, B batch, H hidden; gates i f g o."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnnlit.tools.matmul_torch import Recurrent
from rnnlit.tools.norm_torch import Normed
from rnnlit.tools.steps_torch import at, before, first_derivative_only, weight_gradient

aten = torch.ops.aten


class ScanLSTM(torch.autograd.Function):
    """`rnnlit.scan_torch.lstm` as one node of the graph; its letters are those of that equation."""

    @staticmethod
    def forward(
        ctx: Any, keeps: bool, gates: Tensor, weight_hh: Tensor, h0: Tensor, c0: Tensor, *options: Any
    ) -> Any:
        """Run all steps; if `keeps`, keep what `backward` needs: the gates, the states and tanh(c')."""
        mask_h, mask_g, mask_c, keep_h, keep_c, peephole = options[:6]
        norm_h, norm_c = Normed(*options[6:9]), Normed(*options[9:12])
        T, B, G = gates.shape
        H = G // 4
        product = Recurrent(weight_hh, B, T)
        S = T if keeps else 1  # how many steps to keep
        kept, tanh_c = gates.new_empty(S, B, G), gates.new_empty(S, B, H)
        h, c = gates.new_empty(T, B, H), gates.new_empty(T, B, H)
        fresh = c if keep_c is None else gates.new_empty(S, B, H)  # c'
        masked = None if mask_h is None else gates.new_empty(S, B, H)
        raw = None if norm_h.gain is None else gates.new_empty(S, B, G)  # W_hh h before it is normalised
        old_h, old_c = h0, c0
        for t in range(T):
            a, seen, tanh = at(kept, t), old_h, at(tanh_c, t)
            if masked is not None:
                seen = torch.mul(old_h, at(mask_h, t), out=at(masked, t))
            if raw is None:
                product.add(gates[t], seen, out=a)
            else:
                y = at(raw, t).copy_(product.times(seen))
                torch.add(gates[t], norm_h(y), out=a)
            i, f, g, o = a.split(H, dim=1)
            if peephole is not None:
                i.addcmul_(peephole[0], old_c)
                f.addcmul_(peephole[1], old_c)
            a[:, : 2 * H].sigmoid_()
            g.tanh_()
            new = torch.mul(i, g, out=at(fresh, t))
            if mask_g is not None:
                new *= at(mask_g, t)
            new.addcmul_(f, old_c)
            if mask_c is not None:
                new *= at(mask_c, t)
            if peephole is not None:
                o.addcmul_(peephole[2], new)
            o.sigmoid_()
            torch.tanh(norm_c(new), out=tanh)
            torch.mul(o, tanh, out=h[t])
            if keep_c is not None:
                torch.lerp(new, old_c, at(keep_c, t), out=c[t])
            if keep_h is not None:
                h[t].lerp_(old_h, at(keep_h, t))
            old_h, old_c = h[t], c[t]
        if not keeps:
            return h, c
        norms = (*options[6:8], *options[9:11])
        apart = None if keep_c is None else fresh
        ctx.save_for_backward(weight_hh, h0, c0, kept, h, c, apart, tanh_c, masked, raw, *options[:6], *norms)
        ctx.eps, ctx.statistics = (options[8], options[11]), (norm_h.statistics, norm_c.statistics)
        ctx.set_materialize_grads(False)
        return h, c

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, outer_h: Tensor | None, outer_c: Tensor | None) -> Any:
        """The gradients for all that `forward` took, step by step from the end."""
        weight_hh, h0, c0, kept, h, c, fresh, tanh_c, masked, raw, *options = ctx.saved_tensors
        mask_h, mask_g, mask_c, keep_h, keep_c, peephole, gain_h, shift_h, gain_c, shift_c = options
        norm_h = Normed(gain_h, shift_h, ctx.eps[0], ctx.statistics[0])
        norm_c = Normed(gain_c, shift_c, ctx.eps[1], ctx.statistics[1])
        fresh = c if fresh is None else fresh
        T, B, G = kept.shape
        H = G // 4
        product = Recurrent(weight_hh.t(), B, T)
        da = torch.empty_like(kept)
        through = da if raw is None else torch.empty_like(kept)  # the gradient at W_hh h
        dh, dc, part = torch.zeros_like(h0), torch.zeros_like(c0), torch.empty_like(h0)
        for t in reversed(range(T)):
            i, f, g, o = kept[t].split(H, dim=1)
            di, df, dg, do = da[t].split(H, dim=1)
            old_c = c[t - 1] if t else c0
            if outer_h is not None:
                dh += outer_h[t]
            if outer_c is not None:
                dc += outer_c[t]
            stays_h = stays_c = None
            if keep_h is not None:
                stays_h = dh * at(keep_h, t)
                dh -= stays_h
            if keep_c is not None:
                stays_c = dc * at(keep_c, t)
                dc -= stays_c
            torch.mul(dh, tanh_c[t], out=part)
            aten.sigmoid_backward.grad_input(part, o, grad_input=do)
            dh *= o
            aten.tanh_backward.grad_input(dh, tanh_c[t], grad_input=part)
            dc += norm_c.backward(part, fresh[t], t)
            if peephole is not None:
                dc.addcmul_(peephole[2], do)
            if mask_c is not None:
                dc *= at(mask_c, t)
            torch.mul(dc, old_c, out=part)
            aten.sigmoid_backward.grad_input(part, f, grad_input=df)
            written = dc if mask_g is None else dc * at(mask_g, t)
            torch.mul(written, g, out=part)
            aten.sigmoid_backward.grad_input(part, i, grad_input=di)
            torch.mul(written, i, out=part)
            aten.tanh_backward.grad_input(part, g, grad_input=dg)
            dc *= f
            if peephole is not None:
                dc.addcmul_(peephole[0], di).addcmul_(peephole[1], df)
            if stays_c is not None:
                dc += stays_c
            if raw is not None:
                through[t] = norm_h.backward(da[t], raw[t], t)
            dh = product.times(through[t])
            if mask_h is not None:
                dh *= at(mask_h, t)
            if stays_h is not None:
                dh += stays_h
        dweight = dpeephole = None
        if ctx.needs_input_grad[2]:
            dweight = weight_gradient(through, before(h, h0) if masked is None else masked)
        if peephole is not None:
            old = before(c, c0)
            di, df, _, do = da.split(H, dim=2)
            dpeephole = torch.stack(
                [(d * seen).sum((0, 1)) for d, seen in ((di, old), (df, old), (do, fresh))]
            )
        of_norms = norm_h.dgain, norm_h.dshift, None, norm_c.dgain, norm_c.dshift, None
        return None, da, dweight, dh, dc, None, None, None, None, None, dpeephole, *of_norms
