"""A whole sequence model in NumPy: a cell reads the sequence, an affine map reads the cell.

B batch, T steps, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from rnnlit.tasks.data import Utterances, minibatches
from rnnlit.tools import layers
from rnnlit.tools.optim import clip_by_norm

Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


class Params(NamedTuple):
    """Parameters of the cell and of the affine map that reads it."""

    cell: Any
    head: layers.Params


class Reader:
    """Many to one:  y = W s + b, with s the cell's last state, or the mean of its states over valid steps.

    cell: a cell's module, such as `rnnlit.lstm`. pool: "last" or "mean". loss: `mean_squared_error` or
    `softmax_cross_entropy` of `rnnlit.tools.layers`. rng draws the weights; further options go to the
    cell's `init`.
    """

    def __init__(
        self,
        cell: ModuleType,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        rng: np.random.Generator,
        pool: str = "last",
        loss: Loss = layers.mean_squared_error,
        **init: Any,
    ) -> None:
        if pool not in ("last", "mean"):
            raise ValueError(f"pool: expected 'last' or 'mean', got {pool!r}")
        self.cell, self.pool, self.loss = cell, pool, loss
        self.params = Params(
            cell.init(input_size, hidden_size, rng=rng, **init),
            layers.init(hidden_size, output_size, rng=rng, dtype=init.get("dtype", np.float32)),
        )

    def __call__(self, x: np.ndarray, lengths: Any = None) -> np.ndarray:
        """x (T, B, I), lengths (B,) for a padded batch  ->  (B, O)"""
        run = self.cell.forward(self.params.cell, x, lengths=lengths)
        return layers.affine(self.params.head, self._summary(run))

    def gradients(self, x: np.ndarray, y: np.ndarray, lengths: Any = None) -> tuple[float, Params]:
        """The loss for targets y, and its gradient for every parameter."""
        run = self.cell.forward(self.params.cell, x, lengths=lengths)
        summary = self._summary(run)
        loss, doutput = self.loss(layers.affine(self.params.head, summary), y)
        head = layers.affine_backward(self.params.head, summary, doutput)
        if self.pool == "last":
            cell = self.cell.backward(self.params.cell, run, dh_n=head.x)
        else:
            cell = self.cell.backward(
                self.params.cell, run, dh=layers.mean_pool_backward(head.x, len(x), run.lengths)
            )
        return loss, Params(cell.params, head.params)

    def _summary(self, run: Any) -> np.ndarray:
        return run.h_n if self.pool == "last" else layers.mean_pool(run.h, run.lengths)


def make_step(reader: Reader, optimiser: Any, clip: float = 1.0) -> Callable[[tuple], dict[str, float]]:
    """A step for `train.fit` on batches (x, y) or (x, y, lengths), with gradients clipped to norm `clip`."""

    def step(batch: tuple) -> dict[str, float]:
        loss, grads = reader.gradients(*batch)
        clipped, norm = clip_by_norm(grads, clip)
        optimiser.step(clipped)
        return {"loss": loss, "gradient norm": norm}

    return step


class Passes:
    """Batches (x, speaker, lengths) for `train.fit`: each time it is begun, one pass in a new order.

    noise: standard deviation of the Gaussian noise that each pass adds to x afresh, in the unit of
    x; 0 for none.
    """

    def __init__(
        self, utterances: Utterances, size: int, rng: np.random.Generator, noise: float = 0.0
    ) -> None:
        if not noise >= 0:
            raise ValueError(f"noise: expected a standard deviation of 0 or more, got {noise}")
        self.utterances, self.size, self.rng, self.noise = utterances, size, rng, noise

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for batch in minibatches(self.utterances, self.size, self.rng):
            noise = self.rng.standard_normal(batch.x.shape, dtype=batch.x.dtype) if self.noise else 0.0
            yield batch.x + self.noise * noise, batch.speaker, batch.lengths
