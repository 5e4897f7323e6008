"""What the scans of `rnnlit.nn.scan` share.   T steps, B batch, N and K units."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rnnlit.tools.private_torch import batched

QUICK = 1024  # numbers, from which on tanh is better taken from the sigmoid
ROWS = 512  # of a block: steps times batch
SPAN = 256  # steps
MINUS_ONE = torch.tensor(-1.0, dtype=torch.float32, device="cpu")


def each(x: Tensor | None, start: int, end: int) -> Sequence[Any]:
    """The parts (B, N) of the steps from start to end: of one for each (T, B, N), one for all, or None."""
    if x is None:
        return [None] * (end - start)
    return x.unbind() * (end - start) if x.shape[0] == 1 else x[start:end].unbind()


def each_step(T: int, *arrays: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """The parts of all arrays, step by step.

    A part is a Python object of some hundred bytes, so those of SPAN steps are made at a time.
    """
    for start in range(0, T, SPAN):
        yield from zip(*(each(x, start, min(start + SPAN, T)) for x in arrays), strict=True)


def part(mask: Tensor, start: int, end: int) -> Tensor:
    """The steps from start to end of a mask for each step, or the one for all."""
    return mask if mask.shape[0] == 1 else mask[start:end]


def block_size(T: int, B: int, device: torch.device) -> int:
    """How many steps to take together in what need not wait for the recurrence.

    On a CPU so many that a product runs at full speed and its numbers still lie in the cache when the steps
    come to them; on a GPU all.
    """
    return min(T, max(1, ROWS // B)) if device.type == "cpu" else T


def is_quick(state: Tensor) -> bool:
    """Whether `tanh` and `squash_` should take tanh from the sigmoid, with states (B, H) like this one.

    On the CPU torch's sigmoid of float32 is many times quicker than its tanh:  tanh a = 2 sigma(2a) - 1, to
    within 2e-7.
    """
    return state.dtype == torch.float32 and state.numel() >= QUICK and state.device.type == "cpu"


def tanh(a: Tensor, out: Tensor, quick: bool) -> Tensor:
    """tanh of a, written to out, which may be a itself."""
    if not quick:
        return torch.tanh(a, out=out)
    return torch.add(MINUS_ONE, torch.add(a, a, out=out).sigmoid_(), alpha=2, out=out)


def squash_(a: Tensor, g: Tensor, quick: bool) -> Tensor:
    """sigma of a (B, N) in place, but tanh of its part g (B, H): one call for all gates of a step."""
    if quick:
        torch.add(g, g, out=g)
        a.sigmoid_()
        torch.add(MINUS_ONE, g, alpha=2, out=g)
    else:
        new = torch.tanh(g)
        a.sigmoid_()
        g.copy_(new)
    return a


def gradient_wanted(*tensors: Tensor | None) -> bool:
    """Whether a backward pass through these can come, so that a scan has to keep every step's gates."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def before(states: Tensor, first: Tensor, start: int, end: int) -> Tensor:
    """The states that the steps from start to end began with.   states (T, B, N), first (B, N)"""
    return states[start - 1 : end - 1] if start else torch.cat([first[None], states[: end - 1]])


def keep(ctx: Any, inputs: Sequence[Any], *more: Tensor | None) -> None:
    """Keep a function's arguments, and what else its backward pass needs."""
    ctx.save_for_backward(*(x if isinstance(x, Tensor) else None for x in inputs), *more)
    ctx.others = [None if isinstance(x, Tensor) else x for x in inputs]


def kept_by(ctx: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What `keep` kept: the arguments, and the rest."""
    tensors, n = ctx.saved_tensors, len(ctx.others)
    inputs = (other if x is None else x for x, other in zip(tensors[:n], ctx.others, strict=True))
    return tuple(inputs), tensors[n:]


def first_derivative_only(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse a second derivative: torch's once_differentiable lets some such calls pass, without a word."""

    @functools.wraps(backward)
    def refusing(ctx: Any, *outer: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError("create_graph=True: the scans of rnnlit have no second derivative")
        return backward(ctx, *outer)

    return refusing


def twice_differentiable(loop: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Any]:
    """Let a closed-form backward pass be differentiated once more, where that is asked for (create_graph).

    loop: the same function of the same arguments, made of torch's own operations. It is run again then, at
    the price of a graph of every step; also for a batch of gradients (is_grads_batched), which cannot be
    written in place.
    """

    def decorate(backward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(backward)
        def choosing(ctx: Any, *outer: Tensor | None) -> Any:
            again = torch.is_grad_enabled()
            if not again and not batched(*outer):
                return backward(ctx, *outer)
            # an alias of each, so that one tensor in two places gets a gradient for each place
            with torch.enable_grad():
                inputs = [x.view_as(x) if isinstance(x, Tensor) else x for x in kept_by(ctx)[0]]
                wanted = [k for k, needed in enumerate(ctx.needs_input_grad[1:]) if needed]
                results = [pair for pair in zip(loop(*inputs), outer, strict=True) if pair[1] is not None]
            found = torch.autograd.grad(
                [result for result, _ in results],
                [inputs[k] for k in wanted],
                [gradient for _, gradient in results],
                create_graph=again,
                allow_unused=True,
            )
            places = dict(zip(wanted, found, strict=True))
            return None, *(places.get(k) for k in range(len(inputs)))

        return choosing

    return decorate
