"""The small tools: gradient check, show, figures, activation functions, checks."""

import numpy as np
import pytest

from rnnlit import lstm
from rnnlit.tools import show, source
from rnnlit.tools.functions import sigmoid
from rnnlit.tools.gradcheck import central_differences, largest_difference


def test_central_differences_on_a_known_gradient():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3)), rng.standard_normal(4)
    kept = a.copy(), b.copy()
    da, (db,) = central_differences(lambda: float((a**3).sum() + np.exp(b).sum()), (a, (b,)))
    np.testing.assert_allclose(da, 3 * a**2, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(db, np.exp(b), rtol=1e-6)
    assert largest_difference(kept, (a, b)) == 0


def test_central_differences_refuse_float32():
    with pytest.raises(TypeError, match="expected float64 arrays, got float32"):
        central_differences(lambda: 0.0, np.zeros(3, np.float32))


def test_largest_difference_refuses_to_broadcast():
    assert largest_difference((np.zeros(2), np.ones((2, 2))), (np.zeros(2), np.full((2, 2), 1.5))) == 0.5
    with pytest.raises(ValueError, match="equal shapes"):
        largest_difference(np.zeros((2, 1)), np.zeros(2))


def test_sigmoid_is_the_logistic_function_and_never_overflows():
    a = np.array([-800.0, -3.0, 0.0, 0.5, 800.0])
    with np.errstate(over="raise"):
        np.testing.assert_allclose(
            sigmoid(a), [0, 1 / (1 + np.exp(3)), 0.5, 1 / (1 + np.exp(-0.5)), 1], rtol=1e-14
        )


def test_show_gives_the_source_that_runs():
    shown = show(lstm.step, lstm.Grads)
    assert shown._repr_markdown_().startswith("```python\n# rnnlit/lstm.py\ndef step(\n    params: Params")
    assert "    h = sigmoid(o) * np.tanh(c)\n" in repr(shown) and "class Grads(NamedTuple)" in repr(shown)
    assert isinstance(shown, source.Source)
    with pytest.raises(TypeError, match="expected functions or classes written in Python"):
        show(np.tanh)


def test_a_figure_is_shown_closed_and_says_its_sentence(capsys):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from rnnlit.pages import figures

    fig, ax = figures.new(height=2)
    drawn = figures.line(ax, [1, 2], [3, 5], "orange", "label")
    assert drawn.get_color() == figures.COLOURS["orange"] and ax.texts[0].get_text() == "label"
    assert fig.get_size_inches().tolist() == [7, 2]
    with pytest.raises(ValueError, match="ends with a full stop"):
        figures.finish(fig, "No stop")
    figures.finish(fig, "A sentence.")
    assert capsys.readouterr().out == "A sentence.\n" and not plt.get_fignums()
