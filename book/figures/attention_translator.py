"""The plain encoder-decoder: what one network reads, the other writes, and the one vector between them."""

from itertools import pairwise

from diagram import Canvas, write

WIDTH, HEIGHT = 440, 400
READ, ENCODER, BRIDGE, WRITES, DECODER, READS = 40, 100, 160, 212, 282, 350  # heights
SOURCE, TARGET = (72, 188, 304), (64, 168, 272, 376)
FRENCH, ENGLISH = ("chat", "noir", "vent"), ("black", "cat", "wind")


def draw() -> Canvas:
    canvas = Canvas(
        "attention_translator",
        WIDTH,
        HEIGHT,
        title="An encoder and a decoder",
        desc="Above, the encoder reads chat, noir, vent, one word a step. Its last state is the only thing "
        "that goes on, as the first state of the decoder below. The decoder reads start, black, cat, wind "
        "and writes black, cat, wind, stop: at each step it is given the word before.",
    )
    for x, word in zip(SOURCE, FRENCH, strict=True):
        canvas.text(x, READ, word, size=16, anchor="middle")
        canvas.wire([(x, READ + 10), (x, ENCODER - 20)])
        canvas.box(x, ENCODER, 60, 40, tone="green")
    for number, x in enumerate(SOURCE, 1):
        canvas.math(x, ENCODER + 6, f"h_{number}", size=17, tone="green")
    for x, following in pairwise(SOURCE):
        canvas.wire([(x + 30, ENCODER), (following - 30, ENCODER)], tone="green", weight=2.2)
    canvas.text(16, 18, "The encoder reads", size=14, tone="muted")
    bend = [(SOURCE[-1] + 30, ENCODER), (420, ENCODER), (420, BRIDGE), (14, BRIDGE), (14, DECODER)]
    canvas.wire([*bend, (TARGET[0] - 32, DECODER)], tone="orange", weight=3.4)
    canvas.text(216, BRIDGE - 9, "one vector: all that passes", size=15, tone="orange", anchor="middle")
    for number, x in enumerate(TARGET, 1):
        canvas.box(x, DECODER, 62, 40, tone="blue")
        canvas.math(x, DECODER + 6, f"s_{number}", size=17, tone="blue")
        canvas.wire([(x, DECODER - 20), (x, WRITES + 8)])
        canvas.wire([(x, READS - 16), (x, DECODER + 20)])
        special = number == len(TARGET)
        written = "<stop>" if special else ENGLISH[number - 1]
        canvas.text(x, WRITES, written, size=16, anchor="middle", tone="purple" if special else "ink")
        given = "<start>" if number == 1 else ENGLISH[number - 2]
        canvas.text(x, READS + 4, given, size=16, anchor="middle", tone="purple" if number == 1 else "ink")
    for x, following in pairwise(TARGET):
        canvas.wire([(x + 31, DECODER), (following - 31, DECODER)], tone="blue", weight=2.2)
    canvas.text(16, 388, "The decoder is given the word before, and writes the next.", size=14, tone="muted")
    return canvas


def figures() -> dict[str, str]:
    return {"attention_translator.svg": draw().svg()}


if __name__ == "__main__":
    write(figures())
