"""One LSTM reads a program and goes on with its answer, a character a step."""

from itertools import pairwise

from diagram import Canvas, write

WIDTH, HEIGHT = 440, 270
WRITES, CELL, READS = 58, 130, 204  # heights
READ = ("7", "+", "5", ")", "@", "1", "2")
WRITTEN = ("", "", "", "", "1", "2", ".")
FIRST, APART = 40, 60


def draw() -> Canvas:
    canvas = Canvas(
        "execution_reads",
        WIDTH,
        HEIGHT,
        title="A program is read, its answer is written",
        desc="A row of seven steps of one LSTM. The first four read 7, plus, 5 and a bracket, the end of a "
        "program, and write nothing. The fifth reads the at sign and writes 1. The sixth reads this 1 and "
        "writes 2, the seventh reads the 2 and writes a full stop.",
    )
    canvas.text(16, 22, "writes", size=14, tone="muted")
    canvas.text(16, 254, "reads: first the program, then its own answer", size=14, tone="muted")
    places = [FIRST + APART * k for k in range(len(READ))]
    for x, read, written in zip(places, READ, WRITTEN, strict=True):
        tone = "orange" if written else "blue"
        canvas.box(x, CELL, 40, 40, tone=tone)
        canvas.wire([(x, READS - 16), (x, CELL + 20)])
        canvas.text(x, READS + 4, read, size=17, anchor="middle", tone="purple" if read == "@" else "ink")
        if written:
            canvas.wire([(x, CELL - 20), (x, WRITES + 8)], tone="orange")
            canvas.text(x, WRITES, written, size=17, anchor="middle", tone="orange")
    for number, x in enumerate(places, 1):
        canvas.math(x, CELL + 6, f"h_{number}", size=16, tone="orange" if number > 4 else "blue")
    for x, following in pairwise(places):
        canvas.wire([(x + 20, CELL), (following - 20, CELL)], weight=2.2)
    return canvas


def figures() -> dict[str, str]:
    return {"execution_reads.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
