"""Each check of `tests/book_checks` accepts a small good example and refuses a bad one."""

import copy

import pytest

from tests.book_checks import (
    arithmetic,
    counts,
    equations,
    files,
    loops,
    notebook,
    order,
    package,
    records,
    text,
    waits,
    words,
)

# ---------------------------------------------------------------- the reading order

TOC = {
    "root": "book/intro",
    "parts": [
        {"caption": "Core concepts", "chapters": [{"file": "book/lstm"}, {"file": "book/gru"}]},
        {
            "caption": "Practice",
            "chapters": [{"file": "book/practice/adding", "sections": [{"file": "book/extra"}]}],
        },
        {"caption": "Reference", "chapters": [{"file": "book/api"}]},
    ],
}
FILES = {
    f"{folder}{stem}{end}"
    for stem in ("lstm", "gru")
    for folder, end in (("book/", ".ipynb"), ("rnnlit/", ".py"), ("tests/test_", ".py"))
} | {"book/practice/adding.ipynb", "rnnlit/practice/adding.py", "tests/practice/test_adding.py"}


def test_pages_come_in_reading_order():
    assert order.pages(TOC) == [
        "book/intro",
        "book/lstm",
        "book/gru",
        "book/practice/adding",
        "book/extra",
        "book/api",
    ]
    assert order.concepts(TOC) == ["book/lstm", "book/gru", "book/practice/adding"]


def test_a_front_page_is_no_concept_and_comes_first():
    front, adding = {"file": "book/practice/index"}, {"file": "book/practice/adding"}
    files = FILES | {"tests/practice/test_index.py"}
    for chapters, wanted in (
        ([front, adding], []),
        ([adding, front], ["book/practice/index: stands behind book/practice/adding"]),
    ):
        toc = {"root": "book/intro", "parts": [{"caption": "Practice", "chapters": chapters}]}
        assert order.concepts(toc) == ["book/practice/adding"]
        assert order.fronts(toc) == ["book/practice/index"]
        assert order.misplaced_fronts(toc, files) == wanted
        lacking = ["book/practice/index: has no tests/practice/test_index.py"]
        assert order.misplaced_fronts(toc, FILES) == wanted + lacking


def test_stem_names_module_and_test():
    assert order.module_of("book/practice/adding") == "rnnlit.practice.adding"
    assert order.file_of("rnnlit.practice.adding") == "rnnlit/practice/adding.py"
    assert order.test_of("rnnlit.practice.adding") == "tests/practice/test_adding.py"


def test_homeless_chapters_passes_whole_stems():
    assert order.homeless_chapters(order.concepts(TOC), FILES) == []


@pytest.mark.parametrize("missing", sorted(FILES))
def test_homeless_chapters_finds_what_is_missing(missing):
    (finding,) = order.homeless_chapters(order.concepts(TOC), FILES - {missing})
    assert missing in finding or "no such page" in finding


GRADIENT = ["book/rnn", "book/rnn_gradient"]
GRADIENT_FILES = {
    *("book/rnn.ipynb", "rnnlit/rnn.py", "tests/test_rnn.py"),
    *("book/rnn_gradient.ipynb", "tests/test_rnn_gradient.py"),
}


def test_a_further_page_has_its_chapters_module_and_its_own_test():
    assert order.homeless_chapters(GRADIENT, GRADIENT_FILES) == []
    assert order.homeless_chapters(GRADIENT, GRADIENT_FILES - {"tests/test_rnn_gradient.py"}) == [
        "book/rnn_gradient: has no tests/test_rnn_gradient.py"
    ]
    (finding,) = order.homeless_chapters(GRADIENT[::-1], GRADIENT_FILES)
    assert finding == "book/rnn_gradient: stands before book/rnn, whose further page it is"
    alone = order.homeless_chapters(GRADIENT[1:], GRADIENT_FILES)
    assert alone == ["book/rnn_gradient: has no rnnlit/rnn_gradient.py"]
    rows = [
        ("book/rnn.ipynb", "rnnlit/rnn.py", "tests/test_rnn.py"),
        ("book/rnn_gradient.ipynb", "rnnlit/rnn.py", "tests/test_rnn_gradient.py"),
    ]
    files = GRADIENT_FILES | {"rnnlit/lstm.py"}
    assert order.readme_table(readme(*rows), GRADIENT, files) == []
    rows[1] = ("book/rnn_gradient.ipynb", "rnnlit/lstm.py", "tests/test_rnn_gradient.py")
    assert order.readme_table(readme(*rows), GRADIENT, files) == [
        "README.md, book/rnn_gradient: the row does not link rnnlit/rnn.py"
    ]


def test_orphans_are_found():
    modules = ["rnnlit.lstm", "rnnlit.lstm_1997", "rnnlit.lstm_torch", "rnnlit.rnn", "rnnlit.tools.show"]
    table = readme(("book/lstm.ipynb", "rnnlit/rnn.py", "tests/test_lstm.py"))
    assert order.orphans(modules, ["book/lstm"], table) == []
    assert order.orphans(modules, ["book/lstm"], "") == ["rnnlit.rnn: belongs to no chapter of _toc.yml"]
    (finding,) = order.orphans([*modules, "rnnlit.lstmish"], ["book/lstm"], table)
    assert "rnnlit.lstmish" in finding


def test_untested_modules_are_found():
    modules = ["rnnlit.lstm", "rnnlit.lstm_1997", "rnnlit.tools.show"]
    tests = {"tests/test_lstm.py": "from rnnlit import lstm, lstm_1997", "tests/tools/test_show.py": ""}
    assert order.untested_modules(modules, tests) == []
    (finding,) = order.untested_modules(
        modules, {**tests, "tests/test_lstm.py": "from rnnlit import lstm  # lstm_1997"}
    )
    assert finding.startswith("rnnlit.lstm_1997:")
    assert len(order.untested_modules(modules, {})) == 3
    assert order.untested_modules(modules, {"tests/test_all.py": "from rnnlit.lstm import step"})[
        0
    ].startswith("rnnlit.lstm_1997")


