"""What can be counted of a page: verdicts, predictions, exercises, and what doesn't fit the screen.

    python -m tests.book_checks.counts [lstm ...]     prints the table for these pages, or for all;
                                                      --lines names what counts against them,
                                                      --bars prints the bars that are not met,
                                                      --site measures the built site in a browser

A *printed line* is one that a cell prints, captions of figures and the answers of checks left out. A line
is a *verdict* if all its values are True or False. *Folded* is what a reader has to open.
"""

import argparse
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rnnlit.exercises.check import Check
from rnnlit.exercises.puzzle import Puzzle
from tests.book_checks import order, screens, words
from tests.book_checks.notebook import ANSWERS, is_image, tags

ROOT = Path(__file__).resolve().parents[2]
Notebook = Mapping[str, Any]

COLUMN = 84  # characters that fit the column at 1280 pixels; `screens` measures it
PHONE = 41  # and at 390
NUMBER = r"[-+−±]?\d[\d.,]*(?:e[-+]?\d+)?%?"
VALUE = rf"(?:{NUMBER}|True|False|nan|inf)"
TRAINS = re.compile(r"backward\(|\bgrads?\b|gradient")
UPDATES = re.compile(r"-=|\.step\(|\bupdate\(|optimi[sz]er\(|\bfit\(")
FALLS = re.compile(r"loss|nats|bits|perplexity|cross-entropy", re.I)
OVER = re.compile(r"update|step|epoch|pass|training", re.I)


class Line(NamedTuple):
    """One printed line, and whether it is folded."""

    text: str
    folded: bool


class Counts(NamedTuple):
    """What `count` returns for one page."""

    lines: int  # printed, not folded
    verdicts: int
    folded_lines: int
    folded_verdicts: int
    wide: int  # lines of code or output that are wider than the column at 1280 pixels
    late: int  # printed lines whose value begins outside of a phone's screen
    predictions: int
    exercises: int
    solutions: int
    loops: int  # cells with a training loop that a reader sees
    curves: int  # figures of a loss over training

    @property
    def share(self) -> float:
        """The share of verdicts among all printed lines, folded ones included."""
        every = self.lines + self.folded_lines
        return (self.verdicts + self.folded_verdicts) / every if every else 0.0


def cells_with_fold(notebook: Notebook) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield each code cell and whether it stands in the fold of a solution or a dropdown."""
    depth = 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            yield cell, depth > 0
            continue
        for opens, closes in re.findall(
            r"\{((?:solution|exercise)-start)\}|\{((?:solution|exercise)-end)\}", source
        ):
            if opens == "solution-start":
                depth += 1
            elif closes == "solution-end":
                depth -= 1


def lines_of(notebook: Notebook) -> Iterator[Line]:
    """Yield each printed line of a page."""
    for cell, in_fold in cells_with_fold(notebook):
        marks = set(tags(cell))
        folded = in_fold or bool(marks & {"hide-output", "hide-cell"})
        if marks & set(ANSWERS):
            continue
        after_image = False
        for output in cell["outputs"]:
            text = text_of(output)
            lines = [line for line in text.splitlines() if line.strip()]
            yield from (Line(line, folded) for line in (lines[1:] if after_image else lines))
            after_image = is_image(output)


def text_of(output: Mapping[str, Any]) -> str:
    """Return the text that an output shows as such, and not as a picture, a table or highlighted code."""
    if output.get("name") == "stdout":
        return "".join(output["text"])
    data = output.get("data", {})
    return "".join(data.get("text/plain", "")) if set(data) == {"text/plain"} else ""


def fields(line: str) -> list[str]:
    """Return a line's fields: what stands between colons and wide gaps."""
    return [field.strip() for field in re.split(r":\s|:$|\s{2,}", line) if field.strip()]


def is_verdict(line: str) -> bool:
    """Tell whether all values of a line are True or False."""
    if not re.search(r"\b(True|False)\b", line):
        return False
    values = [
        field for field in fields(line) if re.fullmatch(rf"\(?{VALUE}(?:[ ,()\[\]]*{VALUE})*[)\].]?", field)
    ]
    return not any(re.search(r"\d", value) for value in values)


def value_at(line: str) -> int:
    """Return where a line's value begins: after the first colon that has one, else at the first number."""
    after = re.search(rf":\s+(?=[\[(]?{VALUE}(?!\w))", line)
    if after:
        return after.end()
    first = re.search(rf"(?<![\w.]){VALUE}(?![\w])", line)
    return first.start() if first else 0


def is_loop(cell: Mapping[str, Any]) -> bool:
    """Tell whether a cell trains step by step where a reader sees it."""
    source = "".join(cell["source"])
    marks = set(tags(cell))
    looks = (
        re.search(r"^\s*(for|while)\b", source, flags=re.M)
        and TRAINS.search(source)
        and UPDATES.search(source)
    )
    return bool(looks) and not marks & {"hide-cell", "hide-input", "remove-input", *ANSWERS}


