"""Make rnnlit/data/pride.txt.bz2, "Pride and Prejudice", from Debian's package r-cran-janeaustenr.

    apt-get download r-cran-janeaustenr=1.0.0-1
    python benchmarks/make_pride.py r-cran-janeaustenr_1.0.0-1_all.deb
    python benchmarks/make_pride.py --check r-cran-janeaustenr_1.0.0-1_all.deb

The package holds Jane Austen's novels as R keeps its data: one compressed object after the other, each a
vector of lines. Title and author are left out; a paragraph becomes one line, with one space between words.
Needs the command dpkg-deb. `--check` writes nothing: it says whether the stored text is what the source
gives.
"""

import argparse
import bz2
import io
import re
import struct
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "rnnlit" / "data" / "pride.txt.bz2"
IN_PACKAGE = "./usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
HEADER = 23  # bytes of R's format 3, before the first item
STRINGS, STRING = 16, 9  # R's numbers of a vector of strings, and of a string in it


def read(package: Path) -> bytes:
    """The file with all novels, out of the package."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    content = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as files:
        member = files.extractfile(IN_PACKAGE)
        if member is None:
            raise ValueError(f"{package}: expected a file {IN_PACKAGE} in it")
        return member.read()


def objects(data: bytes) -> Iterator[bytes]:
    """Each object of the file: four bytes with its length, then the object itself, compressed by zlib."""
    while data:
        (length,) = struct.unpack(">I", data[:4])
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(data[4:])
        if len(found) != length:
            raise ValueError(f"expected an object of {length} bytes, got {len(found)}")
        yield found
        data = unpacker.unused_data


def lines(data: bytes) -> list[str]:
    """The strings of a vector as R writes it."""
    kind, count = struct.unpack_from(">ii", data, HEADER)
    if kind & 255 != STRINGS:
        raise ValueError(f"expected a vector of strings, kind {STRINGS}, got {kind & 255}")
    at, found = HEADER + 8, []
    for _ in range(count):
        kind, length = struct.unpack_from(">ii", data, at)
        if kind & 255 != STRING:
            raise ValueError(f"expected a string, kind {STRING}, got {kind & 255}")
        found.append(data[at + 8 : at + 8 + length].decode("utf-8"))
        at += 8 + length
    return found


def paragraphs(text: str) -> list[str]:
    """From the first chapter's heading to the last sentence, each paragraph as one line."""
    text = text[text.index("Chapter 1\n") :]
    text = re.sub(r"(?<=\w)(--?)\n(?=\w)", r"\1", text)  # a hyphen or dash that stood at a line's end
    found = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return [line for line in found if line.strip("* ")]


def main() -> None:
    """Write the file, or compare with it."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    novels = ["\n".join(lines(one)) for one in objects(read(args.package))]
    (novel,) = (one for one in novels if one.startswith("PRIDE AND PREJUDICE"))
    made = "\n".join(paragraphs(novel)) + "\n"
    if not args.check:
        TARGET.write_bytes(bz2.compress(made.encode("ascii"), 9))
    elif made != bz2.decompress(TARGET.read_bytes()).decode("ascii"):
        raise SystemExit(f"{TARGET.name}: differs from what the source gives")
    print(f"{TARGET.name}: {len(made)} characters")


if __name__ == "__main__":
    main()
