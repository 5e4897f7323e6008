"""Language models. Oracles: sums by hand, torch's own layers, the text itself, one run against another."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnlit.practice import continue_text, language_model
from rnnlit.practice import language_model_net as net
from rnnlit.practice import language_model_scores as measured
from rnnlit.practice.language_model_net import (
    KINDS,
    LanguageModel,
    Stateful,
    Window,
    Windows,
    log_probabilities,
    memory,
    write,
)
from rnnlit.tasks import pride
from tests.practice.broken import break_off
from tests.tolerances import TOLERANCE

ROOT = Path(__file__).resolve().parents[2]
V, E, H, L = 7, 3, 4, 2
NUMBERS = np.array([3, 1, 4, 1, 5, 0, 2, 6, 5, 3, 5, 1, 1, 2, 0, 6, 4, 3, 3, 2, 1, 0, 4])


def small(kind="none", seed=0, **more):
    torch.manual_seed(seed)
    return LanguageModel(V, E, H, L, kind, 0.5, 0.4, 0.3, **more)


# ---------------------------------------------------------------- the text


def test_characters_and_words_come_back():
    text = "\n".join(pride.parts().test.splitlines()[:9])
    numbers = net.encode("characters", text)
    assert "".join(net.tokens("characters")[k] for k in numbers) == text
    found = [net.tokens("words")[k] for k in net.encode("words", text)]
    known = [a == b for a, b in zip(found, pride.words(text), strict=True)]
    assert np.mean(known) > 0.9 and {a for a, b in zip(found, known, strict=True) if not b} == {net.UNKNOWN}


def test_sizes_of_the_vocabularies():
    assert [len(net.tokens(unit)) for unit in net.UNITS] == [74, 3608]
    assert [len(part) for part in net.parts("characters")] == [549_034, 65_584, 67_590]
    assert (
        net.tokens("characters")[net.start("characters")] == "\n" == net.tokens("words")[net.start("words")]
    )
    with pytest.raises(ValueError, match="unit: expected one of characters, words, got 'letters'"):
        net.tokens("letters")


def test_windows_are_streams_side_by_side():
    """23 tokens in 2 streams of 11: windows of 3, and what follows; the last of a stream are left over."""
    windows = list(Windows(NUMBERS, 2, 3))
    assert len(windows) == len(Windows(NUMBERS, 2, 3)) == 3
    for k, window in enumerate(windows):
        for b in range(2):
            at = 11 * b + 3 * k
            np.testing.assert_array_equal(window.x[:, b], NUMBERS[at : at + 3])
            np.testing.assert_array_equal(window.y[:, b], NUMBERS[at + 1 : at + 4])
        assert window.first == (k == 0)


# ---------------------------------------------------------------- the model


@pytest.mark.parametrize("tied", [False, True])
def test_without_dropout_it_is_torchs_layers_one_after_the_other(tied):
    torch.manual_seed(1)
    model = LanguageModel(V, H if tied else E, H, L, tied=tied)
    plain = torch.nn.LSTM(H if tied else E, H, L)
    plain.load_state_dict(model.lstm.state_dict())
    x = torch.as_tensor(NUMBERS[:10]).reshape(5, 2)
    h, (h_n, c_n) = plain(model.embed.weight[x])
    wanted = h @ model.output.weight.T + model.output.bias
    logits, (last_h, last_c) = model(x)
    torch.testing.assert_close(logits, wanted, **TOLERANCE[np.float32])
    torch.testing.assert_close((last_h, last_c), (h_n, c_n), **TOLERANCE[np.float32])
    assert (model.output.weight is model.embed.weight) == tied


def masks_of(model, reps=400):
    """Which numbers of the last layer's input are zero in training, (reps, T, B, H)."""
    seen = []
    model.output.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0] == 0))
    x = torch.as_tensor(NUMBERS[:15]).reshape(5, 3)
    for _ in range(reps):
        model(x)
    return torch.stack(seen)


