"""What torch's tools do with our layers and cells, and with torch's own: the runs behind `test_matrix`.

B batch, T steps, I inputs, H hidden. A tool takes a net and its inputs, works on them, and compares what comes
out with an oracle: torch's own layer with the same weights, or the same net in eager mode, sequence by sequence.
"""

import copy
import io
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlit import nn

I, H, B, T = 3, 4, 2, 5
CLOSE = dict(rtol=1e-5, atol=1e-5)


class Net(torch.nn.Module):
    """A layer or a cell, with all that it returns as a flat tuple of tensors."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x, *rest):
        return tuple(flat(self.layer(x, *rest)))


class Padded(Net):
    """A layer over a padded batch, in any order of lengths."""

    def forward(self, x, lengths):
        if isinstance(self.layer, nn.LSTM | nn.GRU | nn.RNN):
            return tuple(flat(self.layer(x, lengths=lengths)))
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, state = self.layer(packed)
        return tuple(flat((pad_packed_sequence(output, total_length=x.shape[0])[0], state)))


def flat(result):
    """The tensors in nested tuples."""
    return [result] if isinstance(result, torch.Tensor) else [t for part in result for t in flat(part)]


class Case(NamedTuple):
    column: str
    kind: str
    options: dict[str, Any]
    steps: int = T
    lengths: bool = False
    train: bool = True
    size: Any = H

    @property
    def cell(self):
        return self.kind.endswith("Cell")

    @property
    def name(self):
        parts = [f"{k}={v}" for k, v in self.options.items()] + [f"T={self.steps}"] * (self.steps != T)
        parts += ["lengths"] * self.lengths + ["eval"] * (not self.train)
        return "-".join([self.kind, *parts])

    def net(self, module=nn, **kind):
        torch.manual_seed(0)
        names = ("num_layers", "bidirectional", "bias", "proj_size", "batch_first", "dropout")
        options = self.options if module is nn else {k: v for k, v in self.options.items() if k in names}
        layer = getattr(module, self.kind)(I, self.size if module is nn else H, **options, **kind)
        if module is nn:
            for name, p in layer.named_parameters():  # norms that do something
                if "norm" in name:
                    torch.nn.init.normal_(p)
        return (Padded if self.lengths else Net)(layer).train(self.train)

    def inputs(self, seed=1, steps=None, batch=B, **kind):
        torch.manual_seed(seed)
        steps = steps or self.steps
        if self.cell:
            state = torch.randn(batch, H, **kind)
            x = torch.randn(batch, I, **kind)
            return (x, (state, torch.randn(batch, H, **kind)) if "LSTM" in self.kind else state)
        x = torch.randn(steps, batch, I, **kind)
        return (x, torch.tensor([steps - 2 - seed % 2, *[steps] * (batch - 1)])) if self.lengths else (x,)


def with_x(inputs, x):
    return (x, *inputs[1:])


def run(net, inputs, seed=3):
    torch.manual_seed(seed)
    return net(*inputs)


def loss_of(results):
    """A fixed function of all results whose derivative is none of them's."""
    return sum((torch.sin(t + 0.3 * k) * torch.cos(torch.arange(t.numel(), dtype=t.dtype) * 0.7).view(t.shape)).sum() for k, t in enumerate(results))


def same(found, expected, **tolerance):
    found, expected = list(found), list(expected)
    if len(found) != len(expected):
        raise AssertionError(f"{len(found)} results instead of {len(expected)}")
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **(tolerance or CLOSE))


def gradients(net, inputs, seed=3):
    """Of x and of all parameters, in eager mode."""
    x = inputs[0].detach().requires_grad_()
    loss = loss_of(run(net, with_x(inputs, x), seed))
    return torch.autograd.grad(loss, [x, *net.parameters()])


def same_net(made, net, case, training=True):
    """The made net's results and gradients on other inputs are the net's."""
    inputs = case.inputs(seed=2)
    same(run(made, inputs), run(net, inputs))
    if training:
        x, y = (inputs[0].clone().requires_grad_() for _ in range(2))
        a, = torch.autograd.grad(loss_of(run(made, with_x(inputs, x))), [x])
        b, = torch.autograd.grad(loss_of(run(net, with_x(inputs, y))), [y])
        same([a], [b])


