"""The scan of an LSTM.   T steps, B batch, I inputs, H hidden; blocks i f g o.

    sums = W_ih x + b                                    or, with a gain_x,  norm_x(W_ih x) + b
    a    = sums_t + norm_h(W_hh (m_h h_{t-1}))
    i, f = sigma(a_i + p_i c_{t-1}, a_f + p_f c_{t-1})   g = tanh(a_g)
    c'   = f c_{t-1} + i m_g g
    o    = sigma(a_o + p_o c')                           h' = o tanh(norm_c(c'))
    c_t  = k_c c_{t-1} + (1 - k_c) c'                    h_t = k_h h_{t-1} + (1 - k_h) h'

h' is read from c', before zoneout, as in Krueger et al. (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.nn.scan.loop import lstm as lstm_loop
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
    squash_,
    tanh,
    twice_differentiable,
)

aten = torch.ops.aten


class Inputs(NamedTuple):
    """All that the scan takes; its gradients have the same fields. None leaves an option out."""

    x: Tensor  # (T, B, I)
    weight_ih: Tensor  # (4H, I)
    weight_hh: Tensor  # (4H, H)
    bias: Tensor | None  # (4H,)
    h0: Tensor  # (B, H)
    c0: Tensor  # (B, H)
    mask_h: Tensor | None = None  # m_h (Gal & Ghahramani 2016); masks are (T, B, H) or (1, B, H)
    mask_g: Tensor | None = None  # m_g (Semeniuta et al. 2016)
    keep_h: Tensor | None = None  # k_h, zoneout (Krueger et al. 2017)
    keep_c: Tensor | None = None  # k_c
    peephole: Tensor | None = None  # (3, H): p_i, p_f, p_o (Gers et al. 2002)
    gain_x: Tensor | None = None  # (4H,) of norm_x, whose shift is b (Ba et al. 2016)
    gain_h: Tensor | None = None  # (4H,) of norm_h
    shift_h: Tensor | None = None
    gain_c: Tensor | None = None  # (H,) of norm_c
    shift_c: Tensor | None = None

    @property
    def masks(self) -> Masks:
        """What may be another one in every step."""
        return Masks(self.mask_h, self.mask_g, self.keep_h, self.keep_c)


class Masks(NamedTuple):
    """The masks of all steps (T, B, H)."""

    mask_h: Tensor | None
    mask_g: Tensor | None
    keep_h: Tensor | None
    keep_c: Tensor | None


class Steps(NamedTuple):
    """What the forward pass computes in all steps (T, B, N), and saves."""

    gates: Tensor  # i f g o
    h: Tensor
    c: Tensor
    new_c: Tensor  # c'
    tanh_c: Tensor  # tanh(norm_c(c'))
    masked_h: Tensor | None  # m_h h_{t-1}
    product: Tensor | None  # W_hh (m_h h_{t-1}), where it is normalised


class Step(NamedTuple):
    """What the forward pass reads and writes in a block of steps (n, B, N), or in one (B, N)."""

    sums: Tensor
    gates: Tensor
    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    h: Tensor
    c: Tensor
    new_c: Tensor
    tanh_c: Tensor
    masked_h: Tensor | None
    product: Tensor | None
    mask_h: Tensor | None
    mask_g: Tensor | None
    keep_h: Tensor | None
    keep_c: Tensor | None


class Buffers(NamedTuple):
    """Where the backward pass of a block of steps (n, B, N) writes."""

    da: Tensor
    dproduct: Tensor  # the gradient of W_hh (m_h h_{t-1}); da itself, where there is no norm_h
    slope: Tensor  # (1 - k_h) o (1 - tanh(norm_c(c'))^2)


class Gradients(NamedTuple):
    """What the backward pass needs in a block of steps (n, B, N), or in one (B, N)."""

    da: Tensor
    difg: Tensor  # the blocks i f g of da, (n, B, 3, H)
    do: Tensor
    dproduct: Tensor
    slope: Tensor
    f: Tensor
    new_c: Tensor
    product: Tensor | None
    mask_h: Tensor | None
    keep_h: Tensor | None
    keep_c: Tensor | None
    take_c: Tensor | None  # 1 - k_c
    dh: Tensor | None = None  # the gradients of h_t and c_t from outside
    dc: Tensor | None = None


class Cell(NamedTuple):
    """What all steps share."""

    product: Product  # with W_hh; in the backward pass with its transpose
    norm_h: StepNorm
    norm_c: StepNorm
    peephole: Sequence[Tensor] | None
    by_sigmoid: bool


class ScanLSTM(torch.autograd.Function):
    """The equations above as one node of autograd's graph:  h, c = ScanLSTM.apply(keeps, *Inputs(...)).

    keeps: whether a backward pass can come, so that all steps are saved;   h, c (T, B, H)
    """

    loop = staticmethod(lstm_loop)

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """The states of all steps."""
        a = Inputs(*inputs)
        T, (B, H) = len(a.x), a.h0.shape
        blocks = blocks_of(T, B, a.h0.device)
        sums = Sums(a.x, a.weight_ih, a.bias, blocks, keeps, a.gain_x, (4 * H,))
        cell = _cell(a, Product(a.weight_hh, B, T))
        steps, h, c = _steps(a, T if keeps else 1), a.h0, a.c0
        for start, end in blocks:
            block, masks = parts(steps, start, end), parts(a.masks, start, end)
            gates = dict(zip("ifgo", block.gates.split(H, 2), strict=True))
            views = Step(sums=sums.block(start, end), **gates, **block._asdict(), **masks._asdict())
            for s in each_step(views, end - start):
                _step(cell, s, h, c)
                h, c = s.h, s.c
        if keeps:
            save(ctx, a, steps, cell.norm_h.statistics, cell.norm_c.statistics, sums.saved)
            ctx.set_materialize_grads(False)
        return steps.h, steps.c

    @staticmethod
    @twice_differentiable(lstm_loop)
    def backward(ctx: Any, dh_outer: Tensor | None, dc_outer: Tensor | None) -> Any:
        """The gradients of all inputs, from those of h and c; from the last step to the first

            do         = dh (1 - k_h) tanh(norm_c(c')) o (1 - o)
            dc'        = (1 - k_c) dc + norm_c'(dh (1 - k_h) o (1 - tanh(norm_c(c'))^2)) + p_o do
            di, df, dg = dc' m_g g i (1 - i),  dc' c_{t-1} f (1 - f),  dc' m_g i (1 - g^2)
            dc_{t-1}   = f dc' + p_i di + p_f df + k_c dc
            dh_{t-1}   = m_h W_hh^T norm_h'(da) + k_h dh

        where norm'(.) is the gradient through norm. What is no recursion is computed for a block of steps.
        """
        a, steps, of_norm_h, of_norm_c, of_sums = saved(ctx)
        wanted: Any = Inputs(*ctx.needs_input_grad[1:])
        T, B, H = steps.h.shape
        blocks = blocks_of(T, B, a.h0.device)
        wanted_sums = wanted.x, wanted.weight_ih, wanted.bias, wanted.gain_x
        sums = SumsGradient(a.x, a.weight_ih, a.bias, blocks, wanted_sums, of_sums, a.gain_x, (4 * H,))
        cell = _cell(a, Product(a.weight_hh.t(), B, T), of_norm_h, of_norm_c)
        dweight_hh = WeightGradient(a.weight_hh, wanted.weight_hh)
        dpeephole = None if a.peephole is None else torch.zeros_like(a.peephole)
        buffers, dh, dc = _buffers(steps, blocks[0][1]), torch.zeros_like(a.h0), torch.zeros_like(a.c0)
        for start, end in reversed(blocks):
            old_h, old_c = before(steps.h, a.h0, start, end), before(steps.c, a.c0, start, end)
            s, m = parts(steps, start, end), parts(a.masks, start, end)
            block = _slopes(s, m, old_c, buffers)
            block = block._replace(dh=part(dh_outer, start, end), dc=part(dc_outer, start, end))
            for t, d in reversed([*enumerate(each_step(block, end - start), start)]):
                dh, dc = _backward_step(cell, d, dh, dc, t)
            dweight_hh.add(block.dproduct, old_h if s.masked_h is None else s.masked_h)
            sums.add(block.da, start, end)
            cell.norm_h.add(block.da, s.product, start)
            cell.norm_c.add(block.slope, s.new_c, start)
            if dpeephole is not None:
                di, df, _ = block.difg.unbind(2)
                for k, (da, c) in enumerate(((di, old_c), (df, old_c), (block.do, s.new_c))):
                    dpeephole[k] += (da * c).sum((0, 1))
        return None, *Inputs(
            x=sums.dx,
            weight_ih=sums.dweight.total,
            weight_hh=dweight_hh.total,
            bias=sums.dbias,
            h0=dh,
            c0=dc,
            peephole=dpeephole,
            gain_x=sums.dgain,
            gain_h=cell.norm_h.dgain,
            shift_h=cell.norm_h.dshift,
            gain_c=cell.norm_c.dgain,
            shift_c=cell.norm_c.dshift,
        )


def _cell(a: Inputs, product: Product, of_norm_h: Any = None, of_norm_c: Any = None) -> Cell:
    """What all steps of a pass share; the backward pass gives the statistics of the forward pass."""
    peephole = None if a.peephole is None else a.peephole.unbind()
    norm_h, norm_c = StepNorm(a.gain_h, a.shift_h, of_norm_h), StepNorm(a.gain_c, a.shift_c, of_norm_c)
    return Cell(product, norm_h, norm_c, peephole, goes_by_sigmoid(a.h0))


def _steps(a: Inputs, n: int) -> Steps:
    """Memory for the results: h and c of all steps, and the rest of n steps."""
    T, (B, H), empty = len(a.x), a.h0.shape, a.h0.new_empty
    h, c = empty(T, B, H), empty(T, B, H)
    return Steps(
        gates=empty(n, B, 4 * H),
        h=h,
        c=c,
        new_c=c if a.keep_c is None else empty(n, B, H),
        tanh_c=empty(n, B, H),
        masked_h=None if a.mask_h is None else empty(n, B, H),
        product=None if a.gain_h is None else empty(n, B, 4 * H),
    )


def _step(cell: Cell, s: Step, h: Tensor, c: Tensor) -> None:
    """A step from the states h, c (B, H); all that it computes is written to s."""
    # a = sums + norm_h(W_hh (m_h h))
    masked_h = h if s.mask_h is None else torch.mul(h, s.mask_h, out=s.masked_h)
    if s.product is None:
        cell.product.add(s.sums, masked_h, out=s.gates)
    else:
        torch.add(s.sums, cell.norm_h(s.product.copy_(cell.product.times(masked_h))), out=s.gates)
    # i, f = sigma(a_i + p_i c, a_f + p_f c)    g = tanh(a_g)    and o, where it needs no c'
    if cell.peephole is None:
        squash_(s.gates, s.g, cell.by_sigmoid)
    else:
        p_i, p_f, p_o = cell.peephole
        s.i.addcmul_(p_i, c)
        s.f.addcmul_(p_f, c)
        squash_(s.gates[:, : 3 * h.shape[1]], s.g, cell.by_sigmoid)
    # c' = f c + i m_g g
    torch.mul(s.i, s.g, out=s.new_c)
    if s.mask_g is not None:
        s.new_c.mul_(s.mask_g)
    s.new_c.addcmul_(s.f, c)
    # o = sigma(a_o + p_o c')    h' = o tanh(norm_c(c'))
    if cell.peephole is not None:
        s.o.addcmul_(p_o, s.new_c).sigmoid_()
    torch.mul(s.o, tanh(cell.norm_c(s.new_c), s.tanh_c, cell.by_sigmoid), out=s.h)
    # c_t = k_c c + (1 - k_c) c'    h_t = k_h h + (1 - k_h) h'
    if s.keep_c is not None:
        torch.lerp(s.new_c, c, s.keep_c, out=s.c)
    if s.keep_h is not None:
        s.h.lerp_(h, s.keep_h)


def _buffers(s: Steps, n: int) -> Buffers:
    """Memory for the gradients of n steps, used by one block after another."""
    _, B, H = s.h.shape
    da, slope = s.h.new_empty(n, B, 4 * H), s.h.new_empty(n, B, H)
    return Buffers(da, da if s.product is None else torch.empty_like(da), slope)


def _slopes(s: Steps, m: Masks, old_c: Tensor, buffers: Buffers) -> Gradients:
    """Of a block of steps (n, B, N): what dc' and dh will be multiplied by, written in the gradients' place.

    di = m_g g i (1 - i)    df = c_{t-1} f (1 - f)    dg = m_g i (1 - g^2)
    do = (1 - k_h) tanh(norm_c(c')) o (1 - o)         slope = (1 - k_h) o (1 - tanh(norm_c(c'))^2)
    """
    n, _, H = old_c.shape
    da, dproduct, slope = (buffer[:n] for buffer in buffers)
    i, f, g, o = s.gates.split(H, 2)
    di, df, dg, do = da.split(H, 2)
    aten.sigmoid_backward.grad_input(g, i, grad_input=di)
    aten.sigmoid_backward.grad_input(old_c, f, grad_input=df)
    aten.tanh_backward.grad_input(i, g, grad_input=dg)
    aten.sigmoid_backward.grad_input(s.tanh_c, o, grad_input=do)
    aten.tanh_backward.grad_input(o, s.tanh_c, grad_input=slope)
    if m.mask_g is not None:
        di.mul_(m.mask_g)
        dg.mul_(m.mask_g)
    if m.keep_h is not None:
        take_h = 1 - m.keep_h
        do.mul_(take_h)
        slope.mul_(take_h)
    take_c = None if m.keep_c is None else 1 - m.keep_c
    difg = da.unflatten(2, (4, H))[:, :, :3]
    of_steps, of_masks = (f, s.new_c, s.product), (m.mask_h, m.keep_h, m.keep_c)
    return Gradients(da, difg, do, dproduct, slope, *of_steps, *of_masks, take_c)


def _backward_step(cell: Cell, d: Gradients, dh: Tensor, dc: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """From dh, dc at h_t and c_t (B, H), without those from outside, to those at h_{t-1} and c_{t-1}."""
    if d.dh is not None:
        dh += d.dh
    if d.dc is not None:
        dc += d.dc
    # do = dh (1 - k_h) tanh(norm_c(c')) o (1 - o)
    d.do.mul_(dh)
    # dc' = (1 - k_c) dc + norm_c'(dh (1 - k_h) o (1 - tanh(norm_c(c'))^2)) + p_o do
    dnew_c = dc if d.take_c is None else dc * d.take_c
    if cell.norm_c.gain is None:
        dnew_c.addcmul_(dh, d.slope)
    else:
        dnew_c += cell.norm_c.backward(d.slope.mul_(dh), d.new_c, t)
    if cell.peephole is not None:
        p_i, p_f, p_o = cell.peephole
        dnew_c.addcmul_(p_o, d.do)
    # di, df, dg = dc' m_g g i (1 - i), dc' c_{t-1} f (1 - f), dc' m_g i (1 - g^2)
    d.difg.mul_(dnew_c[:, None])
    # dc_{t-1} = f dc' + p_i di + p_f df + k_c dc
    old_dc = dnew_c.mul_(d.f)
    if cell.peephole is not None:
        old_dc.addcmul_(p_i, d.difg[:, 0]).addcmul_(p_f, d.difg[:, 1])
    if d.keep_c is not None:
        old_dc.addcmul_(dc, d.keep_c)
    # dh_{t-1} = m_h W_hh^T norm_h'(da) + k_h dh
    if d.product is not None:
        d.dproduct.copy_(cell.norm_h.backward(d.da, d.product, t))
    old_dh = cell.product.times(d.dproduct)
    if d.mask_h is not None:
        old_dh *= d.mask_h
    if d.keep_h is not None:
        old_dh.addcmul_(dh, d.keep_h)
    return old_dh, old_dc
