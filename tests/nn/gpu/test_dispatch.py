"""Which code runs a scan on a GPU, and that all give the same. The oracle is the scan on the CPU."""

import copy
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch

from rnnlit import nn
from rnnlit.nn.direction import run_scan
from rnnlit.nn.gpu import dispatch, graph
from rnnlit.nn.gpu.dispatch import TRITON
from rnnlit.nn.gpu.graph import GRAPHS
from rnnlit.nn.scan import gru, lstm, rnn
from tests.nn.gpu.test_lstm_triton import load, needs_triton
from tests.programs import run

B, T, I, H = 3, 5, 7, 11
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
no_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU, and a build of torch that can use it"
)


def needs_gpu(test):
    """A test that `make gpu` runs."""
    return pytest.mark.gpu(no_gpu(test))


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    """Kernels and graphs asked for, nothing tried before, and no graphs recorded."""
    monkeypatch.setattr(GRAPHS, "on", True)
    monkeypatch.setattr(TRITON, "on", True)
    monkeypatch.setattr(dispatch, "tried", {})
    graph.clear()
    yield
    graph.clear()


@pytest.fixture
def interpreted(monkeypatch):
    """The fused kernels for Triton's interpreter, so that they run on the CPU."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    module = load()[1]
    monkeypatch.setattr(dispatch, "_fused", lambda: module)


def tensors(*shapes, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=g, dtype=torch.float64).to(dtype) for shape in shapes]


# On a machine without a GPU.


def test_the_package_needs_no_triton():
    program = "import sys; sys.modules['triton'] = None; import rnnlit.nn, rnnlit.nn.gpu.dispatch"
    answer = run([sys.executable, "-c", program])
    assert answer.returncode == 0, answer.stderr


def test_the_kernels_are_not_imported_before_they_are_needed():
    program = (
        "import sys, rnnlit.nn, rnnlit.nn.gpu.dispatch; print('rnnlit.nn.gpu.lstm_triton' in sys.modules)"
    )
    answer = run([sys.executable, "-c", program])
    assert answer.stdout.split() == ["False"], answer.stderr


def test_a_call_on_the_cpu_enters_nothing_of_the_gpus():
    program = (
        "import sys, torch\n"
        "from rnnlit.nn import LSTM\n"
        "LSTM(2, 3, recurrent_dropout=0.5)(torch.ones(4, 5, 2))[0].sum().backward()\n"
        "print([name for name in sys.modules if name.startswith('rnnlit.nn.gpu')])"
    )
    answer = run([sys.executable, "-c", program])
    assert answer.stdout == "[]\n", answer.stderr


def scan_inputs(dtype=torch.float64, **options):
    """The inputs of an LSTM's scan."""
    shapes = (T, B, I), (4 * H, I), (4 * H, H), (4 * H,), (B, H), (B, H)
    return lstm.Inputs(*tensors(*shapes, dtype=dtype))._replace(**options)


@pytest.mark.parametrize(
    "change, suits",
    [
        ({}, True),
        ({"mask_h": (1, B, H), "keep_c": (1, 1, 1), "peephole": (3, H), "bias": None}, True),
        ({"gain_x": (4 * H,)}, True),
        ({"gain_h": (4 * H,), "shift_h": (4 * H,)}, True),
        ({"gain_c": (H,), "shift_c": (H,)}, True),
        ({"weight_hh": (4 * 2048, 2048), "gain_c": (2048,), "shift_c": (2048,)}, True),
        ({"weight_hh": (4 * 2049, 2049), "gain_h": (4 * 2049,), "shift_h": (4 * 2049,)}, False),
        ({"weight_hh": (4 * 2049, 2049), "gain_x": (4 * 2049,)}, True),
        ({"h0": (0, H), "c0": (0, H), "x": (T, 0, I)}, False),
        ({"dtype": torch.float32}, True),
        ({"dtype": torch.complex64}, False),
        ({"mask_g": torch.ones(T, B, H, dtype=torch.float32)}, False),
        ({"c0": torch.ones(B, H, device="meta", dtype=torch.float64)}, False),
    ],
    ids=lambda v: "+".join(v) if isinstance(v, dict) else None,
)
def test_what_the_kernels_have(change, suits):
    dtype = change.get("dtype", torch.float64)
    options = {
        name: torch.ones((), dtype=dtype).expand(value) if type(value) is tuple else value
        for name, value in change.items()
        if name != "dtype"
    }
    assert dispatch.suits(scan_inputs(dtype, **options)) is suits


