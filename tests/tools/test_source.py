"""What a page shows of a function. Oracles: texts written by hand, and Python's own parser."""

import ast
import functools
import inspect

import numpy as np
import pytest

from rnnlit import gru, lstm, lstm_1997, lstm_peephole, rnn
from rnnlit.tools import show

CELLS = [rnn, gru, lstm, lstm_1997, lstm_peephole]


def check_both(x, y):
    return x, y


class tools:
    check_one = staticmethod(lambda x: x)


@functools.cache
def example(x: np.ndarray, y: int = 2, *rest: int, scale: float = 1.0, **options: int) -> int:
    """Scale and add, over two lines of
    a first paragraph. Where n is the number of terms,

        a = s x

    and

        b = a + y

    ValueError: never.
    """
    x, y = check_both(
        x,
        y,
    )
    tools.check_one(x)
    z = tools.check_one(x)
    a = lambda: scale * x  # (B,)  # noqa: E731

    # fmt: off
    b = (a()   # type: ignore[operator]
         + y + z)
    # fmt: on
    text = "# noqa is no comment here"
    return b, text, rest, options  # fmt: skip


BRIEF = '''# tests/tools/test_source.py
@functools.cache
def example(x, y=2, *rest, scale=1.0, **options):
    """Scale and add, over two lines of
    a first paragraph. Where n is the number of terms,

        a = s x

    and

        b = a + y
    """
    z = tools.check_one(x)
    a = lambda: scale * x  # (B,)

    b = (a()
         + y + z)
    text = "# noqa is no comment here"
    return b, text, rest, options'''


def bare(x: int) -> int:
    return x + 1  # type: ignore


def one_line(x: int) -> int:
    """Add one.

    x: a number.
    """
    return x + 1


class Layer:
    def method(self, x: int) -> int:
        """Add one."""
        check_both(x, x)
        return x + 1


def test_brief_leaves_out_checks_annotations_and_the_long_docstring():
    assert repr(show(example.__wrapped__, brief=True)) == BRIEF


@pytest.mark.parametrize("brief", [False, True])
def test_comments_for_tools_are_never_shown(brief):
    text = repr(show(example.__wrapped__, bare, brief=brief))
    assert text.count("# noqa") == 1 and 'text = "# noqa is no comment here"' in text
    assert "type: ignore" not in text and "fmt:" not in text
    assert "    a = lambda: scale * x  # (B,)\n" in text
    assert ast.dump(ast.parse(repr(show(example.__wrapped__)))) == ast.dump(
        ast.parse(inspect.getsource(example.__wrapped__))
    )


def test_brief_without_a_docstring_with_one_line_and_of_a_method():
    assert repr(show(bare, brief=True)).endswith("\ndef bare(x):\n    return x + 1")
    assert repr(show(one_line, brief=True)).endswith('\n    """Add one."""\n    return x + 1')
    want = 'def method(self, x):\n    """Add one."""\n    return x + 1'
    assert repr(show(Layer.method, brief=True)).endswith("\n" + want)


def test_brief_is_for_functions():
    with pytest.raises(TypeError, match="show: expected functions for brief=True, got <class"):
        show(lstm.Params, brief=True)


@pytest.mark.parametrize("name", ["step", "forward", "backward"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__.split(".")[1])
def test_a_cell_in_brief_computes_the_same(cell, name):
    """What is left out of a cell's functions is no part of what they compute."""
    T, B, I, H = 5, 2, 3, 4
    rng = np.random.default_rng(0)
    params = cell.init(I, H, rng=rng, dtype=np.float64)
    x, dh = rng.standard_normal((T, B, I)), rng.standard_normal((T, B, H))
    states = [rng.standard_normal((B, H)) for _ in range(1 if cell in (rnn, gru) else 2)]
    run = cell.forward(params, x, *states, np.array([5, 3]))
    arguments = {
        "step": (params, x[0], *states),
        "forward": (params, x, *states, np.array([5, 3])),
        "backward": (params, run, dh),
    }[name]
    shown = repr(show(getattr(cell, name), brief=True))
    assert "check_" not in shown and len(shown.splitlines()) <= 45
    written = vars(cell).copy()
    exec(compile(shown, "shown", "exec"), written)
    got, want = written[name](*arguments), getattr(cell, name)(*arguments)
    got, want = ([got], [want]) if isinstance(got, np.ndarray) else (got, want)
    pairs = list(zip(flat(got), flat(want), strict=True))
    assert len(pairs) >= len(states)
    assert all(np.array_equal(mine, other) for mine, other in pairs)


def flat(values):
    """Every array in nested tuples."""
    for value in values:
        if isinstance(value, tuple):
            yield from flat(value)
        elif value is not None:
            yield value
