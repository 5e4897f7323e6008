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
from s_0 alone, as in Sutskever et al. (2014). Bahdanau et al. (2015) have a maxout
layer where W_o is here, and take the last state of the backward direction alone for s_0.

With several layers, s_i is the state of the last one, and each layer of the decoder
starts from the same layer of the encoder, by weights W_s of its own.

Tokens are numbered as in `rnnlit.tasks.tokens`; targets hold neither start nor stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, Unpack, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnlit import search
from rnnlit.attention import Window
from rnnlit.attention_scores import ScoreName
from rnnlit.attention_torch import Attention
from rnnlit.nn import stepwise
from rnnlit.nn.decoder import State, bahdanau_step, luong_step
from rnnlit.nn.gru import GRU
from rnnlit.nn.lstm import LSTM
from rnnlit.tasks.tokens import PAD, START, STOP
from rnnlit.tasks.tokens_torch import check_tokens, shift
from rnnlit.tools.checks import check_size
from rnnlit.tools.private_torch import refuse_script
from rnnlit.tools.train_torch import evaluating

Order = Literal["bahdanau", "luong"]
ORDERS: tuple[Order, ...] = get_args(Order)
CELLS: dict[str, Any] = {"gru": GRU, "lstm": LSTM}


class LayerOptions(TypedDict, total=False):
    """What `EncoderDecoder` hands on to its two layers, `rnnlit.nn.GRU` or `LSTM`."""

    forget_bias: float | None  # LSTM
    chrono: float | None  # LSTM
    orthogonal: bool
    reset_after: bool  # GRU
    input_dropout: float
    recurrent_dropout: float
    output_dropout: float
    candidate_dropout: float
    weight_drop: float
    zoneout: float | Sequence[float]
    layer_norm: bool
    peephole: bool  # LSTM


