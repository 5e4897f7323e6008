"""The scan of a GRU.   T steps, B batch, I inputs, H hidden; blocks r z n.

    sums = W_ih x + b_ih                                 or, with a gain_x,  norm_x(W_ih x) + b_ih
    r, z = sigma(sums_rz + norm_rz(W_hrz (m_h h_{t-1})) + b_hrz)
    n    = tanh(sums_n + r (norm_n(W_hn (m_h h_{t-1})) + b_hn))      with reset_after
    n    = tanh(sums_n + norm_n(W_hn (r m_h h_{t-1})) + b_hn)        without
    h_t  = k_h h_{t-1} + (1 - k_h) ((1 - z) m_n n + z h_{t-1})

With reset_after one product in a step makes all three blocks. Without, the first makes r and z, and the
second, of the block n, waits for r.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.nn.scan.loop import gru as gru_loop
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
    tanh,
    twice_differentiable,
)

aten = torch.ops.aten


class Inputs(NamedTuple):
    """All that the scan takes; its gradients have the same fields. None leaves an option out."""

    x: Tensor  # (T, B, I)
    weight_ih: Tensor  # (3H, I)
    weight_hh: Tensor  # (3H, H)
    bias: Tensor | None  # (3H,), b_ih
    bias_hh: Tensor | None  # (3H,)
    h0: Tensor  # (B, H)
    reset_after: bool | None = True
    mask_h: Tensor | None = None  # m_h (Gal & Ghahramani 2016); masks are (T, B, H) or (1, B, H)
    mask_n: Tensor | None = None  # m_n (Semeniuta et al. 2016)
    keep_h: Tensor | None = None  # k_h, zoneout (Krueger et al. 2017)
    gain_x: Tensor | None = None  # (3H,) of norm_x, of r z and of n, whose shift is b_ih (Ba et al. 2016)
    gain_rz: Tensor | None = None  # (2H,) of norm_rz
    shift_rz: Tensor | None = None
    gain_n: Tensor | None = None  # (H,) of norm_n
    shift_n: Tensor | None = None

    @property
    def masks(self) -> Masks:
        """What may be another one in every step."""
        return Masks(self.mask_h, self.mask_n, self.keep_h)


class Masks(NamedTuple):
    """The masks of all steps (T, B, H)."""

    mask_h: Tensor | None
    mask_n: Tensor | None
    keep_h: Tensor | None


class Steps(NamedTuple):
    """What the forward pass computes in all steps (T, B, N), and saves."""

    gates: Tensor  # r z n
    h: Tensor
    masked_h: Tensor | None  # m_h h_{t-1}
    inner: Tensor | None  # with reset_after what r multiplies: norm_n(W_hn (m_h h_{t-1})) + b_hn
    reset_h: Tensor | None  # without it r m_h h_{t-1}
    product_rz: Tensor | None  # W_hrz (m_h h_{t-1}), where it is normalised
    product_n: Tensor | None  # what norm_n normalises


class Step(NamedTuple):
    """What the forward pass reads and writes in a block of steps (n, B, N), or in one (B, N)."""

    sums_rz: Tensor
    sums_n: Tensor
    gates: None  # in these parts
    rz: Tensor
    r: Tensor
    z: Tensor
    n: Tensor
    h: Tensor
    masked_h: Tensor | None
    inner: Tensor | None
    reset_h: Tensor | None
    product_rz: Tensor | None
    product_n: Tensor | None
    mask_h: Tensor | None
    mask_n: Tensor | None
    keep_h: Tensor | None


class Buffers(NamedTuple):
    """Where the backward pass of a block of steps (n, B, 3H) writes gradients."""

    da: Tensor  # of the sums
    dy: Tensor  # of what W_hh and b_hh add to them, for n inside of r
    dproduct: Tensor  # of the products with W_hh; dy itself, where none is normalised


class Gradients(NamedTuple):
    """What the backward pass needs in a block of steps (n, B, N), or in one (B, N); blocks of `Buffers`."""

    dr: Tensor
    dz: Tensor
    dn: Tensor
    da_rz: Tensor
    dy_rz: Tensor
    dy_n: Tensor
    dproduct: Tensor
    dproduct_rz: Tensor
    dproduct_n: Tensor
    r: Tensor
    z: Tensor
    product_rz: Tensor | None
    product_n: Tensor | None
    mask_h: Tensor | None
    keep_h: Tensor | None
    dh: Any = None  # the gradient of h_t from outside


class Cell(NamedTuple):
    """What all steps share. In the backward pass the products are with the transposes."""

    first: Product  # with W_hh; without reset_after with W_hrz
    second: Product | None  # without reset_after with W_hn
    norm_rz: StepNorm
    norm_n: StepNorm
    bias_rz: Tensor | float  # b_hh where it comes after a normalisation; otherwise the products add it
    bias_n: Tensor | float
    by_sigmoid: bool


class ScanGRU(torch.autograd.Function):
    """The equations above as one node of autograd's graph:  (h,) = ScanGRU.apply(keeps, *Inputs(...)).

    keeps: whether a backward pass can come, so that all steps are saved;   h (T, B, H)
    """

    loop = staticmethod(gru_loop)

    @staticmethod
    def forward(ctx: Any, keeps: bool, *inputs: Any) -> Any:
        """The states of all steps."""
        a = Inputs(*inputs)
        T, (B, H) = len(a.x), a.h0.shape
        blocks = blocks_of(T, B, a.h0.device)
        sums = Sums(a.x, a.weight_ih, a.bias, blocks, keeps, a.gain_x, (2 * H, H))
        cell, steps, h = _cell(a), _steps(a, T if keeps else 1), a.h0
        for start, end in blocks:
            block, masks = parts(steps, start, end), parts(a.masks, start, end)
            sums_rz, sums_n = sums.block(start, end).split([2 * H, H], 2)
            rz, gates = block.gates[..., : 2 * H], dict(zip("rzn", block.gates.split(H, 2), strict=True))
            others = block._asdict() | masks._asdict() | {"gates": None}
            views = Step(sums_rz=sums_rz, sums_n=sums_n, rz=rz, **gates, **others)
            for s in each_step(views, end - start):
                _step(cell, s, h)
                h = s.h
        if keeps:
            save(ctx, a, steps, cell.norm_rz.statistics, cell.norm_n.statistics, sums.saved)
        return (steps.h,)

    @staticmethod
    @twice_differentiable(gru_loop)
    def backward(ctx: Any, dh_outer: Tensor) -> Any:
        """The gradients of all inputs, from that of h; from the last step to the first

            dz       = dh (1 - k_h) (h_{t-1} - m_n n) z (1 - z)
            dn       = dh (1 - k_h) (1 - z) m_n (1 - n^2)

        and, with reset_after, where r multiplies y_n = norm_n(W_hn (m_h h_{t-1})) + b_hn,

            dr       = dn y_n r (1 - r)                           dy_n = r dn
            dh_{t-1} = m_h W_hh^T norm'(dr dz dy_n) + (z (1 - k_h) + k_h) dh

        or without it, where r multiplies m_h h_{t-1},

            du       = W_hn^T norm_n'(dn)                         dr = du m_h h_{t-1} r (1 - r)
            dh_{t-1} = m_h (W_hrz^T norm_rz'(dr dz) + r du) + (z (1 - k_h) + k_h) dh

        where norm'(.) is the gradient through norm. What is no recursion is computed for a block of steps.
        """
        a, steps, of_norm_rz, of_norm_n, of_sums = saved(ctx)
        wanted: Any = Inputs(*ctx.needs_input_grad[1:])
        T, B, H = steps.h.shape
        blocks = blocks_of(T, B, a.h0.device)
        wanted_sums = wanted.x, wanted.weight_ih, wanted.bias, wanted.gain_x
        sums = SumsGradient(a.x, a.weight_ih, a.bias, blocks, wanted_sums, of_sums, a.gain_x, (2 * H, H))
        cell = _cell(a, backward=True, of_norm_rz=of_norm_rz, of_norm_n=of_norm_n)
        dweight_hh = WeightGradient(a.weight_hh, wanted.weight_hh)
        dbias_hh = None if a.bias_hh is None else torch.zeros_like(a.bias_hh)
        buffers, dh = _buffers(steps, blocks[0][1]), torch.zeros_like(a.h0)
        for start, end in reversed(blocks):
            old_h = before(steps.h, a.h0, start, end)
            s, b = parts(steps, start, end), Buffers(*(buffer[: end - start] for buffer in buffers))
            block = _slopes(s, parts(a.masks, start, end), old_h, b)._replace(dh=part(dh_outer, start, end))
            for t, d in reversed([*enumerate(each_step(block, end - start), start)]):
                dh = _backward_step(cell, d, dh, t)
            masked_h = old_h if s.masked_h is None else s.masked_h
            if cell.second is None:
                dweight_hh.add(b.dproduct, masked_h)
            else:
                dweight_hh.add(block.dproduct_rz, masked_h, slice(0, 2 * H))
                dweight_hh.add(block.dproduct_n, s.reset_h, slice(2 * H, None))
            if dbias_hh is not None:
                dbias_hh += b.dy.sum((0, 1))
            sums.add(b.da, start, end)
            cell.norm_rz.add(block.dy_rz, s.product_rz, start)
            cell.norm_n.add(block.dy_n, s.product_n, start)
        return None, *Inputs(
            x=sums.dx,
            weight_ih=sums.dweight.total,
            weight_hh=dweight_hh.total,
            bias=sums.dbias,
            bias_hh=dbias_hh,
            h0=dh,
            reset_after=None,
            gain_x=sums.dgain,
            gain_rz=cell.norm_rz.dgain,
            shift_rz=cell.norm_rz.dshift,
            gain_n=cell.norm_n.dgain,
            shift_n=cell.norm_n.dshift,
        )


def _cell(a: Inputs, *, backward: bool = False, of_norm_rz: Any = None, of_norm_n: Any = None) -> Cell:
    """What all steps of a pass share; the backward pass gives the statistics of the forward pass."""
    T, (B, H) = len(a.x), a.h0.shape
    normed = a.gain_rz is not None or a.gain_n is not None
    bias = None if normed or backward else a.bias_hh
    products = []
    for rows in [slice(None)] if a.reset_after else [slice(0, 2 * H), slice(2 * H, None)]:
        weight = a.weight_hh[rows].t() if backward else a.weight_hh[rows]
        products.append(Product(weight, B, T, None if bias is None else bias[rows]))
    first, second = products if len(products) == 2 else (products[0], None)
    norm_rz, norm_n = StepNorm(a.gain_rz, a.shift_rz, of_norm_rz), StepNorm(a.gain_n, a.shift_n, of_norm_n)
    bias_rz, bias_n = (0.0, 0.0) if a.bias_hh is None else a.bias_hh.split([2 * H, H])
    return Cell(first, second, norm_rz, norm_n, bias_rz, bias_n, goes_by_sigmoid(a.h0))


def _steps(a: Inputs, n: int) -> Steps:
    """Memory for the results: h of all steps, and the rest of n steps."""
    T, (B, H), empty = len(a.x), a.h0.shape, a.h0.new_empty
    normed = a.gain_rz is not None or a.gain_n is not None
    return Steps(
        gates=empty(n, B, 3 * H),
        h=empty(T, B, H),
        masked_h=None if a.mask_h is None else empty(n, B, H),
        inner=empty(n, B, H) if a.reset_after else None,
        reset_h=None if a.reset_after else empty(n, B, H),
        product_rz=empty(n, B, 2 * H) if normed else None,
        product_n=empty(n, B, H) if normed else None,
    )


def _step(cell: Cell, s: Step, h: Tensor) -> None:
    """A step from the state h (B, H); all that it computes is written to s."""
    H = h.shape[1]
    # r, z = sigma(sums_rz + norm_rz(W_hrz (m_h h)) + b_hrz)
    masked_h = h if s.mask_h is None else torch.mul(h, s.mask_h, out=s.masked_h)
    y = cell.first.times(masked_h)
    y_rz = y if cell.second is not None else y[:, : 2 * H]
    if s.product_rz is not None:
        y_rz = cell.norm_rz(s.product_rz.copy_(y_rz)) + cell.bias_rz
    torch.add(s.sums_rz, y_rz, out=s.rz).sigmoid_()
    # n = tanh(sums_n + r (norm_n(W_hn (m_h h)) + b_hn))    or    tanh(sums_n + norm_n(W_hn (r m_h h)) + b_hn)
    y_n = y[:, 2 * H :] if cell.second is None else cell.second.times(torch.mul(s.r, masked_h, out=s.reset_h))
    if s.product_n is not None:
        y_n = cell.norm_n(s.product_n.copy_(y_n)) + cell.bias_n
    if s.inner is not None:
        torch.addcmul(s.sums_n, s.r, s.inner.copy_(y_n), out=s.n)
    else:
        torch.add(s.sums_n, y_n, out=s.n)
    tanh(s.n, s.n, cell.by_sigmoid)
    # h_t = k_h h + (1 - k_h) ((1 - z) m_n n + z h)
    torch.lerp(s.n if s.mask_n is None else s.n * s.mask_n, h, s.z, out=s.h)
    if s.keep_h is not None:
        s.h.lerp_(h, s.keep_h)


def _buffers(s: Steps, n: int) -> Buffers:
    """Memory for the gradients of n steps, used by one block after another."""
    da = s.h.new_empty(n, *s.gates.shape[1:])
    dy = torch.empty_like(da)
    return Buffers(da, dy, dy if s.product_rz is None else torch.empty_like(da))


def _slopes(s: Steps, m: Masks, old_h: Tensor, b: Buffers) -> Gradients:
    """Of a block of steps (n, B, N): what the gradients will be multiplied by, written in their place.

    dz = (h_{t-1} - m_n n) z (1 - z)    dn = (1 - z) m_n (1 - n^2)
    dr = y_n r (1 - r), or m_h h_{t-1} r (1 - r)
    """
    H = old_h.shape[2]
    r, z, n = s.gates.split(H, 2)
    dr, dz, dn = b.da.split(H, 2)
    masked_n, take_n = n, 1 - z
    if m.mask_n is not None:
        masked_n, take_n = n * m.mask_n, take_n * m.mask_n
    masked_h = old_h if s.masked_h is None else s.masked_h
    aten.sigmoid_backward.grad_input(masked_h if s.inner is None else s.inner, r, grad_input=dr)
    aten.sigmoid_backward.grad_input(old_h - masked_n, z, grad_input=dz)
    aten.tanh_backward.grad_input(take_n, n, grad_input=dn)
    of_products = s.product_rz, s.product_n, m.mask_h, m.keep_h
    halves = *b.dy.split([2 * H, H], 2), b.dproduct, *b.dproduct.split([2 * H, H], 2)
    da_rz = b.da[..., : 2 * H]
    return Gradients(dr, dz, dn, da_rz, *halves, r, z, *of_products)  # type: ignore[call-arg]


def _backward_step(cell: Cell, d: Gradients, dh: Tensor, t: int) -> Tensor:
    """From dh at h_t (B, H), without that from outside, to that at h_{t-1}."""
    dh += d.dh
    kept_dh = None if d.keep_h is None else dh * d.keep_h
    if kept_dh is not None:
        dh -= kept_dh
    # dz = dh (1 - k_h) (h_{t-1} - m_n n) z (1 - z)    dn = dh (1 - k_h) (1 - z) m_n (1 - n^2)
    d.dz.mul_(dh)
    d.dn.mul_(dh)
    # dy_n = r dn,  dr = dn y_n r (1 - r)    or    du = W_hn^T norm_n'(dn),  dr = du m_h h_{t-1} r (1 - r)
    torch.mul(d.dn, d.r, out=d.dy_n) if cell.second is None else d.dy_n.copy_(d.dn)
    if d.product_n is not None:
        d.dproduct_n.copy_(cell.norm_n.backward(d.dy_n, d.product_n, t))
    du = d.dn if cell.second is None else cell.second.times(d.dproduct_n.contiguous())
    d.dr.mul_(du)
    # dh_{t-1} = m_h W_hh^T norm'(dr dz dy_n) + ...    or    m_h (W_hrz^T norm_rz'(dr dz) + r du) + ...
    d.dy_rz.copy_(d.da_rz)
    if d.product_rz is not None:
        d.dproduct_rz.copy_(cell.norm_rz.backward(d.dy_rz, d.product_rz, t))
    dh *= d.z
    if cell.second is None:
        old_dh = cell.first.times(d.dproduct)
    else:
        old_dh = cell.first.times(d.dproduct_rz.contiguous()).addcmul_(du, d.r)
    if d.mask_h is not None:
        old_dh *= d.mask_h
    # ... (z (1 - k_h) + k_h) dh
    dh += old_dh
    if kept_dh is not None:
        dh += kept_dh
    return dh
