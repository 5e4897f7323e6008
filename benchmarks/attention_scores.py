"""All scores of attention, both orders, windows and input feeding, on one task in one table.

    python benchmarks/attention_scores.py          writes rnnlit/pages/records/attention_scores.json (minutes)
    python benchmarks/attention_scores.py --seeds 1   a quick look

The task and the training are those of benchmarks/attention_length.py, on sentences of 2 to 15 words. The
encoder has 24 units in each direction and the decoder 48, so that keys and states are equally long, which the
scores "dot" and "scaled_dot" need. Nothing else is tuned for any row.

Recorded for each row and seed: the number of parameters, all and those of score and place; the training loss;
on the same fresh sentences of all trained lengths, the share of right tokens with teacher forcing, stops
included, and the share of right sentences written freely by greedy search; the latter also for sentences of
16 to 20 words, longer than any in training.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import time

# First, since it sets one thread before NumPy is imported.
from attention_length import BATCH, EVERY, HIDDEN, build, quality, size_of, train  # isort: skip
import numpy as np
import torch

from rnnlit.nn.seq2seq import EncoderDecoder
from rnnlit.pages import records
from rnnlit.tasks.tokens import STOP
from rnnlit.tasks.translation import ENGLISH, sentences, word_for_word
from rnnlit.tools.machine import describe

RESULT = records.HERE / "attention_scores.json"
LONGEST, BEYOND, FRESH, D = 15, 20, 50, 3
TRAINED, LONGER = range(2, LONGEST + 1), range(LONGEST + 1, BEYOND + 1)
LUONG = dict(order="luong")
STUDY = [
    dict(attention=None),
    dict(attention=None, **LUONG),
    dict(attention="additive"),
    dict(attention="general"),
    dict(attention="dot"),
    dict(attention="scaled_dot"),
    dict(attention="location", max_source=BEYOND, **LUONG),
    dict(attention="dot", **LUONG),
    dict(attention="scaled_dot", **LUONG),
    dict(attention="general", **LUONG),
    dict(attention="concat", **LUONG),
    dict(attention="dot", input_feeding=False, **LUONG),
    dict(attention="general", input_feeding=False, **LUONG),
    dict(attention="general", window="local_m", D=D, **LUONG),
    dict(attention="general", window="local_p", D=D, **LUONG),
]


def forced(model: EncoderDecoder, length: int) -> float:
    """The share of right tokens, stop included, where each is predicted from the true ones before."""
    batch = sentences(length, FRESH, np.random.default_rng(10**6 + length))
    model.eval()
    with torch.no_grad():
        predicted = model(*batch).logits.argmax(-1).numpy()
    model.train()
    stops = np.full((1, FRESH), STOP)  # all sentences of a batch are equally long
    return float((predicted == np.concatenate([batch.target, stops])).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds for each row (3)")
    parser.add_argument("--steps", type=int, default=1000, help="steps of training (1000)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, began = [], time.process_time()
    for options in STUDY:
        for seed in range(arguments.seeds):
            model = build(seed, HIDDEN, encoder_size=HIDDEN // 2, **options)
            curve = train(model, LONGEST, arguments.steps, seed)
            row = dict(attention=options["attention"], order=options.get("order", "bahdanau"))
            row |= dict(window=options.get("window"), input_feeding=model.feeds, seed=seed)
            row |= dict(parameters=size_of(model), loss=curve)
            row["of_attention"] = 0 if model.attention is None else size_of(model.attention)
            row["forced"] = round(float(np.mean([forced(model, n) for n in TRAINED])), 4)
            row["exact"] = round(float(np.mean([quality(model, n, FRESH)[0] for n in TRAINED])), 4)
            row["longer"] = round(float(np.mean([quality(model, n, FRESH)[0] for n in LONGER])), 4)
            rows.append(row)
            name = " ".join(str(row[key] or "-") for key in ("attention", "order", "window", "input_feeding"))
            print(
                f"{name:34} seed {seed}   {row['parameters']:6} parameters   right tokens, forced "
                f"{row['forced']:.3f}   right sentences {row['exact']:.3f}, longer ones {row['longer']:.3f}",
                flush=True,
            )
    lexicon = [word_for_word(n) for n in TRAINED]
    record = dict(
        command="python benchmarks/attention_scores.py",
        steps=arguments.steps,
        batch=BATCH,
        every=EVERY,
        D=D,
        trained=[TRAINED[0], TRAINED[-1]],
        longer=[LONGER[0], LONGER[-1]],
        chance=round(1 / (len(ENGLISH) - 3), 4),
        lexicon=dict(
            exact=round(float(np.mean([e for e, _ in lexicon])), 4),
            words=round(float(np.mean([w for _, w in lexicon])), 4),
            longer=round(float(np.mean([word_for_word(n)[0] for n in LONGER])), 6),
        ),
        rows=rows,
        cpu_seconds=round(time.process_time() - began),
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")
    print(
        f"a lexicon alone: right sentences {record['lexicon']['exact']}, words {record['lexicon']['words']}"
    )
    print(f"{record['cpu_seconds']} s of processor time")


if __name__ == "__main__":
    main()
