"""Learning to execute: a network reads a program, character by character, and writes what it prints.

    python -m rnnlit.practice.execution --curriculum combined --checkpoint run.safetensors --resume auto
    python -m rnnlit.practice.execution --task sums --length 9 --curriculum combined

One LSTM of two layers reads the program and "@", and goes on with the answer, as Zaremba & Sutskever (2014)
built it. The four curricula are theirs: the target's difficulty from the start (`baseline`), from easy to
hard (`naive`), all difficulties at once (`mix`), and each program by one of the last two (`combined`).
Afterwards programs of the test part are answered, and three shares are counted:

    teacher  right characters, each with the true ones before it: what the authors' code counts
    free     right characters, each with the network's own ones before it
    exact    answers that are right from the first character to the stop: the same number either way

T characters, B programs, H units.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnlit import search
from rnnlit.nn import LSTM
from rnnlit.practice import records, stored
from rnnlit.practice.options import add_run, parsed
from rnnlit.tasks import programs
from rnnlit.tasks.programs import ALPHABET, FORMS, IGNORE, KINDS, OUTPUT, Batch, Die, Program
from rnnlit.tools.checkpoint import write_atomically
from rnnlit.tools.train import fit
from rnnlit.tools.train_torch import TorchState, evaluating, make_step

CURRICULA = ("baseline", "naive", "mix", "combined")
GOOD, PATIENCE, REACHED, DOWN = 0.95, 5, 0.7, 0.75  # see Curriculum and Clock
SHIPPED = "mix"  # the curriculum whose network of seed 0 comes with the package
Level = tuple[int, int]  # length and nesting


class Executor(torch.nn.Module):
    """An LSTM that reads characters, (T, B) -> (T, B, 12): what the next one of an answer may be."""

    def __init__(self, hidden: int, layers: int = 2, embedding: int = 64) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(len(ALPHABET), embedding)
        self.lstm = LSTM(embedding, hidden, num_layers=layers, forget_bias=1.0)
        self.output = torch.nn.Linear(hidden, len(OUTPUT))

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.lstm(self.embed(x))  # (T, B, H)
        return self.output(states)

    def log_probabilities(self, last: Any, state: Any) -> tuple[np.ndarray, Any]:
        """`step` for `rnnlit.search`: log p (B, signs of ALPHABET) after the characters `last` (B,)."""
        x = torch.as_tensor(last, device=self.output.weight.device)
        states, state = self.lstm(self.embed(x[None]), state)
        logs = np.full((len(x), len(ALPHABET)), -np.inf)
        logs[:, 1 : len(OUTPUT) + 1] = self.output(states[0]).double().log_softmax(-1).cpu().numpy()
        return logs, state


def loss_fn(model: torch.nn.Module, batch: Batch) -> Tensor:
    """The mean cross-entropy of a character of the answers, in nats."""
    x, write = (torch.from_numpy(part).to(next(model.parameters()).device) for part in batch)
    return cross_entropy(model(x).flatten(0, 1), write.flatten(), ignore_index=IGNORE)


class Curriculum:
    """Which difficulties to train on, and when to go on to the next.

    The difficulties are (1, 1), (2, 1) .. (length, 1), (1, 2) .. (length, nesting). `naive` and `combined` go
    on to the next one when the accuracy is above 0.95, or has not become better in five reports, and at the
    latest so that the last one is reached after 70 % of the training. In the paper there is no such end.
    """

    def __init__(self, name: str, length: int, nesting: int) -> None:
        if name not in CURRICULA:
            raise ValueError(f"curriculum: expected one of {', '.join(CURRICULA)}, got {name!r}")
        self.name = name
        self.levels = [(one, two) for two in range(1, nesting + 1) for one in range(1, length + 1)]
        self.at, self.best, self.stale = 0, 0.0, 0

    def draw(self, size: int, roll: programs.Roll) -> list[Level]:
        """The difficulties of the next programs."""
        if self.name == "baseline":
            return [self.levels[-1]] * size
        if self.name == "naive":
            return [self.levels[self.at]] * size
        chosen = [self.levels[roll(len(self.levels))] for _ in range(size)]
        if self.name == "combined":  # one in five of all, as in the authors' code
            now = self.levels[self.at]
            chosen = [one if roll(5) == 0 else now for one in chosen]
        return chosen

    def report(self, accuracy: float, progress: float) -> None:
        """Take the accuracy at the present difficulty, and what part is done."""
        self.stale += 1
        if accuracy > self.best:
            self.best, self.stale = accuracy, 0
        last = len(self.levels) - 1
        due = min(last, int(progress / REACHED * last + 1e-9))
        if accuracy > GOOD or self.stale >= PATIENCE:
            due = max(due, min(last, self.at + 1))
        if due > self.at:
            self.at, self.best, self.stale = due, 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"at": self.at, "best": self.best, "stale": self.stale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        vars(self).update(state)


# ---- answers and how many are right ------------------------------------------------------------------------


def teacher_forced(model: Executor, some: Sequence[Program], form: str = "plain") -> tuple[float, float]:
    """The shares of right characters and of right answers, each character with the true ones before it."""
    right = asked = whole = 0
    with evaluating(model):
        for k in range(0, len(some), 500):
            batch = programs.encode(some[k : k + 500], form)
            x = torch.from_numpy(batch.x).to(model.output.weight.device)
            hits, is_asked = model(x).argmax(-1).cpu().numpy() == batch.write, batch.write != IGNORE
            right, asked = right + int(hits.sum()), asked + int(is_asked.sum())
            whole += int((hits | ~is_asked).all(axis=0).sum())
    return right / asked, whole / len(some)


def answers(model: Executor, texts: Sequence[str], form: str = "plain", longest: int = 12) -> list[str]:
    """What the network writes, free running: each character with its own ones before it, up to the stop.

    What has no stop after `longest` characters is cut off there.
    """
    found = []
    with evaluating(model):
        for k in range(0, len(texts), 500):
            read = [programs.shown(text, form) for text in texts[k : k + 500]]
            x = torch.from_numpy(programs.numbers(read)).to(model.output.weight.device)
            _, state = model.lstm(model.embed(x), lengths=torch.tensor([len(text) for text in read]))
            start, stop = np.full(len(read), ALPHABET.index("@")), ALPHABET.index(".")
            for one in search.greedy(model.log_probabilities, state, start, stop, longest):
                found.append("".join(ALPHABET[sign] for sign in one.tokens))
    return found


def free_running(found: Sequence[str], some: Sequence[Program]) -> tuple[float, float]:
    """The shares of right characters, place by place with the stop, and of right answers."""
    right = asked = whole = 0
    for text, program in zip(found, some, strict=True):
        true = program.answer + "."
        right += sum(a == b for a, b in zip(text + ".", true, strict=False))
        asked, whole = asked + len(true), whole + (text == program.answer)
    return right / asked, whole / len(some)


@cache
def held_out(task: str, level: Level, count: int, part: str = "test", kind: str = "") -> tuple[Program, ...]:
    """Programs of one difficulty, the same ones always; of one kind of operation, if that is named."""
    options = {"kinds": (kind,)} if kind else {}
    rng = np.random.default_rng([*map(ord, task + part + kind), *level])
    return tuple(programs.draw_many(task, [level] * count, part, rng, **options))


# ---- training ----------------------------------------------------------------------------------------------


class OutOfTime(Exception):
    """The limit of seconds has been reached."""


class Clock:
    """What part of the training is done: of its steps, or of its seconds where these are scarcer."""

    def __init__(self, steps: int, limit: float | None = None) -> None:
        self.steps, self.limit, self.begin = steps, limit, time.perf_counter()

    def progress(self, step: int) -> float:
        """From 0 to 1."""
        gone = (time.perf_counter() - self.begin) / self.limit if self.limit else 0.0
        return min(1.0, max(step / self.steps, gone))

    def rate(self, step: int) -> float:
        """A factor of the learning rate: up in 100 steps, then 1, and down to 0 in the last quarter.

        The last difficulty is reached before it goes down.
        """
        return min(1.0, (step + 1) / 100, (1 - self.progress(step)) / (1 - DOWN))


def train(options: argparse.Namespace) -> tuple[Executor, list[dict[str, float]], int]:
    """Train as the options say. Returns the model, a row for each evaluation, and the steps done."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    model = Executor(options.hidden, options.layers).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    clock, rows = Clock(options.steps, options.limit), []
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, clock.rate)
    curriculum = Curriculum(options.curriculum, options.length, options.nesting)

    def draw(rng: np.random.Generator) -> Batch:
        levels = curriculum.draw(options.batch, Die(rng))
        return programs.encode(programs.draw_many(options.task, levels, "train", rng), options.form)

    def evaluate() -> dict[str, float]:
        at, last = curriculum.levels[curriculum.at], curriculum.levels[-1]
        now, _ = teacher_forced(model, held_out(options.task, at, 300, "validation"), options.form)
        teacher, exact = teacher_forced(model, held_out(options.task, last, 500, "validation"), options.form)
        progress = clock.progress(scheduler.last_epoch)
        curriculum.report(now, progress)
        row = {"length": at[0], "nesting": at[1], "now": now, "teacher": teacher, "exact": exact}
        rows.append({"step": scheduler.last_epoch} | row)
        if progress == 1 and scheduler.last_epoch < options.steps:
            raise OutOfTime
        return row

    try:
        history = fit(
            make_step(model, optimizer, loss_fn, scheduler=scheduler),
            draw,
            steps=options.steps,
            every=options.every,
            evaluate=evaluate,
            checkpoint=options.checkpoint,
            resume=options.resume,
            csv=options.csv,
            state=TorchState(model, optimizer, scheduler=scheduler, curriculum=curriculum),
            rng=rng,
        )
    except OutOfTime:
        return model, rows, int(rows[-1]["step"])
    return model, history.rows, history.step


