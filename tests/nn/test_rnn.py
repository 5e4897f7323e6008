"""`rnnlit.nn.RNN`: what is its own; the rest is in test_nn.py and test_variants.py."""

import numpy as np
import torch

from rnnlit import rnn_torch
from rnnlit.nn import RNN
from rnnlit.nn.rnn import States
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
EXACT = TOLERANCE[np.float64]


def test_layer_is_the_twin():
    """Output, last state and all states of a padded batch, without and with a state to start from."""
    torch.manual_seed(0)
    layer, lengths = RNN(I, H, dtype=torch.float64), [3, 5]
    x, h0 = torch.randn(T, B, I, dtype=torch.float64), torch.randn(1, B, H, dtype=torch.float64)
    for hx, start in ((None, None), (h0, h0[0])):
        output, h_n, states = layer(x, hx, lengths=lengths, return_all_states=True)
        run = rnn_torch.forward(layer.all_weights[0], x, start, lengths)
        assert isinstance(states, States)
        torch.testing.assert_close(output, run.h, **EXACT)
        torch.testing.assert_close(h_n[0], run.h_n, **EXACT)
        torch.testing.assert_close(states.h[0], run.h, **EXACT)


def test_a_relu_cannot_grow_in_the_padding():
    """Weights of 4 double a state past the largest number within the padding; what comes out stays finite."""
    layer = RNN(I, H, nonlinearity="relu", dtype=torch.float64)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.fill_(4.0)
    output, h_n = layer(torch.ones(800, B, I, dtype=torch.float64), lengths=[2, 3])
    assert output.isfinite().all() and not output[3:].any()
    assert h_n[0, 0, 0] > 1 and h_n.isfinite().all()
    h_n.sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in layer.parameters())
