"""Which way a scan takes on a GPU, and that every way gives the same. The oracle is the scan on the CPU."""

import sys
import warnings
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

from rnnlit import nn
from rnnlit.nn.gpu import graph, way
from rnnlit.nn.gpu.way import GRAPHS, TRITON
from rnnlit.nn.scan import scans
from rnnlit.nn.scan.scans import GRUOptions, LSTMOptions, Norm, RNNOptions
from tests.nn.gpu.test_lstm_triton import load, needs_triton
from tests.programs import run

B, T, I, H = 3, 5, 7, 11
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU, and a build of torch that can use it"
)


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    """Both ways asked for, nothing tried before, and no graphs kept."""
    monkeypatch.setattr(GRAPHS, "on", True)
    monkeypatch.setattr(TRITON, "on", True)
    monkeypatch.setattr(way, "tried", {})
    yield
    graph.clear()


@pytest.fixture
def interpreted(monkeypatch):
    """The fused kernels for Triton's interpreter, so that they run on the CPU."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    module = load()[1]
    monkeypatch.setattr(way, "_fused", lambda: module)


def tensors(*shapes, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=g, dtype=torch.float64).to(dtype) for shape in shapes]


# On a machine without a GPU.


def test_the_package_needs_no_triton():
    program = "import sys; sys.modules['triton'] = None; import rnnlit.nn, rnnlit.nn.gpu.way"
    answer = run([sys.executable, "-c", program])
    assert answer.returncode == 0, answer.stderr


def test_the_kernels_are_not_imported_before_they_are_needed():
    program = "import sys, rnnlit.nn, rnnlit.nn.gpu.way; print('rnnlit.nn.gpu.lstm_triton' in sys.modules)"
    answer = run([sys.executable, "-c", program])
    assert answer.stdout.split() == ["False"], answer.stderr


def test_on_the_cpu_a_scan_is_called_as_it_is():
    weight, h0, c0 = tensors((4 * H, H), (B, H), (B, H))
    assert not way.fusable(weight, h0, c0, *LSTMOptions())

    class Heard:
        @staticmethod
        def apply(*inputs):
            return inputs

    assert way.run(Heard, True, weight, None) == (True, weight, None)


@pytest.mark.parametrize(
    "change, suits",
    [
        ({}, True),
        ({"mask_h": (1, B, H), "keep_c": (1, 1, 1), "peephole": (3, H)}, True),
        ({"norm_h": Norm(*tensors(4 * H, 4 * H))}, False),
        ({"norm_c": Norm(*tensors(H, H))}, False),
        ({"h0": (0, H), "c0": (0, H)}, False),
        ({"dtype": torch.float32}, True),
        ({"dtype": torch.complex64}, False),
        ({"mask_g": torch.ones(T, B, H, dtype=torch.float32)}, False),
        ({"c0": torch.ones(B, H, device="meta", dtype=torch.float64)}, False),
    ],
    ids=lambda v: "+".join(v) if isinstance(v, dict) else None,
)
def test_what_the_kernels_have(change, suits):
    dtype = change.get("dtype", torch.float64)
    given = {"weight_hh": (4 * H, H), "h0": (B, H), "c0": (B, H)} | change
    given.pop("dtype", None)
    values = {
        name: torch.ones(value, dtype=dtype) if type(value) is tuple else value
        for name, value in given.items()
    }
    first = [values.pop(name) for name in ("weight_hh", "h0", "c0")]
    assert way.suits(*first, *LSTMOptions(**values)) is suits


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_kernels_are_found_to_work(dtype, interpreted):
    for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad):
        way.tried.clear()
        with mode():
            assert way.works(torch.device("cpu"), dtype)


@pytest.mark.parametrize("factor, said", [(1.01, r"[0-9.]+e-02"), (torch.nan, "nan")])
def test_kernels_that_compute_something_else_are_not_used(factor, said, interpreted, monkeypatch):
    fused = way._fused()

    class Wrong:
        @staticmethod
        def apply(*inputs):
            h, c = fused.FusedLSTM.apply(*inputs)
            return h, c * factor

    monkeypatch.setattr(way, "_fused", lambda: SimpleNamespace(FusedLSTM=Wrong, loop=fused.loop))
    with pytest.warns(RuntimeWarning, match=f"on cpu in torch.float32.* is off by {said}"):
        assert not way.works(torch.device("cpu"), torch.float32)


def test_kernels_that_cannot_be_built_are_said_once_and_not_used(monkeypatch):
    def fails():
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(way, "_fused", fails)
    monkeypatch.setattr(way, "find_spec", lambda name: name)
    with pytest.warns(RuntimeWarning, match="slower without: RuntimeError: Failed to find C compiler"):
        assert not way.works(torch.device("cpu"), torch.float32)
    assert not way.works(torch.device("cpu"), torch.float32)  # without a word


def test_without_triton_nothing_is_said(monkeypatch):
    monkeypatch.setattr(way, "find_spec", lambda _: None)
    assert not way.works(torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("gradient", [True, False])
def test_the_fused_scan_is_the_scan(gradient, interpreted):
    inputs = tensors((T, B, 4 * H), (4 * H, H), (B, H), (B, H))
    peephole = tensors((3, H))[0]
    for x in (*inputs, peephole):
        x.requires_grad_(gradient)
    ours = way.lstm(inputs[0], *[None] * 3, *inputs[1:], *[None] * 5, peephole)
    theirs = scans.lstm(*inputs, LSTMOptions(peephole=peephole))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        assert one.requires_grad is gradient


# With a GPU.

SCANS = {
    "lstm": (scans.lstm, [(T, B, 4 * H), (4 * H, H), (B, H), (B, H)], LSTMOptions),
    "gru": (scans.gru, [(T, B, 3 * H), (3 * H, H), 3 * H, (B, H)], GRUOptions),
    "rnn": (scans.rnn, [(T, B, H), (H, H), (B, H)], RNNOptions),
}
NORMS = {
    "lstm": {"norm_h": 4 * H, "norm_c": H},
    "gru": {"norm_rz": 2 * H, "norm_n": H},
    "rnn": {"norm": H},
}


def passes(scan, device, normed, dtype=torch.float64):
    """Values and gradients of a scan with zoneout and, if asked for, layer normalisation."""
    run, shapes, options = SCANS[scan]
    inputs = tensors(*shapes, dtype=dtype)
    norms = NORMS[scan] if normed else {}
    parts = {name: tensors(n, n, dtype=dtype) for name, n in norms.items()}
    keep = torch.rand(T, B, H, generator=torch.Generator().manual_seed(2)).to(dtype)
    leaves = [*inputs, *(x for pair in parts.values() for x in pair)]
    there = [x.to(device).requires_grad_() for x in leaves]
    of_norms = iter(there[len(inputs) :])
    pairs = {name: Norm(next(of_norms), next(of_norms)) for name in norms}
    chosen = options(keep_h=keep.to(device), **pairs)
    states = run(*there[: len(inputs)], chosen)
    states = [states] if isinstance(states, torch.Tensor) else list(states)
    loss = sum((s * s).sum() for s in states)
    return [x.detach().cpu() for x in (*states, *torch.autograd.grad(loss, there))]


@needs_gpu
@pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no graphs"])
@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "no kernels"])
@pytest.mark.parametrize("normed", [True, False], ids=["norms", "no norms"])
@pytest.mark.parametrize("scan", SCANS)
def test_every_way_on_a_gpu_is_the_scan_on_the_cpu(scan, normed, kernels, graphs, monkeypatch):
    monkeypatch.setattr(GRAPHS, "on", graphs)
    monkeypatch.setattr(TRITON, "on", kernels)
    wanted = passes(scan, "cpu", normed)
    for _ in range(graph.AFTER + 2):
        for one, other in zip(passes(scan, "cuda", normed), wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert len(graph.ON_CUDA.pairs) == graphs


@needs_gpu
def test_a_gpu_has_the_kernels():
    needs_triton()
    for dtype in DTYPES:
        assert way.works(torch.device("cuda", 0), dtype)


@needs_gpu
def test_two_layers_share_a_graph_and_train_as_on_the_cpu():
    """Both directions of both layers are calls of one kind, all forwards before all backwards."""
    torch.manual_seed(0)
    ours = nn.LSTM(I, H, 2, bidirectional=True, peephole=True, dtype=torch.float64)
    there = nn.LSTM(I, H, 2, bidirectional=True, peephole=True, dtype=torch.float64)
    there.load_state_dict(ours.state_dict())
    there.cuda()
    x = tensors((T, B, I))[0]
    for layer in (ours, there):
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            layer(x.to(layer.weight_ih_l0.device))[0].square().sum().backward()
            optimizer.step()
    for one, other in zip(there.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-8, atol=1e-8)
    assert len(graph.ON_CUDA.pairs) == 1


@needs_gpu
def test_inside_of_a_capture_of_the_users_nothing_is_captured():
    layer = nn.LSTM(I, H, peephole=True).cuda()
    x = torch.randn(T, B, I, device="cuda")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        wanted = layer(x)[0]
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            layer(x)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = layer(x)[0]
        graph.replay()
    torch.testing.assert_close(output, wanted)


def test_these_tests_know_whether_triton_is_there():
    """Where it is, none of them may skip for the lack of it."""
    if find_spec("triton") is None:
        pytest.skip("needs triton: pip install -r requirements-interop.txt")
    assert load()


def test_nobody_gets_a_way_that_was_not_asked_for():
    program = "from rnnlit.nn.gpu.way import GRAPHS, TRITON; print(GRAPHS.on, TRITON.on)"
    answer = run([sys.executable, "-c", program])
    assert answer.stdout.split() == ["False", "False"], answer.stderr
