"""rnnlit.nn against torch.nn, packed sequences, a loop over torch's cells, and the NumPy reference."""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit import lstm, nn, rnn
from rnnlit.nn import fused
from rnnlit.nn.lstm import States
from rnnlit.pages import records
from tests.processor import ask_torch, needs_torch
from tests.tolerances import TOLERANCE

EXACT, CLOSE = TOLERANCE[np.float64], TOLERANCE[np.float32]
B, T, I, H, L = 2, 5, 3, 4, 2
LENGTHS = [3, 5]
TYPES = ("LSTM", "RNN")

# torch says so of its own LSTM as well.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

# Every argument that changes what is computed, alone and together.
CONSTRUCTIONS = [
    {},
    {"num_layers": L},
    {"bias": False},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": L, "bidirectional": True, "batch_first": True},
    {"num_layers": L, "bidirectional": True, "bias": False},
    {"num_layers": L, "dropout": 0.5},
]
KINDS = [
    *[(kind, options) for kind in TYPES for options in CONSTRUCTIONS],
    ("RNN", {"nonlinearity": "relu"}),
    ("RNN", {"nonlinearity": "relu", "num_layers": L, "bidirectional": True}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 2, "num_layers": L, "bidirectional": True, "batch_first": True}),
    ("LSTM", {"proj_size": 2, "bias": False}),
]
every_kind = pytest.mark.parametrize("kind, options", KINDS)


def pair(kind, options, dtype=torch.float32):
    """Ours and torch's, made under the same seed."""
    modules = []
    for module in (getattr(nn, kind), getattr(torch.nn, kind)):
        torch.manual_seed(0)
        modules.append(module(I, H, **options, dtype=dtype))
    return modules


def inputs(module, batch=B, steps=T, seed=1):
    """An input with gradient, and the initial states."""
    torch.manual_seed(seed)
    dtype, rows = module.weight_ih_l0.dtype, module.num_layers * (2 if module.bidirectional else 1)
    shape = (batch, steps, I) if module.batch_first else (steps, batch, I)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    h0 = torch.randn(rows, batch, module.proj_size or H, dtype=dtype, requires_grad=True)
    c0 = torch.randn(rows, batch, H, dtype=dtype, requires_grad=True)
    return x, (h0, c0) if isinstance(module, torch.nn.LSTM) else h0


def flat(result):
    """The tensors in nested tuples."""
    return [result] if isinstance(result, torch.Tensor) else [t for part in result for t in flat(part)]


def gradients(result, leaves):
    """The gradient of a fixed random function of all tensors in `result`."""
    torch.manual_seed(2)
    loss = sum((t * torch.randn(t.shape, dtype=t.dtype)).sum() for t in flat(result))
    return torch.autograd.grad(loss, leaves)


def packed_call(module, x, hx, lengths):
    """What torch does with a padded batch."""
    first = module.batch_first
    packed = pack_padded_sequence(x, torch.as_tensor(lengths), batch_first=first, enforce_sorted=False)
    output, last = module(packed, hx)
    return pad_packed_sequence(output, batch_first=first, total_length=x.shape[1 if first else 0])[0], last


def assert_same(ours, theirs, tolerance=None):
    ours, theirs = flat(ours), flat(theirs)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **(tolerance or dict(rtol=0, atol=0)))


# The drop-in.


@every_kind
def test_plain_call_is_torchs_bit_for_bit(kind, options):
    ours, theirs = pair(kind, options)
    assert_same(list(ours.parameters()), list(theirs.parameters()))
    x, hx = inputs(ours)
    for state in (None, hx):
        results = []
        for module in (ours, theirs):
            torch.manual_seed(3)  # the dropout's
            out = module(x, state)
            results.append((out, gradients(out, [x, *module.parameters()])))
        assert_same(*results)


@every_kind
def test_one_sequence_and_packed_sequence_are_torchs(kind, options):
    ours, theirs = (module.eval() for module in pair(kind, options))
    x, hx = inputs(ours)
    alone = x[0] if ours.batch_first else x[:, 0]
    hx_alone = tuple(s[:, 0] for s in hx) if kind == "LSTM" else hx[:, 0]
    assert_same(ours(alone, hx_alone), theirs(alone, hx_alone))
    assert_same(packed_call(ours, x, hx, LENGTHS), packed_call(theirs, x, hx, LENGTHS))


