"""An alignment: what one piece of a translation was written from (see book/_static/play/alignments.js)."""

import json
from pathlib import Path

from diagram import Canvas, write

DATA = Path(__file__).parents[1] / "data" / "play" / "alignments.json"
WIDTH, ROW, TOP = 446, 28, 44
READ, WRITTEN, CHIP, HEIGHT = 110, 336, 104, 22  # columns of the pieces, and size of one
FAINT = 20  # percent; weights below are drawn for the chosen piece alone


def draw() -> Canvas:
    one = json.loads(DATA.read_text(encoding="utf-8"))["sentences"][0]
    read, written, weights = one["read"], one["written"], one["weights"]
    at = one["at"]  # of the piece that is marked
    row = weights[at]
    shares = ", ".join(f"{k} % from {piece.strip()}" for k, piece in zip(row, read, strict=True) if k > 1)
    canvas = Canvas(
        "play_alignments",
        WIDTH,
        TOP + ROW * len(written),
        title="What a translation was written from",
        desc=f"Left the pieces of “{one['text']}”, right those of “{one['found']}”, and a line from each "
        f"piece that was written to those it looked at. One is marked, {written[at].strip()}: {shares}.",
    )
    for x, words in ((READ, "read"), (WRITTEN, "written")):
        canvas.text(x, 18, words, size=13, anchor="middle", tone="muted")
    left, right = READ + CHIP / 2, WRITTEN - CHIP / 2
    high = TOP + ROW * (len(written) - len(read)) / 2
    y_read, y_written = (
        [start + ROW * k for k in range(len(pieces))] for start, pieces in ((high, read), (TOP, written))
    )
    lines = [(y_written[i], y_read[k], w, i) for i, ws in enumerate(weights) for k, w in enumerate(ws)]
    for start, end, weight, i in sorted(lines, key=lambda line: line[3] == at):
        chosen = i == at
        if weight >= (1 if chosen else FAINT):
            thick, tone = (1 + weight / 12, "orange") if chosen else (weight / 40, "muted")
            canvas.wire([(right, start), (left, end)], tone=tone, weight=thick, head=False)
    for x, y, pieces in ((READ, y_read, read), (WRITTEN, y_written, written)):
        for k, piece in enumerate(pieces):
            chosen = x == WRITTEN and k == at
            tone = "orange" if chosen else "muted"
            canvas.box(x, y[k], CHIP, HEIGHT, tone=tone, weight=2 if chosen else 1, radius=5)
            canvas.text(x, y[k] + 5, piece.strip(), size=13.5, anchor="middle", bold=chosen)
    for height, weight in zip(y_read, row, strict=True):
        canvas.text(READ - CHIP / 2 - 8, height + 5, f"{weight} %", size=13, anchor="end", tone="orange")
    return canvas


def figures() -> dict[str, str]:
    return {"play_alignments.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
