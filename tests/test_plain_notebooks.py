"""Notebooks in plain Markdown: each piece of MyST has its plain form, and no page has any left."""

import ast
import io
import json
import posixpath
import re
import zipfile
from collections import Counter
from urllib.parse import unquote

import nbformat
import pytest
from mdit_py_plugins.anchors.index import slugify

from rnnlit.pages import live
from scripts import plain_notebooks
from scripts.plain_notebooks import ROOT, Book, Page, Writer
from tests.book_checks import text as checks

SITE = "https://ada.github.io/book/"
TINY = Book(
    title="A book",
    repository="https://github.com/Ada/book",
    branch="main",
    pages={
        "book/a": Page(
            "A page", True, {"cells": "Cells, in *three* parts", "a-ex": "Exercise 2.1: Count", "at": "Here"}
        ),
        "book/p/b": Page("B page", True, {"gates": "Gates"}),
        "book/c": Page("C page", False, {}),
    },
    numbers={
        "eq-a": ("(2.1)", "book/a"),
        "eq-b": ("(3.4)", "book/p/b"),
        "fig-a": ("Fig. 2.2", "book/a"),
        "play-cell": ("Fig. 2.3", "book/a"),
        "a-ex": ("Exercise 2.1", "book/a"),
    },
    works={"x1997a": ("Ho and Schmidt", "1997"), "y2014b": ("Cho et al.", "2014")},
)
BIBLIOGRAPHY = f"{SITE}book/bibliography.html"
BOOK = plain_notebooks.read_book()
PAGES = plain_notebooks.notebooks(BOOK)
FORMS = [(together, blank) for together in (False, True) for blank in (False, True)]
RAW = re.compile(r"^[ \t]*(?:`{3,}|:{3,})\{.*|\{[\w:-]+\}`|^\([\w:.-]+\)=|^\$\$[ \t]*\(|^:::+", re.MULTILINE)


def written(text, *, name="book/a", together=True, blank=False):
    return Writer(TINY, name, together=together, blank=blank).markdown(text)


# ---------------------------------------------------------------- piece by piece


@pytest.mark.parametrize(
    ("myst", "plain"),
    [
        ("By {eq}`eq-a`.", "By (2.1)."),
        ("By {eq}`eq-b`.", "By [(3.4)](p/b.ipynb)."),
        ("{numref}`fig-a` and {math}`27^3`", "Fig. 2.2 and $27^3$"),
        ("{cite:t}`x1997a` say", f"[Ho and Schmidt (1997)]({BIBLIOGRAPHY}) say"),
        (
            "so {cite:p}`x1997a,y2014b`.",
            f"so ([Ho and Schmidt, 1997]({BIBLIOGRAPHY}); [Cho et al., 2014]({BIBLIOGRAPHY})).",
        ),
        ("{doc}`p/b`, {doc}`the next <p/b>`", "[B page](p/b.ipynb), [the next](p/b.ipynb)"),
        ("{doc}`c`", f"[C page]({SITE}book/c.html)"),
        ("{ref}`a-ex`", "[Exercise 2.1](#Exercise-2.1:-Count)"),
        ("see {ref}`at`, or {ref}`above <at>`", "see [Here](#Here), or [above](#Here)"),
        (
            "[here](#cells), [gates](p/b.ipynb#gates)",
            "[here](#Cells,-in-three-parts), [gates](p/b.ipynb#Gates)",
        ),
        ("`{eq}` and ``{cite:t}`k` `` stay", "`{eq}` and ``{cite:t}`k` `` stay"),
        ("[code](../README.md)", "[code](https://github.com/Ada/book/blob/main/README.md)"),
        ("[away](https://example.org/a.ipynb#x)", "[away](https://example.org/a.ipynb#x)"),
        ("$$\nx = y ,\n$$ (eq-a)\n\nthen", "$$\nx = y ,\n\\tag{2.1}\n$$\n\nthen"),
        ("$$\nx\n$$\n\n$$\ny\n$$ (eq-a)", "$$\nx\n$$\n\n$$\ny\n\\tag{2.1}\n$$"),
        ("(at)=\n## Here", "## Here"),
        ("```python\n{eq}`eq-a`\n```", "```python\n{eq}`eq-a`\n```"),
    ],
)
def test_what_stands_in_a_line(myst, plain):
    assert written(myst) == plain


