"""The records of the full runs: gathered, found, and each sound in itself."""

import importlib
import json
import math
import re
import shlex
from types import SimpleNamespace

import pytest

from rnnlit.practice import records

NAMES = sorted(path.stem for path in records.HERE.glob("*.json"))


def numbers(value):
    """Each number of a record."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_runs_are_gathered_in_order_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "HERE", tmp_path / "records")
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for k, path in enumerate(paths):
        path.write_text(json.dumps({"seed": 5 - k}))
    records.main(["counting", *map(str, paths)])
    written = json.loads((tmp_path / "records" / "counting.json").read_text())
    assert written == {"runs": [{"seed": 5}, {"seed": 4}]}


def test_an_unknown_record_is_named():
    with pytest.raises(ValueError, match=r"name: expected one of .*, got 'weather'"):
        records.load("weather")


@pytest.mark.parametrize(
    "typed, shown",
    [
        (["--record", "/somewhere/out.json", "--seed", "3"], "--record out.json --seed 3"),
        (["--record=/some/where/out.json", "--lr", "1e-3"], "--record=out.json --lr 1e-3"),
        (
            ["--read", "/a/one.safetensors", "../two.safetensors", "--beam", "5"],
            "--read one.safetensors two.safetensors --beam 5",
        ),
        (
            ["--checkpoint", r"C:\runs\run.safetensors", "--resume", "auto"],
            "--checkpoint run.safetensors --resume auto",
        ),
        (["--record", "/a/two words.json"], "--record 'two words.json'"),
        ([], ""),
    ],
)
def test_a_run_says_its_command_and_of_a_file_its_name(typed, shown):
    """Each option is there, since without its value, or without the option, the command is another one."""
    stamp = records.stamp("rnnlit.practice.counting", typed, gpu="a GPU")
    assert stamp["command"] == f"python -m rnnlit.practice.counting {shown}".strip()
    assert stamp["machine"]["gpu"] == "a GPU" and stamp["machine"]["packages"]["numpy"]


@pytest.mark.parametrize("name", NAMES)
def test_each_run_of_a_record_says_how_and_where_it_was_made(name):
    runs = records.load(name)["runs"]
    assert runs
    for run in runs:
        program, *typed = re.split(r" (?=--|[\w.-]+\.(?:whl|tgz))", run["command"])
        assert program in (f"python -m rnnlit.practice.{name}", f"python benchmarks/{name}.py")
        assert not any("/" in one for one in typed)
        assert {"date", "cpu", "cores", "system", "python", "packages"} <= set(run["machine"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", run["machine"]["date"])
        assert all(math.isfinite(number) for number in numbers(run))


@pytest.mark.parametrize("name", records.PAGES)
def test_a_recorded_command_is_one_that_its_module_takes(name):
    """Nothing has got lost, as --checkpoint before --resume."""
    module = importlib.import_module(f"rnnlit.practice.{name}")
    for run in records.load(name)["runs"]:
        _, _, program, *typed = shlex.split(run["command"])
        options = module.parse(typed)
        assert program == module.__name__ and getattr(options, "seed", 0) == run.get("seed", 0)


# ---------------------------------------------------------------- beside published results

ROW = records.Beside("parity, %", "100", "99.5", "cho2014learning", "theirs is longer")


def test_a_work_is_named_as_its_key_says():
    assert records.work("cho2014learning") == "Cho 2014"
    assert records.work("elnaggar2022exploring") == "El-Naggar 2022"
    for key in ("Cho 2014", "cho14", "2014learning"):
        with pytest.raises(ValueError, match="work: expected a key such as"):
            records.work(key)


def test_a_table_has_a_line_for_each_row():
    lines = records.Table([ROW, ROW._replace(ours="98")])._repr_markdown_().splitlines()
    assert len(lines) == 4 and all(line.count("|") == 6 for line in lines)
    assert lines[2] == "| parity, % | 100 | 99.5 | Cho 2014 | theirs is longer |"
    assert repr(records.Table([ROW])) == "parity, %: 100; Cho 2014: 99.5"


def test_the_rows_of_all_pages_stand_in_the_order_of_the_pages(monkeypatch):
    first, last = SimpleNamespace(beside=lambda: [ROW]), SimpleNamespace(beside=lambda: [ROW, ROW])
    modules = {
        "rnnlit.practice.one": first,
        "rnnlit.practice.none": SimpleNamespace(),
        "rnnlit.practice.two": last,
    }
    monkeypatch.setattr(records, "PAGES", ("one", "none", "missing", "two"))
    monkeypatch.setattr(records, "find_spec", modules.get)
    monkeypatch.setattr(records, "import_module", modules.get)
    assert len(records.beside()) == 3
