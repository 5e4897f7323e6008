"""A training loop that one can read on a screen: `fit`, and below it the few things that it calls.

It knows no model and imports no torch: whatever can take a step and has a `state_dict` is trained alike.
"""

from __future__ import annotations

import copy
import csv as csv_module
import inspect
import io
import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rnnlit.tools.checkpoint import Path_, read_checkpoint, write_atomically, write_checkpoint
from rnnlit.tools.checks import check_size
from rnnlit.tools.progress import progress_bar
from rnnlit.tools.stream import Stream, check_repeatable

Row = dict[str, float]
PARTS = ("state", "best", "batches", "scheduler")  # of a checkpoint, beside its note


@dataclass
class History:
    """The rows of a training, one for each evaluation; `history["loss"]` is a column as an array (N,).

    >>> history = History("loss", "min", [{"step": 10, "loss": 0.3}, {"step": 20, "loss": 0.5}])
    >>> history["loss"].tolist(), history.step, history.best["step"], history.stale
    ([0.3, 0.5], 20, 10, 1)
    """

    metric: str
    mode: str
    rows: list[Row] = field(default_factory=list)

    def __getitem__(self, name: str) -> np.ndarray:
        return np.array([row[name] for row in self.rows])

    @property
    def step(self) -> int:
        """Steps done at the last row."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    @property
    def best(self) -> Row:
        """The first row with the best metric."""
        return (min if self.mode == "min" else max)(self.rows, key=lambda row: row[self.metric])

    @property
    def stale(self) -> int:
        """Rows since the best one."""
        return len(self.rows) - 1 - self.rows.index(self.best) if self.rows else 0


class Alone:
    """What `fit` asks of `processes`, as it is for a process that trains alone."""

    main = True  # whether this is the first process, which shows the bar

    def once(self, action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Have the first process call `action`; all wait for it, and get its result or its error."""
        return action(*arguments, **options)


