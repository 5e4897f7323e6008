"""Attention in torch against the reference, whose backward pass is derived by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit import attention, attention_torch
from rnnlit.attention import SCORES, WINDOWS
from rnnlit.attention_torch import Attention
from rnnlit.tools.optim import named_arrays
from tests.tolerances import TOLERANCE

T, B, S, Q, K, A = 5, 2, 6, 3, 4, 7
LENGTHS = [4, 6]
EXACT = TOLERANCE[np.float64]
every_score = pytest.mark.parametrize("score", SCORES)
every_window = pytest.mark.parametrize("window", WINDOWS)
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def layer(score, window=None, dtype=torch.float64, D=3, K=K, max_length=5, **options):
    torch.manual_seed(0)
    K = Q if "dot" in score else K
    return Attention(score, Q, K, size=A, window=window, D=D, max_length=max_length, dtype=dtype, **options)


def noise(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def draw(module, dtype=torch.float64):
    return noise(T, B, Q, dtype=dtype), noise(S, B, module.key_size, seed=2, dtype=dtype)


@every_window
@every_score
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_all_gradients_are_those_of_the_reference(score, window, lengths, dtype):
    same = getattr(torch, np.dtype(dtype).name)
    module = layer(score, window, same)
    leaves = [x.requires_grad_() for x in draw(module, same)]
    context, weights = module(*leaves, lengths, position=3)
    dcontext, dweights = (noise(*x.shape, seed=3, dtype=x.dtype) for x in (context, weights))
    ((context * dcontext).sum() + (weights * dweights).sum()).backward()

    params, (query, keys) = module.params(), (x.detach().numpy() for x in leaves)
    run = attention.forward(params, query, keys, lengths, window=window, D=3, position=3)
    grads = attention.backward(params, run, dcontext.numpy(), dweights.numpy())
    np.testing.assert_allclose(context.detach(), run.context, **TOLERANCE[dtype])
    np.testing.assert_allclose(weights.detach(), run.weights, **TOLERANCE[dtype])
    np.testing.assert_array_equal(weights.detach().numpy() == 0, run.weights == 0)
    for mine, theirs in zip(leaves, (grads.query, grads.keys), strict=True):
        np.testing.assert_allclose(mine.grad, theirs, **TOLERANCE[dtype])
    want = named_arrays(grads.params)
    assert [name for name, _ in module.named_parameters()] == list(want)
    for name, weight in module.named_parameters():
        np.testing.assert_allclose(weight.grad, want[name], **TOLERANCE[dtype], err_msg=name)


@every_window
@every_score
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_shape_and_any_lengths(score, window, data):
    T, B, S, D, rows = (data.draw(st.integers(1, 6), label=name) for name in ("T", "B", "S", "D", "rows"))
    lengths = data.draw(st.lists(st.integers(1, S), min_size=B, max_size=B), label="lengths")
    position = data.draw(st.integers(0, 4), label="position")
    module = layer(score, window, D=D, max_length=rows)
    query, keys = noise(T, B, Q), noise(S, B, module.key_size, seed=2)
    context, weights = module(query, keys, torch.tensor(lengths), position=position)
    run = attention.forward(
        module.params(), query.numpy(), keys.numpy(), lengths, window=window, D=D, position=position
    )
    np.testing.assert_allclose(context.detach(), run.context, **EXACT)
    np.testing.assert_allclose(weights.detach(), run.weights, **EXACT)


@every_window
@every_score
def test_steps_with_a_memory_are_the_whole(score, window):
    module = layer(score, window)
    query, keys = draw(module)
    memory = module.prepare(keys, LENGTHS)
    context, weights = module(query, keys, LENGTHS)
    for t in range(T):
        one, row = module(query[t], memory, position=t)
        assert one.shape == (B, module.key_size) and row.shape == (B, S)
        torch.testing.assert_close(one, context[t], **EXACT)
        torch.testing.assert_close(row, weights[t], **EXACT)
        many, rows = module(query[t : t + 1], memory, position=t)
        torch.testing.assert_close(many[0], one, **EXACT)
        torch.testing.assert_close(rows[0], row, **EXACT)


@every_window
@every_score
def test_a_memory_can_be_reordered(score, window):
    module = layer(score, window)
    query, keys = draw(module)
    rows = np.array([1, 1, 0])
    for lengths in (None, LENGTHS):
        memory = module.prepare(keys, lengths).select(rows)
        got = module(query[:, rows], memory)
        want = module(query, keys, lengths)
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b[:, rows], **EXACT)


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
@every_window
@every_score
def test_padding_may_hold_anything_and_gets_no_gradient(score, window):
    module = layer(score, window)
    query, keys = draw(module)
    other = keys.clone()
    other[4:, 0] = float("nan")
    other.requires_grad_()
    with torch.autograd.detect_anomaly(check_nan=True):  # no NaN on the way either
        context, weights = module(query, other, LENGTHS, position=5)  # local_m: beyond the end
        (context.sum() + (weights * noise(*weights.shape)).sum()).backward()
    for a, b in zip((context, weights), module(query, keys, LENGTHS, position=5), strict=True):
        assert torch.equal(a, b)
    assert not other.grad[4:, 0].any() and other.grad.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in module.parameters())


@every_score
def test_one_valid_position_gets_all_the_weight(score):
    module = layer(score, dtype=torch.float32)
    query, keys = (1e4 * x for x in draw(module, torch.float32))
    context, weights = module(query, keys, [1, 1])
    want = torch.eye(S)[0].expand(T, B, S)
    assert torch.equal(weights, want)
    torch.testing.assert_close(context, keys[0].expand(T, B, -1))


@every_window
@every_score
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_near_float32_and_finite(score, window, dtype):
    module = layer(score, window, torch.float32)
    query, keys = draw(module, torch.float32)
    query.requires_grad_()
    want = module(query, keys, LENGTHS)
    with torch.autocast("cpu", dtype=dtype):
        got = module(query, keys, LENGTHS)
        half = module(query, keys.to(dtype), LENGTHS)  # as an encoder under autocast leaves them
        beyond = module(query, keys, LENGTHS, position=20)
    for mine in (got, half):
        for a, b in zip(mine, want, strict=True):
            # bfloat16 keeps 8 bits: 1 % of a score of some units, and of each key in the sum
            torch.testing.assert_close(a.float(), b, rtol=0.1, atol=0.1)
        assert not mine[1][:, 0, 4:].any()
    got[0].float().sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in (query, *module.parameters()))
    assert beyond[0].isfinite().all()


def test_a_place_far_out_is_not_rounded_to_half_precision():
    """Half precision knows no position between 200 and 201; p is computed in the weights' precision."""
    module = layer("general", "local_p", torch.float32)
    query, keys = noise(T, B, Q, dtype=torch.float32), noise(300, B, K, dtype=torch.float32)
    with torch.no_grad():
        module.place["v"].copy_(torch.tensor([1.0, 1.0, 1.0]))
        module.place["weight"].copy_(0.25 * torch.eye(Q))
        memory = module.prepare(keys)
        want = module._away(query.transpose(0, 1), memory)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = module._away(query.transpose(0, 1), memory)
    assert got.dtype == torch.float32 and (want[..., 0] != want[..., 0].round()).all()
    # what remains is the rounding of u: 2^-8 of it, times 300 / 4 at most
    torch.testing.assert_close(got, want, atol=1.0, rtol=0)


