"""The LSTM cell with peepholes (Gers & Schmidhuber 2000)."""

from diagram import Canvas, Run, write
from lstm_cell import CELL_HEIGHT, FORMULAS, GATE_TOP, MEMORY, WIDTH, X_F, X_I, X_O, Look, draw_cell

TURN = 214  # height at which a peephole turns towards its gate
FORK, LATER = 60, 286  # columns of the forks on the memory line: c_{t-1}, c_t
ASIDE = 24  # a peephole enters its box left of the middle


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
    canvas.math(foot - 6, TURN + 20, f"w_{{{name}}}", size=14, anchor="end", tone="red", bold=True)


def draw() -> Canvas:
    canvas = Canvas(
        "lstm_peephole",
        WIDTH,
        588,
        title="The LSTM cell with peepholes",
        desc="The LSTM cell with three further, dotted wires. From the memory line before the forget gate's "
        "product, c_{t-1} goes into the forget gate with the weights w_cf and into the input gate with "
        "the weights w_ci. From the memory line after the sum, c_t goes into the output gate with the "
        "weights w_co. Each weight is a vector and multiplies element by element. The candidate has no "
        "peephole.",
    )
    seen = {"f": "c_{t-1}", "i": "c_{t-1}", "o": "c_t"}
    canvas.text(8, 20, "Peepholes", size=16, bold=True)
    canvas.text(8, 39, "Gers & Schmidhuber (2000)", size=13, tone="muted")
    draw_cell(canvas, Look(new=()))
    peephole(canvas, (FORK, MEMORY), X_I, "ci")
    peephole(canvas, (X_F - ASIDE, TURN), X_F, "cf")
    peephole(canvas, (LATER, MEMORY), X_O, "co")
    for row, gate in enumerate("figo"):
        runs: list[Run] = [f"${FORMULAS[gate]}$"]
        if gate in seen:
            start, bias = FORMULAS[gate].split("+ b")
            runs = [f"${start}$", (f"$+ w_{{c{gate}}} ⊙ {seen[gate]}$", "red"), f" $+ b{bias}$"]
        canvas.text(20, CELL_HEIGHT + 30 + 26 * row, runs, size=16, tone="muted")
    canvas.text(20, CELL_HEIGHT + 138, "$c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t$", size=16, tone="muted")
    canvas.text(20, CELL_HEIGHT + 164, "$h_t = o_t ⊙ tanh(c_t)$", size=16, tone="muted")
    return canvas


def figures() -> dict[str, str]:
    return {"lstm_peephole.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
