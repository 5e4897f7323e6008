"""How long a page takes to read, worked out from what stands on it.

A page is read as most readers would: words, displayed formulas, figures, the code that is shown and the lines
that it prints; what is folded is left closed, and solutions are not read. The exercises count apart, with the
minutes that stand in their titles.

Adults read English non-fiction at some 238 words a minute, and more slowly in a second language (Brysbaert,
"How many words do we read per minute?", Journal of Memory and Language 109, 2019). This text is technical,
and most of its readers have another first language; so it is taken at `WORDS`. The other rates are ours.

    python book/_ext/reading_time.py        prints the times of all pages
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

WORDS = 150  # a minute
CODE, PRINTED, LOOK = 4, 2, 20  # seconds for a line of code, a line that is printed, a figure or a formula

WORD = re.compile(r"[A-Za-zÀ-ž][\w’'-]*|[\u4e00-\u9fff]")
FORMULA = re.compile(r"\$\$.*?\$\$|^(`{3,}|:{3,})\{math\}.*?^\1[ \t]*$", re.DOTALL | re.MULTILINE)
FOLD = re.compile(r"\{solution-(start|end)\}")
ASIDE = re.compile(  # what is folded, and exercises
    r"^(`{3,}|:{3,})\{(?:(?:dropdown|exercise|solution)\}|admonition\}[^\n]*\n:class:[^\n]*dropdown)"
    r".*?^\1[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)  # a page's metadata
MARKUP = re.compile(r"\]\([^)]*\)|<[^>]*>|^[`:]{3,}.*$|^:[\w-]+:.*$|^\([\w-]+\)=$|^%.*$", re.MULTILINE)
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
HEADING = re.compile(r"^(#{1,6}) +(.+?)[ \t]*$", re.MULTILINE)
MINUTES = re.compile(r"\b(\d+) min, (?:core|deep|project|open)\b")
UNREAD = {"hide-cell", "remove-cell", "solution"}


class Times(NamedTuple):
    """Minutes of a page or a part of one: to read it, and for the exercises that stand there."""

    reading: float
    exercises: int

    def __add__(self, other: tuple[Any, ...]) -> Times:
        return Times(self.reading + other[0], self.exercises + other[1])


NOTHING = Times(0, 0)


def anchor(heading: str) -> str:
    """Return the anchor that MyST gives to a heading, without a label or markup."""
    plain = re.sub(r"[`*$]", "", heading.lower())
    return re.sub(r"[^\w\u4e00-\u9fff\- ]", "", plain).replace(" ", "-")


def of_text(text: str) -> Times:
    """Return the times of a piece of Markdown in which nothing is folded."""
    minutes = sum(map(int, MINUTES.findall(text)))
    text = ASIDE.sub("", text)
    looks = len(FORMULA.findall(text)) + len(PICTURE.findall(text))
    bare = MARKUP.sub("", PICTURE.sub("", FORMULA.sub("", text)))
    return Times(len(WORD.findall(bare)) / WORDS + looks * LOOK / 60, minutes)


def of_code(cell: Mapping[str, Any]) -> Times:
    """Return the times of a code cell: the code that is shown, and what it gives."""
    tags, seconds = set(cell["metadata"].get("tags", ())), 0
    if tags & UNREAD:
        return NOTHING
    if not tags & {"remove-input", "hide-input"}:
        seconds += CODE * sum(bool(line.strip()) for line in cell["source"].splitlines())
    for output in cell["outputs"] if "hide-output" not in tags else ():
        data = output.get("data", {})
        if any(kind.startswith("image/") for kind in data):
            seconds += LOOK
        elif "text/markdown" in data:  # the package's source, or a table
            seconds += CODE * len("".join(data["text/markdown"]).splitlines())
        else:
            seconds += PRINTED * len("".join(output.get("text", data.get("text/plain", ""))).splitlines())
    return Times(seconds / 60, 0)


def cells(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the cells of a page; one of Markdown has one."""
    if path.suffix == ".md":
        text = HEAD.sub("", path.read_text(encoding="utf-8"))
        yield {"cell_type": "markdown", "source": text, "metadata": {}}
        return
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        yield cell | {"source": "".join(cell["source"])}


def parts(path: Path) -> Iterator[tuple[int, str, Times]]:
    """Yield each stretch of a page that ends at a heading or a cell: level and anchor of the heading that it
    stands under, and its times."""
    level, under, folded = 1, "", False
    for cell in cells(path):
        if cell["cell_type"] != "markdown":
            yield level, under, NOTHING if folded or cell["cell_type"] != "code" else of_code(cell)
            continue
        read = []  # of the cell: a solution may begin and end within it
        for kind, text in zip(
            ["", *FOLD.findall(cell["source"])], FOLD.split(cell["source"])[::2], strict=True
        ):
            folded = kind == "start" if kind else folded
            read += [] if folded else [text]
        pieces = HEADING.split("\n".join(read))
        yield level, under, of_text(pieces[0])
        for signs, heading, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            level, under = len(signs), anchor(heading)
            yield level, under, of_text(f"{heading}\n{text}")


def times(path: Path, last: str = "", first: str = "") -> Times:
    """Return the times of a page from the section `first`, or the top, to the end of the section `last`.

    Both are anchors; without them it is all of the page. A section holds those below it.
    Raises ValueError for a section that the page lacks.
    """
    total, started, ended, known = NOTHING, not first, False, {}
    for level, under, part in parts(path):
        known.setdefault(under, level)
        started = started or under == first
        ended = ended or (bool(last) and last in known and under != last and level <= known[last])
        if started and not ended:
            total += part
    if lacking := {name for name in (first, last) if name} - set(known):
        raise ValueError(f"{path.name} has no section {', '.join(sorted(lacking))}")
    return total


def said(minutes: float) -> str:
    """Return a time in words, rounded as its worth is: to 5 minutes, from 90 minutes on to half hours."""
    if minutes < 90:
        return f"{max(5, 5 * round(minutes / 5))} min"
    halves = round(minutes / 30)
    return f"{halves // 2}{'½' if halves % 2 else ''} hours"


if __name__ == "__main__":
    book = Path(__file__).resolve().parents[1]
    for path in sorted([*book.rglob("*.ipynb"), *book.glob("*.md")]):
        found = times(path)
        print(
            f"{found.reading:6.1f} min to read, {found.exercises:4} for exercises  {path.relative_to(book)}"
        )
