"""What a check says of functions that are empty, broken, or wrong in a way that nobody has named."""

import functools
from typing import NamedTuple

import numpy as np
import pytest

from rnnlit import lstm as cell
from rnnlit.exercises import lstm
from rnnlit.exercises.check import BLANKS, EMPTY, NOT_TRIED, RIGHT, WRONG, has_blanks
from rnnlit.tools.functions import sigmoid


def said(function, exercise=lstm.step):
    """What is said of a function that is not right, in one line."""
    verdict = exercise.judge(function)
    assert verdict.outcome == WRONG and verdict.mistake is None
    return " ".join(verdict.text.split())


def test_check_prints_and_returns_nothing(capsys):
    assert lstm.step.check(cell.step) is None
    printed = capsys.readouterr().out
    assert printed.split() == lstm.step.judge(cell.step).text.split()
    assert printed.startswith("Right: h and c agree")


def test_check_prints_lines_that_fit(capsys):
    for mistake in lstm.step.mistakes:
        lstm.step.check(mistake.wrong)
    lines = capsys.readouterr().out.splitlines()
    assert lines and max(map(len, lines)) <= 78


# ---------------------------------------------------------------- not tried yet


def empty(params, x, h, c): ...


def passed(params, x, h, c):
    pass


def described(params, x, h, c):
    """One step."""


def described_dots(params, x, h, c):
    """One step."""
    ...


def refused(params, x, h, c):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [empty, passed, described, described_dots, refused, ...])
def test_an_empty_function_is_not_tried(stub):
    assert lstm.step.judge(stub)[:2] == (NOT_TRIED, EMPTY)


def begun(params, x, h, c):
    x @ params.weight_ih.T
    ...


