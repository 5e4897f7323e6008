"""The fused kernels of the LSTM's scan against the NumPy references, and against the scan in torch.

Triton's interpreter runs them without a GPU; with one, the compiled kernels are tested as well. That they
compile for several GPUs is tested on any machine.
"""

import importlib
import inspect
import os
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from rnnlit import dropout_lstm, lstm, lstm_peephole
from rnnlit.nn.direction import run_scan
from rnnlit.nn.scan.lstm import Inputs, ScanLSTM
from tests.tolerances import TOLERANCE

B, T, I, H = 3, 5, 7, 11  # no power of two: the last block of a kernel is never full
OPTIONS = ["mask_h", "mask_g", "keep_h", "keep_c", "peephole"]
NORMS = {"gain_x": 4, "gain_h": 4, "shift_h": 4, "gain_c": 1, "shift_c": 1}  # parameters, in H
EVERY = [*OPTIONS, *NORMS]
NORM_X, NORM_H, NORM_C = ("gain_x",), ("gain_h", "shift_h"), ("gain_c", "shift_c")
CHOICES = [
    (),
    *[(name,) for name in OPTIONS],
    tuple(OPTIONS),
    *(NORM_X, NORM_H, NORM_C),
    tuple(NORMS),
    tuple(EVERY),
]
DTYPES = {
    torch.float64: TOLERANCE[np.float64],
    torch.float32: TOLERANCE[np.float32],
    # Half precision, against float64: numbers have 11 or 8 bits, and are rounded in every step.
    torch.float16: dict(rtol=5e-3, atol=5e-3),
    torch.bfloat16: dict(rtol=4e-2, atol=4e-2),
}
SAME = dict(rtol=0, atol=0)


def needs_triton():
    """Skip where triton is absent. With RNNLIT_INTEROP set it must be there, on Linux."""
    needed = os.environ.get("RNNLIT_INTEROP") and sys.platform == "linux"
    if not needed and find_spec("triton") is None:
        pytest.skip("needs triton: pip install -r requirements-interop.txt")


def load():
    """The kernels and the scan, imported anew: for the interpreter if TRITON_INTERPRET is set now."""
    needs_triton()
    names = ("rnnlit.nn.gpu.lstm_triton", "rnnlit.nn.gpu.lstm")
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    try:
        import rnnlit.nn.gpu.lstm
        import rnnlit.nn.gpu.lstm_triton

        return rnnlit.nn.gpu.lstm_triton, rnnlit.nn.gpu.lstm
    finally:
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


@pytest.fixture(scope="module")
def interpreted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        yield load()


@pytest.fixture(params=["interpreter", pytest.param("GPU", marks=pytest.mark.gpu)])
def fused(request, monkeypatch):
    """The scan and where it runs: how the tests call it."""
    if request.param == "interpreter":
        return Scan(*request.getfixturevalue("interpreted"), "cpu")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU, and a build of torch that can use it")
    # TF32 would round the products of float32
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    return Scan(*load(), "cuda")


class Scan:
    """The scan with fused kernels; tensors go to its device and back."""

    def __init__(self, kernels, scan, device):
        self.kernels, self.function, self.device = kernels, scan.FusedLSTM, device

    def __call__(self, *inputs, keeps=True):
        given = inputs[0] if isinstance(inputs[0], Inputs) else scan_inputs(*inputs)
        there = [x.to(self.device) if isinstance(x, torch.Tensor) else x for x in given]
        return [x.cpu() for x in self.function.apply(keeps, *there)]


def scan_inputs(sums, weight_hh, h0, c0, *options):
    """The inputs of a scan with these sums: they are its x, and the input weights are 1."""
    eye = torch.eye(len(weight_hh), dtype=weight_hh.dtype)
    gain_x = options[5] if len(options) > 5 else None
    bias = None if gain_x is None else 0.5 * gain_x  # the shift of that norm
    return Inputs(sums, eye, weight_hh, bias, h0, c0, *options)


def in_torch(*inputs):
    return run_scan(ScanLSTM, inputs[0] if isinstance(inputs[0], Inputs) else scan_inputs(*inputs))


