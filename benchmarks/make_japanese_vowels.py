"""Make rnnlit/data/japanese_vowels.npz from the copy of the data inside the Python package `aeon`.

    pip download --no-deps aeon
    python benchmarks/make_japanese_vowels.py aeon-1.6.0-py3-none-any.whl
    python benchmarks/make_japanese_vowels.py --check aeon-1.6.0-py3-none-any.whl

The source is an aeon wheel, or a folder that holds JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts.
`--check` writes nothing: it says whether the stored file holds what the source holds.

The source prints every coefficient with at most six decimals, so millionths in int32 keep each number
exactly. One row per coefficient rather than one per frame makes neighbours alike, which compresses better.
The same source gives the same contents always, and the same bytes wherever the same zlib compresses.
"""

import argparse
import io
import os
import zipfile
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "rnnlit" / "data" / "japanese_vowels.npz"
FILES = {"train": "JapaneseVowels_TRAIN.ts", "test": "JapaneseVowels_TEST.ts"}
IN_WHEEL = "aeon/datasets/data/JapaneseVowels/"
COEFFICIENTS = 12
# UCI's description of the data: utterances of speakers 1 to 9, in this order in the files.
UTTERANCES = {"train": [30] * 9, "test": [31, 35, 88, 44, 29, 24, 40, 50, 29]}


def read_source(source: Path, name: str) -> str:
    """Read one .ts file from a wheel or from a folder."""
    if source.is_dir():
        return (source / name).read_text(encoding="ascii")
    with zipfile.ZipFile(source) as wheel:
        return wheel.read(IN_WHEEL + name).decode("ascii")


def parse(text: str) -> dict[str, np.ndarray]:
    """Turn the lines after @data into arrays.

    One line is one utterance: twelve lists "v,v,...", one per coefficient and one value per frame, then the
    speaker, all joined by colons.

    ->  millionths (12, frames of all utterances), lengths (N,), speaker (N,) from 0
    """
    _, _, data = text.partition("@data\n")
    millionths, lengths, speaker = [], [], []
    for line in data.split():
        *rows, label = line.split(":")
        if len(rows) != COEFFICIENTS:
            raise ValueError(f"expected {COEFFICIENTS} coefficients in an utterance, got {len(rows)}")
        utterance = np.array([[to_millionths(value) for value in row.split(",")] for row in rows], np.int32)
        millionths.append(utterance)
        lengths.append(utterance.shape[1])
        speaker.append(int(label) - 1)
    return {
        "millionths": np.concatenate(millionths, axis=1),
        "lengths": np.array(lengths, np.uint8),
        "speaker": np.array(speaker, np.uint8),
    }


def to_millionths(decimal: str) -> int:
    """Read a decimal as a whole number of millionths, or refuse it."""
    millionths = round(float(decimal) * 1e6)
    if millionths / 1e6 != float(decimal):
        raise ValueError(f"expected at most six decimals, got {decimal}")
    return millionths


def convert(source: Path) -> dict[str, np.ndarray]:
    """Read both splits, check them against UCI's counts, and name their arrays for the archive."""
    arrays = {}
    for split, name in FILES.items():
        parsed = parse(read_source(source, name))
        counts = np.bincount(parsed["speaker"], minlength=9).tolist()
        if counts != UTTERANCES[split]:
            raise ValueError(f"{name}: expected {UTTERANCES[split]} utterances per speaker, got {counts}")
        if np.any(np.diff(parsed["speaker"].astype(int)) < 0):
            raise ValueError(f"{name}: expected the speakers in UCI's order, 1 to 9")
        arrays.update({f"{split}_{key}": value for key, value in parsed.items()})
    return arrays


def write(arrays: dict[str, np.ndarray], target: Path) -> None:
    """Write the archive in one move, so that no half-written file can stay behind."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    partial = target.with_suffix(".partial")
    partial.write_bytes(buffer.getvalue())
    os.replace(partial, target)


def same(arrays: dict[str, np.ndarray], target: Path) -> bool:
    """Compare names, types and every number with the stored archive."""
    with np.load(target, allow_pickle=False) as stored:
        return sorted(stored.files) == sorted(arrays) and all(
            stored[name].dtype == array.dtype and np.array_equal(stored[name], array)
            for name, array in arrays.items()
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, help="an aeon wheel, or the folder with the two .ts files")
    parser.add_argument("--check", action="store_true", help="compare with the stored file, write nothing")
    arguments = parser.parse_args()
    if not arguments.source.exists():
        raise SystemExit(f"no such wheel or folder: {arguments.source}")
    arrays = convert(arguments.source)
    if arguments.check:
        if not same(arrays, TARGET):
            raise SystemExit(f"{TARGET.name} differs from the source")
        print(f"{TARGET.name} holds what the source holds")
        return
    write(arrays, TARGET)
    print(f"wrote {TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
