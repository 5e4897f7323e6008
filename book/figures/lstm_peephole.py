"""The LSTM cell with peepholes (Gers & Schmidhuber 2000)."""

from diagram import Canvas, Run, write
from lstm_cell import FORMULAS, GATE_TOP, MEMORY, WIDTH, X_F, X_I, X_O, Look, draw_cell

TURN = 250  # height at which a peephole turns towards its gate
BEFORE, AFTER = 108, 468  # columns of the forks on the memory line: c_{t-1}, c_t
ASIDE = 28  # a peephole enters its box left of the middle


def peephole(canvas: Canvas, fork: tuple[float, float], column: float, name: str) -> None:
    """A dotted wire from a fork into a gate."""
    foot = column - ASIDE
    corners = [
        fork,
        *([(fork[0], TURN)] if fork[1] != TURN else []),
        *([(foot, TURN)] if fork[0] != foot else []),
        (foot, GATE_TOP),
    ]
    canvas.wire(corners, tone="red", weight=2.8, dash="peephole", hops=[(X_F, TURN)], radius=6)
    canvas.dot(*fork, tone="red", r=5)
    canvas.math(foot - 7, TURN + 27, f"⊙ w_{{{name}}}", size=15, anchor="end", tone="red", bold=True)


def draw() -> Canvas:
    canvas = Canvas(
        "lstm_peephole",
        WIDTH,
        640,
        title="The LSTM cell with peepholes",
        desc="The LSTM cell with three further, dotted wires. From the memory line before the forget gate's "
        "product, c_{t-1} goes into the forget gate with the weights w_cf and into the input gate with "
        "the weights w_ci. From the memory line after the sum, c_t goes into the output gate with the "
        "weights w_co. Each weight is a vector and multiplies element by element. The candidate has no "
        "peephole.",
    )
    seen = {"f": "c_{t-1}", "i": "c_{t-1}", "o": "c_t"}
    canvas.text(20, 24, "Peepholes: the gates look at the memory", size=16, bold=True)
    canvas.text(20, 44, "Gers & Schmidhuber (2000)", size=13, tone="muted")
    draw_cell(canvas, Look(new=()))
    peephole(canvas, (BEFORE, MEMORY), X_I, "ci")
    peephole(canvas, (X_F - ASIDE, TURN), X_F, "cf")
    peephole(canvas, (AFTER, MEMORY), X_O, "co")
    for row, gate in enumerate("figo"):
        runs: list[Run] = [f"${FORMULAS[gate]}$"]
        if gate in seen:
            start, bias = FORMULAS[gate].split("+ b")
            runs = [f"${start}$", (f"$+ w_{{c{gate}}} ⊙ {seen[gate]}$", "red"), f" $+ b{bias}$"]
        canvas.text(36, 540 + 27 * row, runs, size=17, tone="muted")
    canvas.text(500, 553, "$c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t$", size=17, tone="muted")
    canvas.text(500, 580, "$h_t = o_t ⊙ tanh(c_t)$", size=17, tone="muted")
    return canvas


def figures() -> dict[str, str]:
    return {"lstm_peephole.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
