"""The book holds together: design rules that a machine can check, on this repository.

The checks are in `tests/book_checks`; `test_book_checks.py` shows that each of them can fail.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rnnlit.pages import ledger, timeline
from scripts import run_notebooks
from tests.book_checks import (
    arithmetic,
    counts,
    equations,
    files,
    loops,
    notebook,
    order,
    package,
    text,
    waits,
)
from tests.programs import run

ROOT = Path(__file__).resolve().parents[1]
LARGEST_NOTEBOOK = 500_000  # bytes

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = order.concepts(TOC)
NOTEBOOKS = sorted(p for p in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)

# What a page may define itself: page, then name, then what is wrong with it on purpose.
WRONG_ON_PURPOSE: dict[str, dict[str, str]] = {}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def paths() -> set[str]:
    """Return all files of the book, the package and the tests, relative to the top."""
    found = (path for folder in ("book", "rnnlit", "tests") for path in (ROOT / folder).rglob("*"))
    return {path.relative_to(ROOT).as_posix() for path in found}


def tracked() -> list[str]:
    """Return the files that git tracks or would: all but the ignored ones."""
    command = ["git", "-c", "core.quotePath=off", "ls-files", "--cached", "--others", "--exclude-standard"]
    answer = run(command, cwd=ROOT)
    if answer.returncode:
        pytest.skip("not a git clone: its files cannot be listed")
    return [name for name in answer.stdout.splitlines() if (ROOT / name).is_file()]


def tracked_texts() -> dict[str, str]:
    """Return the text of each file of the repository that is text."""
    texts = {}
    for name in tracked():
        try:
            texts[name] = read(ROOT / name)
        except UnicodeDecodeError:
            continue
    return texts


def module_sources() -> dict[str, str]:
    """Return the source of each module of the package by its dotted name, an __init__ by its folder's."""
    sources = {}
    for path in sorted((ROOT / "rnnlit").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        sources[".".join(part for part in parts if part != "__init__")] = read(path)
    return sources


def modules() -> list[str]:
    """Return the dotted names of the package's modules, without folders."""
    return [name for name in module_sources() if not (ROOT / name.replace(".", "/")).is_dir()]


def page_text(page: str) -> str:
    """Return the Markdown of a page of the book."""
    path = ROOT / f"{page}.ipynb"
    return notebook.prose(json.loads(read(path))) if path.is_file() else read(ROOT / f"{page}.md")


def page_texts() -> dict[str, str]:
    """Return the Markdown of each page of the book, in reading order."""
    return {page: page_text(page) for page in order.pages(TOC)}


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix()


# ---------------------------------------------------------------- the reading order


def test_every_page_of_the_toc_is_there_and_every_notebook_is_in_the_toc():
    listed = set(order.pages(TOC))
    missing = [
        page for page in listed if not any((ROOT / f"{page}{end}").is_file() for end in (".ipynb", ".md"))
    ]
    assert not missing
    assert not [page_name(path) for path in NOTEBOOKS if page_name(path) not in listed]


def test_no_page_is_there_twice():
    assert not [path.name for path in NOTEBOOKS if path.with_suffix(".md").exists()]


def test_chapters_modules_and_tests_share_a_stem():
    assert CHAPTERS
    assert order.homeless_chapters(CHAPTERS, paths()) == []


def test_a_folders_front_page_comes_first_and_has_a_test():
    assert order.fronts(TOC) == ["book/practice/index"]
    assert order.misplaced_fronts(TOC, paths()) == []


def test_no_module_is_an_orphan():
    assert order.orphans(modules(), CHAPTERS, read(ROOT / "README.md")) == []


def test_every_module_has_a_test():
    tests = {path.relative_to(ROOT).as_posix(): read(path) for path in (ROOT / "tests").rglob("test_*.py")}
    assert order.untested_modules(modules(), tests) == []


def test_readme_lists_the_chapters_of_the_toc():
    assert order.readme_table(read(ROOT / "README.md"), CHAPTERS, paths()) == []


def test_timeline_has_the_years_of_the_bibliography():
    bibliography = read(ROOT / "book/references.bib")
    years = dict(re.findall(r"^@\w+\{(\w+),.*?^  year = \{(\d{4})\}", bibliography, flags=re.M | re.S))
    events = timeline.events()
    assert len(events) > 10 and {event["thread"] for event in events} == {"idea", "memory", "use", "after"}
    assert {event["key"]: str(event["year"]) for event in events} == {
        event["key"]: years.get(event["key"]) for event in events
    }
    assert [event["year"] for event in events] == sorted(event["year"] for event in events)


# ---------------------------------------------------------------- each notebook


@pytest.fixture(params=NOTEBOOKS, ids=page_name)
def page(request):
    """A notebook of the book: its name and its JSON."""
    return page_name(request.param), json.loads(read(request.param))


@pytest.mark.parametrize(
    "check",
    [
        notebook.unrun,
        notebook.stored_errors,
        notebook.stored_stderr,
        notebook.foreign_tags,
        notebook.long_cells,
        notebook.unspoken_figures,
        notebook.missing_figures,
        notebook.volatile,
        notebook.unanswered,
        notebook.predictions,
    ],
    ids=lambda check: check.__name__,
)
def test_notebook(page, check):
    assert check(page[1]) == []


def test_notebook_defines_only_what_is_wrong_on_purpose(page):
    name, content = page
    assert notebook.definitions(content, WRONG_ON_PURPOSE.get(name, {})) == []


def test_page_meets_its_bars(page):
    _, content = page
    missed = counts.page_bars(content)
    assert missed == set(), "python -m tests.book_checks.counts --lines tells why"


@pytest.mark.parametrize("stems", counts.chapters([page.removeprefix("book/") for page in CHAPTERS]).items())
def test_chapter_meets_its_bars(stems):
    _, pages = stems
    missed = counts.chapter_bars([json.loads(read(ROOT / f"book/{page}.ipynb")) for page in pages])
    assert missed == set()


def test_definitions_are_allowed_on_pages_that_are_there():
    assert set(WRONG_ON_PURPOSE) <= {page_name(path) for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=page_name)
def test_notebook_is_small(path):
    assert path.stat().st_size < LARGEST_NOTEBOOK


# ---------------------------------------------------------------- text


def test_equation_labels_are_cited():
    assert text.equations(page_texts()) == []


def test_labels_that_are_cited_are_there():
    assert text.dangling_labels(page_texts()) == []


@pytest.mark.parametrize("name", order.pages(TOC))
def test_nothing_is_cited_by_a_typed_number(name):
    assert text.typed_numbers(page_text(name)) == []


def test_numbers_worked_in_formulas_are_right():
    texts = page_texts()
    assert {page: wrong for page, content in texts.items() if (wrong := arithmetic.wrong_sums(content))} == {}
    assert sum(1 for content in texts.values() for _ in arithmetic.equalities(content)) > 60


def test_links_within_the_repository_lead_somewhere():
    texts = page_texts() | {name: read(ROOT / f"{name}.md") for name in ("README", "CONTRIBUTING")}
    assert text.dead_links(texts, lambda path: (ROOT / path).exists()) == []


@pytest.mark.parametrize("name", [*order.pages(TOC), "README.md", "CONTRIBUTING.md"])
def test_pictures_have_an_alternative_text(name):
    content = read(ROOT / name) if name.endswith(".md") else page_text(name)
    assert text.figures_without_alt(content) == []


def test_citations_resolve():
    texts = {**module_sources(), **page_texts()}
    assert text.unresolved_citations(texts, read(ROOT / "book/references.bib")) == []


# Papers that are named for what bears their author's name; nothing is taken from them.
NAMES_OF_THINGS = {"Levenshtein 1966"}


def test_papers_are_named_as_the_bibliography_has_them():
    bibliography = read(ROOT / "book/references.bib")
    assert len(text.bibliography(bibliography)) == len(text.bibliography_keys(bibliography))
    assert text.odd_entries(bibliography) == []
    found = text.papers_without_entry({**module_sources(), **page_texts()}, bibliography)
    assert [finding for finding in found if not any(name in finding for name in NAMES_OF_THINGS)] == []


def test_a_verdict_is_right_where_the_text_says_right():
    """The first word of an answer repeats the verdict, and no other answer begins with it."""
    claims = ledger.read(ROOT / "book" / "errata.ipynb")
    assert len(claims) > 40
    for claim in claims:
        assert (claim.verdict == "right") == bool(re.match(r"Right[.,;]", claim.so)), claim


# ---------------------------------------------------------------- the package


def test_torch_is_imported_where_it_may_be():
    assert package.torch_imports(module_sources()) == []
    assert package.triton_imports(module_sources()) == []


def test_imports_go_down():
    assert package.import_direction(module_sources()) == []


# Who may write c' = f c + i g; CONTRIBUTING.md says why each does. Another one calls one of these.
LSTM_STEPS = [
    "rnnlit.lstm.forward",
    "rnnlit.lstm.step",
    "rnnlit.lstm_in_place.forward",
    "rnnlit.lstm_torch.step",
    "rnnlit.lstm_variants.cell_state",
    "rnnlit.nn.gpu.lstm_triton.forward_step",
    "rnnlit.nn.scan.lstm._step",
]


def test_the_lstms_step_is_written_where_it_has_to_be_and_nowhere_else():
    assert equations.cell_updates(module_sources()) == LSTM_STEPS
    _, _, after = read(ROOT / "CONTRIBUTING.md").partition("**The LSTM's step is written seven times.**")
    reasons, _, _ = after.partition("\n- ")
    assert [name for name in LSTM_STEPS if f"`{name.removeprefix('rnnlit.')}`" not in reasons] == []


# Stands in front of all finders and refuses what is neither standard library nor package nor allowed by name.
REFUSE = """
import sys
allowed = {allowed!r} | set(sys.stdlib_module_names) | {{"rnnlit"}}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and not top.startswith("__editable__"):
            raise ModuleNotFoundError(f"{{name}} is refused")

sys.meta_path.insert(0, Refuse())
try:
    import torch
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("torch was not refused")
import importlib
for module in {modules!r}:
    importlib.import_module(module)
    print(module)
"""


def import_with_only(allowed: set[str], names: list[str]) -> subprocess.CompletedProcess[str]:
    """Import modules in a fresh interpreter that refuses all other packages."""
    program = REFUSE.format(allowed=allowed, modules=names)
    command = [sys.executable, "-W", "error", "-c", program]
    return run(command, cwd=ROOT)


def test_numpy_half_needs_nothing_but_numpy():
    half = [name for name in module_sources() if not package.is_torch_module(name)]
    answer = import_with_only({"numpy"}, half)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == half
    assert {"rnnlit", "rnnlit.lstm", "rnnlit.tools.checks"} <= set(half)


def test_refused_packages_are_really_refused():
    answer = import_with_only(set(), ["rnnlit.lstm"])
    assert answer.returncode != 0
    assert "numpy is refused" in answer.stderr


# ---------------------------------------------------------------- the tests


def test_no_loop_of_assertions_may_be_idle():
    tests = {path.relative_to(ROOT).as_posix(): read(path) for path in (ROOT / "tests").rglob("*.py")}
    assert [finding for name, source in tests.items() for finding in loops.idle(name, source)] == []


def test_no_test_waits_without_a_limit():
    tests = {path.relative_to(ROOT).as_posix(): read(path) for path in (ROOT / "tests").rglob("*.py")}
    del tests["tests/programs.py"]
    assert [finding for name, source in tests.items() for finding in waits.endless(name, source)] == []


# ---------------------------------------------------------------- all files


def test_no_file_holds_a_path_of_a_machine():
    assert files.machine_paths(tracked_texts(), own=[str(ROOT), str(Path.home())]) == []


def test_public_address_stands_in_one_place():
    """But for the cell that `make notebooks` writes from it; that cell must be the one of today's address."""
    url, texts = run_notebooks.public_address(), tracked_texts()
    for path in run_notebooks.find(ROOT / "book"):
        page = json.loads(read(path))
        cell = next(cell for cell in page["cells"] if cell["cell_type"] == "code")
        assert "".join(cell["source"]) == run_notebooks.colab_source(url), f"{path}: make notebooks"
        cell["source"] = []
        texts[path.relative_to(ROOT).as_posix()] = json.dumps(page)
    assert files.address_elsewhere(texts, url) == []
