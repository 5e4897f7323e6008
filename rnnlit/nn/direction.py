"""One layer and direction of a varied layer: its masks, and its scan.   B batch, T steps, I inputs, H hidden.

`prepare` does what works outside the recurrence, for the fused kernels and for the scans alike. `scan_lstm`,
`scan_gru` and `scan_rnn` turn `Variants` into the `Inputs` of `rnnlit.nn.scan`. Cells use them with T = 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.dropout_torch import mask
from rnnlit.nn.fused import shut_relu
from rnnlit.nn.scan import gru, lstm, rnn
from rnnlit.nn.scan.steps import gradient_wanted, join
from rnnlit.nn.variants import PEEPHOLES, Variants
from rnnlit.tools.private_torch import apart, autocasts, draws_apart, exports, follows, traced
from rnnlit.tools.sequences_torch import Padding, last_state


class Direction(NamedTuple):
    """What one layer and direction needs for one call."""

    weights: Sequence[Tensor]  # torch's: weight_ih, weight_hh, the biases if there are any
    extra: Mapping[str, Tensor]  # the parameters of `variants.extra_sizes`
    x: Tensor  # (T, B, I)
    padding: Padding | None = None
    training: bool = False
    generator: torch.Generator | None = None
    mask_h: Tensor | None = None  # (B, H) of h_{t-1} where the gates read it; None: `masks` draws it


# All states (T, B, N) of a layer and direction, h first, zero at the padding; and the last ones (B, N).
States = tuple[list[Tensor], list[Tensor]]


def prepare(one: Direction, variants: Variants) -> Direction:
    """Apply what works outside the recurrence: the mask on the input, and the dropped weights."""
    weights, x = list(one.weights), one.x
    if one.training and variants.weight_drop:
        drawn = mask(weights[1].shape, variants.weight_drop, one.generator, like=weights[1])
        weights[1] = weights[1] * drawn  # a new tensor: the parameter stays whole, and gets its gradient
    if one.training and variants.input_dropout:
        x = x * mask((1, *x.shape[1:]), variants.input_dropout, one.generator, like=x)
    return one._replace(weights=weights, x=x)


def masks(one: Direction, variants: Variants, H: int) -> dict[str, Tensor | None]:
    """The masks inside the recurrence, by what they meet: h, the candidate, and the old h and c (zoneout)."""
    T, B, _ = one.x.shape
    like, generator = one.weights[1], one.generator

    def dropped(p: float, steps: int) -> Tensor | None:
        return mask((steps, B, H), p, generator, like=like) if p and one.training else None

    def zoneout(p: float) -> Tensor | None:
        """1 where the state stays: drawn in training; in evaluation its expectation p, for all alike."""
        if not p:
            return None
        if not one.training:
            return like.new_full((1, 1, 1), p)
        if draws_apart():
            return torch.bernoulli(like.new_full((T, B, H), p), generator=generator)
        return like.new_empty((T, B, H)).uniform_(generator=generator).lt_(p)  # quicker than bernoulli_

    return {
        "h": dropped(variants.recurrent_dropout, 1) if one.mask_h is None else one.mask_h[None],
        "candidate": dropped(variants.candidate_dropout, T),
        "keep_h": zoneout(variants.zoneout_h),
        "keep_c": zoneout(variants.zoneout_c),
    }


def norm_of(one: Direction, name: str) -> tuple[Tensor, Tensor]:
    """A layer normalisation's gain and shift."""
    return one.extra[f"norm_gain_{name}"], one.extra[f"norm_shift_{name}"]