def fit(
    step: Callable[[Any], Mapping[str, Any]],
    batches: Callable[[np.random.Generator], Any] | Iterable[Any],
    *,
    steps: int,
    evaluate: Callable[[], Mapping[str, Any]] | None = None,
    every: int = 100,
    patience: int | None = None,
    metric: str = "loss",
    mode: str = "min",
    checkpoint: Path_ | None = None,
    resume: bool | Literal["auto"] = False,
    csv: Path_ | None = None,
    progress: bool = True,
    state: Any = None,
    scheduler: Any = None,
    rng: np.random.Generator | None = None,
    processes: Any = None,
) -> History:
    """Call `step(batch)` until `steps` steps are done; evaluate every `every` steps and after the last.

    step        takes one step of the optimiser and returns its metrics, such as {"loss": 0.3}
    batches     a function rng -> batch, or an iterable, which is begun anew whenever it ends
    evaluate    () -> more metrics, under other names. A row of the history holds the step, the mean of each
                of the step's metrics since the row before, and these.
    patience    stop after so many rows on end without a better `metric`; `mode`, "min" or "max", says what is
                better. At the end, however it came, the state of the best row is put back. Without patience
                the last state stays.
    checkpoint  a .safetensors file, written anew at each row: always whole. An older one is replaced.
    resume      True: go on from the checkpoint, which must be there. "auto": go on from it if it is there,
                and begin anew if not, for a job that is started again and again with one command. With the
                same arguments the result is, bit for bit, that of a run without a break: arrays, rng and rows
                come back, and an iterable is drawn again up to the same place, for which it must give the
                same batches again. The generator of a DataLoader and its samplers, or the `rng` of another
                iterable, is put back to where it was at the start; nothing else may draw from it. Many
                processes have to give theirs the same seed again. `train_torch` lists all that a checkpoint
                holds, and what it can't: cuDNN's dropout between the layers of one torch.nn.LSTM.
    csv         a file that gets each row. An older one is replaced, or on resume cut back to the checkpoint.
    progress    show a bar in a terminal, or under a notebook cell that a person runs (needs tqdm)
    state       has state_dict and load_state_dict: `optim.Adam`, `optim.SGD` or `train_torch.TorchState`
    scheduler   is stepped after each row, with the row's `metric` if its `step` wants one, as that of torch's
                ReduceLROnPlateau does, and is saved in the checkpoint. One that is to be stepped with the
                optimiser belongs to `make_step`.
    rng         is passed to `batches` and saved in the checkpoint
    processes   where many processes train as one (`processes_torch.start`): all call `fit` alike, the first
                reads and writes the files, and all go by its rows

    FloatingPointError, naming the step: a metric that is not finite. ValueError, TypeError: a bad argument.
    FileNotFoundError: nothing to resume from.

    >>> w = np.zeros(2)
    >>> def step(batch):  # least squares by gradient descent
    ...     x, y = batch
    ...     error = x @ w - y
    ...     w[:] -= 0.1 * x.T @ error / len(y)
    ...     return {"loss": np.mean(error**2)}
    >>> def batches(rng):
    ...     x = rng.normal(size=(8, 2))
    ...     return x, x @ [3.0, -1.0]
    >>> history = fit(step, batches, steps=200, every=50, rng=np.random.default_rng(0))
    >>> history["step"].tolist(), w.round(2).tolist()
    ([50, 100, 150, 200], [3.0, -1.0])
    """
    _check_arguments(step, batches, steps, every, patience, mode, checkpoint, resume, state, rng)
    _check_scheduler(scheduler, step, checkpoint, state)
    processes = processes or Alone()
    processes.once(_check_files, checkpoint, csv)
    if resume == "auto":
        resume = processes.once(Path(checkpoint or "").is_file)
    setting = {"metric": metric, "mode": mode, "best state": patience is not None, "rng": _kind(rng)}
    setting["scheduler"] = None if scheduler is None else type(scheduler).__name__
    history, best, stream = History(metric, mode), {}, Stream(batches, rng)
    if checkpoint is not None and resume:
        note, last, best, drawn, rates = processes.once(read_checkpoint, checkpoint, *PARTS)
        history.rows = _check_note(note, setting, steps)
        stream.skip(history.step, drawn)
        # After the batches, which may have drawn random numbers.
        _restore(state, last, rng, note["rng"], scheduler, rates)
    # Many processes have one file, and may have batches of their own: each begins its own anew.
    alone = getattr(processes, "count", 1) == 1
    processes.once(_start_csv, csv, history.rows)
    window: list[Row] = []
    with progress_bar(steps, history.step, progress and processes.main) as bar:
        for k in range(history.step + 1, steps + 1):
            if patience is not None and not window and history.stale >= patience:
                break
            window.append(_finite(k, "step", step(next(stream))))
            bar.update()
            if k % every and k < steps:
                continue
            row = processes.once(dict, _row(k, window, evaluate, metric))  # so that all stop at the same one
            history.rows.append(row)
            window.clear()
            _advance(scheduler, row[metric])
            if patience is not None and history.stale == 0:
                best = copy.deepcopy(state.state_dict())
            processes.once(_append_csv, csv, history.rows)
            if checkpoint is not None:
                note = {"setting": setting, "rows": history.rows, "rng": rng and rng.bit_generator.state}
                drawn = stream.state_dict() if alone else {}
                rates = {} if scheduler is None else scheduler.state_dict()
                parts = (state.state_dict(), best, drawn, rates)
                processes.once(write_checkpoint, checkpoint, note, **dict(zip(PARTS, parts, strict=True)))
            bar.set_postfix({metric: f"{row[metric]:.4g}"})
    if patience is not None:
        state.load_state_dict(best)
    return history


def _check_arguments(
    step: Any,
    batches: Any,
    steps: Any,
    every: Any,
    patience: Any,
    mode: Any,
    checkpoint: Path_ | None,
    resume: bool | str,
    state: Any,
    rng: Any,
) -> None:
    for name, size in (("steps", steps), ("every", every), ("patience", 1 if patience is None else patience)):
        check_size(name, size)
    if mode not in ("min", "max"):
        raise ValueError(f'mode: expected "min" or "max", got {mode!r}')
    if not callable(step):
        raise TypeError(f"step: expected a function of a batch, got {type(step).__name__}")
    if not callable(batches) and not isinstance(batches, Iterable):
        raise TypeError(f"batches: expected a function of rng or an iterable, got {type(batches).__name__}")
    if not isinstance(rng, np.random.Generator) and (callable(batches) or rng is not None):
        raise TypeError(f"rng: expected a NumPy Generator to pass to batches, got {type(rng).__name__}")
    if resume not in (True, False, "auto"):
        raise ValueError(f'resume: expected True, False or "auto", got {resume!r}')
    if resume and checkpoint is None:
        raise ValueError("checkpoint: expected the file to resume from, got None")
    if checkpoint is not None and not callable(batches):
        check_repeatable(batches)
    for name, value in (("patience", patience), ("checkpoint", checkpoint)):
        if value is not None and not (hasattr(state, "state_dict") and hasattr(state, "load_state_dict")):
            raise TypeError(f"state: {name} needs state_dict and load_state_dict, got {type(state).__name__}")


