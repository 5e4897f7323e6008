"""Train in torch, run in NumPy: one file of weights, and a program that never imports torch.

python examples/deploy.py train net.safetensors      needs rnnlit[torch]
python examples/deploy.py run net.safetensors        needs rnnlit[weights], that is NumPy and safetensors
"""

import sys

import numpy as np

from rnnlit.tasks.data import japanese_vowels, standardise
from rnnlit.tools import layers, models


def train(path):
    """Train a small classifier for a few steps, and write it."""
    import torch

    from rnnlit.nn import LSTM

    torch.manual_seed(0)
    utterances, _ = standardise(*japanese_vowels())
    x, lengths, speaker = map(torch.from_numpy, utterances)
    net = torch.nn.ModuleDict({"lstm": LSTM(12, 48, bidirectional=True), "readout": torch.nn.Linear(96, 9)})
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(40):
        h, _ = net["lstm"](x, lengths=lengths)
        loss = torch.nn.functional.cross_entropy(net["readout"](h.sum(0) / lengths[:, None]), speaker)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            print(f"step {step + 1}   loss {loss.item():.2f}")
    models.save(path, net)


def run(path):
    """Read the weights, and name the speakers of the test utterances."""
    net = models.load(path)
    _, test = standardise(*japanese_vowels())
    h, _ = net["lstm"](test.x, lengths=test.lengths)
    mean = h.sum(0) / test.lengths[:, None].astype(h.dtype)
    logits = layers.affine(net["readout"], mean)
    right = np.mean(logits.argmax(1) == test.speaker)
    print(f"{100 * right:.0f} % right; torch is {'' if 'torch' in sys.modules else 'not '}imported")


if __name__ == "__main__":
    what, path = sys.argv[1:]
    {"train": train, "run": run}[what](path)
