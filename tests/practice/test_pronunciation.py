"""Pronunciation. Oracles: the dictionary's own lines, a distance by hand, and the model's own decoding."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rnnlit.practice import pronunciation
from rnnlit.practice.pronunciation import Ensemble, Epochs, build, lexicon, read, score, split
from rnnlit.tasks import tokens
from rnnlit.tasks.tokens import PAD, STOP
from tests.tolerances import TOLERANCE

WORDS = ["phone", "knight", "read", "o'clock"]


def small(name="dropout", seed=0):
    torch.manual_seed(seed)
    return build(name, 8, 2)


def test_the_dictionary_has_what_its_lines_say():
    words = lexicon()
    assert len(words) == 124_926 and sum(map(len, words.values())) == 133_667
    assert words["phone"] == (("F", "OW", "N"),)
    assert words["read"] == (("R", "EH", "D"), ("R", "IY", "D"))
    assert words["o'clock"] == (("AH", "K", "L", "AA", "K"),)
    assert not any(mark.isdigit() for spoken in words["knight"] for p in spoken for mark in p)
    letters, phonemes = pronunciation.vocabularies()
    assert len(letters) - STOP - 1 == 27 and len(phonemes) - STOP - 1 == 39


def test_no_word_stands_in_two_parts():
    parts = split(list(lexicon()))
    assert [len(part) for part in parts] == [110_926, 2_000, 12_000]
    assert set().union(*parts) == set(lexicon())
    assert split(list(reversed(list(lexicon())))) == parts


def test_an_epoch_is_every_pronunciation_once():
    epoch = Epochs(WORDS, 3, np.random.default_rng(0))
    batches = list(epoch)
    letters, phonemes = pronunciation.vocabularies()
    assert len(batches) == len(epoch) == 2  # five pronunciations
    found = []
    for batch in batches:
        for b in range(len(batch.source_lengths)):
            source = batch.source[: batch.source_lengths[b], b]
            target = batch.target[: batch.target_lengths[b], b]
            found.append(("".join(letters.decode(source)), tuple(phonemes.decode(target))))
    assert sorted(found) == sorted((w, p) for w in WORDS for p in lexicon()[w])


def test_the_loss_by_its_definition():
    """(1 - 0.1) times the cross-entropy, and 0.1 times the mean of -log p over all tokens."""
    model, smoothing = small().eval(), 0.1
    (batch,) = Epochs(WORDS, 5, np.random.default_rng(0))
    logs = model(*batch).logits.log_softmax(-1)
    total, count = 0.0, 0
    for b, length in enumerate(batch.target_lengths):
        wanted = [*batch.target[:length, b], STOP]
        for t, k in enumerate(wanted):
            total -= (1 - smoothing) * logs[t, b, k] + smoothing * logs[t, b].mean()
            count += 1
    loss = pronunciation.loss_fn(model, batch, smoothing)
    torch.testing.assert_close(loss, total / count, **TOLERANCE[np.float32])
    assert count < logs.shape[0] * logs.shape[1]  # there is padding, PAD, that must not count
    assert (batch.target == PAD).any()


def test_scores_by_hand():
    right, other = ("F", "OW", "N"), ("R", "IY", "D")
    found = [right, ("N", "AY", "T", "S"), other, ("AH", "K")]
    # phone right; knight one phoneme too many; read right by its second pronunciation; three are missing.
    wer, per = score(found, WORDS)
    assert wer == 2 / 4
    assert per == (0 + 1 + 0 + 3) / (3 + 3 + 3 + 5)


@pytest.mark.parametrize("name", pronunciation.MODELS)
def test_a_model_alone_reads_as_it_decodes(name):
    model = small(name)
    letters, phonemes = pronunciation.vocabularies()
    source, lengths = tokens.pad([letters.encode(word) for word in WORDS])
    wanted = model.decode(source, lengths, max_length=pronunciation.LONGEST, beam=3)
    got = read(model, WORDS, beam=3)
    assert [one[0] for one in got] == [tuple(phonemes.decode(h.tokens)) for h in wanted]
    assert read(model, WORDS, beam=3, n=2)[0][0] == got[0][0]


def test_an_ensemble_takes_the_mean_of_the_probabilities():
    models = [small(seed=seed).eval() for seed in (1, 2, 3)]
    letters, _ = pronunciation.vocabularies()
    source, lengths = tokens.pad([letters.encode(word) for word in WORDS])
    with torch.no_grad():
        states = [model.encode(source, lengths) for model in models]
        last = np.full(len(WORDS), tokens.START)
        got, new = Ensemble(models)._log_probabilities(last, states)
        steps = [m.log_probabilities(last, s)[0] for m, s in zip(models, states, strict=True)]
    np.testing.assert_allclose(np.exp(got), np.mean(np.exp(steps), 0), **TOLERANCE[np.float64])
    assert len(new) == 3
    with pytest.raises(ValueError, match="models: expected one or more"):
        Ensemble([])


def test_dropout_is_off_while_it_reads():
    model = small().train()
    assert read(model, WORDS) == read(model, WORDS) and model.training


@pytest.mark.parametrize(
    "word, error, words",
    [
        ("", ValueError, "expected letters a to z and apostrophes, got an empty string"),
        ("naïve", ValueError, "got 'naïve', with 'ï'"),
        ("Word", ValueError, "with 'W'"),
        ("a" * 41, ValueError, "at most 40 letters, got 41"),
        (3, TypeError, "expected a string, got int"),
    ],
)
def test_words_that_cannot_be_read(word, error, words):
    with pytest.raises(error, match=words):
        read(small(), ["word", word])


def test_the_script_trains_goes_on_and_scores(tmp_path, monkeypatch):
    """A run that is broken off and goes on gives the bits of a whole one; its weights read as it does."""
    parts = split(list(lexicon()))
    few = SimpleNamespace(train=parts.train[:60], validation=parts.validation, test=parts.test[:20])
    monkeypatch.setattr(pronunciation, "split", lambda words: few)
    options = ["--hidden", "8", "--batch", "16", "--every", "2", "--watch", "5", "--device", "cpu"]
    record, weights = tmp_path / "whole.json", tmp_path / "whole.safetensors"
    files = ["--record", str(record), "--export", str(weights)]
    pronunciation.main([*options, "--steps", "4", *files])
    checkpoint = str(tmp_path / "run.safetensors")
    options += ["--checkpoint", checkpoint, "--resume", "auto"]
    step, taken = pronunciation.make_step, []

    def breaks(*arguments, **more):
        inner = step(*arguments, **more)

        def one(batch):
            taken.append(1)
            if len(taken) == 4:
                raise KeyboardInterrupt
            return inner(batch)

        one.scheduler = inner.scheduler
        return one

    again = tmp_path / "again.json"
    monkeypatch.setattr(pronunciation, "make_step", breaks)
    with pytest.raises(KeyboardInterrupt):
        pronunciation.main([*options, "--steps", "4"])
    pronunciation.main([*options, "--steps", "4", "--record", str(again)])
    assert len(taken) == 4 + 2
    one, other = json.loads(record.read_text()), json.loads(again.read_text())
    assert one["rows"] == other["rows"] and one["test"]["beam"]["per"] == other["test"]["beam"]["per"]
    assert one["test"]["words"] == 20
    loaded = pronunciation.load(weights)
    assert not loaded.training
    torch.manual_seed(0)
    built = build("dropout", 8)
    assert {k: v.shape for k, v in loaded.state_dict().items()} == {
        k: v.shape for k, v in built.state_dict().items()
    }
    scored = tmp_path / "scored.json"
    files = ["--record", str(scored), "--device", "cpu"]
    pronunciation.main(["--read", str(weights), str(weights), *files])
    assert json.loads(scored.read_text())["models"] == 2


def test_resume_needs_a_checkpoint():
    with pytest.raises(SystemExit):
        pronunciation.parse(["--resume"])
