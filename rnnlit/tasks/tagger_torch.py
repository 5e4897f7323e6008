"""A network that names a class at every step of a sequence of tokens.

T steps, B batch, N tokens, K classes. Needs torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, dropout

from rnnlit.tools.checks import check_size

UNASKED = -1  # the class of a step where nothing is asked


class Tagger(torch.nn.Module):
    """Many to many:  logits_t = V h_t + c,   h = layer(embedding(tokens)).

    layer: a recurrent layer of `rnnlit.nn`, time first; its input size is that of the embedding. It decides
        what h_t has seen: the steps up to t, or with bidirectional=True the whole sequence.
    tokens, classes: how many there are, N and K.
    sizes: inputs and outputs of the layer, for a layer of another kind that is called in the same way.
    dropout: share of the embedding's and of the layer's numbers that training sets to zero.
    candidates: (N, K) bool, the classes that each token can have; a row without any asks nothing.
    """

    excluded: Tensor

    def __init__(
        self,
        layer: torch.nn.Module,
        tokens: int,
        classes: int,
        *,
        sizes: tuple[int, int] | None = None,
        dropout: float = 0.0,
        candidates: Any = None,
    ) -> None:
        super().__init__()
        N, K = check_size("tokens", tokens), check_size("classes", classes)
        if sizes is None:
            sizes = _sizes(layer)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: expected a share from 0 to below 1, got {dropout!r}")
        self.dropout = float(dropout)
        self.embedding = torch.nn.Embedding(N, sizes[0])
        self.layer = layer
        self.head = torch.nn.Linear(sizes[1], K)
        free = torch.ones(N, K, dtype=torch.bool)
        allowed = free if candidates is None else torch.as_tensor(candidates)
        if allowed.shape != (N, K) or allowed.dtype != torch.bool:
            raise ValueError(
                f"candidates: expected bool of shape (N, K) = ({N}, {K}), got {allowed.dtype} of shape "
                f"{tuple(allowed.shape)}"
            )
        self.register_buffer("excluded", ~allowed & allowed.any(1, keepdim=True))

    @property
    def draws_masks(self) -> bool:
        """Whether it drops numbers in training mode, for `rnnlit.dropout_torch.mc_dropout`."""
        return self.dropout > 0

    def forward(self, tokens: Any, lengths: Any = None) -> Tensor:
        """tokens (T, B) integers, lengths (B,) if padded  ->  logits (T, B, K)"""
        tokens = torch.as_tensor(tokens)
        x = dropout(self.embedding(tokens), self.dropout, self.training)
        h = self.layer(x, lengths=lengths)[0]
        logits: Tensor = self.head(dropout(h, self.dropout, self.training))
        return logits.masked_fill(self.excluded[tokens], -torch.inf)


def _sizes(layer: Any) -> tuple[int, int]:
    """Inputs and outputs of a recurrent layer."""
    if not isinstance(layer, torch.nn.RNNBase):
        raise TypeError(f"layer: expected a recurrent layer, or sizes beside it, got {type(layer).__name__}")
    if layer.batch_first:
        raise ValueError("layer: expected one with time first, got batch_first=True")
    sizes: Any = layer.hidden_size  # of each layer, where `rnnlit.nn` was given a sequence of them
    last = layer.proj_size or (sizes[-1] if isinstance(sizes, tuple) else sizes)
    return layer.input_size, last * (2 if layer.bidirectional else 1)


def loss(model: Tagger, batch: Any) -> Tensor:
    """Mean cross-entropy, in nats, over the asked steps of a batch.

    batch: (tokens, classes) or (tokens, classes, lengths); classes (T, B) is -1 where
    nothing is asked.
    """
    tokens, classes, *lengths = batch
    logits = model(tokens, *lengths).flatten(0, 1)
    asked = torch.as_tensor(classes).flatten()
    return cross_entropy(logits, asked, ignore_index=UNASKED)


@torch.no_grad()
def predict(model: Tagger, batch: Any) -> Tensor:
    """The most probable class at every step of a batch, without dropout: (T, B) int64."""
    tokens, _, *lengths = batch
    mode = model.training
    model.eval()
    named = model(tokens, *lengths).argmax(-1)
    model.train(mode)
    return named


def accuracy(model: Tagger, batch: Any) -> float:
    """The share of the asked steps at which `predict` is right."""
    classes = torch.as_tensor(batch[1])
    asked = classes != UNASKED
    return (predict(model, batch)[asked] == classes[asked]).double().mean().item()