def test_zaremba_draws_at_each_step_and_gal_once():
    torch.manual_seed(0)
    zaremba, gal = masks_of(small("zaremba").train()), masks_of(small("gal").train())
    assert abs(zaremba.float().mean() - 0.5) < 0.03 and abs(gal.float().mean() - 0.5) < 0.03
    assert (gal == gal[:, :1]).all() and not (zaremba == zaremba[:, :1]).all()
    # Two steps of zaremba agree as often as two coins do.
    assert abs((zaremba[:, 0] == zaremba[:, 1]).float().mean() - 0.5) < 0.03


def test_gal_drops_whole_tokens_wherever_they_stand():
    model = small("gal").train()
    seen = []
    model.lstm.register_forward_pre_hook(lambda module, inputs: seen.append((inputs[0] == 0).all(-1)))
    x = torch.as_tensor([[1, 2], [1, 1], [2, 1], [1, 2]])
    for _ in range(1000):
        model(x)
    dropped = torch.stack(seen)
    assert abs(dropped.float().mean() - 0.3) < 0.04
    assert (dropped[:, 0, 0] == dropped[:, 1, 0]).all() and (dropped[:, 0, 0] == dropped[:, 3, 0]).all()
    assert (dropped[:, 0, 0] != dropped[:, 2, 0]).any()  # another token
    assert (dropped[:, 1, 0] != dropped[:, 1, 1]).any()  # the same token in another stream


@pytest.mark.parametrize("kind", KINDS)
def test_in_evaluation_nothing_is_dropped(kind):
    model, plain = small(kind).eval(), small("none").eval()
    plain.load_state_dict(model.state_dict())
    x = torch.as_tensor(NUMBERS[:10]).reshape(5, 2)
    torch.testing.assert_close(model(x)[0], plain(x)[0], **TOLERANCE[np.float32])


def test_what_no_model_can_be_made_of():
    with pytest.raises(ValueError, match="kind: expected one of none, zaremba, gal, got 'dropout'"):
        LanguageModel(V, E, H, kind="dropout")
    with pytest.raises(ValueError, match="embedding: expected 4, as many as units, with tied, got 3"):
        LanguageModel(V, E, H, tied=True)


def test_the_state_is_carried_on_and_the_gradient_is_not():
    model, stateful = small().eval(), Stateful()
    x = torch.as_tensor(NUMBERS[:14]).reshape(7, 2)
    losses = [stateful(model, Window(x[k : k + 3], x[k + 1 : k + 4], k == 0)) for k in (0, 3)]
    logits, _ = model(x[:6])
    whole = torch.nn.functional.cross_entropy(logits.flatten(0, 1), x[1:7].flatten())
    torch.testing.assert_close((losses[0] + losses[1]) / 2, whole, **TOLERANCE[np.float32])
    model.zero_grad()
    losses[1].backward()
    reached = model.embed.weight.grad.abs().sum(1) > 0
    assert reached.tolist() == [k in set(x[3:6].flatten().tolist()) for k in range(V)]
    again = stateful(model, Window(x[:3], x[1:4], True))  # begins anew
    torch.testing.assert_close(again, losses[0], **TOLERANCE[np.float32])


def test_log_probabilities_know_nothing_of_windows():
    model = small("gal")
    whole = log_probabilities(model, NUMBERS, 2, window=50)
    np.testing.assert_allclose(log_probabilities(model, NUMBERS, 2, window=4), whole, **TOLERANCE[np.float32])
    p = torch.softmax(model.eval()(torch.as_tensor([[2], [3]]))[0][:, 0], -1)
    np.testing.assert_allclose(2 ** whole[:2], [p[0, 3].item(), p[1, 1].item()], **TOLERANCE[np.float32])
    assert len(whole) == len(NUMBERS)


def test_memory_holds_the_cells_of_every_layer():
    model = small()
    cells = memory(model, NUMBERS, 2, window=4)
    assert cells.shape == (len(NUMBERS), L * H)
    _, (_, c) = model(torch.as_tensor([2, *NUMBERS[:6]])[:, None])
    np.testing.assert_allclose(cells[5], c[:, 0].detach().flatten(), **TOLERANCE[np.float32])


