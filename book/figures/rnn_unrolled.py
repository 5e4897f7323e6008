"""The plain network folded, with its loop, and below it unrolled over three steps."""

from diagram import Canvas, write

WIDTH = 446  # a phone shows it whole
PITCH, SIDE = 126, 64  # distance of the cells; from a cell's centre to the column of W_hh on its left
STATE, MATRIX, CELL, INPUT = 64, 106, 152, 212  # heights, below the top of a row
TOP, FOOT = 26, 262  # ends of the wires of h and x
FOLDED, UNROLLED, FIRST = 6, 336, 108  # tops of the two rows, and the first column
STEPS = ("{t-1}", "t", "{t+1}")


def draw_cell(canvas: Canvas, x: float, y: float, index: str) -> None:
    """tanh with its input from below, its state above and W_hh on the left; the row's top is y."""
    canvas.wire([(x, y + FOOT), (x, y + INPUT + 13)])
    canvas.wire([(x, y + INPUT - 13), (x, y + CELL + 22)])
    canvas.wire([(x, y + CELL - 22), (x, y + TOP)], tone="red", weight=2.6)
    canvas.dot(x, y + STATE, tone="red", r=5)
    canvas.wire(
        [(x - SIDE, y + MATRIX + 13), (x - SIDE, y + CELL), (x - 30, y + CELL)], tone="red", weight=2.6
    )
    canvas.box(x, y + CELL, 60, 44, tone="purple")
    canvas.math(x, y + CELL + 6, "tanh", size=17, tone="purple")
    for column, row, name in ((x, INPUT, "W_{ih}"), (x - SIDE, MATRIX, "W_{hh}")):
        canvas.box(column, y + row, 46, 26, weight=2.4, radius=4)
        canvas.math(column, y + row + 5, name, size=16)
    canvas.math(x, y + TOP - 10, f"h{index}", size=18, tone="red")
    canvas.math(x, y + FOOT + 19, f"x{index}", size=18)


def draw() -> Canvas:
    canvas = Canvas(
        "rnn_unrolled",
        WIDTH,
        700,
        title="The plain recurrent network, folded and unrolled",
        desc="Above one cell: x goes through the matrix W_ih into a tanh, whose output is the state h. "
        "From h a wire leads back through the matrix W_hh into the same tanh. Below the same cell "
        "three times, for the steps t-1, t and t+1: the state of each goes up, and through W_hh into the "
        "next cell. W_ih, W_hh and b are the same in all cells.",
    )
    red = {"tone": "red", "weight": 2.6}
    # folded: the state comes back to its own cell
    middle = FIRST + PITCH
    loop = middle - SIDE
    canvas.wire([(middle, FOLDED + STATE), (loop, FOLDED + STATE), (loop, FOLDED + MATRIX - 13)], **red)
    draw_cell(canvas, middle, FOLDED, "")
    canvas.text(loop - 10, FOLDED + STATE - 4, "one step later", size=13, anchor="end", tone="muted")
    canvas.text(middle + 48, FOLDED + CELL + 5, "folded", size=14, bold=True)
    columns = [FIRST + PITCH * number for number in range(len(STEPS))]
    for x in columns:
        start = x - PITCH if x > FIRST else 10
        path = [(start, UNROLLED + STATE), (x - SIDE, UNROLLED + STATE), (x - SIDE, UNROLLED + MATRIX - 13)]
        canvas.wire(path, **red)
    canvas.wire([(columns[-1], UNROLLED + STATE), (WIDTH - 6, UNROLLED + STATE)], **red)
    for x, step in zip(columns, STEPS, strict=True):
        draw_cell(canvas, x, UNROLLED, f"_{step}")
    canvas.math(4, UNROLLED + STATE - 12, "h_{t-2}", size=16, anchor="start", tone="red")
    canvas.text(WIDTH / 2, UNROLLED + 316, "unrolled over three steps", size=14, anchor="middle", bold=True)
    note = "$W_{ih}$, $W_{hh}$ and the bias $b$ are the same at every step."
    canvas.text(WIDTH / 2, UNROLLED + 342, note, size=14, anchor="middle")
    return canvas


def figures() -> dict[str, str]:
    return {"rnn_unrolled.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
