"""The front page's pictures, one a chapter: each shows the chapter's idea in a few lines.

Curves are those of formulas that stand beside them; all else is a sketch.
"""

from collections.abc import Callable
from itertools import pairwise
from math import exp

from diagram import Canvas, write

WIDTH, HEIGHT = 176, 100
DRAWN: dict[str, tuple[str, str, Callable[[Canvas], None]]] = {}


def picture(name: str, title: str, desc: str) -> Callable[[Callable[[Canvas], None]], None]:
    """Register what draws the picture of the page `name`."""

    def register(draw: Callable[[Canvas], None]) -> None:
        DRAWN[name] = (title, desc, draw)

    return register


def curve(
    canvas: Canvas, values: list[float], tone: str, dash: str | None = None, low: float = 0, high: float = 1
) -> None:
    """Draw values against their number, from `low` at the axis to `high` at the top."""
    step = 136 / (len(values) - 1)
    points = [(20 + k * step, 84 - 70 * (min(v, high) - low) / (high - low)) for k, v in enumerate(values)]
    canvas.wire(points, tone=tone, weight=2.4, dash=dash, head=False, radius=0)


def axes(canvas: Canvas) -> None:
    canvas.wire([(20, 10), (20, 84), (162, 84)], tone="muted", weight=1.2, head=False, radius=0)


def chain(canvas: Canvas, y: float, tone: str, columns: list[float]) -> None:
    """Draw cells in a row, each of which hands its state to the next; columns may run either way."""
    side = 11 if columns[0] < columns[-1] else -11
    for x, after in pairwise(columns):
        canvas.wire([(x + side, y), (after - side, y)], tone=tone, weight=2.2)
    for x in columns:
        canvas.box(x, y, 22, 22, tone=tone, radius=5)


@picture(
    "background",
    "A chain of four cells",
    "Four cells stand in a row. Each takes an input from below, gives an output above, and hands its state "
    "on to the next cell by a red arrow.",
)
def background(canvas: Canvas) -> None:
    columns = [31.0, 69.0, 107.0, 145.0]
    for x in columns:
        canvas.wire([(x, 90), (x, 63)], tone="muted", weight=1.5)
        canvas.wire([(x, 39), (x, 12)], tone="blue", weight=1.5)
    chain(canvas, 51, "red", columns)


@picture(
    "terminology",
    "One array for a batch of sequences",
    "A block of cells with three edges: T for time steps to the right, B for the sequences of the batch, "
    "one behind the other, and I for the inputs downwards.",
)
def terminology(canvas: Canvas) -> None:
    for back in (2, 1, 0):
        for k in range(4):
            for row in range(3):
                tone = "blue" if back == 0 else "muted"
                canvas.box(
                    42 + 22 * k + 14 * back,
                    36 + 18 * row - 12 * back,
                    22,
                    18,
                    tone=tone,
                    fill="fill" if back == 0 else "paper",
                    weight=1.3,
                    radius=1,
                )
    canvas.math(75, 97, "T", size=14)
    canvas.math(20, 59, "I", size=14)
    canvas.math(158, 22, "B", size=14)


@picture(
    "rnn",
    "A cell whose state comes back to it",
    "One cell with the label tanh. An input comes from below, the state leaves above, and a red arrow leads "
    "it around and back into the same cell.",
)
def rnn(canvas: Canvas) -> None:
    canvas.wire([(88, 98), (88, 77)], tone="muted", weight=1.8)
    canvas.wire([(88, 43), (88, 4)], tone="blue", weight=1.8)
    canvas.wire([(88, 25), (146, 25), (146, 60), (119, 60)], tone="red", weight=2.6, radius=14)
    canvas.dot(88, 25, tone="red")
    canvas.box(88, 60, 60, 34, tone="purple")
    canvas.math(88, 66, "tanh", size=18, tone="purple")


