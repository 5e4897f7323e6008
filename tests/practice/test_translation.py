"""Translation. Oracles: the file's lines, scores by hand, torch's attention, and a run without a break."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rnnlit.nn import EncoderDecoder
from rnnlit.practice import records, translation
from rnnlit.practice.translation import (
    Epochs,
    build,
    by_length,
    mean,
    parts,
    pieces,
    scores,
    vocabulary,
    write,
)
from rnnlit.practice.translation_transformer import Attend, Transformer, positions
from rnnlit.tasks import interface, subwords, tokens
from rnnlit.tasks.interface import Strings
from rnnlit.tasks.tokens import PAD, STOP
from tests.practice.broken import break_off
from tests.tolerances import TOLERANCE

TEXTS = ["Save File", "Delete the selected cells", "Run"]


def small(name="attention", to="fr", seed=0):
    torch.manual_seed(seed)
    return build(name, to, 48, 0.3)


def batch(to="zh"):
    part = interface.strings().train
    few = Strings(part.en[:7], part.fr[:7], part.zh[:7])
    (one,) = Epochs(few, to, 9, np.random.default_rng(0))
    return one


# ---------------------------------------------------------------- the strings and their parts


def test_a_random_split_holds_the_same_strings():
    apart, mixed = parts(), parts("random")
    assert [len(p.en) for p in apart] == [len(p.en) for p in mixed] == [2360, 200, 400]
    rows = [{row for part in split for row in zip(*part, strict=True)} for split in (apart, mixed)]
    assert rows[0] == rows[1] and apart.test != mixed.test
    assert parts("random") == mixed != parts("random", seed=1)


def test_an_epoch_is_every_string_once_also_where_joins_are_dropped():
    part = interface.strings().train
    few = Strings(part.en[:50], part.fr[:50], part.zh[:50])
    lengths = []
    for drop in (0.0, 0.9):
        epoch = Epochs(few, "fr", 16, np.random.default_rng(0), drop)
        found, count = [], 0
        for one in epoch:
            for b, n in enumerate(one.target_lengths):
                found.append(subwords.text(vocabulary("fr").decode(one.target[:n, b])))
                count += int(n)
        assert sorted(found) == sorted(few.fr * (4 if drop else 1)) and len(epoch) == 4
        lengths.append(count)
    assert lengths[0] < 0.7 * lengths[1] / 4


def test_an_unknown_character_is_left_out():
    cut = pieces("en").cut("Save 文")
    assert len(translation.known("en", cut)) == len(cut) - 1


# ---------------------------------------------------------------- the models


def test_the_loss_by_its_definition():
    """(1 - 0.1) times the cross-entropy, and 0.1 times the mean of -log p over all tokens."""
    model, smoothing, one = small(to="zh").eval(), 0.1, batch()
    logits = model(*one).logits.log_softmax(-1)
    total, count = 0.0, 0
    for b, length in enumerate(one.target_lengths):
        for t, k in enumerate([*one.target[:length, b], STOP]):
            total -= (1 - smoothing) * logits[t, b, k] + smoothing * logits[t, b].mean()
            count += 1
    loss = translation.loss_fn(model, one, smoothing)
    torch.testing.assert_close(loss, total / count, **TOLERANCE[np.float32])
    assert (one.target == PAD).any()


def test_attend_agrees_with_torchs_attention():
    torch.manual_seed(0)
    T, S, B, D, heads = 4, 6, 3, 10, 2
    ours = Attend(D, heads, 0.0).double()
    theirs = torch.nn.MultiheadAttention(D, heads, dtype=torch.double)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.k.weight, ours.v.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.q.bias, ours.k.bias, ours.v.bias]))
        theirs.out_proj.weight.copy_(ours.o.weight)
        theirs.out_proj.bias.copy_(ours.o.bias)
    x, m = torch.randn(T, B, D).double(), torch.randn(S, B, D).double()
    padding = torch.arange(S) >= torch.tensor([6, 2, 5])[:, None]
    got, weights = ours(x, m, padding[:, None, None])
    wanted, mean = theirs(x, m, m, key_padding_mask=padding)
    torch.testing.assert_close(got, wanted, **TOLERANCE[np.float64])
    torch.testing.assert_close(weights.mean(1), mean, **TOLERANCE[np.float64])


def test_positions_by_hand():
    p = positions(4, 6)
    assert p.shape == (4, 6) and p[0].tolist() == [0, 1, 0, 1, 0, 1]
    for t, k, wave in ((2, 0, math.sin), (3, 1, math.cos)):
        assert math.isclose(p[t, k], wave(t), rel_tol=1e-6)
    assert math.isclose(p[3, 2], math.sin(3 / 10_000 ** (1 / 3)), rel_tol=1e-5)


def test_the_transformer_sees_neither_padding_nor_what_comes_later():
    torch.manual_seed(0)
    model = Transformer(11, 13, 12, heads=3).double().eval()
    source = torch.randint(3, 11, (7, 2))
    target = torch.randint(3, 13, (5, 2))
    lengths = torch.tensor([7, 4])
    before = model(source, lengths, target).logits
    source[4:, 1] = 5
    target[3, 0] = 3 + (target[3, 0] - 2) % 10
    after = model(source, lengths, target).logits
    torch.testing.assert_close(after[:, 1], before[:, 1], **TOLERANCE[np.float64])
    torch.testing.assert_close(after[:4, 0], before[:4, 0], **TOLERANCE[np.float64])
    assert (after[4, 0] - before[4, 0]).abs().max() > 1e-3


def test_the_transformer_writes_as_it_is_taught():
    """The log-probabilities of a search, step by step, are those of teacher forcing."""
    model, one = small("transformer", "zh").eval(), batch()
    taught = model(*one).logits.double().log_softmax(-1)
    state = model.encode(one.source, one.source_lengths)
    last = np.full(len(one.source_lengths), tokens.START)
    for t in range(3):
        logs, state = model.log_probabilities(last, state)
        alive = t <= one.target_lengths
        wanted = taught[t].detach().numpy()[alive][:, STOP:]
        np.testing.assert_allclose(logs[alive][:, STOP:], wanted, **TOLERANCE[np.float32])
        last = one.target[t].clip(STOP)
    picked = state.select(np.array([2, 2, 0]))
    assert picked.memory.shape[1] == picked.written.shape[1] == len(picked.hidden) == 3


@pytest.mark.parametrize("size, heads", [(10, 4), (9, 3), (0, 1)])
def test_sizes_that_a_transformer_refuses(size, heads):
    with pytest.raises(ValueError, match="size: expected"):
        Transformer(11, 13, size, heads=heads)


def test_the_models_are_of_about_one_size():
    for to in ("fr", "zh"):
        count = {n: sum(p.numel() for p in build(n, to).parameters()) for n in translation.MODELS}
        assert max(count.values()) < 1.3 * min(count.values())
    assert isinstance(small("plain"), EncoderDecoder) and small("plain").attention is None


@pytest.mark.parametrize("name", translation.MODELS)
def test_texts_are_written_in_the_order_given_whatever_their_lengths(name):
    model = small(name)
    model.train()
    with torch.no_grad():
        model.output.bias[STOP] = 1.5  # an untrained model would not stop
        for beam in (1, 3):
            together = write(model, TEXTS, "fr", beam)
            assert together == [write(model, [one], "fr", beam)[0] for one in TEXTS]
    assert model.training


# ---------------------------------------------------------------- scores


def test_exact_scores_and_limits_of_the_others():
    wanted = ["Enregistrer le fichier", "Fermer", "Tout fermer dès maintenant"]
    assert scores(wanted, wanted, "fr") == {"chrf": 100.0, "bleu": 100.0, "exact": 100.0}
    one = scores(["Enregistrer le fichier", "x", "y"], wanted, "fr")
    assert one["exact"] == 33.33 and one["bleu"] == 0 < one["chrf"] < 60  # no four words in a row


def test_bleu_by_hand():
    """5 of 6 words, 3 of 5 pairs, 1 of 4 threes and none of 3 fours, for which sacrebleu takes 1/2 of one."""
    found, wanted = ["a b c x e f"], ["a b c d e f"]
    by_hand = 100 * (5 / 6 * 3 / 5 * 1 / 4 * (1 / 2) / 3) ** 0.25
    assert scores(found, wanted, "fr")["bleu"] == round(by_hand, 2)


def test_chinese_is_scored_by_characters():
    assert scores(["删除文件吗"], ["删除文件夹"], "zh")["bleu"] > 60
    assert "tok:zh" in translation.signatures("zh")["bleu"]


def test_the_length_curve_counts_english_words():
    part = Strings(("Run", "Save it", "Save it", "a b c d e f g"), ("A", "B b", "C c", "D d"), ("一",) * 4)
    rows = by_length(["A", "B b", "x x", "y"], part, "fr")
    found = [(row["words"], row["strings"], row["exact"]) for row in rows]
    assert found == [(1, 1, 100), (2, 2, 50), (5, 1, 0)]


# ---------------------------------------------------------------- what a user calls


@pytest.mark.parametrize(
    "text, error, words",
    [
        ("", ValueError, "expected an English text, got ''"),
        ("%1", ValueError, "expected an English text"),
        ("Save\nit", ValueError, r"got '\\n'"),
        ("保存 file", ValueError, "got '保' '存'"),
        ("a" * 301, ValueError, "at most 300 characters, got 301"),
        (3, TypeError, "expected a string, got int"),
    ],
)
def test_texts_that_cannot_be_translated(text, error, words):
    with pytest.raises(error, match=words):
        translation.check_text(text)


def test_another_language_is_refused():
    with pytest.raises(ValueError, match="to: expected 'fr' or 'zh', got 'de'"):
        translation.translate("Save File", to="de")


# ---------------------------------------------------------------- the script


def test_the_script_trains_goes_on_and_scores(tmp_path, monkeypatch):
    """A run that is broken off and goes on gives the bits of a whole one; its weights write as it does."""
    whole = interface.strings()
    few = SimpleNamespace(
        train=Strings(*(side[:60] for side in whole.train)),
        validation=Strings(*(side[:3] for side in whole.validation)),
        test=Strings(*(side[:4] for side in whole.test)),
    )
    few = interface.Interface(few.train, few.validation, few.test)
    monkeypatch.setattr(translation, "parts", lambda split="apart": few)
    monkeypatch.setattr(translation, "LONGEST", 12)
    options = ["--to", "zh", "--hidden", "96", "--batch", "16", "--every", "2", "--beam", "2"]
    options += ["--device", "cpu"]
    record, weights = tmp_path / "whole.json", tmp_path / "whole.safetensors"
    translation.main([*options, "--steps", "4", "--keep", "--record", str(record), "--export", str(weights)])
    checkpoint = str(tmp_path / "run.safetensors")
    options += ["--checkpoint", checkpoint, "--resume", "auto"]
    again = tmp_path / "again.json"
    taken = break_off(translation, 4, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        translation.main([*options, "--steps", "4"])
    translation.main([*options, "--steps", "4", "--keep", "--record", str(again)])
    assert len(taken) == 4 + 2
    one, other = json.loads(record.read_text()), json.loads(again.read_text())
    for name in ("rows", "found", "test", "greedy", "lengths", "steps"):
        assert one[name] == other[name]
    assert one["command"].startswith("python -m rnnlit.practice.translation --to zh") and one["machine"]
    loaded = translation.load(weights)
    assert not loaded.training and len(write(loaded, few.test.en, "zh")) == 4


def test_resume_needs_a_checkpoint():
    with pytest.raises(SystemExit):
        translation.parse(["--resume"])


# ---------------------------------------------------------------- memory, alignments, the record


def test_a_memory_hands_out_the_translation_of_the_nearest():
    train = Strings(("Open File", "Close Tab"), ("Ouvrir", "Fermer"), ("打开", "关闭"))
    test = Strings(("Close the tab", "Open a file", "File"), ("a", "b", "c"), ("d", "e", "f"))
    strings = interface.Interface(train, train, test)
    assert translation.memory(strings, "fr") == ["Fermer", "Ouvrir", "Ouvrir"]
    assert translation.memory(strings, "zh") == ["关闭", "打开", "打开"]


def test_alignments_are_those_of_forward():
    model = small().eval()
    read, written, weights = translation.align("Save %1", "Tout", "fr", model)
    assert read[-1] == " %1" and written[-1] == "stop" and weights.shape == (len(written), len(read))
    np.testing.assert_allclose(weights.sum(1), 1, **TOLERANCE[np.float32])
    source = torch.tensor(vocabulary("en").encode(read))[:, None]
    target = torch.tensor(vocabulary("fr").encode(written[:-1]))[:, None]
    with torch.no_grad():
        wanted = model(source, None, target).weights[:, 0]
    np.testing.assert_allclose(weights, wanted, **TOLERANCE[np.float32])


def test_a_model_without_attention_has_no_alignments():
    with pytest.raises(ValueError, match="model: expected one with attention"):
        translation.align("Save", "Tout", "fr", small("plain"))


def test_placeholders():
    assert translation.placeholders("%2 of %1, 100%") == ["%1", "%2"]


# ---------------------------------------------------------------- what the page says


@pytest.fixture(scope="module")
def page():
    """The prose and the printed lines of the page."""
    path = Path(__file__).parents[2] / "book" / "practice" / "translation.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def prose(page):
    return "\n".join("".join(c["source"]) for c in page["cells"] if c["cell_type"] == "markdown")


def of_memory(to):
    return scores(translation.memory(parts(), to), getattr(interface.strings().test, to), to)


def test_each_model_was_run_in_both_languages_as_the_page_says(page):
    """Sixty epochs with three seeds; twenty with two seeds, the Transformer with one."""
    runs, counted, text = records.load("translation")["runs"], 0, prose(page)
    for to in ("fr", "zh"):
        for name in translation.MODELS:
            for epochs in (60, 20):
                found = translation.recorded(to, name, epochs=epochs)
                wanted = 3 if epochs == 60 else 1 if name == "transformer" else 2
                assert [run["seed"] for run in found] == list(range(wanted))
                counted += len(found)
    assert len(runs) == counted == 18 + 10
    for run in runs:
        assert (run["hidden"], run["dropout"], run["batch"], run["beam"]) == (120, 0.3, 32, 4)
        assert run["steps"] in (20 * 74, 60 * 74) and 3e5 < run["parameters"] < 4.5e5
        assert run["signatures"] == translation.signatures(run["to"])
        assert [row["step"] for row in run["rows"]] == list(range(5 * 74, run["steps"] + 1, 5 * 74))
    minutes = [run["seconds"] / 60 for run in runs if run["steps"] == 60 * 74]
    assert len(minutes) == 18
    for what in (
        f"Sixty epochs took {min(minutes):.0f} to {max(minutes):.0f} minutes",
        "Every five epochs chrF is measured on the validation part",
        "run three times in each language, with seeds 0, 1 and 2",
    ):
        assert what in text, what


def test_recorded_scores_are_those_of_the_recorded_strings():
    for to in ("fr", "zh"):
        run = translation.recorded(to, "attention")[0]
        test = interface.strings().test
        assert scores(run["found"], getattr(test, to), to) == run["test"]
        assert by_length(run["found"], test, to) == run["lengths"]


def test_what_the_page_says_of_the_models_is_so(page):
    """Attention: about the memory's chrF and many more exact strings; it adds far more than seeds do."""
    text, memory = prose(page), {to: of_memory(to) for to in ("fr", "zh")}
    gain = {to: mean("chrf", to, "attention") - mean("chrf", to, "plain") for to in memory}
    chrf = {
        (to, name): [run["test"]["chrf"] for run in translation.recorded(to, name)]
        for to in memory
        for name in translation.MODELS
    }
    spread = max(map(np.ptp, chrf.values()))
    assert spread == np.ptp(chrf["zh", "attention"]) and 3 < spread < 4
    for to in memory:  # whichever seeds one takes
        assert min(chrf[to, "attention"]) - max(chrf[to, "plain"]) > 2 * spread
        assert max(run["test"]["exact"] for run in translation.recorded(to, "plain")) < 4
    below = memory["fr"]["chrf"] - mean("chrf", "fr", "attention")
    few, many = (mean("exact", to, "attention") for to in ("fr", "zh"))
    assert abs(mean("chrf", "zh", "attention") - memory["zh"]["chrf"]) < 0.1
    assert memory["fr"]["exact"] == 0.25  # one string of 400
    fr, zh = (np.subtract.outer(chrf[to, "attention"], chrf[to, "transformer"]) for to in ("fr", "zh"))
    assert fr.min() > 0 and zh.min() < 0 < zh.max()
    ahead, behind = (
        np.array(chrf["zh", "attention"]) - rest for rest in (memory["zh"]["chrf"], chrf["zh", "transformer"])
    )
    assert ahead[2] < 0 and behind[2] < 0
    for what in (
        f"In French attention has {below:.1f} points of chrF less than the memory",
        f"{few:.1f} strings of a hundred exactly right, where the memory has one of all 400",
        f"of attention's strings {many:.0f} in a hundred are exactly right",
        f"attention adds {gain['fr']:.0f} points of chrF in French and {gain['zh']:.0f} in Chinese",
        "two seeds of one model differ by less than 4",
        f"below all three of attention's, by {fr.mean():.1f} in the mean; in Chinese they overlap",
        f"With seed 0 alone we would have written that attention is {ahead[0]:.1f} ahead of the memory in "
        f"Chinese, and {behind[0]:.1f} ahead of self-attention. With seed 2 it is behind both.",
        f"Attention is worth {gain['fr']:.0f} points of chrF in French and {gain['zh']:.0f} in Chinese",
    ):
        assert what in text, what


