"""Pronunciation. Oracles: the dictionary's own lines, a distance by hand, and the model's own decoding."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rnnlit.practice import pronounce, pronunciation, records
from rnnlit.practice.pronunciation import Ensemble, Epochs, build, lexicon, read, score, split
from rnnlit.tasks import tokens
from rnnlit.tasks.tokens import PAD, STOP
from tests.book_checks import notebook
from tests.practice.broken import break_off
from tests.programs import run
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
    again = tmp_path / "again.json"
    taken = break_off(pronunciation, 4, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pronunciation.main([*options, "--steps", "4"])
    pronunciation.main([*options, "--steps", "4", "--record", str(again)])
    assert len(taken) == 4 + 2
    one, other = json.loads(record.read_text()), json.loads(again.read_text())
    assert one["rows"] == other["rows"] and one["test"]["beam"]["per"] == other["test"]["beam"]["per"]
    assert one["test"]["words"] == 20
    typed = "--hidden 8 --batch 16 --every 2 --watch 5 --device cpu --steps 4"
    typed += " --record whole.json --export whole.safetensors"
    assert one["command"] == f"python -m rnnlit.practice.pronunciation {typed}"
    assert "gpu" not in one["machine"] and one["model"] == "dropout"
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
    read = json.loads(scored.read_text())
    assert read["models"] == 2
    assert "--read whole.safetensors whole.safetensors --record scored.json" in read["command"]


def test_another_dropout_than_the_ladders():
    options = pronunciation.parse(["--model", "general", "--dropout", "0.3", "--hidden", "8"])
    model = build(**pronunciation.setting(options))
    assert model.dropout.p == 0.3 and model.encoder.dropout == 0.3
    assert build("dropout", 8).dropout.p == 0.1


def test_pronounce_looks_up_what_is_listed():
    """The oracle is the dictionary's own line."""
    assert pronounce("rhythm") == ["R", "IH", "DH", "AH", "M"]
    assert pronounce("READ", 2) == [["R", "EH", "D"], ["R", "IY", "D"]]
    assert pronounce("o\N{RIGHT SINGLE QUOTATION MARK}clock") == ["AH", "K", "L", "AA", "K"]
    assert pronounce(["phone", "read"]) == [["F", "OW", "N"], ["R", "EH", "D"]]
    assert pronounce([]) == []


def test_the_shipped_model_reads_words_that_are_not_listed():
    """Regular words, whose pronunciation is beyond doubt."""
    assert not {"blatting", "snobber"} & set(lexicon())
    assert pronounce("blatting") == ["B", "L", "AE", "T", "IH", "NG"]
    assert pronounce("snobber") == ["S", "N", "AA", "B", "ER"]


def test_more_than_is_listed_comes_from_the_model():
    first, second, third = pronounce("read", 3)
    assert [first, second] == [["R", "EH", "D"], ["R", "IY", "D"]] and third not in (first, second)
    three = pronounce("read", 3, dictionary=False)
    assert len({tuple(spoken) for spoken in three}) == 3
    assert pronounce("read", dictionary=False) == three[0]
    assert pronounce(["read", "phone"], 3, dictionary=False)[0] == three


def test_the_shipped_model_scores_as_its_record_says():
    """200 test words; the record has 25.65 % of 12 000 wrong, so 51 of 200, and its spread is 6."""
    words = split(list(lexicon())).test[:200]
    found = pronounce(words, dictionary=False)
    wrong = sum(tuple(spoken) not in lexicon()[word] for spoken, word in zip(found, words, strict=True))
    (run,) = [run for run in records.load("pronunciation")["runs"] if run.get("hidden") == 256]
    assert run["test"]["beam"]["wer"] == 25.65 and abs(wrong - 51) <= 3 * 6


@pytest.mark.parametrize(
    "words, error, message",
    [
        ("hello world", ValueError, "got 'hello world', with ' '"),
        ("42", ValueError, "with '2' '4'"),
        (["phone", ""], ValueError, "got an empty string"),
        (["phone", None], TypeError, "word: expected a string, got NoneType"),
        (7, TypeError, "words: expected a string or several, got int"),
    ],
)
def test_what_cannot_be_pronounced(words, error, message):
    with pytest.raises(error, match=message):
        pronounce(words)


def test_n_is_a_size():
    with pytest.raises(ValueError, match="n: expected"):
        pronounce("phone", 0)


