"""Which code runs a scan on a GPU.   T steps, B batch, I inputs, H hidden; blocks i f g o.

The fused kernels are used on CUDA, but for RNNLIT_TRITON=0 in the environment or inside of
`with TRITON.set(False):`; CUDA graphs see `rnnlit.nn.gpu.graph`. Without either, the scan of `rnnlit.nn.scan`
runs as it is. On an AMD GPU, which torch calls CUDA too, nothing has run yet; RNNLIT_TRITON=1 tries it there.

The first call in each dtype waits until triton has built the kernels and a small sample has been compared;
triton keeps what it has built on disk. Where that fails a RuntimeWarning says so, once in a process.
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

MOST_NORMED = 2048  # units with layer normalisation: a program of the kernels has them all at hand
# How far the kernels may be from the equations. With TF32, a product of float32 keeps 11 bits.
CLOSE = ROUNDING | {torch.float32: 5e-3}

TRITON = Switch("RNNLIT_TRITON", on=torch.version.hip is None)
tried: dict[tuple[torch.device, torch.dtype, bool], bool] = {}


def run(scan: Any, keeps: bool, inputs: Any) -> Any:
    """As scan.apply(keeps, *inputs), by fused kernels and as a CUDA graph where that can be done."""
    scan = _fused().FusedLSTM if fusable(inputs) else scan
    with torch.cuda.device_of(inputs.x):  # Triton launches on the current device
        return graph.apply(scan, keeps, *inputs)


def fusable(inputs: Any) -> bool:
    """Whether the fused kernels are on, can run this scan, and work here."""
    if not TRITON.on or not isinstance(inputs, lstm.Inputs):
        return False
    weight = inputs.weight_hh
    return suits(inputs) and works(weight.device, weight.dtype, normed(inputs))


def suits(inputs: lstm.Inputs) -> bool:
    """Whether the kernels can do it: one dtype, one device, nothing empty; with norms not too many units."""
    weight, tensors = inputs.weight_hh, [x for x in inputs if x is not None]
    alike = all(x.dtype == weight.dtype and x.device == weight.device and x.numel() for x in tensors)
    fits = not normed(inputs) or weight.shape[1] <= MOST_NORMED
    return alike and fits and weight.dtype in ROUNDING


def normed(inputs: lstm.Inputs) -> bool:
    """Whether a step has layer normalisation, whose kernels have all units of a sequence in one program."""
    return inputs.gain_h is not None or inputs.gain_c is not None


def works(device: torch.device, dtype: torch.dtype, normed: bool = False) -> bool:
    """Whether triton is there, builds the kernels here, and they compute an LSTM; tried once.

    Triton needs a C compiler beside it, for one. A RuntimeWarning says what went wrong.
    """
    kind = device, dtype, normed
    if kind not in tried:
        if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            return False  # a comparison waits for the GPU, and that would end the capture
        tried[kind] = False  # also where a warning is an error: the next call goes on without
        tried[kind] = find_spec("triton") is not None and _agrees(*kind)
    return tried[kind]


def _fused() -> Any:
    """The module with the kernels; importing triton takes its time, so it waits until it is needed."""
    from rnnlit.nn.gpu import lstm

    return lstm


def _agrees(device: torch.device, dtype: torch.dtype, normed: bool) -> bool:
    """Compare the kernels with the equations on a small sample with every option, gradients too."""
    try:
        wrong = _off_by(device, dtype, normed)
        if not wrong <= CLOSE[dtype]:
            raise RuntimeError(f"what they compute is off by {wrong:.1e}")
    except Exception as problem:  # whatever it is, the scan can do without
        what = f"no fused kernels for an LSTM's scan on {device} in {dtype}, which is slower without"
        problem_ = f"{type(problem).__name__}: {problem}"
        warnings.warn(f"{what} (RNNLIT_TRITON=0 asks for none): {problem_}", RuntimeWarning, stacklevel=2)
        return False
    return True


def _off_by(device: torch.device, dtype: torch.dtype, normed: bool) -> float:
    """The largest difference of states and gradients, relative to the largest number of each array."""
    T, B, I, H = 2, 3, 4, 5
    generator = torch.Generator("cpu").manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device="cpu").to(device, dtype)

    first = draw(T, B, I), draw(4 * H, I), draw(4 * H, H), draw(4 * H), draw(B, H), draw(B, H)
    norms = [4 * H] * 3 + [H] * 2 if normed else []  # gain_x, and gain and shift of norm_h and norm_c
    options = *(draw(T, B, H) for _ in range(4)), draw(3, H), *(draw(n) for n in norms)
    sample = lstm.Inputs(*first, *options)
    found: list[list[Tensor]] = []
    with torch.inference_mode(False), torch.enable_grad():
        for kind in (dtype, torch.float64):
            inputs = lstm.Inputs._make(x if x is None else x.to(kind, copy=True) for x in sample)
            leaves = [x for x in (*inputs[:6], *inputs[10:]) if x is not None]  # masks are constants
            for leaf in leaves:
                leaf.requires_grad_()
            with torch.cuda.device_of(inputs.x):
                states = _fused().FusedLSTM.apply(True, *inputs) if not found else loop.lstm(inputs)
            loss = torch.stack([(state * state).sum() for state in states]).sum()
            gradients = torch.autograd.grad(loss, leaves)
            found.append([x.detach().double() for x in (*states, *gradients)])
    off = [(a - b).abs().max() / b.abs().max() for a, b in zip(*found, strict=True)]
    return float(torch.stack(off).max())  # NaN if there is one; Python's max may pass over it
