"""Two layers over one sequence, one from each end, for work; the formula is `rnnlit.birnn_torch`.

B batch, T steps, I inputs, H hidden.

`Bidirectional` joins any two layers that run in one direction. For two of torch's kind,
`rnnlit.nn.LSTM(..., bidirectional=True)` computes the same and is torch's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout

from rnnlit import lstm_1997, lstm_1997_torch, lstm_peephole, lstm_peephole_torch
from rnnlit.birnn_torch import flip
from rnnlit.nn.gru import GRU
from rnnlit.nn.lstm import LSTM
from rnnlit.nn.rnn import RNN
from rnnlit.tools.checks import check_size
from rnnlit.tools.checks_torch import check_lengths
from rnnlit.tools.private_torch import refuse_script

OneWayCell = Literal["lstm_1997", "lstm_peephole"]
Cell = Literal["rnn", "gru", "lstm", OneWayCell]
CELLS: tuple[Cell, ...] = get_args(Cell)
_FUSED: dict[str, Any] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
_PLAIN: dict[str, Any] = {
    "lstm_1997": (lstm_1997, lstm_1997_torch),
    "lstm_peephole": (lstm_peephole, lstm_peephole_torch),
}


class OneWay(torch.nn.Module):
    """One layer in one direction, of a cell for which torch has no kernel: a loop over the steps.

    cell: "lstm_1997" or "lstm_peephole". options: those of the cell's `init`, such as forget_bias.
    generator draws the first weights, which are those of the cell's `init`; torch's own one if not given.

    It is called as `rnnlit.nn.LSTM` is, with (T, B, I), `(h0, c0)` of one row each, and lengths.

    >>> output, (h, c) = OneWay("lstm_1997", 3, 5)(torch.randn(7, 4, 3))
    >>> output.shape
    torch.Size([7, 4, 5])
    """

    def __init__(
        self,
        cell: OneWayCell,
        input_size: int,
        hidden_size: int,
        *,
        generator: torch.Generator | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if cell not in _PLAIN:
            raise ValueError(f"cell: expected one of {', '.join(_PLAIN)}, got {cell!r}")
        self.input_size, self.hidden_size, self.cell = input_size, hidden_size, cell
        seed = int(torch.randint(2**31, (1,), generator=generator))
        drawn = _PLAIN[cell][0].init(input_size, hidden_size, rng=np.random.default_rng(seed), **options)
        for name, array in drawn._asdict().items():
            value = torch.from_numpy(array).to(device, dtype or torch.get_default_dtype())
            self.register_parameter(name, torch.nn.Parameter(value))
        self._names = drawn._fields

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.cell}, {self.input_size}, {self.hidden_size}"

    __prepare_scriptable__ = refuse_script

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None, *, lengths: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over (T, B, I); returns the states (T, B, H) and (h_n, c_n), each (1, B, H)."""
        params = [getattr(self, name) for name in self._names]
        states = (None, None) if hx is None else (hx[0][0], hx[1][0])
        run = _PLAIN[self.cell][1].forward(params, input, *states, lengths=lengths)
        return run.h, (run.h_n[None], run.c_n[None])


def layer_of(cell: Cell, input_size: int, hidden_size: int, **options: Any) -> torch.nn.Module:
    """A layer in one direction: `rnnlit.nn.RNN`, `GRU` or `LSTM`, or a `OneWay` for the other cells."""
    if cell not in CELLS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {cell!r}")
    if cell == "lstm_1997" or cell == "lstm_peephole":
        return OneWay(cell, input_size, hidden_size, **options)
    made: torch.nn.Module = _FUSED[cell](input_size, hidden_size, **options)
    return made


class Bidirectional(torch.nn.Module):
    """Two layers over one sequence, one from each end, their outputs side by side.

    forward_layer, reverse_layer: any two layers in one direction, time first, with the same number of inputs:
        `rnnlit.nn.RNN`, `GRU`, `LSTM`, a `OneWay`, or what is called as they are. They may differ in kind and
        in size. One layer given twice is a network with tied weights.

    `Bidirectional.of("gru", I, H)` makes both from a cell's name.

    TypeError: no module.  ValueError: two input sizes; a layer with bidirectional or batch_first.

    >>> import rnnlit.nn
    >>> layer = Bidirectional(rnnlit.nn.GRU(3, 5), rnnlit.nn.LSTM(3, 2))
    >>> output, (h, (h_reverse, c_reverse)) = layer(torch.randn(7, 4, 3))
    >>> output.shape, h.shape, h_reverse.shape
    (torch.Size([7, 4, 7]), torch.Size([1, 4, 5]), torch.Size([1, 4, 2]))
    """

    def __init__(self, forward_layer: torch.nn.Module, reverse_layer: torch.nn.Module) -> None:
        super().__init__()
        for name, value in (("forward_layer", forward_layer), ("reverse_layer", reverse_layer)):
            _check_layer(name, value)
        sizes = [getattr(value, "input_size", None) for value in (forward_layer, reverse_layer)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"reverse_layer: expected input_size {sizes[0]} of forward_layer, got {sizes[1]}"
            )
        self.forward_layer, self.reverse_layer = forward_layer, reverse_layer

    @classmethod
    def of(cls, cell: Cell, input_size: int, hidden_size: int, **options: Any) -> Bidirectional:
        """Make both layers from a cell's name, one of CELLS, with the options that its layer takes."""
        return cls(*(layer_of(cell, input_size, hidden_size, **options) for _ in range(2)))

    __prepare_scriptable__ = refuse_script

    @property
    def output_size(self) -> int:
        """The units of both layers' outputs, side by side."""
        return _outputs(self.forward_layer) + _outputs(self.reverse_layer)

    def forward(
        self, input: Tensor, hx: Any = None, *, lengths: Any = None
    ) -> tuple[Tensor, tuple[Any, Any]]:
        """Run over (T, B, I); returns the output (T, B, Hf+Hr) and both layers' last states.

        hx: the initial states, a pair of what the two layers take; zero if not given. lengths (B,) integers,
        in any order, if the batch is padded: the output is then zero after a sequence's end, and the reverse
        layer starts there. The last states are a pair of what the two layers give, and the reverse one's
        belongs to the first step.

        TypeError, ValueError: what `flip` and the layers refuse; hx is no pair.
        """
        if hx is not None and (not isinstance(hx, tuple | list) or len(hx) != 2):
            raise TypeError(f"hx: expected a pair, for the two layers, got {type(hx).__name__}")
        turned = flip(input, lengths)
        if lengths is not None:
            lengths = check_lengths(lengths, *input.shape[:2])
        first, second = (None, None) if hx is None else hx
        ahead, last = self.forward_layer(input, first, lengths=lengths)
        back, first_step = self.reverse_layer(turned, second, lengths=lengths)
        return torch.cat([ahead, flip(back, lengths)], -1), (last, first_step)

    if TYPE_CHECKING:
        __call__ = forward


