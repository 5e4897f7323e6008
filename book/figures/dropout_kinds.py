"""Seven kinds of dropout on a net unrolled over three steps: where masks fall, and which are shared.

Each kind has a drawing of its own, so that they stand side by side or one below the other, as there is room.
"""

from diagram import Canvas, write

PANEL_W, PANEL_H = 380, 232
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


MASKS = "circles with the same number are the same mask"
NET = "Three steps of an LSTM: the memory line c above, the state line h below, inputs x, outputs at the top"
PANELS = (
    ("naive", "Naive: each step, on the memory", "$c_t = m_t ⊙ (f_t ⊙ c_{t-1} + i_t ⊙ g_t)$",
     "Masks 1, 2 and 3 lie on c, a new one at each step."),
    ("zaremba", "Zaremba: between layers only", "$m_t ⊙ x_t$ in, $m'_t ⊙ h_t$ out; $c$ and $h$ pass in time",
     "Masks 1 to 6 lie on inputs and outputs, none on what passes in time."),
    ("gal", "Gal: one mask for the sequence", "gates read $m_x ⊙ x_t$ and $m_h ⊙ h_{t-1}$",
     "Mask 1 lies on all inputs, mask 2 on h between all steps."),
    ("moon", "Moon: one mask, on the memory", "$c_t = m ⊙ (f_t ⊙ c_{t-1} + i_t ⊙ g_t)$",
     "Mask 1 lies on c at every step."),
    ("semeniuta", "Semeniuta: each step, on what is written", "$c_t = f_t ⊙ c_{t-1} + i_t ⊙ (m_t ⊙ g_t)$",
     "Masks 1, 2 and 3 lie on the candidate g, a new one at each step, and none on c."),
    ("zoneout", "Zoneout: some units keep what they had",
     "$c_t = z_t ⊙ c_{t-1} + (1 - z_t) ⊙ (f_t ⊙ c_{t-1} + i_t ⊙ g_t)$",
     "Masks 1, 2 and 3 open a way around the cell for c, a new one at each step."),
    ("weight", "Weight drop: one mask on $W_{hh}$", "gates read $(M ⊙ W_{hh}) h_{t-1}$",
     "Mask 1, a square, lies on the matrix that h goes through, the same at every step."),
)  # fmt: skip


def draw_kind(kind: str, title: str, equation: str, desc: str) -> Canvas:
    canvas = Canvas(
        f"dropout_kind_{kind}",
        PANEL_W,
        PANEL_H,
        title=title.replace("$", ""),
        desc=f"{NET}. {desc} ({MASKS})",
    )
    canvas.text(12, TITLE, title, size=15.5, bold=True)
    size = 17 if equation.startswith("$c") and kind != "zoneout" else 15  # a long one, and words: smaller
    canvas.text(12, EQUATION, equation, size=size, tone="muted")
    draw_net(canvas, 0, 0)
    draw_masks(canvas, 0, 0, kind)
    return canvas


def draw_key() -> Canvas:
    canvas = Canvas(
        "dropout_kinds",
        PANEL_W,
        144,
        title="How to read the drawings of seven kinds of dropout",
        desc="Circles are masks. Orange circles 1 and 2: a new mask at each step. Blue circles 1 and 1: the "
        "same mask at every step. A blue square: a mask on a matrix, not on units. A thick red line: the "
        "memory c. A purple line: the candidate g, which is written to c.",
    )
    canvas.text(12, TITLE, "How to read the drawings", size=15.5, bold=True)
    for x, a, b, tone, words in (
        (26, "1", "2", "orange", "new at each step"),
        (232, "1", "1", "blue", "the same"),
    ):
        mask(canvas, x, 58, a, tone)
        mask(canvas, x + 26, 58, b, tone)
        canvas.text(x + 46, 63, words, size=15)
    weight(canvas, 27, 92, "1", "blue")
    canvas.text(50, 97, "a mask on a matrix, not on units", size=15)
    canvas.wire([(14, 124), (60, 124)], tone="red", weight=3)
    canvas.text(72, 129, "memory $c$", size=15)
    canvas.wire([(202, 124), (248, 124)], tone="purple")
    canvas.text(260, 129, "candidate $g$", size=15)
    return canvas


def figures() -> dict[str, str]:
    kinds = {f"dropout_kind_{panel[0]}.svg": draw_kind(*panel).svg() for panel in PANELS}
    return {"dropout_kinds.svg": draw_key().svg(), **kinds}


if __name__ == "__main__":
    write(figures())
