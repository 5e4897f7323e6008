"""A training that is broken off and goes on ends where one without a break ends, bit for bit."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import mse_loss

from rnnlit.nn import GRU
from rnnlit.tasks.data import adding
from rnnlit.tools.train import fit
from rnnlit.tools.train_torch import TorchState, make_step


class Adder(torch.nn.Module):
    """The last state of a GRU with dropout, and an affine map of it."""

    def __init__(self):
        super().__init__()
        self.gru = GRU(2, 32, zoneout=0.1)
        self.readout = torch.nn.Linear(32, 1)

    def forward(self, x):
        return self.readout(self.gru(x)[1][0])[:, 0]


def batch(rng):
    """Draw 32 sequences of 20 steps: add the two marked numbers."""
    x, target = adding(20, 32, rng)
    return torch.from_numpy(x), torch.from_numpy(target[:, 0])


def loss_fn(model, pair):
    """The mean squared error."""
    x, target = pair
    return mse_loss(model(x), target)


def train(steps, checkpoint):
    """Train, or go on from the checkpoint if there is one; give back the model's weights."""
    torch.manual_seed(0)
    model = Adder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 60)
    fit(
        make_step(model, optimizer, loss_fn, scheduler=scheduler),
        batch,
        steps=steps,
        every=20,
        checkpoint=checkpoint,
        resume="auto",
        state=TorchState(model, optimizer, scheduler=scheduler),
        rng=np.random.default_rng(0),
    )
    return torch.cat([p.detach().flatten() for p in model.parameters()])


with tempfile.TemporaryDirectory() as folder:
    whole = train(60, Path(folder, "whole.safetensors"))
    train(40, Path(folder, "broken.safetensors"))  # as if the process had been killed here
    resumed = train(60, Path(folder, "broken.safetensors"))
print(f"{whole.numel()} weights, of which {int((whole != resumed).sum())} differ")
