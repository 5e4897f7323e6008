"""The table of torch's tools in `rnnlit.nn`'s documentation, each cell of it by runs (`tests.nn.matrix`)."""

import re
from importlib.util import find_spec

import pytest

from rnnlit import nn
from tests.nn.matrix import COLUMNS, TOOLS, attempt, cases_of, torchs

ONNX = pytest.mark.skipif(not find_spec("onnxruntime"), reason="needs ONNX Runtime: make interop")


def table():
    """The table, tool -> column -> what it says; and the sentences of its notes, by number."""
    text = nn.__doc__.split("Torch's tools.")[1]
    rule, _, _, rows, *_ = re.split(r"^(    =[= ]+)$", text, flags=re.M)[1:]
    starts = [match.start() for match in re.finditer("=+", rule)]
    spans = list(zip(starts, [*starts[1:], None], strict=True))
    lines = [[line[a:b].strip() for a, b in spans] for line in rows.splitlines()]
    told = {tool: dict(zip(COLUMNS, says, strict=True)) for tool, *says in lines if tool}
    notes = re.findall(r"^    \((\d)\) (.*?)(?=^    \(|^$)", text, flags=re.M | re.S)
    return told, {number: re.findall('"(.*?)"', " ".join(words.split())) for number, words in notes}


TOLD, NOTES = table()
PAIRS = [
    pytest.param(name, case, id=f"{name}-{case.name}", marks=[ONNX] * name.startswith("torch.onnx"))
    for name in TOOLS
    for case in cases_of(name)
]


def says(error, sentence):
    """Whether these words, with dots for what differs, are in the error's."""
    words = " ".join(str(error).split())
    return re.search(".*".join(map(re.escape, sentence.split("..."))), words) is not None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name, case", PAIRS)
def test_the_table_says_what_happens(name, case):
    told, ours, theirs = TOLD[name][case.column], attempt(name, case), torchs(name, case)
    if told.startswith("refused"):
        if ours is not None:
            assert any(says(ours, sentence) for sentence in NOTES[told[-2]]), f"{ours!r}"
        else:
            assert theirs is None
            assert not case.inside  # what works before or after the recurrence is not refused
        return
    if told == "as torch" and theirs is not None:  # then it fails as torch's does
        assert type(ours) is type(theirs)
        assert str(ours)[:40] == str(theirs)[:40]
        return
    if ours is not None:
        raise ours
    assert (theirs is None) == (told == "as torch") or told == "right"


def test_the_table_and_the_tools_are_the_same():
    assert list(TOLD) == list(TOOLS)
    for name, says in TOLD.items():
        columns = {case.column for case in cases_of(name)}
        assert columns
        assert {column for column, word in says.items() if word != "none"} == columns
        for word in says.values():
            assert re.fullmatch(r"as torch|better|right|none|refused \(\d\)", word)
    noted = {word[-2] for says in TOLD.values() for word in says.values() if word.startswith("refused")}
    assert noted == set(NOTES)
    assert all(NOTES.values())
