"""The two passes of an autograd function, each recorded once and replayed on memory of its own.

`Pair` needs to know nothing about the function but that it is deterministic, reads its arguments and changes
none of them. How a pass is recorded comes in as an argument, `capture`: it calls a function, and returns what
that returned and a `replay`, which computes the same again from what stands in the function's arguments then,
into the same results. `rnnlit.nn.gpu.graph` has the one of CUDA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any, NamedTuple

import torch
from torch import Tensor

Capture = Callable[[Callable[[], Any]], tuple[Any, Callable[[], None]]]
Bundles = dict[Any, list[Tensor]]

# How far a replay may be from the call itself, relative to the largest number of an array. The same kernels
# run on the same numbers; but a product may be taken another way where less memory is free to it.
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


class Notes:
    """What an autograd function notes for its backward pass, in place of torch's ctx."""

    def __init__(self, needs: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs
        self.saved_tensors: tuple[Tensor | None, ...] = ()
        self.materializes = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """As torch's."""
        self.saved_tensors = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """As torch's."""
        self.materializes = value


class Place(NamedTuple):
    """Where a tensor of a nest has gone."""

    bundle: Any
    at: int


def apart(nest: Any, bundles: Bundles) -> Any:
    """Take all tensors out of nested tuples, lists and dicts, into a list for each shape and dtype."""
    if isinstance(nest, Tensor):
        bundle = bundles.setdefault((nest.shape, nest.dtype), [])
        bundle.append(nest)
        return Place((nest.shape, nest.dtype), len(bundle) - 1)
    return _each(nest, lambda part: apart(part, bundles))


def together(nest: Any, bundles: Any) -> Any:
    """Put them back."""
    if isinstance(nest, Place):
        return bundles[nest.bundle][nest.at]
    return _each(nest, lambda part: together(part, bundles))


def _each(nest: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(nest, dict):
        return {key: function(part) for key, part in nest.items()}
    if isinstance(nest, tuple) and hasattr(nest, "_fields"):
        return type(nest)(*map(function, nest))
    return type(nest)(map(function, nest)) if type(nest) in (list, tuple) else nest


class Pair:
    """Both passes of `function` for arguments like `inputs`, its tensors of the same shapes and dtypes.

    All that a call gives away is its own: results are copied out, and before a backward pass what its forward
    pass kept is copied in again, unless no other forward pass has come between. It holds as much memory as
    a call of either pass, for as long as it lives.

    refuse: called with an exception if the backward pass can't be captured, or disagrees; it then runs as it
        would without a Pair.
    RuntimeError: the replay of the forward pass disagrees with the pass itself.
    """

    def __init__(
        self,
        function: Any,
        inputs: Sequence[Any],
        needs: tuple[bool, ...],
        capture: Capture,
        refuse: Callable[[Exception], None],
    ) -> None:
        self.function, self.needs, self.capture, self.refuse = function, needs, capture, refuse
        self.lock, self.broken = RLock(), False
        self.calls = self.here = 0  # so many forward passes, and the one whose numbers stand in the memory
        self.backs: dict[tuple[bool, ...], _Back] = {}
        with torch.inference_mode(False):  # or these would be of no use outside of it
            self.inputs = [_alone(x) if isinstance(x, Tensor) else x for x in inputs]
        (self.outputs, self.kept), self.replay = capture(lambda: self._forward(self.inputs))
        self.origins = [_origin(x, self.inputs, self.outputs) for x in self.kept]
        self.replay()
        _compare([*self.outputs, *self.kept], _flat(self._forward(inputs)), "forward")

    def forward(self, inputs: Sequence[Any]) -> tuple[list[Tensor], list[Tensor], int]:
        """The results, and what `backward` wants back: what was kept, and the number of the call."""
        with self.lock:
            _fill(self.inputs, inputs)
            self.replay()
            self.calls = self.here = self.calls + 1
            outputs = [x.clone() for x in self.outputs]
            sources = {"input": inputs, "output": outputs}
            kept = [
                sources[of][k] if of in sources else x.clone()
                for x, (of, k) in zip(self.kept, self.origins, strict=True)
            ]
            return outputs, kept, self.calls

    def backward(
        self, kept: Sequence[Tensor], outer: Sequence[Tensor | None], call: int
    ) -> list[Tensor | None]:
        """The gradients for all that the function took, from those for its results."""
        with self.lock:
            pattern = tuple(d is None for d in outer)
            if not self.broken and pattern not in self.backs:
                self.here = call
                self._try_back(pattern, kept, outer)
            if self.broken:
                return self._backward(kept, outer)
            back = self.backs[pattern]
            if self.here != call:
                _fill(self.kept, kept)
                self.here = call
            _fill(back.outer, outer)
            back.replay()
            return [None if d is None else d.clone() for d in back.results]

    def _try_back(
        self, pattern: tuple[bool, ...], kept: Sequence[Tensor], outer: Sequence[Tensor | None]
    ) -> None:
        try:
            static = [None if d is None else _alone(d) for d in outer]
            _fill(self.kept, kept)
            results, replay = self.capture(lambda: self._backward(self.kept, static))
            replay()
            _compare(results, self._backward(kept, outer), "backward")
            self.backs[pattern] = _Back(static, results, replay)
        except Exception as problem:  # whatever it is, the call can do without
            self.broken = True
            self.backs.clear()
            self.refuse(problem)

    def _forward(self, inputs: Sequence[Any]) -> tuple[list[Tensor], list[Tensor]]:
        """The results, and what the backward pass needs; tensors among the notes' attributes in bundles."""
        notes = Notes(self.needs)
        with torch.inference_mode(False), torch.no_grad():
            outputs = self.function.forward(notes, *inputs)
            self.materializes, self.single = notes.materializes, isinstance(outputs, Tensor)
            self.absent = [x is None for x in notes.saved_tensors]
            saved = [x for x in notes.saved_tensors if x is not None]
            bundles: Bundles = {}
            names = ("saved_tensors", "needs_input_grad", "materializes")
            self.rest = apart({k: v for k, v in vars(notes).items() if k not in names}, bundles)
            self.bundles = list(bundles)
            return [outputs] if self.single else list(outputs), saved + [
                torch.stack(bundle) for bundle in bundles.values()
            ]

    def direct_backward(self, kept: Sequence[Tensor], outer: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The function's own backward pass."""
        notes, rest = Notes(self.needs), iter(kept)
        notes.saved_tensors = tuple(None if absent else next(rest) for absent in self.absent)
        bundles = {key: next(rest).unbind() for key in self.bundles}
        vars(notes).update(together(self.rest, bundles))
        return list(self.function.backward(notes, *outer))

    def _backward(self, kept: Sequence[Tensor], outer: Sequence[Tensor | None]) -> list[Tensor | None]:
        with torch.no_grad():
            return self.direct_backward(kept, outer)


class _Back(NamedTuple):
    """The captured backward pass."""

    outer: list[Tensor | None]
    results: list[Tensor | None]
    replay: Callable[[], None]


class Replayed(torch.autograd.Function):
    """A call of a `Pair`, as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, pair: Pair, *inputs: Any) -> Any:
        """Replay the forward pass."""
        outputs, kept, ctx.call = pair.forward(inputs)
        ctx.pair = pair
        ctx.save_for_backward(*kept)
        ctx.set_materialize_grads(pair.materializes)
        return outputs[0] if pair.single else tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor | None) -> Any:
        """Replay the backward pass; for a second derivative, leave it to the function's own."""
        if torch.is_grad_enabled():
            return None, *ctx.pair.direct_backward(ctx.saved_tensors, outer)
        return None, *ctx.pair.backward(ctx.saved_tensors, outer, ctx.call)


def _alone(x: Tensor) -> Tensor:
    """A copy that shares no memory, with all its numbers side by side."""
    return x.detach().clone(memory_format=torch.contiguous_format)


def _fill(static: Sequence[Any], values: Sequence[Any]) -> None:
    with torch.no_grad():
        for one, value in zip(static, values, strict=True):
            if isinstance(one, Tensor) and one is not value:
                one.copy_(value)


def _origin(kept: Tensor, inputs: Sequence[Any], outputs: Sequence[Tensor]) -> tuple[str, int]:
    """Whether what is kept is one of the arguments or results, and which."""
    for name, group in (("input", inputs), ("output", outputs)):
        for k, x in enumerate(group):
            if kept is x:
                return name, k
    return "own", 0


def _flat(passed: tuple[list[Tensor], list[Tensor]]) -> list[Tensor]:
    return [*passed[0], *passed[1]]


def _compare(replayed: Sequence[Tensor | None], direct: Sequence[Tensor | None], name: str) -> None:
    for one, other in zip(replayed, direct, strict=True):
        if one is None or other is None:
            agree = one is other
        else:
            mine, theirs = one.double(), other.double()
            largest = torch.nan_to_num(theirs, 0.0, 0.0, 0.0).abs().max().item()
            agree = torch.allclose(mine, theirs, rtol=0, atol=ROUNDING[other.dtype] * largest, equal_nan=True)
        if not agree:
            raise RuntimeError(f"the replay of the {name} pass disagrees with the pass itself")
