"""Exercises whose results are random: initialisations and masks, checked by what must hold of any draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnlit.exercises.check import (
    RIGHT,
    Case,
    Check,
    Mistake,
    Problem,
    Verdict,
    looks_like,
    same,
    wrong,
)


class Rule(NamedTuple):
    """What must hold: `holds(arguments, *results)`; and the sentence for a result of which it doesn't."""

    broken: str
    holds: Callable[..., bool]


class Drawn(Check):
    """A function that draws from a Generator, which comes last and by its name: rng.

    oracle    a right one, for the shapes
    inputs    the arguments of each call, without rng, the first of them with room for statistics
    rules     what must hold of each result; their sentence on success is `praise`
    mistakes  each with `shows(arguments, *results)`, looked at before the rules, in this order
    """

    def __init__(
        self,
        call: str,
        oracle: Callable[..., Any],
        inputs: Sequence[tuple[Any, ...]],
        results: Mapping[str, str],
        rules: Sequence[Rule],
        mistakes: Sequence[Mistake],
        praise: str,
    ) -> None:
        super().__init__(call, results, mistakes)
        self.oracle, self.inputs, self.rules, self.praise = oracle, tuple(inputs), tuple(rules), praise

    def cases(self) -> list[Case]:
        """The arguments of each call."""
        names = self.arguments[:-1]
        return [
            Case(arguments, ", ".join(f"{n} = {_short(a)}" for n, a in zip(names, arguments, strict=True)))
            for arguments in self.inputs
        ]

    def _compare(self, function: Callable[..., Any]) -> Verdict:
        answers, problem = [], None
        cases = self.cases()
        for case in cases:
            found = self.run(function, case, rng=np.random.default_rng(1))
            try:
                right = self.leaves(self.oracle(*case.arguments, rng=np.random.default_rng(1)))
                found = self.arrays(found, right, case)
            except Problem as late:  # a known mistake may explain it better
                problem = problem or late
                found = [np.asarray(one) for one in found]
            answers.append(found)
        for mistake in self.mistakes:
            assert mistake.shows is not None, mistake.name
            if self._all(mistake.shows, cases, answers):
                return looks_like(mistake)
        if problem is not None:
            raise problem
        again = self.run(function, cases[0], rng=np.random.default_rng(1))
        if not all(same(a, np.asarray(b)) for a, b in zip(answers[0], again, strict=True)):
            return wrong("two calls with the same rng gave different numbers. Draw from rng alone.")
        other = self.run(function, cases[0], rng=np.random.default_rng(2))
        if all(same(a, np.asarray(b)) for a, b in zip(answers[0], other, strict=True)):
            return wrong("another rng gave the same numbers. Draw from rng, and don't make a new one.")
        for case, answer in zip(cases, answers, strict=True):
            for rule in self.rules:
                if not rule.holds(case.arguments, *answer):
                    return wrong(f"{rule.broken} [{case.words}]")
        return Verdict(RIGHT, f"Right: {self.praise}")

    @staticmethod
    def _all(shows: Callable[..., bool], cases: list[Case], answers: list[Any]) -> bool:
        """Whether a mistake shows in all answers; it doesn't where their shapes won't even let it look."""
        try:
            return all(shows(c.arguments, *a) for c, a in zip(cases, answers, strict=True))
        except (ValueError, IndexError, TypeError):
            return False


def _short(value: Any) -> str:
    return f"{value.shape}" if isinstance(value, np.ndarray) else f"{value}"


# ---------------------------------------------------------------- weights from U(-1/sqrt(H), 1/sqrt(H))


def drawn_weights(rng: np.random.Generator, shape: tuple[int, ...], H: int) -> np.ndarray:
    """Numbers from U(-1/sqrt(H), 1/sqrt(H))."""
    return rng.uniform(-(H**-0.5), H**-0.5, shape)


def _bound(arguments: Any) -> float:
    return float(arguments[1] ** -0.5)  # of I and H


EVEN_WEIGHTS = (
    Rule(
        "a weight lies outside -1/sqrt(H) to 1/sqrt(H).",
        lambda a, W_ih, W_hh, *b: max(np.abs(W_ih).max(), np.abs(W_hh).max()) <= 1.0001 * _bound(a),
    ),
    Rule(
        "the weights do not fill -1/sqrt(H) to 1/sqrt(H) evenly.",
        lambda a, W_ih, W_hh, *b: all(
            abs(W.mean()) < 0.1 * _bound(a) and abs(W.std() / _bound(a) - 3**-0.5) < 0.05
            for W in (W_ih, W_hh)
        ),
    ),
)


def weight_mistakes(init: Callable[..., Any]) -> tuple[Mistake, ...]:
    """Mistakes of the weights; `init(I, H, rng, draw=)` is an initialisation with a draw of its own."""
    return (
        Mistake(
            "all weights are the same number",
            "Units that start alike stay alike. Draw the weights.",
            lambda I, H, rng: init(I, H, rng, draw=lambda rng, shape, H: np.full(shape, 0.1)),
            lambda a, W_ih, W_hh, *b: np.ptp(W_ih) == 0 or np.ptp(W_hh) == 0,
        ),
        Mistake(
            "the weights are drawn from a standard normal distribution",
            "They are about sqrt(3 H) times too large; the gates start saturated. Use "
            "rng.uniform(-k, k, shape) with k = 1/sqrt(H).",
            lambda I, H, rng: init(I, H, rng, draw=lambda rng, shape, H: rng.standard_normal(shape)),
            lambda a, W_ih, W_hh, *b: 0.9 < W_hh.std() < 1.1 and np.abs(W_hh).max() > 2,
        ),
        Mistake(
            "no weight is negative",
            "rng.uniform(0, k) is half of it: rng.uniform(-k, k, shape).",
            lambda I, H, rng: init(
                I, H, rng, draw=lambda rng, shape, H: np.abs(drawn_weights(rng, shape, H))
            ),
            lambda a, W_ih, W_hh, *b: W_hh.min() >= 0 and W_ih.min() >= 0,
        ),
        Mistake(
            "the weights' range is that of the inputs",
            "k = 1/sqrt(H) for both matrices, as torch draws them, not 1/sqrt(I).",
            lambda I, H, rng: init(I, H, rng, draw=lambda rng, shape, H: drawn_weights(rng, shape, shape[1])),
            lambda a, W_ih, W_hh, *b: abs(W_ih.std() * (3 * a[0]) ** 0.5 - 1) < 0.05,
        ),
    )
