"""Set-up, pins, commands and metadata: what a machine can hold about the house around the book."""

import ast
import json
import os
import re
import shutil
import signal
import stat
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from subprocess import CompletedProcess

import psutil
import pytest
import yaml

import rnnlit
from scripts.constraints import canonical
from tests.programs import end, hears, run

ROOT = Path(__file__).resolve().parents[1]
SHELL = "/bin/sh"
INTERRUPTIONS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    """Return the exact pins of a requirements file by canonical name."""
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)$", read(name), flags=re.M)
    return {canonical(package): version for package, version in found}


def requirement_lines(name: str) -> list[str]:
    """Return the lines of a requirements file without comments and blank lines."""
    return [line for line in read(name).splitlines() if line.strip() and not line.startswith("#")]


def is_there(pid: Path) -> bool:
    """Tell whether the program that wrote down its number is there; then end it, so that it can't stay."""
    number = int(pid.read_text())
    there = psutil.pid_exists(number)
    if there:
        end(number)
    return there


PROJECT = tomllib.loads(read("pyproject.toml"))["project"]

# ---------------------------------------------------------------- pins


def test_every_requirement_is_pinned_exactly():
    first, *pinned, last = requirement_lines("requirements.txt")
    assert first == "-c constraints.txt"
    assert last == "-e ."
    assert len(pinned) == len(pins("requirements.txt")), "a line without =="
    assert pinned


def test_torch_is_pinned_without_a_local_version():
    assert pins("requirements.txt")["torch"] == "2.13.0"


def test_jupyter_book_stays_below_2():
    assert pins("requirements.txt")["jupyter-book"].startswith("1.")
    assert any(
        line.startswith("jupyter-book") and "<2" in line for line in PROJECT["optional-dependencies"]["book"]
    )


def test_constraints_pin_what_is_needed_in_turn_and_nothing_else():
    constraints = pins("constraints.txt")
    assert len(constraints) == len(requirement_lines("constraints.txt"))
    assert not set(constraints) & set(pins("requirements.txt")), "pinned twice"
    assert {"jinja2", "pyzmq", "sympy"} <= set(constraints)


def test_the_lock_has_the_hashes_of_every_pin_but_torch_s():
    pinned = {**pins("requirements.txt"), **pins("constraints.txt")}
    assert pinned.pop("torch")
    entries = re.split(r"^(?=[a-zA-Z0-9])", read("requirements.lock"), flags=re.M)[1:]
    found = {canonical(entry.partition("==")[0]): entry.partition("==")[2] for entry in entries}
    assert {name: text.split()[0] for name, text in found.items()} == pinned, "make lock writes it anew"
    for name, text in found.items():
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", text)
        assert hashes and len(hashes) == text.count("--hash"), name
    assert "index" not in read("requirements.lock") and "://" not in read("requirements.lock")


def test_requirements_cover_the_extras():
    named = {
        canonical(re.match(r"[\w.-]+", line)[0])
        for extra in ("weights", "torch", "practice", "book", "dev")
        for line in PROJECT["optional-dependencies"][extra]
    }
    assert named <= set(pins("requirements.txt"))


def test_numpy_is_the_only_hard_dependency():
    assert PROJECT["dependencies"] == ["numpy>=2.0"]
    assert set(PROJECT["optional-dependencies"]) == {
        "weights",
        "torch",
        "practice",
        "notebooks",
        "book",
        "dev",
    }
    assert PROJECT["requires-python"] == ">=3.11"


def test_weights_are_an_extra_of_their_own():
    """Weights without torch: safetensors, as the extra for torch has it, and nothing else."""
    extras = PROJECT["optional-dependencies"]
    assert [re.match(r"[\w.-]+", line)[0] for line in extras["weights"]] == ["safetensors"]
    assert set(extras["weights"]) < set(extras["torch"])


def test_practice_is_torch_and_what_scores():
    torch, practice = (set(PROJECT["optional-dependencies"][extra]) for extra in ("torch", "practice"))
    assert torch < practice and [line[:9] for line in practice - torch] == ["sacrebleu"]


def test_notebooks_are_practice_and_what_draws():
    practice, matplotlib = PROJECT["optional-dependencies"]["notebooks"]
    assert practice == "rnnlit[practice]" and matplotlib in PROJECT["optional-dependencies"]["book"]