def test_what_the_page_says_of_twenty_epochs_is_so(page):
    """Half of what attention adds, far less chrF than the memory, and the Transformer ahead."""
    text, memory = prose(page), {to: of_memory(to) for to in ("fr", "zh")}
    short = {(to, name): mean("chrf", to, name, epochs=20) for to in memory for name in translation.MODELS}
    for to in memory:
        gain = short[to, "attention"] - short[to, "plain"]
        share = gain / (mean("chrf", to, "attention") - mean("chrf", to, "plain"))
        assert (0.45 if to == "fr" else 0.55) < share < (0.55 if to == "fr" else 0.6)
        assert short[to, "attention"] < memory[to]["chrf"] - 5
        assert mean("exact", to, "attention", epochs=20) > 10 * memory[to]["exact"]
        assert short[to, "transformer"] > short[to, "attention"]
        runs = translation.recorded(to, "attention", epochs=20)
        long = translation.recorded(to, "plain")
        assert max(run["test"]["chrf"] for run in long) < min(run["test"]["chrf"] for run in runs)
        more = {name: mean("chrf", to, name) - short[to, name] for name in translation.MODELS}
        assert max(more, key=more.get) == "attention"
    more = {name: mean("chrf", "fr", name) - short["fr", name] for name in translation.MODELS}
    first, last = (mean("chrf", "fr", "attention"), mean("exact", "fr", "attention"))
    gain = short["fr", "attention"] - short["fr", "plain"]
    for what in (
        f"(b): {gain:.1f} points, the mean of two seeds",
        f"{memory['fr']['chrf']:.1f} against {short['fr', 'attention']:.1f}, the mean of two seeds",
        f"From 20 to 60 epochs `plain` gains {more['plain']:.0f} points in French, "
        f"the Transformer {more['transformer']:.0f}, and attention {more['attention']:.0f}.",
        f"comes to {first:.1f} and {last:.1f} % in 60 epochs (three seeds); "
        f"after 20 its chrF was {short['fr', 'attention']:.1f} (two seeds)",
    ):
        assert what in text, what


