"""Training in many processes: the curve of one process, and going on bit for bit wherever a run was killed.

The processes are real ones, which gloo connects over the loopback. Torchrun starts some of them; the others
are forks of one program that has imported what they need, which costs each of them seconds otherwise. This
file is also their script: `python -m tests.tools.test_processes_torch JOB FOLDER` does one of JOBS; without
arguments it is that program.
"""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from rnnlit.nn import LSTM
from rnnlit.tools import processes_torch, train_torch
from rnnlit.tools.checkpoint import read_checkpoint
from rnnlit.tools.processes_torch import Processes, start
from rnnlit.tools.train import fit
from tests.programs import LIMIT, end, run, started
from tests.tolerances import TOLERANCE

ROOT = Path(__file__).parents[2]
T, I, H, O = 5, 3, 4, 6
BATCHES = (8, 7)  # global batches: two processes have even and uneven parts
CLIP = 0.1  # below the gradients' norms
SCRIPT = "tests.tools.test_processes_torch"
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
ENVIRONMENT = {**os.environ, **LOOPBACK, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def launch(count, module, *arguments):
    """Run a module in so many processes, by torchrun if there are many: the exit status and the output."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    if count > 1:
        pytest.importorskip("accelerate", reason="many processes need accelerate")
        where = ["--nproc-per-node", str(count), "--master-addr", "127.0.0.1", "--master-port", free_port()]
        command[1:2] = ["-m", "torch.distributed.run", *where, "-m"]
    done = run(command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


class Tagger(nn.Module):
    """A label for each step of each sequence; float64, so that the curves can be compared closely."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.lstm = LSTM(I, H, recurrent_dropout=dropout)
        self.readout = nn.Linear(H, O)
        self.double()

    def forward(self, x, lengths):
        return self.readout(self.lstm(x, lengths=lengths)[0])


def summed(model, part):
    """The loss as `Processes.make_step` wants it: the sum over the valid steps, and how many there are."""
    x, lengths, label = part
    loss = nn.functional.cross_entropy(model(x, lengths).flatten(0, 1), label.flatten(), reduction="sum")
    return loss, (label >= 0).sum()


def mean(model, batch):
    """The oracle's loss: torch's own mean, which leaves out the labels -100."""
    x, lengths, label = batch
    return nn.functional.cross_entropy(model(x, lengths).flatten(0, 1), label.flatten())


class Task:
    """What a training of a Tagger needs. It can die at a step: then process `victim` kills itself."""

    def __init__(self, processes, B=8, dropout=0.4, die_at=None, victim=0, poison=None):
        self.processes, self.B = processes, B
        self.die_at, self.victim, self.poison, self.taken = die_at, victim, poison, 0
        self.noisy = dropout > 0
        torch.manual_seed(5 if processes.main else 6)  # the first process's weights are given to all
        self.model = Tagger(dropout)
        torch.manual_seed(7 + processes.rank)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.02)
        self.generator = torch.Generator().manual_seed(processes.rank)
        # Constant in the tests with an oracle, which has no scheduler.
        gamma = 0.5 if self.noisy else 1.0
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 4, gamma)
        self.state = processes.state(self.model, self.optimizer, self.generator, self.scheduler)
        options = dict(clip=CLIP, scheduler=self.scheduler)
        self.update = processes.make_step(self.model, self.optimizer, summed, **options)

    def whole(self, rng):
        x = torch.tensor(rng.standard_normal((T, self.B, I)))
        lengths = torch.tensor(rng.integers(1, T + 1, self.B))
        label = torch.tensor(rng.integers(0, O, (T, self.B)))
        label[torch.arange(T)[:, None] >= lengths] = -100
        return x, lengths, label

    def batch(self, rng):
        x, lengths, label = self.whole(rng)
        rows = self.processes.rows(self.B)
        return x[:, rows], lengths[rows], label[:, rows]

    def step(self, part):
        self.taken += 1
        x, lengths, label = part
        if self.taken == self.die_at and self.processes.rank == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.taken == self.poison and self.processes.rank == self.processes.count - 1:
            x = x * np.nan
        if self.noisy:
            x = x + 0.1 * torch.randn(x.shape, dtype=x.dtype, generator=self.generator)
        return self.update((x, lengths, label))

    def fit(self, **options):
        options = dict(steps=12, every=3, progress=False, rng=np.random.default_rng(3)) | options
        options = dict(processes=self.processes) | options
        return fit(self.step, self.batch, state=self.state, **options)