@picture(
    "rnn_gradient",
    "Three powers: one grows, one stays, one vanishes",
    "Curves over fifty steps of 1.1 to the power k, which leaves the picture above, of 1, which is level, "
    "and of 0.9 to the power k, which falls to almost nothing.",
)
def rnn_gradient(canvas: Canvas) -> None:
    axes(canvas)
    steps = range(51)
    grown = [1.1**k for k in steps if 1.1**k <= 3.4]
    step = 136 / 50
    canvas.wire([(20 + k * step, 84 - 21 * v) for k, v in enumerate(grown)], tone="red", weight=2.4, radius=0)
    curve(canvas, [1.0 for _ in steps], "muted", "outline", high=10 / 3)
    curve(canvas, [0.9**k for k in steps], "blue", high=10 / 3)
    canvas.math(76, 24, "1.1^k", size=15, tone="red", anchor="start")
    canvas.math(100, 79, "0.9^k", size=15, tone="blue", anchor="start")


@picture(
    "lstm",
    "A state that runs straight through three gates",
    "A thick red line, the cell state, runs from left to right through a product and a sum and beside a "
    "third product; gates f, i and o stand below them.",
)
def lstm(canvas: Canvas) -> None:
    canvas.wire([(6, 30), (170, 30)], tone="red", weight=3)
    for x, sign, name, tone in ((44, "×", "f", "blue"), (88, "+", "i", "green"), (132, "×", "o", "orange")):
        y = 30 if name != "o" else 56
        if name == "o":
            canvas.wire([(132, 30), (132, 44)], tone="red", weight=2, head=False)
            canvas.wire([(144, 56), (170, 56)], tone="blue", weight=1.8)
        canvas.wire([(x, 76), (x, y + 12)], tone=tone, weight=1.8, dash="gate")
        canvas.operator(x, y, sign, r=11)
        canvas.box(x, 86, 26, 20, tone=tone, radius=4)
        canvas.math(x, 91, name, size=16, tone=tone)


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


@picture(
    "lstm_start",
    "How much a cell keeps, by the bias of its forget gate",
    "Three curves over twenty steps, the sigmoid of the bias to the power k: with bias 0 the memory is gone "
    "after a few steps, with 1 it lasts longer, with 4 most of it is still there.",
)
def lstm_start(canvas: Canvas) -> None:
    axes(canvas)
    for bias, tone, dash, x, y in (
        (0, "orange", "gate", 24, 81),
        (1, "green", "peephole", 66, 66),
        (4, "blue", None, 112, 24),
    ):
        curve(canvas, [sigmoid(bias) ** k for k in range(21)], tone, dash)
        canvas.math(x, y, f"b_f = {bias}" if bias else "0", size=14, tone=tone, anchor="start")


@picture(
    "gru",
    "The new state, between the old one and the candidate",
    "A line between two ends, the old state h and the candidate n. A mark on it, z of the way from n, is "
    "the new state.",
)
def gru(canvas: Canvas) -> None:
    canvas.wire([(26, 66), (150, 66)], tone="muted", weight=4, head=False)
    canvas.wire([(26, 66), (104, 66)], tone="red", weight=4, head=False)
    canvas.dot(26, 66, tone="green", r=7)
    canvas.dot(150, 66, tone="red", r=7)
    canvas.operator(104, 66, "+", tone="purple", r=12)
    canvas.math(26, 92, "n", size=17, tone="green")
    canvas.math(150, 92, "h_{t-1}", size=17, tone="red")
    canvas.math(104, 42, "h_t", size=18, tone="purple")
    canvas.math(62, 56, "z", size=16)


@picture(
    "birnn",
    "Two chains that read from both ends",
    "Two rows of four cells. In the upper one the red arrows of the state run to the right, in the lower "
    "one blue arrows run to the left; both meet above each word.",
)
def birnn(canvas: Canvas) -> None:
    columns = [31.0, 69.0, 107.0, 145.0]
    for x in columns:
        canvas.wire([(x, 97), (x, 81)], tone="muted", weight=1.4)
        canvas.wire([(x, 16), (x, 3)], tone="muted", weight=1.4)
    chain(canvas, 30, "red", columns)
    chain(canvas, 67, "blue", columns[::-1])


