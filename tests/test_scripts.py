"""The scripts behind make: the server, the runner of notebooks, the writer of constraints.txt."""

import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from scripts import constraints, gpu, run_notebooks, serve
from tests.programs import LIMIT, hears, started

ROOT = Path(__file__).resolve().parents[1]

# ---------------------------------------------------------------- serve.py


@pytest.fixture
def site(tmp_path):
    """A folder with an index and a file of each type that browsers are strict about."""
    (tmp_path / "index.html").write_text("<title>The book</title>", encoding="utf-8")
    for name in ("a.css", "a.ipynb", "a.js", "a.mjs", "a.svg", "a.wasm", "a.woff2"):
        (tmp_path / name).write_bytes(b"\0")
    return tmp_path


@pytest.fixture
def address(site):
    """The address of a server of `site` that runs in a thread."""
    with serve.make_server(site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(LIMIT)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/a.css", "text/css"),
        ("/a.ipynb", "application/x-ipynb+json"),
        ("/a.js", "text/javascript"),
        ("/a.mjs", "text/javascript"),
        ("/a.svg", "image/svg+xml"),
        ("/a.wasm", "application/wasm"),
        ("/a.woff2", "font/woff2"),
    ],
)
def test_server_names_types(address, path, kind):
    with urllib.request.urlopen(address + path, timeout=LIMIT) as answer:
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Cache-Control"] == "no-cache"


def test_server_sends_a_page_s_policy_as_a_header(site, address):
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'self\'" />'
    (site / "b.html").write_text(f'<meta charset="utf-8" />{policy}', encoding="utf-8")
    (site / "c.html").write_text("x" * 5000 + policy, encoding="utf-8")  # a page that shows one
    found = {}
    for name in ("a.js", "b.html", "c.html", "index.html", ""):
        with urllib.request.urlopen(f"{address}/{name}", timeout=LIMIT) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            found[name] = answer.headers["Content-Security-Policy"]
    assert found.pop("b.html") == "default-src 'self'; frame-ancestors 'none'"
    assert set(found.values()) == {None}


def test_server_stays_inside_its_folder(address):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address + "/../" + Path(__file__).name, timeout=LIMIT)
    caught.value.close()
    assert caught.value.code == 404


def test_server_listens_on_this_machine_only(site):
    with serve.make_server(site) as server:
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(("text", "port"), [("", 0), ("0", 0), ("8000", 8000)])
def test_port_number(text, port):
    assert serve.port_number(text) == port


@pytest.mark.parametrize("text", ["http", "-1", "80.5", "8 000", "²"])
def test_port_number_refuses_what_is_none(text):
    with pytest.raises(ValueError, match="PORT must be a whole number, got"):
        serve.port_number(text)


def test_port_out_of_range_is_refused(site):
    with pytest.raises(ValueError, match=r"from 0 .* to 65535, got 65536"):
        serve.make_server(site, 65536)


def test_missing_site_is_one_clear_line(tmp_path, capsys):
    assert serve.main([str(tmp_path)]) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "make site" in printed


