"""How far the plain cell's gradient reaches. Oracles: closed forms, the recursion by hand, fixed points."""

import numpy as np
import pytest

from rnnlit import rnn
from rnnlit.tools import optim, probes
from rnnlit.tools.truncated import truncated_gradients

T, B, I, H = 61, 5, 2, 32


def draw(**options):
    return rnn.init(I, H, rng=np.random.default_rng(1), dtype=np.float64, **options)


def directions(batch=B, units=H):
    v = np.random.default_rng(0).standard_normal((batch, units))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def left(params, x, lags):
    """What is left of a message of length 1, by the recursion of the page: g <- W^T (g (1 - h²))."""
    h, g, norms = rnn.forward(params, x).h, directions(), []
    for k in range(1, max(lags) + 1):
        g = (g * (1 - h[-k] ** 2)) @ params.weight_hh
        norms.append(np.linalg.norm(g, axis=1))
    return np.exp(np.log(norms).mean(axis=1))[np.array(lags) - 1]


# ---------------------------------------------------------------- vanishing and exploding


@pytest.mark.parametrize("w", [0.5, 0.9, 1.0, 1.1])
def test_one_unit_near_zero_multiplies_by_its_weight(w):
    unit = rnn.Params(np.ones((1, 1)), np.array([[w]]), np.zeros(1), np.zeros(1))
    grads = rnn.backward(unit, rnn.forward(unit, np.zeros((50, 1, 1))), dh_n=np.ones((1, 1)))
    np.testing.assert_allclose(grads.h0.item(), w**50, rtol=1e-12)


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_recursion_of_the_page_is_the_package_s_backward(gain):
    params, lags = draw(gain=gain), [1, 7, 40]
    x = np.random.default_rng(2).standard_normal((T, B, I))
    np.testing.assert_allclose(
        left(params, x, lags), probes.gradient_over_lag(rnn, params, x, directions(), lags), rtol=1e-9
    )


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_product_of_jacobians_is_the_derivative_of_the_last_state(gain):
    params, k, eps = draw(gain=gain), 6, 1e-6
    x = np.random.default_rng(3).standard_normal((k, 1, I))
    h0 = 0.1 * directions(1)
    J = np.eye(H)
    for h in rnn.forward(params, x, h0).h[:, 0]:
        J = np.diag(1 - h**2) @ params.weight_hh @ J
    columns = [
        (rnn.forward(params, x, h0 + eps * e).h_n - rnn.forward(params, x, h0 - eps * e).h_n)[0] / (2 * eps)
        for e in np.eye(H)
    ]
    np.testing.assert_allclose(J, np.stack(columns, axis=1), atol=1e-6 * np.abs(J).max())


def test_quiet_network_vanishes_stays_or_explodes_as_its_spectral_radius_says():
    noise = np.random.default_rng(0).standard_normal((T, B, I))
    for gain, low, high in ((1, 0, 1e-9), (3**0.5, 0.01, 100), (3, 1e9, np.inf)):
        params = draw(gain=gain)
        (quiet,), (noisy,) = (left(params, x, [50]) for x in (0 * noise, noise))
        assert low < quiet < high and noisy < quiet
        radius = np.abs(np.linalg.eigvals(params.weight_hh)).max()
        assert 0.5 < quiet ** (1 / 50) / radius < 1.2


def test_eigenvalues_fill_a_disk_of_radius_one_over_root_three():
    weights = rnn.init(2, 500, rng=np.random.default_rng(0), dtype=np.float64).weight_hh
    sizes = np.abs(np.linalg.eigvals(weights))
    assert abs(sizes.max() * 3**0.5 - 1) < 0.06
    assert abs((sizes < 3**-0.5 / 2).mean() - 1 / 4) < 0.05  # a quarter of the disk's area


def test_powers_of_the_matrix_that_first_stretches():
    W = np.array([[0.5, 2.0], [0.0, 0.5]])
    norms = {k: np.linalg.norm(np.linalg.matrix_power(W, k), 2) for k in (1, 10, 100)}
    assert norms[1] > 2 and norms[10] < 0.04
    assert norms[100] ** (1 / 100) == pytest.approx(0.53, abs=0.005)


