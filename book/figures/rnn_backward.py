"""The gradient's way back through three steps of the plain network, on the layout of the unrolled one."""

from typing import Any

from diagram import Canvas, write

WIDTH = 446  # a phone shows it whole
PITCH, SIDE = 138, 67  # distance of the steps; from a step's centre to the column of W_hh^T on its left
STATE, MATRIX, SLOPE, FORK, INPUT = 98, 140, 180, 232, 276  # heights
TOP, FOOT, R = 44, 328, 12
FIRST = 98
STEPS = ("{t-1}", "t", "{t+1}")
RED: dict[str, Any] = {"tone": "red", "weight": 2.6}


def draw_step(canvas: Canvas, x: float, step: str) -> None:
    """The sum of two gradients, the slope, and the two ways from da."""
    canvas.wire([(x, TOP), (x, STATE - R)], weight=2)
    canvas.wire([(x, STATE + R), (x, SLOPE - 20)], **RED)
    canvas.wire([(x, SLOPE + 20), (x, FORK), (x - SIDE, FORK), (x - SIDE, MATRIX + 13)], **RED)
    canvas.wire([(x - SIDE, MATRIX - 13), (x - SIDE, STATE), (max(x - PITCH + R, 4), STATE)], **RED)
    canvas.wire([(x, FORK), (x, INPUT - 13)], weight=2)
    canvas.wire([(x, INPUT + 13), (x, FOOT)], weight=2)
    canvas.dot(x, FORK, tone="red", r=5)
    canvas.operator(x, STATE, "+", tone="red", r=R)
    canvas.box(x, SLOPE, 92, 40, tone="purple")
    canvas.math(x, SLOPE + 6, f"⊙ (1 - h_{step}^2)", size=13, tone="purple")
    for column, row, name in ((x, INPUT, "W_{ih}^T"), (x - SIDE, MATRIX, "W_{hh}^T")):
        canvas.box(column, row, 44, 26, weight=2.4, radius=4)
        canvas.math(column, row + 5, name, size=15)
    canvas.math(x, TOP - 22, f"∂L_{step} / ∂h_{step}", size=14)
    canvas.math(x + 8, STATE + 31, f"dh_{step}", size=14, anchor="start", tone="red")
    canvas.math(x + 9, FORK + 5, f"da_{step}", size=15, anchor="start", tone="red")
    canvas.math(x, FOOT + 20, f"dx_{step}", size=17)


def draw() -> Canvas:
    canvas = Canvas(
        "rnn_backward",
        WIDTH,
        478,
        title="Backpropagation through time in the plain network",
        desc="Three steps side by side, with all arrows from right to left. At each step the gradient of its "
        "own loss, from above, and what comes back from the step after it are added: this is dh. It is "
        "multiplied by the slope 1 - h squared, which gives da. From da one way leads down through W_ih "
        "transposed to dx, and one through W_hh transposed to the sum of the step before. The weights "
        "collect da times what they had multiplied, over all steps.",
    )
    columns = [FIRST + PITCH * number for number in range(len(STEPS))]
    canvas.wire([(WIDTH - 4, STATE), (columns[-1] + R, STATE)], **RED)
    for x, step in zip(columns, STEPS, strict=True):
        draw_step(canvas, x, step)
    sums = ("dW_{hh} = Σ_t da_t h_{t-1}^T", "dW_{ih} = Σ_t da_t x_t^T", "db = Σ_t da_t")
    for x, formula in zip((82, 238, 380), sums, strict=True):
        canvas.math(x, 396, formula, size=15)
    notes = (
        "Arrows run against time. A state was used twice,",
        "so two gradients add up in it. All steps share their weights,",
        "so each weight adds up what it gets at every step.",
    )
    for row, note in enumerate(notes):
        canvas.text(WIDTH / 2, 424 + 20 * row, note, size=13, anchor="middle", tone="muted")
    return canvas


def figures() -> dict[str, str]:
    return {"rnn_backward.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
