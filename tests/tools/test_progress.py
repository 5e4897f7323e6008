"""The progress bar: seen in a terminal and by a person at a notebook, and nowhere else."""

import os
import pty
import select
import subprocess
import sys
import termios
from pathlib import Path

import nbclient
import nbformat
import pytest

from rnnlit.tools import progress
from tests.programs import LIMIT, run, started

ROOT = Path(progress.__file__).parents[2]

TRAIN = """
print("before")
history = fit(lambda batch: {"loss": 0.125}, [0], steps=40, every=10)
print("steps:", history.step)
"""
IMPORT = "from rnnlit.tools.train import fit"


def terminal(code):
    """Run code with a pseudo-terminal as stderr; return what it wrote to stdout and to the terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 90))
    environment = os.environ | {"TQDM_MININTERVAL": "0"}  # draw at each step, however short the run
    command = [sys.executable, "-c", code]
    try:
        with started(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
            os.close(theirs)
            shown = b"".join(iter(lambda: read(ours), b"")).decode()
            out = process.communicate(timeout=LIMIT)[0].decode()
    finally:
        os.close(ours)
    assert process.returncode == 0, shown
    return out, shown


def read(terminal):
    """The next bytes that a terminal shows; none when the other end is closed."""
    assert select.select([terminal], [], [], LIMIT)[0], "it hangs"
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so when the other end is closed
        return b""


class Watcher(nbclient.NotebookClient):
    """Execute a notebook as for a person, with the offer to answer `input()`. Keep what was displayed."""

    def __init__(self, *arguments, watched, **options):
        super().__init__(*arguments, **options)
        self.watched, self.shown = watched, []

    async def async_start_new_kernel_client(self):
        client = await super().async_start_new_kernel_client()
        client.allow_stdin = self.watched
        return client

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.shown.append(msg["content"]["data"]["text/plain"])
        return super().process_message(msg, cell, cell_index)


def notebook(watched):
    """Execute a notebook of two cells; return all outputs of the second, and each text that was displayed."""
    cells = [nbformat.v4.new_code_cell(IMPORT), nbformat.v4.new_code_cell(TRAIN)]
    book = nbformat.v4.new_notebook(cells=cells)
    client = Watcher(
        book,
        kernel_name="python3",
        watched=watched,
        timeout=LIMIT,
        startup_timeout=LIMIT,
        resources={"metadata": {"path": str(ROOT)}},
    )
    client.execute()
    assert book.cells[0].outputs == []
    return book.cells[1].outputs, client.shown


def test_a_terminal_shows_the_bar_and_then_clears_it():
    out, shown = terminal(IMPORT + "\n" + TRAIN)
    assert out == "before\nsteps: 40\n"
    assert "| 40/40 [" in shown and "step/s, loss=0.125]" in shown
    assert "\n" not in shown and shown.rsplit("\r", 2)[1].strip() == ""


@pytest.mark.parametrize(
    "wanted, module", [("progress=False", ""), ("progress=True", "sys.modules['tqdm'] = None")]
)
def test_a_terminal_shows_nothing_on_request_or_without_tqdm(wanted, module):
    code = f"import sys\n{module}\n{IMPORT}\n{TRAIN}".replace("every=10", f"every=10, {wanted}")
    assert terminal(code) == ("before\nsteps: 40\n", "")


def test_a_pipe_gets_nothing():
    command = [sys.executable, "-c", IMPORT + "\n" + TRAIN]
    done = run(command, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("before\nsteps: 40\n", "")


def test_an_executed_notebook_keeps_no_output_of_the_bar():
    outputs, shown = notebook(watched=False)
    assert shown == []
    assert [(o.output_type, o.name, o.text) for o in outputs] == [("stream", "stdout", "before\nsteps: 40\n")]


def test_a_person_at_a_notebook_sees_the_bar_and_keeps_an_empty_line():
    outputs, shown = notebook(watched=True)
    assert any("| 0/40 [" in text for text in shown) and any("loss=0.125]" in text for text in shown)
    assert shown[-1] == ""
    printed = [o.text for o in outputs if o.output_type == "stream"]
    assert printed == ["before\n", "steps: 40\n"]
    assert [o.data for o in outputs if o.output_type != "stream"] == [{"text/plain": ""}]
