"""`rnnlit.nn.GRU` against torch.nn, and against the written-out forward pass."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit import gru_torch
from rnnlit.nn import GRU
from rnnlit.nn import gru as layer_module
from tests.tolerances import TOLERANCE

B, T, I, H = 2, 5, 3, 4
LENGTHS = [3, 5]
EXACT, TOLERANCE_32 = TOLERANCE[np.float64], TOLERANCE[np.float32]
both_forms = pytest.mark.parametrize("reset_after", [True, False])


def layer(**options):
    torch.manual_seed(0)
    return GRU(I, H, dtype=torch.float64, **options)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", [{}, dict(num_layers=2, bidirectional=True, batch_first=True)])
def test_plain_call_is_torchs(options):
    ours = layer(**options)
    theirs = torch.nn.GRU(I, H, dtype=torch.float64, **options)
    theirs.load_state_dict(ours.state_dict())
    for a, b in zip(ours(noise(B, T, I)), theirs(noise(B, T, I)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("bias", [True, False])
def test_lengths_are_torchs_packed_sequences(bias):
    ours = layer(num_layers=2, bidirectional=True, bias=bias)
    x, hx = noise(T, B, I), noise(4, B, H)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    out, h_n = torch.nn.GRU.forward(ours, packed, hx)
    want = pad_packed_sequence(out, total_length=T)[0], h_n
    weight = noise(T, B, 2 * H)
    for arguments in (dict(lengths=LENGTHS), dict(lengths=LENGTHS, return_all_states=True)):
        got = ours(x, hx, **arguments)
        for a, b in zip(got[:2], want, strict=True):
            torch.testing.assert_close(a, b, **EXACT)
    gradients = [torch.autograd.grad((o * weight).sum(), list(ours.parameters())) for o in (got[0], want[0])]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@pytest.mark.parametrize("batch_first", [True, False])
@both_forms
def test_all_states_are_those_of_each_layer_and_direction(reset_after, batch_first):
    ours = layer(num_layers=2, bidirectional=True, batch_first=batch_first, reset_after=reset_after)
    x = noise(B, T, I) if batch_first else noise(T, B, I)
    output, h_n, states = ours(x, lengths=LENGTHS, return_all_states=True)
    torch.testing.assert_close(output, torch.cat([states.h[2], states.h[3]], -1), **EXACT)
    h = states.h.transpose(1, 2) if batch_first else states.h
    for b, length in enumerate(LENGTHS):
        for k in range(4):
            torch.testing.assert_close(h_n[k, b], h[k, 0 if k % 2 else length - 1, b], **EXACT)
        assert not h[:, length:, b].any()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_reset_before_is_the_pure_forward(lengths, bias):
    ours = layer(reset_after=False, bias=bias)
    row = [*ours.all_weights[0], *([] if bias else [torch.zeros(3 * H).double()] * 2)]
    want = gru_torch.forward(row, noise(T, B, I), noise(B, H), lengths, reset_after=False)
    output, h_n = ours(noise(T, B, I), noise(1, B, H), lengths=lengths)
    torch.testing.assert_close(output, want.h, **EXACT)
    torch.testing.assert_close(h_n[0], want.h_n, **EXACT)


@both_forms
def test_padding_has_no_effect_and_gets_no_gradient(reset_after):
    ours = layer(bidirectional=True, reset_after=reset_after)
    x = noise(T, B, I)
    other = x.clone()
    other[3:, 0] = float("nan")
    other.requires_grad_()
    output, h_n = ours(other, lengths=LENGTHS)
    assert torch.equal(output, ours(x, lengths=LENGTHS)[0])
    (output.sum() + h_n.sum()).backward()
    assert not other.grad[3:, 0].any() and other.grad[:3].isfinite().all()


@both_forms
def test_one_sequence_without_a_batch(reset_after):
    ours = layer(num_layers=2, reset_after=reset_after)
    batch, alone = ours(noise(T, 1, I)), ours(noise(T, 1, I)[:, 0])
    torch.testing.assert_close(alone[0], batch[0][:, 0], **EXACT)
    torch.testing.assert_close(alone[1], batch[1][:, 0], **EXACT)


def test_the_repr_names_the_form():
    assert repr(layer(reset_after=False)) == "GRU(3, 4, reset_after=False)"
    assert repr(layer()) == "GRU(3, 4)"


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: GRU(I, 0), ValueError, "hidden_size: expected a positive integer, got 0"),
        (lambda: layer(reset_after=1), TypeError, "reset_after: expected True or False, got 1"),
        (lambda: layer()(torch.zeros(T, B, I)), TypeError, "input: expected torch.float64 like the weights"),
        (lambda: layer()(noise(T, B, H)), ValueError, r"input: .* I = 3, got \(5, 2, 4\)"),
        (lambda: layer()(noise(T, B, I), noise(B, H)), ValueError, r"hx: expected shape \(1, 2, 4\)"),
        (lambda: layer()(noise(T, B, I), lengths=[5, 6]), ValueError, "lengths: .* got 5 to 6"),
        (
            lambda: layer(reset_after=False)(pack_padded_sequence(noise(T, B, I), [5, 3])),
            TypeError,
            "input: expected a padded tensor, and lengths beside it, with reset_after=False",
        ),
        (
            lambda: gru_torch.step([noise(4 * H, I)] * 4, noise(B, I), noise(B, H)),
            ValueError,
            "weight_ih: expected shape",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


# Where the scan is quicker.


def both(T, **options):
    """Ours and torch's in float32, with the same parameters, and an input of T steps."""
    torch.manual_seed(0)
    ours, theirs = (module(I, H, **options) for module in (GRU, torch.nn.GRU))
    theirs.load_state_dict(ours.state_dict())
    shape = (B, T, I) if options.get("batch_first") else (T, B, I)
    return ours, theirs, torch.randn(shape, requires_grad=True)


