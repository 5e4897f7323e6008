"""The LSTM and its ancestors: closed forms, hand-worked cases. (What cells share: test_cells.py.)"""

import numpy as np
import pytest

from rnnlit import lstm, lstm_1997, lstm_peephole
from rnnlit.tools.functions import sigmoid
from tests.tolerances import TOLERANCE

EXACT = TOLERANCE[np.float64]


def constant_gates(i=0.0, f=0.0, g=0.0, o=0.0, H=2, I=3):
    """A cell whose gates do not depend on anything: zero weights, pre-activations in the bias."""
    bias = np.repeat([i, f, g, o], H).astype(float)
    return lstm.Params(np.zeros((4 * H, I)), np.zeros((4 * H, H)), bias, np.zeros(4 * H))


def test_step_worked_by_hand():
    """One unit, one input: a_i = 0, a_f = ln 3, a_g = x, a_o = 0, so that i = 1/2, f = 3/4, o = 1/2."""
    params = lstm.Params(
        np.array([[0.0], [0.0], [1.0], [0.0]]), np.zeros((4, 1)), np.array([0, np.log(3), 0, 0]), np.zeros(4)
    )
    h, c = lstm.step(params, np.array([[0.5]]), np.array([[0.2]]), np.array([[2.0]]))
    np.testing.assert_allclose(c, [[0.75 * 2 + 0.5 * np.tanh(0.5)]], **EXACT)
    np.testing.assert_allclose(h, [[0.5 * np.tanh(c[0, 0])]], **EXACT)


def test_one_step_back_worked_by_hand():
    """The cell from above, loss h: dc = o (1 - tanh(c)^2), and from it each block and what goes on."""
    params = lstm.Params(
        np.array([[0.0], [0.0], [1.0], [0.0]]),
        np.array([[0.0], [0.0], [2.0], [0.0]]),
        np.array([0, np.log(3), -0.4, 0]),
        np.zeros(4),
    )
    run = lstm.forward(params, np.array([[[0.5]]]), np.array([[0.2]]), np.array([[2.0]]))
    grads = lstm.backward(params, run, dh=np.ones((1, 1, 1)))
    g, tanh_c = np.tanh(0.5), np.tanh(0.75 * 2 + 0.5 * np.tanh(0.5))
    dc = 0.5 * (1 - tanh_c**2)
    da = [dc * g / 4, dc * 2 * 0.75 * 0.25, dc * 0.5 * (1 - g**2), tanh_c / 4]
    np.testing.assert_allclose(grads.params.bias_ih, da, **EXACT)
    np.testing.assert_allclose(grads.c0, [[0.75 * dc]], **EXACT)
    np.testing.assert_allclose(grads.h0, [[2 * da[2]]], **EXACT)
    np.testing.assert_allclose(grads.params.weight_hh[:, 0], 0.2 * np.array(da), **EXACT)


def test_each_gate_has_its_own_rows_in_the_order_i_f_g_o():
    H, I = 2, 3
    for k, name in enumerate("ifgo"):
        a = np.full(4, 0.3)
        a[k] = 2.0
        run = lstm.forward(constant_gates(*a, H=H, I=I), np.zeros((1, 1, I)))
        want = np.tanh(2.0) if name == "g" else sigmoid(np.array(2.0))
        np.testing.assert_allclose(run.gates[0, 0, k * H : (k + 1) * H], want, **EXACT)


def test_forgetting_is_geometric():
    """With f constant and i = 0 the cell decays as f^t."""
    params, T = constant_gates(i=-1e9, f=1.0), 7
    c0 = np.array([[1.5, -2.0]])
    run = lstm.forward(params, np.ones((T, 1, 3)), c0=c0)
    f = sigmoid(np.array(1.0))
    np.testing.assert_allclose(run.c[:, 0], c0 * f ** np.arange(1, T + 1)[:, None], **EXACT)


def test_gradient_along_the_cell_is_the_product_of_the_forget_gates():
    """With W_hh = 0 the only way back is the cell: dc_T/dc_0 = prod_t f_t (errata L2)."""
    rng = np.random.default_rng(0)
    params = lstm.init(3, 4, rng=rng, dtype=np.float64)._replace(weight_hh=np.zeros((16, 4)))
    run = lstm.forward(params, rng.standard_normal((6, 2, 3)))
    grads = lstm.backward(params, run, dc_n=np.ones((2, 4)))
    np.testing.assert_allclose(grads.c0, np.prod(run.gates[:, :, 4:8], axis=0), **EXACT)


def test_forget_bias_is_the_effective_bias():
    for bias in (1.0, -2.0, 0.0):
        params = lstm.init(3, 4, rng=np.random.default_rng(0), forget_bias=bias)
        np.testing.assert_array_equal((params.bias_ih + params.bias_hh)[4:8], bias)
        assert not np.delete(params.bias_ih + params.bias_hh, np.s_[4:8]).any()


