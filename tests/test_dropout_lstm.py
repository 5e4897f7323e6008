"""The LSTM with dropout: the plain cell, central differences, autograd, and the masks' own laws."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit import dropout, dropout_lstm, dropout_lstm_torch, lstm
from rnnlit.dropout_lstm import Dropped
from rnnlit.dropout_masks import KINDS, Masks
from rnnlit.tasks.reader import Reader
from rnnlit.tools import layers
from rnnlit.tools.gradcheck import central_differences
from tests.tolerances import DIFFERENCES, TOLERANCE

EXACT = TOLERANCE[np.float64]
T, B, I, H = 5, 2, 3, 4
every_kind = pytest.mark.parametrize("kind", KINDS)
PER_STEP = {
    "zaremba": ("x", "out"),
    "naive_h": ("h",),
    "naive_c": ("c",),
    "semeniuta": ("g",),
    "zoneout": ("zoneout_h", "zoneout_c"),
}
PER_SEQUENCE = {"gal": ("x", "h"), "rnndrop": ("c",)}


def inputs(T=T, B=B, I=I, H=H, dtype=np.float64, seed=0):
    """Parameters without zeros, an input, two initial states."""
    rng = np.random.default_rng(seed)
    params = lstm.init(I, H, rng=rng, dtype=dtype)
    params = lstm.Params(*((a + 0.3 * rng.standard_normal(a.shape)).astype(dtype) for a in params))
    return params, *(rng.standard_normal(s).astype(dtype) for s in ((T, B, I), (B, H), (B, H)))


def masks_of(kind, p=0.4, seed=3, dtype=np.float64, T=T, B=B, I=I, H=H, **options):
    rng = np.random.default_rng(seed)
    return dropout_lstm.draw(kind, p, T, B, I, H, rng=rng, dtype=dtype, **options)


def everywhere(seed=8):
    """All eight masks at once, of numbers that are neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    shapes = dict(x=(T, B, I), weight_hh=(4 * H, H), g=(1, B, H), c=(1, B, H))
    return Masks(**{n: rng.uniform(0.2, 1.5, shapes.get(n, (T, B, H))) for n in Masks._fields})


ALL = [(kind, masks_of(kind)) for kind in KINDS]
ALL += [("all", everywhere()), ("evaluation", dropout_lstm.evaluation("zoneout", 0.3, B, H, dtype=float))]
every_mask = pytest.mark.parametrize("masks", [m for _, m in ALL], ids=[name for name, _ in ALL])


@pytest.mark.parametrize("lengths", [None, [3, 5]], ids=str)
@every_kind
def test_without_dropout_it_is_the_plain_lstm(kind, lengths):
    params, x, h0, c0 = inputs()
    want = lstm.forward(params, x, h0, c0, lengths)
    rng = np.random.default_rng(1)
    dh, dc, dh_n, dc_n = (rng.standard_normal(s) for s in ((T, B, H), (T, B, H), (B, H), (B, H)))
    gradients = lstm.backward(params, want, dh, dc, dh_n, dc_n)
    for masks in (None, masks_of(kind, p=0.0)):
        run = dropout_lstm.forward(params, x, masks, h0, c0, lengths)
        for name in ("h", "c", "gates", "h_n", "c_n"):
            np.testing.assert_allclose(getattr(run, name), getattr(want, name), **EXACT)
        np.testing.assert_allclose(run.state_n, want.h_n, **EXACT)
        got = dropout_lstm.backward(params, run, dh, dc, dh_n, dc_n)
        for a, b in zip((*got.params, *got[1:]), (*gradients.params, *gradients[1:]), strict=True):
            np.testing.assert_allclose(a, b, **EXACT)


