"""What can a gate count? Strings a^n b^n, a^n b^n c^n and parity, read by LSTM, GRU and gates without state.

    python -m rnnlit.practice.counting --task anbn --cell lstm --seed 0 --record one.json

A recurrent layer reads one letter at a time, and an affine map of its state answers; the questions stand in
`rnnlit.tasks.counting`. The cells are `lstm`, `gru`, `input`, a gate that sees the input alone (minGRU), and
`signed`, the same with a factor between -1 and 1. Afterwards the network is asked about longer strings than
it was trained on. Then its layer is saturated, that is, its weights are multiplied by 10, its readout is
trained anew, and it is asked again. Networks whose weights are set by hand stand beside the trained ones.

T steps, B strings, I letters, H units.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from rnnlit import gru, lstm
from rnnlit.nn import GRU, LSTM
from rnnlit.practice import records, stored
from rnnlit.practice.options import parsed
from rnnlit.tasks.counting import LETTERS, UNASKED, Batch, bits, strings
from rnnlit.tools.checks import check_size
from rnnlit.tools.train import History, fit
from rnnlit.tools.train_torch import TorchState, evaluating, make_step

CELLS = ("lstm", "gru", "input", "signed")
LIMIT = 1000  # the longest n that a trained network is asked about
LENGTHS = (12, 24, 48, 96, 192, 384, 768)  # bits after which the parity is asked, of 1000 strings
LONGEST = 200_000  # letters that `counts` reads


class Task(NamedTuple):
    """What is read and answered, and how a network is trained for it."""

    inputs: int  # letters
    answers: int
    longest: int  # n, or for parity T, of the strings to train on
    hidden: int
    steps: int
    batch: int


TASKS = {
    "anbn": Task(2, 4, 50, 8, 4000, 16),
    "anbncn": Task(3, 4, 30, 8, 4000, 16),
    "parity": Task(2, 2, 12, 16, 400, 64),
}


class InputGate(nn.Module):
    """A cell whose gate and candidate see the input alone; `input_gate_step` of `rnnlit.tasks.counting`.

    h_t = (1 - z_t) h_{t-1} + z_t n_t, or with signed (1 - 2 z_t) h_{t-1} + z_t n_t. It is linear in the
    state, so all steps could be taken together (`rnnlit.tools.linear_scan`); this loop is for short strings.
    """

    def __init__(self, input_size: int, hidden_size: int, signed: bool = False) -> None:
        super().__init__()
        self.z, self.n = nn.Linear(input_size, hidden_size), nn.Linear(input_size, hidden_size)
        self.factor = 2.0 if signed else 1.0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, B, I)  ->  all states (T, B, H), and the last (B, H)"""
        z = self.z(x).sigmoid()
        keep, new = 1 - self.factor * z, z * self.n(x)
        h, states = torch.zeros_like(new[0]), []
        for keep_t, new_t in zip(keep, new, strict=True):
            h = keep_t * h + new_t
            states.append(h)
        return torch.stack(states), h


LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": LSTM,
    "gru": GRU,
    "input": InputGate,
    "signed": lambda input_size, hidden_size: InputGate(input_size, hidden_size, signed=True),
}