def scores(model: Executor, options: argparse.Namespace) -> dict[str, Any]:
    """All shares on the test programs, in percent: of the target, of each difficulty, of each operation."""
    task, target = options.task, (options.length, options.nesting)
    some = held_out(task, target, options.test)
    teacher, exact = teacher_forced(model, some, options.form)
    longest = max(len(one.answer) for one in some) + 3
    free, also = free_running(answers(model, [one.text for one in some], options.form, longest), some)
    found: dict[str, Any] = {
        "programs": len(some),
        "teacher": _percent(teacher),
        "free": _percent(free),
        "exact": _percent(also),
        "exact_forced": _percent(exact),  # the same, but for ties of rounding
    }
    levels = Curriculum("mix", *target).levels
    few = max(1, options.test // 4)
    grid = {level: teacher_forced(model, held_out(task, level, few), options.form) for level in levels}
    found["grid"] = [[*level, *map(_percent, pair)] for level, pair in grid.items()]
    if task == "programs":
        of_kind = {one: held_out(task, (target[0], 1), few, kind=one) for one in KINDS}
        found["kinds"] = {
            one: [_percent(share) for share in teacher_forced(model, some, options.form)]
            for one, some in of_kind.items()
        }
    return found


def _percent(share: float) -> float:
    return round(100 * share, 2)


# ---- weights, and the answer for a user --------------------------------------------------------------------


def load(path: Path, device: str = "cpu") -> Executor:
    """A model that `--export` has written, in float32, ready to read."""
    return stored.load(path, Executor, device)


@cache
def shipped(task: str = "programs") -> Executor:
    """The model that comes with the package: of "programs" or of "sums"."""
    name = {"programs": "execution", "sums": "execution_sums"}[task]
    return load(stored.HERE / f"{name}.safetensors")


class Executed(NamedTuple):
    """What `execute` gives."""

    guess: str  # what the network has written; not always a number, and often wrong
    answer: int  # what the program prints


def execute(program: str, task: str = "programs") -> Executed:
    """A network's guess of what a program prints, and beside it what it does print.

    The guess is that of a small LSTM that was trained on programs such as the examples in
    `rnnlit.tasks.programs`; it computes nothing else. The answer is worked out by a reader of the grammar.
    task: "programs", or "sums" for the network that has learned to add alone: print(12+34).

    TypeError: no string.  ValueError: a program that is not of the grammar, with the place; for "sums" one
    that is no sum; an unknown task.
    """
    if task not in ("programs", "sums"):
        raise ValueError(f"task: expected programs or sums, got {task!r}")
    true = programs.answer(program)
    text = program.removesuffix("\n")
    if task == "sums" and not programs.SUM.fullmatch(text):
        raise ValueError(f"sums: expected print(a+b), got {text!r}")
    (guess,) = answers(shipped(task), [text])
    return Executed(guess, true)


# ---- beside others -----------------------------------------------------------------------------------------


def runs(task: str, **chosen: Any) -> list[dict[str, Any]]:
    """The recorded full runs of a task that have these options: runs("programs", curriculum="mix")."""
    wanted = {"task": task} | chosen
    found = records.load("execution")["runs"]
    return [run for run in found if all(run[name] == value for name, value in wanted.items())]


def beside() -> list[records.Beside]:
    """Our results beside published ones."""
    (nine,) = runs("sums", length=9)
    (three,) = runs("sums", length=3, layers=2)
    return [
        records.Beside(
            "adding two 9-digit numbers, right characters, %",
            f"{nine['test']['teacher']:.1f} ({nine['test']['exact']:.1f} of answers)",
            "99",
            "zaremba2014learning",
            "both with the true characters before, if theirs is counted as in its authors' code; "
            f"theirs 2 x 400 units, ours 2 x {nine['hidden']}, {nine['steps']} steps",
        ),
        records.Beside(
            "adding two 3-digit numbers, right answers, %",
            f"{three['test']['exact']:.1f}",
            "99",
            "smerity2015addition",
            "theirs characters, not answers, of an encoder and decoder that read the sum from its end; ours "
            "free running, of sums that were never trained on",
        ),
    ]


# ---- the command line --------------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. SystemExit: what argparse refuses, and --resume without --checkpoint."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--task", choices=list(programs.TASKS), default="programs")
    parser.add_argument("--curriculum", choices=CURRICULA, default="combined", help="(combined)")
    parser.add_argument("--length", type=int, default=3, help="digits of the numbers at most (3)")
    parser.add_argument("--nesting", type=int, default=1, help="operations in a program at most (1)")
    parser.add_argument("--form", choices=FORMS, default="plain", help="how a program is shown (plain)")
    parser.add_argument("--hidden", type=int, default=128, help="units of each layer (128)")
    parser.add_argument("--layers", type=int, default=2, help="of the LSTM (2)")
    parser.add_argument("--steps", type=int, default=4000, help="of the optimiser (4000)")
    parser.add_argument("--batch", type=int, default=128, help="programs a step (128)")
    parser.add_argument("--lr", type=float, default=3e-3, help="Adam's highest learning rate (0.003)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and programs (0)")
    parser.add_argument("--every", type=int, default=100, help="steps from one row to the next (100)")
    parser.add_argument("--test", type=int, default=2000, help="programs to be scored at the end (2000)")
    parser.add_argument("--limit", type=float, help="seconds of training, where the steps would take longer")
    add_run(parser)
    return parsed(parser, arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, and write what is asked for."""
    options = parse(arguments)
    begin = time.perf_counter()
    model, rows, steps = train(options)
    seconds = time.perf_counter() - begin
    if options.export is not None:
        stored.save(options.export, model, {"hidden": options.hidden, "layers": options.layers})
    gpu = torch.cuda.get_device_name() if str(options.device).startswith("cuda") else None
    names = ("task", "curriculum", "length", "nesting", "form", "hidden", "layers", "batch", "lr", "seed")
    record = {
        **records.stamp("rnnlit.practice.execution", arguments, gpu),
        **{name: getattr(options, name) for name in names},
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "seconds": round(seconds),
        "rows": [{name: round(value, 4) for name, value in row.items()} for row in rows],
        "test": scores(model, options),
    }
    if options.record is not None:
        write_atomically(options.record, (json.dumps(record, indent=1) + "\n").encode())
    print(json.dumps({name: value for name, value in record.items() if name not in ("rows", "machine")}))


if __name__ == "__main__":
    main()
