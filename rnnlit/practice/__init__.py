"""Applications: data, model and training of each, as a script that runs in one process or in many (torch).

What a user calls stands here by its name, and is imported when it is first asked for:

    from rnnlit.practice import continue_text, counts, execute, pronounce, translate
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnlit.practice.counting import counts
    from rnnlit.practice.execution import execute
    from rnnlit.practice.language_model import continue_text
    from rnnlit.practice.pronunciation import pronounce
    from rnnlit.practice.translation import translate

HELPERS = {
    "continue_text": "language_model",
    "counts": "counting",
    "execute": "execution",
    "pronounce": "pronunciation",
    "translate": "translation",
}
__all__ = ["continue_text", "counts", "execute", "pronounce", "translate"]


def __getattr__(name: str) -> Any:
    """A helper, from its module. AttributeError: there is none of this name."""
    if name not in HELPERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HELPERS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *HELPERS})