def readme(*rows):
    lines = ["| page | module | test |", "|---|---|---|"]
    for page, module, test in rows:
        lines.append(f"| [a title]({page}) | [`m`]({module}), [`n`](rnnlit/lstm.py) | [`t`]({test}) |")
    return "\n".join(lines)


LSTM_ROW = ("book/lstm.ipynb", "rnnlit/lstm.py", "tests/test_lstm.py")
GRU_ROW = ("book/gru.ipynb", "rnnlit/gru.py", "tests/test_gru.py")


def test_readme_table_passes_when_it_equals_the_toc():
    assert order.readme_table(readme(LSTM_ROW, GRU_ROW), ["book/lstm", "book/gru"], FILES) == []


@pytest.mark.parametrize(
    "rows",
    [
        [LSTM_ROW],
        [GRU_ROW, LSTM_ROW],
        [LSTM_ROW, GRU_ROW, GRU_ROW],
        [LSTM_ROW, ("book/gru.ipynb", "rnnlit/grus.py", "tests/test_gru.py")],
        [LSTM_ROW, ("book/gru.ipynb", "rnnlit/gru.py", "tests/test_lstm.py")],
    ],
    ids=["chapter missing", "other order", "chapter twice", "module that is not there", "test of another"],
)
def test_readme_table_finds_what_differs(rows):
    assert order.readme_table(readme(*rows), ["book/lstm", "book/gru"], FILES)


# ---------------------------------------------------------------- one notebook


def code(source="x = 1", count=1, outputs=(), tags=(), **metadata):
    return {
        "cell_type": "code",
        "source": source,
        "execution_count": count,
        "outputs": list(outputs),
        "metadata": {"tags": list(tags), **metadata},
    }


def markdown(source):
    return {"cell_type": "markdown", "source": source.splitlines(keepends=True), "metadata": {}}


def book(*cells, **metadata):
    return {"cells": list(cells), "metadata": metadata}


def stream(words, name="stdout"):
    return {"output_type": "stream", "name": name, "text": [words]}


def picture(kind="image/png", plain="<Figure size 500x300 with 1 Axes>"):
    return {"output_type": "display_data", "data": {kind: "abc", "text/plain": plain}}


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "x: expected", "traceback": []}
SENTENCE = stream("The gradient shrinks by half at each step.\n")

STUB = "def my_step(params, x, h):\n    ...\n\nexercises.rnn.step.check(my_step)"
SOLVED = "def my_step(params, x, h):\n    return h\n\nexercises.rnn.step.check(my_step)"

CHECKS = [
    notebook.unrun,
    notebook.stored_errors,
    notebook.stored_stderr,
    notebook.foreign_tags,
    notebook.long_cells,
    notebook.unspoken_figures,
    notebook.missing_figures,
    notebook.volatile,
    notebook.unanswered,
    notebook.predictions,
]

GOOD = book(
    markdown("# Title"),
    code("import numpy as np", 1),
    code("plot(x)", 2, [picture(), SENTENCE], tags=["hide-input"]),
    code("plot(x)\nplot(y)", 3, [picture(), SENTENCE, picture("image/svg+xml"), SENTENCE]),
    code("\n".join(["x += 1"] * 15), 4, [stream("4.00\n")]),
    code("step(x.T)", 5, [ERROR], tags=["raises-exception"]),
    markdown("How much is left after 50 steps: a half, a tenth, nothing?"),
    code("print(0.9**50)", 6, [stream("0.005")], tags=["hide-output"]),
    code(STUB, 7, [stream("Not tried yet: write it.")], tags=["exercise"]),
    code(SOLVED, 8, [stream("Right: h agrees.")], tags=["solution"]),
    code("lstm.latch.check(i=(..., 0))", 9, [stream("Not tried yet: put numbers.")], tags=["exercise"]),
    kernelspec={"name": "python3"},
)

