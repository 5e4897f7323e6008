"""The scans of `rnnlit.nn.scan` on a GPU.   T steps, B batch, H hidden; gates i f g o.

Two things make up for the time that Python takes to launch a step's kernels: an LSTM without layer
normalisation has fused kernels (`rnnlit.nn.gpu.lstm`), and any scan that comes again with the same
shapes is replayed as a CUDA graph (`rnnlit.nn.gpu.graph`). On the CPU neither is used.

Neither has run on a GPU yet, only by Triton's interpreter and with a stand-in for the graphs. So neither is
used unless RNNLIT_TRITON=1 or RNNLIT_GRAPHS=1 stands in the environment, or inside `with TRITON.set(True):`
and `with GRAPHS.set(True):`.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from rnnlit.nn.gpu import graph
from rnnlit.nn.gpu.graph import GRAPHS
from rnnlit.nn.gpu.replay import ROUNDING
from rnnlit.nn.gpu.switch import Switch
from rnnlit.nn.scan.steps import gradient_wanted

__all__ = ["GRAPHS", "TRITON", "fusable", "lstm", "run"]

TRITON = Switch("RNNLIT_TRITON")
tried: dict[tuple[torch.device, torch.dtype], bool] = {}


def run(scan: Any, *inputs: Any) -> Any:
    """scan.apply(*inputs), on a GPU as a graph where that can be done."""
    first = next(x for x in inputs if isinstance(x, Tensor))
    if not first.is_cuda:
        return scan.apply(*inputs)
    with torch.cuda.device_of(first):
        return graph.apply(scan, *inputs)


def fusable(weight_hh: Tensor, h0: Tensor, c0: Tensor, *options: Any) -> bool:
    """Whether `lstm` can do a scan, and it is worth while: on a GPU.

    options: those of `scan_torch.LSTMOptions`, in that order
    """
    if not weight_hh.is_cuda or not TRITON.on or torch.compiler.is_compiling():
        return False
    return suits(weight_hh, h0, c0, *options) and works(weight_hh.device, weight_hh.dtype)


def suits(weight_hh: Tensor, h0: Tensor, c0: Tensor, *options: Any) -> bool:
    """Whether the kernels have what is asked for: one dtype, one device, something in it, and no norms."""
    *masks, norm_h, norm_c = options
    tensors = [x for x in (h0, c0, *masks) if x is not None]
    alike = all(x.dtype == weight_hh.dtype and x.device == weight_hh.device for x in tensors)
    return norm_h is None and norm_c is None and alike and weight_hh.dtype in ROUNDING and h0.numel() > 0


def lstm(*inputs: Any) -> Any:
    """`scans.lstm` by the fused kernels.

    inputs: gates, or None and what they are made of, x, weight_ih and bias; weight_hh, h0, c0; the options
    from mask_h to peephole  ->  h, c (T, B, H)
    """
    with torch.cuda.device_of(inputs[4]):  # Triton launches on the current one
        return graph.apply(_fused().FusedLSTM, gradient_wanted(*inputs), *inputs)


def works(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether triton is there, builds the kernels here, and they compute an LSTM; tried once.

    Triton needs a C compiler beside it, for one. What is amiss is said in a RuntimeWarning.
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
    g = torch.Generator("cpu").manual_seed(0)
    shapes = [(T, B, I), (4 * H, I), (4 * H,), (4 * H, H), (B, H), (B, H), *[(T, B, H)] * 5, (3, H)]
    masks = range(6, 11)  # they are constants
    fused = _fused()
    ways = ((dtype, lambda *x: fused.FusedLSTM.apply(True, *x)), (torch.float64, fused.loop))
    found = []
    with torch.inference_mode(False), torch.enable_grad():
        sample = [torch.rand(shape, generator=g, device="cpu").to(device, dtype) for shape in shapes]
        for kind, scan in ways:
            inputs = [x.clone().to(kind).requires_grad_(k not in masks) for k, x in enumerate(sample)]
            with torch.cuda.device_of(sample[0]):
                states = scan(None, *inputs)
            loss = torch.stack([(state * state).sum() for state in states]).sum()
            grads = torch.autograd.grad(loss, [x for x in inputs if x.requires_grad])
            found.append([x.detach().double() for x in (*states, *grads)])
    off = [(a - b).abs().max() / b.abs().max() for a, b in zip(*found, strict=True)]
    return float(torch.stack(off).max())  # NaN if there is one; Python's max may pass over it
