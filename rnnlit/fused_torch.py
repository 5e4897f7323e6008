"""What the layers on torch's fused kernels share.

B batch, T steps, I inputs, H hidden, L layers, D directions (1 or 2), N states of a layer.

`run_layers` calls the kernel once for each layer and direction, so that all states between the layers can be
seen and padding can be handled in the dense batch. With torch's CPU kernels that is quicker than packing the
batch, for an LSTM's forward and backward pass 1.4 to 7 times by size (`benchmarks/nn_lstm.py`); on a GPU,
where cuDNN takes packed batches, `run_packed` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnlit.tools.checks_torch import check_lengths

# Added to a gate's argument it closes (-) or opens (+) the gate for good: sigma(-SHUT) is zero and
# sigma(SHUT) is one, exactly, and float16 can still hold it.
SHUT = 1e4


class Padding(NamedTuple):
    """Where a padded batch (T, B, ...) ends."""

    mask: Tensor  # (T, B, 1), True after the end of a sequence
    last: Tensor  # (B,) index of each sequence's last step
    reverse: Tensor  # (T, B) which step to take to read each sequence backwards; padding stays in place


def padding_of(lengths: Tensor, T: int, device: torch.device) -> Padding:
    """Work out the padding of a batch with these lengths (B,)."""
    lengths = lengths.to(device)
    t = torch.arange(T, device=device)[:, None]
    reverse = torch.where(t < lengths, lengths - 1 - t, t)
    return Padding((t >= lengths)[..., None], lengths - 1, reverse)


def turn(x: Tensor, padding: Padding | None) -> Tensor:
    """Reverse each sequence of x (T, B, N) in time, from its own end on; turning twice gives x back."""
    if padding is None:
        return x.flip(0)
    return x.gather(0, padding.reverse[..., None].expand_as(x))


def last_state(h: Tensor, padding: Padding | None) -> Tensor:
    """The last state (B, N) of each sequence, out of h (T, B, N)."""
    if padding is None:
        return h[-1]
    return h[padding.last, torch.arange(h.shape[1], device=h.device)]


def flag_padding(
    x: Tensor, weight_ih: Tensor, effect: list[float], padding: Padding
) -> tuple[Tensor, Tensor]:
    """Append to x (T, B, I) an input that is 1 at the padding, and its weights to weight_ih (G·H, I).

    `effect` has G numbers: what the flag adds to the argument of each gate. At a valid step the flag is 0 and
    changes nothing.
    """
    H = weight_ih.shape[0] // len(effect)
    column = torch.tensor(effect, dtype=weight_ih.dtype, device=weight_ih.device).repeat_interleave(H)
    return torch.cat([x, padding.mask.to(x.dtype)], -1), torch.cat([weight_ih, column[:, None]], 1)


def time_first(module: torch.nn.RNNBase, input: Any, lengths: Any) -> tuple[Tensor, Tensor | None]:
    """Return the input as (T, B, I) and lengths as an int64 tensor (B,) on the CPU, or None.

    ValueError, TypeError: lengths are bad, or given for one sequence without a batch; the input is packed.
    """
    if isinstance(input, PackedSequence):
        argument = "return_all_states" if lengths is None else "lengths"
        raise TypeError(f"{argument}: expected the input as a padded tensor beside it, got a PackedSequence")
    if input.dim() == 2:
        if lengths is not None:
            raise ValueError(f"lengths: expected a batch beside it, got input of shape {tuple(input.shape)}")
        return input[:, None], None
    x = input.transpose(0, 1) if module.batch_first else input
    return x, None if lengths is None else check_lengths(lengths, x.shape[0], x.shape[1])


def as_input(module: torch.nn.RNNBase, input: Tensor, result: Tensor) -> Tensor:
    """Lay out `result` (..., T, B, N) as the input of the module is laid out."""
    if input.dim() == 2:
        return result.squeeze(-2)
    return result.transpose(-3, -2) if module.batch_first else result


class Layers(NamedTuple):
    """What `run_layers` returns."""

    output: Tensor  # (T, B, D·N)
    states: list[Tensor]  # (L·D, T, B, N) for each kind of state, in the order of time
    last: list[Tensor]  # (L·D, B, N) for each kind of state


# Takes the row layer·D + direction, an input (T, B, I) in reading order, and the padding. Returns the states
# (T, B, N) in that order, zero at the padding, the hidden ones first; and the last states (B, N).
RunRow = Callable[[int, Tensor, Padding | None], tuple[list[Tensor], list[Tensor]]]


def run_layers(module: torch.nn.RNNBase, x: Tensor, lengths: Tensor | None, run_row: RunRow) -> Layers:
    """Call `run_row` for all layers and directions over x (T, B, I), with dropout between the layers."""
    padding = None
    if lengths is not None:
        padding = padding_of(lengths, x.shape[0], x.device)
        x = x.masked_fill(padding.mask, 0)  # whatever stands in the padding, NaN included, can't reach a sum
    directions = 2 if module.bidirectional else 1
    all_states, all_last = [], []
    for layer in range(module.num_layers):
        if layer > 0:
            x = dropout(x, module.dropout, module.training)
        for direction in range(directions):
            row = layer * directions + direction
            states, last = run_row(row, turn(x, padding) if direction else x, padding)
            all_states.append([turn(state, padding) for state in states] if direction else states)
            all_last.append(last)
        x = torch.cat([states[0] for states in all_states[-directions:]], -1)
    return Layers(
        x,
        [torch.stack(rows) for rows in zip(*all_states, strict=True)],
        [torch.stack(rows) for rows in zip(*all_last, strict=True)],
    )


def run_packed(
    forward: Callable[..., Any], input: Tensor, hx: Any, lengths: Tensor, batch_first: bool
) -> tuple[Tensor, Any]:
    """Pack the batch, call torch's own `forward`, and unpack its output to the full number of steps."""
    packed = pack_padded_sequence(input, lengths, batch_first=batch_first, enforce_sorted=False)
    output, state = forward(packed, hx)
    T = input.shape[1 if batch_first else 0]
    return pad_packed_sequence(output, batch_first=batch_first, total_length=T)[0], state
