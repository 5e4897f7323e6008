"""Sphinx extension `site_search`: what the search page finds, in English and in Chinese, and in which order.

Sphinx keeps, for each page, whether a word stands on it. That can't tell the page on a subject from one that
names it, has no Chinese words, and takes -ise and -ize for two words. So the index gets a part of its own:
- for each section, its heading, and how often each word stands in it;
- the glossary: each term, in both languages, and the section that explains it;
- the keywords of each page: what people type who look for it. They stand in the page's own metadata: first
  its names, which lead to its top; after a semicolon what is found on it, which leads to a section.

The order is made from it in the reader's browser, by site_search.js. The page, box and list are Sphinx's.

What a word is stands there, too: it is cut by the same code on both sides, here in an embedded V8.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors import EnvironmentCollector
from sphinx.search import _JavaScriptIndex
from sphinx.search.en import SearchEnglish, english_stopwords, js_porter_stemmer
from sphinx.util.matching import patmatch

SCORER = Path(__file__).with_suffix(".js")
TEX_NAMES = re.compile(
    r"\\(?:var)?(alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon"
    r"|phi|chi|psi|omega)\b",
    re.IGNORECASE,
)
ACRONYM = re.compile(r"[\w -]+")

Words = Counter[str]
Entry = tuple[str, str, Words]  # anchor, heading, how often each word stands under it
Keyword = tuple[str, int]  # what people type, and 1 if it is a name of the whole page, otherwise 0
Term = tuple[str, str, str]  # name, page, slug or id of the section that explains it


@cache
def engine() -> MiniRacer:
    """Return a V8 with what the browser has: so an index and a query are cut in the same way."""
    racer = MiniRacer()
    racer.eval(f"var stopwords = {json.dumps(sorted(english_stopwords))}, Search = {{}};")
    racer.eval(js_porter_stemmer)
    racer.eval(SCORER.read_text(encoding="utf-8"))
    return racer


def words(text: str) -> list[str]:
    """Return the words of a text that the index holds."""
    return list(engine().call("siteSearch.indexed", text))


def is_headed(node: nodes.Node) -> bool:
    """Tell whether a node is a section that begins with its heading."""
    return isinstance(node, nodes.section) and any(isinstance(child, nodes.title) for child in node.children)


def texts(node: nodes.Node, prose: list[str], code: list[str]) -> None:
    """Collect the text under a node, without its sections and headings; that of code goes to `code`."""
    for child in node.children:
        if is_headed(child) or isinstance(child, nodes.comment | nodes.raw | nodes.meta):
            continue
        if isinstance(child, nodes.title) and isinstance(node, nodes.section):
            continue
        if isinstance(child, nodes.math | nodes.math_block):
            prose += TEX_NAMES.findall(child.astext())
        elif isinstance(child, nodes.literal_block):
            code.append(child.astext())
        elif isinstance(child, nodes.Text):
            prose.append(child.astext())
        else:
            prose += [child["alt"]] if isinstance(child, nodes.image) and child.get("alt") else []
            texts(child, prose, code)


def entries(document: nodes.document) -> list[Entry]:
    """Return what stands under each heading of a page. The first is the page's title, without anchor."""
    result: list[Entry] = []
    for section in document.findall(is_headed):
        prose: list[str] = []
        code: list[str] = []
        texts(section, prose, code)
        found = Counter(words("\n".join(prose)))
        found.update(set(words("\n".join(code))))  # a name that code repeats counts once
        heading = next(section.findall(nodes.title)).astext()
        result.append((section["ids"][0] if result else "", heading, found))
    return result


def keywords(document: nodes.document) -> list[Keyword]:
    """Return the keywords of a page: before a semicolon names of all of it, after it what is found on it."""
    metas = [meta["content"] for meta in document.findall(nodes.meta) if meta.get("name") == "keywords"]
    found: list[Keyword] = []
    for content in metas:
        names, _, subjects = content.partition(";")
        found += [(name.strip(), 1) for name in names.split(",")]
        found += [(subject.strip(), 0) for subject in subjects.split(",") if subject.strip()]
    return found


