"""The scans as loops of torch's own operations: the formulas of `rnnlit.nn.scan`, a line for each.

T steps, B batch, I inputs, H hidden; blocks i f g o (LSTM), r z n (GRU).

They take what the functions `ScanLSTM`, `ScanGRU` and `ScanRNN` take, and autograd differentiates them as
often as one likes. A second derivative of a scan comes from here; for a first one the scan is far quicker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from rnnlit.nn.scan.norm import EPS
from rnnlit.nn.scan.steps import each


def lstm(*inputs: Any) -> tuple[Tensor, Tensor]:
    """The states h and c (T, B, H)."""
    gates, (W_hh, h, c), options = _gates(*inputs[:6]), inputs[6:9], inputs[9:]
    p_i, p_f, p_o = (0.0, 0.0, 0.0) if options[5] is None else options[5]
    norm_h, norm_c = _norm(*options[6:9]), _norm(*options[9:12])
    hs, cs = [], []
    for a, m_h, m_g, m_c, k_h, k_c in zip(gates, *(each(x, 0, len(gates)) for x in options[:5]), strict=True):
        i, f, g, o = (a + norm_h(_times(h, m_h) @ W_hh.T)).chunk(4, 1)
        i, f, g = torch.sigmoid(i + p_i * c), torch.sigmoid(f + p_f * c), torch.tanh(g)
        new = _times(f * c + i * _times(g, m_g), m_c)
        o = torch.sigmoid(o + p_o * new)
        h, c = _mixed(o * torch.tanh(norm_c(new)), h, k_h), _mixed(new, c, k_c)
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), torch.stack(cs)


def gru(*inputs: Any) -> tuple[Tensor]:
    """The states h (T, B, H)."""
    gates, (W_hh, b_hh, h, reset_after), options = _gates(*inputs[:6]), inputs[6:10], inputs[10:]
    H = h.shape[1]
    W_rz, W_n = W_hh.split([2 * H, H])
    b_rz, b_n = (0.0, 0.0) if b_hh is None else b_hh.split([2 * H, H])
    norm_rz, norm_n = _norm(*options[3:6]), _norm(*options[6:9])
    hs = []
    for a, m_h, m_n, k_h in zip(gates, *(each(x, 0, len(gates)) for x in options[:3]), strict=True):
        seen = _times(h, m_h)
        r, z = torch.sigmoid(a[:, : 2 * H] + norm_rz(seen @ W_rz.T) + b_rz).chunk(2, 1)
        if reset_after:
            n = torch.tanh(a[:, 2 * H :] + r * (norm_n(seen @ W_n.T) + b_n))
        else:
            n = torch.tanh(a[:, 2 * H :] + norm_n((r * seen) @ W_n.T) + b_n)
        h = _mixed((1 - z) * _times(n, m_n) + z * h, h, k_h)
        hs.append(h)
    return (torch.stack(hs),)


def rnn(*inputs: Any) -> tuple[Tensor]:
    """The states h (T, B, H)."""
    gates, (W_hh, h, relu), (mask_h, keep_h, *norm) = _gates(*inputs[:6]), inputs[6:9], inputs[9:]
    squash, normed = torch.relu if relu else torch.tanh, _norm(*norm)
    hs, T = [], len(gates)
    for a, m_h, k_h in zip(gates, each(mask_h, 0, T), each(keep_h, 0, T), strict=True):
        h = _mixed(squash(normed(a + _times(h, m_h) @ W_hh.T)), h, k_h)
        hs.append(h)
    return (torch.stack(hs),)


def _gates(
    gates: Tensor | None, x: Any, weight: Any, bias: Any, gain: Tensor | None, parts: tuple[int, ...]
) -> Tensor:
    """The sums of all steps (T, B, N): see `rnnlit.nn.scan.sums.Affine`."""
    if gates is not None:
        return gates
    if gain is None:
        return linear(x, weight, bias)
    split = zip(linear(x, weight).split(parts, -1), gain.split(parts), bias.split(parts), strict=True)
    return torch.cat([_norm(g, b, EPS)(a) for a, g, b in split], -1)


def _norm(gain: Tensor | None, shift: Tensor | None, eps: float) -> Callable[[Tensor], Tensor]:
    """Layer normalisation, or nothing if there is no gain."""
    return lambda a: a if gain is None else layer_norm(a, gain.shape, gain, shift, eps)


def _times(a: Tensor, mask: Tensor | None) -> Tensor:
    return a if mask is None else a * mask


def _mixed(new: Tensor, old: Tensor, keep: Tensor | None) -> Tensor:
    return new if keep is None else keep * old + (1 - keep) * new
