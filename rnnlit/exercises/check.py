"""Checks of a reader's function against the package: not tried yet, not yet and why, or right.

T steps, B batch, I inputs, H hidden. An exercise runs the reader's function on random inputs of several
sizes, in float64 and float32, and compares each result with the package's. A wrong answer is compared with
mistakes that people make: each has a name, a sentence that helps, and a function that makes it.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

RIGHT, WRONG, NOT_TRIED = "right", "wrong", "not tried"
EMPTY = "Not tried yet: write the function, then run this cell again."
BLANKS = "Not tried yet: fill in the blanks (...), then run this cell again."
WIDTH = 78  # characters of a printed line

# By dtype: how far a right answer may be from the package's, relative to the largest number of the result.
CLOSE = {"float64": 1e-9, "float32": 1e-4}


class Sizes(NamedTuple):
    """Sizes of one random input."""

    T: int
    B: int
    I: int
    H: int


SIZES = (Sizes(5, 2, 3, 4), Sizes(1, 3, 2, 5), Sizes(4, 1, 5, 2), Sizes(3, 4, 1, 6))


class Mistake(NamedTuple):
    """A mistake that people make.

    wrong  a function that makes it, called as the reader's is
    shows  for random results alone: tells from the results and the arguments whether the mistake was made
    """

    name: str
    help: str
    wrong: Callable[..., Any]
    shows: Callable[..., bool] | None = None


class Verdict(NamedTuple):
    """What a check found: `outcome` is RIGHT, WRONG or NOT_TRIED; `mistake` is its name where it is known."""

    outcome: str
    text: str
    mistake: str | None = None


class Case(NamedTuple):
    """One input: its arguments, its sizes in words, and how far off a right answer may be, relatively."""

    arguments: tuple[Any, ...]
    words: str
    close: float = CLOSE["float64"]


class Problem(Exception):
    """What is wrong with an answer whatever its numbers are: the sentence that is printed."""


class Check:
    """What all exercises share. `judge` returns the verdict, `check` prints it.

    call     how the reader's function is called, such as "step(params, x, h, c)"
    results  the name of each result and its shape in letters: {"h": "B, H"}; "" is a number
    """

    def __init__(
        self,
        call: str,
        results: Mapping[str, str],
        mistakes: Sequence[Mistake],
    ) -> None:
        self.call = call
        self.name, _, names = call.rstrip(")").partition("(")
        self.arguments = tuple(name.strip() for name in names.split(","))
        self.results = dict(results)
        self.mistakes = tuple(mistakes)

    def __repr__(self) -> str:
        return f"<exercise {self.call} -> {', '.join(self.results)}>"

    def check(self, function: Any) -> None:
        """Print whether this function is right, and if not, what its mistake looks like."""
        print(wrapped(self.judge(function).text))

    def judge(self, function: Any) -> Verdict:
        """The verdict on a function, which `check` prints."""
        if function is ... or is_empty(function):
            return Verdict(NOT_TRIED, EMPTY)
        if not callable(function):
            got = "None" if function is None else f"a {type(function).__name__}"
            return wrong(f"check wants the function itself, as in check({self.name}), and got {got}.")
        try:
            verdict = self._compare(function)
        except NotImplementedError:
            return Verdict(NOT_TRIED, EMPTY)
        except Problem as problem:
            verdict = wrong(str(problem))
        if verdict.outcome == WRONG and has_blanks(function, verdict.text):
            return Verdict(NOT_TRIED, BLANKS)
        return verdict

    def _compare(self, function: Callable[..., Any]) -> Verdict:
        raise NotImplementedError

    def run(self, function: Callable[..., Any], case: Case, **keywords: Any) -> list[Any]:
        """The results of one call, in order.    Problem: an exception, None, another number of results."""
        arguments = copied(case.arguments)
        try:
            inspect.signature(function).bind(*arguments, **keywords)
        except TypeError as error:
            raise Problem(f"it is called as {self.call}, and {error}.") from None
        except ValueError:  # a function without a signature
            pass
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = function(*arguments, **keywords)
        except NotImplementedError:
            raise
        except RecursionError:
            raise Problem("it calls itself without end (RecursionError).") from None
        except Exception as error:
            raise Problem(explained(error, function, case)) from None
        for name, before, after in zip(self.arguments, case.arguments, arguments, strict=False):
            if not same(before, after):
                raise Problem(
                    f"it changes its argument {name} in place. Whoever calls it still needs the old values: "
                    "make a new array, as in c = f * c, in place of c *= f."
                )
        return self.leaves(value)

    def leaves(self, value: Any) -> list[Any]:
        """The results in what a function returned: a tuple, list, NamedTuple or dict, or one array."""
        names = list(self.results)
        if value is None:
            raise Problem("it returned None; is a `return` missing?")
        named = dict(fields_of(value))
        found = [named.get(name) for name in names]
        if all(one is not None for one in found):
            return found
        if len(names) == 1:
            axes = len(self.results[names[0]].replace(",", " ").split())
            single = isinstance(value, tuple | list) and len(value) == 1 and np.ndim(value[0]) == axes
            return [value[0] if single else value]
        if isinstance(value, tuple | list) and len(value) != len(names):
            value = list(flat(value))
        if not isinstance(value, tuple | list) or len(value) != len(names):
            got = len(value) if isinstance(value, tuple | list) else f"one, a {kind(value)}"
            raise Problem(f"it should return {len(names)} results, {listed(names)}, and returned {got}.")
        for name, one in zip(names, value, strict=True):
            if one is None:
                raise Problem(f"the result {name} is None.")
        return list(value)

    def arrays(self, answer: Sequence[Any], right: Sequence[Any], case: Case) -> list[np.ndarray]:
        """The results as arrays.    Problem: one of another shape or dtype, or with NaN or inf in it."""
        arrays = []
        for (name, letters), one, expected in zip(self.results.items(), answer, right, strict=True):
            if one is ...:
                raise Problem(f"{name} is an ellipsis.")
            try:
                array = np.asarray(one)
            except ValueError:
                raise Problem(f"{name} holds arrays of several shapes.") from None
            want = np.asarray(expected)
            if array.dtype.kind not in "fiub":
                raise Problem(f"{name} should hold numbers, and holds {array.dtype}.")
            if array.shape != want.shape:
                shape = f"({letters}) = {want.shape}" if letters else "() (a number)"
                raise Problem(f"{name} should have shape {shape}, and has {array.shape} [{case.words}].")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
                where = f"{name}[{', '.join(map(str, at))}]" if at else name
                raise Problem(f"{where} is {array[at]}: overflow, or a division by zero? [{case.words}]")
            arrays.append(array)
        return arrays


class Exercise(Check):
    """A function that is compared with the package's, number by number.

    oracle  the right function, called as the reader's
    draw    makes the arguments: a function of a Generator and Sizes, float64; float32 is made from it
    names   how messages call the sizes, {"T": "S", "H": "Q"}; all four by their own letters if not given
    close   how far a right answer may be off in float64, relative to the largest number
    """

    def __init__(
        self,
        call: str,
        oracle: Callable[..., Any],
        draw: Callable[[np.random.Generator, Sizes], tuple[Any, ...]],
        results: Mapping[str, str],
        mistakes: Sequence[Mistake],
        names: Mapping[str, str] | None = None,
        close: float = CLOSE["float64"],
    ) -> None:
        super().__init__(call, results, mistakes)
        self.oracle, self.draw, self.close = oracle, draw, close
        letters = getattr(draw, "letters", Sizes._fields)
        self.names = {letter: letter for letter in letters} if names is None else dict(names)

    def cases(self) -> Iterator[Case]:
        """The inputs, the same each time: each size in float64, then in float32."""
        rng = np.random.default_rng(20000)
        for sizes in SIZES:
            arguments = self.draw(rng, sizes)
            words = [f"{name} = {getattr(sizes, size)}" for size, name in self.names.items()]
            words += [
                f"{name} = {one}"
                for name, one in zip(self.arguments, arguments, strict=True)
                if isinstance(one, int | float) and name not in self.names.values()
            ]
            floats = any(isinstance(one, np.ndarray) and one.dtype.kind == "f" for one in flat(arguments))
            for dtype in (np.float64, np.float32) if floats else (np.float64,):
                said = [*words, str(np.dtype(dtype))] if floats else words
                close = max(self.close, CLOSE[str(np.dtype(dtype))])
                yield Case(copied(arguments, dtype), ", ".join(said), close)

    def _compare(self, function: Callable[..., Any]) -> Verdict:
        cases = list(self.cases())
        rights = [self.leaves(self.oracle(*copied(case.arguments))) for case in cases]
        answers: list[list[Any]] = []
        problem = None
        for case in cases:
            try:
                answers.append(self.run(function, case))
            except Problem as met:
                problem = met
                break
        cases, rights = cases[: len(answers)], rights[: len(answers)]
        limits = [case.close for case in cases]
        good = all(agree(*three) for three in zip(answers, rights, limits, strict=True))
        if good and problem is not None:
            raise problem
        if good:
            return self._right(cases, answers, rights)
        for mistake in self.mistakes if problem is None else ():
            made = (self.leaves(mistake.wrong(*copied(case.arguments))) for case in cases)
            with np.errstate(all="ignore"):
                if all(agree(*three) for three in zip(answers, made, limits, strict=True)):
                    return looks_like(mistake)
        for case, answer, right in zip(cases, answers, rights, strict=True):
            arrays = self.arrays(answer, right, case)
            if not agree(arrays, right, case.close):
                return wrong(self._difference(arrays, right, case))
        raise AssertionError("an answer that differs nowhere")

    def _right(self, cases: list[Case], answers: list[Any], rights: list[Any]) -> Verdict:
        for case, answer, right in zip(cases, answers, rights, strict=True):
            for name, array in zip(self.results, self.arrays(answer, right, case), strict=True):
                if array.dtype == np.float32 and "float32" not in case.words:
                    raise Problem(f"{name} is float32 where all that came was float64: digits are lost.")
        floats = len(cases) > len(SIZES)
        wide = floats and any(
            np.asarray(a).dtype == np.float64 and np.asarray(b).dtype == np.float32
            for a, b in zip(answers[1], rights[1], strict=True)
        )
        return Verdict(RIGHT, self._praise(floats) + (WIDENED if wide else ""))

    def _praise(self, floats: bool) -> str:
        verb, dtypes = "agrees" if len(self.results) == 1 else "agree", ", in float64 and float32"
        return (
            f"Right: {listed(list(self.results))} {verb} with the package's for {len(SIZES)} sizes"
            f"{dtypes if floats else ''}."
        )

    def _difference(self, answer: Sequence[np.ndarray], right: Sequence[Any], case: Case) -> str:
        """Which results are wrong, and where the first of them parts."""
        good = [
            name
            for name, a, b in zip(self.results, answer, right, strict=True)
            if agree([a], [b], case.close)
        ]
        name, got, want = next(
            (name, a, np.asarray(b))
            for name, a, b in zip(self.results, answer, right, strict=True)
            if not agree([a], [b], case.close)
        )
        head = f"{name} is not right"
        if good:
            head = f"{listed(good)} {'is' if len(good) == 1 else 'are'} right, {name} is not"
        if not want.shape:
            return f"{head}: {shown(got)} where {shown(want)} is right [{case.words}]."
        off = np.abs(got.astype(float) - want.astype(float))
        limit = case.close * max(1.0, float(np.abs(want).max()))
        at = tuple(int(k) for k in np.argwhere(off > limit)[0])
        guess = " All signs are turned round." if agree([-got], [want], case.close) else ""
        share = f"{int((off > limit).sum())} of {off.size} numbers"
        return (
            f"{head}. {share} differ, by {float(off.max()):.2g} at most; the first is "
            f"{name}[{', '.join(map(str, at))}]: {shown(got[at])} where {shown(want[at])} is right "
            f"[{case.words}].{guess}"
        )


STOPPED = "your code stopped with"
WIDENED = " (float32 came in and float64 came out; the package keeps float32, which takes half the memory.)"


def wrong(sentence: str) -> Verdict:
    """A verdict without a known mistake."""
    return Verdict(WRONG, f"Not yet: {sentence}")


def looks_like(mistake: Mistake) -> Verdict:
    """The verdict on a known mistake."""
    return Verdict(
        WRONG, f"Not yet: this looks like a known mistake: {mistake.name}.\n{mistake.help}", mistake.name
    )


def wrapped(text: str) -> str:
    """Text in lines of at most WIDTH characters; what is broken already stays so."""
    return "\n".join(
        textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: h, c and x."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def shown(number: Any) -> str:
    """A number with four digits."""
    return f"{float(number):.4g}"


def kind(value: Any) -> str:
    """What a value is, for a message."""
    return f"NumPy array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def flat(value: Any) -> Iterator[Any]:
    """The leaves of nested tuples and lists."""
    if isinstance(value, tuple | list):
        for one in value:
            yield from flat(one)
    else:
        yield value


def fields_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The named leaves of nested NamedTuples and dicts; of two with one name the outer is kept."""
    named = value._asdict() if hasattr(value, "_asdict") else value
    if isinstance(named, Mapping):
        for name, one in reversed(list(named.items())):
            yield from fields_of(one)
            yield name, one


