"""The GRU unrolled over three steps."""

from typing import Any

from diagram import Canvas, write

WIDTH = 760
PITCH, LEFT, CELL = 230, 54, 192  # cells: distance to the next, left edge of the first, width
MEMORY, GATES, RAIL, INPUT = 112, 214, 290, 338  # heights
FORK, KEEP, SUM, WRITE, OUT = 20, 80, 104, 126, 172  # columns: h down, z, W_hh h + W_ih x + b, n, h out
R, BOX = 11, 22  # radius of an operator, half the height of the gates' box
STEPS = ("{t-1}", "t", "{t+1}")


def draw_step(canvas: Canvas, left: float, step: str, h_end: float) -> None:
    """One cell; its line of h ends at the column h_end."""
    fork, keep, total, write_, out = (left + column for column in (FORK, KEEP, SUM, WRITE, OUT))
    canvas.box(left + CELL / 2, 213, CELL, 314, tone="muted", fill=None, weight=1.2, radius=14)
    canvas.text(left + 12, 78, f"step ${step.strip('{}')}$", size=13, tone="muted")
    red: dict[str, Any] = {"tone": "red", "weight": 3.2}
    plain: dict[str, Any] = {"weight": 1.8}
    # the state's way through the step
    canvas.wire([(keep + R, MEMORY), (write_ - R, MEMORY)], **red)
    canvas.wire([(write_ + R, MEMORY), (h_end, MEMORY)], **red)
    canvas.operator(keep, MEMORY, "×", tone="blue", r=R)
    canvas.operator(write_, MEMORY, "+", tone="red", r=R)
    canvas.wire([(keep, GATES - BOX), (keep, MEMORY + R)], tone="blue", dash="gate")
    canvas.wire([(write_, GATES - BOX), (write_, MEMORY + R)], tone="purple")
    canvas.math(keep - 7, 160, "z", size=16, anchor="end", tone="blue")
    canvas.math(write_ + 6, 166, "(1-z) ⊙ n", size=12.5, anchor="start", tone="purple")
    canvas.wire([(out, MEMORY), (out, 36)], **plain)
    canvas.dot(out, MEMORY, tone="red")
    # the gates, and the matrices before them
    canvas.wire([(fork, MEMORY), (fork, RAIL), (left + 34, RAIL)], **plain)
    canvas.dot(fork, MEMORY, tone="red")
    canvas.box(left + 104, GATES, 124, 2 * BOX)
    for letter, x, tone in (("r", left + 56, "green"), ("z", keep, "blue"), ("n", write_, "purple")):
        canvas.math(x, GATES - 3, letter, size=17, tone=tone)
    canvas.text(left + 104, GATES + 15, "gates, candidate", size=12.5, anchor="middle")
    canvas.wire([(total, RAIL - R), (total, GATES + BOX)], **plain)
    canvas.wire([(left + 82, RAIL), (total - R, RAIL)], **plain)
    canvas.wire([(total, INPUT - 13), (total, RAIL + R)], **plain)
    canvas.wire([(total, 390), (total, INPUT + 13)], **plain)
    canvas.wire([(total + 37, RAIL), (total + R, RAIL)], **plain)
    canvas.math(total + 46, RAIL + 5, "b", size=16)
    canvas.operator(total, RAIL, "+", r=R)
    for x, y, name in ((left + 58, RAIL, "W_{hh}"), (total, INPUT, "W_{ih}")):
        canvas.box(x, y, 48, 26, weight=2.4, radius=4)
        canvas.math(x, y + 5, name, size=16)
    canvas.math(out, 25, f"h_{step}", size=17)
    canvas.math(total, 408, f"x_{step}", size=17)


def draw() -> Canvas:
    canvas = Canvas(
        "gru_unrolled",
        WIDTH,
        520,
        title="The GRU unrolled over time",
        desc="Three cells side by side, for the steps t-1, t and t+1. Each gets its x from below and gives "
        "its h above. One line runs from step to step: the state h, which passes a product with z and a "
        "sum with 1 - z times the candidate n. From this line h also goes down, through the matrix W_hh, "
        "into the gates and the candidate. W_hh, W_ih and b are the same at every step.",
    )
    edges = [LEFT + PITCH * number for number in range(len(STEPS))]
    canvas.wire([(10, MEMORY), (edges[0] + KEEP - R, MEMORY)], tone="red", weight=3.2)
    for edge, step, h_end in zip(edges, STEPS, [*(e + KEEP - R for e in edges[1:]), WIDTH - 8], strict=True):
        draw_step(canvas, edge, step, h_end)
    for x, step in zip((26, 265, 495, 730), ("{t-2}", *STEPS), strict=True):
        canvas.math(x, MEMORY - 10, f"h_{step}", size=16, tone="red")
    canvas.bracket(LEFT, edges[-1] + CELL, 432)
    lines = (
        "$W_{ih}$, $W_{hh}$ and $b$ hold the weights of all three boxes, and are the same at every step.",
        "One line is memory and output at once: on it only $× z$ and $+$, no matrix.",
    )
    for row, line in enumerate(lines):
        canvas.text(WIDTH / 2, 462 + 23 * row, line, size=14, anchor="middle")
    return canvas


def figures() -> dict[str, str]:
    return {"gru_unrolled.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
