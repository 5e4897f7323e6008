"""Bahdanau's order and Luong's: one decoder step each, in two drawings that fit a phone."""

from diagram import Canvas, write

WIDTH, HEIGHT = 416, 444
STATE, ATTEND, JOIN, OUT, WORD = 320, 210, 126, 46, 424  # heights
UP = 100  # Bahdanau's order has nothing above its output, and stands so much higher


def state_line(
    canvas: Canvas, left: float, cell: float, right: float, word: float = 0, up: float = 0
) -> None:
    """The decoder's state through the cell f, from s_{i-1} to s_i."""
    state, read = STATE - up, WORD - up
    canvas.wire([(left, state), (cell - 34, state)], tone="blue", weight=3)
    canvas.wire([(cell + 34, state), (right, state)], tone="blue", weight=3)
    canvas.math(left + 18, state - 12, "s_{i-1}", size=17, tone="blue")
    canvas.math(right - 14, state - 12, "s_i", size=17, tone="blue")
    canvas.box(cell, state, 68, 52, tone="blue")
    canvas.math(cell, state + 6, "f", size=20, tone="blue")
    canvas.wire([(cell + word, read - 18), (cell + word, state + 26)])
    canvas.math(cell + word, read + 2, "y_{i-1}", size=17)


def attend_box(canvas: Canvas, x: float, source: float, up: float = 0) -> None:
    """The box in which the query meets the keys, which come from `source` on the same height."""
    attend = ATTEND - up
    canvas.wire([(source, attend), (x - 42, attend)], tone="green", weight=2.2)
    canvas.box(x, attend, 84, 44, tone="orange")
    canvas.text(x, attend + 5, "attend", anchor="middle")


def bahdanau() -> Canvas:
    canvas = Canvas(
        "attention_orders",
        WIDTH,
        HEIGHT - UP,
        title="Bahdanau's order",
        desc="One decoder step. The old state s_{i-1} is the query that meets the encoder's states h_1 to "
        "h_S; the context c_i that comes out enters the cell f together with the word before, y_{i-1}, and "
        "the cell makes the new state s_i. Three arrows give the distribution of the new word y_i: from s_i, "
        "from c_i, and from y_{i-1}.",
    )
    left, ask, cell, out, right = 14, 132, 222, 316, 404
    state, attend, join = STATE - UP, ATTEND - UP, JOIN - UP
    state_line(canvas, left, cell, right, up=UP)
    attend_box(canvas, ask, 62, up=UP)
    canvas.math(34, attend + 5, "h_1…h_S", size=15, tone="green")
    canvas.dot(ask, state, tone="blue")
    canvas.wire([(ask, state), (ask, attend + 22)], tone="blue", dash="gate")
    canvas.text(ask + 9, 276 - UP, "query", size=14, tone="blue")
    canvas.wire([(ask + 42, attend), (cell, attend), (cell, state - 26)], tone="orange", weight=2.4)
    canvas.math(cell + 9, 268 - UP, "c_i", size=18, anchor="start", tone="orange")
    canvas.dot(196, attend, tone="orange", r=3.5)
    canvas.wire([(196, attend), (196, join), (out - 40, join)], tone="orange", weight=2.4)
    canvas.dot(out - 18, state, tone="blue")
    canvas.wire([(out - 18, state), (out - 18, join + 20)], tone="blue", weight=2.2)
    canvas.dot(cell, 382 - UP, r=3.5)
    canvas.wire([(cell, 382 - UP), (out + 18, 382 - UP), (out + 18, join + 20)], hops=[(out + 18, state)])
    canvas.box(out, join, 80, 40)
    canvas.math(out, join + 6, "p(y_i)", size=16)
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
    return canvas


def figures() -> dict[str, str]:
    return {"attention_orders.svg": bahdanau().svg(), "attention_orders_luong.svg": luong().svg()}


if __name__ == "__main__":
    write(figures())