BAD = {
    "never run": (notebook.unrun, code(count=None)),
    "run twice": (notebook.unrun, code(count=2)),
    "an error": (notebook.stored_errors, code(outputs=[ERROR])),
    "a failure that did not fail": (notebook.stored_errors, code(tags=["raises-exception"])),
    "a warning": (notebook.stored_stderr, code(outputs=[stream("UserWarning", "stderr")])),
    "skipped": (notebook.foreign_tags, code(tags=["nbval-skip"])),
    "skipped by a comment": (notebook.foreign_tags, code("# NBVAL_SKIP\nx = 1")),
    "ignored by a comment": (notebook.foreign_tags, code("x = 1  # nbval_ignore_output")),
    "sixteen lines": (notebook.long_cells, code("\n".join(["x += 1"] * 16))),
    "an empty cell": (notebook.long_cells, code("\n")),
    "a silent figure": (notebook.unspoken_figures, code(outputs=[picture()])),
    "a sentence above": (notebook.unspoken_figures, code(outputs=[SENTENCE, picture()])),
    "one sentence for two": (notebook.unspoken_figures, code(outputs=[picture(), picture(), SENTENCE])),
    "numbers for a sentence": (
        notebook.unspoken_figures,
        code(outputs=[picture(), stream("0.25 0.50 0.75\n")]),
    ),
    "stderr for a sentence": (
        notebook.unspoken_figures,
        code(outputs=[picture(), stream("It is so.", "stderr")]),
    ),
    "no picture": (notebook.missing_figures, code(outputs=[picture("text/html"), SENTENCE])),
    "times": (notebook.volatile, code(execution={"iopub.status.busy": "2026"})),
    "a widget": (notebook.volatile, code(outputs=[picture("application/vnd.jupyter.widget-view+json")])),
    "an exercise without a check": (
        notebook.unanswered,
        code("x = 1", outputs=[stream("Not tried yet: ")], tags=["exercise"]),
    ),
    "an exercise that is solved": (
        notebook.unanswered,
        code(SOLVED, outputs=[stream("Right: h agrees.")], tags=["exercise"]),
    ),
    "a solution that is wrong": (
        notebook.unanswered,
        code(SOLVED, outputs=[stream("Not yet: h is not right.")], tags=["solution"]),
    ),
    "a solution that says nothing": (notebook.unanswered, code(SOLVED, tags=["solution"])),
    "an answer without a question": (
        notebook.predictions,
        code(outputs=[stream("0.005")], tags=["hide-output"]),
    ),
    "a script": (notebook.volatile, code(outputs=[picture("application/javascript")])),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_good_notebook_passes(check):
    assert check(GOOD) == []


@pytest.mark.parametrize(("check", "cell"), BAD.values(), ids=BAD.keys())
def test_bad_notebook_is_found(check, cell):
    assert check(book(cell)), "the check lets it pass"


def test_every_notebook_check_has_a_bad_example():
    assert {check for check, _ in BAD.values()} == set(CHECKS)


def test_state_of_widgets_is_found():
    assert notebook.volatile(book(code(), widgets={}))


def test_tags_of_text_cells_are_checked():
    cell = markdown("words")
    cell["metadata"]["tags"] = ["remove-cell"]
    assert notebook.foreign_tags(book(cell)) == ["cell 1 has the tag 'remove-cell'"]


WRONG = "def step(x):\n    return x"
REASON = {"step": "forgets the state"}


def test_definitions_on_a_page():
    says_so = markdown("This one is wrong on purpose.")
    assert notebook.definitions(book(code("y = np.tanh(x)  # def of y")), {}) == []
    assert notebook.definitions(book(says_so, code(WRONG)), REASON) == []
    assert "should own it" in notebook.definitions(book(says_so, code(WRONG)), {})[0]
    assert "lacks the words" in notebook.definitions(book(markdown("The step."), code(WRONG)), REASON)[0]
    assert "does not define it" in notebook.definitions(book(says_so, code()), REASON)[0]
    assert "should own it" in notebook.definitions(book(code("class Cell: pass")), {})[0]
    assert "should own it" in notebook.definitions(book(code("if x:\n    async def inner(): pass")), {})[0]


def test_definitions_of_a_stub_and_of_its_solution():
    for tag in ("exercise", "solution"):
        assert notebook.definitions(book(code(STUB, tags=[tag])), {}) == []
    assert "should own it" in notebook.definitions(book(code(STUB, tags=["hide-input"])), {})[0]


def test_a_prediction_has_an_answer():
    asks = markdown("What is left?")
    assert "not there" in notebook.predictions(book(asks, code(tags=["hide-output"])))[0]
    answer = code(outputs=[stream("0.005")], tags=["hide-output"])
    assert notebook.predictions(book(asks, code(), answer)) == []
    assert notebook.predictions(book(asks, markdown("Now we know."), answer)) != []


def test_definitions_are_seen_beside_magics_and_broken_syntax():
    assert notebook.defined("%matplotlib inline\n!ls\ndef f(): pass") == ["f"]
    assert notebook.defined("def f(:\n  pass\nclass G") == ["f", "G"]


# ---------------------------------------------------------------- what is counted of a page


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("every gate sees both: True", True),
        ("G3   r and z lie in (0, 1), the candidate does not: True", True),
        ("h_n    above 80 %: True   below 20 %: False", True),
        ("True", True),
        ("[True, False, True]", True),
        ("left after 50 steps: 0.005", False),
        ("alive after 20: 0.003   measured so: True", False),
        ("0.87   True", False),
        ("The network is right about True and False.", True),
        ("It learns.", False),
    ],
)
def test_lines_that_say_only_true_or_false(line, verdict):
    assert counts.is_verdict(line) == verdict


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("0.87   with the reset gate", "0.87"),
        ("mean loss of steps 1 to 50: 0.92", "0.92"),
        ("the input gate is more open at a flag: True", "True"),
        ("error: -0.5e-3 on average", "-0.5e-3"),
        ("losses: [0.5, 0.4]", "[0.5"),
        ("LSTM   960 parameters", "960"),
    ],
)
def test_where_the_value_of_a_line_begins(line, value):
    assert line[counts.value_at(line) :].startswith(value)


def test_a_line_of_words_has_no_value_that_could_be_late():
    assert counts.value_at("and then it says what it has learnt of all the words that it has read") == 0


FOLD = markdown("```{exercise}\n:label: a\n```\n````{solution-start} a\n:class: dropdown\n````")
FOLD_END = markdown("````{solution-end}\n````")
LOOP = """for step in range(300):
    run = lstm.forward(cell, x)
    loss, dh = mean_squared_error(run.h, y)
    adam.step(lstm.backward(cell, run, dh=dh).params)"""
CURVE = 'ax.set(xlabel="step of training", ylabel="loss (nats)")'
COUNTED = book(
    markdown("# Title"),
    code("print(a)", 1, [stream("left: 0.005\nboth agree: True\n\n")]),
    code(
        "show(f)",
        2,
        [{"output_type": "execute_result", "data": {"text/plain": "# f\nTrue", "text/markdown": ""}}],
    ),
    code(LOOP, 3, [stream("0.5  loss\n")]),
    code(CURVE, 4, [picture(), stream("The loss falls below 0.5: True it is.\n")]),
    code(LOOP, 5, tags=["hide-cell"]),
    code("print(b)", 6, [stream("0.25\n")], tags=["hide-output"]),
    code(STUB, 7, [stream("Not tried yet: write it.")], tags=["exercise"]),
    FOLD,
    code("print(c)", 8, [stream("same: True\n")]),
    code(SOLVED, 9, [stream("Right: it is.")], tags=["solution"]),
    FOLD_END,
    code("print(d)" + "  # " + 80 * "x", 10, [stream(60 * "." + ": 3\n" + 90 * "y")]),
)