def files(folder, stem):
    return dict(checkpoint=folder / f"{stem}.safetensors", csv=folder / f"{stem}.csv")


# The jobs of the processes


def undisturbed(processes, folder):
    """All that needs no killing, for one launch costs seconds."""
    told = {"curves": {}}
    for B in BATCHES:
        task = Task(processes, B, dropout=0.0)
        rows = task.fit().rows
        weights = {name: p.detach().flatten().tolist() for name, p in task.model.named_parameters()}
        told["curves"][B] = {"rows": rows, "weights": weights}
    Task(processes).fit(**files(folder, "whole"))

    poisoned = Task(processes, poison=3)
    try:
        poisoned.fit(checkpoint=folder / "poisoned.safetensors")
    except FloatingPointError as error:
        told["poisoned"] = str(error)
    told["finite"] = all(bool(p.isfinite().all()) for p in poisoned.model.parameters())

    # Each process sees another error: with its own it would stop at another row, and the rest would hang.
    errors = iter([3.0, 1.0, 2.0, 2.0, 0.5] if processes.main else [5.0, 4.0, 3.0, 2.0, 1.0])
    patient = Task(processes).fit(
        steps=30, patience=2, metric="error", evaluate=lambda: {"error": next(errors)}
    )
    told["patient"] = [patient.step, patient.best["step"]]

    told["refused"] = {}
    for name in ("missing", "alone"):
        try:
            Task(processes).fit(checkpoint=folder / f"{name}.safetensors", resume=True)
        except (FileNotFoundError, ValueError) as error:
            told["refused"][name] = f"{type(error).__name__}: {error}"
    try:
        processes.rows(1)
    except ValueError as error:
        told["refused"]["rows"] = str(error)
    (folder / f"told{processes.rank}.json").write_text(json.dumps(told))


def cut(processes, folder):
    """The first process dies in the middle of writing its third checkpoint."""
    writes = []
    plain = Path.open

    def opened(path, mode="r", *rest):
        file = plain(path, mode, *rest)
        if path.name == "run.safetensors.part" and mode == "wb":
            writes.append(path)
            if len(writes) == 3:
                file = Half(file)
        return file

    Path.open = opened
    Task(processes).fit(**files(folder, "run"))


