"""The GRU: closed forms, hand-worked cases, torch.nn. (What cells share: test_cells.py.)"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlit import gru, rnn
from rnnlit.tasks import data, reader
from rnnlit.tools import layers, optim, train, weights
from rnnlit.tools.functions import sigmoid
from rnnlit.tools.gradcheck import central_differences, largest_difference
from tests.tolerances import DIFFERENCES, TOLERANCE

EXACT = TOLERANCE[np.float64]
T, B, I, H = 5, 2, 3, 4
both_forms = pytest.mark.parametrize("reset_after", [True, False])


def draw(T=T, B=B, I=I, H=H, dtype=np.float64, seed=0):
    """Parameters (no two alike, no zeros), an input, and an initial state."""
    rng = np.random.default_rng(seed)
    params = gru.init(I, H, rng=rng, dtype=dtype)
    params = gru.Params(*((a + 0.3 * rng.standard_normal(a.shape)).astype(dtype) for a in params))
    return params, *(rng.standard_normal(shape).astype(dtype) for shape in ((T, B, I), (B, H)))


def constant(r=0.0, z=0.0, n=0.0, H=2, I=3):
    """A cell whose blocks depend on nothing: zero weights, pre-activations in the bias."""
    bias = np.repeat([r, z, n], H).astype(float)
    return gru.Params(np.zeros((3 * H, I)), np.zeros((3 * H, H)), bias, np.zeros(3 * H))


def test_step_worked_by_hand():
    """Two units that read each other: r = 1/2 and 3/4, z = 1/4 and 1/2."""
    recurrent = np.array([[0.0, 1.0], [2.0, 0.0]])
    params = gru.Params(
        np.array([0.0, 0, 0, 0, 1, 1])[:, None],
        np.vstack([np.zeros((4, 2)), recurrent]),
        np.array([0, np.log(3), -np.log(3), 0, 0, 0]),
        np.array([0, 0, 0, 0, 0.2, 0.0]),
    )
    x, h = np.array([[0.5]]), np.array([[0.8, -0.4]])
    after = np.tanh([0.5 + 0.5 * (-0.4 + 0.2), 0.5 + 0.75 * 1.6])
    before = np.tanh([0.5 + 0.75 * -0.4 + 0.2, 0.5 + 2 * 0.5 * 0.8])
    for form, n in ((True, after), (False, before)):
        want = [[0.75 * n[0] + 0.25 * 0.8, 0.5 * n[1] + 0.5 * -0.4]]
        np.testing.assert_allclose(gru.step(params, x, h, reset_after=form), want, **EXACT)


def test_each_block_has_its_own_rows_in_the_order_r_z_n():
    for k, name in enumerate("rzn"):
        a = np.full(3, 0.3)
        a[k] = 2.0
        run = gru.forward(constant(*a, H=2), np.zeros((1, 1, 3)))
        want = np.tanh(2.0) if name == "n" else sigmoid(np.array(2.0))
        np.testing.assert_allclose(run.gates[0, 0, 2 * k : 2 * k + 2], want, **EXACT)


def test_one_step_back_worked_by_hand():
    """The cell from above without b_hn, loss h of unit 1: what each block gets, and what goes on."""
    params = gru.Params(
        np.array([0.0, 0, 0, 0, 1, 1])[:, None],
        np.vstack([np.zeros((4, 2)), [[0.0, 1.0], [2.0, 0.0]]]),
        np.array([0, np.log(3), -np.log(3), 0, 0, 0]),
        np.zeros(6),
    )
    run = gru.forward(params, np.array([[[0.5]]]), np.array([[0.8, -0.4]]))
    grads = gru.backward(params, run, dh=np.array([[[1.0, 0.0]]]))
    n = np.tanh(0.3)
    dn = 0.75 * (1 - n**2)
    dz, dq, dr = (0.8 - n) * 0.25 * 0.75, dn / 2, dn * -0.4 / 4
    np.testing.assert_allclose(grads.params.bias_ih, [dr, 0, dz, 0, dn, 0], **EXACT)
    np.testing.assert_allclose(grads.params.bias_hh, [dr, 0, dz, 0, dq, 0], **EXACT)
    np.testing.assert_allclose(grads.h0, [[0.25, dq]], **EXACT)
    np.testing.assert_allclose(grads.params.weight_hh[4], [0.8 * dq, -0.4 * dq], **EXACT)


@both_forms
def test_keeping_is_geometric(reset_after):
    """With z constant and n = 0 the state decays as z^t, and so does its gradient."""
    params, h0 = constant(z=1.0), np.array([[0.5, -0.9]])
    run = gru.forward(params, np.ones((7, 1, 3)), h0, reset_after=reset_after)
    z = sigmoid(np.array(1.0))
    np.testing.assert_allclose(run.h[:, 0], h0 * z ** np.arange(1, 8)[:, None], **EXACT)
    dh_n = np.array([[0.3, -1.1]])
    np.testing.assert_allclose(gru.backward(params, run, dh_n=dh_n).h0, dh_n * z**7, **EXACT)


@both_forms
def test_a_shut_reset_gate_hides_the_old_state_from_the_candidate_only(reset_after):
    """Errata G7, G8: r = 0 and z = 0 give tanh(W_in x + b); r = 0 and z = 1 keep h."""
    params, x, h = draw()
    params = params._replace(bias_hh=np.concatenate([params.bias_hh[:8], np.zeros(4)]))

    def with_gates(r, z):
        bias = params.bias_ih + np.repeat([r, z, 0.0], H)
        return gru.step(params._replace(bias_ih=bias), x[0], h, reset_after=reset_after)

    fresh = np.tanh(x[0] @ params.weight_ih[8:].T + params.bias_ih[8:])
    np.testing.assert_allclose(with_gates(-1e3, -1e3), fresh, **EXACT)
    np.testing.assert_allclose(with_gates(-1e3, 1e3), h, **EXACT)


def test_both_forms_agree_for_one_unit_without_b_hn_and_differ_else():
    params, x, h0 = draw(H=1)
    params.bias_hh[2] = 0
    one, other = (gru.forward(params, x, h0, reset_after=form).h for form in (True, False))
    np.testing.assert_allclose(one, other, **EXACT)
    params, x, h0 = draw()
    one, other = (gru.forward(params, x, h0, reset_after=form).h for form in (True, False))
    assert np.abs(one - other).max() > 0.01


def test_both_forms_agree_where_each_unit_looks_at_itself_alone():
    """W_hn diagonal: hidden from others or not looking at others is the same; with b_hn it is not."""
    params, x, h0 = draw()
    params.weight_hh[2 * H :] *= np.eye(H)
    params.bias_hh[2 * H :] = 0
    one, other = (gru.forward(params, x, h0, reset_after=form).h for form in (True, False))
    np.testing.assert_allclose(one, other, **EXACT)
    params.bias_hh[2 * H :] = 0.5
    one, other = (gru.forward(params, x, h0, reset_after=form).h for form in (True, False))
    assert np.abs(one - other).max() > 0.01


@both_forms
def test_with_flipped_signs_z_writes_where_it_kept(reset_after):
    """The other convention, h' = (1 - z) h + z n (Chung et al. 2014), has -W_z and -b_z."""
    params, x, h = draw()
    sign = np.repeat([1.0, -1.0, 1.0], H)
    flipped = gru.Params(*((sign * array.T).T for array in params))
    kept = gru.forward(params, x, h, reset_after=reset_after).h
    for t in range(T):
        _, z, n = np.split(gru.forward(flipped, x[t : t + 1], h, reset_after=reset_after).gates[0], 3, axis=1)
        h = (1 - z) * h + z * n
        np.testing.assert_allclose(h, kept[t], **EXACT)
    assert np.abs(gru.forward(flipped, x, reset_after=reset_after).h - kept).max() > 0.01


