"""Random arguments for the exercises, and the little that the wrong answers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlit.exercises.check import Sizes

Draw = Callable[[np.random.Generator, Sizes], tuple[Any, ...]]


def normal(*names: str) -> Draw:
    """A drawer of standard normal arrays, of the shapes that these letters say: "BI" is (B, I)."""

    def draw(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
        return tuple(rng.standard_normal(shape(letters, sizes)) for letters in names)

    return with_letters(draw, "".join(names))


def with_params(kind: type, blocks: int, *names: str) -> Draw:
    """A drawer of a cell's Params, its biases not zero, and of arrays as `normal` draws them."""

    def draw(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
        I, H, G = sizes.I, sizes.H, blocks * sizes.H
        shapes = {"weight_ih": (G, I), "weight_hh": (G, H), "bias_ih": (G,), "bias_hh": (G,)}
        fields = kind._fields  # type: ignore[attr-defined]
        weights = [rng.standard_normal(shapes.get(name, (H,))) for name in fields]
        return (kind(*weights), *normal(*names)(rng, sizes))

    return with_letters(draw, "".join(["I", "H", *names]))


def with_letters(draw: Draw, letters: str) -> Draw:
    """The drawer, with the letters of the sizes that it uses, in order: messages name these alone."""
    draw.letters = [letter for letter in Sizes._fields if letter in letters]  # type: ignore[attr-defined]
    return draw


def over_time(step: Callable[..., Any], params: Any, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """The states (T, B, H) of a cell with one state: `step`, from h, over x (T, B, I)."""
    states = []
    for x_t in x:
        h = step(params, x_t, h)
        states.append(h)
    return np.stack(states)


def shape(letters: str, sizes: Sizes) -> tuple[int, ...]:
    """The shape that letters say."""
    return tuple(getattr(sizes, letter) for letter in letters)


def drawn_lengths(rng: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """Lengths (B,): the first two steps shorter than T, if T has them, the last T where there are several."""
    lengths = rng.integers(1, sizes.T + 1, sizes.B)
    lengths[-1] = sizes.T
    lengths[0] = max(1, sizes.T - 2)
    return lengths


def reordered(params: Any, order: list[int]) -> Any:
    """Params whose blocks stand in another order: block k of the result is block order[k]."""
    return type(params)(*(np.concatenate([np.split(a, len(order))[k] for k in order]) for a in params))
