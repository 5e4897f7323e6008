"""Switches for code that can be done without: for a comparison, or while it is new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class Switch:
    """On or off by default, unless an environment variable is 1 or 0 when the package is imported."""

    def __init__(self, variable: str, on: bool = False) -> None:
        self.on = {"1": True, "0": False}.get(os.environ.get(variable, ""), on)

    @contextmanager
    def set(self, on: bool) -> Iterator[None]:
        """Turn it on or off inside of a `with` block."""
        before, self.on = self.on, on
        try:
            yield
        finally:
            self.on = before
