"""Attention: the formulas written as loops, cases worked by hand, central differences, closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit import attention
from rnnlit.attention import SCORES, WINDOWS, Params, softmax
from rnnlit.attention_local import Place, gaussian_of
from rnnlit.attention_scores import Additive, Concat, Dot, General, Location, ScaledDot
from rnnlit.attention_state import Combine
from rnnlit.tools.gradcheck import central_differences
from rnnlit.tools.optim import named_arrays
from tests.tolerances import DIFFERENCES, TOLERANCE

EXACT = TOLERANCE[np.float64]
T, B, S, Q, K, A = 5, 2, 6, 3, 4, 7
every_score = pytest.mark.parametrize("score", SCORES)
every_window = pytest.mark.parametrize("window", WINDOWS)


def draw(score, window=None, T=T, B=B, S=S, Q=Q, K=K, A=A, dtype=np.float64, seed=0, max_length=None):
    """Parameters, queries and keys; K is Q for the scores that are a plain product."""
    rng = np.random.default_rng(seed)
    K = Q if "dot" in score else K
    options = dict(size=A, window=window, max_length=max_length or S + 2)
    params = attention.init(score, Q, K, rng=rng, dtype=dtype, **options)
    return params, *(rng.standard_normal(shape).astype(dtype) for shape in ((T, B, Q), (S, B, K)))


def score_by_hand(score, q, k, s):
    """One number from one query and one key, as the papers write it."""
    match score:
        case Additive(W_q, W_k, v):
            return v @ np.tanh(W_q @ q + W_k @ k)
        case Concat(W, v):
            return v @ np.tanh(W @ np.concatenate([q, k]))
        case General(W):
            return q @ W @ k
        case Location(W):
            return W[s] @ q
        case ScaledDot():
            return q @ k / math.sqrt(len(k))
    return q @ k


def by_hand(params, query, keys, lengths, window, D, position):
    """Context and weights by loops over every query and position."""
    (T, B, _), S = query.shape, len(keys)
    weights, context = np.zeros((T, B, S)), np.zeros((T, B, keys.shape[2]))
    for t in range(T):
        for b in range(B):
            q, length, p = query[t, b], lengths[b], position + t
            if window == "local_p":
                u = params.place.v @ np.tanh(params.place.weight @ q)
                p = length / (1 + np.exp(-u))
            seen = [s for s in range(length) if window is None or p - D <= s <= p + D]
            if isinstance(params.score, Location):
                seen = [s for s in seen if s < len(params.score.weight)]
            e = {s: np.exp(score_by_hand(params.score, q, keys[s, b], s)) for s in seen}
            for s in seen:
                weights[t, b, s] = e[s] / sum(e.values())
                if window == "local_p":
                    weights[t, b, s] *= np.exp(-((s - p) ** 2) / (2 * (D / 2) ** 2))
                context[t, b] += weights[t, b, s] * keys[s, b]
    return context, weights


@every_window
@every_score
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_forward_is_the_formula(score, window, data):
    T, B, S, Q, K, A, D = (data.draw(st.integers(1, 5), label=letter) for letter in "TBSQKAD")
    position = data.draw(st.integers(0, 4), label="position")
    max_length = data.draw(st.integers(1, 6), label="max_length")
    lengths = data.draw(st.lists(st.integers(1, S), min_size=B, max_size=B), label="lengths")
    params, query, keys = draw(score, window, T, B, S, Q, K, A, max_length=max_length)
    run = attention.forward(params, query, keys, lengths, window=window, D=D, position=position)
    context, weights = by_hand(params, query, keys, lengths, window, D, position)
    np.testing.assert_allclose(run.weights, weights, **EXACT)
    np.testing.assert_allclose(run.context, context, **EXACT)
    np.testing.assert_array_equal(run.weights == 0, weights == 0)
    np.testing.assert_array_equal(np.isneginf(run.scores), weights == 0)


def test_two_positions_worked_by_hand():
    """Scores 0 and ln 3: the weights are 1/4 and 3/4."""
    query = np.array([[[np.log(3), 0.0]]])
    keys = np.array([[[0.0, 8.0]], [[1.0, 4.0]]])
    run = attention.forward(Params(Dot()), query, keys)
    np.testing.assert_allclose(run.weights, [[[0.25, 0.75]]], **EXACT)
    np.testing.assert_allclose(run.context, [[[0.75, 5.0]]], **EXACT)
    twice = attention.forward(Params(General(2 * np.eye(2))), query, keys)  # scores 0 and ln 9
    np.testing.assert_allclose(twice.weights, [[[0.1, 0.9]]], **EXACT)


def test_local_p_worked_by_hand():
    """v = 0 puts p in the middle, 2 of 4; with D = 2, sigma = 1, the Gaussian is e^-2, e^-1/2, 1, e^-1/2."""
    params, query, keys = draw("general", "local_p", T=1, B=1, S=5)
    params.place.v[:], params.score.weight[:] = 0, 0
    run = attention.forward(params, query, keys, [4], window="local_p", D=2)
    want = np.exp([-2, -0.5, 0, -0.5, -np.inf]) / 4  # equal scores: a quarter each, before the Gaussian
    np.testing.assert_allclose(run.weights[0, 0], want, **EXACT)
    np.testing.assert_allclose(run.gaussian.center, [[2.0]], **EXACT)
    assert run.weights.sum() < 1


@every_score
def test_weights_are_a_distribution_unless_local_p(score):
    for window in WINDOWS:
        params, query, keys = draw(score, window)
        run = attention.forward(params, query, keys, [4, 6], window=window, D=4)
        total = run.weights.sum(axis=-1)
        assert (run.weights >= 0).all() and not run.weights[:, 0, 4:].any()
        if window == "local_p":
            assert (total > 0).all() and (total < 1).all()
        else:
            np.testing.assert_allclose(total, 1, **EXACT)


def test_scaled_dot_worked_by_hand():
    """Four equal numbers: q . k is 4 ln 3, its half is 2 ln 3, so the weights are 9 to 1."""
    query, keys = np.full((1, 1, 4), np.log(3)), np.array([np.ones((1, 4)), np.zeros((1, 4))])
    run = attention.forward(Params(ScaledDot()), query, keys)
    np.testing.assert_allclose(run.scores[0, 0], [2 * np.log(3), 0], **EXACT)
    np.testing.assert_allclose(run.weights[0, 0], [0.9, 0.1], **EXACT)


def test_concat_is_additive_with_its_weight_cut():
    params, query, keys = draw("concat")
    W, v = params.score
    cut = Params(Additive(W[:, :Q], W[:, Q:], v))
    one, other = (attention.forward(p, query, keys, [4, 6]) for p in (params, cut))
    np.testing.assert_allclose(one.weights, other.weights, **EXACT)
    dcontext = np.random.default_rng(1).standard_normal(one.context.shape)
    concat = attention.backward(params, one, dcontext).params.score
    additive = attention.backward(cut, other, dcontext).params.score
    np.testing.assert_allclose(
        concat.weight, np.concatenate([additive.weight_q, additive.weight_k], 1), **EXACT
    )


def test_general_with_the_identity_is_dot():
    params, query, keys = draw("dot")
    want = attention.forward(params, query, keys)
    got = attention.forward(Params(General(np.eye(Q))), query, keys)
    np.testing.assert_allclose(got.context, want.context, **EXACT)


@every_window
@every_score
@pytest.mark.parametrize("lengths", [None, [4, 6]], ids=str)
def test_backward_matches_central_differences(score, window, lengths):
    """Context and weights in one loss. D = 3 from position 3 cuts some windows and empties one."""
    params, query, keys = draw(score, window, max_length=5)
    options = dict(window=window, D=3, position=3)  # sigma is 1.5, which is not its own square
    rng = np.random.default_rng(1)
    dcontext, dweights = rng.standard_normal((T, B, keys.shape[2])), rng.standard_normal((T, B, S))

    def loss():
        run = attention.forward(params, query, keys, lengths, **options)
        return float((run.context * dcontext).sum() + (run.weights * dweights).sum())

    run = attention.forward(params, query, keys, lengths, **options)
    if window == "local_p":  # no position may step over the edge of a window within the difference
        assert np.abs(np.abs(np.arange(S) - run.gaussian.center[:, :, None]) - 3).min() > 1e-4
    grads = attention.backward(params, run, dcontext, dweights)
    numeric = central_differences(loss, (params, query, keys))
    got = named_arrays({"params": grads.params, "query": grads.query, "keys": grads.keys})
    want = named_arrays(dict(zip(("params", "query", "keys"), numeric, strict=True)))
    assert list(got) == list(want)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], **DIFFERENCES, err_msg=name)
    if window == "local_p":
        assert np.abs(want["params.place.weight"]).max() > 1e-3


@every_window
@every_score
def test_gradients_of_context_and_weights_add_up(score, window):
    params, query, keys = draw(score, window)
    run = attention.forward(params, query, keys, window=window, D=3)
    rng = np.random.default_rng(1)
    dcontext, dweights = (rng.standard_normal(a.shape) for a in (run.context, run.weights))
    both, one, other = (
        named_arrays(attention.backward(params, run, *d)._asdict())
        for d in ((dcontext, dweights), (dcontext, None), (None, dweights))
    )
    for name in both:
        np.testing.assert_allclose(both[name], one[name] + other[name], **EXACT)


@every_window
@every_score
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_padding_never_changes_anything(score, window, data):
    T, B, S, D = (data.draw(st.integers(1, 5), label=letter) for letter in "TBSD")
    lengths = np.array(data.draw(st.lists(st.integers(1, S), min_size=B, max_size=B), label="lengths"))
    params, query, keys = draw(score, window, T, B, S)
    options = dict(window=window, D=D)
    rng = np.random.default_rng(1)
    run = attention.forward(params, query, keys, lengths, **options)
    dcontext, dweights = (rng.standard_normal(a.shape) for a in (run.context, run.weights))
    grads = attention.backward(params, run, dcontext, dweights)
    for b, length in enumerate(lengths):
        one = (query[:, b : b + 1], keys[:length, b : b + 1])
        alone = attention.forward(params, *one, **options)
        back = attention.backward(params, alone, dcontext[:, b : b + 1], dweights[:, b : b + 1, :length])
        np.testing.assert_allclose(run.context[:, b], alone.context[:, 0], **EXACT)
        np.testing.assert_allclose(run.weights[:, b, :length], alone.weights[:, 0], **EXACT)
        np.testing.assert_allclose(grads.query[:, b], back.query[:, 0], **EXACT)
        np.testing.assert_allclose(grads.keys[:length, b], back.keys[:, 0], **EXACT)
        assert not run.weights[:, b, length:].any() and not grads.keys[length:, b].any()
    other = keys.copy()
    other[np.arange(S)[:, None] >= lengths] = 1e3
    again = attention.forward(params, query, other, lengths, **options)
    moved = attention.backward(params, again, dcontext, dweights)
    np.testing.assert_array_equal(again.context, run.context)
    for name, value in named_arrays(moved._asdict()).items():
        np.testing.assert_allclose(value, named_arrays(grads._asdict())[name], **EXACT, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["additive", "dot", "scaled_dot", "general", "concat"]), st.permutations(range(S)))
def test_content_scores_do_not_know_the_order(score, order):
    """Errata A4: the positions permuted, the weights are permuted and the context is the same."""
    params, query, keys = draw(score)
    order = np.array(order)
    run, moved = (attention.forward(params, query, k) for k in (keys, keys[order]))
    np.testing.assert_allclose(moved.weights, run.weights[:, :, order], **EXACT)
    np.testing.assert_allclose(moved.context, run.context, **EXACT)


def test_location_does_not_know_the_content():
    params, query, keys = draw("location")
    run, other = (attention.forward(params, query, k) for k in (keys, keys[::-1].copy()))
    np.testing.assert_array_equal(run.weights, other.weights)


def test_location_does_not_see_beyond_its_rows():
    params, query, keys = draw("location", max_length=4)
    run = attention.forward(params, query, keys)
    assert not run.weights[:, :, 4:].any()
    np.testing.assert_allclose(run.context, attention.forward(params, query, keys[:4]).context, **EXACT)


@every_score
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steps_alone_are_the_whole(score, dtype):
    for window in WINDOWS:
        params, query, keys = draw(score, window, dtype=dtype)
        whole = attention.forward(params, query, keys, [4, 6], window=window, D=2)
        assert whole.context.dtype == whole.weights.dtype == whole.scores.dtype == dtype
        grads = attention.backward(params, whole, np.ones_like(whole.context))
        assert {a.dtype for a in named_arrays(grads._asdict()).values()} == {np.dtype(dtype)}
        for t in range(T):
            one = attention.forward(params, query[t : t + 1], keys, [4, 6], window=window, D=2, position=t)
            np.testing.assert_allclose(one.context[0], whole.context[t], **TOLERANCE[dtype])


def test_local_m_looks_beside_its_own_position():
    params, query, keys = draw("general", T=8)
    run = attention.forward(params, query, keys, [3, 6], window="local_m", D=1)
    seen = [[np.flatnonzero(run.weights[t, b]).tolist() for t in range(8)] for b in range(2)]
    assert seen[0] == [[0, 1], [0, 1, 2], [1, 2], [2], [], [], [], []]
    assert seen[1] == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5], [5], []]
    assert not run.context[4:, 0].any()  # a window beyond the end: nothing, and no NaN
    wide = attention.forward(params, query, keys, [3, 6], window="local_m", D=8)
    np.testing.assert_allclose(wide.weights, attention.forward(params, query, keys, [3, 6]).weights, **EXACT)


def test_a_wide_gaussian_is_global_attention():
    """D without bound: sigma too, and all factors go to 1."""
    params, query, keys = draw("additive", "local_p")
    run = attention.forward(params, query, keys, window="local_p", D=10**7)
    want = attention.forward(Params(params.score), query, keys)
    np.testing.assert_allclose(run.weights, want.weights, **EXACT)


@pytest.mark.parametrize("far", [-1e3, 1e3])
def test_local_p_can_go_to_either_end_and_stays_finite(far):
    """The sigmoid at its ends: p is 0 or the length itself, and D = 1 still finds a valid position."""
    params, query, keys = draw("general", "local_p")
    query = np.abs(query) + 1
    params = params._replace(place=Place(np.eye(Q), np.full(Q, far)))
    gaussian = gaussian_of(params.place, query, S, np.array([4, 6]), 0.5)
    np.testing.assert_allclose(
        gaussian.center, np.broadcast_to([0, 0] if far < 0 else [4, 6], (T, B)), **EXACT
    )
    run = attention.forward(params, query, keys, [4, 6], window="local_p", D=1)
    assert (run.weights.sum(axis=-1) > 0).all()
    grads = attention.backward(params, run, np.ones_like(run.context))
    assert all(np.isfinite(a).all() for a in named_arrays(grads._asdict()).values())


def test_softmax_is_safe():
    rows = np.array([[1e4, 0, -1e4], [-np.inf, 2, -np.inf], [-np.inf] * 3, [-1e4, -1e4, -np.inf]])
    want = [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0.5, 0.5, 0]]
    np.testing.assert_array_equal(softmax(rows), want)
    assert softmax(rows.astype(np.float32)).dtype == np.float32


def test_init_draws_the_shapes_and_the_bounds():
    rng = np.random.default_rng(0)
    params = attention.init("additive", 30, 40, rng=rng, size=50, window="local_p")
    shapes = {name: a.shape for name, a in named_arrays(params).items()}
    assert shapes == {
        "score.weight_q": (50, 30),
        "score.weight_k": (50, 40),
        "score.v": (50,),
        "place.weight": (30, 30),
        "place.v": (30,),
    }
    for a in named_arrays(params).values():
        bound = a.shape[-1] ** -0.5
        assert 0.8 * bound < np.abs(a).max() <= bound and a.dtype == np.float32
    assert attention.init("concat", 3, 4, rng=rng).score.weight.shape == (3, 7)
    assert attention.init("general", 3, 4, rng=rng).score.weight.shape == (3, 4)
    assert attention.init("location", 3, 4, rng=rng, max_length=9).score.weight.shape == (9, 3)
    assert attention.init("dot", 3, 3, rng=rng) == Params(Dot())
    assert isinstance(attention.init("scaled_dot", 3, 3, rng=rng).score, ScaledDot)


def test_combine_by_hand_and_by_differences():
    weight = np.array([[1.0, 0, 0, 2], [0, -1, 1, 0]])
    context, h = np.array([[0.1, 0.2]]), np.array([[0.3, 0.4]])
    got = attention.combine(Combine(weight), context, h)
    np.testing.assert_allclose(got, np.tanh([[0.1 + 0.8, -0.2 + 0.3]]), **EXACT)

    rng = np.random.default_rng(0)
    params = attention.combine_init(Q, K, rng=rng, size=A, dtype=np.float64)
    assert params.weight.shape == (A, K + Q)
    context, h, dstate = (rng.standard_normal((T, B, n)) for n in (K, Q, A))
    state = attention.combine(params, context, h)
    grads = attention.combine_backward(params, context, h, state, dstate)
    numeric = central_differences(
        lambda: float((attention.combine(params, context, h) * dstate).sum()), (*params, context, h)
    )
    for got, want in zip((*grads.params, grads.context, grads.h), numeric, strict=True):
        np.testing.assert_allclose(got, want, **DIFFERENCES)
    with pytest.raises(ValueError, match=r"context: expected shape \(5, 2, 4\), got \(5, 2, 3\)"):
        attention.combine(params, h, h)


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (dict(query=np.zeros((T, Q))), ValueError, r"query: expected shape \(T, B, Q\), got \(5, 3\)"),
        (dict(query=np.full((T, B, Q), np.nan)), ValueError, "query: expected finite numbers, got nan"),
        (dict(keys=np.zeros((S, 3, K))), ValueError, r"keys: expected shape \(S, 2, K\), got \(6, 3, 4\)"),
        (dict(keys=np.zeros((S, B, K), np.float32)), TypeError, "keys: expected float64"),
        (dict(keys=np.zeros((S, B, 5))), ValueError, r"params.score.weight_k: expected shape \(7, 5\)"),
        (dict(query=np.zeros((T, B, 5))), ValueError, r"params.score.weight_q: expected shape \(7, 5\)"),
        (dict(lengths=[2, 7]), ValueError, "lengths: expected 1 <= length <= T = 6, got 2 to 7"),
        (dict(lengths=[1.0, 2.0]), TypeError, "lengths: expected integers, got float64"),
        (dict(params=(1, 2)), TypeError, "params: expected rnnlit.attention.Params, got tuple"),
        (dict(params=Params((1, 2))), TypeError, "params.score: expected one of the six scores, got tuple"),
        (dict(window="local_p"), ValueError, "window: got 'local_p', but params lacks the place"),
        (dict(window="local"), ValueError, "window: expected None, local_m or local_p, got 'local'"),
        (dict(window="local_m", D=0), ValueError, "D: expected a positive integer, got 0"),
        (dict(position=-1), ValueError, "position: expected an integer of at least 0, got -1"),
        (dict(position=0.5), TypeError, "position: expected an integer of at least 0, got 0.5"),
    ],
)
def test_bad_arguments_are_named(changes, error, words):
    params, query, keys = draw("additive")
    with pytest.raises(error, match=words):
        attention.forward(**(dict(params=params, query=query, keys=keys) | changes))


def test_bad_parameters_are_named():
    params, query, keys = draw("additive", "local_p")
    with pytest.raises(ValueError, match="window: got None, but params has the place of local_p"):
        attention.forward(params, query, keys)
    with pytest.raises(TypeError, match=r"params.score.v: expected float64 like the parameters, got float32"):
        score = params.score._replace(v=params.score.v.astype(np.float32))
        attention.forward(Params(score), query, keys)
    with pytest.raises(ValueError, match=r"score dot: .* Q = 3 and K = 4; the score general takes any two"):
        attention.forward(Params(Dot()), query, keys)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (dict(score="cosine"), ValueError, "score: expected one of additive, dot, .* got 'cosine'"),
        (dict(score="dot"), ValueError, "Q = 3 and K = 4; the score general takes any two"),
        (dict(score="location"), ValueError, "max_length: location needs the largest source length"),
        (dict(score="general", window="global"), ValueError, "window: expected None, local_m or local_p"),
        (dict(score="additive", size=0), ValueError, "size: expected a positive integer, got 0"),
        (dict(score="additive", rng=0), TypeError, "rng: expected a numpy.random.Generator, got int"),
    ],
)
def test_bad_choices_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        attention.init(**(dict(query_size=Q, key_size=K, rng=np.random.default_rng(0)) | arguments))


def test_backward_wants_a_gradient_that_fits():
    params, query, keys = draw("additive")
    run = attention.forward(params, query, keys)
    with pytest.raises(ValueError, match="dcontext, dweights: expected at least one gradient, got none"):
        attention.backward(params, run)
    with pytest.raises(ValueError, match=r"dcontext: expected shape \(5, 2, 4\), got \(5, 2, 6\)"):
        attention.backward(params, run, run.weights)