def _check_scheduler(scheduler: Any, step: Any, checkpoint: Path_ | None, state: Any) -> None:
    names = ("step",) if checkpoint is None else ("step", "state_dict", "load_state_dict")
    missing = [] if scheduler is None else [name for name in names if not hasattr(scheduler, name)]
    if missing:
        raise TypeError(
            f"scheduler: expected one with {', '.join(names)}, got {type(scheduler).__name__} without "
            f"{', '.join(missing)}"
        )
    stepped = getattr(step, "scheduler", None)  # that of a step of `make_step`
    if stepped is None:
        return
    if stepped is scheduler:
        raise ValueError("scheduler: expected one that the step does not step itself, got that of make_step")
    if checkpoint is not None and getattr(state, "scheduler", None) is not stepped:
        raise ValueError(
            "state: expected one that holds the scheduler of the step, such as TorchState(model, optimizer, "
            f"scheduler=scheduler), got {type(state).__name__} without it"
        )


def needs_metric(scheduler: Any) -> bool:
    """Whether the scheduler's `step` has to be given a metric, as that of torch's ReduceLROnPlateau."""
    parameters = [*inspect.signature(scheduler.step).parameters.values()]
    return bool(parameters) and parameters[0].default is inspect.Parameter.empty


def _advance(scheduler: Any, metric: float) -> None:
    if scheduler is not None:
        scheduler.step(*([metric] if needs_metric(scheduler) else []))


def _check_files(checkpoint: Path_ | None, csv: Path_ | None) -> None:
    for name, path in (("checkpoint", checkpoint), ("csv", csv)):
        if path is not None and (Path(path).is_dir() or not Path(path).parent.is_dir()):
            raise ValueError(f"{name}: expected a file in a folder that exists, got {path}")


def _check_note(note: dict[str, Any], setting: dict[str, Any], steps: int) -> list[Row]:
    """The rows of a checkpoint that this run can go on from."""
    saved = {"scheduler": None} | note["setting"]  # which an older file doesn't name
    if saved != setting:
        raise ValueError(f"checkpoint: expected one written with {setting}, got {saved}")
    done = note["rows"][-1]["step"]
    if steps < done:
        raise ValueError(f"steps: expected {done} at least, which the checkpoint has done, got {steps}")
    return note["rows"]


def _restore(
    state: Any,
    saved: dict[str, Any],
    rng: np.random.Generator | None,
    saved_rng: Any,
    scheduler: Any,
    rates: dict[str, Any],
) -> None:
    state.load_state_dict(saved)
    if rng is not None:
        rng.bit_generator.state = saved_rng
    if scheduler is not None:
        scheduler.load_state_dict(rates)


def _kind(rng: np.random.Generator | None) -> str | None:
    return None if rng is None else type(rng.bit_generator).__name__


def _finite(k: int, source: str, metrics: Any) -> Row:
    if not isinstance(metrics, Mapping):
        raise TypeError(f"{source}: expected to get a dict of metrics, got {type(metrics).__name__}")
    row = {name: float(value) for name, value in metrics.items()}
    for name, number in row.items():
        if not math.isfinite(number):
            raise FloatingPointError(f"step {k}: {name} is {number}")
    return row


def _row(k: int, window: list[Row], evaluate: Callable[[], Any] | None, metric: str) -> Row:
    row: Row = {"step": k} | {name: statistics.fmean(m[name] for m in window) for name in window[0]}
    more = _finite(k, "evaluate", evaluate()) if evaluate else {}
    if len(row) + len(more) != len({"step", *window[0], *more}) or "step" in window[0]:
        raise ValueError(f"evaluate: expected names other than step and {[*window[0]]}, got {[*more]}")
    row |= more
    if metric not in row:
        raise ValueError(f"metric: expected one of {[*row]}, got {metric!r}")
    return row


def _start_csv(path: Path_ | None, rows: list[Row]) -> None:
    if path is not None:
        write_atomically(path, _csv_text(rows, 0).encode())


def _append_csv(path: Path_ | None, rows: list[Row]) -> None:
    if path is not None:
        with open(path, "a", encoding="utf-8", newline="") as file:
            file.write(_csv_text(rows, len(rows) - 1))


def _csv_text(rows: list[Row], start: int) -> str:
    """The rows from `start` on, below the header if the first is among them."""
    text = io.StringIO()
    writer = csv_module.DictWriter(text, [*rows[0]] if rows else [], lineterminator="\n")
    if rows and start == 0:
        writer.writeheader()
    writer.writerows(rows[start:])
    return text.getvalue()
