"""The plain cell: worked by hand, and what its gradient must do. (What cells share: test_cells.py.)"""

import numpy as np
import pytest

from rnnlit import rnn
from rnnlit.tasks import data, reader
from rnnlit.tools import layers, optim, train
from tests.tolerances import TOLERANCE


def scalar_cell(w, u):
    return rnn.Params(np.array([[w]]), np.array([[u]]), np.zeros(1), np.zeros(1))


def test_step_worked_by_hand():
    params = rnn.Params(
        np.array([[1.0, 0.0], [0.0, -1.0]]),
        np.array([[0.0, 1.0], [0.5, 0.0]]),
        np.array([0.1, 0.0]),
        np.array([0.0, 0.2]),
    )
    h = rnn.step(params, np.array([[0.8, 0.7]]), np.array([[0.2, -0.4]]))
    np.testing.assert_allclose(h, np.tanh([[0.8 + 0.1 - 0.4, -0.7 + 0.2 + 0.1]]), rtol=1e-12)


def draw(I=3, H=4):
    return rnn.init(I, H, rng=np.random.default_rng(0), dtype=np.float64)


def test_one_layer_of_36_numbers_reads_any_length():
    params = draw()
    assert sum(a.size for a in params) == 36
    for T in (5, 500):
        assert rnn.forward(params, np.zeros((T, 2, 3))).h.shape == (T, 2, 4)


def test_the_order_of_the_inputs_counts():
    """Dog bites man, man bites dog: the same words, hence the same mean, and another last state."""
    sentence = np.eye(3)[:, None]
    ends = [rnn.forward(draw(), words).h_n for words in (sentence, sentence[::-1])]
    np.testing.assert_allclose(sentence.mean(axis=0), sentence[::-1].mean(axis=0))
    assert np.abs(ends[0] - ends[1]).max() > 0.01


def test_without_the_feedback_only_the_last_input_counts():
    x = np.random.default_rng(1).standard_normal((20, 2, 3))
    mixed = np.concatenate([x[:-1][::-1], x[-1:]])
    deaf = draw()._replace(weight_hh=np.zeros((4, 4)))
    np.testing.assert_array_equal(rnn.forward(deaf, x).h_n, rnn.forward(deaf, mixed).h_n)
    assert np.abs(rnn.forward(draw(), x).h_n - rnn.forward(draw(), mixed).h_n).max() > 1e-3


def test_it_tells_nine_speakers_apart():
    """As benchmarks/rnn_vowels.py, one seed of its ten, which reach 94.5 ± 0.5 %."""
    train_set, test_set = data.standardise(*data.japanese_vowels())
    rng = np.random.default_rng(0)
    model = reader.Reader(rnn, 12, 64, 9, rng=rng, pool="mean", loss=layers.softmax_cross_entropy)
    update = reader.make_step(model, optim.Adam(model.params, lr=4e-3))
    train.fit(update, reader.Passes(train_set, 27, rng, 0.5), steps=250, progress=False)
    assert (model(test_set.x, test_set.lengths).argmax(axis=1) == test_set.speaker).mean() > 0.9


def test_gradient_over_a_lag_is_the_product_of_slopes_and_weights():
    params, T = scalar_cell(1.0, 0.9), 6
    x = np.linspace(-1, 1, T).reshape(T, 1, 1)
    run = rnn.forward(params, x)
    grads = rnn.backward(params, run, dh_n=np.ones((1, 1)))
    slopes = 1 - run.h[:, 0, 0] ** 2
    for k in range(T):
        np.testing.assert_allclose(grads.x[k, 0, 0], 0.9 ** (T - 1 - k) * np.prod(slopes[k:]), rtol=1e-12)


def test_gradient_stays_under_its_bound():
    """|d(v . h_T) / d h_{T-k}| <= (sigma_max(W_hh) max slope)^k for |v| = 1, with slopes of these k steps."""
    T, B, I, H = 9, 2, 3, 4
    for seed in range(5):
        rng = np.random.default_rng(seed)
        params = rnn.init(I, H, rng=rng, dtype=np.float64, gain=3.0)
        x, v = rng.standard_normal((T, B, I)), rng.standard_normal((B, H))
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        run = rnn.forward(params, x)
        largest = np.linalg.norm(params.weight_hh, 2)
        for k in range(1, T):
            part = rnn.forward(params, x[T - k :], run.h[T - k - 1])
            norms = np.linalg.norm(rnn.backward(params, part, dh_n=v).h0, axis=1)
            slopes = (1 - run.h[T - k :] ** 2).max(axis=(0, 2))
            assert (norms <= (largest * slopes) ** k * (1 + 1e-12)).all()


@pytest.mark.parametrize("gain", [1.0, 1.7])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_orthogonal_weights_have_one_singular_value(gain, dtype):
    params = rnn.init(3, 16, rng=np.random.default_rng(0), dtype=dtype, recurrent="orthogonal", gain=gain)
    assert params.weight_hh.dtype == dtype
    np.testing.assert_allclose(np.linalg.svd(params.weight_hh)[1], gain, **TOLERANCE[dtype])
    np.testing.assert_allclose(
        params.weight_hh.T @ params.weight_hh, gain**2 * np.eye(16), rtol=1e-5, atol=1e-5
    )


def test_orthogonal_weights_are_even_on_the_group():
    """Means over many draws: each entry 0, its square 1/H. With the signs of a plain QR the first fails."""
    rng = np.random.default_rng(0)
    draws = np.stack(
        [rnn.init(2, 3, rng=rng, dtype=np.float64, recurrent="orthogonal").weight_hh for _ in range(4000)]
    )
    assert np.abs(draws.mean(axis=0)).max() < 0.05  # standard error 0.009
    assert np.abs((draws**2).mean(axis=0) - 1 / 3).max() < 0.03  # standard error 0.005


def test_gain_multiplies_the_recurrent_weights_alone():
    one, two = (rnn.init(3, 4, rng=np.random.default_rng(1), gain=g) for g in (1.0, 2.0))
    np.testing.assert_array_equal(two.weight_hh, 2 * one.weight_hh)
    np.testing.assert_array_equal(two.weight_ih, one.weight_ih)


def test_uniform_draw_is_the_one_of_old():
    k, rng = 4**-0.5, np.random.default_rng(5)
    weight_ih, weight_hh = (rng.uniform(-k, k, (4, n)).astype(np.float32) for n in (3, 4))
    params = rnn.init(3, 4, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(params.weight_ih, weight_ih)
    np.testing.assert_array_equal(params.weight_hh, weight_hh)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recurrent": "identity"}, "recurrent: expected 'uniform' or 'orthogonal', got 'identity'"),
        ({"gain": 0}, "gain: expected a finite number above 0, got 0"),
        ({"gain": float("nan")}, "gain: expected a finite number above 0, got nan"),
    ],
)
def test_bad_initialisation_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rnn.init(3, 4, rng=np.random.default_rng(0), **options)