# --- the tools --------------------------------------------------------------------------------------------
TOOLS: dict[str, Callable[[Any, Case], None]] = {}


def tool(name):
    def note(function):
        TOOLS[name] = function
        return function
    return note


@tool("copy.deepcopy")
def _(net, case):
    run(net, case.inputs())
    same_net(copy.deepcopy(net), net, case)


@tool("pickle")
def _(net, case):
    same_net(pickle.loads(pickle.dumps(net)), net, case)


@tool("torch.save, torch.load")
def _(net, case):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    same_net(torch.load(file, weights_only=False), net, case)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(net)
    for p in other.parameters():
        torch.nn.init.zeros_(p)
    other.load_state_dict(torch.load(file))
    same_net(other, net, case)


@tool("torch.jit.trace")
def _(net, case):
    torch.manual_seed(3)
    traced = torch.jit.trace(net, case.inputs(), check_trace=False)
    same_net(traced, net, case)
    more = case.inputs(seed=4, batch=B + 1)
    same(run(traced, more), run(net, more))


@tool("torch.jit.trace, other T")
def _(net, case):
    torch.manual_seed(3)
    traced = torch.jit.trace(net, case.inputs(), check_trace=False)
    more = case.inputs(seed=4, steps=case.steps + 2)
    same(run(traced, more), run(net, more))


@tool("torch.jit.script")
def _(net, case):
    layer = torch.jit.script(net.layer)
    same(flat(layer(*case.inputs())), run(net, case.inputs()))


@tool("torch.jit.script of a net with it")
def _(net, case):
    layer = torch.jit.script(torch.nn.Sequential(net.layer))
    same(flat(layer(case.inputs()[0])), flat(net.layer(case.inputs()[0])))


def compiled(fullgraph):
    def _(net, case):
        torch._dynamo.reset()
        made = torch.compile(net, backend="aot_eager", fullgraph=fullgraph)
        same_net(made, net, case)
        more = case.inputs(seed=4, batch=B + 1)
        same(run(made, more), run(net, more))
    return _


tool("torch.compile")(compiled(False))
tool("torch.compile, fullgraph")(compiled(True))


def exported(strict, dynamic):
    def _(net, case):
        torch._dynamo.reset()
        shapes = None
        if dynamic:
            batch = torch.export.Dim("batch", min=2, max=64)
            if case.cell:
                one = {0: batch}
                shapes = ({0: batch}, ((one, one) if "LSTM" in case.kind else one,))
            else:
                shapes = ({1: batch}, ({0: batch},) if case.lengths else ())
            if case.lengths:
                shapes = {"x": {1: batch}, "lengths": {0: batch}}
            else:
                shapes = {"x": shapes[0], "rest": shapes[1]}
        with torch.no_grad():
            program = torch.export.export(net, case.inputs(batch=3), dynamic_shapes=shapes, strict=strict)
        inputs = case.inputs(seed=2, batch=3 + (2 if dynamic else 0))
        same(run(program.module(), inputs), run(net, inputs))
    return _


tool("torch.export")(exported(False, False))
tool("torch.export, strict")(exported(True, False))
tool("torch.export, dynamic")(exported(False, True))
tool("torch.export, dynamic, strict")(exported(True, True))


@tool("torch.export, gradients")
def _(net, case):
    program = torch.export.export(net, case.inputs(), strict=False)
    same_net(program.module(), net, case)


def onnxed(dynamo):
    def _(net, case):
        import numpy as np
        import onnxruntime
        torch._dynamo.reset()
        file = io.BytesIO()
        inputs = case.inputs()
        if dynamo:
            with torch.no_grad():
                program = torch.onnx.export(net, inputs, dynamo=True, verbose=False)
            program.save(file)
        else:
            torch.onnx.export(net, inputs, file, dynamo=False)
        session = onnxruntime.InferenceSession(file.getvalue())
        inputs = case.inputs(seed=2)
        arrays = [t.numpy() for t in flat(inputs)]
        names = [i.name for i in session.get_inputs()]
        found = session.run(None, dict(zip(names, arrays, strict=True)))
        same([torch.from_numpy(np.asarray(a)) for a in found], [t.detach() for t in run(net, inputs)])
    return _


