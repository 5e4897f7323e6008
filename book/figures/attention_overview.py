"""Attention in one picture: encoder's states, scores, softmax, weighted sum, context, decoder."""

from itertools import pairwise

from diagram import Canvas, write

WIDTH, HEIGHT = 760, 480
COLUMNS = (86, 204, 322, 440)  # one for each source position
INPUT, KEY, BUS, SCORE, SOFTMAX, TIMES, SUM = 452, 388, 338, 286, 210, 134, 70  # heights
SIDE = 37  # how far left of its column a key goes up
DECODER = 640


def draw() -> Canvas:
    canvas = Canvas(
        "attention_overview",
        WIDTH,
        HEIGHT,
        title="Attention: score, softmax, context",
        desc="An encoder reads x_1 to x_4, in both directions, into the states h_1 to h_4. On the right "
        "stands a decoder, whose state is the query q. The query goes to four scores, each of which"
        " also gets one of the states and gives a number e. One softmax turns the four numbers into"
        " four weights alpha. Each weight multiplies its state, the products are added up, and the "
        "sum is the context c, which goes to the decoder.",
    )
    # the keys' way up to the products, under the softmax
    for x in COLUMNS:
        canvas.wire([(x - SIDE, KEY - 20), (x - SIDE, TIMES), (x - 12, TIMES)], tone="green", weight=2.2)
    canvas.wire([(COLUMNS[0], SUM), (DECODER - 80 - 13, SUM)], weight=2.2)
    for x in COLUMNS:
        canvas.wire([(x, TIMES - 12), (x, SUM)], weight=2.2, head=False)
        canvas.dot(x, SUM, r=3.5)
        canvas.wire([(x, SOFTMAX - 18), (x, TIMES + 12)], tone="orange")
        canvas.wire([(x, SCORE - 17), (x, SOFTMAX + 18)], tone="purple")
        canvas.operator(x, TIMES, "×", r=12)
    canvas.operator(DECODER - 80, SUM, "+")
    canvas.box((COLUMNS[0] + COLUMNS[-1]) / 2, SOFTMAX, COLUMNS[-1] - COLUMNS[0] + 100, 36, tone="orange")
    canvas.text((COLUMNS[0] + COLUMNS[-1]) / 2, SOFTMAX + 5, "softmax over all positions", anchor="middle")
    # the query, from the decoder to every score
    last = COLUMNS[0] + 19
    canvas.wire([(DECODER - 62, BUS), (last, BUS), (last, SCORE + 17)], tone="blue", dash="gate")
    for x in COLUMNS[1:]:
        canvas.dot(x + 19, BUS, tone="blue", r=3.5)
        canvas.wire([(x + 19, BUS), (x + 19, SCORE + 17)], tone="blue", dash="gate")
    for number, x in enumerate(COLUMNS, 1):
        canvas.wire([(x, KEY - 20), (x, SCORE + 17)], tone="green", hops=[(x, BUS)] if number > 1 else ())
        canvas.box(x, SCORE, 58, 34, tone="purple")
        canvas.text(x, SCORE + 5, "score", anchor="middle")
        canvas.math(x + 9, SCORE - 29, f"e_{number}", size=16, anchor="start", tone="purple")
        canvas.math(x + 9, TIMES + 33, f"α_{number}", size=17, anchor="start", tone="orange")
        canvas.wire([(x, INPUT - 16), (x, KEY + 20)])
        canvas.math(x, INPUT + 4, f"x_{number}", size=17)
    for x, following in pairwise(COLUMNS):
        canvas.wire([(x + 41, KEY - 7), (following - 41, KEY - 7)], weight=1.4)
        canvas.wire([(following - 41, KEY + 7), (x + 41, KEY + 7)], weight=1.4)
    for number, x in enumerate(COLUMNS, 1):
        canvas.box(x, KEY, 82, 40, tone="green", weight=2.2)
        canvas.math(x, KEY + 6, f"h_{number}", size=18, tone="green")
    # the decoder
    canvas.wire([(DECODER - 80 + 13, SUM), (DECODER, SUM), (DECODER, BUS - 44)], weight=2.2)
    canvas.math(DECODER - 34, SUM - 10, "c", size=19, bold=True)
    canvas.text(DECODER + 12, 186, "context", size=14)
    canvas.box(DECODER, BUS, 124, 88, tone="blue")
    canvas.text(DECODER, BUS - 6, "decoder", anchor="middle")
    canvas.text(DECODER, BUS + 18, "state $s$", anchor="middle", tone="blue")
    canvas.math(DECODER - 84, BUS - 9, "q", size=18, tone="blue")
    canvas.wire([(DECODER + 62, BUS), (WIDTH - 24, BUS)])
    canvas.math(WIDTH - 13, BUS + 5, "y", size=18)
    canvas.text(DECODER, KEY + 36, "one such picture for", size=13, anchor="middle", tone="muted")
    canvas.text(DECODER, KEY + 54, "every word that is written", size=13, anchor="middle", tone="muted")
    return canvas


def figures() -> dict[str, str]:
    return {"attention_overview.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
