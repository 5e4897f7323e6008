"""Exercises of the GRU chapter.   B batch, T steps, I inputs, H hidden;   blocks r z n, in this order.

    step(params, x, h) -> h                reset after the recurrent product, as in torch
    step_before(params, x, h) -> h         reset before it, as in Cho et al. (2014)
    forward(params, x, h0) -> h
    backward_step(params, x, h, dh) -> dW_ih, dW_hh, db_ih, db_hh, dx, dh
    init(I, H, rng) -> W_ih, W_hh, b_ih, b_hh, the update gate's bias 1
    count_parameters(I, H) -> a number     toggle: a puzzle

params unpack as W_ih, W_hh, b_ih, b_hh. z = 1 keeps the old state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit import gru
from rnnlit.exercises.check import Exercise, Mistake
from rnnlit.exercises.draw import over_time, reordered, with_letters, with_params
from rnnlit.exercises.drawn import (
    EVEN_WEIGHTS,
    Drawn,
    Rule,
    drawn_weights,
    weight_mistakes,
)
from rnnlit.exercises.puzzle import Puzzle, Trace, wanted_sign
from rnnlit.tools.functions import sigmoid

# ---------------------------------------------------------------- one step


def _step(
    params: Any,
    x: Any,
    h: Any,
    *,
    after: bool = True,
    reset: bool = True,
    bias_inside: bool = True,
    whole: bool = False,
    squash: Any = np.tanh,
    turned: bool = False,
    keep: bool = True,
    share: Any = lambda z: (1 - z, z),
) -> Any:
    """A step with a mistake in it, or with none."""
    W_ih, W_hh, b_ih, b_hh = params
    W_hr, W_hz, W_hn = np.split(W_hh, 3)
    b_hr, b_hz, b_hn = np.split(b_hh, 3)
    x_r, x_z, x_n = np.split(x @ W_ih.T + b_ih, 3, axis=1)
    r, z = sigmoid(x_r + h @ W_hr.T + b_hr), sigmoid(x_z + h @ W_hz.T + b_hz)
    r = r if reset else np.ones_like(r)
    if whole:
        n = squash(r * (x_n + h @ W_hn.T + b_hn))
    elif not after:
        n = squash(x_n + (r * h) @ W_hn.T + b_hn)
    elif bias_inside:
        n = squash(x_n + r * (h @ W_hn.T + b_hn))
    else:
        n = squash(x_n + r * (h @ W_hn.T) + b_hn)
    new, old = share(z)
    return new * n + (old * h if keep else 0)


def _shared(**right: Any) -> tuple[Mistake, ...]:
    """The mistakes that both forms of the step can have."""
    return (
        Mistake(
            "z and 1 - z are swapped",
            "Here z = 1 keeps the old state: h' = (1 - z) n + z h. Some papers have it the other way.",
            lambda *a: _step(*a, **right, share=lambda z: (z, 1 - z)),
        ),
        Mistake(
            "r and z are swapped",
            "The blocks stand in the order r, z, n: the first H rows of the weights are the reset gate's.",
            lambda p, *a: _step(reordered(p, [1, 0, 2]), *a, **right),
        ),
        Mistake(
            "the blocks are read in the order r, n, z",
            "The candidate comes last: r, z, n.",
            lambda p, *a: _step(reordered(p, [0, 2, 1]), *a, **right),
        ),
        Mistake(
            "the reset gate is not used",
            "r multiplies what the candidate reads of the old state.",
            lambda *a: _step(*a, **right, reset=False),
        ),
        Mistake(
            "the reset gate multiplies the input too",
            "r acts on what comes from the old state alone: n = tanh(W_in x + b_in + ...).",
            lambda *a: _step(*a, whole=True),
        ),
        Mistake(
            "the candidate n goes through sigma",
            "n is no gate. It may be negative, so it goes through tanh.",
            lambda *a: _step(*a, **right, squash=sigmoid),
        ),
        Mistake(
            "the candidate n is not squashed",
            "n = tanh(...).",
            lambda *a: _step(*a, **right, squash=lambda a: a),
        ),
        Mistake(
            "the old state is not kept",
            "h' = (1 - z) n + z h: the second term is the memory.",
            lambda *a: _step(*a, **right, keep=False),
        ),
        Mistake(
            "the old state is kept whole",
            "New and old share: their weights 1 - z and z sum to 1.",
            lambda *a: _step(*a, **right, share=lambda z: (1 - z, 1.0)),
        ),
        Mistake(
            "the biases of the state are missing",
            "b_hr, b_hz and b_hn are added too.",
            lambda p, *a: _step(p._replace(bias_hh=0 * p.bias_hh), *a, **right),
        ),
    )


STEP_MISTAKES = (
    Mistake(
        "the reset gate acts before the recurrent product",
        "That is the form of Cho et al. (2014), W_hn (r h). torch resets after it: r (W_hn h + b_hn).",
        lambda *a: _step(*a, after=False),
    ),
    Mistake(
        "b_hn stands outside of the reset",
        "n = tanh(W_in x + b_in + r (W_hn h + b_hn)): the reset gate multiplies this bias too.",
        lambda *a: _step(*a, bias_inside=False),
    ),
    *_shared(),
)

step = Exercise(
    "step(params, x, h)", gru.step, with_params(gru.Params, 3, "BI", "BH"), {"h": "B, H"}, STEP_MISTAKES
)

step_before = Exercise(
    "step_before(params, x, h)",
    lambda *a: gru.step(*a, reset_after=False),
    with_params(gru.Params, 3, "BI", "BH"),
    {"h": "B, H"},
    (
        Mistake(
            "the reset gate acts after the recurrent product",
            "That is torch's form. Cho et al. (2014) reset the state first: W_hn (r h) + b_hn.",
            _step,
        ),
        *_shared(after=False),
    ),
)

# ---------------------------------------------------------------- whole sequences

forward = Exercise(
    "forward(params, x, h0)",
    gru.forward,
    with_params(gru.Params, 3, "TBI", "BH"),
    {"h": "T, B, H"},
    (
        Mistake(
            "every step starts from h0",
            "What a step returns is where the next one starts: h = step(params, x[t], h).",
            lambda p, x, h0: np.stack([gru.step(p, x_t, h0) for x_t in x]),
        ),
        Mistake(
            "the start state is not used",
            "The first step starts from h0, which need not be zero.",
            lambda p, x, h0: over_time(gru.step, p, x, 0 * h0),
        ),
        Mistake(
            "time runs backwards",
            "Read x[0] first.",
            lambda p, x, h0: over_time(gru.step, p, x[::-1], h0)[::-1],
        ),
        Mistake(
            "only the last state is returned",
            "Keep the state of every step, and stack them: (T, B, H).",
            lambda p, x, h0: over_time(gru.step, p, x, h0)[-1],
        ),
        Mistake(
            "the states stand batch first",
            "Time comes first in this book: (T, B, H).",
            lambda p, x, h0: over_time(gru.step, p, x, h0).swapaxes(0, 1),
        ),
        *(
            Mistake(
                f"in the step, {m.name}",
                m.help,
                lambda p, x, h0, wrong=m.wrong: over_time(wrong, p, x, h0),
            )
            for m in STEP_MISTAKES
        ),
    ),
)

# ---------------------------------------------------------------- gradients


def _right_backward_step(params: Any, x: Any, h: Any, dh: Any) -> tuple[Any, ...]:
    grads = gru.backward(params, gru.forward(params, x[None], h), dh[None])
    return (*grads.params, grads.x[0], grads.h0)


def _backward_step(
    params: Any,
    x: Any,
    h: Any,
    dh: Any,
    *,
    direct: float = 1,
    through_gates: float = 1,
    sign: float = 1,
    slopes: bool = True,
    slope_n: bool = True,
    reset: bool = True,
    no_bias: bool = False,
    share: bool = True,
    mean: bool = False,
) -> tuple[Any, ...]:
    """The gradients of one step with a mistake in them, or with none."""
    W_ih, W_hh, b_ih, b_hh = params
    W_hr, W_hz, W_hn = np.split(W_hh, 3)
    b_hr, b_hz, b_hn = np.split(b_hh, 3)
    x_r, x_z, x_n = np.split(x @ W_ih.T + b_ih, 3, axis=1)
    r, z = sigmoid(x_r + h @ W_hr.T + b_hr), sigmoid(x_z + h @ W_hz.T + b_hz)
    q = h @ W_hn.T + b_hn
    n = np.tanh(x_n + r * q)
    slope = (lambda s: s * (1 - s)) if slopes else (lambda s: 1)
    dn = dh * ((1 - z) if share else 1) * ((1 - n**2) if slope_n else 1)
    dz = sign * dh * (h - n) * slope(z)
    dq = dn * r if reset else dn
    dr = dn * q * slope(r)
    da, dg = np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dq], axis=1)
    through = dr @ W_hr + dz @ W_hz
    k, n_batch = 0 if no_bias else 1, len(x) if mean else 1
    sums = (da.T @ x, dg.T @ h, k * da.sum(0), k * dg.sum(0))
    return (*(s / n_batch for s in sums), da @ W_ih, direct * dh * z + through_gates * through + dq @ W_hn)


backward_step = Exercise(
    "backward_step(params, x, h, dh)",
    _right_backward_step,
    with_params(gru.Params, 3, "BI", "BH", "BH"),
    {"dW_ih": "3H, I", "dW_hh": "3H, H", "db_ih": "3H", "db_hh": "3H", "dx": "B, I", "dh": "B, H"},
    (
        Mistake(
            "the direct way from h' to h is missing",
            "h' = (1 - z) n + z h, so dh gets dh' z as well. Along it the gradient lives on.",
            lambda *a: _backward_step(*a, direct=0),
        ),
        Mistake(
            "the way through the gates to h is missing",
            "r and z read h too: add W_hr^T dr and W_hz^T dz.",
            lambda *a: _backward_step(*a, through_gates=0),
        ),
        Mistake(
            "dz has the wrong sign",
            "z multiplies h and 1 - z multiplies n: dz = dh' (h - n) z (1 - z).",
            lambda *a: _backward_step(*a, sign=-1),
        ),
        Mistake(
            "the slopes of the gates are missing",
            "A gate s = sigma(a) has the slope s (1 - s).",
            lambda *a: _backward_step(*a, slopes=False),
        ),
        Mistake(
            "the slope of the candidate is missing",
            "n = tanh(a) has the slope 1 - n².",
            lambda *a: _backward_step(*a, slope_n=False),
        ),
        Mistake(
            "the candidate's gradient lacks 1 - z",
            "h' takes only the share 1 - z of n.",
            lambda *a: _backward_step(*a, share=False),
        ),
        Mistake(
            "the reset gate is missing on the way to W_hn and b_hn",
            "r multiplies W_hn h + b_hn, so what reaches them is dn r. This is where db_ih and db_hh differ.",
            lambda *a: _backward_step(*a, reset=False),
        ),
        Mistake(
            "the gradients with respect to the biases are missing",
            "A bias is added, so its gradient is da, summed over the batch.",
            lambda *a: _backward_step(*a, no_bias=True),
        ),
        Mistake(
            "the gradients are averaged over the batch",
            "Sum them: if the loss is a mean, dh has the 1/B in it already.",
            lambda *a: _backward_step(*a, mean=True),
        ),
    ),
)

# ---------------------------------------------------------------- initialisation and size


def _init(I: int, H: int, rng: Any, *, at: Any = (1,), value: float = 1, draw: Any = drawn_weights) -> Any:
    """An initialisation with a mistake in it, or with none."""
    b = np.where(np.isin(np.arange(3), at), float(value), 0.0).repeat(H)
    return draw(rng, (3 * H, I), H), draw(rng, (3 * H, H), H), b, 0 * b


def _blocks(b_ih: Any, b_hh: Any) -> list[Any]:
    return np.split(b_ih + b_hh, 3)


init = Drawn(
    "init(I, H, rng)",
    lambda I, H, rng: gru.init(I, H, rng=rng, update_bias=1.0),
    ((30, 50), (7, 40)),
    {"weight_ih": "3H, I", "weight_hh": "3H, H", "bias_ih": "3H", "bias_hh": "3H"},
    rules=(
        *EVEN_WEIGHTS,
        Rule(
            "the biases should sum to 1 for the update gate and to 0 for r and n.",
            lambda a, W_ih, W_hh, *b: np.allclose(np.stack(_blocks(*b)), [[0], [1], [0]], atol=1e-6),
        ),
    ),
    mistakes=(
        Mistake(
            "the bias stands at the reset gate",
            "The blocks are r, z, n: the update gate's rows are H to 2H.",
            lambda I, H, rng: _init(I, H, rng, at=(0,)),
            lambda a, W_ih, W_hh, *b: np.allclose(_blocks(*b)[0], 1) and np.allclose(_blocks(*b)[1], 0),
        ),
        Mistake(
            "the update gate's bias is negative",
            "z = 1 keeps the old state here, so a positive bias favours keeping.",
            lambda I, H, rng: _init(I, H, rng, value=-1),
            lambda a, W_ih, W_hh, *b: bool((_blocks(*b)[1] < 0).all()),
        ),
        Mistake(
            "every block has the bias 1",
            "Only the update gate: rows H to 2H.",
            lambda I, H, rng: _init(I, H, rng, at=(0, 1, 2)),
            lambda a, W_ih, W_hh, *b: all(np.allclose(one, 1) for one in _blocks(*b)),
        ),
        Mistake(
            "the update gate's bias is 1 in both biases",
            "The cell adds the two, so it starts at 2. Leave one of them at zero.",
            lambda I, H, rng: (*_init(I, H, rng)[:3], _init(I, H, rng)[2]),
            lambda a, W_ih, W_hh, *b: np.allclose(_blocks(*b)[1], 2),
        ),
        Mistake(
            "all biases are zero",
            "Rows H to 2H of one bias are to be 1.",
            lambda I, H, rng: _init(I, H, rng, value=0),
            lambda a, W_ih, W_hh, *b: all(np.allclose(one, 0) for one in _blocks(*b)),
        ),
        *weight_mistakes(_init),
    ),
    praise="the weights fill -1/sqrt(H) to 1/sqrt(H) evenly, and only the update gate has a bias, of 1.",
)

count_parameters = Exercise(
    "count_parameters(I, H)",
    lambda I, H: sum(array.size for array in gru.init(I, H, rng=np.random.default_rng(0))),
    with_letters(lambda rng, sizes: (sizes.I, sizes.H), "IH"),
    {"the number": ""},
    (
        Mistake(
            "four blocks are counted in place of three",
            "That is the LSTM. A GRU has r, z and n.",
            lambda I, H: 4 * (I * H + H * H + 2 * H),
        ),
        Mistake(
            "two blocks are counted in place of three",
            "The candidate n has weights of its own, as r and z.",
            lambda I, H: 2 * (I * H + H * H + 2 * H),
        ),
        Mistake(
            "one of the two biases is not counted",
            "Since b_hn stands inside of the reset, the two biases can't be merged: 2 · 3H numbers.",
            lambda I, H: 3 * (I * H + H * H + H),
        ),
        Mistake("no bias is counted", "There are two, of 3H numbers each.", lambda I, H: 3 * (I * H + H * H)),
        Mistake(
            "the recurrent weights are not counted",
            "W_hh has 3H rows and H columns.",
            lambda I, H: 3 * (I * H + 2 * H),
        ),
    ),
)

# ---------------------------------------------------------------- a puzzle


def _one_unit(weights: dict[str, np.ndarray], x: np.ndarray) -> Trace:
    """A cell with one unit and one input that starts at h = -1; each block has w_x, w_h and b."""
    rows = np.stack([weights[block] for block in "rzn"])
    params = gru.Params(rows[:, :1].copy(), rows[:, 1:2].copy(), rows[:, 2].copy(), np.zeros(3))
    run = gru.forward(params, x[:, None, None], np.full((1, 1), -1.0))
    gates = {block: run.gates[:, 0, k] for k, block in enumerate("rzn")}
    return Trace(run.h[:, 0, 0], gates)


def _toggle_inputs(rng: np.random.Generator) -> list[np.ndarray]:
    short = [[0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0, 0, 1, 1, 1, 0]]
    drawn = [rng.random(T) < often for T, often in ((40, 0.4), (1000, 0.01))]
    return [np.array(x, dtype=float) for x in (*short, *drawn)]


def _toggle_wanted(x: np.ndarray) -> Any:
    count = np.cumsum(x)
    return wanted_sign(np.where(count % 2, 1.0, -1.0), [f"{int(n)} times 1 so far" for n in count])


toggle = Puzzle(
    "toggle",
    {block: ("w_x", "w_h", "b") for block in "rzn"},
    _one_unit,
    _toggle_inputs,
    _toggle_wanted,
    lambda value: f"{value:.0f}",
    praise="every 1 turns the state round and every 0 keeps it, for up to {longest} steps.",
)
