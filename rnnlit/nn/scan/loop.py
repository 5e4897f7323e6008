"""The scans as loops of torch's own operations: the equations of `rnnlit.nn.scan`, a line for each.

T steps, B batch, I inputs, H hidden; blocks i f g o (LSTM), r z n (GRU).

They take the `Inputs` of a scan, and autograd differentiates them as often as one likes. A second derivative
of a scan comes from here, and so does a call whose operations torch follows, to trace or transform them;
otherwise the scan is far quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from rnnlit.dropout_masks import mix, times
from rnnlit.lstm_variants import cell
from rnnlit.nn.scan.steps import EPS, each_step

if TYPE_CHECKING:
    from rnnlit.nn.scan.gru import Inputs as GRUInputs
    from rnnlit.nn.scan.lstm import Inputs as LSTMInputs
    from rnnlit.nn.scan.rnn import Inputs as RNNInputs


def lstm(a: LSTMInputs) -> tuple[Tensor, Tensor]:
    """The states h and c (T, B, H)."""
    h, c, hs, cs = a.h0, a.c0, [], []
    peepholes = None if a.peephole is None else a.peephole.unbind()
    norm_h, norm_c = _norm(a.gain_h, a.shift_h), _norm(a.gain_c, a.shift_c)
    step = partial(cell, norm=norm_c, sigmoid=torch.sigmoid, tanh=torch.tanh)
    for sums, m in _steps(a, (len(a.weight_hh),)):
        total = sums + norm_h(times(m.mask_h, h) @ a.weight_hh.T)
        new = step(total.chunk(4, 1), c, peepholes, m_g=m.mask_g)
        h, c = mix(m.keep_h, h, new.h), mix(m.keep_c, c, new.c)
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), torch.stack(cs)


def gru(a: GRUInputs) -> tuple[Tensor]:
    """The states h (T, B, H)."""
    h, hs, H = a.h0, [], a.h0.shape[1]
    W_rz, W_n = a.weight_hh.split([2 * H, H])
    b_rz, b_n = (0.0, 0.0) if a.bias_hh is None else a.bias_hh.split([2 * H, H])
    norm_rz, norm_n = _norm(a.gain_rz, a.shift_rz), _norm(a.gain_n, a.shift_n)
    for sums, m in _steps(a, (2 * H, H)):
        masked_h = times(m.mask_h, h)
        r, z = torch.sigmoid(sums[:, : 2 * H] + norm_rz(masked_h @ W_rz.T) + b_rz).chunk(2, 1)
        if a.reset_after:
            n = torch.tanh(sums[:, 2 * H :] + r * (norm_n(masked_h @ W_n.T) + b_n))
        else:
            n = torch.tanh(sums[:, 2 * H :] + norm_n((r * masked_h) @ W_n.T) + b_n)
        h = mix(m.keep_h, h, (1 - z) * times(m.mask_n, n) + z * h)
        hs.append(h)
    return (torch.stack(hs),)


def rnn(a: RNNInputs) -> tuple[Tensor]:
    """The states h (T, B, H)."""
    h, hs, squash, norm = a.h0, [], torch.relu if a.relu else torch.tanh, _norm(a.gain, a.shift)
    for sums, m in _steps(a, ()):
        h = mix(m.keep_h, h, squash(norm(sums + times(m.mask_h, h) @ a.weight_hh.T)))
        hs.append(h)
    return (torch.stack(hs),)


def _steps(a: Any, sizes: tuple[int, ...]) -> Iterator[tuple[Tensor, Any]]:
    """Each step's sums W_ih x + b (B, N), with a gain normalised in parts of these sizes; and its masks."""
    gain = getattr(a, "gain_x", None)
    if gain is None:
        sums = linear(a.x, a.weight_ih, a.bias)
    else:
        product = linear(a.x, a.weight_ih)
        parts = zip(product.split(sizes, -1), gain.split(sizes), a.bias.split(sizes), strict=True)
        sums = torch.cat([_norm(*gain_and_shift)(part) for part, *gain_and_shift in parts], -1)
    return zip(sums, each_step(a.masks, len(sums)), strict=True)


def _norm(gain: Tensor | None, shift: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Layer normalisation, or nothing if there is no gain."""
    return lambda a: a if gain is None else layer_norm(a, gain.shape, gain, shift, EPS)