def test_pieces_know_the_tokens_before_them():
    """Three pieces of 8, 8 and 7 tokens; the second and the third read 8 tokens first, from zeros."""
    model, text = small(), [2, *NUMBERS]
    whole, got = (log_probabilities(model, NUMBERS, 2, pieces, window=3) for pieces in (1, 3))
    cells = memory(model, NUMBERS, 2, 3, window=3)
    np.testing.assert_allclose(got[:8], whole[:8], **TOLERANCE[np.float32])
    for begin, end in ((8, 16), (16, 23)):
        x = torch.as_tensor(np.array(text[begin - 8 : end]))[:, None]
        logs = model(x)[0][8:, 0].log_softmax(-1)
        wanted = [logs[k, NUMBERS[begin + k]].item() / np.log(2) for k in range(end - begin)]
        np.testing.assert_allclose(got[begin:end], wanted, **TOLERANCE[np.float32])
        _, (_, c) = model(x)  # what has been read is NUMBERS up to and with end - 2
        np.testing.assert_allclose(cells[end - 2], c[:, 0].detach().flatten(), **TOLERANCE[np.float32])


# ---------------------------------------------------------------- writing


def test_what_is_written_has_the_models_probabilities():
    """The first token of 2000 texts; three standard deviations of a share of 2000 are 0.034 at most."""
    model, rng = small(), np.random.default_rng(0)
    drawn = [write(model, NUMBERS[:3], 1, rng)[0] for _ in range(2000)]
    p = torch.softmax(model(torch.as_tensor(NUMBERS[:3])[:, None])[0][-1, 0], -1).detach().numpy()
    assert np.abs(np.bincount(drawn, minlength=V) / 2000 - p).max() < 0.04


def test_what_is_written_is_read_again():
    """Greedily, step by step, it is the most probable token after all that stands there already."""
    model, found = small(), list(NUMBERS[:3])
    for token in write(model, NUMBERS[:3], 6, np.random.default_rng(0), temperature=0):
        logits = model(torch.as_tensor(np.array(found))[:, None])[0][-1, 0]
        assert token == logits.argmax()
        found.append(token)


# ---------------------------------------------------------------- what it is measured by


def test_places_by_hand():
    text = 'He said "I do."\n'
    names = [measured.PLACES[k] for k in measured.places(text)]
    first, later, space, opens, closes, other = measured.PLACES
    assert names == [
        *(first, later, space, first, later, later, later, space),
        *(opens, first, space, first, later, other, closes, space),
    ]
    costs = measured.by_place(text, np.arange(len(text), dtype=float))
    assert (
        costs[opens] == 8
        and costs[space] == np.mean([2, 7, 10, 15])
        and costs[first] == np.mean([0, 3, 9, 11])
    )


def test_the_orders_of_the_ngrams_were_chosen_on_the_validation_chapters():
    for unit, orders in measured.ORDERS.items():
        _, validation, _ = net.parts(unit)
        near = [n for n in orders if abs(n - measured.ORDER[unit]) <= 1]
        cost = {n: measured.bits(measured.ngrams(unit, n).probabilities(validation)) for n in near}
        assert min(cost, key=cost.get) == measured.ORDER[unit]


# ---------------------------------------------------------------- the record and the shipped weights


def test_the_record_has_every_kind_with_seeds_and_commands():
    for unit in net.UNITS:
        for kind in KINDS:
            runs = language_model.recorded(unit, kind)
            assert [run["seed"] for run in runs] == list(range(len(runs))) != []
            for run in runs:
                options = language_model.parse(run["command"].split()[3:])
                assert (options.unit, options.dropout, options.seed) == (unit, kind, run["seed"])
                assert run["rows"][-1]["step"] == run["steps"]
                assert (options.limit is None) == (unit == "words")  # which runs were cut off


def test_the_recorded_counts_are_those_of_today():
    found = language_model.recorded_baselines()
    for unit, order in measured.ORDER.items():
        test = net.parts(unit)[2]
        (row,) = (row for row in found[unit]["ngrams"] if row["n"] == order)
        assert row["test"] == round(measured.bits(measured.ngrams(unit, order).probabilities(test)), 4)
        assert min(found[unit]["ngrams"], key=lambda row: row["validation"]) == row


