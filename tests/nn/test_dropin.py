"""What our layers and cells tell those of torch's tools that go by the exact class; see also test_matrix."""

import re

import pytest
import torch

from rnnlit import nn
from tests.nn.matrix import CLOSE, B, H, I, T, flat, same

LAYERS, CELLS = ("LSTM", "GRU", "RNN"), ("LSTMCell", "GRUCell", "RNNCell")
OPTIONS = [
    ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False, "dropout": 0.5}),
    ("LSTM", {"proj_size": 2}),
    ("RNN", {"nonlinearity": "relu"}),
    ("RNNCell", {"nonlinearity": "relu", "bias": False}),
    *[(kind, {}) for kind in (*LAYERS, *CELLS)],
]
REFUSED = [
    ("LSTM", {"peephole": True}, "peephole"),
    ("GRU", {"reset_after": False}, "reset_after=False"),
    ("RNN", {"zoneout": 0.2}, "zoneout"),
    ("LSTM", {"weight_drop": 0.2}, "weight_drop"),
    ("GRU", {"layer_norm": True, "input_dropout": 0.2}, "layer_norm, input_dropout"),
    ("LSTMCell", {"layer_norm": True}, "layer_norm"),
]


# torch says so of its own LSTM as well.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def made(kind, options):
    torch.manual_seed(0)
    return getattr(nn, kind)(I, H, **options)


def noise(kind):
    torch.manual_seed(1)
    return torch.randn(B, I) if "Cell" in kind else torch.randn(T, B, I)


@pytest.mark.parametrize("kind, options", OPTIONS)
def test_as_torch_is_torchs_module_on_the_same_parameters(kind, options):
    layer = made(kind, options)
    torchs = layer.as_torch()
    assert type(torchs) is getattr(torch.nn, kind)
    assert torchs.extra_repr() == layer.extra_repr()
    assert torchs.training
    assert [*map(id, torchs.parameters())] == [*map(id, layer.parameters())]
    same(flat(torchs.eval()(noise(kind))), flat(layer.eval()(noise(kind))))


@pytest.mark.parametrize("kind, options, name", REFUSED)
def test_what_torch_has_not_is_named(kind, options, name):
    layer = made(kind, options)
    with pytest.raises(ValueError, match=rf"as_torch: rnnlit\.nn\.{kind} with {name} is not known to torch"):
        layer.as_torch()
    with pytest.raises(RuntimeError, match=rf"jit\.script: rnnlit\.nn\.{kind} with {name} has no form"):
        layer.__prepare_scriptable__()


def test_what_only_drops_is_torchs_in_evaluation():
    layer = made("LSTM", {"recurrent_dropout": 0.3, "weight_drop": 0.2, "output_dropout": 0.5}).eval()
    same(flat(layer.as_torch()(noise("LSTM"))), flat(layer(noise("LSTM"))))


@pytest.mark.parametrize(
    "module",
    [
        lambda: nn.Bidirectional.of("gru", I, H),
        lambda: nn.Attention("dot", H, H),
        lambda: nn.EncoderDecoder(8, 9, I, H),
    ],
)
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:DeprecationWarning")
def test_script_of_other_modules_is_refused(module):
    module = module()
    words = rf"torch\.jit\.script: rnnlit\.nn\.{type(module).__name__} has no form in TorchScript"
    with pytest.raises(RuntimeError, match=words):
        torch.jit.script(torch.nn.Sequential(module))


def quantized(layer, asked):
    model = torch.nn.Sequential(torch.nn.Linear(I, I), layer)
    return torch.ao.quantization.quantize_dynamic(model, asked, dtype=torch.qint8)


@pytest.mark.filterwarnings("ignore:.*deprecated", "ignore:torch.quantize_per_tensor:UserWarning")
def test_quantization_says_when_a_layer_would_be_passed_over():
    layer = made("LSTM", {})
    for asked in ({torch.nn.LSTM}, {nn.LSTM}, None):
        with pytest.raises(RuntimeError, match=r"rnnlit\.nn\.LSTM would stay as it is: put its as_torch\(\)"):
            quantized(layer, asked)
    model = quantized(layer, {torch.nn.Linear})  # nobody asked for it
    assert type(model[1]) is nn.LSTM
    assert "quantized" in type(model[0]).__module__
    assert "quantized" in type(quantized(layer.as_torch(), {torch.nn.LSTM})[1]).__module__
    with pytest.raises(RuntimeError, match=r"layer_norm would stay as it is: put layers of torch\.nn\.GRU"):
        quantized(made("GRU", {"layer_norm": True}), {torch.nn.GRU})


def test_fx_takes_a_call_with_all_its_arguments_as_one_node():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = made("GRU", {"layer_norm": True})

        def forward(self, x, lengths):
            output, last = self.layer(x, lengths=lengths)
            return output, last

    net, lengths = Net(), torch.tensor([3, 5])
    traced = torch.fx.symbolic_trace(net)
    calls = [node for node in traced.graph.nodes if node.op == "call_module"]
    assert [node.target for node in calls] == ["layer"]
    same(traced(noise("GRU"), lengths), net(noise("GRU"), lengths))


