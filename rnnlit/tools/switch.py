"""Switches for code that is off unless asked for: for a comparison, or while it is new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class Switch:
    """Off, unless an environment variable is 1 when the package is imported."""

    def __init__(self, variable: str) -> None:
        self.on = os.environ.get(variable) == "1"

    @contextmanager
    def set(self, on: bool) -> Iterator[None]:
        """Turn it on or off inside of a `with` block."""
        before, self.on = self.on, on
        try:
            yield
        finally:
            self.on = before
