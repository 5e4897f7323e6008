"""Bidirectional networks. Oracles: a loop that reads backwards, central differences, sequences alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit import birnn, birnn_article, gru, lstm, lstm_1997, lstm_peephole, rnn
from rnnlit.tools.gradcheck import central_differences, largest_difference
from tests.tolerances import DIFFERENCES, TOLERANCE

T, B, I, H, O = 5, 2, 3, 4, 6
EXACT = TOLERANCE[np.float64]
CELLS = [rnn, gru, lstm, lstm_1997, lstm_peephole]
cells = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__.split(".")[1])
some_lengths = pytest.mark.parametrize("lengths", [None, [3, 5]], ids=str)
# Differences through several chains take long, so each cell gets one case there.
one_each = pytest.mark.parametrize(
    "cell, lengths", [(rnn, None), (gru, [3, 5]), (lstm, [4, 1])], ids=["rnn", "gru", "lstm"]
)


def noisy(params, rng):
    """The same parameters (tuples in tuples) with noise on each array, so that no two are alike or zero."""
    if isinstance(params, np.ndarray):
        return (params + 0.3 * rng.standard_normal(params.shape)).astype(params.dtype)
    parts = [noisy(part, rng) for part in params]
    return type(params)(*parts) if hasattr(params, "_fields") else tuple(parts)


def draw(cell, T=T, B=B, I=I, H=H, dtype=np.float64, seed=0):
    """Parameters, an input, and initial states of both chains."""
    rng = np.random.default_rng(seed)
    params = noisy(birnn.init(cell, I, H, rng=rng, dtype=dtype), rng)
    x = rng.standard_normal((T, B, I)).astype(dtype)
    count = 1 if cell in (rnn, gru) else 2
    states = tuple(tuple(rng.standard_normal((B, H)).astype(dtype) for _ in range(count)) for _ in range(2))
    return params, x, states


def noise(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def leaves(tree):
    """All arrays of nested tuples, in order."""
    return [tree] if isinstance(tree, np.ndarray) else [leaf for part in tree for leaf in leaves(part)]


def assert_close(got, want, **tolerance):
    for a, b in zip(leaves(got), leaves(want), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


# ---------------------------------------------------------------- flip


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_flip_is_a_loop_over_the_sequences_and_its_own_inverse(data):
    T, B, N = (data.draw(st.integers(1, 6), label=letter) for letter in "TBN")
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B), label="lengths")
    x = noise(T, B, N)
    want = x.copy()
    for b in range(B):
        n = T if lengths is None else lengths[b]
        want[:n, b] = x[:n, b][::-1]
    np.testing.assert_array_equal(birnn.flip(x, lengths), want)
    np.testing.assert_array_equal(birnn.flip(birnn.flip(x, lengths), lengths), x)
    labels = np.arange(T * B).reshape(T, B)  # other dtypes, other numbers of axes
    np.testing.assert_array_equal(birnn.flip(birnn.flip(labels, lengths), lengths), labels)


def test_the_gradient_of_flip_is_flip():
    x, weight = noise(T, B, I), noise(T, B, I, seed=2)
    numeric = central_differences(lambda: float((birnn.flip(x, [3, 5]) * weight).sum()), x)
    np.testing.assert_allclose(birnn.flip(weight, [3, 5]), numeric, **DIFFERENCES)


# ---------------------------------------------------------------- forward


@cells
@some_lengths
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_forward_is_two_readings_by_the_cells_step(cell, lengths, dtype):
    """The reverse chain by hand: from each sequence's last step down to its first."""
    params, x, states = draw(cell, dtype=dtype)
    run = birnn.forward(cell, params, x, lengths, states)
    assert run.h.dtype == dtype and run.h.shape == (T, B, 2 * H)
    for b in range(B):
        n = T if lengths is None else lengths[b]
        for chain, steps, part, start in zip(
            params, (range(n), range(n - 1, -1, -1)), (slice(0, H), slice(H, 2 * H)), states, strict=True
        ):
            state = [s[b : b + 1] for s in start]
            for t in steps:
                new = cell.step(chain, x[t, b : b + 1], *state)
                state = [new] if cell in (rnn, gru) else list(new)
                np.testing.assert_allclose(run.h[t, b, part], state[0][0], **TOLERANCE[dtype])
            np.testing.assert_allclose(run.h_n[b, part], state[0][0], **TOLERANCE[dtype])
        assert not run.h[n:, b].any()


