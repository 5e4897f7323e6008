"""Who is speaking? A classifier of the Japanese Vowels recordings, trained in one process or in many.

    python -m rnnlit.practice.vowels --steps 600 --checkpoint run.safetensors --resume auto
    torchrun --nproc-per-node 2 -m rnnlit.practice.vowels --checkpoint many.safetensors --resume auto

An LSTM with recurrent dropout reads an utterance, an affine map reads the mean of its states. Each step draws
a batch of the 270 training utterances and adds noise to it. At the end the first process prints the share of
the 370 test utterances that is named right, about 95 %; nothing is chosen by it.

`--resume` goes on from the checkpoint, which must be there; `--resume auto` begins anew where it is not, so
that one command can be given again and again. `--export` writes the trained model for NumPy, as
`rnnlit.tools.models` does.

T steps, B utterances, 12 coefficients, H hidden, 9 speakers.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rnnlit.nn import LSTM
from rnnlit.practice.options import parsed
from rnnlit.tasks.data import Utterances, japanese_vowels, standardise
from rnnlit.tools import models
from rnnlit.tools.processes_torch import Processes, start
from rnnlit.tools.train import History, fit
from rnnlit.tools.train_torch import evaluating


class Batch(NamedTuple):
    """Utterances as tensors, on the device of the model."""

    x: Tensor  # (T, B, 12) float32
    lengths: Tensor  # (B,) int64, on the CPU
    speaker: Tensor  # (B,) int64


class Classifier(nn.Module):
    """The mean of an LSTM's states over an utterance, and an affine map of it."""

    def __init__(self, hidden: int = 64, dropout: float = 0.25) -> None:
        super().__init__()
        self.lstm = LSTM(12, hidden, recurrent_dropout=dropout)
        self.readout = nn.Linear(hidden, 9)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (T, B, 12), lengths (B,)  ->  logits (B, 9)"""
        h, _ = self.lstm(x, lengths=lengths)  # zero after an utterance's end
        return self.readout(h.sum(0) / lengths.to(h)[:, None])


def loss_fn(model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
    """The sum of the cross-entropies, in nats, and their count."""
    logits = model(batch.x, batch.lengths)
    return nn.functional.cross_entropy(logits, batch.speaker, reduction="sum"), len(batch.speaker)


def batches(
    train: Utterances, size: int, noise: float, processes: Processes
) -> Callable[[np.random.Generator], Batch]:
    """A function rng -> this process's part of a batch of `size` utterances, with noise of that deviation.

    Every process draws the whole batch, noise included, so that each has the same rng afterwards.
    """

    def draw(rng: np.random.Generator) -> Batch:
        chosen = rng.choice(len(train.lengths), size, replace=False)
        x = train.x[:, chosen]
        x = x + np.float32(noise) * rng.standard_normal(x.shape, dtype=x.dtype)
        whole = Utterances(x, train.lengths[chosen], train.speaker[chosen])
        return part(whole, processes)

    return draw


def part(utterances: Utterances, processes: Processes) -> Batch:
    """The rows of this process, cut to the longest among them."""
    rows = processes.rows(len(utterances.lengths))
    lengths, device = utterances.lengths[rows], processes.device
    return Batch(
        torch.from_numpy(utterances.x[: lengths.max(), rows]).to(device),
        torch.from_numpy(lengths),
        torch.from_numpy(utterances.speaker[rows]).to(device),
    )


def accuracy(model: Classifier, utterances: Utterances, processes: Processes) -> float:
    """The share that is named right; each process reads its part of the utterances."""
    batch = part(utterances, processes)
    with evaluating(model):
        right = model(batch.x, batch.lengths).argmax(1) == batch.speaker
    (total,) = processes.sums(right.sum())
    return total / len(utterances.lengths)


def run(options: argparse.Namespace, processes: Processes) -> tuple[History, float]:
    """Train as the options say: the history, and the accuracy on the test utterances."""
    train, test = standardise(*japanese_vowels())
    torch.manual_seed(options.seed)
    model = Classifier(options.hidden, options.dropout).to(processes.device)
    # The same weights everywhere, but other dropout masks in each process.
    torch.manual_seed(1000 * (options.seed + 1) + processes.rank)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    history = fit(
        processes.make_step(model, optimizer, loss_fn),
        batches(train, options.batch, options.noise, processes),
        steps=options.steps,
        every=options.every,
        checkpoint=options.checkpoint,
        resume=options.resume,
        csv=options.csv,
        state=processes.state(model, optimizer),
        rng=np.random.default_rng(options.seed),
        processes=processes,
    )
    if options.export is not None:
        processes.once(models.save, options.export, model)
    return history, accuracy(model, test, processes)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. SystemExit: --resume without --checkpoint, and what argparse refuses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=600, help="steps of the optimiser (600)")
    parser.add_argument(
        "--every", type=int, default=50, help="steps from one row and checkpoint to the next (50)"
    )
    parser.add_argument("--batch", type=int, default=27, help="utterances a step, over all processes (27)")
    parser.add_argument("--hidden", type=int, default=64, help="units of the LSTM (64)")
    parser.add_argument("--dropout", type=float, default=0.25, help="recurrent dropout (0.25)")
    parser.add_argument("--noise", type=float, default=0.5, help="deviation of the noise on the input (0.5)")
    parser.add_argument("--lr", type=float, default=4e-3, help="Adam's learning rate (0.004)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and masks (0)")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="a GPU for each process if there are any")
    parser.add_argument("--checkpoint", type=Path, help="a .safetensors file")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        choices=["auto"],
        help="go on from the checkpoint; with auto only if it is there",
    )
    parser.add_argument("--csv", type=Path, help="a file for the rows of the history")
    parser.add_argument("--export", type=Path, help="a .safetensors file for the trained model")
    return parsed(parser, arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and print loss and accuracy in the first process."""
    options = parse(arguments)
    # The same bits on every run: cuBLAS reads its variable when CUDA starts, and products of large weights
    # would otherwise go either of two ways (rnnlit.nn.scan.matmul).
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    with start(options.device) as processes:
        history, share = run(options, processes)
        if processes.main:
            print(f"step {history.step}   loss {history['loss'][-1]:.4f}   test accuracy {share:.4f}")


if __name__ == "__main__":
    main()