STEPS = {"bahdanau": bahdanau_step, "luong": luong_step}


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
    num_layers: of the encoder and of the decoder.
    dropout: the share of embeddings, of what goes from layer to layer, and of inputs to
        W_o that training sets to zero.
    options: of both layers, those of `rnnlit.nn.GRU` and `LSTM` that `LayerOptions`
        names, such as layer_norm=True. Where a mask holds for a whole sequence, it is
        the same at all steps of the decoder too.

    TypeError, ValueError: an argument that is none of these, and what `Attention` and
    the layers refuse: "dot" needs K = H, so one direction, or an encoder_size of H/2.

    >>> from rnnlit.tasks.tokens import Vocabulary, pairs
    >>> letters, digits = Vocabulary("abc"), Vocabulary("0123")
    >>> model = EncoderDecoder(len(letters), len(digits), 8, 16, attention="additive")
    >>> texts, numbers = ["ab", "cab"], ["01", "201"]
    >>> batch = pairs([letters.encode(t) for t in texts], [digits.encode(n) for n in numbers])
    >>> model.loss(*batch).backward()  # then a step of an optimiser
    >>> found = model.decode(batch.source, batch.source_lengths, max_length=5, beam=3)
    >>> len(found)  # a Hypothesis for each source; digits.decode(found[0].tokens)
    2
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        embedding_size: int,
        hidden_size: int,
        *,
        attention: ScoreName | None = "additive",
        order: Order = "bahdanau",
        window: Window | None = None,
        D: int = 10,
        attention_size: int | None = None,
        max_source: int | None = None,
        input_feeding: bool = True,
        bidirectional: bool = True,
        cell: Literal["gru", "lstm"] = "gru",
        encoder_size: int | None = None,
        num_layers: int = 1,
        dropout: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LayerOptions],
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
        unknown = sorted(set(options) - set(LayerOptions.__annotations__))
        if unknown:
            raise TypeError(
                f"options: expected some of {', '.join(LayerOptions.__annotations__)}, "
                f"got {', '.join(unknown)}"
            )
        E = check_size("embedding_size", embedding_size)
        H = check_size("hidden_size", hidden_size)
        half = check_size("encoder_size", H if encoder_size is None else encoder_size)
        K, L = 2 * half if bidirectional else half, check_size("num_layers", num_layers)
        V = check_size("target_vocabulary", target_vocabulary)
        self.vocabularies = check_size("source_vocabulary", source_vocabulary), V
        if min(self.vocabularies) <= STOP + 1:
            raise ValueError(f"vocabularies: expected more than {STOP + 1} tokens, got {self.vocabularies}")
        self.order, self.cell = order, cell
        self.feeds = order == "luong" and attention is not None and input_feeding
        self.loops = order == "bahdanau" or self.feeds  # something goes back into the cell
        if order == "bahdanau":
            read, met = E + K, H + E + K  # sizes of what the decoder reads, and W_o
        else:
            read, met = E + H if self.feeds else E, H

        place: dict[str, Any] = {"device": device, "dtype": dtype}
        layers: dict[str, Any] = {"num_layers": L, **options, **place}
        layers["dropout"] = dropout if L > 1 else 0.0
        self.embed_source, self.embed_target = (
            torch.nn.Embedding(size, E, PAD, **place) for size in self.vocabularies
        )
        self.encoder = CELLS[cell](E, half, bidirectional=bidirectional, **layers)
        self.start = torch.nn.Linear(K, H, **place)
        self.start_cell = torch.nn.Linear(K, H, **place) if cell == "lstm" else None
        self.start_below, self.start_cell_below = (
            torch.nn.ModuleList(torch.nn.Linear(K, H, **place) for _ in range(n))
            for n in (L - 1, L - 1 if cell == "lstm" else 0)
        )
        self.decoder = CELLS[cell](read, H, **layers)
        self.attention, self.combine = None, None
        if attention is not None:
            sizes = {"size": attention_size, "max_length": max_source}
            self.attention = Attention(attention, H, K, window=window, D=D, **sizes, **place)
            if order == "luong":
                self.combine = torch.nn.Linear(K + H, H, bias=False, **place)
        self.output = torch.nn.Linear(met, V, **place)
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
        B, L = x.shape[1], self.encoder.num_layers
        # (L·directions, B, H) -> L times (B, K): both directions side by side
        h_last, *c_last = (
            part.reshape(L, -1, B, part.shape[-1]).transpose(1, 2).flatten(2).unbind()
            for part in (last if self.start_cell else (last,))
        )
        starts = [*self.start_below, self.start]
        parts = [[torch.tanh(W(h)) for W, h in zip(starts, h_last, strict=True)]]
        if self.start_cell:
            starts = [*self.start_cell_below, self.start_cell]
            parts.append([W(c) for W, c in zip(starts, c_last[0], strict=True)])
        *below, (s, *c) = zip(*parts, strict=True)
        fed = torch.zeros_like(s) if self.feeds else None
        attention = self.attention
        memory = attention.prepare(keys, lengths) if attention else h_last[-1]
        masks = stepwise.masks_of(self.decoder, B)
        return State(s, c[0] if c else None, fed, memory, 0, tuple(below), masks)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor | None, State]:
        """Take the tokens before, (B,) int64; return the logits (B, V) of the next ones,
        the attention's weights (B, S) or None, and the new state.
        """
        y = self.dropout(self.embed_target(tokens))
        readout, weights, state = STEPS[self.order](self, y, state)
        return self.output(self.dropout(readout)), weights, state

    def forward(
        self,
        source: Any,
        source_lengths: Any,
        target: Any,
        target_lengths: Any = None,
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
        if self.loops:
            readouts, rows = [], []
            for y_before in y:
                readout, weights, state = STEPS[self.order](self, y_before, state)
                readouts.append(readout)
                rows.append(weights)
            readout = torch.stack(readouts)
            weights = torch.stack(rows) if self.attention else None  # type: ignore
        else:
            start = [torch.stack(parts) for parts in zip(*state.layers(), strict=True)]
            states, _ = self.decoder(y, start if len(start) == 2 else start[0])
            readout, weights = self._attentional(states, state)
        steps = torch.arange(len(y), device=lengths.device)
        after = (steps[:, None, None] > lengths[:, None]).to(y.device)
        logits = self.output(self.dropout(readout)).masked_fill(after, 0)
        if weights is not None:
            weights = weights.masked_fill(after, 0)
        return Output(logits, weights)

    def loss(
        self,
        source: Any,
        source_lengths: Any,
        target: Any,
        target_lengths: Any = None,
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
        if check_size("beam", beam) > 1:
            found = self.n_best(
                source, source_lengths, n=1, max_length=max_length, beam=beam,
                length_penalty=length_penalty,
            )  # fmt: skip
            return [hypotheses[0] for hypotheses in found]
        with evaluating(self):
            state = self.encode(source, source_lengths)
            start, step = np.full(len(state.h), START), self.log_probabilities
            return search.greedy(step, state, start, STOP, max_length)

    def n_best(
        self,
        source: Any,
        source_lengths: Any = None,
        *,
        n: int,
        max_length: int,
        beam: int | None = None,
        length_penalty: float = 0.0,
    ) -> list[list[search.Hypothesis]]:
        """Write several targets for each source: the n best of a beam, best first.

        beam: how many hypotheses are kept, n if not given. The rest is as in `decode`.
        There are fewer than n if the beam has found fewer. ValueError: beam below n.
        """
        beam = check_size("beam", check_size("n", n) if beam is None else beam)
        if beam < n:
            raise ValueError(f"beam: expected at least n = {n}, got {beam}")
        with evaluating(self):
            state = self.encode(source, source_lengths)
            found = search.beam(
                self.log_probabilities, state, np.full(len(state.h), START), STOP,
                max_length, beam, length_penalty=length_penalty, select=State.select,
            )  # fmt: skip
        return [hypotheses[:n] for hypotheses in found]

    def log_probabilities(self, tokens: Any, state: State) -> tuple[np.ndarray, State]:
        """`step` for `rnnlit.search`: log p (N, V), an array, -inf for PAD and START."""
        with torch.no_grad():
            tokens = torch.as_tensor(tokens, device=state.h.device)
            logits, _, state = self.step(tokens, state)
            logs = logits.double().log_softmax(-1)
            logs[:, [PAD, START]] = -torch.inf
        return logs.cpu().numpy(), state

    def align(
        self,
        source: Any,
        source_lengths: Any,
        target: Any,
        target_lengths: Any = None,
    ) -> Tensor:
        """The weights (T+1, B, S) with which each target token, and the stop, is written.

        The arguments are those of `forward`. Dropout is off, and no gradient is kept.
        ValueError: a model without attention.
        """
        if self.attention is None:
            raise ValueError("attention: expected a model that has it, got None")
        with evaluating(self):
            output = self(source, source_lengths, target, target_lengths)
        return output.weights  # type: ignore[return-value]

    def _attentional(self, h: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """h~ = tanh(W_c [c; h]) for h (B, H) or (T, B, H); h itself without attention."""
        if self.combine is None:
            return h, None
        context, weights = self._attend(h, state)
        return torch.tanh(self.combine(torch.cat([context, h], -1))), weights

    def _attend(self, query: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """The context for the states `query`; without attention always the same."""
        if isinstance(state.memory, Tensor):
            return state.memory, None
        assert self.attention is not None
        return self.attention(query, state.memory, position=state.position)

    def _advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of the decoder's layers: what comes out, (B, H), and the new state."""
        out, new = stepwise.step(self.decoder, x, state.layers(), state.masks)
        *below, (h, *c) = new
        position, cell = state.position + 1, c[0] if c else None
        return out, State(h, cell, state.fed, state.memory, position, tuple(below), state.masks)

    def _target(self, target: Any, lengths: Any, batch: int | None = None) -> tuple[Tensor, Tensor]:
        """Check a batch of targets."""
        V, device = self.vocabularies[1], self.output.weight.device
        return check_tokens("target", target, lengths, V, device, least=STOP + 1, batch=batch)

    if TYPE_CHECKING:
        __call__ = forward