tool("torch.onnx.export, dynamo=False")(onnxed(False))
tool("torch.onnx.export, dynamo=True")(onnxed(True))


def functional(net, case):
    """x and the parameters -> the loss, as a pure function."""
    inputs, names = case.inputs(), [name for name, _ in net.named_parameters()]
    def loss(x, *params):
        values = dict(zip(names, params, strict=True))
        torch.manual_seed(3)
        return loss_of(torch.func.functional_call(net, values, with_x(inputs, x)))
    return loss, (inputs[0], *(p.detach() for p in net.parameters()))


@tool("torch.func.grad")
def _(net, case):
    loss, args = functional(net, case)
    found = torch.func.grad(loss, tuple(range(len(args))))(*args)
    same(found, gradients(net, case.inputs()))


@tool("torch.func.vmap")
def _(net, case):
    inputs = case.inputs()
    others = torch.stack([inputs[0], inputs[0] + 0.5, inputs[0] * 2])
    def one(x):
        torch.manual_seed(3)
        return net(x, *inputs[1:])
    found = torch.func.vmap(one, randomness="same")(others)
    expected = [run(net, with_x(inputs, x)) for x in others]
    same(found, [torch.stack(k) for k in zip(*expected, strict=True)])


@tool("torch.func.vmap of grad, each sequence its own")
def _(net, case):
    loss, args = functional(net, case)
    others = torch.stack([args[0], args[0] + 0.5, args[0] * 2])
    found = torch.func.vmap(torch.func.grad(loss, 1), (0, *[None] * (len(args) - 1)), randomness="same")(others, *args[1:])
    expected = [gradients(net, with_x(case.inputs(), x))[1] for x in others]
    same([found], [torch.stack(expected)])


def directional(net, case, eps=1e-4):
    """Central difference of the results along a direction of x, in float64."""
    net64 = copy.deepcopy(net).double()
    inputs = case.inputs()
    x, v = inputs[0].double(), torch.cos(torch.arange(inputs[0].numel())).view_as(inputs[0]).double()
    rest = torch.utils._pytree.tree_map(lambda t: t.double() if t.is_floating_point() else t, inputs[1:])
    with torch.no_grad():
        up, down = (run(net64, (x + s * eps * v, *rest)) for s in (1, -1))
    return net64, (x, *rest), v, [(a - b) / (2 * eps) for a, b in zip(up, down, strict=True)]


@tool("torch.func.jvp")
def _(net, case):
    net, inputs, v, expected = directional(net, case)
    def f(x):
        torch.manual_seed(3)
        return net(x, *inputs[1:])
    _, found = torch.func.jvp(f, (inputs[0],), (v,))
    same(found, expected)


@tool("forward_ad")
def _(net, case):
    from torch.autograd import forward_ad
    net, inputs, v, expected = directional(net, case)
    with forward_ad.dual_level():
        results = run(net, with_x(inputs, forward_ad.make_dual(inputs[0], v)))
        found = [forward_ad.unpack_dual(r).tangent for r in results]
    same(found, expected)


def jacobian_by_rows(net, case):
    inputs = case.inputs()
    return torch.autograd.functional.jacobian(lambda x: run(net, with_x(inputs, x))[0].sum((0,)), inputs[0])


@tool("torch.func.jacrev")
def _(net, case):
    inputs = case.inputs()
    found = torch.func.jacrev(lambda x: run(net, with_x(inputs, x))[0].sum((0,)))(inputs[0])
    same([found], [jacobian_by_rows(net, case)])


@tool("torch.func.jacfwd")
def _(net, case):
    inputs = case.inputs()
    found = torch.func.jacfwd(lambda x: run(net, with_x(inputs, x))[0].sum((0,)), randomness="same")(inputs[0])
    same([found], [jacobian_by_rows(net, case)])


