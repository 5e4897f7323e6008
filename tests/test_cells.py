"""What every NumPy cell must hold. Oracles: its `step`, central differences, sequences run alone."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit import gru, lstm, lstm_1997, lstm_peephole, rnn
from rnnlit.tools.gradcheck import central_differences, largest_difference
from tests.tolerances import DIFFERENCES, TOLERANCE

T, B, I, H = 5, 2, 3, 4
CELLS = [rnn, gru, lstm, lstm_1997, lstm_peephole]
ONE_STATE = (rnn, gru)  # h, and no c
cells = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__.split(".")[1])


def state_names(cell):
    return ["h"] if cell in ONE_STATE else ["h", "c"]


def draw(cell, T=T, B=B, I=I, H=H, dtype=np.float64, seed=0):
    """Parameters (no two alike, no zeros), an input, and initial states."""
    rng = np.random.default_rng(seed)
    params = cell.init(I, H, rng=rng, dtype=dtype)
    params = type(params)(*((a + 0.3 * rng.standard_normal(a.shape)).astype(dtype) for a in params))
    x = rng.standard_normal((T, B, I)).astype(dtype)
    states = [rng.standard_normal((B, H)).astype(dtype) for _ in state_names(cell)]
    return params, x, states


def weighted(cell, run, weights):
    """A loss that touches every output: all states and last states, each number with a weight of its own."""
    return sum(float((getattr(run, name) * w).sum()) for name, w in weights.items())


def draw_weights(cell, run, seed=1):
    rng = np.random.default_rng(seed)
    names = [*state_names(cell), *(f"{name}_n" for name in state_names(cell))]
    return {name: rng.standard_normal(getattr(run, name).shape).astype(run.h.dtype) for name in names}


def gradients(cell, params, run, weights):
    return cell.backward(params, run, **{f"d{name}": w for name, w in weights.items()})


@cells
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_forward_is_step_repeated(cell, dtype):
    params, x, states = draw(cell, dtype=dtype)
    run = cell.forward(params, x, *states)
    for t in range(T):
        new = cell.step(params, x[t], *states)
        states = [new] if cell in ONE_STATE else list(new)
        for name, state in zip(state_names(cell), states, strict=True):
            np.testing.assert_allclose(getattr(run, name)[t], state, **TOLERANCE[dtype])
    for name, state in zip(state_names(cell), states, strict=True):
        np.testing.assert_allclose(getattr(run, f"{name}_n"), state, **TOLERANCE[dtype])
        assert getattr(run, name).dtype == dtype


@cells
@pytest.mark.parametrize("lengths", [None, [3, 5], [4, 1]], ids=str)
def test_backward_matches_central_differences(cell, lengths):
    params, x, states = draw(cell)
    run = cell.forward(params, x, *states, lengths=lengths)
    weights = draw_weights(cell, run)
    grads = gradients(cell, params, run, weights)
    numeric = central_differences(
        lambda: weighted(cell, cell.forward(params, x, *states, lengths=lengths), weights),
        (params, x, *states),
    )
    for got, want in zip((*grads.params, *grads[1:]), (*numeric[0], *numeric[1:]), strict=True):
        np.testing.assert_allclose(got, want, **DIFFERENCES)


@cells
def test_backward_takes_each_gradient_alone(cell):
    params, x, states = draw(cell)
    run = cell.forward(params, x, *states, lengths=[3, 5])
    weights = draw_weights(cell, run)
    whole = gradients(cell, params, run, weights)
    parts = [gradients(cell, params, run, {name: w}) for name, w in weights.items()]
    summed = [sum(arrays) for arrays in zip(*((*part.params, *part[1:]) for part in parts), strict=True)]
    assert largest_difference((*whole.params, *whole[1:]), tuple(summed)) < 1e-12


@cells
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_padding_never_changes_a_valid_output(cell, data):
    B, T, I, H = (data.draw(st.integers(1, 6), label=letter) for letter in "BTIH")
    lengths = np.array(data.draw(st.lists(st.integers(1, T), min_size=B, max_size=B), label="lengths"))
    params, x, states = draw(cell, T, B, I, H)
    run = cell.forward(params, x, *states, lengths=lengths)
    weights = draw_weights(cell, run)
    grads = gradients(cell, params, run, weights)
    for b, length in enumerate(lengths):
        alone = cell.forward(params, x[:length, b : b + 1], *(state[b : b + 1] for state in states))
        for name in state_names(cell):
            states_b = getattr(run, name)[:, b]
            np.testing.assert_allclose(states_b[:length], getattr(alone, name)[:, 0], **TOLERANCE[np.float64])
            assert not states_b[length:].any()
            np.testing.assert_allclose(
                getattr(run, f"{name}_n")[b], getattr(alone, f"{name}_n")[0], **TOLERANCE[np.float64]
            )
        assert not grads.x[length:, b].any()

    other = x.copy()
    other[np.arange(T)[:, None] >= lengths] = 1e3
    again = cell.forward(params, other, *states, lengths=lengths)
    moved = gradients(cell, params, again, weights)
    assert largest_difference(tuple(again[:1]), tuple(run[:1])) == 0
    assert largest_difference((*moved.params, *moved[1:]), (*grads.params, *grads[1:])) == 0


GATED = [cell for cell in CELLS if "gates" in cell.Run._fields]


@pytest.mark.parametrize("cell", GATED, ids=lambda cell: cell.__name__.split(".")[1])
def test_gates_are_zero_after_the_end_and_else_those_of_the_sequence_alone(cell):
    """A sum over `run.gates` counts valid steps alone, as one over `run.h` does."""
    params, x, states = draw(cell)
    lengths = [3, 5]
    run = cell.forward(params, x, *states, lengths=lengths)
    for b, length in enumerate(lengths):
        alone = cell.forward(params, x[:length, b : b + 1], *(state[b : b + 1] for state in states))
        assert alone.gates.all()
        np.testing.assert_allclose(run.gates[:length, b], alone.gates[:, 0], **TOLERANCE[np.float64])
        assert not run.gates[length:, b].any()


def test_every_cell_but_the_plain_one_shows_its_gates():
    assert [cell for cell in CELLS if cell not in GATED] == [rnn]


@cells
def test_gradients_at_the_padding_have_no_effect(cell):
    params, x, states = draw(cell)
    run = cell.forward(params, x, *states, lengths=[3, 5])
    dh = np.random.default_rng(2).standard_normal((T, B, H))
    other = dh.copy()
    other[3:, 0] = 77.0
    a, b = cell.backward(params, run, dh=dh), cell.backward(params, run, dh=other)
    assert largest_difference(tuple(a.params), tuple(b.params)) == 0


@cells
def test_arguments_are_left_as_they_are(cell):
    params, x, states = draw(cell)
    kept = [a.copy() for a in (*params, x, *states)]
    run = cell.forward(params, x, *states, lengths=[3, 5])
    weights = draw_weights(cell, run)
    given_weights = {name: w.copy() for name, w in weights.items()}
    before = [np.copy(a) for a in run if a is not None]
    gradients(cell, params, run, weights)
    assert largest_difference(tuple(kept), (*params, x, *states)) == 0
    assert largest_difference(tuple(before), tuple(a for a in run if a is not None)) == 0
    assert largest_difference(tuple(given_weights.values()), tuple(weights.values())) == 0


@cells
def test_initial_states_default_to_zero(cell):
    params, x, states = draw(cell)
    zeros = [np.zeros_like(state) for state in states]
    assert largest_difference(cell.forward(params, x).h, cell.forward(params, x, *zeros).h) == 0


@cells
def test_init_draws_from_torchs_range_and_from_the_generator(cell):
    a, b = (cell.init(I, 64, rng=np.random.default_rng(3)) for _ in range(2))
    assert largest_difference(tuple(a), tuple(b)) == 0
    for weight in (a.weight_ih, a.weight_hh):
        assert weight.dtype == np.float32 and 0.11 < np.abs(weight).max() <= 0.125
    assert not a.bias_hh.any()


@cells
def test_every_weight_of_init_is_from_that_range(cell):
    """Peepholes too; with H = 1024 the bound is 1/32, with I = 16 it would be 1/4."""
    params = cell.init(16, 1024, rng=np.random.default_rng(3))
    drawn = [array for name, array in params._asdict().items() if name.startswith("weight")]
    assert len(drawn) == len(params) - 2  # all but the biases
    for array in drawn:
        assert 0.9 / 32 < np.abs(array).max() <= 1 / 32 and abs(array.mean()) < 0.1 / 32


@cells
def test_no_two_gradients_share_memory(cell):
    """Whoever clips or scales one in place must not change another."""
    params, x, states = draw(cell)
    for options in [{}, {"reset_after": False}] if cell is gru else [{}]:
        run = cell.forward(params, x, *states, lengths=[3, 5], **options)
        grads = gradients(cell, params, run, draw_weights(cell, run))
        arrays = [*grads.params, *grads[1:]]
        assert len(arrays) == len(params) + 1 + len(states)
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


@cells
def test_bad_input_is_refused_with_what_came_and_what_was_expected(cell):
    params, x, states = draw(cell)
    blocks = params.weight_ih.shape[0] // H
    nan = x.copy()
    nan[2, 1, 0] = np.nan
    cases = [
        (ValueError, r"x: expected shape \(T, B, 3\), got \(5, 2\)", lambda: cell.forward(params, x[..., 0])),
        (
            ValueError,
            r"x: expected shape \(T, B, 3\), got \(5, 2, 2\)",
            lambda: cell.forward(params, x[..., :2]),
        ),
        (ValueError, r"x: expected shape \(T, B, 3\), got \(0, 2, 3\)", lambda: cell.forward(params, x[:0])),
        (
            TypeError,
            "x: expected float64 like the parameters, got float32",
            lambda: cell.forward(params, x.astype(np.float32)),
        ),
        (
            TypeError,
            "x: expected float32 or float64, got int64",
            lambda: cell.forward(params, x.astype(np.int64)),
        ),
        (TypeError, "x: expected a NumPy array .* got list", lambda: cell.forward(params, x.tolist())),
        (
            ValueError,
            r"x: expected finite numbers, got nan at index \(2, 1, 0\)",
            lambda: cell.forward(params, nan),
        ),
        (
            ValueError,
            r"h0: expected shape \(2, 4\), got \(4, 2\)",
            lambda: cell.forward(params, x, states[0].T),
        ),
        (
            ValueError,
            r"lengths: expected 1 <= length <= T = 5, got 2 to 6",
            lambda: cell.forward(params, x, lengths=[2, 6]),
        ),
        (
            ValueError,
            r"lengths: expected 1 <= length <= T = 5, got 0 to 5",
            lambda: cell.forward(params, x, lengths=[0, 5]),
        ),
        (
            ValueError,
            r"lengths: expected shape \(B,\) = \(2,\), got \(3,\)",
            lambda: cell.forward(params, x, lengths=[1, 2, 3]),
        ),
        (
            TypeError,
            "lengths: expected integers, got float64",
            lambda: cell.forward(params, x, lengths=[1.0, 2.0]),
        ),
        (ValueError, r"x: expected shape \(B, 3\), got \(5, 2, 3\)", lambda: cell.step(params, x, *states)),
        (
            ValueError,
            r"h: expected shape \(2, 4\), got \(2, 3\)",
            lambda: cell.step(params, x[0], *(s[:, :3] for s in states)),
        ),
        (
            ValueError,
            "expected at least one gradient, got none",
            lambda: cell.backward(params, cell.forward(params, x)),
        ),
        (
            ValueError,
            r"dh: expected shape \(5, 2, 4\), got \(2, 4\)",
            lambda: cell.backward(params, cell.forward(params, x), dh=states[0]),
        ),
        (TypeError, "params: expected rnnlit.* got tuple", lambda: cell.forward(tuple(params), x)),
        (
            ValueError,
            rf"weight_hh: expected shape \({blocks * H}, 4\), got \({blocks * H - 1}, 4\)",
            lambda: cell.forward(params._replace(weight_hh=params.weight_hh[:-1]), x),
        ),
        (
            ValueError,
            rf"bias_ih: expected shape \({blocks * H},\), got \(1,\)",
            lambda: cell.forward(params._replace(bias_ih=np.zeros(1)), x),
        ),
        (
            ValueError,
            "hidden_size: expected a positive integer, got 0",
            lambda: cell.init(3, 0, rng=np.random.default_rng()),
        ),
        (
            TypeError,
            "input_size: expected a positive integer, got 2.5",
            lambda: cell.init(2.5, 3, rng=np.random.default_rng()),
        ),
        (TypeError, "rng: expected a numpy.random.Generator, got int", lambda: cell.init(2, 3, rng=0)),
        (
            TypeError,
            "dtype: expected float32 or float64, got float16",
            lambda: cell.init(2, 3, rng=np.random.default_rng(), dtype=np.float16),
        ),
    ]
    for error, words, call in cases:
        with pytest.raises(error, match=words):
            call()
