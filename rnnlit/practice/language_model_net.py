"""The text as numbers, the language model, and how it writes: what `language_model` trains.

T steps, B streams, N tokens of a text, V kinds of tokens, E embedding, H hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnlit.nn import LSTM
from rnnlit.practice import stored
from rnnlit.search import sampling_probabilities
from rnnlit.tasks import pride
from rnnlit.tasks.characters import streams
from rnnlit.tools.train_torch import evaluating

UNITS = ("characters", "words")
KINDS = ("none", "zaremba", "gal")
UNKNOWN = "<unk>"  # a word that the training chapters have less than twice
States = tuple[Tensor, Tensor]


# ---------------------------------------------------------------- the text as numbers


@cache
def tokens(unit: str) -> tuple[str, ...]:
    """All tokens in the order of their numbers: the novel's characters, or words of its training chapters.

    ValueError: a unit that is neither.
    """
    if unit not in UNITS:
        raise ValueError(f"unit: expected one of {', '.join(UNITS)}, got {unit!r}")
    if unit == "characters":
        return tuple(pride.vocabulary(pride.story()))
    return UNKNOWN, *pride.vocabulary(pride.words(pride.parts().train), least=2)


@cache
def _numbers(unit: str) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens(unit))}


def encode(unit: str, text: str) -> np.ndarray:
    """The numbers of a text's tokens, (N,) int64; a word that isn't known is UNKNOWN.

    ValueError: a character that the novel doesn't have.
    """
    index = _numbers(unit)
    if unit == "words":
        return np.array([index.get(word, 0) for word in pride.words(text)], np.int64)
    strange = sorted(set(text) - index.keys())
    if strange:
        shown = " ".join(map(repr, strange[:9])) + (" and others" if len(strange) > 9 else "")
        raise ValueError(f"text: expected characters of the novel, got {shown}")
    return np.array([index[character] for character in text], np.int64)


@cache
def parts(unit: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training, validation and test chapters as numbers."""
    train, validation, test = (encode(unit, part) for part in pride.parts())
    return train, validation, test


def start(unit: str) -> int:
    """The number of the line's end, which stands before the first token of a text."""
    return _numbers(unit)["\n"]


class Window(NamedTuple):
    """T tokens of B streams, time first, and what follows each."""

    x: Tensor  # (T, B) int64
    y: Tensor  # (T, B) int64, x one step later
    first: bool  # whether the streams begin here


class Windows:
    """A text (N,) as windows of T tokens of B streams, in order; what is left over at the end is dropped."""

    def __init__(self, numbers: np.ndarray, batch: int, window: int, device: Any = "cpu") -> None:
        self.streams = torch.as_tensor(streams(numbers, batch), device=device)  # (N // B, B)
        self.window = window

    def __len__(self) -> int:
        return (len(self.streams) - 1) // self.window

    def __iter__(self) -> Iterator[Window]:
        for k in range(len(self)):
            begin, end = k * self.window, (k + 1) * self.window
            yield Window(self.streams[begin:end], self.streams[begin + 1 : end + 1], k == 0)


# ---------------------------------------------------------------- the model


