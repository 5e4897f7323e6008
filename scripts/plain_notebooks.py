"""Write the notebooks in plain Markdown, which Jupyter, Colab and VS Code show as it is meant.

    python scripts/plain_notebooks.py [FOLDER]      two zips, into FOLDER or else _build/html/downloads
    python scripts/plain_notebooks.py --in-place    the notebooks of book/, where they stand: for Binder

The pages are written in MyST, whose directives and roles are shown raw elsewhere. Here numbers are set as the
site sets them, citations become links to the bibliography, and what is folded becomes `<details>`. Each page
has two forms: with its outputs, and blank, without outputs and without the solutions of exercises.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import json
import posixpath
import re
import sys
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from scripts import run_notebooks  # noqa: E402

ZIP, BLANK_ZIP = "rnn-book-notebooks.zip", "rnn-book-notebooks-blank.zip"
FOLDER = "downloads"  # of the site

OPENING = re.compile(
    r"[ \t]*(?P<fence>`{3,}|:{3,}|~{3,})(?:\{(?P<name>[\w:-]+)\})?[ \t]*(?P<argument>.*?)[ \t]*$"
)
OPTION = re.compile(r":([\w-]+):[ \t]*(.*)")
ROLE_OR_CODE = re.compile(
    r"\{(?P<role>[\w:-]+)\}`(?P<text>[^`]+)`|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)", re.S
)
DISPLAY = re.compile(r"^[ \t]*\$\$(?P<math>.*?)\$\$[ \t]*(?:\((?P<label>[\w:.-]+)\))?[ \t]*$", re.M | re.S)
PLACE = re.compile(r"^\((?P<label>[\w:.-]+)\)=[ \t]*\n(?:#+ (?P<heading>.+))?", re.M)
HEADING = re.compile(r"^#{1,6} (.+?)[ \t]*$", re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FIGURES = {"figure-md": "", "play": "play-"}  # directive: what its label begins with
FOLDS = {  # tag: what is folded of a cell
    "remove-input": ("source_hidden",),
    "hide-input": ("source_hidden",),
    "hide-output": ("outputs_hidden",),
    "hide-cell": ("source_hidden", "outputs_hidden"),
}
ACCENTS = {
    **{"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303", "=": "\u0304"},
    **{
        ".": "\u0307",
        "v": "\u030c",
        "c": "\u0327",
        "u": "\u0306",
        "H": "\u030b",
        "k": "\u0328",
        "r": "\u030a",
    },
}
LETTERS = {"L": "Ł", "l": "ł", "o": "ø", "O": "Ø", "ss": "ß", "ae": "æ", "i": "i", "&": "&"}

Notebook = dict[str, Any]

# ---------------------------------------------------------------- reading


class Block(NamedTuple):
    """A piece of Markdown: a directive, fenced code as it stands, or text."""

    kind: str  # "text", "code", or the directive's name
    text: str  # of a directive its body
    argument: str = ""
    options: dict[str, str] = {}  # noqa: RUF012


def blocks(text: str) -> Iterator[Block]:
    """Cut Markdown into its top-level pieces. ValueError: a directive that does not end."""
    plain: list[str] = []
    lines = iter(text.split("\n"))
    for line in lines:
        found = OPENING.match(line)
        if not found:
            plain.append(line)
            continue
        if plain:
            yield Block("text", "\n".join(plain))
            plain = []
        body, fence = [], found["fence"]
        for inner in lines:
            if re.fullmatch(rf"[ \t]*{fence[0]}{{{len(fence)},}}[ \t]*", inner):
                break
            body.append(inner)
        else:
            raise ValueError(f"expected {fence} somewhere below {line!r}, found the end of the cell")
        if found["name"] in (None, "code", "code-block"):
            yield Block("code", "\n".join([line, *body, fence]))
            continue
        options = {}
        while body and (option := OPTION.fullmatch(body[0])):
            options[option[1]] = option[2].strip()
            del body[0]
        yield Block(found["name"], "\n".join(body).strip("\n"), found["argument"], options)
    if plain:
        yield Block("text", "\n".join(plain))


def walk(text: str) -> Iterator[Block]:
    """All pieces in the order of the page, those within directives too."""
    for block in blocks(text):
        yield block
        if block.kind not in ("text", "code"):
            yield from walk(block.text)


def slug(heading: str) -> str:
    """The anchor of a heading on the site."""
    return re.sub(r"[^\w\u4e00-\u9fff\- ]", "", heading.strip().lower().replace(" ", "-"))


def letters(text: str) -> str:
    r"""Return BibTeX's text with letters for its commands: J{\"u}rgen becomes Jürgen."""

    def accented(match: re.Match[str]) -> str:
        return unicodedata.normalize("NFC", match[2].replace("\\i", "i") + ACCENTS[match[1]])

    text = re.sub(r"\\(['`\"^~=.])\{?(\\i|\w)\}?", accented, text)
    text = re.sub(r"\\([vcuHkr])\{(\w)\}", accented, text)
    text = re.sub(r"\\(ss|ae|[LloOi&])(?![a-zA-Z])", lambda match: LETTERS[match[1]], text)
    return text.replace("{", "").replace("}", "")