class Reader(nn.Module):
    """A recurrent layer over letters, and an affine map of each state: the scores of the answers."""

    def __init__(self, cell: str, inputs: int, hidden: int, answers: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.layer = LAYERS[cell](inputs, hidden)
        self.readout = nn.Linear(hidden, answers)

    def forward(self, letters: Any) -> Tensor:
        """letters (T, B), integers  ->  scores (T, B, answers)"""
        return self.readout(self.states(letters))

    def states(self, letters: Any) -> Tensor:
        """The states (T, B, H) that the readout sees."""
        return self.layer(self.encode(letters))[0]

    def encode(self, letters: Any) -> Tensor:
        """One-hot letters, (T, B, I)."""
        return one_hot(torch.as_tensor(letters), self.inputs).to(self.readout.weight)


def build(task: str, cell: str, hidden: int | None = None) -> Reader:
    """A network for a task, with torch's own initialisation."""
    chosen = TASKS[task]
    return Reader(cell, chosen.inputs, hidden or chosen.hidden, chosen.answers)


def loss_fn(model: nn.Module, batch: Batch) -> Tensor:
    """The mean cross-entropy of an answer that is asked, in nats."""
    scores, answers = model(batch.letters), torch.as_tensor(batch.answers)
    return cross_entropy(scores.flatten(0, 1), answers.flatten().to(scores.device), ignore_index=UNASKED)


def saturated(model: Reader, by: float = 10.0) -> Reader:
    """A copy whose recurrent layer has all weights and biases times `by`: its gates say 0 or 1.

    What is left for by -> infinity is the saturated network of Merrill (2019). The readout stays as it was.
    """
    new = copy.deepcopy(model)
    with torch.no_grad():
        for weights in new.layer.parameters():
            weights.mul_(by)
    return new


def memory(model: Reader, letters: np.ndarray) -> np.ndarray:
    """What the layer keeps from step to step, (T, B, H): c of an LSTM, and h of any other cell."""
    with evaluating(model):
        if isinstance(model.layer, LSTM):
            _, _, states = model.layer(model.encode(letters), return_all_states=True)
            return states.c[0].cpu().numpy()
        return model.states(letters).cpu().numpy()


# ---------------------------------------------------------------- by hand

OPEN = 40.0  # sigma(40) and tanh(40) are 1 in float32, and in float64 as well


def counters(letters: int = 2, dtype: Any = np.float32) -> lstm.Params:
    """An LSTM of letters - 1 units: unit k goes up by one at letter k, down by one at the next letter.

        i = f = o = 1      g = 1, -1 or 0      c' = c + g

    It is exact as long as c + 1 is: up to n = 2^24 in float32.
    """
    H, I = letters - 1, letters
    weight_ih, bias = np.zeros((4 * H, I), dtype), np.zeros(4 * H, dtype)
    for unit in range(H):
        weight_ih[2 * H + unit, unit], weight_ih[2 * H + unit, unit + 1] = OPEN, -OPEN
        bias[[unit, H + unit, 3 * H + unit]] = OPEN  # i, f and o are open
    return lstm.Params(weight_ih, np.zeros((4 * H, H), dtype), bias, np.zeros(4 * H, dtype))


def ruler(step: float, dtype: Any = np.float32) -> gru.Params:
    """A GRU of one unit that counts by a small step, up at a, down at b, as long as tanh is nearly straight.

        r = 1      z = 1/2      n = tanh(h + s x)      h' = (h + n) / 2      x = 1 at a, -1 at b

    step: of the first a, between 0 and 1/2; then s = artanh(2 step)
    """
    if not 0 < step < 0.5:
        raise ValueError(f"step: expected a number between 0 and 1/2, got {step!r}")
    s = np.arctanh(2 * step)
    weight_ih = np.array([[0, 0], [0, 0], [s, -s]], dtype)
    return gru.Params(
        weight_ih, np.array([[0], [0], [1]], dtype), np.array([OPEN, 0, 0], dtype), np.zeros(3, dtype)
    )


def by_hand(task: str = "anbn") -> Reader:
    """The network of `counters`, with a readout that answers b, c or the end."""
    letters = TASKS[task].inputs
    model = build(task, "lstm", letters - 1)
    weights = counters(letters)._asdict()
    with torch.no_grad():
        for name, values in weights.items():
            getattr(model.layer, f"{name}_l0").copy_(torch.as_tensor(values))
        model.readout.weight.zero_()
        model.readout.bias.copy_(torch.tensor([0.0, 0, 0, 2]))  # the end, if nothing else is said
        for unit, score in zip(range(letters - 1), (10.0, 5.0), strict=False):
            model.readout.weight[unit + 1, unit] = score  # h of an open count is tanh(1) = 0.76 or more
    return model.eval()


# ---------------------------------------------------------------- what a network can do


def right(model: Reader, counts: Sequence[int] | np.ndarray, letters: int) -> np.ndarray:
    """For each n whether every answer about its string is right, (N,) bool."""
    found: list[np.ndarray] = []
    with evaluating(model):
        for k in range(0, len(counts), 100):
            batch = strings(counts[k : k + 100], letters)
            same = model(batch.letters).argmax(-1).cpu().numpy() == batch.answers
            found.append((same | (batch.answers == UNASKED)).all(0))
    return np.concatenate(found)


def reach(model: Reader, letters: int, limit: int = LIMIT) -> int:
    """The largest n, at most `limit`, up to which every string is answered right."""
    wrong = np.flatnonzero(~right(model, np.arange(1, limit + 1), letters))
    return int(wrong[0]) if len(wrong) else limit


def parity_accuracy(model: Reader, lengths: Sequence[int] = LENGTHS, size: int = 1000) -> dict[str, float]:
    """The share of `size` random strings whose parity is right after their last bit, for each length."""
    batch = bits(max(lengths), size, np.random.default_rng(2024))
    with evaluating(model):
        same = model(batch.letters).argmax(-1).cpu().numpy() == batch.answers
    return {str(T): round(float(same[T - 1].mean()), 4) for T in lengths}


def spans(flags: np.ndarray) -> list[list[int]]:
    """Where flags (N,) are True, as [first, last] counted from 1: what a record keeps of `right`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [[int(a) + 1, int(b)] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def scores(model: Reader, task: str, limit: int = LIMIT) -> dict[str, Any]:
    """What a record holds of one network: its parities, or its reach and all n that it gets right."""
    if task == "parity":
        return {"accuracy": parity_accuracy(model)}
    flags = right(model, np.arange(1, limit + 1), TASKS[task].inputs)
    wrong = np.flatnonzero(~flags)
    return {"reach": int(wrong[0]) if len(wrong) else limit, "limit": limit, "right": spans(flags)}


@cache
def load(name: str) -> Reader:
    """A network for a^n b^n that ships with the package: hand, lstm, saturated or gru."""
    if name == "hand":
        return by_hand()
    return read(stored.HERE / f"counting_{name}.safetensors")


def counts(string: str, by: str = "lstm") -> bool:
    """Whether a small network takes the string for a^n b^n: as many b as a.

    by: "lstm", trained on n <= 50; "saturated", the same with its layer's weights times 10; "gru", trained as
        the LSTM; "hand", an LSTM of one unit whose weights are set by hand

    The network answers after each b whether the string is at its end. It has to say so at the last letter,
    and nowhere before.

        >>> counts("aaabbb"), counts("aaabb")
        (True, False)

    TypeError, ValueError: not a string; empty; not one or more a's and then one or more b's; too long.
    """
    if not isinstance(string, str):
        raise TypeError(f"string: expected a string, got {type(string).__name__}")
    if by not in ("lstm", "saturated", "gru", "hand"):
        raise ValueError(f"by: expected lstm, saturated, gru or hand, got {by!r}")
    a = len(string) - len(string.lstrip("a"))
    b = len(string) - a
    if not a or not b or string[a:].strip("b"):
        shown = repr(string if len(string) <= 20 else f"{string[:20]}...")
        raise ValueError(f"string: expected one or more a and then one or more b, got {shown}")
    if len(string) > LONGEST:
        raise ValueError(f"string: expected at most {LONGEST} letters, got {len(string)}")
    letters = np.array([LETTERS.index(letter) for letter in string])[:, None]
    model = load(by)
    with evaluating(model):
        ended = model(letters).argmax(-1)[a:, 0].numpy() == 3
    return bool(ended[-1]) and not ended[:-1].any()


# ---------------------------------------------------------------- the full runs


def runs(task: str, cell: str) -> list[dict[str, Any]]:
    """The recorded full runs of a task and a cell, one for each seed."""
    return [run for run in records.load("counting")["runs"] if (run["task"], run["cell"]) == (task, cell)]


def counted(run: dict[str, Any], kind: str) -> int:
    """How many of the strings n = 1 to 1000 a recorded network has right; kind: trained or saturated."""
    return sum(last - first + 1 for first, last in run[kind]["right"])


def beside() -> list[records.Beside]:
    """Our recorded results beside published ones."""
    lstm_runs, three = runs("anbn", "lstm"), runs("anbncn", "lstm")
    reached = [run["trained"]["reach"] for run in lstm_runs]
    later = [run["trained"]["reach"] for run in three]
    saturated_ = sum(counted(run, "saturated") >= LIMIT - 1 for run in lstm_runs)
    longest = {run["longest"] for run in (*lstm_runs, *three)}
    n, m = max(longest), min(longest)
    lamp = {cell: [run["trained"]["accuracy"] for run in runs("parity", cell)] for cell in CELLS}
    by = {
        (cell, T): f"{100 * np.mean([row[T] for row in rows]):.0f}"
        for cell, rows in lamp.items()
        for T in rows[0]
    }
    return [
        records.Beside(
            f"aⁿbⁿ, LSTM trained on n up to {n}: the largest n",
            f"{min(reached)} to {max(reached)}",
            "accepts n = 1000",
            "weiss2018practical",
            "theirs is one network, trained on n below 100, and accepts a string if each letter and the end "
            "have a probability above 0.01; ours are five, and up to this n the right answers are likeliest",
        ),
        records.Beside(
            "aⁿbⁿ, LSTM far beyond its training",
            f"no; saturated, {saturated_} of {len(lstm_runs)} count to 1000",
            "no",
            "elnaggar2022exploring",
            "theirs has one unit and reads balanced brackets; strings much longer than in training fail",
        ),
        records.Beside(
            f"aⁿbⁿcⁿ, LSTM trained on n up to {m}: the largest n",
            f"{min(later)} to {max(later)}",
            "1000 and more",
            "gers2002kalman",
            "theirs is trained on n up to 10, with a Kalman filter in place of gradient descent alone",
        ),
        records.Beside(
            "parity, linear recurrence, factors in (0, 1), %",
            f"{by['input', '48']} after 48 bits",
            "as by chance",
            "grazzi2025unlocking",
            "theirs is Mamba, trained on up to 40 bits and tested on 40 to 256, three seeds; ours is minGRU, "
            "trained on 12",
        ),
        records.Beside(
            "the same, factors in (-1, 1), %",
            f"{by['signed', '12']} after 12 bits, {by['signed', '48']} after 48",
            "100",
            "grazzi2025unlocking",
            "as above",
        ),
    ]


# ---------------------------------------------------------------- training, and the command


def drawing(task: str, longest: int, size: int) -> Callable[[np.random.Generator], Batch]:
    """What draws a batch: strings of n = 1 to `longest`, each as often, or `longest` bits."""
    if task == "parity":
        return lambda rng: bits(longest, size, rng)
    return lambda rng: strings(rng.integers(1, longest + 1, size), TASKS[task].inputs)


def train(options: argparse.Namespace) -> tuple[Reader, History]:
    """Train as the options say."""
    torch.manual_seed(options.seed)
    model = build(options.task, options.cell, options.hidden).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, options.steps, pct_start=0.1)
    history = fit(
        make_step(model, optimizer, loss_fn, scheduler=scheduler),
        drawing(options.task, options.longest, options.batch),
        steps=options.steps,
        every=options.every,
        rng=np.random.default_rng(options.seed),
        checkpoint=options.checkpoint,
        resume=options.resume,
        state=TorchState(model, optimizer, scheduler=scheduler),
    )
    return model, history


def train_readout(model: Reader, options: argparse.Namespace, steps: int = 300) -> None:
    """Train the readout alone, on the same strings; the layer stays as it is."""
    optimizer = torch.optim.Adam(model.readout.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, steps)
    fit(
        make_step(model, optimizer, loss_fn, scheduler=scheduler),
        drawing(options.task, options.longest, options.batch),
        steps=steps,
        every=steps,
        rng=np.random.default_rng(options.seed),
        progress=False,
    )


def read(path: Path) -> Reader:
    """A network that `--export` has written."""
    return stored.load(path, build)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. SystemExit: what argparse refuses, and --resume without --checkpoint."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--task", choices=list(TASKS), default="anbn", help="anbn, anbncn or parity (anbn)")
    parser.add_argument("--cell", choices=CELLS, default="lstm", help="which cell reads (lstm)")
    parser.add_argument("--hidden", type=int, help="units (8; 16 for parity)")
    parser.add_argument("--longest", type=int, help="n of the longest string to train on (50; 30; 12 bits)")
    parser.add_argument("--steps", type=int, help="of the optimiser (4000; 400 for parity)")
    parser.add_argument("--batch", type=int, help="strings a step (16; 64 for parity)")
    parser.add_argument("--lr", type=float, default=0.02, help="Adam's highest learning rate (0.02)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and strings (0)")
    parser.add_argument("--every", type=int, default=100, help="steps from one row to the next (100)")
    parser.add_argument("--limit", type=int, default=LIMIT, help="the largest n to ask about (1000)")
    parser.add_argument("--device", default="cpu", help="cpu is quickest for networks as small as these")
    parser.add_argument("--checkpoint", type=Path, help="a .safetensors file")
    parser.add_argument("--resume", nargs="?", const=True, default=False, choices=["auto"])
    parser.add_argument("--export", type=Path, help="a .safetensors file for the trained weights")
    parser.add_argument("--export-saturated", type=Path, help="one for the saturated network")
    parser.add_argument("--record", type=Path, help="a .json file for the scores")
    options = parsed(parser, arguments)
    for name in ("longest", "hidden", "steps", "batch"):
        value = getattr(options, name)
        setattr(options, name, getattr(TASKS[options.task], name) if value is None else value)
        check_size(name, getattr(options, name))
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ask, saturate, ask again, and write what is wanted."""
    options = parse(arguments)
    begin = time.perf_counter()
    model, history = train(options)
    seconds = time.perf_counter() - begin
    second = saturated(model)
    train_readout(second, options)
    setting = {"task": options.task, "cell": options.cell, "hidden": options.hidden}
    for path, one in ((options.export, model), (options.export_saturated, second)):
        if path is not None:
            # In float32: half of the digits would be another count.
            stored.save(path, one, setting, torch.float32)
    gpu = torch.cuda.get_device_name() if "cuda" in options.device else None
    record = {
        **records.stamp("rnnlit.practice.counting", arguments, gpu=gpu),
        **setting,
        "longest": options.longest,
        "seed": options.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": history.step,
        "seconds": round(seconds, 1),
        "loss": [[int(row["step"]), float(f"{row['loss']:.3g}")] for row in history.rows],
        "trained": scores(model, options.task, options.limit),
        "saturated": scores(second, options.task, options.limit),
    }
    if options.record is not None:
        options.record.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({k: v for k, v in record.items() if k not in ("loss", "machine")}))


if __name__ == "__main__":
    main()