@cells
def test_both_chains_have_weights_of_their_own_and_do_not_touch(cell):
    """Erratum R2: other reverse weights leave the forward half as it is, and the other way round."""
    params, x, _ = draw(cell)
    other = draw(cell, seed=7)[0]
    run = birnn.forward(cell, params, x)
    mixed = birnn.forward(cell, params._replace(reverse=other.reverse), x)
    assert np.array_equal(mixed.h[..., :H], run.h[..., :H])
    assert np.abs(mixed.h[..., H:] - run.h[..., H:]).max() > 0.1
    assert largest_difference(params.forward.weight_hh, params.reverse.weight_hh) > 0.1


@cells
def test_tied_weights_read_a_turned_sequence_as_the_other_chain_does(cell):
    params, x, _ = draw(cell)
    tied = birnn.Params(params.forward, params.forward)
    run, turned = birnn.forward(cell, tied, x), birnn.forward(cell, tied, birnn.flip(x).copy())
    np.testing.assert_allclose(birnn.flip(turned.h)[..., :H], run.h[..., H:], **EXACT)


@cells
def test_what_an_output_can_see(cell):
    """Erratum R6: the forward half at t knows x up to t, the reverse half from t on; together, everything."""
    params, x, _ = draw(cell)
    run = birnn.forward(cell, params, x)
    for s in range(T):
        moved = x.copy()
        moved[s] += 1
        change = np.abs(birnn.forward(cell, params, moved).h - run.h)
        for t in range(T):
            assert (change[t, :, :H].max() > 0) == (s <= t)
            assert (change[t, :, H:].max() > 0) == (s >= t)


