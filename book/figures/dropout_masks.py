"""What a mask can fall on: whole units, or single weights."""

from diagram import Canvas, write

WIDTH, HEIGHT = 380, 390
WEIGHTS = ((1, 2, 3), (1, 1, 1))
X = (1, -1, 2)
TONES = ("blue", "orange", "green")
INPUTS, OUTPUTS = (88, 150, 212), (119, 181)  # heights of the units
LEFT, RIGHT = 60, 250  # columns of the units, from a panel's left edge


def draw_net(canvas: Canvas, left: float, dropped: set[tuple[int, int]], units: set[int]) -> None:
    """Two outputs over three inputs; `dropped` holds the weights (row, column) that are gone."""
    for row, y_out in enumerate(OUTPUTS):
        for column, y_in in enumerate(INPUTS):
            gone = (row, column) in dropped
            canvas.wire(
                [(left + LEFT + 19, y_in), (left + RIGHT - 19, y_out)],
                tone="muted" if gone else TONES[column],
                weight=1.1 if gone else 2.2,
                dash="outline" if gone else None,
                head=not gone,
            )
    for column, y in enumerate(INPUTS):
        gone = column in units
        canvas.box(
            left + LEFT, y, 38, 38, tone="muted" if gone else TONES[column], radius=19,
            dash="outline" if gone else None, fill=None if gone else "fill",
        )  # fmt: skip
        canvas.math(left + LEFT, y + 6, f"x_{column + 1}", size=17, tone="muted" if gone else "ink")
        if gone:
            canvas.wire([(left + LEFT - 15, y + 15), (left + LEFT + 15, y - 15)], tone="red", head=False)
    for row, y in enumerate(OUTPUTS):
        canvas.box(left + RIGHT, y, 38, 38, radius=19)
        canvas.math(left + RIGHT, y + 6, f"y_{row + 1}", size=17)


def draw_matrix(canvas: Canvas, left: float, top: float, dropped: set[tuple[int, int]]) -> None:
    """The masked weights as a table of numbers; what is dropped shows a zero."""
    size = 38
    for row, values in enumerate(WEIGHTS):
        for column, value in enumerate(values):
            gone = (row, column) in dropped
            x, y = left + size * column, top + size * row
            canvas.box(
                x, y, size - 4, size - 4, radius=4, tone="red" if gone else TONES[column],
                dash="outline" if gone else None, fill=None if gone else "fill",
            )  # fmt: skip
            canvas.math(x, y + 6, "0" if gone else str(value), size=17, tone="red" if gone else "ink")


PANELS = {
    "dropout_masks": (
        "Dropout: a mask on units", {(0, 1), (1, 1)}, {1}, "3 coins: one for each unit",
        "Both outputs miss $x_2$.",
        "A layer with three inputs and two outputs. The input unit x2 is dropped, and with it both weights "
        "that leave it: a whole column of the matrix is zero, and both outputs miss the same input.",
    ),
    "dropout_masks_weights": (
        "DropConnect: a mask on weights", {(0, 1), (1, 0), (1, 2)}, set(), "6 coins: one for each weight",
        "Each output misses inputs of its own.",
        "The same layer. Single weights are dropped, each by its own coin, so y1 misses x2 and y2 misses "
        "x1 and x3.",
    ),
}  # fmt: skip


def draw(name: str) -> Canvas:
    title, dropped, units, coins, result, desc = PANELS[name]
    canvas = Canvas(name, WIDTH, HEIGHT, title=title, desc=desc)
    canvas.text(190, 30, title, size=17, anchor="middle", bold=True)
    canvas.text(190, 56, coins, size=15, anchor="middle", tone="muted")
    draw_net(canvas, 35, dropped, units)
    canvas.math(135, 292, "W ⊙ m =" if units else "M ⊙ W =", size=17, anchor="end")
    draw_matrix(canvas, 165, 266, dropped)
    canvas.text(190, 356, result, size=15, anchor="middle")
    canvas.text(
        190, 380, "Kept values are divided by $1 - p$ (not shown).", size=14, anchor="middle", tone="muted"
    )
    return canvas


def figures() -> dict[str, str]:
    return {f"{name}.svg": draw(name).svg() for name in PANELS}


if __name__ == "__main__":
    write(figures())
