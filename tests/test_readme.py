"""The README's Python runs as it stands, and prints what its comments say."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.M | re.S)


def promised(block: str) -> list[str]:
    """Return what the comments behind `print(...)` promise, line by line."""
    return re.findall(r"^print\(.*\)\s+# (.+?)\s*$", block, flags=re.M)


def run(block: str, names: dict[str, object]) -> list[str]:
    """Run a block in the given names and return the lines that it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "README.md", "exec"), names)
    return printed.getvalue().splitlines()


def test_readme_runs_and_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where its file goes
    if any("torch" in block for block in BLOCKS):
        pytest.importorskip("torch")
    names: dict[str, object] = {}  # one reader types all blocks, one after the other
    for block in BLOCKS:
        assert run(block, names) == promised(block)


def test_readme_shows_both_halves_and_says_what_they_print():
    assert len(BLOCKS) == 4
    assert all(promised(block) for block in BLOCKS)


def test_wrong_comment_would_be_found():
    block = "print(1 + 1)  # 3\n"
    assert promised(block) == ["3"]
    assert run(block, {}) != promised(block)
