"""Figures to play with: how one comes into a page, and in a browser what it shows while one plays."""

import re
import sys
from pathlib import Path

from tests.programs import run
from tests.site.conftest import ROOT

# ---------------------------------------------------------------- the directive

SMALL = """
import sys
from pathlib import Path
sys.path.insert(0, {extensions!r})
import play
play.SCRIPTS, play.DATA = Path("_static/play").absolute(), Path("data").absolute()
extensions = ["myst_nb", "inline_svg", "play"]
html_theme, html_static_path = "basic", ["_static"]
inline_svg_folder = "figures"
myst_enable_extensions = ["colon_fence"]
numfig = True
"""
PAGE = """# Page

:::{play} ball
![A ball that rolls.](figures/ball.svg)

Push **the ball**.
:::
"""


def small_book(folder: Path, page: str) -> tuple[dict[str, str], str]:
    """Build a book of two pages, one of them with a figure; return their HTML by name, and the warnings."""
    texts = {
        "conf.py": SMALL.format(extensions=str(ROOT / "book" / "_ext")),
        "index.md": page + "\n```{toctree}\nother\n```\n",
        "other.md": "# Other\n",
        "figures/ball.svg": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="3"/></svg>',
        "data/ball.json": '{"words": ["</script>", "é"],\n "x": 1.50}',
        "_static/play/ball.js": "rlPlay.begin();",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    done = run([sys.executable, "-m", "sphinx", "-q", ".", "out"], cwd=folder, check=True)
    read = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "out").glob("*.html")}
    return read, done.stderr


def test_a_figure_is_whole_without_its_script_and_no_other_page_loads_that(tmp_path: Path) -> None:
    pages, warnings = small_book(tmp_path, PAGE)
    assert warnings == ""
    figure = re.search(r'<figure class="[^"]*rl-play[^"]*" id="play-ball">.*?</figure>', pages["index"], re.S)
    assert figure is not None
    assert figure[0].count("<svg") == 1 and 'aria-label="A ball that rolls."' in figure[0]
    assert "Push <strong>the ball</strong>." in figure[0].partition("<figcaption")[2]
    data = re.search(r'<script type="application/json">(.*?)</script>', figure[0])
    assert data and data[1] == r'{"words":["\u003c/script>","é"],"x":1.5}'
    loaded = re.findall(r'<script defer="defer" src="_static/play/(\w+)\.js', pages["index"])
    assert loaded == ["play", "ball"]
    assert "play/play.css" in pages["index"]
    assert "play/" not in pages["other"]


def test_a_figure_without_script_drawing_or_caption_is_refused(tmp_path: Path) -> None:
    page = PAGE + PAGE.replace("# Page", "").replace("ball\n", "bell\n") + ":::{play} ball\nWords.\n:::\n"
    _, warnings = small_book(tmp_path, page)
    assert "there is no script book/_static/play/bell.js" in warnings
    assert "content should be one image" in warnings
    assert warnings.count("ERROR") == 2
