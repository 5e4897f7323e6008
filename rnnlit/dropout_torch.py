"""Dropout in torch: the twin of `rnnlit.dropout`.

B batch, T steps, I inputs, H hidden.

p is the probability to DROP, and kept numbers are divided by 1 - p. All masks come from
a torch.Generator, or from torch's own if none is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnlit.tools.checks import check_probability, check_size


class Predictive(NamedTuple):
    """What several stochastic passes say about K classes; see `mc_dropout`."""

    mean: Tensor  # (..., K) mean probability over the passes
    variance: Tensor  # (..., K) variance of the probability over the passes
    entropy: Tensor  # (...) entropy of the mean, in nats
    mutual_information: (
        Tensor  # (...) entropy of the mean less the mean entropy, in nats
    )


def binary_mask(
    shape: Sequence[int],
    p: float,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: Any = None,
    *,
    like: Tensor | None = None,
) -> Tensor:
    """Draw a mask without scaling:  m = 1 with probability 1 - p, else 0.

    like: a tensor that tells dtype and device, in place of the two arguments. So layers
    call it, which have checked p when they were made.
    """
    if like is None:
        check_probability("p", p)
    else:
        dtype, device = like.dtype, like.device
    empty = torch.empty(shape, dtype=dtype, device=device)
    return torch.bernoulli(
        empty, 1 - p, generator=generator
    )  # not in place, which torch.func.vmap refuses


def mask(
    shape: Sequence[int],
    p: float,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: Any = None,
    *,
    like: Tensor | None = None,
) -> Tensor:
    """Draw an inverted dropout mask:  m = 1/(1 - p) with probability 1 - p, else 0.

    like: as in `binary_mask`.
    """
    return binary_mask(shape, p, generator, dtype, device, like=like).div_(1 - p)


class Dropout(torch.nn.Module):
    """Drop units of x (T, B, H) in training; x itself at evaluation.

    per_sequence: one mask (1, B, H) for all steps (the "locked" dropout of Merity et
    al. 2018); else each number has its own draw, as in torch.nn.Dropout.
    """

    draws_masks = True

    def __init__(
        self,
        p: float,
        *,
        per_sequence: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.p, self.per_sequence, self.generator = (
            check_probability("p", p),
            per_sequence,
            generator,
        )

    def forward(self, x: Tensor) -> Tensor:
        """m x in training, x at evaluation; with per_sequence, x is (T, B, N)."""
        if self.per_sequence and x.dim() != 3:
            raise ValueError(
                f"x: expected shape (T, B, H) with per_sequence, got {tuple(x.shape)}"
            )
        if not self.training or self.p == 0:
            return x
        shape = (1, *x.shape[1:]) if self.per_sequence else x.shape
        return mask(shape, self.p, self.generator, like=x) * x

    def extra_repr(self) -> str:
        """The arguments, as in torch."""
        return f"p={self.p}, per_sequence={self.per_sequence}"


class DropConnect(torch.nn.Linear):
    """An affine map that drops weights in training (Wan et al. 2013):  y = (M W) x + b.

    The parameter stays as it is: the masked weights are new numbers in each call, and
    the gradient for W comes through them.
    """

    draws_masks = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float,
        *,
        generator: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(in_features, out_features, **options)
        self.p, self.generator = check_probability("p", p), generator

    def forward(self, input: Tensor) -> Tensor:
        """(M W) x + b in training, W x + b at evaluation.   (..., I)  ->  (..., O)"""
        weight = self.weight
        if self.training and self.p > 0:
            weight = mask(weight.shape, self.p, self.generator, like=weight) * weight
        return torch.nn.functional.linear(input, weight, self.bias)


# What drops numbers in training mode, and does nothing else there that it doesn't do
# in evaluation.
_DROPOUT = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
_ATTENTION = (
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)


def draws_masks(module: torch.nn.Module) -> bool:
    """Whether this module itself, its parts aside, draws masks in training mode.

    Meant are a layer of `rnnlit.nn` with any kind of dropout, zoneout among them; a
    recurrent layer of torch with dropout between its layers; torch.nn's Dropout family,
    scripted as well; torch's attention and transformer layers with dropout; and
    whatever has a true attribute `draws_masks`. A module of one's own that calls
    `torch.nn.functional.dropout(x, p, self.training)` is told by this attribute alone.
    """
    said = getattr(module, "draws_masks", None)
    if said is not None:
        return bool(said)
    if isinstance(module, nn.RNNBase):
        variants = getattr(module, "variants", None)  # of a layer of `rnnlit.nn`
        between = module.dropout > 0 and module.num_layers > 1
        return between or (variants is not None and variants.draws_masks)
    if isinstance(
        module, _ATTENTION
    ):  # a transformer's layer in evaluation mode passes its parts by
        dropped = [
            getattr(part, "p", getattr(part, "dropout", 0)) for part in module.modules()
        ]
        return any(isinstance(p, float) and p > 0 for p in dropped)
    script = getattr(
        module, "original_name", None
    )  # of a scripted module, the name of its class
    return isinstance(module, _DROPOUT) or script in [
        kind.__name__ for kind in _DROPOUT
    ]


@contextmanager
def masks_drawn(model: torch.nn.Module) -> Iterator[None]:
    """Put what drops numbers in a model into training mode for a while, and no more.

    Which modules these are, `draws_masks` tells. Batch normalisation, if there is any,
    stays in evaluation mode. Zoneout draws its masks too, in place of their mean.
    ValueError: no such module.
    """
    layers = [module for module in model.modules() if draws_masks(module)]
    if not layers:
        raise ValueError(
            "model: expected one dropout layer at least, a recurrent layer with "
            "dropout, or a module whose attribute draws_masks is True, got none"
        )
    modes = [layer.training for layer in layers]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.training = mode


@torch.no_grad()
def mc_dropout(
    model: torch.nn.Module, x: Tensor, samples: int, *args: Any, **options: Any
) -> Predictive:
    """Mean, variance and entropy over stochastic passes (Gal & Ghahramani 2016).

        mean = 1/S sum_s softmax(model(x))        entropy = - sum_k mean_k log mean_k

    model: gives logits (..., K); it is called as model(x, *args, **options). What drops
    numbers in it draws masks here whatever its mode is, which is then as before:
    dropout layers, and the recurrent layers of `rnnlit.nn` with any of their kinds of
    dropout (`draws_masks`). samples: the number S of passes.
    ValueError: nothing in the model drops anything.
    """
    S = check_size("samples", samples)
    with masks_drawn(model):
        passes = [model(x, *args, **options).softmax(-1) for _ in range(S)]
    probabilities = torch.stack(passes)
    mean = probabilities.mean(0)
    entropy = torch.special.entr(mean).sum(-1)
    information = entropy - torch.special.entr(probabilities).sum(-1).mean(0)
    return Predictive(
        mean, probabilities.var(0, correction=0), entropy, information.clamp(min=0)
    )