def test_chrono_initialisation_spreads_the_time_scales():
    """1/(1-f) = 1 + e^b is U(2, T_max) when b = log U(1, T_max - 1) (Tallec & Ollivier 2018)."""
    T_max, H, seeds = 50, 60, 65  # many small cells, for a large one has a large W_hh too
    rngs = map(np.random.default_rng, range(seeds))
    cells = [lstm.init(2, H, rng=rng, dtype=np.float64, chrono=T_max) for rng in rngs]
    i, f, g, o = np.stack([params.bias_ih.reshape(4, H) for params in cells], axis=1)
    time_scales = 1 / (1 - sigmoid(f))
    assert 2 <= time_scales.min() < 2.5 and T_max - 0.5 < time_scales.max() <= T_max
    assert abs(time_scales.mean() - (2 + T_max) / 2) < 4 * (T_max - 2) / np.sqrt(12 * H * seeds)
    np.testing.assert_array_equal(i, -f)
    assert not g.any() and not o.any()
    with pytest.raises(ValueError, match="chrono: expected a lag of more than 2 steps, got 2"):
        lstm.init(2, 3, rng=np.random.default_rng(0), chrono=2)


def test_1997_without_forgetting_the_cell_adds_up():
    """Constant gates: c_t = t i g, and dL/dc_0 is dL/dc_T untouched, the constant error carousel."""
    H, I, T = 2, 3, 9
    bias = np.repeat([0.4, -0.7, 0.2], H)
    params = lstm_1997.Params(np.zeros((3 * H, I)), np.zeros((3 * H, H)), bias, np.zeros(3 * H))
    run = lstm_1997.forward(params, np.zeros((T, 1, I)))
    added = sigmoid(np.array(0.4)) * (4 * sigmoid(np.array(-0.7)) - 2)
    np.testing.assert_allclose(run.c[:, 0, 0], added * np.arange(1, T + 1), **EXACT)
    np.testing.assert_allclose(
        run.h[-1, 0, 0], sigmoid(np.array(0.2)) * (2 * sigmoid(np.array(added * T)) - 1), **EXACT
    )
    dc_n = np.array([[0.3, -1.1]])
    np.testing.assert_array_equal(lstm_1997.backward(params, run, dc_n=dc_n).c0, dc_n)


def test_1997_input_bias_closes_the_input_gate():
    params = lstm_1997.init(2, 2, rng=np.random.default_rng(0), input_bias=np.array([-3.0, -6.0]))
    np.testing.assert_array_equal(params.bias_ih, np.array([-3, -6, 0, 0, 0, 0], np.float32))


def test_peepholes_of_zero_give_the_plain_lstm():
    rng = np.random.default_rng(0)
    plain = lstm.init(3, 4, rng=rng, dtype=np.float64)
    x, h0, c0 = rng.standard_normal((5, 2, 3)), rng.standard_normal((2, 4)), rng.standard_normal((2, 4))
    a = lstm.forward(plain, x, h0, c0)
    b = lstm_peephole.forward(lstm_peephole.Params(*plain, *np.zeros((3, 4))), x, h0, c0)
    np.testing.assert_allclose(b.h, a.h, **EXACT)
    np.testing.assert_allclose(b.gates, a.gates, **EXACT)


def test_peepholes_look_at_the_old_cell_and_the_output_gate_at_the_new():
    """Zero weights: i = sigma(w_ci c), f = sigma(w_cf c), o = sigma(w_co c')."""
    H, I = 2, 3
    peepholes = np.array([[0.5, -1.0], [2.0, 0.3], [-0.4, 1.2]])
    params = lstm_peephole.Params(*constant_gates(g=0.6, H=H, I=I), *peepholes)
    c = np.array([[1.5, -0.8]])
    h_new, c_new = lstm_peephole.step(params, np.zeros((1, I)), np.zeros((1, H)), c)
    want = sigmoid(peepholes[1] * c) * c + sigmoid(peepholes[0] * c) * np.tanh(0.6)
    np.testing.assert_allclose(c_new, want, **EXACT)
    np.testing.assert_allclose(h_new, sigmoid(peepholes[2] * want) * np.tanh(want), **EXACT)


def test_large_pre_activations_do_not_overflow():
    params = constant_gates(i=1e4, f=-1e4, g=1e4, o=-1e4)
    run = lstm.forward(params, np.zeros((4, 1, 3)))
    grads = lstm.backward(params, run, dh=np.ones_like(run.h))
    assert all(np.isfinite(a).all() for a in (run.h, run.c, *grads.params))
