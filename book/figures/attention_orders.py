"""Bahdanau's order and Luong's side by side: one decoder step each."""

from diagram import Canvas, write

WIDTH, HEIGHT = 760, 500
STATE, ATTEND, JOIN, OUT, WORD = 336, 226, 142, 62, 426  # heights


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


def bahdanau(canvas: Canvas) -> None:
    left, ask, cell, out, right = 14, 132, 222, 316, 362
    canvas.text(188, 24, "Bahdanau", size=17, anchor="middle", bold=True)
    state_line(canvas, left, cell, right)
    attend_box(canvas, ask, 58)
    canvas.math(34, ATTEND + 5, "h_1…h_S", size=15, tone="green")
    canvas.dot(ask, STATE, tone="blue")
    canvas.wire([(ask, STATE), (ask, ATTEND + 22)], tone="blue", dash="gate")
    canvas.text(ask + 9, 292, "query", size=13, tone="blue")
    canvas.wire([(ask + 42, ATTEND), (cell, ATTEND), (cell, STATE - 26)], tone="orange", weight=2.4)
    canvas.math(cell + 9, 284, "c_i", size=18, anchor="start", tone="orange")
    canvas.dot(196, ATTEND, tone="orange", r=3.5)
    canvas.wire([(196, ATTEND), (196, JOIN), (out - 38, JOIN)], tone="orange", weight=2.4)
    canvas.dot(out, STATE, tone="blue")
    canvas.wire([(out, STATE), (out, JOIN + 20)])
    canvas.box(out, JOIN, 76, 40)
    canvas.math(out, JOIN + 6, "p(y_i)", size=16)
    canvas.text(188, 478, "$s_{i-1}$ asks, then the step", size=14, anchor="middle")


def luong(canvas: Canvas) -> None:
    left, cell, up, right = 400, 494, 640, 744
    canvas.text(572, 24, "Luong", size=17, anchor="middle", bold=True)
    state_line(canvas, left, cell, right, word=14)
    attend_box(canvas, 574, 470)
    canvas.math(444, ATTEND + 5, "h_1…h_S", size=15, tone="green")
    canvas.dot(574, STATE, tone="blue")
    canvas.wire([(574, STATE), (574, ATTEND + 22)], tone="blue", dash="gate")
    canvas.text(565, 292, "query", size=13, tone="blue", anchor="end")
    canvas.wire([(574, ATTEND - 22), (574, JOIN + 20)], tone="orange", weight=2.4)
    canvas.math(583, 188, "c_i", size=18, anchor="start", tone="orange")
    canvas.dot(up + 10, STATE, tone="blue")
    canvas.wire([(up + 10, STATE), (up + 10, JOIN + 20)], tone="blue", weight=2.2)
    canvas.math(up + 19, 246, "s_i", size=17, anchor="start", tone="blue")
    canvas.box(612, JOIN, 124, 40, tone="purple")
    canvas.math(612, JOIN + 6, "tanh W_c[c_i;s_i]", size=15, tone="purple")
    canvas.wire([(612, JOIN - 20), (612, OUT + 20)], tone="purple", weight=2.4)
    canvas.box(612, OUT, 76, 40)
    canvas.math(612, OUT + 6, "p(y_i)", size=16)
    # input feeding: out to the next step, and in from the one before
    middle = (JOIN + OUT) / 2
    canvas.dot(612, middle, tone="purple", r=3.5)
    canvas.wire([(612, middle), (right, middle)], tone="purple", dash="gate")
    canvas.math(right - 16, middle - 10, "h\u0303_i", size=17, tone="purple")
    canvas.wire([(left, 392), (cell - 16, 392), (cell - 16, STATE + 26)], tone="purple", dash="gate")
    canvas.math(left + 22, 414, "h\u0303_{i-1}", size=17, tone="purple")
    canvas.text(572, 478, "the step, then $s_i$ asks", size=14, anchor="middle")


def draw() -> Canvas:
    canvas = Canvas(
        "attention_orders",
        WIDTH,
        HEIGHT,
        title="Two orders of attention in the decoder",
        desc="Two decoder steps. Left, Bahdanau: the old state s_{i-1} is the query that meets the "
        "encoder's states h_1 to h_S; the context c_i that comes out enters the cell f together "
        "with the word y_{i-1}; the new state s_i and c_i give the distribution of y_i. Right, Luong: the "
        "cell first makes s_i; this new state is the query; the context c_i and s_i are joined by "
        "tanh of W_c into the attentional state, which gives the distribution of y_i and, dashed, "
        "is fed to the next step's cell.",
    )
    bahdanau(canvas)
    canvas.wire([(381, 14), (381, 486)], tone="muted", weight=1.1, dash="outline", head=False)
    luong(canvas)
    return canvas


def figures() -> dict[str, str]:
    return {"attention_orders.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
