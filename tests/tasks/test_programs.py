"""The programs, their answers by Python itself, their numbers, and the guesses to beat."""

import contextlib
import io
import re

import numpy as np
import pytest

from rnnlit.tasks import programs
from rnnlit.tasks.programs import ALPHABET, IGNORE, KINDS, OUTPUT, Die, Guess, Program, answer


def by_python(text):
    """What Python prints: our own programs only, which are made of what `draw` writes."""
    assert re.fullmatch(r"[a-h0-9x +\-*<>=:()\n]*", re.sub(r"\b(for|in|range|print|if|else)\b", "", text))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(text, {"__builtins__": {"print": print, "range": range}})
    return printed.getvalue().strip()


@pytest.mark.parametrize("task, length, nesting", [("programs", 4, 2), ("programs", 2, 3), ("sums", 5, 2)])
def test_answers_are_those_of_python(task, length, nesting):
    some = programs.draw_many(task, [(length, nesting)] * 300, "train", np.random.default_rng(0))
    assert len({one.text for one in some}) > 290
    for one in some:
        assert one.answer == by_python(one.text) == str(answer(one.text)), one.text


@pytest.mark.parametrize("kind", KINDS)
def test_each_operation_alone_is_right_and_looks_like_itself(kind):
    some = programs.draw_many("programs", [(3, 1)] * 100, "train", np.random.default_rng(1), kinds=(kind,))
    number = r"\d{1,3}"
    looks = {
        "add": rf"print\({number}\+{number}\)",
        "subtract": rf"print\({number}-{number}\)",
        "multiply": rf"print\({number}\*{number}\)",
        "assign": rf"([a-h])={number}\nprint\(\1[-+]{number}\)",
        "choose": rf"print\({number} if {number}[<>]{number} else {number}\)",
        "loop": rf"([a-h])={number}\nfor x in range\({number}\):\1[-+]={number}\nprint\(\1\)",
    }
    for one in some:
        assert re.fullmatch(looks[kind], one.text) and one.answer == by_python(one.text)


def test_numbers_have_at_most_so_many_digits_and_all_of_them_come():
    some = programs.draw_many(
        "programs", [(2, 1)] * 4000, "train", np.random.default_rng(2), kinds=("subtract",)
    )
    seen = {int(number) for one in some for number in re.findall(r"\d+", one.text)}
    assert seen == set(range(1, 100))


def test_small_numbers_are_at_most_four_times_the_length():
    some = programs.draw_many("programs", [(3, 1)] * 500, "train", np.random.default_rng(3), kinds=("loop",))
    assert {int(re.search(r"range\((\d+)", one.text)[1]) for one in some} == set(range(1, 13))


def test_memory_repeats_its_number():
    some = programs.draw_many("memory", [(7, 1)] * 50, "train", np.random.default_rng(4))
    for one in some:
        assert one.text == f"print({one.answer})" and len(one.answer) == 7


@pytest.mark.parametrize(
    "text, printed",
    [
        ("print(7)", 7),
        ("print(12+34)\n", 46),
        ("print((2-9)*3)", -21),
        ("print((1+2)*(3-5))", -6),
        ("a=5\nb=a*a\nprint(b-a)", 20),
        ("a=1\nfor x in range(6):a+=a\nprint(a)", 64),
        ("a=2\nfor x in range(3):a-=(a+1)\nprint(a)", -1),
        ("print(1 if 2>3 else 4)", 4),
        ("print((1 if 2<3 else 4)+5)", 6),
    ],
)
def test_programs_of_the_grammar_that_are_never_drawn(text, printed):
    assert answer(text) == printed and by_python(text) == str(printed)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", r"expected print\(, a loop, or a name a to h and = at character 1, got the end"),
        ("print(1+2*3)", r"expected \) at character 10, got '\*3\)'"),
        ("print(12", r"expected \) at character 9, got the end"),
        ("print(a)", "a name that has been given a value at character 7"),
        ("for x in range(3):a+=1\nprint(a)", "a name that has been given a value at character 19"),
        ("print(007)", "a number without a 0 in front"),
        ("a=5\nfor x in range(0):a+=1\nprint(a)", "expected 1 to 99"),
        ("a=5\nfor x in range(100):a+=1\nprint(a)", "expected 1 to 99"),
        ("a=5\nfor x in range(99):a+=(a*a)\nprint(a)", r"expected values below 10\^15"),
        ("print(1)print(2)", "expected the end of the program"),
        ("a=1 print(a)", "expected the end of the line"),
        ("print(1 if 2=3 else 4)", "expected < or >"),
        ("print(1 if 2<3)", "expected else"),
        ("__import__('os')", "expected print"),
        ("print(１)", "expected a number, a name a to h, or"),
        ("print(" + "(" * 300, "at most 200 characters, got 306"),
    ],
)
def test_what_is_no_program_is_refused_with_its_place(text, words):
    with pytest.raises(ValueError, match=words):
        answer(text)