def test_a_page_is_counted():
    assert counts.count(COUNTED) == counts.Counts(
        lines=5,  # left, agree, loss, late, wide
        verdicts=1,
        folded_lines=2,
        folded_verdicts=1,
        wide=2,
        late=1,
        predictions=1,
        exercises=1,
        solutions=1,
        loops=1,
        curves=1,
    )
    assert counts.count(COUNTED).share == 2 / 7
    assert {kind for kind, _ in counts.against(COUNTED)} == {"True/False", "late", "wide"}
    assert counts.count(book()).share == 0


def test_a_caption_may_be_long_and_what_is_under_it_not():
    long = 90 * "x"
    assert counts.count(book(code(outputs=[picture(), stream(long)]))).wide == 0
    assert counts.count(book(code(outputs=[picture(), stream(f"It rises.\n{long}")]))).wide == 1


def test_source_that_a_cell_shows_is_measured():
    shown = {
        "output_type": "execute_result",
        "data": {"text/plain": "x", "text/markdown": f"```python\n{90 * 'x'}\n```"},
    }
    assert counts.count(book(code(outputs=[shown]))).wide == 1


def test_bars_of_a_page():
    assert counts.page_bars(COUNTED) == {"verdicts", "wide", "late"}
    assert counts.page_bars(book(markdown("An orthogonal start helps."))) == {"words"}
    assert counts.page_bars(book(code(outputs=[stream("0.5  loss")]))) == set()


def test_bars_of_a_chapter():
    every = {"predictions", "exercises", "loop", "curve"}
    assert counts.chapter_bars([book()]) == every
    assert counts.chapter_bars([COUNTED]) == {"predictions", "exercises"}
    assert counts.chapter_bars(4 * [COUNTED]) == set()
    assert counts.chapters(["rnn", "rnn_gradient", "lstm"]) == {
        "rnn": ["rnn", "rnn_gradient"],
        "lstm": ["lstm"],
    }


@pytest.mark.parametrize(
    ("sentence", "use"),
    [
        ("From an orthogonal\nstart it learns.", "initialisation"),
        ("The unit has two states of rest.", "fixed point"),
        ("It counts groups of 4.", "n-grams"),
        ("the gradient of the loss for the weights", "the gradient with respect to"),
        ("the gradients for all states", "the gradient with respect to"),
        ("9 of 10 are named right.", "classified correctly"),
        ("The four gates are alike.", "three gates"),
        ("kept until the way back", "the backward pass"),
    ],
)
def test_coined_words_are_found(sentence, use):
    (finding,) = words.coined(sentence)
    assert use in finding


@pytest.mark.parametrize(
    "sentence",
    [
        "The gradient with respect to the weights falls.",
        "Training starts from 300 random starting points.",
        "An orthogonal initialisation has a fixed point; 4-grams count.",
        "The gradient is multiplied on its way back.",
        "groups of four rows",
    ],
)
def test_words_of_the_field_pass(sentence):
    assert words.coined(sentence) == []


def test_words_are_looked_for_in_all_that_a_reader_sees():
    page = book(markdown("one"), code("two = 2", outputs=[stream("three\n")]))
    assert words.visible(page).split() == ["one", "two", "=", "2", "three"]


def test_exercises_that_no_page_asks_are_found():
    names = counts.exercises()
    assert {"lstm.step", "lstm.latch", "rnn.delay"} <= set(names)
    assert counts.unused(['"exercises.lstm.step.check(my_step)"'], ["lstm.step", "gru.step"]) == ["gru.step"]


