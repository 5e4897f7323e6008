"""The gradient's way back through one step of the LSTM, on the layout of the cell."""

from typing import Any

from diagram import Canvas, write
from lstm_cell import (
    ADD,
    AFTER,
    BEFORE,
    BETWEEN,
    CELL_HEIGHT,
    COLUMNS,
    ENTRY,
    EXIT,
    FOOT,
    GATE_FOOT,
    GATE_HEIGHT,
    GATE_TOP,
    GATE_WIDTH,
    GATES,
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

FORK, MATRIX = 91, 66  # columns: da goes down to dx, and left through W_hh^T
MORE = 26  # height for W_ih^T
SLOPES = {"f": "f_t (1 - f_t)", "i": "i_t (1 - i_t)", "g": "1 - g_t^2", "o": "o_t (1 - o_t)"}


def draw_memory(canvas: Canvas) -> None:
    line: dict[str, Any] = {"tone": "red", "weight": 3.2}
    canvas.wire([(EXIT, MEMORY), (X_O + R, MEMORY)], **line)
    canvas.wire([(X_O - R, MEMORY), (ADD, MEMORY), (X_F + R, MEMORY)], **line)
    canvas.wire([(X_F - R, MEMORY), (ENTRY, MEMORY)], **line)
    canvas.operator(X_O, MEMORY, "+", tone="red")
    canvas.math((ADD + X_O) / 2, MEMORY - 11, "dc_t", size=17, tone="red")
    canvas.math(MATRIX + 1, MEMORY - 12, "⊙ f_t", size=16)
    label(canvas, AFTER, MEMORY, "dc", ("from", "$t + 1$"), "red")
    label(canvas, BEFORE, MEMORY, "dc", ("to", "$t - 1$"), "red")


def draw_hidden(canvas: Canvas) -> None:
    """dh from above and from the right, their sum, and its two ways through the output's product."""
    canvas.wire([(OUT, 32), (OUT, PRODUCT - R)], hops=[(OUT, MEMORY)], weight=2)
    canvas.wire([(EXIT, RAIL), (OUT, RAIL), (OUT, PRODUCT + R)], weight=2)
    canvas.operator(OUT, PRODUCT, "+")
    canvas.wire([(OUT - R, PRODUCT), (X_O + R, PRODUCT)], weight=2)
    canvas.math((X_O + OUT) / 2 - 1, PRODUCT - 15, "dh_t", size=15)
    canvas.math(OUT, 22, "dh", size=18)
    canvas.text(OUT - 17, 21, "from the output", size=12.5, anchor="end", tone="muted")
    label(canvas, AFTER, RAIL, "dh", ("from", "$t + 1$"))
    canvas.wire([(X_O, PRODUCT - R), (X_O, SQUASH + R)], tone="red", weight=2)
    canvas.wire([(X_O, SQUASH - R), (X_O, MEMORY + R)], tone="red", weight=2)
    canvas.box(X_O, SQUASH, 84, 2 * R, tone="red", radius=R, weight=2)
    canvas.math(X_O, SQUASH + 5, "1 - tanh^2 c_t", size=13, tone="red")
    canvas.math(X_O - 9, SQUASH + 29, "⊙ o_t", size=16, anchor="end")
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
    canvas.math(ADD + 9, SQUASH + 5, "dc_t", size=16, anchor="start", tone="red")
    canvas.math(X_F + 9, PRODUCT, "⊙ c_{t-1}", size=16, anchor="start")
    canvas.math(X_I - 7, BETWEEN, "⊙ g_t", size=16, anchor="end")
    canvas.math(X_G - 7, BETWEEN, "⊙ i_t", size=16, anchor="end")
    canvas.math(X_O - 7, BETWEEN, "⊙ tanh(c_t)", size=14, anchor="end")
    for part, x in COLUMNS.items():
        canvas.box(x, GATES, GATE_WIDTH, GATE_HEIGHT, tone=TONES[part], weight=2)
        canvas.math(x, GATES - 3, SLOPES[part], size=14, tone=TONES[part])
        canvas.text(x, GATES + 18, NAMES[part], size=11.5, anchor="middle", tone=TONES[part])


def draw_inputs(canvas: Canvas) -> None:
    """The four gradients, side by side, back through the weights to h_{t-1} and x_t."""
    canvas.wire([(X_O, GATE_FOOT), (X_O, RAIL), (MATRIX + 19, RAIL)], weight=2)
    for part, x in COLUMNS.items():
        if part != "o":
            canvas.wire([(x, GATE_FOOT), (x, RAIL - 6)], weight=2)
            canvas.box(x, RAIL, 12, 12, fill="paper", radius=6, weight=2)
        canvas.math(x + 8, RAIL - 17, f"d{part}", size=16, anchor="start", tone=TONES[part])
    canvas.box(MATRIX, RAIL, 38, 26, weight=2)
    canvas.math(MATRIX, RAIL + 5, "W_{hh}^T", size=14)
    canvas.wire([(MATRIX - 19, RAIL), (ENTRY - 6, RAIL)], weight=2)
    canvas.wire([(FORK, RAIL), (FORK, RAIL + 22)], weight=2)
    canvas.box(FORK, RAIL + 35, 38, 26, weight=2)
    canvas.math(FORK, RAIL + 40, "W_{ih}^T", size=14)
    canvas.wire([(FORK, RAIL + 48), (FORK, FOOT + MORE)], weight=2)
    canvas.dot(FORK, RAIL, r=4.5)
    label(canvas, BEFORE, RAIL, "dh", ("to", "$t - 1$"))
    canvas.math(FORK, FOOT + MORE + 15, "dx_t")
    canvas.text(FORK + 34, RAIL + 36, "$da_t = (di, df, dg, do)$ stacked", size=13, tone="muted")


def draw() -> Canvas:
    canvas = Canvas(
        "lstm_backward",
        WIDTH,
        CELL_HEIGHT + MORE,
        title="The gradient's way back through one LSTM step",
        desc="The LSTM cell with all arrows reversed. dh comes from the output above and from step t+1; the "
        "two add up to dh_t. Times tanh(c_t) it goes to the output gate, times o_t and 1 - tanh^2(c_t) "
        "to the memory line, where it is added to dc from step t+1; the sum is dc_t. dc_t goes, times "
        "c_{t-1}, to the forget gate; times g_t to the input gate; times i_t to the candidate; and "
        "times f_t to step t-1. Each box multiplies by its slope: f(1-f), i(1-i), 1-g^2, o(1-o). The "
        "four results di, df, dg, do, stacked, are da_t; W_hh transposed times da_t goes to step t-1 "
        "and W_ih transposed times da_t is dx_t.",
    )
    draw_frame(canvas, MORE)
    draw_memory(canvas)
    draw_hidden(canvas)
    draw_gates(canvas)
    draw_inputs(canvas)
    return canvas


def figures() -> dict[str, str]:
    return {"lstm_backward.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
