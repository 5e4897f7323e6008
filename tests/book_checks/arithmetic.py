"""A check of numbers worked out in a page's formulas: each equality between numbers is computed again."""

import math
import re
from collections.abc import Iterator

NAMES = {"tanh": math.tanh, "ln": math.log, "exp": math.exp, "sqrt": math.sqrt}
NAMES["sigma"] = lambda a: 1 / (1 + math.exp(-a))


def _python(side: str) -> str | None:
    """A side of an equation in LaTeX as an expression of Python; None if it has letters of its own."""
    side = re.sub(r"\\(?:bigl|bigr|left|right|displaystyle|textstyle)(?![a-z])", "", side)
    side = re.sub(r"\\[,;!: ]|\{,\}|(?<=\d)\s+(?=\d{3}\b)", "", side).strip().rstrip(".,;")
    side = re.sub(r"\\[td]?frac(\d)(\d)", r"((\1)/(\2))", side)
    for _ in range(3):  # the innermost braces first
        side = re.sub(r"\\[td]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", side)
        side = re.sub(r"\\sqrt\{([^{}]*)\}", r" sqrt(\1)", side)
        side = re.sub(r"\^\{([^{}]*)\}", r"**(\1)", side)
    side = side.replace("^", "**").replace("\\cdot", "*").replace("\\times", "*").replace("\\", " ")
    side = re.sub(r"\b(tanh|ln|exp|sigma)\s+(-?[\d.]+)", r"\1(\2)", side)
    side = re.sub(r"(?<=[\d)])\s*(?=\(|tanh|ln|exp|sigma|sqrt)", "*", side)
    words = set(re.findall(r"[A-Za-z_]+", side))
    return (
        side
        if re.search(r"\d", side) and words <= set(NAMES) and not re.search(r"[{}&|=<>\[\]]", side)
        else None
    )


def value(side: str) -> float | None:
    """The number that a side of an equation is; None where it isn't one."""
    expression = _python(side)
    try:
        result = eval(expression, {"__builtins__": {}}, NAMES) if expression else None
    except (SyntaxError, TypeError, NameError, ZeroDivisionError, OverflowError):
        return None
    return float(result) if isinstance(result, int | float) else None


def _room(side: str, about: bool) -> float:
    """By how much a side may miss: half a unit of the last digit of each number that it prints.

    Whole numbers are exact, unless the sign says that they are only about right.
    """
    if power := re.fullmatch(r"\s*(?:(\d+(?:\.\d+)?)\s*\\cdot\s*)?10\^\{?(-?\d+)\}?[ .,;]*", side):
        if power[1] is None:  # an order of magnitude
            return 0.69 * 10.0 ** int(power[2]) if about else 0.0
        return 0.51 * 10.0 ** (int(power[2]) - len(power[1].partition(".")[2]))
    decimals = re.findall(r"\d\.(\d+)", side)
    return sum(0.51 * 10.0 ** -len(digits) for digits in decimals) or (0.51 if about else 0.0)


def equalities(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (left, right, whether only about equal) of each equality between numbers in $...$."""
    for formula in re.findall(r"(?<!\$)\$([^$]+)\$(?!\$)", text):
        left, *others = re.split(r"(=|\\approx)", formula)
        for sign, right in zip(others[::2], others[1::2], strict=True):
            left = left.rpartition(":")[2].strip()
            if value(left) is not None and value(right) is not None:
                yield left, right.strip(), sign != "="
            left = right


def wrong_sums(text: str) -> list[str]:
    """Each equality between numbers holds, to the digits that its right side prints."""
    return [
        f"{left} = {right}: it is {value(left):.6g}"
        for left, right, about in equalities(text)
        if abs(value(left) - value(right)) > _room(right, about) + 1e-9 * abs(value(right))
    ]