def test_binder_takes_the_same_versions_and_the_cpu_build_of_torch():
    first, *rest = requirement_lines(".binder/requirements.txt")
    binder, ours = pins(".binder/requirements.txt"), pins("requirements.txt")
    assert first == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert len(rest) == len(binder)
    assert binder.pop("torch") == ours["torch"] + "+cpu"
    assert binder == {name: ours[name] for name in binder}
    assert read(".binder/runtime.txt").strip() == "python-3.11"


def test_binder_reads_its_own_folder_and_none_beside_it():
    """repo2docker reads one folder, binder/, else .binder/, else the top; an environment.yml in it
    would stand in for requirements.txt. It copies the repository and runs postBuild in it."""
    assert not (ROOT / "binder").exists()
    assert {path.name for path in (ROOT / ".binder").iterdir()} == {
        "requirements.txt",
        "runtime.txt",
        "postBuild",
    }
    assert os.access(ROOT / ".binder/postBuild", os.X_OK)
    first, *commands = [line.partition("#")[0].split() for line in read(".binder/postBuild").splitlines()]
    assert first == [] and commands[0] == ["set", "-euo", "pipefail"]
    assert ["pip", "install", "--no-cache-dir", "--no-deps", "-e", "."] in commands
    scripts = [word for command in commands for word in command if word.endswith(".py")]
    assert scripts == ["scripts/plain_notebooks.py"] and (ROOT / scripts[0]).is_file()


def imported(path: Path) -> set[str]:
    """The packages that a file imports, at its top or inside functions; of a notebook, in its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = ["".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
        text = re.sub(r"^([ \t]*)[%!].*$", r"\1pass", "\n".join(cells), flags=re.M)
    nodes = list(ast.walk(ast.parse(text)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"rnnlit", "scripts"}


# The package does without these, or says what it needs them for; no page uses them.
ELSEWHERE = {"keras", "tensorflow", "flax", "jax", "onnx", "onnxruntime", "threadpoolctl", "triton"}


def test_binder_has_all_that_the_pages_import():
    files = [*(ROOT / "book").rglob("*.ipynb"), *(ROOT / "rnnlit").rglob("*.py")]
    files += [ROOT / "scripts/plain_notebooks.py", ROOT / "scripts/run_notebooks.py"]
    wanted = (
        set().union(*(imported(path) for path in files if ".ipynb_checkpoints" not in path.parts)) - ELSEWHERE
    )
    assert {"torch", "matplotlib", "sacrebleu", "yaml"} <= wanted
    extras = [
        *PROJECT["optional-dependencies"]["practice"],
        *PROJECT["optional-dependencies"]["notebooks"][1:],
    ]
    assert {re.match(r"[\w-]+", line)[0] for line in extras} <= set(pins(".binder/requirements.txt"))
    there, waiting = set(), list(pins(".binder/requirements.txt"))
    while waiting:  # what these need in turn, as it is installed here
        name = waiting.pop()
        if name not in there:
            there.add(name)
            needs = metadata.requires(name) or []
            waiting += [canonical(re.match(r"[\w.-]+", need)[0]) for need in needs if ";" not in need]
    owners = metadata.packages_distributions()
    assert [name for name in wanted if not {canonical(one) for one in owners.get(name, [name])} & there] == []


# ---------------------------------------------------------------- Makefile and CI


def make_targets() -> dict[str, str]:
    """Return the targets of the Makefile that people type, with their descriptions."""
    targets = re.findall(r"^([a-z][\w-]*):(?!=)[^#\n]*(?:## (.+))?$", read("Makefile"), flags=re.M)
    return dict(targets)


def run_make(*arguments: str, folder: Path = ROOT) -> CompletedProcess[str]:
    """Run make without what an outer make hands down."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "PORT"}
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    command = ["make", "--no-print-directory", *arguments]
    return run(command, cwd=folder, env=environment)


def test_help_lists_every_target_with_a_description():
    targets = make_targets()
    assert all(targets.values()), "a target without a description"
    answer = run_make()
    assert answer.returncode == 0, answer.stderr
    listed = re.findall(r"^make (\S+) +(\S.*)$", answer.stdout, flags=re.M)
    assert listed == list(targets.items())


