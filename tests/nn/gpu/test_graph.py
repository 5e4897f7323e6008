"""Which calls are captured, and that a replay gives what the call gives. The oracle is the function itself.

Without a GPU a stand-in takes the place of CUDA's capture: it runs the recorded function again, on the same
memory, and writes into the same results.
"""

import gc
import random
import warnings
import weakref

import pytest
import torch

from rnnlit.nn.gpu import graph, replay
from rnnlit.nn.gpu.graph import AFTER, COUNTED, GRAPHS, IDLE, MANY, MOST, Graphs
from rnnlit.nn.scan import gru, lstm, rnn
from rnnlit.nn.scan.lstm import ScanLSTM

B, T, H = 2, 5, 3
SAME = dict(rtol=0, atol=0)


def flat(results):
    """The tensors in nested tuples and lists."""
    if isinstance(results, torch.Tensor):
        return [results]
    return [x for part in results if part is not None for x in flat(part)]


class StandIn:
    """A capture that replays by running the function again; notes what was captured and replayed."""

    def __init__(self, wrong=0.0):
        self.captured = self.replayed = 0
        self.wrong = wrong  # how far replays are from the truth

    def __call__(self, run):
        results = run()
        self.captured += 1
        # What comes back from two runs is an argument that is also a result.
        made = [x is not y for x, y in zip(flat(results), flat(run()), strict=True)]

        def fill(values):
            for x, new, is_made in zip(flat(results), values, made, strict=True):
                if is_made:
                    x.copy_(new)

        def replay():
            self.replayed += 1
            fill([new + self.wrong for new in flat(run())])

        fill([torch.full_like(x, torch.nan) for x in flat(results)])  # as CUDA, which only records
        return results, replay


class Cube(torch.autograd.Function):
    """x^3 w, with a factor that is no tensor; saves an argument, its result and a square of its own."""

    @staticmethod
    def forward(ctx, factor, x, w, shift=None):
        square = x * x
        y = factor * square * x * w
        ctx.save_for_backward(w, shift, y, square)
        ctx.factor = factor
        return y if shift is None else (y, y + shift)

    @staticmethod
    def backward(ctx, dy, dz=None):
        w, shift, y, square = ctx.saved_tensors
        both = dy if dz is None else dy + dz
        dw = (both * y / w).sum(0) if ctx.needs_input_grad[2] else None
        return None, 3 * ctx.factor * both * square * w, dw, None if shift is None else dz


class Product(torch.autograd.Function):
    """A product, whose backward pass can be differentiated."""

    @staticmethod
    def forward(ctx, factor, x, w):
        ctx.save_for_backward(x, w)
        ctx.factor = factor
        return factor * x * w

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        return None, ctx.factor * dy * w, ctx.factor * dy * x


def leaf(*shape, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g, dtype=torch.float64) + 0.5).to(dtype).requires_grad_()


def normals(seed, *shapes):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=g, dtype=torch.float64).requires_grad_() for shape in shapes]


def lstm_inputs(seed=0, norms=True):
    """All arguments of `ScanLSTM`, every option among them."""
    shapes = (T, B, 2), (4 * H, 2), (4 * H, H), (4 * H,), (B, H), (B, H)
    masks = [m.detach().sigmoid() for m in normals(seed + 50, (1, B, H), *[(T, B, H)] * 2, (1, 1, 1))]
    of_norms = normals(seed + 70, *[4 * H] * 3, H, H) if norms else []
    return [True, *lstm.Inputs(*normals(seed, *shapes), *masks, *normals(seed + 90, (3, H)), *of_norms)]


def gru_inputs(seed=0):
    """All arguments of `ScanGRU`, with the reset gate before the product and layer normalisation."""
    shapes = (T, B, 2), (3 * H, 2), (3 * H, H), (3 * H,), (3 * H,), (B, H)
    norms = ("gain_rz", 2 * H), ("shift_rz", 2 * H), ("gain_n", H), ("shift_n", H)
    options = dict(zip((name for name, _ in norms), normals(seed + 70, *(n for _, n in norms)), strict=True))
    return [True, *gru.Inputs(*normals(seed, *shapes), reset_after=False, **options)]