def test_the_kernels_are_for_an_lstm_unless_they_are_off(monkeypatch):
    monkeypatch.setattr(dispatch, "works", lambda *_: True)
    inputs = scan_inputs()
    assert dispatch.fusable(inputs)
    assert not dispatch.fusable(rnn.Inputs(*inputs[:5]))
    with TRITON.set(False):
        assert not dispatch.fusable(inputs)


@pytest.mark.parametrize("normed", [False, True], ids=["plain", "normed"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_kernels_are_found_to_work(dtype, normed, interpreted):
    for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad):
        dispatch.tried.clear()
        with mode():
            assert dispatch.works(torch.device("cpu"), dtype, normed)


@pytest.mark.parametrize("factor, said", [(1.01, r"[0-9.]+e-02"), (torch.nan, "nan")])
def test_kernels_that_compute_something_else_are_not_used(factor, said, interpreted, monkeypatch):
    fused = dispatch._fused()

    class Wrong:
        @staticmethod
        def apply(*inputs):
            h, c = fused.FusedLSTM.apply(*inputs)
            return h, c * factor

    monkeypatch.setattr(dispatch, "_fused", lambda: SimpleNamespace(FusedLSTM=Wrong))
    with pytest.warns(RuntimeWarning, match=f"on cpu in torch.float32.* is off by {said}"):
        assert not dispatch.works(torch.device("cpu"), torch.float32)


def test_kernels_that_cannot_be_built_are_said_once_and_not_used(monkeypatch):
    def fails():
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(dispatch, "_fused", fails)
    monkeypatch.setattr(dispatch, "find_spec", lambda name: name)
    said = r"slower without \(RNNLIT_TRITON=0 asks for none\): RuntimeError: Failed to find C compiler"
    with pytest.warns(RuntimeWarning, match=said):
        assert not dispatch.works(torch.device("cpu"), torch.float32)
    assert not dispatch.works(torch.device("cpu"), torch.float32)  # without a word
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match=said):
            dispatch.works(torch.device("cpu"), torch.float64)
        assert not dispatch.works(torch.device("cpu"), torch.float64)