def test_targets_that_are_no_files_are_phony():
    phony = re.search(r"^\.PHONY: (.+)$", read("Makefile"), flags=re.M)[1].split()
    assert sorted(phony) == sorted(make_targets())
    assert {"book", "site", "test", "notebooks", "lint", "wheel", "clean", "help"} <= set(phony)


@pytest.mark.parametrize(
    "feature", [".ONESHELL", ".RECIPEPREFIX", "!=", "::=", ".SHELLFLAGS", "$(file", "undefine"]
)
def test_makefile_is_written_for_make_3_81(feature):
    assert feature not in read("Makefile")


def test_tests_are_run_two_files_at_a_time():
    answer = run_make("--dry-run", "--always-make", "test")
    assert answer.returncode == 0, answer.stderr
    assert "-m pytest -n 2 --dist loadfile --no-loadscope-reorder" in answer.stdout


def test_lint_checks_faults_format_and_types():
    answer = run_make("--dry-run", "--always-make", "lint")
    assert answer.returncode == 0, answer.stderr
    commands = re.findall(r"-m ((?:ruff|mypy).*)$", answer.stdout, flags=re.M)
    assert commands == ["ruff check .", "ruff format --check .", "mypy"]


def test_chapters_are_as_wide_as_a_page_and_the_folders_as_all_else():
    width = tomllib.loads(read("pyproject.toml"))["tool"]["ruff"]["line-length"]
    assert width > 88
    # for docstrings and comments too, since no max-line-length of its own is set
    assert tomllib.loads(read("rnnlit/ruff.toml")) == {"extend": "../pyproject.toml", "line-length": 88}
    folders = {path.parent.name for path in (ROOT / "rnnlit").glob("*/*.py")}
    assert {"nn", "tools"} <= folders
    for folder in folders:
        assert tomllib.loads(read(f"rnnlit/{folder}/ruff.toml")) == {"extend": "../../pyproject.toml"}


