"""Which of the article's formulas matter: its LSTM in each reading, beside the real one, learns to add.

    python benchmarks/article_lstm.py     writes rnnlit/pages/records/article_lstm.json (about 10 minutes)

16 units, Adam (learning rate 0.01, gradient norm clipped at 1), fresh batches of 50 sequences, 1500
steps, three seeds. Recorded: the mean squared error on 2560 fresh sequences; predicting the mean
gives 1/6.
"""

from __future__ import annotations

import argparse
import json
import pathlib

import numpy as np
import torch

from rnnlit import lstm_article_torch as article
from rnnlit import nn
from rnnlit.pages import records
from rnnlit.tasks.data import adding
from rnnlit.tools.machine import describe

RESULT = records.HERE / "article_lstm.json"
HIDDEN, BATCH, FRESH = 16, 50, 2560


class Article(torch.nn.Module):
    """A reading of the article's cell, with the book's own cell under the same roof for comparison."""

    def __init__(self, step, generator):
        super().__init__()
        self.step = step
        self.cell = torch.nn.ParameterList(article.init(2, HIDDEN, generator=generator))

    def forward(self, x):
        return article.forward(self.step, article.Params(*self.cell), x)[-1]


class Standard(torch.nn.Module):
    """The LSTM of 2000, with or without the tanh before its output."""

    def __init__(self, output_tanh):
        super().__init__()
        self.cell, self.output_tanh = nn.LSTM(2, HIDDEN, forget_bias=1.0), output_tanh

    def forward(self, x):
        if self.output_tanh:
            return self.cell(x)[1][0][0]
        h = c = x.new_zeros(x.shape[1], HIDDEN)
        a_x = x @ self.cell.weight_ih_l0.T + self.cell.bias_ih_l0 + self.cell.bias_hh_l0
        for a in a_x:
            i, f, g, o = (a + h @ self.cell.weight_hh_l0.T).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c
        return h


MODELS = {
    "LSTM": lambda generator: Standard(True),
    "LSTM without the output tanh": lambda generator: Standard(False),
    "article, literal, state = cell": lambda generator: Article(article.literal_step_a, generator),
    "article, literal, state = output": lambda generator: Article(article.literal_step_b, generator),
    "article, charitable": lambda generator: Article(article.charitable_step, generator),
}


def batch(T, B, rng):
    return (torch.from_numpy(array) for array in adding(T, B, rng))


def train(make, T, steps, seed):
    torch.manual_seed(seed)
    model, head = make(torch.Generator().manual_seed(seed)), torch.nn.Linear(HIDDEN, 1)
    parameters = [*model.parameters(), *head.parameters()]
    optimiser, rng = torch.optim.Adam(parameters, lr=1e-2), np.random.default_rng(seed)
    for _ in range(steps):
        x, y = batch(T, BATCH, rng)
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(head(model(x)), y).backward()
        torch.nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], 1.0)
        optimiser.step()
    x, y = batch(T, FRESH, np.random.default_rng(10**6))
    with torch.no_grad():
        return float(torch.nn.functional.mse_loss(head(model(x)), y))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds for each model (3)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training (1500)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT, help="where the JSON goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for T in (30, 60):
        for name, make in MODELS.items():
            errors = [train(make, T, arguments.steps, seed) for seed in range(arguments.seeds)]
            rows.append(dict(name=name, T=T, test=[round(error, 5) for error in errors]))
            print(f"T={T:3} {name:34}", *(f"{error:.5f}" for error in errors), flush=True)
    arguments.output.parent.mkdir(exist_ok=True)
    record = dict(
        command="python benchmarks/article_lstm.py", steps=arguments.steps, rows=rows, machine=describe()
    )
    arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