@tool("torch.func.hessian")
def _(net, case):
    inputs = case.inputs()
    x = inputs[0]
    f = lambda x: loss_of(run(net, with_x(inputs, x)))
    found = torch.func.hessian(f)(x)
    same([found], [torch.autograd.functional.hessian(f, x)], rtol=1e-4, atol=1e-4)


@tool("jacobian(vectorize=True)")
def _(net, case):
    inputs = case.inputs()
    found = torch.autograd.functional.jacobian(lambda x: run(net, with_x(inputs, x))[0].sum((0,)), inputs[0], vectorize=True)
    same([found], [jacobian_by_rows(net, case)])


@tool("is_grads_batched=True")
def _(net, case):
    inputs = case.inputs()
    x = inputs[0].requires_grad_()
    leaves = [x, *net.parameters()]
    result = run(net, with_x(inputs, x))[0]
    outer = torch.stack([torch.randn_like(result) for _ in range(3)])
    found = torch.autograd.grad(result, leaves, outer, is_grads_batched=True, retain_graph=True)
    each = [torch.autograd.grad(result, leaves, o, retain_graph=True) for o in outer]
    same(found, [torch.stack(k) for k in zip(*each, strict=True)])


@tool("second derivatives")
def _(net, case):
    net = copy.deepcopy(net).double()
    inputs = torch.utils._pytree.tree_map(lambda t: t.double() if t.is_floating_point() else t, case.inputs())
    x = inputs[0].requires_grad_()
    def slope(x):
        g, = torch.autograd.grad(loss_of(run(net, with_x(inputs, x))), [x], create_graph=True)
        return (g * g).sum()
    leaves = [x, *net.parameters()]
    found = torch.autograd.grad(slope(x), leaves, allow_unused=True)
    # central difference along a direction of x
    v = torch.cos(torch.arange(x.numel())).view_as(x).double()
    with torch.enable_grad():
        up, down = (slope((x + s * 1e-4 * v).detach().requires_grad_()).item() for s in (1, -1))
    same([(found[0] * v).sum()], [torch.tensor((up - down) / 2e-4, dtype=torch.float64)])


@tool("torch.fx.symbolic_trace")
def _(net, case):
    traced = torch.fx.symbolic_trace(torch.nn.Sequential(net.layer))
    same(flat(run(traced, case.inputs()[:1])), flat(run(net.layer, case.inputs()[:1])))


@tool("quantize_dynamic")
def _(net, case):
    model = torch.nn.Sequential(net.layer)
    made = torch.ao.quantization.quantize_dynamic(model, {type(net.layer)}, dtype=torch.qint8)
    if type(made[0]) is type(net.layer):
        raise AssertionError("left in float32 without a word")
    found, expected = flat(made(case.inputs()[0])), flat(model(case.inputs()[0]))
    same(found, expected, rtol=0.1, atol=0.1)


@tool("quantize_dynamic of torch's class")
def _(net, case):
    model = torch.nn.Sequential(net.layer)
    made = torch.ao.quantization.quantize_dynamic(model, {getattr(torch.nn, case.kind)}, dtype=torch.qint8)
    if type(made[0]) is type(net.layer):
        raise AssertionError("left in float32 without a word")
    found, expected = flat(made(case.inputs()[0])), flat(model(case.inputs()[0]))
    same(found, expected, rtol=0.1, atol=0.1)


@tool("DataParallel")
def _(net, case):
    made = torch.nn.DataParallel(net)
    same_net(made, net, case)
    copies = torch.nn.parallel.replicate  # needs devices
    # what DataParallel does with a replica: a shallow copy whose parameters are plain tensors
    replica = net.layer._replicate_for_data_parallel()
    for name, p in net.layer._parameters.items():
        setattr(replica, name, None if p is None else p * 1.0)
    whole = type(net)(replica).train(net.training)
    same(run(whole, case.inputs()), run(net, case.inputs()))