def rnn_inputs(seed=0):
    """All arguments of `ScanRNN`, with layer normalisation."""
    gain, shift = normals(seed + 70, H, H)
    return [
        True,
        *rnn.Inputs(*normals(seed, (T, B, 2), (H, 2), (H, H), (H,), (B, H)), gain=gain, shift=shift),
    ]


CALLS = {
    "cube": (Cube, lambda seed: [2.0, leaf(B, H, seed=seed), leaf(H, seed=seed + 1)]),
    "two": (
        Cube,
        lambda seed: [2.0, leaf(B, H, seed=seed), leaf(H, seed=seed + 1), leaf(B, H, seed=seed + 2)],
    ),
    "product": (Product, lambda seed: [3.0, leaf(B, H, seed=seed), leaf(B, H, seed=seed + 1)]),
    "lstm": (ScanLSTM, lstm_inputs),
    "lstm without norms": (ScanLSTM, lambda seed: lstm_inputs(seed, norms=False)),
    "gru": (gru.ScanGRU, gru_inputs),
    "rnn": (rnn.ScanRNN, rnn_inputs),
}
every_call = pytest.mark.parametrize("call", CALLS)


def gradients(results, inputs, seed=9):
    """The gradients of a fixed random function of all results."""
    g = torch.Generator().manual_seed(seed)
    loss = sum((r * torch.randn(r.shape, generator=g, dtype=torch.float64)).sum() for r in flat(results))
    leaves = [x for x in inputs if isinstance(x, torch.Tensor) and x.requires_grad]
    return torch.autograd.grad(loss, leaves)


def assert_same(ours, theirs):
    for one, other in zip(flat(ours), flat(theirs), strict=True):
        torch.testing.assert_close(one, other, **SAME)


@pytest.fixture(autouse=True)
def switched_on(monkeypatch):
    monkeypatch.setattr(GRAPHS, "on", True)


@pytest.fixture
def graphs():
    return Graphs(StandIn(), "cpu")


def warm(graphs, call, times=AFTER):
    """Call so often that the next one of the signature is replayed."""
    function, draw = CALLS[call]
    for k in range(times):
        results = graphs.apply(function, *(inputs := draw(100 + k)))
        gradients(results, inputs)


# What a replay gives.


@every_call
def test_values_and_gradients_are_those_of_the_call(call, graphs):
    function, draw = CALLS[call]
    for seed in range(AFTER + 3):
        inputs = draw(seed)
        ours, theirs = graphs.apply(function, *inputs), function.apply(*inputs)
        assert type(ours) is type(theirs)
        assert_same(ours, theirs)
        assert_same(gradients(ours, inputs), gradients(theirs, inputs))
    assert graphs.capture.captured == 2  # forward and backward


@every_call
def test_two_forward_passes_before_two_backward_passes(call, graphs):
    """Each backward pass finds what its own forward pass saved, in either order; results stay."""
    warm(graphs, call)
    function, draw = CALLS[call]
    for order in ((0, 1), (1, 0), (0, 1, 0)):
        inputs = [draw(seed) for seed in (1, 2)]
        ours = [graphs.apply(function, *one) for one in inputs]
        theirs = [function.apply(*one) for one in inputs]
        assert_same(ours, theirs)
        for k in order:
            leaves = [x for x in inputs[k] if isinstance(x, torch.Tensor) and x.requires_grad]
            mine, others = (
                torch.autograd.grad(sum(x.sum() for x in flat(out[k])), leaves, retain_graph=True)
                for out in (ours, theirs)
            )
            assert_same(mine, others)
        assert_same(ours, theirs)
    assert graphs.capture.captured == 2