def test_the_command_prints_a_table(capsys):
    counts.main(["lstm", "--lines"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == counts.HEAD and lines[1].startswith("lstm ")
    assert len(lines[0]) == len(lines[1])


# ---------------------------------------------------------------- text

EQUATIONS = r"""
$$ h = \tanh(a) $$ (eq-step)

```{math}
:label: eq-gate
g = \sigma(a)
```

\begin{align} c &= f c \label{eq-cell} \end{align}

By {eq}`eq-step` and {eq}`the gate <eq-gate>`, see [](#eq-cell). And $$ (x + y) $$ has no label.
"""


def test_equation_labels_are_read():
    assert text.equation_labels(EQUATIONS) == ["eq-step", "eq-gate", "eq-cell"]
    assert text.equations({"book/a": EQUATIONS}) == []


def test_equation_may_be_cited_on_another_page():
    assert text.equations({"a": "$$ x $$ (eq-x)", "b": "as {eq}`eq-x` says"}) == []


@pytest.mark.parametrize("citation", ["{eq}`eq-step`", "{eq}`the gate <eq-gate>`", "[](#eq-cell)"])
def test_uncited_equation_is_found(citation):
    (finding,) = text.equations({"book/a": EQUATIONS.replace(citation, "it")})
    assert "no text cites" in finding


def test_equation_label_that_stands_twice_is_found():
    assert text.equations({"a": "$$ x $$ (eq-x)\n{eq}`eq-x`", "b": "$$ y $$ (eq-x)"}) == [
        "the equation label eq-x stands 2 times"
    ]


LABELLED = """
(place)=
# A cell

````{note}
```{figure-md} fig-cell
![A cell with four gates](figures/cell.svg)
```
````

:::{figure} figures/net.svg
:name: fig-net
:::

```{exercise}
:label: ex-count
How many?
```

$$ h = \\tanh a $$ (eq-step)

{eq}`eq-step`, {eq}`the step <eq-step>`, {numref}`fig-cell`, {numref}`Figure {number} <fig-net>`,
{ref}`place`, {ref}`ex-count`

```{solution-start} ex-count
```
"""


def test_labels_that_are_there_pass():
    assert text.labels(LABELLED) == {
        "eq-step": "equation",
        "fig-cell": "figure",
        "fig-net": "figure",
        "ex-count": "exercise",
        "place": "place",
    }
    assert text.dangling_labels({"book/a": LABELLED}) == []
    assert text.dangling_labels({"book/a": "$$ x $$ (eq-x)", "book/b": "{eq}`eq-x`"}) == []


@pytest.mark.parametrize(
    "reference",
    [
        "{eq}`eq-stop`",
        "{eq}`the step <eq-stop>`",
        r"$\\eqref{eq-stop}$",
        "{numref}`fig-cells`",
        "{ref}`fig-cells`",
        "{prf:ref}`theorem`",
        "\n```{solution-start} ex-counts\n```",
        "{eq}`fig-cell`",
        "{numref}`eq-step`",
        "\n```{solution-start} eq-step\n```",
    ],
)
def test_label_that_is_not_there_or_of_another_kind_is_found(reference):
    (finding,) = text.dangling_labels({"book/a": LABELLED + reference})
    assert "which" in finding


@pytest.mark.parametrize(
    "lost", ["(eq-step)", "fig-cell\n", ":name: fig-net", ":label: ex-count", "(place)="]
)
def test_label_that_was_taken_away_is_found(lost):
    assert text.dangling_labels({"book/a": LABELLED.replace(lost, "\n", 1)})


@pytest.mark.parametrize(
    "words",
    [
        "as Fig. 5.2 shows",
        "see Figure 3",
        "from Section 4.3",
        "in Exercise 5.5",
        "by (1.8) it is",
        "by Eq. (3)",
        "{cite}`a` and Table 2",
        "as section 4.2 says",
        "# One\n{cite}`a`\n# Two\nby their eq. 5",
        "by eq. 5.\nIt is that of {cite}`a`",
    ],
)
def test_typed_number_is_found(words):
    assert len(text.typed_numbers(words)) == 1


@pytest.mark.parametrize(
    "words",
    [
        "{cite:t}`luong` draw it (section 3.1, eq. 5).\n\nBoth are in their table 4.",
        "between $(0.5)$ and f(0.5), at (1, 2.5) and $-(0.3)$",
        "three figures, two sections and 12 exercises",
        "```python\nFigure 3\n```",
    ],
)
def test_other_numbers_pass(words):
    assert text.typed_numbers(words) == []


LINKS = """
(here)=
# One head: two words

[a](b.ipynb), [b](b.ipynb#second-page), [c](#one-head-two-words), [d](#here), [e](#there),
[f](../rnnlit/a.py), [g](https://example.org/x#y), ![h](figures/cell.svg)
"""


def dead_links(page):
    texts = {"book/a": page, "book/b": "(there)=\n# Second page\n"}
    return text.dead_links(texts, {"book/b.ipynb", "rnnlit/a.py", "book/figures/cell.svg"}.__contains__)


def test_links_that_lead_somewhere_pass():
    assert dead_links(LINKS) == []


@pytest.mark.parametrize(
    "link",
    [
        "c.ipynb",
        "rnnlit/a.py",
        "../rnnlit/b.py",
        "b.ipynb#third-page",
        "#two-words",
        "../rnnlit/a.py#step",
        "figures/c.svg",
    ],
)
def test_link_that_leads_nowhere_is_found(link):
    (finding,) = dead_links(f"{LINKS}[x]({link})")
    assert f"links to {link}" in finding


FIGURE = """
```{figure-md} fig-cell
![A cell with four gates](figures/cell.svg)

The cell.
```

:::{figure} figures/net.svg
:alt: A network with three steps
:name: fig-net

The network.
:::

![Two curves that cross](a.png) <img src="b.png" alt="A straight line">
"""


def test_figures_with_alternative_text_pass():
    assert text.figures_without_alt(FIGURE) == []


@pytest.mark.parametrize(
    "words",
    [
        "A cell with four gates",
        ":alt: A network with three steps",
        "Two curves that cross",
        ' alt="A straight line"',
    ],
)
def test_figure_without_alternative_text_is_found(words):
    assert len(text.figures_without_alt(FIGURE.replace(words, ""))) == 1


def test_figure_without_picture_is_found():
    assert text.figures_without_alt("```{figure-md} fig-x\nwords\n```") == [
        "the figure 'fig-x' holds no picture"
    ]


BIBTEX = """
@string{x = {y}}
@article{hochreiter1997,
  title = {LSTM}
}
@inproceedings{ gers2000 , title = {Forget}}
"""
CITING = {"book/lstm": "{cite:t}`hochreiter1997` and {cite}`gers2000, hochreiter1997`"}


def test_citations_that_resolve_pass():
    assert text.bibliography_keys(BIBTEX) == ["hochreiter1997", "gers2000"]
    assert text.unresolved_citations(CITING, BIBTEX) == []


def test_citations_in_docstrings_are_read():
    assert text.citations("as :cite:t:`gers2000` says") == {"gers2000"}


def test_citation_that_does_not_resolve_is_found():
    (finding,) = text.unresolved_citations({**CITING, "rnnlit.lstm": ":cite:p:`gers2002`"}, BIBTEX)
    assert finding == "rnnlit.lstm: cites gers2002, which the bibliography lacks"


def test_entry_that_is_twice_or_not_cited_is_found():
    assert text.unresolved_citations(CITING, BIBTEX + BIBTEX)[0].startswith(
        "the bibliography has hochreiter1997 2 times"
    )
    assert text.unresolved_citations({"a": "{cite:p}`gers2000`"}, BIBTEX) == [
        "no page cites hochreiter1997 of the bibliography"
    ]


# ---------------------------------------------------------------- the package

SOURCES = {
    "rnnlit": '"""The package."""',
    "rnnlit.tools": "",
    "rnnlit.tools.checks": "import numpy as np",
    "rnnlit.tools.weights": '"""To and from torch."""\ndef to_torch():\n    import torch',
    "rnnlit.rnn": "from rnnlit.tools import checks",
    "rnnlit.lstm": "from .tools.checks import check_array",
    "rnnlit.lstm_peephole": "from rnnlit import lstm",
    "rnnlit.tasks": "",
    "rnnlit.tasks.data": "from rnnlit.tools import checks",
    "rnnlit.rnn_torch": "import torch.nn",
    "rnnlit.lstm_torch": "from rnnlit import lstm\nfrom torch import nn",
    "rnnlit.lstm_peephole_torch": "from rnnlit.lstm_torch import step",
    "rnnlit.nn.gpu.lstm_triton": "import torch\nimport triton",
    "rnnlit.nn.gpu.lstm": "from rnnlit.nn.gpu.lstm_triton import kernel",
    "rnnlit.nn.scan.lstm": "import torch",
    "rnnlit.nn.direction": "from rnnlit.nn.scan import lstm\ndef f():\n    from rnnlit.nn.gpu import lstm",
    "rnnlit.nn.lstm": "from rnnlit.lstm_torch import step\nfrom rnnlit.nn.direction import scan",
    "rnnlit.nn": "from rnnlit.nn.lstm import LSTM",
    "rnnlit.practice": "",
    "rnnlit.practice.adding": "import torch\nfrom rnnlit.nn import LSTM\nfrom rnnlit.tasks import data",
    "rnnlit.pages": "",
    "rnnlit.pages.figures": "from rnnlit import rnn",
}


def changed(module, source):
    sources = copy.copy(SOURCES)
    sources[module] = source
    return sources


def test_good_package_passes():
    assert package.torch_imports(SOURCES) == []
    assert package.triton_imports(SOURCES) == []
    assert package.import_direction(SOURCES) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rnnlit.rnn", "import torch"),
        ("rnnlit.rnn", "def f():\n    from torch.nn import RNN"),
        ("rnnlit.tools.weights", '"""To and from torch."""\nimport torch'),
        ("rnnlit.tools.weights", '"""Weights."""\ndef f():\n    import torch'),
        ("rnnlit.tools.checks", '"""For torch."""\nclass A:\n    import torch'),
    ],
)
def test_torch_in_the_wrong_place_is_found(module, source):
    (finding,) = package.torch_imports(changed(module, source))
    assert finding.startswith(f"{module}: imports torch")


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        ("rnnlit.tools.checks", "from rnnlit import lstm", "that is up"),
        ("rnnlit.tools.checks", "from ..lstm import step", "that is up"),
        ("rnnlit.tools.checks", "def f():\n    import rnnlit.nn", "that is up"),
        ("rnnlit.lstm", "from rnnlit.lstm_torch import LSTM", "that is up"),
        ("rnnlit.tools.checks", "from rnnlit.tasks import data", "that is up"),
        ("rnnlit.tasks.data", "from rnnlit.rnn import step", "that is up"),
        ("rnnlit.practice.adding", "from rnnlit.pages import figures", "that is up"),
        ("rnnlit.lstm_torch", "from rnnlit import nn", "that is up"),
        ("rnnlit.nn", "from rnnlit.practice.adding import train", "that is up"),
        ("rnnlit.lstm", "def f():\n    import rnnlit.nn.gpu.lstm_triton", "that is up"),
        ("rnnlit.nn.gpu.lstm", "from rnnlit.nn.lstm import LSTM", "that is up, inside rnnlit.nn"),
        ("rnnlit.nn.gpu.lstm", "from rnnlit.nn.scan import lstm", ""),
        ("rnnlit.lstm_torch", "from rnnlit.rnn_torch import step", "twins share"),
        ("rnnlit.lstm", "from rnnlit import lstm_peephole", "a circle"),
        ("rnnlit.tools", "from rnnlit.tools.checks import check_array", ""),
    ],
)
def test_import_in_the_wrong_direction_is_found(module, source, words):
    findings = package.import_direction(changed(module, source))
    assert any(words in finding for finding in findings) if words else findings == []


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        ("rnnlit.nn.scan.lstm", "import triton", "only a module"),
        ("rnnlit.nn.scan.lstm", "def f():\n    import triton.language", "only a module"),
        ("rnnlit.nn.direction", "from rnnlit.nn.gpu import lstm_triton", "inside a function"),
        ("rnnlit.nn.scan.lstm", "from rnnlit.nn.gpu.lstm import FusedLSTM", "inside a function"),
        ("rnnlit.nn.scan.lstm", "def f():\n    from rnnlit.nn.gpu.lstm_triton import step", ""),
    ],
)
def test_triton_in_the_wrong_place_is_found(module, source, words):
    assert package.torch_imports(changed(module, source)) == []
    findings = package.triton_imports(changed(module, source))
    assert any(words in finding for finding in findings) if words else findings == []


