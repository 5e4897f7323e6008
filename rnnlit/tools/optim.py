"""Optimisers for the NumPy half: `SGD`, `Adam` and `clip_by_norm`, with torch's mathematics.

Parameters and gradients are arrays in a NamedTuple, dict, list or tuple, nested as one likes. `named_arrays`
gives each a dotted name, as in torch's `state_dict`. An optimiser changes the parameter arrays in place, so
whoever holds them sees the change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from rnnlit.tools.checkpoint import check_entries, shapes


def named_arrays(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays of a nested structure by dotted name: `{"lstm": Params}` gives `lstm.weight_ih` and so on.

    TypeError, with the name: a leaf that is no array.
    """
    arrays: dict[str, np.ndarray] = {}
    for key, value in _items(tree, prefix or "arrays"):
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, np.ndarray):
            arrays[name] = value
        else:
            arrays |= named_arrays(value, name)
    return arrays


def clip_by_norm(grads: Any, max_norm: float) -> tuple[Any, float]:
    """Scale all gradients by min(1, max_norm / (norm + 1e-6)); return them and the norm that they had before.

    The norm is that of all gradients taken as one vector (Pascanu et al. 2013, algorithm 1), and the 1e-6 is
    that of `torch.nn.utils.clip_grad_norm_`. Gradients of any finite size are clipped: squares that overflow
    float32 are summed again in float64. The given arrays stay as they are: the result has the same structure,
    and new arrays where anything was scaled.

    FloatingPointError: a norm that is not finite, where torch would go on with NaN.
    ValueError: max_norm not above 0.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm: expected a number above 0, got {max_norm!r}")
    arrays = named_arrays(grads).values()
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in arrays))
    if not math.isfinite(norm):  # squares overflow in float32 from 1e19 on
        norm = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in arrays))
    if not math.isfinite(norm):
        raise FloatingPointError(f"the norm of the gradients is {norm}")
    scale = max_norm / (norm + 1e-6)
    return (grads if scale >= 1 else _map(lambda g: g * scale, grads)), norm


class _Optimizer:
    """What SGD and Adam share. Gradient and moments are flat vectors: one call serves all parameters."""

    moments: tuple[str, ...] = ()

    def __init__(self, params: Any, lr: float) -> None:
        self.params = named_arrays(params)
        if not self.params:
            raise ValueError("params: expected at least one array, got none")
        for name, p in self.params.items():
            if p.dtype not in (np.float32, np.float64) or p.dtype != next(iter(self.params.values())).dtype:
                raise TypeError(f"params: expected float32 or float64, one for all, got {p.dtype} for {name}")
            if not p.flags.writeable:
                raise ValueError(f"params: {name} is read-only, but is to be changed in place")
        self.lr = _number("lr", lr)
        self.steps = 0
        self._shapes = shapes(self.params)
        # By role, and then for the views by name. "grad" and "update" are scratch.
        self._vectors: dict[str, np.ndarray] = {}
        self._views: dict[str, dict[str, np.ndarray]] = {}
        for role in ("grad", "update", *self.moments):
            self._vectors[role], self._views[role] = self._zeros()

    def step(self, grads: Any) -> None:
        """Take one step down the gradients, which have the names and shapes of the parameters."""
        named = named_arrays(grads)
        check_entries("grads", self._shapes, shapes(named))
        for name, view in self._views["grad"].items():
            view[...] = named[name]
        self.steps += 1
        self._compute_update()
        for p, update in zip(self.params.values(), self._views["update"].values(), strict=True):
            p -= update

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the parameters, the moments, the count of steps and the rate, by name."""
        state = {f"params.{name}": p.copy() for name, p in self.params.items()}
        for role in self.moments:
            state |= {f"{role}.{name}": view.copy() for name, view in self._views[role].items()}
        return {**state, "steps": np.array(self.steps), "lr": np.array(self.lr)}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Put a `state_dict` back, in place. ValueError, before any change: another model's or class's.

        One without a rate, as they were written once, leaves the rate as it is.
        """
        state = {"lr": np.array(self.lr), **state}
        check_entries(f"state of {type(self).__name__}", shapes(self.state_dict()), shapes(state))
        for name, p in self.params.items():
            p[...] = state[f"params.{name}"]
            for role in self.moments:
                self._views[role][name][...] = state[f"{role}.{name}"]
        self.steps, self.lr = int(state["steps"]), float(state["lr"])

    def _compute_update(self) -> None:
        """Fill the vector "update", which is subtracted from the parameters, from "grad" and the moments."""
        raise NotImplementedError

    def _zeros(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """A vector as long as all parameters together, and views of it with their names and shapes."""
        ends = np.cumsum([p.size for p in self.params.values()])
        vector = np.zeros(ends[-1], next(iter(self.params.values())).dtype)
        pieces = zip(self._shapes.items(), np.split(vector, ends[:-1]), strict=True)
        return vector, {name: piece.reshape(shape) for (name, shape), piece in pieces}


class SGD(_Optimizer):
    """Stochastic gradient descent, as `torch.optim.SGD`:   b <- momentum b + g,   p <- p - lr b"""

    moments = ("momentum_buffer",)

    def __init__(self, params: Any, lr: float, momentum: float = 0.0) -> None:
        super().__init__(params, lr)
        self.momentum = _number("momentum", momentum, below=1)

    def _compute_update(self) -> None:
        b = self._vectors["momentum_buffer"]
        b *= self.momentum
        b += self._vectors["grad"]
        np.multiply(b, self.lr, out=self._vectors["update"])


class Adam(_Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), as `torch.optim.Adam`, with n counting the steps from 1:

    g <- g + weight_decay p,   m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g²,
    p <- p - lr m/(1 - b1^n) / (sqrt(v/(1 - b2^n)) + eps)
    """

    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr)
        self.betas = _number("betas[0]", betas[0], below=1), _number("betas[1]", betas[1], below=1)
        self.eps = _number("eps", eps)
        self.weight_decay = _number("weight_decay", weight_decay)

    def _compute_update(self) -> None:
        g, u, m, v = (self._vectors[role] for role in ("grad", "update", *self.moments))
        b1, b2 = self.betas
        if self.weight_decay:
            for p, view in zip(self.params.values(), self._views["grad"].values(), strict=True):
                view += self.weight_decay * p
        m *= b1
        m += np.multiply(g, 1 - b1, out=u)
        v *= b2
        np.multiply(g, g, out=u)
        v += np.multiply(u, 1 - b2, out=u)
        np.sqrt(v, out=u)
        u /= math.sqrt(1 - b2**self.steps)
        u += self.eps
        np.divide(m, u, out=u)
        u *= self.lr / (1 - b1**self.steps)


def _items(tree: Any, name: str) -> Iterable[tuple[Any, Any]]:
    if isinstance(tree, Mapping):
        return tree.items()
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return zip(tree._fields, tree, strict=True)
    if isinstance(tree, list | tuple):
        return enumerate(tree)
    raise TypeError(
        f"{name}: expected arrays in a NamedTuple, dict, list or tuple, got {type(tree).__name__}"
    )


def _map(function: Callable[[np.ndarray], np.ndarray], tree: Any) -> Any:
    if isinstance(tree, np.ndarray):
        return function(tree)
    if isinstance(tree, Mapping):
        return {name: _map(function, value) for name, value in tree.items()}
    values = [_map(function, value) for value in tree]
    return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)


def _number(name: str, value: float, below: float = math.inf) -> float:
    if not 0 <= value < below:
        raise ValueError(f"{name}: expected 0 <= {name} < {below}, got {value!r}")
    return float(value)