def with_shift(bias: Tensor | None, *norms: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The gain and the bias of  LN(W x) + b,  where each of the norms has its own part of the sums."""
    gain, shift = (join(one) for one in zip(*norms, strict=True))
    return gain, shift if bias is None else shift + bias


def scan_lstm(module: Any, one: Direction, *states: Tensor) -> States:
    """The states h and c of a layer and direction of an LSTM.   states: h0, c0 (B, H)

    With layer_norm, as Ba et al. (2016):  a = LN(W_ih x) + LN(W_hh h) + b,  h' = o tanh(LN(c')).
    module: the layer or cell, which knows its variants
    """
    weight_ih, weight_hh, *biases = one.weights
    bias, (h0, c0) = biases[0] + biases[1] if biases else None, states
    m = masks(one, module.variants, weight_hh.shape[1])
    inputs = lstm.Inputs(one.x, weight_ih, weight_hh, bias, h0, c0, m["h"], m["candidate"])
    inputs = inputs._replace(keep_h=m["keep_h"], keep_c=m["keep_c"])
    if module.variants.peephole:
        inputs = inputs._replace(peephole=torch.stack([one.extra[name] for name in PEEPHOLES]))
    if module.variants.layer_norm:
        gain_x, bias = with_shift(bias, norm_of(one, "ih"))
        (gain_h, shift_h), (gain_c, shift_c) = norm_of(one, "hh"), norm_of(one, "c")
        inputs = inputs._replace(bias=bias, gain_x=gain_x, gain_h=gain_h, shift_h=shift_h)
        inputs = inputs._replace(gain_c=gain_c, shift_c=shift_c)
    return ended(run_scan(lstm.ScanLSTM, inputs), one.padding)


def scan_gru(module: Any, one: Direction, *states: Tensor) -> States:
    """The states h of a layer and direction of a GRU.   states: h0 (B, H)

    With layer_norm, as Ba et al. (2016): LN(W_ih x) and LN(W_hh h), blocks r and z together, n apart; then
    the biases.
    module: the layer or cell, which knows its variants
    """
    weight_ih, weight_hh, *biases = one.weights
    (bias, bias_hh), (h0,) = biases or (None, None), states
    m, reset_after = masks(one, module.variants, weight_hh.shape[1]), not module.variants.reset_before
    inputs = gru.Inputs(one.x, weight_ih, weight_hh, bias, bias_hh, h0, reset_after)
    inputs = inputs._replace(mask_h=m["h"], mask_n=m["candidate"], keep_h=m["keep_h"])
    if module.variants.layer_norm:
        gain_x, bias = with_shift(bias, norm_of(one, "ih_rz"), norm_of(one, "ih_n"))
        (gain_rz, shift_rz), (gain_n, shift_n) = norm_of(one, "hh_rz"), norm_of(one, "hh_n")
        inputs = inputs._replace(bias=bias, gain_x=gain_x, gain_rz=gain_rz, shift_rz=shift_rz)
        inputs = inputs._replace(gain_n=gain_n, shift_n=shift_n)
    return ended(run_scan(gru.ScanGRU, inputs), one.padding)


def scan_rnn(module: Any, one: Direction, *states: Tensor) -> States:
    """The states h of a layer and direction of a plain network.   states: h0 (B, H)

    With layer_norm, as Ba et al. (2016):  h' = tanh(LN(W_ih x + W_hh h) + b).
    module: the layer or cell, which knows its variants and its nonlinearity
    """
    x, (weight_ih, weight_hh, *biases), relu = one.x, one.weights, module.nonlinearity == "relu"
    bias, (h0,) = biases[0] + biases[1] if biases else None, states
    gain = shift = None
    if module.variants.layer_norm:
        (gain, shift), bias = with_shift(bias, norm_of(one, "a")), None
    elif one.padding is not None and relu:
        x, weight_ih = shut_relu(x, weight_ih, one.padding)
    m = masks(one, module.variants, weight_hh.shape[1])
    inputs = rnn.Inputs(x, weight_ih, weight_hh, bias, h0, relu, m["h"], m["keep_h"], gain, shift)
    return ended(run_scan(rnn.ScanRNN, inputs), one.padding)


def ended(states: Sequence[Tensor], padding: Padding | None) -> States:
    """States (T, B, N) with zeros after each sequence's end, and the last ones."""
    last = [last_state(s, padding) for s in states]
    return list(states) if padding is None else [s.masked_fill(padding.mask, 0) for s in states], last


def run_scan(scan: Any, inputs: Any) -> Any:
    """Run one of the scans of `rnnlit.nn.scan`, in the weights' own precision, autocast or not.

    scan: its autograd function;   inputs: its `Inputs`  ->  the states (T, B, H)

    Where torch records or transforms operations, the scan's loop runs instead. But torch.compile, which would
    unroll a loop over several steps, leaves the scan as it is; torch.export has to unroll it.
    """
    x, dtype = inputs.x, inputs.weight_hh.dtype
    if torch.compiler.is_compiling() and not exports() and len(x) > 1:
        return _run_apart(scan, inputs)
    if autocasts(x):
        names = [name for name in ("x", "h0", "c0") if name in inputs._fields]
        with torch.autocast(x.device.type, enabled=False):
            in_dtype = {name: getattr(inputs, name).to(dtype) for name in names}
            return run_scan(scan, inputs._replace(**in_dtype))
    if follows() or inputs.h0.numel() == 0:
        return scan.loop(inputs._replace(x=traced(x)))
    keeps = gradient_wanted(*inputs)
    if x.is_cuda:
        from rnnlit.nn.gpu.dispatch import run  # of no use elsewhere

        return run(scan, keeps, inputs)
    return scan.apply(keeps, *inputs)


_run_apart = apart(run_scan)
