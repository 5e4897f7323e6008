"""Checks of the pages' text: equations, figures, citations."""

import calendar
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping

from mdit_py_plugins.anchors.index import slugify

SHORTEST_ALT = 10  # characters


def directives(text: str, names: str) -> list[tuple[str, str]]:
    """Return (argument, body) of each MyST directive whose name matches the pattern `names`."""
    opening = rf"^(?P<fence>`{{3,}}|:{{3,}})\{{(?:{names})\}}[ \t]*(?P<argument>[^\n]*)\n"
    found = re.finditer(opening + r"(?P<body>.*?)^(?P=fence)[ \t]*$", text, flags=re.M | re.S)
    return [(match["argument"].strip(), match["body"]) for match in found]


def named_directives(text: str) -> list[tuple[str, str, str]]:
    """Return (name, argument, body) of each MyST directive, those within another one too."""
    opening = r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\}[ \t]*(?P<argument>[^\n]*)\n"
    found = re.finditer(rf"(?={opening}(?P<body>.*?)^(?P=fence)[ \t]*$)", text, flags=re.M | re.S)
    return [(match["name"], match["argument"].strip(), match["body"]) for match in found]


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


def labels(text: str) -> dict[str, str]:
    """Return what a page names, by label: an equation, figure, exercise, other directive, or place."""
    found = dict.fromkeys(equation_labels(text), "equation")
    for name, argument, body in named_directives(text):
        if name == "figure-md":
            found[argument.partition(" ")[0]] = "figure"
        elif name == "play":
            found[f"play-{argument}"] = "figure"
        elif name != "math":
            options = re.findall(r"^:(?:name|label):[ \t]*(\S+)", body, flags=re.M)
            found |= dict.fromkeys(options, "figure" if name == "image" else name)
    return found | dict.fromkeys(re.findall(r"^\(([\w:.-]+)\)=[ \t]*$", text, flags=re.M), "place")


# What a role, or an exercise's solution, can name.
NAMEABLE = {
    "eq": {"equation"},
    "numref": {"figure", "table", "list-table", "place"},
    "solution": {"exercise"},
    "solution-start": {"exercise"},
}


def dangling_labels(texts: Mapping[str, str]) -> list[str]:
    """Each label that a page refers to stands on some page, at something of the right kind."""
    there = {label: kind for text in texts.values() for label, kind in labels(text).items()}
    wrong = []
    for page, text in texts.items():
        named = re.findall(r"\{(eq|ref|numref|prf:ref)\}`(?:[^`<]*<)?([^`>]+)>?`", text)
        named += re.findall(r"^[`:]{3,}\{(solution(?:-start)?)\}[ \t]*(\S+)", text, flags=re.M)
        named += [("eq", label) for label in re.findall(r"\\(?:eq)?ref\{([^}]+)\}", text)]
        for role, label in named:
            kind = there.get(label.strip())
            if kind is None:
                wrong.append(f"{page}: {{{role}}} names {label}, which no page has")
            elif kind not in NAMEABLE.get(role, {kind}):
                wrong.append(f"{page}: {{{role}}} names {label}, which is a label of another kind: {kind}")
    return wrong


# A number as the site writes it, such as Fig. 5.2, Exercise 3 or (1.8); and one as this book cites a paper's.
OWN_NUMBER = re.compile(
    r"\b(?:Figs?\.|Figures?|Eqs?\.|Equations?|Sections?|Sec\.|Chapters?|Exercises?|Tables?|Listing)\s+\(?\d[\d.]*"
    r"|(?<![\w$(\[{,.\d/])\(\d+\.\d+\)"
)
PAPERS_NUMBER = re.compile(
    r"\b(?:figs?\.|figures?|eqs?\.|equations?|sections?|sec\.|chapters?|exercises?|tables?|appendix)"
    r"\s+\(?[A-Z]?\.?\d[\d.]*"
)


def typed_numbers(text: str) -> list[str]:
    """The site counts figures, equations and exercises, so none is cited by a number that somebody typed.

    A paper's own number has a small letter, and a citation before it under the same heading.
    """
    text = re.sub(r"^(`{3,})(?:code|python).*?^\1|\$[^$]+\$", "", text, flags=re.M | re.S)
    wrong = [f"{match[0]} is typed: cite a label" for match in OWN_NUMBER.finditer(text)]
    for section in re.split(r"^#+ ", text, flags=re.M):
        for match in PAPERS_NUMBER.finditer(section):
            line = section[: match.end()] + section[match.end() :].partition("\n")[0]
            if not re.search(r"\{cite(?::\w+)?\}`", line):
                wrong.append(f"{match[0]} stands below no citation: of which paper?")
    return wrong


