"""Learning to execute: the curricula, the counts of what is right, and the script."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnlit.practice
from rnnlit.practice import execute, execution
from rnnlit.practice.execution import Curriculum, Executor, answers, free_running, held_out, teacher_forced
from rnnlit.tasks import programs
from rnnlit.tasks.programs import ALPHABET, IGNORE, OUTPUT, Die, Program
from tests.book_checks import notebook
from tests.practice.broken import break_off
from tests.programs import run
from tests.tolerances import TOLERANCE


def small(seed=0):
    torch.manual_seed(seed)
    return Executor(7, embedding=5)


class Parrot(torch.nn.Module):
    """Writes one text, whatever it reads: its state counts the characters since "@"."""

    def __init__(self, text):
        super().__init__()
        self.text = text + "." * 20
        self.output = torch.nn.Linear(2, len(OUTPUT))  # for its device

    def forward(self, x):
        logits = torch.zeros(*x.shape, len(OUTPUT))
        for b, column in enumerate(x.T.tolist()):
            begin = column.index(ALPHABET.index("@"))
            for t in range(begin, len(column)):
                logits[t, b, OUTPUT.index(self.text[t - begin])] = 1
        return logits


def test_teacher_forced_shares_by_hand():
    some = [Program("print(7+5)", "12"), Program("print(9+4)", "13"), Program("print(50+50)", "100")]
    # It writes 12... : right are "12.", "1 ." and "1  .", which is 3 + 2 + 2 of 3 + 3 + 4 characters.
    assert teacher_forced(Parrot("12"), some) == (0.7, 1 / 3)


def test_free_running_shares_by_hand():
    some = [Program("", "12"), Program("", "-3"), Program("", "100")]
    # "12." 3 of 3; "3." against "-3." 0 of 3; "1000." against "100." 3 of 4.
    assert free_running(["12", "3", "1000"], some) == (0.6, 1 / 3)


def test_free_running_writes_what_the_loop_over_characters_writes():
    """Against one program at a time, read whole again for each character."""
    model = small().eval()
    texts = ["print(12+3)", "a=5\nprint(a-77)", "print(4)"]
    wanted = []
    for text in texts:
        written = ""
        while len(written) < 6 and not written.endswith("."):
            x = torch.from_numpy(programs.numbers([text + "@" + written]))
            with torch.no_grad():
                written += OUTPUT[int(model(x)[-1, 0].argmax())]
        wanted.append(written.removesuffix("."))
    assert answers(model, texts, longest=6) == wanted


def test_an_answer_is_right_free_running_just_when_it_is_right_teacher_forced():
    """Up to its first mistake a network reads the true characters either way."""
    torch.manual_seed(1)
    model = Executor(32)
    adam = torch.optim.Adam(model.parameters(), 1e-2)
    rng = np.random.default_rng(1)
    for _ in range(60):
        some = programs.draw_many("sums", [(1, 1)] * 64, "train", rng)
        loss = execution.loss_fn(model, programs.encode(some))
        adam.zero_grad()
        loss.backward()
        adam.step()
    some = programs.draw_many("sums", [(1, 1)] * 81, "train", rng)
    teacher, exact = teacher_forced(model, some)
    free, also = free_running(answers(model, [one.text for one in some]), some)
    assert 0.05 < exact == also < 1 and free <= teacher


def test_the_loss_is_that_of_the_asked_characters():
    model = small()
    some = [Program("print(7+5)", "12"), Program("print(3-9)", "-6")]
    batch = programs.encode(some)
    logs = model(torch.from_numpy(batch.x)).log_softmax(-1).detach().numpy()
    asked = [(t, b) for t in range(batch.x.shape[0]) for b in range(2) if batch.write[t, b] != IGNORE]
    assert len(asked) == 6
    wanted = -np.mean([logs[t, b, batch.write[t, b]] for t, b in asked])
    np.testing.assert_allclose(execution.loss_fn(model, batch).item(), wanted, **TOLERANCE[np.float32])


def test_difficulties_go_by_length_and_then_by_nesting():
    assert Curriculum("mix", 3, 2).levels == [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]
    with pytest.raises(ValueError, match="curriculum: expected one of baseline, naive, mix, combined"):
        Curriculum("fast", 3, 2)


def test_what_each_curriculum_draws():
    roll = Die(np.random.default_rng(0))
    drawn = {}
    for name in execution.CURRICULA:
        one = Curriculum(name, 3, 2)
        one.at = 1
        levels = one.draw(6000, roll)
        drawn[name] = [levels.count(level) / 6000 for level in one.levels]
    assert drawn["baseline"] == [0, 0, 0, 0, 0, 1] and drawn["naive"] == [0, 1, 0, 0, 0, 0]
    np.testing.assert_allclose(drawn["mix"], np.full(6, 1 / 6), atol=0.02)  # a deviation is 0.005
    np.testing.assert_allclose(drawn["combined"], [1 / 30, 5 / 6, *[1 / 30] * 4], atol=0.02)


def test_a_curriculum_goes_on_when_it_is_good_when_it_is_stuck_and_when_time_is_up():
    one = Curriculum("naive", 4, 1)
    one.report(0.96, 0.01)
    assert one.at == 1
    for accuracy in (0.5, 0.4, 0.5, 0.3, 0.5):
        one.report(accuracy, 0.02)
    assert one.at == 1
    one.report(0.5, 0.02)  # the fifth without a better one
    assert one.at == 2
    for progress in (0.4, 0.5, 0.6):
        one.report(progress, progress)
        assert one.at == 2
    one.report(0.7, 0.7)  # of three steps up the last one is due now
    assert one.at == 3
    one.report(0.99, 0.8)
    assert one.at == 3  # there is no harder one
    late = Curriculum("combined", 4, 1)
    late.report(0.1, 0.7)
    assert late.at == 3


def test_the_clock_goes_by_steps_or_by_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(execution.time, "perf_counter", lambda: now[0])
    steps, both = execution.Clock(1000), execution.Clock(1000, limit=60)
    now[0] += 45
    assert steps.progress(250) == 0.25 and both.progress(250) == 0.75 and both.progress(900) == 0.9
    assert [steps.rate(k) for k in (0, 49, 99, 750, 875, 1000)] == [0.01, 0.5, 1, 1, 0.5, 0]
    now[0] += 30
    assert both.progress(250) == 1 and both.rate(250) == 0


def test_held_out_programs_are_of_their_part_and_always_the_same():
    some = held_out("programs", (3, 1), 40)
    assert some == held_out.__wrapped__("programs", (3, 1), 40)
    assert {programs.part_of(one) for one in some} == {"test"}
    assert all("for" in one.text for one in held_out("programs", (3, 1), 40, kind="loop"))


OPTIONS = [
    "--length",
    "2",
    "--hidden",
    "6",
    "--batch",
    "9",
    "--every",
    "2",
    "--test",
    "20",
    "--device",
    "cpu",
]


def test_the_script_trains_goes_on_and_scores(tmp_path, monkeypatch):
    """A run that is broken off and goes on gives the bits of a whole one; its weights answer as it does."""
    record, weights = tmp_path / "whole.json", tmp_path / "whole.safetensors"
    execution.main([*OPTIONS, "--steps", "6", "--record", str(record), "--export", str(weights)])
    again, checkpoint = tmp_path / "again.json", str(tmp_path / "run.safetensors")
    more = ["--steps", "6", "--checkpoint", checkpoint, "--resume", "auto"]
    taken = break_off(execution, 6, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        execution.main([*OPTIONS, *more])
    execution.main([*OPTIONS, *more, "--record", str(again)])
    assert len(taken) == 6 + 2
    one, other = json.loads(record.read_text()), json.loads(again.read_text())
    assert one["rows"] == other["rows"] and one["test"] == other["test"]
    assert [row["step"] for row in one["rows"]] == [2, 4, 6] and one["steps"] == 6
    typed = " ".join(["python -m rnnlit.practice.execution", *OPTIONS, "--steps 6"])
    assert one["command"] == f"{typed} --record whole.json --export whole.safetensors"
    assert other["command"] == f"{typed} --checkpoint run.safetensors --resume auto --record again.json"
    assert set(one["test"]["kinds"]) == set(programs.KINDS)
    assert [row[:2] for row in one["test"]["grid"]] == [[1, 1], [2, 1]]
    loaded = execution.load(weights)
    assert not loaded.training and sum(p.numel() for p in loaded.parameters()) == one["parameters"]


def test_a_run_ends_at_its_limit_with_what_it_has(tmp_path):
    record = tmp_path / "short.json"
    execution.main([*OPTIONS, "--steps", "1000", "--limit", "0.001", "--record", str(record)])
    got = json.loads(record.read_text())
    assert got["steps"] == 2 and [row["step"] for row in got["rows"]] == [2] and got["test"]["programs"] == 20


@pytest.mark.parametrize("task", ["sums", "memory"])
def test_the_other_tasks_train_too(task, capsys):
    execution.main([*OPTIONS, "--task", task, "--steps", "2", "--form", "both", "--curriculum", "mix"])
    got = json.loads(capsys.readouterr().out)
    assert got["task"] == task and got["test"]["programs"] == 20 and "kinds" not in got["test"]


def test_resume_needs_a_checkpoint():
    with pytest.raises(SystemExit):
        execution.parse(["--resume"])


# ---- the helper, its weights, and the record ---------------------------------------------------------------


@pytest.mark.parametrize(
    "program, printed",
    [("print(12+34)", 46), ("c=250\nprint(c-75)\n", 175), ("a=3\nfor x in range(4):a+=20\nprint(a)", 83)],
)
def test_execute_puts_the_true_answer_beside_the_guess(program, printed):
    got = execute(program)
    assert got.answer == printed and set(got.guess) <= set(OUTPUT)
    assert execute(program) == got


@pytest.mark.parametrize(
    "program, error, words",
    [
        (12, TypeError, "program: expected a string, got int"),
        ("", ValueError, r"expected print\(, a loop, or a name a to h and = at character 1, got the end"),
        ("print(2**9)", ValueError, "at character 9"),
        ("import os", ValueError, "at character 1, got 'import o'"),
        ("print(" + "1" * 300 + ")", ValueError, "at most 200 characters, got 307"),
    ],
)
def test_execute_refuses_what_is_no_program(program, error, words):
    with pytest.raises(error, match=words):
        execute(program)


def test_execute_knows_two_networks():
    assert execute("print(12+34)", task="sums").answer == 46
    with pytest.raises(ValueError, match="task: expected programs or sums, got 'jokes'"):
        execute("print(12+34)", task="jokes")
    with pytest.raises(ValueError, match=r"sums: expected print\(a\+b\), got 'print\(12-34\)'"):
        execute("print(12-34)", task="sums")


def test_the_helpers_are_found_without_torch():
    program = "import sys, rnnlit.practice as p; print('execute' in dir(p), 'torch' in sys.modules)"
    assert run([sys.executable, "-c", program]).stdout.split() == ["True", "False"]
    with pytest.raises(AttributeError, match="has no attribute 'forecast'"):
        rnnlit.practice.forecast  # noqa: B018


def test_the_weights_are_small_and_those_of_the_record():
    folder = Path(execution.__file__).parent / "weights"
    sizes = {path.stem: path.stat().st_size for path in folder.glob("execution*.safetensors")}
    assert set(sizes) == {"execution", "execution_sums"} and sum(sizes.values()) < 4e6
    some = held_out("programs", (3, 2), 200)
    _, exact = teacher_forced(execution.shipped(), some)
    (recorded,) = execution.runs("programs", curriculum=execution.SHIPPED, seed=0)
    # Weights in float16, and the first 200 of 2000 programs: a deviation is 3.5 points at most.
    assert abs(100 * exact - recorded["test"]["exact"]) < 11


def of_programs(curriculum, key):
    """Mean and deviation over the seeds of one share of the full runs."""
    found = [run["test"][key] for run in execution.runs("programs", curriculum=curriculum)]
    assert len(found) == 3
    return np.mean(found), np.std(found, ddof=1)


def by_difficulty(curriculum):
    """The share of right answers at each of the six difficulties."""
    return np.mean(
        [
            [row[3] for row in run["test"]["grid"]]
            for run in execution.runs("programs", curriculum=curriculum)
        ],
        axis=0,
    )


def test_the_full_runs_differ_in_curriculum_and_seed_alone():
    runs = execution.runs("programs")
    assert {(run["curriculum"], run["seed"]) for run in runs} == {
        (name, seed) for name in execution.CURRICULA for seed in range(3)
    }
    alike = ("length", "nesting", "form", "hidden", "layers", "batch", "lr", "parameters")
    assert len({tuple(run[name] for name in alike) for run in runs}) == 1
    assert all(abs(run["test"]["exact"] - run["test"]["exact_forced"]) <= 0.1 for run in runs)


def test_three_digits_meet_their_bar():
    """99 % of the answers, free running, of sums that were never trained on."""
    (run,) = execution.runs("sums", length=3, layers=2)
    assert run["test"]["programs"] == 2000 and run["test"]["exact"] >= 99


def test_the_page_says_what_the_record_holds():
    page = json.loads((Path(__file__).parents[2] / "book/practice/execution.ipynb").read_text("utf-8"))
    text = " ".join(notebook.prose(page).split())
    characters = {
        name: "{:.1f} ± {:.1f}".format(*of_programs(name, "teacher")) for name in execution.CURRICULA
    }
    answers = {name: by_difficulty(name) for name in execution.CURRICULA}
    means = {name: share.mean() for name, share in answers.items()}
    exact, _ = of_programs("mix", "exact")
    memory = {run["form"]: run["test"]["exact"] for run in execution.runs("memory")}
    (nine,) = execution.runs("sums", length=9)
    steps = [run["steps"] for run in execution.runs("programs")]
    short = [run["steps"] for run in execution.runs("memory")]
    once = [*execution.runs("sums"), *execution.runs("memory")]
    assert len(once) == 2 + 4 and {run["seed"] for run in once} == {0} and len(steps) == 12
    ended = [run for run in execution.runs("sums") if "--limit" not in run["command"]]
    assert [(run["length"], run["steps"]) for run in ended] == [(3, 10_000)]
    said = [
        f"{answers['baseline'][0]:.0f} % right, where `mix` has {answers['mix'][0]:.1f} %",
        "`mix` comes first with {mix:.0f} % of the answers, then `combined` with {combined:.0f}, `baseline` "
        "with {baseline:.0f} and `naive` with {naive:.0f}.".format(**means),
        f"after {min(steps):,} to {max(steps):,} of the planned 4,000 steps",
        f"{characters['naive']} against {characters['baseline']} %",
        f"{characters['combined']} against {characters['baseline']} %",
        f"{characters['combined']} and {characters['mix']} %",
        f"with `mix`, {answers['mix'][0]:.1f} % of the answers at (1, 1), {exact:.1f} % at (3, 2)",
        f"{memory['doubled']} against {memory['plain']} % of numbers of 20 digits",
        f"alone gave the best score on these, {characters['baseline']} % of characters, and "
        f"{answers['baseline'][0]:.0f} % of the easiest answers; the mix gave {characters['mix']} % and "
        f"{answers['mix'][0]:.1f} %. From easy to hard was last, {characters['naive']} %",
        f"after {nine['steps']} steps",
        f"the twelve after {min(steps):,} to {max(steps):,} of 4,000 steps, nine digits after "
        f"{nine['steps']} of 6000, memory after {min(short)} to {max(short)} of 2000",
        f"{nine['test']['teacher']:.0f} % of the characters at nine digits",
    ]
    assert [sentence for sentence in said if sentence not in text] == []


def test_results_beside_published_ones_are_those_of_the_record():
    nine, three = execution.beside()
    (run,) = execution.runs("sums", length=9)
    assert nine.ours.startswith(f"{run['test']['teacher']:.1f} (") and str(run["steps"]) in nine.differs
    assert float(three.ours) == execution.runs("sums", length=3, layers=2)[0]["test"]["exact"]


def test_naive_has_forgotten_the_easiest_programs():
    """At least 88 % of the characters when it went on from them, at most 51 % at the end."""
    runs = execution.runs("programs", curriculum="naive")
    before = [
        [row["now"] for row in run["rows"] if (row["length"], row["nesting"]) == (1, 1)] for run in runs
    ]
    after = [run["test"]["grid"][0][2] for run in runs]
    assert min(rows[-1] for rows in before) >= 0.88 and max(after) <= 51 and len(after) == 3
