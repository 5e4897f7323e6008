"""Training torch models with the loop: the step against a loop written out, and resuming bit for bit."""

import copy
import json
import random
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from rnnlit import dropout_torch
from rnnlit.nn import LSTM
from rnnlit.tools.checkpoint import read_state_dict
from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit
from rnnlit.tools.train_torch import TorchState, evaluating, make_step
from tests import programs
from tests.tools.test_train import ROOT, kill_when

T, B, I, H, O = 5, 2, 3, 4, 6
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


class Tagger(nn.Module):
    """An LSTM with dropout, which draws from torch's global generator, and a batch norm with buffers."""

    def __init__(self, hidden=H, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.lstm = nn.LSTM(I, hidden, num_layers=2, dropout=0.4)
        self.norm = nn.BatchNorm1d(hidden)
        self.readout = nn.Linear(hidden, O)

    def forward(self, x):
        return self.readout(self.norm(self.lstm(x)[0][-1]))


class Apart(Tagger):
    """The same with dropout beside the LSTM's two layers, not inside of it."""

    def __init__(self, hidden=H, seed=0):
        super().__init__(hidden, seed)
        self.lstm = nn.ModuleList([nn.LSTM(I, hidden), nn.LSTM(hidden, hidden)])
        self.dropout = nn.Dropout(0.4)

    def forward(self, x):
        first, second = self.lstm
        return self.readout(self.norm(second(self.dropout(first(x)[0]))[0][-1]))


class Ours(Tagger):
    """Our layer, whose masks come from a Generator of the model."""

    def __init__(self, hidden=H, seed=0):
        super().__init__(hidden, seed)
        self.lstm = LSTM(I, hidden, num_layers=2, dropout=0.4, recurrent_dropout=0.3, zoneout=0.1)

    def to(self, device):
        self.masks = torch.Generator(device).manual_seed(5)
        return super().to(device)

    def forward(self, x):
        return self.readout(self.norm(self.lstm(x, generator=self.masks)[0][-1]))


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True),
}


def loss_fn(model, batch):
    x, label = batch
    return nn.functional.cross_entropy(model(x), label)


class Task:
    """Everything that a training of a Tagger needs; it can break at a step, like a machine that stops."""

    def __init__(
        self, optimizer="adam", seed=0, break_at=None, device="cpu", hidden=H, scheduler=None, kind=Tagger
    ):
        self.model = kind(hidden, seed).to(device)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.scheduler = scheduler and scheduler(self.optimizer)
        self.generator = torch.Generator().manual_seed(seed)
        self.state = TorchState(self.model, self.optimizer, self.generator, self.scheduler)
        self.rates = []
        self.rng = np.random.default_rng(seed)
        self.taken, self.break_at, self.device = 0, break_at, device
        self.update = make_step(self.model, self.optimizer, loss_fn, scheduler=self.scheduler)

    def batch(self, rng):
        x = rng.standard_normal((T, B, I), dtype=np.float32)
        noise = 0.1 * torch.randn(T, B, I, generator=self.generator)
        return (torch.tensor(x) + noise).to(self.device), torch.tensor(rng.integers(0, O, B)).to(self.device)

    def step(self, batch):
        self.taken += 1
        if self.taken == self.break_at:
            raise KeyboardInterrupt
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return self.update(batch)

    def fit(self, **options):
        options = dict(steps=11, every=4, progress=False) | options
        return fit(self.step, options.pop("batches", self.batch), state=self.state, rng=self.rng, **options)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, b[name]), name
        elif isinstance(value, dict) and isinstance(b[name], dict):
            assert_same(value, b[name])
        else:
            assert value == b[name], name


def test_step_is_the_loop_written_out():
    model = Tagger(hidden=H)
    twin = copy.deepcopy(model)
    optimizer, other = (torch.optim.SGD(m.parameters(), lr=0.5) for m in (model, twin))
    x, label = torch.randn(T, B, I), torch.tensor([5, 2])
    model.eval()
    step = make_step(model, optimizer, loss_fn, clip=0.1)
    for _ in range(3):
        torch.manual_seed(1)
        metrics = step((x, label))
        torch.manual_seed(1)
        for p in twin.parameters():
            p.grad = None
        loss = nn.functional.cross_entropy(twin(x), label)
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
        for p in twin.parameters():
            p.grad *= 0.1 / (norm + 1e-6)
        other.step()
        assert norm > 0.1 and model.training
        assert metrics == {"loss": loss.item(), "grad_norm": pytest.approx(norm.item(), rel=1e-5)}
        for p, q in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-5)
    assert {*make_step(model, optimizer, loss_fn, clip=None)((x, label))} == {"loss"}