def test_lengths_come_as_list_array_or_tensor():
    module = layer("additive")
    query, keys = draw(module)
    want = module(query, keys, LENGTHS)
    for lengths in (np.array(LENGTHS), torch.tensor(LENGTHS), torch.tensor(LENGTHS, dtype=torch.int32)):
        for a, b in zip(module(query, keys, lengths), want, strict=True):
            assert torch.equal(a, b)
    assert module.prepare(keys, [S, S]).padding is None


@pytest.mark.gpu
@GPU
@every_window
@every_score
def test_gpu_is_the_cpu(score, window):
    module = layer(score, window)
    query, keys = draw(module)
    want = module(query, keys, LENGTHS, position=1)
    got = module.cuda()(query.cuda(), keys.cuda(), torch.tensor(LENGTHS).cuda(), position=1)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.cpu(), b, **EXACT)
    with torch.autocast("cuda", dtype=torch.float16):
        assert module.float()(query.cuda().float(), keys.cuda().float(), LENGTHS)[0].isfinite().all()


@every_window
@every_score
def test_parameters_go_to_numpy_and_back(score, window):
    module, other = layer(score, window), layer(score, window)
    for weight in other.parameters():
        torch.nn.init.zeros_(weight)
    params = module.params()
    assert {name: a.shape for name, a in named_arrays(params).items()} == {
        name: tuple(weight.shape) for name, weight in module.state_dict().items()
    }
    other.load_params(params)
    for a, b in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    for a in named_arrays(params).values():  # copies, not views
        a += 1
    for a, b in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    drawn = attention.init(
        score, Q, module.key_size, rng=np.random.default_rng(0), size=A, window=window, max_length=5
    )
    assert list(named_arrays(drawn)) == list(module.state_dict())
    with pytest.raises(RuntimeError, match="score"):
        layer("general").load_params(layer("additive").params())


def test_the_start_is_that_of_the_reference():
    module = Attention("additive", 300, 400, size=500, window="local_p")
    for weight in module.parameters():
        bound = weight.shape[-1] ** -0.5
        assert 0.95 * bound < weight.abs().max() <= bound