def bibliography(bibtex: str) -> dict[str, tuple[str, str]]:
    """The authors, as a text names them, and the year of each entry, by its key."""
    found = {}
    for entry in re.split(r"^(?=@)", bibtex, flags=re.M):
        head = re.match(r"@\w+\{([^,\s]+),", entry)
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, flags=re.M))
        if head and "author" in fields:
            names = [letters(name) for name in re.split(r"\s+and\s+", fields["author"])]
            names = [n.partition(",")[0] if "," in n else n.split()[-1] for n in names]
            several = len(names) > 2 or names[-1] == "others"
            found[head[1]] = f"{names[0]} et al." if several else " and ".join(names), fields["year"]
    return found


class Page(NamedTuple):
    """What other pages, and this one, refer to on a page."""

    title: str
    notebook: bool
    headings: dict[str, str]  # by its anchor on the site, or the label above it


class Book(NamedTuple):
    """What the pages have in common."""

    title: str
    repository: str  # the public address
    branch: str
    pages: dict[str, Page]  # by path without ending, in the reading order
    numbers: dict[str, tuple[str, str]]  # by label: "(3.1)", "Fig. 3.1" or "Exercise 3.1", and the page
    works: dict[str, tuple[str, str]]

    @property
    def site(self) -> str:
        """The address of the site, which GitHub Pages shows for the repository."""
        owner, name = urlsplit(self.repository).path.strip("/").split("/")
        return f"https://{owner.lower()}.github.io/{name}/"


def texts(path: Path) -> list[str]:
    """The Markdown of a page, cell by cell."""
    if path.suffix == ".md":
        return [re.sub(r"\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8"), flags=re.S)]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def reading_order(toc: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each page of the table of contents, and what stands before its numbers: "3." in the third chapter."""
    yield toc["root"], ""
    chapter = 0
    for part in toc["parts"]:
        for entry in part["chapters"]:
            chapter += bool(part.get("numbered"))
            yield entry["file"], f"{chapter}." if part.get("numbered") else ""


def read_book(root: Path = ROOT) -> Book:
    """Read what the pages refer to: their headings, numbers and works. ValueError: as `blocks`."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    pages, numbers, count = {}, {}, Counter[tuple[str, str]]()

    def number(label: str, form: str, prefix: str, page: str) -> None:
        count[form, prefix] += 1
        numbers[label] = form.format(f"{prefix}{count[form, prefix]}"), page

    for name, prefix in reading_order(toc):
        path = next(file for file in (root / f"{name}.ipynb", root / f"{name}.md") if file.is_file())
        cells = texts(path)
        headings: dict[str, str] = {}
        for text in cells:
            for block in walk(text):
                if block.kind in FIGURES:
                    number(figure_label(block), "Fig. {}", prefix, name)
                elif block.kind == "exercise":
                    label = block.options["label"]
                    number(label, "Exercise {}", prefix, name)
                    headings[label] = exercise_heading(numbers[label][0], block.argument)
                elif block.kind == "text":
                    for found in DISPLAY.finditer(block.text):
                        if found["label"]:
                            number(found["label"], "({})", prefix, name)
                    for found in PLACE.finditer(block.text):
                        headings[found["label"]] = found["heading"] or ""
                    headings |= {slug(heading): heading for heading in HEADING.findall(block.text)}
        title = next((h[1] for text in cells if (h := re.search(r"^# (.+?)[ \t]*$", text, re.M))), name)
        pages[name] = Page(title, path.suffix == ".ipynb", headings)
    works = bibliography((root / "book" / "references.bib").read_text(encoding="utf-8"))
    repository = config["repository"]
    return Book(config["title"], repository["url"], repository["branch"], pages, numbers, works)


def figure_label(block: Block) -> str:
    """The label of a figure."""
    return FIGURES[block.kind] + block.argument.split()[0]


def exercise_heading(number: str, title: str) -> str:
    """The heading of an exercise."""
    return f"{number}: {title}" if title else number


# ---------------------------------------------------------------- writing


def details(summary: str, body: str) -> str:
    """A fold; its line is HTML."""
    line = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(summary, quote=False))
    return f"<details>\n<summary><b>{line}</b></summary>\n\n{body}\n\n</details>"