def test_clone_that_was_moved_is_set_up_anew(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").mkdir()
    stamp, unfinished = tmp_path / ".venv/.set-up", tmp_path / ".venv.unfinished"
    stamp.write_text(f"{tmp_path.resolve()}\n", encoding="utf-8")
    assert run_make("help", folder=tmp_path).returncode == 0
    assert (stamp.exists(), unfinished.exists()) == (True, False)
    stamp.write_text(f"{tmp_path.resolve()}/before\n", encoding="utf-8")
    assert run_make("help", folder=tmp_path).returncode == 0
    assert (stamp.exists(), unfinished.exists()) == (False, True)


def test_set_up_is_redone_when_what_it_installs_changes():
    rule = re.search(r"^\$\(STAMP\): (.+)\n\t@scripts/setup\.sh$", read("Makefile"), flags=re.M)
    assert rule[1].split() == ["requirements.txt", "constraints.txt", "pyproject.toml"]


def test_port_and_notebook_reach_the_scripts():
    assert 'scripts/serve.py --port "8123"' in run_make("--dry-run", "book", "PORT=8123").stdout
    assert (
        "scripts/run_notebooks.py book/lstm.ipynb" in run_make("-n", "notebooks", "NB=book/lstm.ipynb").stdout
    )


def test_ci_runs_site_and_tests_and_fails_early():
    script = read(".ci/run")
    assert "set -euo pipefail" in script
    assert "export CI=true" in script
    assert re.findall(r"^make (\w+)", script, flags=re.M) == ["live", "site", "test"]
    assert "chromium" in script
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.fixture
def ci(tmp_path):
    """A folder with .ci/run, and a PATH of fakes that write down how they were called (`fake` adds one)."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("dirname", "env"):
        (tools / tool).symlink_to(shutil.which(tool))

    def fake(name, body="exit 0"):
        (tools / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/calls"\n{body}\n', encoding="utf-8"
        )
        (tools / name).chmod(0o755)

    def run_ci():
        answer = run([bash, str(tmp_path / ".ci/run")], env={"PATH": str(tools)})
        return answer.returncode, (tmp_path / "calls").read_text(encoding="utf-8").splitlines()

    fake("id", "echo 0")
    fake("make", '[ "$CI" = true ]')
    return fake, run_ci


def test_ci_installs_a_browser_where_there_is_none(ci):
    fake, run_ci = ci
    fake("apt-get")
    status, calls = run_ci()
    assert status == 0
    assert [call.split()[0] for call in calls] == ["id", "apt-get", "apt-get", "make", "make", "make"]
    assert calls[1].startswith("apt-get update")
    assert re.fullmatch(r"apt-get install -y .*chromium", calls[2])
    assert calls[3:] == ["make live", "make site", "make test"]


@pytest.mark.parametrize("browser", ["chromium", "google-chrome"])
def test_ci_takes_the_browser_that_is_there(ci, browser):
    fake, run_ci = ci
    fake("apt-get")
    fake(browser)
    assert run_ci() == (0, ["make live", "make site", "make test"])


def test_ci_fails_with_the_first_failure(ci):
    """But not where the Python of the pages can't be had: the site builds without."""
    fake, run_ci = ci
    fake("make", "exit 2")
    assert run_ci() == (2, ["make live", "make site"])


def test_ci_fails_where_the_browser_cannot_be_installed(ci):
    fake, run_ci = ci
    fake("apt-get", "exit 100")
    status, calls = run_ci()
    assert status == 100
    assert not any(call.startswith("make") for call in calls)


@pytest.mark.parametrize("name", ["scripts/setup.sh", "scripts/build_site.sh"])
def test_shell_scripts_are_executable_and_parse(name):
    assert os.access(ROOT / name, os.X_OK)
    answer = run([SHELL, "-n", str(ROOT / name)])
    assert answer.returncode == 0, answer.stderr


@pytest.fixture
def book(tmp_path):
    """A function that runs the build of the site with a made-up jupyter-book, after an older build."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/build_site.sh", tmp_path / "scripts")
    (tmp_path / "_build/.doctrees").mkdir(parents=True)

    def build(body):
        (tmp_path / "jupyter-book").write_text(f"#!/bin/sh\necho $$ > pid\n{body}\n", encoding="utf-8")
        (tmp_path / "jupyter-book").chmod(0o755)
        environment = os.environ | {"JUPYTER_BOOK": str(tmp_path / "jupyter-book")}
        answer = run([SHELL, str(tmp_path / "scripts/build_site.sh")], env=environment)
        return answer, (tmp_path / "_build/.doctrees").exists()

    return build


def test_site_that_was_built_keeps_what_it_has_read(book):
    answer, kept = book('echo "$@"')
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "build . -W -n --keep-going\n", "")
    assert kept


def test_build_that_failed_forgets_what_it_has_read(book):
    answer, kept = book("exit 3")
    assert answer.returncode == 1 and not kept
    assert answer.stderr == "site: the build failed; the warnings above say where.\n"


@pytest.mark.parametrize("number", INTERRUPTIONS)
def test_interrupted_build_ends_and_forgets_what_it_has_read(book, tmp_path, number):
    with hears(number):
        answer, kept = book(f"kill -{int(number)} $PPID; exec sleep 3000")
    assert answer.returncode == 1 and not kept
    assert answer.stderr == "site: interrupted; run make again.\n"
    assert not is_there(tmp_path / "pid")


# ---------------------------------------------------------------- workflows

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_names_what_it_runs(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] is not None, "permissions are given one by one"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+(\.\d+)*", step.get("uses", "a/b@v1")), (
                "an action without a version"
            )
            assert [script for script in scripts_of(step) if not (ROOT / script).exists()] == []


def scripts_of(step: dict[str, str]) -> list[str]:
    """Return the files of the repository that a step runs."""
    return re.findall(r"(?:scripts|tests|benchmarks|\.ci)/[\w./-]*\w", step.get("run", ""))


def test_workflows_run_files_of_the_repository():
    jobs = [yaml.safe_load(read(f".github/workflows/{path.name}"))["jobs"] for path in WORKFLOWS]
    assert any(scripts_of(step) for each in jobs for job in each.values() for step in job["steps"])


def test_workflow_covers_the_oldest_supported_versions():
    jobs = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]
    oldest = next(row for row in jobs["package"]["strategy"]["matrix"]["include"] if row["name"] == "oldest")
    floor = {
        re.match(r"[\w-]+", line)[0]: line.split(">=")[1].split(",")[0]
        for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["torch"]
    }
    assert PROJECT["requires-python"] == f">={oldest['python']}"
    assert f"numpy=={floor['numpy']}.*" in oldest["install"]
    assert f"torch=={floor['torch']}.*" in oldest["install"]


# ---------------------------------------------------------------- metadata


def test_version_stands_in_one_place_and_the_citation_agrees():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == rnnlit.__version__
    assert PROJECT["dynamic"] == ["version"]
    assert rnnlit.__version__ not in read("pyproject.toml")


def test_citation_has_what_its_format_asks_for():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"]
    assert citation["title"]
    assert citation["authors"] == [{"name": "the rnnlit authors"}]
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", citation["date-released"])
    assert citation["license"] == ["BSD-3-Clause", "CC-BY-4.0"]


def test_licences_are_there():
    assert read("LICENSE").startswith("BSD 3-Clause License")
    assert "Copyright (c) 2026, the rnnlit authors" in read("LICENSE")
    assert "https://creativecommons.org/licenses/by/4.0/" in read("LICENSE-CONTENT")
    assert PROJECT["license"] == "BSD-3-Clause AND CC-BY-4.0"
    paths = re.findall(r"^  (\S+/\S*)", read("LICENSE-CONTENT"), flags=re.M)
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), f"{path} is named in LICENSE-CONTENT and does not exist"


# ---------------------------------------------------------------- set-up, with made-up interpreters

TOOLS = ("dirname", "cat", "grep", "sed", "head", "mkdir", "rm", "touch", "pwd", "ls", "sleep")

# An interpreter that answers what the set-up asks: its version, whether it is new enough, whether venv is
# there, and pip.  `venv` copies the interpreter itself, so that .venv/bin/python behaves alike.
FAKE = """#!/bin/sh
case "$*" in
*"print("*) echo "{version}" ;;
*"sys.version_info <"*) exit {old} ;;
*"import ensurepip"*) exit {bare} ;;
*"-V"*) echo "Python {version}.0" ;;
*"-m venv"*) mkdir -p .venv/bin; cat "$0" > .venv/bin/python; /bin/chmod +x .venv/bin/python ;;
*"pip --version"*) echo "pip 1.0" ;;
*"pip install"*) echo installed >> installs.txt; {pip} ;;
*"import matplotlib"*) exit 0 ;;
*) exit 3 ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    """A folder with the set-up script, and a PATH that holds a few tools and the fakes that a test adds."""
    folder = tmp_path / "clone"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/setup.sh", folder / "scripts/setup.sh")
    (folder / "requirements.txt").touch()
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        where = shutil.which(tool)
        assert where, f"the test needs {tool}"
        (tmp_path / "bin" / tool).symlink_to(where)
    return folder


