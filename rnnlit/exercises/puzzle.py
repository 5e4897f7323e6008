"""Gate puzzles: the reader sets the few weights of a cell by hand, and the check runs it on sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from rnnlit.exercises.check import NOT_TRIED, RIGHT, Verdict, wrapped, wrong

UNSET = "Not tried yet: put numbers in place of the blanks (...), then run this cell."


class Wanted(NamedTuple):
    """What the output must be at each step: between `low` and `high`, and why, in words."""

    low: np.ndarray  # (T,)
    high: np.ndarray  # (T,)
    why: Sequence[str]


class Trace(NamedTuple):
    """A run of the reader's cell on one sequence: its output, and all else that helps, by name."""

    output: np.ndarray  # (T,)
    inside: Mapping[str, np.ndarray]  # (T,) each


class Puzzle:
    """A cell whose weights are set by hand.

    parts   the name of each part and how many numbers it takes: {"i": ("w_x", "w_h", "b"), ...}
    run     the cell: a function of the weights, a dict of float64 vectors, and of x (T,)
    draw    makes the sequences (T,), the shortest first: a function of a Generator
    wanted  what the output must be on one of them
    symbol  how an input is written in a message
    """

    def __init__(
        self,
        name: str,
        parts: Mapping[str, Sequence[str]],
        run: Callable[[dict[str, np.ndarray], np.ndarray], Trace],
        draw: Callable[[np.random.Generator], list[np.ndarray]],
        wanted: Callable[[np.ndarray], Wanted],
        symbol: Callable[[float], str],
        output: str = "h",
        praise: str = "",
    ) -> None:
        self.name, self.parts, self.run, self.draw = name, dict(parts), run, draw
        self.wanted, self.symbol, self.output, self.praise = wanted, symbol, output, praise

    def __repr__(self) -> str:
        return f"<puzzle {self.name}({', '.join(self.parts)})>"

    def check(self, weights: Any = None, /, **parts: Any) -> None:
        """Print whether the cell with these weights does its task, and if not, where it first fails."""
        print(wrapped(self.judge(weights, **parts).text))

    def judge(self, weights: Any = None, /, **parts: Any) -> Verdict:
        """The verdict on the weights, given as a dict or by name, which `check` prints."""
        if weights is not None and not isinstance(weights, Mapping):
            return Verdict(NOT_TRIED, UNSET) if weights is ... else wrong(self._form())
        given = {**(weights or {}), **parts}
        if set(given) != set(self.parts):
            return wrong(f"{self._form()} Got {', '.join(given) or 'nothing'}.")
        numbers = {}
        for name, labels in self.parts.items():
            values = given[name] if isinstance(given[name], tuple | list | np.ndarray) else (given[name],)
            if any(value is ... or value is None for value in values):
                return Verdict(NOT_TRIED, UNSET)
            if len(values) != len(labels) or not all(
                isinstance(value, Real) and np.isfinite(float(value)) for value in values
            ):
                return wrong(f"{name} takes {len(labels)} numbers: ({', '.join(labels)}).")
            numbers[name] = np.array([float(value) for value in values])
        longest = 0
        for x in self.draw(np.random.default_rng(7)):
            with np.errstate(all="ignore"):
                trace = self.run(numbers, x)
            low, high, why = self.wanted(x)
            bad = np.flatnonzero(~((trace.output >= low) & (trace.output <= high)))
            if len(bad):
                return wrong(self._failure(x, int(bad[0]), trace, low, high, why))
            longest = max(longest, len(x))
        return Verdict(RIGHT, f"Right: {self.praise.format(longest=f'{longest:,}')}")

    def _form(self) -> str:
        form = ", ".join(f"{name}=({', '.join(labels)})" for name, labels in self.parts.items())
        return f"check takes the weights by name: {form}."

    def _failure(
        self, x: np.ndarray, t: int, trace: Trace, low: np.ndarray, high: np.ndarray, why: Sequence[str]
    ) -> str:
        """The first step that fails: what was read, what was wanted, and what happened inside."""
        first = max(0, t - 11)
        read = ("... " if first else "") + " ".join(self.symbol(value) for value in x[first : t + 1])
        bounds = [f"at least {low[t]:g}"] if low[t] > -np.inf else []
        bounds += [f"at most {high[t]:g}"] if high[t] < np.inf else []
        inside = ", ".join(f"{name} = {values[t]:.3f}" for name, values in trace.inside.items())
        return (
            f"after {t + 1} step(s) of the input\n    {read}\n"
            f"{self.output} should be {' and '.join(bounds)} ({why[t]}), and is {trace.output[t]:.3f}.\n"
            f"At that step: {inside}."
        )


def latch_inputs(rng: np.random.Generator) -> list[np.ndarray]:
    """Sequences of +1 (set), -1 (reset) and 0 (keep), each with a set before the first reset."""
    short = [[0, 0], [1, 0, 0], [1, 0, -1, 0], [1, 1, 0, -1, -1, 0, 1], [1] * 20 + [-1, 0]]
    drawn = [rng.choice([-1, 0, 1], T, p=(rare, 1 - 2 * rare, rare)) for T, rare in ((60, 0.2), (1000, 0.01))]
    return [np.array(x, dtype=float) for x in (*short, *drawn)]


def latch_wanted(
    x: np.ndarray, off: tuple[float, float] = (-0.1, 0.1), before: tuple[float, float] = (-0.1, 0.1)
) -> Wanted:
    """At least 0.5 from a set to the next reset; `off` bounds what is after it, `before` the start."""
    low, high, why = np.full(len(x), before[0]), np.full(len(x), before[1]), []
    on, since = False, -1
    for t, value in enumerate(x):
        if value:
            on, since = value > 0, t
        if since >= 0:
            low[t], high[t] = (0.5, np.inf) if on else off
        word = "on" if on else "off"
        why.append(f"{word} since step {since + 1}" if since >= 0 else "nothing has come yet")
    return Wanted(low, high, why)


def latch_symbol(value: float) -> str:
    """+1, -1 or 0."""
    return f"{value:+.0f}" if value else "0"


def wanted_sign(target: np.ndarray, why: Sequence[str]) -> Wanted:
    """At least 0.5 where the target is above 0, at most -0.5 where it is below, anything where it is 0."""
    low = np.where(target > 0, 0.5, -np.inf)
    return Wanted(low, np.where(target < 0, -0.5, np.inf), why)
