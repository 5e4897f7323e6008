"""What the layers on torch's fused kernels share.

B batch, T steps, I inputs, H hidden, L layers, D directions (1 or 2), N states of a layer.

A layer calls the kernel once for each of its layers and directions, so that all states between the layers can
be seen and padding can be handled in the dense batch. With torch's CPU kernels that is quicker than packing
the batch, for an LSTM's forward and backward pass 1.4 to 7 times by size (`benchmarks/nn_lstm.py`); on a GPU,
where cuDNN takes packed batches, `run_packed` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit.lstm_variants import cell_state
from rnnlit.tools.sequences_torch import Padding

# Added to a gate's argument it closes (-) or opens (+) the gate for good: sigma(-SHUT) is zero and
# sigma(SHUT) is one, exactly, and float16 can still hold it.
SHUT = 1e4


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


def steps_and_batch(input: Tensor, batch_first: bool = False) -> tuple[int, int]:
    """T and B of an input; B is 1 for one sequence without a batch."""
    if input.dim() == 2:
        return len(input), 1
    T, B = input.shape[:2]
    return (B, T) if batch_first else (T, B)


def shut_relu(x: Tensor, weight_ih: Tensor, padding: Padding) -> tuple[Tensor, Tensor]:
    """`flag_padding` for a relu network, whose states could grow past all bounds in the padding.

    The flag shuts the relu by more than any state can outweigh.
    """
    return flag_padding(x, weight_ih, [-torch.finfo(weight_ih.dtype).max / 2], padding)


def kernel_weights(weights: Sequence[Tensor]) -> list[Tensor]:
    """The weights of one layer and direction as torch's kernel wants them: `in_one_piece` for a GPU's."""
    return in_one_piece(weights) if weights[0].is_cuda else list(weights)


def in_one_piece(weights: Sequence[Tensor]) -> list[Tensor]:
    """Copy the weights of one layer and direction side by side, as cuDNN wants them.

    cuDNN reads the matrices one after another, W_ih, W_hh and W_hr of a projection, then b_ih and b_hh, which
    are zero where there are none. What lies otherwise torch copies at each call, with a UserWarning that is
    meant for a whole layer whose parameters have been moved. Here it would be wrong: a flag or a mask makes
    new weights at each call, and one layer of several lies in the memory of all.

    weights: torch's, G the gates: (G·H, I), (G·H, N), the biases (G·H,) if there are any, W_hr (P, H)
    """
    order = sorted(range(len(weights)), key=lambda k: weights[k].dim() == 1)  # the matrices first
    parts = [weights[k].reshape(-1) for k in order]
    if weights[order[-1]].dim() == 2:
        parts.append(weights[0].new_zeros(2 * weights[0].shape[0]))
    pieces = torch.cat(parts).split([len(part) for part in parts])
    placed = {k: piece.view(weights[k].shape) for k, piece in zip(order, pieces, strict=False)}
    return [placed[k] for k in range(len(weights))]


def as_input(module: torch.nn.RNNBase, input: Tensor, result: Tensor) -> Tensor:
    """Lay out `result` (..., T, B, N) as the input of the module is laid out."""
    if input.dim() == 2:
        return result.squeeze(-2)
    return result.transpose(-3, -2) if module.batch_first else result


def cell_states(
    weights: Sequence[Tensor], bias: bool, x: Tensor, h: Tensor, h0: Tensor, c0: Tensor
) -> Tensor:
    """All cell states (T, B, H) of an LSTM whose hidden states h (T, B, N) are known:  c_t = f c_{t-1} + i g

    With h known, the gates of all steps come from one product each for x and h; what is left is elementwise.
    """
    H3 = weights[0].shape[0] // 4 * 3  # the output gate has no part in c
    weight_ih, weight_hh, *others = (weight[:H3] for weight in weights)
    bias_ih, bias_hh = others[:2] if bias else (None, None)
    h_before = torch.cat([h0[None], h[:-1]])
    i, f, g = (linear(x, weight_ih, bias_ih) + linear(h_before, weight_hh, bias_hh)).chunk(3, -1)
    c, cs = c0, []
    for i_t, f_t, g_t in zip(torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), strict=True):
        c = cell_state(i_t, f_t, g_t, c)
        cs.append(c)
    return torch.stack(cs)


def run_packed(
    forward: Callable[..., Any], input: Tensor, hx: Any, lengths: Tensor, batch_first: bool
) -> tuple[Tensor, Any]:
    """Pack the batch, call torch's own `forward`, and unpack its output to the full number of steps."""
    packed = pack_padded_sequence(input, lengths, batch_first=batch_first, enforce_sorted=False)
    output, state = forward(packed, hx)
    T = input.shape[1 if batch_first else 0]
    return pad_packed_sequence(output, batch_first=batch_first, total_length=T)[0], state