def add_python(clone, name, version, *, bare=False, pip="exit 0"):
    """Put a made-up interpreter on the clone's PATH."""
    old = tuple(map(int, version.split("."))) < (3, 11)
    path = clone.parent / "bin" / name
    path.write_text(FAKE.format(version=version, old=int(old), bare=int(bare), pip=pip), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def set_up(clone, **environment):
    """Run the set-up of a clone; return exit status, lines on stdout, lines on stderr."""
    variables = {"PATH": str(clone.parent / "bin"), **environment}
    command = [SHELL, str(clone / "scripts/setup.sh")]
    answer = run(command, cwd=clone, env=variables)
    return answer.returncode, answer.stdout.splitlines(), answer.stderr.splitlines()


def installs(clone):
    """Return how often pip was called to install."""
    path = clone / "installs.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_set_up_finishes_and_leaves_its_stamp(clone):
    add_python(clone, "python3.12", "3.12")
    status, out, err = set_up(clone)
    assert (status, err) == (0, [])
    assert "Python 3.12.0" in out[0]
    assert (clone / ".venv/.set-up").read_text().strip() == os.path.realpath(clone)
    assert not (clone / ".venv.unfinished").exists()


def test_set_up_takes_the_first_that_suits(clone):
    add_python(clone, "python3.13", "3.13", bare=True)
    add_python(clone, "python3.12", "3.12")
    add_python(clone, "python3.11", "3.11")
    status, out, _ = set_up(clone)
    assert status == 0
    assert "Python 3.12.0" in out[0]


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10"])
def test_old_python_is_one_clear_line(clone, version):
    add_python(clone, "python3", version)
    status, out, err = set_up(clone)
    assert status != 0
    assert out == []
    assert err == [
        f"set-up: no Python of version 3.11 or later found (python3 is Python {version}); "
        "install one, or name it: make book PYTHON=/path/to/python3."
    ]
    assert not (clone / ".venv").exists()


def test_no_python_is_one_clear_line(clone):
    status, _, (line,) = set_up(clone)
    assert status != 0
    assert line.startswith("set-up: no Python of version 3.11 or later found;")


def test_python_without_venv_is_one_clear_line(clone):
    add_python(clone, "python3", "3.11", bare=True)
    status, _, (line,) = set_up(clone)
    assert status != 0
    assert "python3 lacks the venv module" in line
    assert "python3-venv" in line


@pytest.mark.parametrize(
    ("version", "bare", "words"),
    [
        ("3.9", False, "is Python 3.9; this book needs 3.11"),
        ("3.11", True, "without venv"),
        (None, False, "does not run"),
    ],
)
def test_python_that_was_named_is_not_passed_over(clone, version, bare, words):
    add_python(clone, "python3.12", "3.12")
    named = clone.parent / "bin" / "mine"
    if version:
        add_python(clone, "mine", version, bare=bare)
    status, _, (line,) = set_up(clone, PYTHON=str(named))
    assert status != 0
    assert words in line


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        ("NewConnectionError: Failed to establish a new connection", "no package index could be reached"),
        (
            "Could not find a version that satisfies numpy (from versions: none)",
            "no package index could be reached",
        ),
        ("ERROR: No matching distribution found for torch==2.13.0", "has no torch==2.13.0 for this platform"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: something else", "pip did not finish"),
    ],
)
def test_failing_pip_is_one_clear_line_and_its_noise_a_file(clone, noise, words):
    add_python(clone, "python3", "3.11", pip=f"echo '{noise}'; echo more noise >&2; exit 1")
    status, _, (line,) = set_up(clone)
    assert status != 0
    assert words in line
    assert ".venv/setup.log" in line
    assert noise in (clone / ".venv/setup.log").read_text()
    assert not (clone / ".venv/.set-up").exists()