def test_the_shipped_model_costs_what_its_record_says():
    """On the test chapters; float16 and another processor may move the fourth digit."""
    (run,) = language_model.recorded("characters", "zaremba", layers=1)
    test = net.parts("characters")[2]
    logs = log_probabilities(language_model.shipped(), test, net.start("characters"), measured.PIECES)
    assert -logs.mean() == pytest.approx(run["bits"]["test"], abs=1e-3)


def test_the_pages_sentences_about_the_record():
    """Each sentence of the page that draws on the record, and what it says worked out once more."""
    page = (ROOT / "book" / "practice" / "language_model.ipynb").read_text(encoding="utf-8")
    runs = [run for kind in KINDS for run in language_model.recorded("characters", kind)]
    (shipped,) = language_model.recorded("characters", "zaremba", layers=1)
    words = [run for kind in KINDS for run in language_model.recorded("words", kind)]
    bits = [run["bits"] for run in runs]
    means, spread = [], {}
    for kind in KINDS:
        one = [run["bits"]["test"] for run in runs if run["kind"] == kind]
        means, spread[kind] = [*means, np.mean(one)], max(one) - min(one)
    dropped = [run["steps"] for run in runs if run["kind"] != "none"]
    few = sorted(run["steps"] for run in runs if run["kind"] == "none")
    epochs = [steps * 64 * 100 / len(net.parts("characters")[0]) for steps in dropped]
    gaps = [one["test"] - one["train"] for one in bits]
    mixed = [one["mixed"]["test"] for one in bits]
    shares = [one["mixed"]["share"] for one in bits]
    quotes = [one["quotes"] for one in bits]
    areas = [max(one["trained"]["test"], 1 - one["trained"]["test"]) for one in quotes]
    chances = [one["trained"]["chance_max"] for one in quotes]
    cells = 1 - quotes[0]["untrained"]["test"], 1 - shipped["bits"]["quotes"]["trained"]["test"]
    of = {kind: [run["bits"] for run in words if run["kind"] == kind] for kind in KINDS}
    every = {kind: [2 ** one["test"] for one in found] for kind, found in of.items()}
    tested = {kind: np.mean(found) for kind, found in every.items()}
    learned = {kind: np.mean([2 ** one["train"] for one in found]) for kind, found in of.items()}
    gap = {kind: tested[kind] - learned[kind] for kind in KINDS}
    rows = language_model.recorded_baselines()["words"]["ngrams"]
    counted = 2 ** min(rows, key=lambda row: row["validation"])["test"]
    ends = {kind: [run["steps"] for run in words if run["kind"] == kind] for kind in KINDS}
    assert {steps for found in ends.values() for steps in found} == {2400}
    assert round(2400 * 20 * 35 / len(net.parts("words")[0])) == 14
    assert 39 * len(net.parts("words")[0]) / (20 * 35) == pytest.approx(6500, rel=0.01)
    assert max(every["none"]) < min(every["zaremba"]) and max(every["zaremba"]) < min(every["gal"])
    assert round(1 - tested["none"] / counted, 1) == 0.2
    rest = shipped["bits"]["test"], shipped["bits"]["mixed"]["test"]
    assert len(dropped) == 6 and len(few) == 2 and len(bits) == 8
    for sentence in (
        f"with dropout {min(dropped)} to {max(dropped)} steps",
        f"{min(epochs):.0f} to {max(epochs):.0f} epochs",
        f"one got {few[0]} steps, the other {few[1]}",
        f"against {min(one['test'] for one in bits):.2f} for the best of eight networks",
        f"only {min(gaps):.2f} to {max(gaps):.2f} bits less than on new text",
        f"differ by up to {max(spread['zaremba'], spread['gal']):.2f} bits",
        f"the two without dropout by {spread['none']:.2f}",
        f"the means of the three kinds differ by {max(means) - min(means):.2f} only",
        f"a weight of {min(shares):.1f} to {max(shares):.1f} for the network",
        f"{min(mixed):.2f} to {max(mixed):.2f} bits in all eight cases",
        f"**{rest[0]:.3f} bits** on the test chapters, and {rest[1]:.2f} mixed with the 8-grams",
        f"{min(one['test'] for one in bits) - rest[0]:.2f} fewer than the best of the eight",
        f"with {shipped['parameters'] / runs[0]['parameters']:.0%} of their".replace("%", " %"),
        f"and {shipped['steps']} smaller steps, 18 epochs in {shipped['seconds'] / 60:.0f} minutes",
        f"by a fifth, {tested['none']:.0f} against {counted:.0f}, and the mixture",
        f"Text that it was trained on costs {learned['none']:.0f}.",
        f"from {gap['none']:.0f} points to {gap['zaremba']:.0f} with Zaremba's, to {gap['gal']:.0f} with "
        "Gal's.",
        f"Zaremba's ends {tested['zaremba'] - tested['none']:.1f} points above no dropout",
        f"Gal's {tested['gal'] - tested['none']:.1f} (",
        f"here it has {tested['none'] / counted:.2f} of that of 6-grams",
        f"with Zaremba's dropout and 200 units it is {tested['zaremba'] / counted:.2f} here",
        f"no dropout gave a perplexity of {tested['none']:.0f}, Zaremba's {tested['zaremba']:.0f}, "
        f"Gal's {tested['gal']:.0f}.",
        f"chance gives ({min(chances):.2f} to {max(chances):.2f})",
        f"untrained network ({cells[0]:.2f})",
        f"from {min(areas):.2f} to {max(areas):.2f}",
        f"the clearest one: {cells[1]:.3f}",
    ):
        assert sentence in page, sentence
    assert round(shipped["steps"] * 32 * 64 / len(net.parts("characters")[0])) == 18
    grams = {}
    for unit in net.UNITS:
        rows = language_model.recorded_baselines()[unit]["ngrams"]
        grams[unit] = min(rows, key=lambda row: row["validation"])["test"]
    everything = [*runs, shipped, *words]
    assert f"in each of our {len(everything)} runs its mixture" in page
    gained = [
        min(run["bits"]["test"], grams[run["unit"]]) - run["bits"]["mixed"]["test"] for run in everything
    ]
    assert min(gained) > 0


