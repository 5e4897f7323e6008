"""Sphinx extension `checked_page`: the counts on the page "How this book is checked", and the last full run.

- {count}`cells` is a number that `counted` finds in the repository when the page is read. The page is read
  anew when one of its counts has changed.
- `{status}` is what that run left on record; `make status` writes it, book/data/status.json. Without it the
  page says so.
- `{page-times}` is a table of what each of its pages needs; a line of it is `book/rnn: its title`.
"""

from __future__ import annotations

import json
from typing import Any

import counted
import reading_time
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

logger = logging.getLogger(__name__)

RECORD = counted.ROOT / "book" / "data" / "status.json"
NO_RECORD = "No full run is on record in this copy. `make test`, then `make status` leave one."


def record() -> dict[str, Any]:
    """Return the record of the last full run; nothing where there is none."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}


def passed(run: dict[str, Any], outcome: str = "") -> int:
    """Return how many tests a run had, or how many of them with an outcome."""
    return sum(n for found in run["tests"].values() for name, n in found.items() if outcome in ("", name))


def clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def run_table(run: dict[str, Any]) -> list[str]:
    """Return what was tested and on what, as Markdown."""
    machine = run["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:.0f} GiB, {machine['system']}"
    )
    lines = ["| Tests | Passed | Skipped |", "|---|---:|---:|"]
    for kind, found in run["tests"].items():
        lines.append(f"| {kind} | {found.get('passed', 0):,} | {found.get('skipped', 0):,} |")
    lines.append(f"| **all** | **{passed(run, 'passed'):,}** | **{passed(run, 'skipped'):,}** |")
    return [
        f"On {machine['date']}, in {run['seconds'] / 60:.0f} minutes, by `{run['command']}`, with "
        f"{machine['python']}, {packages}; on this machine: {where}.",
        "",
        *lines,
    ]


def page_table(run: dict[str, Any], titles: dict[str, str]) -> list[str]:
    """Return what each page needs: to be read, for its exercises, and for a computer to run all of it."""
    lines = ["| Page | To read | Exercises | Run all cells |", "|---|---:|---:|---:|"]
    for page, title in titles.items():
        path = next(p for end in (".ipynb", ".md") if (p := counted.ROOT / f"{page}{end}").is_file())
        times, ran = reading_time.times(path), run.get("pages", {}).get(page)
        seconds = clock(ran["seconds"]) if ran else "–"
        own = reading_time.said(times.exercises) if times.exercises else "–"
        lines.append(f"| [{title}](/{page}) | {reading_time.said(times.reading)} | {own} | {seconds} |")
    return lines


class Count(SphinxRole):
    """A number that is counted when the page is read."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            number = f"{counted.COUNTS[self.text]():,}"
        except KeyError:
            number = self.text
            logger.warning("nothing counts %r", self.text, location=self.get_location(), type="checked_page")
        return [nodes.Text(number)], []


class Table(SphinxDirective):
    """What is written as Markdown and depends on the record."""

    def lines(self, found: dict[str, Any]) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(RECORD))
        holder = nodes.Element()
        lines = StringList(self.lines(record()), self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset, holder)
        return holder.children


class Status(Table):
    """What the last full run left on record."""

    def lines(self, found: dict[str, Any]) -> list[str]:
        return run_table(found) if found else [NO_RECORD]


class PageTimes(Table):
    """What each page needs."""

    has_content = True

    def lines(self, found: dict[str, Any]) -> list[str]:
        pages = (line.partition(":") for line in self.content)
        return page_table(found, {page.strip(): title.strip() for page, _, title in pages})


def changed(app: Sphinx, env: BuildEnvironment, *_: object) -> list[str]:
    """Return the page, if one of its counts has changed since it was read."""
    now = counted.counts()
    before, env.checked_page = getattr(env, "checked_page", None), now  # type: ignore[attr-defined]
    pages = [name for name in env.found_docs if name == app.config.checked_page]
    return pages if before != now else []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the roles, the directive, and which page holds them."""
    app.add_config_value("checked_page", "book/checked", "env", types=[str])
    app.add_role("count", Count())
    app.add_directive("status", Status)
    app.add_directive("page-times", PageTimes)
    app.connect("env-get-outdated", changed)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
