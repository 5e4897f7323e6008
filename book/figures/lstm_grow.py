"""The LSTM cell grown in four steps from the plain recurrent cell, each part at its final place."""

from typing import NamedTuple

from diagram import Canvas, write
from lstm_cell import CELL_HEIGHT, WIDTH, Look, draw_cell


class Step(NamedTuple):
    """One figure of the four: what it has, and what of that is new."""

    title: str
    source: str
    parts: tuple[str, ...]
    new: tuple[str, ...]
    desc: str


STEPS = (
    Step(
        "The plain recurrent cell",
        "Elman (1990)",
        ("h", "g"),
        ("h", "g"),
        "A recurrent cell with one box: the new state h_t is the tanh of W_ih x_t + W_hh h_{t-1} + b. It is "
        "the output, and it goes on to the next step. Between two steps everything passes through this box.",
    ),
    Step(
        "A memory line and an input gate",
        "Hochreiter & Schmidhuber (1997)",
        ("h", "g", "memory", "i", "tanh"),
        ("memory", "i", "tanh"),
        "New: a memory line along the top on which c_{t-1} becomes c_t by a sum alone; an input gate i_t "
        "whose product with the candidate g_t is what is added; and a tanh through which the memory is "
        "read, h_t = tanh(c_t).",
    ),
    Step(
        "An output gate",
        "Hochreiter & Schmidhuber (1997)",
        ("h", "g", "memory", "i", "tanh", "o"),
        ("o",),
        "New: an output gate o_t that multiplies tanh(c_t), so that h_t = o_t times tanh(c_t). The memory "
        "line is unchanged: c_t = c_{t-1} + i_t times g_t.",
    ),
    Step(
        "A forget gate",
        "Gers, Schmidhuber & Cummins (1999)",
        ("h", "g", "memory", "i", "tanh", "o", "f"),
        ("f",),
        "New: a forget gate f_t that multiplies c_{t-1} before the sum, so that c_t = f_t times c_{t-1} + "
        "i_t times g_t. This is the LSTM cell of today: f_t at 1 keeps the memory, f_t at 0 clears it.",
    ),
)


def draw(number: int) -> Canvas:
    """Draw step 1, 2, 3 or 4."""
    step = STEPS[number - 1]
    canvas = Canvas(
        f"lstm_grow_{number}",
        WIDTH,
        CELL_HEIGHT,
        title=f"The LSTM cell, step {number} of 4: {step.title.lower()}",
        desc=step.desc,
    )
    canvas.text(8, 20, f"{number}. {step.title}", size=16, bold=True)
    canvas.text(8, 39, step.source, size=13, tone="muted")
    draw_cell(canvas, Look(step.parts, step.new))
    return canvas


def figures() -> dict[str, str]:
    return {f"lstm_grow_{number}.svg": draw(number).svg() for number in range(1, len(STEPS) + 1)}


if __name__ == "__main__":
    write(figures())