@every_call
def test_forward_and_backward_passes_in_any_order(call, graphs):
    """A backward pass may come long after its forward pass, with others of both passes between."""
    warm(graphs, call)
    function, draw = CALLS[call]
    choose, waiting, seed = random.Random(0), [], 0
    for _ in range(60):
        if waiting and choose.random() < 0.5:
            inputs, ours = waiting.pop(choose.randrange(len(waiting)))
            theirs = function.apply(*inputs)
            assert_same(ours, theirs)
            assert_same(gradients(ours, inputs), gradients(theirs, inputs))
        else:
            seed += 1
            waiting.append((inputs := draw(seed), graphs.apply(function, *inputs)))
    assert 60 - seed > 20  # backward passes
    assert graphs.capture.captured == 2


def test_gradients_stay_as_they_were(graphs):
    warm(graphs, "lstm")
    first, second = lstm_inputs(1), lstm_inputs(2)
    ours = gradients(graphs.apply(ScanLSTM, *first), first)
    gradients(graphs.apply(ScanLSTM, *second), second)
    assert_same(ours, gradients(ScanLSTM.apply(*first), first))


@pytest.mark.parametrize("output", [0, 1])
def test_a_loss_on_one_result_alone(output, graphs):
    """The other result then has no gradient; that is another backward pass, captured apart."""
    warm(graphs, "lstm")
    for seed in (1, 2):
        inputs = lstm_inputs(seed)
        ours, theirs = (run(ScanLSTM, inputs)[output] for run in (by(graphs), direct))
        assert_same(gradients(ours, inputs), gradients(theirs, inputs))
    assert graphs.capture.captured == 3


def by(graphs):
    return lambda function, inputs: graphs.apply(function, *inputs)


def direct(function, inputs):
    return function.apply(*inputs)


def test_arguments_that_lie_otherwise_in_memory(graphs):
    """Transposed, with gaps, or one number repeated: the signature is the same."""
    warm(graphs, "cube")
    x, w = leaf(H, B).detach().t().requires_grad_(), leaf(1).detach().expand(H).requires_grad_()
    ours, theirs = graphs.apply(Cube, 2.0, x, w), Cube.apply(2.0, x, w)
    assert_same(ours, theirs)
    assert_same(gradients(ours, [x, w]), gradients(theirs, [x, w]))
    assert graphs.capture.captured == 2


def test_a_parameter_that_changes_before_the_backward_pass_is_an_error(graphs):
    warm(graphs, "lstm")
    inputs = lstm_inputs()
    loss = graphs.apply(ScanLSTM, *inputs)[0].sum()
    with torch.no_grad():
        next(x for x in inputs if isinstance(x, torch.Tensor) and x.shape == (4 * H, H)).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_second_derivative_is_left_to_the_function(graphs):
    """The derivative of the gradient's square; then replays go on."""
    found = []
    warm(graphs, "product")
    replays = graphs.capture.replayed
    for run in (by(graphs), direct):
        _, x, w = CALLS["product"][1](0)
        first = torch.autograd.grad(run(Product, [3.0, x, w]).sum(), [x, w], create_graph=True)
        found.append(torch.autograd.grad(sum((d * d).sum() for d in first), [x, w]))
    assert_same(*found)
    for one, other in zip(found[0], (18 * x, 18 * w), strict=True):  # the gradient is 3 w and 3 x
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
    assert graphs.capture.replayed == replays + 1


def test_inference_mode_and_none_take_turns(graphs):
    inputs = lstm_inputs(norms=False)
    for mode in (torch.inference_mode, torch.no_grad) * AFTER:
        with mode():
            ours = graphs.apply(ScanLSTM, *inputs)
            assert_same(ours, ScanLSTM.apply(*inputs))
    assert graphs.capture.captured == 1
    assert graphs.capture.replayed


# Which calls are captured.


def test_a_signature_is_recorded_when_it_has_come_often(graphs):
    for _ in range(AFTER):
        assert graphs.capture.captured == 0
        warm(graphs, "cube", 1)
    assert graphs.capture.captured == 2