def test_what_the_page_says_of_the_curves_is_so():
    """Sixty epochs pass the memory on the validation part; the short lines flatten below the long ones."""
    strings = parts()
    validation = strings._replace(test=strings.validation)
    for to in ("fr", "zh"):
        reached, short = (
            [row["chrf"] for row in translation.recorded(to, "attention", epochs=epochs)[0]["rows"]]
            for epochs in (60, 20)
        )
        kept = scores(translation.memory(validation, to), getattr(strings.validation, to), to)["chrf"]
        assert reached[3] < reached[-1] > kept + 1 and reached[3] > short[-1]
        assert np.diff(short)[-1] < 0.4 * np.diff(short)[0]  # the short lines flatten


def test_what_the_page_says_of_near_duplicates_is_so():
    strings, mixed = parts(), parts("random")
    share = (interface.nearest(mixed.test.en, mixed.train.en)[1] >= interface.ALIKE).mean()
    chrf = [scores(translation.memory(p, "fr"), p.test.fr, "fr")["chrf"] for p in (strings, mixed)]
    assert round(100 * share) == 54 and round(chrf[1] - chrf[0]) == 15 and round(chrf[0], 1) == 36.6


def test_what_the_page_says_of_length_is_so():
    """All are best with 3 to 4 words; the memory then loses 3/10 of its chrF, each network over half."""
    test = interface.strings().test
    curves = {
        name: np.mean(
            [[row["chrf"] for row in run["lengths"]] for run in translation.recorded("fr", name)], axis=0
        )
        for name in translation.MODELS
    }
    curves["memory"] = [row["chrf"] for row in by_length(translation.memory(parts(), "fr"), test, "fr")]
    for name, curve in curves.items():
        assert np.argmax(curve) == 2 and (np.diff(curve[2:]) < 0).all(), name
    lost = {name: 1 - curve[-1] / curve[2] for name, curve in curves.items()}
    assert 0.27 < lost.pop("memory") < 0.33
    assert all(0.5 < share < 0.75 for share in lost.values())


