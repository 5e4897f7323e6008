"""The gradient's way back through one step of the LSTM, on the layout of the cell."""

from typing import Any

from diagram import Canvas, write
from lstm_cell import (
    ADD,
    CELL_HEIGHT,
    COLUMNS,
    ENTRY,
    EXIT,
    GATE_FOOT,
    GATE_HEIGHT,
    GATE_TOP,
    GATE_WIDTH,
    GATES,
    JOIN,
    MEMORY,
    NAMES,
    OUT,
    PRODUCT,
    RAIL,
    SQUASH,
    TONES,
    WIDTH,
    X_F,
    X_G,
    X_I,
    X_O,
    R,
    draw_frame,
    label,
)  # fmt: skip

SLOPES = {"f": "f_t (1 - f_t)", "i": "i_t (1 - i_t)", "g": "1 - g_t^2", "o": "o_t (1 - o_t)"}


def draw_memory(canvas: Canvas) -> None:
    line: dict[str, Any] = {"tone": "red", "weight": 3.2}
    canvas.wire([(EXIT, MEMORY), (X_O + R, MEMORY)], **line)
    canvas.wire([(X_O - R, MEMORY), (ADD, MEMORY), (X_F + R, MEMORY)], **line)
    canvas.wire([(X_F - R, MEMORY), (ENTRY, MEMORY)], **line)
    canvas.operator(X_O, MEMORY, "+", tone="red")
    canvas.math((ADD + X_O) / 2, MEMORY - 11, "dc_t", size=17, tone="red")
    canvas.math(136, MEMORY - 12, "⊙ f_t", size=16)
    label(canvas, 726, MEMORY, "dc", ("from step", "$t + 1$"), "red")
    label(canvas, 30, MEMORY, "dc", ("to step", "$t - 1$"), "red")


def draw_hidden(canvas: Canvas) -> None:
    """dh from above and from the right, their sum, and its two ways through the output's product."""
    canvas.wire([(OUT, 32), (OUT, PRODUCT - R)], hops=[(OUT, MEMORY)], weight=2)
    canvas.wire([(EXIT, RAIL), (OUT, RAIL), (OUT, PRODUCT + R)], weight=2)
    canvas.operator(OUT, PRODUCT, "+")
    canvas.wire([(OUT - R, PRODUCT), (X_O + R, PRODUCT)], weight=2)
    canvas.math((X_O + OUT) / 2 + 2, PRODUCT - 10, "dh_t", size=17)
    canvas.math(OUT, 22, "dh", size=18)
    canvas.text(OUT - 17, 21, "from the output", size=12.5, anchor="end", tone="muted")
    label(canvas, 726, RAIL, "dh", ("from step", "$t + 1$"))
    canvas.wire([(X_O, PRODUCT - R), (X_O, SQUASH + R)], tone="red", weight=2)
    canvas.wire([(X_O, SQUASH - R), (X_O, MEMORY + R)], tone="red", weight=2)
    canvas.box(X_O, SQUASH, 106, 2 * R, tone="red", radius=R, weight=2)
    canvas.math(X_O, SQUASH + 5, "1 - tanh^2 c_t", size=15, tone="red")
    canvas.math(X_O - 9, 206, "⊙ o_t", size=16, anchor="end")
    canvas.operator(X_O, PRODUCT, "×", tone="muted")


