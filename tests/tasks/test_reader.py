"""The whole NumPy model against central differences, and against the same model in torch."""

import numpy as np
import pytest

from rnnlit import lstm, rnn
from rnnlit.tasks.data import Utterances
from rnnlit.tasks.reader import Passes, Reader, make_step
from rnnlit.tools import layers
from rnnlit.tools.gradcheck import central_differences
from rnnlit.tools.optim import SGD
from tests.tolerances import DIFFERENCES, TOLERANCE

T, B, I, H, O = 5, 3, 2, 4, 6


def make(cell, pool, loss, seed=0):
    return Reader(cell, I, H, O, rng=np.random.default_rng(seed), pool=pool, loss=loss, dtype=np.float64)


@pytest.mark.parametrize("cell", [rnn, lstm])
@pytest.mark.parametrize("pool", ["last", "mean"])
@pytest.mark.parametrize("lengths", [None, [2, 5, 3]], ids=str)
def test_gradients_match_central_differences(cell, pool, lengths):
    rng = np.random.default_rng(1)
    x, labels = rng.standard_normal((T, B, I)), np.array([5, 0, 2])
    reader = make(cell, pool, layers.softmax_cross_entropy)
    _, grads = reader.gradients(x, labels, lengths)
    numeric = central_differences(lambda: reader.gradients(x, labels, lengths)[0], reader.params)
    for got, want in zip((*grads.cell, *grads.head), (*numeric.cell, *numeric.head), strict=True):
        np.testing.assert_allclose(got, want, **DIFFERENCES)


def test_prediction_matches_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x = rng.standard_normal((T, B, I))
    reader = make(lstm, "last", layers.mean_squared_error)
    twin, head = torch.nn.LSTM(I, H, dtype=torch.float64), torch.nn.Linear(H, O, dtype=torch.float64)
    twin.load_state_dict(
        {f"{name}_l0": torch.from_numpy(a) for name, a in reader.params.cell._asdict().items()}
    )
    head.load_state_dict({name: torch.from_numpy(a) for name, a in reader.params.head._asdict().items()})
    with torch.no_grad():
        want = head(twin(torch.from_numpy(x))[1][0][0])
    np.testing.assert_allclose(reader(x), want.numpy(), **TOLERANCE[np.float64])


def test_a_step_clips_and_moves_downhill():
    rng = np.random.default_rng(1)
    batch = rng.standard_normal((T, B, I)), rng.standard_normal((B, O)), [2, 5, 3]
    reader = make(lstm, "mean", layers.mean_squared_error)
    step = make_step(reader, SGD(reader.params, lr=0.1), clip=0.5)
    before = [a.copy() for a in (*reader.params.cell, *reader.params.head)]
    first = step(batch)
    moved = np.sqrt(
        sum(
            ((a - b) ** 2).sum()
            for a, b in zip((*reader.params.cell, *reader.params.head), before, strict=True)
        )
    )
    assert first["gradient norm"] > 0.5
    np.testing.assert_allclose(moved, 0.1 * 0.5, rtol=1e-5)  # clip_by_norm has torch's 1e-6 in the divisor
    assert step(batch)["loss"] < first["loss"]


def test_an_unknown_pool_is_refused():
    with pytest.raises(ValueError, match="pool: expected 'last' or 'mean', got 'max'"):
        make(lstm, "max", layers.mean_squared_error)


def test_passes_shuffle_anew_and_add_noise_of_the_given_size():
    B, T, I = 40, 30, 12
    whole = Utterances(np.zeros((T, B, I), np.float32), np.full(B, T), np.arange(B) % 9)
    passes = Passes(whole, 16, np.random.default_rng(0), noise=0.5)
    first, second = list(passes), list(passes)
    assert [x.shape for x, _, _ in first] == [(T, 16, I), (T, 16, I), (T, 8, I)]
    assert (
        np.concatenate([y for _, y, _ in first]).tolist()
        != np.concatenate([y for _, y, _ in second]).tolist()
    )
    noise = np.concatenate([x.ravel() for x, _, _ in first])
    assert noise.dtype == np.float32 and abs(noise.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * noise.size)
    assert not any(x.any() for x, _, _ in Passes(whole, 16, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="noise: expected a standard deviation of 0 or more, got -1"):
        Passes(whole, 16, np.random.default_rng(0), noise=-1)
