"""The variants of rnnlit.nn against a loop over steps with the masks that they drew, torch, and NumPy."""

import copy
import io
import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm
from torch.nn.utils.rnn import pack_padded_sequence

from rnnlit import lstm_peephole, nn
from rnnlit.nn import direction as direction_module
from rnnlit.nn.variants import PLAIN, Variants, check_variants
from tests.processor import ask_torch, needs_torch
from tests.tolerances import TOLERANCE

EXACT, CLOSE, SAME = TOLERANCE[np.float64], TOLERANCE[np.float32], dict(rtol=0, atol=0)
B, T, I, H, L = 2, 5, 3, 4, 2
LENGTHS = [3, 5]
KINDS = ("LSTM", "GRU", "RNN")
TRAINING_ONLY = ("input_dropout", "recurrent_dropout", "output_dropout", "candidate_dropout", "weight_drop")
OPTIONS = {
    **{name: {name: 0.4} for name in TRAINING_ONLY},
    "zoneout": {"zoneout": 0.3},
    "layer_norm": {"layer_norm": True},
    "peephole": {"peephole": True},
    "reset_after": {"reset_after": False},
}
ABSENT = {
    "LSTM": ("reset_after",),
    "GRU": ("peephole",),
    "RNN": ("peephole", "reset_after", "candidate_dropout"),
}
ALL = {
    kind: {k: v for name, o in OPTIONS.items() if name not in ABSENT[kind] for k, v in o.items()}
    for kind in KINDS
}
SINGLE = [(kind, OPTIONS[name]) for kind in KINDS for name in OPTIONS if name not in ABSENT[kind]]
CASES = [*SINGLE, *ALL.items(), ("RNN", {"nonlinearity": "relu"} | ALL["RNN"])]
every_case = pytest.mark.parametrize(
    "kind, options", CASES, ids=lambda v: v if isinstance(v, str) else "+".join(v)
)
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, dtype=torch.float64, sizes=(I, H), **options):
    """A layer; gains and shifts are drawn too, so that none of them can be missed."""
    torch.manual_seed(0)
    layer = getattr(nn, kind)(*sizes, dtype=dtype, **options)
    with torch.no_grad():
        for name, p in layer.named_parameters():
            if name.startswith("norm"):
                p.normal_().add_(0.5)
    return layer