@pytest.mark.parametrize("clip", [1.0, None])
def test_a_loss_that_is_not_finite_leaves_the_model_alone(clip):
    task = Task()
    update = make_step(task.model, task.optimizer, loss_fn, clip=clip)
    before = copy.deepcopy([*task.model.parameters()])

    def batch(rng):
        x, label = task.batch(rng)
        return (x * torch.nan if len(task.optimizer.state) else x), label

    with pytest.raises(FloatingPointError, match=r"^step 2: loss is nan$"):
        fit(update, batch, steps=5, rng=task.rng, progress=False)
    assert not torch.equal(before[0], task.model.lstm.weight_ih_l0)
    assert all(p.isfinite().all() for p in task.model.parameters())


@pytest.mark.parametrize(
    "optimizer, break_at, kind, device",
    [
        *[(optimizer, 7, Tagger, "cpu") for optimizer in OPTIMIZERS],
        *[("adam", break_at, Tagger, "cpu") for break_at in (5, 10)],
        *[("adam", 7, kind, "cpu") for kind in (Apart, Ours)],
        *[
            pytest.param("adam", 7, kind, "cuda", marks=[needs_gpu, pytest.mark.gpu])
            for kind in (Apart, Ours)
        ],
    ],
)
def test_a_broken_run_goes_on_bit_for_bit(tmp_path, optimizer, break_at, kind, device):
    checkpoint = tmp_path / "run.safetensors"
    whole = Task(optimizer, device=device, kind=kind)
    expected = whole.fit()
    with pytest.raises(KeyboardInterrupt):
        Task(optimizer, break_at=break_at, device=device, kind=kind).fit(checkpoint=checkpoint)
    resumed = Task(optimizer, seed=99, device=device, kind=kind)
    history = resumed.fit(checkpoint=checkpoint, resume=True)
    assert_same(resumed.state.state_dict(), whole.state.state_dict())
    assert history.rows == expected.rows
    assert resumed.taken == 11 - 4 * ((break_at - 1) // 4)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("layer", [nn.LSTM, LSTM], ids=["torch", "ours"])
def test_cudnns_dropout_begins_anew_where_torchs_random_numbers_are_put_back(layer):
    """So a resumed run has other masks than one that goes on, as the docstring says; twice the same ones."""
    torch.manual_seed(0)
    lstm, x = layer(I, H, num_layers=2, dropout=0.5).cuda(), torch.ones(T, B, I, device="cuda")
    lstm(x)
    state = torch.cuda.get_rng_state()
    went_on = lstm(x)[0]
    resumed = []
    for _ in range(2):
        torch.cuda.set_rng_state(state)
        resumed.append(lstm(x)[0])
    assert torch.equal(*resumed) and not torch.equal(went_on, resumed[0])


def collate(pairs):
    return torch.stack([x for x, _ in pairs], 1), torch.tensor([int(label) for _, label in pairs])


def loader(seed=7, size=10, **options):
    """Batches of B out of 10 pairs in a new order each turn: five batches a turn."""
    data = np.random.default_rng(3)
    x = torch.tensor(data.standard_normal((size, T, I), dtype=np.float32))
    pairs = [*zip(x, data.integers(0, O, size), strict=True)]
    if "sampler" not in options:
        options = {"shuffle": True} | options
    options = {"generator": torch.Generator().manual_seed(seed)} | options
    return torch.utils.data.DataLoader(pairs, B, collate_fn=collate, **options)


def weighted(seed):
    own = torch.Generator().manual_seed(seed)
    sampler = torch.utils.data.WeightedRandomSampler(torch.arange(1.0, 11.0), 10, generator=own)
    return loader(seed, sampler=sampler, generator=None)


class Passes:
    """An iterable of one's own, with NumPy's random numbers."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __iter__(self):
        for _ in range(5):
            x = self.rng.standard_normal((T, B, I), dtype=np.float32)
            yield torch.tensor(x), torch.tensor(self.rng.integers(0, O, B))


ITERABLES = {
    "loader": loader,
    "workers": lambda seed: loader(seed, num_workers=1),
    "weighted": weighted,
    "passes": Passes,
}


@pytest.mark.parametrize("break_at", [5, 9, 10])
@pytest.mark.parametrize("name", ITERABLES)
def test_an_iterable_with_its_own_random_numbers_goes_on_bit_for_bit(tmp_path, name, break_at):
    """The breaks lie in the first and in the second turn. The resumed one has another seed."""
    checkpoint, make = tmp_path / "run.safetensors", ITERABLES[name]
    whole = Task()
    expected = whole.fit(batches=make(7))
    with pytest.raises(KeyboardInterrupt):
        Task(break_at=break_at).fit(batches=make(7), checkpoint=checkpoint)
    resumed = Task(seed=99)
    assert resumed.fit(batches=make(99), checkpoint=checkpoint, resume=True).rows == expected.rows
    assert_same(resumed.state.state_dict(), whole.state.state_dict())


def test_batches_that_would_not_come_again_are_refused(tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    for make in (
        lambda: loader(generator=None),
        lambda: loader(sampler=torch.utils.data.RandomSampler(range(10))),
        lambda: loader(sampler=torch.utils.data.SubsetRandomSampler(range(8))),
    ):
        with pytest.raises(ValueError, match=r"generator=torch\.Generator.*, got sampler\.generator=None"):
            Task().fit(batches=make(), checkpoint=checkpoint)
        assert Task().fit(batches=make(), steps=1).step == 1  # without a checkpoint nothing has to come again
    assert not checkpoint.exists()
    Task().fit(batches=loader(generator=None, shuffle=False), steps=4, checkpoint=checkpoint)
    Task().fit(batches=loader(generator=None, shuffle=False), checkpoint=checkpoint, resume=True)

    Task().fit(batches=loader(), steps=4, checkpoint=checkpoint)
    with pytest.raises(ValueError, match=r"with generator, got rng$"):
        Task().fit(batches=Passes(0), checkpoint=checkpoint, resume=True)
    with pytest.raises(
        ValueError, match="batches: after 4 batches, generator stands elsewhere than when the"
    ):
        Task().fit(batches=loader(size=6), checkpoint=checkpoint, resume=True)
    task = Task()  # whose noise comes from the loader's generator as well
    task.fit(batches=mixed(task), steps=8, checkpoint=checkpoint)
    task = Task()
    with pytest.raises(ValueError, match="batches: after 8 batches, generator stands elsewhere"):
        task.fit(batches=mixed(task), checkpoint=checkpoint, resume=True)


def mixed(task):
    """A loader whose generator the step draws from as well."""
    batches, plain = loader(), task.update
    task.update = lambda batch: (torch.rand(3, generator=batches.generator), plain(batch))[1]
    return batches


def test_a_plain_state_dict_comes_out_of_a_checkpoint(tmp_path):
    checkpoint, told, kept = tmp_path / "run.safetensors", iter([3.0, 1.0, 2.0]), []
    task = Task()

    def evaluate():
        kept.append(copy.deepcopy(task.model.state_dict()))
        return {"error": next(told)}

    task.fit(checkpoint=checkpoint, evaluate=evaluate, metric="error", patience=5)
    for which, expected in (("last", kept[2]), ("best", kept[1])):
        state = read_state_dict(checkpoint, which)
        assert_same(dict(expected), state)
        Tagger(seed=9).load_state_dict(state)
        code = (
            "import sys; sys.modules['torch'] = None\n"
            "from rnnlit.tools.checkpoint import read_state_dict\n"
            "print(float(read_state_dict(*sys.argv[1:], numpy=True)['readout.weight'][1, 2]))"
        )
        command = [sys.executable, "-c", code, checkpoint, which]
        done = programs.run(command, cwd=ROOT)
        assert float(done.stdout) == expected["readout.weight"][1, 2], done.stderr
    with pytest.raises(ValueError, match='which: expected "last" or "best", got \'first\''):
        read_state_dict(checkpoint, "first")
    with pytest.raises(FileNotFoundError, match="checkpoint: expected a file"):
        read_state_dict(tmp_path / "none.safetensors")
    Task().fit(checkpoint=checkpoint)
    with pytest.raises(ValueError, match="which: expected a checkpoint of a training with patience"):
        read_state_dict(checkpoint, "best")
    model = nn.Linear(I, O)
    fit(lambda batch: {"loss": 1.0}, [0], steps=2, state=model, checkpoint=checkpoint, progress=False)
    assert_same(dict(model.state_dict()), read_state_dict(checkpoint))


def test_a_checkpoint_of_the_first_form_is_still_read(tmp_path):
    """It had lists for tuples, and no scheduler in its setting."""
    checkpoint = tmp_path / "run.safetensors"
    whole = Task()
    expected = whole.fit()
    Task().fit(steps=8, checkpoint=checkpoint)
    with safe_open(checkpoint, "pt") as file:
        content = json.loads(file.metadata()["rnnlit.fit"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    del content["packed"], content["numpy"], content["note"]["setting"]["scheduler"]
    groups = content["values"]["state.optimizer"]["groups"]
    assert groups[0]["betas"] == {"tuple": [0.9, 0.999]}
    groups[0]["betas"] = [0.9, 0.999]
    save_file(arrays, checkpoint, metadata={"rnnlit.fit": json.dumps(content)})
    resumed = Task(seed=99)
    assert resumed.fit(checkpoint=checkpoint, resume=True).rows == expected.rows
    assert_same(resumed.state.state_dict(), whole.state.state_dict())


class Halving:
    """A callable for LambdaLR with a state of its own, which is changed by its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, step):
        self.calls += 1
        return 0.5 ** (self.calls - 1)