def test_states_that_are_not_turned_back_know_nothing_of_the_next_input():
    """Random inputs, random chains, and an output layer fitted by least squares: the next input is named
    with the error 1/3 by one direction, which is the input's variance, with none by both, and with 1/3 again
    where the reverse states were not turned back (errata R1, R3)."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (20, 200, 1))
    y, units = x[1:].reshape(-1), 32
    h = birnn.forward(rnn, birnn.init(rnn, 1, units, rng=rng, dtype=np.float64), x).h
    past, back = h[..., :units], h[..., units:]
    errors = {}
    for name, states in (("past", past), ("both", h), ("unturned", np.dstack([past, back[::-1]]))):
        columns = np.c_[states[:-1].reshape(len(y), -1), np.ones(len(y))]
        fitted = np.linalg.lstsq(columns[::2], y[::2])[0]
        errors[name] = ((columns[1::2] @ fitted - y[1::2]) ** 2).mean()
    assert {name: round(float(error), 2) for name, error in errors.items()} == {
        "past": 0.33,
        "both": 0.0,
        "unturned": 0.32,
    }
    assert errors["both"] < 0.003


@pytest.mark.parametrize("reset_after", [True, False])
def test_options_reach_the_cell(reset_after):
    params, x, _ = draw(gru)
    run = birnn.forward(gru, params, x, reset_after=reset_after)
    alone = gru.forward(params.forward, x, reset_after=reset_after)
    np.testing.assert_array_equal(run.h[..., :H], alone.h)
    drawn = birnn.init(gru, I, H, rng=np.random.default_rng(0), update_bias=2.0)
    assert all((chain.bias_ih[H : 2 * H] == 2).all() for chain in drawn)


def test_init_draws_two_chains_one_after_the_other():
    rng = np.random.default_rng(0)
    want = [lstm.init(I, H, rng=rng) for _ in range(2)]
    assert_close(birnn.init(lstm, I, H, rng=np.random.default_rng(0)), want, rtol=0, atol=0)


# ---------------------------------------------------------------- backward


@cells
@some_lengths
def test_backward_matches_central_differences(cell, lengths):
    params, x, states = draw(cell)
    dh, dh_n = noise(T, B, 2 * H), noise(B, 2 * H, seed=2)

    def loss():
        run = birnn.forward(cell, params, x, lengths, states)
        return float((run.h * dh).sum() + (run.h_n * dh_n).sum())

    grads = birnn.backward(cell, params, birnn.forward(cell, params, x, lengths, states), dh, dh_n)
    assert_close(tuple(grads), central_differences(loss, (params, x, states)), **DIFFERENCES)


@cells
def test_backward_takes_each_gradient_alone(cell):
    params, x, states = draw(cell)
    run = birnn.forward(cell, params, x, [3, 5], states)
    dh, dh_n = noise(T, B, 2 * H), noise(B, 2 * H, seed=2)
    whole = birnn.backward(cell, params, run, dh, dh_n)
    one, other = birnn.backward(cell, params, run, dh=dh), birnn.backward(cell, params, run, dh_n=dh_n)
    assert_close(leaves(whole), [a + b for a, b in zip(leaves(one), leaves(other), strict=True)], **EXACT)


@cells
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_padding_never_changes_a_valid_output(cell, data):
    B, T, I, H = (data.draw(st.integers(1, 5), label=letter) for letter in "BTIH")
    lengths = np.array(data.draw(st.lists(st.integers(1, T), min_size=B, max_size=B), label="lengths"))
    params, x, states = draw(cell, T, B, I, H)
    run = birnn.forward(cell, params, x, lengths, states)
    dh, dh_n = np.ones_like(run.h), np.ones_like(run.h_n)
    grads = birnn.backward(cell, params, run, dh, dh_n)
    for b, n in enumerate(lengths):
        start = tuple(tuple(s[b : b + 1] for s in chain) for chain in states)
        alone = birnn.forward(cell, params, x[:n, b : b + 1], None, start)
        np.testing.assert_allclose(run.h[:n, b], alone.h[:, 0], **EXACT)
        np.testing.assert_allclose(run.h_n[b], alone.h_n[0], **EXACT)
        assert not run.h[n:, b].any() and not grads.x[n:, b].any()
    padding = np.arange(T)[:, None] >= lengths
    other, more = x.copy(), dh.copy()
    other[padding], more[padding] = 1e3, 77.0
    again = birnn.forward(cell, params, other, lengths, states)
    assert largest_difference(again.h, run.h) == 0
    moved = birnn.backward(cell, params, again, more, dh_n)
    assert largest_difference(tuple(moved), tuple(grads)) == 0


@cells
def test_arguments_are_left_as_they_are(cell):
    params, x, states = draw(cell)
    dh, dh_n = noise(T, B, 2 * H), noise(B, 2 * H, seed=2)
    for lengths in (None, [3, 5]):
        run = birnn.forward(cell, params, x, lengths, states)
        given_arrays = (params, x, states, dh, dh_n, run.h, run.h_n, run.forward.h, run.reverse.h)
        kept = [leaf.copy() for leaf in leaves(given_arrays)]
        birnn.backward(cell, params, run, dh, dh_n)
        assert_close(leaves(given_arrays), kept, rtol=0, atol=0)


# ---------------------------------------------------------------- stacked


def draw_stack(cell, layers=3):
    rng = np.random.default_rng(0)
    params = noisy(birnn.init_stack(cell, I, H, layers, rng=rng, dtype=np.float64), rng)
    states = tuple(draw(cell, seed=k)[2] for k in range(layers))
    return params, rng.standard_normal((T, B, I)), states


@cells
def test_a_stack_is_one_layer_over_another(cell):
    params, x, states = draw_stack(cell)
    run, below = birnn.forward_stack(cell, params, x, [3, 5], states), x
    for k in range(3):
        one = birnn.forward(cell, params[k], below, [3, 5], states[k])
        np.testing.assert_array_equal(run.h_n[k], one.h_n)
        below = one.h
    np.testing.assert_array_equal(run.h, below)
    assert params[0].forward.weight_ih.shape[1] == I and params[2].reverse.weight_ih.shape[1] == 2 * H


@one_each
def test_backward_of_a_stack_matches_central_differences(cell, lengths):
    params, x, states = draw_stack(cell, layers=2)
    dh, dh_n = noise(T, B, 2 * H), noise(2, B, 2 * H, seed=2)

    def loss():
        run = birnn.forward_stack(cell, params, x, lengths, states)
        return float((run.h * dh).sum() + (run.h_n * dh_n).sum())

    run = birnn.forward_stack(cell, params, x, lengths, states)
    grads = birnn.backward_stack(cell, params, run, dh, dh_n)
    assert_close(tuple(grads), central_differences(loss, (params, x, states)), **DIFFERENCES)
    one, other = (birnn.backward_stack(cell, params, run, **{k: v}) for k, v in (("dh", dh), ("dh_n", dh_n)))
    assert_close(leaves(grads), [a + b for a, b in zip(leaves(one), leaves(other), strict=True)], **EXACT)


def test_the_forward_chain_of_the_second_layer_knows_the_future():
    params, x, _ = draw_stack(rnn, layers=2)
    run = birnn.forward_stack(rnn, params, x)
    moved = x.copy()
    moved[-1] += 1
    change = np.abs(birnn.forward_stack(rnn, params, moved).h - run.h)[0, :, :H]
    assert change.max() > 0


# ---------------------------------------------------------------- the article's form


def draw_article(cell):
    rng = np.random.default_rng(0)
    params = noisy(birnn_article.init(cell, I, H, O, rng=rng, dtype=np.float64), rng)
    return params, rng.standard_normal((T, B, I))


@cells
@some_lengths
def test_article_is_a_cell_over_both_chains(cell, lengths):
    params, x = draw_article(cell)
    run = birnn_article.forward(cell, params, x, lengths)
    both = birnn.forward(cell, params.both, x, lengths).h
    for b in range(B):
        n = T if lengths is None else lengths[b]
        state = [np.zeros((1, O)) for _ in range(1 if cell in (rnn, gru) else 2)]
        for t in range(n):
            new = cell.step(params.second, both[t, b : b + 1], *state)
            state = [new] if cell in (rnn, gru) else list(new)
            np.testing.assert_allclose(run.h[t, b], state[0][0], **EXACT)
        np.testing.assert_allclose(run.h_n[b], state[0][0], **EXACT)
        assert not run.h[n:, b].any()


@one_each
def test_articles_backward_matches_central_differences(cell, lengths):
    params, x = draw_article(cell)
    dh, dh_n = noise(T, B, O), noise(B, O, seed=2)

    def loss():
        run = birnn_article.forward(cell, params, x, lengths)
        return float((run.h * dh).sum() + (run.h_n * dh_n).sum())

    grads = birnn_article.backward(cell, params, birnn_article.forward(cell, params, x, lengths), dh, dh_n)
    assert_close(tuple(grads), central_differences(loss, (params, x)), **DIFFERENCES)


def test_article_takes_options_and_names_a_bad_argument():
    params, x = draw_article(gru)
    run = birnn_article.forward(gru, params, x, reset_after=False)
    both = birnn.forward(gru, params.both, x, reset_after=False).h
    second = gru.forward(params.second, both, reset_after=False).h  # all three chains take the option
    np.testing.assert_allclose(run.h, second, **EXACT)
    assert np.abs(run.h - birnn_article.forward(gru, params, x).h).max() > 0.01
    with pytest.raises(TypeError, match=r"params: expected rnnlit.birnn_article.Params, got Params"):
        birnn_article.forward(gru, params.both, x)
    with pytest.raises(ValueError, match="expected at least one gradient"):
        birnn_article.backward(gru, params, run)


# ---------------------------------------------------------------- at the door


def test_bad_arguments_are_named():
    params, x, states = draw(lstm)
    layers, run = (params,), birnn.forward(lstm, params, x)
    small = birnn.init(lstm, I, H - 1, rng=np.random.default_rng(0), dtype=np.float64)
    nan = x.copy()
    nan[2, 1, 0] = np.nan
    stack = birnn.forward_stack(lstm, layers, x)
    cases = [
        (
            TypeError,
            "cell: expected a module with init, .* got 'lstm'",
            lambda: birnn.forward("lstm", params, x),
        ),
        (TypeError, "cell: expected a module", lambda: birnn.init(np, I, H, rng=np.random.default_rng(0))),
        (
            TypeError,
            "params: expected rnnlit.birnn.Params, got tuple",
            lambda: birnn.forward(lstm, (1, 2), x),
        ),
        (
            TypeError,
            r"params.forward: expected rnnlit.gru.Params, got rnnlit.lstm.Params",
            lambda: birnn.forward(gru, params, x),
        ),
        (
            ValueError,
            "params.reverse: expected the shapes of params.forward",
            lambda: birnn.forward(lstm, params._replace(reverse=small.reverse), x),
        ),
        (
            ValueError,
            r"x: expected shape \(T, B, 3\), got \(5, 2\)",
            lambda: birnn.forward(lstm, params, x[..., 0]),
        ),
        (TypeError, "x: expected a NumPy array .* got list", lambda: birnn.forward(lstm, params, x.tolist())),
        (ValueError, r"x: expected finite numbers, got nan", lambda: birnn.forward(lstm, params, nan)),
        (
            ValueError,
            "lengths: expected 1 <= length <= T = 5, got 2 to 6",
            lambda: birnn.forward(lstm, params, x, [2, 6]),
        ),
        (TypeError, "lengths: expected integers", lambda: birnn.forward(lstm, params, x, [2.0, 3.0])),
        (
            TypeError,
            "states: expected two tuples",
            lambda: birnn.forward(lstm, params, x, None, states[0][0]),
        ),
        (TypeError, "states: expected two tuples", lambda: birnn.forward(lstm, params, x, None, states[:1])),
        (
            ValueError,
            r"h0: expected shape \(2, 4\), got \(4, 2\)",
            lambda: birnn.forward(lstm, params, x, None, ((states[0][0].T,), ())),
        ),
        (ValueError, "dh, dh_n: expected at least one", lambda: birnn.backward(lstm, params, run)),
        (
            ValueError,
            r"dh: expected shape \(5, 2, 8\), got \(5, 2, 4\)",
            lambda: birnn.backward(lstm, params, run, dh=run.h[..., :H]),
        ),
        (
            ValueError,
            r"dh_n: expected shape \(2, 8\), got \(2, 4\)",
            lambda: birnn.backward(lstm, params, run, dh_n=run.h_n[:, :H]),
        ),
        (ValueError, r"x: expected an array \(T, B, ...\), not empty", lambda: birnn.flip(np.zeros(3))),
        (ValueError, r"x: expected an array \(T, B, ...\), not empty", lambda: birnn.flip([[1.0]])),
        (
            ValueError,
            r"lengths: expected shape \(B,\) = \(2,\), got \(3,\)",
            lambda: birnn.flip(x, [1, 2, 3]),
        ),
        (
            ValueError,
            "num_layers: expected a positive integer, got 0",
            lambda: birnn.init_stack(lstm, I, H, 0, rng=np.random.default_rng(0)),
        ),
        (TypeError, "params: expected a tuple of", lambda: birnn.forward_stack(lstm, params, x)),
        (TypeError, "params: expected a tuple of", lambda: birnn.forward_stack(lstm, (), x)),
        (
            ValueError,
            "states: expected 1 entries, got 2",
            lambda: birnn.forward_stack(lstm, layers, x, None, states),
        ),
        (ValueError, "dh, dh_n: expected at least one", lambda: birnn.backward_stack(lstm, layers, stack)),
        (
            ValueError,
            r"dh_n: expected shape \(1, 2, 8\), got \(2, 8\)",
            lambda: birnn.backward_stack(lstm, layers, stack, dh_n=run.h_n),
        ),
        (
            ValueError,
            "params: expected 1 layers, got 2",
            lambda: birnn.backward_stack(lstm, layers * 2, stack, dh=run.h),
        ),
    ]
    for error, words, call in cases:
        with pytest.raises(error, match=words):
            call()


def test_there_is_no_step():
    assert not hasattr(birnn, "step")