def test_with_the_reset_open_and_the_update_shut_it_is_a_plain_network():
    params, x, h0 = draw()
    bias = np.repeat([1e3, -1e3, 0.0], H)
    opened = gru.forward(params._replace(bias_ih=params.bias_ih + bias), x, h0).h
    plain = rnn.forward(rnn.Params(*(array[2 * H :] for array in params)), x, h0).h
    np.testing.assert_allclose(opened, plain, **EXACT)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_tells_nine_speakers_apart(seed):
    """Japanese vowels, 64 units whose states are averaged: at least 90 % of the utterances."""
    train_set, test_set = data.standardise(*data.japanese_vowels())
    rng = np.random.default_rng(seed)
    settings = dict(pool="mean", loss=layers.softmax_cross_entropy)
    model = reader.Reader(gru, 12, 64, 9, rng=rng, **settings)
    update = reader.make_step(model, optim.Adam(model.params, lr=4e-3))
    train.fit(update, reader.Passes(train_set, 27, rng, 0.5), steps=250, rng=rng, progress=False)
    named = model(test_set.x, test_set.lengths).argmax(axis=1)
    assert (named == test_set.speaker).mean() >= 0.9


@both_forms
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_forward_is_step_repeated(dtype, reset_after):
    params, x, h = draw(dtype=dtype)
    run = gru.forward(params, x, h, reset_after=reset_after)
    for t in range(T):
        h = gru.step(params, x[t], h, reset_after=reset_after)
        np.testing.assert_allclose(run.h[t], h, **TOLERANCE[dtype])
    np.testing.assert_allclose(run.h_n, h, **TOLERANCE[dtype])
    assert run.h.dtype == run.gates.dtype == dtype


