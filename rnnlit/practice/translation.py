"""What does the button say in French? Translation of an interface's strings, by an encoder and a decoder.

    python -m rnnlit.practice.translation --to zh --checkpoint run.safetensors --resume auto
    python -m rnnlit.practice.translation --to fr --model transformer --epochs 60 --seed 3

The strings are those of JupyterLab's language packs (`rnnlit.tasks.interface`), cut into pieces by byte pair
encoding (`rnnlit.tasks.subwords`). There are three models: `plain`, GRUs without attention; `attention`, the
same with additive attention; `transformer`, one layer of self-attention. At the end the strings of the test
part are translated by beam search and scored by sacrebleu:

    chrF    how many runs of one to six characters translation and reference share, an F-score, in percent
    BLEU    the same of one to four words, precision alone, with a penalty for what is too short; for Chinese
            of characters (sacrebleu's tokenizer zh)
    exact   the share of strings that are as the reference is, in percent

`--split random` cuts the parts anew, at random, as one would without thinking of strings that are almost the
same. The state that is kept is the one with the best chrF on the validation part.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnlit import search
from rnnlit.nn import EncoderDecoder
from rnnlit.practice import records, stored
from rnnlit.practice.options import add_run, parsed
from rnnlit.practice.translation_transformer import Transformer
from rnnlit.tasks import interface, subwords, tokens
from rnnlit.tasks.interface import LANGUAGES, PARTS, Interface, Strings
from rnnlit.tasks.subwords import Subwords
from rnnlit.tasks.tokens import START, STOP, Pairs, Vocabulary
from rnnlit.tasks.tokens_torch import smoothed_loss as loss_fn
from rnnlit.tools.train import History, fit
from rnnlit.tools.train_torch import TorchState, evaluating, make_step

MODELS = ("plain", "attention", "transformer")
MERGES = {"en": 500, "fr": 500, "zh": 200}  # in Chinese strings, of the Latin words among them
TOKENIZE = {"fr": "13a", "zh": "zh"}  # sacrebleu's, for BLEU
LADDER = 60  # epochs of the recorded runs that the tables show; there are others of 20
LENGTHS = (1, 2, 3, 5, 9, 17)  # English words: where a class of the length curve begins
LONGEST = 120  # pieces that are written at most, the stop included; and twice those that are read, and 10
Model = EncoderDecoder | Transformer


@cache
def pieces(language: str) -> Subwords:
    """The subwords of a language: en, fr or zh. They are learnt from the training part, in about a second."""
    return Subwords(getattr(interface.strings().train, language), MERGES[language])


@cache
def vocabulary(language: str) -> Vocabulary:
    """Their numbers."""
    return Vocabulary(pieces(language).pieces)


def parts(split: str = "apart", seed: int = 0) -> Interface:
    """Training, validation and test strings: `apart` as they stand in the file, or cut anew at `random`."""
    given = interface.strings()
    if split == "apart":
        return given
    rows = [row for part in given for row in zip(*part, strict=True)]
    order = np.random.default_rng(seed).permutation(len(rows))
    cuts = np.split(order, np.cumsum([len(part.en) for part in given])[:-1])
    return Interface(*(Strings(*zip(*(rows[k] for k in cut), strict=True)) for cut in cuts))


class Epochs:
    """Batches of all strings, drawn by `rng`: one epoch or, where joins are dropped, four of one cut."""

    def __init__(
        self, part: Strings, to: str, size: int, rng: np.random.Generator, drop: float = 0.0
    ) -> None:
        self.sides = [(language, getattr(part, language)) for language in ("en", to)]
        self.size, self.rng, self.drop = size, rng, drop

    def __len__(self) -> int:
        """Batches of one epoch."""
        return -(-len(self.sides[0][1]) // self.size)

    def __iter__(self) -> Iterator[Pairs]:
        sources, targets = (
            [known(language, pieces(language).cut(one, self.rng, self.drop)) for one in texts]
            for language, texts in self.sides
        )
        for _ in range(4 if self.drop else 1):  # cutting takes time
            yield from tokens.batches(sources, targets, self.size, self.rng)


def known(language: str, cut: Sequence[str]) -> list[int]:
    """The numbers of the pieces; those that training never saw are left out."""
    index = vocabulary(language).index
    return [index[piece] for piece in cut if piece in index]


def build(name: str, to: str, hidden: int = 120, dropout: float = 0.3) -> Model:
    """One of MODELS, from English to a language; `hidden` units in the decoder."""
    sizes = len(vocabulary("en")), len(vocabulary(to))
    if name == "transformer":
        return Transformer(*sizes, hidden * 2 // 3, dropout=dropout)
    return EncoderDecoder(
        *sizes,
        hidden * 2 // 3,
        hidden,
        attention="additive" if name == "attention" else None,
        attention_size=hidden // 3,
        order="luong",
        input_feeding=False,
        encoder_size=hidden // 2,
        dropout=dropout,
    )


def write(model: Model, texts: Sequence[str], to: str, beam: int = 4, penalty: float = 1.0) -> list[str]:
    """The translation of each text by beam search; beam = 1 is greedy. Dropout is off."""
    found: list[str] = []
    order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
    with evaluating(model):
        for k in range(0, len(order), 100):
            cut = [pieces("en").cut(texts[i]) for i in order[k : k + 100]]
            source, lengths = tokens.pad([known("en", one) for one in cut])
            state = model.encode(source, lengths)
            start, most = np.full(len(lengths), START), min(LONGEST, 2 * len(source) + 10)
            if beam == 1:
                best = search.greedy(model.log_probabilities, state, start, STOP, most)
            else:
                every = search.beam(
                    model.log_probabilities, state, start, STOP, most, beam,
                    length_penalty=penalty, select=type(state).select,
                )  # fmt: skip
                best = [hypotheses[0] for hypotheses in every]
            found += [subwords.text(map(str, vocabulary(to).decode(h.tokens))).strip() for h in best]
    return [text for _, text in sorted(zip(order, found, strict=True))]


def memory(strings: Interface, to: str) -> list[str]:
    """What a translation memory has for each test string: the translation of the nearest training string."""
    nearest, _ = interface.nearest(strings.test.en, strings.train.en)
    return [getattr(strings.train, to)[k] for k in nearest]


def align(
    text: str, found: str, to: str, model: Model | None = None
) -> tuple[list[str], list[str], np.ndarray]:
    """The pieces of a text and of its translation, the stop last, and the attention's weights (T+1, S).

    model: one with attention, that of `translate` if not given.
    """
    net = trained(to) if model is None else model
    read, written = pieces("en").cut(text), pieces(to).cut(found)
    one = tokens.pairs([vocabulary("en").encode(read)], [vocabulary(to).encode(written)])
    with evaluating(net):
        weights = net(*one).weights
    if weights is None:
        raise ValueError("model: expected one with attention, got one without")
    return read, [*written, "stop"], weights[:, 0].cpu().numpy()


def placeholders(text: str) -> list[str]:
    """Its placeholders, sorted: those of a translation should be the same."""
    return sorted(re.findall(r"%\d", text))


def scores(found: Sequence[str], wanted: Sequence[str], to: str) -> dict[str, float]:
    """chrF, BLEU and exact matches, in percent; sacrebleu reckons the first two."""
    from sacrebleu.metrics import BLEU, CHRF

    both = list(found), [list(wanted)]
    exact = np.mean([one == other for one, other in zip(found, wanted, strict=True)])
    return {
        "chrf": round(CHRF().corpus_score(*both).score, 2),
        "bleu": round(BLEU(tokenize=TOKENIZE[to]).corpus_score(*both).score, 2),
        "exact": round(100 * float(exact), 2),
    }


def signatures(to: str) -> dict[str, str]:
    """sacrebleu's account of how it scored: what one has to say beside a number."""
    from sacrebleu.metrics import BLEU, CHRF

    made = {"chrf": CHRF(), "bleu": BLEU(tokenize=TOKENIZE[to])}
    for metric in made.values():
        metric.corpus_score(["a"], [["a"]])
    return {name: str(metric.get_signature()) for name, metric in made.items()}


