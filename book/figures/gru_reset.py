"""What the reset gate hides: a column of the recurrent matrix before the product, a row after it."""

from diagram import Canvas, write

WIDTH, HEIGHT = 640, 352
SIDE, GAP = 38, 8  # of one number's square, and between matrix and vectors
TOP = 84
H, SHUT = 3, 1  # units, and the one whose reset gate is shut


def squares(canvas: Canvas, left: float, columns: int, shut: set[tuple[int, int]], tone: str) -> None:
    """H rows of squares; those that the gate has shut are hollow and crossed."""
    for row in range(H):
        for column in range(columns):
            x, y = left + SIDE * (column + 0.5), TOP + SIDE * (row + 0.5)
            hidden = (row, column) in shut
            canvas.box(
                x, y, SIDE - 4, SIDE - 4,
                tone="green" if hidden else tone, fill="paper" if hidden else "fill",
                weight=2 if hidden else 1.4, radius=4, dash="outline" if hidden else None,
            )  # fmt: skip
            if hidden:
                canvas.text(x, y + 5, "0", size=15, anchor="middle", tone="green", bold=True)


def panel(canvas: Canvas, left: float, before: bool) -> None:
    matrix, old = left + 78, left + 78 + SIDE * H + 34
    result = left
    name = "before the product: not shown" if before else "after the product: does not look"
    formula = "W_{hn} (r_t ⊙ h_{t-1})" if before else "r_t ⊙ (W_{hn} h_{t-1})"
    canvas.text(left, 28, name, size=14.5, bold=True)
    canvas.math(left, 56, formula, size=18, anchor="start")
    column = {(row, SHUT) for row in range(H)}
    row = {(SHUT, k) for k in range(H)}
    squares(canvas, result, 1, set() if before else {(SHUT, 0)}, "purple")
    canvas.math(left + 58, TOP + SIDE * 1.5 + 6, "=", size=20)
    squares(canvas, matrix, H, column if before else row, "ink")
    canvas.math(matrix + SIDE * H + 17, TOP + SIDE * 1.5 + 6, "·", size=22)
    squares(canvas, old, 1, {(SHUT, 0)} if before else set(), "red")
    foot = TOP + SIDE * H + 26
    canvas.text(result, foot - 1, "$n_t$ sees", size=13, tone="purple")
    canvas.math(old + SIDE / 2, foot, "h_{t-1}", size=17, tone="red")
    canvas.math(matrix + SIDE * H / 2, foot, "W_{hn}", size=17)
    words = (
        ("Unit 2 is hidden from all candidates,", "its own one too: column 2 is gone.")
        if before
        else ("The candidate of unit 2 sees no old", "number, of any unit: row 2 is gone.")
    )
    for line, text in enumerate(words):
        canvas.text(left, foot + 40 + 20 * line, text, size=14)


def draw() -> Canvas:
    canvas = Canvas(
        "gru_reset",
        WIDTH,
        HEIGHT,
        title="What the reset gate hides",
        desc="Three units; the reset gate of unit 2 is shut. On the left the gate stands before the product: "
        "the second number of the old state is zero, so column 2 of the matrix W_hn plays no part, and "
        "unit 2 is hidden from all candidates. On the right the gate stands after the product: the second "
        "number of the product is zero, so row 2 of the matrix plays no part, and the candidate of unit 2 "
        "sees nothing of the old state. If the matrix is diagonal, row and column are the same number.",
    )
    panel(canvas, 16, before=True)
    panel(canvas, 340, before=False)
    for line, text in enumerate(
        (
            "Where each unit looks only at itself, the matrix is diagonal: row 2 and column 2",
            "have the same single number, and both forms are one (without $b_{hn}$).",
        )
    ):
        canvas.text(16, HEIGHT - 34 + 18 * line, text, size=13, tone="muted")
    return canvas


def figures() -> dict[str, str]:
    return {"gru_reset.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
