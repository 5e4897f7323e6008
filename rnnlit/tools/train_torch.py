"""What `rnnlit.tools.train.fit` needs of torch: a step for a model, and a state that a checkpoint can hold.

fit(make_step(model, optimizer, loss_fn), batches, steps=1000, state=TorchState(model, optimizer), ...)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from rnnlit.tools.checkpoint import check_entries, shapes


def make_step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: Callable[[torch.nn.Module, Any], torch.Tensor],
    clip: float | None = 1.0,
) -> Callable[[Any], dict[str, float]]:
    """A step for `fit`: the loss of the model, in training mode, on a batch; backward; clip; update.

    loss_fn(model, batch) gives a scalar. The metrics are `loss` and, unless clip is None, `grad_norm`, the
    norm of all gradients before it is clipped to `clip`. Where one of them isn't finite, the parameters stay
    as they are, and `fit` stops. ValueError: clip not above 0.
    """
    if clip is not None and not clip > 0:
        raise ValueError(f"clip: expected a number above 0 or None, got {clip!r}")

    def step(batch: Any) -> dict[str, float]:
        model.train()
        optimizer.zero_grad()
        loss = loss_fn(model, batch)
        loss.backward()
        metrics = {"loss": loss.item()}
        if clip is not None:
            metrics["grad_norm"] = torch.nn.utils.clip_grad_norm_(model.parameters(), clip).item()
        if all(map(math.isfinite, metrics.values())):
            optimizer.step()
        return metrics

    return step


class TorchState:
    """Model, optimiser and torch's random numbers as one flat dict of tensors and of values for JSON.

    Its keys are `model.<name>`; `optimizer.<index of the parameter>.<moment>`; `optimizer`, its class and
    groups; `rng.cpu`, `rng.cuda.<device>` where CUDA is in use, and `rng.generator` for one's own generator.
    """

    count = 1  # processes whose random numbers it holds

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator | None = None,
    ) -> None:
        self.model, self.optimizer, self.generator = model, optimizer, generator

    def state_dict(self) -> dict[str, Any]:
        """Everything by name, the tensors not copied. TypeError: an optimiser that keeps lists, as LBFGS."""
        state: dict[str, Any] = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        inner, kind = self.optimizer.state_dict(), type(self.optimizer).__name__
        for index, moments in inner["state"].items():
            for name, value in moments.items():
                if not isinstance(value, torch.Tensor | int | float | None):
                    raise TypeError(
                        f"optimizer: expected tensors and numbers in its state, got {kind} with {name}"
                    )
                state[f"optimizer.{index}.{name}"] = value
        state["optimizer"] = {"class": kind, "groups": inner["param_groups"]}
        state["rng.cpu"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            state |= {f"rng.cuda.{k}": value for k, value in enumerate(torch.cuda.get_rng_state_all())}
        if self.generator is not None:
            state["rng.generator"] = self.generator.get_state()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put a `state_dict` back. ValueError, before any change: another model, kind of optimiser, or
        number of processes.

        The random numbers of a CUDA device that isn't here are left out.
        """
        saved = state.get("optimizer")
        if saved is None:
            raise ValueError(f"state: expected that of a TorchState, got one that holds {', '.join(state)}")
        self._check(state, saved)
        self.model.load_state_dict(under("model.", state))
        moments: dict[int, dict[str, Any]] = {}
        for key, value in under("optimizer.", state).items():
            index, _, name = key.partition(".")
            # A copy, since torch would go on in the given tensor.
            moments.setdefault(int(index), {})[name] = copy.deepcopy(value)
        groups = [
            # JSON has no tuples, such as Adam's betas.
            {k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()}
            for group in saved["groups"]
        ]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        torch.set_rng_state(state["rng.cpu"])
        for device, value in under("rng.cuda.", state).items():
            if int(device) < torch.cuda.device_count():
                torch.cuda.set_rng_state(value, int(device))
        if self.generator is not None:
            self.generator.set_state(state["rng.generator"])

    def _check(self, state: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
        count = state.get("processes", 1)
        if count != self.count:
            raise ValueError(f"processes: the checkpoint is of {count}, got {self.count}")
        model = under("model.", state)
        check_entries("checkpoint of another model", shapes(self.model.state_dict()), shapes(model))
        kind = type(self.optimizer).__name__
        if saved["class"] != kind:
            raise ValueError(f"optimizer: the checkpoint is of {saved['class']}, got {kind}")
        both = self.optimizer.param_groups, saved["groups"]
        counts, expected = ([len(group["params"]) for group in groups] for groups in both)
        if counts != expected:
            raise ValueError(f"optimizer: the checkpoint has groups of {expected} parameters, got {counts}")
        if ("rng.generator" in state) != (self.generator is not None):
            has = "one" if "rng.generator" in state else "none"
            raise ValueError(f"generator: the checkpoint has {has}, got {self.generator}")


def under(prefix: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """The entries whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
