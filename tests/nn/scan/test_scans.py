"""The scans against central differences, and against a loop over steps that autograd differentiates."""

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm, linear

from rnnlit.nn.scan import loop, matmul, scans, steps
from rnnlit.nn.scan.gru import ScanGRU
from rnnlit.nn.scan.lstm import ScanLSTM
from rnnlit.nn.scan.rnn import ScanRNN
from rnnlit.nn.scan.scans import Affine, GRUOptions, LSTMOptions, Norm, RNNOptions
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
DTYPES = [torch.float64, torch.float32]
CLOSE = {torch.float64: TOLERANCE[np.float64], torch.float32: TOLERANCE[np.float32]}

# What each option is: a mask for the whole sequence or for each step, a mix, peepholes, or a normalisation of
# so many units.
LSTM_OPTIONS = {
    "mask_h": 1,
    "mask_g": T,
    "mask_c": T,
    "keep_h": "mix",
    "keep_c": "mix",
    "peephole": "peephole",
    "norm_h": Norm,
    "norm_c": Norm,
}
GRU_OPTIONS = {"mask_h": 1, "mask_n": T, "keep_h": "mix", "norm_rz": Norm, "norm_n": Norm}
RNN_OPTIONS = {"mask_h": 1, "keep_h": "mix", "norm": Norm}
SIZES = {"norm_h": 4 * H, "norm_c": H, "norm_rz": 2 * H, "norm_n": H, "norm": H}
SCANS = {
    "lstm": (scans.lstm, LSTMOptions, LSTM_OPTIONS, 4),
    "gru": (scans.gru, GRUOptions, GRU_OPTIONS, 3),
    "gru_before": (scans.gru, GRUOptions, GRU_OPTIONS, 3),
    "rnn": (scans.rnn, RNNOptions, RNN_OPTIONS, 1),
    "rnn_relu": (scans.rnn, RNNOptions, RNN_OPTIONS, 1),
}
FUNCTIONS = {
    "lstm": (ScanLSTM, loop.lstm),
    "gru": (ScanGRU, loop.gru),
    "rnn": (ScanRNN, loop.rnn),
}
CASES = [
    (scan, chosen)
    for scan, (_, _, options, _) in SCANS.items()
    for chosen in [(), *[(name,) for name in options], tuple(options)]
]
CASES += [("gru", ("norm_rz", "norm_n")), ("gru_before", ("norm_rz", "norm_n"))]
every_case = pytest.mark.parametrize(
    "scan, chosen", CASES, ids=lambda v: v if isinstance(v, str) else "+".join(v)
)


def draw(scan, chosen, dtype, bias=True, steps=T):
    """The arguments of a scan: its tensors with gradient by name, and its constants by name."""
    g = torch.Generator().manual_seed(0)
    _, _, kinds, blocks = SCANS[scan]

    def normal(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype).requires_grad_()

    tensors = {
        "gates": normal(steps, B, blocks * H),
        "weight_hh": normal(blocks * H, H),
        "h0": normal(B, H),
    }
    tensors |= {"c0": normal(B, H)} if scan == "lstm" else {}
    tensors |= {"bias_hh": normal(3 * H)} if "gru" in scan and bias else {}
    constants = {}
    for name in chosen:
        kind = kinds[name]
        if kind is Norm:
            tensors |= {f"{name}.gain": normal(SIZES[name]), f"{name}.shift": normal(SIZES[name])}
        elif kind == "peephole":
            tensors[name] = normal(3, H)
        elif kind == "mix":
            constants[name] = torch.rand(steps, B, H, generator=g, dtype=torch.float64).to(dtype)
        else:
            shape = (1 if kind == 1 else steps, B, H)
            constants[name] = (torch.rand(shape, generator=g) > 0.4).to(dtype) / 0.6
    return tensors, constants