@picture(
    "attention",
    "Which source word each target word looks at",
    "A square of five by five fields. The dark ones run along the diagonal, but for two that have changed "
    "places, as words of a translation do.",
)
def attention(canvas: Canvas) -> None:
    order = (0, 1, 3, 2, 4)
    for row in range(5):
        for column in range(5):
            looks = order[row] == column
            near = abs(order[row] - column) == 1
            tone = "blue" if looks else "muted"
            x, y = 52 + 18 * column, 14 + 18 * row
            canvas.box(x, y, 18, 18, tone="muted", weight=0.6, radius=0, fill="paper")
            if looks or near:
                canvas.dot(x, y, tone=tone, r=7.5 if looks else 2.5)


@picture(
    "dropout",
    "A net some of whose units are left out",
    "Three layers of units with wires between them. Four units are drawn as empty rings without wires: for "
    "this example they are left out.",
)
def dropout(canvas: Canvas) -> None:
    layers = [[20, 50, 80], [12, 37, 63, 88], [20, 50, 80]]
    out = {(0, 1), (1, 0), (1, 3), (2, 2)}
    places = [(32, layers[0]), (88, layers[1]), (144, layers[2])]
    for layer, ((x, ys), (after, others)) in enumerate(pairwise(places)):
        for k, y in enumerate(ys):
            for j, other in enumerate(others):
                if (layer, k) not in out and (layer + 1, j) not in out:
                    canvas.wire([(x, y), (after, other)], tone="muted", weight=1, head=False)
    for layer, (x, ys) in enumerate(places):
        for k, y in enumerate(ys):
            if (layer, k) in out:
                canvas.box(x, y, 15, 15, tone="muted", fill="paper", dash="peephole", radius=7.5, weight=1.2)
            else:
                canvas.dot(x, y, tone="green", r=7.5)


@picture(
    "moving",
    "One import instead of another",
    "Two lines of code, one above the other. The upper one, import of LSTM from torch.nn, is crossed out; "
    "the lower one imports LSTM from rnnlit.nn.",
)
def moving(canvas: Canvas) -> None:
    canvas.text(88, 36, "from torch.nn", size=16, anchor="middle", tone="muted")
    canvas.wire([(34, 31), (142, 31)], tone="red", weight=2, head=False)
    canvas.text(88, 60, "from rnnlit.nn", size=16, anchor="middle", tone="blue", bold=True)
    canvas.text(88, 84, "import LSTM", size=16, anchor="middle")


@picture(
    "speed",
    "The same work, in a longer and a shorter time",
    "Three bars from a common start, each of them shorter than the one above it: the same work, written in "
    "three ways. A sketch; the page has the measured times.",
)
def speed(canvas: Canvas) -> None:
    canvas.wire([(20, 8), (20, 92)], tone="muted", weight=1.2, head=False)
    for y, length, tone in ((24, 136, "orange"), (50, 74, "green"), (76, 34, "blue")):
        canvas.box(20 + length / 2, y, length, 16, tone=tone, radius=2)


@picture(
    "pronunciation",
    "Letters above, sounds below",
    "The word cough, letter by letter, and below it its three sounds in the alphabet of the dictionary, K, "
    "AO and F, with lines from letters to sounds.",
)
def pronunciation(canvas: Canvas) -> None:
    letters = list(zip("cough", (32, 60, 88, 116, 144), strict=True))
    for letter, x in letters:
        canvas.text(x, 30, letter, size=19, anchor="middle")
    sounds = (("K", 32, (32,)), ("AO", 80, (60, 88)), ("F", 132, (116, 144)))
    for sound, x, froms in sounds:
        for start in froms:
            canvas.wire([(start, 37), (x, 66)], tone="muted", weight=1.2, head=False)
        canvas.text(x, 86, sound, size=19, anchor="middle", tone="blue", bold=True)


