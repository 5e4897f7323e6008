"""Oracles: records of a few rows, written here."""

import pytest

from rnnlit.pages import timings

ROWS = [
    {"size": [2, 3], "threads": 1, "against": {"loop": {"ratio": 0.5}, "plain": {"ratio": 3.0}}},
    {"size": [2, 3], "threads": 2, "against": {"loop": {"ratio": 0.7}, "plain": {"ratio": 2.0}}},
    {"size": [4, 5], "threads": 1, "against": {"loop": {"ratio": 0.9}, "plain": {"ratio": 1.0}}},
]


def test_rows_are_those_that_have_all_fields():
    assert timings.rows_of(ROWS, threads=1) == [ROWS[0], ROWS[2]]
    assert timings.rows_of(ROWS, threads={1, 2}, size=[2, 3]) == ROWS[:2]
    assert timings.ratios(ROWS, "loop", size=[2, 3]) == [0.5, 0.7]
    assert timings.ratios([*ROWS, {"against": {}}], "plain") == [3.0, 2.0, 1.0]
    with pytest.raises(ValueError, match="threads"):
        timings.rows_of(ROWS, threads=3)


def test_span_says_least_and_largest():
    assert timings.span([0.934, 0.412, 0.7]) == "0.41 to 0.93"
    assert timings.span([9.94, 3.06], 1) == "3.1 to 9.9"
    assert timings.span([1.004, 0.996]) == "1.00"
    with pytest.raises(ValueError, match="values"):
        timings.span([])


def test_table_is_markdown():
    table = timings.table(("want", "write"), [("more", "`x`"), ("less", "`y`")])
    assert repr(table) == "| want | write |\n| --- | --- |\n| more | `x` |\n| less | `y` |"
    assert table._repr_markdown_() == repr(table)
    with pytest.raises(ValueError, match="expected 2 cells in each, got 1"):
        timings.table(("want", "write"), [("more",)])