def call(scan, tensors, constants):
    """Run the scan."""
    run, options, kinds, _ = SCANS[scan]
    chosen = dict(constants)
    for name, kind in kinds.items():
        if kind is Norm and f"{name}.gain" in tensors:
            chosen[name] = Norm(tensors[f"{name}.gain"], tensors[f"{name}.shift"])
        elif name in tensors:
            chosen[name] = tensors[name]
    first = [tensors["gates"], tensors["weight_hh"]]
    chosen = options(**chosen)
    if scan == "lstm":
        return run(*first, tensors["h0"], tensors["c0"], chosen)
    if "gru" in scan:
        after = scan == "gru"
        return (run(*first, tensors.get("bias_hh"), tensors["h0"], chosen, reset_after=after),)
    return (run(*first, tensors["h0"], chosen, relu=scan == "rnn_relu"),)


def loop(scan, tensors, constants):
    """The same mathematics, one step after another, differentiated by autograd."""

    def norm(name, a):
        if f"{name}.gain" not in tensors:
            return a
        gain, shift = tensors[f"{name}.gain"], tensors[f"{name}.shift"]
        return layer_norm(a, gain.shape, gain, shift, 1e-5)

    def mask(name, t, otherwise):
        value = constants.get(name)
        return otherwise if value is None else value[t] if len(value) > 1 else value[0]

    gates, W, h, c = (tensors.get(name) for name in ("gates", "weight_hh", "h0", "c0"))
    p_i, p_f, p_o = tensors.get("peephole", (0.0, 0.0, 0.0))
    b_rz, b_n = tensors["bias_hh"].split([2 * H, H]) if "bias_hh" in tensors else (0.0, 0.0)
    hs, cs = [], []
    for t, a in enumerate(gates):
        seen = mask("mask_h", t, 1.0) * h
        if scan == "lstm":
            i, f, g, o = (a + norm("norm_h", seen @ W.T)).chunk(4, 1)
            i, f, g = torch.sigmoid(i + p_i * c), torch.sigmoid(f + p_f * c), torch.tanh(g)
            new_c = mask("mask_c", t, 1.0) * (f * c + i * mask("mask_g", t, 1.0) * g)
            new = torch.sigmoid(o + p_o * new_c) * torch.tanh(norm("norm_c", new_c))
            c = mask("keep_c", t, 0.0) * c + (1 - mask("keep_c", t, 0.0)) * new_c
            cs.append(c)
        elif "gru" in scan:
            a_rz, a_n = a.split([2 * H, H], 1)
            W_rz, W_n = W.split([2 * H, H])
            r, z = torch.sigmoid(a_rz + norm("norm_rz", seen @ W_rz.T) + b_rz).chunk(2, 1)
            if scan == "gru":
                n = torch.tanh(a_n + r * (norm("norm_n", seen @ W_n.T) + b_n))
            else:
                n = torch.tanh(a_n + norm("norm_n", (r * seen) @ W_n.T) + b_n)
            new = (1 - z) * mask("mask_n", t, 1.0) * n + z * h
        else:
            new = norm("norm", a + seen @ W.T)
            new = torch.relu(new) if scan == "rnn_relu" else torch.tanh(new)
        h = mask("keep_h", t, 0.0) * h + (1 - mask("keep_h", t, 0.0)) * new
        hs.append(h)
    return (torch.stack(hs), torch.stack(cs)) if cs else (torch.stack(hs),)


def gradients(results, tensors):
    """The gradients of a fixed random function of all results."""
    g = torch.Generator().manual_seed(1)
    loss = sum(
        (r * torch.randn(r.shape, generator=g, dtype=torch.float64).to(r.dtype)).sum() for r in results
    )
    return torch.autograd.grad(loss, list(tensors.values()))


def assert_same(ours, theirs, tolerance):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@every_case
def test_central_differences(scan, chosen):
    tensors, constants = draw(scan, chosen, torch.float64, steps=3)
    if scan == "rnn_relu":  # away from the kink: no sum may change its sign under a small step
        tensors["gates"] = (10 * tensors["gates"].detach()).requires_grad_()
    names = list(tensors)

    def function(*values):
        return call(scan, dict(zip(names, values, strict=True)), constants)

    assert torch.autograd.gradcheck(function, tuple(tensors.values()))