@both_forms
@pytest.mark.parametrize("lengths", [None, [3, 5], [4, 1]], ids=str)
def test_backward_matches_central_differences(lengths, reset_after):
    params, x, h0 = draw()
    rng = np.random.default_rng(1)
    dh, dh_n = rng.standard_normal((T, B, H)), rng.standard_normal((B, H))

    def loss():
        run = gru.forward(params, x, h0, lengths, reset_after=reset_after)
        return float((run.h * dh).sum() + (run.h_n * dh_n).sum())

    run = gru.forward(params, x, h0, lengths, reset_after=reset_after)
    grads = gru.backward(params, run, dh, dh_n)
    numeric = central_differences(loss, (params, x, h0))
    for got, want in zip((*grads.params, *grads[1:]), (*numeric[0], *numeric[1:]), strict=True):
        np.testing.assert_allclose(got, want, **DIFFERENCES)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_all_gradients_are_those_of_torch_nn_gru(dtype):
    layer = torch.nn.GRU(I, H, dtype=getattr(torch, np.dtype(dtype).name))
    params, x, h0 = weights.from_torch(layer), *draw(dtype=dtype)[1:]
    dh = np.random.default_rng(1).standard_normal((T, B, H)).astype(dtype)
    run = gru.forward(params, x, h0)
    grads = gru.backward(params, run, dh=dh)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h0[None])]
    output, h_n = layer(*leaves)
    (output * torch.tensor(dh)).sum().backward()
    np.testing.assert_allclose(run.h, output.detach(), **TOLERANCE[dtype])
    np.testing.assert_allclose(run.h_n, h_n.detach()[0], **TOLERANCE[dtype])
    theirs = [*(p.grad for p in layer.parameters()), leaves[0].grad, leaves[1].grad[0]]
    for got, want in zip((*grads.params, grads.x, grads.h0), theirs, strict=True):
        np.testing.assert_allclose(got, want, **TOLERANCE[dtype])


@both_forms
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_padding_never_changes_a_valid_output(reset_after, data):
    B, T, I, H = (data.draw(st.integers(1, 6), label=letter) for letter in "BTIH")
    lengths = np.array(data.draw(st.lists(st.integers(1, T), min_size=B, max_size=B), label="lengths"))
    params, x, h0 = draw(T, B, I, H)
    run = gru.forward(params, x, h0, lengths, reset_after=reset_after)
    dh, dh_n = np.ones_like(run.h), np.ones_like(run.h_n)
    grads = gru.backward(params, run, dh, dh_n)
    for b, length in enumerate(lengths):
        alone = gru.forward(params, x[:length, b : b + 1], h0[b : b + 1], reset_after=reset_after)
        np.testing.assert_allclose(run.h[:length, b], alone.h[:, 0], **EXACT)
        np.testing.assert_allclose(run.h_n[b], alone.h_n[0], **EXACT)
        assert not run.h[length:, b].any() and not grads.x[length:, b].any()
    other = x.copy()
    other[np.arange(T)[:, None] >= lengths] = 1e3
    again = gru.forward(params, other, h0, lengths, reset_after=reset_after)
    moved = gru.backward(params, again, dh, dh_n)
    assert largest_difference(again.h, run.h) == 0
    assert largest_difference((*moved.params, *moved[1:]), (*grads.params, *grads[1:])) == 0


def test_update_bias_is_the_effective_bias():
    params = gru.init(3, 4, rng=np.random.default_rng(0), update_bias=2.0)
    bias = params.bias_ih + params.bias_hh
    np.testing.assert_array_equal(bias, np.repeat([0, 2, 0], 4).astype(np.float32))


@both_forms
def test_large_pre_activations_do_not_overflow(reset_after):
    params = constant(r=1e4, z=-1e4, n=1e4)
    run = gru.forward(params, np.zeros((4, 1, 3)), reset_after=reset_after)
    grads = gru.backward(params, run, dh=np.ones_like(run.h))
    assert all(np.isfinite(a).all() for a in (run.h, *grads.params))


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (dict(x=np.zeros((T, B))), ValueError, r"x: expected shape \(T, B, 3\), got \(5, 2\)"),
        (dict(x=np.zeros((T, B, I), np.float32)), TypeError, "x: expected float64 like the parameters"),
        (dict(x=np.full((T, B, I), np.nan)), ValueError, "x: expected finite numbers, got nan"),
        (dict(h0=np.zeros((H, B))), ValueError, r"h0: expected shape \(2, 4\), got \(4, 2\)"),
        (dict(lengths=[2, 6]), ValueError, "lengths: expected 1 <= length <= T = 5, got 2 to 6"),
        (dict(lengths=[1.0, 2.0]), TypeError, "lengths: expected integers, got float64"),
        (dict(params=(1, 2)), TypeError, "params: expected rnnlit.gru.Params, got tuple"),
    ],
)
def test_bad_arguments_are_named(changes, error, words):
    params, x, h0 = draw()
    with pytest.raises(error, match=words):
        gru.forward(**(dict(params=params, x=x, h0=h0) | changes))


def test_backward_wants_a_gradient():
    params, x, h0 = draw()
    with pytest.raises(ValueError, match="dh, dh_n: expected at least one gradient, got none"):
        gru.backward(params, gru.forward(params, x, h0))