def terms(row: nodes.row) -> list[str]:
    """Return the names that a row of the glossary gives its term: Chinese, English, and the acronym."""
    chinese, english, symbol = (row[k].astext() for k in range(3))
    names = re.split(r"\s*(?:/|→)\s*", f"{chinese} / {english}")
    if ACRONYM.fullmatch(symbol.replace(",", "")) and not any(row[2].findall(nodes.math)):
        names += re.split(r",\s*", symbol)
    plain = [re.sub(r"★|（.*?）", "", name).strip() for name in names]
    return [name for name in plain if name not in ("", "–")]


def glossary(document: nodes.document, docname: str) -> list[Term]:
    """Return the terms of the glossary, if it stands on this page, each under all of its names."""
    frames = [node for node in document.findall(nodes.container) if "rl-glossary" in node["classes"]]
    result = []
    for row in (row for frame in frames for body in frame.findall(nodes.tbody) for row in body.children):
        link = next(row[-1].findall(lambda node: isinstance(node, nodes.reference | pending_xref)))
        page, place = link.get("reftarget", docname), link.get("refid") or link.get("reftargetid") or ""
        result += [(name, page, place) for name in terms(row)]
    return result


class Reader(EnvironmentCollector):
    """Keeps, for each page, what the index needs of it."""

    def clear_doc(self, app: Sphinx, env: BuildEnvironment, docname: str) -> None:
        kept(env).pop(docname, None)

    def merge_other(
        self, app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment
    ) -> None:
        kept(env).update({name: read for name, read in kept(other).items() if name in docnames})

    def process_doc(self, app: Sphinx, doctree: nodes.document) -> None:
        docname = app.env.docname
        kept(app.env)[docname] = (entries(doctree), keywords(doctree), glossary(doctree, docname))


def kept(env: BuildEnvironment) -> dict[str, tuple[list[Entry], list[Keyword], list[Term]]]:
    """Return what has been read of each page."""
    if not hasattr(env, "site_search"):
        env.site_search = {}
    return env.site_search


class Index(_JavaScriptIndex):
    """Sphinx's index with the book's part, which replaces Sphinx's lists of words and of entries."""

    def __init__(self, env: BuildEnvironment) -> None:
        self.env = env

    def dumps(self, data: Any) -> str:
        text = json.dumps(
            {**data, "terms": {}, "titleterms": {}, "indexentries": {}, "book": self.book(data["docnames"])},
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
        return f"{self.PREFIX}{text}{self.SUFFIX}"

    def book(self, docnames: list[str]) -> dict[str, Any]:
        """Return the book's part. Pages are places in `docnames`, entries places in the list of entries."""
        number = {docname: k for k, docname in enumerate(docnames)}
        read = sorted(kept(self.env).items())
        places: list[tuple[int, str, str, int]] = []
        found: dict[str, list[int]] = {}
        last: dict[str, int] = {}
        for docname, (under, _, _) in read:
            for anchor, heading, counted in under:
                for word, times in counted.items():
                    # Steps from entry to entry are small numbers, and so the file is smaller.
                    found.setdefault(word, []).extend((len(places) - last.get(word, 0), times))
                    last[word] = len(places)
                places.append((number[docname], anchor, heading, counted.total()))
        slugs = {
            docname: {slug: place[1] for slug, place in metadata.get("myst_slugs", {}).items()}
            for docname, metadata in self.env.metadata.items()
        }
        explained = [
            (number[page], slugs.get(page, {}).get(place, place), name)
            for _, (_, _, listed) in read
            for name, page, place in listed
        ]
        patterns = self.env.config.site_search_reference
        return {
            "entries": places,
            "words": found,
            "keywords": [(number[name], *keyword) for name, (_, listed, _) in read for keyword in listed],
            "glossary": explained,
            "reference": [number[name] for name in docnames if any(patmatch(name, p) for p in patterns)],
        }


class NoWords(SearchEnglish):
    """Spares Sphinx its own list of words, which the book's part replaces."""

    def split(self, input: str) -> list[str]:
        return []


def prepare(app: Sphinx) -> None:
    """Have the builder write the book's index."""
    if app.builder.format == "html":
        app.builder.indexer_format = Index(app.env)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the reader, the index and the scorer."""
    app.add_config_value("site_search_reference", [], "html", types=[list])
    app.add_search_language(NoWords)
    app.add_env_collector(Reader)
    app.connect("config-inited", lambda app, config: setattr(config, "html_search_scorer", str(SCORER)))
    app.connect("builder-inited", prepare)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