class LanguageModel(torch.nn.Module):
    """Embedding, an LSTM of L layers, and a linear layer to the logits of the next token.

    kind  where dropout is. zaremba: of embedding, between the layers and of the output, another mask at each
          step (Zaremba, Sutskever & Vinyals 2014). gal: there with one mask for all steps, of h_{t-1} on its
          way into the gates, likewise with one mask, and of whole tokens, which are then zero wherever they
          stand in the sequence (Gal & Ghahramani 2016).
    p     the share that is dropped of inputs and outputs; for gal p_h of h_{t-1}, and p_tokens of the tokens
    tied  embedding and last layer share one matrix, for which E must be H (Press & Wolf 2017)
    """

    def __init__(
        self,
        size: int,
        embedding: int,
        hidden: int,
        layers: int = 2,
        kind: str = "none",
        p: float = 0.0,
        p_h: float = 0.0,
        p_tokens: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
        if tied and embedding != hidden:
            raise ValueError(f"embedding: expected {hidden}, as many as units, with tied, got {embedding}")
        self.kind, self.p_tokens = kind, p_tokens if kind == "gal" else 0.0
        options: dict[str, Any] = {}
        if kind == "zaremba" and layers > 1:
            options = {"dropout": p}
        if kind == "gal":
            options = {"input_dropout": p, "recurrent_dropout": p_h, "output_dropout": p}
        self.embed = torch.nn.Embedding(size, embedding)
        self.lstm = LSTM(embedding, hidden, layers, forget_bias=1.0, **options)
        self.drop = torch.nn.Dropout(p if kind == "zaremba" else 0.0)
        self.output = torch.nn.Linear(hidden, size)
        if tied:
            torch.nn.init.uniform_(self.embed.weight, -0.1, 0.1)
            self.output.weight = self.embed.weight

    def forward(self, x: Tensor, state: States | None = None) -> tuple[Tensor, States]:
        """The logits of what follows each token.   x (T, B)  ->  (T, B, V), and the state at the end"""
        e = self.drop(self.embed(x))
        if self.training and self.p_tokens:
            kept = torch.rand(self.embed.num_embeddings, x.shape[1], device=x.device) >= self.p_tokens
            e = e * (kept.gather(0, x) / (1 - self.p_tokens))[..., None]
        h, state = self.lstm(e, state)
        return self.output(self.drop(h)), state

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.output.bias.device


class Stateful:
    """The loss of one window after the other: the state is carried on, the gradient isn't.

    A call gives the mean cross-entropy of a token, in nats. `state_dict` holds the state for a checkpoint.
    """

    def __init__(self) -> None:
        self.state: States | None = None

    def __call__(self, model: torch.nn.Module, window: Window) -> Tensor:
        logits, (h, c) = model(window.x, None if window.first else self.state)
        self.state = h.detach(), c.detach()
        return cross_entropy(logits.flatten(0, 1), window.y.flatten())

    def state_dict(self) -> dict[str, Tensor]:
        """The state after the last window."""
        return {} if self.state is None else {"h": self.state[0], "c": self.state[1]}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Put a `state_dict` back."""
        self.state = (saved["h"], saved["c"]) if saved else None


WARM = 500  # tokens that a piece of a text reads before it is asked


def _pieces(numbers: np.ndarray, first: int, count: int) -> tuple[np.ndarray, int]:
    """A text in `count` pieces of L tokens, each with the tokens before it:  (warm + L, count), and warm."""
    L = -(-len(numbers) // count)
    warm = min(WARM, L) if count > 1 else 0
    padded = np.full(warm + count * L, first)
    padded[warm + 1 : warm + 1 + len(numbers)] = numbers[: count * L - 1]
    return np.stack([padded[k * L : k * L + warm + L] for k in range(count)], axis=1), warm


def _run(
    model: LanguageModel, numbers: np.ndarray, first: int, count: int, window: int, read: Any
) -> list[Tensor]:
    """`read(x, state) -> (result, state)` over windows of all pieces, the state carried on; the results.

    The first piece begins from zeros, the others from the state after the tokens before them.
    """
    padded, warm = _pieces(numbers, first, count)
    x = torch.as_tensor(padded, device=model.device)
    found, state = [], None
    with evaluating(model):
        if warm:
            state = model(x[:warm])[1]
            state[0][:, 0], state[1][:, 0] = 0, 0
        for begin in range(warm, len(x), window):
            result, state = read(x[begin : begin + window], state)
            found.append(result)
    return found


def log_probabilities(
    model: LanguageModel, numbers: np.ndarray, first: int, pieces: int = 1, window: int = 500
) -> np.ndarray:
    """log2 p of each token of a text, given those before it.   (N,)  ->  (N,) float64

    Before the text stands the token `first`. With pieces = 1 it is read as one sequence. With more it is cut
    into so many, which are read side by side, and each knows of what stands before it the last 500 tokens.
    """
    L = -(-len(numbers) // pieces)
    y = np.zeros(L * pieces, np.int64)
    y[: len(numbers)] = numbers
    right = torch.as_tensor(y.reshape(pieces, L).T.copy(), device=model.device)  # (L, pieces)
    at = 0

    def read(x: Tensor, state: Any) -> tuple[Tensor, States]:
        nonlocal at
        logits, state = model(x, state)
        at += len(x)
        return logits.log_softmax(-1).gather(-1, right[at - len(x) : at, :, None])[..., 0], state

    logs = torch.cat(_run(model, numbers, first, pieces, window, read))  # (L, pieces)
    return logs.T.flatten()[: len(numbers)].cpu().double().numpy() / np.log(2)


def memory(
    model: LanguageModel, numbers: np.ndarray, first: int, pieces: int = 1, window: int = 500
) -> np.ndarray:
    """The cells of all layers after each token of a text.   (N,)  ->  (N, L·H) float32, layer after layer

    pieces: as for `log_probabilities`.
    """

    def read(x: Tensor, state: Any) -> tuple[Tensor, States]:
        _, state, states = model.lstm(model.embed(x), state, return_all_states=True)
        return states.c.permute(2, 1, 0, 3).flatten(2).cpu(), state  # (L, T, B, H) -> (B, T, L·H)

    # What has been read so far: the token `first`, and then the text.
    cells = torch.cat(_run(model, np.append(numbers, first), first, pieces, window, read), 1)
    return cells.flatten(0, 1)[1 : len(numbers) + 1].numpy()


# ---------------------------------------------------------------- writing


def write(
    model: LanguageModel,
    numbers: np.ndarray,
    length: int,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> np.ndarray:
    """Draw `length` tokens that go on from a text (N,), one after the other.   ->  (length,) int64"""
    x, state, found = torch.as_tensor(numbers, device=model.device)[:, None], None, []
    with evaluating(model):
        for _ in range(length):
            logits, state = model(x, state)
            p = sampling_probabilities(logits[-1, 0].cpu().numpy(), temperature, top_p)
            found.append(int(rng.choice(len(p), p=p)))
            x = torch.as_tensor([[found[-1]]], device=model.device)
    return np.array(found, np.int64)


# ---------------------------------------------------------------- files


def build(unit: str, **setting: Any) -> LanguageModel:
    """A model for a unit; `setting` are the arguments of `LanguageModel` but for the number of tokens."""
    return LanguageModel(len(tokens(unit)), **setting)


def load(path: Path, device: str = "cpu") -> LanguageModel:
    """A model that `--export` has written, in float32, ready to read."""
    return stored.load(path, build, device)
