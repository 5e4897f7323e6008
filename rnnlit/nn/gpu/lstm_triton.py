"""What surrounds the product in a step of an LSTM, as Triton kernels.   B batch, H hidden; blocks i f g o.

Reference: `rnnlit.nn.scan.lstm`; `rnnlit.nn.gpu.lstm` is its loop.

A program has `block` units of one sequence. With layer normalisation, whose means are over all units, one
program has them all.

All is computed in float32, or in float64 if that is the dtype, however the arrays are stored. This module
needs triton, which the CUDA builds of torch bring. Without a GPU its interpreter runs the kernels, slowly:
set TRITON_INTERPRET=1 before this is imported.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from rnnlit.nn.scan import steps

BLOCK = 256  # units of one program, at most
EPS = tl.constexpr(steps.EPS)


@triton.jit
def _sigmoid(a):
    """1 / (1 + exp(-a)), by an exponential that cannot overflow."""
    small = tl.exp(-tl.abs(a))
    return tl.where(a >= 0, 1.0, small) / (1.0 + small)


@triton.jit
def _tanh(a):
    """tanh(a), likewise; its error is a rounding of 1, not of the result."""
    small = tl.exp(-2.0 * tl.abs(a))
    size = (1.0 - small) / (1.0 + small)
    return tl.where(a >= 0, size, -size)


@triton.jit
def _load(array, at, inside, wide: tl.constexpr):
    return tl.load(array + at, mask=inside, other=0.0).to(wide)


@triton.jit
def _mix(keep, old, new):
    """keep old + (1 - keep) new, and exactly the one or the other where keep is 1 or 0."""
    return tl.where(keep < 0.5, new + keep * (old - new), old - (1.0 - keep) * (old - new))


@triton.jit
def _add(a, b):
    return a + b


@triton.jit
def _sum(a):
    """The sum over all units, where those that are not inside are zero."""
    return tl.reduce(a, 0, _add)  # tl.sum belongs to the interpreter or the compiler, whichever came first


@triton.jit
def _normed(a, inside, H):
    """(a - mean) / sqrt(variance + eps) over H units, and its 1 / sqrt(variance + eps)."""
    a = tl.where(inside, a - _sum(a) / H, 0.0)
    scale = 1.0 / tl.sqrt(_sum(a * a) / H + EPS)
    return a * scale, scale


@triton.jit
def _normed_blocks(i, f, g, o, inside, H):
    """The same over the 4H numbers of the blocks i f g o."""
    mean = _sum(i + f + g + o) / (4 * H)
    i, f = tl.where(inside, i - mean, 0.0), tl.where(inside, f - mean, 0.0)
    g, o = tl.where(inside, g - mean, 0.0), tl.where(inside, o - mean, 0.0)
    scale = 1.0 / tl.sqrt(_sum(i * i + f * f + g * g + o * o) / (4 * H) + EPS)
    return i * scale, f * scale, g * scale, o * scale, scale


@triton.jit
def _load_blocks(array, at, inside, H, wide: tl.constexpr):
    """The blocks i f g o of a row or of a vector (4H,)."""
    i, f = _load(array, at, inside, wide), _load(array, at + H, inside, wide)
    g, o = _load(array, at + 2 * H, inside, wide), _load(array, at + 3 * H, inside, wide)
    return i, f, g, o


@triton.jit
def _store_blocks(array, at, i, f, g, o, inside, H):
    tl.store(array + at, i, mask=inside)
    tl.store(array + at + H, f, mask=inside)
    tl.store(array + at + 2 * H, g, mask=inside)
    tl.store(array + at + 3 * H, o, mask=inside)


@triton.jit
def forward_step(
    sums,  # (B, 4H) W_ih x + b + W_hh (m_h h_{t-1}), without the product where there is a gain_h
    gates,  # (B, 4H) takes i f g o; may be the same memory
    cell,  # (B, H) c_{t-1} in the wide dtype, becomes c_t
    old_h,  # (B, H)
    h,  # (B, H) takes h_t
    c,  # (B, H) takes c_t
    new_c,  # (B, H) takes c'
    masked_h,  # (B, H) takes m_h h_t for the next step
    mask_h,  # (B, H) m_h of the next step
    mask_g,
    keep_h,
    keep_c,
    peephole,  # (3, H)
    product,  # (B, 4H) W_hh (m_h h_{t-1})
    gain_h,  # (4H,)
    shift_h,
    gain_c,  # (H,)
    shift_c,
    H,
    block: tl.constexpr,
    wide: tl.constexpr,
):
    """All of a step but its product, for `block` units of a sequence; None leaves an argument's part out."""
    row = tl.program_id(0).to(tl.int64)  # of more than 2^31 numbers too
    unit = tl.program_id(1) * block + tl.arange(0, block)
    inside = unit < H
    at, gate = row * H + unit, row * 4 * H + unit
    i, f, g, o = _load_blocks(sums, gate, inside, H, wide)
    old_c = _load(cell, at, inside, wide)
    # a = sums + norm_h(W_hh (m_h h_{t-1}))
    if gain_h is not None:
        r_i, r_f, r_g, r_o = _load_blocks(product, gate, inside, H, wide)
        r_i, r_f, r_g, r_o, _ = _normed_blocks(r_i, r_f, r_g, r_o, inside, H)
        g_i, g_f, g_g, g_o = _load_blocks(gain_h, unit, inside, H, wide)
        s_i, s_f, s_g, s_o = _load_blocks(shift_h, unit, inside, H, wide)
        i, f = i + (g_i * r_i + s_i), f + (g_f * r_f + s_f)
        g, o = g + (g_g * r_g + s_g), o + (g_o * r_o + s_o)
    # i, f = sigma(a_i + p_i c, a_f + p_f c)    g = tanh(a_g)
    if peephole is not None:
        i += _load(peephole, unit, inside, wide) * old_c
        f += _load(peephole, unit + H, inside, wide) * old_c
    i, f, g = _sigmoid(i), _sigmoid(f), _tanh(g)
    # c' = f c + i m_g g
    masked_g = g
    if mask_g is not None:
        masked_g = g * _load(mask_g, at, inside, wide)
    new = f * old_c + i * masked_g
    # o = sigma(a_o + p_o c')
    if peephole is not None:
        o += _load(peephole, unit + 2 * H, inside, wide) * new
    o = _sigmoid(o)
    if gates is not None:
        _store_blocks(gates, gate, i, f, g, o, inside, H)
    if new_c is not None:
        tl.store(new_c + at, new, mask=inside)
    # h_t = k_h h + (1 - k_h) o tanh(norm_c(c'))    c_t = k_c c + (1 - k_c) c'
    read = new
    if gain_c is not None:
        read, _ = _normed(new, inside, H)
        read = _load(gain_c, unit, inside, wide) * read + _load(shift_c, unit, inside, wide)
    out = o * _tanh(read)
    if keep_c is not None:
        new = _mix(_load(keep_c, at, inside, wide), old_c, new)
    if keep_h is not None:
        out = _mix(_load(keep_h, at, inside, wide), _load(old_h, at, inside, wide), out)
    tl.store(cell + at, new, mask=inside)
    tl.store(c + at, new, mask=inside)
    tl.store(h + at, out, mask=inside)
    if masked_h is not None:
        tl.store(masked_h + at, out * _load(mask_h, at, inside, wide), mask=inside)


