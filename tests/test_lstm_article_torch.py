"""The article's cell does what its printed formulas say, and what the errata claim about them is so."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnlit import lstm_article_torch as article  # noqa: E402
from rnnlit.tools.functions import sigmoid  # noqa: E402

T, B, I, H = 6, 2, 3, 4


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    params = article.init(I, H, generator=generator, dtype=torch.float64)
    return params, torch.randn(T, B, I, generator=generator, dtype=torch.float64, requires_grad=True)


def reach(step, params, x):
    """Largest |d output_T / d x_{T-k}| for k = 0, 1, ..."""
    (gradient,) = torch.autograd.grad(article.forward(step, params, x)[-1].sum(), x)
    return [float(gradient[T - 1 - k].abs().max()) for k in range(T)]


def test_literal_steps_by_hand(drawn):
    params, x = drawn
    p = article.Params(*(a.detach().numpy() for a in params))
    x0, x1 = x.detach().numpy()[:2]
    cell0, cell1 = x0 @ p.W_ih + p.bias_h, x1 @ p.W_ih + p.bias_h
    out0 = sigmoid(p.bias_o) * cell0
    for step, state in ((article.literal_step_a, cell0), (article.literal_step_b, out0)):
        outputs = article.forward(step, params, x).detach().numpy()
        np.testing.assert_allclose(outputs[0], out0, rtol=1e-12)
        np.testing.assert_allclose(outputs[1], sigmoid(state @ p.W_ox + p.bias_o) * cell1, rtol=1e-12)


def test_reading_a_sees_two_steps_and_no_more(drawn):
    reached = reach(article.literal_step_a, *drawn)
    assert min(reached[:2]) > 0 and reached[2:] == [0.0] * (T - 2)


def test_reading_b_and_the_charitable_reading_see_further(drawn):
    assert min(reach(article.literal_step_b, *drawn)) > 0
    assert min(reach(article.charitable_step, *drawn)) > 0


@pytest.mark.parametrize("step", [article.literal_step_a, article.literal_step_b])
def test_three_of_four_gates_get_no_gradient(drawn, step):
    params, x = drawn
    article.forward(step, params, x).square().sum().backward()
    dead = {name for name, a in params._asdict().items() if a.grad is None or not a.grad.any()}
    assert dead == {"W_ix", "W_fx", "W_cx", "bias_i", "bias_f", "bias_c"}
