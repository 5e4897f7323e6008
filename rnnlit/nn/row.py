"""One layer and direction of a varied layer: its masks, and its scan.   B batch, T steps, I inputs, H hidden.

`prepare` does what works outside the recurrence, for the fused kernels and for the scans alike. `scan_lstm`,
`scan_gru` and `scan_rnn` turn `Variants` into the options of `rnnlit.nn.scan`. Cells use them with T = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnnlit.dropout_torch import mask
from rnnlit.nn.scan import scans
from rnnlit.nn.variants import PEEPHOLES, Variants
from rnnlit.tools.private_torch import apart, autocasts, draws_apart, exports, traced
from rnnlit.tools.sequences_torch import Padding, last_state


class Row(NamedTuple):
    """What one layer and direction needs for one call."""

    weights: Sequence[Tensor]  # torch's: weight_ih, weight_hh, the biases if there are any
    extra: Mapping[str, Tensor]  # the parameters of `variants_torch.extra_sizes`
    x: Tensor  # (T, B, I)
    padding: Padding | None = None
    training: bool = False
    generator: torch.Generator | None = None
    mask_h: Tensor | None = None  # (B, H) of h_{t-1} where the gates read it; None: `masks` draws it


# All states (T, B, N) of a row, the hidden ones first, zero at the padding; and the last ones (B, N).
States = tuple[list[Tensor], list[Tensor]]


def prepare(row: Row, variants: Variants) -> Row:
    """Apply what works outside the recurrence: the mask on the input, and the dropped weights."""
    weights, x = list(row.weights), row.x
    if row.training and variants.weight_drop:
        kept = mask(weights[1].shape, variants.weight_drop, row.generator, like=weights[1])
        weights[1] = weights[1] * kept  # a new tensor: the parameter stays whole, and gets its gradient
    if row.training and variants.input_dropout:
        x = x * mask((1, *x.shape[1:]), variants.input_dropout, row.generator, like=x)
    return row._replace(weights=weights, x=x)


def masks(row: Row, variants: Variants, H: int) -> dict[str, Tensor | None]:
    """The masks inside the recurrence, by what they meet: h, the candidate, and the old h and c (zoneout)."""
    T, B, _ = row.x.shape
    like, generator = row.weights[1], row.generator

    def dropped(p: float, steps: int) -> Tensor | None:
        return mask((steps, B, H), p, generator, like=like) if p and row.training else None

    def kept(p: float) -> Tensor | None:
        """1 where the state stays: drawn in training; in evaluation its expectation p, for all alike."""
        if not p:
            return None
        if not row.training:
            return like.new_full((1, 1, 1), p)
        if draws_apart():
            return torch.bernoulli(like.new_full((T, B, H), p), generator=generator)
        return like.new_empty((T, B, H)).uniform_(generator=generator).lt_(p)  # quicker than bernoulli_

    return {
        "h": dropped(variants.recurrent_dropout, 1) if row.mask_h is None else row.mask_h[None],
        "candidate": dropped(variants.candidate_dropout, T),
        "keep_h": kept(variants.zoneout_h),
        "keep_c": kept(variants.zoneout_c),
    }


def norm_of(row: Row, name: str) -> scans.Norm:
    """A layer normalisation's parameters."""
    return scans.Norm(row.extra[f"norm_gain_{name}"], row.extra[f"norm_shift_{name}"])


def normed(x: Tensor, weight: Tensor, bias: Tensor | None, *norms: scans.Norm) -> scans.Affine:
    """LN(W x) + b, still to be computed; each norm has its own part of the sums."""
    gain, shift = (_together(one) for one in ([norm.gain for norm in norms], [norm.shift for norm in norms]))
    parts = tuple(len(norm.gain) for norm in norms)
    return scans.Affine(x, weight, shift if bias is None else shift + bias, gain, parts)


