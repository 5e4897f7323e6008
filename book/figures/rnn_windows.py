"""Truncated backpropagation through time: the state passes a border, the gradient does not."""

from diagram import Canvas, write

WIDTH = 446  # a phone shows it whole
WINDOWS, STEPS = 2, 4
LEFT, PITCH, GAP = 44, 48, 28  # first cell, distance of cells, extra room at a border
LOSS, CELL, INPUT = 74, 168, 232  # heights
FORTH, BACK = CELL - 9, CELL + 12  # the wires of the state and of the gradient


def draw() -> Canvas:
    canvas = Canvas(
        "rnn_windows",
        WIDTH,
        352,
        title="Training in windows",
        desc="Eight steps of a recurrent network in a row, cut into two windows of four. A solid arrow, "
        "the state, leads from each cell to the next one, over the border too. A dashed arrow, the gradient, "
        "leads from each cell back to the one before, but at the border it is cut. Under each window stands "
        "that the weights take one step after it.",
    )
    half = 14
    columns = [LEFT + PITCH * k + GAP * (k // STEPS) for k in range(WINDOWS * STEPS)]
    borders = [(columns[k - 1] + columns[k]) / 2 for k in range(STEPS, len(columns), STEPS)]
    canvas.text(14, 26, ["the state goes ", ("forward: it passes the border", "red")], size=14)
    canvas.text(14, 48, ["the gradient goes ", ("backward: it stops at the border", "blue")], size=14)
    canvas.wire([(4, FORTH), (columns[0] - half, FORTH)], tone="red", weight=2.6)
    for number, (x, after) in enumerate(zip(columns, [*columns[1:], WIDTH - 3], strict=True), 1):
        canvas.wire([(x, INPUT), (x, CELL + 24)])
        canvas.wire([(x, CELL - 24), (x, LOSS + 17)])
        canvas.box(x, CELL, 2 * half, 48, tone="purple", radius=5)
        canvas.math(x, LOSS + 8, f"L_{{{number}}}", size=15)
        canvas.math(x, INPUT + 18, f"x_{{{number}}}", size=15)
        end = after - half if number < len(columns) else after
        canvas.wire([(x + half, FORTH), (end, FORTH)], tone="red", weight=2.6)
        if number % STEPS:
            canvas.wire([(end, BACK), (x + half, BACK)], tone="blue", dash="gate", weight=2)
    for x in borders:
        canvas.wire([(x, LOSS + 22), (x, INPUT + 26)], tone="muted", dash="outline", weight=1.4, head=False)
        canvas.wire([(x + 24, BACK), (x + 4, BACK)], tone="blue", dash="gate", weight=2, head=False)
        canvas.wire([(x + 4, BACK - 9), (x + 4, BACK + 9)], tone="blue", weight=3, head=False)
    for number in range(WINDOWS):
        first, last = columns[number * STEPS], columns[number * STEPS + STEPS - 1]
        canvas.bracket(first - half, last + half, 280)
        canvas.text((first + last) / 2, 308, f"window {number + 1}", size=14, anchor="middle", bold=True)
        canvas.text((first + last) / 2, 328, "then one step of the weights", size=13, anchor="middle")
    return canvas


def figures() -> dict[str, str]:
    return {"rnn_windows.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