@pytest.mark.parametrize("lengths", [None, [3, 5]], ids=str)
@every_mask
def test_backward_matches_central_differences(masks, lengths):
    arrays = inputs()
    params, x, h0, c0 = arrays
    rng = np.random.default_rng(2)
    dh, dc, dh_n, dc_n = (rng.standard_normal(s) for s in ((T, B, H), (T, B, H), (B, H), (B, H)))

    def loss():
        run = dropout_lstm.forward(params, x, masks, h0, c0, lengths)
        return (run.h * dh).sum() + (run.c * dc).sum() + (run.h_n * dh_n).sum() + (run.c_n * dc_n).sum()

    run = dropout_lstm.forward(params, x, masks, h0, c0, lengths)
    got = dropout_lstm.backward(params, run, dh, dc, dh_n, dc_n)
    want = central_differences(loss, arrays)
    for a, b in zip((*got.params, *got[1:]), (*want[0], *want[1:]), strict=True):
        np.testing.assert_allclose(a, b, **DIFFERENCES)


@every_mask
def test_gates_are_zero_after_a_sequence_s_end_and_nowhere_else(masks):
    params, x, h0, c0 = inputs()
    gates = dropout_lstm.forward(params, x, masks, h0, c0, [3, 5]).gates
    assert gates[:3].all() and gates[3:, 1].all() and not gates[3:, 0].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [None, [3, 5]], ids=str)
@every_mask
def test_twin_gives_the_same_values_and_gradients(masks, lengths, dtype):
    params, x, h0, c0 = inputs(dtype=dtype)
    masks = Masks(*(None if m is None else m.astype(dtype) for m in masks))
    rng = np.random.default_rng(4)
    weights = [rng.standard_normal(s).astype(dtype) for s in ((T, B, H), (T, B, H), (B, H), (B, H))]
    run = dropout_lstm.forward(params, x, masks, h0, c0, lengths)
    grads = dropout_lstm.backward(params, run, *weights)
    assert run.h.dtype == grads.params.weight_hh.dtype == grads.x.dtype == dtype

    leaves = [torch.tensor(a, requires_grad=True) for a in (*params, x, h0, c0)]
    tensors = Masks(*(None if m is None else torch.tensor(m) for m in masks))
    twin = dropout_lstm_torch.forward(leaves[:4], leaves[4], tensors, *leaves[5:], lengths)
    outputs = (twin.h, twin.c, twin.h_n, twin.c_n)
    sum((o * torch.tensor(w)).sum() for o, w in zip(outputs, weights, strict=True)).backward()
    for name in ("h", "c", "h_n", "c_n", "state_n"):
        np.testing.assert_allclose(getattr(twin, name).detach(), getattr(run, name), **TOLERANCE[dtype])
    for leaf, want in zip(leaves, (*grads.params, *grads[1:]), strict=True):
        np.testing.assert_allclose(leaf.grad, want, **TOLERANCE[dtype])


@every_mask
def test_steps_with_the_masks_of_a_step_are_forward(masks):
    params, x, h, c = inputs()
    run = dropout_lstm.forward(params, x, masks, h, c)
    for t in range(T):
        h, c = dropout_lstm.step(params, x[t], h, c, dropout_lstm.of_step(masks, t))
        read = h if masks.out is None else masks.out[t if len(masks.out) > 1 else 0] * h
        np.testing.assert_allclose(read, run.h[t], **EXACT)
        np.testing.assert_allclose(c, run.c[t], **EXACT)


def test_a_step_without_masks_is_the_plain_lstm_s_and_a_wrong_mask_is_named():
    params, x, h, c = inputs()
    for got, want in zip(dropout_lstm.step(params, x[0], h, c), lstm.step(params, x[0], h, c), strict=True):
        np.testing.assert_allclose(got, want, **EXACT)
    for name, shape in (("x", (B, H)), ("g", (T, B, H)), ("zoneout_c", (H,)), ("weight_hh", (H, 4 * H))):
        with pytest.raises(ValueError, match=rf"masks\.{name}: expected shape"):
            dropout_lstm.step(params, x[0], h, c, Masks(**{name: np.ones(shape)}))
    with pytest.raises(TypeError, match="masks: expected Masks or None, got tuple"):
        dropout_lstm.step(params, x[0], h, c, (np.ones((B, I)),))
    with pytest.raises(ValueError, match="h: expected shape"):
        dropout_lstm.step(params, x[0], h[:, :2], c)


