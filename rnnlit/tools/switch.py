"""Ways of computing that can be left out, for a comparison or when one of them fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class Switch:
    """On, unless an environment variable is 0 when the package is imported."""

    def __init__(self, variable: str) -> None:
        self.on = os.environ.get(variable) != "0"

    @contextmanager
    def off(self) -> Iterator[None]:
        """Leave the way out inside of a `with` block."""
        before, self.on = self.on, False
        try:
            yield
        finally:
            self.on = before