def by_length(found: Sequence[str], part: Strings, to: str) -> list[dict[str, float]]:
    """chrF and exact matches by the number of English words: 1, 2, 3 to 4, 5 to 8, 9 to 16, 17 and more."""
    words = np.array([len(one.split()) for one in part.en])
    rows = []
    for k, least in enumerate(LENGTHS):
        chosen = np.flatnonzero((words >= least) & (words < (*LENGTHS, np.inf)[k + 1])).tolist()
        if chosen:
            wanted = getattr(part, to)
            row = scores([found[i] for i in chosen], [wanted[i] for i in chosen], to)
            del row["bleu"]  # there are hardly four words in a row to count
            rows.append({"words": least, "strings": len(chosen), **row})
    return rows


def load(path: Path, device: str = "cpu") -> Model:
    """A model that `--export` has written, in float32, ready to write."""
    return stored.load(path, build, device)


def check_text(text: Any) -> str:
    """The text. TypeError, ValueError: it can't be translated."""
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, got {type(text).__name__}")
    if not re.search("[A-Za-z]", text):
        raise ValueError(f"text: expected an English text, got {text!r}")
    if len(text) > 300:
        raise ValueError(f"text: expected at most 300 characters, got {len(text)}")
    index = vocabulary("en").index
    strange = sorted({piece for piece in pieces("en").cut(text) if piece not in index})
    if strange:
        got = " ".join(map(repr, strange))
        raise ValueError(f"text: expected characters that JupyterLab's strings have, got {got}")
    return text