@pytest.mark.parametrize(
    ("myst", "plain"),
    [
        ("By {eq}`eq-b`.", f"By [(3.4)]({SITE}book/p/b.html#eq-b)."),
        ("[gates](p/b.ipynb#gates)", f"[gates]({SITE}book/p/b.html#gates)"),
        ("[here](#cells)", "[here](#Cells,-in-three-parts)"),
    ],
)
def test_a_notebook_alone_leads_to_the_site(myst, plain):
    assert written(myst, together=False) == plain


def test_a_figure_has_its_number_and_lies_beside_the_notebook_or_in_it():
    myst = ":::{figure-md} fig-a\n![A cell.](figures/lstm_cell.svg)\n\nThe cell, as in {eq}`eq-a`.\n:::"
    assert written(myst) == "![A cell.](figures/lstm_cell.svg)\n\n**Fig. 2.2.** The cell, as in (2.1)."
    alone = written(myst, together=False)
    assert re.match(r"!\[A cell\.\]\(data:image/svg\+xml;base64,[\w+/=]+\)\n\n\*\*Fig", alone)


def test_a_figure_to_play_with_says_where_it_moves():
    myst = ":::{play} cell\n![A cell.](figures/lstm_cell.svg)\n\nOne unit.\n:::"
    assert written(myst).endswith(
        f"**Fig. 2.3.** One unit. (To play with it, see [the page]({SITE}book/a.html#play-cell).)"
    )


def test_a_fold_and_a_box():
    fold = "<details>\n<summary><b>Why <code>x</code> &lt; 1</b></summary>\n\nBy (2.1).\n\n</details>"
    assert written("````{admonition} Why `x` < 1\n:class: dropdown\n\nBy {eq}`eq-a`.\n````") == fold
    assert written(":::{dropdown} Why `x` < 1\nBy {eq}`eq-a`.\n:::") == fold
    box = "> **Mind**\n>\n> First:\n>\n> $$ x = y \\tag{2.1} $$\n>\n> and on."
    assert written("```{admonition} Mind\nFirst:\n\n$$\nx = y\n$$ (eq-a)\n\nand on.\n```") == box


def test_columns_become_paragraphs():
    columns = ":::{grid-item}\nleft {eq}`eq-a`\n:::\n\n:::{grid-item}\nright\n:::"
    myst = f"::::{{grid}} 1 1 2 2\n:gutter: 2\n\n{columns}\n::::"
    assert written(f"Before.\n\n{myst}\n\nAfter.") == "Before.\n\nleft (2.1)\n\nright\n\nAfter."


EXERCISE = "```{exercise} Count\n:label: a-ex\n\nHow many?\n```\n\n"
START = "````{solution-start} a-ex\n:class: dropdown\n````\n\n"
END = "````{solution-end}\n````"
ELSEWHERE = f"*The solution stands [on the page]({SITE}book/a.html#a-ex), below exercise 2.1.*"


def test_an_exercise_is_a_heading_and_its_solution_a_fold():
    asked = "#### Exercise 2.1: Count\n\nHow many?"
    fold = "<details>\n<summary><b>Solution of exercise 2.1</b></summary>\n\nFour.\n\n</details>"
    assert written(f"{EXERCISE}{START}Four.\n\n{END}\n\nNext.") == f"{asked}\n\n{fold}\n\nNext."
    assert (
        written(f"{EXERCISE}{START}Four.\n\n{END}\n\nNext.", blank=True) == f"{asked}\n\n{ELSEWHERE}\n\nNext."
    )