def faded(params, x, h, c):
    W_ih, W_hh, b_ih, b_hh = params
    a = x @ W_ih.T + b_ih + h @ W_hh.T + b_hh
    i, f, _g, _o = np.split(a, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * ...
    h = ...
    return h, c


def returned(params, x, h, c):
    return ..., c


def called(params, x, h, c):
    return np.tanh(...), c


@pytest.mark.parametrize("stub", [begun, faded, returned, called])
def test_blanks_are_not_tried(stub):
    assert lstm.step.judge(stub)[:2] == (NOT_TRIED, BLANKS)


def test_blanks_are_seen_without_a_source():
    space = {"np": np}
    exec("def f(params, x, h, c):\n    return x @ ..., c\ndef g(params, x, h, c):\n    return ..., c", space)
    for name in "fg":
        assert lstm.step.judge(space[name])[:2] == (NOT_TRIED, BLANKS)


def indexed(params, x, h, c):
    W_ih, W_hh, b_ih, b_hh = params
    H = h.shape[-1]
    a = x @ W_ih.T + b_ih + h @ W_hh.T + b_hh
    i, f, g, o = (a[..., k * H : (k + 1) * H] for k in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c
    ...


def test_an_index_with_dots_and_dots_left_behind_are_no_blanks():
    assert lstm.step.judge(indexed).outcome == RIGHT

    def wrong(params, x, h, c):
        return h[..., :], c

    assert not has_blanks(wrong, "")
    assert "h is not" in said(wrong)


# ---------------------------------------------------------------- right, in many forms


class State(NamedTuple):
    h: np.ndarray
    c: np.ndarray


class Reversed(NamedTuple):
    c: np.ndarray
    h: np.ndarray


@pytest.mark.parametrize(
    "form",
    [tuple, list, lambda s: State(*s), lambda s: Reversed(s[1], s[0]), lambda s: {"c": s[1], "h": s[0]}],
)
def test_results_in_any_form(form):
    assert lstm.step.judge(lambda *a: form(cell.step(*a))).outcome == RIGHT


def test_any_callable():
    assert lstm.step.judge(functools.partial(indexed)).outcome == RIGHT
    assert lstm.forward.judge(np.vectorize).outcome == WRONG


def test_one_result_may_stand_in_a_tuple():
    assert lstm.count_parameters.judge(lambda I, H: (4 * (I * H + H * H + 2 * H),)).outcome == RIGHT


def test_float64_from_float32_is_right_and_said():
    def wide(params, *states):
        return cell.step(cell.Params(*(a.astype(float) for a in params)), *(s.astype(float) for s in states))

    verdict = lstm.step.judge(wide)
    assert verdict.outcome == RIGHT
    assert "float64 came out" in verdict.text
    assert "float64 came out" not in lstm.step.judge(cell.step).text


def test_prints_go_through(capsys):
    def talks(*arguments):
        print("here I am")
        return cell.step(*arguments)

    lstm.step.check(talks)
    assert capsys.readouterr().out.startswith("here I am\n")


# ---------------------------------------------------------------- wrong, with a sentence that helps


def test_none():
    def forgets(params, x, h, c):
        h, c = cell.step(params, x, h, c)

    assert said(forgets) == "Not yet: it returned None; is a `return` missing?"
    assert "the result c is None" in said(lambda *a: (cell.step(*a)[0], None))


def test_number_of_results():
    assert "should return 2 results, h and c, and returned one, a NumPy array of shape (2, 4)" in said(
        lambda *a: cell.step(*a)[0]
    )
    assert "should return 2 results, h and c, and returned 3" in said(lambda *a: (*cell.step(*a), 0))


def test_shape():
    text = said(lambda *a: [s.T for s in cell.step(*a)])
    assert "h should have shape (B, H) = (2, 4), and has (4, 2) [B = 2, I = 3, H = 4, float64]" in text
    assert "several shapes" in said(lambda *a: ([np.ones(2), np.ones(3)], a[-1]))


def test_numbers():
    assert "h[0, 0] is nan" in said(lambda *a: (cell.step(*a)[0] * np.nan, a[-1]))
    assert "c[0, 0] is inf" in said(lambda *a: (cell.step(*a)[0], a[-1] + np.inf))
    assert "should hold numbers" in said(lambda *a: ("h", "c"))
    assert "float32 where all that came was float64" in said(
        lambda *a: [s.astype(np.float32) for s in cell.step(*a)]
    ) or "differ" in said(lambda *a: [s.astype(np.float32) for s in cell.step(*a)])


def test_float32_where_float64_came():
    def narrow(params, *states):
        return [np.rint(s * 0).astype(np.float32) + np.float32(0) for s in states[1:]]

    assert "is not right" in said(narrow)


def stops(params, x, h, c):
    W_ih = params[0]
    return x @ W_ih, c


def test_an_exception_names_the_readers_line():
    text = said(stops)
    assert "your code stopped with ValueError: matmul" in text
    assert "in the line: return x @ W_ih, c" in text
    assert "KeyError: 'w'" in said(lambda *a: {}["w"])

    def inside(params, x, h, c):
        return np.concatenate([x, c[0]])

    assert said(inside).endswith("in the line: return np.concatenate([x, c[0]])")


def endless(params, x, h, c):
    return endless(params, x, h, c)


def test_endless_recursion():
    assert "calls itself without end" in said(endless)


def test_number_of_arguments():
    text = said(lambda x, h, c: (h, c))
    assert "it is called as step(params, x, h, c), and too many positional arguments" in text


def test_no_function():
    assert said(None) == ("Not yet: check wants the function itself, as in check(step), and got None.")
    assert "got a tuple" in said((1, 2))


def test_changed_in_place():
    def greedy(params, x, h, c):
        c *= 1
        h += 1
        return cell.step(params, x, h - 1, c)

    assert "it changes its argument h in place" in said(greedy)

    def greedy_params(params, x, h, c):
        params.bias_ih[0] += 1
        return cell.step(params, x, h, c)

    assert "it changes its argument params in place" in said(greedy_params)


def test_where_an_unknown_mistake_parts():
    def nearly(params, x, h, c):
        h, c = cell.step(params, x, h, c)
        c = c.copy()
        c[1, 2] += 0.5
        return h, c

    text = said(nearly)
    assert text.startswith(
        "Not yet: h is right, c is not. 1 of 8 numbers differ, by 0.5 at most; the first is c[1, 2]: "
    )


def test_mistake_that_shows_in_one_size_alone_is_found():
    text = said(lambda p, x, h, c: cell.step(p, x, h, c) if len(x) > 1 else (h, c))
    assert "B = 1" in text


def test_hard_coded_answers_fail():
    case = next(iter(lstm.step.cases()))
    answer = cell.step(*case.arguments)
    assert "should have shape" in said(lambda *a: answer)


def test_sign():
    assert "All signs are turned round" in said(lambda *a: [-s for s in cell.step(*a)])


def test_a_number():
    assert "is not right: 10 where 144 is right" in said(lambda I, H: 10, lstm.count_parameters)


# ---------------------------------------------------------------- random results


def test_init_without_the_generator():
    def own(I, H, rng):
        return cell.init(I, H, rng=np.random.default_rng(0))

    def other(I, H, rng):
        return cell.init(I, H, rng=np.random.default_rng())

    assert "another rng gave the same numbers" in said(own, lstm.init)
    assert "two calls with the same rng gave different numbers" in said(other, lstm.init)


def test_init_with_an_unknown_mistake():
    def small(I, H, rng):
        p = cell.init(I, H, rng=rng)
        return p._replace(weight_hh=p.weight_hh / 2)

    assert "do not fill" in said(small, lstm.init)
    assert "lies outside" in said(
        lambda I, H, rng: [2 * a for a in cell.init(I, H, rng=rng)[:2]] + list(cell.init(I, H, rng=rng)[2:]),
        lstm.init,
    )
    assert "should have shape (4H, I)" in said(
        lambda I, H, rng: [a.T for a in cell.init(I, H, rng=rng)], lstm.init
    )


def test_init_by_hand():
    def init(I, H, rng):
        k = 1 / np.sqrt(H)
        b = np.zeros(4 * H)
        b[H : 2 * H] = 1
        return rng.uniform(-k, k, (4 * H, I)), rng.uniform(-k, k, (4 * H, H)), np.zeros(4 * H), b

    assert lstm.init.judge(init).outcome == RIGHT


def init_stub(I, H, rng): ...


def test_init_stub():
    assert lstm.init.judge(init_stub).outcome == NOT_TRIED