@cache
def trained(to: str) -> Model:
    """The model whose weights come with the package."""
    return load(stored.HERE / f"translation_{to}.safetensors")


def translate(text: str, to: str, beam: int = 4) -> str:
    """A text of an interface in another language: translate("Delete file", to="zh").

    to: "fr" or "zh". The model has learnt from 2 360 strings of JupyterLab, and knows little else.
    TypeError, ValueError: no string, an empty one, one with characters that it has never seen; another
    language.
    """
    if to not in LANGUAGES:
        raise ValueError(f"to: expected {' or '.join(map(repr, LANGUAGES))}, got {to!r}")
    return write(trained(to), [check_text(text)], to, beam)[0]


def recorded(to: str, model: str, split: str = "apart", epochs: int = LADDER) -> list[dict[str, Any]]:
    """The recorded runs of a model that had so many epochs, one a seed."""
    wanted = {"to": to, "model": model, "split": split}
    runs = [run for run in records.load("translation")["runs"] if wanted.items() <= run.items()]
    return [run for run in runs if run["steps"] == epochs * -(-run["strings"]["train"] // run["batch"])]


def mean(what: str, to: str, model: str, split: str = "apart", epochs: int = LADDER) -> float:
    """The mean over the seeds of a score of the recorded runs: chrf, bleu or exact."""
    return float(np.mean([run["test"][what] for run in recorded(to, model, split, epochs)]))


def beside() -> list[records.Beside]:
    """Our results beside published ones: what attention adds, and what self-attention does."""
    bleu = {(to, name): mean("bleu", to, name) for to in LANGUAGES for name in MODELS}
    what = "2 960 interface strings; pieces of words or characters"
    ours = f"{what}; {LADDER} epochs, means of 3 seeds; sacrebleu"
    return [
        records.Beside(
            "translation to French, BLEU: without attention, with it",
            f"{bleu['fr', 'plain']:.1f}, {bleu['fr', 'attention']:.1f}",
            "17.82, 26.75 (RNNencdec-50, RNNsearch-50, all sentences)",
            "bahdanau2015neural",
            f"theirs: WMT'14, 348 million words, 30 000 words known; ours: {ours}",
        ),
        records.Beside(
            "translation, points of BLEU that attention adds",
            f"{bleu['zh', 'attention'] - bleu['zh', 'plain']:+.1f} (to Chinese)",
            "+2.8 (to German: 14.0 to 16.8, global attention)",
            "luong2015effective",
            f"theirs: WMT'14, on four layers that read the source backwards, with dropout; ours: {ours}",
        ),
        records.Beside(
            "translation, BLEU: recurrent with attention, self-attention alone",
            f"{bleu['fr', 'attention']:.1f}, {bleu['fr', 'transformer']:.1f} (to French)",
            "24.6, 27.3 (to German: GNMT + RL, Transformer base)",
            "vaswani2017attention",
            f"theirs: WMT'14, eight layers against six, 65 million parameters; ours: {ours}, one layer each",
        ),
    ]


def train(options: argparse.Namespace) -> tuple[Model, History]:
    """Train as the options say."""
    torch.manual_seed(options.seed)
    strings, rng = parts(options.split), np.random.default_rng(options.seed)
    model = build(options.model, options.to, options.hidden, options.dropout).to(options.device)
    epochs = Epochs(strings.train, options.to, options.batch, rng, options.drop)
    steps = options.steps or options.epochs * len(epochs)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, steps, pct_start=0.1)
    watched = strings.validation

    def evaluate() -> dict[str, float]:
        return scores(write(model, watched.en, options.to, beam=1), getattr(watched, options.to), options.to)

    history = fit(
        make_step(model, optimizer, loss_fn, scheduler=scheduler),
        epochs,
        steps=steps,
        every=options.every,
        evaluate=evaluate,
        patience=steps,
        metric="chrf",
        mode="max",
        checkpoint=options.checkpoint,
        resume=options.resume,
        csv=options.csv,
        state=TorchState(model, optimizer, scheduler=scheduler),
    )
    return model, history


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. SystemExit: what argparse refuses, and --resume without --checkpoint."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--to", choices=list(LANGUAGES), default="fr", help="the language (fr)")
    parser.add_argument("--model", choices=MODELS, default="attention", help="(attention)")
    parser.add_argument("--split", choices=["apart", "random"], default="apart", help="(apart)")
    parser.add_argument("--hidden", type=int, default=120, help="units, a multiple of 24 (120)")
    parser.add_argument("--dropout", type=float, default=0.3, help="of the model (0.3)")
    parser.add_argument("--drop", type=float, default=0.0, help="share of joins that training skips (0)")
    parser.add_argument("--epochs", type=int, default=20, help="times through the training strings (20)")
    parser.add_argument("--steps", type=int, help="steps of the optimiser, instead of epochs")
    parser.add_argument("--batch", type=int, default=32, help="strings a step (32)")
    parser.add_argument("--lr", type=float, help="Adam's highest rate (0.003; transformer 0.002)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and masks (0)")
    parser.add_argument("--every", type=int, default=370, help="steps from one row to the next (370)")
    parser.add_argument("--beam", type=int, default=4, help="hypotheses of the search at the end (4)")
    add_run(parser)
    parser.add_argument("--keep", action="store_true", help="the translations too, in the record")
    options = parsed(parser, arguments)
    options.lr = options.lr or (2e-3 if options.model == "transformer" else 3e-3)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, and write what is asked for."""
    options = parse(arguments)
    begin = time.perf_counter()
    model, history = train(options)
    seconds = time.perf_counter() - begin
    if options.export is not None:
        setting = {"name": options.model, "to": options.to, "hidden": options.hidden}
        stored.save(options.export, model, setting)
    test = parts(options.split).test
    wanted = getattr(test, options.to)
    found = {beam: write(model, test.en, options.to, beam) for beam in sorted({1, options.beam})}
    best = found[options.beam]
    names = ("to", "model", "split", "hidden", "dropout", "drop", "batch", "lr", "seed", "beam")
    gpu = torch.cuda.get_device_name() if options.device.startswith("cuda") else None
    record = {
        **records.stamp("rnnlit.practice.translation", arguments, gpu),
        **{name: getattr(options, name) for name in names},
        "parameters": sum(p.numel() for p in model.parameters()),
        "strings": dict(zip(PARTS, (len(p.en) for p in parts(options.split)), strict=True)),
        "steps": history.step,
        "seconds": round(seconds),
        "rows": [{k: round(v, 3) for k, v in row.items()} for row in history.rows],
        "greedy": scores(found[1], wanted, options.to),
        "test": scores(best, wanted, options.to),
        "lengths": by_length(best, test, options.to),
        "signatures": signatures(options.to),
        **({"found": best} if options.keep else {}),
    }
    if options.record is not None:
        options.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    shown = ("to", "model", "split", "seed", "parameters", "seconds", "greedy", "test")
    print(json.dumps({name: record[name] for name in shown}))


if __name__ == "__main__":
    main()
