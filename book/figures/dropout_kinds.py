"""Seven kinds of dropout on a net unrolled over three steps: where masks fall, and which are shared."""

from diagram import Canvas, write

WIDTH, PANEL_W, PANEL_H = 760, 380, 244
PITCH, FIRST, CELL = 112, 66, 62  # steps: distance, middle of the first, width of a cell
TITLE, EQUATION, OUT, MEMORY, STATE, BOTTOM, INPUT = 26, 48, 64, 114, 158, 178, 224  # heights
R = 10


def mask(canvas: Canvas, x: float, y: float, number: str, tone: str) -> None:
    canvas.box(x, y, 2 * R, 2 * R, tone=tone, fill="paper", radius=R, weight=2)
    canvas.text(x, y + 4.5, number, size=13, anchor="middle", tone=tone, bold=True)


def weight(canvas: Canvas, x: float, y: float, number: str, tone: str) -> None:
    canvas.box(x, y, 22, 20, tone=tone, fill="paper", radius=2, weight=2)
    canvas.text(x, y + 4.5, number, size=13, anchor="middle", tone=tone, bold=True)


def draw_net(canvas: Canvas, left: float, top: float) -> None:
    """Three cells: c on the thick upper line, h on the lower one, x from below, the output above."""
    middles = [left + FIRST + PITCH * k for k in range(3)]
    for x in middles:
        canvas.box(x, top + 134, CELL, 2 * (BOTTOM - 134), tone="muted", weight=1.2, radius=10)
    start, end = left + 12, left + PANEL_W - 10
    canvas.wire([(start, top + MEMORY), (end, top + MEMORY)], tone="red", weight=3)
    for number, x in enumerate(middles):
        canvas.wire([(x, top + INPUT), (x, top + BOTTOM)])
        canvas.wire([(x - 12, top + STATE + 6), (x - 12, top + MEMORY + 2)], tone="purple")
        out = x + CELL / 2 + 15
        to = end if number == 2 else middles[number + 1] - CELL / 2
        canvas.wire([(x + CELL / 2, top + STATE), (to, top + STATE)])
        canvas.dot(out, top + STATE, r=3.2)
        canvas.wire([(out, top + STATE), (out, top + OUT)], hops=[(out, top + MEMORY)])
    canvas.wire([(start, top + STATE), (middles[0] - CELL / 2, top + STATE)])
    canvas.math(left + 18, top + MEMORY - 9, "c", size=15, tone="red")
    canvas.math(left + 18, top + STATE - 8, "h", size=15)
    canvas.math(middles[0] + 13, top + INPUT, "x", size=15)
    canvas.math(middles[0] - 23, top + STATE + 4, "g", size=14, tone="purple")


def draw_masks(canvas: Canvas, left: float, top: float, kind: str) -> None:
    for k in range(3):
        x = left + FIRST + PITCH * k
        step = str(k + 1)
        if kind == "naive":
            mask(canvas, x + 12, top + MEMORY, step, "orange")
        elif kind == "zaremba":
            mask(canvas, x, top + INPUT - 20, step, "orange")
            mask(canvas, x + CELL / 2 + 15, top + OUT + 24, str(k + 4), "orange")
        elif kind == "gal":
            mask(canvas, x, top + INPUT - 20, "1", "blue")
            mask(canvas, x + CELL / 2 + 31, top + STATE, "2", "blue")
        elif kind == "moon":
            mask(canvas, x + 12, top + MEMORY, "1", "blue")
        elif kind == "semeniuta":
            mask(canvas, x - 12, top + MEMORY + 24, step, "orange")
        elif kind == "zoneout":
            a, b, y = x - CELL / 2 - 7, x + CELL / 2 + 6, top + MEMORY - 24
            canvas.wire([(a, top + MEMORY), (a, y), (b, y), (b, top + MEMORY)], tone="orange", dash="gate")
            mask(canvas, x, y, step, "orange")
        elif kind == "weight":
            weight(canvas, x + CELL / 2 + 31, top + STATE, "1", "blue")


