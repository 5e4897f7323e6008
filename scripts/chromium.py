"""The system's Chromium: where it is, and how it is started so that it talks to no one but the site."""

import os
import shutil

HOW_TO = (
    "no Chromium found: install it (Debian: apt-get install chromium; elsewhere Chrome will do), "
    "or name it in the environment variable CHROMIUM"
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> str | None:
    """Return the path of a Chromium: the one in CHROMIUM, or the first that the system has."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)