def noise(*shape, seed=1, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def flat(result):
    """The tensors in nested tuples."""
    return [result] if isinstance(result, torch.Tensor) else [t for part in result for t in flat(part)]


def gradients(result, leaves):
    """The gradient of a fixed random function of all tensors in `result`."""
    loss = sum((t * noise(*t.shape, seed=k, dtype=t.dtype)).sum() for k, t in enumerate(flat(result)))
    return torch.autograd.grad(loss, list(leaves), retain_graph=True)


def assert_same(ours, theirs, tolerance=SAME):
    ours, theirs = flat(ours), flat(theirs)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def states(kind, rows, *batch, seed=7, dtype=torch.float64):
    """Initial states with gradient."""
    h, c = (noise(rows, *batch, H, seed=s, dtype=dtype).requires_grad_() for s in (seed, seed + 1))
    return (h, c) if kind == "LSTM" else h


# The oracle: one step after another, written here, with the masks that the layer drew.


@pytest.fixture
def drawn(monkeypatch):
    """A list of (what, mask) for each layer and direction: what the layer drew, in order."""
    rows = []

    def masks(row, variants, H):
        found = original(row, variants, H)
        rows[-1].update(found)
        return found

    def prepare(row, variants):
        rows.append({})
        prepared = outside(row, variants)
        rows[-1] |= {"weight_hh": prepared.weights[1], "x": prepared.x}
        return prepared

    original, outside = direction_module.masks, direction_module.prepare
    monkeypatch.setattr(direction_module, "masks", masks)
    monkeypatch.setattr("rnnlit.nn.layer.prepare", prepare)
    return rows


def loop(layer, found, start):
    """The states of one layer and direction by the equations, differentiated by autograd.

    found: the masked input and the dropped weights as the layer made them, and the masks it drew.
    """
    options, p = layer.variants, dict(layer.named_parameters())

    def norm(name, a):
        if not options.layer_norm:
            return a
        gain, shift = p[f"norm_gain_{name}_l0"], p[f"norm_shift_{name}_l0"]
        return layer_norm(a, gain.shape, gain, shift)

    def mask(name, t, otherwise):
        value = found.get(name)
        return otherwise if value is None else value[t if len(value) > 1 else 0]

    U, W = found["weight_hh"], p["weight_ih_l0"]
    b, d = p["bias_ih_l0"], p["bias_hh_l0"]
    h, c = (s[0] for s in start) if layer.mode == "LSTM" else (start[0], None)
    peep = [p[f"weight_c{gate}_l0"] for gate in "ifo"] if options.peephole else [0.0] * 3
    hs, cs = [], []
    for t, x in enumerate(found["x"]):
        seen = mask("h", t, 1.0) * h
        if layer.mode == "LSTM":
            i, f, g, o = (norm("ih", x @ W.T) + norm("hh", seen @ U.T) + b + d).chunk(4, 1)
            i, f = torch.sigmoid(i + peep[0] * c), torch.sigmoid(f + peep[1] * c)
            new_c = f * c + i * mask("candidate", t, 1.0) * torch.tanh(g)
            new = torch.sigmoid(o + peep[2] * new_c) * torch.tanh(norm("c", new_c))
            c = mask("keep_c", t, 0.0) * c + (1 - mask("keep_c", t, 0.0)) * new_c
            cs.append(c)
        elif layer.mode == "GRU":
            a_rz = norm("ih_rz", x @ W[: 2 * H].T) + b[: 2 * H]
            a_n = norm("ih_n", x @ W[2 * H :].T) + b[2 * H :]
            r, z = torch.sigmoid(a_rz + norm("hh_rz", seen @ U[: 2 * H].T) + d[: 2 * H]).chunk(2, 1)
            if options.reset_before:
                n = torch.tanh(a_n + norm("hh_n", (r * seen) @ U[2 * H :].T) + d[2 * H :])
            else:
                n = torch.tanh(a_n + r * (norm("hh_n", seen @ U[2 * H :].T) + d[2 * H :]))
            new = (1 - z) * mask("candidate", t, 1.0) * n + z * h
        else:
            a = x @ W.T + seen @ U.T
            a = norm("a", a) + b + d if options.layer_norm else a + b + d
            new = torch.relu(a) if layer.mode == "RNN_RELU" else torch.tanh(a)
        h = mask("keep_h", t, 0.0) * h + (1 - mask("keep_h", t, 0.0)) * new
        hs.append(h)
    return [torch.stack(hs), torch.stack(cs)] if cs else [torch.stack(hs)]


@every_case
@pytest.mark.parametrize("training", [True, False])
def test_a_layer_is_the_loop_over_its_equations(kind, options, training, drawn):
    """Values and all gradients, with the masks that the layer drew; in evaluation without any."""
    layer = make(kind, **options).train(training)
    x, hx = noise(T, B, I).requires_grad_(), states(kind, 1, B)
    output, last, all_states = layer(x, hx, return_all_states=True, generator=seeded())
    want = loop(layer, drawn[0], hx)
    assert_same([s[0] for s in all_states], want, EXACT)
    assert_same([s[0] for s in flat(last)], [s[-1] for s in want], EXACT)
    kept = [p for name, p in layer.named_parameters()]
    leaves = [x, *flat(hx), *kept]
    assert_same(gradients(list(all_states), leaves), gradients([w[None] for w in want], leaves), EXACT)
    if not (training and options.get("output_dropout")):
        assert_same(output, want[0], EXACT)


# What is drawn.


@every_kind
def test_zero_probabilities_are_the_plain_layer_bit_for_bit(kind):
    zero = {name: 0.0 for name in TRAINING_ONLY if name not in ABSENT[kind]}
    plain, ours = make(kind, num_layers=L), make(kind, num_layers=L, zoneout=0, **zero)
    assert ours.variants == PLAIN
    x, hx = noise(T, B, I).requires_grad_(), states(kind, L, B)
    results = []
    for layer in (plain, ours):
        out = layer(x, hx)
        results.append((out, gradients(out, [x, *layer.parameters()])))
    assert_same(*results)


@pytest.mark.parametrize("kind, options", [case for case in SINGLE if next(iter(case[1])) in TRAINING_ONLY])
def test_evaluation_is_the_plain_layer_for_all_that_drops(kind, options):
    ours, plain = (
        make(kind, num_layers=L, bidirectional=True, **options),
        make(kind, num_layers=L, bidirectional=True),
    )
    x = noise(T, B, I)
    assert_same(ours.eval()(x), plain.eval()(x))
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    assert_same(ours(packed)[1], plain(packed)[1])
    assert not torch.equal(ours.train()(x)[0], plain(x)[0])


def test_zoneout_in_evaluation_is_the_mean_of_one_step():
    """Over all masks of one step; weighted by their probabilities, which are the products p or 1-p."""
    layer = make("GRU", zoneout=0.3)
    x, h0 = noise(1, 1, I), noise(1, 1, H)
    new = make("GRU").eval()(x, h0)[0]
    want = 0.3 * h0 + 0.7 * new
    assert_same(layer.eval()(x, h0)[0], want, EXACT)
    layer.train()
    mean = torch.stack([layer(x, h0)[0] for _ in range(2000)]).mean(0)
    # A unit is a coin: its mean over 2000 draws stays within 5 standard deviations.
    assert ((mean - want).abs() <= 5 * (0.3 * 0.7 / 2000) ** 0.5 * (h0 - new).abs()).all()


def test_zoneout_of_h_and_c_apart():
    x = noise(T, B, I)
    for pair, still, moving in (((0.9, 0.0), 0, 1), ((0.0, 0.9), 1, 0)):
        layer = make("LSTM", zoneout=pair)
        both = layer(x, return_all_states=True, generator=seeded())[2]
        same = [(s[0][1:] == s[0][:-1]).double().mean().item() for s in both]
        assert same[still] > 0.7 and same[moving] == 0
    assert "zoneout=(0.0, 0.9)" in repr(layer)


@pytest.mark.parametrize("name", ["recurrent_dropout", "candidate_dropout", "zoneout"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_masks_are_new_at_every_step_or_one_for_the_sequence(kind, name, drawn):
    layer = make(kind, sizes=(I, 50), **{name: 0.4})
    layer(noise(40, B, I))
    (row,) = drawn
    what = {"recurrent_dropout": "h", "candidate_dropout": "candidate", "zoneout": "keep_h"}[name]
    m = row.pop(what)
    others = [
        value for key, value in row.items() if key not in ("x", "weight_hh", "keep_c") and value is not None
    ]
    assert not others
    assert m.shape == ((1 if what == "h" else 40), B, 50)
    values = (0.0, 1.0) if name == "zoneout" else (0.0, 1 / 0.6)
    assert set(m.unique().tolist()) == set(torch.tensor(values, dtype=m.dtype).tolist())
    chance = 0.4 if name == "zoneout" else 0.6
    assert abs((m > 0).double().mean() - chance) < 5 * (0.24 / m.numel()) ** 0.5
    if what != "h":
        assert not torch.equal(m[0], m[1])
    assert not torch.equal(m[:, 0], m[:, 1])  # each sequence has its own


@every_kind
def test_masks_of_input_and_output_stay_the_same_over_time(kind):
    """Ones go in, so the mask can be read off: where a unit is zero once, it is zero at every step."""
    layer = make(kind, sizes=(20, 30), output_dropout=0.5)
    output, last, all_states = layer(torch.ones(T, B, 20).double(), return_all_states=True)
    ratio = output / all_states.h[0]
    assert set(ratio.round(decimals=9).unique().tolist()) == {0.0, 2.0}
    assert (ratio.round(decimals=9) == ratio[0].round(decimals=9)).all()
    assert not torch.equal(ratio[0, 0] > 0, ratio[0, 1] > 0)
    assert_same(flat(last)[0][0], all_states.h[0, -1])  # without the mask

    layer = make(kind, sizes=(20, 30), input_dropout=0.5)
    x = torch.ones(T, B, 20).double().requires_grad_()
    (gradient,) = gradients(layer(x)[0], [x])
    assert ((gradient == 0) == (gradient[0] == 0)).all()
    assert 0 < (gradient[0] == 0).double().mean() < 1
    assert not torch.equal(gradient[0, 0] == 0, gradient[0, 1] == 0)


@every_kind
@pytest.mark.parametrize("others", [{}, {"recurrent_dropout": 0.2}])
def test_weight_drop_never_touches_the_parameters(kind, others, drawn):
    layer = make(kind, weight_drop=0.5, num_layers=L, **others)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert list(before) == list(getattr(torch.nn, kind)(I, H, L).state_dict())
    output, _ = layer(noise(T, B, I))
    output.square().sum().backward()
    assert len(drawn) == L
    for k, row in enumerate(drawn):
        weight = getattr(layer, f"weight_hh_l{k}")
        dropped = row["weight_hh"] == 0
        assert 0.2 < dropped.double().mean() < 0.8
        assert_same(row["weight_hh"][~dropped], 2 * weight[~dropped])
        assert (weight.grad[dropped] == 0).all() and (weight.grad[~dropped] != 0).all()
    assert isinstance(layer.weight_hh_l0, torch.nn.Parameter)
    assert_same(list(layer.state_dict().values()), list(before.values()))
    assert not torch.equal(layer(noise(T, B, I))[0], output)  # the next call drops others


# The call: everything that the plain layers can do.


@every_case
def test_padding_changes_nothing_and_gets_no_gradient(kind, options):
    layer = make(kind, num_layers=L, bidirectional=True, dropout=0.3, **options)
    hx = states(kind, 2 * L, B)
    padding = torch.arange(T)[:, None] >= torch.tensor(LENGTHS)
    results = []
    for filling in (0.0, 1e30, float("nan")):
        x = noise(T, B, I).masked_fill(padding[..., None], filling).requires_grad_()
        out = layer(x, hx, lengths=LENGTHS, return_all_states=True, generator=seeded())
        grads = gradients(out, [x, *flat(hx), *layer.parameters()])
        assert not out[0][padding].any() and not grads[0][padding].any()
        assert all(g.isfinite().all() for g in grads)
        results.append((out, grads))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


@every_case
@pytest.mark.parametrize("order", [[3, 5], [5, 3], [1, 4]])
def test_each_sequence_is_as_if_alone(kind, options, order):
    """In evaluation, where no masks are drawn: the batch gives what each sequence gives by itself."""
    layer = make(kind, num_layers=L, bidirectional=True, **options).eval()
    x, hx = noise(T, B, I), states(kind, 2 * L, B)
    output, last, all_states = layer(x, hx, lengths=torch.tensor(order), return_all_states=True)
    for b, length in enumerate(order):
        start = tuple(s[:, b] for s in hx) if kind == "LSTM" else hx[:, b]
        alone = layer(x[:length, b], start, return_all_states=True)
        assert_same(output[:length, b], alone[0], EXACT)
        assert_same([s[:, b] for s in flat(last)], flat(alone[1]), EXACT)
        assert_same([s[:, :length, b] for s in all_states], list(alone[2]), EXACT)


@every_case
def test_layouts(kind, options):
    """batch_first, one sequence without a batch, and torch's shapes."""
    plain = make(kind, num_layers=L, bidirectional=True, **options).eval()
    first = make(kind, num_layers=L, bidirectional=True, batch_first=True, **options).eval()
    x, hx = noise(T, B, I), states(kind, 2 * L, B)
    a, b = (f(v, hx, return_all_states=True) for f, v in ((plain, x), (first, x.transpose(0, 1))))
    assert a[0].shape == (T, B, 2 * H) and b[0].shape == (B, T, 2 * H)
    assert_same(a[0], b[0].transpose(0, 1))
    assert_same(a[1], b[1])
    assert_same(list(a[2]), [s.transpose(1, 2) for s in b[2]])
    alone = plain(x[:, 0], return_all_states=True)
    batch = plain(x[:, :1], return_all_states=True)
    assert alone[0].shape == (T, 2 * H) and flat(alone[1])[0].shape == (2 * L, H)
    assert_same(alone[0], batch[0][:, 0], EXACT)
    assert_same(flat(alone[1]), [s[:, 0] for s in flat(batch[1])], EXACT)


@every_case
def test_a_generator_makes_a_call_reproducible(kind, options):
    layer = make(kind, num_layers=L, dropout=0.5, bidirectional=True, **options)
    x = noise(T, B, I)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, second, other = (layer(x, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)  # nothing was drawn from torch's own
    assert_same(first, second)
    assert not torch.equal(first[0], other[0])
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(layer(x))
    assert_same(*results)


@every_kind
def test_dropout_of_all_between_the_layers_is_torchs(kind):
    """torch allows p = 1: what the second layer reads is then zero, with a generator or without."""
    layer, x = make(kind, num_layers=2, dropout=1.0), noise(T, B, I)
    want = getattr(torch.nn, kind)(I, H, 2, dropout=1.0, dtype=torch.float64)
    want.load_state_dict(layer.state_dict())
    assert_same(layer(x, generator=seeded()), want(x))


@every_kind
def test_a_generator_draws_the_dropout_between_plain_layers_too(kind):
    layer = make(kind, num_layers=L, dropout=0.5)
    x = noise(T, B, I)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, second = layer(x, generator=seeded(1)), layer(x, generator=seeded(1))
    assert_same(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert layer.kernel(x, generator=seeded()).endswith(": generator")
    assert_same(layer.eval()(x, generator=seeded(1)), layer(x))


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"recurrent_dropout": 0.5}], ids="+".join)
@every_kind
def test_evaluation_drops_nothing_whatever_the_call_asks_for(kind, options):
    """Dropout between the layers, lengths and a generator at once: torch's packed call, no number drawn."""
    layer = make(kind, num_layers=L, dropout=0.5, **options)
    torch.manual_seed(0)
    plain = {k: v for k, v in options.items() if k == "bidirectional"}
    theirs = getattr(torch.nn, kind)(I, H, L, **plain, dtype=torch.float64)
    theirs.load_state_dict(layer.state_dict())
    x, generator = noise(T, B, I), seeded(3)
    states = torch.get_rng_state(), generator.get_state()
    for arguments in ({"lengths": LENGTHS}, {"lengths": LENGTHS, "return_all_states": True}):
        dropped, again = (layer.train()(x, generator=seeded(seed), **arguments)[0] for seed in (3, 4))
        assert not torch.equal(dropped, again)
        output, last = layer.eval()(x, generator=generator, **arguments)[:2]
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
        want, want_last = theirs(packed)
        assert_same(output, torch.nn.utils.rnn.pad_packed_sequence(want, total_length=T)[0], EXACT)
        assert_same(flat(last), flat(want_last), EXACT)
        assert layer.kernel(x, generator=generator, **arguments).count("generator") == 0
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(generator.get_state(), states[1])


@every_case
def test_copies_pickles_and_state_dicts(kind, options):
    layer = make(kind, num_layers=L, bidirectional=True, **options)
    saved = io.BytesIO()
    torch.save(layer, saved)
    saved.seek(0)
    restored = getattr(nn, kind)(I, H, num_layers=L, bidirectional=True, dtype=torch.float64, **options)
    restored.load_state_dict(layer.state_dict(), strict=True)
    twins = [
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(saved, weights_only=False),
        restored,
    ]
    x = noise(T, B, I)
    want = layer(x, lengths=LENGTHS, generator=seeded())
    for twin in twins:
        assert repr(twin) == repr(layer)
        assert_same(twin(x, lengths=LENGTHS, generator=seeded()), want)
        assert twin.weight_ih_l0 is not layer.weight_ih_l0


@every_kind
def test_the_repr_builds_the_layer_again(kind):
    for options in ({}, ALL[kind], {"orthogonal": True}):
        layer = make(kind, **options)
        text = repr(layer)
        again = eval(f"nn.{text}")
        assert repr(again) == text and again.variants == layer.variants


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtypes(kind, options, dtype):
    layer = make(kind, **options).to(dtype).eval()
    x = noise(T, B, I, dtype=dtype)
    out = layer(x, lengths=LENGTHS, return_all_states=True)
    assert all(t.dtype == dtype for t in flat(out))
    sum(t.sum() for t in flat(out)).backward()
    assert all(p.grad.dtype == dtype for p in layer.parameters())
    if dtype == torch.float32:
        want = make(kind, **options).eval()(noise(T, B, I), lengths=LENGTHS, return_all_states=True)
        assert_same([t.double() for t in flat(out)], flat(want), CLOSE)


@every_case
def test_autocast(kind, options):
    """Under autocast in bfloat16 the result is near the full one."""
    layer = make(kind, dtype=torch.float32, num_layers=L, **options).eval()
    x, hx = noise(T, B, I, dtype=torch.float32), states(kind, L, B, dtype=torch.float32)
    call = dict(lengths=LENGTHS, return_all_states=True)
    want = layer(x, hx, **call)
    with torch.autocast("cpu", torch.bfloat16):
        if needs_torch(layer.kernel(x, **call)):
            ask_torch(getattr(torch.nn, kind)(I, H), x)
        out = layer(x, hx, **call)
    # bfloat16 keeps 8 bits of a number.
    assert_same([t.float() for t in flat(out)], flat(want), dict(rtol=2**-5, atol=2**-5))


@every_case
def test_everything_gets_a_gradient_under_autocast(kind, options):
    layer = make(kind, dtype=torch.float32, num_layers=L, **options)
    x, hx = noise(T, B, I, dtype=torch.float32), states(kind, L, B, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        if needs_torch(layer.kernel(x)):
            ask_torch(getattr(torch.nn, kind)(I, H), x)
        loss = sum(t.float().square().sum() for t in flat(layer(x, hx, generator=seeded())))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


class Model(torch.nn.Module):
    """A layer inside something."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.out = layer, torch.nn.Linear(layer.hidden_size, 2, dtype=layer.weight_ih_l0.dtype)

    def forward(self, x):
        return self.out(self.layer(x)[0])


@every_case
def test_export(kind, options):
    """In evaluation mode; H is large enough for the packed product, which has to stay out of it."""
    model = Model(make(kind, torch.float32, (I, 64), **options)).eval()
    x = noise(T, B, I, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        exported = torch.export.export(model, (x,), strict=False).module()
    assert_same(exported(x), model(x), CLOSE)


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor"
)  # torch's own, after a call that it leaves
@pytest.mark.parametrize(
    "kind, options", [*ALL.items(), ("GRU", {"reset_after": False}), ("LSTM", {"zoneout": 0.2})]
)
@pytest.mark.parametrize("training", [True, False])
def test_compile(kind, options, training):
    """torch.compile leaves the scan as it is and compiles around it: same values and gradients."""
    model = Model(make(kind, torch.float32, **options)).train(training)
    x = noise(T, B, I, dtype=torch.float32)
    results = []
    try:
        for function in (model, torch.compile(model, backend="aot_eager")):
            torch.manual_seed(0)
            out = function(x)
            results.append((out, gradients(out, model.parameters())))
    finally:
        torch.compiler.reset()
    if not training:
        assert_same(*results, CLOSE)
    assert all(g.isfinite().all() for _, grads in results for g in grads)


@every_case
def test_functional_call_sees_other_parameters(kind, options):
    layer, other = make(kind, **options), make(kind, **options)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(0.1)
    x = noise(T, B, I)
    called = torch.func.functional_call(
        layer, dict(other.named_parameters()), (x,), {"generator": seeded(), "lengths": LENGTHS}
    )
    assert_same(called, other(x, generator=seeded(), lengths=LENGTHS))


# Initialisation and parameters.


@every_case
def test_torchs_parameters_are_drawn_as_torch_draws_them(kind, options):
    chosen = {k: v for k, v in options.items() if k == "nonlinearity"}
    torch.manual_seed(0)
    ours = getattr(nn, kind)(I, H, L, bidirectional=True, **options)
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(I, H, L, bidirectional=True, **chosen)
    mine = dict(ours.named_parameters())
    for name, value in theirs.named_parameters():
        assert_same(mine.pop(name), value)
    for name, value in mine.items():
        if name.startswith("norm_gain"):
            assert (value == 1).all()
        elif name.startswith("norm_shift"):
            assert (value == 0).all()
        else:
            assert (
                name.startswith("weight_c") and value.abs().max() <= H**-0.5 and value.unique().numel() == H
            )
    with torch.no_grad():
        for p in ours.parameters():
            p.fill_(9.0)
    ours.reset_parameters()
    assert all(p.abs().max() <= 1 for p in ours.parameters())


@every_kind
def test_orthogonal(kind):
    layer = make(kind, num_layers=L, bidirectional=True, orthogonal=True)
    for weights in layer.all_weights:
        for block in weights[1].split(H):
            assert_same(block @ block.T, torch.eye(H, dtype=torch.float64), EXACT)
    assert "orthogonal=True" in repr(layer)


def test_orthogonal_with_projection():
    layer = make("LSTM", proj_size=2, orthogonal=True)
    for block in layer.weight_hh_l0.split(H):  # (H, 2): its columns are orthonormal
        assert_same(block.T @ block, torch.eye(2, dtype=torch.float64), EXACT)


def test_forget_bias_stays_with_variants():
    layer = make("LSTM", forget_bias=1.5, layer_norm=True, peephole=True, num_layers=L)
    for k in range(L):
        total = getattr(layer, f"bias_ih_l{k}") + getattr(layer, f"bias_hh_l{k}")
        assert (total[H : 2 * H] == 1.5).all()


# Against the NumPy reference.


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_peephole_is_the_reference(lengths):
    rng = np.random.default_rng(0)
    params, x = lstm_peephole.init(I, H, rng=rng, dtype=np.float64), rng.standard_normal((T, B, I))
    h0, c0, dh_n, dc_n = rng.standard_normal((4, B, H))
    dh = rng.standard_normal((T, B, H))
    run = lstm_peephole.forward(params, x, h0, c0, lengths)
    grads = lstm_peephole.backward(params, run, dh=dh, dh_n=dh_n, dc_n=dc_n)
    layer = nn.LSTM(I, H, peephole=True, dtype=torch.float64)
    layer.load_state_dict({f"{name}_l0": torch.tensor(value) for name, value in params._asdict().items()})
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h0, c0)]
    output, (h_n, c_n) = layer(leaves[0], (leaves[1][None], leaves[2][None]), lengths=lengths)
    for mine, theirs in ((output, run.h), (h_n[0], run.h_n), (c_n[0], run.c_n)):
        np.testing.assert_allclose(mine.detach(), theirs, **EXACT)
    loss = (output * torch.tensor(dh)).sum()
    loss = loss + (h_n[0] * torch.tensor(dh_n)).sum() + (c_n[0] * torch.tensor(dc_n)).sum()
    loss.backward()
    for name, value in grads.params._asdict().items():
        np.testing.assert_allclose(getattr(layer, f"{name}_l0").grad, value, **EXACT)
    for leaf, value in zip(leaves, (grads.x, grads.h0, grads.c0), strict=True):
        np.testing.assert_allclose(leaf.grad, value, **EXACT)


# The rule of dispatch.


def ways(monkeypatch, layer, *args, **kwargs):
    """Which of torch's kernels and of our scans a call reaches, by listening at their doors."""
    reached = []

    def listen(owner, name, what):
        original = getattr(owner, name)

        def heard(*a, **k):
            reached.append(what)
            return original(*a, **k)

        monkeypatch.setattr(owner, name, heard)

    kind = type(layer).__name__
    listen(getattr(torch.nn, kind), "forward", "torch")
    listen(type(layer), "_fused", "rows")
    listen(type(layer), "_scan", "scan")
    layer(*args, **kwargs)
    return set(reached)


KERNELS = [
    ({}, {}, True, "torch", "torch's own call"),
    ({}, {"lengths": [T, T]}, True, "torch", "torch's own call"),
    ({}, {"lengths": LENGTHS}, True, "rows", "torch's fused kernel, .*: lengths"),
    ({}, {"return_all_states": True}, True, "rows", "torch's fused kernel, .*: return_all_states"),
    ({"input_dropout": 0.1}, {}, True, "rows", "torch's fused kernel, .*: input_dropout"),
    ({"input_dropout": 0.1}, {}, False, "torch", "torch's own call"),
    ({"output_dropout": 0.1}, {}, True, "rows", "torch's fused kernel, .*: output_dropout"),
    (
        {"weight_drop": 0.1},
        {"lengths": LENGTHS},
        True,
        "rows",
        "torch's fused kernel, .*: lengths, weight_drop",
    ),
    ({"recurrent_dropout": 0.1}, {}, True, "scan", "our scan, .*: recurrent_dropout"),
    ({"recurrent_dropout": 0.1}, {}, False, "torch", "torch's own call"),
    ({"zoneout": 0.1}, {}, True, "scan", "our scan, .*: zoneout"),
    ({"zoneout": 0.1}, {}, False, "scan", "our scan, .*: zoneout"),
    ({"layer_norm": True, "weight_drop": 0.1}, {}, True, "scan", "our scan, .*: layer_norm"),
]


@every_kind
@pytest.mark.parametrize("options, arguments, training, way, words", KERNELS)
def test_kernel_tells_the_way_that_the_call_takes(
    kind, options, arguments, training, way, words, monkeypatch
):
    layer = make(kind, **options).train(training)
    x = noise(T, B, I)
    sentence = layer.kernel(x, **arguments)
    assert ways(monkeypatch, layer, x, **arguments) == {way}
    assert re.fullmatch(words, sentence)


@pytest.mark.parametrize(
    "kind, options, name",
    [
        ("LSTM", {"peephole": True}, "peephole"),
        ("LSTM", {"candidate_dropout": 0.1}, "candidate_dropout"),
        ("GRU", {"reset_after": False}, "reset_after=False"),
    ],
)
def test_kernel_of_what_one_layer_has(kind, options, name, monkeypatch):
    layer = make(kind, **options)
    assert layer.kernel(noise(T, B, I)).endswith(f": {name}")
    assert ways(monkeypatch, layer, noise(T, B, I)) == {"scan"}


# The door.


@pytest.mark.parametrize(
    "kind, options, error, words",
    [
        *[
            (kind, {"input_dropout": 1.0}, ValueError, "input_dropout: .* 0 <= p < 1, got 1.0")
            for kind in KINDS
        ],
        ("LSTM", {"recurrent_dropout": -0.1}, ValueError, "recurrent_dropout: .* 0 <= p < 1, got -0.1"),
        ("LSTM", {"weight_drop": "0.5"}, TypeError, "weight_drop: expected a number, got '0.5'"),
        ("LSTM", {"candidate_dropout": True}, TypeError, "candidate_dropout: expected a number, got True"),
        ("LSTM", {"output_dropout": float("nan")}, ValueError, "output_dropout: .* got nan"),
        ("LSTM", {"zoneout": (0.1, 1.0)}, ValueError, "zoneout: .* 0 <= p < 1, got 1.0"),
        ("LSTM", {"zoneout": (0.1, 0.2, 0.3)}, ValueError, "zoneout: expected a number, or a pair"),
        ("GRU", {"zoneout": (0.1, 0.1)}, ValueError, "zoneout: expected one number, for a state without c"),
        ("RNN", {"zoneout": [0.1]}, ValueError, "zoneout: expected one number, for a state without c"),
        ("LSTM", {"layer_norm": 1}, TypeError, "layer_norm: expected True or False, got 1"),
        ("LSTM", {"peephole": None}, TypeError, "peephole: expected True or False, got None"),
        ("LSTM", {"orthogonal": "yes"}, TypeError, "orthogonal: expected True or False, got 'yes'"),
        ("GRU", {"reset_after": 0}, TypeError, "reset_after: expected True or False, got 0"),
        (
            "LSTM",
            {"proj_size": 2, "layer_norm": True},
            ValueError,
            "proj_size: expected 0 with layer_norm, got 2",
        ),
        ("LSTM", {"proj_size": 2, "zoneout": 0.1}, ValueError, "proj_size: expected 0 with zoneout, got 2"),
        ("RNN", {"candidate_dropout": 0.1}, TypeError, "candidate_dropout"),
        ("GRU", {"peephole": True}, TypeError, "peephole"),
    ],
)
def test_bad_arguments_are_named(kind, options, error, words):
    with pytest.raises(error, match=words):
        getattr(nn, kind)(I, H, **options)


@every_kind
def test_a_bad_generator_is_named(kind):
    with pytest.raises(TypeError, match=r"generator: expected a torch\.Generator or None, got int"):
        make(kind)(noise(T, B, I), generator=1)


@pytest.mark.parametrize("kind, options", SINGLE)
def test_a_packed_sequence_is_refused_where_it_cannot_be_used(kind, options):
    packed = pack_padded_sequence(noise(T, B, I), torch.tensor([5, 3]))
    name = next(iter(options))
    with pytest.raises(
        TypeError, match=f"input: expected a padded tensor, and lengths beside it, with {name}"
    ):
        make(kind, **options)(packed)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own
def test_projection_goes_with_what_works_outside_the_recurrence():
    layer = make("LSTM", proj_size=2, num_layers=L, input_dropout=0.3, weight_drop=0.3, output_dropout=0.3)
    output, (h_n, c_n) = layer(noise(T, B, I), lengths=LENGTHS, generator=seeded())
    assert output.shape == (T, B, 2) and h_n.shape == (L, B, 2) and c_n.shape == (L, B, H)
    output.sum().backward()
    plain = make("LSTM", proj_size=2, num_layers=L)
    assert_same(layer.eval()(noise(T, B, I)), plain(noise(T, B, I)))


def test_check_variants_fills_in_what_is_not_given():
    assert check_variants() == PLAIN == Variants()
    assert check_variants((0.1, 0.2), pair=True) == Variants(zoneout_h=0.1, zoneout_c=0.2)
    assert check_variants(0.1) == Variants(zoneout_h=0.1)  # a cell without c
