"""Bahdanau's order and Luong's: one decoder step each, in two drawings that fit a phone."""

from diagram import Canvas, write

WIDTH, HEIGHT = 416, 476
STATE, ATTEND, JOIN, OUT, WORD = 320, 210, 126, 46, 424  # heights


def state_line(canvas: Canvas, left: float, cell: float, right: float, word: float = 0) -> None:
    """The decoder's state through the cell f, from s_{i-1} to s_i."""
    canvas.wire([(left, STATE), (cell - 34, STATE)], tone="blue", weight=3)
    canvas.wire([(cell + 34, STATE), (right, STATE)], tone="blue", weight=3)
    canvas.math(left + 18, STATE - 12, "s_{i-1}", size=17, tone="blue")
    canvas.math(right - 14, STATE - 12, "s_i", size=17, tone="blue")
    canvas.box(cell, STATE, 68, 52, tone="blue")
    canvas.math(cell, STATE + 6, "f", size=20, tone="blue")
    canvas.wire([(cell + word, WORD - 18), (cell + word, STATE + 26)])
    canvas.math(cell + word, WORD + 2, "y_{i-1}", size=17)


def attend_box(canvas: Canvas, x: float, source: float) -> None:
    """The box in which the query meets the keys, which come from `source` on the same height."""
    canvas.wire([(source, ATTEND), (x - 42, ATTEND)], tone="green", weight=2.2)
    canvas.box(x, ATTEND, 84, 44, tone="orange")
    canvas.text(x, ATTEND + 5, "attend", anchor="middle")


def bahdanau() -> Canvas:
    canvas = Canvas(
        "attention_orders",
        WIDTH,
        HEIGHT,
        title="Bahdanau's order",
        desc="One decoder step. The old state s_{i-1} is the query that meets the encoder's states h_1 to "
        "h_S; the context c_i that comes out enters the cell f together with the word before, y_{i-1}, and "
        "the cell makes the new state s_i. Three arrows give the distribution of the new word y_i: from s_i, "
        "from c_i, and from y_{i-1}.",
    )
    left, ask, cell, out, right = 14, 132, 222, 316, 404
    state_line(canvas, left, cell, right)
    attend_box(canvas, ask, 62)
    canvas.math(34, ATTEND + 5, "h_1…h_S", size=15, tone="green")
    canvas.dot(ask, STATE, tone="blue")
    canvas.wire([(ask, STATE), (ask, ATTEND + 22)], tone="blue", dash="gate")
    canvas.text(ask + 9, 276, "query", size=14, tone="blue")
    canvas.wire([(ask + 42, ATTEND), (cell, ATTEND), (cell, STATE - 26)], tone="orange", weight=2.4)
    canvas.math(cell + 9, 268, "c_i", size=18, anchor="start", tone="orange")
    canvas.dot(196, ATTEND, tone="orange", r=3.5)
    canvas.wire([(196, ATTEND), (196, JOIN), (out - 40, JOIN)], tone="orange", weight=2.4)
    canvas.dot(out - 18, STATE, tone="blue")
    canvas.wire([(out - 18, STATE), (out - 18, JOIN + 20)], tone="blue", weight=2.2)
    canvas.dot(cell, 382, r=3.5)
    canvas.wire([(cell, 382), (out + 18, 382), (out + 18, JOIN + 20)], hops=[(out + 18, STATE)])
    canvas.box(out, JOIN, 80, 40)
    canvas.math(out, JOIN + 6, "p(y_i)", size=16)
    canvas.text(WIDTH / 2, 462, "First $s_{i-1}$ asks, then comes the step.", size=15, anchor="middle")
    return canvas


def luong() -> Canvas:
    canvas = Canvas(
        "attention_orders_luong",
        WIDTH,
        HEIGHT,
        title="Luong's order",
        desc="One decoder step. The cell f first makes the new state s_i from the old one, the word before "
        "and, dashed, the attentional state of the step before. This new state s_i is the query that meets "
        "the encoder's states h_1 to h_S; the context c_i and s_i are joined by tanh of W_c into the "
        "attentional state, which alone gives the distribution of y_i and, dashed, is fed to the cell of the "
        "next step.",
    )
    left, cell, ask, up, right = 14, 112, 196, 278, 402
    state_line(canvas, left, cell, right, word=14)
    attend_box(canvas, ask, 92)
    canvas.math(62, ATTEND + 5, "h_1…h_S", size=15, tone="green")
    canvas.dot(ask, STATE, tone="blue")
    canvas.wire([(ask, STATE), (ask, ATTEND + 22)], tone="blue", dash="gate")
    canvas.text(ask - 9, 276, "query", size=14, tone="blue", anchor="end")
    canvas.wire([(ask, ATTEND - 22), (ask, JOIN + 20)], tone="orange", weight=2.4)
    canvas.math(ask + 9, 172, "c_i", size=18, anchor="start", tone="orange")
    canvas.dot(up, STATE, tone="blue")
    canvas.wire([(up, STATE), (up, JOIN + 20)], tone="blue", weight=2.2)
    canvas.math(up + 9, 232, "s_i", size=17, anchor="start", tone="blue")
    middle = (ask + up) / 2
    canvas.box(middle, JOIN, 136, 40, tone="purple")
    canvas.math(middle, JOIN + 6, "tanh W_c[c_i;s_i]", size=15, tone="purple")
    canvas.wire([(middle, JOIN - 20), (middle, OUT + 20)], tone="purple", weight=2.4)
    canvas.box(middle, OUT, 80, 40)
    canvas.math(middle, OUT + 6, "p(y_i)", size=16)
    # input feeding: out to the next step, and in from the one before
    fed = (JOIN + OUT) / 2
    canvas.dot(middle, fed, tone="purple", r=3.5)
    canvas.wire([(middle, fed), (right, fed)], tone="purple", dash="gate")
    canvas.math(right - 16, fed - 10, "h\u0303_i", size=17, tone="purple")
    canvas.wire([(left, 376), (cell - 16, 376), (cell - 16, STATE + 26)], tone="purple", dash="gate")
    canvas.math(left + 22, 398, "h\u0303_{i-1}", size=17, tone="purple")
    canvas.text(WIDTH / 2, 462, "First the step, then $s_i$ asks.", size=15, anchor="middle")
    return canvas


def figures() -> dict[str, str]:
    return {"attention_orders.svg": bahdanau().svg(), "attention_orders_luong.svg": luong().svg()}


if __name__ == "__main__":
    write(figures())
