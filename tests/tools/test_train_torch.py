"""Training torch models with the loop: the step against a loop written out, and resuming bit for bit."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from rnnlit.tools.optim import Adam
from rnnlit.tools.train import fit
from rnnlit.tools.train_torch import TorchState, make_step
from tests.tools.test_train import kill_when

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

    def __init__(self, optimizer="adam", seed=0, break_at=None, device="cpu", hidden=H):
        self.model = Tagger(hidden, seed).to(device)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.generator = torch.Generator().manual_seed(seed)
        self.state = TorchState(self.model, self.optimizer, self.generator)
        self.rng = np.random.default_rng(seed)
        self.taken, self.break_at, self.device = 0, break_at, device
        self.update = make_step(self.model, self.optimizer, loss_fn)

    def batch(self, rng):
        x = rng.standard_normal((T, B, I), dtype=np.float32)
        noise = 0.1 * torch.randn(T, B, I, generator=self.generator)
        return (torch.tensor(x) + noise).to(self.device), torch.tensor(rng.integers(0, O, B)).to(self.device)

    def step(self, batch):
        self.taken += 1
        if self.taken == self.break_at:
            raise KeyboardInterrupt
        return self.update(batch)

    def fit(self, **options):
        options = dict(steps=11, every=4, progress=False) | options
        return fit(self.step, options.pop("batches", self.batch), state=self.state, rng=self.rng, **options)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, b[name]), name
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
    "optimizer, break_at, device",
    [
        *[(optimizer, 7, "cpu") for optimizer in OPTIMIZERS],
        *[("adam", break_at, "cpu") for break_at in (5, 10)],
        pytest.param("adam", 7, "cuda", marks=needs_gpu),
    ],
)
def test_a_broken_run_goes_on_bit_for_bit(tmp_path, optimizer, break_at, device):
    checkpoint = tmp_path / "run.safetensors"
    whole = Task(optimizer, device=device)
    expected = whole.fit()
    with pytest.raises(KeyboardInterrupt):
        Task(optimizer, break_at=break_at, device=device).fit(checkpoint=checkpoint)
    resumed = Task(optimizer, seed=99, device=device)
    history = resumed.fit(checkpoint=checkpoint, resume=True)
    assert_same(resumed.state.state_dict(), whole.state.state_dict())
    assert history.rows == expected.rows
    assert resumed.taken == 11 - 4 * ((break_at - 1) // 4)


@pytest.mark.parametrize("break_at", [5, 9, 10])
def test_a_data_loader_with_its_own_generator_goes_on_bit_for_bit(tmp_path, break_at):
    """Five batches a turn: the breaks lie in the first and in the second turn."""
    checkpoint = tmp_path / "run.safetensors"

    def loader():
        data = np.random.default_rng(3)
        x = torch.tensor(data.standard_normal((10, T, I), dtype=np.float32))
        shuffle = torch.Generator().manual_seed(7)
        pairs = [*zip(x, data.integers(0, O, 10), strict=True)]

        def collate(pairs):
            return torch.stack([x for x, _ in pairs], 1), torch.tensor([int(label) for _, label in pairs])

        return torch.utils.data.DataLoader(pairs, B, shuffle=True, generator=shuffle, collate_fn=collate)

    whole = Task()
    expected = whole.fit(batches=loader())
    with pytest.raises(KeyboardInterrupt):
        Task(break_at=break_at).fit(batches=loader(), checkpoint=checkpoint)
    resumed = Task(seed=99)
    assert resumed.fit(batches=loader(), checkpoint=checkpoint, resume=True).rows == expected.rows
    assert_same(resumed.state.state_dict(), whole.state.state_dict())


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
