"""Who is speaking? Utterances of unequal length, padded, put into nine classes by an LSTM."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from rnnlit.nn import LSTM
from rnnlit.tasks.data import japanese_vowels, standardise
from rnnlit.tools.train import fit
from rnnlit.tools.train_torch import TorchState, evaluating, make_step


class Classifier(torch.nn.Module):
    """The last state of an LSTM, and an affine map of it."""

    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.lstm = LSTM(inputs, hidden, recurrent_dropout=0.25)
        self.readout = torch.nn.Linear(hidden, classes)

    def forward(self, x, lengths):
        _, (h, _) = self.lstm(x, lengths=lengths)  # h (1, B, H): the state at each sequence's own end
        return self.readout(h[0])


def loss_fn(model, batch):
    """The mean cross-entropy of a batch, in nats."""
    x, lengths, speaker = batch
    return cross_entropy(model(x, lengths), speaker)


torch.manual_seed(0)
train, test = standardise(*japanese_vowels())
model = Classifier(12, 64, 9)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)


def batch(rng):
    """Draw 64 utterances."""
    rows = rng.choice(len(train.lengths), 64, replace=False)
    return tuple(map(torch.from_numpy, (train.x[:, rows], train.lengths[rows], train.speaker[rows])))


def accuracy():
    """The share of the test utterances that is named right."""
    with evaluating(model):
        logits = model(torch.from_numpy(test.x), torch.from_numpy(test.lengths))
    return {"accuracy": float(np.mean(logits.argmax(1).numpy() == test.speaker))}


history = fit(
    make_step(model, optimizer, loss_fn),
    batch,
    steps=150,
    every=50,
    evaluate=accuracy,
    state=TorchState(model, optimizer),
    rng=np.random.default_rng(0),
)
for row in history.rows:
    print(f"step {row['step']:3}   loss {row['loss']:.2f}   {100 * row['accuracy']:.0f} % right")
