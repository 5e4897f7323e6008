"""Sphinx extension `offline_site`: the pages ask no other host for anything and do not wait for scripts.

The theme brings a second copy of its icons as a script of 1.5 MB (the icons come from its web font already),
and the start-up code of thebe, which names a third party's host. Both leave the pages here, after the build.
What scripts remain are deferred, so that nothing blocks the first paint.

A build that ends without a warning also touches `SITE_STAMP` in the site's folder. A build with warnings
forgets what it has read, so that the next one meets the same warnings again instead of finding nothing to do.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

SITE_STAMP = ".site-stamp"
FINISHED = '<meta http-equiv="Content-Security-Policy"'  # light_pages, which comes next, writes it

REMOVED = [
    r"\s*<script[^>]*scripts/fontawesome\.js[^>]*></script>",
    r"\s*<link[^>]*scripts/fontawesome\.js[^>]*>",
    r"\s*<script>const THEBE_JS_URL.*?</script>",
    r"\s*<script[^>]*sphinx-thebe\.js[^>]*></script>",
    r"\s*<link[^>]*sphinx-thebe\.css[^>]*>",
    r'\s*<script type="text/x-thebe-config">.*?</script>',
    r"\s*<script>kernelName = '.*?'</script>",
    # Docutils and the theme each write a viewport; the theme's, the last one, stays.
    r'<meta name="viewport"[^>]*>\s*(?=.*?<meta name="viewport")',
]
UNUSED = [
    "scripts/fontawesome.js",
    "scripts/fontawesome.js.LICENSE.txt",
    "sphinx-thebe.js",
    "sphinx-thebe.css",
]


def without_third_parties(page: str) -> str:
    """Return a page's HTML without what `REMOVED` names."""
    for pattern in REMOVED:
        page = re.sub(pattern, "", page, flags=re.DOTALL)
    return page


def with_deferred_scripts(page: str) -> str:
    """Return a page's HTML with every script of its head deferred, order kept."""
    head, end, rest = page.partition("</head>")
    head = re.sub(r"<script (?![^>]*\b(?:defer|async)\b)([^>]*\bsrc=)", r"<script defer \1", head)
    # An inline script can't be deferred, and this one needs what a deferred one defines. A module waits like
    # those.
    head = re.sub(r"<script>(DOCUMENTATION_OPTIONS\.)", r'<script type="module">\1', head)
    return head + end + rest


def with_mode(page: str) -> str:
    """Return a page's HTML with the system's mode as default, light or dark; the theme leaves it empty."""
    page = page.replace('localStorage.getItem("mode") || ""', 'localStorage.getItem("mode") || "auto"')
    return page.replace('data-default-mode=""', 'data-default-mode="auto"')


def drop_old_sources(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Delete source code's pages that link to a page read anew: viewcode renews one with its module alone."""
    for name in docnames:
        module = name.removeprefix("book/api/").replace(".", "/")
        for path in (f"{module}.html", f"{module}/__init__.html"):
            Path(app.outdir, "_modules", "rnnlit", path).unlink(missing_ok=True)


def finish_pages(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite the new pages in place, and delete the files that no page loads any more."""
    if exception is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for path in site.rglob("*.html"):
        before = path.read_text(encoding="utf-8")
        if FINISHED in before:
            continue
        after = with_mode(with_deferred_scripts(without_third_parties(before)))
        if after != before:
            path.write_text(after, encoding="utf-8")
    static = site / "_static"
    for path in [*(static / name for name in UNUSED), *static.rglob("*.map")]:
        path.unlink(missing_ok=True)


def leave_stamp(app: Sphinx, exception: Exception | None) -> None:
    """Touch the stamp after a clean build; after one with warnings, forget the environment it has stored."""
    stamp = Path(app.outdir, SITE_STAMP)
    if exception is None and not app._warncount:
        stamp.touch()
        return
    stamp.unlink(missing_ok=True)
    Path(app.doctreedir, "environment.pickle").unlink(missing_ok=True)


def digest_of_extensions() -> str:
    """Return a hash over the book's own extensions: when one of them changes, all pages are made again."""
    files = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".py", ".js"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the steps before and after the build, and the hash as a setting that all pages depend on."""
    app.add_config_value("extensions_digest", digest_of_extensions(), "env", types=[str])
    app.connect("env-before-read-docs", drop_old_sources)
    app.connect("build-finished", finish_pages, priority=900)
    app.connect("build-finished", leave_stamp, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