@every_case
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_gradients_are_those_of_a_loop(scan, chosen, dtype):
    tensors, constants = draw(scan, chosen, dtype)
    ours, theirs = call(scan, tensors, constants), loop(scan, tensors, constants)
    assert_same(ours, theirs, CLOSE[dtype])
    # A gradient is a sum over T B terms, some far larger than the sum: in float32 one digit more is lost.
    tolerance = CLOSE[dtype] if dtype == torch.float64 else dict(rtol=1e-4, atol=1e-4)
    assert_same(gradients(ours, tensors), gradients(theirs, tensors), tolerance)


@every_case
def test_without_gradient_the_states_are_the_same(scan, chosen):
    """There the gates of one step alone are kept."""
    tensors, constants = draw(scan, chosen, torch.float64)
    with_gradient = call(scan, tensors, constants)
    with torch.no_grad():
        without = call(scan, tensors, constants)
    assert not any(state.requires_grad for state in without)
    assert_same(without, with_gradient, CLOSE[torch.float64])


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("packs", [False, True])
def test_both_ways_of_the_product(scan, packs, monkeypatch):
    """With oneDNN's packed product and with torch.mm, each forced, in float32."""
    if packs and not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    packed = []
    monkeypatch.setattr(matmul, "FEW", 0)
    monkeypatch.setattr(matmul, "packing_pays", lambda *_: packs)
    monkeypatch.setattr(matmul, "_linear", heard(matmul._linear, packed))
    tensors, constants = draw(scan, tuple(SCANS[scan][2]), torch.float32)
    ours, theirs = call(scan, tensors, constants), loop(scan, tensors, constants)
    assert_same(ours, theirs, CLOSE[torch.float32])
    assert_same(gradients(ours, tensors), gradients(theirs, tensors), dict(rtol=1e-4, atol=1e-4))  # as above
    assert len(packed) == (T * (4 if scan == "gru_before" else 2) if packs else 0)


def heard(function, calls):
    """The same function, which notes that it was called."""

    def noting(*arguments):
        calls.append(function)
        return function(*arguments)

    return noting


@pytest.mark.parametrize("scan", SCANS)
def test_masks_of_one_and_of_every_step(scan):
    """Any mask may be one for the sequence; repeated for every step it gives the same."""
    _, _, kinds, _ = SCANS[scan]
    names = [name for name, kind in kinds.items() if kind == "mix" or isinstance(kind, int)]
    tensors, constants = draw(scan, names, torch.float64)
    one = {name: value[:1] for name, value in constants.items()}
    every = {name: value[:1].expand(T, B, H) for name, value in constants.items()}
    ours, theirs = call(scan, tensors, one), call(scan, tensors, every)
    assert_same(ours, theirs, dict(rtol=0, atol=0))
    assert_same(gradients(ours, tensors), gradients(theirs, tensors), dict(rtol=0, atol=0))


@pytest.mark.parametrize("scan", SCANS)
def test_zoneout_of_one_keeps_a_state_and_of_zero_keeps_none(scan):
    tensors, _ = draw(scan, (), torch.float64)
    names = ["keep_h", "keep_c"] if scan == "lstm" else ["keep_h"]
    kept = call(scan, tensors, {name: torch.ones(1, B, H, dtype=torch.float64) for name in names})
    for states, first in zip(kept, ("h0", "c0"), strict=False):
        assert (states == tensors[first]).all()
    assert_same(
        call(scan, tensors, {name: torch.zeros(1, B, H, dtype=torch.float64) for name in names}),
        call(scan, tensors, {}),
        dict(rtol=0, atol=0),
    )


