"""The scan of a GRU: the loop of `rnnlit.scan_torch.gru`.   T steps, B batch, H hidden; blocks r z n."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnnlit.tools.matmul_torch import Recurrent
from rnnlit.tools.norm_torch import Normed
from rnnlit.tools.steps_torch import at, before, first_derivative_only, weight_gradient

aten = torch.ops.aten


class ScanGRU(torch.autograd.Function):
    """`rnnlit.scan_torch.gru` as one node of the graph; its letters are those of that equation.

    With reset_after the product of all three blocks comes first. Without, that of r and z comes first, and
    the block n waits for r.
    """

    @staticmethod
    def forward(
        ctx: Any,
        keeps: bool,
        gates: Tensor,
        weight_hh: Tensor,
        bias_hh: Tensor | None,
        h0: Tensor,
        reset_after: bool,
        *options: Any,
    ) -> Any:
        """Run all steps; if `keeps`, keep what `backward` needs: gates, states and what r multiplies."""
        mask_h, mask_n, keep_h = options[:3]
        norm_rz, norm_n = Normed(*options[3:6]), Normed(*options[6:9])
        T, B, G = gates.shape
        H = G // 3
        bias_rz, bias_n = (None, None) if bias_hh is None else (bias_hh[: 2 * H], bias_hh[2 * H :])
        normed = norm_rz.gain is not None  # then the bias comes after; otherwise the product adds it
        first, last = _products(weight_hh, B, T, reset_after, bias=None if normed else bias_hh)
        S = T if keeps else 1  # how many steps to keep
        kept, h = gates.new_empty(S, B, G), gates.new_empty(T, B, H)
        inner = gates.new_empty(S, B, H)  # what r multiplies
        masked = None if mask_h is None else gates.new_empty(S, B, H)
        reset = None if reset_after else gates.new_empty(S, B, H)  # r m_h h
        raw_rz = gates.new_empty(S, B, 2 * H) if normed else None  # W_hh h before it is normalised
        raw_n = gates.new_empty(S, B, H) if normed else None
        old = h0
        for t in range(T):
            seen = old if masked is None else torch.mul(old, at(mask_h, t), out=at(masked, t))
            gates_rz, gates_n = gates[t].split([2 * H, H], dim=1)
            rz, n = at(kept, t).split([2 * H, H], dim=1)
            y = first.times(seen)
            y_rz, y_n = y[:, : 2 * H], y[:, 2 * H :]
            if raw_rz is not None:
                y_rz = _plus(norm_rz(at(raw_rz, t).copy_(y_rz)), bias_rz)
            torch.add(gates_rz, y_rz, out=rz).sigmoid_()
            r, z = rz.split(H, dim=1)
            if reset is not None:
                y_n = last.times(torch.mul(r, seen, out=at(reset, t)))
            if raw_n is not None:
                y_n = _plus(norm_n(at(raw_n, t).copy_(y_n)), bias_n)
            if reset is None:
                torch.addcmul(gates_n, r, y_n, out=n)
            else:
                torch.add(gates_n, y_n, out=n)
            if keeps:
                at(inner, t).copy_(y_n if reset is None else seen)
            n.tanh_()
            written = n if mask_n is None else n * at(mask_n, t)
            torch.lerp(written, old, z, out=h[t])
            if keep_h is not None:
                h[t].lerp_(old, at(keep_h, t))
            old = h[t]
        if not keeps:
            return h
        norms = (*options[3:5], *options[6:8])
        ctx.save_for_backward(
            weight_hh, h0, kept, h, inner, masked, reset, raw_rz, raw_n, *options[:3], *norms
        )
        ctx.eps, ctx.statistics = (options[5], options[8]), (norm_rz.statistics, norm_n.statistics)
        ctx.bias = bias_hh is not None
        return h

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, outer: Tensor) -> Any:
        """The gradients for all that `forward` took, step by step from the end."""
        weight_hh, h0, kept, h, inner, masked, reset, raw_rz, raw_n, *options = ctx.saved_tensors
        mask_h, mask_n, keep_h, gain_rz, shift_rz, gain_n, shift_n = options
        norm_rz = Normed(gain_rz, shift_rz, ctx.eps[0], ctx.statistics[0])
        norm_n = Normed(gain_n, shift_n, ctx.eps[1], ctx.statistics[1])
        T, B, G = kept.shape
        H = G // 3
        first, last = _products(weight_hh, B, T, reset is None, backward=True)
        da = torch.empty_like(kept)  # at W_ih x
        dy = torch.empty_like(kept)  # at W_hh h, with its bias
        through = dy if raw_rz is None else torch.empty_like(kept)  # at W_hh h, before it is normalised
        dh, part = torch.zeros_like(h0), torch.empty_like(h0)
        for t in reversed(range(T)):
            r, z, n = kept[t].split(H, dim=1)
            dr, dz, dn = da[t].split(H, dim=1)
            dy_rz, dy_n = dy[t].split([2 * H, H], dim=1)
            through_rz, through_n = through[t].split([2 * H, H], dim=1)
            old = h[t - 1] if t else h0
            dh += outer[t]
            stays = None
            if keep_h is not None:
                stays = dh * at(keep_h, t)
                dh -= stays
            written = n if mask_n is None else n * at(mask_n, t)
            torch.sub(old, written, out=part)
            part *= dh
            aten.sigmoid_backward.grad_input(part, z, grad_input=dz)
            through_z = dh * z
            torch.sub(dh, through_z, out=part)
            if mask_n is not None:
                part *= at(mask_n, t)
            aten.tanh_backward.grad_input(part, n, grad_input=dn)
            dh = through_z
            torch.mul(dn, r, out=dy_n) if reset is None else dy_n.copy_(dn)
            if raw_n is not None:
                through_n.copy_(norm_n.backward(dy_n, raw_n[t], t))
            dp = dn if reset is None else last.times(through_n.contiguous())  # at what r multiplies, times r
            torch.mul(dp, inner[t], out=part)
            aten.sigmoid_backward.grad_input(part, r, grad_input=dr)
            dy_rz.copy_(da[t, :, : 2 * H])
            if raw_rz is not None:
                through_rz.copy_(norm_rz.backward(dy_rz, raw_rz[t], t))
            if reset is None:
                dseen = first.times(through[t])
            else:
                dseen = first.times(through_rz.contiguous()).addcmul_(dp, r)
            if mask_h is not None:
                dseen *= at(mask_h, t)
            dh += dseen
            if stays is not None:
                dh += stays
        dweight = None
        if ctx.needs_input_grad[2]:
            seen = before(h, h0) if masked is None else masked
            if reset is None:
                dweight = weight_gradient(through, seen)
            else:
                through_rz, through_n = through.split([2 * H, H], dim=2)
                dweight = torch.cat([weight_gradient(through_rz, seen), weight_gradient(through_n, reset)])
        dbias = dy.sum((0, 1)) if ctx.bias else None
        of_norms = norm_rz.dgain, norm_rz.dshift, None, norm_n.dgain, norm_n.dshift, None
        return None, da, dweight, dbias, dh, None, None, None, None, *of_norms


def _plus(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias


def _products(
    weight_hh: Tensor,
    B: int,
    T: int,
    reset_after: bool,
    *,
    bias: Tensor | None = None,
    backward: bool = False,
) -> tuple[Recurrent, Recurrent]:
    """The product taken first in a step, and the one that waits for r: with reset_after one and the same."""
    H = weight_hh.shape[1]
    parts = [slice(None)] if reset_after else [slice(0, 2 * H), slice(2 * H, None)]
    products = []
    for part in parts:
        weight = weight_hh[part].t() if backward else weight_hh[part]
        products.append(Recurrent(weight, B, T, None if bias is None else bias[part]))
    return products[0], products[-1]