def test_what_the_page_says_of_placeholders_is_so():
    test = interface.strings().test
    rows = [k for k, one in enumerate(test.en) if translation.placeholders(one)]
    for to in ("fr", "zh"):
        found = translation.recorded(to, "attention")[0]["found"]
        kept = [translation.placeholders(found[k]) == translation.placeholders(test.en[k]) for k in rows]
        assert 0.55 < np.mean(kept) < 0.75


def test_what_the_page_says_of_mistakes_is_so(page):
    """What the training strings have of the words that were got wrong, and what was written."""
    strings, text = parts(), prose(page)
    train, test = strings.train, strings.test
    fr, zh = (translation.recorded(to, "attention")[0]["found"] for to in ("fr", "zh"))
    at = {
        one: test.en.index(one)
        for one in ("Duplicate", "Saving started", "Remove the last column", "Size: %1")
    }
    assert sum("duplicate" in one.lower() for one in train.en) == 2
    dark = train.en.index("Dark")
    assert (
        (train.fr[dark], train.zh[dark]) == (fr[at["Duplicate"]], zh[at["Duplicate"]]) == ("Sombre", "暗色")
    )
    for word in ("Duplicate", "Dark"):
        assert f"`{'|'.join(pieces('en').cut(word))}`" in text
    (once,) = [k for k, one in enumerate(train.zh) if one == "保存成功"]
    assert train.en[once] == "Saving completed" and zh[at["Saving started"]] == "保存成功"
    last = at["Remove the last column"]
    assert fr[last] == test.fr[last] and "最后修改列" in zh[last]
    assert sum("最后修改列" in one for one in train.zh) >= 3
    size = at["Size: %1"]
    assert fr[size] == test.fr[size] and zh[size].replace("：", ": ") == test.zh[size]
    assert "11 610" in text and sum(len(one.split()) for one in train.en) == 11_610


