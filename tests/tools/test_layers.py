"""Layers around a cell against torch.nn.functional and central differences."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rnnlit.tools import layers
from rnnlit.tools.gradcheck import central_differences
from tests.tolerances import DIFFERENCES, TOLERANCE

T, B, I, O, H, K = 5, 2, 3, 4, 6, 7
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


@DTYPES
@pytest.mark.parametrize("leading", [(), (B,), (T, B)])
def test_affine_matches_torch(leading, dtype):
    params = layers.Params(draw(O, I, dtype=dtype), draw(O, dtype=dtype))
    x, dy = draw(*leading, I, dtype=dtype), draw(*leading, O, dtype=dtype)
    twins = [torch.tensor(a).requires_grad_() for a in (x, *params)]
    y = F.linear(*twins)
    y.backward(torch.tensor(dy))
    grads = layers.affine_backward(params, x, dy)
    for ours, theirs in [(layers.affine(params, x), y.detach())] + [
        (g, twin.grad) for g, twin in zip((grads.x, *grads.params), twins, strict=True)
    ]:
        assert ours.dtype == dtype and ours.shape == tuple(theirs.shape)
        np.testing.assert_allclose(ours, theirs.numpy(), **TOLERANCE[dtype])


def test_affine_backward_matches_central_differences():
    params, x, dy = layers.Params(draw(O, I), draw(O)), draw(T, B, I), draw(T, B, O)
    numeric = central_differences(lambda: float((layers.affine(params, x) * dy).sum()), (*params, x))
    grads = layers.affine_backward(params, x, dy)
    for ours, expected in zip((*grads.params, grads.x), numeric, strict=True):
        np.testing.assert_allclose(ours, expected, **DIFFERENCES)


def test_init_draws_from_torchs_range():
    params = layers.init(400, 300, rng=np.random.default_rng(0))
    assert params.weight.shape == (300, 400) and params.bias.shape == (300,)
    assert params.weight.dtype == params.bias.dtype == np.float32
    assert layers.init(3, 4, rng=np.random.default_rng(0), dtype=np.float64).bias.dtype == np.float64
    theirs = torch.nn.Linear(400, 300)
    for ours, twin in zip(params, theirs.parameters(), strict=True):
        assert np.abs(ours).max() <= 0.05 and np.abs(ours).max() > 0.049
        assert twin.abs().max() <= 0.05 + 1e-6
        np.testing.assert_allclose(ours.std(), 0.05 / np.sqrt(3), rtol=0.1)


@DTYPES
@pytest.mark.parametrize("lengths", [None, [5, 3], [2, 4]])
def test_mean_pool_is_the_mean_of_each_sequence(lengths, dtype):
    h = draw(T, B, H, dtype=dtype)
    own = lengths or [T] * B
    for b, length in enumerate(own):
        h[length:, b] = np.nan  # the padding must not count
    pooled = layers.mean_pool(h, None if lengths is None else np.array(lengths))
    assert pooled.dtype == dtype
    expected = np.stack([np.mean(h[:length, b], axis=0) for b, length in enumerate(own)])
    np.testing.assert_allclose(pooled, expected, **TOLERANCE[dtype])


@pytest.mark.parametrize("lengths", [None, np.array([5, 3]), np.array([2, 4])])
def test_mean_pool_backward_matches_central_differences(lengths):
    h, dy = draw(T, B, H), draw(B, H)
    numeric = central_differences(lambda: float((layers.mean_pool(h, lengths) * dy).sum()), h)
    ours = layers.mean_pool_backward(dy, T, lengths)
    np.testing.assert_allclose(ours, numeric, **DIFFERENCES)
    if lengths is not None:
        assert all((ours[length:, b] == 0).all() for b, length in enumerate(lengths))
    assert layers.mean_pool_backward(dy.astype(np.float32), T, lengths).dtype == np.float32


@DTYPES
@pytest.mark.parametrize("leading", [(B,), (T, B)])
def test_cross_entropy_matches_torch(leading, dtype):
    logits = 5 * draw(*leading, K, dtype=dtype)
    labels = np.random.default_rng(1).integers(0, K, leading)
    twin = torch.tensor(logits).requires_grad_()
    expected = F.cross_entropy(twin.reshape(-1, K), torch.tensor(labels).reshape(-1))
    expected.backward()
    loss, dlogits = layers.softmax_cross_entropy(logits, labels)
    assert type(loss) is float and dlogits.dtype == dtype
    np.testing.assert_allclose(loss, expected.item(), **TOLERANCE[dtype])
    np.testing.assert_allclose(dlogits, twin.grad.numpy(), **TOLERANCE[dtype])


def test_cross_entropy_gradient_matches_central_differences():
    logits, labels = draw(T, B, K), np.random.default_rng(1).integers(0, K, (T, B))
    numeric = central_differences(lambda: layers.softmax_cross_entropy(logits, labels)[0], logits)
    np.testing.assert_allclose(layers.softmax_cross_entropy(logits, labels)[1], numeric, **DIFFERENCES)


@DTYPES
def test_cross_entropy_of_huge_logits_is_exact(dtype):
    """Row 0 is right by 2e4 nats: loss 0. Row 1 is wrong by as much: half of 2e4 in the mean."""
    logits = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0]], dtype)
    loss, dlogits = layers.softmax_cross_entropy(logits, np.array([0, 1]))
    assert loss == 1e4
    np.testing.assert_array_equal(dlogits, np.array([[0, 0, 0], [0.5, -0.5, 0]]))


@DTYPES
def test_squared_error_matches_torch_and_central_differences(dtype):
    prediction, target = draw(T, B, O, dtype=dtype), draw(T, B, O, dtype=dtype, seed=1)
    twin = torch.tensor(prediction).requires_grad_()
    expected = F.mse_loss(twin, torch.tensor(target))
    expected.backward()
    loss, dprediction = layers.mean_squared_error(prediction, target)
    assert type(loss) is float and dprediction.dtype == dtype
    np.testing.assert_allclose(loss, expected.item(), **TOLERANCE[dtype])
    np.testing.assert_allclose(dprediction, twin.grad.numpy(), **TOLERANCE[dtype])
    if dtype is np.float64:
        numeric = central_differences(lambda: layers.mean_squared_error(prediction, target)[0], prediction)
        np.testing.assert_allclose(dprediction, numeric, **DIFFERENCES)


def test_errors_at_the_door():
    params, x = layers.Params(draw(O, I), draw(O)), draw(B, I)
    logits = draw(B, K)
    cases = [
        (ValueError, r"x: expected shape \(2, 3\), got \(2, 4\)", lambda: layers.affine(params, draw(B, 4))),
        (TypeError, "x: expected float64", lambda: layers.affine(params, x.astype(np.float32))),
        (TypeError, "x: expected a NumPy array", lambda: layers.affine(params, x.tolist())),
        (ValueError, r"x: .* something in it", lambda: layers.affine(params, np.zeros((0, I)))),
        (ValueError, r"dy: expected shape \(2, 4\)", lambda: layers.affine_backward(params, x, draw(T, O))),
        (
            ValueError,
            "input_size: expected a positive",
            lambda: layers.init(0, 3, rng=np.random.default_rng()),
        ),
        (ValueError, r"h: expected shape \(T, B, H\)", lambda: layers.mean_pool(draw(T, H))),
        (ValueError, "1 <= length <= T = 5, got 3 to 6", lambda: layers.mean_pool(draw(T, B, H), [3, 6])),
        (ValueError, r"dy: expected shape \(B, H\)", lambda: layers.mean_pool_backward(draw(T, B, H), T)),
        (TypeError, "labels: expected integers", lambda: layers.softmax_cross_entropy(logits, [0.0, 1.0])),
        (
            ValueError,
            "0 <= label < K = 7, got -1 to 3",
            lambda: layers.softmax_cross_entropy(logits, [-1, 3]),
        ),
        (ValueError, "0 <= label < K = 7, got 0 to 7", lambda: layers.softmax_cross_entropy(logits, [0, 7])),
        (ValueError, "logits: expected shape", lambda: layers.softmax_cross_entropy(logits, [0, 1, 2])),
        (ValueError, "logits: ", lambda: layers.softmax_cross_entropy(np.ones(()), [0])),
        (ValueError, r"target: expected shape \(2, 3\)", lambda: layers.mean_squared_error(x, draw(B, 4))),
        (TypeError, "target: expected float64", lambda: layers.mean_squared_error(x, x.astype(np.float32))),
    ]
    for kind, message, call in cases:
        with pytest.raises(kind, match=message):
            call()
