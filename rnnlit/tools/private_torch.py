"""What the layers lean on of torch that is not public, each name with a guard.

Where another version of torch lacks one of these names, an answer costs more time or a message says less; no
number changes. `follows` says whether something but autograd sees every operation: then a scan is the loop of
torch's own operations (`rnnlit.nn.scan.loop`), for nothing can look into an autograd function that writes
its results in place.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

C = torch._C
WHY_APART = "torch.compile would unroll the loop over the steps; the scan runs as it is, as a graph break"

SCRIPT = (
    "torch.jit.script: {what} has no form in TorchScript; torch.jit.trace, torch.export and torch.compile "
    "take it"
)


def follows() -> bool:
    """Whether operations are recorded or transformed now: by torch.jit.trace and the exporter on it, by
    torch.compile and torch.export, by a transform of torch.func, or by forward mode.
    """
    if torch.compiler.is_compiling():
        return True
    return torch.jit.is_tracing() or transforms() or getattr(forward_ad, "_current_level", -1) >= 0


def exports() -> bool:
    """Whether torch.export follows, strict or not, and not torch.compile."""
    if not torch.compiler.is_compiling():
        return False
    is_exporting = getattr(torch.compiler, "is_exporting", None)  # from torch 2.7 on
    return bool(is_exporting()) if is_exporting else not torch.compiler.is_dynamo_compiling()


def transforms() -> bool:
    """Whether a transform of torch.func is active."""
    active = getattr(C, "_are_functorch_transforms_active", None)
    return bool(active()) if active else False


def vmaps() -> bool:
    """Whether torch.func.vmap is active, alone or around another transform: torch's kernels have no rule."""
    return bool(_vmaps())


def draws_apart() -> bool:
    """Whether vmap wants other random numbers for each example: these can't be written in place."""
    functorch: Any = getattr(C, "_functorch", None)
    return any(
        "different" in str(functorch.CVmapInterpreterPtr(one).randomness()).lower() for one in _vmaps()
    )


def _vmaps() -> list[Any]:
    """The levels of torch.func.vmap that are active."""
    if torch.compiler.is_compiling() or not transforms():
        return []
    functorch = getattr(C, "_functorch", None)
    stack: Any = getattr(functorch, "get_interpreter_stack", list)() or ()
    return [level for level in stack if "vmap" in str(level.key()).lower()]


def batched(*tensors: Tensor | None) -> bool:
    """Whether one of these is a batch that vmap hides, as the gradient of `is_grads_batched=True` is."""
    functorch = getattr(C, "_functorch", None)
    tests = [getattr(functorch, name, None) for name in ("is_batchedtensor", "is_legacy_batchedtensor")]
    return any(test is not None and t is not None and test(t) for test in tests for t in tensors)


def readable(values: Tensor) -> bool:
    """Whether the numbers of this tensor can be read now, without being frozen for all later calls."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or batched(values):
        return False
    return not values.is_meta


def autocasts(x: Tensor) -> bool:
    """Whether autocast is on for the device of x; meta and other devices have none."""
    kind = x.device.type
    return kind != "meta" and torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def refuse_script(self: torch.nn.Module) -> Any:
    """A class's `__prepare_scriptable__`: torch.jit.script calls it before it gets lost in the source."""
    raise RuntimeError(SCRIPT.format(what=f"rnnlit.nn.{type(self).__name__}"))


def traced(x: Tensor) -> Tensor:
    """x (T, ...); where torch.jit.trace records, the recording refuses another T: its loop has T steps."""
    if not torch.jit.is_tracing() or torch.onnx.is_in_onnx_export():
        return x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is what torch.jit.trace makes
        check: Any = torch.jit.script(same_steps)
    return check(x, len(x.unbind()))


def same_steps(x: Tensor, steps: int) -> Tensor:
    """x as it is.  RuntimeError: it has another number of steps; written for TorchScript."""
    if x.size(0) != steps:
        raise RuntimeError(
            f"torch.jit.trace: this loop of rnnlit.nn was traced for {steps} steps, got {x.size(0)}; trace "
            "it again, or pad and give lengths"
        )
    return x


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which torch.compile calls and does not look into.

    `torch.compiler.disable` imports all of torch.compile, which takes seconds. So it is called when
    torch.compile first comes here, as it traces: `prepare` is a constant for it, so it is run, not traced.
    """
    made: list[Callable[..., Any]] = []

    def prepare() -> bool:
        if not made:
            made.append(torch.compiler.disable(function, reason=WHY_APART))
        return True

    prepare._dynamo_marked_constant = True  # type: ignore[attr-defined]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling() and not exports() and prepare():
            return made[0](*args, **kwargs)
        return function(*args, **kwargs)

    return call


def has_lstm(dtype: torch.dtype, trains: bool) -> bool:
    """Whether torch's LSTM runs under CPU autocast to this dtype on this processor; it is asked once.

    There oneDNN computes it, which has an LSTM in bfloat16 only for processors with AVX-512, and in float16
    for fewer still, not in training. A thread asks, since modes and transforms of torch end at its door.
    """
    if (dtype, trains) not in _tried:
        asking = threading.Thread(target=_try_lstm, args=(dtype, trains))
        asking.start()
        asking.join()
    return _tried.get((dtype, trains), False)


has_lstm._dynamo_marked_constant = True  # type: ignore[attr-defined]
_tried: dict[tuple[torch.dtype, bool], bool] = {}


def _try_lstm(dtype: torch.dtype, trains: bool) -> None:
    with torch.set_grad_enabled(trains), torch.autocast("cpu", dtype):
        x, *weights = (torch.zeros(shape, dtype=torch.float32) for shape in ((1, 1, 1), (4, 1), (4, 1)))
        weights = [weight.requires_grad_(trains) for weight in weights]
        try:
            torch.lstm(x, (x, x), weights, False, 1, 0.0, trains, False, False)
            _tried[dtype, trains] = True
        except RuntimeError:
            _tried[dtype, trains] = False


def pack(weight: Tensor, batch: int) -> Tensor | None:
    """The weights (N, K) as oneDNN wants them for products with (batch, K); None where it has none."""
    mkldnn = torch.ops.mkldnn
    names = ("_reorder_linear_weight", "_linear_pointwise")
    there = torch.backends.mkldnn.is_available() and all(hasattr(mkldnn, name) for name in names)
    if not there or weight.dtype != torch.float32 or weight.device.type != "cpu":
        return None
    try:
        packed: Tensor = mkldnn._reorder_linear_weight(weight.detach().contiguous(), batch)
        packed_linear(weight.new_zeros(batch, weight.shape[1]), packed)
    except (RuntimeError, TypeError):  # another version of torch, or another processor
        return None
    return packed


def packed_linear(h: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    """h W^T + bias.   h (batch, K), packed: W as `pack` has returned it"""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(h, packed, bias, "none", [], "")
    return result
