"""The scans against central differences, and against a loop over steps that autograd differentiates."""

import hashlib
import sys

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm, linear

from rnnlit.nn.direction import run_scan
from rnnlit.nn.scan import gru, lstm, products, rnn, steps
from rnnlit.nn.scan import loop as loops
from tests.programs import run
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
DTYPES = [torch.float64, torch.float32]
CLOSE = {torch.float64: TOLERANCE[np.float64], torch.float32: TOLERANCE[np.float32]}

# What each option is: a mask for the whole sequence or for each step, a mix, peepholes, or the number of
# units of a normalisation.
LSTM_OPTIONS = {
    "mask_h": "one",
    "mask_g": "each",
    "keep_h": "mix",
    "keep_c": "mix",
    "peephole": "peephole",
    "norm_x": 4 * H,
    "norm_h": 4 * H,
    "norm_c": H,
}
GRU_OPTIONS = {
    "mask_h": "one",
    "mask_n": "each",
    "keep_h": "mix",
    "norm_x": 3 * H,
    "norm_rz": 2 * H,
    "norm_n": H,
}
RNN_OPTIONS = {"mask_h": "one", "keep_h": "mix", "norm": H}
SCANS = {
    "lstm": (lstm.ScanLSTM, lstm.Inputs, LSTM_OPTIONS, 4, {}),
    "gru": (gru.ScanGRU, gru.Inputs, GRU_OPTIONS, 3, {"reset_after": True}),
    "gru_before": (gru.ScanGRU, gru.Inputs, GRU_OPTIONS, 3, {"reset_after": False}),
    "rnn": (rnn.ScanRNN, rnn.Inputs, RNN_OPTIONS, 1, {"relu": False}),
    "rnn_relu": (rnn.ScanRNN, rnn.Inputs, RNN_OPTIONS, 1, {"relu": True}),
}
CASES = [
    (scan, chosen)
    for scan, (_, _, options, _, _) in SCANS.items()
    for chosen in [(), *[(name,) for name in options], tuple(options)]
]
CASES += [("gru", ("norm_rz", "norm_n")), ("gru_before", ("norm_rz", "norm_n"))]
FROZEN = [(scan, name) for scan in SCANS for name in ("x", "weight_ih", "weight_hh", "bias")]
FROZEN += [(scan, "gain_x") for scan in SCANS if "rnn" not in scan]
every_case = pytest.mark.parametrize(
    "scan, chosen", CASES, ids=lambda v: v if isinstance(v, str) else "+".join(v)
)


def draw(scan, chosen, dtype, bias=True, steps=T):
    """The inputs of a scan: its tensors with gradient by name, and its constants by name."""
    g = torch.Generator().manual_seed(0)
    _, _, options, blocks, flags = SCANS[scan]
    N = blocks * H

    def normal(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype).requires_grad_()

    tensors = {"x": normal(steps, B, I), "weight_ih": normal(N, I), "weight_hh": normal(N, H)}
    tensors |= {"bias": normal(N) if bias else None, "h0": normal(B, H)}
    tensors |= {"c0": normal(B, H)} if scan == "lstm" else {}
    tensors |= {"bias_hh": normal(N) if bias else None} if "gru" in scan else {}
    constants = dict(flags)
    for name in chosen:
        kind = options[name]
        if name == "norm_x":
            tensors["gain_x"] = normal(kind)
        elif isinstance(kind, int):
            gain, shift = (name.replace("norm", part) for part in ("gain", "shift"))
            tensors |= {gain: normal(kind), shift: normal(kind)}
        elif kind == "peephole":
            tensors[name] = normal(3, H)
        elif kind == "mix":
            constants[name] = torch.rand(steps, B, H, generator=g, dtype=torch.float64).to(dtype)
        else:
            shape = (1 if kind == "one" else steps, B, H)
            constants[name] = (torch.rand(shape, generator=g) > 0.4).to(dtype) / 0.6
    return {name: x for name, x in tensors.items() if x is not None}, constants


def inputs_of(scan, tensors, constants):
    """The same as the scan takes them."""
    kind = SCANS[scan][1]
    return kind(**{"bias": None} | ({"bias_hh": None} if "gru" in scan else {}) | tensors | constants)


