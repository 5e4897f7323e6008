"""Code that catches torch's errors need not be changed: each of ours is one of torch's for the same call."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from rnnlit import nn
from rnnlit.tools.checks import DtypeError, ShapeError

T, B, I, H = 5, 2, 3, 4
LAYERS, CELLS = ("LSTM", "GRU", "RNN"), ("LSTMCell", "GRUCell", "RNNCell")


def zeros(*shape, dtype=torch.float32):
    return torch.zeros(*shape, dtype=dtype)


def states(make, *shape, dtype=torch.float32):
    """A state for a layer or cell, an LSTM's pair or one tensor."""
    one = zeros(*shape, dtype=dtype)
    return (one, one) if "LSTM" in make.__name__ else one


# What a layer does wrong things with, and the class of error that torch raises for it, seen in torch 2.13.
LAYER_CALLS = {
    "inputs": lambda m: m(I, H)(zeros(T, B, I + 1)),
    "four axes": lambda m: m(I, H)(zeros(T, B, I, 2)),
    "one axis": lambda m: m(I, H)(zeros(I)),
    "no step": lambda m: m(I, H)(zeros(0, B, I)),
    "state's units": lambda m: m(I, H)(zeros(T, B, I), states(m, 1, B, H + 1)),
    "state's batch": lambda m: m(I, H)(zeros(T, B, I), states(m, 1, B + 1, H)),
    "state's layers": lambda m: m(I, H)(zeros(T, B, I), states(m, 2, B, H)),
    "state's axes": lambda m: m(I, H)(zeros(T, B, I), states(m, 1, H)),
    "state for one": lambda m: m(I, H)(zeros(T, I), states(m, 1, 1, H)),
    "dtype": lambda m: m(I, H)(zeros(T, B, I, dtype=torch.float64)),
    "integers": lambda m: m(I, H)(zeros(T, B, I, dtype=torch.int64)),
    "state's dtype": lambda m: m(I, H)(zeros(T, B, I), states(m, 1, B, H, dtype=torch.float64)),
    "packed inputs": lambda m: m(I + 1, H)(pack_padded_sequence(zeros(T, B, I), [5, 3])),
    "hidden_size 0": lambda m: m(I, 0),
    "hidden_size -1": lambda m: m(I, -1),
    "hidden_size 4.0": lambda m: m(I, 4.0),
    "no layers": lambda m: m(I, H, 0),
    "layers 1.0": lambda m: m(I, H, 1.0),
    "input_size -1": lambda m: m(-1, H),
    "dropout 2": lambda m: m(I, H, 2, dropout=2.0),
    "dropout -0.1": lambda m: m(I, H, 2, dropout=-0.1),
    "dropout True": lambda m: m(I, H, 2, dropout=True),
    "proj_size H": lambda m: m(I, H, proj_size=H),
    "proj_size -1": lambda m: m(I, H, proj_size=-1),
    "unknown option": lambda m: m(I, H, options=1),
}
CELL_CALLS = {
    "inputs": lambda m: m(I, H)(zeros(B, I + 1)),
    "three axes": lambda m: m(I, H)(zeros(T, B, I)),
    "dtype": lambda m: m(I, H)(zeros(B, I, dtype=torch.float64)),
    "integers": lambda m: m(I, H)(zeros(B, I, dtype=torch.int64)),
    "hidden_size -1": lambda m: m(I, -1),
    "input_size -1": lambda m: m(-1, H),
    "hidden_size 4.0": lambda m: m(I, 4.0),
}
# torch.nn.LSTMCell reads past the end of such states and may end the process (pytorch issues 193823, 175978).
STATE_CALLS = {
    "state's units": lambda m: m(I, H)(zeros(B, I), states(m, B, H + 1)),
    "state's batch": lambda m: m(I, H)(zeros(B, I), states(m, B + 1, H)),
    "state's axes": lambda m: m(I, H)(zeros(B, I), states(m, H)),
    "state for one": lambda m: m(I, H)(zeros(I), states(m, B, H)),
}
CASES = [
    (name, call)
    for names, calls in ((LAYERS, LAYER_CALLS), (CELLS, CELL_CALLS), (("GRUCell", "RNNCell"), STATE_CALLS))
    for name in names
    for call in calls.items()
]