def draw(chosen=(), dtype=torch.float64, seed=0, steps=T, hidden=H):
    """Of a scan: the sums, the weight, h0, c0, the five options, and those of the norms."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype).requires_grad_()

    def mask(n):
        return ((torch.rand(n, B, hidden, generator=g) > 0.4) / 0.6).to(dtype)

    def mix(n):
        return torch.rand(n, B, hidden, generator=g, dtype=torch.float64).to(dtype)

    weight = (normal(4 * hidden, hidden) / hidden**0.5).detach().requires_grad_()
    tensors = [normal(steps, B, 4 * hidden), weight, normal(B, hidden), normal(B, hidden)]
    every = [mask(1), mask(steps), mix(steps), mix(1), normal(3, hidden)]
    every += [normal(n * hidden) for n in NORMS.values()]
    return [*tensors, *(value if name in chosen else None for name, value in zip(EVERY, every, strict=True))]


def leaves(inputs):
    return [x for x in inputs if isinstance(x, torch.Tensor) and x.requires_grad]


def gradients(states, inputs, outer=None):
    """The gradients of a fixed random function of both states."""
    g = torch.Generator().manual_seed(1)
    outer = outer or [torch.randn(s.shape, generator=g, dtype=torch.float64) for s in states]
    loss = sum((s * d.to(s.dtype)).sum() for s, d in zip(states, outer, strict=True))
    return torch.autograd.grad(loss, leaves(inputs))


def assert_same(ours, theirs, tolerance):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other.to(one.dtype), **tolerance)


def doubled(inputs):
    """The same numbers in float64."""
    return [
        x.detach().double().requires_grad_(x.requires_grad) if isinstance(x, torch.Tensor) else x
        for x in inputs
    ]


# Against the references in NumPy.


def check_reference(fused, reference, dtype, options=None, masks=None):
    """Values, and the gradient of a loss on all h and c for every parameter, x, h0 and c0."""
    rng = np.random.default_rng(H)
    params = reference.Params(
        *(
            rng.normal(size=p.shape).astype(dtype)
            for p in getattr(reference, "init", lstm.init)(I, H, rng=rng)
        )
    )
    x, h0, c0 = (rng.normal(size=s).astype(dtype) for s in ((T, B, I), (B, H), (B, H)))
    outer = [rng.normal(size=(T, B, H)).astype(dtype) for _ in range(2)]
    run = reference.forward(params, x, *masks or [], h0, c0)
    wanted = reference.backward(params, run, *outer)

    p = reference.Params(*(torch.tensor(one, requires_grad=True) for one in params))
    x, h0, c0 = (torch.tensor(one, requires_grad=True) for one in (x, h0, c0))
    peephole = torch.stack(p[4:]) if len(p) > 4 else None
    bias = p.bias_ih + p.bias_hh
    h, c = fused(Inputs(x, p.weight_ih, p.weight_hh, bias, h0, c0, *(options or [None] * 4), peephole))
    # A gradient is a sum over T B terms, some far larger than the sum: in float32 one digit more is lost.
    tolerance = TOLERANCE[dtype] if dtype == np.float64 else dict(rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(h.detach(), run.h, **TOLERANCE[dtype])
    np.testing.assert_allclose(c.detach(), run.c, **TOLERANCE[dtype])
    (h * torch.tensor(outer[0]) + c * torch.tensor(outer[1])).sum().backward()
    for mine, theirs in zip((*p, x, h0, c0), (*wanted.params, *wanted[1:]), strict=True):
        np.testing.assert_allclose(mine.grad, theirs, **tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("reference", [lstm, lstm_peephole], ids=["lstm", "lstm_peephole"])
def test_the_kernels_match_the_reference(fused, reference, dtype):
    check_reference(fused, reference, dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_kernels_match_the_reference_with_dropout(fused, dtype):
    """All masks inside a step, for the sequence or for each step."""
    rng = np.random.default_rng(2)
    m_h, m_g = (((rng.random((n, B, H)) > 0.4) / 0.6).astype(dtype) for n in (1, T))
    z_h, z_c = (rng.random((T, B, H)).astype(dtype) for _ in range(2))
    every = np.broadcast_to(m_h, (T, B, H)).copy()
    masks = dropout_lstm.Masks(h=every, g=m_g, zoneout_h=z_h, zoneout_c=z_c)
    options = [torch.tensor(m) for m in (m_h, m_g, z_h, z_c)]
    check_reference(fused, dropout_lstm, dtype, options, [masks])


# Against the scan in torch, which its own tests hold to a loop and to central differences.


@pytest.mark.parametrize("chosen", CHOICES, ids="+".join)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_values_and_gradients_are_those_of_the_scan_in_torch(fused, chosen, dtype):
    inputs = draw(chosen, dtype)
    more = doubled(inputs)
    ours, theirs = fused(*inputs), in_torch(*more)
    assert {x.dtype for x in ours} == {dtype}
    assert_same(ours, theirs, DTYPES[dtype])
    mine, others = gradients(ours, inputs), gradients(theirs, more)
    # Gradients are sums, here of up to 15 terms of size 1: they are compared by the largest of an array.
    for one, other in zip(mine, others, strict=True):
        assert one.dtype == dtype
        assert (one - other).abs().max() <= 2 * DTYPES[dtype]["rtol"] * (1 + other.abs().max())


@pytest.mark.parametrize(
    "hidden, block, chosen", [(11, 4, OPTIONS), (12, 4, OPTIONS), (300, 256, OPTIONS), (300, 256, EVERY)]
)
def test_several_blocks_of_units(fused, hidden, block, chosen, monkeypatch):
    """With a last block that is full, and with one that is not; with norms there is one block of any size."""
    monkeypatch.setattr(fused.kernels, "BLOCK", block)
    inputs = draw(chosen, torch.float64, hidden=hidden)
    ours, theirs = fused(*inputs), in_torch(*inputs)
    assert_same(ours, theirs, DTYPES[torch.float64])
    tolerance = dict(rtol=1e-10, atol=1e-8)  # sums of 300 terms
    assert_same(gradients(ours, inputs), gradients(theirs, inputs), tolerance)


@pytest.mark.parametrize("steps", [1, 2])
def test_few_steps(fused, steps):
    inputs = draw(EVERY, steps=steps)
    ours, theirs = fused(*inputs), in_torch(*inputs)
    assert_same(ours, theirs, DTYPES[torch.float64])
    assert_same(gradients(ours, inputs), gradients(theirs, inputs), DTYPES[torch.float64])


@pytest.mark.parametrize("chosen", CHOICES, ids="+".join)
def test_without_gradient_the_states_are_the_same(fused, chosen):
    """There no gates are saved, and the inputs stay as they were."""
    inputs = draw(chosen)
    before = inputs[0].detach().clone()
    assert_same(fused(*inputs, keeps=False), in_torch(*inputs), DTYPES[torch.float64])
    fused(*inputs)
    assert torch.equal(inputs[0], before)


@pytest.mark.parametrize("shape", [(1, 1, 1), (T, 1, 1), (1, B, H), (T, 1, H), (T, B, H)])
def test_masks_of_every_shape(fused, shape):
    """One number for all, as zoneout takes in evaluation, or any that repeats."""
    inputs = draw(EVERY)
    g = torch.Generator().manual_seed(3)
    for k in range(4, 8):
        inputs[k] = torch.rand(shape, generator=g, dtype=torch.float64)
    ours, theirs = fused(*inputs), in_torch(*inputs)
    assert_same(ours, theirs, DTYPES[torch.float64])
    assert_same(gradients(ours, inputs), gradients(theirs, inputs), DTYPES[torch.float64])
    inputs[4:8] = [x.expand(T, B, H) for x in inputs[4:8]]
    assert_same(fused(*inputs), ours, SAME)


def test_zoneout_of_one_keeps_a_state_exactly_and_of_zero_keeps_none(fused):
    for dtype in DTYPES:
        inputs = draw((), dtype)
        one, zero = torch.ones(1, 1, 1, dtype=dtype), torch.zeros(1, 1, 1, dtype=dtype)
        h, c = fused(*inputs[:6], one, one, inputs[8])
        assert (h == inputs[2]).all() and (c == inputs[3]).all()
        assert_same(fused(*inputs[:6], zero, zero, inputs[8]), fused(*inputs), SAME)


def test_arguments_that_lie_otherwise_in_memory(fused):
    """Gates, states, weights and peepholes that are transposed or have gaps, and a gradient of one number."""
    inputs = draw(EVERY)
    wide = [x.detach().repeat_interleave(2, -1)[..., ::2].requires_grad_() for x in inputs[:4]]
    turned = inputs[1].detach().t().contiguous().t().requires_grad_()
    others = [
        wide[0],
        turned,
        *wide[2:],
        *inputs[4:8],
        inputs[8].detach().t().contiguous().t().requires_grad_(),
        *(x.detach().repeat_interleave(2)[::2].requires_grad_() for x in inputs[9:]),
    ]
    ours, theirs = fused(*others), in_torch(*inputs)
    assert_same(ours, theirs, DTYPES[torch.float64])
    mine = torch.autograd.grad(ours[0].sum(), leaves(others))
    assert_same(mine, torch.autograd.grad(theirs[0].sum(), leaves(inputs)), DTYPES[torch.float64])


@pytest.mark.parametrize("output", [0, 1])
def test_a_loss_on_one_state_alone(fused, output):
    inputs = draw(EVERY)
    ours, theirs = fused(*inputs)[output], in_torch(*inputs)[output]
    outer = [torch.randn(T, B, H, generator=torch.Generator().manual_seed(4), dtype=torch.float64)]
    mine, others = (gradients([s], inputs, outer) for s in (ours, theirs))
    assert_same(mine, others, DTYPES[torch.float64])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("size", [20.0, 90.0, 800.0, 1e4, 1e30, torch.inf])
def test_gates_that_are_all_the_way_open_or_shut(fused, size, dtype):
    """exp must not overflow into NaN, neither in values nor in gradients."""
    x, _, h0, c0, *_ = draw((), dtype)
    bias = (size * torch.sign(x[0, 0].detach())).requires_grad_()  # 0 x + b: infinity has no other product
    x, weight = torch.zeros(T, B, I, dtype=dtype), torch.zeros(4 * H, H, dtype=dtype, requires_grad=True)
    inputs = Inputs(x, torch.zeros(4 * H, I, dtype=dtype, requires_grad=True), weight, bias, h0, c0)
    ours, theirs = fused(inputs), in_torch(inputs)
    assert_same(ours, theirs, DTYPES[dtype])
    assert_same(gradients(ours, inputs), gradients(theirs, inputs), dict(rtol=1e-4, atol=1e-4))
    assert all(one.isfinite().all() for one in (*ours, *gradients(fused(inputs), inputs)))


def test_sigmoid_and_tanh_over_their_whole_range(fused):
    """By h = sigma(a) tanh(c) with c0 alone in play, and c = tanh(a): to within a few roundings of 1."""
    n = 1001
    a = torch.cat([torch.linspace(-30, 30, n - 1), torch.tensor([1e-6])]).float()
    gates = torch.zeros(1, 1, 4 * n)
    gates[0, 0, :n], gates[0, 0, 2 * n : 3 * n], gates[0, 0, 3 * n :] = 1e4, a, a
    zero = torch.zeros(1, n)
    h, c = fused(gates, torch.zeros(4 * n, n), zero, zero, *[None] * 5, keeps=False)
    tanh = torch.tanh(a.double())
    assert (c[0, 0] - tanh).abs().max() < 3e-7
    assert (h[0, 0] - torch.sigmoid(a.double()) * torch.tanh(tanh)).abs().max() < 3e-7


def test_nan_stays_in_its_sequence(fused):
    inputs = draw()
    gates = inputs[0].detach().clone()
    gates[2, 1] = torch.nan
    h, c = fused(gates, *inputs[1:])
    for states in (h, c):
        bad = states.isnan().all(-1)
        assert bad[2:, 1].all() and bad.sum() == T - 2 and states.isnan().sum() == (T - 2) * H


def test_a_long_memory_in_half_precision(fused):
    """What is added to c in a step is less than half a rounding of c: kept in bfloat16 it would be lost."""
    steps = 200
    gates = torch.zeros(steps, 1, 4 * H, dtype=torch.bfloat16)
    gates[..., H : 2 * H] = 50.0  # f = 1
    gates[..., :H], gates[..., 2 * H : 3 * H] = -7.0, 3.0  # i g = 0.0009
    h0, c0 = torch.zeros(1, H, dtype=torch.bfloat16), torch.ones(1, H, dtype=torch.bfloat16)
    weight = torch.zeros(4 * H, H, dtype=torch.bfloat16)
    _, c = fused(gates, weight, h0, c0, *[None] * 5)
    _, exact = in_torch(*doubled([gates, weight, h0, c0]), *[None] * 5)
    assert exact[-1, 0, 0] > 1.15
    assert ((c - exact).abs() <= 0.008).all()  # one rounding


@pytest.mark.parametrize("bias", [True, False])
def test_the_product_with_x(fused, bias):
    """With a bias or without; x, weight and bias get a gradient if it is wanted."""
    _, weight_hh, h0, c0, *options = draw(OPTIONS)
    g = torch.Generator().manual_seed(5)
    x, weight, b = (torch.randn(s, generator=g, dtype=torch.float64) for s in ((T, B, I), (4 * H, I), 4 * H))
    for one in (x, weight, b):
        one.requires_grad_()
    inputs = Inputs(x, weight, weight_hh, b if bias else None, h0, c0, *options)
    ours, theirs = fused(inputs), in_torch(inputs)
    assert_same(ours, theirs, DTYPES[torch.float64])
    assert_same(gradients(ours, inputs), gradients(theirs, inputs), DTYPES[torch.float64])
    assert_same(fused(inputs, keeps=False), ours, DTYPES[torch.float64])
    weight.requires_grad_(False)
    assert_same(gradients(fused(inputs), inputs), gradients(in_torch(inputs), inputs), DTYPES[torch.float64])


def test_a_second_backward_pass_gives_the_same(fused):
    inputs = draw(EVERY)
    loss = sum(s.sum() for s in fused(*inputs))
    first, second = (torch.autograd.grad(loss, leaves(inputs), retain_graph=True) for _ in range(2))
    assert_same(first, second, SAME)


@pytest.mark.parametrize("chosen", CHOICES, ids="+".join)
@pytest.mark.parametrize("output", [0, 1, None])
def test_second_derivative(fused, chosen, output):
    """That of the gradient's square, against the loop that the scan in torch is held to."""
    inputs = draw(chosen, steps=3)
    every = leaves(inputs)
    found = []
    for run in (fused, loop):
        states = run(*inputs) if output is None else [run(*inputs)[output]]
        first = torch.autograd.grad(sum((s**3).sum() for s in states), every, create_graph=True)
        found.append([*first, *torch.autograd.grad(sum((d * d).sum() for d in first), every)])
    assert_same(*found, dict(rtol=1e-8, atol=1e-8))  # squares of squares of numbers up to 10