@settings(deadline=None, max_examples=25)
@given(st.data(), st.integers(2, 6), st.integers(2, 4), st.integers(2, 5), st.sampled_from(KINDS))
def test_padding_changes_nothing(data, T, B, H, kind):
    lengths = data.draw(st.lists(st.integers(1, T), min_size=B, max_size=B))
    params, x, h0, c0 = inputs(T, B, I, H)
    masks = masks_of(kind, T=T, B=B, H=H)
    run = dropout_lstm.forward(params, x, masks, h0, c0, lengths)
    other = x.copy()
    for b, length in enumerate(lengths):
        other[length:, b] = 7.0
        one = Masks(*(m if m is None or len(m) == 4 * H else m[:length, b : b + 1] for m in masks))
        if kind == "weight_drop":
            one = masks
        alone = dropout_lstm.forward(params, x[:length, b : b + 1], one, h0[b : b + 1], c0[b : b + 1])
        np.testing.assert_allclose(run.h[:length, b], alone.h[:, 0], **EXACT)
        np.testing.assert_allclose(run.c_n[b], alone.c_n[0], **EXACT)
        np.testing.assert_allclose(run.h_n[b], alone.h_n[0], **EXACT)
        assert not run.h[length:, b].any() and not run.c[length:, b].any()
    again = dropout_lstm.forward(params, other, masks, h0, c0, lengths)
    np.testing.assert_array_equal(again.h, run.h)
    dh = np.random.default_rng(0).standard_normal(run.h.shape)
    a, b = (dropout_lstm.backward(params, r, dh) for r in (run, again))
    for one, two in zip(a.params, b.params, strict=True):
        np.testing.assert_allclose(one, two, **EXACT)


@pytest.mark.parametrize("twin", [False, True], ids=["numpy", "torch"])
@every_kind
def test_each_kind_draws_its_masks_and_no_others(kind, twin):
    def draw(**options):
        if twin:
            g = torch.Generator().manual_seed(0)
            return dropout_lstm_torch.draw(kind, 0.5, 40, B, I, H, generator=g, **options)
        return masks_of(kind, 0.5, T=40, dtype=np.float32, **options)

    masks = draw()
    present = {name for name, m in masks._asdict().items() if m is not None}
    extra = {"rnndrop": {"h", "out"}, "weight_drop": {"weight_hh"}}.get(kind, set())
    assert present == {*PER_STEP.get(kind, ()), *PER_SEQUENCE.get(kind, ())} | extra
    for name in PER_STEP.get(kind, ()):
        m = np.asarray(getattr(masks, name))
        assert len(m) == 40 and (m != m[0]).any()
        assert len(getattr(draw(per_sequence=True), name)) == 1
    for name in PER_SEQUENCE.get(kind, ()):
        assert len(getattr(masks, name)) == 1
    if kind == "weight_drop":
        assert masks.weight_hh.shape == (4 * H, H)


def test_one_mask_per_sequence_holds_at_every_step():
    """rnnDrop: a dropped unit is 0 at all steps, a kept one at none; naive: neither."""
    params, x, *_ = inputs(T=30)
    fixed = masks_of("rnndrop", 0.5, T=30)
    c = dropout_lstm.forward(params, x, fixed).c
    np.testing.assert_array_equal(c != 0, np.broadcast_to(fixed.c != 0, c.shape))
    c = dropout_lstm.forward(params, x, masks_of("naive_c", 0.5, T=30)).c
    share = (c == 0).mean(0)
    assert ((share > 0) & (share < 1)).all()


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("none", "zoneout")])
def test_what_a_layer_reads_has_the_mean_of_evaluation(kind):
    """Inverted masks have mean 1 (rnnDrop: c times h's scale), within 5 standard errors of 4000 draws."""
    rng, products = np.random.default_rng(6), []
    for _ in range(4000):
        m = dropout_lstm.draw(kind, 0.3, 2, B, I, H, rng=rng, dtype=np.float64)
        factors = [v.ravel()[0] for n, v in m._asdict().items() if v is not None and n != "out"]
        products.append(factors[0] if kind != "rnndrop" else np.prod(factors))
    products = np.array(products)
    assert abs(products.mean() - 1) < 5 * products.std() / np.sqrt(4000)


