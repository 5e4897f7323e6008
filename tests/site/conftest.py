"""The built site, for the tests of this folder: built when it is missing or older than its sources."""

import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import run

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
STAMP = SITE / ".site-stamp"  # touched by book/_ext/offline_site.py after a build without warnings
BUILD = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n", "--keep-going"]


def sources() -> Iterator[Path]:
    """Yield every file that the site is made from."""
    yield ROOT / "_config.yml"
    yield ROOT / "_toc.yml"
    yield ROOT / "scripts" / "plain_notebooks.py"
    for folder in ("book", "rnnlit"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts):
                yield path


def is_stale() -> bool:
    """Tell whether the site is missing or a source is newer than its last clean build."""
    if not STAMP.is_file():
        return True
    built = STAMP.stat().st_mtime
    return any(path.stat().st_mtime > built for path in sources())


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the built site. Workers that run at once wait for the one that builds."""
    SITE.parent.mkdir(exist_ok=True)
    with open(SITE.parent / ".site-lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_stale():
            build = run(BUILD, cwd=ROOT)
            if build.returncode:
                pytest.fail(
                    f"the site does not build:\n{build.stdout[-4000:]}\n{build.stderr[-4000:]}", pytrace=False
                )
    return SITE