def _together(parts: list[Tensor]) -> Tensor:
    """All in one; and a single one itself, for the gradient of torch.cat is a view of what comes back."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def scan_lstm(row: Row, variants: Variants, h0: Tensor, c0: Tensor) -> States:
    """The states h and c of a row of an LSTM.   h0, c0 (B, H)

    With layer_norm, as Ba et al. (2016):  a = LN(W_ih x) + LN(W_hh h) + b,  h' = o tanh(LN(c')).
    """
    weight_ih, weight_hh, *biases = row.weights
    bias = biases[0] + biases[1] if biases else None
    norm_h = norm_c = None
    gates: Tensor | scans.Affine
    if variants.layer_norm:
        gates = normed(row.x, weight_ih, bias, norm_of(row, "ih"))
        norm_h, norm_c = norm_of(row, "hh"), norm_of(row, "c")
    else:
        gates = scans.Affine(row.x, weight_ih, bias)
    m = masks(row, variants, weight_hh.shape[1])
    options = scans.LSTMOptions(
        mask_h=m["h"],
        mask_g=m["candidate"],
        keep_h=m["keep_h"],
        keep_c=m["keep_c"],
        peephole=torch.stack([row.extra[name] for name in PEEPHOLES]) if variants.peephole else None,
        norm_h=norm_h,
        norm_c=norm_c,
    )
    return ended(scans.lstm(gates, weight_hh, h0, c0, options), row.padding)


def scan_gru(row: Row, variants: Variants, h0: Tensor) -> States:
    """The states h of a row of a GRU.   h0 (B, H)

    With layer_norm, as Ba et al. (2016): LN(W_ih x) and LN(W_hh h), blocks r and z together, n apart; then
    the biases.
    """
    weight_ih, weight_hh, *biases = row.weights
    H = weight_hh.shape[1]
    bias_ih, bias_hh = biases or (None, None)
    norm_rz = norm_n = None
    gates: Tensor | scans.Affine
    if variants.layer_norm:
        gates = normed(row.x, weight_ih, bias_ih, norm_of(row, "ih_rz"), norm_of(row, "ih_n"))
        norm_rz, norm_n = norm_of(row, "hh_rz"), norm_of(row, "hh_n")
    else:
        gates = scans.Affine(row.x, weight_ih, bias_ih)
    m = masks(row, variants, H)
    options = scans.GRUOptions(m["h"], m["candidate"], m["keep_h"], norm_rz, norm_n)
    h = scans.gru(gates, weight_hh, bias_hh, h0, options, reset_after=not variants.reset_before)
    return ended((h,), row.padding)


def scan_rnn(row: Row, variants: Variants, h0: Tensor, *, relu: bool = False) -> States:
    """The states h of a row of a plain network.   h0 (B, H)

    With layer_norm, as Ba et al. (2016):  h' = tanh(LN(W_ih x + W_hh h) + b).
    """
    weight_ih, weight_hh, *biases = row.weights
    bias = biases[0] + biases[1] if biases else None
    norm = None
    gates: Tensor | scans.Affine
    if variants.layer_norm:
        gates, norm = scans.Affine(row.x, weight_ih), norm_of(row, "a")
        norm = norm if bias is None else norm._replace(shift=norm.shift + bias)
    else:
        gates = scans.Affine(row.x, weight_ih, bias)
        if row.padding is not None and relu:
            # at the padding a relu could grow past all bounds
            gates = linear(row.x, weight_ih, bias).masked_fill(row.padding.mask, -math.inf)
    m = masks(row, variants, weight_hh.shape[1])
    options = scans.RNNOptions(mask_h=m["h"], keep_h=m["keep_h"], norm=norm)
    return ended((scans.rnn(gates, weight_hh, h0, options, relu=relu),), row.padding)


def ended(states: Sequence[Tensor], padding: Padding | None) -> States:
    """States (T, B, N) with zeros after each sequence's end, and the last ones."""
    last = [last_state(s, padding) for s in states]
    return list(states) if padding is None else [s.masked_fill(padding.mask, 0) for s in states], last


def run_scan(
    scan: Callable[..., States], row: Row, variants: Variants, *states: Tensor, **options: Any
) -> States:
    """Call one of the scans above in the weights' own precision, autocast or not.

    torch.compile would unroll the loop over the steps, so it leaves a scan of more than one as it is.
    torch.export does unroll it.
    """
    compiles = torch.compiler.is_compiling() and not exports()
    run = _run_apart if compiles and row.x.shape[0] > 1 else _run
    return run(scan, row, variants, *states, **options)


def _run(
    scan: Callable[..., States], row: Row, variants: Variants, *states: Tensor, **options: Any
) -> States:
    row = row._replace(x=traced(row.x))
    if not autocasts(row.x):
        return scan(row, variants, *states, **options)
    dtype = row.weights[1].dtype
    with torch.autocast(row.x.device.type, enabled=False):
        states = tuple(state.to(dtype) for state in states)
        return scan(row._replace(x=row.x.to(dtype)), variants, *states, **options)


_run_apart = apart(_run)