rates = torch.optim.lr_scheduler
SCHEDULERS = {
    "step": lambda o: rates.StepLR(o, 2, 0.5),
    "several steps": lambda o: rates.MultiStepLR(
        o, [3, 5, 5, 7], 0.5
    ),  # a Counter with whole numbers as keys
    "cosine": lambda o: rates.CosineAnnealingLR(o, 8),
    "restarts": lambda o: rates.CosineAnnealingWarmRestarts(o, 3, 2),
    "lambda": lambda o: rates.LambdaLR(o, lambda step: 1 / (1 + step)),
    "callable": lambda o: rates.LambdaLR(o, Halving()),
    "one cycle": lambda o: rates.OneCycleLR(o, 0.1, total_steps=9),  # it turns Adam's betas as well
    "cycles": lambda o: rates.CyclicLR(o, 0.01, 0.1, step_size_up=3, cycle_momentum=False),
    "one after another": lambda o: rates.SequentialLR(
        o, [rates.LinearLR(o, 0.1, total_iters=5), rates.ExponentialLR(o, 0.5)], [5]
    ),
    "chained": lambda o: rates.ChainedScheduler([rates.LinearLR(o, 0.1), rates.ExponentialLR(o, 0.9)]),
}


@pytest.mark.parametrize("break_at", [4, 5])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_goes_on_bit_for_bit(tmp_path, name, break_at):
    """The oracle of the rates is the scheduler itself, stepped by hand."""
    checkpoint = tmp_path / "run.safetensors"
    options = dict(steps=8, every=2)
    alone = torch.optim.Adam([nn.Parameter(torch.zeros(3))], lr=0.01)
    by_hand, wanted = SCHEDULERS[name](alone), []
    for _ in range(8):
        wanted.append(alone.param_groups[0]["lr"])
        alone.step()
        by_hand.step()
    whole = Task(scheduler=SCHEDULERS[name])
    expected = whole.fit(**options)
    assert whole.rates == wanted and len(set(wanted)) > 2
    if break_at == 4:  # the run ends at a row, and a longer one goes on
        Task(scheduler=SCHEDULERS[name]).fit(checkpoint=checkpoint, steps=4, every=2)
    else:
        with pytest.raises(KeyboardInterrupt):
            Task(scheduler=SCHEDULERS[name], break_at=6).fit(checkpoint=checkpoint, **options)
    resumed = Task(seed=99, scheduler=SCHEDULERS[name])
    history = resumed.fit(checkpoint=checkpoint, resume=True, **options)
    assert resumed.rates == wanted[4:]
    assert history.rows == expected.rows
    assert_same(resumed.state.state_dict(), whole.state.state_dict())


