"""Sphinx extension `plain_downloads`: what is downloaded as a notebook reads well outside the site.

After the build, the notebook behind each page's download button is replaced by its plain form
(`scripts/plain_notebooks.py`), which holds its figures and leads back to the site; and `downloads/` gets all
notebooks as zips, with results and blank.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from scripts import plain_notebooks  # noqa: E402

logger = logging.getLogger(__name__)


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write the notebooks and the zips; MyST without a plain form is a warning."""
    if exception is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    try:
        plain_notebooks.write_each(lambda name: site / "_sources" / f"{name}.ipynb", together=False)
        plain_notebooks.write_zips(site / plain_notebooks.FOLDER)
    except ValueError as error:
        logger.warning("%s", error, type="plain_downloads")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the step after the build."""
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