def test_constructor_takes_torchs_positions_and_names():
    assert_same(*[list(m(3, 4, 2, False, True, 0.0, True, 2).parameters()) for m in seeded("LSTM")])
    assert_same(*[list(m(3, 4, 2, "relu", False, True, 0.0, True).parameters()) for m in seeded("RNN")])
    assert_same(*[list(m(input_size=3, hidden_size=4, num_layers=2).parameters()) for m in seeded("RNN")])
    assert_same(*[m(I, H)(input=torch.ones(T, B, I), hx=None) for m in seeded("LSTM")])


def seeded(kind):
    for module in (getattr(nn, kind), getattr(torch.nn, kind)):
        torch.manual_seed(0)
        yield module


@every_kind
def test_state_dict_moves_both_ways(kind, options):
    for source, target in (pair(kind, options), reversed(pair(kind, options))):
        with torch.no_grad():
            for p in source.parameters():
                p.add_(1)
        assert list(source.state_dict()) == list(target.state_dict())
        target.load_state_dict(source.state_dict(), strict=True)
        source.eval(), target.eval()
        x, hx = inputs(source)
        assert_same(source(x, hx), target(x, hx))


@pytest.mark.parametrize("kind", TYPES)
def test_copies_and_pickles_compute_the_same(kind):
    options = {"num_layers": L, "bidirectional": True} | ({"forget_bias": 1.5} if kind == "LSTM" else {})
    module = getattr(nn, kind)(I, H, **options)
    saved = io.BytesIO()
    torch.save(module, saved)
    saved.seek(0)
    x, hx = inputs(module)
    pickled, loaded = pickle.loads(pickle.dumps(module)), torch.load(saved, weights_only=False)
    for twin in (copy.deepcopy(module), pickled, loaded):
        assert repr(twin) == repr(module)
        assert_same(twin(x, hx, lengths=LENGTHS), module(x, hx, lengths=LENGTHS))
        assert twin.weight_ih_l0 is not module.weight_ih_l0


@pytest.mark.parametrize("kind", TYPES)
def test_other_dtypes(kind):
    for dtype in (torch.float64, torch.bfloat16):
        ours, theirs = (module.to(dtype) for module in pair(kind, {"num_layers": L}))
        x = torch.randn(T, B, I, dtype=dtype)
        assert_same(ours(x), theirs(x))
        out = ours(x, lengths=LENGTHS, return_all_states=True)
        assert all(t.dtype == dtype for t in flat(out))


@pytest.mark.parametrize("kind", TYPES)
def test_autocast_is_torchs(kind):
    ours, theirs = pair(kind, {"num_layers": L})
    x, _ = inputs(ours)
    with torch.autocast("cpu", torch.bfloat16):
        want = ask_torch(theirs, x)
        assert_same(ours(x), want)
        output, *_ = ours(x, lengths=LENGTHS, return_all_states=True)
        assert output.dtype == want[0].dtype
        assert_same(output[:, 1], want[0][:, 1])


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("kind", TYPES)
def test_autocast_is_near_what_torch_gives_in_float32(kind, lengths):
    """Also on a processor where torch's own layer has no bfloat16."""
    ours, theirs = pair(kind, {"num_layers": L})
    x, _ = inputs(ours)
    with torch.autocast("cpu", torch.bfloat16):
        options = dict(lengths=lengths, return_all_states=True)
        if needs_torch(ours.kernel(x, **options)):
            ask_torch(theirs, x)
        output, h_n, states = ours(x, **options)
    near = dict(rtol=2**-6, atol=2**-6)  # bfloat16 keeps 8 bits of a number; the cell state sums five of them
    rows = [theirs(x[:length, b]) for b, length in enumerate(lengths or [T, T])]
    for b, (want, want_n) in enumerate(rows):
        assert_same(output[: len(want), b].float(), want, near)
        assert_same([t[:, b].float() for t in flat(h_n)], flat(want_n), near)
        assert_same(flat(states)[0][-1, : len(want), b].float(), want, near)


