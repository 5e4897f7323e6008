"""Attention in torch: the twin of `rnnlit.attention`.

B batch, T queries (decoder steps), S source steps, Q query, K key, A attention size.

`Attention` computes what the reference does, and autograd takes the backward pass.
What depends on the source alone is computed once for a batch, by `prepare`. The names
in the state_dict are those in the reference's Params: `score.weight_q`, `place.v` and
so on. Unlike the reference, the padding of the keys may hold anything, NaN too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from rnnlit import attention, attention_scores
from rnnlit.attention import Window
from rnnlit.attention_scores import ScoreName
from rnnlit.tools.checks import ShapeError, check_size
from rnnlit.tools.checks_torch import check_lengths
from rnnlit.tools.optim import named_arrays
from rnnlit.tools.private_torch import refuse_script


class Memory(NamedTuple):
    """A batch of sources, ready to be attended to. The batch comes first."""

    keys: Tensor  # (B, S, K) zero at the padding
    projected: Tensor  # (B, S, A), (B, S, Q) or (B, S, K): what the score meets
    padding: Tensor | None  # (B, S) True after a source's end; None: no padding
    lengths: Tensor | None  # (B,) int64; None: no padding

    def select(self, rows: Any) -> Memory:
        """The sources `rows` (M,), in this order, as often as named, for a beam."""
        rows = torch.as_tensor(rows, device=self.keys.device)
        padding, lengths = (
            x if x is None else x[rows] for x in (self.padding, self.lengths)
        )
        return Memory(self.keys[rows], self.projected[rows], padding, lengths)


class Attention(torch.nn.Module):
    """All scores and windows in one call; the equations are in `rnnlit.attention`.

        memory = attention.prepare(keys, lengths)          # once for each batch
        context, weights = attention(query, memory)        # all queries, or one step

    score, query_size, key_size, size, window, max_length: as in
    `rnnlit.attention.init`, and so is the start. D: the windows of local_m and
    local_p reach from p - D to p + D.

    TypeError, ValueError: as in `rnnlit.attention.init`.

    >>> attention = Attention("general", 5, 6)
    >>> keys = torch.randn(7, 4, 6)  # S, B, K
    >>> memory = attention.prepare(keys, lengths=[7, 3, 5, 7])
    >>> context, weights = attention(torch.randn(4, 5), memory)  # one step
    >>> context.shape, weights.shape
    (torch.Size([4, 6]), torch.Size([4, 7]))
    >>> weights[1, 3:].tolist()  # the second source has 3 positions
    [0.0, 0.0, 0.0, 0.0]
    """

    __prepare_scriptable__ = refuse_script

    def __init__(
        self,
        score: ScoreName,
        query_size: int,
        key_size: int,
        *,
        size: int | None = None,
        window: Window | None = None,
        D: int = 10,
        max_length: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        Q, K = check_size("query_size", query_size), check_size("key_size", key_size)
        shapes = attention_scores.shapes_of(score, Q, K, size, max_length)
        attention.check_window(window)
        place = {"weight": (Q, Q), "v": (Q,)} if window == "local_p" else {}
        self.kind, self.query_size, self.key_size = score, Q, K
        self.window, self.D = window, check_size("D", D)
        for group, named in (("score", shapes), ("place", place)):
            empty = [
                (n, torch.empty(s, device=device, dtype=dtype))
                for n, s in named.items()
            ]
            self.add_module(group, torch.nn.ParameterDict(empty))
        self.reset_parameters()

    score: torch.nn.ParameterDict
    place: torch.nn.ParameterDict

    def reset_parameters(self) -> None:
        """Draw all weights from U(-1/sqrt(n), 1/sqrt(n)), n the last axis's size."""
        for weight in self.parameters():
            k = weight.shape[-1] ** -0.5
            torch.nn.init.uniform_(weight, -k, k)

    def params(self) -> attention.Params:
        """Copies of the parameters as NumPy arrays, for the reference."""
        score, place = (
            {
                name: weight.detach().cpu().numpy().copy()
                for name, weight in group.items()
            }
            for group in (self.score, self.place)
        )
        kind = attention_scores.KINDS[self.kind](**score)
        return attention.Params(kind, attention.Place(**place) if place else ())

    def load_params(self, params: attention.Params) -> Attention:
        """Copy NumPy parameters of this score and window into the module; return it.

        RuntimeError: names or shapes of another attention.
        """
        arrays = named_arrays(params)
        self.load_state_dict({name: torch.tensor(a) for name, a in arrays.items()})
        return self

    def extra_repr(self) -> str:
        """The arguments that are not the default's."""
        words = f"{self.kind}, {self.query_size}, {self.key_size}"
        return words + (f", window={self.window}, D={self.D}" if self.window else "")

    def prepare(self, keys: Tensor, lengths: Any = None) -> Memory:
        """Project the keys and build the mask, once for a batch of sources.

        keys (S, B, K); lengths (B,) integers, 1 <= length <= S, in any order (a
        tensor on any device, an array or a list), if the sources are padded.
        TypeError, ValueError: an argument of another type, dtype or shape.
        """
        self._check("keys", keys, "(S, B, K)", (3,), self.key_size)
        S, B, _ = keys.shape
        padding, keys = None, keys.transpose(0, 1)
        if lengths is not None:
            lengths = check_lengths(lengths, S, B)
            if bool((lengths < S).any()):
                lengths = lengths.to(keys.device)
                padding = torch.arange(S, device=keys.device) >= lengths[:, None]
                keys = keys.masked_fill(padding[:, :, None], 0)
        projected = keys
        if self.kind == "general":
            projected = linear(keys, self.score["weight"])
        elif self.kind == "scaled_dot":
            projected = keys * self.key_size**-0.5
        elif self.kind in ("additive", "concat"):
            projected = linear(keys, self._additive()[1])
        return Memory(
            keys, projected, padding, lengths if padding is not None else None
        )

    def forward(
        self,
        query: Tensor,
        memory: Memory | Tensor,
        lengths: Any = None,
        position: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Return context (T, B, K) and weights (T, B, S) for queries (T, B, Q).

        One step, a query (B, Q), gives (B, K) and (B, S).
        memory: what `prepare` returned; or the keys (S, B, K), with their lengths.
        position: that of the first query, for local_m.
        TypeError, ValueError: an argument of another type, dtype or shape.
        """
        if not isinstance(memory, Memory):
            memory = self.prepare(memory, lengths)
        elif lengths is not None:
            raise ValueError("lengths: expected None, since `prepare` knows them")
        self._check("query", query, "(T, B, Q) or (B, Q)", (2, 3), self.query_size)
        if query.shape[-2] != len(memory.keys):
            raise ValueError(
                f"query: expected a batch of B = {len(memory.keys)} like the keys, "
                f"got shape {tuple(query.shape)}"
            )
        q = query[:, None] if query.dim() == 2 else query.transpose(0, 1)
        scores, factor = self._scores(q, memory), None
        hidden = self._hidden(q, memory, attention.check_position(position))
        if self.window == "local_p":
            away = self._away(q, memory)
            factor = torch.exp(-0.5 * (away / (self.D / 2)) ** 2)
            hidden = _either(hidden, away.abs() > self.D)
        if hidden is None:
            weights = scores.softmax(-1)
        else:
            # In a row with nothing to see, -inf would give NaN.
            least = torch.finfo(scores.dtype).min
            weights = scores.masked_fill(hidden, least).softmax(-1)
            weights = weights.masked_fill(hidden, 0)
        if factor is not None:
            weights = weights * factor
        context = weights @ memory.keys
        if query.dim() == 2:
            return context[:, 0], weights[:, 0]
        return context.transpose(0, 1), weights.transpose(0, 1)

    def _additive(self) -> tuple[Tensor, Tensor, Tensor]:
        """W_q, W_k and v; concat is additive, its W cut after Q columns."""
        if self.kind == "additive":
            return self.score["weight_q"], self.score["weight_k"], self.score["v"]
        weight_q, weight_k = self.score["weight"].tensor_split([self.query_size], dim=1)
        return weight_q, weight_k, self.score["v"]

    def _scores(self, q: Tensor, memory: Memory) -> Tensor:
        """The scores (B, T, S) of queries (B, T, Q)."""
        if self.kind in ("additive", "concat"):
            weight_q, _, v = self._additive()
            inner = linear(q, weight_q)[:, :, None] + memory.projected[:, None]
            return inner.tanh_() @ v  # in place: nothing else reads the sum
        if self.kind == "location":
            S = memory.keys.shape[1]
            scores = linear(q, self.score["weight"][:S])
            return pad(scores, (0, S - scores.shape[2]))
        return q @ memory.projected.transpose(1, 2)

    def _hidden(self, q: Tensor, memory: Memory, position: int) -> Tensor | None:
        """True at what a query may not see, (B or 1, T or 1, S); None: it sees all."""
        s = torch.arange(memory.keys.shape[1], device=q.device)
        hidden = None if memory.padding is None else memory.padding[:, None]
        if self.kind == "location" and len(s) > len(self.score["weight"]):
            hidden = _either(hidden, s >= len(self.score["weight"]))
        if self.window == "local_m":
            p = position + torch.arange(q.shape[1], device=q.device)
            hidden = _either(hidden, (s - p[:, None]).abs() > self.D)
        return hidden

    def _away(self, q: Tensor, memory: Memory) -> Tensor:
        """s - p (B, T, S) for local_p: p = length · sigma(v^T tanh(W q))."""
        weight, v = self.place["weight"], self.place["v"]
        u = (torch.tanh(linear(q, weight)) @ v).to(v.dtype)
        S = memory.keys.shape[1]
        p = torch.sigmoid(u) * (
            S if memory.lengths is None else memory.lengths[:, None]
        )
        return torch.arange(S, device=q.device) - p[:, :, None]

    def _check(
        self, name: str, x: Any, words: str, dims: tuple[int, ...], size: int
    ) -> None:
        """Check the query or the keys."""
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name}: expected a tensor {words}, got {type(x).__name__}"
            )
        if x.dim() not in dims or x.shape[-1] != size or 0 in x.shape:
            letter = "K" if name == "keys" else "Q"
            raise ShapeError(
                f"{name}: expected shape {words} with {letter} = {size}, "
                f"got {tuple(x.shape)}"
            )
        weight = next(self.parameters(), x)
        if not x.is_floating_point():
            raise TypeError(f"{name}: expected a floating dtype, got {x.dtype}")
        if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(
                f"{name}: expected {weight.dtype} like the weights, got {x.dtype}"
            )

    if TYPE_CHECKING:
        __call__ = forward


def _either(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a | b


class AdditiveAttention(Attention):
    """v^T tanh(W_q q + W_k k)   (Bahdanau et al. 2015, A.1.2)

    >>> attention = AdditiveAttention(5, 6)
    >>> query, keys = torch.randn(2, 4, 5), torch.randn(7, 4, 6)
    >>> context, weights = attention(query, keys, lengths=[7, 3, 5, 7])
    >>> context.shape, weights.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 7]))
    """

    def __init__(
        self, query_size: int, key_size: int, size: int | None = None, **options: Any
    ) -> None:
        super().__init__("additive", query_size, key_size, size=size, **options)


class DotAttention(Attention):
    """q^T k   (Luong et al. 2015); no parameters, queries and keys of one size.

    >>> attention = DotAttention(6)
    >>> context, weights = attention(torch.randn(2, 4, 6), torch.randn(7, 4, 6))
    >>> context.shape, weights.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 7]))
    """

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__("dot", size, size, **options)


class GeneralAttention(Attention):
    """q^T W k   (Luong et al. 2015)

    >>> attention = GeneralAttention(5, 6)
    >>> query, keys = torch.randn(2, 4, 5), torch.randn(7, 4, 6)
    >>> context, weights = attention(query, keys, lengths=[7, 3, 5, 7])
    >>> context.shape, weights.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 7]))
    """

    def __init__(self, query_size: int, key_size: int, **options: Any) -> None:
        super().__init__("general", query_size, key_size, **options)


class ConcatAttention(Attention):
    """v^T tanh(W [q; k])   (Luong et al. 2015)

    >>> attention = ConcatAttention(5, 6, size=8)
    >>> query, keys = torch.randn(2, 4, 5), torch.randn(7, 4, 6)
    >>> context, weights = attention(query, keys, lengths=[7, 3, 5, 7])
    >>> context.shape, weights.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 7]))
    """

    def __init__(
        self, query_size: int, key_size: int, size: int | None = None, **options: Any
    ) -> None:
        super().__init__("concat", query_size, key_size, size=size, **options)


class LocationAttention(Attention):
    """(W q)_s   (Luong et al. 2015); positions from max_length on get no weight.

    >>> attention = LocationAttention(5, 6, max_length=9)
    >>> query, keys = torch.randn(2, 4, 5), torch.randn(7, 4, 6)
    >>> context, weights = attention(query, keys, lengths=[7, 3, 5, 7])
    >>> context.shape, weights.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 7]))
    """

    def __init__(
        self, query_size: int, key_size: int, max_length: int, **options: Any
    ) -> None:
        super().__init__(
            "location", query_size, key_size, max_length=max_length, **options
        )


class LocalAttention(Attention):
    """Any score in a window of 2D + 1 positions   (Luong et al. 2015, section 3.2)

    window: "local_p" predicts its centre, "local_m" takes the query's own position.

    >>> attention = LocalAttention(5, 6, window="local_m", D=2)
    >>> query, keys = torch.randn(2, 4, 5), torch.randn(7, 4, 6)
    >>> context, weights = attention(query, keys, lengths=[7, 3, 5, 7])
    >>> context.shape, weights.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 7]))
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        score: ScoreName = "general",
        window: Window = "local_p",
        D: int = 10,
        **options: Any,
    ) -> None:
        super().__init__(score, query_size, key_size, window=window, D=D, **options)


def sample(
    weights: Tensor, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw one position from each row of weights: hard attention (Xu et al. 2015).

    weights (..., S), each row a distribution  ->  positions (...) int64, and the
    logarithm of the probability of each (...), which REINFORCE takes the gradient of.
    """
    rows = weights.reshape(-1, weights.shape[-1])
    position = torch.multinomial(rows.detach(), 1, generator=generator)
    log_probability = rows.gather(1, position).log()
    return position.reshape(weights.shape[:-1]), log_probability.reshape(
        weights.shape[:-1]
    )