@pytest.mark.parametrize("name, call", CASES, ids=lambda v: v if isinstance(v, str) else v[0])
def test_an_error_of_ours_is_one_of_torchs(name, call):
    with pytest.raises(Exception) as theirs:
        call[1](getattr(torch.nn, name))
    with pytest.raises(theirs.type):
        call[1](getattr(nn, name))


@pytest.mark.parametrize("call", STATE_CALLS.values(), ids=STATE_CALLS)
def test_states_that_do_not_fit_an_lstm_cell_are_refused(call):
    with pytest.raises(ShapeError, match="hx: h0: expected shape"):
        call(nn.LSTMCell)


def test_shape_and_dtype_errors_are_caught_under_each_name():
    for call, error in (("inputs", ShapeError), ("dtype", DtypeError)):
        for name in LAYERS:
            with pytest.raises(error):
                LAYER_CALLS[call](getattr(nn, name))
    assert issubclass(ShapeError, ValueError) and issubclass(ShapeError, RuntimeError)
    assert issubclass(DtypeError, TypeError) and issubclass(DtypeError, ValueError)


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_no_tensor_is_a_type_error_with_the_arguments_name(name):
    with pytest.raises(TypeError, match="input: expected a tensor or a PackedSequence, got ndarray"):
        getattr(nn, name)(I, H)(np.zeros((T, B, I), np.float32))
    wrong = zeros(1, B, H) if name == "LSTM" else (zeros(1, B, H), zeros(1, B, H))
    with pytest.raises(TypeError, match="hx: expected a"):
        getattr(nn, name)(I, H)(zeros(T, B, I), wrong)


def test_three_states_for_an_lstm_are_counted():
    calls = (nn.LSTM, zeros(T, B, I), zeros(1, B, H)), (nn.LSTMCell, zeros(B, I), zeros(B, H))
    for layer, x, state in calls:
        with pytest.raises(ShapeError, match=r"expected a pair \(h0, c0\), got a tuple of 3"):
            layer(I, H)(x, (state, state, state))


@pytest.mark.parametrize("name", CELLS)
def test_cells_take_sizes_of_zero_as_torchs_do(name):
    for sizes in ((I, 0), (0, H)):
        ours, theirs = (getattr(module, name)(*sizes) for module in (nn, torch.nn))
        theirs.load_state_dict(ours.state_dict())
        x = zeros(B, sizes[0])
        mine, other = ours(x), theirs(x)
        for a, b in zip(*((v if isinstance(v, tuple) else (v,)) for v in (mine, other)), strict=True):
            assert a.shape == b.shape and torch.equal(a, b)
    with pytest.raises(ShapeError, match="hidden_size: expected a positive integer, got 0"):
        getattr(nn, name)(I, 0, layer_norm=True)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_a_forgotten_batch_first_is_guessed_at(name, batch_first):
    layer = getattr(nn, name)(I, H, batch_first=batch_first)
    swapped = zeros(*((T, B) if batch_first else (B, T)), I)
    words = f"batch_first={batch_first} has T = {B} and B = {T}: are its first two axes the other way round"
    with pytest.raises(ShapeError, match=words):
        layer(swapped, lengths=[5, 3])
    with pytest.raises(ShapeError) as caught:
        layer(swapped, lengths=[5, 3, 2, 1, 1, 1, 1])
    assert "the other way round" not in str(caught.value)


@pytest.mark.parametrize("name", LAYERS)
def test_kernel_takes_and_checks_a_state_as_the_call_does(name):
    layer, x = getattr(nn, name)(I, H), zeros(T, B, I)
    assert layer.kernel(x, states(layer.__class__, 1, B, H)) == layer.kernel(x)
    with pytest.raises(ShapeError, match="expected shape"):
        layer.kernel(x, states(layer.__class__, 1, B, H + 1))