def test_evaluation_is_the_mean_of_one_step_of_zoneout():
    """20000 sequences, one step, p_c = 0.5, p_h = 0.1: 5 standard errors."""
    params, x, h0, c0 = inputs(T=1)
    N = 20_000
    many = [np.repeat(a, N, axis=-2) for a in (x[:, :1], h0[:1], c0[:1])]
    masks = masks_of("zoneout", 0.5, T=1, B=N, p_h=0.1)
    run = dropout_lstm.forward(params, many[0], masks, many[1], many[2])
    calm = dropout_lstm.evaluation("zoneout", 0.5, B, H, dtype=np.float64, p_h=0.1)
    want = dropout_lstm.forward(params, x, calm, h0, c0)
    for got, mean in ((run.h_n, want.h_n[0]), (run.c_n, want.c_n[0])):
        assert (np.abs(got.mean(0) - mean) < 5 * got.std(0) / np.sqrt(N)).all()
    assert masks.zoneout_c.mean() == pytest.approx(0.5, abs=0.01)
    assert masks.zoneout_h.mean() == pytest.approx(0.1, abs=0.01)


@every_kind
def test_the_cell_keeps_a_number_as_the_law_says(kind):
    """f = 1 and i = 0: c is carried alone. 4 steps, p = 0.3, 50000 sequences, 5 standard errors."""
    N, p, steps = 50_000, 0.3, 4
    bias = np.repeat([-800.0, 800.0, 0.0, 0.0], 2)
    params = lstm.Params(np.zeros((8, 3)), np.zeros((8, 2)), bias, np.zeros(8))
    masks = masks_of(kind, p, T=steps, B=N, H=2)
    c = dropout_lstm.forward(params, np.zeros((steps, N, 3)), masks, c0=np.ones((N, 2))).c[:, :, 0]
    law = dropout.survival(dropout_lstm.ON_CELL[kind], p, np.arange(1, steps + 1))
    for got, want in ((c != 0, law.alive), (c, law.mean), (c * c, law.second_moment)):
        error = np.asarray(got, float).std(1) / np.sqrt(N)
        assert (np.abs(got.mean(1) - want) <= 5 * error + 1e-12).all()


@every_kind
def test_a_reader_trains_with_it_and_evaluates_without_noise(kind):
    rng = np.random.default_rng(0)
    cell = Dropped(kind, 0.4, np.random.default_rng(1))
    reader = Reader(cell, I, H, 3, rng=rng, pool="mean", loss=layers.softmax_cross_entropy, dtype=np.float64)
    x, labels = rng.standard_normal((T, B, I)), np.array([0, 2])
    loss, grads = reader.gradients(x, labels, [3, 5])
    assert np.isfinite(loss) and all(np.isfinite(g).all() for g in (*grads.cell, *grads.head))
    noisy = [reader(x) for _ in range(4)]
    assert any(not np.array_equal(noisy[0], other) for other in noisy[1:]) == (kind != "none")
    spread = dropout.mc_dropout(reader, x, 8, [3, 5])
    assert (spread.variance.max() > 1e-9) == (kind != "none")  # equal passes: rounding, 1e-33
    cell.eval()
    np.testing.assert_array_equal(reader(x), reader(x))
    assert dropout.mc_dropout(reader, x, 3).variance.max() < 1e-30
    loss, grads = reader.gradients(x, labels)
    want = central_differences(lambda: reader.gradients(x, labels)[0], reader.params.cell.weight_hh)
    np.testing.assert_allclose(grads.cell.weight_hh, want, **DIFFERENCES)


