"""The gradient's way back through one step of the GRU, on the layout of the cell."""

from diagram import Canvas, write

WIDTH = 760
LEFT, RIGHT, TOP, BOTTOM = 76, 676, 56, 476  # the cell's frame
ENTRY, EXIT = 58, 702
STATE, MIX, GATES = 112, 196, 290  # heights of state line, products, boxes
RAIL_H, RAIL_X = 378, 420  # lines of what goes to h_{t-1} and of what goes to x_t
JOIN, OUT = 120, 644
X_R, X_Z, X_RESET, X_N = 230, 396, 486, 584  # columns of the boxes, and of the reset's product
R = 13
GATE_TOP, GATE_FOOT = GATES - 28, GATES + 28


def label(canvas: Canvas, x: float, words: tuple[str, ...]) -> None:
    canvas.math(x, STATE + 5, "dh", tone="red")
    for row, word in enumerate(words):
        canvas.text(x, STATE + 25 + 15 * row, word, size=12.5, anchor="middle", tone="muted")


def gate_box(canvas: Canvas, x: float, slope: str, name: str, tone: str) -> None:
    canvas.box(x, GATES, 96, 56, tone=tone, weight=2)
    canvas.math(x, GATES - 3, slope, size=16, tone=tone)
    canvas.text(x, GATES + 18, name, size=13, anchor="middle", tone=tone)


def draw_state(canvas: Canvas) -> None:
    """dh from above and from the right; times z it goes on to the left."""
    canvas.wire([(EXIT, STATE), (OUT + R, STATE)], tone="red", weight=3.2)
    canvas.wire([(OUT, 34), (OUT, STATE - R)], weight=2)
    canvas.wire([(OUT - R, STATE), (X_Z + R, STATE)], tone="red", weight=3.2)
    canvas.wire([(X_Z - R, STATE), (JOIN + R, STATE)], tone="red", weight=3.2)
    canvas.wire([(JOIN - R, STATE), (ENTRY, STATE)], tone="red", weight=3.2)
    canvas.operator(OUT, STATE, "+", tone="red")
    canvas.operator(JOIN, STATE, "+", tone="red")
    canvas.math(OUT, 24, "dh", size=18)
    canvas.text(OUT - 17, 23, "from the output", size=12.5, anchor="end", tone="muted")
    canvas.math(500, STATE - 11, "dh_t", size=17, tone="red")
    canvas.math(X_Z - 22, STATE - 12, "⊙ z_t", size=16, anchor="end")
    label(canvas, 728, ("from step", "$t + 1$"))
    label(canvas, 32, ("to step", "$t - 1$"))


def draw_mix(canvas: Canvas) -> None:
    """What the mixture sends to the candidate and to the update gate."""
    canvas.wire([(X_N, STATE), (X_N, MIX - R)], tone="red", weight=2)
    canvas.dot(X_N, STATE, tone="red", r=5)
    canvas.wire([(X_N, MIX + R), (X_N, GATE_TOP)], tone="purple", weight=2)
    canvas.wire([(X_N - R, MIX), (X_Z + R, MIX)], tone="blue", weight=2)
    canvas.wire([(X_Z, STATE + R), (X_Z, MIX - R)], tone="blue", weight=2)
    canvas.wire([(X_Z, MIX + R), (X_Z, GATE_TOP)], tone="blue", weight=2)
    canvas.operator(X_Z, STATE, "×", tone="muted")
    canvas.operator(X_N, MIX, "×", tone="muted")
    canvas.operator(X_Z, MIX, "+", tone="blue")
    canvas.math(X_Z + 9, 160, "⊙ h_{t-1}", size=16, anchor="start")
    canvas.math(500, MIX - 9, "⊙ (-n_t)", size=16)
    canvas.math(X_N + 8, 234, "⊙ (1 - z_t)", size=15, anchor="start")


