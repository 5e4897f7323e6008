"""The runs behind `test_matrix`: what torch's tools do with our layers and cells, and with torch's own.

B batch, T steps, I inputs, H hidden.

A tool takes a net and a case, works on the net, and compares what comes out with an oracle: the same net in
eager mode, sequence by sequence, direction by direction, or differences of it. That a net in eager mode
computes what torch's layer or the chapters' loops compute is shown by the other tests of this folder.
"""

import copy
import functools
import importlib
import io
import itertools
import pickle
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils._pytree import tree_map

from rnnlit import nn
from tests.tolerances import DIFFERENCES, TOLERANCE

I, H, B, T, FEW = 3, 4, 2, 5, 3
EXACT, CLOSE = TOLERANCE[np.float64], TOLERANCE[np.float32]
ROUGH = dict(rtol=0.2, atol=0.2)  # of numbers with eight bits, after some steps


class Net(torch.nn.Module):
    """A layer or a cell, with all that it returns as a flat tuple of tensors."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.ours = isinstance(layer, nn.LSTM | nn.GRU | nn.RNN | nn.LSTMCell | nn.GRUCell | nn.RNNCell)

    def forward(self, x, *rest):
        return tuple(flat(self.layer(x, *rest)))


class Padded(Net):
    """A layer over a padded batch, in any order of lengths."""

    def forward(self, x, lengths):
        if self.ours:
            return tuple(flat(self.layer(x, lengths=lengths)))
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, state = self.layer(packed)
        return tuple(flat((pad_packed_sequence(output, total_length=x.shape[0])[0], state)))


def flat(result):
    """The tensors in nested tuples."""
    return [result] if isinstance(result, torch.Tensor) else [t for part in result for t in flat(part)]


class Case(NamedTuple):
    """A layer or a cell with its options, and how it is called."""

    column: str  # of the table
    kind: str
    options: dict[str, Any]
    steps: int = T
    lengths: bool = False
    train: bool = True
    size: Any = H
    dtype: torch.dtype = torch.float64

    @property
    def cell(self):
        return self.kind.endswith("Cell")

    @property
    def name(self):
        parts = [f"{name}={value}" for name, value in self.options.items()]
        parts += [f"T={self.steps}"] * (self.steps != T) + ["lengths"] * self.lengths
        parts += ["eval"] * (not self.train) + ["sizes"] * (self.size != H)
        return "-".join([self.kind, *parts])

    @property
    def inside(self):
        """Whether something of it works inside a step, where torch's kernels don't have it."""
        outside = {*TORCHS, "weight_drop", "input_dropout", "output_dropout"}
        return any(name not in outside for name in self.options)

    @property
    def draws(self):
        return self.train and any("drop" in name or "zone" in name for name in self.options)

    def net(self, module=nn, **kind):
        """The net, ours or torch's: without the options that torch doesn't have."""
        torch.manual_seed(0)
        ours = module is nn
        options = {k: v for k, v in self.options.items() if ours or k in TORCHS}
        kind = {"dtype": self.dtype, **kind}
        layer = getattr(module, self.kind)(I, self.size if ours else H, **options, **kind)
        for name, p in layer.named_parameters():
            if "norm" in name:  # so that they do something
                torch.nn.init.normal_(p)
        return (Padded if self.lengths else Net)(layer).train(self.train)

    def again(self, net, **kind):
        """Another net like this one."""
        return self.net(nn if net.ours else torch.nn, **kind)

    def inputs(self, seed=1, steps=None, batch=B):
        torch.manual_seed(seed)
        steps = steps or self.steps
        draw = functools.partial(torch.randn, dtype=self.dtype)
        if self.cell:
            x, h = draw(batch, I), draw(batch, H)
            return x, (h, draw(batch, H)) if "LSTM" in self.kind else h
        x = draw(steps, batch, I)
        return (x, torch.tensor([1 + seed % 2, *[steps] * (batch - 1)])) if self.lengths else (x,)


TORCHS = ("num_layers", "bidirectional", "bias", "proj_size", "batch_first", "dropout", "nonlinearity")


def with_x(inputs, x):
    return (x, *inputs[1:])


def converted(inputs, to):
    """The inputs, floating ones by `to`."""
    return tree_map(lambda t: to(t) if t.is_floating_point() else t, inputs)


def run(net, inputs, seed=3):
    torch.manual_seed(seed)
    return net(*inputs)


def loss_of(results):
    """A fixed function of all results, with another slope everywhere."""
    return sum(
        (torch.sin(t + 0.3 * k) * torch.cos(torch.arange(t.numel(), dtype=t.dtype) * 0.7).view(t.shape)).sum()
        for k, t in enumerate(results)
    )


def same(found, expected, **tolerance):
    found, expected = list(found), list(expected)
    assert len(found) == len(expected), f"{len(found)} results instead of {len(expected)}"
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, **(tolerance or (CLOSE if b.dtype == torch.float32 else EXACT)))


def gradients(net, inputs, x=None):
    """Of `loss_of` for x and all parameters, in eager mode."""
    x = (inputs[0] if x is None else x).detach().requires_grad_()
    return torch.autograd.grad(loss_of(run(net, with_x(inputs, x))), [x, *net.parameters()])


def same_net(made, net, case, inputs=None):
    """The made net gives what the net gives, on other inputs than it was made with, and the slopes for x."""
    inputs, results = case.inputs(seed=2) if inputs is None else inputs, []
    for one in (made, net):
        x = inputs[0].clone().requires_grad_()
        found = run(one, with_x(inputs, x))
        results.append([*(t.detach() for t in found), *torch.autograd.grad(loss_of(found), [x])])
    same(*results)


TOOLS: dict[str, Callable[[Net, Case], None]] = {}
SLOW: set[str] = set()  # those that take seconds a case


def tool(name, slow=False):
    def note(function):
        TOOLS[name] = function
        if slow:
            SLOW.add(name)
        return function

    return note


# Copies and files.


@tool("copy.deepcopy")
def _(net, case):
    run(net, case.inputs())
    same_net(copy.deepcopy(net), net, case)


@tool("pickle")
def _(net, case):
    same_net(pickle.loads(pickle.dumps(net)), net, case)


@tool("torch.save and load")
def _(net, case):
    whole, state = io.BytesIO(), io.BytesIO()
    torch.save(net, whole)
    torch.save(net.state_dict(), state)
    whole.seek(0), state.seek(0)
    same_net(torch.load(whole, weights_only=False), net, case)
    other = copy.deepcopy(net)
    for p in other.parameters():
        torch.nn.init.zeros_(p)
    other.load_state_dict(torch.load(state))
    same_net(other, net, case)


# Recordings.


def trace(net, case):
    torch.manual_seed(3)
    with torch.jit.optimized_execution(False):
        return torch.jit.trace(net, case.inputs(), check_trace=False)


@tool("torch.jit.trace")
def _(net, case):
    traced = trace(net, case)
    with torch.jit.optimized_execution(False):
        same_net(traced, net, case)
        more = case.inputs(seed=4, batch=B + 1)
        same(run(traced, more), run(net, more))


@tool("torch.jit.trace, another T")
def _(net, case):
    more = case.inputs(seed=4, steps=case.steps + 2)
    same(run(trace(net, case), more), run(net, more))


@tool("torch.jit.script")
def _(net, case):
    layer, x = (net.layer, case.inputs()[0])
    expected = flat(layer(x))
    same(flat(torch.jit.script(torch.nn.Sequential(layer))(x)), expected)


@tool("torch.fx.symbolic_trace")
def _(net, case):
    traced = torch.fx.symbolic_trace(torch.nn.Sequential(net.layer))
    same(flat(run(traced, case.inputs()[:1])), flat(run(net.layer, case.inputs()[:1])))


def compiled(fullgraph):
    def compile(net, case):
        torch._dynamo.reset()
        same_net(torch.compile(net, backend="aot_eager", fullgraph=fullgraph), net, case)

    return compile


tool("torch.compile", slow=True)(compiled(False))
tool("torch.compile, fullgraph", slow=True)(compiled(True))


def shapes(case, batch):
    """Which axes of `Case.inputs` may have another length."""
    if not case.cell:
        return {"x": {1: batch}, "lengths": {0: batch}} if case.lengths else {"x": {1: batch}}
    one = {0: batch}
    return {"x": one, "rest": (((one, one) if "LSTM" in case.kind else one),)}


def exported(strict, dynamic):
    def export(net, case):
        torch._dynamo.reset()
        dims = shapes(case, torch.export.Dim("batch", min=2, max=64)) if dynamic else None
        program = torch.export.export(net, case.inputs(batch=3), dynamic_shapes=dims, strict=strict).module()
        inputs = case.inputs(seed=2, batch=5 if dynamic else 3)
        same_net(program, net, case, inputs)

    return export


tool("torch.export", slow=True)(exported(False, False))
tool("torch.export, strict", slow=True)(exported(True, False))
tool("torch.export, any B", slow=True)(exported(False, True))
tool("torch.export, strict, any B", slow=True)(exported(True, True))


def to_onnx(dynamo):
    def export(net, case):
        onnxruntime = importlib.import_module("onnxruntime")
        torch._dynamo.reset()
        net, file = net.eval(), io.BytesIO()  # both exporters make a model for inference
        with torch.no_grad():
            if dynamo:
                torch.onnx.export(net, case.inputs(), dynamo=True, verbose=False).save(file)
            else:
                torch.onnx.export(net, case.inputs(), file, dynamo=False)
            inputs = case.inputs(seed=2)
            session = onnxruntime.InferenceSession(file.getvalue())
            names = [one.name for one in session.get_inputs()]
            arrays = {name: t.numpy() for name, t in zip(names, flat(inputs), strict=True)}
            same(map(torch.from_numpy, session.run(None, arrays)), run(net, inputs))

    return export


tool("torch.onnx, dynamo=False")(to_onnx(False))
tool("torch.onnx, dynamo=True", slow=True)(to_onnx(True))


# Transforms and derivatives.


def functional(net, case):
    """The loss as a pure function of x and the parameters; and these."""
    inputs, names = case.inputs(), [name for name, _ in net.named_parameters()]

    def loss(x, *params):
        torch.manual_seed(3)
        values = dict(zip(names, params, strict=True))
        return loss_of(torch.func.functional_call(net, values, with_x(inputs, x)))

    return loss, (inputs[0], *(p.detach() for p in net.parameters()))


@tool("torch.func.grad")
def _(net, case):
    loss, args = functional(net, case)
    same(torch.func.grad(loss, tuple(range(len(args))))(*args), gradients(net, case.inputs()))


@tool("torch.func.vmap")
def _(net, case):
    inputs = case.inputs()
    xs = [inputs[0], inputs[0] + 0.5, inputs[0] * 2]
    found = torch.func.vmap(lambda x: run(net, with_x(inputs, x)), randomness="same")(torch.stack(xs))
    expected = [run(net, with_x(inputs, x)) for x in xs]
    same(found, map(torch.stack, zip(*expected, strict=True)))


@tool("vmap over stacked models")
def _(net, case):
    nets, inputs = [net, copy.deepcopy(net)], case.inputs()
    with torch.no_grad():
        for p in nets[1].parameters():
            p.mul_(0.5)

    def call(params):
        torch.manual_seed(3)
        return torch.func.functional_call(net, params, inputs)

    found = torch.func.vmap(call, randomness="same")(torch.func.stack_module_state(nets)[0])
    same(found, map(torch.stack, zip(*(run(one, inputs) for one in nets), strict=True)))


@tool("vmap(grad), one by one")
def _(net, case):
    loss, (x, *params) = functional(net, case)
    xs, wanted = torch.stack([x, x + 0.5, x * 2]), tuple(range(1, len(params) + 1))
    one = torch.func.grad(loss, wanted)
    found = torch.func.vmap(one, (0, *[None] * len(params)), randomness="same")(xs, *params)
    expected = [gradients(net, case.inputs(), x)[1:] for x in xs]
    same(found, map(torch.stack, zip(*expected, strict=True)))


def slope(function, x, v, h=1e-4):
    """The derivative of function along v by differences, their error of the order h**4."""
    up, down, up2, down2 = (function(x + k * h * v) for k in (1, -1, 2, -2))
    return [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(up, down, up2, down2, strict=True)]


def direction(x):
    return torch.cos(torch.arange(x.numel(), dtype=x.dtype)).view_as(x)


def in_float64(net, case):
    """Differences need the digits."""
    net, (x, *rest) = copy.deepcopy(net).double(), converted(case.inputs(), torch.Tensor.double)
    return x, direction(x), lambda x: run(net, (x, *rest))


@tool("torch.func.jvp")
def _(net, case):
    x, v, function = in_float64(net, case)
    same(torch.func.jvp(function, (x,), (v,))[1], slope(function, x, v), **DIFFERENCES)


@tool("forward mode")
def _(net, case):
    x, v, function = in_float64(net, case)
    with forward_ad.dual_level():
        found = [forward_ad.unpack_dual(t).tangent for t in function(forward_ad.make_dual(x, v))]
    same(found, slope(function, x, v), **DIFFERENCES)


def outputs(net, case):
    """x, and the output as a function of it; summed over time, to keep its derivative small."""
    inputs = case.inputs()
    return inputs[0], lambda x: run(net, with_x(inputs, x))[0].sum(0)


@tool("torch.func.jacrev")
def _(net, case):
    x, function = outputs(net, case)
    same([torch.func.jacrev(function)(x)], [torch.autograd.functional.jacobian(function, x)])


@tool("torch.func.jacfwd")
def _(net, case):
    x, function = outputs(net, case)
    found = torch.func.jacfwd(function, randomness="same")(x)
    same([found], [torch.autograd.functional.jacobian(function, x)])


@tool("jacobian(vectorize=True)")
def _(net, case):
    x, function = outputs(net, case)
    jacobian = torch.autograd.functional.jacobian
    same([jacobian(function, x, vectorize=True)], [jacobian(function, x)])


@tool("is_grads_batched=True")
def _(net, case):
    inputs = case.inputs()
    x = inputs[0].requires_grad_()
    leaves, result = [x, *net.parameters()], run(net, with_x(inputs, x))[0]
    outer = torch.stack([torch.randn_like(result) for _ in range(3)])
    grad = functools.partial(torch.autograd.grad, result, leaves, retain_graph=True)
    same(grad(outer, is_grads_batched=True), map(torch.stack, zip(*map(grad, outer), strict=True)))


@tool("second derivatives")
def _(net, case):
    x, v, function = in_float64(net, case)

    def gradient(x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(loss_of(function(x)), [x])

    x.requires_grad_()
    (first,) = torch.autograd.grad(loss_of(function(x)), [x], create_graph=True)
    same(torch.autograd.grad((first * v).sum(), [x]), slope(gradient, x.detach(), v), **DIFFERENCES)


@tool("checkpoint")
def _(net, case):
    checkpoint = torch.utils.checkpoint.checkpoint
    expected = gradients(net, case.inputs())
    for reentrant in (False, True):
        made = functools.partial(checkpoint, net, use_reentrant=reentrant)
        copied = case.inputs()[0].requires_grad_()
        net.zero_grad()
        loss_of(run(made, with_x(case.inputs(), copied))).backward()
        same([copied.grad, *(p.grad for p in net.parameters())], expected)


# What goes by the module, its class or its attributes.


@tool("quantize_dynamic")
def _(net, case):
    model, x = torch.nn.Sequential(net.layer), case.inputs()[0]
    for asked in ({type(net.layer)}, {getattr(torch.nn, case.kind)}, None):
        made = torch.ao.quantization.quantize_dynamic(model, asked, dtype=torch.qint8)
        assert type(made[0]) is not type(net.layer), "left as it is, without a word"
        same(flat(made(x)), flat(model(x)), **ROUGH)


@tool("DataParallel's replicas")
def _(net, case):
    same_net(torch.nn.DataParallel(net), net, case)  # without a GPU it calls the net
    replica = net.layer._replicate_for_data_parallel()
    for name, p in net.layer._parameters.items():  # torch puts in the parameters' copies, which are no leaves
        setattr(replica, name, p * 1.0)
    same(run(type(net)(replica).train(net.training), case.inputs()), run(net, case.inputs()))


@tool("hooks")
def _(net, case):
    expected, seen = gradients(net, case.inputs()), []
    net.register_forward_pre_hook(lambda m, args: seen.append("before"))
    net.register_forward_hook(lambda m, args, results: seen.append("after"))
    net.register_full_backward_pre_hook(lambda m, g: seen.append("back"))
    net.register_full_backward_hook(lambda m, g, outer: seen.append("through"))
    same(gradients(net, case.inputs()), expected)
    assert seen == ["before", "after", "back", "through"]


def weight_hh(case):
    return "weight_hh" if case.cell else "weight_hh_l0"


def parametrized(kind):
    def parametrize_(net, case):
        layer, name, inputs = net.layer, weight_hh(case), case.inputs()
        kind(layer, name)
        with parametrize.cached():  # a spectral norm moves at each look
            weight = getattr(layer, name)
            results = run(net, inputs)
            loss_of(results).backward()
        assert all(p.grad is not None for p in layer.parameters())
        plain = case.again(net)
        with torch.no_grad():
            getattr(plain.layer, name).copy_(weight)
        same(results, run(plain, inputs))

    return parametrize_


tool("weight_norm")(parametrized(parametrizations.weight_norm))
tool("spectral_norm")(parametrized(parametrizations.spectral_norm))
tool("orthogonal")(parametrized(parametrizations.orthogonal))


@tool("pruning")
def _(net, case):
    name = weight_hh(case)
    prune.l1_unstructured(net.layer, name, 0.4)
    plain = case.again(net)
    with torch.no_grad():
        getattr(plain.layer, name).mul_(getattr(net.layer, name + "_mask"))
    same(run(net, case.inputs()), run(plain, case.inputs()))
    loss_of(run(net, case.inputs())).backward()
    assert getattr(net.layer, name + "_orig").grad is not None


@tool("share_memory, frozen")
def _(net, case):
    made = copy.deepcopy(net).share_memory().requires_grad_(False)
    same(run(made, case.inputs()), run(net, case.inputs()))
    same_net(made.requires_grad_(True), net, case)


@tool("reset_parameters, same seed")
def _(net, case):
    drawn = [p.clone() for name, p in net.named_parameters() if "norm" not in name]
    torch.manual_seed(0)
    net.layer.reset_parameters()
    same([p for name, p in net.named_parameters() if "norm" not in name], drawn)


# Devices and precisions.


@tool("meta device")
def _(net, case):
    expected, made = run(net, case.inputs()), case.again(net, device="meta")
    results = run(made, converted(case.inputs(), lambda t: t.to("meta")))
    grads = torch.autograd.grad([t.sum() for t in results], list(made.parameters()))
    for found, like in ((results, expected), (grads, net.parameters())):
        assert all(t.is_meta for t in found)
        assert [t.shape for t in found] == [t.shape for t in like]
    made = made.to_empty(device="cpu")
    made.load_state_dict(net.state_dict())
    same(run(made, case.inputs()), expected)


@tool("another default device")
def _(net, case):
    inputs, expected = case.inputs(), run(net, case.inputs())
    outer = [torch.ones(t.shape, dtype=t.dtype) for t in expected]
    grads = []
    for device in ("cpu", "meta"):
        x = inputs[0].detach().requires_grad_()
        with torch.device(device):
            results = run(net, with_x(inputs, x))
            grads.append(torch.autograd.grad(results, [x, *net.parameters()], outer))
        same(results, expected)
    same(*grads)


def autocast(dtype):
    def cast(net, case):
        inputs = case.inputs()
        x = inputs[0].requires_grad_()
        with torch.autocast("cpu", dtype):
            found = [t.to(x.dtype) for t in run(net, with_x(inputs, x))]
            if case.train and not case.draws:
                eager = case.again(net).eval()
                same([t.to(x.dtype) for t in run(eager, inputs)], found, **ROUGH)
        same(found, run(net, inputs), **ROUGH)
        same(torch.autograd.grad(loss_of(found), [x, *net.parameters()]), gradients(net, inputs), **ROUGH)

    return cast


tool("autocast to bfloat16")(autocast(torch.bfloat16))
tool("autocast to float16")(autocast(torch.float16))


def weights_in(dtype):
    def convert(net, case):
        made, inputs = copy.deepcopy(net).to(dtype), converted(case.inputs(), lambda t: t.to(dtype))
        x = inputs[0].detach().requires_grad_()
        found = run(made, with_x(inputs, x))
        assert all(t.dtype == dtype for t in found)
        grads = torch.autograd.grad(loss_of(found), [x, *made.parameters()])
        if not case.draws:  # other numbers are drawn in another dtype
            kind = case.dtype
            same([t.to(kind) for t in found], run(net, case.inputs()), **ROUGH)
            same([t.to(kind) for t in grads], gradients(net, case.inputs()), **ROUGH)

    return convert


tool("weights in bfloat16")(weights_in(torch.bfloat16))
tool("weights in float16")(weights_in(torch.float16))


# Memory, and sizes of zero.


@tool("writing into results")
def _(net, case):
    inputs = case.inputs()
    x, expected = inputs[0].requires_grad_(), gradients(net, inputs)
    for k in range(len(run(net, inputs))):
        results = run(net, with_x(inputs, x))
        before = [t.detach().clone() for t in results]
        with torch.no_grad():
            results[k].detach().copy_(before[k])  # counts as a write
        results[k].mul_(1.0)
        same(torch.autograd.grad(loss_of(results), [x, *net.parameters()]), expected)
        with torch.no_grad():
            results = run(net, inputs)
            results[k].zero_()
        same([t for j, t in enumerate(results) if j != k], [t for j, t in enumerate(before) if j != k])


@tool("writing into states given")
def _(net, case):
    layer, (x, *_) = net.layer, case.inputs()
    hx = case.inputs()[1] if case.cell else tuple_of_states(case)
    found = flat(layer(x, hx))
    before = [t.detach().clone() for t in found]
    for t in flat(hx):
        t.zero_()
    same([t.detach() for t in found], before)
    try:
        torch.autograd.grad(loss_of(found), list(net.parameters()))
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
    else:
        raise AssertionError("a gradient at states that were written over")


def tuple_of_states(case):
    """hx of a layer."""
    layer = case.net(nn).layer
    shapes = layer._shapes((B,), "h"), layer._shapes((B,), "c")
    torch.manual_seed(5)
    h, c = ([torch.randn(shape, dtype=case.dtype) for shape in kind] for kind in shapes)
    h, c = (h, c) if layer.sizes else (torch.stack(h), torch.stack(c))
    return (h, c) if "LSTM" in case.kind else h


@tool("one memory per gradient")
def _(net, case):
    for _ in range(2):
        loss_of(run(net, case.inputs())).backward()
    spans = sorted((p.grad.data_ptr(), p.grad.data_ptr() + p.grad.nbytes) for p in net.parameters())
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    same([p.grad / 2 for p in net.parameters()], gradients(net, case.inputs())[1:])


@tool("B = 0")
def _(net, case):
    x, *rest = case.inputs()
    x, *rest = tree_map(lambda t: t.narrow(max(t.dim() - 2, 0), 0, 0), [x, *rest])
    x.requires_grad_()
    results = run(net, (x, *rest))
    for found, like in zip(results, run(net, case.inputs()), strict=True):
        assert found.shape == (*like.shape[:-2], 0, like.shape[-1])
    grads = torch.autograd.grad(sum(t.sum() for t in results), [x, *net.parameters()])
    assert [g.shape for g in grads] == [x.shape, *(p.shape for p in net.parameters())]
    assert not any(g.any() for g in grads)


@tool("T = 0")
def _(net, case):
    x = torch.zeros(0, B, I, dtype=case.dtype)
    run(net, (x, torch.zeros(B, dtype=torch.int64)) if case.lengths else (x,))


# The cases.

SINGLE = {"dtype": torch.float32}
KINDS = ("LSTM", "GRU", "RNN")
ALL = {"recurrent_dropout": 0.4, "zoneout": (0.3, 0.2), "peephole": True, "layer_norm": True}
ALL |= {"bidirectional": True}
CASES = [
    *[Case("layer", kind, {}) for kind in KINDS],
    Case("layer", "LSTM", {"num_layers": 2, "bidirectional": True}),
    Case("layer", "GRU", {}, steps=40, **SINGLE),  # from 32 steps on it is our scan
    *[Case("lengths", kind, {}, lengths=True) for kind in KINDS],
    Case("lengths", "GRU", {"bidirectional": True}, steps=40, lengths=True, **SINGLE),
    Case("variant", "LSTM", {"layer_norm": True}),
    Case("variant", "GRU", {"reset_after": False}),
    Case("variant", "RNN", {"zoneout": 0.4}, train=False),
    Case("variant", "LSTM", {"peephole": True}, steps=40),
    *[Case("variant", kind, {"layer_norm": True}) for kind in ("GRU", "RNN")],
    *[Case("variant", kind, {"recurrent_dropout": 0.4, "zoneout": 0.3}) for kind in KINDS],
    *[Case("variant", kind, {"candidate_dropout": 0.4}) for kind in ("LSTM", "GRU")],
    Case("variant", "LSTM", {"weight_drop": 0.4, "input_dropout": 0.3, "output_dropout": 0.2}),
    *[Case("variant", kind, {}, size=(4, 5)) for kind in KINDS],
    Case("variant, lengths", "LSTM", ALL, lengths=True),
    *[Case("variant, lengths", kind, {"layer_norm": True}, lengths=True) for kind in ("GRU", "RNN")],
    *[Case("cell", kind + "Cell", {}) for kind in KINDS],
    *[Case("varied cell", kind + "Cell", {"layer_norm": True}) for kind in KINDS],
    Case("varied cell", "LSTMCell", {"peephole": True}),
    Case("varied cell", "GRUCell", {"reset_after": False}),
]
COLUMNS = tuple(dict.fromkeys(case.column for case in CASES))
IN_SINGLE = ("torch.onnx", "quantize", "autocast", "weights in", "torch.compile")  # they want float32
WITHOUT_STEPS = ("another T", "T = 0")
WITHOUT_LENGTHS = ("torch.jit.script", "torch.fx", "quantize", "writing into states")


def cases_of(name):
    """The cases that a tool is tried on; one in each column for a slow tool, which takes seconds a case."""
    chosen, columns = [], set()
    for case in CASES:
        if case.cell and name.endswith(WITHOUT_STEPS):
            continue
        if case.lengths and name.startswith(WITHOUT_LENGTHS):
            continue
        long = case.steps != T
        if long and name.startswith(("torch.jit.trace", "autocast", "weights in", "torch.func.jac")):
            continue  # slow, or too rough
        if name in SLOW and (case.column in columns or long):
            continue
        columns.add(case.column)
        case = case._replace(steps=FEW) if name in SLOW else case
        chosen.append(case._replace(dtype=torch.float32) if name.startswith(IN_SINGLE) else case)
    return chosen


def attempt(name, case, module=nn):
    """What goes wrong with the tool on a case, if anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own words on old tools, and on what a trace holds fast
        try:
            TOOLS[name](case.net(module), case)
        except Exception as error:  # whatever it is, it is the result
            return error
    return None


@functools.cache
def attempt_of_torch(name, kind, options, *call):
    """The same for torch's own module: the nearest one, which has none of the variants."""
    column, steps, lengths, train, dtype = call
    return attempt(name, Case(column, kind, dict(options), steps, lengths, train, H, dtype), torch.nn)


def torchs(name, case):
    options = tuple((k, v) for k, v in case.options.items() if k in TORCHS)
    return attempt_of_torch(name, case.kind, options, "", case.steps, case.lengths, case.train, case.dtype)
