"""Random arguments of the exercises."""

import numpy as np

from rnnlit import gru, lstm_peephole
from rnnlit.exercises.check import SIZES
from rnnlit.exercises.draw import drawn_lengths, normal, reordered, shape, with_params

RNG = np.random.default_rng(0)


def test_letters_are_shapes():
    T, B, I, H = SIZES[0]
    assert shape("TBI", SIZES[0]) == (T, B, I)
    assert shape("", SIZES[0]) == ()
    x, h = normal("BI", "BH")(RNG, SIZES[0])
    assert (x.shape, h.shape, x.dtype) == ((B, I), (B, H), np.float64)


def test_params_of_a_cell_have_biases():
    T, B, I, H = SIZES[1]
    params, x = with_params(lstm_peephole.Params, 4, "TBI")(RNG, SIZES[1])
    assert [a.shape for a in params] == [(4 * H, I), (4 * H, H), (4 * H,), (4 * H,), (H,), (H,), (H,)]
    assert all(a.all() for a in params)
    assert x.shape == (T, B, I)


def test_blocks_in_another_order():
    (params,) = with_params(gru.Params, 3)(RNG, SIZES[2])
    turned = reordered(params, [2, 0, 1])
    H = SIZES[2].H
    assert (turned.weight_ih[:H] == params.weight_ih[2 * H :]).all()
    assert (turned.bias_hh[H:] == params.bias_hh[: 2 * H]).all()
    assert type(turned) is gru.Params


def test_lengths_are_of_a_padded_batch():
    for sizes in SIZES:
        lengths = drawn_lengths(RNG, sizes)
        assert lengths.shape == (sizes.B,) and lengths.min() >= 1 and lengths.max() <= sizes.T
        assert sizes.T == 1 or lengths.min() < sizes.T