def notebook(*cells):
    """A notebook of Markdown, or of code with a tag and what it printed."""
    made = []
    for number, cell in enumerate(cells):
        if isinstance(cell, str):
            made.append({"cell_type": "markdown", "id": f"c{number}", "metadata": {}, "source": [cell]})
        else:
            tag, source, output = cell
            printed = [{"output_type": "stream", "name": "stdout", "text": [output]}]
            made.append(
                {
                    "cell_type": "code",
                    "id": f"c{number}",
                    "metadata": {"tags": [tag], "mystnb": {"code_prompt_show": "Code"}},
                    "source": [source],
                    "outputs": printed,
                    "execution_count": number,
                }
            )
    return {"cells": made, "metadata": {"myst": {}, "kernelspec": {}}, "nbformat": 4, "nbformat_minor": 5}


def shape(page):
    """Cells as (kind, source, what is folded, outputs), without the one that says how it runs."""
    return [
        (
            c["cell_type"][:1],
            "".join(c["source"]),
            c["metadata"].get("jupyter", {}),
            len(c.get("outputs", ())),
        )
        for c in page["cells"]
        if c["id"] != "how-it-runs"
    ]


PAGE = notebook(
    "# A page",
    ("hide-input", "import numpy", "1"),
    ("hide-output", "2 + 2", "4"),
    EXERCISE + START,
    ("solution", "four()", "Right: 4"),
    "Which is four.",
    "````{solution-end}\n````\n\nNext.",
)
CODE, OUT = {"source_hidden": True}, {"outputs_hidden": True}


def test_what_the_site_folds_is_folded_cell_by_cell():
    got = shape(plain_notebooks.plain(PAGE, "book/a", TINY, together=True))
    assert got == [
        ("m", "# A page", {}, 0),
        ("c", "import numpy", CODE, 1),
        ("c", "2 + 2", OUT, 1),
        (
            "m",
            "#### Exercise 2.1: Count\n\nHow many?\n\n**Solution of exercise 2.1**: the folded cells below.",
            {},
            0,
        ),
        ("c", "four()", CODE | OUT, 1),
        (
            "m",
            "<details>\n<summary><b>Solution of exercise 2.1</b></summary>\n\nWhich is four.\n\n</details>",
            {},
            0,
        ),
        ("m", "Next.", {}, 0),
    ]


def test_a_blank_notebook_has_no_outputs_and_no_solutions():
    page = plain_notebooks.plain(PAGE, "book/a", TINY, together=True, blank=True)
    assert shape(page) == [
        ("m", "# A page", {}, 0),
        ("c", "import numpy", CODE, 0),
        ("c", "2 + 2", {}, 0),
        ("m", f"#### Exercise 2.1: Count\n\nHow many?\n\n{ELSEWHERE}", {}, 0),
        ("m", "Next.", {}, 0),
    ]
    assert {cell["execution_count"] for cell in page["cells"] if cell["cell_type"] == "code"} == {None}


def test_the_notebook_says_how_it_runs_elsewhere():
    page = plain_notebooks.plain(PAGE, "book/a", TINY, together=False)
    said = "".join(page["cells"][1]["source"])
    assert '`pip install "rnnlit[notebooks] @ git+https://github.com/Ada/book"`' in said
    assert f"[A page]({SITE}book/a.html)" in said and "CC BY 4.0" in said


@pytest.mark.parametrize(
    "myst", ["{py:class}`LSTM`", "{ref}`nowhere`", "```{video} a.mp4\n```", "```{admonition} No end"]
)
def test_what_has_no_plain_form_is_an_error(myst):
    with pytest.raises(ValueError, match=r"no way is known|found the end of the cell"):
        written(myst)


def test_names_of_authors_are_letters():
    bibtex = '@book{a,\n  author = {Hochreiter, Sepp and Schmidhuber, J{\\"u}rgen},\n  year = {1997},\n}\n'
    bibtex += "@book{b,\n  author = {K{\\'a}r, {\\L}ukasz and {\\c{C}}elik, {\\v{S}}an and Ng, Ada},\n"
    bibtex += "  year = {2020},\n}\n"
    bibtex += "@book{c,\n  author = {{Smerity} and others},\n  year = {2021},\n}\n"
    assert plain_notebooks.bibliography(bibtex) == {
        "a": ("Hochreiter and Schmidhuber", "1997"),
        "b": ("Kár et al.", "2020"),
        "c": ("Smerity et al.", "2021"),
    }
    assert (
        plain_notebooks.letters('{\\c{C}}elik, {\\v{S}}an {\\L}ukasz K{\\"o}ppe') == "Çelik, Šan Łukasz Köppe"
    )


