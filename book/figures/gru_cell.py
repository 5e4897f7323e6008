"""The GRU cell."""

from diagram import Canvas, write

WIDTH = 760
LEFT, RIGHT, TOP, BOTTOM = 76, 676, 56, 430  # the cell's frame
ENTRY, EXIT = 58, 702
STATE, MIX, GATES, RAIL = 112, 196, 290, 378  # heights of state line, product, boxes, line of x and h
JOIN, OUT = 120, 640
X_R, X_Z, X_N = 220, 400, 560  # columns of the boxes
SUM = 560
R = 13


def gate_box(canvas: Canvas, x: float, symbol: str, name: str, tone: str) -> None:
    canvas.box(x, GATES, 104, 56, tone=tone, weight=2)
    canvas.math(x, GATES - 3, symbol, size=20, tone=tone)
    canvas.text(x, GATES + 18, name, size=13, anchor="middle", tone=tone)


def draw_cell(canvas: Canvas) -> None:
    canvas.box(
        (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2, RIGHT - LEFT, BOTTOM - TOP,
        tone="muted", fill=None, weight=1.2, radius=16,
    )  # fmt: skip
    # the state line: times z, plus (1 - z) n
    canvas.wire([(ENTRY, STATE), (X_Z - R, STATE)], tone="red", weight=3.2)
    canvas.wire([(X_Z + R, STATE), (SUM - R, STATE)], tone="red", weight=3.2)
    canvas.wire([(SUM + R, STATE), (EXIT, STATE)], tone="red", weight=3.2)
    canvas.wire([(OUT, STATE), (OUT, 36)], weight=2)
    canvas.dot(OUT, STATE, tone="red", r=4.5)
    # x, and h_{t-1} from its line
    canvas.wire([(JOIN, STATE), (JOIN, RAIL - 6)], weight=2)
    canvas.dot(JOIN, STATE, tone="red", r=4.5)
    canvas.wire([(JOIN, 456), (JOIN, RAIL + 6)], weight=2)
    canvas.wire([(JOIN, RAIL), (X_N, RAIL), (X_N, GATES + 28)], weight=2)
    for x in (X_R, X_Z):
        canvas.wire([(x, RAIL), (x, GATES + 28)], weight=2)
        canvas.dot(x, RAIL)
    canvas.box(JOIN, RAIL, 12, 12, fill="paper", radius=6, weight=2)
    # the gates and what they open
    canvas.wire([(X_R, GATES - 28), (X_R, 234), (494, 234), (494, GATES), (X_N - 52, GATES)],
                tone="green", weight=2, dash="gate", hops=[(X_Z, 234)])  # fmt: skip
    canvas.wire([(X_Z, GATES - 28), (X_Z, STATE + R)], tone="blue", weight=2, dash="gate")
    canvas.wire([(X_Z, MIX), (SUM - R, MIX)], tone="blue", weight=2, dash="gate")
    canvas.dot(X_Z, MIX, tone="blue")
    canvas.wire([(X_N, GATES - 28), (X_N, MIX + R)], tone="purple", weight=2)
    canvas.wire([(SUM, MIX - R), (SUM, STATE + R)], tone="purple", weight=2)
    canvas.operator(X_Z, STATE, "×", tone="blue")
    canvas.operator(SUM, STATE, "+", tone="red")
    canvas.operator(SUM, MIX, "×", tone="purple")
    gate_box(canvas, X_R, "σ", "reset gate", "green")
    gate_box(canvas, X_Z, "σ", "update gate", "blue")
    gate_box(canvas, X_N, "tanh", "candidate", "purple")
    canvas.math(X_R + 9, 256, "r_t", size=17, anchor="start", tone="green")
    canvas.math(X_Z - 9, 178, "z_t", size=17, anchor="end", tone="blue")
    canvas.math(474, MIX - 9, "1 - z_t", size=16, tone="blue")
    canvas.math(X_N + 9, 248, "n_t", size=17, anchor="start", tone="purple")
    canvas.math(480, STATE - 11, "z_t ⊙ h_{t-1}", size=16, tone="red")
    canvas.math(SUM + 9, 158, "(1 - z_t) ⊙ n_t", size=15, anchor="start", tone="purple")
    canvas.math(34, STATE + 5, "h_{t-1}", tone="red")
    canvas.math(728, STATE + 5, "h_t", tone="red")
    canvas.math(OUT, 24, "h_t")
    canvas.text(OUT + 15, 23, "output", size=12.5, tone="muted")
    canvas.math(JOIN, 474, "x_t")
    canvas.text(JOIN + 18, 473, "input", size=12.5, tone="muted")
    canvas.text(JOIN + 22, 412, "$x_t$ and $h_{t-1}$ enter all three boxes", size=13, tone="muted")


def draw() -> Canvas:
    canvas = Canvas(
        "gru_cell",
        WIDTH,
        490,
        title="The GRU cell",
        desc="The input x_t and the previous state h_{t-1} enter three boxes: reset gate r_t, update gate "
        "z_t and candidate n_t. r and z are sigmoids; the candidate is a tanh whose recurrent part is "
        "multiplied by r. The state runs along the top: h_{t-1} times z_t, plus 1 - z_t times n_t, "
        "gives h_t, which is also the output.",
    )
    draw_cell(canvas)
    return canvas


def figures() -> dict[str, str]:
    return {"gru_cell.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
