"""What `rnnlit.tools.train.fit` needs of torch: a step for a model, and a state that a checkpoint can hold.

fit(make_step(model, optimizer, loss_fn), batches, steps=1000, state=TorchState(model, optimizer), ...)

What a step may change, and how a checkpoint holds it:

    ====================================  ================================================================
    parameters and buffers of the model   TorchState(model, ...)
    moments, rates, groups                TorchState(..., optimizer)
    a scheduler that `make_step` steps    make_step(..., scheduler=s) and TorchState(..., scheduler=s)
    a scheduler that `fit` steps          fit(..., scheduler=s), which saves it
    torch's random numbers, CPU and CUDA  TorchState
    the global ones of Python and NumPy   TorchState, once something has drawn from them since it was made
    a Generator that a module holds       TorchState, which looks for it in the attributes of each module
    one more Generator                    TorchState(..., generator=g), or by a name of its own: noise=g
    a GradScaler, averaged weights, ...   TorchState(..., scaler=scaler, ema=ema): by a name of its own,
                                          what has state_dict and load_state_dict
    the rng of the batches                fit(..., rng=rng)
    place and order of an iterable        fit draws it again up to the same place; generators of a
                                          DataLoader and its samplers are put back to their start before
    rows, best row, patience              fit
    random numbers of other devices       nothing, nor Python objects that a loss or `evaluate` changes
    cuDNN's dropout                       nothing: see below
    ====================================  ================================================================

On a GPU, dropout= between the layers of a torch.nn.LSTM, GRU or RNN, and in their plain call those of
`rnnlit.nn` too, is drawn by cuDNN. Its random numbers are kept inside of torch, which draws a new seed for
them from its CUDA generator once that has been set, as resuming does (pytorch/pytorch issue 74177). A resumed
run then has other masks than a run without a break. torch.nn.Dropout between two layers resumes bit for bit,
and so does `rnnlit.nn` with a Generator: layer(x, generator=g).
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from rnnlit.tools.checkpoint import check_entries, shapes
from rnnlit.tools.train import needs_metric


def make_step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: Callable[[torch.nn.Module, Any], torch.Tensor],
    clip: float | None = 1.0,
    scheduler: Any = None,
) -> Callable[[Any], dict[str, float]]:
    """A step for `fit`: the loss of the model, in training mode, on a batch; backward; clip; update.

    loss_fn(model, batch) gives a scalar. The metrics are `loss` and, unless clip is None, `grad_norm`, the
    norm of all gradients before it is clipped to `clip`. Where one of them isn't finite, the parameters stay
    as they are, and `fit` stops.

    scheduler: is stepped after each step of the optimiser, so its "epochs" are steps. A checkpoint needs it
    in its state too: TorchState(model, optimizer, scheduler=scheduler).

    ValueError: clip not above 0; a scheduler of another optimiser, or one that needs a metric, as
    ReduceLROnPlateau does: that is for `fit`.  TypeError: no scheduler.

    >>> model = torch.nn.Linear(3, 2)
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> step = make_step(model, optimizer, lambda model, batch: model(batch).square().mean())
    >>> sorted(step(torch.randn(4, 3)))
    ['grad_norm', 'loss']
    """
    check_step(optimizer, clip, scheduler)

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
            if scheduler is not None:
                scheduler.step()
        return metrics

    step.scheduler = scheduler  # type: ignore[attr-defined]  # for fit, which asks whether the state holds it
    return step


def check_step(optimizer: torch.optim.Optimizer, clip: float | None, scheduler: Any) -> None:
    """The checks of `make_step`, which names what is raised."""
    if clip is not None and not clip > 0:
        raise ValueError(f"clip: expected a number above 0 or None, got {clip!r}")
    check_scheduler(optimizer, scheduler)
    if scheduler is not None and needs_metric(scheduler):
        kind = type(scheduler).__name__
        raise ValueError(
            f"scheduler: expected one that is stepped without a metric, got {kind}; fit(..., scheduler=...) "
            "steps it after each row, with the metric of the row"
        )


def check_scheduler(optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
    """TypeError: no scheduler.  ValueError: one of another optimiser."""
    if scheduler is None:
        return
    if not all(hasattr(scheduler, name) for name in ("step", "state_dict", "load_state_dict")):
        raise TypeError(
            "scheduler: expected one of torch.optim.lr_scheduler, or what has step, state_dict and "
            f"load_state_dict, got {type(scheduler).__name__}"
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError(
            f"scheduler: expected one of the given optimizer, got {type(scheduler).__name__} of another"
        )


class TorchState:
    """Model, optimiser, scheduler and random numbers as one flat dict of tensors and of values.

    scheduler  the one that `make_step` steps
    generator  a torch.Generator of one's own
    others     by name, whatever else a step changes and has state_dict and load_state_dict, such as a
               GradScaler or averaged weights; or more Generators

    Its keys are `model.<name>`; `optimizer.<index of the parameter>.<moment>`; `optimizer`, its class and
    groups; `scheduler`, its class and state; `other.<name>`; and for random numbers `rng.cpu`,
    `rng.cuda.<device>` where CUDA is in use, `rng.python` and `rng.numpy` where these have changed,
    `rng.generator`, and `rng.model.<module>.<attribute>` for a Generator that a module of the model holds.

    TypeError, ValueError: what is no scheduler, or that of another optimiser; another that has no state.

    >>> model = torch.nn.Linear(3, 2)
    >>> state = TorchState(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> sorted(name for name in state.state_dict() if name.startswith("model."))
    ['model.bias', 'model.weight']
    """

    count = 1  # processes whose random numbers it holds

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator | None = None,
        scheduler: Any = None,
        **others: Any,
    ) -> None:
        check_scheduler(optimizer, scheduler)
        for name, other in others.items():
            if not isinstance(other, torch.Generator) and not (
                hasattr(other, "state_dict") and hasattr(other, "load_state_dict")
            ):
                raise TypeError(
                    f"{name}: expected a Generator, or what has state_dict and load_state_dict, got "
                    f"{type(other).__name__}"
                )
        self.model, self.optimizer, self.generator = model, optimizer, generator
        self.scheduler, self.others = scheduler, others
        # They begin anywhere, so what nobody draws from is left out: equal runs then have equal files.
        self._untouched = _numbers_of_python()

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
        if self.scheduler is not None:
            kind = type(self.scheduler).__name__
            state["scheduler"] = {"class": kind, "state": dict(self.scheduler.state_dict())}
        for name, other in self.others.items():
            one = isinstance(other, torch.Generator)
            state[f"other.{name}"] = other.get_state() if one else dict(other.state_dict())
        state["rng.cpu"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            state |= {f"rng.cuda.{k}": value for k, value in enumerate(torch.cuda.get_rng_state_all())}
        numbers = _numbers_of_python().items()
        state |= {name: value for name, value in numbers if value != self._untouched[name]}
        return state | {f"rng.{name}": g.get_state() for name, g in self._generators().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put a `state_dict` back. ValueError, before any change: another model, kind of optimiser or
        scheduler, other names, or another number of processes.

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
            # Older files have lists where torch has tuples, such as Adam's betas.
            {k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()}
            for group in copy.deepcopy(saved["groups"])
        ]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if self.scheduler is not None:
            self.scheduler.load_state_dict(copy.deepcopy(state["scheduler"]["state"]))
        for name, other in self.others.items():
            value = copy.deepcopy(state[f"other.{name}"])
            other.set_state(value) if isinstance(other, torch.Generator) else other.load_state_dict(value)
        _set_random_numbers(state)
        for name, generator in self._generators().items():
            generator.set_state(state[f"rng.{name}"])

    def _generators(self) -> dict[str, torch.Generator]:
        """One's own Generator, and those that modules of the model hold as attributes."""
        found = {} if self.generator is None else {"generator": self.generator}
        for path, module in self.model.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, torch.Generator) and value is not self.generator:
                    found["model." + f"{path}.{name}".lstrip(".")] = value
        return found

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
        scheduler = None if self.scheduler is None else type(self.scheduler).__name__
        stepped = state.get("scheduler", {}).get("class")
        if stepped != scheduler:
            raise ValueError(f"scheduler: the checkpoint has {stepped or 'none'}, got {scheduler or 'none'}")
        if ("rng.generator" in state) != (self.generator is not None):
            has = "one" if "rng.generator" in state else "none"
            raise ValueError(f"generator: the checkpoint has {has}, got {self.generator}")
        held = {name for name in self._generators() if name != "generator"}
        for what, names, given in (
            ("others", {*under("other.", state)}, {*self.others}),
            ("generators of the model", {f"model.{name}" for name in under("rng.model.", state)}, held),
        ):
            if names != given:
                one, two = (", ".join(sorted(n)) or "none" for n in (names, given))
                raise ValueError(f"{what}: the checkpoint has {one}, got {two}")


def _numbers_of_python() -> dict[str, Any]:
    """The states of the global random numbers of Python and NumPy."""
    numbers = np.random.get_state(legacy=False)  # noqa: NPY002 - where a loss draws from them, they are state
    return {"rng.python": random.getstate(), "rng.numpy": _listed(numbers)}


def _listed(value: Any) -> Any:
    """Lists for arrays, so that states can be compared."""
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _set_random_numbers(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["rng.cpu"])
    for device, value in under("rng.cuda.", state).items():
        if int(device) < torch.cuda.device_count():
            torch.cuda.set_rng_state(value, int(device))
    if "rng.python" in state:
        random.setstate(state["rng.python"])
    if "rng.numpy" in state:
        np.random.set_state(state["rng.numpy"])  # noqa: NPY002 - as above


def under(prefix: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """The entries whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Within the `with` block dropout is off and no gradient is kept; then each part has its mode back."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True