@pytest.mark.parametrize("options", [{"peephole": True}, {"peephole": True, "chrono": 9.0}])
@pytest.mark.parametrize("kind", ["LSTM", "LSTMCell"])
def test_reset_draws_what_the_constructor_drew(kind, options):
    layer = made(kind, options)
    drawn = [p.clone() for p in layer.parameters()]
    torch.manual_seed(0)
    layer.reset_parameters()
    for p, first in zip(layer.parameters(), drawn, strict=True):
        assert torch.equal(p, first)


@pytest.mark.parametrize("kind", LAYERS)
def test_reset_of_sizes_and_of_torchs_layer(kind):
    layer = made(kind, {})
    torch.manual_seed(0)
    torchs = getattr(torch.nn, kind)(I, H)
    for p, q in zip(layer.parameters(), torchs.parameters(), strict=True):
        assert torch.equal(p, q)
    torch.manual_seed(0)
    sizes = getattr(nn, kind)(I, (H, 6), bidirectional=True)
    torch.manual_seed(0)
    drawn = [p.clone() for p in sizes.parameters()]
    sizes.reset_parameters()
    for p, first in zip(sizes.parameters(), drawn, strict=True):
        assert torch.equal(p, first)
    assert max(p.abs().max() for name, p in sizes.named_parameters() if "l1" in name) < 6**-0.5


def test_matrices_alone_can_be_made_orthogonal():
    """A peephole's weight is a vector, as LayerNorm's is: torch refuses both alike."""
    for weight in (made("LSTM", {"peephole": True}).weight_ci_l0, torch.nn.LayerNorm(H).weight):
        with pytest.raises(ValueError, match="2 or more dimensions"):
            torch.nn.init.orthogonal_(weight)


def test_kernel_names_the_loop_of_vmap():
    layer, said = made("LSTM", {}), []
    torch.func.vmap(lambda x: said.append(layer.kernel(x)) or x)(noise("LSTM").expand(2, T, B, I))
    assert said == ["our loop, because torch's kernels have no rule for torch.func.vmap"]
    assert layer.kernel(noise("LSTM")) == "torch's own call"


def test_a_projection_under_vmap_fails_as_torchs():
    x = noise("LSTM").expand(2, T, B, I)
    words = []
    for module in (nn, torch.nn):
        layer = module.LSTM(I, H, proj_size=2)
        with pytest.raises(RuntimeError, match="Batching rule not implemented") as error:
            torch.func.vmap(layer)(x)
        words.append(re.sub(r"\s+", " ", str(error.value))[:60])
    assert words[0] == words[1]


@pytest.mark.parametrize("lengths", [None, [], torch.zeros(0, dtype=torch.int64)])
@pytest.mark.parametrize(
    "kind, options", [("GRU", {}), ("LSTM", {"layer_norm": True}), ("RNN", {"zoneout": 0.2})]
)
def test_an_empty_batch_with_all_that_a_call_takes(kind, options, lengths):
    layer = made(kind, {"num_layers": 2, "bidirectional": True, **options})
    x = torch.zeros(40, 0, I, requires_grad=True)
    h = torch.zeros(4, 0, H)
    hx = (h, h) if kind == "LSTM" else h
    output, last, states = layer(x, hx, lengths=lengths, return_all_states=True)
    assert output.shape == (40, 0, 2 * H)
    assert {t.shape for t in flat(last)} == {(4, 0, H)}
    assert {t.shape for t in flat(states)} == {(4, 40, 0, H)}
    output.sum().backward()
    assert x.grad.shape == x.shape
    both = nn.Bidirectional(made(kind, options), made(kind, options))
    assert both(x.detach(), lengths=lengths)[0].shape == output.shape


def test_output_sizes_follow_projections_and_sizes():
    layers = [made("LSTM", {"proj_size": 2}), nn.GRU(I, (H, 6), bidirectional=True), made("RNN", {})]
    for layer in layers:
        assert layer(noise("LSTM"))[0].shape[-1] == layer.output_size
    stack = nn.bidirectional.Stacked.of("lstm", I, H, 3, proj_size=2)
    assert stack(noise("LSTM"))[0].shape == (T, B, 4)
    article = nn.bidirectional.Article.of("gru", I, (H, 6), 7)
    assert article(noise("GRU"))[0].shape == (T, B, 7)


@pytest.mark.parametrize(
    "options",
    [{"recurrent_dropout": 0.5}, {"zoneout": 0.5}, {"input_dropout": 0.5}, {"weight_drop": 0.5}],
)
def test_vmap_draws_for_each_example_if_asked(options):
    """Three equal examples: one mask for all, or for each its own; and torch.nn.Dropout does the same."""
    xs = noise("GRU").expand(3, T, B, I)
    for module in (made("GRU", options), torch.nn.Dropout(0.5)):
        others = {}
        for randomness in ("same", "different"):
            found = torch.func.vmap(lambda x, m=module: flat(m(x))[0], randomness=randomness)(xs)
            others[randomness] = sum(not torch.allclose(one, found[0], **CLOSE) for one in found[1:])
        assert others == {"same": 0, "different": 2}
