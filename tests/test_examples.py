"""The scripts of examples/: each runs by itself, and prints what its first line promises."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.programs import run

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def printed(name, *arguments, folder):
    """What a script prints, run in an empty folder and with warnings as errors."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
    answer = run(command, cwd=folder, env=environment)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


def numbers(line):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", line)]


def test_a_model_moved_from_torch_says_the_same(tmp_path):
    outputs, states, runs, variant = printed("move_from_torch", folder=tmp_path)
    assert numbers(outputs)[0] < 1e-5 and numbers(states)[0] < 1e-5
    assert runs.startswith("what runs: ") and variant.endswith("(50, 8, 32)")


def test_speakers_are_told_apart(tmp_path):
    first, *_, last = printed("classify", folder=tmp_path)
    (_, loss, _), (_, lower, right) = numbers(first), numbers(last)
    assert lower < loss / 4 and right >= 90


def test_a_broken_training_ends_where_the_whole_one_does(tmp_path):
    (line,) = printed("resume", folder=tmp_path)
    weights, different = numbers(line)
    assert weights == 3 * 32 * (2 + 32 + 2) + 33 and different == 0


def test_a_sentence_is_translated_and_aligned(tmp_path):
    _, french, best, second, *looked = printed("translate", folder=tmp_path)
    assert french == "chat noir train bleu pont"
    written, other = (line.split("log p")[0].strip() for line in (best, second))
    assert written == "black cat blue train bridge" and other != written
    assert [line.split()[0] for line in looked] == written.split()
    found = [re.fullmatch(r".* looked most at (\w+) \((\d+) %\)", line).groups() for line in looked]
    assert all(source in french.split() and int(share) > 100 / 5 for source, share in found)


def test_what_torch_has_trained_runs_without_torch(tmp_path):
    *_, last = printed("deploy", "train", "net.safetensors", folder=tmp_path)
    assert numbers(last)[-1] < 0.1
    (line,) = printed("deploy", "run", "net.safetensors", folder=tmp_path)
    assert numbers(line)[0] >= 90 and line.endswith("torch is not imported")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_each_script_is_short_and_listed(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 75
    assert f"| `{path.name}` |" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert f'printed("{path.stem}"' in Path(__file__).read_text(encoding="utf-8")
