"""What is downloaded as a notebook: it stands behind the button, and its numbers and works are the page's."""

import html
import json
import re
import zipfile

import pytest

from scripts import plain_notebooks
from tests.site.conftest import ROOT

BOOK = plain_notebooks.read_book()
PAGES = plain_notebooks.notebooks(BOOK)


@pytest.fixture(scope="module")
def built(site):
    """The HTML of the pages of the reading order, by name."""
    return {name: (site / f"{name}.html").read_text(encoding="utf-8") for name in BOOK.pages}


@pytest.mark.parametrize("name", PAGES)
def test_the_button_gives_the_plain_form(site, built, name):
    button = re.search(r'<a href="([^"]+)"[^>]*\bbtn-download-source-button\b', built[name])
    path = (site / f"{name}.html").parent / button[1]
    downloaded = json.loads(path.read_text(encoding="utf-8"))
    assert downloaded == plain_notebooks.plain(PAGES[name], name, BOOK, together=False)


def test_numbers_are_those_of_the_page(built):
    """What the site calls (3.1), Fig. 3.1 and Exercise 3.1 has these names outside it."""
    number = r'caption-number">(?P<number>{} [\d.]+) ?<'
    forms = (
        r'class="eqno">(?P<number>\([\d.]+\))<a [^>]*href="#equation-(?P<label>[\w-]+)"',
        r'<figure[^>]*\bid="(?P<label>[\w-]+)"(?:(?!</figure>).)*?' + number.format(r"Fig\."),
        r'<div class="exercise[^>]*\bid="(?P<label>[\w-]+)"[^>]*>.*?' + number.format("Exercise"),
    )
    found = {
        match["label"]: (match["number"], name)
        for name, page in built.items()
        for form in forms
        for match in re.finditer(form, page, re.DOTALL)
    }
    assert len(found) > 200 and found == BOOK.numbers


def test_works_are_named_as_on_the_page(built):
    cited = {
        key.strip()
        for name in PAGES
        for text in plain_notebooks.texts(ROOT / f"{name}.ipynb")
        for keys in re.findall(r"\{cite:p\}`([^`]+)`", text)
        for key in keys.split(",")
    }
    links = [
        html.unescape(re.sub(r"<[^>]+>", "", text))
        for name in PAGES
        for text in re.findall(r'<a [^>]*href="[^"]*bibliography\.html#id\d+"[^>]*>(.*?)</a>', built[name])
    ]
    on_the_page = {text.replace(" and others", " et al.") for text in links if re.search(r", \d{4}", text)}
    assert on_the_page == {", ".join(BOOK.works[key]) for key in cited}


def test_both_zips_are_there_and_small(site):
    for name in (plain_notebooks.ZIP, plain_notebooks.BLANK_ZIP):
        path = site / plain_notebooks.FOLDER / name
        assert path.stat().st_size < 5e6
        with zipfile.ZipFile(path) as file:
            assert file.testzip() is None
            assert sum(one.endswith(".ipynb") for one in file.namelist()) == len(PAGES)
