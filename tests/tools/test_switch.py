"""A switch by hand: the environment, and a block of code."""

import pytest

from rnnlit.tools.switch import Switch


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("value, on", [(None, None), ("0", False), ("1", True), ("", None)])
def test_the_environment_decides_when_it_is_made(value, on, default, monkeypatch):
    monkeypatch.delenv("RNNLIT_SOMETHING", raising=False)
    if value is not None:
        monkeypatch.setenv("RNNLIT_SOMETHING", value)
    assert Switch("RNNLIT_SOMETHING", default).on is (default if on is None else on)
    assert Switch("RNNLIT_SOMETHING").on is bool(on)


@pytest.mark.parametrize("value", ["0", "1"])
def test_a_setting_holds_inside_of_its_block_also_after_an_error(value, monkeypatch):
    monkeypatch.setenv("RNNLIT_SOMETHING", value)
    switch = Switch("RNNLIT_SOMETHING")
    before = switch.on
    with pytest.raises(KeyError), switch.set(False):
        with switch.set(True):
            assert switch.on
        assert not switch.on
        raise KeyError
    assert switch.on is before