# ---------------------------------------------------------------- all pages


def markdown(page):
    return ["".join(cell["source"]) for cell in page["cells"] if cell["cell_type"] == "markdown"]


@pytest.fixture(scope="module")
def forms():
    """Each page in each form, by name, together and blank."""
    return {
        (name, *form): plain_notebooks.plain(page, name, BOOK, together=form[0], blank=form[1])
        for name, page in PAGES.items()
        for form in FORMS
    }


def test_nothing_of_myst_is_left_and_the_pages_are_full_of_it(forms):
    assert sum(len(RAW.findall(text)) for page in PAGES.values() for text in markdown(page)) > 1000
    assert [
        (key, raw) for key, page in forms.items() for text in markdown(page) for raw in RAW.findall(text)
    ] == []


def test_formulas_are_those_of_the_page(forms):
    """Between dollar signs stands what stood there; only numbers came."""
    for name, page in PAGES.items():
        plain = "\n".join(markdown(forms[name, True, False]))
        assert plain.count("\\tag{") == len(
            re.findall(r"^\$\$[ \t]*\([\w:.-]+\)", "\n".join(markdown(page)), re.M)
        )
        before = Counter(re.findall(r"\\begin\{(\w+)\}", "\n".join(markdown(page))))
        assert Counter(re.findall(r"\\begin\{(\w+)\}", plain)) == before


def solutions(page):
    """The ids of the cells of code between the beginning of a solution and its end."""
    last = "end"
    for cell in page["cells"]:
        if cell["cell_type"] == "code":
            yield from [cell["id"]] if last == "start" else []
        else:
            last = (re.findall(r"\{solution-(start|end)\}", "".join(cell["source"])) or [last])[-1]


def test_solutions_are_found_in_the_pages():
    assert sum(len(list(solutions(page))) for page in PAGES.values()) > 80


def test_code_and_outputs_are_those_of_the_page(forms):
    def cells(page):
        keys = ("id", "source", "outputs", "execution_count")
        return [tuple(cell[key] for key in keys) for cell in page["cells"] if cell["cell_type"] == "code"]

    for name, page in PAGES.items():
        for together in (False, True):
            assert cells(forms[name, together, False]) == cells(page)
            blank = cells(forms[name, together, True])
            left_out = set(solutions(page))
            assert [cell[:2] for cell in blank] == [c[:2] for c in cells(page) if c[0] not in left_out]
            assert {(str(cell[2]), cell[3]) for cell in blank} == {("[]", None)}


def test_every_form_is_a_valid_notebook_without_settings_of_the_site(forms):
    for page in forms.values():
        nbformat.validate(nbformat.from_dict(page))
        assert "myst" not in page["metadata"]
        assert not [cell for cell in page["cells"] if "mystnb" in cell["metadata"]]


def test_no_later_cell_needs_what_a_left_out_solution_defines(forms):
    needed = []
    for name, page in PAGES.items():
        kept = {cell["id"] for cell in forms[name, True, True]["cells"]}
        lost: set[str] = set()
        for cell in page["cells"]:
            if cell["cell_type"] == "code":
                code = re.sub(r"^([ \t]*)[%!].*$", r"\1pass", "".join(cell["source"]), flags=re.M)
                for statement in ast.parse(code).body:
                    if cell["id"] not in kept:
                        lost |= live.bound([statement])
                        continue
                    uses = {one for one, _ in live.used([statement])} & lost
                    needed += [(name, cell["id"], one) for one in uses]
                    lost -= live.bound([statement])
    assert needed == []


def test_anchors_are_those_of_the_site():
    headings = [h for page in BOOK.pages.values() for h in page.headings.values()]
    assert len(headings) > 200
    assert [h for h in headings if plain_notebooks.slug(h) != slugify(h)] == []


def test_the_site_has_the_address_of_its_own_pages():
    assert TINY.site == SITE