def row_schedulers():
    return {
        "plateau": lambda o: rates.ReduceLROnPlateau(o, factor=0.5, patience=0, threshold=0.5),
        "at its best": lambda o: rates.ReduceLROnPlateau(o, "max", factor=0.5, patience=0),
        "step": lambda o: rates.StepLR(o, 1, 0.5),
    }


@pytest.mark.parametrize("name", row_schedulers())
def test_a_scheduler_of_rows_goes_on_bit_for_bit(tmp_path, name):
    checkpoint = tmp_path / "run.safetensors"

    def task(**options):
        one = Task(**options)
        one.by_rows = row_schedulers()[name](one.optimizer)
        return one

    whole = task()
    expected = whole.fit(steps=8, every=2, scheduler=whole.by_rows)
    alone = torch.optim.SGD([nn.Parameter(torch.zeros(3))], lr=0.01)
    by_hand, wanted = row_schedulers()[name](alone), []
    alone.step()
    for row in expected.rows:
        wanted += [alone.param_groups[0]["lr"]] * 2
        by_hand.step(*([] if name == "step" else [row["loss"]]))
    assert whole.rates == wanted and len(set(wanted)) > 1
    part = task()
    part.fit(steps=4, every=2, scheduler=part.by_rows, checkpoint=checkpoint)
    resumed = task(seed=99)
    history = resumed.fit(steps=8, every=2, scheduler=resumed.by_rows, checkpoint=checkpoint, resume=True)
    assert resumed.rates == wanted[4:] and history.rows == expected.rows
    assert resumed.by_rows.state_dict() == whole.by_rows.state_dict()
    assert_same(resumed.state.state_dict(), whole.state.state_dict())


