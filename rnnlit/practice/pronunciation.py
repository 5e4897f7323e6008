"""How is it pronounced? From an English word's letters to its phonemes, by an encoder and a decoder.

    python -m rnnlit.practice.pronunciation --model dropout --checkpoint run.safetensors --resume auto
    python -m rnnlit.practice.pronunciation --read one.safetensors two.safetensors --beam 5

    from rnnlit.practice import pronounce
    pronounce("rhythm")     # ['R', 'IH', 'DH', 'AH', 'M']

The words are those of the CMU Pronouncing Dictionary. The models are the ladder of the chapters: an LSTM
encoder and decoder (`plain`), a bidirectional encoder, attention (`additive`, `general`), and dropout. Beside
them stands a baseline, `rules`, that counts what each letter says between its neighbours.
Afterwards the words of the test part are read, greedily and by beam search, and scored: a word is right if
its phonemes are those of one of its listed pronunciations. `--read` reads them with a trained model, or with
the mean of the probabilities of several.

    WER  words that are wrong, over all words
    PER  phonemes to insert, delete or replace, over all phonemes, by the nearest listed pronunciation

S letters, T phonemes, B words.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import torch

from rnnlit import search
from rnnlit.nn import EncoderDecoder
from rnnlit.practice import records, stored
from rnnlit.practice.options import add_run, parsed
from rnnlit.practice.records import Beside
from rnnlit.tasks import letter_rules, tokens
from rnnlit.tasks.tokens import START, STOP, Pairs, Vocabulary, edit_distance
from rnnlit.tasks.tokens_torch import smoothed_loss as loss_fn
from rnnlit.tools.checks import check_size
from rnnlit.tools.train import History, fit
from rnnlit.tools.train_torch import TorchState, evaluating, make_step

TEST, VALIDATION = 12_000, 2_000  # words; the rest, 110 926, is for training
LONGEST_WORD = 40  # letters
LONGEST = 30  # phonemes that are written at most, the stop included
Phonemes = tuple[str, ...]
Lexicon = dict[str, tuple[Phonemes, ...]]  # the pronunciations of each word

PLAIN: dict[str, Any] = {"attention": None, "bidirectional": False, "dropout": 0.0}
MODELS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "bidirectional": PLAIN | {"bidirectional": True},
    "additive": PLAIN | {"bidirectional": True, "attention": "additive"},
    "general": PLAIN | {"bidirectional": True, "attention": "general"},
    "dropout": PLAIN | {"bidirectional": True, "attention": "additive", "dropout": 0.1},
}


class Parts(NamedTuple):
    """Words to learn from, to watch the training by, and to test on."""

    train: tuple[str, ...]
    validation: tuple[str, ...]  # 2 000
    test: tuple[str, ...]  # 12 000


class Score(NamedTuple):
    """Shares, not percent."""

    wer: float
    per: float


@cache
def lexicon() -> Lexicon:
    """All words of the dictionary that are made of letters and apostrophes, in its order.

    Phonemes are ARPAbet's, without marks of stress. Source and licence: rnnlit/data/CMUDICT.md.
    """
    data = files("rnnlit").joinpath("data", "cmudict_all.tsv.gz").read_bytes()
    lines = gzip.decompress(data).decode("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {word: tuple(tuple(one.split()) for one in spoken) for word, *spoken in rows}


def split(words: Sequence[str]) -> Parts:
    """Cut the words in three, in the order of their SHA-256: the same words always, and as good as random."""
    order = sorted(words, key=lambda word: hashlib.sha256(word.encode()).hexdigest())
    test, validation = order[:TEST], order[TEST : TEST + VALIDATION]
    return Parts(tuple(order[TEST + VALIDATION :]), tuple(validation), tuple(test))


@cache
def vocabularies() -> tuple[Vocabulary, Vocabulary]:
    """Of letters and of phonemes."""
    return (
        Vocabulary.of(lexicon()),
        Vocabulary.of(spoken for every in lexicon().values() for spoken in every),
    )


class Epochs:
    """Batches of all words with all their pronunciations, epoch after epoch, drawn by `rng`."""

    def __init__(self, words: Sequence[str], size: int, rng: np.random.Generator) -> None:
        letters, phonemes = vocabularies()
        pairs = [(word, spoken) for word in words for spoken in lexicon()[word]]
        self.sources = [letters.encode(word) for word, _ in pairs]
        self.targets = [phonemes.encode(spoken) for _, spoken in pairs]
        self.size, self.rng = size, rng

    def __len__(self) -> int:
        return -(-len(self.sources) // self.size)

    def __iter__(self) -> Iterator[Pairs]:
        return tokens.batches(self.sources, self.targets, self.size, self.rng)


def build(name: str, hidden: int, layers: int = 2, **options: Any) -> EncoderDecoder:
    """A model of the ladder; `hidden` units in the decoder, half as many in each direction of the encoder."""
    chosen = MODELS[name] | options
    half = hidden // 2 if chosen["bidirectional"] else hidden
    letters, phonemes = vocabularies()
    return EncoderDecoder(
        len(letters),
        len(phonemes),
        64,
        hidden,
        encoder_size=half,
        cell="lstm",
        num_layers=layers,
        order="luong",
        input_feeding=False,
        **chosen,
    )


class Ensemble:
    """Several models that write as one: the mean of their probabilities at every phoneme."""

    def __init__(self, models: Sequence[EncoderDecoder]) -> None:
        if not models:
            raise ValueError("models: expected one or more, got none")
        self.models = list(models)

    def n_best(self, source: Any, lengths: Any, *, beam: int) -> list[list[search.Hypothesis]]:
        """The hypotheses of a beam for each source (S, B), best first."""
        states = [model.encode(source, lengths) for model in self.models]
        start = np.full(source.shape[1], START)
        return search.beam(self._log_probabilities, states, start, STOP, LONGEST, beam, select=self._select)

    def _log_probabilities(self, last: Any, states: list[Any]) -> tuple[np.ndarray, list[Any]]:
        steps = [model.log_probabilities(last, s) for model, s in zip(self.models, states, strict=True)]
        logs = np.logaddexp.reduce([one for one, _ in steps]) - np.log(len(steps))
        return logs, [state for _, state in steps]

    def _select(self, states: list[Any], rows: np.ndarray) -> list[Any]:
        return [state.select(rows) for state in states]


def read(
    models: EncoderDecoder | Sequence[EncoderDecoder], words: Sequence[str], beam: int = 1, n: int = 1
) -> list[list[Phonemes]]:
    """The n best pronunciations of each word, best first; beam = 1 is greedy.

    ValueError: a word that is empty, too long to be one, or has another sign than a to z and '.
    """
    letters, phonemes = vocabularies()
    ensemble = Ensemble([models] if isinstance(models, EncoderDecoder) else models)
    for word in words:
        check_word(word)
    found: list[list[Phonemes]] = []
    with torch.no_grad():
        for k in range(0, len(words), 1000):
            source, lengths = tokens.pad([letters.encode(word) for word in words[k : k + 1000]])
            with evaluating(torch.nn.ModuleList(ensemble.models)):
                best = ensemble.n_best(source, lengths, beam=max(beam, n))
            found += [[tuple(map(str, phonemes.decode(h.tokens))) for h in one[:n]] for one in best]
    return found


def check_word(word: Any) -> str:
    """The word. TypeError, ValueError: it can't be read."""
    if not isinstance(word, str):
        raise TypeError(f"word: expected a string, got {type(word).__name__}")
    strange = sorted(set(word) - set("abcdefghijklmnopqrstuvwxyz'"))
    if not word or strange:
        got = f"{word!r}, with {' '.join(map(repr, strange))}" if strange else "an empty string"
        raise ValueError(f"word: expected letters a to z and apostrophes, got {got}")
    if len(word) > LONGEST_WORD:
        raise ValueError(f"word: expected at most {LONGEST_WORD} letters, got {len(word)}")
    return word


