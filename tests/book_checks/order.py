"""Checks of the reading order: _toc.yml, the pages, modules and tests of one stem, the README's table."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from tests.book_checks.package import imports

CORE = "Core concepts"  # the part of _toc.yml whose chapters have a module and a test of their own
FRONT = "index"  # the stem of a folder's front page, which is about all pages of the folder and no module


def pages(toc: Mapping[str, Any]) -> list[str]:
    """Return every page of a table of contents, root first, in reading order, without suffix."""

    def below(entry: Mapping[str, Any]) -> Iterator[str]:
        if "file" in entry:
            yield entry["file"]
        for key in ("parts", "chapters", "sections"):
            for child in entry.get(key, ()):
                yield from below(child)

    return [toc["root"], *below(toc)]


def concepts(toc: Mapping[str, Any]) -> list[str]:
    """Return the pages with a module of their own: the core part, and what lies in book/practice.

    The front page of a folder, book/practice/index, is no concept: it stands before the others.
    """
    core = [
        page
        for part in toc["parts"]
        if part.get("caption") == CORE
        for page in pages({**part, "root": ""})[1:]
    ]
    practice = [page for page in pages(toc) if page.startswith("book/practice/")]
    return [*core, *(page for page in practice if page.rpartition("/")[2] != FRONT)]


def fronts(toc: Mapping[str, Any]) -> list[str]:
    """Return the front pages of folders: book/practice/index."""
    return [page for page in pages(toc) if page.endswith(f"/{FRONT}")]


def misplaced_fronts(toc: Mapping[str, Any], files: Set[str]) -> list[str]:
    """A front page stands before all other pages of its folder, and has a test of its own."""
    wrong = []
    for front in fronts(toc):
        folder = front.removesuffix(FRONT)
        others = [page for page in pages(toc) if page.startswith(folder)]
        if others[0] != front:
            wrong.append(f"{front}: stands behind {others[0]}")
        if test_of(module_of(front)) not in files:
            wrong.append(f"{front}: has no {test_of(module_of(front))}")
    return wrong


def module_of(page: str) -> str:
    """Return the dotted module that carries a page's stem: book/lstm -> rnnlit.lstm."""
    return "rnnlit." + page.removeprefix("book/").replace("/", ".")


def chapter_of(page: str, chapters: Iterable[str]) -> str:
    """Return the chapter that a page belongs to: its own, or for book/rnn_gradient, after book/rnn, book/rnn.

    A chapter of several pages has one module. Its further pages carry its stem and a suffix, and have tests
    of their own; the chapter's first page is the one with the shortest stem.
    """
    return min((one for one in chapters if belongs(page, one)), key=len, default=page)


def needs(page: str, chapters: Iterable[str]) -> tuple[str, str]:
    """Return the module that a page is about, its chapter's, and the page's own test."""
    return file_of(module_of(chapter_of(page, chapters))), test_of(module_of(page))


def file_of(module: str) -> str:
    """Return the path of a module: rnnlit.tools.show -> rnnlit/tools/show.py."""
    return module.replace(".", "/") + ".py"


def test_of(module: str) -> str:
    """Return the path of a module's test: rnnlit.tools.show -> tests/tools/test_show.py."""
    *folders, stem = module.split(".")[1:]
    return "/".join(["tests", *folders, f"test_{stem}.py"])


test_of.__test__ = False  # type: ignore[attr-defined]  # the name begins like a test's, and pytest collects it


def belongs(module: str, stem: str) -> bool:
    """Tell whether a module is a stem's own or a variant of it: rnnlit.lstm_1997 belongs to rnnlit.lstm."""
    return module == stem or module.startswith(stem + "_")


def homeless_chapters(chapters: Sequence[str], files: Set[str]) -> list[str]:
    """Each chapter has a page, its module and its test, of one stem; a further page has a test of its own."""
    wrong = []
    for page in chapters:
        if not {f"{page}.ipynb", f"{page}.md"} & files:
            wrong.append(f"{page}: named in _toc.yml, but there is no such page")
        wrong += [f"{page}: has no {path}" for path in needs(page, chapters) if path not in files]
        first = chapter_of(page, chapters)
        if first != page and chapters.index(first) > chapters.index(page):
            wrong.append(f"{page}: stands before {first}, whose further page it is")
    return wrong


def orphans(modules: Iterable[str], chapters: Iterable[str], readme: str) -> list[str]:
    """Each module at the top belongs to a chapter: by its stem, or by the chapter's row in the README."""
    stems = [module_of(page) for page in chapters]
    linked = {target for cells in table_rows(readme) for cell in cells for target in cell}
    return [
        f"{module}: belongs to no chapter of _toc.yml"
        for module in modules
        if module.count(".") == 1
        and file_of(module) not in linked
        and not any(belongs(module, stem) for stem in stems)
    ]


def untested_modules(modules: Iterable[str], tests: Mapping[str, str]) -> list[str]:
    """Each module has a test of its own name, or some other test imports it."""
    imported = {name for source in tests.values() for name, _ in imports(source)}
    tested = {module for module in modules if test_of(module) in tests} | set(parents(imported))
    return [
        f"{module}: no {test_of(module)}, and no other test imports it"
        for module in modules
        if module not in tested
    ]


def parents(names: Iterable[str]) -> Iterator[str]:
    """Return dotted names and all that they begin with: a.b.c gives a.b.c, a.b and a."""
    for name in names:
        while name:
            yield name
            name = name.rpartition(".")[0]


def table_rows(text: str) -> list[list[list[str]]]:
    """Return the link targets, cell by cell, of each row with links of the tables in a Markdown text."""
    rows = []
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [re.findall(r"\]\(([^)\s]+)\)", cell) for cell in line.strip().strip("|").split("|")]
            if any(cells):
                rows.append(cells)
    return rows


def readme_table(text: str, chapters: Sequence[str], files: Set[str]) -> list[str]:
    """The README's table lists the chapters in reading order, each with its module and its test."""
    rows = [cells for cells in table_rows(text) if cells[0] and cells[0][0].startswith("book/")]
    listed = [re.sub(r"\.(ipynb|md)$", "", cells[0][0]) for cells in rows]
    wrong = [] if listed == list(chapters) else [f"README.md lists {listed}, _toc.yml {list(chapters)}"]
    for page, cells in zip(listed, rows, strict=True):
        targets = [target for cell in cells for target in cell]
        wrong += [f"README.md, {page}: {target} does not exist" for target in targets if target not in files]
        wrong += [
            f"README.md, {page}: the row does not link {path}"
            for path in needs(page, chapters)
            if path not in targets
        ]
    return wrong
