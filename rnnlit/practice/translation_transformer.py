"""One layer of a Transformer as encoder and decoder, to set beside `rnnlit.nn.EncoderDecoder`.

S source steps, T target steps, B batch, D features, n heads, V tokens.

    attend(x, m)   q = W_q x,  k = W_k m,  v = W_v m         n parts of D/n features each
                   a = softmax(q k' / sqrt(D/n))             the parts beside each other, then W_o
    encoder        x = norm(x + attend(x, x))                the source asks itself
                   x = norm(x + W_2 relu(W_1 x))
    decoder        y = norm(y + attend(y, y))                the target asks what is written already
                   y = norm(y + attend(y, x))                and the source
                   y = norm(y + W_2 relu(W_1 y))             p(y_i) = softmax(W y)

Nothing here is carried from step to step. Order is added to the embeddings, by sines and cosines of the
position, and what is not written yet is masked. Vaswani et al. 2017, with one layer of the six, and without
the one matrix that their two embeddings and the softmax share.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rnnlit.nn.seq2seq import Output
from rnnlit.tasks.tokens import PAD, START, STOP
from rnnlit.tasks.tokens_torch import check_tokens, shift
from rnnlit.tools.checks import check_size


class State(NamedTuple):
    """What the decoder knows: all of the source, and all that it has written."""

    memory: Tensor  # (S, B, D)
    hidden: Tensor  # (B, 1, 1, S) bool, the source's padding
    written: Tensor  # (t, B) int64

    def select(self, rows: Any) -> State:
        """The hypotheses `rows` (M,), for beam search."""
        rows = torch.as_tensor(rows, device=self.memory.device)
        return State(self.memory[:, rows], self.hidden[rows], self.written[:, rows])


class Attend(nn.Module):
    """x (T, B, D) asks m (S, B, D), but for what is hidden (B or 1, 1, T or 1, S), bool.

    ->  (T, B, D), weights (B, n, T, S)
    """

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.q, self.k, self.v, self.o = (nn.Linear(size, size) for _ in range(4))

    def forward(self, x: Tensor, m: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)) for part in (self.q(x), self.k(m), self.v(m))
        )  # (T or S, B, n, D/n)
        scores = torch.einsum("tbnd,sbnd->bnts", q, k) / math.sqrt(q.shape[-1])
        weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
        mixed = torch.einsum("bnts,sbnd->tbnd", self.dropout(weights), v)
        return self.o(mixed.flatten(-2)), weights


class Transformer(nn.Module):
    """From one sequence of tokens to another; the equations are on top of this module.

    source_vocabulary, target_vocabulary: how many tokens, with PAD, START and STOP. size: D. heads: n, which
    divides D, an even number. inner: the features between W_1 and W_2.

    ValueError: sizes that are none of these.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        size: int,
        *,
        heads: int = 4,
        inner: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if check_size("size", size) % check_size("heads", heads) or size % 2:
            raise ValueError(f"size: expected an even multiple of {heads} heads, got {size}")
        inner = check_size("inner", 4 * size if inner is None else inner)
        self.size, self.vocabularies = size, (source_vocabulary, target_vocabulary)
        self.embed_source, self.embed_target = (
            nn.Embedding(number, size, PAD) for number in self.vocabularies
        )
        for embed in (self.embed_source, self.embed_target):
            nn.init.normal_(embed.weight, std=size**-0.5)
        self.encoder_self, self.decoder_self, self.decoder_source = (
            Attend(size, heads, dropout) for _ in range(3)
        )
        self.encoder_inner, self.decoder_inner = (
            nn.Sequential(nn.Linear(size, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, size))
            for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(5))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(size, target_vocabulary)

    def encode(self, source: Any, lengths: Any = None) -> State:
        """Read the sources (S, B); return the state from which the decoder starts."""
        device = self.output.weight.device
        source, lengths = check_tokens("source", source, lengths, self.vocabularies[0], device)
        hidden = (source == PAD).T[:, None, None]
        x = self._embed(self.embed_source, source)
        x = self.norms[0](x + self.dropout(self.encoder_self(x, x, hidden)[0]))
        x = self.norms[1](x + self.dropout(self.encoder_inner(x)))
        return State(x, hidden, source.new_empty((0, source.shape[1])))

    def forward(self, source: Any, source_lengths: Any, target: Any, target_lengths: Any = None) -> Output:
        """Predict each token of the targets from the true ones before, as `EncoderDecoder.forward` does.

        The weights are those with which the decoder asks the source, the mean over the heads.
        """
        state = self.encode(source, source_lengths)
        V, device = self.vocabularies[1], self.output.weight.device
        B = state.memory.shape[1]
        target, lengths = check_tokens("target", target, target_lengths, V, device, least=STOP + 1, batch=B)
        logits, weights = self._decode(shift(target, lengths)[0], state)
        steps = torch.arange(len(logits), device=lengths.device)
        after = (steps[:, None, None] > lengths[:, None]).to(device)
        return Output(logits.masked_fill(after, 0), weights.masked_fill(after, 0))

    def log_probabilities(self, tokens: Any, state: State) -> tuple[np.ndarray, State]:
        """`step` for `rnnlit.search`: the last token asks all that is written."""
        with torch.no_grad():
            new = torch.as_tensor(tokens, device=state.memory.device)[None]
            state = state._replace(written=torch.cat([state.written, new]))
            logits, _ = self._decode(state.written, state, slice(-1, None))
            logs = logits[-1].double().log_softmax(-1)
            logs[:, [PAD, START]] = -torch.inf
        return logs.cpu().numpy(), state

    def _decode(self, read: Tensor, state: State, steps: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Tokens (T, B)  ->  of these steps, or of all: logits (T, B, V), weights (T, B, S)"""
        T = len(read)
        later = torch.ones(T, T, dtype=torch.bool, device=read.device).triu(1)[None, None, steps]
        before = self._embed(self.embed_target, read)
        y = before[steps]
        y = self.norms[2](y + self.dropout(self.decoder_self(y, before, later)[0]))
        asked, weights = self.decoder_source(y, state.memory, state.hidden)
        y = self.norms[3](y + self.dropout(asked))
        y = self.norms[4](y + self.dropout(self.decoder_inner(y)))
        return self.output(y), weights.mean(1).transpose(0, 1)

    def _embed(self, embed: nn.Embedding, tokens: Tensor) -> Tensor:
        x = embed(tokens) * math.sqrt(self.size)
        return self.dropout(x + positions(len(tokens), self.size).to(x)[:, None])

    if TYPE_CHECKING:
        __call__ = forward


def positions(steps: int, size: int) -> Tensor:
    """p[t, 2k] = sin(t / 10000^(2k/D)),  p[t, 2k+1] = cos(t / 10000^(2k/D)): (T, D)"""
    rate = 10_000 ** (-torch.arange(0, size, 2) / size)
    angle = torch.arange(steps)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