def test_another_signature_has_a_graph_of_its_own(graphs, monkeypatch):
    monkeypatch.setattr(graph, "IDLE", 0)
    x, w = leaf(B, H), leaf(H)
    calls = [
        (2.0, x, w),
        (3.0, x, w),
        (2.0, x.detach(), w),
        (2.0, leaf(T, H), w),
        (2.0, leaf(B, H, dtype=torch.float32), leaf(H, dtype=torch.float32)),
        (2.0, x, w, x),
    ]
    assert len(calls) > MOST
    for k, call in enumerate(calls):
        for _ in range(AFTER):
            graphs.apply(Cube, *call)
        assert graphs.capture.captured == k + 1
    assert len(graphs.recordings) == MOST
    graphs.apply(Cube, *calls[-1])
    assert graphs.capture.captured == len(calls)


def test_settings_of_products_are_part_of_the_signature(graphs):
    before = torch.are_deterministic_algorithms_enabled()
    warm(graphs, "cube")
    torch.use_deterministic_algorithms(not before)
    try:
        warm(graphs, "cube", 1)
        assert len(graphs.recordings) == 1 and len(graphs.counts) == 1
    finally:
        torch.use_deterministic_algorithms(before)


def test_the_graph_that_was_used_longest_ago_goes_and_gives_its_memory_back(graphs, monkeypatch):
    monkeypatch.setattr(graph, "IDLE", 0)
    function, draw = CALLS["cube"]
    kinds = [[float(k), *draw(0)[1:]] for k in range(MOST + 1)]
    for inputs in kinds[:MOST]:
        for _ in range(AFTER):
            graphs.apply(function, *inputs)
    graphs.apply(function, *kinds[0])  # the first is used again; the second has waited longest
    gone, stays = (weakref.ref(list(graphs.recordings.values())[k]) for k in (0, -1))
    for _ in range(AFTER):
        graphs.apply(function, *kinds[MOST])
    gc.collect()
    assert gone() is None and stays() is not None
    assert [key[2][0] for key in graphs.recordings] == [2.0, 3.0, 0.0, 4.0]


def test_signatures_in_turn_do_not_record_each_other_away(graphs):
    """The first ones stay while they are used; when they no longer are, the others get their places."""
    kinds = [[float(k), *CALLS["cube"][1](0)[1:]] for k in range(2 * MOST)]
    for _ in range(20):
        for inputs in kinds:
            graphs.apply(Cube, *inputs)
    assert graphs.capture.captured == MOST
    assert {key[2][0] for key in graphs.recordings} == {float(k) for k in range(MOST)}
    later = kinds[MOST:]
    for k in range(IDLE - 2 * MOST):
        graphs.apply(Cube, *later[k % MOST])
    assert graphs.capture.captured == MOST
    for _ in range(4):
        for inputs in later:
            graphs.apply(Cube, *inputs)
    assert graphs.capture.captured == 2 * MOST
    assert {key[2][0] for key in graphs.recordings} == {float(k) for k in range(MOST, 2 * MOST)}


def test_a_graph_that_had_to_go_still_serves_the_backward_pass_that_waits_for_it(graphs):
    warm(graphs, "lstm")
    inputs = lstm_inputs()
    ours = graphs.apply(ScanLSTM, *inputs)
    graphs.clear()
    assert_same(gradients(ours, inputs), gradients(ScanLSTM.apply(*inputs), inputs))


def test_lengths_that_always_change_leave_nothing_behind(graphs):
    for n in range(2, COUNTED + 20):
        graphs.apply(Cube, 2.0, leaf(n, H), leaf(H))
    assert graphs.capture.captured == 0
    assert len(graphs.counts) == COUNTED


class Wrapped(torch.Tensor):
    """A subclass, which may mean anything by its operations."""


@pytest.mark.parametrize("reason", ["device", "off", "subclass", "empty"])
def test_calls_that_are_left_as_they_are(reason, graphs, monkeypatch):
    x = leaf(0, H) if reason == "empty" else leaf(B, H)
    x = x.detach().as_subclass(Wrapped) if reason == "subclass" else x
    if reason == "device":
        graphs.device = "cuda"
    if reason == "off":
        monkeypatch.setattr(GRAPHS, "on", False)
    function = Cube if reason != "empty" else Sum
    for _ in range(AFTER + 1):
        graphs.apply(function, 2.0, x, leaf(H))
    assert not graphs.counts and not graphs.capture.captured


