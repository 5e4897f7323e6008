"""LSTM in torch: the twin of `rnnlit.lstm`.   B batch, T steps, I inputs, H hidden;   gates i f g o.

`step` and `forward` are the formula in torch, with autograd for the backward pass; they differ from the
reference in nothing else. `LSTM` is the layer for work: torch's own fused kernels, with lengths and all
states on request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

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

    h: Tensor  # (T, B, H) hidden states, zero after a sequence's end
    c: Tensor  # (T, B, H) cell states, likewise
    h_n: Tensor  # (B, H) last hidden state of each sequence
    c_n: Tensor  # (B, H) last cell state of each sequence


class States(NamedTuple):
    """All states of an `LSTM`; the first axis has a row for each layer and direction, in the order of h_n.

    (L·D, T, B, H); with batch_first (L·D, B, T, H); for one sequence (L·D, T, H). Row k at step t is the
    state after the layer has read step t, in its direction; zero after a sequence's end. With proj_size P, h
    has P units and c has H.
    """

    h: Tensor
    c: Tensor


def step(params: Sequence[Any], x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Advance one step (Gers, Schmidhuber & Cummins 2000):

        i, f, o = sigma(W_ih x + b_ih + W_hh h + b_hh)        c' = f c + i g
        g       = tanh (W_ih x + b_ih + W_hh h + b_hh)        h' = o tanh(c')

    params: `rnnlit.lstm.Params` holding tensors, or a row of `LSTM.all_weights`.
    x (B, I), h (B, H), c (B, H)  ->  h' (B, H), c' (B, H)
    """
    check_cell(params, 4, x, 2, h=h, c=c)
    weight_ih, weight_hh, bias_ih, bias_hh = params
    a = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
    i, f, g, o = a.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


def forward(
    params: Sequence[Any], x: Tensor, h0: Tensor | None = None, c0: Tensor | None = None, lengths: Any = None
) -> Run:
    """Run over whole sequences: `step`, T times.

    x (T, B, I); h0, c0 (B, H), zero if not given; lengths (B,) integers, 1 <= length <= T, in any order, for
    a padded batch.
    TypeError, ValueError: an argument of another type, dtype or shape; lengths out of range.
    """
    check_cell(params, 4, x, 3, h0=h0, c0=c0)
    return unroll(step, params, x, h0, c0, lengths)