def test_only_strings_are_programs():
    with pytest.raises(TypeError, match="program: expected a string, got int"):
        answer(3)


def test_parts_do_not_meet_and_sums_go_with_their_mirror():
    rng = np.random.default_rng(5)
    texts = {
        part: {one.text for one in programs.draw_many("programs", [(2, 1)] * 900, part, rng)}
        for part in programs.PARTS
    }
    assert not texts["train"] & texts["test"] and not texts["test"] & texts["validation"]
    assert not texts["train"] & texts["validation"]
    sums = programs.draw_many("sums", [(3, 1)] * 200, "test", rng)
    for one in sums:
        a, b = re.findall(r"\d+", one.text)
        assert programs.part_of(Program(f"print({b}+{a})", one.answer)) == "test"
    count = sum(programs.part_of(Program(f"print({n})", "")) == "test" for n in range(10_000))
    assert 400 < count < 600  # one in twenty: 500, with a deviation of 22


def test_unknown_tasks_and_parts_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="task: expected one of programs, sums, memory, got 'jokes'"):
        programs.draw_many("jokes", [(1, 1)], "train", rng)
    with pytest.raises(ValueError, match="part: expected one of train, validation, test, got 'all'"):
        programs.draw_many("sums", [(2, 1)], "all", rng)


def test_the_network_reads_the_program_and_writes_the_answer():
    some = [Program("print(7+5)", "12"), Program("print(3-9)", "-6"), Program("print(10-9)", "1")]
    x, write = programs.encode(some)
    assert x.shape == write.shape == (13, 3)
    assert "".join(ALPHABET[k] for k in x[:, 0]) == "print(7+5)@12"
    assert "".join(ALPHABET[k] for k in x[:, 2]) == "print(10-9)@1"
    written = ["".join(OUTPUT[k] for k in column if k != IGNORE) for column in write.T]
    assert written == ["12.", "-6.", "1."]
    assert (write[:10] == IGNORE).all() and write[10, 0] == OUTPUT.index("1") and write[10, 2] == IGNORE


@pytest.mark.parametrize(
    "form, read", [("reversed", ")4+31(tnirp"), ("doubled", "print(13+4)print(13+4)"),
                   ("both", ")4+31(tnirp)4+31(tnirp")]
)  # fmt: skip
def test_a_program_may_be_shown_in_other_forms(form, read):
    x, write = programs.encode([Program("print(13+4)", "17")], form)
    assert "".join(ALPHABET[k] for k in x[:, 0]) == read + "@17"
    assert [OUTPUT[k] for k in write[:, 0] if k != IGNORE] == ["1", "7", "."]


def test_a_shorter_program_is_padded_after_its_end():
    x, write = programs.encode([Program("print(7)", "7"), Program("print(123456)", "123456")])
    assert ALPHABET[x[10, 0]] == "."  # read, but nothing is asked any more
    assert (x[11:, 0] == programs.PAD).all() and (write[10:, 0] == IGNORE).all()


def test_the_die_is_fair():
    roll = Die(np.random.default_rng(6))
    counts = np.bincount([roll(5) for _ in range(10_000)], minlength=5)
    assert len(counts) == 5 and abs(counts - 2000).max() < 5 * 40  # a deviation is 40


def test_the_guess_is_the_most_frequent_next_character():
    guess = Guess(["12", "13", "13", "24"], order=2)
    assert guess.next("") == "1" and guess.next("1") == "3" and guess.next("2") == "4"
    assert guess.next("13") == "." and guess.next("9") == "3"  # never seen: by the place alone
    assert Guess(["12", "13", "13", "24"], order=1).next("777777") == "."