def anchors(page):
    """The anchors that Jupyter gives to the headings of a notebook."""
    found = re.findall(r"^#{1,6} (.+?)[ \t]*$", "\n".join(markdown(page)), re.M)
    return {re.sub(r"[*`]", "", heading).replace(" ", "-") for heading in found}


@pytest.fixture(scope="module")
def zips():
    """The files of both zips, by name, without the folder that all are in."""
    found = {}
    for blank in (False, True):
        data = plain_notebooks.archive(BOOK, PAGES, blank=blank)
        assert plain_notebooks.archive(BOOK, PAGES, blank=blank) == data, "the same pages, the same bytes"
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            top = {name.split("/")[0] for name in file.namelist()}
            assert top == {f"rnn-book-notebooks{'-blank' * blank}"}
            found[blank] = {name.partition("/")[2]: file.read(name) for name in file.namelist()}
    return found


@pytest.mark.parametrize("blank", [False, True])
def test_links_in_a_zip_lead_to_what_it_holds_or_to_the_web(zips, blank):
    files = zips[blank]
    pages = {name: json.loads(data) for name, data in files.items() if name.endswith(".ipynb")}
    assert {f"book/{name}" for name in pages} == {f"{name}.ipynb" for name in PAGES}
    dead, followed = [], 0
    for name, page in pages.items():
        for target in checks_of_links("\n".join(markdown(page))):
            path, _, anchor = target.partition("#")
            file = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            there = file in files and (not anchor or unquote(anchor) in anchors(pages[file]))
            followed += 1
            dead += [] if there else [(name, target)]
    assert dead == [] and followed > 250
    assert "errata.ipynb" in files["README.txt"].decode()


def checks_of_links(text):
    """The links of a text that do not lead to the web."""
    return [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:", t)]


def test_a_notebook_alone_names_nothing_beside_itself(forms):
    alone = ["\n".join(markdown(page)) for (_, together, _), page in forms.items() if not together]
    links = [link for text in alone for link in checks_of_links(text)]
    drawings = [link for link in links if link.startswith("data:image/svg+xml;base64,")]
    assert len(drawings) > 60 and len({link for link in links if link.startswith("#")}) > 10
    assert [link for link in links if link not in drawings and not link.startswith("#")] == []


def test_drawings_have_their_natural_size(zips):
    drawings = {name: data.decode() for name, data in zips[False].items() if name.endswith(".svg")}
    assert len(drawings) > 30
    sizes = {
        name: re.match(r'<svg [^>]*viewBox="0 0 (\d+) (\d+)" width="\1" height="\2"', d)
        for name, d in drawings.items()
    }
    assert [name for name, size in sizes.items() if not size] == []


def test_numbers_are_counted_as_the_labels_are():
    """Each equation, figure and exercise that a check of the book knows has its number, and no other has."""
    texts = {name: "\n".join(plain_notebooks.texts(next(ROOT.glob(f"{name}.[im]*")))) for name in BOOK.pages}
    kinds = {label: kind for text in texts.values() for label, kind in checks.labels(text).items()}
    assert set(BOOK.numbers) == {
        label for label, kind in kinds.items() if kind in ("equation", "figure", "exercise")
    }


def test_the_command_writes_both_zips(tmp_path, capsys):
    plain_notebooks.main([str(tmp_path / "new")])
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "new").iterdir()}
    assert set(sizes) == {"rnn-book-notebooks.zip", "rnn-book-notebooks-blank.zip"}
    assert sizes["rnn-book-notebooks-blank.zip"] < sizes["rnn-book-notebooks.zip"] < 5e6
    assert capsys.readouterr().out.count("MB") == 2


def test_in_place_every_page_is_rewritten_beside_the_others(tmp_path, monkeypatch):
    for name in PAGES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    paths = plain_notebooks.write_each(lambda name: tmp_path / f"{name}.ipynb", together=True)
    assert len(paths) == len(PAGES)
    for name, path in zip(PAGES, paths, strict=True):
        assert json.loads(path.read_text()) == plain_notebooks.plain(PAGES[name], name, BOOK, together=True)
