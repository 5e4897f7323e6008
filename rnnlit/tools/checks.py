"""Checks of arguments: each names the argument, says what was expected and what came.

A shape is written with the letters of the book: B batch, T steps, I inputs, H hidden. In an
expected shape an integer must match, and a string is a name for "any size of at least one".
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

Size = int | str


class ShapeError(ValueError, RuntimeError):
    """An array or a size of another shape: NumPy raises a ValueError for it, torch a RuntimeError."""


class DtypeError(TypeError, ValueError, RuntimeError):
    """An array of another dtype: a TypeError, and also what torch raises for it, by layer."""


def check_size(name: str, value: Any, least: int = 1) -> int:
    """Return `value` as an int of at least `least`.    TypeError: not an integer.  ShapeError: too small."""
    wanted = "a positive integer" if least == 1 else f"an integer of at least {least}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: expected {wanted}, got {value!r}")
    if value < least:
        raise ShapeError(f"{name}: expected {wanted}, got {value}")
    return int(value)


def check_probability(name: str, value: Any) -> float:
    """Return `value` as a float, 0 <= value < 1.    TypeError: not a number.  ValueError: out of range."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    p = float(value)
    if not 0 <= p < 1:  # NaN too
        raise ValueError(f"{name}: expected a probability, 0 <= p < 1, got {value}")
    return p


def check_rng(rng: Any) -> np.random.Generator:
    """Return `rng`.    TypeError: no numpy.random.Generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng: expected a numpy.random.Generator, got {type(rng).__name__}")
    return rng


def check_init(input_size: Any, hidden_size: Any, rng: Any, dtype: Any) -> tuple[int, int]:
    """Check the arguments of an `init`; return I and H."""
    check_rng(rng)
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise DtypeError(f"dtype: expected float32 or float64, got {np.dtype(dtype)}")
    return check_size("input_size", input_size), check_size("hidden_size", hidden_size)


def check_array(
    name: str, value: Any, shape: Sequence[Size], dtype: Any = None, finite: bool = False
) -> np.ndarray:
    """Return `value`, a float32 or float64 array of the given shape and dtype.

    TypeError: no NumPy array.  DtypeError, ShapeError: of another dtype or shape.  ValueError: (if
    `finite`) a NaN or an infinity.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}: expected a NumPy array of shape {_words(shape)}, got {type(value).__name__}"
        )
    if len(value.shape) != len(shape) or any(
        size < 1 if isinstance(want, str) else size != want
        for size, want in zip(value.shape, shape, strict=True)
    ):
        raise ShapeError(f"{name}: expected shape {_words(shape)}, got {_words(value.shape)}")
    if value.dtype not in (np.float32, np.float64):
        raise DtypeError(f"{name}: expected float32 or float64, got {value.dtype}")
    if dtype is not None and value.dtype != dtype:
        raise DtypeError(f"{name}: expected {np.dtype(dtype)} like the parameters, got {value.dtype}")
    if finite and not np.isfinite(value).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(value))[0])
        raise ValueError(f"{name}: expected finite numbers, got {value[where]} at index {where}")
    return value


def check_lengths(lengths: Any, T: int, B: int, swapped: str = "x (T, B, I)") -> np.ndarray:
    """Return `lengths` as an int64 array (B,) with 1 <= lengths <= T, in any order.

    swapped: how a message names the input, where the lengths fit its other axis
    """
    array = np.asarray(lengths)
    if array.shape == (0,):
        array = array.astype(np.int64)  # an empty list has no dtype of its own
    if array.dtype.kind not in "iu":
        raise DtypeError(f"lengths: expected integers, got {array.dtype}")
    if array.shape != (B,):
        guess = f"; {swapped} has T = {T} and B = {B}: are its first two axes the other way round?"
        raise ShapeError(
            f"lengths: expected shape (B,) = ({B},), got {_words(array.shape)}"
            + (guess if array.shape == (T,) else "")
        )
    if B and (array.min() < 1 or array.max() > T):
        raise ValueError(f"lengths: expected 1 <= length <= T = {T}, got {array.min()} to {array.max()}")
    return array.astype(np.int64)


def check_params(params: Any, kind: type, blocks: int) -> tuple[int, int, np.dtype]:
    """Check a cell's parameters against each other; return I, H and their dtype.

    `blocks` is the number of (H, I) blocks stacked in weight_ih: 1 for the plain cell, 4 for an LSTM.
    """
    if not isinstance(params, kind):
        raise TypeError(
            f"params: expected {kind.__module__}.{kind.__qualname__}, got {type(params).__name__}"
        )
    weight_ih, weight_hh = params.weight_ih, params.weight_hh  # type: ignore[attr-defined]
    check_array("weight_hh", weight_hh, (f"{blocks}H" if blocks > 1 else "H", "H"))
    H, dtype = weight_hh.shape[1], weight_hh.dtype
    check_array("weight_hh", weight_hh, (blocks * H, H))
    check_array("weight_ih", weight_ih, (blocks * H, "I"), dtype)
    for name, value in params._asdict().items():  # type: ignore[attr-defined]
        if not name.startswith("weight_ih") and not name.startswith("weight_hh"):
            check_array(name, value, (H if name.startswith("weight_c") else blocks * H,), dtype)
    return weight_ih.shape[1], H, dtype


def check_step(params: Any, kind: type, blocks: int, x: Any, **states: Any) -> None:
    """Check the arguments of a `step`: x (B, I) and each named state (B, H), all of the parameters' dtype."""
    I, H, dtype = check_params(params, kind, blocks)
    B = check_array("x", x, ("B", I), dtype).shape[0]
    for name, value in states.items():
        check_array(name, value, (B, H), dtype)


def check_forward(
    params: Any, kind: type, blocks: int, x: Any, lengths: Any, **states: Any
) -> tuple[Any, ...]:
    """Check the arguments of a `forward`; return lengths, an array or None, and each state, zeros for None.

    x (T, B, I), finite; lengths None or (B,); each named state None or (B, H); all of the parameters' dtype.
    """
    I, H, dtype = check_params(params, kind, blocks)
    T, B, _ = check_array("x", x, ("T", "B", I), dtype, finite=True).shape
    initial = [
        np.zeros((B, H), dtype) if value is None else check_array(name, value, (B, H), dtype)
        for name, value in states.items()
    ]
    return (None if lengths is None else check_lengths(lengths, T, B), *initial)


def check_backward(params: Any, kind: type, blocks: int, run: Any, **gradients: Any) -> None:
    """Check the arguments of a `backward`: parameters of the run's kind, and gradients for its states."""
    _, H, dtype = check_params(params, kind, blocks)
    check_gradients((*run.h.shape[:2], H), dtype, **gradients)


def check_gradients(shape: tuple[int, int, int], dtype: Any, **gradients: Any) -> None:
    """Check the gradients for `backward`, one at least: (B, H) if the name ends in _n, else (T, B, H)."""
    if all(value is None for value in gradients.values()):
        raise ValueError(f"{', '.join(gradients)}: expected at least one gradient, got none")
    for name, value in gradients.items():
        if value is not None:
            check_array(name, value, shape[1:] if name.endswith("_n") else shape, dtype)


def _words(shape: Sequence[Size]) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
