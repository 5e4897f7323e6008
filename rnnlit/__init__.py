"""Recurrent networks, twice: a NumPy reference written to be read, and torch modules for work.

`rnnlit.rnn`, `rnnlit.lstm` and their variants hold the mathematics with backward passes derived by
hand; `rnnlit.nn` holds drop-in replacements for `torch.nn.RNN` and `torch.nn.LSTM`; `rnnlit.tools`
holds what is no concept: gradient checks, training, figures, weights. The chapters of the book
import this package and show its source.
"""

__version__ = "0.1.0"