def test_evaluation_mixes_with_the_probability_of_each_state():
    """p_h for h and p for c: two numbers, of which neither may stand for the other."""
    params, x, h0, c0 = inputs()
    cell = Dropped("zoneout", 0.2, np.random.default_rng(1), p_h=0.7).eval()
    h, c = h0, c0
    run = cell.forward(params, x, h0, c0)
    for t in range(T):
        h_new, c_new = lstm.step(params, x[t], h, c)
        h, c = 0.7 * h + 0.3 * h_new, 0.2 * c + 0.8 * c_new
        np.testing.assert_allclose(run.h[t], h, **EXACT)
        np.testing.assert_allclose(run.c[t], c, **EXACT)


@every_kind
def test_the_torch_layer(kind):
    """Weights stay, deepcopy and pickle work, evaluation is NumPy's, gradients reach the parameters."""
    layer = dropout_lstm_torch.DroppedLSTM(
        I, H, kind, 0.4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert list(before) == list(torch.nn.LSTM(I, H).state_dict())
    x = torch.randn(T, B, I, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    twins = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
    out, _ = layer(x)
    for twin in twins:
        torch.testing.assert_close(twin(x)[0], out, **EXACT)
    assert torch.equal(layer(x)[0], out) == (kind == "none")
    out.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in layer.parameters())
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
    layer.eval()
    got, (h_n, c_n) = layer(x, lengths=[3, 5])
    params = lstm.Params(*(p.detach().numpy() for p in layer.parameters()))
    masks = dropout_lstm.evaluation(kind, 0.4, B, H, dtype=np.float64)
    want = dropout_lstm.forward(params, x.numpy(), masks, lengths=[3, 5])
    for a, b in ((got, want.h), (h_n, want.state_n), (c_n, want.c_n)):
        np.testing.assert_allclose(a.detach(), b, **EXACT)


def test_the_torch_layer_has_its_older_name_too():
    assert dropout_lstm_torch.LSTM is dropout_lstm_torch.DroppedLSTM  # for pickles, and for others' imports


def test_the_torch_layer_without_dropout_is_torchs():
    ours, theirs = dropout_lstm_torch.DroppedLSTM(I, H), torch.nn.LSTM(I, H)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(T, B, I, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], **TOLERANCE[np.float32])


def test_bad_arguments_are_named():
    params, x, *_ = inputs()
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.tensor(a) for a in params]
    for draw, source in ((dropout_lstm.draw, rng), (dropout_lstm_torch.draw, generator)):
        name = "rng" if source is rng else "generator"
        with pytest.raises(ValueError, match=r"kind: expected one of none, zaremba, gal.*got 'Gal'"):
            draw("Gal", 0.5, T, B, I, H, **{name: source})
        for p in (1, -0.1, np.nan):
            with pytest.raises(ValueError, match="p: expected a probability"):
                draw("gal", p, T, B, I, H, **{name: source})
        with pytest.raises(ValueError, match="p_h: expected"):
            draw("zoneout", 0.5, T, B, I, H, p_h=1.0, **{name: source})
    wrong = Masks(h=np.ones((T, B, H + 1)))
    with pytest.raises(ValueError, match=r"masks\.h: expected shape"):
        dropout_lstm.forward(params, x, wrong)
    with pytest.raises(ValueError, match=r"masks\.h: expected shape"):
        dropout_lstm_torch.forward(tensors, torch.tensor(x), Masks(h=torch.ones(T, B, H + 1)))
    with pytest.raises(TypeError, match=r"masks\.h: expected a tensor"):
        dropout_lstm_torch.forward(tensors, torch.tensor(x), wrong)
    with pytest.raises(TypeError, match=r"masks\.h: expected float64"):
        dropout_lstm.forward(params, x, Masks(h=np.ones((T, B, H), np.float32)))
    with pytest.raises(TypeError, match="masks: expected Masks"):
        dropout_lstm.forward(params, x, np.ones((T, B, H)))
    with pytest.raises(TypeError, match="options: expected per_sequence or p_h, got q"):
        Dropped("gal", 0.5, rng, q=1)
    with pytest.raises(TypeError, match="rng: expected"):
        Dropped("gal", 0.5, 0)
    with pytest.raises(ValueError, match="kind: expected one of"):
        dropout_lstm_torch.DroppedLSTM(I, H, "lstm")