@tool("meta device")
def _(net, case):
    expected = run(net, case.inputs())
    made = case.net(nn if type(net.layer).__module__.startswith("rnnlit") else torch.nn, device="meta")
    inputs = torch.utils._pytree.tree_map(lambda t: t.to("meta") if t.is_floating_point() else t, case.inputs())
    results = run(made, inputs)
    assert all(t.device.type == "meta" for t in results)
    assert [t.shape for t in results] == [t.shape for t in expected]
    grads = torch.autograd.grad([t.sum() for t in results], list(made.parameters()))
    assert [g.shape for g in grads] == [p.shape for p in made.parameters()]
    made = made.to_empty(device="cpu")
    made.load_state_dict(net.state_dict())
    same(run(made, case.inputs()), expected)


@tool("default device meta, net on the CPU")
def _(net, case):
    expected, dx = run(net, case.inputs()), gradients(net, case.inputs())
    inputs = case.inputs()
    with torch.device("meta"):
        found = run(net, inputs)
        x = inputs[0].detach().requires_grad_()
        results = run(net, with_x(inputs, x))
    with torch.device("meta"):
        made = [torch.ones(t.shape, device="cpu") for t in results]
        g = torch.autograd.grad(results, [x, *net.parameters()], made)
    same(found, expected)
    again = run(net, with_x(inputs, x))
    same(g, torch.autograd.grad(again, [x, *net.parameters()], [torch.ones(t.shape) for t in again]))


def cast(dtype):
    def _(net, case):
        x = case.inputs()[0].requires_grad_()
        with torch.autocast("cpu", dtype):
            found = run(net, with_x(case.inputs(), x))
        grads = torch.autograd.grad(loss_of([t.float() for t in found]), [x, *net.parameters()])
        rough = dict(rtol=0.1, atol=0.1)
        same([t.float() for t in found], run(net, case.inputs()), **rough)
        same([g.float() for g in grads], gradients(net, case.inputs()), rtol=0.2, atol=0.2)
    return _


tool("autocast bfloat16")(cast(torch.bfloat16))
tool("autocast float16")(cast(torch.float16))


def in_dtype(dtype):
    def _(net, case):
        expected, grads = run(net, case.inputs()), gradients(net, case.inputs())
        net = copy.deepcopy(net).to(dtype)
        inputs = torch.utils._pytree.tree_map(lambda t: t.to(dtype) if t.is_floating_point() else t, case.inputs())
        x = inputs[0].detach().requires_grad_()
        found = run(net, with_x(inputs, x))
        assert all(t.dtype == dtype for t in found)
        g = torch.autograd.grad(loss_of([t.float() for t in found]), [x, *net.parameters()])
        if case.train and any("drop" in k or "zone" in k for k in case.options):
            return  # other numbers are drawn
        same([t.float() for t in found], expected, rtol=0.1, atol=0.1)
        same([t.float() for t in g], grads, rtol=0.2, atol=0.2)
    return _


tool("weights in bfloat16")(in_dtype(torch.bfloat16))
tool("weights in float16")(in_dtype(torch.float16))
tool("weights in float64")(in_dtype(torch.float64))


@tool("hooks")
def _(net, case):
    expected, seen = gradients(net, case.inputs()), []
    layer = net.layer
    layer.register_forward_pre_hook(lambda m, a: seen.append("pre"))
    layer.register_forward_hook(lambda m, a, out: seen.append("forward"))
    layer.register_full_backward_pre_hook(lambda m, g: seen.append("backward pre"))
    layer.register_full_backward_hook(lambda m, g, o: seen.append("backward"))
    same(gradients(net, case.inputs()), expected)
    assert seen == ["pre", "forward", "backward pre", "backward"], seen


def parametrized(kind):
    def _(net, case):
        layer = net.layer
        name = "weight_hh" if case.cell else "weight_hh_l0"
        with warnings.catch_warnings():
            kind(layer, name)
        inputs = case.inputs()
        layer.eval()
        layer.train(case.train)
        x = inputs[0].requires_grad_()
        torch.manual_seed(3)
        with parametrize.cached():
            weights = [getattr(layer, name)]
            results = net(*with_x(inputs, x))
            loss_of(results).backward()
        found = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
        assert len(found) == len(list(layer.parameters())), "a parameter without gradient"
        # the oracle: the plain net with the weight that comes out
        plain = case.net(nn if type(net.layer).__module__.startswith("rnnlit") else torch.nn)
        with torch.no_grad():
            getattr(plain.layer, name).copy_(weights[0])
        same(results, run(plain, inputs))
    return _