def test_without_triton_nothing_is_said(monkeypatch):
    monkeypatch.setattr(dispatch, "find_spec", lambda _: None)
    assert not dispatch.works(torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("gradient", [True, False])
def test_the_fused_scan_is_the_scan(gradient, interpreted):
    """As `run` would call it on a GPU, where it finds the kernels in order."""
    inputs = scan_inputs(peephole=tensors((3, H))[0])
    for x in inputs:
        if x is not None:
            x.requires_grad_(gradient)
    ours = dispatch.run(lstm.ScanLSTM, gradient, inputs)
    assert (ours[0].grad_fn is not None) is gradient
    assert not gradient or "FusedLSTM" in ours[0].grad_fn.name()
    for one, other in zip(ours, run_scan(lstm.ScanLSTM, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        assert one.requires_grad is gradient


# With a GPU.


class Case(NamedTuple):
    """A scan, its inputs, the shapes of its tensors, and the sizes of its gains and shifts."""

    scan: type
    inputs: type
    shapes: list
    norms: dict


SCANS = {
    "lstm": Case(
        lstm.ScanLSTM,
        lstm.Inputs,
        [(T, B, I), (4 * H, I), (4 * H, H), (4 * H,), (B, H), (B, H)],
        {"gain_x": 4 * H, "gain_h": 4 * H, "shift_h": 4 * H, "gain_c": H, "shift_c": H},
    ),
    "gru": Case(
        gru.ScanGRU,
        gru.Inputs,
        [(T, B, I), (3 * H, I), (3 * H, H), (3 * H,), (3 * H,), (B, H)],
        {"gain_x": 3 * H, "gain_rz": 2 * H, "shift_rz": 2 * H, "gain_n": H, "shift_n": H},
    ),
    "rnn": Case(rnn.ScanRNN, rnn.Inputs, [(T, B, I), (H, I), (H, H), (H,), (B, H)], {"gain": H, "shift": H}),
}


def passes(scan, device, normed, dtype=torch.float64):
    """Values and gradients of a scan with zoneout and, if asked for, layer normalisation."""
    case = SCANS[scan]
    norms = case.norms if normed else {}
    drawn = tensors(*case.shapes, *norms.values(), dtype=dtype)
    keep = torch.rand(T, B, H, generator=torch.Generator().manual_seed(2)).to(dtype)
    leaves = [x.to(device).requires_grad_() for x in drawn]
    options = dict(zip(norms, leaves[len(case.shapes) :], strict=True))
    inputs = case.inputs(*leaves[: len(case.shapes)], keep_h=keep.to(device), **options)
    states = run_scan(case.scan, inputs)
    loss = sum((s * s).sum() for s in states)
    return [x.detach().cpu() for x in (*states, *torch.autograd.grad(loss, leaves))]


@needs_gpu
@pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no graphs"])
@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "no kernels"])
@pytest.mark.parametrize("normed", [True, False], ids=["norms", "no norms"])
@pytest.mark.parametrize("scan", SCANS)
def test_a_scan_on_a_gpu_is_the_scan_on_the_cpu(scan, normed, kernels, graphs, monkeypatch):
    monkeypatch.setattr(GRAPHS, "on", graphs)
    monkeypatch.setattr(TRITON, "on", kernels)
    wanted = passes(scan, "cpu", normed)
    for _ in range(graph.AFTER + 2):
        for one, other in zip(passes(scan, "cuda", normed), wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert len(graph.ON_CUDA.recordings) == graphs


@needs_gpu
def test_a_gpu_has_the_kernels():
    needs_triton()
    for dtype in DTYPES:
        for normed in (False, True):
            assert dispatch.works(torch.device("cuda", 0), dtype, normed)


@needs_gpu
def test_the_directions_of_a_layer_share_a_graph_and_train_as_on_the_cpu():
    """All forwards come before all backwards. The second layer has other inputs, and so its own graph."""
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
    assert [key[2][1][0] for key in graph.ON_CUDA.recordings] == [(T, B, I), (T, B, 2 * H)]  # of their x


@needs_gpu
@pytest.mark.parametrize("options", [{"zoneout": 0.1, "recurrent_dropout": 0.3}, {"layer_norm": True}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_replay_is_the_call_bit_for_bit(options, dtype):
    """Or a run that resumes, and calls before it replays, would not go on as it was."""
    layer = nn.LSTM(I, H, **options).to("cuda", dtype)
    x = torch.randn(T, B, I, device="cuda", dtype=dtype)
    found = []
    for _ in range(graph.AFTER + 2):
        generator = torch.Generator("cuda").manual_seed(1)
        output, (_, c) = layer(x, generator=generator)
        gradients = torch.autograd.grad(output.square().sum() + c.sum(), list(layer.parameters()))
        found.append([output, c, *gradients])
    assert len(graph.ON_CUDA.recordings) == 1
    for later in found[1:]:
        for one, other in zip(found[0], later, strict=True):
            assert torch.equal(one, other)


@needs_gpu
def test_threads_share_a_gpu():
    """Each thread trains its own layer on a stream of its own; all find the CPU's parameters."""

    def train(layer, device):
        x = tensors((T, B, I))[0].to(device)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(3 * graph.AFTER):
            optimizer.zero_grad()
            layer(x)[0].square().sum().backward()
            optimizer.step()

    def in_a_thread(layer):
        with torch.cuda.stream(torch.cuda.Stream()):
            train(layer, "cuda")
            torch.cuda.current_stream().synchronize()

    wanted = [nn.LSTM(I, H, layer_norm=n, peephole=not n, dtype=torch.float64) for n in (True, False)]
    layers = [copy.deepcopy(one).cuda() for one in wanted * 2]
    torch.cuda.synchronize()
    with ThreadPoolExecutor(len(layers)) as pool:
        list(pool.map(in_a_thread, layers))
    for one in wanted:
        train(one, "cpu")
    for ours, theirs in zip(layers, wanted * 2, strict=True):
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine.cpu(), other, rtol=1e-8, atol=1e-8)


@needs_gpu
def test_autocast_around_a_layer_changes_nothing():
    layer = nn.LSTM(I, H, zoneout=0.1).cuda().eval()
    x = torch.randn(T, B, I, device="cuda")
    wanted = layer(x)[0]
    for _ in range(graph.AFTER + 1):
        with torch.autocast("cuda", torch.bfloat16):
            output = layer(x)[0]
        assert output.dtype == torch.float32
        torch.testing.assert_close(output, wanted)


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


@pytest.mark.parametrize("triton, graphs", [(None, None), ("0", None), (None, "0"), ("1", "1")])
def test_both_are_on_unless_the_environment_says_0(triton, graphs, monkeypatch):
    for name, value in (("RNNLIT_TRITON", triton), ("RNNLIT_GRAPHS", graphs)):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    program = "from rnnlit.nn.gpu.dispatch import TRITON, graph; print(TRITON.on, graph.GRAPHS.on)"
    answer = run([sys.executable, "-c", program])
    assert answer.stdout.split() == [str(triton != "0"), str(graphs != "0")], answer.stderr