@pytest.mark.parametrize("kind", TYPES)
def test_functional_call_sees_other_parameters(kind):
    module, other = getattr(nn, kind)(I, H), getattr(nn, kind)(I, H)
    x, hx = inputs(module)
    for options in ({}, {"lengths": LENGTHS}, {"lengths": LENGTHS, "return_all_states": True}):
        called = torch.func.functional_call(module, dict(other.named_parameters()), (x, hx), options)
        assert_same(called, other(x, hx, **options))


@pytest.mark.parametrize("kind", TYPES)
def test_export(kind):
    module = getattr(nn, kind)(I, H).eval()
    x, _ = inputs(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        exported = torch.export.export(module, (x.detach(),), strict=False).module()
    assert_same(exported(x.detach()), module(x.detach()))


# Lengths.


@every_kind
def test_lengths_are_a_packed_sequence_without_packing(kind, options):
    """Values and every gradient, with and without initial states."""
    ours, theirs = (module.eval() for module in pair(kind, options, torch.float64))
    x, hx = inputs(ours)
    for state in (None, hx):
        leaves = [x] + (flat(hx) if state is not None else [])
        mine, packed = ours(x, state, lengths=LENGTHS), packed_call(theirs, x, state, LENGTHS)
        assert_same(mine, packed, EXACT)
        mine = gradients(mine, [*leaves, *ours.parameters()])
        assert_same(mine, gradients(packed, [*leaves, *theirs.parameters()]), EXACT)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(TYPES),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    beyond=st.integers(0, 2),
    bidirectional=st.booleans(),
    num_layers=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_lengths_in_any_order(kind, lengths, beyond, bidirectional, num_layers, seed):
    options = {"num_layers": num_layers, "bidirectional": bidirectional}
    ours, theirs = pair(kind, options)
    x, hx = inputs(ours, len(lengths), max(lengths) + beyond, seed)
    assert_same(ours(x, hx, lengths=lengths), packed_call(theirs, x, hx, lengths), CLOSE)


@every_kind
@pytest.mark.parametrize("rubbish", [1e3, -1e30, float("nan")])
def test_padding_changes_nothing(kind, options, rubbish):
    """Not one bit of any result or gradient; and the padding gets no gradient."""
    module = pair(kind, options)[0].eval()
    x, hx = inputs(module)
    padding = torch.arange(T)[:, None] >= torch.tensor(LENGTHS)
    padding = padding.T if module.batch_first else padding
    results = []
    for filled in (x.detach(), x.detach().masked_fill(padding[..., None], rubbish)):
        filled.requires_grad_()
        out = module(filled, hx, lengths=LENGTHS, return_all_states=True)
        grads = gradients(out, [filled, *flat(hx), *module.parameters()])
        assert not grads[0][padding].any()
        assert not out[0][padding].any()
        results.append((out, grads))
    assert_same(*results)


@pytest.mark.parametrize("kind", TYPES)
def test_growing_states_stay_in_their_sequence(kind):
    """A relu that grows tenfold a step would reach infinity in the padding, and NaN in the gradient."""
    options = {"nonlinearity": "relu"} if kind == "RNN" else {}
    module = getattr(nn, kind)(I, H, **options)
    with torch.no_grad():
        module.weight_hh_l0.copy_(10 * torch.eye(H).repeat(module.weight_hh_l0.shape[0] // H, 1))
    x = torch.rand(100, B, I)
    out = module(x, lengths=[2, 3])
    assert all(g.isfinite().all() for g in gradients(out, list(module.parameters())))


@pytest.mark.parametrize("kind", TYPES)
def test_all_kinds_of_lengths(kind):
    module = getattr(nn, kind)(I, H)
    x, hx = inputs(module)
    want = module(x, hx, lengths=LENGTHS)
    small = torch.tensor(LENGTHS, dtype=torch.uint8)
    for lengths in (tuple(LENGTHS), np.array(LENGTHS), torch.tensor(LENGTHS), small):
        assert_same(module(x, hx, lengths=lengths), want)


@every_kind
def test_full_lengths_are_the_plain_call(kind, options):
    module = pair(kind, options)[0]
    x, hx = inputs(module)
    results = []
    for lengths in (None, [T, T]):
        torch.manual_seed(3)
        results.append(module(x, hx, lengths=lengths))
    assert_same(*results)


@every_kind
def test_packing_for_the_gpu_gives_the_same(kind, options):
    """A GPU takes the way over packing; here it is walked on the CPU."""
    ours, theirs = (module.eval() for module in pair(kind, options))
    x, hx = inputs(ours)
    packed = fused.run_packed(theirs, x, hx, torch.tensor(LENGTHS), ours.batch_first)
    assert_same(packed, packed_call(theirs, x, hx, LENGTHS))
    assert_same(packed, ours(x, hx, lengths=LENGTHS), CLOSE)


@pytest.mark.parametrize("kind, reference", [("LSTM", lstm), ("RNN", rnn)])
def test_lengths_match_the_numpy_reference(kind, reference):
    rng = np.random.default_rng(0)
    params, x = reference.init(I, H, rng=rng, dtype=np.float64), rng.standard_normal((T, B, I))
    module = getattr(nn, kind)(I, H, dtype=torch.float64)
    module.load_state_dict({f"{name}_l0": torch.tensor(p) for name, p in params._asdict().items()})
    run = reference.forward(params, x, lengths=LENGTHS)
    output, last, states = module(torch.tensor(x), lengths=LENGTHS, return_all_states=True)
    names = ("h", "h_n", "c_n", "h", "c") if kind == "LSTM" else ("h", "h_n", "h")
    ours = [t.detach().numpy() for t in flat((output, last, states))]
    for mine, name in zip(ours, names, strict=True):
        np.testing.assert_allclose(mine.reshape(getattr(run, name).shape), getattr(run, name), **EXACT)


# All states.


def loop_over_cells(module, x, hx, lengths):
    """All states (L·D, T, B, N) by torch's cells, one step of one sequence at a time. x is (T, B, I)."""
    is_lstm, directions = isinstance(module, torch.nn.LSTM), 2 if module.bidirectional else 1
    rows = []
    for k, weights in enumerate(module.all_weights):
        sizes = weights[0].shape[1], H, module.bias
        if is_lstm:
            cell = torch.nn.LSTMCell(*sizes, dtype=x.dtype)
        else:
            cell = torch.nn.RNNCell(*sizes, nonlinearity=module.nonlinearity, dtype=x.dtype)
        cell.load_state_dict(dict(zip(cell.state_dict(), weights, strict=True)))
        below = rows[(k // directions - 1) * directions :][:directions]
        source = torch.cat([states[0] for states in below], -1) if k >= directions else x
        states = [torch.zeros(T, B, H, dtype=x.dtype) for _ in range(2 if is_lstm else 1)]
        for b, length in enumerate(lengths):
            state = [s[k, b][None] for s in flat(hx)]
            for t in reversed(range(length)) if k % directions else range(length):
                state = cell(source[t, b][None], state) if is_lstm else [cell(source[t, b][None], state[0])]
                for whole, now in zip(states, state, strict=True):
                    whole[t, b] = now[0]
        rows.append(states)
    return [torch.stack(kind) for kind in zip(*rows, strict=True)]


@pytest.mark.parametrize("kind, options", [k for k in KINDS if "proj_size" not in k[1]])  # a cell has none
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_all_states_are_those_of_a_loop_over_cells(kind, options, lengths):
    module = pair(kind, options, torch.float64)[0].eval()
    x, hx = inputs(module)
    output, last, states = module(x, hx, lengths=lengths, return_all_states=True)
    assert_same((output, last), module(x, hx, lengths=lengths), EXACT)
    with torch.no_grad():
        want = loop_over_cells(module, x.transpose(0, 1) if module.batch_first else x, hx, lengths or [T, T])
    assert_same([s.transpose(1, 2) if module.batch_first else s for s in states], want, EXACT)


@pytest.mark.parametrize("options", [o for _, o in KINDS if "proj_size" in o], ids="-".join)
def test_all_states_with_projection(options):
    """The states at step t are the last states of a run that ends there."""
    options = options | {"bidirectional": False}
    module = pair("LSTM", options, torch.float64)[0].eval()
    x, hx = inputs(module)
    states = module(x, hx, return_all_states=True)[-1]
    time = 1 if module.batch_first else 0
    for t in range(T):
        _, last = torch.nn.LSTM.forward(module, x.narrow(time, 0, t + 1), hx)
        assert_same([s.select(time + 1, t) for s in states], list(last), EXACT)


@every_kind
def test_all_states_with_gradient(kind, options):
    """The output and the last states are among all states; so a loss on either has the same gradient."""
    module = pair(kind, options, torch.float64)[0].eval()
    x, hx = inputs(module)
    D, time = 2 if module.bidirectional else 1, 2 if module.batch_first else 1
    states = module(x, hx, return_all_states=True)[-1]
    picked = [
        torch.stack([s[k].select(time - 1, 0 if k % D else T - 1) for k in range(len(s))]) for s in states
    ]
    top = torch.cat([states[0][k] for k in range(-D, 0)], -1)
    theirs = getattr(torch.nn, kind).forward(module, x, hx)
    assert_same((top, picked), (theirs[0], flat(theirs[1])), EXACT)
    leaves = [x, *flat(hx), *module.parameters()]
    assert_same(gradients((top, picked), leaves), gradients(theirs, leaves), EXACT)


@pytest.mark.parametrize(
    "kind, options",
    [
        ("LSTM", {"num_layers": 2, "bidirectional": True}),
        ("LSTM", {"proj_size": 2}),
        ("RNN", {"bidirectional": True}),
    ],
)
def test_all_states_pass_gradcheck(kind, options):
    """Central differences through everything that comes back, with lengths."""
    torch.manual_seed(0)
    module = getattr(nn, kind)(2, 3, **options, dtype=torch.float64)
    names = list(dict(module.named_parameters()))
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)

    def call(x, *weights):
        parameters = dict(zip(names, weights, strict=True))
        options = {"lengths": [2, 4], "return_all_states": True}
        return tuple(flat(torch.func.functional_call(module, parameters, (x,), options)))

    assert torch.autograd.gradcheck(call, (x, *module.parameters()), fast_mode=True)


def test_all_states_of_one_sequence():
    torch.manual_seed(0)
    module = nn.LSTM(I, H, L, bidirectional=True, batch_first=True)
    x = torch.randn(T, I)
    output, (h_n, c_n), states = module(x, return_all_states=True)
    assert isinstance(states, States)
    assert output.shape == (T, 2 * H) and h_n.shape == c_n.shape == (2 * L, H)
    assert states.h.shape == states.c.shape == (2 * L, T, H)
    assert_same(states.h, module(x[None], return_all_states=True)[-1].h[:, 0])
    assert_same((output, (h_n, c_n)), torch.nn.LSTM.forward(module, x), CLOSE)


def test_dropout_works_between_the_layers_and_in_training_only():
    module = nn.LSTM(I, H, L, dropout=0.5)
    x, hx = inputs(module)
    first, second = (module(x, hx, return_all_states=True) for _ in range(2))
    assert_same(first[2].h[0], second[2].h[0])
    assert not torch.equal(first[0], second[0])
    module.eval()
    assert_same(module(x, hx, return_all_states=True)[:2], module(x, hx), CLOSE)


# Initial biases.


def effective_biases(module):
    """b_ih + b_hh of each layer and direction, as (4, H): gates i f g o."""
    suffixes = ["", "_reverse"] if module.bidirectional else [""]
    names = [f"l{k}{s}" for k in range(module.num_layers) for s in suffixes]
    sums = [getattr(module, f"bias_ih_{n}") + getattr(module, f"bias_hh_{n}") for n in names]
    return [total.detach().reshape(4, -1) for total in sums]


def test_forget_bias_is_the_effective_bias_and_all_else_is_torchs():
    options = {"num_layers": L, "bidirectional": True, "proj_size": 2}
    torch.manual_seed(0)
    ours = nn.LSTM(I, H, **options, forget_bias=1.5)
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(I, H, **options)
    for mine, other in zip(effective_biases(ours), effective_biases(theirs), strict=True):
        assert (mine[1] == 1.5).all()
        assert_same(mine[[0, 2, 3]], other[[0, 2, 3]])
    weights = [name for name, _ in ours.named_parameters() if "weight" in name]
    assert len(weights) == 3 * 2 * L  # weight_ih, weight_hh and weight_hr
    for name in weights:
        assert_same(getattr(ours, name), getattr(theirs, name))
    assert "forget_bias=1.5" in repr(ours)
    with torch.no_grad():
        ours.bias_ih_l1.zero_()
    ours.reset_parameters()
    assert (effective_biases(ours)[2][1] == 1.5).all()


def test_chrono_draws_the_log_of_a_uniform_time():
    torch.manual_seed(0)
    module = nn.LSTM(I, 400, L, chrono=50)
    for i, f, _, _ in effective_biases(module):
        assert_same(i, -f)
        times = f.exp()  # u ~ U(1, 49): mean 25, standard deviation 48 / sqrt(12)
        assert times.min() >= 1 and times.max() <= 49 * (1 + 1e-6)
        assert abs(times.mean() - 25) < 4 * 48 / 12**0.5 / 400**0.5
        assert abs(times.std() - 48 / 12**0.5) < 1.4
    torch.manual_seed(0)
    first = nn.LSTM(I, H, chrono=50)
    torch.manual_seed(0)
    assert_same(list(first.parameters()), list(nn.LSTM(I, H, chrono=50).parameters()))


def test_the_plain_call_is_as_quick_as_torchs():
    """At most 3 % slower, at every size, as benchmarks/nn_lstm.py measured it."""
    rows = records.load("nn_lstm")["rows"]
    ratios = [row["ratio"] for row in rows if row["question"] == "plain"]
    assert len(ratios) == 32 and max(ratios) <= 1.03


# The door.


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "sizes, error, words",
    [
        ((0, 4), ValueError, "input_size: expected a positive integer, got 0"),
        ((3, -4), ValueError, "hidden_size: expected a positive integer, got -4"),
        ((3, 4, 0), ValueError, "num_layers: expected a positive integer, got 0"),
        ((3.0, 4), TypeError, "input_size: expected a positive integer, got 3.0"),
        ((3, True), TypeError, "hidden_size: expected a positive integer, got True"),
    ],
)
def test_bad_sizes_are_named(kind, sizes, error, words):
    with pytest.raises(error, match=words):
        getattr(nn, kind)(*sizes)


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"forget_bias": "1"}, TypeError, "forget_bias: expected a number or None, got '1'"),
        ({"forget_bias": float("nan")}, ValueError, "forget_bias: expected a finite number, got nan"),
        ({"forget_bias": 1, "bias": False}, ValueError, "forget_bias: expected bias=True beside it"),
        ({"chrono": 2}, ValueError, "chrono: expected a lag of more than 2 steps, got 2"),
        ({"chrono": 9, "forget_bias": 1}, ValueError, "forget_bias, chrono: expected one of them, got both"),
    ],
)
def test_bad_initial_biases_are_named(options, error, words):
    with pytest.raises(error, match=words):
        nn.LSTM(I, H, **options)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "x, error, words",
    [
        (np.zeros((T, B, I)), TypeError, "input: expected a tensor .* got ndarray"),
        (torch.zeros(I), ValueError, r"input: .* \(T, B, I\) or \(T, I\) with I = 3, got \(3,\)"),
        (torch.zeros(T, B, 7), ValueError, r"input: .* I = 3, got \(5, 2, 7\)"),
        (torch.zeros(0, B, I), ValueError, r"input: .* at least one time step, got shape \(0, 2, 3\)"),
        (torch.zeros(T, B, I).double(), TypeError, r"input: .* torch.float32 .*, got torch.float64"),
    ],
)
def test_bad_input_is_named(kind, x, error, words):
    with pytest.raises(error, match=words):
        getattr(nn, kind)(I, H)(x)


