"""How long the cells of each page take in a browser, where NumPy has no BLAS.

    python benchmarks/live_pages.py                  all pages; writes book/data/live_pages.json
    python benchmarks/live_pages.py lstm gru         these, the others stay as they are

It needs the built site with Python in it (`make live`, `make site`) and Chromium. Each page is opened in a
new window, with nothing kept from before; Python is started, then all cells run. Counted is the processor
time of the browser's processes, which is about what the clock shows on a machine that does nothing else:
`ready` from the click until Python is there, `run` from the click on "Run all cells" until the last result.
`bytes` is what a window loads from the click on, uncompressed. `slow` has the cells that take five seconds or
more, by their share of `run`.

The bar of a page says the time (`book/_ext/live_pages.py`) where it is ten seconds or more.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from rnnlit.tools.machine import describe  # noqa: E402
from scripts.serve import make_server  # noqa: E402
from tests.site.test_browser import QUIET, find_browser  # noqa: E402

RESULT = ROOT / "book" / "data" / "live_pages.json"
LONG = 1_800_000  # milliseconds
SLOW = 5  # seconds
STATES = "cells => cells.map(cell => cell.textContent)"


def processor_time() -> float:
    """Return the seconds of processor time of all programs that this one has started, those ended aside."""
    total = 0.0
    for program in psutil.Process().children(recursive=True):
        try:
            times = program.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def measure(page: Page, address: str) -> dict[str, Any] | None:
    """Run a page; None if it has no button."""
    loaded: list[int] = []
    page.set_default_timeout(LONG)
    page.goto(address, wait_until="load")
    button = page.get_by_role("button", name="Run in the page")
    if not button.count():
        return None
    page.on("response", lambda answer: loaded.append(int(answer.headers.get("content-length", 0))))
    status = page.locator(".rl-live-status")
    before = processor_time()
    button.click()
    status.filter(has_text=re.compile("Ready after|did not load")).wait_for()
    ready = processor_time() - before
    clock, before = time.perf_counter(), processor_time()
    page.get_by_role("button", name="Run all cells").click()
    status.filter(has_text=re.compile("cells ran in|failed|ended|did not load")).wait_for()
    states = page.locator(".rl-cell-state").evaluate_all(STATES)
    run, passed = processor_time() - before, time.perf_counter() - clock
    found = [re.search(r", ([\d.]+) s$", state) for state in states]
    share = min(1, run / passed)
    seconds = {k: share * float(one[1]) for k, one in enumerate(found, 1) if one}
    return {
        "said": status.inner_text(),
        "ready": round(ready, 1),
        "run": round(run, 1),
        "bytes": sum(loaded),
        "slow": {k: round(value, 1) for k, value in seconds.items() if value >= SLOW},
        "torch": [k + 1 for k, state in enumerate(states) if "needs PyTorch" in state],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", help="names below book/, such as lstm or practice/counting")
    names = parser.parse_args().pages
    old = json.loads(RESULT.read_text(encoding="utf-8"))["pages"] if RESULT.is_file() and names else {}
    if not names:
        notebooks = (ROOT / "book").rglob("*.ipynb")
        names = sorted(path.relative_to(ROOT / "book").with_suffix("").as_posix() for path in notebooks)
        names = [name for name in names if ".ipynb_checkpoints" not in name]
    made = {}
    with make_server(ROOT / "_build" / "html") as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in names:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=list(QUIET))
            version, page = browser.version, browser.new_page()
            found = measure(page, f"http://127.0.0.1:{server.server_port}/book/{name}.html")
            browser.close()
            if found:
                print(name, json.dumps(found), flush=True)
                made[name] = found
        server.shutdown()
    record = {
        "command": "python benchmarks/live_pages.py",
        "machine": describe() | {"browser": f"Chromium {version}"},
        "pages": dict(sorted({**old, **made}.items())),
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
