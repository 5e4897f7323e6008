"""The examples in the docstrings run, and print what they say."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[1] / "book"


def modules(text: str, section: str) -> list[str]:
    """Return the modules that a section of the reference lists."""
    block = re.search(rf"^## {section}$.*?^```{{modules}}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block, f"book/api.md has no section {section!r} with a list"
    return [f"rnnlit.{name}" for name in block[1].split()]


FOR_WORK = modules((BOOK / "api.md").read_text(encoding="utf-8"), "For work")
MODULES = [*FOR_WORK, "rnnlit.attention_torch", "rnnlit.tools.modules"]
# Nobody makes one of these: a base class, the default of an argument, a type for checkers.
NOT_MADE = {"Cell", "Alone", "LayerOptions"}


def classes(module):
    """Return the public classes that a module defines, but for tuples of results."""
    found = [value for name, value in vars(module).items() if not name.startswith("_")]
    return [
        value
        for value in found
        if isinstance(value, type) and value.__module__ == module.__name__ and not hasattr(value, "_fields")
    ]


def examples(module):
    """Return the examples of a module by the name of what they belong to."""
    return {test.name: test.examples for test in doctest.DocTestFinder().find(module) if test.examples}


@pytest.mark.parametrize("name", [*MODULES, "rnnlit.practice.counting"])
def test_examples_print_what_they_say(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert failed == 0, f"{name}: {failed} of {tried} lines print something else"


@pytest.mark.parametrize("name", MODULES)
def test_each_class_has_an_example_that_prints_something(name):
    module = importlib.import_module(name)
    found = examples(module)
    made = [c.__name__ for c in classes(module) if c.__name__ not in NOT_MADE]
    without = [c for c in made if not any(e.want for e in found.get(f"{name}.{c}", ()))]
    assert not without, f"{name}: {', '.join(without)}: no example, or one that prints nothing"


def test_what_rnnlit_nn_offers_has_an_example():
    module = importlib.import_module("rnnlit.nn")
    offered = [getattr(module, name) for name in module.__all__]
    assert [c.__name__ for c in offered if ">>>" not in (c.__doc__ or "")] == []
