"""How far three networks look back in one sentence: each letter shaded by its connection to the last one."""

from diagram import Canvas, write

from rnnlit.pages.connectivity import ALPHABET, NAMES, connection, models, record

TEXT = "so (she [was considering in her own mind] as well as she could)"
PITCH, LINE, WIDTH, LEFT = 13, 26, 446, 14
PER_LINE = (WIDTH - LEFT) // PITCH
STRONGEST = 0.53  # of the tone: letters stay legible on it in either mode


def lines(text: str) -> list[tuple[int, str]]:
    """The text cut between words, each line with the place of its first letter."""
    found, start = [], 0
    while len(text) - start > PER_LINE:
        end = text.rindex(" ", start, start + PER_LINE) + 1
        found.append((start, text[start:end]))
        start = end
    return [*found, (start, text[start:])]


def draw() -> Canvas:
    before, asked = TEXT[:-1], TEXT[-1]
    cut = lines(" " + TEXT)
    height = 34 + LINE * len(cut)
    canvas = Canvas(
        "play_connectivity",
        WIDTH,
        3 * (height + 22),
        title="Which letters three networks look back at",
        desc="The same sentence three times, for a plain network, an LSTM and a GRU. The bracket that closes "
        "at its end is framed. Each letter before it is shaded by the length of the gradient of the "
        "bracket's log-probability with respect to that letter, the strongest of a network darkest.",
    )
    told = record()["networks"]
    for number, (kind, model) in enumerate(models().items()):
        top = 24 + number * (height + 22)
        p, norms = connection(model, before, asked)
        facts = f"{told[kind]['bits']:.2f} bits a letter; gives the last bracket "
        facts += f"{100 * p[ALPHABET.index(asked)]:.0f} %"
        canvas.text(LEFT - 6, top, NAMES[kind], size=15, bold=True)
        canvas.text(LEFT + 76, top, facts, size=13, tone="muted")
        for row, (start, words) in enumerate(cut):
            y = top + 26 + LINE * row
            for k, norm in enumerate(norms[start : start + len(words)] / norms.max()):
                if norm >= 0.01:
                    canvas.shade(LEFT + PITCH * k, y - 5, PITCH, LINE - 5, STRONGEST * norm)
            canvas.letters(LEFT, y, words.replace(" ", "\u00a0"), PITCH, size=15)
        canvas.box(LEFT + PITCH * (len(words) - 1), y - 5, PITCH + 2, LINE - 4, fill=None, radius=2, weight=2)
    return canvas


def figures() -> dict[str, str]:
    return {"play_connectivity.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
