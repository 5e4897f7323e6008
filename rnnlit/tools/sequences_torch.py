"""Padded batches in torch: where each sequence ends.   B batch, T steps, N units.

`rnnlit.tools.sequences` does the same for NumPy.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


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