def test_imports_for_type_checkers_do_not_count():
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\nelse:\n    import json"
    assert [name for name, _ in package.imports(source)] == ["typing.TYPE_CHECKING", "json"]


def test_imports_inside_functions_are_told_apart():
    source = "import a\nclass C:\n    import b\ndef f():\n    import c"
    assert package.imports(source) == [("a", True), ("b", True), ("c", False)]


# ---------------------------------------------------------------- all files


@pytest.mark.parametrize(
    "path",
    ["/ho" + "me/ada/book", "/Us" + "ers/ada/book", "/ro" + "ot/book", "/t" + "mp/x1", "C:\\Us" + "ers\\ada"],
)
def test_machine_path_is_found(path):
    assert files.machine_paths({"a.md": f"see `{path}` there"})


def test_own_path_is_found():
    assert files.machine_paths({"a.md": "in /srv/clone/book"}, own=["/srv/clone"]) == [
        "a.md: holds the path /srv/clone/"
    ]
    assert files.machine_paths({"a.md": "in /srv/clones/book"}, own=["/srv/clone", "/", "/in"]) == []


@pytest.mark.parametrize(
    "harmless",
    [
        "https://example.org/home/ada/",
        "book/tmp/x",
        "~/mnt/book",
        "/usr/bin/env",
        "${X}/tmp/a",
        "../mnt/x",
        "and/or",
    ],
)
def test_harmless_path_passes(harmless):
    assert files.machine_paths({"a.md": harmless}) == []


