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
        "Select the cell type",
        "fr",
        "Sélectionnez le type de cellule",
        "“Cell type” is “type of cell” in French: “type” looks at “type”, “cellule” at “cell”, and “de”, for "
        "which the English has no word, at both.",
        " type",
    ),
    Sentence(
        "Select the cell type",
        "zh",
        "选择单元格类型",
        "Chinese keeps the order of the English words. All three characters of 单元格 look most at "
        "“cell”, and 类 at “type”.",
        "元",
    ),
    Sentence(
        "Markdown Preview",
        "zh",
        "Markdown 预览",
        "上一个 means “previous”. 上 looks at “pre”, and so far the words are alike: “previous” begins with "
        "the same three pieces.",
        "上",
    ),
    Sentence(
        "Line Width",
        "zh",
        "行宽",
        "高 looks at “width” with nearly all its weight, and means “height”. A weight says where the network "
        "read, not what it made of it.",
        "高",
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
