"""Every exercise of every chapter: its mistakes are recognised by name, and what is right is called right."""

import importlib
import pkgutil
import time

import numpy as np
import pytest

from rnnlit import exercises
from rnnlit.exercises.check import RIGHT, SIZES, WRONG, Check, Exercise
from rnnlit.exercises.drawn import Drawn
from rnnlit.exercises.puzzle import Puzzle

FRAME = {"check", "draw", "drawn", "puzzle"}
CHAPTERS = [m.name for m in pkgutil.iter_modules(exercises.__path__) if m.name not in FRAME]
MODULES = {name: importlib.import_module(f"rnnlit.exercises.{name}") for name in CHAPTERS}
ALL = {
    f"{chapter}.{name}": exercise
    for chapter, module in MODULES.items()
    for name, exercise in vars(module).items()
    if isinstance(exercise, Check)
}
MISTAKES = [(name, mistake) for name, exercise in ALL.items() for mistake in exercise.mistakes]
LONGEST = 0.3  # seconds of a check, as a reader waits for it


def test_chapters_are_imported_with_the_package():
    assert set(CHAPTERS) == set(exercises.__all__)
    assert all(vars(exercises)[name] is module for name, module in MODULES.items())


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=lambda value: getattr(value, "name", value))
def test_a_mistake_is_recognised_by_its_name(name, mistake):
    verdict = ALL[name].judge(mistake.wrong)
    assert (verdict.outcome, verdict.mistake) == (WRONG, mistake.name), verdict.text
    assert mistake.name in verdict.text and mistake.help in verdict.text


@pytest.mark.parametrize("name", ALL)
def test_the_packages_own_function_is_right(name):
    assert ALL[name].judge(ALL[name].oracle).outcome == RIGHT


@pytest.mark.parametrize("name", ALL)
def test_names_and_sentences_of_mistakes(name):
    exercise = ALL[name]
    assert exercise.mistakes
    assert len({mistake.name for mistake in exercise.mistakes}) == len(exercise.mistakes)
    assert all(mistake.help[-1] in ".!?)" for mistake in exercise.mistakes)
    assert exercise.name == name.partition(".")[2]


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if isinstance(one, Exercise)])
def test_a_tuple_a_list_and_a_dict_are_accepted(name):
    exercise = ALL[name]

    def listed(*arguments):
        return exercise.leaves(exercise.oracle(*arguments))

    forms = (tuple, list, lambda leaves: dict(zip(exercise.results, leaves, strict=True)))
    for form in forms:
        assert exercise.judge(lambda *a, form=form: form(listed(*a))).outcome == RIGHT
    assert exercise.judge(lambda *a: listed(*a)[::-1]).outcome == (
        WRONG if len(exercise.results) > 1 else RIGHT
    )


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if isinstance(one, Exercise)])
def test_inputs_are_of_several_sizes_and_both_dtypes(name):
    exercise = ALL[name]
    cases = list(exercise.cases())
    assert len(cases) in (len(SIZES), 2 * len(SIZES))
    assert [case.words for case in cases] == [case.words for case in exercise.cases()]
    rights = [exercise.leaves(exercise.oracle(*case.arguments)) for case in cases]
    assert len({str([np.shape(one) for one in right]) for right in rights}) > 1 or all(
        not letters for letters in exercise.results.values()
    )


def test_sizes_differ_and_one_sequence_and_one_step_are_among_them():
    assert all(len(set(sizes)) == 4 for sizes in SIZES)
    assert any(sizes.B == 1 for sizes in SIZES) and any(sizes.T == 1 for sizes in SIZES)


@pytest.mark.parametrize("name", ALL)
def test_a_check_is_quick_and_says_the_same_each_time(name):
    exercise = ALL[name]
    unknown = lambda *a, **k: [one * 1.25 + 0.5 for one in exercise.leaves(exercise.oracle(*a, **k))]  # noqa: E731
    start = time.process_time()
    first = exercise.judge(unknown)
    assert time.process_time() - start < LONGEST
    assert first.outcome == WRONG
    assert first == exercise.judge(unknown)


def test_chapters_hold_what_they_promise():
    puzzles = [one for module in MODULES.values() for one in vars(module).values() if isinstance(one, Puzzle)]
    core = {"rnn", "lstm", "gru", "birnn", "attention", "dropout"}
    assert core <= set(CHAPTERS)
    assert len(ALL) >= 24 and len(MISTAKES) >= 40 and len(puzzles) >= 3
    assert all(sum(name.startswith(f"{chapter}.") for name in ALL) >= 4 for chapter in core)
    assert any(isinstance(one, Drawn) for one in ALL.values())