def test_set_up_that_failed_is_taken_up_again(clone):
    add_python(clone, "python3", "3.11", pip="exit 1")
    assert set_up(clone)[0] != 0
    add_python(clone, "python3", "3.11")
    shutil.copy(clone.parent / "bin/python3", clone / ".venv/bin/python")
    status, out, err = set_up(clone)
    assert (status, err) == (0, [])
    assert "bringing .venv up to" in out[0]
    assert installs(clone) == 2


@pytest.mark.parametrize("number", INTERRUPTIONS)
def test_interrupted_set_up_is_thrown_away(clone, number):
    """The signal reaches the set-up alone, as from `kill`; pip, which takes long, ends with it."""
    pip = f"echo $$ > pid; kill -{int(number)} $PPID; exec sleep 3000"
    add_python(clone, "python3", "3.11", pip=pip)
    with hears(number):
        status, _, (line,) = set_up(clone)
    assert status != 0
    assert line == "set-up: interrupted; run make again."
    assert not is_there(clone / "pid")
    assert not (clone / ".venv/.set-up").exists()
    assert (clone / ".venv.unfinished").exists()
    add_python(clone, "python3", "3.11")
    status, out, _ = set_up(clone)
    assert status == 0
    assert "making .venv" in out[0]
    assert not (clone / ".venv.unfinished").exists()


def test_set_up_again_keeps_the_environment(clone):
    add_python(clone, "python3", "3.11")
    set_up(clone)
    status, out, _ = set_up(clone)
    assert status == 0
    assert "bringing .venv up to" in out[0]


def test_other_python_makes_a_new_environment(clone):
    add_python(clone, "python3", "3.11")
    other = add_python(clone, "other", "3.12")
    set_up(clone)
    assert "bringing .venv up to" in set_up(clone, PYTHON=str(clone.parent / "bin/python3"))[1][0]
    assert "making .venv with Python 3.12.0" in set_up(clone, PYTHON=str(other))[1][0]
