"""Three ways from an English string to a French one: one vector, attention, and self-attention."""

from itertools import pairwise

from diagram import Canvas, write

WIDTH, HEIGHT = 440, 656
SOURCE, TARGET = (100, 220, 340), (85, 175, 265, 355)
READ, WRITTEN = ("Close", "all", "tabs"), ("Fermer", "tous", "les", "onglets")


def row(canvas: Canvas, places: tuple[int, ...], y: float, tone: str) -> None:
    for x in places:
        canvas.box(x, y, 44, 26, tone=tone)


def words(canvas: Canvas, places: tuple[int, ...], names: tuple[str, ...], y: float) -> None:
    for x, name in zip(places, names, strict=True):
        canvas.text(x, y, name, size=15, anchor="middle")


def chain(canvas: Canvas, places: tuple[int, ...], y: float, tone: str) -> None:
    for x, following in pairwise(places):
        canvas.wire([(x + 22, y), (following - 22, y)], tone=tone, weight=2)


def all_to_all(canvas: Canvas, one: tuple[int, ...], y: float, other: tuple[int, ...], below: float) -> None:
    """Orange lines from each of one row to each of the row below."""
    for x in one:
        for goal in other:
            canvas.wire([(x, y + 13), (goal, below - 13)], tone="orange", weight=1, head=False)


def recurrent(canvas: Canvas, top: float, title: str, *, attention: bool) -> None:
    """A rung: a chain that reads, a chain that writes, and what passes between them."""
    canvas.text(14, top, title, size=15, bold=True)
    words(canvas, SOURCE, READ, top + 28)
    above, below = top + 52, top + 122
    if attention:
        all_to_all(canvas, SOURCE, above, TARGET, below)
    last = SOURCE[-1] + 22
    bend = [(last, above), (424, above), (424, (above + below) / 2), (30, (above + below) / 2), (30, below)]
    canvas.wire([*bend, (TARGET[0] - 22, below)], tone="blue", weight=1.4 if attention else 3)
    row(canvas, SOURCE, above, "green")
    row(canvas, TARGET, below, "blue")
    chain(canvas, SOURCE, above, "green")
    chain(canvas, TARGET, below, "blue")
    words(canvas, TARGET, WRITTEN, top + 156)


def transformer(canvas: Canvas, top: float) -> None:
    """A rung without chains: each row asks the row above."""
    canvas.text(14, top, "3. Self-attention", size=15, bold=True)
    words(canvas, SOURCE, READ, top + 28)
    rows = [top + 52, top + 102, top + 162, top + 212]  # embedded, read; embedded, written
    for x in SOURCE:
        for goal in SOURCE:
            canvas.wire([(x, rows[0] + 13), (goal, rows[1] - 13)], tone="green", weight=1, head=False)
    for k, x in enumerate(TARGET):
        for goal in TARGET[k:]:
            canvas.wire([(x, rows[2] + 13), (goal, rows[3] - 13)], tone="blue", weight=1, head=False)
    for x in SOURCE:
        for goal in TARGET:
            between = [(x, rows[1] + 13), (goal, rows[2] - 13)]
            canvas.wire(between, tone="orange", weight=1, head=False)
    for k, y in enumerate(rows):
        row(canvas, (SOURCE, SOURCE, TARGET, TARGET)[k], y, ("green", "green", "blue", "blue")[k])
    words(canvas, TARGET, WRITTEN, top + 246)


def draw() -> Canvas:
    canvas = Canvas(
        "translation_rungs",
        WIDTH,
        HEIGHT,
        title="Three ways to read and to write",
        desc="First: a chain of states reads Close all tabs, and its last state alone goes to a chain that "
        "writes Fermer tous les onglets. Second: the same, and each state that writes looks at each state "
        "that has read. Third: no chains. Each word of the source looks at all of them, each word that is "
        "written at those before it and at all of the source.",
    )
    recurrent(canvas, 22, "1. One vector passes", attention=False)
    recurrent(canvas, 208, "2. With attention (orange)", attention=True)
    transformer(canvas, 394)
    return canvas


def figures() -> dict[str, str]:
    return {"translation_rungs.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