def test_helpers_come_without_torch_until_they_are_asked_for():
    program = (
        "import sys, rnnlit.practice as practice\n"
        "assert 'torch' not in sys.modules and 'pronounce' in dir(practice)\n"
        "from rnnlit.practice import pronounce\n"
        "assert pronounce is practice.pronunciation.pronounce\n"
        "try:\n    practice.weather\nexcept AttributeError as error:\n    print(error)\n"
    )
    answer = run([sys.executable, "-c", program])
    assert answer.stdout == "module 'rnnlit.practice' has no attribute 'weather'\n", answer.stderr


def test_every_helper_is_there():
    import rnnlit.practice as practice

    assert set(practice.__all__) == set(practice.HELPERS)
    assert all(callable(getattr(practice, name)) for name in practice.HELPERS)


def test_the_baseline_is_a_run_of_the_script(tmp_path, monkeypatch):
    parts = split(list(lexicon()))
    few = SimpleNamespace(train=parts.train[:300], test=parts.test[:50])
    monkeypatch.setattr(pronunciation, "split", lambda words: few)
    record = tmp_path / "rules.json"
    pronunciation.main(["--model", "rules", "--record", str(record), "--device", "cpu"])
    run = json.loads(record.read_text())
    counted = pronunciation.rules(few.train)
    wrong = [counted.read(word) not in lexicon()[word] for word in few.test]
    assert run["test"]["wer"] == round(100 * sum(wrong) / 50, 2) and run["contexts"] == len(counted.says)
    typed = "--model rules --record rules.json --device cpu"
    assert run["command"] == f"python -m rnnlit.practice.pronunciation {typed}"


def test_what_stands_beside_is_of_the_record():
    runs = {
        run["command"]: run["test"]["beam"]["wer"]
        for run in records.load("pronunciation")["runs"]
        if "beam" in run["test"]
    }
    singles = [wer for command, wer in runs.items() if "--model dropout " in command]
    (five,) = [wer for command, wer in runs.items() if "--read" in command]
    assert len(singles) == 5
    ours = {row.ours for row in pronunciation.beside()}
    assert ours == {f"{sum(singles) / 5:.1f}", f"{five:.1f}"}
    assert max(singles) <= 25.0 and five <= 23.0


def ladder():
    """By model of 512 units, the test scores of its runs."""
    found = {}
    for one in records.load("pronunciation")["runs"]:
        if one.get("hidden") == 512:
            found.setdefault(one["model"], []).append(one["test"])
    return found


def test_what_the_page_says_of_the_ladder_is_so():
    wer = {name: np.array([test["beam"]["wer"] for test in tests]) for name, tests in ladder().items()}
    per = {name: np.array([test["beam"]["per"] for test in tests]) for name, tests in ladder().items()}
    assert {name: len(values) for name, values in wer.items()} == {
        **dict.fromkeys(("plain", "bidirectional", "additive", "general"), 2),
        **dict.fromkeys(("dropout", "general 0.3"), 5),
    }
    mean = {name: values.mean() for name, values in wer.items()}
    assert 0.9 < mean["plain"] - mean["bidirectional"] < 1.2
    near = [mean[name] for name in ("bidirectional", "additive", "dropout")]
    assert max(near) - min(near) < 0.25
    assert 0.5 < mean["general"] - mean["bidirectional"] < 1 and mean["general"] < mean["plain"]
    assert 1.9 < mean["general 0.3"] - mean["general"] < 2.4
    assert per["additive"].max() < per["bidirectional"].min()
    assert (round(per["bidirectional"].mean(), 1), round(per["additive"].mean(), 1)) == (5.7, 5.5)
    assert all(np.ptp(values) < 0.41 for values in wer.values())
    assert round(mean["dropout"], 1) == 23.5 and round(wer["dropout"].max(), 1) == 23.7


