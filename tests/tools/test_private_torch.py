"""rnnlit.tools.private_torch: what is asked of torch behind its public names, and what is so without them."""

import os
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.autograd import forward_ad

from rnnlit import nn
from rnnlit.tools import private_torch
from tests.programs import run


def python(code, **environment):
    """What a fresh interpreter prints."""
    done = run([sys.executable, "-c", code], env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_and_calls_leave_torch_compile_alone():
    code = """
import sys
import torch
before = "torch._dynamo" in sys.modules
from rnnlit import nn
nn.LSTM(3, 4, layer_norm=True)(torch.randn(5, 2, 3))[0].sum().backward()
nn.GRU(3, 4)(torch.randn(40, 2, 3))[0].sum().backward()
nn.LSTMCell(3, 4, peephole=True)(torch.randn(2, 3))
print(before, "torch._dynamo" in sys.modules)
"""
    assert python(code) == ["False", "False"]


def test_import_under_another_default_device_makes_nothing_there():
    """Sizes at which the scan takes tanh from the sigmoid, and may pack its weights."""
    code = """
import torch
torch.set_default_device("meta")
from rnnlit import nn
torch.manual_seed(0)
layer = nn.LSTM(3, 160, device="cpu", layer_norm=True, recurrent_dropout=0.2)
x = torch.randn(20, 30, 3, device="cpu")
torch.manual_seed(0)
here = layer(x)[0]
here.sum().backward()
torch.set_default_device("cpu")
torch.manual_seed(0)
print(torch.equal(here, layer(x)[0]), {p.grad.device.type for p in layer.parameters()} == {"cpu"})
"""
    assert python(code) == ["True", "True"]


def test_autocast_answers_without_onednns_lstm():
    """As on a processor without AVX-512: oneDNN is told to keep to AVX2."""
    code = """
import torch
from rnnlit import nn
from rnnlit.tools import private_torch
torch.manual_seed(0)
layer, x = nn.LSTM(3, 4, num_layers=2), torch.randn(6, 3, 3)
model = nn.EncoderDecoder(8, 8, 5, 6, cell="lstm")
with torch.autocast("cpu", torch.bfloat16):
    has = private_torch.has_lstm(torch.bfloat16, True)
    found = layer(x)[0], layer(x, lengths=[6, 3, 1])[0]
    loss = model.loss(torch.full((4, 2), 4), None, torch.full((3, 2), 5))
    says = "does not run in this precision" in layer.kernel(x)
eager = layer(x)[0], layer(x, lengths=[6, 3, 1])[0]
off = max(float((a.float() - b).detach().abs().max()) for a, b in zip(found, eager))
loss.backward()
print(says != has, off < 0.05, found[0].dtype, bool(loss.isfinite()))
"""
    for limit in ("AVX2", "ALL"):
        assert python(code, ONEDNN_MAX_CPU_ISA=limit) == ["True", "True", "torch.bfloat16", "True"]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_follows_is_true_where_something_follows():
    seen = []

    def look(x):
        seen.append(private_torch.follows())
        return x.sin().sum()

    x = torch.ones(3)
    look(x)
    x.clone().requires_grad_().sin().sum().backward()
    assert seen == [False]
    torch.func.grad(look)(x)
    torch.func.vmap(look)(x)
    with forward_ad.dual_level():
        look(forward_ad.make_dual(x, x))
    torch.jit.trace(look, x, check_trace=False)
    assert seen == [False, *[True] * 4]
    look(x)
    assert seen[-1] is False


def test_without_private_names_plain_calls_go_on(monkeypatch):
    layer, x = nn.LSTM(3, 4, layer_norm=True), torch.randn(5, 2, 3)
    expected = layer(x)[0]
    monkeypatch.setattr(private_torch, "C", SimpleNamespace())
    found = layer(x)[0]
    found.sum().backward()
    assert torch.equal(found, expected)
    assert not private_torch.vmaps()


def test_a_trace_refuses_another_number_of_steps():
    layer = nn.GRU(3, 4, layer_norm=True).requires_grad_(False)
    with pytest.warns((torch.jit.TracerWarning, DeprecationWarning)):
        traced = torch.jit.trace(layer, torch.randn(5, 2, 3), check_trace=False)
    with pytest.raises(torch.jit.Error, match="was traced for 5 steps, got 7"):
        traced(torch.randn(7, 2, 3))


def test_readable_numbers():
    values, seen = torch.tensor([1, 2]), []
    assert private_torch.readable(values)
    assert not private_torch.readable(values.to("meta"))
    torch.func.vmap(lambda v: seen.append(private_torch.readable(v)) or v)(values)
    assert seen == [False]


def test_torch_compile_is_told_why_a_scan_stays_outside():
    """In one graph (fullgraph) that is an error with the reason; a single step has no loop, so it goes in."""
    layer, x = nn.LSTM(3, 4, layer_norm=True), torch.randn(5, 2, 3)
    whole = torch.compile(lambda x: layer(x)[0], backend="eager", fullgraph=True)
    with torch._dynamo.config.patch(allow_rnn=True):  # torch.compile has a refusal of its own before that
        torch._dynamo.reset()
        with pytest.raises(RuntimeError, match=re.escape(private_torch.WHY_APART)):
            whole(x)
        torch._dynamo.reset()
        torch.testing.assert_close(whole(x[:1]), layer(x[:1])[0])
