"""The errata ledger: the claims of the source article as the errata page has them, to be counted and checked.

A claim on the page is a line with its names, its verdict and what the article says, in English; then the
article's own sentence; then what is so, up to the next claim or heading:

    **L5: wrong.** *The input gate is computed from the input alone.*

    > the sentence

    Every gate sees the input and the state.

Claims that follow each other and are answered together have the last one's answer. The evidence is what the
page's cells print: a line that begins with the claim's name, two spaces and a sentence.

    python -m rnnlit.pages.ledger book/errata.ipynb

writes the verdicts into the package, where the page counts them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

VERDICTS = ("right", "partly", "wrong", "left out", "not kept")
NAMES = r"[A-Z]\d+(?:, [A-Z]\d+)*"
CLAIM = re.compile(
    r"^\*\*(?P<name>[A-Z]\d+): (?P<verdict>[\w ]+)\.\*\* \*(?P<article>.+?)\*(?P<rest>.*)$", re.M
)


class Claim(NamedTuple):
    """One claim of the article."""

    name: str  # "L5"
    verdict: str  # one of VERDICTS
    article: str  # what the article says, in English
    quote: str  # its own words; "" where it says nothing
    so: str  # what is so, in MyST Markdown
    sources: tuple[str, ...]  # keys of references.bib that the answer cites


def read(page: str | Path) -> list[Claim]:
    """The claims of an errata page, in its order.

    ValueError: a claim that stands twice, a verdict that is none of VERDICTS, a claim without the article's
    sentence though something is said, or one without an answer.
    """
    claims: list[Claim] = []
    for cell in json.loads(Path(page).read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            claims += _claims("".join(cell["source"]))
    names = [claim.name for claim in claims]
    for claim in claims:
        if names.count(claim.name) > 1:
            raise ValueError(f"{claim.name}: expected one claim of this name, got {names.count(claim.name)}")
        if claim.verdict not in VERDICTS:
            raise ValueError(f"{claim.name}: expected one verdict of {VERDICTS}, got {claim.verdict!r}")
        if not claim.quote and claim.verdict != "left out":
            raise ValueError(f"{claim.name}: expected the article's sentence, found none")
        if not claim.so:
            raise ValueError(f"{claim.name}: expected what is so, found nothing")
    return claims


def _claims(text: str) -> Iterator[Claim]:
    found = list(CLAIM.finditer(text))
    so, end = "", len(text)
    answered: list[Claim] = []
    for match in reversed(found):
        body = re.split(r"^#", match["rest"] + text[match.end() : end], maxsplit=1, flags=re.M)[0]
        quote = " ".join(re.findall(r"^> (.+)$", body, re.M))
        so = re.sub(r"^> .+$", "", body, flags=re.M).strip() or so
        cited = re.findall(r"\{cite:\w\}`([^`]+)`", so)
        sources = dict.fromkeys(key for keys in cited for key in keys.split(","))
        answered.append(Claim(match["name"], match["verdict"], match["article"], quote, so, tuple(sources)))
        end = match.start()
    yield from reversed(answered)


def evidence(notebook: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The lines of evidence that a notebook's cells print: the names and the sentence."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            for match in re.finditer(rf"^({NAMES}) {{2,}}(.+)$", "".join(output.get("text", ())), re.M):
                yield tuple(match[1].split(", ")), match[2]


def count(claims: Sequence[Claim]) -> dict[str, int]:
    """How many claims got each verdict."""
    return {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in VERDICTS}


def verdicts() -> dict[str, str]:
    """The verdict on each claim of the book's errata page, by the claim's name, in the page's order."""
    return json.loads(files("rnnlit").joinpath("data", "errata.json").read_text(encoding="utf-8"))


def main(page: str) -> None:
    """Write the verdicts of an errata page into the package."""
    text = json.dumps({claim.name: claim.verdict for claim in read(page)}, indent=1)
    Path(str(files("rnnlit").joinpath("data", "errata.json"))).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
