"""The LSTM cell with the numbers of a step, for `book/_static/play/lstm-cell.js`, which changes them.

What is drawn is unit 1 of the chapter's step by hand: x = 1, h = -0.5, c = 2, a forget bias of 1.
"""

from math import exp, tanh

from diagram import Canvas, write
from lstm_cell import (
    ADD,
    CELL_HEIGHT,
    COLUMNS,
    FOOT,
    GATE_TOP,
    JOIN,
    MEMORY,
    OUT,
    PRODUCT,
    RAIL,
    SQUASH,
    TONES,
    TOP,
    WIDTH,
    X_F,
    X_G,
    X_I,
    X_O,
    Look,
    draw_cell,
)

X, H, C = 1.0, -0.5, 2.0
LIFT = 10  # of a letter, over its number
BAR = 60  # width of the bar in a box that is as long as the gate is open


def step() -> dict[str, float]:
    """The numbers in the drawing, by the name of their part."""
    i, f, g, o = 1 / (1 + exp(-2 * X)), 1 / (1 + exp(-1)), tanh(X + H), 0.5
    c = f * C + i * g
    made = {"x": X, "h-before": H, "c-before": C, "i": i, "f": f, "g": g, "o": o}
    return made | {"kept": f * C, "written": i * g, "c": c, "tanh": tanh(c), "h": o * tanh(c)}


def draw() -> Canvas:
    values = step()
    shown = {name: f"{value:.3f}".replace("-", "−") for name, value in values.items()}
    canvas = Canvas(
        "play_lstm_cell",
        WIDTH,
        CELL_HEIGHT,
        title="The LSTM cell with the numbers of one step",
        desc="The LSTM cell of one unit, each wire with its number. Input x 1, hidden state before -0.5, "
        f"cell state before 2. Then f is {shown['f']}, i is {shown['i']}, g is {shown['g']}, o is "
        f"{shown['o']}; the new cell state is {shown['c']}, the new hidden state {shown['h']}.",
        parts=True,
    )
    draw_cell(canvas, Look(lift=LIFT))
    between = 237.0  # baseline of the numbers of i, g, o, right over their boxes
    edge = WIDTH - 0.5
    for name, x, y, anchor in (
        ("x", JOIN + 50, FOOT + 15, "start"),
        ("h-before", 0.5, RAIL - 14, "start"),
        ("c-before", 0.5, MEMORY - 14, "start"),
        ("f", X_F + 8, PRODUCT + 17, "start"),
        ("i", X_I - 8, between, "end"),
        ("g", X_G + 8, between, "start"),
        ("o", X_O + 8, between, "start"),
        ("kept", (X_F + ADD) / 2 - 2, MEMORY + 21, "middle"),
        ("written", ADD + 9, SQUASH + 23, "start"),
        ("c", (ADD + X_O) / 2, MEMORY + 21, "middle"),
        ("c", edge, MEMORY - 14, "end"),
        ("tanh", X_O + 8, SQUASH + 31, "start"),
        ("h", OUT - 10, TOP - 5, "end"),
        ("h", edge, RAIL - 14, "end"),
    ):
        part = name.removesuffix("-before")
        tone = {"kept": "red", "written": "green", "c": "red", "x": "ink"}.get(part) or TONES[part]
        look = {"size": 11.5} if x in (0.5, edge) else {"size": 12.5, "bold": True}  # at an edge, less room
        with canvas.part(f"{name}-number"):
            canvas.text(x, y, shown[name], anchor=anchor, tone=tone, **look)
    for part, x in COLUMNS.items():
        whole = part == "g"  # has a sign: its bar begins in the middle
        width = abs(values[part]) * (BAR / 2 if whole else BAR)
        middle = x + width / 2 if whole else x - BAR / 2 + width / 2
        with canvas.part(f"{part}-bar"):
            canvas.box(middle, GATE_TOP + 6, width, 3, tone=TONES[part], fill=TONES[part], weight=0, radius=1)
    return canvas


def figures() -> dict[str, str]:
    return {"play_lstm_cell.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