class LSTM(torch.nn.LSTM):
    """Drop-in replacement of `torch.nn.LSTM`, with lengths, a forget bias and all states on request.

    Arguments, parameters, initialisation and results are torch's, and so is the speed: the plain call is
    torch's call.

    forget_bias: the forget gate's bias at the start, in every layer and direction; None leaves torch's random
        one. torch adds two biases, so bias_ih takes the number and bias_hh takes zero; 1 is the advice of
        Jozefowicz et al. (2015).
    chrono: the longest lag T_max that the task is thought to have, in steps, more than 2; then b_f = log u
        with u ~ U(1, T_max - 1) for each unit and b_i = -b_f (Tallec & Ollivier 2018).
    All other parameters are drawn as torch draws them, and are the same under the same seed.

    ValueError, TypeError: a size that is no positive integer; both kinds of bias, or one of them without
    bias=True; chrono not above 2; what torch refuses itself.
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
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        forget_bias: float | None = None,
        chrono: float | None = None,
    ) -> None:
        check_biases(bias, forget_bias, chrono)
        self.forget_bias, self.chrono = forget_bias, chrono  # torch's constructor calls reset_parameters
        super().__init__(
            check_size("input_size", input_size),
            check_size("hidden_size", hidden_size),
            check_size("num_layers", num_layers),
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )

    def reset_parameters(self) -> None:
        """Draw all parameters as torch does, then set the biases that forget_bias or chrono ask for."""
        super().reset_parameters()
        if self.forget_bias is None and self.chrono is None:
            return
        with torch.no_grad():
            for _, _, bias_ih, bias_hh, *_ in self.all_weights:
                i, f, _, _ = bias_ih.chunk(4)
                i_hh, f_hh, _, _ = bias_hh.chunk(4)
                f_hh.zero_()
                if self.forget_bias is not None:
                    f.fill_(self.forget_bias)
                elif self.chrono is not None:
                    f.uniform_(1, self.chrono - 1).log_()
                    i.copy_(-f)
                    i_hh.zero_()

    def extra_repr(self) -> str:
        """The arguments that are not the default's, as in torch, and the two of this class."""
        own = {"forget_bias": self.forget_bias, "chrono": self.chrono}
        return super().extra_repr() + "".join(f", {k}={v}" for k, v in own.items() if v is not None)

    def forward(
        self,
        input: Any,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Any = None,
        return_all_states: bool = False,
    ) -> tuple[Any, ...]:
        """Run over a batch of sequences; returns (output, (h_n, c_n)), and `States` too if asked for them.

        input, hx, output, h_n, c_n: as in `torch.nn.LSTM`, packed sequences and a single sequence (T, I)
        included.

        lengths: (B,) integers, 1 <= length <= T, in any order: a tensor on any device, an array or a list.
        The output is then zero after a sequence's end, h_n and c_n are the states at the end, and the reverse
        direction starts there. Whatever stands in the padding has no effect and gets no gradient. On a GPU,
        lengths are best kept on the CPU.

        return_all_states: every layer's h and c at every step (see `States`), before any dropout. Fused
        kernels keep c to themselves; it is computed again from x and h, in 3/4 of the kernel's matrix
        products and one addcmul a step, and carries gradient. The call takes 1.9 to 2.8 times as long.

        With either of them, layers and directions run one kernel after another. On a GPU, dropout between the
        layers then draws other numbers than torch's. torch.export is for the plain call; torch.jit.script
        does not compile this class.

        TypeError, ValueError: an argument of another type, dtype or shape; lengths out of range. NaN is not
        looked for.
        """
        batch = check_input(self, input)
        if hx is not None:
            self._check_hx(hx, batch)
        if lengths is None and not return_all_states:
            return super().forward(input, hx)

        x, lengths = time_first(self, input, lengths)
        if lengths is not None and not return_all_states:
            if bool((lengths == x.shape[0]).all()):
                return super().forward(input, hx)
            if x.is_cuda:
                return run_packed(super().forward, input, hx, lengths, self.batch_first)

        h0, c0 = self._initial_states(x, hx)

        def run_row(k: int, x: Tensor, padding: Padding | None) -> tuple[list[Tensor], list[Tensor]]:
            return self._run_row(k, x, padding, h0[k], c0[k], return_all_states)

        run = run_layers(self, x, lengths, run_row)
        output = as_input(self, input, run.output)
        h_n, c_n = (state.squeeze(1) for state in run.last) if input.dim() == 2 else run.last
        if not return_all_states:
            return output, (h_n, c_n)
        return output, (h_n, c_n), States(*(as_input(self, input, state) for state in run.states))

    def check_forward_args(self, *args: Any) -> None:
        """Override torch's own check, which `forward` would call after ours: checking twice takes time."""

    def _check_hx(self, hx: Any, batch: tuple[int, ...]) -> None:
        if not isinstance(hx, tuple | list) or len(hx) != 2:
            raise TypeError(f"hx: expected a pair (h0, c0), got {type(hx).__name__}")
        rows, weight = self.num_layers * (2 if self.bidirectional else 1), self.weight_ih_l0
        check_state("hx: h0", hx[0], (rows, *batch, self.proj_size or self.hidden_size), weight)
        check_state("hx: c0", hx[1], (rows, *batch, self.hidden_size), weight)

    def _initial_states(self, x: Tensor, hx: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """h0 and c0 (L·D, B, N)."""
        rows, B = len(self.all_weights), x.shape[1]
        if hx is not None:
            return hx[0].reshape(rows, B, -1), hx[1].reshape(rows, B, -1)
        h0 = x.new_zeros(rows, B, self.proj_size or self.hidden_size)
        return h0, x.new_zeros(rows, B, self.hidden_size)

    def _run_row(
        self, k: int, x: Tensor, padding: Padding | None, h0: Tensor, c0: Tensor, all_states: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The states of one layer and direction: h (T, B, N), c (T, B, H) if asked for; and the last h and c.

        At the padding the input and output gates are shut and the forget gate is open: h is zero there, and c
        stays.
        """
        weights: list[Tensor] = list(self.all_weights[k])
        if padding is not None:
            x, weights[0] = flag_padding(x, weights[0], [-SHUT, SHUT, 0.0, -SHUT], padding)
        hx = (h0[None], c0[None])
        h, _, c_n = torch.lstm(x, hx, weights, self.bias, 1, 0.0, self.training, False, False)
        last = [last_state(h, padding), c_n[0]]
        if not all_states:
            return [h], last
        c = cell_states(weights, self.bias, x, h, h0, c0)
        return [h, c if padding is None else c.masked_fill(padding.mask, 0)], last


def cell_states(
    weights: Sequence[Tensor], bias: bool, x: Tensor, h: Tensor, h0: Tensor, c0: Tensor
) -> Tensor:
    """All cell states (T, B, H) of a layer whose hidden states h (T, B, N) are known:  c_t = f c_{t-1} + i g

    With h known, the gates of all steps come from one product each for x and h; what is left is elementwise.
    """
    H3 = weights[0].shape[0] // 4 * 3  # the output gate has no part in c
    weight_ih, weight_hh, *others = (weight[:H3] for weight in weights)
    bias_ih, bias_hh = others[:2] if bias else (None, None)
    h_before = torch.cat([h0[None], h[:-1]])
    i, f, g = (linear(x, weight_ih, bias_ih) + linear(h_before, weight_hh, bias_hh)).chunk(3, -1)
    f, written = torch.sigmoid(f), torch.sigmoid(i) * torch.tanh(g)
    c, cs = c0, []
    for f_t, written_t in zip(f.unbind(), written.unbind(), strict=True):
        c = torch.addcmul(written_t, f_t, c)
        cs.append(c)
    return torch.stack(cs)


def unroll(
    step: Callable[..., tuple[Tensor, Tensor]],
    params: Sequence[Any],
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Any,
) -> Run:
    """Apply `step` to x (T, B, I), step by step; a sequence that has ended keeps its last state."""
    T, B, _ = x.shape
    H = params[1].shape[1]
    padded = None if lengths is None else padding_of(check_lengths(lengths, T, B), T, x.device).mask
    h = x.new_zeros(B, H) if h0 is None else h0
    c = x.new_zeros(B, H) if c0 is None else c0
    hs, cs = [], []
    for t in range(T):
        new = step(params, x[t], h, c)
        if padded is not None:
            new = torch.where(padded[t], h, new[0]), torch.where(padded[t], c, new[1])
        h, c = new
        hs.append(h)
        cs.append(c)
    all_h, all_c = torch.stack(hs), torch.stack(cs)
    if padded is not None:
        all_h, all_c = all_h.masked_fill(padded, 0), all_c.masked_fill(padded, 0)
    return Run(all_h, all_c, h, c)


def check_biases(bias: bool, forget_bias: Any, chrono: Any) -> None:
    """Check the initial biases that are asked for."""
    for name, value in (("forget_bias", forget_bias), ("chrono", chrono)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name}: expected a number or None, got {value!r}")
        if not bias:
            raise ValueError(f"{name}: expected bias=True beside it, got bias={bias}")
        if not math.isfinite(value) or (name == "chrono" and value <= 2):
            wanted = "a lag of more than 2 steps" if name == "chrono" else "a finite number"
            raise ValueError(f"{name}: expected {wanted}, got {value}")
    if forget_bias is not None and chrono is not None:
        raise ValueError(f"forget_bias, chrono: expected one of them, got both ({forget_bias} and {chrono})")
