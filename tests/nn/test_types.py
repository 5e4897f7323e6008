"""What a type checker and an editor know of a call; mypy says it, from the annotations alone."""

import re
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="needs mypy")

ROOT = Path(__file__).parents[2]
USER = """
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from rnnlit import dropout, dropout_lstm
from rnnlit.nn import GRU, LSTM, RNN, Attention, Bidirectional, EncoderDecoder

x, h = torch.zeros(5, 2, 3), torch.zeros(1, 2, 4)


def right(packed: PackedSequence, flag: bool, source: Any) -> None:
    output, (h_n, c_n) = LSTM(3, 4)(x, lengths=[5, 3])
    reveal_type(output)  # Tensor
    reveal_type(c_n)  # Tensor
    reveal_type(LSTM(3, 4).forward(x, (h, h)))  # tuple[Tensor, tuple[Tensor, Tensor]]
    reveal_type(LSTM(3, 4)(x, return_all_states=True)[2].c)  # Tensor
    reveal_type(LSTM(3, 4)(x, return_all_states=flag))  # tuple[Any, ...]
    reveal_type(GRU(3, 4)(x, h))  # tuple[Tensor, Tensor]
    reveal_type(GRU(3, (4, 5))(x, (h, h)))  # tuple[Tensor, Tensor]
    reveal_type(GRU(3, 4)(packed)[0].batch_sizes)  # Tensor
    reveal_type(RNN(3, 4, nonlinearity="relu")(x, return_all_states=True)[2].h)  # Tensor
    reveal_type(Attention("dot", 3, 3)(x, x))  # tuple[Tensor, Tensor]
    reveal_type(Bidirectional.of("lstm", 3, 4)(x)[0])  # Tensor
    net = EncoderDecoder(9, 9, 3, 4, cell="lstm", num_layers=2, layer_norm=True)
    reveal_type(net(source, None, source).logits)  # Tensor
    reveal_type(net.decode(source, max_length=7)[0].finished)  # bool
    reveal_type(net.n_best(source, n=2, max_length=7)[0][1].score)  # float


def wrong(rng: np.random.Generator) -> None:
    LSTM(3, 4)(x, h)  # call-overload
    GRU(3, 4)(x, lenghts=[5, 3])  # call-overload
    RNN(3, 4, nonlinearity="sigmoid")  # arg-type
    Attention("sum", 3, 3)  # arg-type
    Bidirectional.of("LSTM", 3, 4)  # arg-type
    EncoderDecoder(9, 9, 3, 4, order="luong et al.")  # arg-type
    EncoderDecoder(9, 9, 3, 4, layernorm=True)  # call-arg
    dropout_lstm.draw("variational", 0.5, 5, 2, 3, 4, rng=rng)  # arg-type
    dropout.survival("per_step_and_unit", 0.5, 3)  # arg-type
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What mypy says of each line of USER: types that are revealed, and the kinds of errors."""
    user = tmp_path_factory.mktemp("types") / "user.py"
    user.write_text(USER)
    out, err, _ = api.run(["--config-file", str(ROOT / "pyproject.toml"), "--no-pretty", str(user)])
    assert not err, err
    found = {}
    for number, level, words in re.findall(r"user\.py:(\d+): (note|error): (.*)", out):
        if level == "error":
            found.setdefault(int(number), []).append(re.search(r"\[([a-z-]+)\]$", words)[1])
        elif words.startswith("Revealed"):
            name = re.sub(r"[A-Za-z_.]+\.(?=[A-Z])", "", words.split('"')[1])  # without the module
            found[int(number)] = re.sub(r"tuple\[[^\[\]]*fallback=(\w+)\]", r"\1", name)
    return found


LINES = [(k, *line.strip().split("  # ")) for k, line in enumerate(USER.splitlines(), 1) if "  # " in line]


@pytest.mark.parametrize("number, code, want", LINES, ids=[line[1] for line in LINES])
def test_each_line_is_understood_as_its_comment_says(said, number, code, want):
    got = said[number]
    assert got == want if isinstance(got, str) else want in got


def test_nothing_else_is_found(said):
    assert sorted(said) == [number for number, *_ in LINES]
