"""Make rnnlit/data/alice.txt, "Alice's Adventures in Wonderland", from the sources of Brotli on PyPI.

    pip download --no-deps --no-binary :all: --no-build-isolation brotli==1.2.1      or from its page on PyPI
    python benchmarks/make_alice.py brotli-1.2.1.tar.gz
    python benchmarks/make_alice.py --check brotli-1.2.1.tar.gz

The archive holds the text among its tests, as `alice29.txt` of the Canterbury corpus. Title, the last line
and rows of stars are left out; a paragraph becomes one line, with one space between two words.
`--check` writes nothing: it says whether the stored text is what the source gives.
"""

import argparse
import re
import tarfile
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "rnnlit" / "data" / "alice.txt"
IN_ARCHIVE = "brotli-1.2.1/tests/testdata/alice29.txt"


def read(archive: Path) -> str:
    """The text as the archive has it, with plain line ends."""
    with tarfile.open(archive) as files:
        member = files.extractfile(IN_ARCHIVE)
        if member is None:
            raise ValueError(f"{archive}: expected a file {IN_ARCHIVE} in it")
        return member.read().decode("ascii").replace("\r\n", "\n").rstrip("\x1a")


def paragraphs(text: str) -> list[str]:
    """From the first chapter's heading to the last sentence, each paragraph as one line."""
    text = text[text.index("CHAPTER I\n") : text.rindex("THE END")]
    text = re.sub(r"(?<=\w)-\n\s*(?=\w)", "-", text)  # a word with a hyphen that stood at a line's end
    found = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return [line for line in found if line.strip("* ")]


def main() -> None:
    """Write the file, or compare with it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    made = "\n".join(paragraphs(read(args.archive))) + "\n"
    if not args.check:
        TARGET.write_text(made, encoding="ascii")
    elif made != TARGET.read_text(encoding="ascii"):
        raise SystemExit(f"{TARGET.name}: differs from what the source gives")
    print(f"{TARGET.name}: {len(made)} characters")


if __name__ == "__main__":
    main()
