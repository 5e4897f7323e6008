"""Serve the built site on 127.0.0.1 until Ctrl-C or SIGTERM.

python scripts/serve.py [folder] [--port PORT]        the default port is a free one
"""

import argparse
import re
import signal
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

HOST = "127.0.0.1"
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"')


class Handler(SimpleHTTPRequestHandler):
    """Files of one folder, quietly, with the types that browsers insist on, whatever this machine says."""

    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".css": "text/css",
        ".html": "text/html; charset=utf-8",
        ".ipynb": "application/x-ipynb+json",
        ".js": "text/javascript",
        ".json": "application/json",
        ".mjs": "text/javascript",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
        ".woff2": "font/woff2",
    }

    def end_headers(self) -> None:
        """Have the browser ask again each time: a page may have been rebuilt. Its policy is a header too."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        if policy := policy_of(Path(self.translate_path(self.path))):
            self.send_header("Content-Security-Policy", f"{policy}; frame-ancestors 'none'")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about requests."""


def policy_of(path: Path) -> str:
    """Return what a page says that it may load and run; nothing for what is no page, or says nothing."""
    if path.is_dir():
        path /= "index.html"
    if path.suffix != ".html" or not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as page:
        found = POLICY.search(page.read(4096))
    return found[1] if found else ""


def make_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of `folder` that listens on 127.0.0.1.

    folder: a directory with an index.html.  port: 0 to 65535; 0 takes a free one.
    Raises FileNotFoundError without an index.html, ValueError for a port out of range, OSError for one taken.
    """
    if not (folder / "index.html").is_file():
        raise FileNotFoundError(f"no index.html in {folder}; build the site first: make site")
    if not 0 <= port <= 65535:
        raise ValueError(f"PORT must be from 0 (any free port) to 65535, got {port}")
    return ThreadingHTTPServer((HOST, port), partial(Handler, directory=str(folder)))


def port_number(text: str) -> int:
    """Read a port as people type it; the empty string stands for any free port."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"PORT must be a whole number, got {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(description="Serve the built site on 127.0.0.1.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("_build/html"))
    parser.add_argument("--port", default="", help="the port to listen on (default: a free one)")
    options = parser.parse_args(arguments)
    try:
        server = make_server(options.folder, port_number(options.port))
    except (FileNotFoundError, ValueError) as error:
        print(f"serve: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"serve: no port {options.port}: {error.strerror}; choose another PORT", file=sys.stderr)
        return 1
    with server:
        try:
            # A shell script starts `make book &` with SIGINT ignored: SIGTERM is then what ends it.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            print(f"The book is at http://{HOST}:{server.server_port}/  (Ctrl-C ends it)", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nserve: ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
