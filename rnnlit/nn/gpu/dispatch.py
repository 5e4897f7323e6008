"""Which code runs a scan on a GPU.   T steps, B batch, I inputs, H hidden; blocks i f g o.

The fused kernels are used after RNNLIT_TRITON=1 in the environment, or inside `with TRITON.set(True):`; CUDA
graphs see `rnnlit.nn.gpu.graph`. Without either, the scan of `rnnlit.nn.scan` runs as it is.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from rnnlit.nn.gpu import graph
from rnnlit.nn.gpu.replay import ROUNDING
from rnnlit.nn.scan import loop, lstm
from rnnlit.tools.switch import Switch

TRITON = Switch("RNNLIT_TRITON")
tried: dict[tuple[torch.device, torch.dtype], bool] = {}


def run(scan: Any, keeps: bool, inputs: Any) -> Any:
    """As scan.apply(keeps, *inputs), by fused kernels and as a CUDA graph where that can be done."""
    scan = _fused().FusedLSTM if fusable(inputs) else scan
    with torch.cuda.device_of(inputs.x):  # Triton launches on the current device
        return graph.apply(scan, keeps, *inputs)


def fusable(inputs: Any) -> bool:
    """Whether the fused kernels are asked for, can run this scan, and work here."""
    if not TRITON.on or not isinstance(inputs, lstm.Inputs):
        return False
    return suits(inputs) and works(inputs.weight_hh.device, inputs.weight_hh.dtype)


def suits(inputs: lstm.Inputs) -> bool:
    """Whether the kernels can do it: no normalisation, one dtype, one device, no empty tensor."""
    weight, tensors = inputs.weight_hh, [x for x in inputs if x is not None]
    normed = any(gain is not None for gain in (inputs.gain_x, inputs.gain_h, inputs.gain_c))
    alike = all(x.dtype == weight.dtype and x.device == weight.device and x.numel() for x in tensors)
    return alike and not normed and weight.dtype in ROUNDING


def works(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether triton is there, builds the kernels here, and they compute an LSTM; tried once.

    Triton needs a C compiler beside it, for one. A RuntimeWarning says what went wrong.
    """
    if (device, dtype) not in tried:
        if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            return False  # a comparison waits for the GPU, and that would end the capture
        tried[device, dtype] = find_spec("triton") is not None and _agrees(device, dtype)
    return tried[device, dtype]


def _fused() -> Any:
    """The module with the kernels; importing triton takes its time, so it waits until it is needed."""
    from rnnlit.nn.gpu import lstm

    return lstm


def _agrees(device: torch.device, dtype: torch.dtype) -> bool:
    """Compare the kernels with the equations on a small sample with every option, gradients too."""
    try:
        wrong = _off_by(device, dtype)
        if not wrong <= ROUNDING[dtype]:
            raise RuntimeError(f"what they compute is off by {wrong:.1e}")
    except Exception as problem:  # whatever it is, the scan can do without
        what = f"no fused kernels for an LSTM's scan on {device} in {dtype}, which is slower without"
        warnings.warn(f"{what}: {type(problem).__name__}: {problem}", RuntimeWarning, stacklevel=2)
        return False
    return True


def _off_by(device: torch.device, dtype: torch.dtype) -> float:
    """The largest difference of states and gradients, relative to the largest number of each array."""
    T, B, I, H = 2, 3, 4, 5
    generator = torch.Generator("cpu").manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device="cpu").to(device, dtype)

    first = draw(T, B, I), draw(4 * H, I), draw(4 * H, H), draw(4 * H), draw(B, H), draw(B, H)
    sample = lstm.Inputs(*first, *(draw(T, B, H) for _ in range(4)), draw(3, H))  # type: ignore[call-arg]
    found: list[list[Tensor]] = []
    with torch.inference_mode(False), torch.enable_grad():
        for kind in (dtype, torch.float64):
            inputs = lstm.Inputs._make(x if x is None else x.to(kind, copy=True) for x in sample)
            leaves = [x for x in (*inputs[:6], inputs.peephole) if x is not None]  # masks are constants
            for leaf in leaves:
                leaf.requires_grad_()
            with torch.cuda.device_of(inputs.x):
                states = _fused().FusedLSTM.apply(True, *inputs) if not found else loop.lstm(inputs)
            loss = torch.stack([(state * state).sum() for state in states]).sum()
            gradients = torch.autograd.grad(loss, leaves)
            found.append([x.detach().double() for x in (*states, *gradients)])
    off = [(a - b).abs().max() / b.abs().max() for a, b in zip(*found, strict=True)]
    return float(torch.stack(off).max())  # NaN if there is one; Python's max may pass over it
