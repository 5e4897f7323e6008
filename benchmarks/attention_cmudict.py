"""Spelling to pronunciation over several seeds, with attention and without.

    python benchmarks/attention_cmudict.py          writes rnnlit/pages/records/attention_cmudict.json
    python benchmarks/attention_cmudict.py --seeds 1 --epochs 1   a quick look; the full run takes 20 minutes

The words are those of `rnnlit.tasks.spelling`. Every model has embeddings of 32 and a bidirectional encoder
with half as many units in each direction as the decoder has. It is trained for 8 epochs by Adam (batches of
64, learning rate 0.005, over the second half falling to zero in a line, gradient norm clipped at 1). Recorded
for each seed: parameters; phoneme error rate and share of words without an error on the 2000 test words, in
percent, by greedy search and with a beam of 5; the phoneme error rate by number of letters. Beside it stands
a baseline that learns nothing: the pronunciation of the training word that is spelt most alike.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib

# One thread, set before NumPy is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
import torch

from rnnlit.nn.seq2seq import EncoderDecoder
from rnnlit.pages import records
from rnnlit.tasks import spelling, tokens
from rnnlit.tools.machine import describe
from rnnlit.tools.train_torch import make_step

RESULT = records.HERE / "attention_cmudict.json"
BATCH, RATE, EMBEDDING, LONGEST, BEAM = 64, 5e-3, 32, 25, 5
MODELS = {
    "no attention, 64 units": dict(hidden_size=64, attention=None),
    "no attention, 128 units": dict(hidden_size=128, attention=None),
    "Bahdanau, additive": dict(hidden_size=64, attention="additive"),
    "Luong, general": dict(hidden_size=64, attention="general", order="luong"),
}


def score(found, wanted):
    """Phoneme error rate and share of right words, in percent."""
    rates = tokens.token_error_rate(found, wanted), tokens.exact_match(found, wanted)
    return [round(100 * float(rate), 2) for rate in rates]


def train(setting, sources, targets, sizes, epochs, seed):
    torch.manual_seed(seed)
    half = setting["hidden_size"] // 2
    model = EncoderDecoder(*sizes, EMBEDDING, encoder_size=half, **setting)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    steps = epochs * -(-len(sources) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1, 2 * (1 - k / steps)))
    step = make_step(model, optimizer, lambda model, batch: model.loss(*batch))
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for batch in tokens.batches(sources, targets, BATCH, rng):
            step(batch)
            schedule.step()
    return model


def answers(model, sources, beam):
    source, lengths = tokens.pad(sources)
    found = model.decode(source, lengths, max_length=LONGEST, beam=beam)
    return [hypothesis.tokens.tolist() for hypothesis in found]


def by_letters(found, wanted, words):
    """Phoneme error rate in percent, for words of 4 to 11 letters."""
    rates = {}
    for letters in range(4, 12):
        chosen = [k for k, word in enumerate(words) if len(word) == letters]
        rates[letters] = score([found[k] for k in chosen], [wanted[k] for k in chosen])[0]
    return rates


def study(dictionary, epochs, seeds):
    letters = tokens.Vocabulary.of(dictionary.train.spelling)
    phonemes = tokens.Vocabulary.of(dictionary.train.phonemes)
    sources = [letters.encode(word) for word in dictionary.train.spelling]
    targets = [phonemes.encode(spoken) for spoken in dictionary.train.phonemes]
    asked = [letters.encode(word) for word in dictionary.test.spelling]
    wanted = [phonemes.encode(spoken) for spoken in dictionary.test.phonemes]
    rows = []
    for name, setting in MODELS.items():
        for seed in range(seeds):
            model = train(setting, sources, targets, (len(letters), len(phonemes)), epochs, seed)
            found = answers(model, asked, 1)
            row = dict(name=name, seed=seed, parameters=sum(p.numel() for p in model.parameters()))
            row |= dict(greedy=score(found, wanted), beam=score(answers(model, asked, BEAM), wanted))
            row |= dict(by_letters=by_letters(found, wanted, dictionary.test.spelling))
            print(f"{name:24} seed {seed}   greedy {row['greedy']}   beam {row['beam']}", flush=True)
            rows.append(row)
    return rows


def baseline(dictionary):
    """The scores of the nearest neighbour in spelling."""
    known = dictionary.train
    found = [known.phonemes[spelling.nearest(w, known.spelling)] for w in dictionary.test.spelling]
    wanted = dictionary.test.phonemes
    return dict(score=score(found, wanted), by_letters=by_letters(found, wanted, dictionary.test.spelling))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds for each model (5)")
    parser.add_argument("--epochs", type=int, default=8, help="times through the training words (8)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dictionary = spelling.pronunciations()
    record = dict(
        command="python benchmarks/attention_cmudict.py",
        epochs=arguments.epochs,
        beam=BEAM,
        nearest=baseline(dictionary),
        rows=study(dictionary, arguments.epochs, arguments.seeds),
        machine=describe(),
    )
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
