"""Short programs and what they print: the task of "Learning to Execute".   T characters, B programs.

    b=417
    for x in range(5):b-=38
    print(902 if 77>310 else (b+64))        answer: 291

A program is drawn with a `length`, the largest number of digits of its numbers, and a `nesting`, how many
operations are put into each other: additions, subtractions, multiplications by a small number, assignments,
choices (if-else) and loops. It ends in print, and can be worked out in one pass, from left to right. `answer`
works it out, by a reader of this grammar and of nothing else: no program is ever run.

Two tasks of the same paper are in the same form: sums, print(12+34), and memory, print(5071). A program is
followed by "@", its answer, and a full stop.   Reference: Zaremba & Sutskever 2014, arXiv:1410.4615
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_size

KINDS = ("add", "subtract", "multiply", "assign", "choose", "loop")
PARTS = ("train", "validation", "test")
FORMS = ("plain", "reversed", "doubled", "both")  # how a program is shown to the network
OUTPUT = "0123456789-."  # what an answer is made of
ALPHABET = "\0" + OUTPUT + "@ \n()+*<>=:abcdefghilnoprstx"  # characters are numbered in this order
PAD, IGNORE = 0, -100  # in what is read, and in what is to be written
NAMES = "abcdefgh"
LONGEST, LARGEST = 200, 10**15  # characters of a program that `answer` reads; values in between
SUM = re.compile(r"print\((\d+)\+(\d+)\)")
Roll = Callable[[int], int]

_CODE = np.zeros(128, dtype=np.int64)
_CODE[[ord(sign) for sign in ALPHABET]] = np.arange(len(ALPHABET))


class Program(NamedTuple):
    """A program and what it prints."""

    text: str
    answer: str


class Batch(NamedTuple):
    """B programs with their answers, side by side, as numbers."""

    x: np.ndarray  # (T, B) int64, what is read: places in ALPHABET, PAD after the end
    write: np.ndarray  # (T, B) int64, what comes next: places in OUTPUT; IGNORE where that is no answer


class Die:
    """die(n) is a number from 0 to n-1. Draws many at a time from `rng`, since one by one is slow."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.left: list[float] = []

    def __call__(self, n: int) -> int:
        if not self.left:
            self.left = self.rng.random(4096).tolist()
        return int(self.left.pop() * n)


# ---- programs ----------------------------------------------------------------------------------------------


def draw(length: int, nesting: int, roll: Roll, kinds: Sequence[str] = KINDS) -> Program:
    """A random program of `nesting` operations on numbers of at most `length` digits.

    roll(n) gives a number from 0 to n-1: `Die(rng)`. Numbers are 1 to 10^length - 1; what one multiplies by
    and how often a loop goes round, 1 to 4 length. Each operation takes what the one before has made as one
    of its operands, and fresh numbers as the others.
    """
    lines: list[str] = []
    names, top = list(NAMES), 10**length - 1
    text, value, whole = "", 0, True  # of what has been made so far; whole: it needs no brackets
    for k in range(nesting):
        kind = kinds[roll(len(kinds))]
        count = 1 if kind == "multiply" else 4 if kind == "choose" else 2
        values = [1 + roll(top) for _ in range(count)]
        texts = [str(one) for one in values]
        if k:
            at = roll(count)
            values[at], texts[at] = value, text if whole else f"({text})"
        if kind in ("assign", "loop"):  # what is assigned needs no brackets
            name = names.pop(roll(len(names)))
            lines.append(f"{name}={text if k and at == 0 else texts[0]}")
            texts[0] = name
        plus, whole = roll(2), False
        if kind in ("add", "subtract", "assign"):
            plus = plus if kind == "assign" else kind == "add"
            value = values[0] + values[1] if plus else values[0] - values[1]
            text = f"{texts[0]}{'+' if plus else '-'}{texts[1]}"
        elif kind == "multiply":
            times = 1 + roll(4 * length)
            value = values[0] * times
            text = f"{texts[0]}*{times}" if plus else f"{times}*{texts[0]}"
        elif kind == "choose":
            a, b, c, d = values
            value = c if (a > b if plus else a < b) else d
            text = f"{texts[2]} if {texts[0]}{'>' if plus else '<'}{texts[1]} else {texts[3]}"
        else:
            times = 1 + roll(4 * length)
            added = text if k and at == 1 else texts[1]
            lines.append(f"for x in range({times}):{texts[0]}{'+' if plus else '-'}={added}")
            value = values[0] + times * values[1] * (1 if plus else -1)
            text, whole = texts[0], True
    return Program("\n".join([*lines, f"print({text})"]), str(value))