def is_curve(cell: Mapping[str, Any]) -> bool:
    """Tell whether a cell shows a figure of a loss over training, by the names of its axes."""
    source = "".join(cell["source"])
    names = [" ".join(re.findall(rf"\b{axis}label=f?[\"']([^\"']*)", source)) for axis in "xy"]
    drawn = any(is_image(output) for output in cell["outputs"])
    return drawn and bool(OVER.search(names[0])) and bool(FALLS.search(names[1]))


def count(notebook: Notebook) -> Counts:
    """Count one page."""
    lines = list(lines_of(notebook))
    cells = [cell for cell, _ in cells_with_fold(notebook)]
    marks = [set(tags(cell)) for cell in cells]
    return Counts(
        lines=sum(not line.folded for line in lines),
        verdicts=sum(is_verdict(line.text) for line in lines if not line.folded),
        folded_lines=sum(line.folded for line in lines),
        folded_verdicts=sum(is_verdict(line.text) for line in lines if line.folded),
        wide=len(list(wide_lines(notebook))),
        late=sum(value_at(line.text) >= PHONE for line in lines),
        predictions=sum("hide-output" in mark for mark in marks),
        exercises=sum("exercise" in mark for mark in marks),
        solutions=sum("solution" in mark for mark in marks),
        loops=sum(map(is_loop, cells)),
        curves=sum(map(is_curve, cells)),
    )


def wide_lines(notebook: Notebook) -> Iterator[str]:
    """Yield the lines that do not fit the column at 1280 pixels: code that a reader sees, and outputs."""
    for cell, _ in cells_with_fold(notebook):
        lines = [line for output in cell["outputs"] for line in (*source_of(output), *text_lines(output))]
        if not set(tags(cell)) & {"hide-cell", "remove-input", "hide-input"}:
            lines += "".join(cell["source"]).splitlines()
        captions = [is_image(output) for output in cell["outputs"]]
        first = text_lines(cell["outputs"][captions.index(True) + 1])[:1] if any(captions[:-1]) else []
        yield from (line for line in lines if len(line) > COLUMN and line not in first)


def text_lines(output: Mapping[str, Any]) -> list[str]:
    """Return the lines that an output shows as text."""
    return text_of(output).splitlines()


def source_of(output: Mapping[str, Any]) -> list[str]:
    """Return the lines of highlighted code that an output shows."""
    markdown = "".join(output.get("data", {}).get("text/markdown", ""))
    return [] if not markdown.startswith("```python") else markdown.splitlines()[1:-1]


# ---------------------------------------------------------------- the bars of a page, and of a chapter

SHARE = 0.1  # of a page's printed lines say only True or False, at most
PREDICTIONS, EXERCISES = 2, 4  # of a chapter, at least


def page_bars(notebook: Notebook) -> set[str]:
    """Return the bars that a page does not meet."""
    found = count(notebook)
    missed = {
        "verdicts": found.share > SHARE,
        "wide": found.wide > 0,
        "late": found.late > 0,
        "words": bool(words.coined(words.visible(notebook))),
    }
    return {name for name, misses in missed.items() if misses}


def chapter_bars(notebooks: list[Notebook]) -> set[str]:
    """Return the bars that a chapter, of one page or several, does not meet."""
    found = [count(notebook) for notebook in notebooks]
    missed = {
        "predictions": sum(one.predictions for one in found) < PREDICTIONS,
        "exercises": sum(one.exercises for one in found) < EXERCISES,
        "loop": not any(one.loops for one in found),
        "curve": not any(one.curves for one in found),
    }
    return {name for name, misses in missed.items() if misses}


def chapters(stems: list[str]) -> dict[str, list[str]]:
    """Return the pages of each chapter: rnn and rnn_gradient are one."""
    found: dict[str, list[str]] = {}
    for stem in stems:
        first = next((one for one in found if stem.startswith(f"{one}_")), stem)
        found.setdefault(first, []).append(stem)
    return found


# ---------------------------------------------------------------- the command

HEAD = (
    "page          printed  True/False    folded  True/False  share    wide  late   "
    "predict  your turn  solved  loop  curve  coined"
)
SITE_HEAD = (
    "page          screens  explains      prose formula  figure    code  output    fold  "
    "sideways, 1280     at 390   columns"
)

CUT_HEAD = (
    "page                    cut at 390: plots   outputs   numbers   scroll  no hint  no keys   "
    "cut on paper: code    others   white in the dark"
)


def cut_row(name: str, c: screens.Cut) -> str:
    """Return a page's line of the table of what a reader doesn't see whole."""
    of = "{0[0]:4} of {0[1]:3}".format
    return (
        f"{name:26}{of(c.plots):>15}{of(c.outputs):>13}{of(c.numbers):>12}{c.scroll:7}"
        f"{c.unhinted:9}{c.unreached:9}{of(c.lost):>23}{of(c.others):>13}{of(c.white):>15}"
    )


