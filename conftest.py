"""What pytest cannot take from pyproject.toml; it holds for the unit tests and for the notebooks."""

import os
import tempfile
from importlib.util import find_spec
from typing import Any

import pytest

# One thread: sums are then rounded in the same order on every machine, and two workers do not fight for two
# cores. The kernels of the notebooks inherit it; it has to be said before NumPy is imported.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


# What takes longest, by the first letters of its names. It begins first: two workers are then done at about
# the same time, and neither has the browser or a chapter left at the end.
LONG = ("tests/site/test_browser.py", "book/", "tests/tools/test_processes_torch.py", "tests/practice/")
LIMIT = 300  # seconds that nbval waits for an output of a cell that has ended (5 by itself): it ends a hang


def pytest_configure(config: pytest.Config) -> None:
    """Draw figures without a window. (By a call: the variable MPLBACKEND would reach the kernels as well.)"""
    if find_spec("matplotlib"):
        import matplotlib

        matplotlib.use("agg")
    if find_spec("nbval"):
        run_pages_alone(config)


def run_pages_alone(config: pytest.Config) -> None:
    """Have each page run in an empty folder, as one that was downloaded alone: no file lies beside it."""
    from nbval import plugin

    class Kernel(plugin.RunningKernel):
        def __init__(self, name: str, cwd: str, **options: Any) -> None:
            folder = tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True)
            config.add_cleanup(folder.cleanup)
            super().__init__(name, cwd=folder.name, **options)

    plugin.RunningKernel = Kernel


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest. Have nbval treat SVG as PNG, and wait longer.

    A picture's presence is compared, its bytes (in SVG, a date) are not.
    """
    items.sort(key=lambda item: next((k for k, n in enumerate(LONG) if item.nodeid.startswith(n)), len(LONG)))
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = LIMIT
        notebook = item.parent
        if hasattr(notebook, "skip_compare") and "image/svg+xml" not in notebook.skip_compare:
            notebook.skip_compare += ("image/svg+xml",)