class Stacked(torch.nn.Module):
    """L bidirectional layers, each over both halves of the one below.

    dropout: the probability with which a number between two layers is set to zero in training.

    >>> model = Stacked([Bidirectional.of("lstm", 3, 5), Bidirectional.of("gru", 10, 4)], dropout=0.2)
    >>> output, last = model(torch.randn(7, 2, 3))
    >>> output.shape, len(last)
    (torch.Size([7, 2, 8]), 2)
    """

    def __init__(self, layers: Sequence[Bidirectional], dropout: float = 0.0) -> None:
        super().__init__()
        if not layers or not all(isinstance(one, Bidirectional) for one in layers):
            raise TypeError(f"layers: expected Bidirectional layers, one at least, got {layers!r}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout: expected a probability, got {dropout!r}")
        self.layers, self.dropout = torch.nn.ModuleList(layers), dropout

    @classmethod
    def of(
        cls,
        cell: OneWayCell,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        dropout: float = 0.0,
        **options: Any,
    ) -> Stacked:
        """Make all layers from a cell's name; all but the first have the one below's outputs as inputs."""
        layers: list[Bidirectional] = []
        for _ in range(check_size("num_layers", num_layers)):
            size = layers[-1].output_size if layers else input_size
            layers.append(Bidirectional.of(cell, size, hidden_size, **options))
        return cls(layers, dropout)

    __prepare_scriptable__ = refuse_script

    @property
    def draws_masks(self) -> bool:
        """Whether it drops numbers in training mode, for `rnnlit.dropout_torch.mc_dropout`."""
        return self.dropout > 0 and len(self.layers) > 1

    def forward(self, input: Tensor, *, lengths: Any = None) -> tuple[Tensor, list[tuple[Any, Any]]]:
        """Run over (T, B, I); returns the last layer's output (T, B, 2H) and each layer's last states."""
        last = []
        for k, one in enumerate(self.layers):
            if k > 0:
                input = dropout(input, self.dropout, self.training)
            input, states = one(input, lengths=lengths)
            last.append(states)
        return input, last


class Article(torch.nn.Module):
    """The source article's form, erratum R4: a second recurrent net reads both directions, and is the output.

    both: a `Bidirectional`, or any layer whose output is (T, B, N). second: a layer in one direction with N
    inputs, time first. The twin of `rnnlit.birnn_article`.

    >>> output, h = Article.of("gru", 3, 5, 4)(torch.randn(7, 2, 3))
    >>> output.shape
    torch.Size([7, 2, 4])
    """

    def __init__(self, both: torch.nn.Module, second: torch.nn.Module) -> None:
        super().__init__()
        _check_layer("second", second)
        self.both, self.second = both, second

    @classmethod
    def of(cls, cell: Cell, input_size: int, hidden_size: int, output_size: int, **options: Any) -> Article:
        """Make all three chains from a cell's name."""
        both = Bidirectional.of(cell, input_size, hidden_size, **options)
        return cls(both, layer_of(cell, both.output_size, output_size, **options))

    __prepare_scriptable__ = refuse_script

    def forward(self, input: Tensor, *, lengths: Any = None) -> tuple[Tensor, Any]:
        """Run over (T, B, I); returns the second net's states (T, B, O) and its last state."""
        states, _ = self.both(input, lengths=lengths)
        output, last = self.second(states, lengths=lengths)
        return output, last


def _outputs(layer: Any) -> int:
    """The units of a layer's output; a layer that doesn't say has as many as its state."""
    return int(getattr(layer, "output_size", None) or layer.hidden_size)


def _check_layer(name: str, value: Any) -> None:
    if not isinstance(value, torch.nn.Module):
        raise TypeError(f"{name}: expected a layer, got {type(value).__name__}")
    for switch in ("bidirectional", "batch_first"):
        if getattr(value, switch, False):
            raise ValueError(f"{name}: expected a layer with {switch}=False, got True")
