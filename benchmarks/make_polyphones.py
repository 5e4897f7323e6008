"""Make rnnlit/data/polyphones.tsv from the phrase table inside the Python package `pypinyin`.

    pip download --no-deps pypinyin==0.55.0
    python benchmarks/make_polyphones.py pypinyin-0.55.0-py2.py3-none-any.whl
    python benchmarks/make_polyphones.py --check pypinyin-0.55.0-py2.py3-none-any.whl

The source is a pypinyin wheel, or a folder that holds phrases_dict.json. `--check` writes nothing: it says
whether the stored file holds what the source holds.

A reading of a character counts if the table has it ten times or more, and a character that has two such
readings is asked for. 一 and 不 are left out: their tone depends on the next tone, and the table marks that
in some phrases and not in others (`--sandhi` prints the counts). All phrases with an asked character are
kept, with all their readings, but for the few where the table gives one character two readings.
The same source gives the same bytes always.
"""

import argparse
import json
import os
import unicodedata
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "rnnlit" / "data" / "polyphones.tsv"
NAME = "phrases_dict.json"
LEAST = 10  # occurrences that make a reading count
SANDHI = "一不"
TONES = {"\u0304": 1, "\u0301": 2, "\u030c": 3, "\u0300": 4}  # combining macron, acute, caron, grave


def read_source(source: Path) -> dict[str, list[list[str]]]:
    """Read the phrase table from a wheel or from a folder: phrase -> the readings of each character."""
    if source.is_dir():
        return json.loads((source / NAME).read_text(encoding="utf-8"))
    with zipfile.ZipFile(source) as wheel:
        return json.loads(wheel.read(f"pypinyin/{NAME}").decode("utf-8"))


def unambiguous(table: dict[str, list[list[str]]]) -> dict[str, list[str]]:
    """Keep the phrases that have exactly one reading for each character."""
    kept = {}
    for phrase, readings in table.items():
        if len(phrase) != len(readings):
            raise ValueError(f"{phrase}: expected a reading for each character, got {readings}")
        if all(len(options) == 1 for options in readings):
            kept[phrase] = [unicodedata.normalize("NFC", options[0]) for options in readings]
    return kept


def asked(phrases: dict[str, list[str]]) -> dict[str, list[str]]:
    """The characters with two readings or more that count: character -> readings, the most frequent first."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for phrase, readings in phrases.items():
        for character, reading in zip(phrase, readings, strict=True):
            counts[character][reading] += 1
    often = {
        character: sorted((r for r in count if count[r] >= LEAST), key=lambda r: (-count[r], r))
        for character, count in counts.items()
    }
    return {c: often[c] for c in sorted(often) if len(often[c]) > 1 and c not in SANDHI}


def text(source: Path) -> str:
    """The whole file: a line for each asked character, then one for each phrase, in order of code points."""
    phrases = unambiguous(read_source(source))
    characters = asked(phrases)
    lines = [f"#\t{character}\t{' '.join(readings)}" for character, readings in characters.items()]
    for phrase in sorted(phrases):
        if not characters.keys().isdisjoint(phrase):
            lines.append(f"{phrase}\t{' '.join(phrases[phrase])}")
    return "\n".join(lines) + "\n"


def tone(reading: str) -> int:
    """The tone of a syllable, from 1 to 4, or 5 for the neutral one."""
    return next((TONES[mark] for mark in unicodedata.normalize("NFD", reading) if mark in TONES), 5)


def count_sandhi(source: Path) -> None:
    """Print which tones the table gives to 一 and 不 before which tone."""
    counts: Counter[tuple[str, str, int]] = Counter()
    for phrase, readings in unambiguous(read_source(source)).items():
        for k, character in enumerate(phrase[:-1]):
            if character in SANDHI:
                counts[character, readings[k], tone(readings[k + 1])] += 1
    for (character, reading, following), count in sorted(counts.items()):
        print(f"{character} {reading} before tone {following}: {count}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, help=f"a pypinyin wheel, or the folder with {NAME}")
    parser.add_argument("--check", action="store_true", help="compare with the stored file, write nothing")
    parser.add_argument("--sandhi", action="store_true", help="print the tones of 一 and 不, write nothing")
    arguments = parser.parse_args()
    if not arguments.source.exists():
        raise SystemExit(f"no such wheel or folder: {arguments.source}")
    if arguments.sandhi:
        return count_sandhi(arguments.source)
    content = text(arguments.source).encode("utf-8")
    if arguments.check:
        if TARGET.read_bytes() != content:
            raise SystemExit(f"{TARGET.name} differs from the source")
        print(f"{TARGET.name} holds what the source holds")
        return None
    partial = TARGET.with_suffix(".partial")
    partial.write_bytes(content)
    os.replace(partial, TARGET)
    print(f"wrote {TARGET.name}: {len(content)} bytes")
    return None


if __name__ == "__main__":
    main()
