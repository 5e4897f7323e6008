"""Where the book's translator looks: data of the figure `alignments`, from the weights in the package.

    .venv/bin/python -m scripts.alignments

writes book/data/play/alignments.json, in a few seconds; then `book/figures/play_alignments.py` draws the
figure anew. All texts but one are of the test part, which the network has not seen in training.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

PATH = Path(__file__).parents[1] / "book" / "data" / "play" / "alignments.json"
COMMAND = "python -m scripts.alignments"


class Sentence(NamedTuple):
    """A text, the language it goes to, what would be right, what a reader should see, and at which piece."""

    text: str
    to: str
    wanted: str
    see: str
    at: str


SENTENCES = (
    Sentence(
        "Rename the selected files",
        "fr",
        "Renommer les fichiers sélectionnés",
        "French puts the adjective behind its noun: “fichiers” looks at “files”, “sélectionn” at “selected”, "
        "and the lines cross.",
        " sélectionn",
    ),
    Sentence(
        "The URL path",
        "fr",
        "Le chemin de l'URL",
        "“path” comes last in English, and “chemin” early in French. It looks at “URL” nearly as much: a key "
        "knows its neighbours.",
        " chemin",
    ),
    Sentence(
        "Remove the last column",
        "fr",
        "Supprimer la dernière colonne",
        "“last” is lost. It is two pieces here, “la” and “st”, and no piece that is written looks mostly at "
        "them.",
        " col",
    ),
    Sentence(
        "Run all cells",
        "zh",
        "运行所有单元格",
        "The words keep their order: 运行 looks at “run”, 所有 at “all”, 单元格 at “cells”.",
        "所",
    ),
    Sentence(
        "Select the cell type",
        "zh",
        "选择单元格类型",
        "All three characters of 单元格 look most at “cell”. So does 类, of 类型, “type”: what stands before "
        "it is enough.",
        "类",
    ),
    Sentence(
        "Size: %1",
        "zh",
        "大小: %1",
        "名 looks at “size” with nearly all its weight, and yet 名称 means “name”. A weight says where the "
        "network read, not what it made of it.",
        "名",
    ),
)


def alignments() -> list[dict[str, Any]]:
    """The translation of each sentence in pieces, the stop last, and the weights of each, in percent."""
    from rnnlit.practice import translation

    made = []
    for text, to, wanted, see, at in SENTENCES:
        found = translation.translate(text, to)
        read, written, weights = translation.align(text, found, to)
        made.append(
            {
                "text": text,
                "to": to,
                "found": found,
                **({} if found == wanted else {"wanted": wanted}),
                "see": see,
                "at": written.index(at),
                "read": read,
                "written": written,
                "weights": (100 * weights).round().astype(int).tolist(),
            }
        )
    return made


def main() -> None:
    """Write the file, a sentence a line."""
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in alignments())
    head = json.dumps({"command": COMMAND, "model": "rnnlit.practice.translate"})[:-1]
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(f'{head}, "sentences": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