def call(scan, tensors, constants):
    """Run the scan."""
    return run_scan(SCANS[scan][0], inputs_of(scan, tensors, constants))


def loop(scan, tensors, constants):
    """The same mathematics, one step after another, differentiated by autograd."""

    def norm(name, a):
        gain, shift = (tensors.get(part + name) for part in ("gain", "shift"))
        return a if gain is None else layer_norm(a, gain.shape, gain, shift, 1e-5)

    def mask(name, t, otherwise):
        value = constants.get(name)
        return otherwise if value is None else value[t] if len(value) > 1 else value[0]

    W, h, c = (tensors.get(name) for name in ("weight_hh", "h0", "c0"))
    p_i, p_f, p_o = tensors.get("peephole", (0.0, 0.0, 0.0))
    b_rz, b_n = tensors["bias_hh"].split([2 * H, H]) if "bias_hh" in tensors else (0.0, 0.0)
    hs, cs = [], []
    for t, a in enumerate(sums(scan, tensors)):
        masked_h = mask("mask_h", t, 1.0) * h
        if scan == "lstm":
            i, f, g, o = (a + norm("_h", masked_h @ W.T)).chunk(4, 1)
            i, f, g = torch.sigmoid(i + p_i * c), torch.sigmoid(f + p_f * c), torch.tanh(g)
            new_c = f * c + i * mask("mask_g", t, 1.0) * g
            new = torch.sigmoid(o + p_o * new_c) * torch.tanh(norm("_c", new_c))
            c = mask("keep_c", t, 0.0) * c + (1 - mask("keep_c", t, 0.0)) * new_c
            cs.append(c)
        elif "gru" in scan:
            a_rz, a_n = a.split([2 * H, H], 1)
            W_rz, W_n = W.split([2 * H, H])
            r, z = torch.sigmoid(a_rz + norm("_rz", masked_h @ W_rz.T) + b_rz).chunk(2, 1)
            if scan == "gru":
                n = torch.tanh(a_n + r * (norm("_n", masked_h @ W_n.T) + b_n))
            else:
                n = torch.tanh(a_n + norm("_n", (r * masked_h) @ W_n.T) + b_n)
            new = (1 - z) * mask("mask_n", t, 1.0) * n + z * h
        else:
            new = norm("", a + masked_h @ W.T)
            new = torch.relu(new) if scan == "rnn_relu" else torch.tanh(new)
        h = mask("keep_h", t, 0.0) * h + (1 - mask("keep_h", t, 0.0)) * new
        hs.append(h)
    return (torch.stack(hs), torch.stack(cs)) if cs else (torch.stack(hs),)


def sums(scan, tensors):
    """W_ih x + b of all steps, with a gain normalised; for a GRU the blocks r z together, and n apart."""
    x, W, b, gain = (tensors.get(name) for name in ("x", "weight_ih", "bias", "gain_x"))
    if gain is None:
        return linear(x, W, b)
    parts = [2 * H, H] if "gru" in scan else [4 * H]
    split = zip(linear(x, W).split(parts, -1), gain.split(parts), b.split(parts), strict=True)
    return torch.cat([layer_norm(a, (a.shape[-1],), g, shift) for a, g, shift in split], -1)


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
        tensors["x"] = (10 * tensors["x"].detach()).requires_grad_()
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
    """With oneDNN's packed product and with torch.mm, in float32."""
    packed = []
    monkeypatch.setattr(products, "FEWEST_USES", 1)
    monkeypatch.setattr(products, "FEWEST_NUMBERS", 1)
    monkeypatch.setattr(products, "packed_linear", heard(products.packed_linear, packed))
    tensors, constants = draw(scan, tuple(SCANS[scan][2]), torch.float32)
    with products.PACKING.set(packs):
        if packs and products.Product(tensors["weight_hh"], B, T).packed is None:
            pytest.skip("this build of torch has no packed product")
        ours = call(scan, tensors, constants)
        ours_back = gradients(ours, tensors)
    theirs = loop(scan, tensors, constants)
    assert_same(ours, theirs, CLOSE[torch.float32])
    assert_same(ours_back, gradients(theirs, tensors), dict(rtol=1e-4, atol=1e-4))  # as above
    # W_hh forwards and backwards in every step, or both its parts; W_ih once each way, for all is one block
    assert len(packed) == (2 + T * (4 if scan == "gru_before" else 2) if packs else 0)