def quoted(title: str, body: str) -> str:
    """A box: a quotation with a title in bold. Formulas become one line: Jupyter takes the marks in."""
    body = DISPLAY.sub(lambda found: " ".join(found[0].split()), body)
    return "\n".join(f"> {line}".rstrip() for line in [f"**{title}**", "", *body.split("\n")])


class Writer:
    """Turns one page into plain Markdown."""

    def __init__(self, book: Book, name: str, *, together: bool, blank: bool = False) -> None:
        """name: the page, such as "book/lstm".  together: its notebook stands beside the other pages' and the
        figures; alone it holds its figures, and links to the site.  blank: without solutions."""
        self.book, self.name, self.together, self.blank = book, name, together, blank
        self.solution = ""  # of which exercise we are in the solution

    # the pieces of a line

    def address(self, page: str, anchor: str = "") -> str:
        """A link to a page, or to a heading or label on it."""
        there = self.book.pages[page]
        known = there.headings.get(anchor, "")
        here = page == self.name
        if here or (self.together and there.notebook):
            path = "" if here else posixpath.relpath(f"{page}.ipynb", posixpath.dirname(self.name))
            heading = re.sub(r"[*`]", "", known).replace(" ", "-")
            return path + (f"#{quote(heading, safe='~!$&+,;=:@/?-·')}" if heading else "")
        return f"{self.book.site}{page}.html" + (f"#{anchor}" if anchor else "")

    def linked(self, words: str, page: str, anchor: str = "") -> str:
        """Words that lead to a page; words alone where they would lead to what Jupyter has no anchor for."""
        address = self.address(page, anchor)
        return f"[{words}]({address})" if address else words

    def citation(self, role: str, key: str) -> str:
        """A work, linked to the bibliography."""
        authors, year = self.book.works[key]
        words = f"{authors}, {year}" if role == "cite:p" else f"{authors} ({year})"
        return f"[{words}]({self.book.site}book/bibliography.html)"

    def role(self, found: re.Match[str]) -> str:
        """What stands for a role. ValueError: one that is not known, or a name that no page has."""
        role, text = found["role"], found["text"]
        titled = re.fullmatch(r"(.*\S)\s*<(.+)>", text)
        words, target = (titled[1], titled[2]) if titled else ("", text)
        if role == "math":
            return f"${text}$"
        if role.startswith("cite:"):
            works = [self.citation(role, key.strip()) for key in text.split(",")]
            return f"({'; '.join(works)})" if role == "cite:p" else ", ".join(works)
        if role == "doc":
            page = posixpath.normpath(posixpath.join(posixpath.dirname(self.name), target))
            return self.linked(words or self.book.pages[page].title, page)
        if role in ("eq", "numref", "ref") and target in self.book.numbers:
            number, page = self.book.numbers[target]
            return self.linked(words or number, page, target)
        if role == "ref":
            for page, there in self.book.pages.items():
                if target in there.headings:
                    return self.linked(words or there.headings[target], page, target)
        raise ValueError(f"{self.name}: no way is known to write {found[0]}")

    def target(self, found: re.Match[str]) -> str:
        """Where a link or a picture of the page leads."""
        path, _, anchor = found[1].partition("#")
        if re.match(r"[a-z]+:", found[1]):
            return found[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(self.name), path)) if path else ""
        page = posixpath.splitext(file)[0] if path else self.name
        if page in self.book.pages:
            return f"]({self.address(page, anchor)})"
        if not (ROOT / file).is_file():
            return found[0]
        if file.endswith(".svg"):
            return found[0] if self.together else f"]({data_address(ROOT / file)})"
        return f"]({self.book.repository}/blob/{self.book.branch}/{file})"

    def display(self, found: re.Match[str]) -> str:
        """A formula, with its number."""
        if not found["label"]:
            return found[0]
        number = self.book.numbers[found["label"]][0].strip("()")
        return f"$$\n{found['math'].strip()}\n\\tag{{{number}}}\n$$"

    def text(self, text: str) -> str:
        """Text; spans of code in it stay as they are."""
        text = re.sub(r"^\([\w:.-]+\)=[ \t]*\n", "", text, flags=re.M)
        text = DISPLAY.sub(self.display, text)
        pieces, end = [], 0
        for found in ROLE_OR_CODE.finditer(text):
            pieces.append(LINK.sub(self.target, text[end : found.start()]))
            pieces.append(self.role(found) if found["role"] else found[0])
            end = found.end()
        return "".join([*pieces, LINK.sub(self.target, text[end:])])

    # the pieces of a page

    def block(self, block: Block) -> str:
        """What stands for a piece. ValueError: a directive that is not known."""
        if block.kind == "text":
            return self.text(block.text)
        if block.kind == "code":
            return block.text
        body = self.blocks(block.text)
        if block.kind in FIGURES:
            picture, _, caption = body.partition("\n\n")
            label = figure_label(block)
            played = f" (To play with it, see [the page]({self.book.site}{self.name}.html#{label}).)"
            number, after = self.book.numbers[label][0], played if block.kind == "play" else ""
            return f"{picture}\n\n**{number}.** {caption.strip()}{after}"
        if block.kind == "exercise":
            heading = exercise_heading(self.book.numbers[block.options["label"]][0], block.argument)
            return f"#### {heading}\n\n{body}"
        if block.kind == "dropdown" or "dropdown" in block.options.get("class", ""):
            return details(block.argument, body)
        if block.kind == "admonition":
            return quoted(block.argument, body)
        if block.kind in ("container", "grid", "grid-item"):
            return body
        raise ValueError(f"{self.name}: no way is known to write the directive {block.kind}")

    def blocks(self, text: str) -> str:
        """Some Markdown within a directive."""
        return joined(self.block(block) for block in blocks(text))

    def markdown(self, text: str) -> str:
        """A cell of Markdown; a solution may go on over several cells, and is folded cell by cell."""
        parts: list[str] = []
        inside: list[str] = []

        def fold(*, last: bool) -> None:
            body = joined(inside)
            inside.clear()
            if self.blank or not (body or began):
                return
            words = f"Solution of {lowered(self.book.numbers[self.solution][0])}"
            if body:
                parts.append(details(words, body))
            elif not last:
                parts.append(f"**{words}**: the folded cells below.")

        began = False
        for block in blocks(text):
            if block.kind == "solution-start":
                self.solution, began = block.argument, True
                if self.blank:
                    number, page = self.book.numbers[self.solution]
                    there = f"[on the page]({self.book.site}{page}.html#{self.solution})"
                    parts.append(f"*The solution stands {there}, below {lowered(number)}.*")
            elif block.kind == "solution-end":
                fold(last=True)
                self.solution, began = "", False
            elif self.solution:
                if not self.blank:
                    inside.append(self.block(block))
            else:
                parts.append(self.block(block))
        if self.solution:
            fold(last=False)
        return joined(parts)

    def cells(self, page: Notebook) -> Iterator[dict[str, Any]]:
        """The cells of the page's notebook."""
        first = True
        for cell in page["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                text = self.markdown(source)
                if text:
                    yield {**cell, "metadata": {}, "source": lines(text)}
                if first:
                    yield self.note()
                first = False
            elif not (self.blank and self.solution):
                yield self.code(cell)

    def note(self) -> dict[str, Any]:
        """The cell that says where the notebook is from and how it runs elsewhere."""
        page = f"[{self.book.pages[self.name].title}]({self.book.site}{self.name}.html)"
        package = run_notebooks.package(self.book.repository)
        text = (
            f"*This notebook is the page {page} of the book [{self.book.title}]({self.book.site}). "
            f'To run it, install the package once:* `pip install "{package}"`'
            "*. Text and figures: CC BY 4.0. Code: BSD-3-Clause.*"
        )
        return {"cell_type": "markdown", "id": "how-it-runs", "metadata": {}, "source": lines(text)}

    def code(self, cell: dict[str, Any]) -> dict[str, Any]:
        """A cell of code: what is folded on the site is folded in Jupyter, but for results to come."""
        tags = cell["metadata"].get("tags", [])
        hidden = ["hide-cell"] if self.solution else tags
        folds = {fold: True for tag in hidden for fold in FOLDS.get(tag, ())}
        metadata: dict[str, Any] = {"tags": tags} if tags else {}
        if self.blank:
            folds.pop("outputs_hidden", None)
            cell = {**cell, "outputs": [], "execution_count": None}
        if folds:
            metadata["jupyter"] = folds
        return {**cell, "metadata": metadata}


def lowered(words: str) -> str:
    """Words that begin a line, within one."""
    return words[0].lower() + words[1:]


def joined(parts: Iterable[str]) -> str:
    """Pieces of Markdown, one blank line between two."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())


def lines(text: str) -> list[str]:
    """A cell's source as a notebook holds it."""
    return text.splitlines(keepends=True)


def drawing(path: Path) -> bytes:
    """A drawing in its natural size; on the site it takes the width that there is."""
    text = path.read_text(encoding="utf-8")
    box = re.search(r'viewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"', text)
    if box:
        text = text.replace('width="100%"', f'width="{box[1]}" height="{box[2]}"', 1)
    return text.encode()


def data_address(path: Path) -> str:
    """A drawing as an address that holds it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing(path)).decode()}"


def plain(page: Notebook, name: str, book: Book, *, together: bool, blank: bool = False) -> Notebook:
    """The plain form of a page's notebook; the arguments are those of `Writer`.

    ValueError: MyST for which no way is known to write it.
    """
    writer = Writer(book, name, together=together, blank=blank)
    metadata = {key: value for key, value in page["metadata"].items() if key != "myst"}
    return {**page, "metadata": metadata, "cells": list(writer.cells(page))}


def as_text(page: Notebook) -> str:
    """A notebook's file."""
    return json.dumps(page, indent=1, ensure_ascii=False) + "\n"


def notebooks(book: Book) -> dict[str, Notebook]:
    """The notebooks of the pages, by the pages' names."""
    names = [name for name, page in book.pages.items() if page.notebook]
    return {name: json.loads((ROOT / f"{name}.ipynb").read_text(encoding="utf-8")) for name in names}


README = """{title}: the notebooks{form}

Install the package once, in an environment of Python 3.11 or later that has Jupyter:

    pip install "{package}"

Then open a notebook. The order is that of the book:

{order}

The book: {site}
Text and figures are under CC BY 4.0, code under the BSD 3-Clause License.
"""


def archive(book: Book, pages: dict[str, Notebook], *, blank: bool) -> bytes:
    """A zip of all notebooks in one form, with the figures; the same pages, the same bytes."""
    written = {name: plain(page, name, book, together=True, blank=blank) for name, page in pages.items()}
    files = {f"{name}.ipynb": as_text(page).encode() for name, page in written.items()}
    for name, page in written.items():
        for cell in page["cells"]:
            if cell["cell_type"] == "markdown":
                for target in LINK.findall("".join(cell["source"])):
                    file = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
                    if target.endswith(".svg") and (ROOT / file).is_file():
                        files[file] = drawing(ROOT / file)
    order = [f"{path.removeprefix('book/')}.ipynb: {book.pages[path].title}" for path in pages]
    form = ", blank: without results, and without the solutions of exercises" if blank else ""
    words = {"package": run_notebooks.package(book.repository), "order": "\n".join(order)}
    files["book/README.txt"] = README.format(title=book.title, form=form, site=book.site, **words).encode()
    top = (BLANK_ZIP if blank else ZIP).removesuffix(".zip")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(f"{top}/{name.removeprefix('book/')}", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, data, compresslevel=9)
    return stream.getvalue()


def write_zips(folder: Path) -> dict[str, int]:
    """Write both zips into a folder; return their sizes in bytes, by name."""
    book = read_book()
    pages = notebooks(book)
    folder.mkdir(parents=True, exist_ok=True)
    made = {name: archive(book, pages, blank=name == BLANK_ZIP) for name in (ZIP, BLANK_ZIP)}
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return {name: len(data) for name, data in made.items()}


def write_each(where: Callable[[str], Path], *, together: bool) -> list[Path]:
    """Write the plain form of each page's notebook where `where` says for its name."""
    book = read_book()
    paths = []
    for name, page in notebooks(book).items():
        text = as_text(plain(page, name, book, together=together))
        paths.append(where(name))
        paths[-1].write_text(text, encoding="utf-8")
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / "_build" / "html" / FOLDER, help="where the zips go"
    )
    parser.add_argument("--in-place", action="store_true", help="rewrite the notebooks of book/ instead")
    options = parser.parse_args(arguments)
    if options.in_place:
        write_each(lambda name: ROOT / f"{name}.ipynb", together=True)
        return
    for name, size in write_zips(options.folder).items():
        print(f"{options.folder / name}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