class Half:
    """A file whose `write` ends half way, and the process with it."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def killed(processes, folder):
    """It goes on from step 6; the last process dies at step 11, after the row of step 9."""
    Task(processes, die_at=5, victim=processes.count - 1).fit(resume=True, **files(folder, "run"))


def resumed(processes, folder):
    Task(processes).fit(resume=True, **files(folder, "run"))


def three(processes, folder):
    """A break without a death: each Task wraps its model anew, as a new process does."""
    Task(processes).fit(**files(folder, "whole"))
    Task(processes).fit(steps=6, **files(folder, "run"))
    Task(processes).fit(resume=True, **files(folder, "run"))


def failing(processes, folder):
    """The last process has an error, and a sum under way that the others don't wait for.

    Its size is that of their next sum, which may meet it: gloo ends a process at once if two sizes differ.
    """
    task = Task(processes)
    plain = task.step

    def step(part):
        if task.taken == 4 and processes.rank == processes.count - 1:
            task.left = torch.distributed.all_reduce(torch.ones(2).double(), async_op=True)
            raise RuntimeError("this process has had enough")
        return plain(part)

    task.step = step
    task.fit(**files(folder, "failing"))


def held_back(processes, folder):
    """The last process has an error, and a sum under way in a group that no other sum is in.

    At its end the group waits for that sum, for half an hour, and the first process for its end.
    """
    processes_torch.GRACE = 2.0
    group = torch.distributed.new_group([*range(processes.count)])
    if processes.main:
        processes.sums(1.0)
    else:
        torch.distributed.all_reduce(torch.ones(2), group=group, async_op=True)
        raise RuntimeError("this process has had enough")


JOBS = {job.__name__: job for job in (undisturbed, cut, killed, resumed, three, failing, held_back)}


def watch_the_end():
    """Refuse to destroy the process group while a wrapped model holds it: torch can then wait forever."""
    plain = torch.distributed.destroy_process_group

    def destroy(*arguments):
        left = [one for one in gc.get_objects() if type(one) is nn.parallel.DistributedDataParallel]
        assert not left, f"{len(left)} wrapped models are left"
        plain(*arguments)

    torch.distributed.destroy_process_group = destroy


def fork():
    """Fork the processes that each line asks for, and answer with their exit statuses; return in a fork."""
    gc.freeze()  # what is there by now stays, so no fork has to go through it
    for line in sys.stdin:
        ask = json.loads(line)
        pids = []
        for environment in ask["environments"]:
            pids.append(os.fork())
            if not pids[-1]:
                os.environ.update(environment)
                for output in (sys.stdout, sys.stderr):
                    os.dup2(os.open(ask["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), output.fileno())
                return ask["job"], ask["folder"]
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]), flush=True)
    sys.exit()


if __name__ == "__main__":
    job, folder = sys.argv[1:] or fork()
    folder = Path(folder)
    watch_the_end()
    with start("cpu") as here:
        (folder / f"pid{here.rank}").write_text(str(os.getpid()))
        after = Task(here)
        JOBS[job](here, folder)
    if here.count > 1:
        with pytest.raises(RuntimeError, match="step: expected a call before the end of start"):
            after.fit(processes=None)
    sys.exit()


@pytest.fixture(scope="module")
def forks():
    """A function that does a job in forks, as torchrun does it in new programs: exit statuses and output."""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with started([sys.executable, "-m", SCRIPT], cwd=ROOT, env=ENVIRONMENT, **pipes) as program:

        def do(count, job, folder):
            environments = [{}]
            if count > 1:
                pytest.importorskip("accelerate", reason="many processes need accelerate")
                all_of_them = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
                all_of_them |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
                environments = [all_of_them | {"RANK": str(k), "LOCAL_RANK": str(k)} for k in range(count)]
            output = folder / f"{job}.txt"
            ask = dict(job=job, folder=str(folder), output=str(output), environments=environments)
            print(json.dumps(ask), file=program.stdin, flush=True)
            assert select.select([program.stdout], [], [], LIMIT)[0], f"it hangs: {output.read_text()}"
            statuses = json.loads(program.stdout.readline())
            none_is_left(folder, output.read_text())
            return statuses, output.read_text()

        yield do


def none_is_left(folder, output):
    """Whatever became of a job, no process of it is left."""
    left = [pid for pid in (int(path.read_text()) for path in folder.glob("pid*")) if psutil.pid_exists(pid)]
    end(*left)
    assert not left, output


def by_torchrun(job, folder):
    status, output = launch(2, SCRIPT, job, folder)
    none_is_left(folder, output)
    return status, output


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The folder of an undisturbed training in two processes, and what both have told."""
    folder = tmp_path_factory.mktemp("pair")
    Task(Processes("cpu")).fit(steps=3, checkpoint=folder / "alone.safetensors")
    status, output = by_torchrun("undisturbed", folder)
    assert status == 0, output
    return folder, [json.loads((folder / f"told{rank}.json").read_text()) for rank in range(2)]


# Many processes are one