URL = "https://example.org/ada/book"
HOME = {"_config.yml": f"url: {URL}\n"}


def test_address_in_one_place_passes():
    assert files.address_elsewhere({**HOME, "README.md": "`rnnlit/book` at example.org"}, URL) == []


@pytest.mark.parametrize("words", [URL, "git clone example.org/ada/book.git", "https://ada.github.io/book"])
def test_address_elsewhere_is_found(words):
    assert files.address_elsewhere({**HOME, "README.md": words}, URL) == [
        "README.md: holds the public address"
    ]


def test_address_twice_or_not_at_home_is_found():
    assert files.address_elsewhere({"_config.yml": f"{URL} {URL}"}, URL) == [
        "_config.yml: holds the public address 2 times"
    ]
    assert files.address_elsewhere({"_config.yml": ""}, URL) == [
        "_config.yml: holds the public address 0 times"
    ]


RECORDS = """
from rnnlit.pages import figures, records
a = records.load("a")
b = records.load("b")["rows"]
groups, total = {}, 0
for row in a["rows"]:
    groups.setdefault(row["name"], []).append(row)
for row in b:
    total += row["error"]
---
print(f"{total:.2f}", [row for row in groups])
---
fig, ax = figures.new()
ax.plot([rows[0]["loss"] for rows in groups.values()])
figures.finish(fig, "The loss falls.")
---
groups = {}
for row in other:
    print(row, groups)
---
from rnnlit.practice import records as runs
print(runs.load("c"))
"""


def test_records_are_followed_through_a_page():
    page = {"cells": [{"cell_type": "code", "source": source} for source in RECORDS.split("---")]}
    nothing = records.Cell(set(), set(), "")
    assert list(records.cells(page)) == [
        nothing,
        nothing._replace(printed={"a.json", "b.json"}),
        nothing._replace(drawn={"a.json"}, sentence="The loss falls."),
        nothing,
        nothing,
    ]


def idle(body):
    lines = ["def test():", *body.splitlines()]
    return loops.idle("a.py", "\n    ".join(lines))


@pytest.mark.parametrize(
    "body",
    [
        "for x in re.findall('a', text):\n    assert x",
        "for x in sorted(folder.glob('*.py')):\n    assert x",
        "for x in [x for x in rows if x.big]:\n    np.testing.assert_allclose(x, 1)",
        "for x in set(rows) - {1}:\n    assert x",
        "big = [x for x in rows if x.big]\nassert len(rows) > 1\nfor x in big:\n    assert x",
        "big = filter(None, rows)\nassert all(x > 1 for x in big)",
        "assert rows and all(x > 1 for x in rows if x.big)",
        "for x in rows:\n    if x.big:\n        assert x",
        "for x in rows:\n    if not x.big:\n        continue\n    assert x",
    ],
)
def test_loop_that_may_check_nothing_is_found(body):
    (finding,) = idle(body)
    assert "a.py: test loops over" in finding


@pytest.mark.parametrize(
    "body",
    [
        "for x in rows:\n    assert x",
        "for x in range(3):\n    if x:\n        assert x\n    else:\n        assert not x",
        "found = re.findall('a', text)\nassert found\nfor x in found:\n    assert x",
        "assert len([x for x in rows if x]) == 3",
        "big = [x for x in rows if x.big]\nassert len(big) == 2 and all(x > 1 for x in big)",
        "for x in rows:\n    if x.big:\n        assert x\n        seen += 1\nassert seen",
        "assert [x for x in rows if x.bad] == []",
        "last = max(x for x in rows if x.big)\nfor x in range(last):\n    assert x",
        "for x in re.findall('a', text):\n    print(x)",
        "for x in rows:\n    with pytest.raises(ValueError):\n        f(x)\n    assert x",
    ],
)
def test_other_loops_pass(body):
    assert idle(body) == []


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.run(command)",
        "subprocess.Popen(command)",
        "subprocess.run(command, timeout=LIMIT)",
        "process.wait()",
        "thread.join()",
        "process.communicate(input='a')",
        "process.communicate(timeout=10)",
        "client.execute(startup_timeout=60)",
        "urlopen(address, timeout=2.5)",
        "page.wait_for_timeout(300)",
    ],
)
def test_wait_without_a_limit_is_found(call):
    (finding,) = waits.endless("a.py", f"x = 1\n{call}")
    assert finding.startswith(f"a.py:2: {call.partition('(')[0]} ")


@pytest.mark.parametrize(
    "call",
    [
        "run(command)",
        "process.wait(LIMIT)",
        "thread.join(LIMIT)",
        "', '.join(names)",
        "process.communicate(timeout=LIMIT)",
        "settings(deadline=None)",
        "page.wait_for_selector('a')",
    ],
)
def test_other_waits_pass(call):
    assert waits.endless("a.py", call) == []


