"""A training loop that one can read on a screen: `fit`, and below it the few things that it calls.

It knows no model and imports no torch: whatever can take a step and has a `state_dict` is trained alike.
"""

from __future__ import annotations

import copy
import csv as csv_module
import io
import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rnnlit.tools.checkpoint import Path_, read_checkpoint, write_atomically, write_checkpoint
from rnnlit.tools.checks import check_size
from rnnlit.tools.progress import progress_bar

Row = dict[str, float]


@dataclass
class History:
    """The rows of a training, one for each evaluation; `history["loss"]` is a column as an array (N,)."""

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
    resume: bool = False,
    csv: Path_ | None = None,
    progress: bool = True,
    state: Any = None,
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
    resume      go on from the checkpoint. With the same arguments the result is, bit for bit, that of a run
                without a break: arrays, rng and rows come back, and an iterable is drawn again up to the same
                place, for which it must give the same batches again.
    csv         a file that gets each row. An older one is replaced, or on resume cut back to the checkpoint.
    progress    show a bar in a terminal, or under a notebook cell that a person runs (needs tqdm)
    state       has state_dict and load_state_dict: `optim.Adam`, `optim.SGD` or `train_torch.TorchState`
    rng         is passed to `batches` and saved in the checkpoint
    processes   where many processes train as one (`processes_torch.start`): all call `fit` alike, the first
                reads and writes the files, and all go by its rows

    FloatingPointError, naming the step: a metric that is not finite. ValueError, TypeError: at the door.
    FileNotFoundError: nothing to resume from.
    """
    _check_arguments(step, batches, steps, every, patience, mode, checkpoint, resume, state, rng)
    processes = processes or Alone()
    processes.once(_check_files, checkpoint, csv)
    setting = {"metric": metric, "mode": mode, "best state": patience is not None, "rng": _kind(rng)}
    history, best = History(metric, mode), {}
    if checkpoint is not None and resume:
        note, last, best = processes.once(read_checkpoint, checkpoint, "state", "best")
        history.rows = _check_note(note, setting, steps)
    stream = _stream(batches, rng, skip=history.step)
    if resume:
        _restore(state, last, rng, note["rng"])  # after the batches, which may have drawn random numbers
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
            if patience is not None and history.stale == 0:
                best = copy.deepcopy(state.state_dict())
            processes.once(_append_csv, csv, history.rows)
            if checkpoint is not None:
                note = {"setting": setting, "rows": history.rows, "rng": rng and rng.bit_generator.state}
                processes.once(write_checkpoint, checkpoint, note, state=state.state_dict(), best=best)
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
    resume: bool,
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
    if resume and checkpoint is None:
        raise ValueError("checkpoint: expected the file to resume from, got None")
    for name, value in (("patience", patience), ("checkpoint", checkpoint)):
        if value is not None and not (hasattr(state, "state_dict") and hasattr(state, "load_state_dict")):
            raise TypeError(f"state: {name} needs state_dict and load_state_dict, got {type(state).__name__}")


def _check_files(checkpoint: Path_ | None, csv: Path_ | None) -> None:
    for name, path in (("checkpoint", checkpoint), ("csv", csv)):
        if path is not None and (Path(path).is_dir() or not Path(path).parent.is_dir()):
            raise ValueError(f"{name}: expected a file in a folder that exists, got {path}")


def _check_note(note: dict[str, Any], setting: dict[str, Any], steps: int) -> list[Row]:
    """The rows of a checkpoint that this run can go on from."""
    if note["setting"] != setting:
        raise ValueError(f"checkpoint: expected one written with {setting}, got {note['setting']}")
    done = note["rows"][-1]["step"]
    if steps < done:
        raise ValueError(f"steps: expected {done} at least, which the checkpoint has done, got {steps}")
    return note["rows"]


def _restore(state: Any, saved: dict[str, Any], rng: np.random.Generator | None, saved_rng: Any) -> None:
    state.load_state_dict(saved)
    if rng is not None:
        rng.bit_generator.state = saved_rng


def _kind(rng: np.random.Generator | None) -> str | None:
    return None if rng is None else type(rng.bit_generator).__name__


def _stream(batches: Any, rng: np.random.Generator | None, skip: int) -> Iterator[Any]:
    """Batches without end. Of an iterable the first `skip` are drawn here and now, and dropped."""
    if callable(batches):
        return (batches(rng) for _ in itertools.count())
    stream = _cycle(batches)
    for _ in range(skip):
        next(stream)
    return stream


def _cycle(batches: Iterable[Any]) -> Iterator[Any]:
    for turn in itertools.count(1):
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ValueError(
                f"batches: expected an iterable that can be begun anew, got nothing in turn {turn}"
            )


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