def score(found: Sequence[Phonemes], words: Sequence[str]) -> Score:
    """Word and phoneme error rate; any listed pronunciation counts.

    The phonemes of a word are counted against the listed pronunciation that is nearest to what was found.
    """
    wrong = errors = length = 0
    for spoken, word in zip(found, words, strict=True):
        listed = lexicon()[word]
        wrong += spoken not in listed
        distance, nearest = min((edit_distance(spoken, one), len(one)) for one in listed)
        errors, length = errors + distance, length + nearest
    return Score(wrong / len(words), errors / length)


def load(path: Path, device: str = "cpu") -> EncoderDecoder:
    """A model that `--export` has written, in float32, ready to read."""
    return stored.load(path, build, device)


@cache
def shipped() -> EncoderDecoder:
    """The model that comes with the package: `additive` with 256 units, trained for 8 epochs."""
    return load(stored.HERE / "pronunciation.safetensors")


@overload
def pronounce(words: str, n: None = None, *, dictionary: bool = True, beam: int = 5) -> list[str]: ...  # type: ignore[overload-overlap]
@overload
def pronounce(words: str, n: int, *, dictionary: bool = True, beam: int = 5) -> list[list[str]]: ...  # type: ignore[overload-overlap]
@overload
def pronounce(
    words: Sequence[str], n: None = None, *, dictionary: bool = True, beam: int = 5
) -> list[list[str]]: ...
@overload
def pronounce(
    words: Sequence[str], n: int, *, dictionary: bool = True, beam: int = 5
) -> list[list[list[str]]]: ...
def pronounce(words: Any, n: int | None = None, *, dictionary: bool = True, beam: int = 5) -> Any:
    """How an English word is pronounced in America: its phonemes, in ARPAbet, without marks of stress.

        pronounce("rhythm")                    ['R', 'IH', 'DH', 'AH', 'M']
        pronounce("Read", 2)                   [['R', 'EH', 'D'], ['R', 'IY', 'D']]
        pronounce(["phone", "blorptastic"])    one list for each word

    words: one word, or several; capitals are read as small letters, and a curly apostrophe as a straight one.
    n: None, the first pronunciation alone; or the n first ones, fewer if the beam finds fewer.
    dictionary: look a word up first. What the dictionary lists comes first, in its order; the model reads
        unknown words, and adds to the known where n asks for more. False: the model reads all words; it has
        seen nine of ten of the dictionary's in training.
    beam: hypotheses of the search, n at least.

    The model is right in three of four words that it has not seen. What is right in a context, as in "I
    read", it can't know: it reads words one by one.

    TypeError: a word that is no string.  ValueError: an empty one, or one with other signs than a to z and
    the apostrophe (a space, a digit, an accent), or of more than 40; n or beam below 1.
    """
    single = isinstance(words, str)
    if not single and not isinstance(words, Sequence):
        raise TypeError(f"words: expected a string or several, got {type(words).__name__}")
    plain = [_plain(word) for word in ([words] if single else words)]
    wanted, size = 1 if n is None else check_size("n", n), check_size("beam", beam)
    found: dict[str, list[Phonemes]] = {w: list(lexicon().get(w, ())) if dictionary else [] for w in plain}
    open_ = [word for word, listed in found.items() if len(listed) < wanted]
    if open_:
        for word, hypotheses in zip(open_, read(shipped(), open_, size, wanted), strict=True):
            found[word] = list(dict.fromkeys([*found[word], *hypotheses]))
    best = [[list(spoken) for spoken in found[word][:wanted]] for word in plain]
    answers = best if n is not None else [one for (one,) in best]
    return answers[0] if single else answers