@picture(
    "translation",
    "Two sentences whose words stand in different orders",
    "Two rows of five bars, words of unequal length. Lines from the upper row to the lower one cross where "
    "two words have changed places.",
)
def translation(canvas: Canvas) -> None:
    above, below = (26, 56, 88, 120, 150), (26, 56, 88, 120, 150)
    for k, j in enumerate((0, 1, 3, 4, 2)):
        canvas.wire([(above[k], 28), (below[j], 72)], tone="purple", weight=1.6, head=False)
    for row, places, tone in ((20, above, "red"), (80, below, "blue")):
        for x, width in zip(places, (22, 18, 26, 20, 24), strict=True):
            canvas.box(x, row, width, 13, tone=tone, radius=3)


@picture(
    "language_model",
    "What may come next",
    "The letters q u i and a gap, and beside them four bars: the chances of four letters to come next, the "
    "longest of them first. A sketch.",
)
def language_model(canvas: Canvas) -> None:
    canvas.text(14, 58, ["qui", ("?", "orange")], size=26)
    for k, (letter, length) in enumerate((("t", 62), ("e", 42), ("c", 22), ("n", 8))):
        y = 20 + 21 * k
        canvas.text(92, y + 5, letter, size=15, anchor="end", tone="muted")
        canvas.box(100 + length / 2, y, length, 12, tone="blue", radius=2)


@picture(
    "execution",
    "A program, and what it prints",
    "Two lines of a program, a = 7 and print of a + 35, in a frame, and an arrow from it to the number that "
    "it prints, 42.",
)
def execution(canvas: Canvas) -> None:
    canvas.box(64, 50, 112, 62, tone="muted", radius=5)
    canvas.text(18, 45, "a = 7", size=14)
    canvas.text(18, 68, "print(a + 35)", size=14)
    canvas.wire([(122, 50), (144, 50)], tone="red", weight=2.2)
    canvas.text(160, 56, "42", size=19, anchor="middle", tone="red", bold=True)


@picture(
    "counting",
    "A counter that goes up, and down again",
    "Steps that rise by one with each of five letters a, and fall by one with each of five letters b, down "
    "to nothing at the end.",
)
def counting(canvas: Canvas) -> None:
    canvas.wire([(14, 76), (164, 76)], tone="muted", weight=1.2, head=False)
    heights = [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0]
    points = [(18.0, 76.0)]
    for k, height in enumerate(heights[1:]):
        points += [(18 + 14 * k, 76 - 13 * height), (32 + 14 * k, 76 - 13 * height)]
    canvas.wire(points, tone="green", weight=2.4, head=False, radius=0)
    for k, letter in enumerate("aaaaabbbbb"):
        tone = "red" if letter == "a" else "blue"
        canvas.text(25 + 14 * k, 94, letter, size=14, anchor="middle", tone=tone)


@picture(
    "errata",
    "Lines of a text, some of them marked",
    "Five lines of a text as bars. Beside two of them stands a red cross, beside the others a green dot: "
    "wrong and right.",
)
def errata(canvas: Canvas) -> None:
    for k, (length, right) in enumerate(((112, 1), (92, 0), (118, 1), (70, 1), (104, 0))):
        y = 16 + 18 * k
        canvas.box(42 + length / 2, y, length, 8, tone="muted", radius=2, weight=1)
        if right:
            canvas.dot(24, y, tone="green", r=4.5)
        else:
            for side in (-5, 5):
                canvas.wire([(24 - 5, y - side), (24 + 5, y + side)], tone="red", weight=2.2, head=False)


def figures() -> dict[str, str]:
    files = {}
    for name, (title, desc, draw) in DRAWN.items():
        canvas = Canvas(f"small_{name}", WIDTH, HEIGHT, title=title, desc=desc)
        draw(canvas)
        files[f"small_{name}.svg"] = canvas.svg()
    return files


if __name__ == "__main__":
    write(figures())