def test_orthogonal_network_keeps_the_length_when_quiet_and_noise_takes_it_by_the_slopes():
    params, noise = draw(recurrent="orthogonal"), np.random.default_rng(0).standard_normal((120, B, I))
    np.testing.assert_allclose(left(params, 0 * noise, [1, 50, 100]), 1, rtol=1e-12)
    rest = {sd: left(params, sd * noise, [100])[0] for sd in (0.1, 1.0)}
    assert rest[0.1] > 0.1 > 1e-3 > rest[1.0]
    uniform = left(draw(), 0.1 * noise, [100])[0]
    assert uniform < 1e-18 < rest[0.1]
    for sd, value in rest.items():  # the mean slope to the hundredth power has about its size
        slope = (1 - rnn.forward(params, sd * noise).h ** 2).mean()
        assert 0.7 < np.log(value) / (100 * np.log(slope)) < 1.3


# ---------------------------------------------------------------- the cliff


def walk(limit, steps=300):
    """Descent on one unit that is to be at 0.7 after 50 steps: loss and gradient norm before each step."""
    w, b = np.array([[1.4]]), np.array([-0.3])
    unit = rnn.Params(np.zeros((1, 1)), w, b, np.zeros(1))
    sgd, losses, norms = optim.SGD((w, b), lr=0.02), [], []
    for _ in range(steps):
        run = rnn.forward(unit, np.zeros((50, 1, 1)), np.full((1, 1), 0.5))
        grads = rnn.backward(unit, run, dh_n=2 * (run.h_n - 0.7)).params
        clipped, norm = optim.clip_by_norm((grads.weight_hh, grads.bias_ih), limit)
        losses.append((run.h_n.item() - 0.7) ** 2)
        norms.append(norm)
        sgd.step(clipped)
    return np.array(losses), np.array(norms)


def test_one_step_off_the_cliff_is_stuck_at_a_low_loss():
    losses, norms = walk(1e9)
    edge = int(norms.argmax())
    assert norms[edge - 1] < 3 and norms[edge] > 300
    assert losses[edge] > 1.5
    np.testing.assert_allclose(losses[edge + 1 :], 0.09, rtol=1e-5)  # tanh is 1, and (1 - 0.7)² = 0.09
    assert norms[edge + 1 :].max() < 1e-6


def test_clipped_walk_reaches_the_valley():
    losses, norms = walk(1.0)
    assert norms.max() > 300 and losses[-1] < 1e-12


def ends(w, b, steps):
    h = 0.5
    for _ in range(steps):
        h = np.tanh(w * h + b)
    return h


def test_the_cliff_is_where_the_high_fixed_point_ends():
    """For w < 4/3; above, where the repelling fixed point passes the start."""
    for w, fixed in ((1.2, (1 - 1 / 1.2) ** 0.5), (1.6, 0.5)):
        b = np.arctanh(fixed) - w * fixed
        assert ends(w, b + 1e-3, 5000) > fixed > 0 > ends(w, b - 1e-3, 5000)
    assert 1.2 * (1 - 0.5**2) < 1 < 1.6 * (1 - 0.5**2)  # the slope at 0.5: attracting, repelling


# ---------------------------------------------------------------- windows


def test_what_a_window_misses_depends_on_how_far_the_gradient_reaches():
    rng = np.random.default_rng(3)
    x, dh = 0.3 * rng.standard_normal((60, 8, I)), rng.standard_normal((60, 8, H))
    missing = {}
    for start in ("uniform", "orthogonal"):
        params = draw(recurrent=start)
        whole = rnn.backward(params, rnn.forward(params, x), dh=dh).params.weight_hh
        for window in (1, 20, 60, 100):
            part = truncated_gradients(rnn, params, x, dh, window)[1].weight_hh
            missing[start, window] = np.linalg.norm(part - whole) / np.linalg.norm(whole)
    assert missing["uniform", 60] == missing["orthogonal", 60] == missing["orthogonal", 100] == 0
    assert missing["uniform", 20] < 0.25 < missing["orthogonal", 20]
    assert missing["uniform", 1] > 0.5
