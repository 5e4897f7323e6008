"""Attention in one picture, narrow enough for a phone: keys and values, scores, softmax, weighted sum."""

from itertools import pairwise

from diagram import Canvas, write

WIDTH, HEIGHT = 440, 500
COLUMNS = (62, 158, 254)  # one for each source position
WORDS = ("chat", "noir", "vent")
INPUT, KEY, BUS, SCORE, SOFTMAX, TIMES, SUM = 480, 418, 366, 318, 238, 160, 92  # heights
SIDE = 34  # how far left of its column a value goes up
DECODER = 384


def draw() -> Canvas:
    canvas = Canvas(
        "attention_overview",
        WIDTH,
        HEIGHT,
        title="Attention: score, softmax, context",
        desc="An encoder reads the words chat, noir, vent, in both directions, into the states h_1 to h_3. "
        "On the right stands a decoder, whose state is the query q. The query goes to three scores, each of "
        "which also gets one of the states, its key, and gives a number e. One softmax turns the three "
        "numbers into three weights alpha. Each weight multiplies its state, which is the value here too; "
        "the products are added up, and the sum is the context c, which goes to the decoder.",
    )
    # the values' way up to the products, under the softmax
    for x in COLUMNS:
        canvas.wire([(x - SIDE, KEY - 19), (x - SIDE, TIMES), (x - 12, TIMES)], tone="green", weight=2.2)
    canvas.wire([(COLUMNS[0], SUM), (DECODER - 60 - 13, SUM)], weight=2.2)
    for x in COLUMNS:
        canvas.wire([(x, TIMES - 12), (x, SUM)], weight=2.2, head=False)
        canvas.dot(x, SUM, r=3.5)
        canvas.wire([(x, SOFTMAX - 18), (x, TIMES + 12)], tone="orange")
        canvas.wire([(x, SCORE - 16), (x, SOFTMAX + 18)], tone="purple")
        canvas.operator(x, TIMES, "×", r=12)
    canvas.operator(DECODER - 60, SUM, "+")
    canvas.box((COLUMNS[0] + COLUMNS[-1]) / 2, SOFTMAX, COLUMNS[-1] - COLUMNS[0] + 84, 36, tone="orange")
    canvas.text((COLUMNS[0] + COLUMNS[-1]) / 2, SOFTMAX + 5, "softmax over all positions", anchor="middle")
    # the query, from the decoder to every score
    last = COLUMNS[0] + 16
    canvas.wire([(DECODER - 48, BUS), (last, BUS), (last, SCORE + 16)], tone="blue", dash="gate")
    for x in COLUMNS[1:]:
        canvas.dot(x + 16, BUS, tone="blue", r=3.5)
        canvas.wire([(x + 16, BUS), (x + 16, SCORE + 16)], tone="blue", dash="gate")
    for number, x in enumerate(COLUMNS, 1):
        canvas.wire([(x, KEY - 19), (x, SCORE + 16)], tone="green", hops=[(x, BUS)] if number > 1 else ())
        canvas.box(x, SCORE, 54, 32, tone="purple")
        canvas.text(x, SCORE + 5, "score", anchor="middle")
        canvas.math(x + 8, SCORE - 27, f"e_{number}", size=16, anchor="start", tone="purple")
        canvas.math(x + 8, TIMES + 33, f"α_{number}", size=17, anchor="start", tone="orange")
        canvas.wire([(x, INPUT - 15), (x, KEY + 19)])
        canvas.text(x, INPUT + 4, WORDS[number - 1], size=15, anchor="middle")
    for x, following in pairwise(COLUMNS):
        canvas.wire([(x + 37, KEY - 7), (following - 37, KEY - 7)], weight=1.4)
        canvas.wire([(following - 37, KEY + 7), (x + 37, KEY + 7)], weight=1.4)
    for number, x in enumerate(COLUMNS, 1):
        canvas.box(x, KEY, 74, 38, tone="green", weight=2.2)
        canvas.math(x, KEY + 6, f"h_{number}", size=18, tone="green")
    canvas.text(COLUMNS[-1] + 8, 392, "key", size=14, tone="green")
    canvas.text(8, TIMES - 9, "value", size=14, tone="green")
    # the decoder
    canvas.wire([(DECODER - 60 + 13, SUM), (DECODER, SUM), (DECODER, BUS - 38)], weight=2.2)
    canvas.text(DECODER - 2, SUM - 14, "context $c$", size=15, anchor="middle")
    canvas.box(DECODER, BUS, 96, 76, tone="blue")
    canvas.text(DECODER, BUS - 4, "decoder", anchor="middle")
    canvas.text(DECODER, BUS + 18, "state $s$", anchor="middle", tone="blue")
    canvas.math(DECODER - 66, BUS - 9, "q", size=18, tone="blue")
    canvas.wire([(DECODER, BUS + 38), (DECODER, 446)])
    canvas.text(DECODER, 468, "next word", size=15, anchor="middle")
    canvas.text(
        WIDTH / 2 - 20, 30, "One such picture for every word that is written.", size=15, anchor="middle"
    )
    return canvas


def figures() -> dict[str, str]:
    return {"attention_overview.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
