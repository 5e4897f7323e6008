"""The two passes of an autograd function, each recorded once and replayed on memory of its own.

`Recording` needs to know nothing about the function but that it is deterministic, reads its arguments and
changes none of them, and saves tensors for its backward pass by save_for_backward alone. How a pass is
recorded comes in as an argument, `capture`: it calls a function, and returns what that returned and a
`replay`, which computes the same again from what stands in the function's arguments then, into the same
results. `rnnlit.nn.gpu.graph` has the one of CUDA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any, NamedTuple

import torch
from torch import Tensor

Capture = Callable[[Callable[[], Any]], tuple[Any, Callable[[], None]]]

# How far a replay may be from the call itself, relative to the largest number of an array. The same kernels
# run on the same numbers; but a product may be taken another way where less memory is free to it.
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


class Context:
    """What stands in for torch's ctx while a pass is recorded."""

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


class Recording:
    """Both passes of `function` for arguments like `inputs`, its tensors of the same shapes and dtypes.

    Results are copied out, and before a backward pass what its forward pass saved is copied in again, unless
    no other forward pass has come between. It holds as much memory as a call of either pass, for as long as
    it lives.

    refuse: called with an exception if the backward pass can't be recorded, or disagrees; it then runs as it
        would without a Recording.
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
        self.lock, self.broken, self.used = RLock(), False, 0  # used: by the caller, who notes when
        self.calls = self.current = 0  # number of forward passes, and of the one whose results are in memory
        self.backwards: dict[tuple[bool, ...], _Backward] = {}
        with torch.inference_mode(False):  # or these would be of no use outside of it
            self.inputs = [_copy(x) if isinstance(x, Tensor) else x for x in inputs]
        (self.outputs, self.saved), self.replay = capture(lambda: self._forward(self.inputs))
        self.origins = [_origin(x, self.inputs, self.outputs) for x in self.saved]
        self.replay()
        _compare([*self.outputs, *self.saved], _flat(self._forward(inputs)), "forward")

    def forward(self, inputs: Sequence[Any]) -> tuple[list[Tensor], list[Tensor], int]:
        """The results, and what `backward` wants back: what was saved, and the number of the call."""
        with self.lock:
            _fill(self.inputs, inputs)
            self.replay()
            self.calls = self.current = self.calls + 1
            outputs = [x.clone() for x in self.outputs]
            sources = {"input": inputs, "output": outputs}
            saved = [
                sources[of][k] if of in sources else x.clone()
                for x, (of, k) in zip(self.saved, self.origins, strict=True)
            ]
            return outputs, saved, self.calls

    def backward(
        self, saved: Sequence[Tensor], outer: Sequence[Tensor | None], call: int
    ) -> list[Tensor | None]:
        """The gradients for all that the function took, from those for its results."""
        with self.lock:
            pattern = tuple(d is None for d in outer)
            if not self.broken and pattern not in self.backwards:
                self.current = call
                self._record_backward(pattern, saved, outer)
            if self.broken:
                return self._backward(saved, outer)
            recorded = self.backwards[pattern]
            if self.current != call:
                _fill(self.saved, saved)
                self.current = call
            _fill(recorded.outer, outer)
            recorded.replay()
            return [None if d is None else d.clone() for d in recorded.results]

    def _record_backward(
        self, pattern: tuple[bool, ...], saved: Sequence[Tensor], outer: Sequence[Tensor | None]
    ) -> None:
        try:
            static = [None if d is None else _copy(d) for d in outer]
            _fill(self.saved, saved)
            results, replay = self.capture(lambda: self._backward(self.saved, static))
            replay()
            _compare(results, self._backward(saved, outer), "backward")
            self.backwards[pattern] = _Backward(static, results, replay)
        except Exception as problem:  # whatever it is, the call can do without
            self.broken = True
            self.backwards.clear()
            self.refuse(problem)

    def _forward(self, inputs: Sequence[Any]) -> tuple[list[Tensor], list[Tensor]]:
        """The results, and what the backward pass needs."""
        ctx = Context(self.needs)
        with torch.inference_mode(False), torch.no_grad():
            outputs = self.function.forward(ctx, *inputs)
        self.materializes, self.single = ctx.materializes, isinstance(outputs, Tensor)
        self.absent = [x is None for x in ctx.saved_tensors]
        self.attributes = {k: v for k, v in vars(ctx).items() if k not in vars(Context(self.needs))}
        return [outputs] if self.single else list(outputs), [x for x in ctx.saved_tensors if x is not None]

    def direct_backward(self, saved: Sequence[Tensor], outer: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The function's own backward pass."""
        ctx, rest = Context(self.needs), iter(saved)
        ctx.saved_tensors = tuple(None if absent else next(rest) for absent in self.absent)
        vars(ctx).update(self.attributes)
        return list(self.function.backward(ctx, *outer))

    def _backward(self, saved: Sequence[Tensor], outer: Sequence[Tensor | None]) -> list[Tensor | None]:
        with torch.no_grad():
            return self.direct_backward(saved, outer)


class _Backward(NamedTuple):
    """A recorded backward pass."""

    outer: list[Tensor | None]
    results: list[Tensor | None]
    replay: Callable[[], None]


class Replayed(torch.autograd.Function):
    """A call of a `Recording`, as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, recording: Recording, *inputs: Any) -> Any:
        """Replay the forward pass."""
        outputs, saved, ctx.call = recording.forward(inputs)
        ctx.recording = recording
        ctx.save_for_backward(*saved)
        ctx.set_materialize_grads(recording.materializes)
        return outputs[0] if recording.single else tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor | None) -> Any:
        """Replay the backward pass; for a second derivative, leave it to the function's own."""
        if torch.is_grad_enabled():
            return None, *ctx.recording.direct_backward(ctx.saved_tensors, outer)
        return None, *ctx.recording.backward(ctx.saved_tensors, outer, ctx.call)


def _copy(x: Tensor) -> Tensor:
    """A copy that shares no memory, with all its numbers side by side."""
    return x.detach().clone(memory_format=torch.contiguous_format)


def _fill(static: Sequence[Any], values: Sequence[Any]) -> None:
    with torch.no_grad():
        for one, value in zip(static, values, strict=True):
            if isinstance(one, Tensor) and one is not value:
                one.copy_(value)


def _origin(saved: Tensor, inputs: Sequence[Any], outputs: Sequence[Tensor]) -> tuple[str, int]:
    """Whether a saved tensor is one of the arguments or results, and which."""
    for name, group in (("input", inputs), ("output", outputs)):
        for k, x in enumerate(group):
            if saved is x:
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
