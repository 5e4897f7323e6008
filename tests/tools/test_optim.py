"""Optimisers of the NumPy half against torch.optim and torch's clipping."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from rnnlit.tools.optim import SGD, Adam, clip_by_norm, named_arrays
from tests.tolerances import TOLERANCE


class Cell(NamedTuple):
    weight: np.ndarray
    bias: np.ndarray


def tree(dtype=np.float64, seed=0, scale=1.0):
    """A nested structure of every kind that is allowed; shapes all different."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (scale * rng.standard_normal(shape)).astype(dtype)

    return {"cell": Cell(draw(4, 3), draw(4)), "more": [draw(2, 5, 6), (draw(7),)]}


NAMES = ["cell.weight", "cell.bias", "more.0", "more.1.0"]
OPTIMIZERS = [
    (SGD, torch.optim.SGD, dict(lr=0.1)),
    (SGD, torch.optim.SGD, dict(lr=0.1, momentum=0.9)),
    (Adam, torch.optim.Adam, dict()),
    (Adam, torch.optim.Adam, dict(lr=0.05, betas=(0.7, 0.95), eps=1e-3, weight_decay=0.1)),
]


def test_names_are_dotted_paths():
    assert [*named_arrays(tree())] == NAMES


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ours, theirs, options", OPTIMIZERS)
def test_fifty_steps_match_torch(ours, theirs, options, dtype):
    params = tree(dtype)
    held = params["cell"].weight
    twins = [torch.tensor(p).requires_grad_() for p in named_arrays(params).values()]
    optimizer, reference = ours(params, **options), theirs(twins, **options)
    start = held.copy()
    for k in range(50):
        grads = tree(dtype, seed=k + 1, scale=10.0 ** (k % 5 - 3))
        kept = [g.copy() for g in named_arrays(grads).values()]
        for twin, g in zip(twins, kept, strict=True):
            twin.grad = torch.tensor(g)
        optimizer.step(grads)
        reference.step()
        for g, before in zip(named_arrays(grads).values(), kept, strict=True):
            np.testing.assert_array_equal(g, before)
    for name, p, twin in zip(NAMES, named_arrays(params).values(), twins, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p, twin.detach().numpy(), **TOLERANCE[dtype], err_msg=name)
    assert held is params["cell"].weight and not np.allclose(held, start)


@pytest.mark.parametrize("ours, theirs, options", OPTIMIZERS)
def test_learning_rate_may_change_on_the_way(ours, theirs, options):
    params = [np.array([0.5, -2.0, 3.0])]
    twin = torch.tensor(params[0]).requires_grad_()
    optimizer, reference = ours(params, **options), theirs([twin], **options)
    for lr in (0.3, 0.02):
        optimizer.lr = reference.param_groups[0]["lr"] = lr
        twin.grad = torch.tensor([1.0, -0.3, 2.0], dtype=torch.float64)
        optimizer.step([twin.grad.numpy()])
        reference.step()
    np.testing.assert_allclose(params[0], twin.detach().numpy(), **TOLERANCE[np.float64])


@pytest.mark.parametrize("ours", [SGD, Adam])
def test_state_moves_to_another_optimizer_and_goes_on_alike(ours):
    options = {"lr": 0.1} | ({"momentum": 0.9} if ours is SGD else {})
    a, b = tree(), tree(seed=9)
    first, second = ours(a, **options), ours(b, **options)
    for k in range(3):
        first.step(tree(seed=k))
    state = first.state_dict()
    second.load_state_dict(state)
    first.step(tree(seed=7))  # must not reach into the state that was taken before
    second.load_state_dict(state)
    second.step(tree(seed=7))
    for p, q in zip(named_arrays(a).values(), named_arrays(b).values(), strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 1e6])
