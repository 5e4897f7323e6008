"""Batches of tokens for torch: their check, teacher forcing's two views of a target, and its loss.

T steps, B sequences. The numbers of the tokens are those of `rnnlit.tasks.tokens`. This module imports torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnlit.tasks.tokens import PAD, START, STOP, Pairs
from rnnlit.tools.checks import ShapeError
from rnnlit.tools.checks_torch import check_lengths


def check_tokens(
    name: str,
    tokens: Any,
    lengths: Any,
    size: int,
    device: torch.device,
    *,
    least: int = START,
    batch: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return tokens (T, B) int64 on the device, with PAD after each end, and lengths (B,) on the CPU.

    tokens: a tensor or an array of integers, from `least` to size-1 within the lengths; what stands in the
    padding is not looked at. lengths (B,), or None where all are T. batch: the B that is expected.
    TypeError, ValueError: of another type or shape; a token or a length out of range.

    >>> tokens, lengths = check_tokens("source", np.array([[3, 4], [5, 9]]), [2, 1], 6, torch.device("cpu"))
    >>> tokens.tolist()  # the 9 stood in the padding
    [[3, 4], [5, 0]]
    """
    if not isinstance(tokens, Tensor | np.ndarray):
        raise TypeError(f"{name}: expected a tensor or an array, got {type(tokens).__name__}")
    tokens = torch.as_tensor(tokens, device=device)
    if tokens.dtype == torch.bool or tokens.is_floating_point() or tokens.is_complex():
        raise TypeError(f"{name}: expected integers, got {tokens.dtype}")
    shape = tuple(tokens.shape)
    if len(shape) != 2 or 0 in shape or batch not in (None, shape[1]):
        wanted = "(steps, B)" if batch is None else f"(steps, B) with B = {batch}"
        raise ShapeError(f"{name}: expected shape {wanted}, got {shape}")
    T, B = shape
    try:
        lengths = check_lengths([T] * B if lengths is None else lengths, T, B)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}_{error}") from None
    padding = (torch.arange(T, device=lengths.device)[:, None] >= lengths).to(device)
    low, high = (int(end) for end in tokens[~padding].aminmax())
    if low < least or high >= size:
        wrong, hint = (low, "; is it padding? give lengths") if low == PAD else (max(high, low), "")
        wrong = low if low < least else wrong
        raise ValueError(f"{name}: expected {least} <= token < {size} within the lengths, got {wrong}{hint}")
    return tokens.long().masked_fill(padding, PAD), lengths


def shift(target: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """What the decoder reads and what it shall write, both (T+1, B) and padded:

        read    START y_1 .. y_n        write    y_1 .. y_n STOP

    target (T, B) int64, PAD after each end; lengths (B,) int64.

    >>> read, write = shift(torch.tensor([[7, 8], [9, 0]]), torch.tensor([2, 1]))
    >>> read.tolist(), write.tolist()
    ([[1, 1], [7, 8], [9, 0]], [[7, 8], [9, 2], [2, 0]])
    """
    row = target.new_full((1, target.shape[1]), START)
    write = torch.cat([target, torch.full_like(row, PAD)])
    return torch.cat([row, target]), write.scatter(0, lengths.to(target.device)[None], STOP)


def smoothed_loss(model: torch.nn.Module, batch: Pairs, smoothing: float = 0.1) -> Tensor:
    """The mean cross-entropy of a target's token or stop, in nats, with label smoothing, as `cross_entropy`.

    model: called as `rnnlit.nn.EncoderDecoder`, and its result has `logits` (T+1, B, V). Padding has no part.
    """
    logits = model(*batch).logits
    target, lengths = torch.as_tensor(batch.target), torch.as_tensor(batch.target_lengths)
    write = shift(target, lengths)[1].to(logits.device)
    return cross_entropy(logits.flatten(0, 1), write.flatten(), ignore_index=PAD, label_smoothing=smoothing)