OPTIONS = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "dropout": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_quick_way_gives_what_torch_gives(options):
    ours, theirs, x = both(40, **options)
    rows = ours.num_layers * (2 if ours.bidirectional else 1)
    h0 = torch.randn(rows, B, H, requires_grad=True)
    assert ours.kernel(x) == "our scan, because it is quicker than torch's kernel here"
    found = []
    for module in (ours, theirs):
        torch.manual_seed(1)  # the dropout's
        output, h_n = module(x, h0)
        loss = (output.square().sum() + h_n.sum()) / 40
        found.append([output, h_n, *torch.autograd.grad(loss, [x, h0, *module.parameters()])])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, **TOLERANCE_32)


def test_the_quick_way_with_lengths_and_all_states_is_the_fused_one(monkeypatch):
    ours, _, x = both(40, num_layers=2, bidirectional=True)
    lengths = [40, 17]
    quick = ours(x, lengths=lengths, return_all_states=True)
    assert ours.kernel(x, lengths=lengths).startswith("our scan, because it is quicker")
    monkeypatch.setattr(layer_module, "LEAST_STEPS", 41)
    fused = ours(x, lengths=lengths, return_all_states=True)
    assert ours.kernel(x, lengths=lengths).startswith("torch's fused kernel")
    for a, b in zip([*quick[:2], *quick[2]], [*fused[:2], *fused[2]], strict=True):
        torch.testing.assert_close(a, b, **TOLERANCE_32)


def test_which_calls_go_the_quick_way():
    ours, _, x = both(40)
    plain = "torch's own call"
    assert ours.kernel(x[:31]) == plain
    assert ours.double().kernel(x.double()) == plain
    ours.float()
    with torch.no_grad():
        assert ours.kernel(x) == plain  # too small
        large = GRU(I, 512)
        assert large.kernel(torch.ones(40, 16, I)).startswith("our scan, because it is quicker")
        assert large.kernel(torch.ones(40, 15, I)) == plain
    with torch.autocast("cpu", torch.bfloat16):
        assert ours.kernel(x) == plain


LAYOUTS = ["time first", "batch first", "lengths", "lengths, batch first", "one sequence"]


@pytest.mark.parametrize("T, way", [(31, "torch's"), (32, "our scan")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_32_steps_are_the_first_that_go_the_quick_way(T, way, layout, monkeypatch):
    """Torch is reached by its own call, or with lengths by its kernel for each layer and direction."""
    ours, _, x = both(T, batch_first="batch first" in layout)
    x, lengths = x[:, 0] if layout == "one sequence" else x, [T, T - 4] if "lengths" in layout else None
    reached = []

    def listen(name):
        call = getattr(ours, name)
        monkeypatch.setattr(ours, name, lambda *arguments: reached.append(name) or call(*arguments))

    listen("_scan"), listen("_fused")
    ours(x, lengths=lengths)
    assert reached == (["_scan"] if way == "our scan" else ["_fused"] if lengths else [])
    assert ours.kernel(x, lengths=lengths).startswith(way)


def test_without_gradients_the_product_decides_to_the_number():
    """B H H = 2**22 in the smallest step on either side, as rnnlit.nn's table says."""
    layer = GRU(I, 512)
    with torch.no_grad():
        ways = [layer.kernel(torch.ones(T, 2**4 - short, I)) for T in (32, 31) for short in (0, 1)]
    assert [way.startswith("our scan") for way in ways] == [True, False, False, False]


def test_second_derivatives_are_torchs():
    """As for a penalty on the gradient."""
    ours, theirs, x = both(32)
    found = []
    for module in (ours, theirs):
        (first,) = torch.autograd.grad(module(x)[0].sum(), x, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), list(module.parameters()), allow_unused=True))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, **TOLERANCE_32)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's forward mode calls it
def test_transforms_of_torch_func_and_forward_mode_still_work():
    ours, theirs, x = both(32)
    x = x.detach()
    weights = {name: parameter.detach() for name, parameter in ours.named_parameters()}

    def loss(module):
        return lambda w: torch.func.functional_call(module, w, x)[0].sum()

    a, b = torch.func.grad(loss(ours))(weights), torch.func.grad(loss(theirs))(weights)
    for name in weights:
        torch.testing.assert_close(a[name], b[name], **TOLERANCE_32)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        outputs = [torch.autograd.forward_ad.unpack_dual(module(dual)[0]) for module in (ours, theirs)]
    tangents = [output.tangent for output in outputs]
    torch.testing.assert_close(*tangents, **TOLERANCE_32)
