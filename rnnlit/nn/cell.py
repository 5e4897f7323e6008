"""One step of an LSTM, a GRU and a plain network, for those who write their own loop.

B batch, I inputs, H hidden. The cells have the parameters of `torch.nn.LSTMCell`, `GRUCell` and `RNNCell`,
and run torch's own kernel. With layer_norm, peephole or reset_after=False they run the scan of
`rnnlit.nn.scan` over a single step, so a cell and a layer with the same parameters agree. Masks are the
business of the loop.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from rnnlit.nn.direction import Direction, scan_gru, scan_lstm, scan_rnn
from rnnlit.nn.direction import States as DirectionStates
from rnnlit.nn.dropin import DropIn, proxied
from rnnlit.nn.variants import (
    BLOCKS,
    PLAIN,
    Variants,
    add_parameters,
    check_biases,
    check_flag,
    check_variants,
    extra_sizes,
    is_extra,
    repr_of,
    reset_biases,
    reset_extra,
    reset_orthogonal,
    reset_uniform,
)
from rnnlit.tools.checks import DtypeError, ShapeError, check_size
from rnnlit.tools.checks_torch import check_state
from rnnlit.tools.private_torch import autocasts, vmaps


class Cell(DropIn, torch.nn.RNNCellBase):
    """The part that the three cells share. A class inherits from it first and from torch's second."""

    variants: Variants
    orthogonal: bool
    mode: str
    kinds: tuple[str, ...] = ("h",)  # of states

    def _set_up(self, mode: str, variants: Variants, orthogonal: bool) -> None:
        """Note what torch's constructor doesn't know, before it calls `reset_parameters`."""
        check_flag("orthogonal", orthogonal)
        self.mode, self.variants, self.orthogonal = mode, variants, orthogonal

    def _sizes(self, input_size: Any, hidden_size: Any) -> tuple[int, int]:
        """I and H after a check. torch's cells take 0 too; a variant would have nothing to work on then."""
        least = 0 if self.variants == PLAIN and not self.orthogonal else 1
        return check_size("input_size", input_size, least), check_size("hidden_size", hidden_size, least)

    def reset_parameters(self) -> None:
        """Draw all parameters as torch does; then set what is asked for, in the constructor's order."""
        for name, parameter in self.named_parameters():
            if not is_extra(name):
                reset_uniform(parameter, self.hidden_size)
        if self.orthogonal:
            reset_orthogonal(self.weight_hh, BLOCKS[self.mode])
        self._reset_biases()
        for name, parameter in self.named_parameters():
            reset_extra(name, parameter)

    def _reset_biases(self) -> None:
        """Set what an LSTM asks for."""

    def extra_repr(self) -> str:
        """The arguments that are not the default's, as in torch, and those that torch doesn't have."""
        return super().extra_repr() + repr_of(self.variants, orthogonal=self.orthogonal)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Advance one step; returns the new state, for an LSTM the pair (h, c).

        input (B, I) or (I,); hx (B, H) or (H,), for an LSTM a pair of them; zero if not given.

        TypeError, ValueError: an argument of another type, dtype or shape.
        """
        if not isinstance(input, Tensor) and (node := proxied(self, input, hx)) is not None:
            return node
        states = self._checked(input, hx)
        if self.variants == PLAIN and not vmaps():
            return super().forward(input, hx)
        alone = input.dim() == 1
        x, states = (input[None], [s[None] for s in states]) if alone else (input, states)
        weights = [self.weight_ih, self.weight_hh, *([self.bias_ih, self.bias_hh] if self.bias else [])]
        extra = {name: getattr(self, name) for name in extra_sizes(self.variants, self.mode, 0)}
        _, new = self._scan(Direction(weights, extra, x[None]), *states)
        # copies, for these are views of what the backward pass keeps, and a loop may write into its states
        new = [s[0].clone() if alone else s.clone() for s in new]
        return tuple(new) if len(self.kinds) == 2 else new[0]

    def _scan(self, one: Direction, *states: Tensor) -> DirectionStates:
        raise NotImplementedError

    def _checked(self, input: Any, hx: Any) -> list[Tensor]:
        """The states in hx, or zeros, after all has been looked at."""
        if not isinstance(input, Tensor):
            raise TypeError(f"input: expected a tensor, got {type(input).__name__}")
        if input.dim() not in (1, 2) or input.shape[-1] != self.input_size:
            wanted = f"(B, I) or (I,) with I = {self.input_size}"
            raise ShapeError(f"input: expected shape {wanted}, got {tuple(input.shape)}")
        if input.dtype != self.weight_hh.dtype and not autocasts(input):
            raise DtypeError(f"input: expected {self.weight_hh.dtype} like the weights, got {input.dtype}")
        shape = (*input.shape[:-1], self.hidden_size)
        if hx is None:
            return [input.new_zeros(shape) for _ in self.kinds]
        if len(self.kinds) == 1:
            check_state("hx", hx, shape, self.weight_hh)
            return [hx]
        if not isinstance(hx, tuple | list):
            raise TypeError(f"hx: expected a pair (h0, c0), got {type(hx).__name__}")
        if len(hx) != 2:
            raise ShapeError(f"hx: expected a pair (h0, c0), got a {type(hx).__name__} of {len(hx)}")
        for name, value in zip(("hx: h0", "hx: c0"), hx, strict=True):
            check_state(name, value, shape, self.weight_hh)
        return list(hx)


class LSTMCell(Cell, torch.nn.LSTMCell):
    """Drop-in replacement of `torch.nn.LSTMCell`.

    forget_bias, chrono, orthogonal, layer_norm, peephole: as in `rnnlit.nn.LSTM`.
    ValueError, TypeError: a size that is no positive integer; what the layer refuses.

    >>> cell = LSTMCell(3, 5, forget_bias=1.0)
    >>> h, c = cell(torch.randn(4, 3))  # from states of zero
    >>> h, c = cell(torch.randn(4, 3), (h, c))
    >>> h.shape, c.shape
    (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    kinds = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        forget_bias: float | None = None,
        chrono: float | None = None,
        orthogonal: bool = False,
        layer_norm: bool = False,
        peephole: bool = False,
    ) -> None:
        check_biases(bias, forget_bias, chrono)
        self.forget_bias, self.chrono = forget_bias, chrono
        self._set_up("LSTM", check_variants(layer_norm=layer_norm, peephole=peephole), orthogonal)
        I, H = self._sizes(input_size, hidden_size)
        super().__init__(I, H, bias, device, dtype)
        add_parameters(self, self.variants, self.mode, self.weight_hh)

    def _reset_biases(self) -> None:
        """Set what forget_bias and chrono ask for."""
        if self.bias:
            reset_biases(self.bias_ih, self.bias_hh, self.forget_bias, self.chrono)

    def extra_repr(self) -> str:
        """The arguments that are not the default's, as in torch, and those of this class."""
        own = {"forget_bias": self.forget_bias, "chrono": self.chrono}
        return super().extra_repr() + "".join(f", {k}={v}" for k, v in own.items() if v is not None)

    _scan = scan_lstm


