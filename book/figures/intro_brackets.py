"""The front page: how often three networks know which bracket closes next, by how long ago it opened.

Drawn from the record `closing`: the mean of its seeds.
"""

from itertools import pairwise

from diagram import Canvas, write

from rnnlit.pages import records

WIDTH, HEIGHT = 440, 394
LEFT, RIGHT, TOP, BOTTOM = 58, 372, 128, 332  # the axes
LOW, HIGH = 0.3, 1.0  # shares at BOTTOM and TOP
SHOWN = 5  # of the groups of distances; the last one holds few questions
LOOKS = {  # name in the record: label, tone, its shift, dash
    "RNN": ("RNN", "orange", 6, "gate"),
    "LSTM, b_f = 1": ("LSTM", "blue", -5, None),
    "GRU": ("GRU", "green", 16, "peephole"),
}


def curves() -> tuple[list[str], dict[str, list[float]]]:
    """The groups of distances, and for each network the mean share of right answers in each."""
    record = records.load("closing")
    edges = record["from_distance"][: SHOWN + 1]
    groups = [f"{low}–{high - 1}" for low, high in pairwise(edges)]
    shares = {}
    for name in LOOKS:
        rows = [row["accuracy"][:SHOWN] for row in record["rows"] if row["name"] == name]
        shares[name] = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return groups, shares


def draw() -> Canvas:
    groups, shares = curves()
    ends = {name: [f"{100 * values[k]:.0f} %" for k in (0, -1)] for name, values in shares.items()}
    told = "; ".join(f"{LOOKS[name][0]} from {first} to {last}" for name, (first, last) in ends.items())
    canvas = Canvas(
        "intro_brackets",
        WIDTH,
        HEIGHT,
        title="Which bracket closes next?",
        desc="Above, a text with brackets: so (she [was considering] in her own mind, and the question which "
        "bracket closes next; it is the round one. Below, the share of right answers of three networks "
        "against the number of characters since that bracket opened, "
        f"from {groups[0]} to {groups[-1]}: {told}.",
    )
    canvas.text(WIDTH / 2, 24, "Which bracket closes next?", size=16, anchor="middle", bold=True)
    question = ["so ", ("(", "orange"), "she [was considering] in her own mind ", ("?", "orange")]
    canvas.text(WIDTH / 2, 54, question, size=15, anchor="middle")
    canvas.text(LEFT - 44, 96, "right answers", size=13.5, tone="muted")
    step = (RIGHT - LEFT) / (SHOWN - 1)

    def place(k: int, share: float) -> tuple[float, float]:
        return LEFT + 14 + k * (step - 6), BOTTOM - (share - LOW) / (HIGH - LOW) * (BOTTOM - TOP)

    for share in (1.0, 0.8, 0.6, 0.4):
        y = place(0, share)[1]
        canvas.wire([(LEFT, y), (RIGHT, y)], tone="muted", weight=0.5, head=False)
        canvas.text(LEFT - 8, y + 5, f"{100 * share:.0f} %", size=13, anchor="end", tone="muted")
    y = place(0, 1 / 3)[1]
    canvas.wire([(LEFT, y), (RIGHT, y)], tone="muted", weight=1.2, dash="outline", head=False)
    canvas.text(LEFT + 8, y + 17, "blind guessing", size=13, tone="muted")
    for name, values in shares.items():
        label, tone, shift, dash = LOOKS[name]
        points = [place(k, value) for k, value in enumerate(values)]
        canvas.wire(points, tone=tone, weight=2.6, dash=dash, head=False, radius=0)
        for point in points:
            canvas.dot(*point, tone=tone, r=4)
        canvas.text(points[-1][0] + 10, points[-1][1] + shift, label, size=14, tone=tone, bold=True)
    for k, group in enumerate(groups):
        canvas.text(place(k, LOW)[0], BOTTOM + 30, group, size=13, anchor="middle", tone="muted")
    middle = (LEFT + RIGHT) / 2
    canvas.text(middle, BOTTOM + 54, "characters since it opened", size=13.5, anchor="middle", tone="muted")
    return canvas


def figures() -> dict[str, str]:
    return {"intro_brackets.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
