"""What pytest cannot take from pyproject.toml; it holds for the unit tests and for the notebooks."""

import os
from collections.abc import Iterable
from importlib.util import find_spec

import pytest

# One thread: sums are then rounded in the same order on every machine, and two workers do not fight for two
# cores. The kernels of the notebooks inherit it; it has to be said before NumPy is imported.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_configure(config: pytest.Config) -> None:
    """Draw figures without a window. (By a call: the variable MPLBACKEND would reach the kernels as well.)"""
    if find_spec("matplotlib"):
        import matplotlib

        matplotlib.use("agg")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Have nbval treat SVG as it treats PNG: a picture's presence is compared, its bytes (a date) are not."""
    for item in items:
        notebook = item.parent
        if hasattr(notebook, "skip_compare") and "image/svg+xml" not in notebook.skip_compare:
            notebook.skip_compare += ("image/svg+xml",)
