"""The LSTM cell, and the layout that the other figures of the chapter share (`draw_cell`)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from diagram import Canvas, write

WIDTH, CELL_HEIGHT = 446, 408  # a phone shows it whole
LEFT, RIGHT, TOP, BOTTOM = 44, 404, 52, 362  # the cell's frame
ENTRY, EXIT = 38, 414  # where the lines from the step before begin, and where those to the step after end
BEFORE, AFTER = 21, 427  # columns of what stands at the two edges
MEMORY, SQUASH, PRODUCT = 96, 142, 190  # heights of memory line, tanh, products
GATES, RAIL, FOOT = 268, 336, 386  # heights of the boxes, the line of x and h, and where x comes in
JOIN, ADD, OUT = 58, 221, 393  # columns: x meets h, the sum on the memory line, h leaves
COLUMNS = {"f": 102, "i": 181, "g": 260, "o": 341}
X_F, X_I, X_G, X_O = COLUMNS.values()
GATE_WIDTH, GATE_HEIGHT, R = 74, 52, 13  # R: radius of an operator
GATE_TOP, GATE_FOOT = GATES - GATE_HEIGHT / 2, GATES + GATE_HEIGHT / 2
BETWEEN = (PRODUCT + R + GATE_TOP) / 2 + 5  # baseline of a letter between products and boxes
TONES = {"f": "blue", "i": "green", "g": "purple", "o": "orange", "memory": "red", "tanh": "red", "h": "ink"}
SYMBOLS = {"f": "σ", "i": "σ", "g": "tanh", "o": "σ"}
NAMES = {"f": "forget gate", "i": "input gate", "g": "candidate", "o": "output gate"}
FORMULAS = {
    "f": "f_t = σ(W_{if} x_t + W_{hf} h_{t-1} + b_f)",
    "i": "i_t = σ(W_{ii} x_t + W_{hi} h_{t-1} + b_i)",
    "g": "g_t = tanh(W_{ig} x_t + W_{hg} h_{t-1} + b_g)",
    "o": "o_t = σ(W_{io} x_t + W_{ho} h_{t-1} + b_o)",
}


@dataclass(frozen=True)
class Look:
    """Which parts of a cell there are, and which of them stand out as new (None: all are alike).

    lift: by how much letters between products and boxes stand higher, so that a number has room below.
    """

    parts: Collection[str] = tuple(TONES)
    new: Collection[str] | None = None
    lift: float = 0

    def tone(self, part: str) -> str:
        return TONES[part] if self.new is None or part in self.new else "muted"

    def weight(self, part: str) -> float:
        if self.new is None:
            return 3.2 if part == "memory" else 2
        return 3.4 if part in self.new else 1.6


def draw_cell(canvas: Canvas, look: Look) -> None:
    """Draw the cell, or as much of it as look.parts has, always at the same places."""
    draw_frame(canvas)
    draw_inputs(canvas, look)
    if "memory" in look.parts:
        draw_memory(canvas, look)
        draw_candidate(canvas, look)
    else:
        draw_plain(canvas, look)
    for part, draw_part in (
        ("i", draw_input_gate),
        ("f", draw_forget_gate),
        ("tanh", draw_squash),
        ("o", draw_output_gate),
    ):
        if part in look.parts:
            draw_part(canvas, look)
    draw_output(canvas, look)


def draw_frame(canvas: Canvas, more: float = 0) -> None:
    canvas.box(
        (LEFT + RIGHT) / 2,
        (TOP + BOTTOM + more) / 2,
        RIGHT - LEFT,
        BOTTOM + more - TOP,
        tone="muted",
        fill=None,
        weight=1.2,
        radius=16,
    )


def label(
    canvas: Canvas, x: float, y: float, formula: str, words: tuple[str, ...], tone: str = "ink"
) -> None:
    """A letter at the edge of the figure, with its name in small words under it."""
    canvas.math(x, y + 5, formula, size=16, tone=tone)
    for row, word in enumerate(words):
        canvas.text(x, y + 23 + 14 * row, word, size=11.5, anchor="middle", tone="muted")


def draw_inputs(canvas: Canvas, look: Look) -> None:
    """h from the left and x from below come together and go to every gate that there is."""
    tone, weight = look.tone("h"), look.weight("h")
    with canvas.part("h-before"):
        canvas.wire([(ENTRY, RAIL), (JOIN - 6, RAIL)], tone=tone, weight=weight)
    with canvas.part("x"):
        canvas.wire([(JOIN, FOOT), (JOIN, RAIL + 6)], tone=tone, weight=weight)
    columns = [(part, column) for part, column in COLUMNS.items() if part in look.parts]
    start = JOIN
    for number, (part, column) in enumerate(columns):
        new = look.new is not None and part in look.new and "h" not in look.new
        line: dict[str, Any] = (
            {"tone": look.tone(part), "weight": look.weight(part)}
            if new
            else {"tone": tone, "weight": weight}
        )
        if number == len(columns) - 1:
            canvas.wire([(start, RAIL), (column, RAIL), (column, GATE_FOOT)], **line)
        else:
            canvas.wire([(start, RAIL), (column, RAIL)], tone=tone, weight=weight, head=False)
            canvas.wire([(column, RAIL), (column, GATE_FOOT)], **line)
            canvas.dot(column, RAIL, tone=tone)
        start = column
    ring(canvas, JOIN, RAIL, tone)
    label(canvas, BEFORE, RAIL, "h_{t-1}", ("hidden", "state"), tone)
    canvas.math(JOIN, FOOT + 15, "x_t", tone=tone)
    canvas.text(JOIN + 15, FOOT + 14, "input", size=12.5, tone="muted")


def ring(canvas: Canvas, x: float, y: float, tone: str = "ink") -> None:
    """The sign of two vectors side by side."""
    canvas.box(x, y, 12, 12, tone=tone, fill="paper", radius=6, weight=2)


def draw_plain(canvas: Canvas, look: Look) -> None:
    """The one box of a plain cell, and its way out."""
    gate_box(canvas, look, "g", "new state")
    canvas.wire(
        [(X_G, GATE_TOP), (X_G, PRODUCT), (OUT, PRODUCT)],
        tone=look.tone("h"),
        weight=look.weight("h"),
        head=False,
    )


def draw_memory(canvas: Canvas, look: Look) -> None:
    line: dict[str, Any] = {"tone": look.tone("memory"), "weight": look.weight("memory")}
    start = ENTRY
    if "f" in look.parts:
        with canvas.part("c-before"):
            canvas.wire([(ENTRY, MEMORY), (X_F - R, MEMORY)], **line)
        start = X_F + R
    with canvas.part("kept"):
        canvas.wire([(start, MEMORY), (ADD - R, MEMORY)], **line)
    with canvas.part("c"):
        canvas.wire([(ADD + R, MEMORY), (EXIT, MEMORY)], **line)
    canvas.operator(ADD, MEMORY, "+", tone=look.tone("memory"))
    label(canvas, BEFORE, MEMORY, "c_{t-1}", ("cell", "state"), look.tone("memory"))
    label(canvas, AFTER, MEMORY, "c_t", ("cell", "state"), look.tone("memory"))
    canvas.math((ADD + X_O) / 2, MEMORY - 11, "c_t", size=16, tone=look.tone("memory"))


def gate_box(canvas: Canvas, look: Look, part: str, name: str | None = None) -> None:
    tone, x = look.tone(part), COLUMNS[part]
    canvas.box(x, GATES, GATE_WIDTH, GATE_HEIGHT, tone=tone, weight=look.weight(part))
    canvas.math(x, GATES - 3, SYMBOLS[part], size=20, tone=tone)
    canvas.text(x, GATES + 18, name or NAMES[part], size=11.5, anchor="middle", tone=tone)


def draw_candidate(canvas: Canvas, look: Look) -> None:
    gate_box(canvas, look, "g")
    path = [(X_G, GATE_TOP), (X_G, PRODUCT), (ADD + R, PRODUCT)]
    with canvas.part("g"):
        canvas.wire(path, tone=look.tone("g"), weight=look.weight("g"))
    canvas.math(X_G + 8, BETWEEN - look.lift, "g_t", size=17, anchor="start", tone=look.tone("g"))


def draw_input_gate(canvas: Canvas, look: Look) -> None:
    tone, weight = look.tone("i"), look.weight("i")
    gate_box(canvas, look, "i")
    path = [(X_I, GATE_TOP), (X_I, PRODUCT), (ADD - R, PRODUCT)]
    with canvas.part("i"):
        canvas.wire(path, tone=tone, weight=weight, dash="gate")
    with canvas.part("written"):
        canvas.wire([(ADD, PRODUCT - R), (ADD, MEMORY + R)], tone=tone, weight=weight)
    canvas.operator(ADD, PRODUCT, "×", tone=tone)
    canvas.math(X_I - 8, BETWEEN - look.lift, "i_t", size=17, anchor="end", tone=tone)
    canvas.math(ADD + 9, SQUASH + 5, "i_t ⊙ g_t", size=16, anchor="start", tone=tone)


def draw_forget_gate(canvas: Canvas, look: Look) -> None:
    tone = look.tone("f")
    gate_box(canvas, look, "f")
    with canvas.part("f"):
        canvas.wire([(X_F, GATE_TOP), (X_F, MEMORY + R)], tone=tone, weight=look.weight("f"), dash="gate")
    canvas.operator(X_F, MEMORY, "×", tone=tone)
    canvas.math(X_F + 8, PRODUCT, "f_t", size=17, anchor="start", tone=tone)
    canvas.math((X_F + ADD) / 2 - 2, MEMORY - 11, "f_t ⊙ c_{t-1}", size=16, tone=tone)


def draw_squash(canvas: Canvas, look: Look) -> None:
    tone, weight = look.tone("tanh"), look.weight("tanh")
    with canvas.part("c"):
        canvas.wire([(X_O, MEMORY), (X_O, SQUASH - R)], tone=tone, weight=weight)
    canvas.dot(X_O, MEMORY, tone=look.tone("memory"), r=4.5)
    if "o" in look.parts:
        with canvas.part("tanh"):
            canvas.wire([(X_O, SQUASH + R), (X_O, PRODUCT - R)], tone=tone, weight=weight)
    else:
        canvas.wire([(X_O, SQUASH + R), (X_O, PRODUCT), (OUT, PRODUCT)], tone=tone, weight=weight, head=False)
    canvas.box(X_O, SQUASH, 54, 2 * R, tone=tone, radius=R, weight=weight)
    canvas.math(X_O, SQUASH + 5, "tanh", size=16, tone=tone)


def draw_output_gate(canvas: Canvas, look: Look) -> None:
    tone = look.tone("o")
    gate_box(canvas, look, "o")
    with canvas.part("o"):
        canvas.wire([(X_O, GATE_TOP), (X_O, PRODUCT + R)], tone=tone, weight=look.weight("o"), dash="gate")
    path = [(X_O + R, PRODUCT), (OUT, PRODUCT)]
    with canvas.part("h"):
        canvas.wire(path, tone=look.tone("h"), weight=look.weight("h"), head=False)
    canvas.operator(X_O, PRODUCT, "×", tone=tone)
    canvas.math(X_O + 8, BETWEEN - look.lift, "o_t", size=17, anchor="start", tone=tone)


def draw_output(canvas: Canvas, look: Look) -> None:
    """h upwards to the output, and on to the next step."""
    tone, weight = look.tone("h"), look.weight("h")
    hops = [(OUT, MEMORY)] if "memory" in look.parts else []
    with canvas.part("h"):
        canvas.wire([(OUT, PRODUCT), (OUT, 34)], tone=tone, weight=weight, hops=hops)
        canvas.wire([(OUT, PRODUCT), (OUT, RAIL), (EXIT, RAIL)], tone=tone, weight=weight)
    canvas.dot(OUT, PRODUCT, tone=tone, r=4.5)
    canvas.math(OUT, 24, "h_t", tone=tone)
    canvas.text(OUT - 13, 23, "output", size=12.5, anchor="end", tone="muted")
    label(canvas, AFTER, RAIL, "h_t", ("hidden", "state"), tone)


def draw() -> Canvas:
    canvas = Canvas(
        "lstm_cell",
        WIDTH,
        CELL_HEIGHT,
        title="The LSTM cell",
        desc="The input x_t and the previous hidden state h_{t-1} enter four boxes: forget gate f_t, input "
        "gate i_t, candidate g_t and output gate o_t. f, i and o are sigmoids of W_i x_t + W_h h_{t-1} + "
        "b, g is a tanh of the same form, each with its own weights. The cell state runs along the "
        "top: c_{t-1} is multiplied by f_t, then i_t times g_t is added, which gives c_t. The output "
        "h_t is o_t times tanh(c_t); it leaves upwards and goes on to the next step, as c_t does.",
    )
    draw_cell(canvas, Look())
    canvas.text(JOIN + 22, RAIL + 19, "$x_t$ and $h_{t-1}$ enter all four boxes", size=13, tone="muted")
    return canvas


def figures() -> dict[str, str]:
    return {"lstm_cell.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