def draw_sum(length: int, nesting: int, roll: Roll) -> Program:
    """print(a+b), two numbers of `length` digits each, as in the paper. `nesting` has no meaning here."""
    low = 10 ** (length - 1)
    a, b = (low + roll(9 * low) for _ in range(2))
    return Program(f"print({a}+{b})", str(a + b))


def draw_memory(length: int, nesting: int, roll: Roll) -> Program:
    """print(a), a number of `length` digits, which is to be said again. `nesting` has no meaning here."""
    digits = str(1 + roll(9)) + "".join(str(roll(10)) for _ in range(length - 1))
    return Program(f"print({digits})", digits)


TASKS: dict[str, Callable[..., Program]] = {"programs": draw, "sums": draw_sum, "memory": draw_memory}


def part_of(program: Program) -> str:
    """To which part a program belongs, by its text: 18 of 20 to "train", and one each to the others.

    Sums of the same two numbers, in either order, belong together.
    """
    text = program.text
    two = SUM.fullmatch(text)
    if two:
        text = "+".join(sorted(two.groups()))
    return {0: "test", 1: "validation"}.get(zlib.crc32(text.encode()) % 20, "train")


def draw_many(
    task: str, levels: Sequence[tuple[int, int]], part: str, rng: np.random.Generator, **options: Any
) -> list[Program]:
    """A program of the part for each level (length, nesting).

    Sums and numbers of one digit are too few to be divided: all parts have them.
    options: `kinds`, for the task "programs".  ValueError: an unknown task or part.
    """
    for name, value, known in (("task", task, TASKS), ("part", part, PARTS)):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    roll, make, found = Die(rng), TASKS[task], []
    for length, nesting in levels:
        program = make(length, nesting, roll, **options)
        while part_of(program) != part and (task == "programs" or length > 1):
            program = make(length, nesting, roll, **options)
        found.append(program)
    return found


# ---- as numbers --------------------------------------------------------------------------------------------


def shown(text: str, form: str = "plain") -> str:
    """What the network reads of a program: as it stands, from its end, twice, or twice from its end."""
    text = text[::-1] if form in ("reversed", "both") else text
    return text + text if form in ("doubled", "both") else text


def numbers(texts: Sequence[str]) -> np.ndarray:
    """Texts side by side as places in ALPHABET: (T, B) int64, PAD after the end of each."""
    width = max(map(len, texts))
    signs = "".join([text.ljust(width, "\0") for text in texts]).encode("ascii")
    return _CODE[np.frombuffer(signs, dtype=np.uint8).reshape(len(texts), width).T]


def encode(programs: Sequence[Program], form: str = "plain") -> Batch:
    """What is read, and what is to be written next.   B programs  ->  (T, B) twice

    read      p  r  i  n  t  (  7  +  5  )  @  1  2
    write     -  -  -  -  -  -  -  -  -  -  1  2  .
    """
    read = [shown(one.text, form) + "@" for one in programs]
    signs = numbers([text + one.answer + "." for text, one in zip(read, programs, strict=True)])
    steps, begins = np.arange(len(signs) - 1)[:, None], np.array([len(text) for text in read]) - 1
    asked = (steps >= begins) & (signs[1:] != PAD)
    return Batch(signs[:-1], np.where(asked, signs[1:] - 1, IGNORE))  # OUTPUT begins at 1 in ALPHABET


# ---- what a program prints ---------------------------------------------------------------------------------