def copied(value: Any, dtype: Any = None) -> Any:
    """A copy, all the way down; with a dtype, of its float arrays in that dtype."""
    if isinstance(value, np.ndarray):
        return value.astype(dtype) if dtype is not None and value.dtype.kind == "f" else value.copy()
    if isinstance(value, tuple | list):
        parts = [copied(one, dtype) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two arguments hold the same numbers."""
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) else True


def agree(answer: Sequence[Any], right: Sequence[Any], close: float) -> bool:
    """Whether results agree in shape and, within `close`, in every number; NaN agrees with NaN."""
    for one, expected in zip(answer, right, strict=True):
        try:
            got, want = np.asarray(one), np.asarray(expected)
        except ValueError:
            return False
        if got.dtype.kind not in "fiub" or got.shape != want.shape:
            return False
        if want.size:
            a, b = got.astype(float), want.astype(float)
            limit = close * max(1.0, float(np.nanmax(np.abs(b), initial=0.0)))
            if not ((np.abs(a - b) <= limit) | (np.isnan(a) & np.isnan(b)) | (a == b)).all():
                return False
    return True


def explained(error: Exception, function: Callable[..., Any], case: Case) -> str:
    """An exception in the reader's code: its type, its message, and the line of theirs that it came from."""
    code, line = getattr(function, "__code__", None), ""
    trace = error.__traceback__
    while trace is not None:
        if code is not None and trace.tb_frame.f_code.co_filename == code.co_filename:
            line = linecache.getline(code.co_filename, trace.tb_lineno).strip() or line
        trace = trace.tb_next
    message = " ".join(str(error).split())
    message = message if len(message) <= 200 else f"{message[:197]}..."
    place = f"\nin the line: {line}" if line else ""
    return f"{STOPPED} {type(error).__name__}: {message} [{case.words}]{place}"


def is_empty(function: Any) -> bool:
    """Whether a function's body is nothing but a docstring, `pass` or `...`: it returns None, no more."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    done = [
        one for one in dis.get_instructions(code) if one.opname not in ("RESUME", "NOP", "COPY_FREE_VARS")
    ]
    returns = {"LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    return all(one.opname in returns and one.argval is None for one in done)


def has_blanks(function: Any, complaint: str) -> bool:
    """Whether blanks (...) are left in a function, those of an index such as a[..., 0] not counted."""
    if "ellipsis" in complaint.lower():
        return True
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # no source: what stopped may have met a blank
        code = getattr(function, "__code__", None)
        return code is not None and ... in code.co_consts and STOPPED in complaint
    indices = [
        node for index in ast.walk(tree) if isinstance(index, ast.Subscript) for node in ast.walk(index.slice)
    ]
    return any(
        isinstance(node, ast.Constant) and node.value is ... and node not in indices
        for node in ast.walk(tree)
    )
