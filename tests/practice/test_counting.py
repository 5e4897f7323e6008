"""Counting. Oracles: Python's own counting, the package's own cells, and sums by hand."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnlit import gru, lstm
from rnnlit.practice import counting, records
from rnnlit.practice.counting import InputGate, Reader, build, by_hand, counts, reach, right, saturated
from rnnlit.tasks.counting import END, UNASKED, bits, input_gate_step, strings
from tests.book_checks.notebook import prose
from tests.practice.broken import break_off
from tests.programs import run
from tests.tolerances import TOLERANCE

ROOT = Path(__file__).resolve().parents[2]


def small(task="anbn", cell="lstm", seed=0):
    torch.manual_seed(seed)
    return build(task, cell, 5)


# ---------------------------------------------------------------- the models


@pytest.mark.parametrize("signed", [False, True])
def test_the_layer_is_its_step_over_time(signed):
    torch.manual_seed(3)
    layer = InputGate(3, 4, signed=signed).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    states, last = layer(x)
    assert states.shape == (5, 2, 4) and (last == states[-1]).all()
    weights = layer.z.weight, layer.z.bias, layer.n.weight, layer.n.bias
    params, h = tuple(w.detach().numpy() for w in weights), np.zeros((2, 4))
    for t in range(5):
        h = input_gate_step(params, x[t].numpy(), h, signed=signed)
        np.testing.assert_allclose(states[t].detach().numpy(), h, **TOLERANCE[np.float64])


def test_the_loss_by_its_definition():
    """The mean of -log p over what is asked, added up one by one."""
    model = small()
    batch = strings([3, 1, 2])
    logs = model(batch.letters).log_softmax(-1)
    asked = [(t, b) for t in range(6) for b in range(3) if batch.answers[t, b] != UNASKED]
    assert len(asked) == 3 + 1 + 2
    total = -sum(logs[t, b, batch.answers[t, b]] for t, b in asked)
    torch.testing.assert_close(counting.loss_fn(model, batch), total / 6, **TOLERANCE[np.float32])


@pytest.mark.parametrize("cell", counting.CELLS)
def test_what_is_kept(cell):
    model, letters = small(cell=cell), strings([3, 2]).letters
    kept = counting.memory(model, letters)
    x = torch.eye(2)[torch.as_tensor(letters)]
    if cell == "lstm":
        weights = (getattr(model.layer, f"{name}_l0").detach().numpy() for name in lstm.Params._fields)
        wanted = lstm.forward(lstm.Params(*weights), x.numpy()).c
    else:
        wanted = model.layer(x)[0].detach().numpy()
    assert kept.shape == (6, 2, 5)
    np.testing.assert_allclose(kept, wanted, **TOLERANCE[np.float32])


def test_a_saturated_network_has_ten_times_the_weights_and_the_same_readout():
    model = small()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    new = saturated(model, by=10.0).state_dict()
    for name, x in model.state_dict().items():
        assert (x == before[name]).all()
        assert torch.equal(new[name], 10 * x if name.startswith("layer.") else x)
    assert sum(name.startswith("layer.") for name in new) == 4


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(("task", "letters"), [("anbn", 2), ("anbncn", 3)])
def test_counters_count(task, letters):
    ns = [1, 2, 3, 50, 400]
    assert right(by_hand(task), ns, letters).all()
    run_ = lstm.forward(
        counting.counters(letters), np.eye(letters, dtype=np.float32)[strings([4], letters).letters]
    )
    ups = np.repeat(np.eye(letters)[:, : letters - 1] - np.eye(letters, k=-1)[:, : letters - 1], 4, axis=0)
    np.testing.assert_array_equal(run_.c[:, 0], np.cumsum(ups, axis=0))  # exactly, no tolerance


def test_counting_by_hand_is_exact_where_float32_is():
    n = 60_000
    assert counts("a" * n + "b" * n, by="hand")
    assert not counts("a" * n + "b" * (n - 1), by="hand")
    assert not counts("a" * (n - 1) + "b" * n, by="hand")


@pytest.mark.parametrize("step", [0.03, 0.003, 0.0003])
def test_a_ruler_reaches_as_far_as_the_formula_says(step):
    """n = 6^(1/4) / sqrt(step), worked on the page; the first step is the one that was asked for."""
    p, reached = counting.ruler(step), 0
    for n in range(1, 200):
        h = gru.forward(p, np.eye(2, dtype=np.float32)[np.repeat([0, 1], n)][:, None]).h[:, 0, 0]
        low = h[n:] < step / 2
        if low[:-1].any() or not low[-1]:
            break
        reached = n
    np.testing.assert_allclose(h[0], step, **TOLERANCE[np.float32])
    assert abs(reached - 6**0.25 / step**0.5) < 1.5


def test_a_ruler_needs_a_step():
    for step in (0, 0.5, -0.1):
        with pytest.raises(ValueError, match="step: expected a number between 0 and 1/2"):
            counting.ruler(step)


# ---------------------------------------------------------------- scores


class Wrong(Reader):
    """The network by hand, which says that the string is at its end wherever `at` says so: {n: step}."""

    def __init__(self, at):
        super().__init__("lstm", 2, 1, 4)
        self.at = at

    def forward(self, letters):
        answers = by_hand()(letters).detach()
        for b, n in enumerate((letters == 0).cumprod(0).sum(0)):  # the a's before the first b
            if n in self.at:
                answers[self.at[n], b, END] += 100
        return answers


def test_every_answer_of_a_string_has_to_be_right():
    model = Wrong({3: 4, 5: 5, 6: 2})  # n = 3 and 5 in the b's before the last; n = 6 where nothing is asked
    assert right(model, [1, 2, 3, 4, 5, 6, 7], 2).tolist() == [True, True, False, True, False, True, True]
    assert reach(model, 2, limit=9) == 2
    assert reach(by_hand(), 2, limit=9) == 9
    assert counting.scores(model, "anbn", limit=9) == {
        "reach": 2,
        "limit": 9,
        "right": [[1, 2], [4, 4], [6, 9]],
    }


def test_spans():
    assert counting.spans(np.array([True, True, False, True])) == [[1, 2], [4, 4]]
    assert counting.spans(np.array([False, False])) == []


def test_the_accuracy_of_parity_counts_the_last_bit_of_each_length():
    class Always(Reader):
        def __init__(self):
            super().__init__("gru", 2, 3, 2)

        def forward(self, letters):
            return torch.tensor([0.0, 1.0]).expand(*letters.shape, 2)  # says odd

    found = counting.parity_accuracy(Always(), lengths=(1, 7), size=400)
    read = bits(7, 400, np.random.default_rng(2024)).letters
    odd = {T: float((read[:T].sum(0) % 2 == 1).mean()) for T in (1, 7)}
    assert found == {"1": pytest.approx(odd[1]), "7": pytest.approx(odd[7])}


# ---------------------------------------------------------------- what a user calls


def test_the_trained_networks_count_what_they_were_trained_on():
    for by in ("lstm", "saturated", "gru", "hand"):
        assert [counts("a" * n + "b" * n, by=by) for n in (2, 3, 10, 30, 50)] == [True] * 5, by
        assert [counts("a" * n + "b" * (n - 1), by=by) for n in (3, 10, 30, 50)] == [False] * 4, by
        assert not counts("aaabbbb", by=by)  # one too many: it has said "end" before the last letter


def test_one_can_import_it_by_name_and_without_torch():
    program = (
        "import sys, rnnlit.practice as p; assert 'torch' not in sys.modules; assert 'counts' in dir(p);"
        "from rnnlit.practice import counts; print(counts('aabb'), counts('aab'))"
    )
    assert run([sys.executable, "-c", program], check=True).stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("string", "error", "words"),
    [
        (3, TypeError, "string: expected a string, got int"),
        ("", ValueError, "one or more a and then one or more b, got ''"),
        ("aaa", ValueError, "one or more a and then one or more b, got 'aaa'"),
        ("bbb", ValueError, "got 'bbb'"),
        ("abab", ValueError, "got 'abab'"),
        ("aabc" * 10, ValueError, r"got 'aabcaabcaabcaabcaabc\.\.\.'"),
        ("a" * 150_000 + "b" * 150_000, ValueError, "at most 200000 letters, got 300000"),
    ],
)
def test_strings_that_cannot_be_counted(string, error, words):
    with pytest.raises(error, match=words):
        counts(string)


def test_there_are_four_networks():
    with pytest.raises(ValueError, match="by: expected lstm, saturated, gru or hand, got 'rnn'"):
        counts("ab", by="rnn")


# ---------------------------------------------------------------- the command

OPTIONS = ["--hidden", "4", "--batch", "5", "--longest", "6", "--every", "2", "--limit", "20"]


def test_a_run_that_is_broken_off_ends_where_a_whole_one_does(tmp_path, monkeypatch):
    record, weights = tmp_path / "whole.json", tmp_path / "whole.safetensors"
    second = tmp_path / "second.safetensors"
    files = ["--record", str(record), "--export", str(weights), "--export-saturated", str(second)]
    counting.main([*OPTIONS, "--steps", "6", *files])
    again = tmp_path / "again.json"
    checkpoint = ["--checkpoint", str(tmp_path / "run.safetensors"), "--resume", "auto"]
    break_off(counting, 6, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        counting.main([*OPTIONS, "--steps", "6", *checkpoint])
    counting.main([*OPTIONS, "--steps", "6", *checkpoint, "--record", str(again)])
    one, other = json.loads(record.read_text()), json.loads(again.read_text())
    for name in ("loss", "trained", "saturated", "steps", "parameters"):
        assert one[name] == other[name]
    assert [step for step, _ in one["loss"]] == [2, 4, 6] and one["steps"] == 6
    assert one["command"].startswith("python -m rnnlit.practice.counting --hidden 4")
    assert str(tmp_path) not in record.read_text() and one["machine"]["packages"]["torch"]
    first, later = counting.read(weights), counting.read(second)
    assert torch.equal(later.layer.weight_ih_l0, 10 * first.layer.weight_ih_l0)
    assert not torch.equal(later.readout.weight, first.readout.weight)
    assert counting.scores(first, "anbn", 20) == one["trained"]


@pytest.mark.parametrize(("task", "cell"), [("anbncn", "gru"), ("parity", "input"), ("parity", "signed")])
def test_other_tasks_and_cells(tmp_path, task, cell):
    record = tmp_path / "one.json"
    counting.main([*OPTIONS, "--task", task, "--cell", cell, "--steps", "2", "--record", str(record)])
    found = json.loads(record.read_text())
    assert (found["task"], found["cell"], found["longest"]) == (task, cell, 6)
    assert set(found["trained"]) == ({"accuracy"} if task == "parity" else {"reach", "limit", "right"})
    assert found["parameters"] == sum(p.numel() for p in build(task, cell, 4).parameters())


def test_bad_options():
    with pytest.raises(SystemExit):
        counting.parse(["--resume"])
    with pytest.raises(ValueError, match="steps: expected a positive integer"):
        counting.parse(["--steps", "0"])


# ---------------------------------------------------------------- the record, and what the page says of it

PAGE = " ".join(
    prose(json.loads((ROOT / "book/practice/counting.ipynb").read_text(encoding="utf-8"))).split()
)


def accuracies(cell, kind, T):
    return [run[kind]["accuracy"][str(T)] for run in counting.runs("parity", cell)]


def test_the_record_holds_five_seeds_of_each():
    cells = {"anbn": ("lstm", "gru"), "anbncn": ("lstm", "gru"), "parity": counting.CELLS}
    found = [(run["task"], run["cell"], run["seed"]) for run in records.load("counting")["runs"]]
    assert sorted(found) == sorted((t, c, seed) for t in cells for c in cells[t] for seed in range(5))
    for task in cells:
        for cell in cells[task]:
            model = build(task, cell)
            for run_ in counting.runs(task, cell):
                chosen = counting.TASKS[task]
                assert (run_["longest"], run_["steps"]) == (chosen.longest, chosen.steps)
                assert run_["hidden"] == chosen.hidden
                assert run_["parameters"] == sum(p.numel() for p in model.parameters())


def test_what_ships_is_the_middle_one_of_the_five():
    reached = sorted((run["trained"]["reach"], run["seed"]) for run in counting.runs("anbn", "lstm"))
    assert reached[2][1] == 3 and "seed 3, the middle one of the five" in PAGE
    assert (
        abs(reach(counting.load("lstm"), 2, 150) - reached[2][0]) <= 2
    )  # another processor rounds otherwise


def test_the_page_says_what_the_record_says_of_counting():
    reached = [run["trained"]["reach"] for run in counting.runs("anbn", "lstm")]
    assert f"count to between {min(reached)} and {max(reached)}" in PAGE
    assert f"go on for {min(reached) - 50} to {max(reached) - 50} more" in PAGE
    whole = [counting.counted(run, "saturated") for run in counting.runs("anbn", "lstm")]
    assert sorted(whole) == [999, 1000, 1000, 1000, 1000]
    assert "four of them count to 1000 and the fifth from 2 to 1000" in PAGE
    (first,) = [run for run in counting.runs("anbn", "lstm") if counting.counted(run, "saturated") == 999]
    assert first["seed"] == 0 and first["saturated"]["right"] == [[2, 1000]]
    assert "(Seed 0 gets $n = 1$ wrong and 2 to 1000 right" in PAGE


def test_the_page_says_what_the_record_says_of_grus_and_of_three_letters():
    reached = [run["trained"]["reach"] for run in counting.runs("anbn", "gru")]
    assert f"at {min(reached)} to {max(reached)}. They know" in PAGE and max(reached) - min(reached) == 5
    assert max(counting.counted(run, "saturated") for run in counting.runs("anbn", "gru")) == 1
    assert "At most one string is left to each" in PAGE
    three, others = (
        [run["trained"]["reach"] for run in counting.runs("anbncn", cell)] for cell in ("lstm", "gru")
    )
    assert f"between {min(three)} and {max(three)}, the GRUs to {min(others)} or {max(others)}" in PAGE
    later = {run["seed"]: run["saturated"]["right"] for run in counting.runs("anbncn", "lstm")}
    assert later[0] == [[2, 3], [10, 1000]] and "$n = 2$, 3 and all from 10 to 1000" in PAGE
    counted = [counting.counted(run, "saturated") for run in counting.runs("anbncn", "lstm")]
    first, second, *rest = sorted(range(5), key=lambda seed: -counted[seed])
    assert (first, counted[second]) == (0, 376) and "376 of 1000" in PAGE
    assert later[second][-2:] == [[170, 173], [176, 453]]
    assert "here and there up to 173, and all from 176 to 453" in PAGE
    assert all(counted[seed] <= three[seed] for seed in rest) and "no more right than before" in PAGE


def test_the_page_says_what_the_record_says_of_parity():
    assert max(accuracies("input", "trained", 12)) < 0.55 and "minGRU guesses" in PAGE
    assert set(accuracies("signed", "trained", 24)) == {1.0} and "strings twice as long" in PAGE
    assert 0.6 < np.mean(accuracies("signed", "trained", 48)) < 0.75 and "in seven of ten" in PAGE
    assert max(accuracies("signed", "trained", 96)) < 0.55 and "after 96 it guesses" in PAGE
    assert set(accuracies("signed", "saturated", 768)) == {1.0} and "for all five seeds and 768 bits" in PAGE
    assert set(accuracies("lstm", "trained", 768)) == {1.0}
    assert "the LSTMs made no mistake in 1000 strings of 768 bits" in PAGE
    assert accuracies("lstm", "saturated", 768).count(1.0) == 1 and "only one in five" in PAGE
    grus = accuracies("gru", "saturated", 12)
    assert f"right in {100 * min(grus):.0f} to {100 * max(grus):.0f} of 100" in PAGE and max(grus) < 1


def test_rows_beside_published_results_say_what_the_record_says():
    rows = counting.beside()
    reached = [run["trained"]["reach"] for run in counting.runs("anbn", "lstm")]
    assert rows[0].ours == f"{min(reached)} to {max(reached)}"
    assert rows[1].ours == "no; saturated, 5 of 5 count to 1000"
    assert rows[3].ours == f"{100 * np.mean(accuracies('input', 'trained', 48)):.0f} after 48 bits"
    assert rows[4].ours.startswith("100 after 12 bits")