def test_the_faces_are_the_attention():
    query, keys = noise(T, B, Q), noise(S, B, K, seed=2)
    double = dict(dtype=torch.float64)
    for face, score, window in [
        (attention_torch.AdditiveAttention(Q, K, A, **double), "additive", None),
        (attention_torch.GeneralAttention(Q, K, **double), "general", None),
        (attention_torch.ConcatAttention(Q, K, **double), "concat", None),
        (attention_torch.LocationAttention(Q, K, 9, **double), "location", None),
        (attention_torch.LocalAttention(Q, K, D=2, **double), "general", "local_p"),
        (
            attention_torch.LocalAttention(Q, K, score="additive", window="local_m", D=2, **double),
            "additive",
            "local_m",
        ),
    ]:
        assert (face.kind, face.window) == (score, window)
        params = face.params()
        run = attention.forward(params, query.numpy(), keys.numpy(), LENGTHS, window=window, D=2)
        np.testing.assert_allclose(face(query, keys, LENGTHS)[0].detach(), run.context, **EXACT)
    dot = attention_torch.DotAttention(Q)
    assert not list(dot.parameters())
    torch.testing.assert_close(
        dot(query, keys[..., :Q])[1], torch.einsum("tbq,sbq->tbs", query, keys[..., :Q]).softmax(-1), **EXACT
    )


def test_sample_draws_with_the_weights():
    weights = torch.tensor([[[0.1, 0.9, 0.0], [0.5, 0.0, 0.5]]], dtype=torch.float64).requires_grad_()
    generator = torch.Generator().manual_seed(0)
    many = weights.expand(4000, 2, 3)
    position, log_probability = attention_torch.sample(many, generator=generator)
    assert position.shape == log_probability.shape == (4000, 2)
    for row in range(2):
        share = torch.bincount(position[:, row], minlength=3) / 4000
        # five standard errors, sqrt(p (1 - p) / 4000) <= 0.008
        assert (share - weights[0, row]).abs().max() < 0.04 and share[2 - row] == 0
    torch.testing.assert_close(log_probability, many.gather(2, position[..., None])[..., 0].log(), **EXACT)
    # E[gradient of log p] = 0, so each weight's mean gradient is 1, whatever it is: share / weight.
    log_probability.sum().backward()
    torch.testing.assert_close(weights.grad[0, 1, [0, 2]] / 4000, torch.ones(2).double(), atol=0.1, rtol=0)


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (dict(query=np.zeros((T, B, Q))), TypeError, r"query: expected a tensor \(T, B, Q\) or \(B, Q\)"),
        (dict(query=noise(T, B, K)), ValueError, r"query: expected shape .* with Q = 3, got \(5, 2, 4\)"),
        (dict(query=noise(T, 3, Q)), ValueError, "query: expected a batch of B = 2 like the keys"),
        (dict(query=noise(T, B, Q).float()), TypeError, "query: expected torch.float64 like the weights"),
        (dict(query=torch.ones(T, B, Q, dtype=int)), TypeError, "query: expected a floating dtype"),
        (dict(memory=noise(B, K)), ValueError, r"keys: expected shape \(S, B, K\) with K = 4, got \(2, 4\)"),
        (dict(memory=noise(0, B, K)), ValueError, r"keys: expected shape .* got \(0, 2, 4\)"),
        (dict(memory=None), TypeError, r"keys: expected a tensor \(S, B, K\), got NoneType"),
        (dict(lengths=[2, 7]), ValueError, "lengths: expected 1 <= length"),
        (dict(lengths=[2.0, 3.0]), TypeError, "lengths: expected integers"),
        (dict(position=-1), ValueError, "position: expected an integer of at least 0"),
    ],
)
def test_bad_arguments_are_named(changes, error, words):
    module = layer("additive")
    query, keys = draw(module)
    with pytest.raises(error, match=words):
        module(**(dict(query=query, memory=keys) | changes))


def test_lengths_belong_to_the_keys():
    module = layer("additive")
    query, keys = draw(module)
    with pytest.raises(ValueError, match="lengths: expected None"):
        module(query, module.prepare(keys, LENGTHS), LENGTHS)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(score="cosine"), "score: expected one of additive, dot"),
        (dict(score="dot"), "Q = 3 and K = 4; the score general takes any two"),
        (dict(score="location"), "max_length: location needs the largest source length"),
        (dict(score="general", window="global"), "window: expected None, local_m or local_p"),
        (dict(score="general", window="local_m", D=0), "D: expected a positive integer"),
        (dict(score="general", query_size=0), "query_size: expected a positive integer"),
    ],
)
def test_bad_choices_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        Attention(**(dict(query_size=Q, key_size=K) | arguments))


@pytest.mark.parametrize("score", ["additive", "general", "concat", "location"])
def test_every_weight_starts_in_the_reference_s_range_on_both_sides(score):
    torch.manual_seed(0)
    module = Attention(score, 60, 80, size=70, max_length=50, window="local_p")
    sizes = {name: weight.shape for name, weight in module.named_parameters()}
    assert {"place.weight": (60, 60), "place.v": (60,)}.items() <= sizes.items() and len(sizes) > 2
    for weight in module.parameters():
        k = weight.shape[-1] ** -0.5
        assert 0.8 * k < weight.max() <= k and -k <= weight.min() < -0.8 * k


def test_sample_draws_from_the_generator_alone():
    weights = torch.full((40, 9), 1 / 9)
    before = torch.get_rng_state()
    first, again, other = (
        attention_torch.sample(weights, generator=torch.Generator().manual_seed(seed))[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
