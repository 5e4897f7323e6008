"""The errata ledger: what the source article claims, collected from the chapters that answer it.

A chapter's table `| L5 | what the article says | what is so |` states a claim, or several: `| L5, L10 | ...`.
What a chapter no longer answers in a table of its own stands in book/data/errata.json, as the section's rows
`{"D1": [what the article says, what is so]}`; its page is the section's. The evidence is what the chapter's
cells print: a line that begins with the claim's name, two spaces and a sentence. So the ledger adds nothing
but an order, a verdict and the sources (book/data/errata.json).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

VERDICTS = ("right", "partly", "wrong", "left out", "not kept")
NAMES = r"[A-Z]\d+(?:, [A-Z]\d+)*"


class Claim(NamedTuple):
    """One row of the ledger; several names where a chapter answers them in one row."""

    names: tuple[str, ...]  # ("L5", "L10")
    verdict: str  # one of VERDICTS
    article: str  # what the article says, in MyST Markdown
    so: str  # what is so
    page: str  # the chapter that answers it: "lstm"
    evidence: tuple[str, ...]  # the names whose evidence a cell of some chapter prints
    sources: tuple[str, ...]  # keys of references.bib


class Ledger(NamedTuple):
    """The claims by section of the article, in its order."""

    sections: dict[str, list[Claim]]

    def claims(self) -> list[Claim]:
        """All claims, one after the other."""
        return [claim for claims in self.sections.values() for claim in claims]


def read(book: str | Path) -> Ledger:
    """Collect the ledger from the notebooks of a folder and from its data/errata.json.

    ValueError: a claim that no chapter answers, one that two rows answer, a row for a claim that the data do
    not name, a verdict that is none of VERDICTS, or one row with two verdicts.
    """
    book = Path(book)
    rows: dict[tuple[str, ...], tuple[str, str, str]] = {}
    printed: set[str] = set()
    for path in sorted(set(book.glob("*.ipynb")) - {book / "errata.ipynb"}):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for names, article, so in _rows(notebook):
            if names in rows:
                raise ValueError(
                    f"{', '.join(names)}: expected one row, got one each in {rows[names][2]} and {path.stem}"
                )
            rows[names] = article, so, path.stem
        printed |= {name for names, _ in evidence(notebook) for name in names}
    sections: dict[str, list[Claim]] = {}
    for part in json.loads((book / "data" / "errata.json").read_text(encoding="utf-8")):
        claims: list[Claim] = []
        for written, (article, so) in part.get("rows", {}).items():
            names = tuple(written.split(", "))
            if names in rows:
                raise ValueError(
                    f"{written}: expected one row, got one in errata.json and in {rows[names][2]}"
                )
            rows[names] = article, so, part["page"]
        verdicts = part["claims"]
        for name in verdicts:
            if any(name in claim.names for claim in claims):
                continue
            answered = [names for names in rows if name in names]
            if not answered:
                raise ValueError(f"{name}: expected a row in a chapter's table, found none")
            claims.append(_claim(answered[0], verdicts, rows.pop(answered[0]), printed))
        sections[part["section"]] = claims
    left = [", ".join(names) for names in rows]
    if left:
        raise ValueError(
            f"{'; '.join(left)}: expected an entry in errata.json for each row, or one row for each"
        )
    return Ledger(sections)


def _claim(
    names: tuple[str, ...], verdicts: dict[str, list[str]], row: tuple[str, str, str], printed: set[str]
) -> Claim:
    given = {verdicts[name][0] if name in verdicts else "none" for name in names}
    if len(given) != 1 or not given <= set(VERDICTS):
        raise ValueError(f"{', '.join(names)}: expected one verdict of {VERDICTS}, got {sorted(given)}")
    sources = dict.fromkeys(key for name in names for key in verdicts[name][1:])
    evidence = tuple(name for name in names if name in printed)
    return Claim(names, given.pop(), *row, evidence, tuple(sources))


def _rows(notebook: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            for match in re.finditer(rf"^\| ({NAMES}) \| (.+) \| (.+) \|$", "".join(cell["source"]), re.M):
                yield tuple(match[1].split(", ")), match[2], match[3]


def evidence(notebook: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The lines of evidence that a notebook's cells print: the names and the sentence."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            for match in re.finditer(rf"^({NAMES}) {{2,}}(.+)$", "".join(output.get("text", ())), re.M):
                yield tuple(match[1].split(", ")), match[2]


def table(claims: Sequence[Claim]) -> Any:
    """The claims of a section as a table in MyST Markdown, each with links to the cells that show it."""
    from IPython.display import Markdown

    lines = ["| | The article says | What is so |", "|---|---|---|"]
    for claim in claims:
        shown = [f"[{claim.page}, {name}](#claim-{name.lower()})" for name in claim.evidence]
        shown = shown or [f"[{claim.page}]({claim.page}.ipynb)"]
        so = f"{claim.so} *Shown in* {'; '.join(shown)}."
        cited = [key for key in claim.sources if key not in claim.so]
        if cited:
            so += f" *Source:* {{cite:t}}`{','.join(cited)}`."
        lines.append(f"| {', '.join(claim.names)}: **{claim.verdict}** | {claim.article} | {so} |")
    return Markdown("\n".join(lines))


def count(ledger: Ledger) -> dict[str, int]:
    """How many single claims got each verdict."""
    return {
        verdict: sum(len(claim.names) for claim in ledger.claims() if claim.verdict == verdict)
        for verdict in VERDICTS
    }