@triton.jit
def backward_step(
    da,  # (B, 4H) takes the gradient of the sums
    dc,  # (B, H) that of c_t, wide, but for what comes from outside; becomes that of c_{t-1}
    kept_dh,  # (B, H) zoneout's part of that of h_t, wide; becomes that of h_{t-1}
    dmasked_h,  # (B, H) W_hh^T da of the next step
    mask_h,  # (B, H) m_h of the next step
    dh_outer,  # (B, H) the gradient of h_t from outside
    dc_outer,
    gates,  # (B, 4H) i f g o
    old_c,  # (B, H) c_{t-1}
    new_c,  # (B, H) c'
    mask_g,
    keep_h,
    keep_c,
    peephole,
    product,  # (B, 4H) W_hh (m_h h_{t-1})
    dproduct,  # (B, 4H) takes its gradient
    slope,  # (B, H) takes the gradient of norm_c(c')
    gain_h,
    gain_c,
    shift_c,
    H,
    block: tl.constexpr,
    wide: tl.constexpr,
):
    """The gradient of `forward_step`, whose arguments these are; the equations are ScanLSTM.backward's."""
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * block + tl.arange(0, block)
    inside = unit < H
    at, gate = row * H + unit, row * 4 * H + unit
    i, f, g, o = _load_blocks(gates, gate, inside, H, wide)
    old, read = _load(old_c, at, inside, wide), _load(new_c, at, inside, wide)
    if gain_c is not None:
        normed_c, scale_c = _normed(read, inside, H)
        read = _load(gain_c, unit, inside, wide) * normed_c + _load(shift_c, unit, inside, wide)
    tanh_c = _tanh(read)
    dh, dcell = _load(dmasked_h, at, inside, wide), _load(dc, at, inside, wide)
    # dh_t and dc_t, with what comes from outside and what zoneout kept
    if mask_h is not None:
        dh *= _load(mask_h, at, inside, wide)
    if dh_outer is not None:
        dh += _load(dh_outer, at, inside, wide)
    if dc_outer is not None:
        dcell += _load(dc_outer, at, inside, wide)
    if keep_h is not None:
        dh += _load(kept_dh, at, inside, wide)
        kept_h = dh * _load(keep_h, at, inside, wide)
        tl.store(kept_dh + at, kept_h, mask=inside)
        dh -= kept_h
    kept_c = 0.0 * dcell
    if keep_c is not None:
        kept_c = dcell * _load(keep_c, at, inside, wide)
        dcell -= kept_c
    # do = dh (1 - k_h) tanh(norm_c(c')) o (1 - o)
    do = dh * tanh_c * o * (1.0 - o)
    # dc' = (1 - k_c) dc + norm_c'(dh (1 - k_h) o (1 - tanh(norm_c(c'))^2)) + p_o do
    dread = dh * o * (1.0 - tanh_c * tanh_c)
    if gain_c is not None:
        tl.store(slope + at, dread, mask=inside)
        dread *= _load(gain_c, unit, inside, wide)
        of_scale = _sum(dread * normed_c) / H
        dread = scale_c * (dread - _sum(dread) / H - normed_c * of_scale)
    dcell += dread
    if peephole is not None:
        dcell += _load(peephole, unit + 2 * H, inside, wide) * do
    # di, df, dg = dc' m_g g i (1 - i), dc' c_{t-1} f (1 - f), dc' m_g i (1 - g^2)
    dmasked_g = dcell
    if mask_g is not None:
        dmasked_g = dcell * _load(mask_g, at, inside, wide)
    di = dmasked_g * g * i * (1.0 - i)
    df = dcell * old * f * (1.0 - f)
    dg = dmasked_g * i * (1.0 - g * g)
    # dc_{t-1} = f dc' + p_i di + p_f df + k_c dc
    dcell = dcell * f
    if peephole is not None:
        dcell += _load(peephole, unit, inside, wide) * di + _load(peephole, unit + H, inside, wide) * df
    if keep_c is not None:
        dcell += kept_c
    tl.store(dc + at, dcell, mask=inside)
    _store_blocks(da, gate, di, df, dg, do, inside, H)
    # the gradient of W_hh (m_h h_{t-1}) is norm_h'(da)
    if gain_h is not None:
        r_i, r_f, r_g, r_o = _load_blocks(product, gate, inside, H, wide)
        r_i, r_f, r_g, r_o, scale = _normed_blocks(r_i, r_f, r_g, r_o, inside, H)
        g_i, g_f, g_g, g_o = _load_blocks(gain_h, unit, inside, H, wide)
        di, df, dg, do = g_i * di, g_f * df, g_g * dg, g_o * do
        mean = _sum(di + df + dg + do) / (4 * H)
        of_scale = _sum(r_i * di + r_f * df + r_g * dg + r_o * do) / (4 * H)
        di, df = scale * (di - mean - r_i * of_scale), scale * (df - mean - r_f * of_scale)
        dg, do = scale * (dg - mean - r_g * of_scale), scale * (do - mean - r_o * of_scale)
        _store_blocks(dproduct, gate, di, df, dg, do, inside, H)


def launcher(kernel: Any, B: int, H: int, dtype: torch.dtype, normed: bool) -> Any:
    """A function that runs a kernel on all units, given the arrays; normed: one program for a sequence."""
    block = triton.next_power_of_2(H) if normed else min(BLOCK, triton.next_power_of_2(H))
    program = kernel[(B, triton.cdiv(H, block))]
    kind = tl.float64 if dtype == torch.float64 else tl.float32
    warps = min(16, max(4, block // 128))

    def run(*arrays: Tensor | None) -> None:
        program(*arrays, H, block, kind, num_warps=warps)

    return run


def wide(dtype: torch.dtype) -> torch.dtype:
    """What is computed in, for arrays of this dtype."""
    return torch.float64 if dtype == torch.float64 else torch.float32