def draw_gates(canvas: Canvas) -> None:
    """From the products to the four boxes: what each path is multiplied by."""
    canvas.wire([(X_F, MEMORY + R), (X_F, GATE_TOP)], tone=TONES["f"], weight=2)
    canvas.wire([(ADD, MEMORY), (ADD, PRODUCT - R)], tone="red", weight=2)
    canvas.wire([(ADD - R, PRODUCT), (X_I, PRODUCT), (X_I, GATE_TOP)], tone=TONES["i"], weight=2)
    canvas.wire([(ADD + R, PRODUCT), (X_G, PRODUCT), (X_G, GATE_TOP)], tone=TONES["g"], weight=2)
    canvas.wire([(X_O, PRODUCT + R), (X_O, GATE_TOP)], tone=TONES["o"], weight=2)
    canvas.operator(X_F, MEMORY, "×", tone="muted")
    canvas.operator(ADD, PRODUCT, "×", tone="muted")
    canvas.dot(ADD, MEMORY, tone="red", r=5)
    canvas.math(ADD + 9, 174, "dc_t", size=16, anchor="start", tone="red")
    canvas.math(X_F + 9, 206, "⊙ c_{t-1}", size=16, anchor="start")
    canvas.math(X_I - 7, 256, "⊙ g_t", size=16, anchor="end")
    canvas.math(X_G + 8, 256, "⊙ i_t", size=16, anchor="start")
    canvas.math(X_O + 8, 268, "⊙ tanh(c_t)", size=16, anchor="start")
    for part, x in COLUMNS.items():
        canvas.box(x, GATES, GATE_WIDTH, GATE_HEIGHT, tone=TONES[part], weight=2)
        canvas.math(x, GATES - 3, SLOPES[part], size=16, tone=TONES[part])
        canvas.text(x, GATES + 18, NAMES[part], size=13, anchor="middle", tone=TONES[part])


def draw_inputs(canvas: Canvas) -> None:
    """The four gradients, side by side, back through the weights to h_{t-1} and x_t."""
    canvas.wire([(X_O, GATE_FOOT), (X_O, RAIL), (JOIN, RAIL), (132, RAIL)], weight=2)
    for part, x in COLUMNS.items():
        if part != "o":
            canvas.wire([(x, GATE_FOOT), (x, RAIL - 6)], weight=2)
            canvas.box(x, RAIL, 12, 12, fill="paper", radius=6, weight=2)
        canvas.math(x + 8, 374, f"d{part}", size=16, anchor="start", tone=TONES[part])
    canvas.box(108, RAIL, 48, 26, weight=2)
    canvas.math(108, RAIL + 5, "W_{hh}^T", size=15)
    canvas.wire([(84, RAIL), (ENTRY, RAIL)], weight=2)
    canvas.wire([(JOIN, RAIL), (JOIN, 418)], weight=2)
    canvas.box(JOIN, 431, 48, 26, weight=2)
    canvas.math(JOIN, 436, "W_{ih}^T", size=15)
    canvas.wire([(JOIN, 444), (JOIN, 476)], weight=2)
    canvas.dot(JOIN, RAIL, r=4.5)
    label(canvas, 30, RAIL, "dh", ("to step", "$t - 1$"))
    canvas.math(JOIN, 492, "dx_t")
    canvas.text(190, 433, "$da_t = (di, df, dg, do)$ stacked", size=13, tone="muted")


def draw() -> Canvas:
    canvas = Canvas(
        "lstm_backward",
        WIDTH,
        CELL_HEIGHT,
        title="The gradient's way back through one LSTM step",
        desc="The LSTM cell with all arrows reversed. dh comes from the output above and from step t+1; the "
        "two add up to dh_t. Times tanh(c_t) it goes to the output gate, times o_t and 1 - tanh^2(c_t) "
        "to the memory line, where it is added to dc from step t+1; the sum is dc_t. dc_t goes, times "
        "c_{t-1}, to the forget gate; times g_t to the input gate; times i_t to the candidate; and "
        "times f_t to step t-1. Each box multiplies by its slope: f(1-f), i(1-i), 1-g^2, o(1-o). The "
        "four results di, df, dg, do, stacked, are da_t; W_hh transposed times da_t goes to step t-1 "
        "and W_ih transposed times da_t is dx_t.",
    )
    draw_frame(canvas)
    draw_memory(canvas)
    draw_hidden(canvas)
    draw_gates(canvas)
    draw_inputs(canvas)
    return canvas


def figures() -> dict[str, str]:
    return {"lstm_backward.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
