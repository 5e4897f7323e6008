"""One net and three of the thinned nets that are in it."""

from diagram import Canvas, write

WIDTH, HEIGHT = 380, 352
HIDDEN = 4


def draw_net(canvas: Canvas, x: float, y: float, scale: float, dropped: set[int]) -> None:
    """Two inputs below, four hidden units, one output above; the middle of the hidden row is at (x, y)."""
    r, pitch, rise = 13 * scale, 46 * scale, 52 * scale
    hidden = [(x + (k - 1.5) * pitch, y) for k in range(HIDDEN)]
    inputs = [(x + (k - 0.5) * 1.6 * pitch, y + rise) for k in range(2)]
    output = (x, y - rise)
    for number, (hx, hy) in enumerate(hidden):
        if number in dropped:
            continue
        for ix, iy in inputs:
            canvas.wire([(ix, iy - r), (hx, hy + r)], tone="muted", weight=1.3, head=False)
        canvas.wire([(hx, hy - r), (output[0], output[1] + r)], tone="muted", weight=1.3, head=False)
    for px, py in (*inputs, output):
        canvas.box(px, py, 2 * r, 2 * r, radius=r)
    for number, (hx, hy) in enumerate(hidden):
        gone = number in dropped
        canvas.box(
            hx, hy, 2 * r, 2 * r, radius=r, tone="muted" if gone else "blue", fill=None if gone else "fill",
            dash="outline" if gone else None, weight=1.2 if gone else 2,
        )  # fmt: skip
        if gone:
            a = 0.6 * r
            canvas.wire([(hx - a, hy + a), (hx + a, hy - a)], tone="red", head=False)


def draw() -> Canvas:
    canvas = Canvas(
        "dropout_thinned",
        WIDTH,
        HEIGHT,
        title="A net and three of its thinned nets",
        desc="Above, a net with two inputs, four hidden units and one output, all units present: this is the "
        "net at test time. Below, the same net three times, as three training examples meet it: in the first "
        "the second hidden unit is dropped, in the second the first and the fourth, in the third the third.",
    )
    canvas.text(190, 24, "At test time: the whole net", size=15, anchor="middle", bold=True)
    draw_net(canvas, 190, 102, 1.0, set())
    canvas.text(190, 198, "In training: a thinned net for each example", size=15, anchor="middle", bold=True)
    for k, dropped in enumerate(({1}, {0, 3}, {2})):
        x = 66 + 124 * k
        draw_net(canvas, x, 254, 0.62, dropped)
        canvas.text(x, 318, f"example {k + 1}", size=14, anchor="middle", tone="muted")
    canvas.text(190, 343, "4 coins give 16 thinned nets, with shared weights.", size=14, anchor="middle")
    return canvas


def figures() -> dict[str, str]:
    return {"dropout_thinned.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
