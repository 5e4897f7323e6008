"""Hidden Markov models, against enumeration of all hidden paths, closed forms and counts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit.tasks import hmm
from tests.tolerances import TOLERANCE

EXACT = TOLERANCE[np.float64]
K, M, T, B = 3, 4, 5, 2


def draw(K=K, M=M, seed=0):
    rng = np.random.default_rng(seed)
    return hmm.HMM(rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), K), rng.dirichlet(np.ones(M), K))


def paths(model, x):
    """(z, P(z, x)) for one sequence x (T,) and each of the K^T hidden paths z."""
    for z in itertools.product(range(len(model.start)), repeat=len(x)):
        p = model.start[z[0]] * model.emission[z[0], x[0]]
        for t in range(1, len(x)):
            p *= model.transition[z[t - 1], z[t]] * model.emission[z[t], x[t]]
        yield z, p


def enumerated(model, x):
    """P(z_t | x_1 .. x_T) for each t, (T, K), and P(x), by going through all paths."""
    table = np.zeros((len(x), len(model.start)))
    for z, p in paths(model, x):
        table[np.arange(len(x)), z] += p
    return table / table.sum(1, keepdims=True), table[0].sum()


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_posteriors_are_those_of_all_hidden_paths(data):
    K, M, T, B = (
        data.draw(st.integers(1, n), label=name) for name, n in zip("KMTB", (3, 4, 5, 3), strict=True)
    )
    model = draw(K, M, seed=data.draw(st.integers(0, 99), label="seed"))
    x = np.random.default_rng(0).integers(0, M, (T, B))
    known = hmm.posterior(model, x)
    for b in range(B):
        smoothed, p = enumerated(model, x[:, b])
        np.testing.assert_allclose(known.smoothed[:, b], smoothed, **EXACT)
        np.testing.assert_allclose(known.log_likelihood[b], np.log(p), **EXACT)
        for t in range(T):
            prefix, _ = enumerated(model, x[: t + 1, b])
            np.testing.assert_allclose(known.filtered[t, b], prefix[t], **EXACT)


def test_exact_accuracy_is_that_of_the_best_answer_to_every_sequence():
    """The oracle lets each reader choose, for all it can have seen, the answer that is right most often."""
    model, T = draw(seed=3), 4
    right = dict(causal=0.0, both=0.0)
    for t in range(T):
        seen = {"causal": {}, "both": {}}
        for x in itertools.product(range(M), repeat=T):
            for z, p in paths(model, x):
                for name, key in (("causal", x[: t + 1]), ("both", x)):
                    seen[name].setdefault(key, np.zeros(K))[z[t]] += p
        for name, table in seen.items():
            right[name] += sum(row.max() for row in table.values()) / T
    ceiling = hmm.exact_accuracy(model, T)
    np.testing.assert_allclose([ceiling.causal, ceiling.both], [right["causal"], right["both"]], **EXACT)
    assert ceiling.causal_error == ceiling.both_error == 0 and ceiling.both > ceiling.causal


def test_sequences_that_cannot_happen_are_left_out_of_the_sum():
    """A walk round a circle of 3 whose symbols are its states: both readers know all."""
    model = hmm.HMM(np.full(3, 1 / 3), np.roll(np.eye(3), 1, axis=1), np.eye(3))
    np.testing.assert_allclose(hmm.exact_accuracy(model, 4)[::2], [1, 1], **EXACT)


def test_accuracy_of_a_coin_whose_next_symbol_is_the_state():
    """z_t is a fair coin that shows at t+1: a causal reader guesses, the other knows all but the last."""
    # State (now, before), number 2 now + before; the symbol is what the coin was before.
    transition = np.zeros((4, 4))
    for now, before, new in itertools.product((0, 1), repeat=3):
        transition[2 * now + before, 2 * new + now] = 0.5
    model = hmm.HMM(np.full(4, 0.25), transition, np.eye(2)[[0, 1, 0, 1]])
    ceiling = hmm.exact_accuracy(model, 5)
    np.testing.assert_allclose([ceiling.causal, ceiling.both], [0.5, (4 * 1 + 0.5) / 5], **EXACT)


def test_estimate_agrees_with_the_exact_accuracy_within_its_error():
    model = draw(seed=3)
    exact = hmm.exact_accuracy(model, T)
    z_scores = []
    for seed in range(20):
        one = hmm.accuracy(model, T, 500, np.random.default_rng(seed))
        z_scores.append(
            [(one.causal - exact.causal) / one.causal_error, (one.both - exact.both) / one.both_error]
        )
    # 20 scores of mean 0 and deviation 1, if the errors are right.
    assert (np.abs(np.mean(z_scores, axis=0)) < 4 / 20**0.5).all()
    assert ((np.std(z_scores, axis=0) > 0.5) & (np.std(z_scores, axis=0) < 1.7)).all()


def test_the_best_reader_is_right_as_often_as_promised():
    model = draw(seed=3)
    z, x = hmm.sample(model, 20, 4000, np.random.default_rng(0))
    known = hmm.posterior(model, x)
    for p in known[:2]:
        right = (p.argmax(2) == z).mean(0)
        assert abs(right.mean() - p.max(2).mean()) < 5 * right.std() / len(right) ** 0.5


def test_sample_has_the_models_frequencies():
    model, N = draw(), 40000
    z, x = hmm.sample(model, 3, N, np.random.default_rng(0))
    assert z.shape == x.shape == (3, N)
    distance = 5 * 0.5 / N**0.5  # five standard errors of a share, at most
    assert np.abs(np.bincount(z[0], minlength=K) / N - model.start).max() < distance
    for j in range(K):
        after, shown = z[1:][z[:-1] == j], x[z == j]
        share = np.bincount(after, minlength=K) / len(after)
        assert np.abs(share - model.transition[j]).max() < 2.5 / len(after) ** 0.5
        assert np.abs(np.bincount(shown, minlength=M) / len(shown) - model.emission[j]).max() < (
            2.5 / len(shown) ** 0.5
        )
    again = hmm.sample(model, 3, N, np.random.default_rng(0))
    assert np.array_equal(again.z, z) and np.array_equal(again.x, x)


def test_symbols_of_probability_zero_are_never_drawn():
    model = hmm.HMM(np.array([0.0, 1.0, 0.0]), np.eye(3), np.eye(3)[[2, 1, 0]])
    z, x = hmm.sample(model, 4, 1000, np.random.default_rng(0))
    assert (z == 1).all() and (x == 1).all()


def test_the_least_and_the_largest_random_number_draw_what_has_a_probability():
    class Generator:
        def __init__(self, number):
            self.number = number

        def random(self, shape):
            return np.full(shape, self.number)

    model = hmm.HMM(np.array([0.0, 0.4, 0.6]), np.eye(3), np.eye(3))
    for number, want in ((0.0, 1), (np.nextafter(1.0, 0.0), 2)):
        assert (hmm.sample(model, 2, 3, Generator(number)).z == want).all()


def test_long_sequences_neither_underflow_nor_drift():
    model = draw()
    x = hmm.sample(model, 5000, 2, np.random.default_rng(0)).x
    known = hmm.posterior(model, x)
    assert (known.log_likelihood < -5000).all()  # exp of it is zero in float64
    for p in known[:2]:
        np.testing.assert_allclose(p.sum(2), 1, rtol=0, atol=1e-9)
    np.testing.assert_allclose(known.smoothed[-1], known.filtered[-1], **EXACT)


def test_bad_arguments_are_named():
    model, rng = draw(), np.random.default_rng(0)
    half = model._replace(transition=model.transition / 2)
    sure = hmm.HMM(np.array([1.0, 0.0]), np.eye(2), np.eye(2))
    cases = [
        (
            TypeError,
            "model: expected rnnlit.tasks.hmm.HMM, got tuple",
            lambda: hmm.posterior(tuple(model), [[0]]),
        ),
        (
            ValueError,
            "transition: expected rows of probabilities that sum to 1",
            lambda: hmm.sample(half, 3, 2, rng),
        ),
        (
            ValueError,
            r"transition: expected shape \(3, 3\), got \(2, 3\)",
            lambda: hmm.check(model._replace(transition=model.transition[:2])),
        ),
        (ValueError, "x: expected 0 <= symbol < M = 4, got 0 to 4", lambda: hmm.posterior(model, [[0], [4]])),
        (TypeError, "x: expected integers, got float64", lambda: hmm.posterior(model, [[0.0]])),
        (ValueError, r"x: expected shape \(T, B\), got \(2,\)", lambda: hmm.posterior(model, [0, 1])),
        (
            ValueError,
            r"x: expected sequences that the model can produce, got \[0, 1\]",
            lambda: hmm.posterior(sure, [[0], [1]]),
        ),
        (
            ValueError,
            r"steps: expected M\^T of 10\^6 at most, got 4\^10",
            lambda: hmm.exact_accuracy(model, 10),
        ),
        (ValueError, "steps: expected a positive integer, got 0", lambda: hmm.sample(model, 0, 2, rng)),
        (ValueError, "sequences: expected 2 at least", lambda: hmm.accuracy(model, 3, 1, rng)),
    ]
    for error, words, call in cases:
        with pytest.raises(error, match=words):
            call()


def test_forward_and_backward_are_the_two_halves_of_the_posterior():
    """Unscaled, by the definitions: P(z_t, x_1 .. x_t) and P(x_{t+1} .. x_T | z_t), over all paths."""
    model, x = draw(seed=5), np.array([[1], [3], [0], [2]])
    f, evidence = hmm.forward(model, x)
    b = hmm.backward(model, x)
    np.testing.assert_allclose(evidence.prod(0), [enumerated(model, x[:, 0])[1]], **EXACT)
    for t in range(len(x)):
        later = np.zeros(K)
        for k in range(K):
            sure = model._replace(start=np.eye(K)[k])
            if t == len(x) - 1:
                later[k] = 1
            else:  # from state k on: P(x_t .. x_T) without the first symbol's own probability
                later[k] = enumerated(sure, x[t:, 0])[1] / model.emission[k, x[t, 0]]
        np.testing.assert_allclose(f[t, 0], enumerated(model, x[: t + 1, 0])[0][t], **EXACT)
        np.testing.assert_allclose(b[t, 0] / b[t, 0].sum(), later / later.sum(), **EXACT)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_viterbi_is_the_best_of_all_hidden_paths(data):
    K, M, T, B = (
        data.draw(st.integers(1, n), label=name) for name, n in zip("KMTB", (3, 4, 5, 3), strict=True)
    )
    model = draw(K, M, seed=data.draw(st.integers(0, 99), label="seed"))
    x = np.random.default_rng(0).integers(0, M, (T, B))
    found = hmm.viterbi(model, x)
    assert found.shape == (T, B)
    for b in range(B):
        every = dict(paths(model, x[:, b]))
        np.testing.assert_allclose(every[tuple(found[:, b].tolist())], max(every.values()), **EXACT)


def test_the_best_sequence_is_not_the_best_state_at_each_step():
    """A walk in which some moves can't be: named one by one, the states take such a move; Viterbi's don't."""
    moves = np.array([[2, 0, 2, 0], [0, 2, 0, 2], [1, 1, 2, 0], [1, 1, 0, 2]]) / 4
    shows = np.array([[18, 1, 1], [18, 1, 1], [1, 18, 1], [1, 1, 18]]) / 20
    walker = hmm.HMM(np.full(4, 1 / 4), moves, shows)
    x = np.array([[1], [2], [0], [1]])  # b c a b
    alone = hmm.posterior(walker, x).smoothed.argmax(2)[:, 0]
    whole = hmm.viterbi(walker, x)[:, 0]
    assert (moves[alone[:-1], alone[1:]] == 0).any()
    assert (moves[whole[:-1], whole[1:]] > 0).all()
