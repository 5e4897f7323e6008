"""The training loop: what it calls and when, early stop, and that a broken run goes on bit for bit."""

import csv
import json
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from rnnlit.tools import train
from rnnlit.tools.layers import Params, affine, affine_backward, init, mean_squared_error
from rnnlit.tools.optim import SGD, Adam
from rnnlit.tools.train import fit
from tests.programs import LIMIT, run, started

ROOT = Path(train.__file__).parents[2]


class Regression:
    """A small task for `fit`: an affine map with noisy batches. It can break at a step, as a machine does."""

    def __init__(self, seed=0, bit_generator=np.random.PCG64, break_at=None, sizes=(3, 4)):
        self.rng = np.random.Generator(bit_generator(seed))
        self.params = init(*sizes, rng=np.random.default_rng(1), dtype=np.float64)
        self.optimizer = Adam(self.params, lr=0.05)
        self.calls, self.break_at = 0, break_at

    def batch(self, rng):
        x = rng.standard_normal((5, 3))
        return x, x @ np.arange(12.0).reshape(3, 4) / 10 + 0.1 * rng.standard_normal((5, 4))

    def step(self, batch):
        if self.optimizer.steps + 1 == self.break_at:
            raise KeyboardInterrupt
        x, target = batch
        loss, dy = mean_squared_error(affine(self.params, x), target)
        self.optimizer.step(affine_backward(self.params, x, dy).params)
        self.calls += 1
        return {"loss": loss, "size": 5}

    def evaluate(self):
        return {"error": float(np.abs(self.params.weight.T - np.arange(12.0).reshape(3, 4) / 10).max())}

    def fit(self, batches=None, **options):
        options = dict(steps=20, every=6, evaluate=self.evaluate, progress=False) | options
        return fit(self.step, batches or self.batch, state=self.optimizer, rng=self.rng, **options)


