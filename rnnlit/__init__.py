"""Recurrent networks, twice: NumPy written to be read, and torch modules for work.

`rnnlit.rnn`, `rnnlit.lstm`, `rnnlit.gru` and their variants hold the mathematics with
backward passes derived by hand, and modules `*_torch` the same formulas in torch;
`rnnlit.nn` holds drop-in replacements for `torch.nn.RNN`, `torch.nn.LSTM` and
`torch.nn.GRU`; `rnnlit.tools` checks, trains, and moves weights. The chapters of the
book import this package and show its source.
"""

__version__ = "0.1.0"
