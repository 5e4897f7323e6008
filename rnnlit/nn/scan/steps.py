"""What the scans share: arrays taken step by step, activations, layer normalisation, second derivatives.

T steps, n of them in a block, B batch, N units.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from rnnlit.tools.private_torch import batched

aten = torch.ops.aten
EPS = 1e-5  # of every layer normalisation
BLOCK = 1024  # steps times batch in a block, at most
LARGE = 1024  # numbers in a state from which on `tanh` and `squash_` go by the sigmoid
MINUS_ONE = torch.tensor(-1.0, dtype=torch.float32, device="cpu")
Arrays = TypeVar("Arrays", bound=tuple[Any, ...])  # a NamedTuple of tensors or None

# ---- steps and blocks of steps ----------------------------------------------------------------------------


def blocks_of(T: int, B: int, device: torch.device) -> list[tuple[int, int]]:
    """The steps in blocks from start to end, for all that need not wait for the recurrence.

    On a CPU a block is large enough that a product runs at full speed, and small enough that its results are
    still in the cache when the steps read them; on a GPU it holds all steps.
    """
    size = max(1, BLOCK // max(1, B)) if device.type == "cpu" else T
    return [(start, min(start + size, T)) for start in range(0, T, size)]


def part(array: Any, start: int, end: int) -> Any:
    """The steps from start to end of an array (T, B, N); of one for all steps (1, B, N) itself; or None."""
    return array if array is None or len(array) == 1 else array[start:end]


def parts(arrays: Arrays, start: int, end: int) -> Arrays:
    """The steps from start to end of all arrays."""
    return type(arrays)(*(part(array, start, end) for array in arrays))


def each_step(arrays: Arrays, n: int) -> Iterator[Arrays]:
    """The arrays (n, B, N) or (1, B, N) step by step: the same NamedTuple, of parts (B, N)."""
    one_step = functools.partial(tuple.__new__, type(arrays))
    return map(one_step, zip(*(each(array, n) for array in arrays), strict=True))


def each(array: Tensor | None, n: int) -> Sequence[Any]:
    """The n parts (B, N) of one array; one for all steps (1, B, N), or None, comes n times."""
    if array is None:
        return (None,) * n
    return array.unbind() * n if len(array) == 1 else array.unbind()


def before(states: Tensor, first: Tensor, start: int, end: int) -> Tensor:
    """The states that the steps from start to end began with.   states (T, B, N), first (B, N)"""
    return states[start - 1 : end - 1] if start else torch.cat([first[None], states[: end - 1]])


# ---- activations ------------------------------------------------------------------------------------------


def goes_by_sigmoid(state: Tensor) -> bool:
    """Whether `tanh` and `squash_` take tanh from the sigmoid, with states (B, H) like this one.

        tanh a = 2 sigma(2a) - 1,  in float32 to within 2e-7

    For 64 x 256 numbers on one thread: 11 µs against 42 µs of torch.tanh on an AMD EPYC, 10 against 5 on an
    Intel Xeon, whose tanh is MKL's; the four gates in one call 36 against 44 there, of 2 ms for a step. The
    choice depends on size, dtype and device alone, so that a call gives the same numbers every time.
    """
    return state.dtype == torch.float32 and state.numel() >= LARGE and state.device.type == "cpu"


def tanh(a: Tensor, out: Tensor, by_sigmoid: bool) -> Tensor:
    """tanh of a, written to out, which may be a itself."""
    if not by_sigmoid:
        return torch.tanh(a, out=out)
    return torch.add(MINUS_ONE, torch.add(a, a, out=out).sigmoid_(), alpha=2, out=out)


def squash_(a: Tensor, g: Tensor, by_sigmoid: bool) -> Tensor:
    """sigma of a (B, N) in place, but tanh of its part g (B, H): one call for all gates of a step."""
    if by_sigmoid:
        torch.add(g, g, out=g)
        a.sigmoid_()
        torch.add(MINUS_ONE, g, alpha=2, out=g)
    else:
        new = torch.tanh(g)
        a.sigmoid_()
        g.copy_(new)
    return a


# ---- layer normalisation ----------------------------------------------------------------------------------


class StepNorm:
    """gain (a - mean) / sqrt(variance + eps) + shift  over N units in each step; or nothing without a gain.

    A call normalises the next step and keeps its mean and scale 1 / sqrt(variance + eps). For the backward
    pass, another one is made from `statistics`: it takes the gradient back through each step, and sums those
    of gain and shift, a block of steps at a time, in `dgain` and `dshift`.
    """

    def __init__(
        self, gain: Tensor | None, shift: Tensor | None, statistics: Sequence[Tensor | None] | None = None
    ) -> None:
        self.gain, self.shift = gain, shift
        self.steps: list[tuple[Tensor, Tensor]] = []  # mean and scale (B, 1) of each
        self.mean, self.scale = statistics or (None, None)  # (T, B, 1)
        if self.mean is not None and self.scale is not None:
            self.steps = [*zip(self.mean.unbind(), self.scale.unbind(), strict=True)]
        self.dgain = self.dshift = None if gain is None else torch.zeros_like(gain)

    def __call__(self, a: Tensor) -> Tensor:
        """Normalise a (B, N), the next step's."""
        if self.gain is None:
            return a
        out, mean, scale = torch.native_layer_norm(a, (a.shape[-1],), self.gain, self.shift, EPS)
        self.steps.append((mean, scale))
        return out

    @property
    def statistics(self) -> tuple[Tensor | None, Tensor | None]:
        """Mean and scale of all steps (T, B, 1)."""
        if self.gain is None:
            return None, None
        mean, scale = (torch.stack(one) for one in zip(*self.steps, strict=True))
        return mean, scale

    def backward(self, dy: Tensor, a: Tensor, t: int) -> Tensor:
        """The gradient for a (B, N) of step t, from that for its normalised values dy (B, N)."""
        if self.gain is None:
            return dy
        return norm_backward(dy, a, *self.steps[t], self.gain, self.shift, [True, False, False])[0]

    def add(self, dy: Tensor, a: Tensor, start: int) -> None:
        """Add a block's gradients of gain and shift.   dy, a (n, B, N): what `backward` took in its steps"""
        if self.gain is None or self.mean is None or self.scale is None:
            return
        mean, scale = (one[start : start + len(dy)] for one in (self.mean, self.scale))
        _, dgain, dshift = norm_backward(dy, a, mean, scale, self.gain, self.shift, [False, True, True])
        self.dgain, self.dshift = self.dgain + dgain, self.dshift + dshift