class GRUCell(Cell, torch.nn.GRUCell):
    """Drop-in replacement of `torch.nn.GRUCell`.

    reset_after, orthogonal, layer_norm: as in `rnnlit.nn.GRU`.
    ValueError, TypeError: a size that is no positive integer; what the layer refuses.

    >>> cell = GRUCell(3, 5, reset_after=False)
    >>> cell(torch.randn(4, 3), torch.zeros(4, 5)).shape
    torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
        orthogonal: bool = False,
        layer_norm: bool = False,
    ) -> None:
        self._set_up("GRU", check_variants(layer_norm=layer_norm, reset_after=reset_after), orthogonal)
        I, H = self._sizes(input_size, hidden_size)
        super().__init__(I, H, bias, device, dtype)
        add_parameters(self, self.variants, self.mode, self.weight_hh)

    _scan = scan_gru


class RNNCell(Cell, torch.nn.RNNCell):
    """Drop-in replacement of `torch.nn.RNNCell`.

    orthogonal, layer_norm: as in `rnnlit.nn.RNN`.
    ValueError, TypeError: a size that is no positive integer; what the layer refuses.

    >>> cell = RNNCell(3, 5, layer_norm=True)
    >>> cell(torch.randn(4, 3), torch.zeros(4, 5)).shape
    torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        device: Any = None,
        dtype: Any = None,
        *,
        orthogonal: bool = False,
        layer_norm: bool = False,
    ) -> None:
        self._set_up("RNN_TANH", check_variants(layer_norm=layer_norm), orthogonal)
        I, H = self._sizes(input_size, hidden_size)
        super().__init__(I, H, bias, nonlinearity, device, dtype)
        add_parameters(self, self.variants, self.mode, self.weight_hh)

    _scan = scan_rnn
