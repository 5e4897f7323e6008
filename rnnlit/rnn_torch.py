"""The plain recurrent network in torch: the twin of `rnnlit.rnn`.   B batch, T steps, I inputs, H hidden.

`step` and `forward` are the formula in torch, with autograd for the backward pass; they differ from the
reference in nothing else. `RNN` is the layer for work: torch's own fused kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.fused_torch import (
    SHUT,
    Padding,
    as_input,
    flag_padding,
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
    """All states of an `RNN`; the first axis has a row for each layer and direction, in the order of h_n."""

    h: Tensor  # (L·D, T, B, H); (L·D, B, T, H) with batch_first; (L·D, T, H) for one sequence


def step(params: Sequence[Any], x: Tensor, h: Tensor) -> Tensor:
    """Advance one step:  h' = tanh(W_ih x + b_ih + W_hh h + b_hh)    (Elman 1990)

    params: `rnnlit.rnn.Params` holding tensors, or a row of `RNN.all_weights`.    x (B, I), h (B, H)  ->  (B,
    H)
    """
    check_cell(params, 1, x, 2, h=h)
    weight_ih, weight_hh, bias_ih, bias_hh = params
    return torch.tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)


def forward(params: Sequence[Any], x: Tensor, h0: Tensor | None = None, lengths: Any = None) -> Run:
    """Run over whole sequences: `step`, T times.

    x (T, B, I); h0 (B, H), zero if not given; lengths (B,) integers, 1 <= length <= T, in any order, if the
    batch is padded.
    TypeError, ValueError: an argument of another type, dtype or shape; lengths out of range.
    """
    check_cell(params, 1, x, 3, h0=h0)
    T, B, _ = x.shape
    H = params[1].shape[1]
    padded = None if lengths is None else padding_of(check_lengths(lengths, T, B), T, x.device).mask
    h = x.new_zeros(B, H) if h0 is None else h0
    hs = []
    for t in range(T):
        new = step(params, x[t], h)
        # a sequence that has ended keeps its last state
        h = new if padded is None else torch.where(padded[t], h, new)
        hs.append(h)
    states = torch.stack(hs)
    return Run(states if padded is None else states.masked_fill(padded, 0), h)


class RNN(torch.nn.RNN):
    """Drop-in replacement of `torch.nn.RNN`, with lengths and all states on request.

    Arguments, parameters, initialisation and results are torch's, and so is the speed: the plain call is
    torch's call.

    ValueError, TypeError: a size that is no positive integer; what torch refuses itself.
    """

    weight_ih_l0: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            check_size("input_size", input_size),
            check_size("hidden_size", hidden_size),
            check_size("num_layers", num_layers),
            nonlinearity=nonlinearity,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
        )

    def forward(
        self, input: Any, hx: Tensor | None = None, *, lengths: Any = None, return_all_states: bool = False
    ) -> tuple[Any, ...]:
        """Run over a batch of sequences; returns (output, h_n), and `States` too if they are asked for.

        Input, hx, output and h_n are as in `torch.nn.RNN`; lengths and return_all_states, the errors and the
        cost are as in `rnnlit.lstm_torch.LSTM.forward`, but that no state has to be computed twice.
        """
        batch = check_input(self, input)
        if hx is not None:
            rows = self.num_layers * (2 if self.bidirectional else 1)
            check_state("hx", hx, (rows, *batch, self.hidden_size), self.weight_ih_l0)
        if lengths is None and not return_all_states:
            return super().forward(input, hx)

        x, lengths = time_first(self, input, lengths)
        if lengths is not None and not return_all_states:
            if bool((lengths == x.shape[0]).all()):
                return super().forward(input, hx)
            # Packing leaves out the padding, but its backward pass is slow on the CPU.
            if x.is_cuda or not torch.is_grad_enabled():
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
        """The states (T, B, H) of one layer and direction, and its last state (B, H)."""
        weights: list[Tensor] = list(self.all_weights[k])
        relu = self.nonlinearity == "relu"
        if padding is not None and relu:
            # there a relu could grow past all bounds
            x, weights[0] = flag_padding(x, weights[0], [-SHUT], padding)
        kernel = torch.rnn_relu if relu else torch.rnn_tanh
        h, _ = kernel(x, h0[None], weights, self.bias, 1, 0.0, self.training, False, False)
        if padding is not None:
            h = h.masked_fill(padding.mask, 0)
        return [h], [last_state(h, padding)]
