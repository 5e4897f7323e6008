"""Sphinx extension `module_pages`: a page for each module that the list of modules names.

The list stands in `book/api.md`, in blocks like this one, under headings that say what the modules are for:

    ```{modules}
    nn
    nn.lstm
    ```

A block becomes a table of its modules with their first sentences, and each module gets a page of its own,
`book/api/nn.lstm`, made from its docstrings. A package that gathers names for its users (`__all__`) shows
them in a table. The pages' sources are written before the build, and stand in no repository.

The pages stand in no table of contents: beside each page of the book they would be a hundred lines more.

A module of the package that the list lacks, or one that it has twice or that isn't there, is a warning.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

PACKAGE = "rnnlit"
LIST = "book/api"
HEADING = re.compile(r"^## +(?P<heading>.+?)\s*$")
BLOCK = re.compile(r"^```\{modules\}\n(?P<names>.*?)^```$", re.DOTALL | re.MULTILINE)

PAGE = """\
---
orphan: true
myst:
  html_meta:
    description: {description}
---

# `{module}`

[The package](../api.md), [{group}](../api.md#{anchor})

```{{eval-rst}}
.. automodule:: {module}{members}
```
"""
MEMBERS = "\n   :members:"
NAMES = "\n\n.. currentmodule:: {package}\n\n.. autosummary::\n\n{names}"


class Entry(NamedTuple):
    """One module of the list: its name below the package, and the heading that it stands under."""

    name: str
    group: str


def entries(text: str) -> list[Entry]:
    """Return the modules that the list names, in its order."""
    found, group, inside = [], "", False
    for line in text.splitlines():
        if heading := HEADING.match(line):
            group = heading["heading"]
        elif line.startswith("```"):
            inside = line == "```{modules}"
        elif inside and line.strip():
            found.append(Entry(line.strip(), group))
    return found


def modules(package: Path) -> set[str]:
    """Return the names of all modules below the package; a package counts if it says anything."""
    found = set()
    for path in package.rglob("*.py"):
        names = list(path.relative_to(package).with_suffix("").parts)
        if names[-1] != "__init__":
            found.add(".".join(names))
    return found


def wrong(listed: list[str], there: set[str], packages: set[str]) -> list[str]:
    """Return what is wrong with a list of modules, a sentence for each mistake."""
    return [
        *(f"{name} is not in the list of modules" for name in sorted(there - set(listed))),
        *(
            f"{name} is listed, but there is no such module"
            for name in sorted(set(listed) - there - packages)
        ),
        *(f"{name} is listed twice" for name in sorted({name for name in listed if listed.count(name) > 1})),
    ]


def source(package: Path, name: str) -> Path:
    """Return the file of a module or a package."""
    path = package.joinpath(*name.split("."))
    inside = path / "__init__.py"  # a folder of data may have a module's name
    return inside if inside.is_file() else path.with_suffix(".py")


def gathered(tree: ast.Module) -> dict[str, str]:
    """Return the names that a package offers, each with the module that it imports it from."""
    origins = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    offered: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            offered = ast.literal_eval(node.value)
    return {name: origins[name] for name in offered if name in origins}


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as MyST makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def page(package: Path, entry: Entry) -> str:
    """Return the source of a module's page."""
    path = source(package, entry.name)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = " ".join(
        (ast.get_docstring(tree) or "").partition("\n\n")[0].split("\n")[0].replace("`", "").split()
    )
    module = f"{package.name}.{entry.name}"
    names = gathered(tree) if path.stem == "__init__" else {}
    listing = NAMES.format(
        package=package.name,
        names="\n".join(f"   {origin.removeprefix(f'{package.name}.')}" for origin in names.values()),
    )
    return PAGE.format(
        description=json.dumps(
            f"Reference of {module}, made from its docstrings. {said}", ensure_ascii=False
        ),
        module=module,
        group=entry.group,
        anchor=anchor(entry.group),
        members=listing if names else MEMBERS,
    )


def write_pages(app: Sphinx, config: Config) -> None:
    """Write the sources of the pages where they have changed."""
    package, folder = Path(app.srcdir, PACKAGE), Path(app.srcdir, LIST)
    text = folder.with_suffix(".md").read_text(encoding="utf-8")
    found = entries(text)
    packages = {
        path.parent.relative_to(package).as_posix().replace("/", ".") for path in package.rglob("__init__.py")
    }
    if mistakes := wrong([entry.name for entry in found], modules(package), packages):
        for mistake in mistakes:
            logger.warning("%s", mistake, location=f"{LIST}.md:1", type="module_pages")
        found = [entry for entry in dict.fromkeys(found) if source(package, entry.name).is_file()]
    folder.mkdir(exist_ok=True)
    wanted = {folder / f"{entry.name}.md": page(package, entry) for entry in found}
    for path in set(folder.glob("*.md")) - set(wanted):
        path.unlink()
    for path, content in wanted.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
    # `only_build_toc_files` has left out those of the build before.
    config["exclude_patterns"] = [
        pattern for pattern in config["exclude_patterns"] if not pattern.startswith(f"{LIST}/")
    ]


class Modules(SphinxDirective):
    """A table of modules with their first sentences."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        names = [line.strip() for line in self.content if line.strip()]
        text = ["```{eval-rst}", f".. currentmodule:: {PACKAGE}", "", ".. autosummary::", ""]
        lines = [*text, *(f"   {name}" for name in names), "```"]
        holder = nodes.Element()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.content_offset, holder)
        return holder.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the block and the step that writes the pages, after the reading order was read (900)."""
    app.add_directive("modules", Modules)
    app.connect("config-inited", write_pages, priority=910)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