def draw_reset(canvas: Canvas) -> None:
    """From the candidate to its recurrent part and to the reset gate."""
    canvas.wire([(X_N - 48, GATES), (X_RESET + R, GATES)], tone="purple", weight=2)
    canvas.wire([(X_RESET, GATES - R), (X_RESET, 236), (X_R, 236), (X_R, GATE_TOP)], tone="green", weight=2,
                hops=[(X_Z, 236)])  # fmt: skip
    canvas.wire([(X_RESET, GATES + R), (X_RESET, RAIL_H), (JOIN, RAIL_H), (JOIN, 320)], weight=2)
    canvas.operator(X_RESET, GATES, "×", tone="muted")
    canvas.math(310, 227, "⊙ q_t", size=16)
    canvas.math(X_RESET + 9, 328, "⊙ r_t", size=16, anchor="start")
    canvas.math(X_RESET + 9, 360, "dq", size=16, anchor="start", tone="purple")


def draw_inputs(canvas: Canvas) -> None:
    """dr, dz and dq through W_hh to h_{t-1}; dr, dz and dn through W_ih to x_t."""
    canvas.wire([(X_N, GATE_FOOT), (X_N, RAIL_X), (JOIN, RAIL_X), (JOIN, 436)], weight=2)
    for x, name, tone in ((X_R, "dr", "green"), (X_Z, "dz", "blue")):
        canvas.wire([(x, GATE_FOOT), (x, RAIL_X - 6)], weight=2)
        canvas.dot(x, RAIL_H)
        canvas.box(x, RAIL_X, 12, 12, fill="paper", radius=6, weight=2)
        canvas.math(x + 8, 346, name, size=16, anchor="start", tone=tone)
    canvas.math(X_N + 8, 346, "dn", size=16, anchor="start", tone="purple")
    canvas.box(JOIN, 307, 48, 26, weight=2)
    canvas.math(JOIN, 312, "W_{hh}^T", size=15)
    canvas.wire([(JOIN, 294), (JOIN, STATE + R)], weight=2)
    canvas.box(JOIN, 449, 48, 26, fill="fill", weight=2)
    canvas.math(JOIN, 454, "W_{ih}^T", size=15)
    canvas.wire([(JOIN, 462), (JOIN, 500)], weight=2)
    canvas.math(JOIN, 518, "dx_t")
    canvas.text(160, RAIL_H - 10, "$dr, dz, dq$", size=13, tone="muted")
    canvas.text(160, RAIL_X - 10, "$dr, dz, dn$", size=13, tone="muted")


def draw() -> Canvas:
    canvas = Canvas(
        "gru_backward",
        WIDTH,
        536,
        title="The gradient's way back through one GRU step",
        desc="The GRU cell, the reset gate after the product, with all arrows reversed. dh comes from the "
        "output above and from step t+1; the two add up to dh_t. Times z_t it goes on along the state line "
        "towards step t-1. Times 1 - z_t it goes to the candidate, whose slope is 1 - n^2, and becomes dn. "
        "The update gate gets dh_t times h_{t-1} and dh_t times minus n_t, which add up; its slope is "
        "z(1-z), and the result is dz. dn times r_t is dq, the gradient of the candidate's recurrent part "
        "q_t; dn times q_t goes to the reset gate, with slope r(1-r), and becomes dr. dr, dz and dq go "
        "through W_hh transposed to step t-1, where they are added to dh_t times z_t; dr, dz and dn go "
        "through W_ih transposed and give dx_t.",
    )
    canvas.box(
        (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2, RIGHT - LEFT, BOTTOM - TOP,
        tone="muted", fill=None, weight=1.2, radius=16,
    )  # fmt: skip
    draw_state(canvas)
    draw_mix(canvas)
    draw_reset(canvas)
    draw_inputs(canvas)
    gate_box(canvas, X_R, "r_t (1 - r_t)", "reset gate", "green")
    gate_box(canvas, X_Z, "z_t (1 - z_t)", "update gate", "blue")
    gate_box(canvas, X_N, "1 - n_t^2", "candidate", "purple")
    return canvas


def figures() -> dict[str, str]:
    return {"gru_backward.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