@pytest.mark.parametrize("B", BATCHES)
def test_two_processes_train_as_one_with_the_doubled_batch(pair, B):
    """The oracle is one process, the plain step, and torch's own mean over the valid steps."""
    _, (first, second) = pair
    assert first["curves"] == second["curves"]
    task = Task(Processes("cpu"), B, dropout=0.0)
    step = train_torch.make_step(task.model, task.optimizer, mean, clip=CLIP)
    expected = fit(step, task.whole, steps=12, every=3, rng=np.random.default_rng(3), progress=False)
    curve = first["curves"][str(B)]
    assert [row["step"] for row in curve["rows"]] == [3, 6, 9, 12]
    for name in ("loss", "grad_norm"):
        got = [row[name] for row in curve["rows"]]
        np.testing.assert_allclose(got, expected[name], **TOLERANCE[np.float64])
    assert expected["grad_norm"].min() > CLIP
    for name, p in task.model.named_parameters():
        np.testing.assert_allclose(
            curve["weights"][name], p.detach().flatten(), **TOLERANCE[np.float64], err_msg=name
        )


def test_a_loss_that_is_not_finite_in_one_process_stops_all(pair):
    folder, told = pair
    assert [t["poisoned"] for t in told] == ["step 3: loss is nan"] * 2
    assert all(t["finite"] for t in told) and not (folder / "poisoned.safetensors").exists()


def test_all_stop_at_the_row_of_the_first_process(pair):
    assert [t["patient"] for t in pair[1]] == [[12, 6]] * 2


def test_all_refuse_what_the_first_process_refuses(pair):
    first, second = (t["refused"] for t in pair[1])
    assert first == second
    assert first["missing"].startswith("FileNotFoundError: checkpoint: expected a file to resume from, got")
    assert first["alone"] == "ValueError: processes: the checkpoint is of 1, got 2"
    assert first["rows"] == "B: expected 2 rows at least, one for each process, got 1"
    with pytest.raises(ValueError, match="processes: the checkpoint is of 2, got 1"):
        Task(Processes("cpu")).fit(checkpoint=pair[0] / "whole.safetensors", resume=True)


def test_each_process_has_its_own_random_numbers(pair):
    _, state = read_checkpoint(pair[0] / "whole.safetensors", "state")
    for name in ("rng.cpu", "rng.generator"):
        assert not torch.equal(state[name], state[f"process.1.{name}"])
    assert state["processes"] == 2 and not any(name.startswith("process.0") for name in state)


# Going on after a death


def break_and_resume(do, count, folder):
    """Die in the middle of a checkpoint, then between two; then go on to the end.

    One process dies; the others have an error and end by themselves.
    """
    run = files(folder, "run")
    statuses, output = do(count, "cut", folder)
    assert statuses == [-signal.SIGKILL, *[1] * (count - 1)], output
    note, _ = read_checkpoint(run["checkpoint"], "state")
    assert [row["step"] for row in note["rows"]] == [3, 6]  # the one before, and whole
    part = folder / "run.safetensors.part"
    assert 0 < part.stat().st_size < run["checkpoint"].stat().st_size
    assert run["csv"].read_text().count("\n") == 4  # the header, and the row that the checkpoint lacks

    statuses, output = do(count, "killed", folder)
    assert statuses == [*[1] * (count - 1), -signal.SIGKILL], output
    note, _ = read_checkpoint(run["checkpoint"], "state")
    assert [row["step"] for row in note["rows"]] == [3, 6, 9] and not part.exists()

    part.write_bytes(b"of a write long ago")
    statuses, output = do(count, "resumed", folder)
    assert statuses == [0] * count, output
    assert not part.exists()