def norm(a, gain, shift):
    """Mean 0 and variance 1 over the last axis, then gain and shift."""
    if gain is None:
        return a
    a = a - a.mean(-1, keepdim=True)
    return gain * a / ((a * a).mean(-1, keepdim=True) + 1e-5).sqrt() + shift


def loop(sums, weight_hh, h, c, *options):
    """The equations, one step after another."""
    masks = [
        torch.full((1, 1, 1), n).double() if m is None else m
        for m, n in zip(options, (1.0, 1.0, 0.0, 0.0), strict=False)
    ]
    p = torch.zeros(3, 1).double() if options[4] is None else options[4]
    gain_x, gain_h, shift_h, gain_c, shift_c = options[5:]
    hs, cs = [], []
    for t, a in enumerate(norm(sums, gain_x, None if gain_x is None else 0.5 * gain_x)):
        m_h, m_g, k_h, k_c = (m[t if len(m) > 1 else 0] for m in masks)
        i, f, g, o = (a + norm((m_h * h) @ weight_hh.T, gain_h, shift_h)).split(H, 1)
        new_c = torch.sigmoid(f + p[1] * c) * c + torch.sigmoid(i + p[0] * c) * torch.tanh(g) * m_g
        out = torch.tanh(norm(new_c, gain_c, shift_c)) * torch.sigmoid(o + p[2] * new_c)
        h = k_h * h + (1 - k_h) * out
        c = k_c * c + (1 - k_c) * new_c
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), torch.stack(cs)


