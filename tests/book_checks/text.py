"""Checks of the pages' text: equations, figures, citations."""

import re
from collections import Counter
from collections.abc import Mapping

SHORTEST_ALT = 10  # characters


def directives(text: str, names: str) -> list[tuple[str, str]]:
    """Return (argument, body) of each MyST directive whose name matches the pattern `names`."""
    opening = rf"^(?P<fence>`{{3,}}|:{{3,}})\{{(?:{names})\}}[ \t]*(?P<argument>[^\n]*)\n"
    found = re.finditer(opening + r"(?P<body>.*?)^(?P=fence)[ \t]*$", text, flags=re.M | re.S)
    return [(match["argument"].strip(), match["body"]) for match in found]


def equation_labels(text: str) -> list[str]:
    r"""Return the labels of equations: `$$ ... $$ (label)`, `:label:` of a math directive, and `\label{}`."""
    after_dollars = re.findall(r"\$\$[ \t]*\(([\w:.-]+)\)[ \t]*$", text, flags=re.M)
    in_directives = [
        label
        for _, body in directives(text, "math")
        for label in re.findall(r"^:label:\s*(\S+)", body, flags=re.M)
    ]
    return after_dollars + in_directives + re.findall(r"\\label\{([^}]+)\}", text)


def cited_labels(text: str) -> set[str]:
    """Return every label that a text refers to, by a role or by a link."""
    by_role = re.findall(r"\{(?:eq|ref|numref)\}`(?:[^`<]*<)?([^`>]+)>?`", text)
    by_link = re.findall(r"\]\(#?([\w:.-]+)\)", text)
    return {label.strip() for label in by_role + by_link} | set(re.findall(r"\\(?:eq)?ref\{([^}]+)\}", text))


def equations(texts: Mapping[str, str]) -> list[str]:
    """Each equation's label is there once and is cited somewhere: a number that nothing cites is noise."""
    where = [(label, page) for page, text in texts.items() for label in equation_labels(text)]
    cited = set().union(*(cited_labels(text) for text in texts.values()))
    wrong = [f"{page}: no text cites the equation {label}" for label, page in where if label not in cited]
    counts = Counter(label for label, _ in where)
    return wrong + [f"the equation label {label} stands {n} times" for label, n in counts.items() if n > 1]


def figures_without_alt(text: str) -> list[str]:
    """Each figure and picture on a page has an alternative text that says something."""
    wrong = []
    for argument, body in directives(text, "figure-md"):
        if not re.search(r"!\[[^\]]*\]\(|<img\b", body):
            wrong.append(f"the figure {argument or body[:40]!r} holds no picture")
    for argument, body in directives(text, "figure|image"):
        alt = re.search(r"^:alt:[ \t]*(.*)$", body, flags=re.M)
        if alt is None or len(alt[1].strip()) < SHORTEST_ALT:
            wrong.append(f"the figure {argument} has no :alt:")
    alts = re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", text)
    wrong += [
        f"the picture {path} has no alternative text" for alt, path in alts if len(alt.strip()) < SHORTEST_ALT
    ]
    for image in re.findall(r"<img\b[^>]*>", text):
        alt = re.search(r"""\balt\s*=\s*("[^"]*"|'[^']*')""", image)
        if alt is None or len(alt[1].strip("\"' ")) < SHORTEST_ALT:
            wrong.append(f"{image[:60]} has no alternative text")
    return wrong


def bibliography_keys(bibtex: str) -> list[str]:
    """Return the keys of a BibTeX file."""
    kinds = re.findall(r"^\s*@(\w+)\s*\{\s*([^,\s]+)\s*,", bibtex, flags=re.M)
    return [key for kind, key in kinds if kind.lower() not in {"comment", "string", "preamble"}]


def citations(text: str) -> set[str]:
    """Return the keys that a page (MyST) or a docstring (reStructuredText) cites."""
    roles = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`|:cite(?::\w+)?:`([^`]+)`", text)
    return {key.strip() for role in roles for key in "".join(role).split(",")}


def unresolved_citations(texts: Mapping[str, str], bibtex: str) -> list[str]:
    """Each cited key stands in the bibliography, once, and each entry there is cited."""
    keys = bibliography_keys(bibtex)
    cited = {key: name for name, text in texts.items() for key in citations(text)}
    wrong = [
        f"{name}: cites {key}, which the bibliography lacks" for key, name in cited.items() if key not in keys
    ]
    wrong += [f"the bibliography has {key} {n} times" for key, n in Counter(keys).items() if n > 1]
    return wrong + [f"no page cites {key} of the bibliography" for key in keys if key not in cited]
