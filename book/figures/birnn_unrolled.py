"""Two chains that read one sequence, and the architecture of the article beside them."""

from diagram import Canvas, write

WIDTH = 446  # a phone shows it whole
COLUMNS = (107, 223, 339)
SHIFT = 27  # of the forward cell to the left of its column, and of the reverse one to the right
OUT, REVERSE, FORWARD, FORK, INPUT = 92, 186, 272, 334, 384  # heights
BOX_W, BOX_H, REACH = 42, 40, 58  # of a cell; and how far beyond the last one its first state stands
PANELS = 760  # the width of the figure with two panels
STEPS = ("1", "2", "3")


def draw_chains(canvas: Canvas) -> None:
    """Both chains over three steps, from their first states on."""
    ends = {"forward": COLUMNS[0] - SHIFT - REACH, "reverse": COLUMNS[-1] + SHIFT + REACH}
    for k, (x, step) in enumerate(zip(COLUMNS, STEPS, strict=True)):
        fore, back = x - SHIFT, x + SHIFT
        # the input forks to both cells
        canvas.wire([(x, INPUT - 16), (x, FORK)], head=False)
        canvas.wire([(x, FORK), (fore, FORK), (fore, FORWARD + BOX_H / 2)])
        canvas.wire([(x, FORK), (back, FORK), (back, REVERSE + BOX_H / 2)])
        canvas.dot(x, FORK)
        # forward: left to right, over the wire that goes up to the reverse cell
        before = ends["forward"] if k == 0 else COLUMNS[k - 1] - SHIFT + BOX_W / 2
        hops = [] if k == 0 else [(COLUMNS[k - 1] + SHIFT, FORWARD)]
        canvas.wire([(before, FORWARD), (fore - BOX_W / 2, FORWARD)], tone="blue", weight=3.0, hops=hops)
        # reverse: right to left, over the wire that comes from the forward cell
        after = ends["reverse"] if k == 2 else COLUMNS[k + 1] + SHIFT - BOX_W / 2
        hops = [] if k == 2 else [(COLUMNS[k + 1] - SHIFT, REVERSE)]
        canvas.wire(
            [(after, REVERSE), (back + BOX_W / 2, REVERSE)], tone="orange", weight=3.0, dash="gate", hops=hops
        )
        # both states go up to one output layer
        canvas.wire([(fore, FORWARD - BOX_H / 2), (fore, OUT + BOX_H / 2)], tone="blue")
        canvas.wire([(back, REVERSE - BOX_H / 2), (back, OUT + BOX_H / 2)], tone="orange", dash="gate")
        canvas.box(fore, FORWARD, BOX_W, BOX_H, tone="blue")
        canvas.box(back, REVERSE, BOX_W, BOX_H, tone="orange")
        canvas.math(fore, FORWARD + 6, "W^f", size=18, tone="blue")
        canvas.math(back, REVERSE + 6, "W^r", size=18, tone="orange")
        canvas.box(x, OUT, 2 * SHIFT + BOX_W, BOX_H)
        canvas.text(x, OUT + 5, "output $V$", size=14, anchor="middle")
        canvas.wire([(x, OUT - BOX_H / 2), (x, 36)])
        canvas.math(x, 26, f"y_{step}", size=18)
        canvas.math(x, INPUT + 4, f"x_{step}", size=18)
        canvas.math(fore - 6, REVERSE + 24, f"h^f_{step}", size=16, anchor="end", tone="blue")
        canvas.math(back + 6, OUT + 50, f"h^r_{step}", size=16, anchor="start", tone="orange")
    canvas.math(ends["forward"] - 4, FORWARD + 5, "0", size=16, anchor="end", tone="blue")
    canvas.math(ends["reverse"] + 6, REVERSE + 5, "0", size=16, anchor="start", tone="orange")


def unrolled() -> Canvas:
    canvas = Canvas(
        "birnn_unrolled",
        WIDTH,
        486,
        title="A bidirectional network over three steps",
        desc="Two chains of three cells. The forward chain, with weights W f, starts with a zero state on "
        "the left and runs to the right. The reverse chain, with weights W r, starts with a zero state on "
        "the right and runs to the left. The input of each step goes to one cell of each chain. At each "
        "step, the state of the forward cell and the state of the reverse cell go up to the same output "
        "layer V, which gives y. No wire leads from one chain to the other, and above the chains there is no "
        "second recurrence.",
    )
    draw_chains(canvas)
    lines = (
        [("Forward chain", "blue"), ": from the left up to $x_t$."],
        [("Reverse chain", "orange"), ": from the right down to $x_t$."],
        "Only the output layer sees both, at the same $t$.",
    )
    for row, line in enumerate(lines):
        canvas.text(WIDTH / 2, 424 + 24 * row, line, size=14, anchor="middle")
    return canvas


def draw_panel(canvas: Canvas, left: float, title: str, second: bool) -> None:
    """Both chains as two boxes over all steps, and what reads them: an output layer, or a second network."""
    middle = left + 160
    canvas.text(middle, 30, title, size=15, anchor="middle", bold=True)
    canvas.box(middle, 232, 250, 96, tone="muted", fill=None)
    for y, tone, word, way in ((262, "blue", "forward chain", 1), (218, "orange", "reverse chain", -1)):
        dash = "gate" if way < 0 else None
        canvas.wire([(middle - 112 * way, y), (middle + 112 * way, y)], tone=tone, weight=3.0, dash=dash)
        canvas.text(middle, y - 9, word, size=14, anchor="middle", tone=tone)
    for k in (-1, 0, 1):
        x = middle + 74 * k
        canvas.wire([(x, 318), (x, 280)])
        canvas.wire([(x, 184), (x, 151)])
        canvas.wire([(x, 109), (x, 68)])
        canvas.math(x, 336, f"x_{k + 2}", size=17)
        canvas.math(x, 58, f"y_{k + 2}", size=17)
    tone = "red" if second else "ink"
    canvas.box(middle, 130, 250, 42, tone=tone, weight=2.4 if second else 1.6)
    words = "a third chain, left to right" if second else "one output layer for all steps"
    canvas.text(middle, 135, words, size=13.5, anchor="middle", tone=tone)
    if second:
        canvas.wire([(middle + 125, 130), (middle + 153, 130)], tone=tone, weight=3.0)


def article() -> Canvas:
    canvas = Canvas(
        "birnn_article",
        PANELS,
        388,
        title="Two ways to read the two chains",
        desc="Two panels. In both, inputs x 1 to x 3 enter a forward chain, which runs to the right, and a "
        "reverse chain, which runs to the left. On the left, the usual network: the states go up to an "
        "output layer that is the same at each step and has no memory. On the right, the article's form: the "
        "states go up into a second recurrent chain, which runs from left to right and gives the outputs.",
    )
    draw_panel(canvas, 30, "Bidirectional network", second=False)
    draw_panel(canvas, 410, "The article's form", second=True)
    words = "Left: no memory above the two chains. Right: a third recurrence."
    canvas.text(PANELS / 2, 372, words, size=14, anchor="middle")
    return canvas


def figures() -> dict[str, str]:
    return {"birnn_unrolled.svg": unrolled().svg(), "birnn_article.svg": article().svg()}


if __name__ == "__main__":
    write(figures())