def assert_same_files(one, other):
    """Parameters, moments, random numbers, rows: all that a checkpoint holds, byte by byte; and the csv."""
    for a, b in zip(one.values(), other.values(), strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_a_killed_process_ends_where_an_undisturbed_one_ends(forks, tmp_path):
    Task(Processes("cpu")).fit(**files(tmp_path, "whole"))
    break_and_resume(forks, 1, tmp_path)
    assert_same_files(files(tmp_path, "run"), files(tmp_path, "whole"))


def test_two_killed_processes_end_where_undisturbed_ones_end(forks, pair, tmp_path):
    break_and_resume(forks, 2, tmp_path)
    assert_same_files(files(tmp_path, "run"), files(pair[0], "whole"))


def test_three_processes_add_in_the_same_order_after_a_break(forks, tmp_path):
    """Two can't tell, since a + b = b + a."""
    statuses, output = forks(3, "three", tmp_path)
    assert statuses == [0, 0, 0], output
    assert_same_files(files(tmp_path, "run"), files(tmp_path, "whole"))


def test_an_error_in_one_process_ends_all(tmp_path):
    status, output = by_torchrun("failing", tmp_path)
    assert status == 1 and "RuntimeError: this process has had enough" in output, output
    note, _ = read_checkpoint(tmp_path / "failing.safetensors", "state")
    assert [row["step"] for row in note["rows"]] == [3]


def test_a_process_with_an_error_ends_though_a_group_of_its_own_waits(forks, tmp_path):
    """Both are over long before gloo gives up, and before `forks` does."""
    statuses, output = forks(2, "held_back", tmp_path)
    assert statuses == [1, 1], output
    assert "RuntimeError: this process has had enough" in output


# One process, and the door


def test_one_process_needs_no_engine(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with start("cpu") as processes:
        assert (processes.rank, processes.count, processes.main) == (0, 1, True)
        assert processes.rows(7) == slice(0, 7)
        assert processes.sums(torch.tensor(2.0, requires_grad=True), 3) == [2.0, 3.0]
        assert processes.once(divmod, 7, 2) == (3, 1)
        assert "processes" not in Task(processes).state.state_dict()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(ImportError, match=r'many processes need accelerate: pip install "rnnlit\[torch\]"'),
        start(),
    ):
        pass


@pytest.mark.parametrize("count, B", [(2, 7), (3, 7), (3, 3), (4, 6), (5, 12)])
def test_parts_are_the_batch_in_order_and_almost_even(count, B):
    class Engine:
        num_processes = count

    parts = []
    for rank in range(count):
        engine = Engine()
        engine.process_index = rank
        parts.append(range(B)[Processes("cpu", engine).rows(B)])
    assert [row for part in parts for row in part] == [*range(B)]
    sizes = {len(part) for part in parts}
    assert max(sizes) - min(sizes) <= 1 and min(sizes) > 0


def test_errors_at_the_door():
    with pytest.raises(ValueError, match=r"device: expected .*, got 'tpu'"), start("tpu"):
        pass
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match='no GPU, got "cuda"'), start("cuda"):
            pass
    processes, model = Processes("cpu"), nn.Linear(I, O)
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(ValueError, match="clip: expected a number above 0 or None, got 0"):
        processes.make_step(model, optimizer, summed, clip=0)
    step = processes.make_step(model, optimizer, lambda model, x: model(x).sum())
    with pytest.raises(
        TypeError, match="loss_fn: expected the sum of the losses and their count, got tensor"
    ):
        step(torch.ones(2, I))
    # No valid step in the whole batch: no mean, and no change.
    before = model.weight.clone()
    nothing = processes.make_step(model, optimizer, lambda model, x: (0 * model(x).sum(), 0))
    assert np.isnan(nothing(torch.ones(2, I))["loss"]) and torch.equal(model.weight, before)


def test_each_process_wants_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    for device in ("cuda", None):
        with (
            pytest.raises(ValueError, match=r'device: expected "cpu" for 4 processes on .* with 3 GPUs'),
            start(device),
        ):
            pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_one_gpu():
    with start("cuda") as processes:
        model = nn.Linear(I, O).to(processes.device)
        step = processes.make_step(
            model, torch.optim.SGD(model.parameters()), lambda m, x: (m(x).sum(), len(x))
        )
        x = torch.ones(2, I, device=processes.device)
        expected = model(x).sum().item() / 2
        assert step(x)["loss"] == pytest.approx(expected, rel=1e-5)
    assert processes_torch.Processes("cuda").device.type == "cuda"
