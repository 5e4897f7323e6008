"""The LSTM in place against the LSTM to be read, which test_cells.py and test_lstm.py have judged."""

import numpy as np
import pytest

from rnnlit import lstm, lstm_in_place
from tests.tolerances import TOLERANCE

T, B, I, H = 5, 3, 2, 4


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("lengths", [None, [2, 5, 1]], ids=str)
@pytest.mark.parametrize("given", [("dh",), ("dc_n",), ("dh", "dc", "dh_n", "dc_n")], ids="-".join)
def test_both_give_the_same_run_and_gradients(dtype, lengths, given):
    rng = np.random.default_rng(0)
    params = lstm.init(I, H, rng=rng, dtype=dtype)
    params = lstm.Params(*((a + 0.3 * rng.standard_normal(a.shape)).astype(dtype) for a in params))
    x, h0, c0 = (rng.standard_normal(s).astype(dtype) for s in ((T, B, I), (B, H), (B, H)))
    runs = [cell.forward(params, x, h0, c0, lengths) for cell in (lstm, lstm_in_place)]
    shapes = {"dh": (T, B, H), "dc": (T, B, H), "dh_n": (B, H), "dc_n": (B, H)}
    outer = {name: rng.standard_normal(shapes[name]).astype(dtype) for name in given}
    copies = {name: d.copy() for name, d in outer.items()}
    grads = [cell.backward(params, runs[0], **outer) for cell in (lstm, lstm_in_place)]

    pairs = [(a, b) for a, b in zip(*runs, strict=True) if a is not None]
    pairs += zip((*grads[0].params, *grads[0][1:]), (*grads[1].params, *grads[1][1:]), strict=True)
    assert len(pairs) >= 9 + 7
    for want, got in pairs:
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, **TOLERANCE[dtype])
    assert all(np.array_equal(outer[name], copies[name]) for name in given)


def test_its_init_is_the_lstms_and_foreign_parameters_are_refused():
    assert lstm_in_place.init is lstm.init
    with pytest.raises(TypeError, match=r"params: expected rnnlit\.lstm\.Params, got tuple"):
        lstm_in_place.forward((), np.zeros((T, B, I)))