@pytest.mark.parametrize("scan", ["gru", "gru_before"])
def test_gru_without_bias(scan):
    tensors, constants = draw(scan, tuple(GRU_OPTIONS), torch.float64, bias=False)
    ours, theirs = call(scan, tensors, constants), loop(scan, tensors, constants)
    assert_same(ours, theirs, CLOSE[torch.float64])
    assert_same(gradients(ours, tensors), gradients(theirs, tensors), CLOSE[torch.float64])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_the_plain_scan_is_torchs_layer(kind):
    torch.manual_seed(0)
    layer = getattr(torch.nn, kind)(I, H, dtype=torch.float64)
    x, start = torch.randn(T, B, I, dtype=torch.float64), torch.randn(2, B, H, dtype=torch.float64)
    W, U, b, d = layer.all_weights[0]
    if kind == "LSTM":
        ours, _ = scans.lstm(linear(x, W, b + d), U, start[0], start[1])
        theirs, _ = layer(x, (start[:1], start[1:]))
    elif kind == "GRU":
        ours, (theirs, _) = scans.gru(linear(x, W, b), U, d, start[0]), layer(x, start[:1])
    else:
        ours, (theirs, _) = scans.rnn(linear(x, W, b + d), U, start[0]), layer(x, start[:1])
    parameters = dict(layer.named_parameters())
    assert_same([ours], [theirs], CLOSE[torch.float64])
    assert_same(gradients([ours], parameters), gradients([theirs], parameters), CLOSE[torch.float64])


@pytest.mark.parametrize("output", [0, 1])
def test_a_loss_on_one_state_of_the_lstm_alone(output):
    """The other one then gets no gradient at all, not zeros."""
    tensors, constants = draw("lstm", tuple(LSTM_OPTIONS), torch.float64)
    ours, theirs = (run("lstm", tensors, constants)[output] for run in (call, loop))
    assert_same(gradients([ours], tensors), gradients([theirs], tensors), CLOSE[torch.float64])


@pytest.mark.parametrize("scan", SCANS)
def test_a_second_backward_pass_gives_the_same(scan):
    """Sums over the steps start at zero each time."""
    tensors, constants = draw(scan, tuple(SCANS[scan][2]), torch.float64)
    loss = sum(r.sum() for r in call(scan, tensors, constants))
    first, second = (torch.autograd.grad(loss, list(tensors.values()), retain_graph=True) for _ in range(2))
    assert_same(first, second, dict(rtol=0, atol=0))


def test_a_parameter_that_changes_before_the_backward_pass_is_an_error():
    """As with every function of torch; a wrong gradient would be worse."""
    tensors, constants = draw("lstm", ("norm_h",), torch.float64)
    for name in ("weight_hh", "norm_h.gain"):
        loss = call("lstm", tensors, constants)[0].sum()
        with torch.no_grad():
            tensors[name].add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@pytest.mark.parametrize("scan", SCANS)
def test_a_scan_is_one_node_of_the_graph(scan):
    """However many steps it has; a loop has a dozen nodes for each."""
    kind = {"lstm": ScanLSTM, "gru": ScanGRU}.get(scan.split("_")[0], ScanRNN)
    for count in (2, 30):
        tensors, constants = draw(scan, tuple(SCANS[scan][2]), torch.float64, steps=count)
        node = call(scan, tensors, constants)[0].grad_fn
        assert isinstance(node, kind._backward_cls)
        below = [following.name() for following, _ in node.next_functions if following is not None]
        assert set(below) == {"torch::autograd::AccumulateGrad"} and len(below) == len(tensors)


def sums(affine):
    """What an `Affine` stands for, by torch's own functions."""
    x, W, b, gain, parts = affine
    if gain is None:
        return linear(x, W, b)
    split = zip(linear(x, W).split(parts, -1), gain.split(parts), b.split(parts), strict=True)
    return torch.cat([layer_norm(a, (a.shape[-1],), g, shift) for a, g, shift in split], -1)


@pytest.mark.parametrize("more", ["", "b", "b gain", "b gain parts"])
@pytest.mark.parametrize("scan", SCANS)
def test_sums_given_and_sums_to_be_computed(scan, more, monkeypatch):
    """From x, W and b the scan takes the input's product itself; here in blocks of 2, 2 and 1 steps."""
    monkeypatch.setattr(steps, "ROWS", 2 * B)
    tensors, constants = draw(scan, tuple(SCANS[scan][2]), torch.float64)
    tensors.pop("gates")
    g = torch.Generator().manual_seed(2)
    N = len(tensors["weight_hh"])
    shapes = {"x": (T, B, I), "W": (N, I)} | {name: (N,) for name in ("b", "gain") if name in more}
    for name, shape in shapes.items():
        tensors[name] = torch.randn(shape, generator=g, dtype=torch.float64).requires_grad_()
    parts = (N - 2, 2) if "parts" in more else (N,)
    affine = Affine(tensors["x"], tensors["W"], tensors.get("b"), tensors.get("gain"), parts)
    ours = call(scan, tensors | {"gates": affine}, constants)
    theirs = loop(scan, tensors | {"gates": sums(affine)}, constants)
    assert_same(ours, theirs, CLOSE[torch.float64])
    assert_same(gradients(ours, tensors), gradients(theirs, tensors), CLOSE[torch.float64])
    with torch.no_grad():
        assert_same(call(scan, tensors | {"gates": affine}, constants), theirs, CLOSE[torch.float64])