def test_bad_hx_is_named():
    x, good = torch.zeros(T, B, I), torch.zeros(1, B, H)
    with pytest.raises(TypeError, match=r"hx: expected a pair \(h0, c0\), got Tensor"):
        nn.LSTM(I, H)(x, good)
    with pytest.raises(ValueError, match=r"hx: c0: expected shape \(1, 2, 4\), got \(1, 5, 4\)"):
        nn.LSTM(I, H)(x, (good, torch.zeros(1, T, H)))
    with pytest.raises(ValueError, match=r"hx: h0: expected shape \(1, 2, 2\), got \(1, 2, 4\)"):
        nn.LSTM(I, H, proj_size=2)(x, (good, good))
    with pytest.raises(ValueError, match=r"hx: h0: expected shape \(1, 4\), got \(1, 2, 4\)"):
        nn.LSTM(I, H)(x[:, 0], (good, good))
    with pytest.raises(TypeError, match=r"hx: .* torch.float32 like the weights, got torch.float64"):
        nn.RNN(I, H)(x, good.double())
    with pytest.raises(ValueError, match=r"hx: expected shape \(2, 2, 4\), got \(1, 2, 4\)"):
        nn.RNN(I, H, bidirectional=True)(x, good)
    with pytest.raises(TypeError, match=r"hx: expected a tensor of shape \(1, 2, 4\), got list"):
        nn.RNN(I, H)(x, [good])