def heard(function, calls):
    """The same function, which notes that it was called."""

    def noting(*arguments):
        calls.append(function)
        return function(*arguments)

    return noting


@pytest.mark.parametrize("scan", SCANS)
def test_masks_of_one_and_of_every_step(scan):
    """Any mask may be one for the sequence; repeated for every step it gives the same."""
    names = [name for name, kind in SCANS[scan][2].items() if kind in ("one", "each", "mix")]
    tensors, constants = draw(scan, names, torch.float64)
    one = constants | {name: constants[name][:1] for name in names}
    every = constants | {name: constants[name][:1].expand(T, B, H) for name in names}
    ours, theirs = call(scan, tensors, one), call(scan, tensors, every)
    assert_same(ours, theirs, dict(rtol=0, atol=0))
    assert_same(gradients(ours, tensors), gradients(theirs, tensors), dict(rtol=0, atol=0))


@pytest.mark.parametrize("scan", SCANS)
def test_zoneout_of_one_keeps_a_state_and_of_zero_keeps_none(scan):
    tensors, flags = draw(scan, (), torch.float64)
    names = ["keep_h", "keep_c"] if scan == "lstm" else ["keep_h"]
    kept = call(scan, tensors, flags | {name: torch.ones(1, B, H, dtype=torch.float64) for name in names})
    for states, first in zip(kept, ("h0", "c0"), strict=False):
        assert (states == tensors[first]).all()
    assert_same(
        call(scan, tensors, flags | {name: torch.zeros(1, B, H, dtype=torch.float64) for name in names}),
        call(scan, tensors, flags),
        dict(rtol=0, atol=0),
    )


@pytest.mark.parametrize("scan", SCANS)
def test_without_bias(scan):
    chosen = [name for name in SCANS[scan][2] if name != "norm_x"]
    tensors, constants = draw(scan, chosen, torch.float64, bias=False)
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
        ours, _ = run_scan(lstm.ScanLSTM, lstm.Inputs(x, W, U, b + d, start[0], start[1]))
        theirs, _ = layer(x, (start[:1], start[1:]))
    elif kind == "GRU":
        (ours,), (theirs, _) = (
            run_scan(gru.ScanGRU, gru.Inputs(x, W, U, b, d, start[0])),
            layer(x, start[:1]),
        )
    else:
        (ours,), (theirs, _) = (
            run_scan(rnn.ScanRNN, rnn.Inputs(x, W, U, b + d, start[0])),
            layer(x, start[:1]),
        )
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
    for name in ("weight_hh", "gain_h"):
        loss = call("lstm", tensors, constants)[0].sum()
        with torch.no_grad():
            tensors[name].add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@pytest.mark.parametrize("scan", SCANS)
def test_a_scan_is_one_node_of_the_graph(scan):
    """However many steps it has; a loop has a dozen nodes for each."""
    for count in (2, 30):
        tensors, constants = draw(scan, tuple(SCANS[scan][2]), torch.float64, steps=count)
        node = call(scan, tensors, constants)[0].grad_fn
        assert isinstance(node, SCANS[scan][0]._backward_cls)
        below = [following.name() for following, _ in node.next_functions if following is not None]
        assert set(below) == {"torch::autograd::AccumulateGrad"} and len(below) == len(tensors)


@every_case
def test_blocks_of_steps(scan, chosen, monkeypatch):
    """In blocks of 2, 2 and 1 steps."""
    monkeypatch.setattr(steps, "BLOCK", 2 * B)
    tensors, constants = draw(scan, chosen, torch.float64)
    ours, theirs = call(scan, tensors, constants), loop(scan, tensors, constants)
    assert_same(ours, theirs, CLOSE[torch.float64])
    assert_same(gradients(ours, tensors), gradients(theirs, tensors), CLOSE[torch.float64])
    with torch.no_grad():
        assert_same(call(scan, tensors, constants), theirs, CLOSE[torch.float64])