def test_clipping_matches_torch(dtype, max_norm):
    grads = tree(dtype, scale=3.0)
    before = [g.copy() for g in named_arrays(grads).values()]
    twins = [torch.nn.Parameter(torch.zeros(g.shape)) for g in before]
    for twin, g in zip(twins, before, strict=True):
        twin.data = twin.data.to(torch.tensor(g).dtype)
        twin.grad = torch.tensor(g)
    expected = torch.nn.utils.clip_grad_norm_(twins, max_norm).item()
    clipped, norm = clip_by_norm(grads, max_norm)
    np.testing.assert_allclose(norm, expected, **TOLERANCE[dtype])
    assert isinstance(clipped["cell"], Cell) and [*named_arrays(clipped)] == NAMES
    for g, twin in zip(named_arrays(clipped).values(), twins, strict=True):
        assert g.dtype == dtype
        np.testing.assert_allclose(g, twin.grad.numpy(), **TOLERANCE[dtype])
    for g, kept in zip(named_arrays(grads).values(), before, strict=True):
        np.testing.assert_array_equal(g, kept)


def test_clipping_takes_one_array_under_two_names():
    shared = np.array([3.0, 4.0])
    clipped, norm = clip_by_norm([shared, shared], 1.0)
    np.testing.assert_allclose(norm, np.sqrt(50), **TOLERANCE[np.float64])
    np.testing.assert_allclose(clipped, np.array([[0.6, 0.8], [0.6, 0.8]]) / np.sqrt(2), rtol=1e-6)


def test_clipping_holds_beyond_the_squares_of_float32():
    clipped, norm = clip_by_norm([np.full(4, 1e30, np.float32)], 1.0)
    np.testing.assert_allclose(norm, 2e30, **TOLERANCE[np.float32])
    np.testing.assert_allclose(clipped[0], 0.5, **TOLERANCE[np.float32])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clipping_refuses_what_is_not_finite(bad):
    with pytest.raises(FloatingPointError, match="norm of the gradients is"):
        clip_by_norm([np.array([1.0, bad])], 1.0)


def test_errors_at_the_door():
    w = np.zeros((4, 3))
    with pytest.raises(TypeError, match=r"params.*int64 for 0"):
        SGD([np.zeros(3, np.int64)], lr=0.1)
    with pytest.raises(TypeError, match=r"one for all, got float32 for 1"):
        Adam([w, np.zeros(3, np.float32)])
    with pytest.raises(TypeError, match=r"cell\.1: expected arrays .*, got float"):
        Adam({"cell": [w, 3.0]})
    with pytest.raises(ValueError, match="at least one array"):
        Adam({})
    with pytest.raises(ValueError, match="0 is read-only"):
        Adam([np.broadcast_to(np.zeros(3), (4, 3))])
    for name, options in {
        "lr": dict(lr=-1.0),
        "eps": dict(eps=float("nan")),
        r"betas\[1\]": dict(betas=(0.9, 1.0)),
        "weight_decay": dict(weight_decay=float("inf")),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            Adam([w], **options)
    with pytest.raises(ValueError, match=r"^momentum: expected"):
        SGD([w], lr=0.1, momentum=1.0)
    with pytest.raises(ValueError, match="max_norm: expected a number above 0, got 0"):
        clip_by_norm([w], 0)


def test_gradients_of_another_model_are_named():
    adam = Adam(Cell(np.zeros((4, 3)), np.zeros(4)))
    with pytest.raises(ValueError, match=r"grads: weight: expected shape \(4, 3\), got \(3,\)"):
        adam.step(Cell(np.zeros(3), np.zeros(4)))  # would broadcast
    with pytest.raises(ValueError, match=r"missing bias \(4,\); foreign b \(4,\)"):
        adam.step({"weight": np.zeros((4, 3)), "b": np.zeros(4)})
    with pytest.raises(
        ValueError, match=r"state of Adam: missing exp_avg\.weight .*; foreign momentum_buffer"
    ):
        adam.load_state_dict(SGD(Cell(np.zeros((4, 3)), np.zeros(4)), lr=0.1).state_dict())
    assert adam.steps == 0