def test_bad_packed_input_is_named():
    packed = pack_padded_sequence(torch.zeros(T, B, 7), torch.tensor([5, 3]))
    with pytest.raises(ValueError, match=r"input: .* I = 3, got \(8, 7\)"):
        nn.LSTM(I, H)(packed)
    packed = pack_padded_sequence(torch.zeros(T, B, I), torch.tensor([5, 3]))
    with pytest.raises(ValueError, match=r"hx: expected shape \(1, 2, 4\), got \(1, 5, 4\)"):
        nn.RNN(I, H)(packed, torch.zeros(1, T, H))
    with pytest.raises(TypeError, match=r"input: .* torch.float64 .*, got torch.float32"):
        nn.RNN(I, H).double()(packed)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "lengths, error, words",
    [
        ([3, 6], ValueError, "lengths: expected 1 <= length <= T = 5, got 3 to 6"),
        (torch.tensor([0, 5]), ValueError, "lengths: .* got 0 to 5"),
        (torch.tensor([3.0, 5.0]), TypeError, "lengths: expected integers, got float32"),
        (torch.tensor([True, True]), TypeError, "lengths: expected integers, got bool"),
        ([3, 5, 5], ValueError, r"lengths: expected shape \(B,\) = \(2,\), got \(3,\)"),
        (4, ValueError, r"lengths: expected shape \(B,\) = \(2,\), got \(\)"),
    ],
)
def test_bad_lengths_are_named(kind, lengths, error, words):
    with pytest.raises(error, match=words):
        getattr(nn, kind)(I, H)(torch.zeros(T, B, I), lengths=lengths)


