"""Encoder and decoder, with attention or without.   B batch, S source steps, T target steps.

E embedding, H hidden, K key, V tokens. The encoder reads a source of tokens into keys
h_1 .. h_S; its last state gives s_0 = tanh(W_s h_last + b_s). The decoder f then writes
the target y_1 y_2 .. and the stop, each token from the one before; y_0 is the start:

    order="bahdanau"   c_i  = attend(s_{i-1}, h)       s_i = f(s_{i-1}, [y_{i-1}; c_i])
                       p(y_i) = softmax(W_o [s_i; y_{i-1}; c_i] + b_o)

    order="luong"      s_i  = f(s_{i-1}, [y_{i-1}; h~_{i-1}])       c_i = attend(s_i, h)
                       h~_i = tanh(W_c [c_i; s_i])        h~_0 = 0
                       p(y_i) = softmax(W_o h~_i + b_o)

Without attention, "bahdanau" takes the same c = h_last at every step, as Cho et al.
(2014); in "luong" h~_i = s_i, which is not fed back, and the decoder knows the source
from s_0 alone, as in Sutskever et al. (2014). All is one layer deep. Bahdanau et al.
(2015) have a maxout layer where W_o is here, and take the last state of the backward
direction alone for s_0.

Tokens are numbered as in `rnnlit.tasks.tokens`; targets hold neither start nor stop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnlit import search
from rnnlit.attention_torch import Attention, Memory
from rnnlit.nn.gru import GRU
from rnnlit.nn.lstm import LSTM
from rnnlit.tasks.tokens import PAD, START, STOP
from rnnlit.tasks.tokens_torch import check_tokens, shift
from rnnlit.tools.checks import check_size
from rnnlit.tools.private_torch import refuse_script
from rnnlit.tools.train_torch import evaluating

ORDERS = ("bahdanau", "luong")
CELLS: dict[str, Any] = {"gru": GRU, "lstm": LSTM}


class State(NamedTuple):
    """What the decoder carries from step to step."""

    h: Tensor  # (B, H) s_i
    c: Tensor | None  # (B, H) the cell of an LSTM
    fed: Tensor | None  # (B, H) h~_i, with input feeding
    memory: Any  # a Memory of the keys; without attention the encoder's last state (B, K)
    position: int = 0  # steps made so far

    def select(self, rows: Any) -> State:
        """The hypotheses `rows` (M,), for beam search."""
        rows = torch.as_tensor(rows, device=self.h.device)
        c, fed = (None if part is None else part[rows] for part in (self.c, self.fed))
        attends = isinstance(self.memory, Memory)
        memory = self.memory.select(rows) if attends else self.memory[rows]
        return State(self.h[rows], c, fed, memory, self.position)


class Output(NamedTuple):
    """What `EncoderDecoder.forward` returns."""

    logits: Tensor  # (T+1, B, V) for y_1 .. y_T and the stop, zero after a stop
    weights: Tensor | None  # (T+1, B, S) of the attention, zero after a stop


class EncoderDecoder(torch.nn.Module):
    """From one sequence of tokens to another; the equations are on top of this module.

    source_vocabulary, target_vocabulary: how many tokens, with PAD, START and STOP.
    embedding_size: E, on both sides. hidden_size: H of the decoder.
    attention: a score of `rnnlit.attention.SCORES`, or None. order: "bahdanau" or
        "luong". window, D: as in `Attention`. attention_size: its A, H if not given.
        max_source: the longest source, for the score "location".
    input_feeding: h~_{i-1} goes into the cell. Only "luong" with attention has it.
    cell: "gru" or "lstm". encoder_size: H of the encoder in each direction, that of the
        decoder if not given; K is twice that if `bidirectional`, otherwise that.
    dropout: the share of embeddings and of inputs to W_o that training sets to zero.

    TypeError, ValueError: an argument that is none of these, and what `Attention`
    refuses: "dot" needs K = H, so one direction, or an encoder_size of H/2.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        embedding_size: int,
        hidden_size: int,
        *,
        attention: str | None = "additive",
        order: str = "bahdanau",
        window: str | None = None,
        D: int = 10,
        attention_size: int | None = None,
        max_source: int | None = None,
        input_feeding: bool = True,
        bidirectional: bool = True,
        cell: str = "gru",
        encoder_size: int | None = None,
        dropout: float = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"order: expected bahdanau or luong, got {order!r}")
        if cell not in CELLS:
            raise ValueError(f"cell: expected gru or lstm, got {cell!r}")
        if attention is None and window is not None:
            raise ValueError(f"window: expected None without attention, got {window!r}")
        if not isinstance(input_feeding, bool):
            raise TypeError(f"input_feeding: expected True or False, got {input_feeding!r}")
        E = check_size("embedding_size", embedding_size)
        H = check_size("hidden_size", hidden_size)
        half = check_size("encoder_size", H if encoder_size is None else encoder_size)
        K = 2 * half if bidirectional else half
        V = check_size("target_vocabulary", target_vocabulary)
        self.vocabularies = check_size("source_vocabulary", source_vocabulary), V
        if min(self.vocabularies) <= STOP + 1:
            raise ValueError(f"vocabularies: expected more than {STOP + 1} tokens, got {self.vocabularies}")
        self.order, self.cell = order, cell
        self.feeds = order == "luong" and attention is not None and input_feeding

        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        self.embed_source, self.embed_target = (
            torch.nn.Embedding(size, E, PAD, **kind) for size in self.vocabularies
        )
        self.encoder = CELLS[cell](E, half, bidirectional=bidirectional, **kind)
        self.start = torch.nn.Linear(K, H, **kind)
        self.start_cell = torch.nn.Linear(K, H, **kind) if cell == "lstm" else None
        extra = K if order == "bahdanau" else H if self.feeds else 0
        self.decoder = CELLS[cell](E + extra, H, **kind)
        self.attention, self.combine = None, None
        if attention is not None:
            options = {"size": attention_size, "max_length": max_source, **kind}
            self.attention = Attention(attention, H, K, window=window, D=D, **options)
            if order == "luong":
                self.combine = torch.nn.Linear(K + H, H, bias=False, **kind)
        self.output = torch.nn.Linear(H + E + K if order == "bahdanau" else H, V, **kind)
        self.dropout = torch.nn.Dropout(dropout)

    __prepare_scriptable__ = refuse_script

    def encode(self, source: Any, lengths: Any = None) -> State:
        """Read the sources; return the state from which the decoder starts.

        source (S, B) integers, a tensor or an array; lengths (B,) integers,
        1 <= length <= S, in any order, if they are padded. What stands in the padding
        has no effect.
        TypeError, ValueError: of another type or shape; a token out of range.
        """
        V, device = self.vocabularies[0], self.output.weight.device
        source, lengths = check_tokens("source", source, lengths, V, device)
        x = self.dropout(self.embed_source(source))
        keys, last = self.encoder(x, lengths=lengths)
        states = last if self.start_cell else (last,)
        # (directions, B, H) -> (B, K): both directions side by side
        h_last, *c_last = (state.transpose(0, 1).flatten(1) for state in states)
        s = torch.tanh(self.start(h_last))
        c = self.start_cell(*c_last) if self.start_cell else None
        fed = torch.zeros_like(s) if self.feeds else None
        attention = self.attention
        memory = attention.prepare(keys, lengths) if attention else h_last
        return State(s, c, fed, memory)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor | None, State]:
        """Take the tokens before, (B,) int64; return the logits (B, V) of the next ones,
        the attention's weights (B, S) or None, and the new state.
        """
        y = self.dropout(self.embed_target(tokens))
        readout, weights, state = self._step(y, state)
        return self.output(self.dropout(readout)), weights, state

    def forward(
        self, source: Any, source_lengths: Any, target: Any, target_lengths: Any = None
    ) -> Output:
        """Predict each token of the targets from the true ones before: teacher forcing.

        source (S, B) and its lengths as in `encode`; target (T, B) and target_lengths
        (B,) likewise, but START and STOP are refused there, since they are added here.
        Where nothing of the output goes back into the cell ("luong" without input
        feeding), all steps are one call of the layer; otherwise they are a loop.
        """
        state = self.encode(source, source_lengths)
        target, lengths = self._target(target, target_lengths, len(state.h))
        y = self.dropout(self.embed_target(shift(target, lengths)[0]))
        if self.order == "luong" and not self.feeds:
            start = state.h[None] if state.c is None else (state.h[None], state.c[None])
            readout, weights = self._attentional(self.decoder(y, start)[0], state)
        else:
            readouts, rows = [], []
            for y_before in y:
                readout, weights, state = self._step(y_before, state)
                readouts.append(readout)
                rows.append(weights)
            readout = torch.stack(readouts)
            weights = torch.stack(rows) if self.attention else None  # type: ignore
        after = (torch.arange(len(y), device=lengths.device)[:, None, None] > lengths[:, None]).to(y.device)
        logits = self.output(self.dropout(readout)).masked_fill(after, 0)
        if weights is not None:
            weights = weights.masked_fill(after, 0)
        return Output(logits, weights)

    def loss(
        self, source: Any, source_lengths: Any, target: Any, target_lengths: Any = None
    ) -> Tensor:
        """The mean of -log p(y_i) over all true tokens and stops of the batch, in nats.

        The arguments are those of `forward`. Padding has no part in the mean.
        """
        logits = self(source, source_lengths, target, target_lengths).logits
        write = shift(*self._target(target, target_lengths))[1]
        return cross_entropy(logits.flatten(0, 1), write.flatten(), ignore_index=PAD)

    def decode(
        self,
        source: Any,
        source_lengths: Any = None,
        *,
        max_length: int,
        beam: int = 1,
        length_penalty: float = 0.0,
    ) -> list[search.Hypothesis]:
        """Write a target for each source, from its own tokens: the best that is found.

        source as in `encode`; max_length: the largest number of steps, that of the stop
        included. beam: how many hypotheses are kept; 1 is greedy search. The rest is
        in `rnnlit.search`. Dropout is off, and no gradient is kept.
        """
        with evaluating(self):
            state = self.encode(source, source_lengths)
            start, step = np.full(len(state.h), START), self.log_probabilities
            if check_size("beam", beam) == 1:
                return search.greedy(step, state, start, STOP, max_length)
            found = search.beam(
                step, state, start, STOP, max_length, beam,
                length_penalty=length_penalty, select=State.select,
            )  # fmt: skip
        return [hypotheses[0] for hypotheses in found]

    def log_probabilities(self, tokens: Any, state: State) -> tuple[np.ndarray, State]:
        """`step` for `rnnlit.search`: log p (N, V), an array, -inf for PAD and START."""
        with torch.no_grad():
            tokens = torch.as_tensor(tokens, device=state.h.device)
            logits, _, state = self.step(tokens, state)
            logs = logits.double().log_softmax(-1)
            logs[:, [PAD, START]] = -torch.inf
        return logs.cpu().numpy(), state

    def align(
        self, source: Any, source_lengths: Any, target: Any, target_lengths: Any = None
    ) -> Tensor:
        """The weights (T+1, B, S) with which each target token, and the stop, is written.

        The arguments are those of `forward`. Dropout is off, and no gradient is kept.
        ValueError: a model without attention.
        """
        if self.attention is None:
            raise ValueError("attention: expected a model that has it, got None")
        with evaluating(self):
            output: Output = self(source, source_lengths, target, target_lengths)
        return output.weights  # type: ignore[return-value]

    def _step(self, y: Tensor, state: State) -> tuple[Tensor, Tensor | None, State]:
        """What W_o meets, the weights, and the new state; y (B, E) is the token before."""
        if self.order == "bahdanau":
            context, weights = self._attend(state.h, state)
            h, c = self._cell(torch.cat([y, context], -1), state)
            readout, fed = torch.cat([h, y, context], -1), None
        else:
            x = y if state.fed is None else torch.cat([y, state.fed], -1)
            h, c = self._cell(x, state)
            readout, weights = self._attentional(h, state)
            fed = readout if self.feeds else None
        return readout, weights, State(h, c, fed, state.memory, state.position + 1)

    def _attentional(self, h: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """h~ = tanh(W_c [c; h]) for h (B, H) or (T, B, H); h itself without attention."""
        if self.combine is None:
            return h, None
        context, weights = self._attend(h, state)
        return torch.tanh(self.combine(torch.cat([context, h], -1))), weights

    def _attend(self, query: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """The context for the states `query`; without attention always the same."""
        if self.attention is None:
            return state.memory, None
        return self.attention(query, state.memory, position=state.position)

    def _cell(self, x: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """One step of the cell: the new h and, of an LSTM, c."""
        weights = self.decoder.all_weights[0]
        if state.c is None:
            return torch.gru_cell(x, state.h, *weights), None
        return torch.lstm_cell(x, (state.h, state.c), *weights)

    def _target(self, target: Any, lengths: Any, batch: int | None = None) -> tuple[Tensor, Tensor]:
        """Check a batch of targets."""
        V, device = self.vocabularies[1], self.output.weight.device
        return check_tokens("target", target, lengths, V, device, least=STOP + 1, batch=batch)
