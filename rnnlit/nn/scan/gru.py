"""The scan of a GRU: the loop of `scans.gru`.   T steps, B batch, H hidden; blocks r z n."""

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
    tanh,
    twice_differentiable,
)
from rnnlit.nn.scan.sums import WeightGradient, sums_of

aten = torch.ops.aten


class ScanGRU(torch.autograd.Function):
    """`scans.gru` as one node of the graph; its letters are those of that equation.

    The arguments: whether to keep the steps for a backward pass; the six `sums_torch.Arguments`; weight_hh,
    bias_hh, h0, reset_after; the options, norms as (gain, shift, eps).

    With reset_after the product of all three blocks comes first. Without, that of r and z comes first, and
    the block n waits for r.
    """

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """Run all steps; if `keeps`, keep what `backward` needs: gates, states and what r multiplies."""
        given, (weight_hh, bias_hh, h0, reset_after), options = inputs[:6], inputs[6:10], inputs[10:]
        mask_h = options[0]
        norm_rz, norm_n = Normed(*options[3:6]), Normed(*options[6:9])
        T, (B, H), new_empty = len(given[0] if given[1] is None else given[1]), h0.shape, h0.new_empty
        size = block_size(T, B, h0.device)
        bias_rz, bias_n = (None, None) if bias_hh is None else (bias_hh[: 2 * H], bias_hh[2 * H :])
        # with a norm the bias comes after it; otherwise the product adds it
        normed = norm_rz.gain is not None or norm_n.gain is not None
        sums = sums_of(given, size, keeps=keeps)
        first, last = _products(weight_hh, B, T, reset_after, bias=None if normed else bias_hh)
        S = T if keeps else 1  # how many steps to keep
        kept, h = new_empty(S, B, 3 * H), new_empty(T, B, H)
        inner = new_empty(S, B, H) if reset_after else None  # what r multiplies: W_hn h + b_hn; else m_h h
        masked = None if mask_h is None else new_empty(S, B, H)
        reset = None if reset_after else new_empty(S, B, H)  # r m_h h
        raw_rz, raw_n = (new_empty(S, B, 2 * H), new_empty(S, B, H)) if normed else (None, None)  # W_hh h
        stored = (*kept.split([2 * H, H], 2), *kept.split(H, 2)[:2], h, inner, masked, reset, raw_rz, raw_n)
        old, quick = h0, is_quick(h0)
        for t, step in enumerate(each_step(T, *stored, *options[:3])):
            if t % size == 0:
                block = [gates.unbind() for gates in sums.block(t, t + size).split([2 * H, H], 2)]
            rz, n, r, z, h_t, inside, seen, r_seen, y_rz, y_n, m_h, m_n, k_h = step
            gates_rz, gates_n = block[0][t % size], block[1][t % size]
            seen = old if m_h is None else torch.mul(old, m_h, out=seen)
            y = first.times(seen)
            of_rz = y[:, : 2 * H]
            if y_rz is not None:
                of_rz = _plus(norm_rz(y_rz.copy_(of_rz)), bias_rz)
            torch.add(gates_rz, of_rz, out=rz).sigmoid_()
            of_n = y[:, 2 * H :] if reset_after else last.times(torch.mul(r, seen, out=r_seen))
            if y_n is not None:
                of_n = _plus(norm_n(y_n.copy_(of_n)), bias_n)
            if reset_after:
                torch.addcmul(gates_n, r, inside.copy_(of_n), out=n)
            else:
                torch.add(gates_n, of_n, out=n)
            tanh(n, n, quick)
            torch.lerp(n if m_n is None else n * m_n, old, z, out=h_t)
            if k_h is not None:
                h_t.lerp_(old, k_h)
            old = h_t
        if not keeps:
            return h
        keep(ctx, inputs, kept, h, inner, masked, reset, raw_rz, raw_n, *sums.kept)
        ctx.statistics = norm_rz.statistics, norm_n.statistics
        return h

    @staticmethod
    @twice_differentiable(loop.gru)
    def backward(ctx: Any, outer: Tensor) -> Any:
        """The gradients for all that `forward` took, step by step from the end.

        In each block of steps da, the gradient at W_ih x, begins as the slopes, and each step then multiplies
        its own by what comes back from the steps after it. dy is the gradient at W_hh h with its bias.
        """
        inputs, (kept, h, inner, masked, reset, raw_rz, raw_n, *of_sums) = kept_by(ctx)
        given, (weight_hh, bias_hh, h0, reset_after), options = inputs[:6], inputs[6:10], inputs[10:]
        mask_h, mask_n, keep_h = options[:3]
        norm_rz = Normed(options[3], options[4], options[5], ctx.statistics[0])
        norm_n = Normed(options[6], options[7], options[8], ctx.statistics[1])
        T, B, H = h.shape
        size, wanted = block_size(T, B, h.device), ctx.needs_input_grad[1:]
        sums = sums_of(given, size, wanted=wanted, kept=of_sums)
        first, last = _products(weight_hh, B, T, reset_after, backward=True)
        dweight = WeightGradient(weight_hh, wanted[6])
        dbias = None if bias_hh is None else torch.zeros_like(bias_hh)
        spare = kept.new_empty(size, B, 3 * H)
        spare_y = torch.empty_like(spare)
        through = None if raw_rz is None else torch.empty_like(spare)  # at W_hh h, before it is normalised
        constants = (outer, keep_h, mask_h, *kept.split(H, 2)[:2])
        dh = torch.zeros_like(h0)
        for start in reversed(range(0, T, size)):
            end = min(start + size, T)
            old = before(h, h0, start, end)
            seen = old if masked is None else masked[start:end]
            inside = seen if inner is None else inner[start:end]
            da = _slopes(sums.room(start, end, spare), kept, old, inside, mask_n, start)
            dy = spare_y[: end - start]
            dhh = dy if through is None else through[: end - start]
            halves = [2 * H, H]
            parts = (*da.split(H, 2), da[..., : 2 * H], *dy.split(halves, 2), dhh, *dhh.split(halves, 2))
            of_block = [x.unbind() for x in parts]
            steps = zip(*of_block, *(each(x, start, end) for x in constants), strict=True)
            for t, step in reversed([*enumerate(steps, start)]):
                dr, dz, dn, da_rz, dy_rz, dy_n, through_t, through_rz, through_n, *others = step
                out, k_h, m_h, r, z = others
                dh += out
                stays = None
                if k_h is not None:
                    stays = dh * k_h
                    dh -= stays
                dz.mul_(dh)
                dn.mul_(dh)
                torch.mul(dn, r, out=dy_n) if reset_after else dy_n.copy_(dn)
                if raw_n is not None:
                    through_n.copy_(norm_n.backward(dy_n, raw_n[t], t))
                dp = dn if reset_after else last.times(through_n.contiguous())  # at what r multiplies, over r
                dr.mul_(dp)
                dy_rz.copy_(da_rz)
                if raw_rz is not None:
                    through_rz.copy_(norm_rz.backward(dy_rz, raw_rz[t], t))
                dh *= z
                if reset_after:
                    dseen = first.times(through_t)
                else:
                    dseen = first.times(through_rz.contiguous()).addcmul_(dp, r)
                if m_h is not None:
                    dseen *= m_h
                dh += dseen
                if stays is not None:
                    dh += stays
            if reset_after:
                dweight.add(dhh, seen)
            else:
                dweight.add(dhh[..., : 2 * H], seen, slice(0, 2 * H))
                dweight.add(dhh[..., 2 * H :], reset[start:end], slice(2 * H, None))
            if dbias is not None:
                dbias += dy.sum((0, 1))
            sums.take(start, end, da)
            if raw_rz is not None:
                norm_rz.add(dy[..., : 2 * H], raw_rz[start:end], start)
                norm_n.add(dy[..., 2 * H :], raw_n[start:end], start)
        of_norms = norm_rz.dgain, norm_rz.dshift, None, norm_n.dgain, norm_n.dshift, None
        return None, *sums.gradients, dweight.total, dbias, dh, None, None, None, None, *of_norms