@pytest.mark.parametrize("kind", TYPES)
def test_lengths_go_with_a_padded_batch_only(kind):
    module = getattr(nn, kind)(I, H)
    with pytest.raises(ValueError, match=r"lengths: expected a batch beside it, got input of shape \(5, 3\)"):
        module(torch.zeros(T, I), lengths=[T])
    packed = pack_padded_sequence(torch.zeros(T, B, I), torch.tensor([5, 3]))
    with pytest.raises(TypeError, match="lengths: expected the input as a padded tensor beside it"):
        module(packed, lengths=[5, 3])
    with pytest.raises(TypeError, match="return_all_states: expected the input as a padded tensor"):
        module(packed, return_all_states=True)


# What cuDNN's weights look like in memory.


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("proj_size", [0, 2])
def test_weights_in_one_piece_are_the_same_in_the_order_of_cudnn(kind, bias, proj_size):
    """W_ih, W_hh, W_hr, b_ih, b_hh, and zeros for biases that are not there; gradients reach each of them."""
    if proj_size and kind != "LSTM":
        pytest.skip("only an LSTM has a projection")
    projection = {"proj_size": proj_size} if proj_size else {}
    weights = getattr(torch.nn, kind)(I, H, bias=bias, **projection).all_weights[0]
    pieces = fused.in_one_piece(weights)
    assert_same(pieces, weights)
    places = {piece.storage_offset(): piece for piece in pieces}
    in_order = [places[start] for start in sorted(places)]
    assert [piece.dim() for piece in in_order] == [2] * (3 if proj_size else 2) + [1] * (2 if bias else 0)
    assert in_order[0] is pieces[0] and in_order[1] is pieces[1]
    assert [piece.storage_offset() for piece in in_order] == np.cumsum(
        [0, *(piece.numel() for piece in in_order[:-1])]
    ).tolist()
    assert len({piece.untyped_storage().data_ptr() for piece in pieces}) == 1
    whole = torch.tensor(pieces[0].untyped_storage().tolist(), dtype=torch.uint8).view(torch.float32)
    rest = whole[sum(w.numel() for w in weights) :]
    assert len(rest) == (0 if bias else 2 * len(weights[0])) and not rest.any()
    found = torch.autograd.grad(sum((k + 2) * (p * p).sum() for k, p in enumerate(pieces)), weights)
    assert_same(found, [2 * (k + 2) * w for k, w in enumerate(weights)], CLOSE)