def answer(text: Any) -> int:
    """What a program prints, worked out by reading it once.

        program   { name=value | for x in range(number):name+=value | ...-=value }  print(value)
        value     operand [ (+ | - | *) operand | if operand (< | >) operand else operand ]
        operand   number | name | (value)

    TypeError: no string.  ValueError: no such program, with the place and what was expected there; longer
    than 200 characters; a loop that doesn't go round 1 to 99 times; a value of 10^15 or more.
    """
    if not isinstance(text, str):
        raise TypeError(f"program: expected a string, got {type(text).__name__}")
    if len(text) > LONGEST:
        raise ValueError(f"program: expected at most {LONGEST} characters, got {len(text)}")
    return _Reader(text).program()


class _Reader:
    """Reads a program from left to right, and works it out on the way."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.values: dict[str, int] = {}

    def program(self) -> int:
        while not self.has(r"print\("):
            if self.has(r"for x in range\("):
                self.loop()
            else:
                name = self.want(r"[a-h](?==)", "print(, a loop, or a name a to h and =")
                self.want("=", "=")
                self.values[name] = self.value()
            self.want("\n", "the end of the line")
        value = self.value()
        self.want(r"\)", ")")
        self.want(r"\n?\Z", "the end of the program")
        return value

    def loop(self) -> None:
        times = int(self.want(r"[1-9]\d?(?=\):)", "1 to 99 and ):"))
        self.want(r"\):", "):")
        name = self.name()
        sign = -1 if self.want(r"[-+]=", "+= or -=") == "-=" else 1
        begin = self.at
        for _ in range(times):
            self.at = begin
            self.values[name] = self.limited(self.values[name] + sign * self.value())

    def value(self) -> int:
        first = self.operand()
        if sign := self.has(r"[-+*]"):
            second = self.operand()
            return self.limited(
                first * second if sign == "*" else first + second if sign == "+" else first - second
            )
        if not self.has(" if "):
            return first
        a = self.operand()
        sign = self.want("[<>]", "< or >")
        b = self.operand()
        self.want(" else ", "else")
        other = self.operand()
        return first if (a < b if sign == "<" else a > b) else other

    def operand(self) -> int:
        if self.has(r"\("):
            value = self.value()
            self.want(r"\)", ")")
            return value
        if digits := self.has(r"\d+"):
            if digits[0] == "0" and len(digits) > 1:
                raise self.error("a number without a 0 in front")
            return self.limited(int(digits))
        return self.values[self.name()]

    def name(self) -> str:
        name = self.want("[a-h]", "a number, a name a to h, or (")
        if name not in self.values:
            self.at -= 1
            raise self.error("a name that has been given a value")
        return name

    def limited(self, value: int) -> int:
        if abs(value) >= LARGEST:
            raise ValueError(f"program: expected values below 10^15, got one at character {self.at + 1}")
        return value

    def has(self, pattern: str) -> str:
        found = re.compile(pattern, re.ASCII).match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found[0] if found else ""

    def want(self, pattern: str, what: str) -> str:
        found = re.compile(pattern, re.ASCII).match(self.text, self.at)
        if found is None:
            raise self.error(what)
        self.at = found.end()
        return found[0]

    def error(self, what: str) -> ValueError:
        got = repr(self.text[self.at : self.at + 8]) if self.at < len(self.text) else "the end"
        return ValueError(f"program: expected {what} at character {self.at + 1}, got {got}")


# ---- the guesses to beat -----------------------------------------------------------------------------------


class Guess:
    """The most frequent next character of an answer, by its place and the characters before.

    No program is read. order: how many characters before are looked at; what was never seen is guessed from
    fewer.
    """

    def __init__(self, answers: Sequence[str], order: int) -> None:
        self.order = check_size("order", order)
        counts: dict[tuple[int, str], dict[str, int]] = {}
        for one in answers:
            for k, sign in enumerate(one + "."):
                for n in range(min(k, order) + 1):
                    place = counts.setdefault((k, one[k - n : k]), {})
                    place[sign] = place.get(sign, 0) + 1
        self.best = {place: max(sorted(signs), key=signs.__getitem__) for place, signs in counts.items()}

    def next(self, before: str) -> str:
        """The guess for the character that comes after these."""
        for n in range(min(len(before), self.order), -1, -1):
            found = self.best.get((len(before), before[len(before) - n :]))
            if found:
                return found
        return "."