def test_a_scheduler_that_is_not_held_or_not_ours_is_refused(tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    task = Task(scheduler=SCHEDULERS["step"])
    other = torch.optim.SGD(task.model.parameters(), lr=0.1)
    for make in (
        lambda s: make_step(task.model, other, loss_fn, scheduler=s),
        lambda s: TorchState(task.model, other, scheduler=s),
    ):
        with pytest.raises(ValueError, match="scheduler: expected one of the given optimizer, got StepLR of"):
            make(task.scheduler)
        with pytest.raises(TypeError, match=r"scheduler: expected one of torch\.optim.* got float"):
            make(0.5)
    with pytest.raises(ValueError, match=r"without a metric, got ReduceLROnPlateau; fit\(\.\.\., scheduler"):
        make_step(task.model, other, loss_fn, scheduler=rates.ReduceLROnPlateau(other))

    def run(state=task.state, step=task.update, **options):
        options = dict(steps=2, every=1, rng=task.rng, progress=False, checkpoint=checkpoint) | options
        return fit(step, task.batch, state=state, **options)

    plain = TorchState(task.model, task.optimizer, task.generator)
    with pytest.raises(ValueError, match="state: expected one that holds the scheduler of the step"):
        run(state=plain)
    with pytest.raises(ValueError, match="scheduler: expected one that the step does not step itself"):
        run(scheduler=task.scheduler)
    with pytest.raises(
        TypeError, match="scheduler: expected one with step, state_dict, load_state_dict, got Halving without"
    ):
        run(scheduler=Halving())
    assert not checkpoint.exists()
    run()
    with pytest.raises(ValueError, match="scheduler: the checkpoint has StepLR, got none"):
        run(state=plain, step=lambda batch: {}, resume=True)
    with pytest.raises(ValueError, match="scheduler: the checkpoint has StepLR, got CosineAnnealingLR"):
        Task(scheduler=SCHEDULERS["cosine"]).fit(checkpoint=checkpoint, resume=True)
    task = Task()
    task.fit(checkpoint=checkpoint)
    with pytest.raises(ValueError, match="scheduler: the checkpoint has none, got StepLR"):
        Task(scheduler=SCHEDULERS["step"]).fit(checkpoint=checkpoint, resume=True)
    with pytest.raises(ValueError, match=r"expected one written with .*'StepLR'.*, got .*None"):
        task.fit(checkpoint=checkpoint, resume=True, scheduler=rates.StepLR(task.optimizer, 2))


def test_what_else_a_step_changes_goes_on_bit_for_bit(tmp_path):
    """A GradScaler, averaged weights, Generators of modules and one's own, Python's and NumPy's numbers."""
    checkpoint = tmp_path / "run.safetensors"

    class Job:
        def __init__(self, seed):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - a loss that draws from it is what is tried
            own = [torch.Generator().manual_seed(seed + k) for k in range(3)]
            self.model = nn.Sequential(
                nn.Linear(I, H),
                dropout_torch.Dropout(0.5, generator=own[0]),
                dropout_torch.DropConnect(H, O, 0.5, generator=own[1]),
            )
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
            self.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
            self.average = torch.optim.swa_utils.AveragedModel(self.model)
            self.noise = own[2]
            parts = dict(scaler=self.scaler, average=self.average, noise=self.noise)
            self.state = TorchState(self.model, self.optimizer, **parts)

        def step(self, x):
            self.optimizer.zero_grad()
            x = x + torch.randn(x.shape, generator=self.noise)
            x = x + random.random() + np.random.rand()  # noqa: NPY002 - as above
            loss = self.model(x).square().mean()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.average.update_parameters(self.model)
            return {"loss": loss.item(), "scale": self.scaler.get_scale()}

        def fit(self, steps, **options):
            batches = [torch.ones(B, I), torch.zeros(B, I)]
            return fit(self.step, batches, steps=steps, every=2, state=self.state, progress=False, **options)

    whole = Job(0)
    expected = whole.fit(8)
    assert len(set(expected["scale"])) > 2
    Job(0).fit(4, checkpoint=checkpoint)
    resumed = Job(99)
    assert resumed.fit(8, checkpoint=checkpoint, resume=True).rows == expected.rows
    assert_same(resumed.state.state_dict(), whole.state.state_dict())
    assert_same(resumed.average.state_dict(), whole.average.state_dict())

    other = Job(99)
    before = copy.deepcopy(other.state.state_dict())
    for state, message in (
        (
            TorchState(other.model, other.optimizer),
            "others: the checkpoint has average, noise, scaler, got none",
        ),
        (
            TorchState(other.model[:2], torch.optim.SGD(other.model[:2].parameters(), lr=0.1)),
            "checkpoint of another model: foreign 2",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            fit(other.step, [0], steps=8, state=state, checkpoint=checkpoint, resume=True, progress=False)
    other.model[1].generator = None
    with pytest.raises(ValueError, match=r"has model\.1\.generator, model\.2\.generator, got model\.2\.gen"):
        other.fit(8, checkpoint=checkpoint, resume=True)
    after = other.state.state_dict()
    assert_same({n: v for n, v in before.items() if "1.gen" not in n}, after)
    with pytest.raises(
        TypeError, match=r"ema: expected a Generator, or what has state_dict and .*, got dict"
    ):
        TorchState(other.model, other.optimizer, ema={})


def test_best_state_is_put_back_and_is_no_alias(tmp_path):
    task, kept = Task(), []
    told = iter([3.0, 1.0, 2.0])

    def evaluate():
        kept.append(copy.deepcopy(task.model.state_dict()))
        return {"error": next(told)}

    task.fit(evaluate=evaluate, metric="error", patience=5, checkpoint=tmp_path / "run.safetensors")
    assert_same(dict(task.model.state_dict()), dict(kept[1]))
    assert not torch.equal(kept[1]["readout.weight"], kept[2]["readout.weight"])
    # A state that was loaded doesn't change with later steps.
    state = copy.deepcopy(task.state.state_dict())
    before = copy.deepcopy(state)
    task.state.load_state_dict(state)
    task.update(task.batch(task.rng))
    assert_same(state, before)


def test_tied_and_half_precision_weights_are_saved(tmp_path):
    def build():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(H, H, bias=False), nn.Linear(H, H, bias=False)).to(torch.bfloat16)
        model[1].weight = model[0].weight
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        step = make_step(model, optimizer, lambda model, x: model(x).square().mean())
        return model, step, TorchState(model, optimizer)

    x, checkpoint = [torch.ones(B, H, dtype=torch.bfloat16)], tmp_path / "run.safetensors"
    model, step, state = build()
    fit(step, x, steps=4, every=2, state=state, progress=False)
    _, step, state = build()
    fit(step, x, steps=2, every=2, state=state, checkpoint=checkpoint, progress=False)
    other, step, state = build()
    fit(step, x, steps=4, every=2, state=state, checkpoint=checkpoint, resume=True, progress=False)
    assert torch.equal(other[0].weight, model[0].weight) and other[0].weight is other[1].weight
    assert other[0].weight.dtype == torch.bfloat16


def test_a_module_alone_is_a_state_too(tmp_path):
    model, checkpoint = nn.Linear(I, O), tmp_path / "run.safetensors"
    fit(lambda batch: {"loss": 1.0}, [0], steps=2, state=model, checkpoint=checkpoint, progress=False)
    other = nn.Linear(I, O)
    fit(lambda _: {}, [0], steps=2, state=other, checkpoint=checkpoint, resume=True, progress=False)
    assert torch.equal(other.weight, model.weight)


def test_another_model_optimizer_or_generator_is_refused_before_any_change(tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    Task().fit(checkpoint=checkpoint)

    def resume(task):
        before = copy.deepcopy(task.state.state_dict())
        try:
            task.fit(checkpoint=checkpoint, resume=True)
        finally:
            assert_same(task.state.state_dict(), before)

    with pytest.raises(ValueError, match=r"lstm\.weight_ih_l0: expected shape \(28, 3\), got \(16, 3\)"):
        resume(Task(hidden=7))
    extended = Task()
    extended.model.register_buffer("extra", torch.zeros(3))
    del extended.model.norm.running_mean
    with pytest.raises(ValueError, match=r"missing extra \(3,\); foreign norm\.running_mean \(4,\)"):
        resume(extended)
    with pytest.raises(ValueError, match="optimizer: the checkpoint is of Adam, got SGD"):
        resume(Task("sgd"))
    split = Task()
    split.state.optimizer = torch.optim.Adam([{"params": [p]} for p in split.model.parameters()])
    with pytest.raises(ValueError, match=r"checkpoint has groups of \[12\] parameters, got \[1, 1"):
        resume(split)
    without = Task()
    without.state.generator = None
    with pytest.raises(ValueError, match="generator: the checkpoint has one, got None"):
        resume(without)

    adam = Adam([np.zeros(3)])  # from one half to the other
    with pytest.raises(
        ValueError, match=r"state: expected that of a TorchState, got one that holds params\.0, exp"
    ):
        without.state.load_state_dict(adam.state_dict())
    with pytest.raises(ValueError, match=r"state of Adam: missing params\.0 .* foreign optimizer"):
        adam.load_state_dict(without.state.state_dict())
    with pytest.raises(ValueError, match="clip: expected a number above 0 or None, got 0"):
        make_step(nn.Linear(I, O), Task().optimizer, loss_fn, clip=0)
    model = nn.Linear(I, O)
    optimizer = torch.optim.LBFGS(model.parameters())
    optimizer.step(lambda: model(torch.ones(B, I)).square().sum().backward() or torch.tensor(1.0))
    with pytest.raises(TypeError, match="optimizer: expected tensors and numbers in its state, got LBFGS"):
        TorchState(model, optimizer).state_dict()


SCRIPT = """
import sys, time
from tests.tools.test_train_torch import Task
task, folder = Task(), sys.argv[1]
update = task.update
task.update = lambda batch: (time.sleep(600 if task.taken == 51 else 0.01), update(batch))[1]
task.fit(steps=60, every=2, checkpoint=folder + "/run.safetensors", csv=folder + "/run.csv")
"""


def test_a_killed_process_goes_on_bit_for_bit(tmp_path):
    files = dict(checkpoint=tmp_path / "run.safetensors", csv=tmp_path / "run.csv")
    kill_when(6, files["csv"], SCRIPT)
    whole = Task()
    expected = whole.fit(steps=60, every=2)
    resumed = Task(seed=99)
    history = resumed.fit(steps=60, every=2, resume=True, **files)
    assert 0 < resumed.taken <= 60 - 2 * 4
    assert history.rows == expected.rows
    assert_same(resumed.state.state_dict(), whole.state.state_dict())


def test_each_part_gets_its_mode_back_even_after_an_error():
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5))
    net[0].eval()  # a part that is frozen on purpose
    with pytest.raises(RuntimeError, match="on purpose"), evaluating(net):
        assert not any(part.training for part in net.modules())
        assert not net(torch.ones(4, 2)).requires_grad
        raise RuntimeError("on purpose")
    assert [part.training for part in net.modules()] == [True, False, True]
    assert net(torch.ones(4, 2)).requires_grad