@pytest.mark.parametrize("frozen", ["x", "W", "b", "gain"])
def test_what_needs_no_gradient_gets_none(frozen):
    tensors, constants = draw("lstm", (), torch.float64)
    shapes = ((T, B, I), (4 * H, I), (4 * H,), (4 * H,))
    x, W, b, gain = (torch.randn(s, dtype=torch.float64) for s in shapes)
    leaves = {"x": x, "W": W, "b": b, "gain": gain}
    for name, leaf in leaves.items():
        leaf.requires_grad_(name != frozen)
    call("lstm", tensors | {"gates": Affine(x, W, b, gain, (4 * H,))}, constants)[0].sum().backward()
    assert [name for name, leaf in leaves.items() if leaf.grad is None] == [frozen]


@every_case
def test_the_packages_own_loop_computes_the_scan(scan, chosen, monkeypatch):
    """Where a second derivative is asked for it takes the scan's place, with the same arguments."""
    tensors, constants = draw(scan, chosen, torch.float64)
    ours, function = call(scan, tensors, constants), FUNCTIONS[scan.split("_")[0]]
    monkeypatch.setattr(function[0], "apply", lambda keeps, *inputs: function[1](*inputs))
    assert_same(flat(call(scan, tensors, constants)), ours, CLOSE[torch.float64])


def flat(results):
    """A tuple of tensors, out of one that may hold such a tuple."""
    return results[0] if isinstance(results[0], tuple) else results


@every_case
def test_second_derivatives(scan, chosen):
    tensors, constants = draw(scan, chosen, torch.float64, steps=2)
    if scan == "rnn_relu":
        tensors["gates"] = (10 * tensors["gates"].detach()).requires_grad_()
    names = list(tensors)

    def function(*values):
        return call(scan, dict(zip(names, values, strict=True)), constants)

    assert torch.autograd.gradgradcheck(function, tuple(tensors.values()))


def test_second_derivative_with_one_tensor_in_two_places():
    """h0 and c0 may be one tensor: its gradient is the sum over both."""
    tensors, _ = draw("lstm", (), torch.float64)
    state, (gates, weight) = tensors["h0"], (tensors["gates"], tensors["weight_hh"])
    outputs = scans.lstm(gates, weight, state, state), loop("lstm", tensors | {"c0": state}, {})
    ours, theirs = (torch.autograd.grad(o[0].sum(), [state], create_graph=True) for o in outputs)
    assert_same(ours, theirs, CLOSE[torch.float64])
    again = [torch.autograd.grad(g[0].square().sum(), [weight])[0] for g in (ours, theirs)]
    torch.testing.assert_close(*again, **CLOSE[torch.float64])


@pytest.mark.parametrize("scan", SCANS)
def test_long_sequence_in_pieces(scan):
    """A piece that starts from the states at the end of the last one goes on where that ended."""
    tensors, _ = draw(scan, (), torch.float64, steps=2 * T)
    whole = call(scan, tensors, {})
    first = call(scan, tensors | {"gates": tensors["gates"][:T]}, {})
    then = {"gates": tensors["gates"][T:]} | dict(zip(("h0", "c0"), (s[-1] for s in first), strict=False))
    second = call(scan, tensors | then, {})
    pieces = [torch.cat(pair) for pair in zip(first, second, strict=True)]
    assert_same(pieces, whole, CLOSE[torch.float64])
    assert_same(gradients(pieces, tensors), gradients(whole, tensors), CLOSE[torch.float64])