tool("parametrizations.weight_norm")(parametrized(parametrizations.weight_norm))
tool("parametrizations.spectral_norm")(parametrized(parametrizations.spectral_norm))
tool("parametrizations.orthogonal")(parametrized(parametrizations.orthogonal))
tool("utils.weight_norm (old)")(parametrized(torch.nn.utils.weight_norm))
tool("utils.spectral_norm (old)")(parametrized(torch.nn.utils.spectral_norm))


@tool("prune")
def _(net, case):
    name = "weight_hh" if case.cell else "weight_hh_l0"
    prune.l1_unstructured(net.layer, name, 0.4)
    expected = case.net(nn if type(net.layer).__module__.startswith("rnnlit") else torch.nn)
    with torch.no_grad():
        getattr(expected.layer, name).mul_(getattr(net.layer, name + "_mask"))
    same(run(net, case.inputs()), run(expected, case.inputs()))
    loss_of(run(net, case.inputs())).backward()
    assert getattr(net.layer, name + "_orig").grad is not None


@tool("in-place work on what is returned")
def _(net, case):
    inputs = case.inputs()
    x = inputs[0].requires_grad_()
    expected = gradients(net, inputs)
    count = len(run(net, inputs))
    for k in range(count):
        results = list(run(net, with_x(inputs, x)))
        before = [t.detach().clone() for t in results]
        results[k].mul_(1.0)
        results[k].add_(0.0)
        others = [t.detach() for j, t in enumerate(results) if j != k]
        with torch.no_grad():
            results_detached = results[k].detach()
        same(torch.autograd.grad(loss_of(results), [x, *net.parameters()]), expected)
        with torch.no_grad():
            again = list(run(net, inputs))
            same(again, before)
            again[k].zero_()
            same([t for j, t in enumerate(again) if j != k], [t for j, t in enumerate(before) if j != k])


@tool("in-place work on the states given")
def _(net, case):
    inputs = case.inputs()
    layer = net.layer
    if case.cell:
        hx = inputs[1]
    else:
        D = layer.num_layers * (2 if layer.bidirectional else 1)
        h = torch.randn(D, B, layer.proj_size or H)
        if isinstance(layer.hidden_size, tuple):
            return
        hx = (h, torch.randn(D, B, H)) if "LSTM" in case.kind else h
    torch.manual_seed(3)
    with torch.no_grad():
        results = flat(layer(inputs[0], hx))
    before = [t.clone() for t in results]
    for t in flat(hx):
        t.zero_()
    same(results, before)
    # and in training: states that a step returned go into the next one and are then zeroed
    for t in flat(hx):
        t.normal_()
    results = flat(layer(inputs[0], hx))
    for t in flat(hx):
        t.zero_()
    try:
        g = torch.autograd.grad(loss_of(results), list(net.parameters()))
    except RuntimeError as e:
        assert "modified by an inplace operation" in str(e)
    else:
        raise AssertionError("gradient after the states it needs were overwritten: silent")


@tool("B = 0")
def _(net, case):
    inputs = case.inputs(batch=0)
    if case.lengths:
        inputs = (inputs[0], torch.zeros(0, dtype=torch.int64))
    x = inputs[0].requires_grad_()
    results = run(net, with_x(inputs, x))
    expected = [[n if k else n for k, n in enumerate(t.shape)] for t in run(net, case.inputs())]
    for t, e in zip(results, expected, strict=True):
        axis = t.dim() - 2
        e[axis] = 0
        assert list(t.shape) == e, (t.shape, e)
    g = torch.autograd.grad(sum(t.sum() for t in results), [x, *net.parameters()])
    assert all(bool((one == 0).all()) for one in g)


@tool("T = 0")
def _(net, case):
    if case.cell:
        return
    x = torch.zeros(0, B, I)
    run(net, (x, torch.zeros(B, dtype=torch.int64)) if case.lengths else (x,))


