"""What `rnnlit.nn.LSTM`, `GRU` and `RNN` have in common: the way a call takes, and the variants.

B batch, T steps, I inputs, H hidden, L layers, D directions (1 or 2), N units of a state.

The ways, and when each is taken, stand in the table at the end of `rnnlit.nn`'s docstring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout

from rnnlit.dropout_torch import mask
from rnnlit.nn.direction import Direction, prepare
from rnnlit.nn.direction import States as DirectionStates
from rnnlit.nn.dropin import DropIn, proxied
from rnnlit.nn.fused import as_input, run_packed
from rnnlit.nn.variants import (
    BLOCKS,
    PLAIN,
    Variants,
    add_parameters,
    check_flag,
    extra_sizes,
    is_extra,
    repr_of,
    reset_extra,
    reset_orthogonal,
    reset_uniform,
)
from rnnlit.tools.checks import ShapeError, check_size
from rnnlit.tools.checks_torch import check_input, check_state, time_first
from rnnlit.tools.private_torch import follows, readable, vmaps
from rnnlit.tools.sequences_torch import Padding, padding_of, turn


class Dispatch(NamedTuple):
    """Which way a call takes."""

    kind: str  # one of SENTENCES
    why: list[str]  # the arguments that ask for it


SENTENCES = {
    "torch": "torch's own call",
    "packed": "torch's own call on the packed batch",
    "each": "torch's fused kernel, one call for each layer and direction",
    "scan": "our scan, because no fused kernel of torch does this inside a step",
    "quick": "our scan, because it is quicker than torch's kernel here",
    "autocast": "our scan, because torch's LSTM does not run in this precision on this processor",
    "vmap": "our loop, because torch's kernels have no rule for torch.func.vmap",
}

SCANS = ("scan", "quick", "autocast", "vmap")


class Layer(DropIn, torch.nn.RNNBase):
    """The part that the three layers share. A class inherits from it first and from torch's second."""

    weight_ih_l0: Tensor
    variants: Variants
    orthogonal: bool
    sizes: tuple[int, ...] | None  # H of each layer, where they were given one by one
    kinds: tuple[str, ...] = ("h",)  # of states
    result: Any  # the class of all states

    def _set_up(
        self, variants: Variants, orthogonal: bool, hidden_size: Any, num_layers: int
    ) -> tuple[int, int]:
        """Note what torch's constructor doesn't know; return the sizes that it can be called with.

        torch's constructor calls `reset_parameters`, so this comes before it, and `_complete` after it.
        """
        check_flag("orthogonal", orthogonal)
        self.variants, self.orthogonal, self.sizes = variants, orthogonal, None
        if not isinstance(hidden_size, tuple | list):
            return check_size("hidden_size", hidden_size), check_size("num_layers", num_layers)
        sizes = tuple(check_size("hidden_size", size) for size in hidden_size)
        if not sizes or num_layers not in (1, len(sizes)):
            raise ValueError(
                f"num_layers: expected the number of sizes beside hidden_size={hidden_size}, got {num_layers}"
            )
        self.sizes = sizes
        return sizes[0], len(sizes)

    def _complete(self) -> None:
        """Register the parameters that torch's layer doesn't have, and those of another size."""
        if self.sizes is not None:
            self._resize(self.sizes)
            self.hidden_size = self.sizes  # type: ignore[assignment]
            self.reset_parameters()
        for suffix, weights in zip(self._suffixes(), self.all_weights, strict=True):
            add_parameters(self, self.variants, self.mode, weights[1], suffix)

    def _resize(self, sizes: Sequence[int]) -> None:
        """Give each layer the parameters of its own size."""
        blocks, D = BLOCKS[self.mode], 2 if self.bidirectional else 1
        for k, suffix in enumerate(self._suffixes()):
            H, below = sizes[k // D], self.input_size if k < D else D * sizes[k // D - 1]
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (below,), "weight_hh": (H,)}
            shapes |= {"bias_ih": (), "bias_hh": ()} if self.bias else {}
            for name, shape in shapes.items():
                values = self.weight_ih_l0.new_empty((blocks * H, *shape))
                setattr(self, name + suffix, torch.nn.Parameter(values))

    def _suffixes(self) -> list[str]:
        """What torch appends to the names of each layer and direction: _l0, _l0_reverse, _l1, ..."""
        ends = ("", "_reverse") if self.bidirectional else ("",)
        return [f"_l{layer}{end}" for layer in range(self.num_layers) for end in ends]

    def flatten_parameters(self) -> None:
        """As torch's; layers of different sizes can't lie in one piece of memory as cuDNN wants it."""
        if self.sizes is None:
            super().flatten_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters as torch does, each layer's from the range of its H; then what is asked for.

        The order is the constructor's, so that a seed gives the same numbers again.
        """
        if self.sizes is not None and isinstance(self.hidden_size, int):
            return  # torch's constructor calls, before the layers have got their sizes
        for name, parameter in self.named_parameters():
            if not is_extra(name):
                reset_uniform(parameter, self._size_of(name))
        if self.orthogonal:
            for weights in self.all_weights:
                reset_orthogonal(weights[1], BLOCKS[self.mode])
        self._reset_biases()
        for name, parameter in self.named_parameters():
            reset_extra(name, parameter)

    def _size_of(self, name: str) -> int:
        """H of the layer that a parameter belongs to, such as weight_ih_l1_reverse."""
        if self.sizes is None:
            return self.hidden_size
        return self.sizes[int(name.removesuffix("_reverse").rpartition("_l")[2])]

    def _reset_biases(self) -> None:
        """Set what an LSTM asks for."""

    @property
    def output_size(self) -> int:
        """The units of the output at each step, both directions together."""
        last = self.proj_size or (self.hidden_size if self.sizes is None else self.sizes[-1])
        return last * (2 if self.bidirectional else 1)

    def extra_repr(self) -> str:
        """The arguments that are not the default's, as in torch, and those that torch doesn't have."""
        return super().extra_repr() + repr_of(self.variants, "c" in self.kinds, orthogonal=self.orthogonal)

    def check_forward_args(self, *args: Any) -> None:
        """Override torch's own check, which `forward` would call after ours: checking twice takes time."""

    def forward(
        self,
        input: Any,
        hx: Any = None,
        *,
        lengths: Any = None,
        return_all_states: bool = False,
        generator: torch.Generator | None = None,
    ) -> tuple[Any, ...]:
        """Run over a batch of sequences; returns (output, h_n), and all states too if they are asked for.

        input, hx, output, h_n: as in torch's layer of the same name, packed sequences and a single sequence
        (T, I) included; hx and h_n of an LSTM are pairs (h, c). With a hidden_size for each layer, hx, h_n
        and all states are tuples with a tensor (B, H) or (T, B, H) for each layer and direction, a pair of
        tuples for an LSTM.

        lengths: (B,) integers, 1 <= length <= T, in any order: a tensor on any device, an array or a list.
        The output is then zero after a sequence's end, h_n and c_n are the states at the end, and the reverse
        direction starts there. Whatever stands in the padding has no effect and gets no gradient. On a GPU,
        lengths are best kept on the CPU.

        return_all_states: every layer's states at every step (see `States`), before any dropout between or
        after the layers. An LSTM's fused kernels keep c to themselves; it is computed again from x and h, in
        3/4 of the kernel's matrix products and one addcmul a step, and carries gradient; such a call takes
        1.9 to 2.8 times as long. No other state has to be computed twice.

        generator: draws all masks of this call, those of dropout between the layers included; None: torch's
        own. It stands on the device of the weights. Each call draws new masks, so a sequence that is given in
        pieces gets others for each piece.

        `kernel` tells the way a call takes. Where layers and directions run one after another on a GPU,
        dropout between the layers draws other numbers than torch's. The scan computes in the weights' own
        precision, under autocast too. What torch's tools do with a layer stands in the table of `rnnlit.nn`.
        In torch's own call on a GPU, cuDNN draws the dropout between the layers, from random numbers that
        torch.cuda.set_rng_state does not put back; with a generator they can be.

        TypeError, ValueError: an argument of another type, dtype or shape; lengths out of range; a packed
        sequence where the padded one is needed. NaN is not looked for.
        """
        if not isinstance(input, Tensor):
            options = {"lengths": lengths, "return_all_states": return_all_states, "generator": generator}
            node = proxied(self, input, hx, **options)
            if node is not None:
                return node
        batch = check_input(self, input)
        if hx is not None:
            self._check_hx(hx, batch)
        if lengths is None and generator is None and not return_all_states and self.sizes is None:
            variants = self.variants
            plain = variants is PLAIN or variants == PLAIN
            if plain and not (isinstance(input, Tensor) and self._instead(input, self.batch_first)):
                return super().forward(input, hx)  # the fast path: most calls ask for nothing else
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(f"generator: expected a torch.Generator or None, got {type(generator).__name__}")
        x = input
        if lengths is not None or return_all_states or isinstance(input, Tensor):
            x, lengths = time_first(self, input, lengths)
        choice = self._dispatch(x, lengths, return_all_states, generator)
        if choice.kind == "torch":
            return super().forward(input, hx)
        if not isinstance(input, Tensor):
            raise TypeError(
                f"input: expected a padded tensor, and lengths beside it, with {', '.join(choice.why)}, "
                "got a PackedSequence"
            )
        if choice.kind == "packed":
            return run_packed(super().forward, input, hx, lengths, self.batch_first)
        starts, rows, D = self._starts(x, hx), self.all_weights, 2 if self.bidirectional else 1
        padding = None
        if lengths is not None:
            padding = padding_of(lengths, x.shape[0], x.device)
            x = x.masked_fill(padding.mask, 0)  # so that nothing there, NaN included, can reach a sum
        all_states, all_last = [], []  # of each layer and direction
        for layer in range(self.num_layers):
            x = self._dropped_between(x, generator) if layer else x
            for direction in range(D):
                k = layer * D + direction
                one = self._direction(k, rows[k], turn(x, padding) if direction else x, padding, generator)
                if choice.kind in SCANS:
                    states, last = self._scan(one, *(start[k] for start in starts))
                    if choice.kind == "autocast":  # an answer in the precision of torch's
                        dtype = torch.get_autocast_dtype(x.device.type)
                        states, last = [s.to(dtype) for s in states], [s.to(dtype) for s in last]
                else:
                    states, last = self._fused(one, return_all_states, *(start[k] for start in starts))
                all_states.append([turn(state, padding) for state in states] if direction else states)
                all_last.append(last)
            x = torch.cat([states[0] for states in all_states[-D:]], -1)
        x = self._dropped_output(x, generator)
        return self._results(input, x, all_states if return_all_states else None, all_last)

    def _direction(
        self,
        k: int,
        weights: Sequence[Tensor],
        x: Tensor,
        padding: Padding | None,
        generator: torch.Generator | None,
    ) -> Direction:
        """What layer and direction k needs for its input x (T, B, I), with input mask and dropped weights."""
        names = extra_sizes(self.variants, self.mode, 0)
        extra = {name: getattr(self, name + self._suffixes()[k]) for name in names}
        one = Direction(weights, extra, x, padding, self.training, generator)
        return prepare(one, self.variants)

    def _dropped_between(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Torch's dropout of the input x (T, B, N) of all layers but the first."""
        p = self.dropout
        if generator is None or p == 1:
            return dropout(x, p, self.training)
        return x * mask(x.shape, p, generator, like=x) if self.training and p else x

    def _dropped_output(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """output_dropout of the last layer's output x (T, B, N), one mask for all steps."""
        p = self.variants.output_dropout
        return x * mask((1, *x.shape[1:]), p, generator, like=x) if self.training and p else x

    def _results(
        self, input: Tensor, output: Tensor, all_states: list[list[Tensor]] | None, last: list[list[Tensor]]
    ) -> tuple[Any, ...]:
        """Output, h_n (an LSTM: with c_n), and all states if they are given, laid out as the input is.

        output (T, B, D·N); of each layer and direction states (T, B, N) and last ones (B, N), for each kind
        """
        alone = input.dim() == 2
        ends = [
            self._gathered([s.squeeze(0) if alone else s for s in kind]) for kind in zip(*last, strict=True)
        ]
        results = as_input(self, input, output), tuple(ends) if len(self.kinds) == 2 else ends[0]
        if all_states is None:
            return results
        kinds = [[as_input(self, input, s) for s in kind] for kind in zip(*all_states, strict=True)]
        return *results, self.result(*map(self._gathered, kinds))

    def kernel(
        self,
        input: Any,
        hx: Any = None,
        *,
        lengths: Any = None,
        return_all_states: bool = False,
        generator: torch.Generator | None = None,
    ) -> str:
        """Say in a sentence which way this call would take, and which arguments ask for it.

        The arguments are those of the call, and are checked as there.
        """
        batch = check_input(self, input)
        if hx is not None:
            self._check_hx(hx, batch)
        x = input
        if lengths is not None or return_all_states or isinstance(input, Tensor):
            x, lengths = time_first(self, input, lengths)
        choice = self._dispatch(x, lengths, return_all_states, generator)
        return SENTENCES[choice.kind] + (f": {', '.join(choice.why)}" if choice.why else "")

    def _dispatch(
        self, x: Any, lengths: Tensor | None, all_states: bool, generator: torch.Generator | None
    ) -> Dispatch:
        """The rule of dispatch, as `rnnlit.nn` states it.   x (T, B, I), or a packed sequence"""
        inside = self.variants.inside(self.training)
        if inside:
            return Dispatch("scan", inside)
        why = self.variants.outside(self.training)
        why += ["return_all_states"] if all_states else []
        why += ["a hidden_size for each layer"] if self.sizes is not None else []
        draws = self.training and self.dropout and self.num_layers > 1
        why += ["generator"] if draws and generator is not None else []
        ragged = lengths is not None and not (readable(lengths) and bool((lengths == x.shape[0]).all()))
        instead = self._instead(x) if isinstance(x, Tensor) else ""
        if instead:
            return Dispatch(instead, (["lengths"] if ragged else []) + why)
        if why:
            return Dispatch("each", (["lengths"] if ragged else []) + why)
        if not ragged:
            return Dispatch("torch", [])
        return Dispatch("packed" if self._packs(x) and not follows() else "each", ["lengths"])

    def _instead(self, x: Tensor, batch_first: bool = False) -> str:
        """The way that is taken in place of torch's kernels, or "".   x as in `_scan_is_quicker`"""
        if vmaps() and not self.proj_size:
            return "vmap"
        return "quick" if self._scan_is_quicker(x, batch_first) else ""

    def _scan_is_quicker(self, x: Tensor, batch_first: bool = False) -> bool:
        """Whether our scan is quicker than torch's kernel.   x (T, B, I) or (T, I); or (B, T, I)"""
        return False

    def _packs(self, x: Tensor) -> bool:
        """Whether packing a padded batch is the quicker way: on the CPU its backward pass is slow."""
        return x.is_cuda

    def _scan(self, one: Direction, *states: Tensor) -> DirectionStates:
        raise NotImplementedError

    def _fused(self, one: Direction, all_states: bool, *states: Tensor) -> DirectionStates:
        raise NotImplementedError

    def _gathered(self, rows: list[Tensor]) -> Any:
        """What came from each layer and direction, as one tensor; a tuple where sizes differ."""
        return torch.stack(rows) if self.sizes is None else tuple(rows)

    def _shapes(self, batch: tuple[int, ...], kind: str) -> list[tuple[int, ...]]:
        """The shape of each layer's and direction's state at one step."""
        D = 2 if self.bidirectional else 1
        sizes = self.sizes or (self.hidden_size,) * self.num_layers
        sizes = (self.proj_size,) * self.num_layers if self.proj_size and kind == "h" else sizes
        return [(*batch, size) for size in sizes for _ in range(D)]

    def _pairs(self, hx: Any) -> list[tuple[str, Any]]:
        """The parts of hx, with names for messages."""
        if len(self.kinds) == 1:
            return [("hx", hx)]
        if not isinstance(hx, tuple | list):
            raise TypeError(f"hx: expected a pair (h0, c0), got {type(hx).__name__}")
        if len(hx) != 2:
            raise ShapeError(f"hx: expected a pair (h0, c0), got a {type(hx).__name__} of {len(hx)}")
        return [("hx: h0", hx[0]), ("hx: c0", hx[1])]

    def _check_hx(self, hx: Any, batch: tuple[int, ...]) -> None:
        for kind, (name, value) in zip(self.kinds, self._pairs(hx), strict=True):
            shapes = self._shapes(batch, kind)
            if self.sizes is None:
                check_state(name, value, (len(shapes), *shapes[0]), self.weight_ih_l0)
                continue
            if not isinstance(value, tuple | list) or len(value) != len(shapes):
                raise TypeError(f"{name}: expected {len(shapes)} tensors, one for each layer and direction")
            for k, (one, shape) in enumerate(zip(value, shapes, strict=True)):
                check_state(f"{name}[{k}]", one, shape, self.weight_ih_l0)

    def _starts(self, x: Tensor, hx: Any) -> list[Sequence[Tensor]]:
        """For each kind of state the initial one (B, N) of each layer and direction."""
        B = x.shape[1]
        if hx is None:
            return [[x.new_zeros(shape) for shape in self._shapes((B,), kind)] for kind in self.kinds]
        return [[state.reshape(B, state.shape[-1]) for state in value] for _, value in self._pairs(hx)]
