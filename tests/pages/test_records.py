"""The records of measurements: found in the package, and named when they are not there."""

import json

import pytest

from rnnlit.pages import records, timeline


def test_a_record_is_read_from_where_it_stands(tmp_path, monkeypatch):
    (tmp_path / "tea.json").write_text(json.dumps({"minutes": 4, "kind": "白茶"}), encoding="utf-8")
    monkeypatch.setattr(records, "HERE", tmp_path)
    assert records.load("tea") == {"minutes": 4, "kind": "白茶"}


def test_an_unknown_record_is_named_beside_those_there_are():
    with pytest.raises(ValueError, match=r"name: expected one of adding, .*closing.*, got 'weather'"):
        records.load("weather")


def test_no_record_stands_twice():
    """No benchmark's record has the name of an application's: a page can't mix them up."""
    from rnnlit.practice import records as runs

    assert not {file.name for file in records.HERE.iterdir()} & {file.name for file in runs.HERE.iterdir()}


def test_an_event_says_when_and_what():
    for event in timeline.events():
        assert set(event) == {"year", "what", "thread", "key"} and event["what"].strip()