@tool("gradients each in its own memory")
def _(net, case):
    for _ in range(2):
        loss_of(run(net, case.inputs())).backward()
    spans = sorted((p.grad.data_ptr(), p.grad.data_ptr() + p.grad.numel() * p.grad.element_size(), n) for n, p in net.named_parameters())
    for a, b in zip(spans, spans[1:]):
        assert a[1] <= b[0], (a[2], b[2])
    x, *expected = gradients(net, case.inputs())
    same([p.grad / 2 for p in net.parameters()], expected)


@tool("reset_parameters under a seed")
def _(net, case):
    made = case.net(nn if type(net.layer).__module__.startswith("rnnlit") else torch.nn)
    torch.manual_seed(0)
    net.layer.reset_parameters()
    same([p for n, p in net.named_parameters() if "norm" not in n], [p for n, p in made.named_parameters() if "norm" not in n])


@tool("orthogonal_ on every weight")
def _(net, case):
    for name, p in net.named_parameters():
        if "weight" in name:
            torch.nn.init.orthogonal_(p)


@tool("share_memory, apply, zero_grad, requires_grad_")
def _(net, case):
    made = copy.deepcopy(net).share_memory().requires_grad_(False)
    same(run(made, case.inputs()), run(net, case.inputs()))
    made.requires_grad_(True).zero_grad()
    same_net(made, net, case)


@tool("stack_module_state")
def _(net, case):
    nets = [net, copy.deepcopy(net)]
    with torch.no_grad():
        for p in nets[1].parameters():
            p.mul_(0.5)
    params, buffers = torch.func.stack_module_state(nets)
    base = copy.deepcopy(net).to("meta")
    inputs = case.inputs()
    def f(p, b):
        torch.manual_seed(3)
        return torch.func.functional_call(net, (p, b), inputs)
    found = torch.func.vmap(f, randomness="same")(params, buffers)
    expected = [run(n, inputs) for n in nets]
    same(found, [torch.stack(k) for k in zip(*expected, strict=True)])


# --- the cases --------------------------------------------------------------------------------------------
LAYERS = ("LSTM", "GRU", "RNN")
CASES = [
    *[Case("plain", kind, {}) for kind in LAYERS],
    Case("plain", "LSTM", {"num_layers": 2, "bidirectional": True}),
    Case("plain", "LSTM", {"proj_size": 2}),
    *[Case("plain", kind, {}, steps=40) for kind in ("LSTM", "GRU")],
    *[Case("plain, lengths", kind, {}, lengths=True) for kind in LAYERS],
    Case("plain, lengths", "GRU", {"bidirectional": True}, steps=40, lengths=True),
    *[Case("variants", kind, {"recurrent_dropout": 0.4}) for kind in LAYERS],
    *[Case("variants", kind, {"zoneout": 0.4}) for kind in LAYERS],
    Case("variants", "LSTM", {"zoneout": 0.4}, train=False),
    *[Case("variants", kind, {"layer_norm": True}) for kind in LAYERS],
    Case("variants", "LSTM", {"layer_norm": True}, steps=40),
    Case("variants", "LSTM", {"peephole": True}),
    *[Case("variants", kind, {"candidate_dropout": 0.4}) for kind in ("LSTM", "GRU")],
    *[Case("variants", "LSTM", {f"{name}": 0.4}) for name in ("weight_drop", "input_dropout", "output_dropout")],
    Case("variants", "GRU", {"reset_after": False}),
    *[Case("variants", kind, {}, size=(4, 5)) for kind in LAYERS],
    *[Case("variants, lengths", kind, {"layer_norm": True}, lengths=True) for kind in LAYERS],
    Case("variants, lengths", "LSTM", {"recurrent_dropout": 0.4, "zoneout": 0.3, "peephole": True, "layer_norm": True}, lengths=True),
    *[Case("cells", kind + "Cell", {}) for kind in LAYERS],
    *[Case("cells, varied", kind + "Cell", {"layer_norm": True}) for kind in LAYERS],
    Case("cells, varied", "LSTMCell", {"peephole": True}),
    Case("cells, varied", "GRUCell", {"reset_after": False}),
]


def attempt(name, net, case):
    """None if all is well, else the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            TOOLS[name](net, case)
    except Exception as error:
        return error
    return None
