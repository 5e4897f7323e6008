"""CUDA graphs for calls of an autograd function that come again and again.

A step of a scan is a few small kernels, each done before Python has launched the next. A CUDA graph records
all launches of a pass once, and then repeats them in one call. It works on memory of its own, so arguments
are copied in and results out; `rnnlit.nn.gpu.replay` does that.

    apply(function, *inputs)      function.apply(*inputs), as a graph where that can be done

Two calls have the same signature if these agree: function, shapes, dtypes, device, stream, all that is no
tensor, which gradients are wanted, and torch's settings for products. The AFTER-th call of a signature is
recorded, so that lengths that change with every batch cost nothing. MOST recordings are kept; one gives way
to another signature when IDLE calls have not needed it, so that lengths in turn don't record each other away.
Each holds as much memory as the call, forwards and backwards; `clear()` frees it. A new recording is compared
with the function itself. If they disagree, or if anything fails, a RuntimeWarning says so, and calls of that
signature run without a graph; after MANY such signatures, all calls do.

Graphs are used on CUDA, but for RNNLIT_GRAPHS=0 in the environment or inside of `with GRAPHS.set(False):`.
There are none on other devices, nor on an AMD GPU without RNNLIT_GRAPHS=1; where torch is already capturing a
graph; and for subclasses of Tensor.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any

import torch
from torch import Tensor

from rnnlit.nn.gpu.replay import Capture, Recording, Replayed
from rnnlit.tools.switch import Switch

AFTER = 3  # calls of one signature before it is worth its memory
MOST = 4  # recordings
IDLE = 256  # calls that a recording outlives without being used, once another one wants its place
COUNTED = 64  # signatures whose calls are counted
MANY = 8  # signatures that failed: then something is wrong with graphs as such

GRAPHS = Switch("RNNLIT_GRAPHS", on=torch.version.hip is None)
capturing = RLock()  # torch allows one capture at a time in a process


def capture(run: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
    """Record a function as a CUDA graph: what it returned, and a function that repeats it.

    As torch asks for, it runs once before, on another stream. Other threads may use the GPU meanwhile.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with capturing, torch.cuda.graph(graph, capture_error_mode="thread_local"):
        results = run()
    return results, graph.replay


class Graphs:
    """The graphs of all calls on one type of device. `capture` is given to every `Recording`."""

    def __init__(self, capture: Capture, device: str = "cuda") -> None:
        self.capture, self.device, self.lock = capture, device, RLock()
        self.counts: OrderedDict[Hashable, int] = OrderedDict()
        self.recordings: OrderedDict[Hashable, Recording] = OrderedDict()
        self.refused: set[Hashable] = set()
        self.calls = 0

    def apply(self, function: Any, *inputs: Any) -> Any:
        """function.apply(*inputs), replayed if calls of its signature have come often."""
        recording = self._recording(function, inputs) if self._takes(inputs) else None
        return function.apply(*inputs) if recording is None else Replayed.apply(recording, *inputs)

    def clear(self) -> None:
        """Forget all graphs, and with them their memory, once no backward pass needs it any more."""
        with self.lock:
            self.counts.clear()
            self.recordings.clear()

    def _takes(self, inputs: tuple[Any, ...]) -> bool:
        if not GRAPHS.on or len(self.refused) >= MANY:
            return False
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        plain = all(type(x) in (Tensor, torch.nn.Parameter) and x.numel() for x in tensors)
        if not plain or {x.device.type for x in tensors} != {self.device}:
            return False
        if len({x.device for x in tensors}) > 1:
            return False
        return self.device != "cuda" or not torch.cuda.is_current_stream_capturing()

    def _recording(self, function: Any, inputs: tuple[Any, ...]) -> Recording | None:
        needs = tuple(torch.is_grad_enabled() and isinstance(x, Tensor) and x.requires_grad for x in inputs)
        key = function, needs, tuple(_signature(x) for x in inputs), settings(self.device)
        with self.lock:
            self.calls += 1
            if key in self.refused:
                return None
            if key not in self.recordings and not (self._often(key) and self._has_room()):
                return None
            if key not in self.recordings and not self._record(key, function, inputs, needs):
                return None
            self.recordings.move_to_end(key)
            self.recordings[key].used = self.calls
            return self.recordings[key]

    def _has_room(self) -> bool:
        """Whether there is room for one more, or the one that was used longest ago can go."""
        oldest = next(iter(self.recordings.values()), None)
        return oldest is None or len(self.recordings) < MOST or self.calls - oldest.used > IDLE

    def _often(self, key: Hashable) -> bool:
        self.counts[key] = self.counts.get(key, 0) + 1
        self.counts.move_to_end(key)
        if len(self.counts) > COUNTED:
            self.counts.popitem(last=False)
        return self.counts[key] >= AFTER

    def _record(self, key: Hashable, function: Any, inputs: tuple[Any, ...], needs: tuple[bool, ...]) -> bool:
        def refuse(problem: Exception) -> None:
            self._refuse(key, problem)

        del self.counts[key]  # a graph that is given up for another's sake has to earn its place again
        try:
            recording = Recording(function, inputs, needs, self.capture, refuse)
        except Exception as problem:  # whatever it is, the call can do without
            refuse(problem)
            return False
        while len(self.recordings) >= MOST:
            self.recordings.popitem(last=False)
        self.recordings[key] = recording
        return True

    def _refuse(self, key: Hashable, problem: Exception) -> None:
        with self.lock:
            self.refused.add(key)
            self.recordings.pop(key, None)
        firsts = [one[0] for one in key[2] if isinstance(one, tuple) and one]  # type: ignore[index]
        shapes = ", ".join(str(first) for first in firsts if isinstance(first, tuple))
        warnings.warn(
            f"no CUDA graph for a scan over tensors of the shapes {shapes}, which is slower without: "
            f"{type(problem).__name__}: {problem}",
            RuntimeWarning,
            stacklevel=2,
        )


def settings(device: str) -> tuple[Any, ...]:
    """What a recorded product depends on beside its arguments: the stream, and torch's settings."""
    matmul = torch.backends.cuda.matmul
    stream = torch.cuda.current_stream().cuda_stream if device == "cuda" else None
    name = "fp32_precision" if hasattr(matmul, "fp32_precision") else "allow_tf32"
    return (
        stream,
        getattr(matmul, name),
        matmul.allow_fp16_reduced_precision_reduction,
        matmul.allow_bf16_reduced_precision_reduction,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_autocast_enabled(device),
    )


def _signature(x: Any) -> Any:
    return (tuple(x.shape), x.dtype, x.device) if isinstance(x, Tensor) else x


ON_CUDA = Graphs(capture)


def apply(function: Any, *inputs: Any) -> Any:
    """function.apply(*inputs), as a CUDA graph where that can be done."""
    return ON_CUDA.apply(function, *inputs)


def clear() -> None:
    """Forget all graphs, and with them their memory."""
    ON_CUDA.clear()
