"""Checks of the arguments of torch modules: the twin of `rnnlit.tools.checks`. This module imports torch.

Shapes, dtypes and lengths are checked; the values of the inputs are not, because reading them would make a
GPU wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnnlit.tools.checks import DtypeError, ShapeError
from rnnlit.tools.checks import check_lengths as check_lengths_array
from rnnlit.tools.private_torch import autocasts, follows, readable


def check_input(module: torch.nn.RNNBase, input: Any) -> tuple[int, ...]:
    """Check what a layer is called with; return the shape of its batch: (B,), or () for one sequence alone.

    TypeError: no tensor.  DtypeError: not the dtype of the weights.  ShapeError: another shape, or no time
    step.
    """
    packed = isinstance(input, PackedSequence)
    data = input.data if packed else input
    if not isinstance(data, Tensor):
        raise TypeError(f"input: expected a tensor or a PackedSequence, got {type(input).__name__}")
    shape = data.shape
    if len(shape) not in ((2,) if packed else (2, 3)) or shape[-1] != module.input_size:
        wanted = "(B, T, I) or (T, I)" if module.batch_first else "(T, B, I) or (T, I)"
        raise ShapeError(f"input: expected shape {wanted} with I = {module.input_size}, got {tuple(shape)}")
    if shape[1 if module.batch_first and len(shape) == 3 else 0] == 0:
        raise ShapeError(f"input: expected at least one time step, got shape {tuple(shape)}")
    weight = module.weight_ih_l0
    if data.dtype != weight.dtype and not autocasts(data):
        raise DtypeError(f"input: expected {weight.dtype} like the weights, got {data.dtype}")
    if packed:
        return (int(input.batch_sizes[0]),)
    return () if len(shape) == 2 else (shape[0 if module.batch_first else 1],)


def check_state(name: str, value: Any, shape: Sequence[int], like: Tensor) -> None:
    """Check one initial state against a shape and the dtype of the weights `like`.

    TypeError: no tensor.  DtypeError, ShapeError: another dtype or shape.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a tensor of shape {tuple(shape)}, got {type(value).__name__}")
    if value.shape != shape:
        raise ShapeError(f"{name}: expected shape {tuple(shape)}, got {tuple(value.shape)}")
    if value.dtype != like.dtype and not autocasts(value):
        raise DtypeError(f"{name}: expected {like.dtype} like the weights, got {value.dtype}")


def check_lengths(lengths: Any, T: int, B: int, swapped: str = "x (T, B, I)") -> Tensor:
    """Return `lengths` (a tensor on any device, an array or a list) as an int64 tensor (B,) on the CPU.

    A tensor that torch.jit.trace, torch.export or a transform of torch.func follows stays on its device, and
    its numbers are looked at only where that can be done.

    swapped: how a message names the input, where the lengths fit its other axis
    DtypeError: no integers.  ShapeError: not of shape (B,).  ValueError: a length outside 1 .. T.
    """
    if isinstance(lengths, Tensor):
        if follows() or lengths.is_meta:
            return _check_followed(lengths, T, B)
        lengths = lengths.detach().cpu().numpy()
    return torch.from_numpy(check_lengths_array(lengths, T, B, swapped))


def _check_followed(lengths: Tensor, T: int, B: int) -> Tensor:
    """Check the lengths by torch's own operations: NumPy would make constants of them."""
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise DtypeError(f"lengths: expected integers, got {str(lengths.dtype).removeprefix('torch.')}")
    if lengths.dim() != 1 or lengths.shape[0] != B:
        raise ShapeError(f"lengths: expected shape (B,) = ({B},), got {tuple(lengths.shape)}")
    lengths = lengths.detach().to(torch.int64)
    if readable(lengths) and B and bool(((lengths < 1) | (lengths > T)).any()):
        least, most = int(lengths.min()), int(lengths.max())
        raise ValueError(f"lengths: expected 1 <= length <= T = {T}, got {least} to {most}")
    return lengths


CELL_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ci", "weight_cf", "weight_co")


def check_cell(
    params: Sequence[Any], blocks: int, x: Any, dims: int, peepholes: int = 0, **states: Any
) -> None:
    """Check the arguments of a functional `step` (dims 2: x (B, I)) or `forward` (dims 3: x (T, B, I)).

    params: weight_ih (blocks·H, I), weight_hh (blocks·H, H), two biases (blocks·H,), then the peepholes (H,).
    Each named state is (B, H) or None. All are tensors of one dtype.

    TypeError: no tensor.  DtypeError, ShapeError: another dtype or shape.  ValueError: another number of
    parameters.
    """
    names = CELL_PARAMETERS[: 4 + peepholes]
    if len(params) != len(names):
        raise ValueError(f"params: expected {len(names)} tensors ({', '.join(names)}), got {len(params)}")
    for name, value in zip((*names, "x"), (*params, x), strict=True):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(value).__name__}")
        if value.dtype != params[0].dtype:
            raise DtypeError(f"{name}: expected {params[0].dtype} like weight_ih, got {value.dtype}")
    inputs, H = params[0].shape[-1], params[1].shape[-1]
    shapes = [(blocks * H, inputs), (blocks * H, H), (blocks * H,), (blocks * H,), *[(H,)] * peepholes]
    for name, value, shape in zip(names, params, shapes, strict=True):
        if value.shape != shape:
            raise ShapeError(f"{name}: expected shape {shape}, got {tuple(value.shape)}")
    if x.dim() != dims or x.shape[-1] != inputs or 0 in x.shape:
        wanted = "(B, I)" if dims == 2 else "(T, B, I)"
        raise ShapeError(f"x: expected shape {wanted} with I = {inputs}, got {tuple(x.shape)}")
    for name, value in states.items():
        if value is not None:
            check_state(name, value, (x.shape[-2], H), params[0])


def time_first(module: torch.nn.RNNBase, input: Any, lengths: Any) -> tuple[Tensor, Tensor | None]:
    """Return the input as (T, B, I) and lengths as an int64 tensor (B,) on the CPU, or None.

    ValueError, TypeError: lengths are bad, or given for one sequence without a batch; the input is packed.
    """
    if isinstance(input, PackedSequence):
        argument = "return_all_states" if lengths is None else "lengths"
        raise TypeError(f"{argument}: expected the input as a padded tensor beside it, got a PackedSequence")
    if input.dim() == 2:
        if lengths is not None:
            raise ShapeError(f"lengths: expected a batch beside it, got input of shape {tuple(input.shape)}")
        return input[:, None], None
    x = input.transpose(0, 1) if module.batch_first else input
    if lengths is None:
        return x, None
    layout = "(B, T, I) with batch_first=True" if module.batch_first else "(T, B, I) with batch_first=False"
    return x, check_lengths(lengths, x.shape[0], x.shape[1], f"input {layout}")
