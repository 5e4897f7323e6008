"""The timeline of the page on the background: who had which idea when."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def events() -> list[dict[str, Any]]:
    """The events, oldest first: `year`, `what`, its `thread` and its `key` in the bibliography."""
    return json.loads(files("rnnlit").joinpath("data", "timeline.json").read_text(encoding="utf-8"))