@pytest.mark.parametrize(
    "formula",
    [
        r"\tanh(0.5 + 0.500 \cdot (-0.4)) = 0.291",
        r"\sigma(\ln 3) = 0.750",
        r"\tanh 1.5 + \tanh(-0.5) = 0.905 - 0.462 = 0.443",
        r"0.500 \tanh(1.869) = 0.477",
        r"0.628 \cdot (1 - 0.291^2) = 0.575",
        r"3^{10} = 59\,049",
        r"\tfrac12 \cdot 4 + \frac{6}{3} = 4",
        r"\sqrt{370 \cdot 0.94 \cdot 0.06} = 4.6",
        r"F = 2 \cdot 6400 \cdot 1024 \cdot 512 \approx 6.7 \cdot 10^9",
        r"0.73^{50} \approx 10^{-7}",
        r"2 \cdot 64 \cdot 5 / (4 \cdot 6.5) \approx 25",
    ],
)
def test_sum_that_is_right_passes_and_with_another_digit_does_not(formula):
    assert list(arithmetic.equalities(f"${formula}$")) and arithmetic.wrong_sums(f"${formula}$") == []
    digit = next(k for k in reversed(range(len(formula))) if formula[k].isdigit())
    for other in {"0", "5", "9"} - {formula[digit]}:
        assert arithmetic.wrong_sums(f"${formula[:digit]}{other}{formula[digit + 1 :]}$")


@pytest.mark.parametrize(
    "formula", ["p = 0.25", r"h_0 = 0.5", r"\sigma(a) = 1/(1+e^{-a})", r"(0.6, 0.8) = g", "x = y = z"]
)
def test_formula_with_letters_is_no_sum(formula):
    assert list(arithmetic.equalities(f"${formula}$")) == []


PAPERS = """
@article{elman1990finding,
  author = {Elman, Jeffrey L.},
  title = {Finding structure in time},
  year = {1990},
}
@inproceedings{gers2000learning,
  author = {Gers, Felix A. and Schmidhuber, J{\\"u}rgen and Cummins, Fred},
  title = {Learning to forget},
  year = {2000},
}
@article{hochreiter1997long,
  author = {Hochreiter, Sepp and Schmidhuber, J{\\"u}rgen},
  title = {Long short-term memory},
  year = {1997},
}
"""
NAMED = """Elman (1990), (Gers, Schmidhuber & Cummins 2000), Gers et al.
(2000); since Hochreiter & Schmidhuber (1997, p. 2)"""


def test_papers_named_as_in_the_bibliography_pass():
    assert text.odd_entries(PAPERS) == []
    assert len(text.NAMED_PAPER.findall(NAMED.replace("\n", " "))) == 4
    assert text.papers_without_entry({"a": NAMED, "b": "In June 2017, version 2.0 of May 2000"}, PAPERS) == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("1990", "1991"),
        ("Cummins", "Cumins"),
        ("l.\n(2000)", "l.\n(1999)"),
        ("& Schmidhuber (", "et al. ("),
        ("Elman", "Elmann"),
    ],
)
def test_paper_named_otherwise_is_found(old, new):
    (finding,) = text.papers_without_entry({"a": NAMED.replace(old, new)}, PAPERS)
    assert "names" in finding


@pytest.mark.parametrize("old, new", [("{1990}", "{1991}"), ("Gers,", "Graves,"), ("Long short", "Short")])
def test_entry_whose_key_says_something_else_is_found(old, new):
    assert len(text.odd_entries(PAPERS.replace(old, new))) == 1


def test_a_key_has_no_accents():
    fields = "author = {Pöppel, A. and Beck, B.}", "title = {Fast}", "year = {2024}"
    entry = "@misc{poppel2024fast,\n" + "".join(f"  {field},\n" for field in fields) + "}\n"
    assert text.odd_entries(entry) == []
    assert len(text.odd_entries(entry.replace("Pöppel", "Pippel"))) == 1


# ---------------------------------------------------------------- the LSTM's step


@pytest.mark.parametrize(
    "lines",
    [
        ["c = f * c + i * g"],
        ["c[t + 1] = f[t] * c[t] + i[t] * g[t]"],
        ["kept = c0 * torch.sigmoid(f + w_cf * c0)", "return kept + sigmoid(i) * np.tanh(g)"],
        ["new = sigmoid(a_f) * old_c + sigmoid(a_i) * tanh(a_g)"],
        ["c *= f", "c += i * masked_g"],
        ["np.multiply(f, c[t], out=c[t + 1])", "c[t + 1] += np.multiply(i, g, out=written)"],
        ["torch.mul(s.i, s.g, out=s.new_c)", "s.new_c.addcmul_(s.f, c)"],
        ["return torch.addcmul(i.mul(g), f_t, c)"],
        ["def inner():", "    return forget_gate * c + input_gate * g", "return inner()"],
    ],
    ids=lambda lines: lines[0],
)
def test_the_new_cell_state_is_found_however_it_is_written(lines):
    source = "\n    ".join(["def step():", *lines])
    assert equations.cell_updates({"rnnlit.a": source, "rnnlit.b": "pass"}) == ["rnnlit.a.step"]
    source = "\n    ".join(["class Cell:", *source.splitlines()])
    assert equations.cell_updates({"rnnlit.a": source}) == ["rnnlit.a.Cell.step"]


@pytest.mark.parametrize(
    "line",
    [
        "c = cell_state(i, f, g, c)",
        '"""c = f c + i g, or f * c + i * g"""',
        "c = c + sigmoid(i) * squash(g)",  # 1997
        "c = r * f * c + i * (x @ W)",  # the article
        "df, di, dc = dc * c_before * f * (1 - f), dc * g * i * (1 - i), dc * f",
        "h = z * h + (1 - z) * n",
        "c = m * (f * c)",  # nothing is written
    ],
)
def test_what_is_no_lstms_step_is_passed_over(line):
    assert equations.cell_updates({"rnnlit.a": f"def step():\n    {line}"}) == []
