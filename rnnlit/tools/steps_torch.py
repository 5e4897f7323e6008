"""What the scans of `rnnlit.scan_torch` share.   T steps, B batch, N and K units."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def at(mask: Tensor, t: int) -> Tensor:
    """The mask (B, N) of step t, of one for each step (T, B, N) or of one for all (1, B, N)."""
    return mask[t if mask.shape[0] > 1 else 0]


def gradient_wanted(*tensors: Tensor | None) -> bool:
    """Whether a backward pass through these can come, so that a scan has to keep every step's gates."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def before(states: Tensor, first: Tensor) -> Tensor:
    """The state that each step started from.   states (T, B, N), first (B, N)  ->  (T, B, N)"""
    return torch.cat([first[None], states[:-1]])


def weight_gradient(dy: Tensor, seen: Tensor) -> Tensor:
    """The gradient of W in y = W seen, in one product.   dy (T, B, N), seen (T, B, K)  ->  (N, K)"""
    return dy.flatten(0, 1).t() @ seen.flatten(0, 1)


def first_derivative_only(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse a second derivative: torch's once_differentiable lets some such calls pass, without a word."""

    @functools.wraps(backward)
    def refusing(ctx: Any, *outer: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError("create_graph=True: the scans of rnnlit have no second derivative")
        return backward(ctx, *outer)

    return refusing