def test_what_the_page_says_of_beams_and_ensembles_is_so():
    gains = {
        name: np.mean([test["greedy"]["wer"] - test["beam"]["wer"] for test in tests])
        for name, tests in ladder().items()
    }
    assert 0.4 < gains["plain"] < 0.55 and 0.4 < gains["bidirectional"] < 0.55
    assert 0.05 < gains["general"] < 0.36 and 0.2 < gains["additive"] < 0.36 and 0.2 < gains["dropout"] < 0.3
    runs = [one["test"] for one in records.load("pronunciation")["runs"] if "greedy" in one["test"]]
    never = [test for test in runs if test["beam"]["wer"] >= test["greedy"]["wer"]]
    assert len(runs) == 20 and [test["beam"]["wer"] for test in never] == [24.22]
    (five,) = [one["test"]["beam"] for one in records.load("pronunciation")["runs"] if "models" in one]
    alone = np.mean([test["beam"]["wer"] for test in ladder()["dropout"]])
    assert five["wer"] == 22.06 and five["per"] == 5.12 and 1.3 < alone - five["wer"] < 1.5


def page():
    path = Path(__file__).parents[2] / "book" / "practice" / "pronunciation.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_table_of_the_page_has_what_stands_beside():
    rows = [line.split("|") for line in notebook.prose(page()).splitlines() if line.startswith("| ")]
    for beside in pronunciation.beside():
        assert any(cells[1].strip() == beside.theirs and beside.work in cells[3] for cells in rows), beside
        assert any(cells[1].strip() == beside.ours and "ours" in cells[3] for cells in rows), beside


def test_what_the_page_says_of_the_rules_is_so():
    (counted,) = [one["test"] for one in records.load("pronunciation")["runs"] if one.get("model") == "rules"]
    assert round(counted["wer"]) == 41 and counted["words"] == 12_000
    assert "counting leaves 41 % wrong" in notebook.prose(page())


def test_what_the_page_says_of_names_is_so():
    ends = [spoken[-3:] for word, (spoken, *_) in lexicon().items() if word.endswith("eschi")]
    assert ends.count(("S", "K", "IY")) == 3 and len(ends) == 4
    assert lexicon()["songbook"] == (("S", "AO", "N", "G", "B", "UH", "K"),)
    assert lexicon()["song"] == (("S", "AO", "NG"),)


def test_resume_needs_a_checkpoint():
    with pytest.raises(SystemExit):
        pronunciation.parse(["--resume"])


def test_what_the_page_says_of_g2p_en_is_so():
    (record,) = records.load("g2p_en")["runs"]
    rows = {row["group"]: row for row in record["rows"]}
    known, new = rows["test, in 0.7a and 0.7b"], rows["test, in neither"]
    fall = {name: new[name]["wer"] - known[name]["wer"] for name in ("g2p_en", "ours, beam 5")}
    assert {name: round(points) for name, points in fall.items()} == {"g2p_en": 46, "ours, beam 5": 38}
    gaps = {
        name: [row["g2p_en"]["wer"] - row[name]["wer"] for row in (known, new)]
        for name in ("ours, beam 5", "ours, greedy")
    }
    assert [round(gap) for gap in gaps["ours, beam 5"]] == [1, 9] and new["N"] == 105
    assert (round(gaps["ours, greedy"][0], 1), round(gaps["ours, greedy"][1])) == (0.7, 9)
    assert record["parameters"]["ours"] > 2 * record["parameters"]["g2p_en"]
    pairs = [(row["only_ours"], row["only_g2p_en"]) for row in (new, known)]
    assert pairs == [(14, 5), (1249, 1135)]
    assert [round((a - b) / (a + b) ** 0.5, 1) for a, b in pairs] == [2.1, 2.3]
    assert all(
        round(row["N"] / 100 * (row["g2p_en"]["wer"] - row["ours, beam 5"]["wer"])) == a - b
        for row, (a, b) in zip((new, known), pairs, strict=True)
    )


def test_what_the_page_says_of_words_is_so():
    """Entries in another hand, the Italian names in -eschi, and how Chinese names in x begin."""
    words, test = lexicon(), set(pronunciation.split(list(lexicon())).test)
    assert {"php", "pga", "gerund", "lagniappe", "molar", "backstreet"} <= test
    assert words["molar"][0][-2:] == ("AH", "R") and words["polar"][0][-1] == "ER"
    assert words["backstreet"][0].count("R") == 0
    ends = [words[w][0][-3:] for w in words if w.endswith("eschi")]
    assert len(ends) == 4 and ends.count(("S", "K", "IY")) == 3
    assert {words[w][0][0] for w in ("xie", "xiao", "xing")} == {"Z", "ZH", "SH"}
    assert "xiaomi" not in words
