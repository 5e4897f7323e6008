"""LSTM with dropout in torch: the twin of `rnnlit.dropout_lstm`.

B batch, T steps, I inputs, H hidden.

p is the probability to DROP. One Python step after another, with autograd for the
backward pass. Masks are `dropout_lstm.Masks` that hold tensors; the same masks give the
same numbers as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit import dropout_masks
from rnnlit.dropout_masks import Kind, Masks, at, check_kind, check_masks, mix, times
from rnnlit.dropout_torch import binary_mask
from rnnlit.lstm_variants import cell
from rnnlit.tools.checks import check_probability, check_size
from rnnlit.tools.checks_torch import check_cell, check_lengths, check_state
from rnnlit.tools.sequences_torch import padding_of


class Run(NamedTuple):
    """What `forward` returns."""

    h: Tensor  # (T, B, H) hidden states times the mask `out`, zero after the end
    c: Tensor  # (T, B, H) cell states, likewise
    h_n: Tensor  # (B, H) last row of h of each sequence
    c_n: Tensor  # (B, H) last cell state of each sequence
    state_n: Tensor  # (B, H) last hidden state, without `out`


def draw(
    kind: Kind,
    p: float,
    T: int,
    B: int,
    I: int,
    H: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: Any = None,
    per_sequence: bool = False,
    p_h: float | None = None,
) -> Masks:
    """Draw the masks of a batch for training: `rnnlit.dropout_masks.draw` in torch."""
    new = partial(binary_mask, generator=generator, dtype=dtype, device=device)
    return dropout_masks.draw(
        kind, p, T, B, I, H, per_sequence=per_sequence, p_h=p_h, new=new
    )


def evaluation(
    kind: Kind,
    p: float,
    B: int,
    H: int,
    *,
    like: Tensor | None = None,
    p_h: float | None = None,
) -> Masks:
    """The masks at evaluation: none for inverted kinds, the numbers z for zoneout.

    like: a tensor that tells dtype and device.
    """
    like = torch.empty(0) if like is None else like
    return dropout_masks.evaluation(kind, p, B, H, p_h=p_h, full=like.new_full)


def forward(
    params: Sequence[Any],
    x: Tensor,
    masks: Masks | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Any = None,
) -> Run:
    """Run over whole sequences, by the equations of `rnnlit.dropout_lstm.forward`.

    x (T, B, I); h0, c0 (B, H), zero if not given; lengths (B,) for a padded batch.
    """
    check_cell(params, 4, x, 3, h0=h0, c0=c0)
    weight_ih, weight_hh, bias_ih, bias_hh = params
    T, B, I = x.shape
    H = weight_hh.shape[1]
    m = check_masks(masks, T, B, I, H, weight_hh, check_state)
    padded = (
        None
        if lengths is None
        else padding_of(check_lengths(lengths, T, B), T, x.device).mask
    )
    dropped = times(m.weight_hh, weight_hh)
    inputs = times(m.x, x) @ weight_ih.T + bias_ih + bias_hh
    h = x.new_zeros(B, H) if h0 is None else h0
    c = x.new_zeros(B, H) if c0 is None else c0
    read = h
    step = partial(cell, sigmoid=torch.sigmoid, tanh=torch.tanh)
    hs, cs = [], []
    for t in range(T):
        a = (inputs[t] + times(at(m.h, t), h) @ dropped.T).chunk(4, 1)
        new = step(a, c, m_g=at(m.g, t), m_c=at(m.c, t))
        c_t, h_t = mix(at(m.zoneout_c, t), c, new.c), mix(at(m.zoneout_h, t), h, new.h)
        read_t = times(at(m.out, t), h_t)
        if padded is not None:
            old_new = ((c, c_t), (h, h_t), (read, read_t))
            c_t, h_t, read_t = (
                torch.where(padded[t], old, new) for old, new in old_new
            )
        c, h, read = c_t, h_t, read_t
        hs.append(read)
        cs.append(c)
    all_h, all_c = torch.stack(hs), torch.stack(cs)
    if padded is not None:
        all_h, all_c = all_h.masked_fill(padded, 0), all_c.masked_fill(padded, 0)
    return Run(all_h, all_c, read, c, h)


class DroppedLSTM(torch.nn.Module):
    """One LSTM layer with one kind of dropout; parameters as in torch.nn.LSTM.

    kind, p, per_sequence, p_h: as in `rnnlit.dropout_lstm.draw`. generator draws the
    masks, torch's own if None. In training mode each call draws new masks; at
    evaluation it uses those of `evaluation`. Dropping weights makes new numbers and
    leaves the parameters alone.
    """

    draws_masks = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        kind: Kind = "none",
        p: float = 0.0,
        *,
        per_sequence: bool = False,
        p_h: float | None = None,
        generator: torch.Generator | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_kind(kind)
        I, H = (
            check_size("input_size", input_size),
            check_size("hidden_size", hidden_size),
        )
        self.input_size, self.hidden_size, self.kind, self.p = (
            I,
            H,
            kind,
            check_probability("p", p),
        )
        self.per_sequence, self.generator = per_sequence, generator
        self.p_h = None if p_h is None else check_probability("p_h", p_h)
        for name, shape in (("weight_ih", (4 * H, I)), ("weight_hh", (4 * H, H))):
            self.register_parameter(
                f"{name}_l0",
                torch.nn.Parameter(torch.empty(shape, device=device, dtype=dtype)),
            )
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(
                f"{name}_l0",
                torch.nn.Parameter(torch.empty(4 * H, device=device, dtype=dtype)),
            )
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -(H**-0.5), H**-0.5)

    def forward(
        self,
        input: Tensor,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Any = None,
        masks: Masks | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over a batch; returns (output, (h_n, c_n)).

        input (T, B, I), hx = (h0, c0) (B, H) each  ->  output (T, B, H), times the mask
        `out`; h_n, c_n (B, H) are the last states, without it. masks: these instead of
        drawn ones.
        """
        params = list(self.parameters())
        check_cell(params, 4, input, 3)
        if masks is None:
            masks = self._masks(input)
        h0, c0 = (None, None) if hx is None else hx
        run = forward(params, input, masks, h0, c0, lengths)
        return run.h, (run.state_n, run.c_n)

    def extra_repr(self) -> str:
        """The arguments, as in torch."""
        return f"{self.input_size}, {self.hidden_size}, kind={self.kind!r}, p={self.p}"

    def _masks(self, x: Tensor) -> Masks:
        T, B, I = x.shape
        if not self.training:
            return evaluation(
                self.kind, self.p, B, self.hidden_size, like=x, p_h=self.p_h
            )
        return draw(
            self.kind,
            self.p,
            T,
            B,
            I,
            self.hidden_size,
            generator=self.generator,
            dtype=x.dtype,
            device=x.device,
            per_sequence=self.per_sequence,
            p_h=self.p_h,
        )


LSTM = DroppedLSTM  # an older name; the layer for work is `rnnlit.nn.LSTM`
