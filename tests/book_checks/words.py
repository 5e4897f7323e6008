"""Words of our own for what the field has a name for: a reader would copy them into a thesis."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.book_checks.notebook import printed, prose

Notebook = Mapping[str, Any]


class Coined(NamedTuple):
    """A coined word, as a regular expression, and what the field says."""

    pattern: str
    use: str


THINGS = (
    r"(?:weights?|bias(?:es)?|inputs?|parameters?|states?|cells?|keys?|quer(?:y|ies)|scores?|logits?|loss)"
)
COINED = (
    Coined(r"(?:orthogonal|identity|uniform) starts?\b", "initialisation"),
    Coined(r"\bstarts? that helps?\b", "initialisation"),
    Coined(r"\bstates? of rest\b", "fixed point"),
    Coined(r"\btipping points?\b", "unstable fixed point"),
    Coined(
        r"\bgroups? of (?:one|two|three|four|five|six|[1-6]|n|\$n\$)\b(?! (?:rows|gates|units|seq))",
        "n-grams",
    ),
    Coined(r"\bgroups? of (?:several|all) lengths\b", "n-grams"),
    Coined(
        rf"\bgradients? (?:of the loss )?for (?:the |an? |its |all |each |every )?(?:\w+ )?{THINGS}\b",
        "the gradient with respect to",
    ),
    Coined(
        r"\bgradients? (?:of the loss )?for (?:the |\$)(?!\w* ?(?:first|last)\b)[A-Za-z\\]*\$",
        "with respect to",
    ),
    Coined(r"\bnamed (?:right|wrong)(?:ly)?\b", "classified correctly; accuracy"),
    Coined(r"\b(?:cell|network|net) left as drawn\b", "untrained recurrent weights, an echo state network"),
    Coined(r"\b(?:for|until|of) the way back\b", "the backward pass"),
    Coined(r"\bsecond judge\b", "an independent check"),
    Coined(r"\bproduct element by element\b", "element-wise (Hadamard) product"),
    Coined(r"\bchoices in between\b", "validation set"),
    Coined(r"\bshare of (?:ordered )?pairs\b", "AUROC"),
    Coined(r"\b[Ff]our gates\b", "three gates and a candidate; four blocks"),
)


def coined(text: str, words: tuple[Coined, ...] = COINED) -> list[str]:
    """Return a line for each coined word in a text: the word and what the field says."""
    flat = " ".join(text.split())
    found = []
    for word in words:
        found += [f"{match[0]!r}: say {word.use}" for match in re.finditer(word.pattern, flat, flags=re.I)]
    return list(dict.fromkeys(found))


def visible(notebook: Notebook) -> str:
    """Return all words that a reader of a notebook meets: its prose, its code and what it prints."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return "\n".join([prose(notebook), *("".join(cell["source"]) for cell in code), *map(printed, code)])