PIECES = [
    ("LSTM", {"num_layers": L, "bidirectional": True}),
    ("LSTM", {"bias": False, "weight_drop": 0.4}),
    ("LSTM", {"proj_size": 2, "num_layers": L, "input_dropout": 0.3}),
    ("LSTM", {"proj_size": 2, "bias": False}),
    ("GRU", {"num_layers": L, "bidirectional": True}),
    ("GRU", {"bias": False, "weight_drop": 0.4}),
    ("RNN", {"num_layers": L, "nonlinearity": "relu"}),
    ("RNN", {"bias": False, "weight_drop": 0.4, "bidirectional": True}),
]


def all_passes(layer, device="cpu"):
    """Values and gradients with lengths, all states and masks from a generator."""
    torch.manual_seed(4)
    x = torch.randn(T, B, I, dtype=torch.float64).to(device).requires_grad_()
    layer = layer.to(device)
    result = layer(x, lengths=LENGTHS, return_all_states=True)
    loss = sum((t * t).sum() for t in flat(result))
    return [*flat(result), *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.parametrize("kind, options", PIECES)
def test_a_call_with_weights_in_one_piece_is_the_call(kind, options, monkeypatch):
    layer = getattr(nn, kind)(I, H, **options, dtype=torch.float64)
    wanted = all_passes(layer)
    calls = []
    for module in ("lstm", "gru", "rnn"):
        monkeypatch.setattr(
            f"rnnlit.nn.{module}.kernel_weights", lambda w: calls.append(w) or fused.in_one_piece(w)
        )
    assert_same(all_passes(layer), wanted, EXACT)  # how memory is aligned may change a last bit
    assert len(calls) == layer.num_layers * (2 if layer.bidirectional else 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind, options", PIECES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_cudnn_takes_the_weights_of_one_layer_without_a_warning(kind, options, dtype):
    """A warning is an error here. Without masks the numbers are the CPU's."""
    layer = getattr(nn, kind)(I, H, **options, dtype=torch.float64)
    wanted = all_passes(copy.deepcopy(layer).eval())
    for module in (layer.train(), layer.eval()):
        there = copy.deepcopy(module).to("cuda", dtype)
        x = torch.randn(T, B, I, device="cuda", dtype=dtype)
        for lengths in (None, LENGTHS):
            there(x, lengths=lengths, return_all_states=True)
    if dtype == torch.float64:
        layer.train()  # cuDNN has a backward pass in training only
        for name in ("weight_drop", "input_dropout"):
            layer.variants = layer.variants._replace(**{name: 0.0})
        assert_same([t.cpu() for t in all_passes(layer, "cuda")], wanted, EXACT)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_kind
def test_cuda(kind, options):
    """The plain call is torch's; lengths (on the GPU too) and all states are those of the CPU."""
    ours, theirs = (module.cuda().eval() for module in pair(kind, options))
    x, hx = (tuple(s.cuda() for s in p) if isinstance(p, tuple) else p.cuda() for p in inputs(ours))
    assert_same(ours(x, hx), theirs(x, hx))
    lengths = torch.tensor(LENGTHS, device="cuda")
    results = [ours(x, hx, lengths=lengths), ours(x, hx, lengths=lengths, return_all_states=True)]
    ours.cpu()
    x, hx = (tuple(s.cpu() for s in p) if isinstance(p, tuple) else p.cpu() for p in (x, hx))
    want = [ours(x, hx, lengths=LENGTHS), ours(x, hx, lengths=LENGTHS, return_all_states=True)]
    # cuDNN may multiply in TF32, which keeps 11 bits.
    assert_same([t.cpu() for t in flat(results)], want, dict(rtol=2e-3, atol=2e-3))
