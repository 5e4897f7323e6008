"""Make rnnlit/data/translation.tsv.gz, JupyterLab's interface strings, from its language packs.

    pip download --no-deps jupyterlab-language-pack-fr-FR==4.5.post3 jupyterlab-language-pack-zh-CN==4.5.post3
    python benchmarks/make_translation.py FRENCH.whl CHINESE.whl
    python benchmarks/make_translation.py --check FRENCH.whl CHINESE.whl

`--check` writes nothing: it says whether the stored file holds what the wheels hold. What is cleaned, what
is left out and how the parts are cut is told in rnnlit/data/TRANSLATION.md. The file begins with the licence
of the packs, as it asks. The same wheels give the same bytes always.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import unicodedata
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

from rnnlit.tasks.interface import groups, normal

TARGET = Path(__file__).resolve().parent.parent / "rnnlit" / "data" / "translation.tsv.gz"
SIZES = {"test": 400, "validation": 200}  # strings at least; the rest is for training
LARGEST = 10  # strings of a group that is tested or validated on; larger ones are for training
COMMON = 5  # strings that hold a character, at least, if it is to occur in one that is tested or validated on
LONGEST = 40  # words


def catalogues(wheel: Path) -> dict[tuple[str, str, str], str]:
    """Catalogue, context and English string  ->  its translation, of plural forms the first."""
    found = {}
    with zipfile.ZipFile(wheel) as packed:
        for name in sorted(n for n in packed.namelist() if n.endswith(".json")):
            for key, forms in json.loads(packed.read(name)).items():
                context, _, english = key.rpartition("\x04")
                if key:
                    found[Path(name).stem, context, english] = forms[0] if isinstance(forms, list) else forms
    return found


def licence(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as packed:
        (name,) = [n for n in packed.namelist() if n.endswith("LICENSE.txt")]
        return packed.read(name).decode("utf-8")


def clean(string: str) -> str:
    """One way to write spaces, apostrophes and dots; nothing invisible; no space at the ends."""
    string = unicodedata.normalize("NFC", string).replace("’", "'").replace("...", "…")
    string = re.sub("[\u200b\ufe0f]", "", string)
    return re.sub("[ \xa0\u2009\u202f]+", " ", string).strip()


def triples(french: Path, chinese: Path) -> dict[str, tuple[str, str]]:
    """English  ->  French and Chinese: of several translations the most frequent, of equals the first."""
    one, other = catalogues(french), catalogues(chinese)
    found = defaultdict(list)
    for key in sorted(one.keys() & other.keys()):
        found[clean(key[2])].append((clean(one[key]), clean(other[key])))
    kept = {}
    for english, both in sorted(found.items()):
        best = tuple(Counter(side).most_common(1)[0][0] for side in zip(*both, strict=True))
        long = len(english.split()) > LONGEST
        if not (long or "\n" in english + "".join(best) or not all(best) or not normal(english)):
            kept[english] = best
    return {english: best for english, best in kept.items() if set(best) != {english}}


def text(french: Path, chinese: Path) -> str:
    """The whole file: the licence, each line behind a #, then a row a line."""
    rows = triples(french, chinese)
    english = list(rows)
    if licence(french) != licence(chinese):
        raise ValueError("expected one licence of both packs")
    order = sorted(groups(english), key=lambda g: hashlib.sha256(english[g[0]].encode()).hexdigest())
    uses = Counter(character for string in english for character in set(string))
    part, counts = {}, Counter()
    for group in order:
        name = "train"
        rare = min(uses[character] for k in group for character in english[k]) < COMMON
        if not rare and len(group) <= LARGEST:
            name = next((part for part in SIZES if counts[part] < SIZES[part]), "train")
        counts[name] += len(group)
        part |= {english[k]: name for k in group}
    shuffled = sorted(english, key=lambda string: hashlib.sha256(string.encode()).hexdigest())
    lines = [f"# {line}".rstrip() + " " * (not line) for line in licence(french).strip().splitlines()]
    lines += ["\t".join((part[string], string, *rows[string])) for string in shuffled]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("french", type=Path, help="the wheel of jupyterlab-language-pack-fr-FR")
    parser.add_argument("chinese", type=Path, help="the wheel of jupyterlab-language-pack-zh-CN")
    parser.add_argument("--check", action="store_true", help="compare with the stored file, write nothing")
    arguments = parser.parse_args()
    for wheel in (arguments.french, arguments.chinese):
        if not wheel.exists():
            raise SystemExit(f"no such wheel: {wheel}")
    content = text(arguments.french, arguments.chinese)
    if arguments.check:
        if gzip.decompress(TARGET.read_bytes()).decode("utf-8") != content:
            raise SystemExit(f"{TARGET.name} differs from the source")
        print(f"{TARGET.name} holds what the source holds")
        return
    partial = TARGET.with_suffix(".partial")
    partial.write_bytes(gzip.compress(content.encode("utf-8"), 9, mtime=0))
    os.replace(partial, TARGET)
    print(f"wrote {TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
