"""Exercises of the LSTM chapter.   B batch, T steps, I inputs, H hidden;   gates i f g o, in this order.

    init(I, H, rng) -> W_ih, W_hh, b_ih, b_hh           step(params, x, h, c) -> h, c
    forward(params, x, h0, c0) -> h, c                  masked_step(params, x, h, c, valid) -> h, c
    backward_step(params, x, h, c, dh, dc)  -> dW_ih, dW_hh, db, dx, dh, dc
    backward(params, x, dh) -> dW_ih, dW_hh, db, dx     peephole_step(params, x, h, c) -> h, c
    count_parameters(I, H) -> a number                  latch, counter: puzzles

params unpack as W_ih, W_hh, b_ih, b_hh; those with peepholes have w_ci, w_cf, w_co (H,) after them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit import lstm, lstm_peephole
from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import reordered, with_letters, with_params
from rnnlit.exercises.drawn import EVEN_WEIGHTS, Drawn, Rule, drawn_weights, weight_mistakes
from rnnlit.exercises.puzzle import Puzzle, Trace, Wanted, latch_inputs, latch_symbol, latch_wanted
from rnnlit.lstm_variants import cell, cell_state
from rnnlit.tools.functions import sigmoid

# ---------------------------------------------------------------- one step


def _step(
    params: Any,
    x: Any,
    h: Any,
    c: Any,
    *,
    recurrent: float = 1,
    twice: bool = False,
    only_b_ih: bool = False,
    squash_g: Any = np.tanh,
    squash_c: Any = np.tanh,
    keep: float = 1,
    old_c: bool = False,
    coupled: bool = False,
    ungated: bool = False,
) -> tuple[Any, Any]:
    """A step with a mistake in it, or with none."""
    W_ih, W_hh, b_ih, b_hh = params
    b = b_ih if only_b_ih else b_ih + b_hh
    a = x @ W_ih.T + recurrent * (h @ W_hh.T) + (2 * b if twice else b)
    i, f, g, o = np.split(a, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), squash_g(g), sigmoid(o)
    i = 1 - f if coupled else np.ones_like(i) if ungated else i
    new = cell_state(i, keep * f, g, c)
    return o * squash_c(c if old_c else new), new


STEP_MISTAKES = (
    Mistake(
        "i and f are swapped",
        "The blocks stand in the order i, f, g, o: the first H rows of the weights are the input gate's.",
        lambda p, *states: _step(reordered(p, [1, 0, 2, 3]), *states),
    ),
    Mistake(
        "the blocks are read in the order i, f, o, g",
        "The candidate g comes third and the output gate last: i, f, g, o.",
        lambda p, *states: _step(reordered(p, [0, 1, 3, 2]), *states),
    ),
    Mistake(
        "the blocks are read in the order i, g, f, o",
        "The forget gate comes before the candidate: i, f, g, o.",
        lambda p, *states: _step(reordered(p, [0, 2, 1, 3]), *states),
    ),
    Mistake(
        "the candidate g goes through sigma",
        "g is no gate. It may be negative, so it goes through tanh.",
        lambda *a: _step(*a, squash_g=sigmoid),
    ),
    Mistake(
        "the candidate g is not squashed",
        "g = tanh(...): without the tanh the cell takes in numbers of any size.",
        lambda *a: _step(*a, squash_g=lambda a: a),
    ),
    Mistake(
        "the tanh of c' is missing",
        "What is shown is h' = o tanh(c'), not o c'.",
        lambda *a: _step(*a, squash_c=lambda c: c),
    ),
    Mistake(
        "h' shows the old cell state",
        "First the new c', then h' = o tanh(c').",
        lambda *a: _step(*a, old_c=True),
    ),
    Mistake(
        "a bias is counted twice",
        "W_ih x + b_ih + W_hh h + b_hh: each of the two biases once.",
        lambda *a: _step(*a, twice=True),
    ),
    Mistake("a bias is missing", "b_hh is added too.", lambda *a: _step(*a, only_b_ih=True)),
    Mistake(
        "the old h is not used",
        "Every gate sees the input and the old hidden state: add W_hh h.",
        lambda *a: _step(*a, recurrent=0),
    ),
    Mistake(
        "the old c is not used",
        "Without f c there is no memory: c' = f c + i g.",
        lambda *a: _step(*a, keep=0),
    ),
    Mistake(
        "1 - f stands in the place of i",
        "That is the coupled LSTM. Here the input gate has weights of its own.",
        lambda *a: _step(*a, coupled=True),
    ),
    Mistake(
        "the input gate is missing",
        "The candidate is multiplied by the input gate: c' = f c + i g.",
        lambda *a: _step(*a, ungated=True),
    ),
    Mistake("c' and h' are returned in the wrong order", "h' comes first.", lambda *a: _step(*a)[::-1]),
)

step = Exercise(
    "step(params, x, h, c)",
    lstm.step,
    with_params(lstm.Params, 4, "BI", "BH", "BH"),
    {"h": "B, H", "c": "B, H"},
    STEP_MISTAKES,
)

# ---------------------------------------------------------------- padding


def _masked(params: Any, x: Any, h: Any, c: Any, valid: Any) -> tuple[Any, Any]:
    new_h, new_c = lstm.step(params, x, h, c)
    keep = valid[:, None]
    return np.where(keep, new_h, h), np.where(keep, new_c, c)


def _draw_masked(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    arguments = with_params(lstm.Params, 4, "BI", "BH", "BH")(rng, sizes)
    return (*arguments, np.arange(sizes.B) % 2 == sizes.B % 2)  # of one sequence: none is left


def _masked_h_only(params: Any, x: Any, h: Any, c: Any, valid: Any) -> tuple[Any, Any]:
    return _masked(params, x, h, c, valid)[0], lstm.step(params, x, h, c)[1]


masked_step = Exercise(
    "masked_step(params, x, h, c, valid)",
    _masked,
    with_letters(_draw_masked, "BIH"),
    {"h": "B, H", "c": "B, H"},
    (
        Mistake(
            "the mask is not used",
            "A sequence that has ended keeps its old h and c: np.where(valid[:, None], new, old).",
            lambda p, x, h, c, valid: lstm.step(p, x, h, c),
        ),
        Mistake(
            "the mask is the wrong way round",
            "valid is True where the sequence still goes on; there the new state counts.",
            lambda p, x, h, c, valid: _masked(p, x, h, c, ~valid),
        ),
        Mistake(
            "the state is set to zero at the padding",
            "A sequence that has ended keeps its state, so that its last state can be read at the end.",
            lambda p, x, h, c, valid: tuple(s * valid[:, None] for s in lstm.step(p, x, h, c)),
        ),
        Mistake("only h is kept, and c goes on", "Both states wait at the padding.", _masked_h_only),
    ),
)

# ---------------------------------------------------------------- whole sequences


def _forward(params: Any, x: Any, h0: Any, c0: Any, *, carry: Any = lambda new, old, start: new) -> Any:
    """`step` over time; `carry` says with which state the next step starts."""
    h, c, hs, cs = h0, c0, [], []
    for x_t in x:
        new_h, new_c = lstm.step(params, x_t, h, c)
        hs.append(new_h)
        cs.append(new_c)
        h, c = carry((new_h, new_c), (h, c), (h0, c0))
    return np.stack(hs), np.stack(cs)


forward = Exercise(
    "forward(params, x, h0, c0)",
    lstm.forward,
    with_params(lstm.Params, 4, "TBI", "BH", "BH"),
    {"h": "T, B, H", "c": "T, B, H"},
    (
        Mistake(
            "every step starts from h0 and c0",
            "What a step returns is where the next one starts: h, c = step(params, x[t], h, c).",
            lambda *a: _forward(*a, carry=lambda new, old, start: start),
        ),
        Mistake(
            "h is carried on, and c is not",
            "Two states go from step to step.",
            lambda *a: _forward(*a, carry=lambda new, old, start: (new[0], start[1])),
        ),
        Mistake(
            "c is carried on, and h is not",
            "Two states go from step to step.",
            lambda *a: _forward(*a, carry=lambda new, old, start: (start[0], new[1])),
        ),
        Mistake(
            "the start states are not used",
            "The first step starts from h0 and c0, which need not be zero.",
            lambda p, x, h0, c0: _forward(p, x, 0 * h0, 0 * c0),
        ),
        Mistake(
            "h0 and c0 are swapped",
            "The hidden state comes first: (h, c).",
            lambda p, x, h0, c0: _forward(p, x, c0, h0),
        ),
        Mistake(
            "time runs backwards",
            "Read x[0] first.",
            lambda p, x, h0, c0: tuple(s[::-1] for s in _forward(p, x[::-1], h0, c0)),
        ),
        Mistake(
            "only the last states are returned",
            "Keep the state of every step, and stack them: (T, B, H).",
            lambda *a: tuple(s[-1] for s in _forward(*a)),
        ),
        Mistake(
            "the states stand batch first",
            "Time comes first in this book: (T, B, H). np.stack(list_of_states) gives that.",
            lambda *a: tuple(s.swapaxes(0, 1) for s in _forward(*a)),
        ),
        *(
            Mistake(
                f"in the step, {m.name}",
                m.help,
                lambda p, x, h0, c0, wrong=m.wrong: _forward_with(wrong, p, x, h0, c0),
            )
            for m in STEP_MISTAKES[:-1]
        ),
    ),
)


def _forward_with(one_step: Any, params: Any, x: Any, h: Any, c: Any) -> Any:
    hs, cs = [], []
    for x_t in x:
        h, c = one_step(params, x_t, h, c)
        hs.append(h)
        cs.append(c)
    return np.stack(hs), np.stack(cs)


# ---------------------------------------------------------------- gradients


def _right_backward_step(params: Any, x: Any, h: Any, c: Any, dh: Any, dc: Any) -> tuple[Any, ...]:
    grads = lstm.backward(params, lstm.forward(params, x[None], h, c), dh[None], dc[None])
    dW_ih, dW_hh, db, _ = grads.params
    return dW_ih, dW_hh, db, grads.x[0], grads.h0, grads.c0


def _backward_step(
    params: Any,
    x: Any,
    h: Any,
    c: Any,
    dh: Any,
    dc: Any,
    *,
    through_h: bool = True,
    slope_c: bool = True,
    slopes: bool = True,
    slope_g: bool = True,
    new_h: bool = False,
    new_c: bool = False,
    db: Any = lambda da: da.sum(0),
    forget: bool = True,
    mean: bool = False,
    blocks: Any = (0, 1, 2, 3),
) -> tuple[Any, ...]:
    """The gradients of one step with a mistake in them, or with none."""
    W_ih, W_hh, b_ih, b_hh = params
    new = cell(np.split(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh, 4, axis=1), c)
    (i, f, g, o), c_after, tanh_c = new.gates, new.c, new.tanh_c
    if through_h:
        dc = dc + dh * o * ((1 - tanh_c**2) if slope_c else 1)
    slope = (lambda s: s * (1 - s)) if slopes else (lambda s: 1)
    di = dc * g * slope(i)
    df = dc * (c_after if new_c else c) * slope(f)
    dg = dc * i * ((1 - g**2) if slope_g else 1)
    do = dh * tanh_c * slope(o)
    da = np.concatenate([(di, df, dg, do)[k] for k in blocks], axis=1)
    read = new.h if new_h else h
    sums = da.T @ x, da.T @ read, db(da)
    if mean:
        sums = sums[0] / len(x), sums[1] / len(x), sums[2] / len(x)
    return (*sums, da @ W_ih, da @ W_hh, dc * f if forget else dc)


GRADIENT_MISTAKES = (
    Mistake(
        "the gradient with respect to the bias is missing",
        "A bias is added to every a, so its gradient is da, summed over the batch.",
        lambda *a, **k: _backward_step(*a, **k, db=lambda da: 0 * da.sum(0)),
    ),
    Mistake(
        "the way through h' to c' is missing",
        "h' = o tanh(c'), so dc gets dh o (1 - tanh(c')²) as well.",
        lambda *a: _backward_step(*a, through_h=False),
    ),
    Mistake(
        "the slope of tanh(c') is missing",
        "dc gets dh o (1 - tanh(c')²), not dh o.",
        lambda *a: _backward_step(*a, slope_c=False),
    ),
    Mistake(
        "the slopes of the gates are missing",
        "A gate s = sigma(a) has the slope s (1 - s): di = dc g i (1 - i).",
        lambda *a: _backward_step(*a, slopes=False),
    ),
    Mistake(
        "the slope of the candidate is missing",
        "g = tanh(a) has the slope 1 - g²: dg = dc i (1 - g²).",
        lambda *a: _backward_step(*a, slope_g=False),
    ),
    Mistake(
        "the old cell's gradient lacks the forget gate",
        "c' = f c + i g, so what flows on to c is dc f.",
        lambda *a: _backward_step(*a, forget=False),
    ),
    Mistake(
        "df is computed with the new cell state",
        "c' = f c + i g: the forget gate is multiplied by the old c.",
        lambda *a: _backward_step(*a, new_c=True),
    ),
    Mistake(
        "dW_hh is computed with the new hidden state",
        "W_hh has read the old h: dW_hh = da^T h.",
        lambda *a: _backward_step(*a, new_h=True),
    ),
    Mistake(
        "the gradients are averaged over the batch",
        "Sum them: if the loss is a mean, dh has the 1/B in it already.",
        lambda *a: _backward_step(*a, mean=True),
    ),
    Mistake(
        "di and df are swapped",
        "The blocks of da stand in the order of the gates: di, df, dg, do.",
        lambda *a: _backward_step(*a, blocks=(1, 0, 2, 3)),
    ),
    Mistake(
        "dg and do are swapped",
        "The blocks of da stand in the order of the gates: di, df, dg, do.",
        lambda *a: _backward_step(*a, blocks=(0, 1, 3, 2)),
    ),
)

backward_step = Exercise(
    "backward_step(params, x, h, c, dh, dc)",
    _right_backward_step,
    with_params(lstm.Params, 4, "BI", "BH", "BH", "BH", "BH"),
    {"dW_ih": "4H, I", "dW_hh": "4H, H", "db": "4H", "dx": "B, I", "dh": "B, H", "dc": "B, H"},
    GRADIENT_MISTAKES,
)


def _right_backward(params: Any, x: Any, dh: Any) -> tuple[Any, ...]:
    grads = lstm.backward(params, lstm.forward(params, x), dh)
    dW_ih, dW_hh, db, _ = grads.params
    return dW_ih, dW_hh, db, grads.x


def _backward(
    params: Any,
    x: Any,
    dh: Any,
    *,
    through_h: float = 1,
    through_c: float = 1,
    loss: float = 1,
    total: bool = True,
    wrong: Any = _backward_step,
) -> tuple[Any, ...]:
    """Backpropagation through time with a mistake in it, or with none."""
    T, B, H = dh.shape
    hs, cs = _forward(params, x, np.zeros((B, H), x.dtype), np.zeros((B, H), x.dtype))
    sums: Any = 0, 0, 0
    dxs, flow_h, flow_c = np.empty_like(x), 0 * dh[0], 0 * dh[0]
    for t in reversed(range(T)):
        h, c = (hs[t - 1], cs[t - 1]) if t else (0 * hs[0], 0 * cs[0])
        given = dh[t] if loss or t == T - 1 else 0 * dh[t]
        *parts, dxs[t], flow_h, flow_c = wrong(
            params, x[t], h, c, given + through_h * flow_h, through_c * flow_c
        )
        sums = [a + b if total else b for a, b in zip(sums, parts, strict=True)]
    return (*sums, dxs)


backward = Exercise(
    "backward(params, x, dh)",
    _right_backward,
    with_params(lstm.Params, 4, "TBI", "TBH"),
    {"dW_ih": "4H, I", "dW_hh": "4H, H", "db": "4H", "dx": "T, B, I"},
    (
        Mistake(
            "the cell's gradient is not carried back",
            "What a step gives for its old c is added to dc one step earlier.",
            lambda *a: _backward(*a, through_c=0),
        ),
        Mistake(
            "the hidden state's gradient is not carried back",
            "What a step gives for its old h is added to dh one step earlier.",
            lambda *a: _backward(*a, through_h=0),
        ),
        Mistake(
            "nothing is carried back",
            "Each step was treated alone. Its dh and dc go on to the step before it.",
            lambda *a: _backward(*a, through_h=0, through_c=0),
        ),
        Mistake(
            "the loss is read at the last step alone",
            "Here it reads every h_t: add dh[t] at each step.",
            lambda *a: _backward(*a, loss=0),
        ),
        Mistake(
            "the weights' gradients are those of one step",
            "The same weights serve every step: sum their gradients over t.",
            lambda *a: _backward(*a, total=False),
        ),
        *(
            Mistake(
                f"in a step, {m.name}",
                m.help,
                lambda p, x, dh, wrong=m.wrong: _backward(p, x, dh, wrong=wrong),
            )
            for m in GRADIENT_MISTAKES
        ),
    ),
)

# ---------------------------------------------------------------- peepholes


def _peephole(params: Any, x: Any, h: Any, c: Any, *, o_sees_old: bool = False, g_looks: bool = False) -> Any:
    W_ih, W_hh, b_ih, b_hh, w_ci, w_cf, w_co = params
    i, f, g, o = np.split(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh, 4, axis=1)
    g = np.tanh(g + c * w_ci if g_looks else g)
    new = cell_state(sigmoid(i + c * w_ci), sigmoid(f + c * w_cf), g, c)
    return sigmoid(o + (c if o_sees_old else new) * w_co) * np.tanh(new), new


peephole_step = Exercise(
    "peephole_step(params, x, h, c)",
    lstm_peephole.step,
    with_params(lstm_peephole.Params, 4, "BI", "BH", "BH"),
    {"h": "B, H", "c": "B, H"},
    (
        Mistake(
            "the output gate looks at the old cell state",
            "i and f look at the old c, o at the new one: it decides what of c' is shown.",
            lambda *a: _peephole(*a, o_sees_old=True),
        ),
        Mistake(
            "the candidate looks at the cell too",
            "Only the three gates have peepholes.",
            lambda *a: _peephole(*a, g_looks=True),
        ),
        Mistake(
            "the peepholes of i and f are swapped",
            "w_ci belongs to the input gate, w_cf to the forget gate.",
            lambda p, *a: _peephole((*p[:4], p[5], p[4], p[6]), *a),
        ),
        Mistake(
            "the peepholes are missing",
            "Add w_ci c to the input gate's sum, w_cf c to the forget gate's, w_co c' to the output gate's.",
            lambda p, *a: lstm.step(lstm.Params(*p[:4]), *a),
        ),
    ),
)

# ---------------------------------------------------------------- initialisation and size


def _blocks(b_ih: Any, b_hh: Any) -> list[Any]:
    """The biases of i, f, g, o, as the cell adds them."""
    return np.split(b_ih + b_hh, 4)


def _init(
    I: int,
    H: int,
    rng: Any,
    *,
    at: Any = (1,),
    value: float = 1,
    both: bool = False,
    draw: Any = drawn_weights,
) -> Any:
    """An initialisation with a mistake in it, or with none."""
    b = np.where(np.isin(np.arange(4), at), float(value), 0.0).repeat(H)
    return draw(rng, (4 * H, I), H), draw(rng, (4 * H, H), H), b, b if both else 0 * b


init = Drawn(
    "init(I, H, rng)",
    lstm.init,
    ((30, 50), (7, 40)),
    {"weight_ih": "4H, I", "weight_hh": "4H, H", "bias_ih": "4H", "bias_hh": "4H"},
    rules=(
        *EVEN_WEIGHTS,
        Rule(
            "the biases should sum to 1 for the forget gate and to 0 for i, g and o.",
            lambda a, W_ih, W_hh, *b: np.allclose(np.stack(_blocks(*b)), [[0], [1], [0], [0]], atol=1e-6),
        ),
    ),
    mistakes=(
        Mistake(
            "every gate has the bias 1",
            "Only the forget gate starts open: rows H to 2H of the bias.",
            lambda I, H, rng: _init(I, H, rng, at=(0, 1, 2, 3)),
            lambda a, W_ih, W_hh, *b: all(np.allclose(one, 1) for one in _blocks(*b)),
        ),
        Mistake(
            "the bias 1 stands at another block than the forget gate's",
            "The blocks are i, f, g, o: the forget gate's rows are H to 2H.",
            lambda I, H, rng: _init(I, H, rng, at=(2,)),
            lambda a, W_ih, W_hh, *b: (
                np.allclose(_blocks(*b)[1], 0) and sum(np.allclose(one, 1) for one in _blocks(*b)) == 1
            ),
        ),
        Mistake(
            "the forget gate's bias is 1 in both biases",
            "The cell adds the two, so it starts at 2. Leave one of them at zero.",
            lambda I, H, rng: _init(I, H, rng, both=True),
            lambda a, W_ih, W_hh, *b: np.allclose(_blocks(*b)[1], 2),
        ),
        Mistake(
            "all biases are zero",
            "The forget gate starts at sigma(0) = 1/2 and halves the memory at each step. Set its bias to 1.",
            lambda I, H, rng: _init(I, H, rng, value=0),
            lambda a, W_ih, W_hh, *b: all(np.allclose(one, 0) for one in _blocks(*b)),
        ),
        *weight_mistakes(_init),
    ),
    praise="the weights fill -1/sqrt(H) to 1/sqrt(H) evenly, and only the forget gate has a bias, of 1.",
)


def _count(params: Any) -> int:
    return sum(array.size for array in params)


count_parameters = Exercise(
    "count_parameters(I, H)",
    lambda I, H: _count(lstm.init(I, H, rng=np.random.default_rng(0))),
    with_letters(lambda rng, sizes: (sizes.I, sizes.H), "IH"),
    {"the number": ""},
    (
        Mistake(
            "one of the two biases is not counted",
            "torch keeps two biases of 4H numbers, b_ih and b_hh.",
            lambda I, H: 4 * (I * H + H * H + H),
        ),
        Mistake("no bias is counted", "There are two, of 4H numbers each.", lambda I, H: 4 * (I * H + H * H)),
        Mistake(
            "one block is counted in place of four",
            "i, f, g and o each have weights of their own.",
            lambda I, H: I * H + H * H + 2 * H,
        ),
        Mistake(
            "three gates are counted, and the candidate is not",
            "g has weights of its own as well: four blocks.",
            lambda I, H: 3 * (I * H + H * H + 2 * H),
        ),
        Mistake(
            "the recurrent weights are not counted",
            "W_hh has 4H rows and H columns.",
            lambda I, H: 4 * (I * H + 2 * H),
        ),
    ),
)

# ---------------------------------------------------------------- puzzles

PARTS = {gate: ("w_x", "w_h", "b") for gate in "ifgo"}


def _one_unit(weights: dict[str, np.ndarray], x: np.ndarray) -> Trace:
    """A cell with one unit and one input; each gate has a weight for x, one for h and a bias."""
    rows = np.stack([weights[gate] for gate in "ifgo"])  # (4, 3)
    params = lstm.Params(rows[:, :1].copy(), rows[:, 1:2].copy(), rows[:, 2].copy(), np.zeros(4))
    run = lstm.forward(params, x[:, None, None])
    gates = {gate: run.gates[:, 0, k] for k, gate in enumerate("ifgo")}
    return Trace(run.h[:, 0, 0], {**gates, "c": run.c[:, 0, 0]})


latch = Puzzle(
    "latch",
    PARTS,
    _one_unit,
    latch_inputs,
    latch_wanted,
    latch_symbol,
    praise="it switches on at +1, off at -1, and remembers in between, for up to {longest} steps.",
)


def _counter_inputs(rng: np.random.Generator) -> list[np.ndarray]:
    return [
        np.repeat([1.0, -1.0], counts) for counts in ((1, 1), (2, 2), (3, 1), (4, 4), (10, 10), (500, 500))
    ]


def _counter_wanted(x: np.ndarray) -> Wanted:
    count = np.cumsum(x)
    read = [int((x[: t + 1] > 0).sum()) for t in range(len(x))]
    return Wanted(
        np.where(count == 0, -0.1, 0.5),
        np.where(count == 0, 0.1, np.inf),
        [f"{a} a and {a - int(n)} b have come" for a, n in zip(read, count, strict=True)],
    )


counter = Puzzle(
    "counter",
    PARTS,
    _one_unit,
    _counter_inputs,
    _counter_wanted,
    lambda value: "a" if value > 0 else "b",
    praise="h is zero exactly when as many b as a have come, for strings of up to {longest} letters.",
)
