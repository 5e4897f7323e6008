"""The plain network folded, with its loop, and unrolled over three steps."""

from diagram import Canvas, write

WIDTH = 760
PITCH, SIDE = 168, 84  # distance of the cells; from a cell's centre to the column of W_hh on its left
STATE, MATRIX, CELL, INPUT = 116, 160, 208, 276  # heights
TOP, FOOT = 46, 340  # ends of the wires of h and x
FOLDED, FIRST = 112, 330  # columns of the cells
STEPS = ("{t-1}", "t", "{t+1}")


def draw_cell(canvas: Canvas, x: float, index: str) -> None:
    """tanh with its input from below, its state above and W_hh on the way in from the left."""
    canvas.wire([(x, FOOT), (x, INPUT + 13)])
    canvas.wire([(x, INPUT - 13), (x, CELL + 24)])
    canvas.wire([(x, CELL - 24), (x, TOP)], tone="red", weight=2.6)
    canvas.dot(x, STATE, tone="red", r=5)
    canvas.wire([(x - SIDE, MATRIX + 13), (x - SIDE, CELL), (x - 36, CELL)], tone="red", weight=2.6)
    canvas.box(x, CELL, 72, 48, tone="purple")
    canvas.math(x, CELL + 6, "tanh", size=18, tone="purple")
    for column, row, name in ((x, INPUT, "W_{ih}"), (x - SIDE, MATRIX, "W_{hh}")):
        canvas.box(column, row, 48, 26, weight=2.4, radius=4)
        canvas.math(column, row + 5, name, size=16)
    canvas.math(x, TOP - 10, f"h{index}", size=18, tone="red")
    canvas.math(x, FOOT + 20, f"x{index}", size=18)


def draw() -> Canvas:
    canvas = Canvas(
        "rnn_unrolled",
        WIDTH,
        480,
        title="The plain recurrent network, folded and unrolled",
        desc="On the left one cell: x goes through the matrix W_ih into a tanh, whose output is the state h. "
        "From h a wire leads back through the matrix W_hh into the same tanh. On the right the same cell "
        "three times, for the steps t-1, t and t+1: the state of each goes up, and through W_hh into the "
        "next cell. W_ih, W_hh and b are the same in all cells.",
    )
    red = {"tone": "red", "weight": 2.6}
    # folded: the state comes back to its own cell
    loop = FOLDED - SIDE
    canvas.wire([(FOLDED, STATE), (loop, STATE), (loop, MATRIX - 13)], **red)
    draw_cell(canvas, FOLDED, "")
    canvas.text(loop - 12, STATE - 14, "one step later", size=12.5, tone="muted")
    canvas.math(196, CELL + 8, "=", size=30)
    columns = [FIRST + PITCH * number for number in range(len(STEPS))]
    for x in columns:
        start = x - PITCH if x > FIRST else 226
        canvas.wire([(start, STATE), (x - SIDE, STATE), (x - SIDE, MATRIX - 13)], **red)
    canvas.wire([(columns[-1], STATE), (WIDTH - 8, STATE)], **red)
    for x, step in zip(columns, STEPS, strict=True):
        draw_cell(canvas, x, f"_{step}")
    canvas.math(222, STATE - 12, "h_{t-2}", size=16, anchor="start", tone="red")
    canvas.text(FOLDED, 398, "folded", size=14, anchor="middle", bold=True)
    canvas.text(columns[1] - 20, 398, "unrolled over three steps", size=14, anchor="middle", bold=True)
    canvas.bracket(columns[0] - SIDE - 24, columns[-1] + 40, 418)
    canvas.text(
        columns[1] - 20,
        448,
        "$W_{ih}$, $W_{hh}$ and the bias $b$, which each tanh box adds, are the same at every step.",
        size=14,
        anchor="middle",
    )
    return canvas


def figures() -> dict[str, str]:
    return {"rnn_unrolled.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