def _slopes(
    da: Tensor, kept: Tensor, old: Tensor, inside: Tensor, mask_n: Tensor | None, start: int
) -> Tensor:
    """Write into da (n, B, 3H) what the gradients will be multiplied by, for n steps from start on.

    dz = dh (h_{t-1} - m_n n) z (1 - z)      dn = dh (1 - z) m_n (1 - n^2)      dr = dp inside r (1 - r)
    """
    H, end = old.shape[2], start + len(da)
    r, z, n = kept[start:end].split(H, 2)
    dr, dz, dn = da.split(H, 2)
    written, taken = n, 1 - z
    if mask_n is not None:
        written, taken = n * part(mask_n, start, end), taken * part(mask_n, start, end)
    aten.sigmoid_backward.grad_input(inside, r, grad_input=dr)
    aten.sigmoid_backward.grad_input(old - written, z, grad_input=dz)
    aten.tanh_backward.grad_input(taken, n, grad_input=dn)
    return da


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
) -> tuple[Product, Product]:
    """The product taken first in a step, and the one that waits for r: with reset_after one and the same."""
    H = weight_hh.shape[1]
    parts = [slice(None)] if reset_after else [slice(0, 2 * H), slice(2 * H, None)]
    products = []
    for rows in parts:
        weight = weight_hh[rows].t() if backward else weight_hh[rows]
        products.append(Product(weight, B, T, None if bias is None else bias[rows]))
    return products[0], products[-1]