def rows(path):
    with open(path, newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def scripted(values, **options):
    """Train on a weight that counts the steps, with the metric that the script has for each."""
    weight = [np.zeros(3)]
    optimizer = SGD(weight, lr=1.0)
    told = iter(values)

    def step(batch):
        optimizer.step([-np.ones(3)])
        return {"loss": next(told)}

    options = dict(steps=len(values), every=1, state=optimizer, progress=False) | options
    return fit(step, [0], **options), weight[0]


# The loop


def test_rows_hold_means_since_the_last_and_evaluations():
    evaluations = iter([0.5, 0.25, 0.125])
    history = fit(
        lambda batch: {"loss": batch, "square": batch**2},
        [1.0, 2.0, 3.0, 4.0, 5.0],
        steps=7,
        every=3,
        evaluate=lambda: {"error": next(evaluations)},
        metric="error",
        progress=False,
    )
    assert history.rows == [
        {"step": 3, "loss": 2.0, "square": 14 / 3, "error": 0.5},
        {"step": 6, "loss": 10 / 3, "square": 14.0, "error": 0.25},  # 4, 5, and the list begun anew with 1
        {"step": 7, "loss": 2.0, "square": 4.0, "error": 0.125},
    ]
    np.testing.assert_array_equal(history["step"], [3, 6, 7])
    assert history.step == 7 and history.best["error"] == 0.125 and history.stale == 0


def test_it_learns():
    task = Regression()
    history = task.fit(steps=1000, every=10)
    assert history["loss"][0] > 0.3
    assert history["loss"][-10:].mean() < 0.02  # of which the noise is 0.01
    assert history["error"][-1] < 0.1 and task.calls == 1000


def test_patience_counts_rows_without_a_better_one_and_restores_the_best():
    history, weight = scripted([5, 3, 4, 2, 2, 3, 1], patience=3)
    assert history.step == 7 and history.best["step"] == 7  # the better row at 7 comes in time
    np.testing.assert_array_equal(weight, 7)

    history, weight = scripted([5, 3, 4, 2, 2, 3, 2.5, 1], patience=3)
    assert history.step == 7 and history.best["step"] == 4  # equal is not better
    np.testing.assert_array_equal(weight, 4)

    history, weight = scripted([5, 3, 4, 6, 6], patience=9)
    assert history.step == 5
    np.testing.assert_array_equal(weight, 2)  # the steps ran out, and the best is put back all the same

    history, weight = scripted([0.1, 0.5, 0.4, 0.3, 0.2], patience=2, mode="max")
    assert history.step == 4
    np.testing.assert_array_equal(weight, 2)


def test_without_patience_the_last_state_stays():
    history, weight = scripted([1, 2, 3])
    assert history.best["step"] == 1
    np.testing.assert_array_equal(weight, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_metric_that_is_not_finite_names_the_step(bad):
    with pytest.raises(FloatingPointError, match=rf"^step 3: loss is {bad}$"):
        scripted([2.0, 1.0, bad, 1.0], every=2)
    with pytest.raises(FloatingPointError, match=rf"^step 4: error is {bad}$"):
        scripted([4.0, 3.0, 2.0, 1.0], every=4, evaluate=lambda: {"error": bad})


# Going on after a break


@pytest.mark.parametrize("break_at", [7, 9, 13, 18, 20])
@pytest.mark.parametrize("as_list", [False, True])
def test_a_broken_run_goes_on_bit_for_bit(tmp_path, break_at, as_list):
    def batches(task):
        return [task.batch(np.random.default_rng(k)) for k in range(4)] if as_list else None

    files = dict(checkpoint=tmp_path / "run.safetensors", csv=tmp_path / "run.csv")
    whole = Regression()
    expected = whole.fit(batches(whole))
    broken = Regression(break_at=break_at)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(batches(broken), **files)
    resumed = Regression(seed=99)  # whatever the new process begins with, the checkpoint decides
    resumed.params.weight[:] = 7
    history = resumed.fit(batches(resumed), resume=True, **files)
    for name, array in whole.optimizer.state_dict().items():
        np.testing.assert_array_equal(resumed.optimizer.state_dict()[name], array, err_msg=name)
    assert history.rows == expected.rows == rows(files["csv"])
    assert resumed.rng.bit_generator.state == whole.rng.bit_generator.state
    assert resumed.calls == 20 - 6 * ((break_at - 1) // 6)  # it began at the last row, not at the start
    assert {path.name for path in tmp_path.iterdir()} == {"run.safetensors", "run.csv"}


@pytest.mark.parametrize("kind", ["MT19937", "PCG64DXSM", "Philox", "SFC64"])
def test_every_bit_generator_of_numpy_is_saved(tmp_path, kind):
    bit_generator, checkpoint = getattr(np.random, kind), tmp_path / "run.safetensors"
    whole = Regression(bit_generator=bit_generator)
    expected = whole.fit()
    with pytest.raises(KeyboardInterrupt):
        Regression(bit_generator=bit_generator, break_at=15).fit(checkpoint=checkpoint)
    resumed = Regression(seed=99, bit_generator=bit_generator)
    assert resumed.fit(checkpoint=checkpoint, resume=True).rows == expected.rows
    np.testing.assert_array_equal(resumed.params.weight, whole.params.weight)


def test_early_stop_and_best_state_survive_a_break(tmp_path):
    script = [5, 3, 1, 4, 2, 6, 7, 8, 0]
    options = dict(patience=5, every=1, checkpoint=tmp_path / "run.safetensors")
    expected, weight = scripted(script, **options)
    assert expected.step == 8 and weight[0] == 3
    for break_at in (4, 6):
        with pytest.raises(StopIteration):
            scripted(script[: break_at - 1], steps=9, **options)
        history, weight = scripted(script[break_at - 1 :], steps=9, resume=True, **options)
        assert history.rows == expected.rows
        np.testing.assert_array_equal(weight, 3)
    # The finished run has nothing left to do, and gives the best state again.
    history, weight = scripted([], steps=9, resume=True, **options)
    assert history.rows == expected.rows
    np.testing.assert_array_equal(weight, 3)


def test_a_finished_run_can_be_prolonged(tmp_path):
    whole, part = Regression(), Regression()
    whole.fit(steps=18)
    part.fit(steps=12, checkpoint=tmp_path / "run.safetensors")
    longer = Regression(seed=99)
    history = longer.fit(steps=18, checkpoint=tmp_path / "run.safetensors", resume=True)
    assert [*history["step"]] == [6, 12, 18] and longer.calls == 6
    np.testing.assert_array_equal(longer.params.weight, whole.params.weight)


def test_resume_means_what_it_says(tmp_path):
    """True: the file is there. "auto": it may be. The same words as in `practice.vowels`."""
    path, whole = tmp_path / "run.safetensors", Regression()
    expected = whole.fit()
    with pytest.raises(FileNotFoundError, match=r"checkpoint: expected a file to resume from, got .*run"):
        Regression().fit(checkpoint=path, resume=True)
    assert not path.exists()
    first = Regression()
    first.fit(steps=12, checkpoint=path, resume="auto")
    assert first.calls == 12
    second = Regression(seed=99)
    assert second.fit(checkpoint=path, resume="auto").rows == expected.rows and second.calls == 8
    np.testing.assert_array_equal(second.params.weight, whole.params.weight)
    third = Regression()
    third.fit(checkpoint=path)  # and without it, an older file is replaced
    assert third.calls == 20


def test_the_rate_of_a_numpy_optimiser_goes_on_too(tmp_path):
    """A step may change it; a state without it, as it was once, leaves it alone."""

    def halved(task):
        plain = task.step

        def step(batch):
            metrics = plain(batch)
            task.optimizer.lr /= 2
            return metrics

        return step

    path, tasks = tmp_path / "run.safetensors", [Regression() for _ in range(3)]
    for task in tasks:
        task.step = halved(task)
    tasks[0].fit(steps=8, every=2)
    tasks[1].fit(steps=4, every=2, checkpoint=path)
    tasks[2].fit(steps=8, every=2, checkpoint=path, resume=True)
    np.testing.assert_array_equal(tasks[2].params.weight, tasks[0].params.weight)
    assert tasks[2].optimizer.lr == tasks[0].optimizer.lr == 0.05 / 2**8
    old = {name: a for name, a in tasks[0].optimizer.state_dict().items() if name != "lr"}
    other = Regression()
    other.optimizer.load_state_dict(old)
    assert other.optimizer.lr == 0.05 and other.optimizer.steps == 8


def test_a_scheduler_of_ones_own_is_stepped_by_rows_and_saved(tmp_path):
    """It needs no torch: what has step, state_dict and load_state_dict."""

    class Halves:
        def __init__(self, optimizer):
            self.optimizer, self.seen = optimizer, []

        def step(self, metric):
            self.seen.append(metric)
            self.optimizer.lr /= 2

        def state_dict(self):
            return {"seen": [*self.seen]}

        def load_state_dict(self, state):
            self.seen = [*state["seen"]]

    path, runs = tmp_path / "run.safetensors", []
    for options in (dict(), dict(steps=12, checkpoint=path), dict(checkpoint=path, resume=True)):
        task = Regression()
        scheduler = Halves(task.optimizer)
        runs.append((task, scheduler, task.fit(scheduler=scheduler, **options)))
    (whole, seen, expected), _, (resumed, again, history) = runs
    assert seen.seen == [*expected["loss"]] == again.seen and history.rows == expected.rows
    np.testing.assert_array_equal(resumed.params.weight, whole.params.weight)
    assert resumed.optimizer.lr == 0.05 / 2**4
    with pytest.raises(
        ValueError, match=r"checkpoint: expected one written with .*'Halves'.* got|got .*'Halves'"
    ):
        Regression().fit(checkpoint=path, resume=True)


def test_csv_is_appended_once_a_row_and_cut_back_on_resume(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("of an older run\n")
    seen = []

    def evaluate():
        seen.append(path.read_text().count("\n"))
        return {"error": 0.1 + 0.2}

    files = dict(csv=path, checkpoint=tmp_path / "run.safetensors")
    Regression().fit(steps=12, evaluate=evaluate, **files)
    assert seen == [0, 2] and path.read_text().startswith("step,loss,size,error\n6,")
    with path.open("a") as file:
        file.write("18,0.1,5.0,0.3\n24,0.1")  # written after the checkpoint, the last one not to its end
    Regression().fit(steps=18, resume=True, evaluate=evaluate, **files)
    assert [row["step"] for row in rows(path)] == [6, 12, 18]
    assert rows(path)[0]["error"] == 0.1 + 0.2  # no digit is lost


SCRIPT = """
import sys, time
sys.modules["torch"] = None
from tests.tools.test_train import Regression
task, folder = Regression(), sys.argv[1]
step = task.step
task.step = lambda batch: (time.sleep(600 if task.calls == 51 else 0.01), step(batch))[1]
task.fit(steps=60, every=2, checkpoint=folder + "/run.safetensors", csv=folder + "/run.csv")
"""


def kill_when(lines, csv, script):
    """Run the script, which never ends, and kill it as soon as its CSV has so many lines."""
    with started([sys.executable, "-c", script, str(csv.parent)], cwd=ROOT) as process:
        deadline = time.monotonic() + LIMIT
        while not (csv.exists() and csv.read_text().count("\n") >= lines):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        assert process.wait(LIMIT) == -signal.SIGKILL


@pytest.mark.parametrize("rows_before", [1, 7])
def test_a_killed_process_goes_on_bit_for_bit(tmp_path, rows_before):
    files = dict(checkpoint=tmp_path / "run.safetensors", csv=tmp_path / "run.csv")
    kill_when(
        rows_before + 2, files["csv"], SCRIPT
    )  # the header, and a row whose checkpoint may not be there yet
    whole, resumed = Regression(), Regression(seed=99)
    expected = whole.fit(steps=60, every=2)
    history = resumed.fit(steps=60, every=2, resume=True, **files)
    assert 0 < resumed.calls <= 60 - 2 * rows_before
    np.testing.assert_array_equal(resumed.params.weight, whole.params.weight)
    assert history.rows == expected.rows == rows(files["csv"])


# Files


def test_a_checkpoint_is_plain_safetensors_with_json(tmp_path):
    path = tmp_path / "run.safetensors"
    task = Regression()
    task.fit(checkpoint=path, patience=9, metric="error")
    with safe_open(path, "np") as file:
        names = {*file.keys()}
        note = json.loads(file.metadata()["rnnlit.fit"])["note"]
        best = file.get_tensor("best.params.weight")
    state = {*task.optimizer.state_dict()}
    assert names == {f"{part}.{name}" for part in ("state", "best") for name in state}
    assert [row["step"] for row in note["rows"]] == [6, 12, 18, 20]
    assert note["rng"] == task.rng.bit_generator.state
    np.testing.assert_array_equal(task.params.weight, best)


# The door


def options(**changes):
    task = Regression()
    return dict(step=task.step, batches=task.batch, steps=4, state=task.optimizer, rng=task.rng) | changes


@pytest.mark.parametrize(
    "changes, kind, message",
    [
        (dict(steps=0), ValueError, "steps: expected a positive integer, got 0"),
        (dict(steps=2.5), TypeError, "steps: expected a positive integer, got 2.5"),
        (dict(every=-1), ValueError, "every: expected a positive integer, got -1"),
        (dict(patience=0), ValueError, "patience: expected a positive integer, got 0"),
        (dict(mode="down"), ValueError, 'mode: expected "min" or "max", got \'down\''),
        (dict(step=None), TypeError, "step: expected a function of a batch, got NoneType"),
        (dict(batches=3), TypeError, "batches: expected a function of rng or an iterable, got int"),
        (dict(rng=None), TypeError, "rng: expected a NumPy Generator to pass to batches, got NoneType"),
        (dict(rng=3, batches=[0]), TypeError, "rng: expected a NumPy Generator to pass to batches, got int"),
        (dict(resume="yes"), ValueError, "resume: expected True, False or \"auto\", got 'yes'"),
        (dict(scheduler=3), TypeError, "scheduler: expected one with step, got int without step"),
        (dict(resume=True), ValueError, "checkpoint: expected the file to resume from, got None"),
        (dict(state=None, patience=3), TypeError, "state: patience needs state_dict .* got NoneType"),
        (
            dict(state={}, checkpoint="x.safetensors"),
            TypeError,
            "state: checkpoint needs state_dict .* got dict",
        ),
        (
            dict(csv="no/such/folder.csv"),
            ValueError,
            "csv: expected a file in a folder that exists, got no/such",
        ),
        (dict(checkpoint="."), ValueError, "checkpoint: expected a file in a folder that exists"),
        (
            dict(metric="accuracy"),
            ValueError,
            r"metric: expected one of \['step', 'loss', 'size'\], got 'accuracy'",
        ),
        (
            dict(evaluate=lambda: {"loss": 1.0}),
            ValueError,
            r"evaluate: expected names other than .* got \['loss'\]",
        ),
        (
            dict(evaluate=lambda: {"step": 1.0}),
            ValueError,
            r"evaluate: expected names other than .* got \['step'\]",
        ),
        (dict(evaluate=lambda: 0.5), TypeError, "evaluate: expected to get a dict of metrics, got float"),
        (dict(step=lambda batch: None), TypeError, "step: expected to get a dict of metrics, got NoneType"),
        (dict(step=lambda batch: {"step": 1, "loss": 2}), ValueError, "expected names other than step"),
        (
            dict(batches=[]),
            ValueError,
            "batches: expected an iterable that can be begun anew, got nothing in turn 1",
        ),
        (
            dict(batches=iter([Regression().batch(np.random.default_rng())] * 3)),
            ValueError,
            "batches: .* got nothing in turn 2",
        ),
    ],
)
def test_errors_at_the_door(changes, kind, message):
    with pytest.raises(kind, match=message):
        fit(**options(progress=False, **changes))


def test_resume_refuses_other_files_and_other_settings(tmp_path):
    path = tmp_path / "run.safetensors"

    def resume(task=None, **changes):
        return (task or Regression()).fit(checkpoint=path, resume=True, **changes)

    with pytest.raises(
        FileNotFoundError, match=r"checkpoint: expected a file to resume from, got .*run\.safetensors"
    ):
        resume()
    path.write_bytes(b"\x80\x04not safetensors at all, and long enough for a header")
    with pytest.raises(ValueError, match="checkpoint: expected a safetensors file"):
        resume()
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="checkpoint: expected a file that fit wrote"):
        resume()

    Regression().fit(checkpoint=path)
    for changes in (dict(metric="error"), dict(mode="max"), dict(patience=3)):
        with pytest.raises(ValueError, match="checkpoint: expected one written with"):
            resume(**changes)
    with pytest.raises(ValueError, match=r"checkpoint: expected one written with .*MT19937"):
        resume(Regression(bit_generator=np.random.MT19937))
    with pytest.raises(
        ValueError, match="steps: expected 20 at least, which the checkpoint has done, got 19"
    ):
        resume(steps=19)

    other = Regression()
    other.params = Params(np.zeros((4, 2)), np.zeros(4))
    other.optimizer = Adam(other.params)
    with pytest.raises(ValueError, match=r"params\.weight: expected shape \(4, 2\), got \(4, 3\)"):
        resume(other)
    other.optimizer = SGD({"w": np.zeros((4, 3))}, lr=0.1)
    with pytest.raises(ValueError, match=r"missing params\.w \(4, 3\).*foreign params\.weight \(4, 3\)"):
        resume(other)
    np.testing.assert_array_equal(other.params.weight, 0)


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
import numpy as np
from rnnlit.tools import layers, optim, train
params, x = layers.init(3, 4, rng=np.random.default_rng(0)), np.ones((2, 3), np.float32)
adam = optim.Adam(params)
def step(x):
    adam.step(layers.affine_backward(params, x, layers.affine(params, x)).params)
    return {"loss": 1.0}
print(train.fit(step, [x], steps=3, state=adam, checkpoint=sys.argv[2] if len(sys.argv) > 2 else None).step)
"""


def run_without(module, *arguments):
    command = [sys.executable, "-c", WITHOUT, module, *map(str, arguments)]
    return run(command, cwd=ROOT)


def test_it_runs_without_torch(tmp_path):
    done = run_without("torch", tmp_path / "run.safetensors")
    assert (done.stdout, done.stderr) == ("3\n", "") and (tmp_path / "run.safetensors").exists()


def test_it_runs_without_safetensors_but_for_checkpoints(tmp_path):
    done = run_without("safetensors")
    assert (done.stdout, done.stderr) == ("3\n", "")
    done = run_without("safetensors", tmp_path / "run.safetensors")
    assert done.stderr.endswith('ImportError: checkpoints need safetensors: pip install "rnnlit[weights]"\n')
    assert [*tmp_path.iterdir()] == []
