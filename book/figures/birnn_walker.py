"""The walker of the bidirectional chapter: four states, what each shows, and where it goes from there."""

from diagram import Canvas, Node, write

WIDTH, HEIGHT, RADIUS = 400, 312, 34
LEFT, RIGHT, TOP, BOTTOM = 92, 308, 84, 228
LOOP, APART = 34, 9  # how high a loop rises, and half the way between two arrows side by side


def draw_state(canvas: Canvas, x: float, y: float, number: str, symbol: str, tone: str) -> Node:
    """A state: its number, and the symbol that it shows most of the time."""
    node = canvas.box(x, y, 2 * RADIUS, 2 * RADIUS, tone=tone, radius=RADIUS, weight=2.4)
    canvas.text(x, y - 4, number, size=19, anchor="middle", bold=True, tone=tone)
    canvas.text(x, y + 17, f"shows $ {symbol} $", size=12.5, anchor="middle", tone=tone)
    return node


def draw_loop(canvas: Canvas, state: Node, way: int) -> None:
    """An arrow from a state to itself, above it (way -1) or below."""
    start, top = state.y + way * (RADIUS - 4), state.y + way * (RADIUS + LOOP)
    points = [(state.x - 15, start), (state.x - 15, top), (state.x + 15, top), (state.x + 15, start)]
    canvas.wire(points, radius=15)
    canvas.text(state.x + 24, state.y + way * (RADIUS + LOOP / 2) + 5, "1/2", size=14)


def walker() -> Canvas:
    canvas = Canvas(
        "birnn_walker",
        WIDTH,
        HEIGHT,
        title="A walker with four states",
        desc="Four circles. On the left state 1 above and state 2 below, which both show the symbol a most "
        "of the time. On the right state 3 above, which shows b, and state 4 below, which shows c. Each "
        "state has an arrow to itself, with probability one half. From 1 an arrow leads to 3 and from 2 one "
        "to 4, each with one half. From 3 and from 4 arrows lead back to 1 and to 2, each with one quarter.",
    )
    one = draw_state(canvas, LEFT, TOP, "1", "a", "blue")
    two = draw_state(canvas, LEFT, BOTTOM, "2", "a", "blue")
    three = draw_state(canvas, RIGHT, TOP, "3", "b", "orange")
    four = draw_state(canvas, RIGHT, BOTTOM, "4", "c", "green")
    for state, way in ((one, -1), (three, -1), (two, 1), (four, 1)):
        draw_loop(canvas, state, way)
    middle = (LEFT + RIGHT) / 2
    for source, way in ((one, -1), (two, 1)):
        out, home = source.y + way * APART, source.y - way * APART
        canvas.wire([(LEFT + RADIUS, out), (RIGHT - RADIUS, out)], weight=2.4)
        canvas.wire([(RIGHT - RADIUS, home), (LEFT + RADIUS, home)], dash="gate")
        canvas.text(middle, out + (18 if way > 0 else -8), "1/2", size=14, anchor="middle")
        canvas.text(middle, home + (-8 if way > 0 else 18), "1/4", size=14, anchor="middle")
    for source, goal in ((three, two), (four, one)):
        way = 1 if goal.y > source.y else -1
        canvas.wire([(source.x - 27, source.y + 21 * way), (goal.x + 27, goal.y - 21 * way)], dash="gate")
    canvas.text(middle + 74, 144, "1/4", size=14, anchor="middle")
    canvas.text(middle + 74, 176, "1/4", size=14, anchor="middle")
    return canvas


def figures() -> dict[str, str]:
    return {"birnn_walker.svg": walker().svg()}


if __name__ == "__main__":
    write(figures())
