"""Dropout in torch: the twin of `rnnlit.dropout`.   B batch, T steps, I inputs, H hidden.

p is the probability to DROP, and kept numbers are divided by 1 - p. All masks come from a torch.Generator,
or from torch's own if none is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.dropout import check_p
from rnnlit.tools.checks import check_size


class Predictive(NamedTuple):
    """What several stochastic passes say about K classes; see `mc_dropout`."""

    mean: Tensor  # (..., K) mean probability over the passes
    variance: Tensor  # (..., K) variance of the probability over the passes
    entropy: Tensor  # (...) entropy of the mean, in nats
    mutual_information: Tensor  # (...) entropy of the mean less the mean entropy, in nats


def binary_mask(
    shape: tuple[int, ...],
    p: float,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: Any = None,
) -> Tensor:
    """Draw a mask without scaling:  m = 1 with probability 1 - p, else 0."""
    p = check_p(p)
    return (torch.rand(shape, generator=generator, device=device) >= p).to(dtype)


def mask(
    shape: tuple[int, ...],
    p: float,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: Any = None,
) -> Tensor:
    """Draw an inverted dropout mask:  m = 1/(1 - p) with probability 1 - p, else 0."""
    return binary_mask(shape, p, generator, dtype, device) / (1 - check_p(p))


class Dropout(torch.nn.Module):
    """Drop units of x (T, B, H) in training; x itself at evaluation.

    per_sequence: one mask (1, B, H) for all steps (the "locked" dropout of Merity et al. 2018); else each
    number has its own draw, as in torch.nn.Dropout.
    """

    draws_masks = True

    def __init__(
        self, p: float, *, per_sequence: bool = False, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.p, self.per_sequence, self.generator = check_p(p), per_sequence, generator

    def forward(self, x: Tensor) -> Tensor:
        """m x in training, x at evaluation. With per_sequence, x has time as its first of three axes."""
        if self.per_sequence and x.dim() != 3:
            raise ValueError(f"x: expected shape (T, B, H) with per_sequence, got {tuple(x.shape)}")
        if not self.training or self.p == 0:
            return x
        shape = (1, *x.shape[1:]) if self.per_sequence else tuple(x.shape)
        return mask(shape, self.p, self.generator, x.dtype, x.device) * x

    def extra_repr(self) -> str:
        """The arguments, as in torch."""
        return f"p={self.p}, per_sequence={self.per_sequence}"


class DropConnect(torch.nn.Linear):
    """An affine map that drops weights in training (Wan et al. 2013):  y = (M W) x + b.

    The parameter stays as it is: the masked weights are new numbers in each call, and the gradient for W
    comes through them.
    """

    draws_masks = True

    def __init__(
        self, in_features: int, out_features: int, p: float, *, generator: Any = None, **options: Any
    ) -> None:
        super().__init__(in_features, out_features, **options)
        self.p, self.generator = check_p(p), generator

    def forward(self, input: Tensor) -> Tensor:
        """(M W) x + b in training, W x + b at evaluation.   input (..., I)  ->  (..., O)"""
        weight = self.weight
        if self.training and self.p > 0:
            m = mask(tuple(weight.shape), self.p, self.generator, weight.dtype, weight.device)
            weight = m * weight
        return torch.nn.functional.linear(input, weight, self.bias)


@contextmanager
def masks_drawn(model: torch.nn.Module) -> Iterator[None]:
    """Put the dropout layers of a model into training mode for a while, and nothing else of it.

    Layers of this package and torch.nn's Dropout family are meant; torch.nn.LSTM(dropout=p) is not among
    them. Batch normalisation, if there is any, stays in evaluation mode.
    """
    kinds = torch.nn.modules.dropout._DropoutNd
    layers = [m for m in model.modules() if isinstance(m, kinds) or getattr(m, "draws_masks", False)]
    if not layers:
        raise ValueError("model: expected one dropout layer at least, got none")
    modes = [layer.training for layer in layers]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.training = mode


@torch.no_grad()
def mc_dropout(model: torch.nn.Module, x: Tensor, samples: int, *args: Any, **options: Any) -> Predictive:
    """Mean, variance and entropy of the classes over stochastic passes (Gal & Ghahramani 2016).

        mean = 1/S sum_s softmax(model(x))        entropy = - sum_k mean_k log mean_k

    model: gives logits (..., K); it is called as model(x, *args, **options). Its dropout layers draw masks
    here whatever its mode is, which is then as before. samples: the number S of passes.
    """
    S = check_size("samples", samples)
    with masks_drawn(model):
        passes = [model(x, *args, **options).softmax(-1) for _ in range(S)]
    probabilities = torch.stack(passes)
    mean = probabilities.mean(0)
    entropy = torch.special.entr(mean).sum(-1)
    information = entropy - torch.special.entr(probabilities).sum(-1).mean(0)
    return Predictive(mean, probabilities.var(0, correction=0), entropy, information.clamp(min=0))
