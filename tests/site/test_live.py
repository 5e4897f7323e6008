"""Cells that run in the reader's browser: they print what is stored, and exercises answer.

Without the files of `make live` in the site these tests skip. RNNLIT_LIVE=all runs every cell of every page
that can, which takes some ten minutes; RNNLIT_LIVE="lstm gru" those of two.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.site import test_browser
from tests.site.conftest import ROOT
from tests.site.test_browser import CONTRAST, DESKTOP, LETTERS, MODES, PHONE, TOO_WIDE, Visit

# The browser, the server and the windows of the other tests.
address, browser, visit, window = (
    getattr(test_browser, name) for name in ("address", "browser", "visit", "window")
)
LONG = 600_000  # milliseconds: ends a hang
PAGES = os.environ.get("RNNLIT_LIVE", "terminology").split()
if PAGES == ["all"]:
    found = (path.relative_to(ROOT / "book") for path in (ROOT / "book").rglob("*.ipynb"))
    PAGES = sorted(
        path.with_suffix("").as_posix() for path in found if ".ipynb_checkpoints" not in path.parts
    )

OUTPUTS = """() => [...document.querySelectorAll('div.cell:has(.cell_input)')].map(c => {
    const live = c.querySelector('.rl-live-output'), parts = live && !live.hidden ? [...live.children] : [];
    const text = parts.map(p => p.matches('.rl-sentence') ? p.textContent + '\\n'
        : p.querySelector('pre')?.textContent ?? '').join('');
    const stored = c.querySelector('.cell_output:not(.rl-live-output)');
    return {state: c.querySelector('.rl-cell-state').textContent, text,
            images: parts.flatMap(p => [...p.querySelectorAll(':scope > img')])
                .map(i => [i.alt, i.naturalWidth, i.width]),
            stored: !!stored && !stored.hidden};
})"""


@pytest.fixture(scope="module")
def python_in_site(site: Path) -> Path:
    """Skip where the site was built without Python; return its folder."""
    folder = site / "_static" / "pyodide"
    if not (folder / "pyodide.asm.wasm").is_file():
        pytest.skip("the site was built without the Python that runs in pages: make live, then make site")
    return folder


@pytest.fixture
def live(python_in_site: Path, visit) -> Callable[..., Visit]:
    """Return a function that opens a page and starts Python on it, by keyboard."""

    def start(name: str, **ways) -> Visit:
        opened = visit(f"book/{name}.html", **ways)
        page = opened.page
        page.set_default_timeout(LONG)
        page.get_by_role("button", name="Run in the page").focus()
        page.keyboard.press("Enter")
        page.get_by_role("status").filter(has_text="Ready after").wait_for()
        return opened

    return start


def shown_cells(name: str) -> list[dict]:
    """Return the code cells of a notebook whose code the page shows."""
    cells = json.loads((ROOT / f"book/{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [
        cell
        for cell in cells
        if cell["cell_type"] == "code" and "remove-input" not in cell["metadata"].get("tags", [])
    ]


def stored(cell: dict) -> tuple[str, int]:
    """Return what a cell printed and returned, and how many figures it drew."""
    text = ""
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            text += "".join(output["text"])
        elif output["output_type"] == "execute_result" and "Markdown object" not in str(output["data"]):
            text += "".join(output["data"]["text/plain"])
    return text, sum(output["output_type"] == "display_data" for output in cell["outputs"])


def type_over(page, cell, code: str) -> None:
    """Replace the code of a cell as a reader does: select it all, and type."""
    cell.locator("[role=textbox]").focus()
    page.keyboard.press("Control+A")
    first, *rest = code.split("\n")
    page.keyboard.insert_text(first)
    for line in rest:
        page.keyboard.press("Enter")
        page.keyboard.insert_text(line)


@pytest.mark.parametrize("name", PAGES)
def test_every_cell_prints_what_is_stored(live, site: Path, name: str) -> None:
    if "data-worker" not in (site / f"book/{name}.html").read_text(encoding="utf-8"):
        pytest.skip("the page computes with PyTorch: test_live_pages.py has its bar")
    opened = live(name)
    page = opened.page
    page.get_by_role("button", name="Run all cells").click()
    page.get_by_role("status").filter(has_text=re.compile("cells ran in|failed|ended")).wait_for()
    assert "cells ran in" in page.locator(".rl-live-status").inner_text()
    found = page.evaluate(OUTPUTS)
    cells = shown_cells(name)
    assert len(found) == len(cells)
    record = json.loads((ROOT / "book/data/live_pages.json").read_text(encoding="utf-8"))["pages"][name]
    needs = [number for number, output in enumerate(found, 1) if "needs PyTorch" in output["state"]]
    assert needs == record["torch"]  # no cell but those that test_live_pages.py finds by their code
    compared = 0
    for cell, output in zip(cells, found, strict=True):
        text, figures = stored(cell)
        if "needs PyTorch" in output["state"]:
            assert output["text"] == "" and output["stored"] == bool(cell["outputs"])
            continue
        assert output["state"].startswith("ran"), output
        assert not output["stored"]
        assert len(output["images"]) == figures
        if "nbval-ignore-output" not in cell["metadata"].get("tags", []):
            assert output["text"] == text
            compared += 1
        for alt, drawn, width in output["images"]:
            assert alt in text and len(alt) > 20
            assert drawn >= 1.9 * width * min(1, width / (drawn / 2))
    plots = page.locator(".rl-live-output a.rl-plot")
    assert compared >= len(cells) / 2  # pages with less of them have no bar
    assert plots.count() == sum(len(output["images"]) for output in found)
    for plot in plots.all()[:1]:
        plot.click()
        page.locator("dialog[open] .rl-plot > img").wait_for()
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog.rl-large", state="detached")
    assert opened.complaints == []


def test_an_exercise_answers_and_an_endless_loop_is_stopped(live) -> None:
    opened = live("rnn", size=PHONE, mode="dark")
    page = opened.page
    cells = page.locator("div.cell").filter(has=page.locator(".cell_input"))
    status = page.locator(".rl-live-status")

    # An exercise, solved by keyboard alone. What it needs runs first: the imports, and no training.
    cell = page.locator(f"#{cells.filter(has_text='my_count(I, H)').first.get_attribute('id')}")
    type_over(
        page,
        cell,
        "def my_count(I, H):\nreturn H * (I + H)\n\nexercises.rnn.count_parameters.check(my_count)",
    )
    code = cell.locator("[role=textbox]")
    assert code.inner_text().split("\n")[1] == "    return H * (I + H)"  # indented after the colon
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(
        "def my_count(I, H): return 2 * H\nexercises.rnn.count_parameters.check(my_count)"
    )
    page.keyboard.press("Shift+Enter")
    status.filter(has_text="Not yet:").wait_for()
    assert code.evaluate("e => e === document.activeElement")  # the focus stays
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(
        "def my_count(I, H): return H * (I + H + 2)\nexercises.rnn.count_parameters.check(my_count)"
    )
    page.keyboard.press("Shift+Enter")
    status.filter(has_text=re.compile("ran. Right: ")).wait_for()
    assert "Right:" in cell.locator(".rl-live-output").inner_text()
    assert cell.locator(".cell_output:not(.rl-live-output)").is_hidden()
    states = page.evaluate(OUTPUTS)
    assert 1 <= sum(bool(one["state"]) for one in states) - 1 <= 3
    assert page.evaluate(TOO_WIDE) == []

    # An error leads to its cell.
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("print(1 / 0)")
    page.keyboard.press("Shift+Enter")
    status.filter(has_text="ZeroDivisionError").wait_for()
    assert status.locator("a").evaluate("a => !!document.querySelector(a.getAttribute('href'))")

    # What never ends, and prints all the time, is stopped; then Python is there again, without names.
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("k = 0\nwhile True: print(k)")
    page.keyboard.press("Shift+Enter")
    cell.locator(".rl-live-output").filter(has_text="0").wait_for()
    stop = page.get_by_role("button", name="Stop", exact=True)
    stop.focus()
    page.keyboard.press("Enter")
    status.filter(has_text="All names are gone. Python is there again.").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Run all cells"
    code.focus()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("print('k' in globals())")
    page.keyboard.press("Shift+Enter")
    cell.locator(".rl-live-output").filter(has_text="False").wait_for()
    cell.get_by_role("button", name=re.compile("Undo")).click()
    assert "..." in code.inner_text()
    assert opened.complaints == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_bar_is_seen_and_can_be_read(
    python_in_site: Path, visit, size: dict[str, int], mode: str
) -> None:
    page = visit("book/lstm.html", size=size, mode=mode).page
    button = page.get_by_role("button", name="Run in the page")
    box = button.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"] and box["height"] >= 24
    assert "MB to load, once" in page.locator(".rl-live").inner_text()
    found = page.evaluate(
        f"""() => {{ {CONTRAST}
            return ['.rl-live p', '.rl-button'].map(name => {{ const e = document.querySelector(name);
                return contrast(getComputedStyle(e).color, ground(e)); }}); }}"""
    )
    assert min(found) >= LETTERS
    assert page.evaluate(TOO_WIDE) == []


def test_a_page_whose_python_does_not_load_stays_readable(python_in_site: Path, window, address: str) -> None:
    page = window().new_page()
    page.route("**/pyodide.asm.wasm", lambda route: route.abort())
    page.goto(f"{address}book/lstm.html")
    before = page.locator(".bd-article .cell_output").all_inner_texts()
    page.get_by_role("button", name="Run in the page").click()
    page.get_by_role("status").filter(has_text="did not load").wait_for()
    assert page.locator(".bd-article .cell_output").all_inner_texts() == before


def test_without_scripts_a_page_has_its_outputs_and_no_bar(site: Path, browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}book/lstm.html")
    assert page.locator(".bd-article .cell_output pre").count() > 10
    assert page.get_by_role("button", name="Run in the page").count() == 0
    assert (
        page.locator(".rl-live[data-worker]").is_hidden()
        or page.locator(".rl-live[data-worker]").count() == 0
    )
    context.close()