@pytest.mark.parametrize("name", ["forward_step", "backward_step"])
@pytest.mark.parametrize("dtype", ["fp32", "fp64", "fp16", "bf16"])
@pytest.mark.parametrize("every_option", [True, False])
def test_the_kernels_compile_for_a_gpu_that_is_not_there(name, dtype, every_option, monkeypatch, tmp_path):
    """For sm_80 (A100) and sm_90 (H100), down to what the GPU runs."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    kernel = getattr(load()[0], name)
    triton, compiler = importlib.import_module("triton"), importlib.import_module("triton.compiler")
    target = importlib.import_module("triton.backends.compiler").GPUTarget
    wide = "fp64" if dtype == "fp64" else "fp32"
    optional = {*OPTIONS, *NORMS, "gates", "new_c", "masked_h", "kept_dh", "dh_outer", "dc_outer"}
    optional |= {"product", "dproduct", "slope"}
    optional -= {"gates", "new_c"} if name == "backward_step" else set()
    signature, constants = {}, {}
    for k, argument in enumerate(inspect.signature(kernel.fn).parameters):
        left_out = argument in optional and not every_option
        signature[argument] = f"*{wide if argument in ('cell', 'dc', 'kept_dh') else dtype}"
        if argument == "H":
            signature[argument] = "i32"
        if argument in ("block", "wide") or left_out:
            signature[argument] = "constexpr"
            kind = triton.language.float64 if dtype == "fp64" else triton.language.float32
            constants[k,] = {"block": 256, "wide": kind}.get(argument)
    source = compiler.ASTSource(kernel, signature, constants)
    for capability in (80, 90):
        built = triton.compile(source, target=target("cuda", capability, 32))
        assert len(built.asm["cubin"]) > 1000