def together(found: list[screens.Cut]) -> screens.Cut:
    """Return the sums over pages."""
    columns = zip(*found, strict=True)
    return screens.Cut(
        *(tuple(map(sum, zip(*c, strict=True))) if isinstance(c[0], tuple) else sum(c) for c in columns)
    )


def row(name: str, notebook: Notebook) -> str:
    """Return a page's line of the table."""
    c, own = count(notebook), words.coined(words.visible(notebook))
    return (
        f"{name:13} {c.lines:7}  {c.verdicts:10}  {c.folded_lines:8}  {c.folded_verdicts:10}  {c.share:5.0%}"
        f"  {c.wide:6}  {c.late:4}  {c.predictions:8}  {c.exercises:9}  {c.solutions:6}  {c.loops:4}"
        f"  {c.curves:5}  {len(own):6}"
    )


def site_row(name: str, found: screens.Screens) -> str:
    """Return a page's line of the table of what a browser measures."""
    h = found.heights
    explains, rest = ("prose", "formula", "figure"), ("code", "output", "fold")
    return (
        f"{name:13} {found.screens:7.1f}  {found.explains:8.0%}   "
        + "".join(f"{h[kind]:8}" for kind in (*explains, *rest))
        + f"  {found.sideways[0]:8} of {found.sideways[1]:3}  {found.sideways_phone[0]:6} of "
        f"{found.sideways_phone[1]:3}   {found.columns[0]:4}, {found.columns[1]}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Print what can be counted of pages, and with --site what a browser measures of them."""
    parser = argparse.ArgumentParser(description="Count what a page holds; see the module's docstring.")
    parser.add_argument("pages", nargs="*", help="stems such as lstm; all pages of the book if none is given")
    parser.add_argument("--site", action="store_true", help="measure the built site in a browser too")
    parser.add_argument(
        "--lines", action="store_true", help="print the lines and words that count against a page"
    )
    parser.add_argument(
        "--bars", action="store_true", help="print the bars that pages and chapters do not meet"
    )
    given = parser.parse_args(arguments)
    book = ROOT / "book"
    found = (path for path in sorted(book.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts)
    paths = {path.relative_to(book).with_suffix("").as_posix(): path for path in found}
    stems = given.pages or list(paths)
    print(HEAD)
    for stem in stems:
        print(row(stem, json.loads(paths[stem].read_text(encoding="utf-8"))))
    for stem in stems if given.lines else ():
        notebook = json.loads(paths[stem].read_text(encoding="utf-8"))
        for kind, line in against(notebook):
            print(f"{stem}  {kind:10}  {line}")
    if given.bars:
        notebooks = {stem: json.loads(paths[stem].read_text(encoding="utf-8")) for stem in stems}
        missed = {f"book/{stem}": page_bars(notebook) for stem, notebook in notebooks.items()}
        for chapter, of in chapters([stem for stem in core() if stem in notebooks]).items():
            missed[chapter] = chapter_bars([notebooks[stem] for stem in of])
        for name, bars in missed.items():
            quoted = ", ".join(f'"{bar}"' for bar in sorted(bars))
            print(f'    "{name}": {{{quoted}}},')
    if not given.pages:
        idle = unused([path.read_text(encoding="utf-8") for path in paths.values()], exercises())
        print("\nExercises that no page asks:", ", ".join(idle) or "none")
    if given.site:
        built = [ROOT / "_build" / "html" / "book" / f"{stem}.html" for stem in stems]
        print(f"\n{SITE_HEAD}")
        for stem, found in zip(stems, screens.measure(built), strict=True):
            print(site_row(stem, found))
        print(f"\n{CUT_HEAD}")
        cut = []
        for stem, found in zip(stems, screens.cut(built), strict=True):
            cut.append(found)
            print(cut_row(stem, found), flush=True)
        print(cut_row("all", together(cut)))


def core() -> list[str]:
    """Return the stems of the core chapters' pages, in reading order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [page.removeprefix("book/") for page in order.concepts(toc)]


def exercises() -> list[str]:
    """Return the names of all exercises and puzzles, lstm.step and so on."""
    found = []
    for module in pkgutil.iter_modules([str(ROOT / "rnnlit" / "exercises")]):
        names = vars(importlib.import_module(f"rnnlit.exercises.{module.name}"))
        found += [f"{module.name}.{name}" for name, one in names.items() if isinstance(one, Check | Puzzle)]
    return found


def unused(pages: list[str], names: list[str]) -> list[str]:
    """Return the exercises whose check no page calls."""
    return [name for name in names if not any(f"{name}.check(" in page for page in pages)]


def against(notebook: Notebook) -> Iterator[tuple[str, str]]:
    """Yield the lines and words that count against a page, each with its kind."""
    for line in lines_of(notebook):
        if is_verdict(line.text):
            yield "True/False", line.text
        if value_at(line.text) >= PHONE:
            yield "late", line.text
    for line in wide_lines(notebook):
        yield "wide", line
    for word in words.coined(words.visible(notebook)):
        yield "coined", word


if __name__ == "__main__":
    main()