def test_published_results_stand_beside_ours():
    rows = language_model.beside()
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert len(rows) == 6 and all(f"{{{row.work}," in bibliography for row in rows)
    runs = language_model.recorded("words", "none")
    perplexity = np.mean([2 ** run["bits"]["test"] for run in runs])
    assert rows[1].ours == f"{perplexity:.1f}" and rows[1].theirs == "114.5"
    assert rows[0].ours == "91.9"


# ---------------------------------------------------------------- the script


@pytest.fixture
def few(monkeypatch):
    """Little text, and no n-grams and quotations of the novel."""
    parts = {unit: [part[:2000] for part in net.parts(unit)] for unit in net.UNITS}
    monkeypatch.setattr(language_model, "parts", parts.__getitem__)
    monkeypatch.setattr(language_model, "scores", lambda model, unit: {"test": 1.0})


def run(path, *options):
    common = ["--hidden", "8", "--batch", "4", "--window", "20", "--every", "2", "--device", "cpu"]
    language_model.main([*common, *options, "--record", str(path)])
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_that_was_broken_off_goes_on_to_the_same_end(tmp_path, monkeypatch, few):
    """An epoch has 24 windows; the break comes in the second one, so that place and carried state matter."""
    whole = run(tmp_path / "whole.json", "--steps", "30", "--export", str(tmp_path / "whole.safetensors"))
    again = ["--steps", "30", "--checkpoint", str(tmp_path / "run.safetensors"), "--resume", "auto"]
    taken = break_off(language_model, 29, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again.json", *again)
    resumed = run(tmp_path / "again.json", *again, "--export", str(tmp_path / "again.safetensors"))
    assert len(taken) == 29 + 2 and resumed["rows"] == whole["rows"]
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


@pytest.mark.parametrize("unit", net.UNITS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_trains_is_stored_and_comes_back(tmp_path, few, unit, kind):
    weights = tmp_path / "weights.safetensors"
    record = run(
        tmp_path / "record.json", "--unit", unit, "--dropout", kind, "--steps", "2", "--export", str(weights)
    )
    assert record["kind"] == kind and record["unit"] == unit and record["rows"][-1]["step"] == 2
    assert record["command"].startswith("python -m rnnlit.practice.language_model --hidden 8")
    model = net.load(weights)
    assert not model.training and sum(p.numel() for p in model.parameters()) == record["parameters"]
    assert weights.stat().st_size < 2 * record["parameters"] + 2000


def test_a_limit_of_seconds_ends_the_training_with_its_schedule(tmp_path, few):
    record = run(tmp_path / "record.json", "--steps", "1000000", "--limit", "0.5")
    steps = [row["step"] for row in record["rows"]]
    assert steps[-1] == record["steps"] < 1_000_000 and steps == sorted(steps)
    assert record["best"] in steps
    clock = language_model.Clock(1000)
    factors = [clock.rate(step) for step in range(1001)]
    assert max(factors) == factors[100] == 1 and factors[0] == 0.04 and factors[1000] == 0
    assert factors[550] == pytest.approx(0.5)  # half a cosine later
    assert language_model.Clock(1000, limit=1e-9).progress(0) == 1


def test_the_weights_of_the_best_row_are_kept():
    model = small()
    best = language_model.Best(model)
    for bits, value in ((3.0, 1.0), (2.0, 2.0), (2.5, 3.0)):
        torch.nn.init.constant_(model.output.bias, value)
        best.see(bits)
    other = language_model.Best(small())
    other.load_state_dict(best.state_dict())
    assert other.bits == 2.0 and (other.weights["output.bias"] == 2.0).all()


def test_resume_needs_a_checkpoint():
    with pytest.raises(SystemExit):
        language_model.parse(["--resume"])


# ---------------------------------------------------------------- the helper


@pytest.fixture
def untrained(monkeypatch):
    torch.manual_seed(0)
    model = net.build("characters", embedding=E, hidden=H).eval()
    monkeypatch.setattr(language_model, "shipped", lambda: model)


def test_a_text_is_continued(untrained):
    found = continue_text("It is a truth", 20, seed=1)
    assert found.startswith("It is a truth") and len(found) == len("It is a truth") + 20
    assert found == continue_text("It is a truth", 20, seed=1) != continue_text("It is a truth", 20, seed=2)


@pytest.mark.parametrize(
    "text, options, error, words",
    [
        (3, {}, TypeError, "text: expected a string, got int"),
        ("", {}, ValueError, "text: expected 1 to 5000 characters, got 0"),
        ("a" * 5001, {}, ValueError, "got 5001"),
        ("naïve #1", {}, ValueError, "text: expected characters of the novel, got '#' 'ï'"),
        ("a", {"length": 2.5}, TypeError, "length: expected an integer, got float"),
        ("a", {"length": 0}, ValueError, "length: expected 1 to 10000 characters, got 0"),
        ("a", {"temperature": -1}, ValueError, "temperature: expected a number from 0 on, got -1"),
        ("a", {"temperature": float("nan")}, ValueError, "got nan"),
        ("阿里巴巴与四十大盗在山里", {}, ValueError, "'里' and others"),
        ("a", {"temperature": "hot"}, TypeError, "temperature: expected a number, got str"),
        ("a", {"top_p": None}, TypeError, "top_p: expected a number, got NoneType"),
        ("a", {"seed": 1.5}, TypeError, "seed: expected an integer, got float"),
        ("a", {"seed": -1}, ValueError, "seed: expected 0 or more, got -1"),
        ("a", {"top_p": 0}, ValueError, "top_p: expected a number above 0 and at most 1, got 0"),
    ],
)
def test_what_cannot_be_continued(untrained, text, options, error, words):
    with pytest.raises(error, match=words):
        continue_text(text, **options)