def _plain(word: Any) -> str:
    """The word in small letters, with straight apostrophes, checked."""
    return check_word(
        word.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'") if isinstance(word, str) else word
    )


def setting(options: argparse.Namespace) -> dict[str, Any]:
    """What `build` needs to know, and `save` writes."""
    chosen = {"name": options.model, "hidden": options.hidden, "layers": options.layers}
    return chosen if options.dropout is None else chosen | {"dropout": options.dropout}


def rules(words: Sequence[str]) -> letter_rules.Rules:
    """The baseline, counted from all pronunciations of these words."""
    return letter_rules.Rules([(word, spoken) for word in words for spoken in lexicon()[word]])


def train(options: argparse.Namespace) -> tuple[EncoderDecoder, History]:
    """Train as the options say."""
    torch.manual_seed(options.seed)
    parts, rng = split(list(lexicon())), np.random.default_rng(options.seed)
    model = build(**setting(options)).to(options.device)
    epochs = Epochs(parts.train, options.batch, rng)
    steps = options.steps or options.epochs * len(epochs)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, steps, pct_start=0.1)
    watched = parts.validation[: options.watch]

    def evaluate() -> dict[str, float]:
        with evaluating(model):
            found = [best for (best,) in read(model, watched)]
        return score(found, watched)._asdict()

    history = fit(
        make_step(model, optimizer, loss_fn, scheduler=scheduler),
        epochs,
        steps=steps,
        every=options.every,
        evaluate=evaluate,
        checkpoint=options.checkpoint,
        resume=options.resume,
        csv=options.csv,
        state=TorchState(model, optimizer, scheduler=scheduler),
    )
    return model, history


def test_scores(
    models: EncoderDecoder | Sequence[EncoderDecoder], beam: int, limit: int | None = None
) -> dict[str, Any]:
    """WER and PER of the test words, greedily and by beam search, in percent."""
    words, found = split(list(lexicon())).test[:limit], {}
    for name, size in (("greedy", 1), ("beam", beam)):
        begin = time.perf_counter()
        wer, per = score([best for (best,) in read(models, words, size)], words)
        seconds = round(time.perf_counter() - begin, 1)
        found[name] = {"beam": size, **percent(wer, per), "s": seconds}
    return {"words": len(words), **found}