class BlockNorm:
    """Layer normalisation of a block of steps; each of the parts of N has a mean and a scale of its own."""

    def __init__(self, sizes: tuple[int, ...], gain: Tensor, shift: Tensor) -> None:
        self.sizes, self.gains, self.shifts = sizes, gain.split(sizes), shift.split(sizes)

    def __call__(self, a: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Normalise a (n, B, N); and the mean and scale of each part, for `backward`."""
        results = [
            torch.native_layer_norm(one, one.shape[-1:], gain, shift, EPS)
            for one, gain, shift in zip(a.split(self.sizes, -1), self.gains, self.shifts, strict=True)
        ]
        return join([result[0] for result in results]), [x for result in results for x in result[1:]]

    def backward(self, dy: Tensor, a: Tensor, statistics: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients for a, gain and shift, from that for the normalised values."""
        halves = dy.split(self.sizes, -1), a.split(self.sizes, -1)
        each_part = zip(*halves, self.gains, self.shifts, strict=True)
        results = [
            norm_backward(dy_k, a_k, *statistics[2 * k : 2 * k + 2], gain, shift, [True, True, True])
            for k, (dy_k, a_k, gain, shift) in enumerate(each_part)
        ]
        da, dgain, dshift = (join(one) for one in zip(*results, strict=True))
        return da, dgain, dshift


def norm_backward(dy: Tensor, a: Tensor, *more: Any) -> tuple[Any, ...]:
    """The gradients for a, gain and shift. more: mean, scale, gain, shift, and which gradients are wanted"""
    return aten.native_layer_norm_backward(dy.contiguous(), a.contiguous(), a.shape[-1:], *more)


def join(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side along the last axis; a single one as it is."""
    return tensors[0] if len(tensors) == 1 else torch.cat([*tensors], -1)


# ---- autograd ---------------------------------------------------------------------------------------------


def gradient_wanted(*inputs: Any) -> bool:
    """Whether a backward pass through these can come, so that a scan has to keep every step's gates."""
    return torch.is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in inputs)


def save(ctx: Any, *groups: Sequence[Any]) -> None:
    """Save groups of tensors, and of what is no tensor, for the backward pass; its arguments come first."""
    ctx.save_for_backward(*(x if isinstance(x, Tensor) else None for group in groups for x in group))
    ctx.groups = [(type(group), [None if isinstance(x, Tensor) else x for x in group]) for group in groups]


def saved(ctx: Any) -> list[Any]:
    """The groups that `save` saved, NamedTuples as such and others as lists."""
    tensors, groups = iter(ctx.saved_tensors), []
    for kind, others in ctx.groups:
        pairs = zip(others, tensors, strict=False)  # others first: `tensors` goes on in the next group
        values = [tensor if other is None else other for other, tensor in pairs]
        groups.append(getattr(kind, "_make", list)(values))
    return groups


def twice_differentiable(loop: Callable[[Any], tuple[Tensor, ...]]) -> Callable[..., Any]:
    """Let a closed-form backward pass be differentiated once more, where that is asked for (create_graph).

    loop: the same function of the same inputs, made of torch's own operations. It is run again then, at the
    price of a graph of every step; also for a batch of gradients (is_grads_batched), which the closed form
    cannot write in place.
    """

    def decorate(backward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(backward)
        def choosing(ctx: Any, *outer: Tensor | None) -> Any:
            again = torch.is_grad_enabled()
            if not again and not batched(*outer):
                return backward(ctx, *outer)
            with torch.enable_grad():
                inputs = saved(ctx)[0]
                # an alias of each, so that one tensor in two places gets a gradient for each place
                inputs = type(inputs)(*(x.view_as(x) if isinstance(x, Tensor) else x for x in inputs))
                wanted = [k for k, needed in enumerate(ctx.needs_input_grad[1:]) if needed]
                pairs = [pair for pair in zip(loop(inputs), outer, strict=True) if pair[1] is not None]
            found = torch.autograd.grad(
                [result for result, _ in pairs],
                [inputs[k] for k in wanted],
                [gradient for _, gradient in pairs],
                create_graph=again,
                allow_unused=True,
            )
            gradients = dict(zip(wanted, found, strict=True))
            return None, *(gradients.get(k) for k in range(len(inputs)))

        return choosing

    return decorate
