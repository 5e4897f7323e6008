"""From one sequence to another: an encoder and a decoder with attention, and beam search."""

import numpy as np
import torch

from rnnlit.nn import EncoderDecoder
from rnnlit.tasks.translation import ENGLISH, FRENCH, sentences
from rnnlit.tools.train import fit
from rnnlit.tools.train_torch import TorchState, make_step

torch.manual_seed(0)
model = EncoderDecoder(len(FRENCH), len(ENGLISH), 32, 64, attention="additive")
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
history = fit(
    make_step(model, optimizer, lambda model, pairs: model.loss(*pairs)),
    lambda rng: sentences(int(rng.integers(2, 9)), 64, rng),
    steps=300,
    every=100,
    state=TorchState(model, optimizer),
    rng=np.random.default_rng(0),
)
print("   ".join(f"step {row['step']}: loss {row['loss']:.2f}" for row in history.rows))

french = ["chat", "noir", "train", "bleu", "pont"]
source = np.array(FRENCH.encode(french))[:, None]  # (S, B) with one sentence
best, second = model.n_best(source, n=2, max_length=12, beam=4)[0]
print(" ".join(french))
for found in (best, second):
    print(f"   {' '.join(ENGLISH.decode(found.tokens))}   log p {found.log_probability:.1f}")

written = np.array(ENGLISH.encode(ENGLISH.decode(best.tokens)))[:, None]
weights = model.align(source, None, written)[:-1, 0]  # one row for each word that was written
for word, row in zip(ENGLISH.decode(best.tokens), weights, strict=True):
    print(f"   {word:8} looked most at {french[int(row.argmax())]} ({100 * row.max():.0f} %)")
