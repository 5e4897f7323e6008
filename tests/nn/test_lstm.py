"""`rnnlit.nn.LSTM`: what is its own; the rest is in test_nn.py and test_variants.py."""

import numpy as np
import torch

from rnnlit import lstm_torch
from rnnlit.nn import LSTM
from rnnlit.nn.lstm import States
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
EXACT = TOLERANCE[np.float64]


def test_layer_is_the_twin():
    """Output, last states and all states of a padded batch, without and with states to start from."""
    torch.manual_seed(0)
    layer, lengths = LSTM(I, H, dtype=torch.float64), [3, 5]
    x = torch.randn(T, B, I, dtype=torch.float64)
    h0, c0 = (torch.randn(1, B, H, dtype=torch.float64) for _ in range(2))
    for hx, start in ((None, (None, None)), ((h0, c0), (h0[0], c0[0]))):
        output, (h_n, c_n), states = layer(x, hx, lengths=lengths, return_all_states=True)
        run = lstm_torch.forward(layer.all_weights[0], x, *start, lengths)
        assert isinstance(states, States)
        for got, want in ((output, run.h), (h_n[0], run.h_n), (c_n[0], run.c_n), (states.c[0], run.c)):
            torch.testing.assert_close(got, want, **EXACT)