class Sum(torch.autograd.Function):
    """A sum, which may be of nothing."""

    @staticmethod
    def forward(ctx, factor, x, w):
        return factor * x.sum() * w

    @staticmethod
    def backward(ctx, dy):
        raise NotImplementedError


def test_the_face_of_the_module_leaves_the_cpu_alone():
    inputs = lstm_inputs()
    for _ in range(AFTER + 1):
        assert_same(graph.apply(ScanLSTM, *inputs), ScanLSTM.apply(*inputs))
    graph.clear()
    assert not graph.ON_CUDA.counts and not graph.ON_CUDA.recordings


# What happens when it fails.


def failing(run):
    raise MemoryError("no room for a graph")


def test_an_exception_is_said_once_and_the_signature_goes_on_without(graphs):
    graphs.capture = failing
    function, draw = CALLS["cube"]
    for k in range(AFTER + 3):
        inputs = draw(k)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            ours = graphs.apply(function, *inputs)
        words = [str(one.message) for one in said]
        assert words == (
            [
                "no CUDA graph for a scan over tensors of the shapes (2, 3), (3,), which is slower without: "
                "MemoryError: no room for a graph"
            ]
            if k == AFTER - 1
            else []
        )
        theirs = function.apply(*inputs)
        assert_same(ours, theirs)
        assert_same(gradients(ours, inputs), gradients(theirs, inputs))
    assert len(graphs.refused) == 1 and not graphs.recordings


def test_a_forward_pass_that_disagrees_goes_on_without():
    graphs, inputs = Graphs(StandIn(wrong=1e-3), "cpu"), lstm_inputs()
    for _ in range(AFTER - 1):
        graphs.apply(ScanLSTM, *inputs)
    with pytest.warns(RuntimeWarning, match="the replay of the forward pass disagrees with the pass itself"):
        ours = graphs.apply(ScanLSTM, *inputs)
    assert_same(ours, ScanLSTM.apply(*inputs))
    assert graphs.refused


@pytest.mark.parametrize("how", ["fails", "disagrees"])
def test_a_backward_pass_that_cannot_be_replayed_goes_on_without(how, graphs):
    for _ in range(AFTER):
        inputs = lstm_inputs()
        ours = graphs.apply(ScanLSTM, *inputs)
    other = lstm_inputs(1)
    others = graphs.apply(ScanLSTM, *other)
    (recording,) = graphs.recordings.values()
    recording.capture = failing if how == "fails" else StandIn(wrong=1e-3)
    with pytest.warns(RuntimeWarning, match="no room" if how == "fails" else "backward pass disagrees"):
        mine = gradients(ours, inputs)
    assert_same(mine, gradients(ScanLSTM.apply(*inputs), inputs))
    assert_same(gradients(others, other), gradients(ScanLSTM.apply(*other), other))
    assert graphs.refused and not graphs.recordings


def test_after_many_failures_no_more_are_tried(graphs):
    graphs.capture = failing
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for n in range(2, MANY + 10):
            for _ in range(AFTER):
                graphs.apply(Cube, 2.0, leaf(n, H), leaf(H))
    assert len(said) == len(graphs.refused) == MANY


def test_rounding_is_no_disagreement_and_nan_agrees_with_nan():
    one = torch.tensor([1.0, torch.nan, -torch.inf, 1e-9])
    replay._compare([one + 1e-6, None], [one, None], "forward")
    for other in (torch.nan_to_num(one), one * 1.01, one.flip(0)):
        with pytest.raises(RuntimeError, match="disagrees"):
            replay._compare([other], [one], "forward")
    with pytest.raises(RuntimeError, match="disagrees"):
        replay._compare([None], [one], "forward")