def percent(wer: float, per: float) -> dict[str, float]:
    """Both as a record has them."""
    return {"wer": round(100 * wer, 2), "per": round(100 * per, 2)}


def beside() -> list[Beside]:
    """Our recorded results beside published ones. All read letters and write phonemes without stress.

    Theirs is the public CMU dictionary too, in an older version and with another split. How much that
    matters: the same n-gram tool has 24.4 % of words wrong on the older split, and 33.9 % on one of a newer
    version, by the README of CMUSphinx's g2p-seq2seq. The numbers of Rao are those of its abstract. The
    others are second-hand: 23.55 and 20.24 from github.com/lifefeel/Grapheme-to-Phoneme, a list of papers;
    21.69 from those who quote Table 1 of Zhao.
    """
    runs = records.load("pronunciation")["runs"]
    singles = [run["test"]["beam"]["wer"] for run in runs if run.get("model") == "dropout"]
    (five,) = [run["test"]["beam"]["wer"] for run in runs if run.get("models") == len(singles)]
    one, what = f"{np.mean(singles):.1f}", "pronunciation, words wrong, %"
    split_ = "older version of the dictionary, another split"
    listed = "106 837 words to learn from, 12 000 for the test; any listed pronunciation counts, as here"
    return [
        Beside(what, one, "25.8", "rao2015grapheme", f"a deep bidirectional LSTM with CTC; {split_}"),
        Beside(
            what,
            one,
            "23.55",
            "yao2015sequence",
            f"LSTMs on letters and phonemes aligned before; {split_}; quoted",
        ),
        Beside(
            what, f"{five:.1f}", "21.3", "rao2015grapheme", f"theirs is joined with an n-gram model; {split_}"
        ),
        Beside(
            what, one, "21.69", "zhao2022robustness", f"one model with global attention; {split_}; quoted"
        ),
        Beside(
            what,
            f"{five:.1f}",
            "20.24",
            "toshniwal2016jointly",
            f"an ensemble too; {split_}: {listed}; quoted",
        ),
    ]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. SystemExit: what argparse refuses, and --resume without --checkpoint."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--model", choices=["rules", *MODELS], default="dropout", help="the ladder (dropout)")
    parser.add_argument("--hidden", type=int, default=256, help="units of the decoder, an even number (256)")
    parser.add_argument("--layers", type=int, default=2, help="of encoder and decoder (2)")
    parser.add_argument("--dropout", type=float, help="a share, instead of the one of the ladder")
    parser.add_argument("--epochs", type=int, default=12, help="times through the training words (12)")
    parser.add_argument("--steps", type=int, help="steps of the optimiser, instead of epochs")
    parser.add_argument("--batch", type=int, default=256, help="words a step (256)")
    parser.add_argument("--lr", type=float, default=3e-3, help="Adam's highest learning rate (0.003)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and masks (0)")
    parser.add_argument("--every", type=int, default=500, help="steps from one row to the next (500)")
    parser.add_argument(
        "--watch", type=int, default=500, help="validation words that are read for a row (500)"
    )
    parser.add_argument("--beam", type=int, default=5, help="hypotheses of the search at the end (5)")
    add_run(parser)
    parser.add_argument("--read", type=Path, nargs="+", help="trained weights: only score them, as one")
    return parsed(parser, arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, and write what is asked for."""
    options = parse(arguments)
    begin = time.perf_counter()
    record: dict[str, Any]
    if options.read:
        models = [load(path, options.device) for path in options.read]
        record = {"models": len(models), "test": test_scores(models, options.beam)}
    elif options.model == "rules":
        parts = split(list(lexicon()))
        counted = rules(parts.train)
        wer, per = score([counted.read(word) for word in parts.test], parts.test)
        record = {"model": "rules", "seconds": round(time.perf_counter() - begin)}
        record |= {"contexts": len(counted.says), "test": {"words": len(parts.test)} | percent(wer, per)}
    else:
        model, history = train(options)
        seconds = time.perf_counter() - begin
        if options.export is not None:
            stored.save(options.export, model, setting(options))
        record = {
            "model": options.model if options.dropout is None else f"{options.model} {options.dropout:g}",
            "hidden": options.hidden,
            "seed": options.seed,
            "parameters": sum(p.numel() for p in model.parameters()),
            "steps": history.step,
            "seconds": round(seconds),
            "rows": [{name: round(value, 4) for name, value in row.items()} for row in history.rows],
            "test": test_scores(model, options.beam),
        }
    if options.record is not None:
        gpu = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else None
        record = records.stamp("rnnlit.practice.pronunciation", arguments, gpu) | record
        options.record.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({k: v for k, v in record.items() if k not in ("rows", "machine")}))


if __name__ == "__main__":
    main()
