"""Ways of computing that are chosen by hand: for a comparison, or while they are new."""

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
        """Turn the way on or off inside of a `with` block."""
        before, self.on = self.on, on
        try:
            yield
        finally:
            self.on = before
