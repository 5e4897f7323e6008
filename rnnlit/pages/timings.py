"""Records of times, read for a page: the ratios of some rows, how far they spread, a table with them.

A record (`rnnlit.pages.records`) holds rows. A row says what was timed ("size", "threads", ...) and has,
under "against", the ratio of its own time to that of each other side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def rows_of(rows: Iterable[Mapping[str, Any]], **wanted: Any) -> list[Mapping[str, Any]]:
    """The rows in which each of these fields has this value, or one of these where a set is given.

    ValueError: no row has.
    """

    def fits(row: Mapping[str, Any]) -> bool:
        return all(
            row.get(key) in value if isinstance(value, set) else row.get(key) == value
            for key, value in wanted.items()
        )

    found = [row for row in rows if fits(row)]
    if not found:
        raise ValueError(f"rows: none has {wanted}")
    return found


def ratios(rows: Iterable[Mapping[str, Any]], side: str, **wanted: Any) -> list[float]:
    """The ratio to this side in each of `rows_of(rows, **wanted)` that has the side."""
    found = rows_of(rows, **wanted)
    return [row["against"][side]["ratio"] for row in found if side in row["against"]]


def span(values: Iterable[float], digits: int = 2) -> str:
    """From the least to the largest: "0.41 to 0.93"; one number where both are rounded alike.

    ValueError: no values.
    """
    found = sorted(values)
    if not found:
        raise ValueError("values: expected at least one, got none")
    low, high = (f"{value:.{digits}f}" for value in (found[0], found[-1]))
    return low if low == high else f"{low} to {high}"


class Table:
    """A table in Markdown, which a notebook shows as a table."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table with these titles and rows of cells in Markdown.

    ValueError: a row with more or fewer cells than there are titles.
    """
    lines = [head, ["---"] * len(head), *rows]
    for line in lines:
        if len(line) != len(head):
            raise ValueError(f"rows: expected {len(head)} cells in each, got {len(line)} in {list(line)}")
    return Table("\n".join(f"| {' | '.join(line)} |" for line in lines))
