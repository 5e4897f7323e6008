"""Programs that tests start: none outlives its test, and none is waited for without a limit.

A limit ends a hang and says nothing about a machine, however busy it is: it is long, and always this one.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

LIMIT = 600  # seconds


def end(*numbers: int) -> None:
    """Kill the processes with these numbers and all that they have started, and wait until they are gone."""
    family: list[psutil.Process] = []
    for number in numbers:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(number)
            family += [process, *process.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=LIMIT)


@contextmanager
def started(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen]:
    """Start a program; after the block it is gone, with all that it has started, whatever happened."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:  # its children can be looked up, those with sessions of their own too
            end(process.pid)
        with suppress(ProcessLookupError):  # what it has left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LIMIT)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def run(command: Sequence[str | Path], *, check: bool = False, **options: Any) -> subprocess.CompletedProcess:
    """Run a program to its end, as `subprocess.run` does; what it writes is kept, as text.

    TimeoutExpired: it hangs.  CalledProcessError: with `check`, an exit status other than 0.
    """
    options = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) | options
    with started(command, **options) as process:
        output, errors = process.communicate(timeout=LIMIT)
    done = subprocess.CompletedProcess(command, process.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


@contextmanager
def hears(number: signal.Signals) -> Iterator[None]:
    """Have the programs that start in this block hear a signal, if this process was told to ignore it.

    A shell without job control starts `command &` with SIGINT ignored, `nohup` with SIGHUP ignored, and
    whatever is started in turn inherits that.
    """
    before = signal.getsignal(number)
    if before is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)  # no other program inherits a function
    try:
        yield
    finally:
        signal.signal(number, before)
