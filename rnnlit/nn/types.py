"""The types of a layer's call, for type checkers and editors.

What comes back depends on the arguments: packed for packed, and all states where they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

Last = TypeVar("Last")  # h_n; of an LSTM (h_n, c_n)
All = TypeVar("All", covariant=True)  # the layer's `States`


# The states at the start: as `Last`; with a hidden_size for each layer, a sequence for h, and one for c.
Start: TypeAlias = Last | Sequence[Tensor] | Sequence[Sequence[Tensor]] | None


class Call(Protocol[Last, All]):
    """`Layer.forward` of a layer with one hidden_size; with a size for each layer the states are tuples."""

    @overload
    def __call__(
        self,
        input: Tensor,
        hx: Start[Last] = None,
        *,
        lengths: Any = None,
        return_all_states: Literal[False] = False,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Last]: ...

    @overload
    def __call__(
        self,
        input: Tensor,
        hx: Start[Last] = None,
        *,
        lengths: Any = None,
        return_all_states: Literal[True],
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Last, All]: ...

    @overload
    def __call__(
        self, input: PackedSequence, hx: Start[Last] = None, *, generator: torch.Generator | None = None
    ) -> tuple[PackedSequence, Last]: ...

    @overload
    def __call__(
        self,
        input: Tensor,
        hx: Start[Last] = None,
        *,
        lengths: Any = None,
        return_all_states: bool,
        generator: torch.Generator | None = None,
    ) -> tuple[Any, ...]: ...