def test_port_in_use_is_one_clear_line(site, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve.main([str(site), "--port", str(taken.getsockname()[1])]) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "choose another PORT" in printed


def first_line(process):
    """What a program prints first; nothing, if it ends before."""
    assert select.select([process.stdout], [], [], LIMIT)[0], "it hangs"
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_server_prints_its_address_and_ends_cleanly(site, number):
    command = [sys.executable, str(ROOT / "scripts" / "serve.py"), str(site)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with hears(number), started(command, **pipes) as process:
        line = first_line(process)
        address = line.split()[4]
        with urllib.request.urlopen(address, timeout=LIMIT) as answer:
            assert b"The book" in answer.read()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=LIMIT)
    assert line.startswith("The book is at http://127.0.0.1:")
    assert (process.returncode, rest.strip(), errors) == (0, "serve: ended", "")


# ---------------------------------------------------------------- run_notebooks.py


def make_notebook(path: Path, *sources: str, tags: tuple[str, ...] = ()) -> Path:
    """Write a notebook of code cells that were never run."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    for cell in notebook.cells:
        cell.metadata["tags"] = list(tags)
    nbformat.write(notebook, path)
    return path


def test_notebook_is_run_in_its_folder_and_stored_without_times(tmp_path, capsys):
    (tmp_path / "word.txt").write_text("seven", encoding="utf-8")
    path = make_notebook(
        tmp_path / "page.ipynb", "word = open('word.txt').read()", "print(word)\nprint(len(word))"
    )
    assert run_notebooks.main([str(path)]) == 0
    stored = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    assert [output.text for output in stored.cells[1].outputs] == ["seven\n5\n"]
    assert not any("execution" in cell.metadata for cell in stored.cells)
    assert "version" not in stored.metadata.language_info
    assert "ran in" in capsys.readouterr().out
    before = path.read_bytes()
    assert run_notebooks.main([str(path)]) == 0
    assert path.read_bytes() == before, "a second run writes the same bytes"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.ipynb", "word.txt"]


def test_notebook_that_fails_stays_as_it_was(tmp_path, capsys):
    path = make_notebook(tmp_path / "page.ipynb", "x = 1", "1 / 0")
    before = path.read_bytes()
    assert run_notebooks.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["page.ipynb"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_failure_on_display_is_stored(tmp_path):
    path = make_notebook(tmp_path / "page.ipynb", "1 / 0", tags=("raises-exception",))
    assert run_notebooks.main([str(path)]) == 0
    (cell,) = nbformat.read(path, as_version=4).cells
    assert cell.outputs[0].ename == "ZeroDivisionError"


def test_failure_names_the_cell(tmp_path):
    with pytest.raises(CellExecutionError, match="1 / 0"):
        run_notebooks.run(make_notebook(tmp_path / "page.ipynb", "1 / 0"))


def test_missing_notebook_is_said(tmp_path, capsys):
    assert run_notebooks.main([str(tmp_path / "none.ipynb")]) == 1
    assert "no such notebook" in capsys.readouterr().err


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = make_notebook(tmp_path / "page.ipynb", "x = 1")
    before = path.read_bytes()
    new = nbformat.v4.new_notebook()

    def refuse(self, target):
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        run_notebooks.write(path, new)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["page.ipynb"]


def test_find_passes_over_hidden_and_built_folders(tmp_path):
    for name in ("b.ipynb", "practice/a.ipynb", ".ipynb_checkpoints/b.ipynb", "_build/b.ipynb", "c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in run_notebooks.find(tmp_path)]
    assert found == ["b.ipynb", "practice/a.ipynb"]


# ---------------------------------------------------------------- constraints.py


def test_constraints_hold_what_is_needed_in_turn():
    installed = [
        ("torch", "2.13.0"),
        ("PyYAML", "6.0.3"),
        ("Jinja2", "3.1.6"),
        ("jupyter_core", "5.9.1"),
        ("pip", "23.2.1"),
        ("rnnlit", "0.1.0"),
        ("nvidia-cublas", "13.0"),
        ("local", "1.0+cpu"),
    ]
    requirements = "# torch\ntorch==2.13.0\npyyaml==6.0.3\n-e .\n"
    assert constraints.pins(installed, requirements) == ["jinja2==3.1.6", "jupyter-core==5.9.1"]


def test_the_colab_cell_is_put_first_once_and_renewed():
    cells = [nbformat.v4.new_markdown_cell("# Page"), nbformat.v4.new_code_cell("1")]
    page = nbformat.v4.new_notebook(cells=cells)
    for address in ("https://example.org/old", "https://example.org/new"):
        run_notebooks.prepare_for_colab(page, address)
    assert [cell.cell_type for cell in page.cells] == ["markdown", "code", "code"]
    source = page.cells[1].source
    assert source.endswith('    %pip install -q "rnnlit[notebooks] @ git+https://example.org/new"')
    assert "old" not in source
    nbformat.validate(page)


# ---------------------------------------------------------------- make gpu


@pytest.fixture
def commands(monkeypatch):
    """On a machine with a GPU: what is run and how long it may take; and the exit codes to come."""
    ran, codes = [], []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(gpu, "run", lambda command, seconds: ran.append((command, seconds)) or codes.pop(0))
    return ran, codes


def test_without_a_gpu_make_gpu_says_so_and_runs_nothing(commands, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.main() == 3
    assert "make gpu: torch sees no GPU, so nothing was tested or measured." in capsys.readouterr().err
    assert commands[0] == []


def test_make_gpu_tests_and_then_measures_within_its_limit(commands, monkeypatch):
    ran, codes = commands
    codes += [0, 0]
    clock = iter([100.0, 130.0])  # the tests take half a minute
    monkeypatch.setattr(gpu, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert gpu.main() == 0
    (tests, longest), (benchmark, left) = ran
    assert tests[:4] == ["-m", "pytest", "-m", "gpu"]
    files = [name for name in tests if name.startswith("tests/")]
    assert "tests/nn/gpu/test_dispatch.py" in files and "tests/tools/test_train_torch.py" in files
    assert "tests/test_lstm.py" not in files
    assert benchmark[:2] == ["benchmarks/nn_gpu.py", "--within"] and longest < 480
    assert left == 450 and float(benchmark[2]) + gpu.LAST == 450


def test_make_gpu_leaves_out_a_file_that_lacks_a_package(tmp_path, monkeypatch, capsys):
    """Also where another file of tests imports it."""
    for name in ("tests", "rnnlit"):
        (tmp_path / name).mkdir()
    mark = "\npytest.mark." + "gpu"
    files = {
        "test_a": "import json, torch\nfrom rnnlit import nn" + mark,
        "test_b": "from tests.helper import it" + mark,
        "test_c": "from tests import helper" + mark,
        "test_d": "from absent_too.a import b" + mark,
        "test_e": "import absent",
        "helper": "import absent.part",
    }
    for name, text in files.items():
        (tmp_path / "tests" / f"{name}.py").write_text(text)
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    assert gpu.tests() == ["tests/test_a.py"]
    lacks = {"b": "absent", "c": "absent", "d": "absent_too"}
    assert capsys.readouterr().out.splitlines() == [
        f"make gpu: tests/test_{x}.py is left out, for {name} is not installed" for x, name in lacks.items()
    ]


def test_a_program_of_make_gpu_finds_the_package_without_an_install(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    program = "import rnnlit, pathlib; assert pathlib.Path(rnnlit.__file__).parents[1] == pathlib.Path.cwd()"
    assert gpu.run(["-c", program], 600) == 0


def test_make_gpu_measures_nothing_after_a_test_has_failed(commands, capsys):
    ran, codes = commands
    codes += [1]
    assert gpu.main() == 1 and len(ran) == 1
    assert capsys.readouterr().err == "make gpu: the tests failed, so nothing is measured\n"


def test_make_gpu_fails_with_the_benchmark(commands):
    commands[1].extend([0, 1])
    assert gpu.main() == 1


def test_a_program_of_make_gpu_that_takes_too_long_is_ended(capsys):
    assert gpu.run(["-c", "import time; time.sleep(600)"], 0.5) == 1
    assert capsys.readouterr().err.startswith("make gpu: stopped after 0 seconds: -c import time")
    assert gpu.run(["-c", "raise SystemExit(7)"], 600) == 7