@pytest.mark.parametrize("scan, frozen", FROZEN)
def test_what_needs_no_gradient_gets_none(scan, frozen):
    tensors, constants = draw(scan, [name for name in SCANS[scan][2] if name == "norm_x"], torch.float64)
    tensors[frozen].requires_grad_(False)
    call(scan, tensors, constants)[0].sum().backward()
    assert [name for name, leaf in tensors.items() if leaf.grad is None] == [frozen]


@every_case
def test_the_packages_own_loop_computes_the_scan(scan, chosen):
    """Where a second derivative is asked for it takes the scan's place, with the same inputs."""
    tensors, constants = draw(scan, chosen, torch.float64)
    own = getattr(loops, scan.split("_")[0])
    assert SCANS[scan][0].loop is own
    ours = own(inputs_of(scan, tensors, constants))
    assert_same(ours, call(scan, tensors, constants), CLOSE[torch.float64])


@every_case
def test_second_derivatives(scan, chosen):
    tensors, constants = draw(scan, chosen, torch.float64, steps=2)
    if scan == "rnn_relu":
        tensors["x"] = (10 * tensors["x"].detach()).requires_grad_()
    names = list(tensors)

    def function(*values):
        return call(scan, dict(zip(names, values, strict=True)), constants)

    # along random directions: autograd differentiates the loop, and that is what is asked
    assert torch.autograd.gradgradcheck(function, tuple(tensors.values()), fast_mode=True)


def test_second_derivative_with_one_tensor_in_two_places():
    """h0 and c0 may be one tensor: its gradient is the sum over both."""
    tensors, _ = draw("lstm", (), torch.float64)
    state, weight = tensors["h0"], tensors["weight_hh"]
    outputs = [run("lstm", tensors | {"c0": state}, {}) for run in (call, loop)]
    ours, theirs = (torch.autograd.grad(o[0].sum(), [state], create_graph=True) for o in outputs)
    assert_same(ours, theirs, CLOSE[torch.float64])
    again = [torch.autograd.grad(g[0].square().sum(), [weight])[0] for g in (ours, theirs)]
    torch.testing.assert_close(*again, **CLOSE[torch.float64])


@pytest.mark.parametrize("scan", SCANS)
def test_long_sequence_in_pieces(scan):
    """A piece that starts from the states at the end of the last one goes on where that ended."""
    tensors, flags = draw(scan, (), torch.float64, steps=2 * T)
    whole = call(scan, tensors, flags)
    first = call(scan, tensors | {"x": tensors["x"][:T]}, flags)
    then = {"x": tensors["x"][T:]} | dict(zip(("h0", "c0"), (s[-1] for s in first), strict=False))
    second = call(scan, tensors | then, flags)
    pieces = [torch.cat(pair) for pair in zip(first, second, strict=True)]
    assert_same(pieces, whole, CLOSE[torch.float64])
    assert_same(gradients(pieces, tensors), gradients(whole, tensors), CLOSE[torch.float64])


def digest():
    """Of the bytes of values and gradients, at a size at which the products of large weights are taken."""
    torch.manual_seed(0)
    x, W, U = (torch.randn(s) / s[-1] ** 0.5 for s in ((20, 66, 60), (4 * 130, 60), (4 * 130, 130)))
    h0, c0 = torch.randn(2, 66, 130).unbind()
    leaves = [one.requires_grad_() for one in (x, W, U, h0, c0)]
    states = run_scan(lstm.ScanLSTM, lstm.Inputs(x, W, U, None, h0, c0))
    found = [*states, *torch.autograd.grad(sum(s.square().sum() for s in states), leaves)]
    return hashlib.sha256(b"".join(one.detach().numpy().tobytes() for one in found)).hexdigest()


def test_another_process_computes_the_same_bits():
    """Nothing is chosen by how long it takes."""
    program = (
        "import torch; torch.set_num_threads(1); from tests.nn.scan.test_scans import digest; print(digest())"
    )
    answer = run([sys.executable, "-c", program])
    assert answer.stdout.split() == [digest()], answer.stderr
