"""The reading code of attention: torch's own attention, the full functions, central differences, by hand."""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from rnnlit import attention
from rnnlit import attention_plain as plain
from rnnlit.attention_scores import Additive, Dot, General, ScaledDot
from rnnlit.tools.gradcheck import central_differences
from tests.tolerances import DIFFERENCES, TOLERANCE

EXACT = TOLERANCE[np.float64]
T, B, S, Q, K, V, A, I = 5, 2, 6, 3, 4, 7, 8, 9


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def test_read_by_hand():
    """Scores ln 2, 0 and 2 ln 2: the weights are 2, 1 and 4 sevenths; without the third, 2 and 1 thirds."""
    scores = np.log([[[2.0, 1.0, 4.0]]])
    values = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[2.0, 0.0]]])
    context, weights = plain.read(scores, values)
    np.testing.assert_allclose(weights, [[[2 / 7, 1 / 7, 4 / 7]]], **EXACT)
    np.testing.assert_allclose(context, [[[10 / 7, 1 / 7]]], **EXACT)
    context, weights = plain.read(scores, values, seen=[True, True, False])
    np.testing.assert_allclose(weights, [[[2 / 3, 1 / 3, 0]]], **EXACT)
    np.testing.assert_allclose(context, [[[2 / 3, 1 / 3]]], **EXACT)


def test_additive_by_hand():
    """tanh 1.5 + tanh -0.5 = 0.905 - 0.462."""
    query, keys = np.array([[[0.5, -0.5]]]), np.array([[[1.0, 0.0]]])
    got = plain.additive(query, keys, np.eye(2), np.eye(2), np.ones(2))
    np.testing.assert_allclose(got, [[[0.443]]], atol=5e-4, rtol=0)  # three digits worked by hand


def test_scores_and_context_are_those_of_the_full_function():
    query, keys, W_q, W_k, v = draw((T, B, Q), (S, B, K), (A, Q), (A, K), (A,))
    want = attention.forward(attention.Params(Additive(W_q, W_k, v)), query, keys, lengths=[4, 6])
    seen = np.arange(S) < np.array([[4], [6]])
    context, weights = plain.read(plain.additive(query, keys, W_q, W_k, v), keys, seen)
    np.testing.assert_allclose(weights, want.weights, **EXACT)
    np.testing.assert_allclose(context, want.context, **EXACT)
    query = draw((T, B, K))[0]
    want = attention.forward(attention.Params(ScaledDot()), query, keys)
    np.testing.assert_allclose(plain.scaled_dot(query, keys), want.scores, **EXACT)


def test_backward_is_that_of_the_full_function_and_of_central_differences():
    inputs = draw((T, B, Q), (S, B, K), (A, Q), (A, K), (A,))
    query, keys, W_q, W_k, v = inputs
    dcontext = draw((T, B, K), seed=1)[0]
    scores = plain.additive(*inputs)
    _, weights = plain.read(scores, keys)
    dscores, dvalues = plain.read_backward(weights, keys, dcontext)
    dquery, dkeys, *rest = plain.additive_backward(*inputs, dscores)
    params = attention.Params(Additive(W_q, W_k, v))
    want = attention.backward(params, attention.forward(params, query, keys), dcontext)
    np.testing.assert_allclose(dquery, want.query, **EXACT)
    np.testing.assert_allclose(dkeys + dvalues, want.keys, **EXACT)  # the keys are the values too
    for got, wanted in zip(rest, want.params.score, strict=True):
        np.testing.assert_allclose(got, wanted, **EXACT)

    def loss():
        return float((plain.read(plain.additive(*inputs), keys)[0] * dcontext).sum())

    numeric = central_differences(loss, tuple(inputs))
    for got, wanted in zip((dquery, dkeys + dvalues, *rest), numeric, strict=True):
        np.testing.assert_allclose(got, wanted, **DIFFERENCES)


def test_gradients_of_values_that_are_no_keys():
    scores, values, dcontext = draw((T, B, S), (S, B, V), (T, B, V))
    _, weights = plain.read(scores, values)
    got = plain.read_backward(weights, values, dcontext)
    numeric = central_differences(
        lambda: float((plain.read(scores, values)[0] * dcontext).sum()), (scores, values)
    )
    for one, other in zip(got, numeric, strict=True):
        np.testing.assert_allclose(one, other, **DIFFERENCES)


@pytest.mark.parametrize("causal", [True, False])
def test_self_attention_is_torchs(causal):
    x, *weights = draw((T, B, I), (K, I), (K, I), (V, I))
    context, got = plain.self_attention(x, *weights, causal=causal)
    q, k, v = (torch.tensor(x @ W.T).transpose(0, 1) for W in weights)
    want = scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(0, 1)
    np.testing.assert_allclose(context, want.numpy(), **EXACT)
    np.testing.assert_allclose(got.sum(-1), 1, **EXACT)
    assert causal == (not np.triu(got[:, 0], 1).any())


def test_two_projections_are_the_general_score():
    x, W_q, W_k, W_v = draw((T, B, I), (K, I), (K, I), (V, I))
    _, got = plain.self_attention(x, W_q, W_k, W_v, causal=False)
    general = attention.Params(General(W_q.T @ W_k / np.sqrt(K)))
    np.testing.assert_allclose(got, attention.forward(general, x, x).weights, **EXACT)


def test_values_that_are_the_keys_are_the_attention_of_the_other_module():
    query, keys = draw((T, B, K), (S, B, K))
    scores = np.einsum("tbk,sbk->tbs", query, keys)
    context, _ = plain.read(scores, keys)
    want = attention.forward(attention.Params(Dot()), query, keys)
    np.testing.assert_allclose(context, want.context, **EXACT)