PANELS = (
    ("naive", "Naive: each step, on the memory", "$c_t = m_t ⊙ (f_t ⊙ c_{t-1} + i_t ⊙ g_t)$"),
    ("zaremba", "Zaremba: between layers only", "$m_t ⊙ x_t$ in, $m'_t ⊙ h_t$ out; $c$ and $h$ pass in time"),
    ("gal", "Gal: one mask for the sequence", "gates read $m_x ⊙ x_t$ and $m_h ⊙ h_{t-1}$"),
    ("moon", "Moon: one mask, on the memory", "$c_t = m ⊙ (f_t ⊙ c_{t-1} + i_t ⊙ g_t)$"),
    ("semeniuta", "Semeniuta: each step, on what is written", "$c_t = f_t ⊙ c_{t-1} + i_t ⊙ (m_t ⊙ g_t)$"),
    ("zoneout", "Zoneout: each step, some units stand still",
     "$c_t = m_t ⊙ c_{t-1} + (1 - m_t) ⊙ (f_t ⊙ c_{t-1} + i_t ⊙ g_t)$"),
    ("weight", "Weight drop: one mask on $W_{hh}$", "gates read $(M ⊙ W_{hh}) h_{t-1}$"),
)  # fmt: skip


def draw() -> Canvas:
    canvas = Canvas(
        "dropout_kinds",
        WIDTH,
        4 * PANEL_H + 6,
        title="Where seven kinds of dropout put their masks",
        desc="Seven panels. Each shows three steps of an LSTM with the memory line c, the state line h, the "
        "inputs x from below, the outputs above and the candidate g that is written to c. Circles are masks, "
        "and circles with the same number are the same mask. Naive: masks 1, 2, 3 on c. Zaremba: masks 1 to "
        "6 on inputs and outputs, none in time. Gal: mask 1 on all inputs, mask 2 on all h. Moon: mask 1 on "
        "c at every step. Semeniuta: masks 1, 2, 3 on g. Zoneout: at each step a way around the cell, masks "
        "1, 2, 3. Weight drop: mask 1 on the matrix W_hh at every step.",
    )
    for number, (kind, title, equation) in enumerate(PANELS):
        left, top = PANEL_W * (number % 2), PANEL_H * (number // 2)
        canvas.text(left + 12, top + TITLE, title, size=15, bold=True)
        size = 17 if equation.startswith("$c") and kind != "zoneout" else 15  # a long one, and words: smaller
        canvas.text(left + 12, top + EQUATION, equation, size=size, tone="muted")
        draw_net(canvas, left, top)
        draw_masks(canvas, left, top, kind)
    left, top = PANEL_W, 3 * PANEL_H
    canvas.text(left + 12, top + TITLE, "How to read it", size=15, bold=True)
    for row, (a, b, tone, words) in enumerate(
        (("1", "2", "orange", "a new mask at each step"), ("1", "1", "blue", "the same mask at every step"))
    ):
        y = top + 70 + 38 * row
        mask(canvas, left + 26, y, a, tone)
        mask(canvas, left + 52, y, b, tone)
        canvas.text(left + 76, y + 5, words, size=14)
    weight(canvas, left + 40, top + 146, "1", "blue")
    canvas.text(left + 76, top + 151, "a mask on a matrix, not on units", size=14)
    canvas.wire([(left + 14, top + 182), (left + 64, top + 182)], tone="red", weight=3)
    canvas.text(left + 76, top + 187, "the memory $c$", size=14)
    canvas.wire([(left + 14, top + 214), (left + 64, top + 214)], tone="purple")
    canvas.text(left + 76, top + 219, "the candidate $g$, written to $c$", size=14)
    return canvas


def figures() -> dict[str, str]:
    return {"dropout_kinds.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