def headings(text: str, deepest: int = 3) -> set[str]:
    """Return what a link into a page can name: its headings, as MyST writes them, and its labels."""
    found = re.findall(rf"^#{{1,{deepest}}} (.+?)[ \t]*$", text, flags=re.M)
    return {slugify(heading) for heading in found} | set(labels(text))


def dead_links(texts: Mapping[str, str], exists: Callable[[str], bool]) -> list[str]:
    """Each link, or picture, within the repository leads to a file, and to a heading or label of its page.

    texts: Markdown by path without ending, such as book/lstm; exists: whether the repository has a path.
    """
    wrong, everywhere = [], {label for text in texts.values() for label in labels(text)}
    for page, text in texts.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            file = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else ""
            stem = posixpath.splitext(file)[0] if path else page
            if path and not exists(file):
                wrong.append(f"{page}: links to {target}, and there is no such file")
            elif anchor and anchor not in headings(texts.get(stem, "")) | (set() if path else everywhere):
                wrong.append(f"{page}: links to {target}, and there is no such heading")
    return wrong


def figures_without_alt(text: str) -> list[str]:
    """Each figure and picture on a page has an alternative text that says something."""
    wrong = []
    for argument, body in directives(text, "figure-md|play"):
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


def bibliography(bibtex: str) -> dict[str, dict[str, str]]:
    """Return the fields of each entry of a BibTeX file by its key, one field a line."""
    entries = {}
    for entry in re.split(r"^(?=@)", bibtex, flags=re.M):
        if head := re.match(r"@(?!comment|string|preamble)\w+\s*\{\s*([^,\s]+)", entry, flags=re.I):
            fields = re.findall(r"^\s*(\w+) = \{(.*)\},?\s*$", entry, flags=re.M)
            entries[head[1]] = {name: value.replace("{", "").replace("}", "") for name, value in fields}
    return entries


def _surnames(authors: str) -> list[str]:
    """The surnames of `Elman, Jeffrey L. and ...`, or of `Jeffrey L. Elman and ...`."""
    names = re.split(r"\s+and\s+", re.sub(r"\\.", "", authors))
    return [name.partition(",")[0].strip() if "," in name else name.split()[-1] for name in names]


def odd_entries(bibtex: str) -> list[str]:
    """Each entry's key is the first author's surname, the year and a word of the title; no accents."""
    wrong = []
    for key, entry in bibliography(bibtex).items():
        words = re.findall(r"[a-z0-9]+", re.sub(r"[-']", "", entry.get("title", "").lower()))
        words += re.findall(r"[a-z0-9]+", entry.get("title", "").lower())
        first = unicodedata.normalize("NFKD", _surnames(entry.get("author", "?"))[0].lower())
        surname = re.sub(r"[^a-z]", "", first)
        name, year, word = (
            re.fullmatch(r"([a-z]+)(\d{4})([a-z0-9]+)", key) or re.match("()()()", "")
        ).groups()
        if name != surname or year != entry.get("year") or word not in words:
            wrong.append(f"{key}: its fields are of {surname}, {entry.get('year')}, {entry.get('title')}")
    return wrong


NAME = r"[A-Z][\w'’-]+"
NAMED_PAPER = re.compile(
    rf"\b({NAME}(?:, {NAME})+ (?:&|and) {NAME}|{NAME} (?:&|and) {NAME}|{NAME} et al\.|(?<!& ){NAME}),?"
    r" \(?((?:19|20)\d\d)(?:\)|,| *[;)]|$|\b(?=[ ,;)]))"
)
NO_AUTHORS = {*calendar.month_name, "In", "Since", "By"}


def papers_without_entry(texts: Mapping[str, str], bibtex: str) -> list[str]:
    """Each paper that is named by authors and year has them so in the bibliography."""
    known = [(_surnames(entry["author"]), entry["year"]) for entry in bibliography(bibtex).values()]
    wrong = []
    for page, text in texts.items():
        for words, year in NAMED_PAPER.findall(re.sub(r"\s*\n[\s#]*", " ", text)):
            names = re.findall(NAME, words)
            if names[0] in NO_AUTHORS:
                continue
            several = words.endswith("et al.")
            fits = [
                known_year == year
                and (authors[0] == names[0] and len(authors) > 2 if several else authors == names)
                for authors, known_year in known
            ]
            if not any(fits):
                wrong.append(f"{page}: names {words} {year}, and the bibliography has no such paper")
    return wrong
