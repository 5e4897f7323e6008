"""Oracles: the formula written out with torch's layers, and masks by hand."""

import numpy as np
import pytest
import torch

from rnnlit import nn
from rnnlit.tasks import tagger_torch
from rnnlit.tasks.tagger_torch import Tagger
from tests.tolerances import TOLERANCE

T, B, E, H, N, K = 5, 2, 3, 4, 7, 6
CANDIDATES = np.zeros((N, K), bool)
CANDIDATES[1, [0, 2]] = CANDIDATES[2, [1, 3, 4]] = True


def make(both=False, seed=0, **options):
    torch.manual_seed(seed)
    layer = nn.GRU(E, H, bidirectional=both, dtype=torch.float64)
    return Tagger(layer, N, K, **options).double()


def tokens(seed=0):
    return np.random.default_rng(seed).integers(0, N, (T, B))


@pytest.mark.parametrize("both", [False, True])
def test_logits_are_the_formulas(both):
    model, x = make(both), torch.tensor(tokens())
    theirs = torch.nn.GRU(E, H, bidirectional=both, dtype=torch.float64)
    theirs.load_state_dict(model.layer.state_dict())
    h, _ = theirs(model.embedding.weight[x])
    expected = h @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected, **TOLERANCE[np.float64])


def test_padding_changes_no_valid_logit():
    model, x = make(both=True), tokens()
    other = x.copy()
    other[3:, 0] = (x[3:, 0] + 1) % N
    a, b = (model(tokens, [3, 5]) for tokens in (x, other))
    torch.testing.assert_close(a[:3, 0], b[:3, 0], **TOLERANCE[np.float64])
    torch.testing.assert_close(a[:, 1], b[:, 1], **TOLERANCE[np.float64])
    alone = model(x[:3, :1])
    torch.testing.assert_close(a[:3, :1], alone, **TOLERANCE[np.float64])


def test_a_token_gets_one_of_its_candidates():
    model = make(candidates=CANDIDATES)
    x = np.array([[1, 2], [2, 1], [0, 3]])
    probability = model(x).softmax(-1)
    for t, b in np.ndindex(2, 2):
        allowed = CANDIDATES[x[t, b]]
        assert (probability[t, b] > 0).tolist() == allowed.tolist()
    # nothing is asked of tokens 0 and 3, and nothing is excluded
    assert (probability[2] > 0).all()


def test_loss_and_accuracy_count_the_asked_steps_alone():
    model, x = make(candidates=CANDIDATES), np.array([[1, 2], [0, 1]])
    y = np.array([[2, 1], [-1, 0]])
    log_p = model(x).log_softmax(-1)
    expected = -(log_p[0, 0, 2] + log_p[0, 1, 1] + log_p[1, 1, 0]) / 3
    torch.testing.assert_close(tagger_torch.loss(model, (x, y)), expected, **TOLERANCE[np.float64])
    torch.testing.assert_close(tagger_torch.loss(model, (x, y, [2, 2])), expected, **TOLERANCE[np.float64])
    named = tagger_torch.predict(model, (x, y))
    right = [named[0, 0] == 2, named[0, 1] == 1, named[1, 1] == 0]
    assert tagger_torch.accuracy(model, (x, y)) == pytest.approx(sum(map(int, right)) / 3)


def test_gradients_are_autograds_of_the_formula():
    model, x = make(both=True), torch.tensor(tokens())
    y = torch.tensor(np.random.default_rng(1).integers(-1, K, (T, B)))
    tagger_torch.loss(model, (x, y)).backward()
    leaves = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    theirs = torch.nn.GRU(E, H, bidirectional=True, dtype=torch.float64)
    layer = {name.removeprefix("layer."): p for name, p in leaves.items() if name.startswith("layer.")}
    h, _ = torch.func.functional_call(theirs, layer, leaves["embedding.weight"][x])
    log_p = (h @ leaves["head.weight"].T + leaves["head.bias"]).log_softmax(-1)
    asked = y >= 0
    (-log_p[asked].gather(1, y[asked][:, None]).mean()).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, leaves[name].grad, **TOLERANCE[np.float64])


def test_a_layer_of_another_kind_comes_with_its_sizes():
    class Twice(torch.nn.Module):
        def forward(self, x, *, lengths=None):
            return torch.cat([x, x], -1), None

    model, x = Tagger(Twice(), N, K, sizes=(E, 2 * E)).double(), torch.tensor(tokens())
    e = model.embedding.weight[x]
    expected = torch.cat([e, e], -1) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected, **TOLERANCE[np.float64])
    with pytest.raises(TypeError, match="layer: expected a recurrent layer, or sizes beside it, got Twice"):
        Tagger(Twice(), N, K)


def test_dropout_acts_in_training_alone_and_predict_leaves_the_mode():
    model, x = make(dropout=0.5), tokens()
    model.train()
    assert not torch.equal(model(x), model(x))
    tagger_torch.predict(model, (x, x))
    assert model.training
    model.eval()
    assert torch.equal(model(x), model(x))


def test_bad_arguments_are_refused():
    layer = nn.GRU(E, H)
    with pytest.raises(ValueError, match="layer: expected one with time first"):
        Tagger(nn.GRU(E, H, batch_first=True), N, K)
    with pytest.raises(ValueError, match="dropout: expected a share"):
        Tagger(layer, N, K, dropout=1.0)
    with pytest.raises(ValueError, match=r"candidates: expected bool of shape \(N, K\) = \(7, 6\)"):
        Tagger(layer, N, K, candidates=CANDIDATES.T)
    with pytest.raises(ValueError, match="tokens: expected a positive integer"):
        Tagger(layer, 0, K)