def test_what_the_page_says_of_words_is_so(page):
    """One in eight words of the test was never seen; the loop on the page learns from the short strings."""
    strings = parts()
    seen = {word for text in strings.train.en for word in text.lower().split()}
    asked = [word for text in strings.test.en for word in text.lower().split()]
    assert round(len(asked) / sum(word not in seen for word in asked)) == 8
    assert "in small letters and cut at spaces, one in eight stands in no training string" in prose(page)
    (loop,) = [c for c in page["cells"] if "batches an epoch" in "".join(c["source"])]
    few = sum(len(text.split()) <= 8 for text in strings.train.en)
    assert "".join(loop["outputs"][0]["text"]) == f"{few} strings, {-(-few // 32)} batches an epoch\n"
    assert 8 * -(-few // 32) == 520 and "520 steps of a small network" in prose(page)


def test_results_stand_beside_published_ones(page):
    rows, text = translation.beside(), prose(page)
    works = (Path(__file__).parents[2] / "book" / "references.bib").read_text(encoding="utf-8")
    assert len(rows) == 3 and all(f"{{{row.work}," in works for row in rows)
    assert rows[0].ours == f"{mean('bleu', 'fr', 'plain'):.1f}, {mean('bleu', 'fr', 'attention'):.1f}"
    assert all("60 epochs, means of 3 seeds" in row.differs for row in rows)
    fr, zh = (mean("bleu", to, "attention") - mean("bleu", to, "plain") for to in ("fr", "zh"))
    assert f"(ours: {fr:.0f} in French, {zh:.0f} in Chinese, means of three seeds): by nine points" in text
    behind = mean("bleu", "fr", "attention") - mean("bleu", "fr", "transformer")
    assert f"is {behind:.1f} points of BLEU behind after sixty epochs (French, means of three seeds)" in text


@pytest.mark.parametrize(
    "to, wanted", [("fr", "Renommer les fichiers sélectionnés"), ("zh", "重命名选中的文件")]
)
def test_translate_answers_from_the_package(to, wanted):
    from rnnlit.practice import translate

    assert translate("Rename the selected files", to=to) == wanted
