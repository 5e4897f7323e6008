"""Pack the built site into a zip that works from a folder, without a server.

python scripts/site_zip.py [--site folder] [--out file]
        the default is _build/html, and _build/downloads/rnn-book-site.zip

What needs a server stays out, Python in the browser above all, and so do the other files to take along. Links
to them lead to the public address, where there is one.
"""

import argparse
import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from scripts import take_along  # noqa: E402

NAME = "rnn-book-site.zip"
TOP = "rnn-book-site"  # the one folder in the zip
LEFT_OUT = ("downloads/", "_static/pyodide/", "_static/lite/")
FILES = {".buildinfo", ".site-stamp", ".nojekyll"}
CANONICAL = re.compile(r'<link rel="canonical" href="([^"]+)"')
LINK = re.compile(rf'(<a\b[^>]*\bhref=")((?:\.\./)*(?:{"|".join(map(re.escape, LEFT_OUT))})[^"]*)(")')
COPY = (
    "<p>You are reading the copy for a folder, without a network. Formulas, figures and search work; "
    "cells don’t run here. The other files are offered on the site{}.</p>"
)


def is_left_out(name: str) -> bool:
    """Tell whether a file of the site, by its path from the top, stays out of the zip."""
    return name.startswith(LEFT_OUT) or name in FILES


def address_of(site: Path) -> str:
    """Return the site's public address, as its front page has it; nothing where there is none."""
    front = site / take_along.FRONT
    found = CANONICAL.search(front.read_text(encoding="utf-8"))
    return found[1].removesuffix(take_along.FRONT) if found else ""


def for_a_folder(page: str, name: str, address: str) -> str:
    """Return a page as it stands in the zip: what stays out is linked at the public address."""
    if name == take_along.FRONT:
        at = f' at <a href="{address}{name}">{address}</a>' if address else ""
        page = take_along.with_list(page, COPY.format(at))

    def outside(match: re.Match[str]) -> str:
        return f"{match[1]}{address}{match[2].replace('../', '')}{match[3]}" if address else match[0]

    return LINK.sub(outside, page)


def make(site: Path, out: Path) -> int:
    """Write the zip; return how many files it holds. The same site gives the same bytes.

    Raises FileNotFoundError where there is no site.
    """
    if not (site / take_along.FRONT).is_file():
        raise FileNotFoundError(f"there is no site in {site}; build it first: make site")
    address, number = address_of(site), 0
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.tmp")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in site.rglob("*") if path.is_file()):
            name = path.relative_to(site).as_posix()
            if is_left_out(name):
                continue
            data = path.read_bytes()
            if path.suffix == ".html":
                data = for_a_folder(data.decode("utf-8"), name, address).encode("utf-8")
            info = zipfile.ZipInfo(f"{TOP}/{name}", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            packed.writestr(info, data)
            number += 1
    partial.replace(out)
    return number


def main(arguments: list[str] | None = None) -> int:
    """Make the zip, and have the site offer it; return the exit status."""
    parser = argparse.ArgumentParser(description="Pack the built site for reading without a server.")
    parser.add_argument("--site", type=Path, default=take_along.SITE)
    parser.add_argument("--out", type=Path, default=take_along.MADE / NAME)
    options = parser.parse_args(arguments)
    try:
        number = make(options.site, options.out)
    except FileNotFoundError as error:
        print(f"site-zip: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {number} files, {options.out.stat().st_size / 1e6:.1f} MB")
    if options.out == take_along.MADE / NAME:
        take_along.offer()
    return 0


if __name__ == "__main__":
    sys.exit(main())
