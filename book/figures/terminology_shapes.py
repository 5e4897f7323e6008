"""Four ways to read and to answer: one to many, many to one, many to many, sequence to sequence."""

from itertools import pairwise

from diagram import Canvas, write

WIDTH, HEIGHT = 380, 330
ROWS = (96, 258)  # the cells of the upper and of the lower way
FIRST, PITCH = 44, 73  # column of the first cell; distance of the cells
RISE = 44  # from a cell to its input below and to its output above


def draw_way(
    canvas: Canvas,
    y: float,
    names: tuple[str, str],
    inputs: dict[int, str],
    outputs: dict[int, str],
    *,
    steps: int,
    decoder: int | None = None,
) -> None:
    """A chain of cells; inputs and outputs {column: word}; from the column `decoder` on, a second network."""
    english, chinese = names
    canvas.text(12, y - RISE - 32, english, size=15, bold=True)
    canvas.text(WIDTH - 12, y - RISE - 32, chinese, size=15, anchor="end", tone="muted", lang="zh")
    columns = [FIRST + PITCH * k for k in range(steps)]
    for left, right in pairwise(columns):
        canvas.wire([(left + 20, y), (right - 20, y)], tone="red", weight=2.4)
    for k, x in enumerate(columns):
        second = decoder is not None and k >= decoder
        canvas.box(x, y, 40, 28, tone="green" if second else "purple", weight=2)
        if k in inputs:
            canvas.wire([(x, y + RISE - 6), (x, y + 14)])
            canvas.text(x, y + RISE + 8, inputs[k], size=13, anchor="middle")
        if k in outputs:
            canvas.wire([(x, y - 14), (x, y - RISE + 6)], tone="blue")
            canvas.text(x, y - RISE, outputs[k], size=13, anchor="middle", tone="blue")


def draw_one() -> Canvas:
    canvas = Canvas(
        "terminology_shapes_one",
        WIDTH,
        HEIGHT,
        title="One to many, and many to one",
        desc="Above, one to many: a picture goes into the first of four cells in a row, and each cell gives "
        "a word: a, dog, runs, stop. Below, many to one: four frames of sound go into four cells, one into "
        "each, and only the last cell gives an answer, the name of the speaker.",
    )
    words = dict(enumerate(("a", "dog", "runs", "stop")))
    draw_way(canvas, ROWS[0], ("one to many", "一对多"), {0: "picture"}, words, steps=4)
    frames = {k: f"frame {k + 1}" for k in range(4)}
    draw_way(canvas, ROWS[1], ("many to one", "多对一"), frames, {3: "speaker 7"}, steps=4)
    return canvas


def draw_many() -> Canvas:
    canvas = Canvas(
        "terminology_shapes_many",
        WIDTH,
        HEIGHT,
        title="Many to many, and sequence to sequence",
        desc="Above, many to many: four frames of sound go into four cells, one into each, and each cell "
        "gives a sound of its own: a, a, e, e. Below, sequence to sequence: two cells of an encoder read "
        "the words guten and Tag; their last state goes on to three cells of a decoder, which write good, "
        "day, stop.",
    )
    frames = {k: f"frame {k + 1}" for k in range(4)}
    sounds = dict(enumerate(("/a/", "/a/", "/e/", "/e/")))
    draw_way(canvas, ROWS[0], ("many to many", "多对多"), frames, sounds, steps=4)
    written = {2: "good", 3: "day", 4: "stop"}
    names = ("sequence to sequence", "序列到序列")
    draw_way(canvas, ROWS[1], names, {0: "guten", 1: "Tag"}, written, steps=5, decoder=2)
    canvas.text(FIRST + PITCH * 3, ROWS[1] + RISE + 8, "decoder", size=13, anchor="middle", tone="green")
    return canvas


def figures() -> dict[str, str]:
    return {
        "terminology_shapes_one.svg": draw_one().svg(),
        "terminology_shapes_many.svg": draw_many().svg(),
    }


if __name__ == "__main__":
    write(figures())
