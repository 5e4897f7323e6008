"""The LSTM unrolled over two steps."""

from typing import Any

from diagram import Canvas, write
from lstm_cell import TONES

WIDTH = 446  # a phone shows it whole
PITCH, LEFT, CELL = 210, 32, 182  # cells: distance to the next, left edge of the first, width
MEMORY, SQUASH, PRODUCT, GATES, RAIL, INPUT = 112, 152, 194, 256, 324, 372  # heights
KEEP, WRITE, SHOW, OUT = 36, 88, 136, 172  # columns inside a cell: f, i ⊙ g, o, and where h leaves
SUM = 88  # column of W_hh h + W_ih x + b
R, BOX = 11, 22  # radius of an operator, half the height of the gates' box
STEPS = ("{t-1}", "t")


def draw_step(canvas: Canvas, left: float, step: str, c_end: float, h_end: float) -> None:
    """One cell; its lines of c and h end at the columns c_end and h_end."""
    keep, write_, show, out, total = (left + column for column in (KEEP, WRITE, SHOW, OUT, SUM))
    canvas.box(left + CELL / 2, 230, CELL, 348, tone="muted", fill=None, weight=1.2, radius=14)
    canvas.text(left + 12, 78, f"step ${step.strip('{}')}$", size=13, tone="muted")
    red: dict[str, Any] = {"tone": "red", "weight": 3.2}
    plain: dict[str, Any] = {"weight": 1.8}
    # the memory line
    canvas.wire([(keep + R, MEMORY), (write_ - R, MEMORY)], **red)
    canvas.wire([(write_ + R, MEMORY), (c_end, MEMORY)], **red)
    canvas.operator(keep, MEMORY, "×", tone="blue", r=R)
    canvas.operator(write_, MEMORY, "+", tone="red", r=R)
    # what the gates do to it
    canvas.wire([(keep, GATES - BOX), (keep, MEMORY + R)], tone="blue", dash="gate")
    canvas.wire([(write_, GATES - BOX), (write_, MEMORY + R)], tone="green")
    canvas.wire([(show, GATES - BOX), (show, PRODUCT + R)], tone="orange", dash="gate")
    canvas.wire([(show, MEMORY), (show, SQUASH - 11)], tone="red")
    canvas.wire([(show, SQUASH + 11), (show, PRODUCT - R)], tone="red")
    canvas.dot(show, MEMORY, tone="red")
    canvas.box(show, SQUASH, 42, 22, tone="red", radius=11)
    canvas.math(show, SQUASH + 5, "tanh", size=14, tone="red")
    canvas.operator(show, PRODUCT, "×", tone="orange", r=R)
    canvas.math(keep - 8, 182, "f", size=16, anchor="end", tone="blue")
    canvas.math(write_ - 7, 182, "i ⊙ g", size=15, anchor="end", tone="green")
    canvas.math(show - 7, 228, "o", size=16, anchor="end", tone="orange")
    # the four gates, and the matrices before them
    canvas.box(left + SUM, GATES, 138, 2 * BOX)
    for letter, x in (("f", keep), ("i", write_ - 11), ("g", write_ + 11), ("o", show)):
        canvas.math(x, GATES - 3, letter, size=17, tone=TONES[letter])
    canvas.text(left + SUM, GATES + 15, "gates, candidate", size=12.5, anchor="middle")
    canvas.wire([(total, RAIL - R), (total, GATES + BOX)], **plain)
    canvas.wire([(left + 64, RAIL), (total - R, RAIL)], **plain)
    canvas.wire([(total, INPUT - 13), (total, RAIL + R)], **plain)
    canvas.wire([(total, 424), (total, INPUT + 13)], **plain)
    canvas.wire([(total + 37, RAIL), (total + R, RAIL)], **plain)
    canvas.math(total + 46, RAIL + 5, "b", size=16)
    canvas.operator(total, RAIL, "+", r=R)
    for x, y, name in ((left + 40, RAIL, "W_{hh}"), (total, INPUT, "W_{ih}")):
        canvas.box(x, y, 48, 26, weight=2.4, radius=4)
        canvas.math(x, y + 5, name, size=16)
    # the hidden state
    canvas.wire([(show + R, PRODUCT), (out, PRODUCT)], head=False, **plain)
    canvas.wire([(out, PRODUCT), (out, 36)], hops=[(out, MEMORY)], **plain)
    canvas.wire([(out, PRODUCT), (out, RAIL), (h_end, RAIL)], **plain)
    canvas.dot(out, PRODUCT)
    canvas.math(out, 25, f"h_{step}", size=17)
    canvas.math(total, 442, f"x_{step}", size=17)


def draw() -> Canvas:
    canvas = Canvas(
        "lstm_unrolled",
        WIDTH,
        572,
        title="The LSTM unrolled over time",
        desc="Two cells side by side, for the steps t-1 and t. Each gets its x from below and gives "
        "its h above. Two lines run from step to step. The cell state c passes a product with f and a "
        "sum with i times g, and no matrix. The hidden state h passes the matrix W_hh into the gates "
        "of the next step, where W_ih x is added. W_hh, W_ih and b are the same at every step.",
    )
    edges = [LEFT + PITCH * number for number in range(len(STEPS))]
    canvas.wire([(4, MEMORY), (edges[0] + KEEP - R, MEMORY)], tone="red", weight=3.2)
    canvas.wire([(4, RAIL), (edges[0] + 16, RAIL)])
    for edge, step, c_end, h_end in zip(
        edges,
        STEPS,
        [*(e + KEEP - R for e in edges[1:]), WIDTH - 2],
        [*(e + 16 for e in edges[1:]), WIDTH - 2],
        strict=True,
    ):
        draw_step(canvas, edge, step, c_end, h_end)
    for x, step in zip((16, 228, 436), ("{t-2}", *STEPS), strict=True):
        canvas.math(x, MEMORY - 10, f"c_{step}", size=13, tone="red")
        canvas.math(x, RAIL - 10, f"h_{step}", size=13)
    canvas.bracket(LEFT, edges[-1] + CELL, 466)
    lines = (
        "$W_{ih}$, $W_{hh}$ and $b$ hold the weights of all four boxes,",
        "and are the same at every step.",
        "The way of $c$, the thick line: only $× f$ and $+$, no matrix.",
        "The way of $h$: through $W_{hh}$ at every step.",
    )
    for row, line in enumerate(lines):
        canvas.text(WIDTH / 2, 494 + 22 * row, line, size=13, anchor="middle")
    return canvas


def figures() -> dict[str, str]:
    return {"lstm_unrolled.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
