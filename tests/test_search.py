"""Greedy and beam search against the enumeration of all sequences, and against cases worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit.search import (
    Hypothesis,
    beam,
    beam_of_one,
    greedy,
    length_normaliser,
    sampling_probabilities,
    select_rows,
)
from tests.tolerances import TOLERANCE

EXACT = TOLERANCE[np.float64]
STOP, START = 0, 1


def markov(rng, V=4, sharpness=1.5):
    """log P(next | last), a random Markov model over V tokens of which 0 is the stop and 1 the start."""
    logits = sharpness * rng.standard_normal((V, V))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def step_of(logs):
    """The step of a Markov model whose state counts the steps of each hypothesis."""

    def step(tokens, state):
        return logs[tokens], state + 1

    return step


def log_probability(logs, tokens, finished, start=START):
    """The sum along a path, token by token."""
    path = [start, *tokens, *([STOP] if finished else [])]
    return sum(logs[a, b] for a, b in itertools.pairwise(path))


def all_sequences(logs, max_length, start=START):
    """Every sequence that ends within max_length steps, with its log-probability, best first."""
    V = len(logs)
    found = [
        (log_probability(logs, tokens, True, start), tokens)
        for length in range(max_length)
        for tokens in itertools.product(range(1, V), repeat=length)
    ]
    return sorted(found, key=lambda pair: -pair[0])


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_lists_all_sequences_best_first(seed):
    logs, max_length = markov(np.random.default_rng(seed)), 4
    want = all_sequences(logs, max_length)
    got = beam(step_of(logs), np.zeros(1), START, STOP, max_length, size=4**max_length)[0]
    ended = [h for h in got if h.finished]
    assert len(ended) == len(want) == 1 + 3 + 9 + 27
    np.testing.assert_allclose([h.log_probability for h in ended], [p for p, _ in want], **EXACT)
    assert {tuple(h.tokens) for h in ended} == {tokens for _, tokens in want}
    assert len(got) == len(want) + 3**max_length  # and all that have no end yet, behind them
    assert not any(h.finished for h in got[len(want) :])
    total = np.exp([h.log_probability for h in got]).sum()
    np.testing.assert_allclose(total, 1, **EXACT)  # nothing is missing and nothing is there twice


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 5),
    st.integers(1, 6),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.7]),
)
def test_each_result_is_what_it_says(seed, V, max_length, size, alpha):
    logs = markov(np.random.default_rng(seed), V)
    (found,) = beam(step_of(logs), np.zeros(1), START, STOP, max_length, size, length_penalty=alpha)
    assert 1 <= len(found) <= size
    assert len({(*h.tokens, h.finished) for h in found}) == len(found)
    for h in found:
        assert (h.tokens != STOP).all() and (h.finished or len(h.tokens) == max_length)
        np.testing.assert_allclose(h.log_probability, log_probability(logs, h.tokens, h.finished), **EXACT)
        steps = len(h.tokens) + h.finished
        np.testing.assert_allclose(h.score, h.log_probability / ((5 + steps) / 6) ** alpha, **EXACT)
    assert [(not h.finished, -h.score) for h in found] == sorted((not h.finished, -h.score) for h in found)
    best = all_sequences(logs, max_length)[0][0]
    assert max((h.log_probability for h in found if h.finished), default=best) <= best + 1e-12


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 8), st.sampled_from([0.0, 1.0]))
def test_a_beam_of_one_is_greedy(seed, V, max_length, alpha):
    logs = markov(np.random.default_rng(seed), V)
    starts = np.arange(V)
    one = beam(step_of(logs), np.zeros(V), starts, STOP, max_length, 1, length_penalty=alpha)
    for mine, (other,) in zip(greedy(step_of(logs), np.zeros(V), starts, STOP, max_length), one, strict=True):
        assert mine.tokens.tolist() == other.tokens.tolist() and mine.finished == other.finished
        np.testing.assert_allclose(mine.log_probability, other.log_probability, **EXACT)


def test_greedy_takes_the_largest_each_time():
    logs = markov(np.random.default_rng(3), V=6)
    (found,) = greedy(step_of(logs), np.zeros(1), START, STOP, 7)
    token, path = START, []
    while len(path) < 7 and (not path or token != STOP):
        token = int(np.argmax(logs[token]))
        path.append(token)
    assert found.tokens.tolist() == [t for t in path if t != STOP]
    assert found.finished == (path[-1] == STOP)
    np.testing.assert_allclose(
        found.log_probability, log_probability(logs, found.tokens, found.finished), **EXACT
    )


@pytest.mark.parametrize("search", [greedy, lambda *a: beam(*a, 3)], ids=["greedy", "beam"])
def test_what_the_model_gives_is_left_as_it_is(search):
    """A model may hand out rows of a table of its own; one of these sequences ends before the others."""
    logs = markov(np.random.default_rng(1), V=5)
    kept, table = logs.copy(), logs[np.array([2, 1, 3])]
    given_out = table.copy()

    def step(tokens, state):
        return (table if len(tokens) == 3 else logs[tokens]), state

    table[0] = given_out[0] = np.log([0.96, 0.01, 0.01, 0.01, 0.01])
    search(step, np.zeros(3), [2, 1, 3], STOP, 6)
    np.testing.assert_array_equal(logs, kept)
    np.testing.assert_array_equal(table, given_out)


def garden_path():
    """From the start, A is likelier than B (0.6 to 0.4); A goes on in two ways, B in one (0.9).

    The whole is A-C or A-D with 0.6 · 0.5 = 0.30, or B-C with 0.4 · 0.9 = 0.36.
    """
    A, B, C, D = 2, 3, 4, 5
    p = np.zeros((6, 6))
    p[START, [A, B]] = 0.6, 0.4
    p[A, [C, D]] = 0.5, 0.5
    p[B, [C, D]] = 0.9, 0.1
    p[[C, D], STOP] = 1
    with np.errstate(divide="ignore"):
        return np.log(p), (A, B, C, D)


def test_greedy_goes_wrong_where_a_beam_of_two_does_not():
    logs, (A, B, C, D) = garden_path()
    taken, short = greedy(step_of(logs), np.zeros(2), [START, C], STOP, 5)  # one ends before the other
    assert taken.tokens.tolist() == [A, C] and short.tokens.tolist() == []
    np.testing.assert_allclose(np.exp(taken.log_probability), 0.30, **EXACT)
    (found,) = beam(step_of(logs), np.zeros(1), START, STOP, 5, 2)
    assert [h.tokens.tolist() for h in found] == [[B, C], [A, C]]
    np.testing.assert_allclose(np.exp([h.log_probability for h in found]), [0.36, 0.30], **EXACT)
    (wide,) = beam(step_of(logs), np.zeros(1), START, STOP, 5, 10)
    assert [h.tokens.tolist() for h in wide] == [[B, C], [A, C], [A, D], [B, D]]  # what cannot be is left out


def test_the_length_penalty_by_hand():
    """Stop at once with 0.3, or stop after three sure tokens with 0.7 · 1 · 1 · 0.4 = 0.28."""
    p = np.zeros((5, 5))
    p[START, [STOP, 2]] = 0.3, 0.7
    p[2, 3] = p[3, 4] = 1
    p[4, [STOP, 2]] = 0.4, 0.6
    with np.errstate(divide="ignore"):
        step = step_of(np.log(p))
    assert length_normaliser(1, 0.6) == length_normaliser(9, 0.0) == 1
    np.testing.assert_allclose(length_normaliser(4, 1.0), 1.5, **EXACT)
    plain, normalised = (
        beam(step, np.zeros(1), START, STOP, 4, 3, length_penalty=alpha)[0] for alpha in (0.0, 1.0)
    )
    assert [h.tokens.tolist() for h in plain if h.finished] == [[], [2, 3, 4]]
    assert [h.tokens.tolist() for h in normalised if h.finished] == [[2, 3, 4], []]
    np.testing.assert_allclose(normalised[0].score, np.log(0.28) / 1.5, **EXACT)


def test_sequences_of_a_batch_do_not_touch_each_other():
    rng = np.random.default_rng(0)
    logs = np.stack([markov(rng, 5) for _ in range(3)])  # each sequence has a model of its own

    def step(tokens, state):
        return logs[state["model"], tokens], state

    models = np.array([2, 0, 1])
    starts = np.array([1, 4, 2])
    both = beam(step, {"model": models}, starts, STOP, 6, 3)
    takes = greedy(step, {"model": models}, starts, STOP, 6)
    for b in range(3):
        (alone,) = beam(step, {"model": models[b : b + 1]}, int(starts[b]), STOP, 6, 3)
        assert [h.tokens.tolist() for h in both[b]] == [h.tokens.tolist() for h in alone]
        (taken,) = greedy(step, {"model": models[b : b + 1]}, int(starts[b]), STOP, 6)
        assert takes[b].tokens.tolist() == taken.tokens.tolist()
        np.testing.assert_allclose(takes[b].log_probability, taken.log_probability, **EXACT)


def test_the_state_follows_its_hypothesis():
    """A model whose next token depends on the sum of all tokens so far, which only the state knows."""
    rng = np.random.default_rng(1)
    tables = np.stack([markov(rng, 4) for _ in range(7)])

    def step(tokens, state):
        state = state + tokens
        return tables[state % 7, tokens], state

    (found,) = beam(step, np.zeros(1, int), START, STOP, 5, 200)
    for h in found:
        total, last, want = 0, START, 0.0
        for token in [*h.tokens, *([STOP] if h.finished else [])]:
            total += last
            want += tables[total % 7, last, token]
            last = token
        np.testing.assert_allclose(h.log_probability, want, **EXACT)


def test_select_rows_goes_through_nests():
    a, b = np.arange(6).reshape(3, 2), np.arange(3)
    hypothesis = Hypothesis(b, b * 2, b * 3, b * 4)
    rows = np.array([2, 0, 0, 1])
    got = select_rows({"a": (a, None), "b": [b], "h": hypothesis}, rows)
    np.testing.assert_array_equal(got["a"][0], [[4, 5], [0, 1], [0, 1], [2, 3]])
    assert got["a"][1] is None and isinstance(got["a"], tuple) and isinstance(got["b"], list)
    np.testing.assert_array_equal(got["b"][0], rows)
    assert isinstance(got["h"], Hypothesis)
    np.testing.assert_array_equal(got["h"].score, [6, 0, 0, 3])


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (dict(start=1.0), TypeError, "start: expected an integer or integers"),
        (dict(start=np.ones((2, 2), int)), ValueError, "start: expected an integer or integers"),
        (dict(stop=4), ValueError, "stop: expected a token from 0 to 3, got 4"),
        (dict(stop=True), TypeError, "stop: expected an integer, got True"),
        (dict(max_length=0), ValueError, "max_length: expected a positive integer, got 0"),
        (dict(step=lambda t, s: (np.zeros(4), s)), ValueError, r"step: expected log-probabilities \(1, V\)"),
        (dict(step=lambda t, s: (np.ones((1, 4)), s)), ValueError, "expected log-probabilities, 0 at most"),
        (dict(step=lambda t, s: (np.full((1, 4), np.nan), s)), ValueError, "0 at most, got nan"),
        (dict(step=lambda t, s: (np.full((1, 4), -np.inf), s)), ValueError, "got a row of -inf"),
    ],
)
def test_bad_arguments_are_named(changes, error, words):
    logs = markov(np.random.default_rng(0))
    arguments = dict(step=step_of(logs), state=np.zeros(1), start=START, stop=STOP, max_length=3) | changes
    with pytest.raises(error, match=words):
        greedy(**arguments)
    with pytest.raises(error, match=words):
        beam(**arguments, size=2)


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (dict(size=0), ValueError, "size: expected a positive integer, got 0"),
        (dict(size=2, length_penalty=-0.5), ValueError, "length_penalty: expected a number of at least 0"),
    ],
)
def test_bad_beams_are_named(changes, error, words):
    with pytest.raises(error, match=words):
        beam(step_of(markov(np.random.default_rng(0))), np.zeros(1), START, STOP, 3, **changes)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_beam_to_be_read_is_the_beam_of_one_sequence(seed, size):
    """All that has ended; a word that is impossible is taken by neither."""
    logs = markov(np.random.default_rng(seed), V=5)
    logs[:, 1] = -np.inf
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    want = [h for h in beam(step_of(logs), np.zeros(1), START, STOP, 9, size)[0] if h.finished]
    got = beam_of_one(step_of(logs), np.zeros(1), START, STOP, 9, size)
    assert [h.tokens.tolist() for h in got] == [h.tokens.tolist() for h in want]
    np.testing.assert_allclose([h.score for h in got], [h.score for h in want], **EXACT)
    assert all(h.finished for h in got)


def test_the_beam_to_be_read_finds_what_greedy_search_misses():
    """Greedy takes 0.6 and ends with 0.33; the beam keeps 0.4 and ends with 0.36."""
    table = np.zeros((6, 6))
    table[0, [1, 2]] = 0.6, 0.4
    table[1, [3, 4]], table[2, [3, 4]] = (0.55, 0.45), (0.9, 0.1)
    table[[3, 4], 5] = 1
    with np.errstate(divide="ignore"):
        step = step_of(np.log(table))
    (best, _), (one,) = (beam_of_one(step, np.zeros(1), 0, 5, 4, size) for size in (2, 1))
    assert (best.tokens.tolist(), one.tokens.tolist()) == ([2, 3], [1, 3])
    np.testing.assert_allclose(np.exp([best.score, one.score]), [0.36, 0.33], **EXACT)


def test_temperature_and_nucleus_by_hand():
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    exact = TOLERANCE[np.float64]
    np.testing.assert_allclose(sampling_probabilities(logits), [0.5, 0.3, 0.15, 0.05], **exact)
    squares = np.array([0.25, 0.09, 0.0225, 0.0025])
    np.testing.assert_allclose(sampling_probabilities(logits, 0.5), squares / squares.sum(), **exact)
    np.testing.assert_allclose(sampling_probabilities(logits, top_p=0.6), [5 / 8, 3 / 8, 0, 0], **exact)
    np.testing.assert_allclose(sampling_probabilities(logits, top_p=0.4), [1, 0, 0, 0], **exact)
    np.testing.assert_allclose(
        sampling_probabilities(logits[::-1], top_p=0.9), [0, 15 / 95, 30 / 95, 50 / 95], **exact
    )
    np.testing.assert_array_equal(sampling_probabilities(logits, 0), [1, 0, 0, 0])
