"""One training in many processes, on one machine or on many: what `fit` needs of torch.distributed.

    with start() as processes:
        model = Model().to(processes.device)                    # the same code in every process
        optimizer = torch.optim.Adam(model.parameters())
        step = processes.make_step(model, optimizer, loss_fn)
        state = processes.state(model, optimizer)
        fit(step, batches, state=state, processes=processes, steps=1000, ...)

`python script.py` trains in one process, `torchrun --nproc-per-node 2 script.py` in two, and torchrun's
`--nnodes` on many machines. All processes draw the same global batch of B rows from the same rng, and each
takes its own `rows(B)`. The result is that of one process with all B rows, up to rounding, where each row is
treated by itself: a batch norm sees the rows of its process alone, and dropout draws anew in each.

The engine is Hugging Face's Accelerate: it starts torch.distributed (gloo on CPUs, NCCL on GPUs), picks the
device and wraps the model in DistributedDataParallel. One process alone doesn't need it.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import importlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from rnnlit.tools.train_torch import TorchState, check_step, under

Loss = Callable[[torch.nn.Module, Any], tuple[torch.Tensor, Any]]

GRACE = 30.0  # seconds that a process with an error has to end in, after its last line


@contextmanager
def start(device: str | None = None) -> Iterator[Processes]:
    """Join the processes that the launcher has started, as it says in WORLD_SIZE; without one, be alone.

    device  "cpu", "cuda", or None: a GPU for each process where there are GPUs

    An error in one process ends all: its end closes its connections, and the others, which wait for it in a
    sum, get an error in turn. A sum that it has under way in a process group of its own would hold it back at
    that end, and the others with it, for the half hour that gloo waits. So `GRACE` seconds after the last
    line of a program with an error has run, its process is over, with status 1 and a "Timeout" on stderr.

    ValueError: another device, or fewer GPUs on a machine than processes.
    ImportError: many processes without Accelerate.
    """
    if device not in (None, "cpu", "cuda"):
        raise ValueError(f'device: expected "cpu", "cuda" or None, got {device!r}')
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError('device: expected "cpu" or None where torch sees no GPU, got "cuda"')
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device)
        return
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if device == "cuda" and here > gpus:
        raise ValueError(f'device: expected "cpu" for {here} processes on a machine with {gpus} GPUs')
    accelerate = _accelerate()
    # Otherwise DistributedDataParallel sorts the gradients anew after its first step, on resume too; three
    # or more processes then add in another order, and the last bits differ. Its warning can be ignored.
    fixed = accelerate.DistributedDataParallelKwargs(find_unused_parameters=count > 2)
    # cpu in any case: without a GPU and without cpu=True, Accelerate lets each process train alone.
    engine = accelerate.Accelerator(cpu=device == "cpu", kwargs_handlers=[fixed])
    processes = Processes(engine.device, engine)
    try:
        yield processes
    except BaseException:
        # Nothing is parted from: the others may still wait for this process, and its end is what tells them.
        atexit.register(_end_soon)
        raise
    processes._leave()


class Processes:
    """All processes of a training, seen from one of them: it is number `rank` of `count`, on `device`.

    Every method but `rows` is a meeting where there are many: all processes have to call it.
    """

    def __init__(self, device: str | torch.device, engine: Any = None) -> None:
        self.device, self.engine = torch.device(device), engine
        self.rank: int = engine.process_index if engine else 0
        self.count: int = engine.num_processes if engine else 1
        self.main = self.rank == 0
        self._shared: list[torch.nn.Module] = []  # the models as the engine has wrapped them

    def rows(self, B: int) -> slice:
        """The rows of a global batch of B that are this process's; they differ by one row at most.

        ValueError, alike in all processes: fewer rows than processes.
        """
        if self.count > B:
            raise ValueError(f"B: expected {self.count} rows at least, one for each process, got {B}")
        return slice(B * self.rank // self.count, B * (self.rank + 1) // self.count)

    def once(self, action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Have the first process call `action`; all wait for it, and get its result or its error."""
        if not self.engine:
            return action(*arguments, **options)
        answer: list[Any] = [None, None]
        if self.main:
            try:
                answer[0] = action(*arguments, **options)
            except Exception as error:
                answer[1] = error
        _accelerate("utils").broadcast_object_list(answer)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def sums(self, *numbers: Any) -> list[float]:
        """Add up each number over the processes, in float64; the same bits in all of them."""
        mine = torch.stack([torch.as_tensor(n, dtype=torch.float64, device=self.device) for n in numbers])
        mine = mine.detach()
        return (self.engine.reduce(mine, "sum") if self.engine else mine).tolist()

    def _leave(self) -> None:
        """Part from the other processes; no step can be taken afterwards."""
        self._shared.clear()
        self.engine.free_memory()
        # The wrapped models have to be gone by now. If one of them is the last to hold the process group, its
        # end waits for gloo's threads and keeps Python's lock, which these may want: both would wait forever.
        gc.collect()
        self.engine.end_training()
        _accelerate("state").PartialState().destroy_process_group()

    def make_step(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: Loss,
        clip: float | None = 1.0,
        scheduler: Any = None,
    ) -> Callable[[Any], dict[str, float]]:
        """A step for `fit` on this process's part of a batch, as `train_torch.make_step` is on a whole one.

        loss_fn(model, part) gives the sum of the losses and their count, which is that of rows, of valid
        steps, or of what else the mean is over; it calls the model, as a function, once. The loss is the sum
        over all processes by the count over all, and so are the gradients: parts may be uneven.

            loss = sum_k S_k / N,  N = sum_k N_k        process k of n works on  n S_k / N,
            and DistributedDataParallel takes the mean over k

        model: on `device`, as are the optimiser's parameters. Those of the first process are given to all.
        The metrics are `loss` and, unless clip is None, `grad_norm`, the same in all processes; where one of
        them isn't finite, all parameters stay as they are. scheduler: as in `train_torch.make_step`; each
        process has its own, and all of them do the same.
        ValueError, TypeError: as there.  TypeError: a loss that is no pair.  RuntimeError: a step after
        `start` has ended, in many processes.
        """
        check_step(optimizer, clip, scheduler)
        number = len(self._shared)
        self._shared.append(self.engine.prepare_model(model) if self.engine else model)

        def step(part: Any) -> dict[str, float]:
            if number >= len(self._shared):
                raise RuntimeError("step: expected a call before the end of start(), got one after it")
            shared = self._shared[number]  # nothing that outlives this call may hold it: see _leave
            shared.train()
            optimizer.zero_grad()
            pair = loss_fn(shared, part)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(f"loss_fn: expected the sum of the losses and their count, got {pair!r}")
            total, count = self.sums(*pair)
            count = count or math.nan
            (pair[0] * self.count / count).backward()
            metrics = {"loss": total / count}
            if clip is not None:
                metrics["grad_norm"] = torch.nn.utils.clip_grad_norm_(model.parameters(), clip).item()
            if all(map(math.isfinite, metrics.values())):
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
            return metrics

        step.scheduler = scheduler  # type: ignore[attr-defined]  # for fit, as in train_torch
        return step

    def state(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator | None = None,
        scheduler: Any = None,
        **others: Any,
    ) -> TorchState:
        """A `TorchState` that holds the random numbers of all processes; the rest is the same in all.

        Random numbers are `generator` and the Generators in the model; `others` are the first process's.
        """
        return _State(self, model, optimizer, generator, scheduler, **others)


class _State(TorchState):
    """Its keys are those of a TorchState, the first process's; the others' are `process.<rank>.rng.*`."""

    def __init__(self, processes: Processes, *parts: Any, **others: Any) -> None:
        super().__init__(*parts, **others)
        self.processes, self.count = processes, processes.count

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        if self.count == 1:
            return state
        own = {name: value for name, value in state.items() if name.startswith("rng.")}
        for k, entries in enumerate(_accelerate("utils").gather_object([own])):
            state |= {f"process.{k}.{name}": value for name, value in entries.items() if k}
        return state | {"processes": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, **under(f"process.{self.processes.rank}.", state)})


def _end_soon() -> None:
    """End the process in `GRACE` seconds, by a thread without Python's lock, if it is still there."""
    if sys.__stderr__ is not None:  # without a console there is none, nor a place to write to
        faulthandler.dump_traceback_later(GRACE, exit=True, file=sys.__stderr__)


def _accelerate(module: str = "") -> Any:
    try:
        return importlib.import_module(f"accelerate.{module}".rstrip("."))
    except ImportError as error:
        raise ImportError('many processes need accelerate: pip install "rnnlit[torch]"') from error
