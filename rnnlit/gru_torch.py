"""GRU in torch: the twin of `rnnlit.gru`.   B batch, T steps, I inputs, H hidden;   blocks r z n.

`step` and `forward` are the formula in torch, with autograd for the backward pass; they differ from the
reference in nothing else. `GRU` is the layer for work: torch's own kernels, or on request the form of
Cho et al. (2014), for which torch has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnnlit.fused_torch import (
    Padding,
    as_input,
    last_state,
    padding_of,
    run_layers,
    run_packed,
    time_first,
)
from rnnlit.tools.checks import check_size
from rnnlit.tools.checks_torch import check_cell, check_input, check_lengths, check_state


class Run(NamedTuple):
    """What `forward` returns."""

    h: Tensor  # (T, B, H) states, zero after a sequence's end
    h_n: Tensor  # (B, H) last state of each sequence


class States(NamedTuple):
    """All states of a `GRU`; the first axis has a row for each layer and direction, in the order of h_n."""

    h: Tensor  # (L·D, T, B, H); (L·D, B, T, H) with batch_first; (L·D, T, H) for one sequence


def step(params: Sequence[Any], x: Tensor, h: Tensor, *, reset_after: bool = True) -> Tensor:
    """Advance one step (Cho et al. 2014):

        r, z = sigma(W_ih x + b_ih + W_hh h + b_hh)        h' = (1 - z) n + z h
        n    = tanh(W_in x + b_in + r (W_hn h + b_hn))     with reset_after
        n    = tanh(W_in x + b_in + W_hn (r h) + b_hn)     without

    params: `rnnlit.gru.Params` holding tensors, or a row of `GRU.all_weights`.
    x (B, I), h (B, H)  ->  (B, H)
    """
    check_cell(params, 3, x, 2, h=h)
    weight_ih, weight_hh, bias_ih, bias_hh = params
    weight_hr, weight_hz, weight_hn = weight_hh.chunk(3)
    bias_hr, bias_hz, bias_hn = bias_hh.chunk(3)
    a_r, a_z, a_n = (x @ weight_ih.T + bias_ih).chunk(3, 1)
    r = torch.sigmoid(a_r + h @ weight_hr.T + bias_hr)
    z = torch.sigmoid(a_z + h @ weight_hz.T + bias_hz)
    if reset_after:
        n = torch.tanh(a_n + r * (h @ weight_hn.T + bias_hn))
    else:
        n = torch.tanh(a_n + (r * h) @ weight_hn.T + bias_hn)
    return (1 - z) * n + z * h


def forward(
    params: Sequence[Any],
    x: Tensor,
    h0: Tensor | None = None,
    lengths: Any = None,
    *,
    reset_after: bool = True,
) -> Run:
    """Run over whole sequences: `step`, T times.

    x (T, B, I); h0 (B, H), zero if not given; lengths (B,) integers, 1 <= length <= T, in any order, if the
    batch is padded.
    TypeError, ValueError: an argument of another type, dtype or shape; lengths out of range.
    """
    check_cell(params, 3, x, 3, h0=h0)
    T, B, _ = x.shape
    H = params[1].shape[1]
    padded = None if lengths is None else padding_of(check_lengths(lengths, T, B), T, x.device).mask
    h = x.new_zeros(B, H) if h0 is None else h0
    hs = []
    for t in range(T):
        new = step(params, x[t], h, reset_after=reset_after)
        # a sequence that has ended keeps its last state
        h = new if padded is None else torch.where(padded[t], h, new)
        hs.append(h)
    states = torch.stack(hs)
    return Run(states if padded is None else states.masked_fill(padded, 0), h)


class GRU(torch.nn.GRU):
    """Drop-in replacement of `torch.nn.GRU`, with lengths, all states and the other reset on request.

    Arguments, parameters, initialisation and results are torch's, and so is the speed: the plain call is
    torch's call.

    reset_after: False computes the candidate from W_hn (r h) as Cho et al. (2014), with the same parameters.
        No kernel of torch does that; a loop over the steps does, with two products in each.

    ValueError, TypeError: a size that is no positive integer; reset_after no bool; what torch refuses itself.
    """

    weight_ih_l0: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
    ) -> None:
        if not isinstance(reset_after, bool):
            raise TypeError(f"reset_after: expected True or False, got {reset_after!r}")
        super().__init__(
            check_size("input_size", input_size),
            check_size("hidden_size", hidden_size),
            check_size("num_layers", num_layers),
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
        )
        self.reset_after = reset_after

    def extra_repr(self) -> str:
        """The arguments that are not the default's, as in torch, and the one of this class."""
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")

    def forward(
        self, input: Any, hx: Tensor | None = None, *, lengths: Any = None, return_all_states: bool = False
    ) -> tuple[Any, ...]:
        """Run over a batch of sequences; returns (output, h_n), and `States` too if they are asked for.

        Input, hx, output and h_n are as in `torch.nn.GRU`; lengths and return_all_states, the errors and the
        cost are as in `rnnlit.lstm_torch.LSTM.forward`, but that no state has to be computed twice. Without
        reset_after, a packed sequence is refused: give the padded tensor and lengths.
        """
        batch = check_input(self, input)
        if hx is not None:
            rows = self.num_layers * (2 if self.bidirectional else 1)
            check_state("hx", hx, (rows, *batch, self.hidden_size), self.weight_ih_l0)
        if self.reset_after and lengths is None and not return_all_states:
            return super().forward(input, hx)
        if not self.reset_after and not isinstance(input, Tensor):
            raise TypeError(
                "input: expected a padded tensor, and lengths beside it, with reset_after=False, got a "
                "PackedSequence"
            )

        x, lengths = time_first(self, input, lengths)
        if self.reset_after and lengths is not None and not return_all_states:
            if bool((lengths == x.shape[0]).all()):
                return super().forward(input, hx)
            if x.is_cuda:
                return run_packed(super().forward, input, hx, lengths, self.batch_first)

        rows, B = len(self.all_weights), x.shape[1]
        h0 = x.new_zeros(rows, B, self.hidden_size) if hx is None else hx.reshape(rows, B, -1)
        run = run_layers(self, x, lengths, lambda k, x, padding: self._run_row(k, x, padding, h0[k]))
        output = as_input(self, input, run.output)
        h_n = run.last[0].squeeze(1) if input.dim() == 2 else run.last[0]
        if not return_all_states:
            return output, h_n
        return output, h_n, States(as_input(self, input, run.states[0]))

    def check_forward_args(self, *args: Any) -> None:
        """Override torch's own check, which `forward` would call after ours: checking twice takes time."""

    def _run_row(
        self, k: int, x: Tensor, padding: Padding | None, h0: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The states (T, B, H) of one layer and direction, and its last state (B, H).

        At the padding x is zero and a state is a mean of states and tanhs, so nothing can grow there.
        """
        weights: list[Tensor] = list(self.all_weights[k])
        if self.reset_after:
            h, _ = torch.gru(x, h0[None], weights, self.bias, 1, 0.0, self.training, False, False)
        else:
            h = reset_before(weights, x, h0)
        if padding is not None:
            h = h.masked_fill(padding.mask, 0)
        return [h], [last_state(h, padding)]


def reset_before(weights: Sequence[Tensor], x: Tensor, h: Tensor) -> Tensor:
    """All states (T, B, H) with n = tanh(W_in x + b_in + W_hn (r h) + b_hn); the biases may be absent."""
    weight_ih, weight_hh, *biases = weights
    H2 = 2 * h.shape[-1]
    bias_ih, bias_rz, bias_n = (biases[0], biases[1][:H2], biases[1][H2:]) if biases else (None, None, None)
    weight_rz, weight_n = weight_hh[:H2], weight_hh[H2:]
    hs = []
    for a in linear(x, weight_ih, bias_ih).unbind():
        r, z = torch.sigmoid(a[:, :H2] + linear(h, weight_rz, bias_rz)).chunk(2, 1)
        n = torch.tanh(a[:, H2:] + linear(r * h, weight_n, bias_n))
        h = n + z * (h - n)
        hs.append(h)
    return torch.stack(hs)
