"""Exercises of the chapters on the plain network.   B batch, T steps, I inputs, H hidden, K classes.

    step(params, x, h) -> h                               forward(params, x, h0) -> h
    backward(params, x, h0, dh) -> dW_ih, dW_hh, db, dx, dh0
    softmax(logits) -> p                                  temperature(logits, tau) -> p
    cross_entropy(logits, labels) -> loss, dlogits        clip_by_norm(dW, db, max_norm) -> dW, db
    orthogonal(H, rng) -> W                               count_parameters(I, H) -> a number
    latch, delay, parity: puzzles

params unpack as W_ih, W_hh, b_ih, b_hh.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit import rnn
from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import normal, over_time, with_letters, with_params
from rnnlit.exercises.drawn import Drawn, Rule
from rnnlit.exercises.puzzle import (
    Puzzle,
    Trace,
    Wanted,
    latch_inputs,
    latch_symbol,
    latch_wanted,
    wanted_sign,
)
from rnnlit.tools import layers, optim
from rnnlit.tools.functions import sigmoid

# ---------------------------------------------------------------- one step


def _step(
    params: Any,
    x: Any,
    h: Any,
    *,
    squash: Any = np.tanh,
    b: Any = lambda b_ih, b_hh: b_ih + b_hh,
    reads_x: float = 1,
    reads_h: float = 1,
    turned: bool = False,
) -> Any:
    """A step with a mistake in it, or with none."""
    W_ih, W_hh, b_ih, b_hh = params
    return squash(reads_x * (x @ W_ih.T) + reads_h * (h @ (W_hh if turned else W_hh.T)) + b(b_ih, b_hh))


STEP_MISTAKES = (
    Mistake("the tanh is missing", "h' = tanh(...).", lambda *a: _step(*a, squash=lambda a: a)),
    Mistake(
        "sigma stands in the place of tanh", "A state may be negative.", lambda *a: _step(*a, squash=sigmoid)
    ),
    Mistake(
        "a relu stands in the place of tanh",
        "Here the state is squashed to -1 to 1.",
        lambda *a: _step(*a, squash=lambda a: np.maximum(a, 0)),
    ),
    Mistake(
        "the old state is not used",
        "Without W_hh h the network has no memory.",
        lambda *a: _step(*a, reads_h=0),
    ),
    Mistake("the input is not used", "Add W_ih x.", lambda *a: _step(*a, reads_x=0)),
    Mistake(
        "W_hh is turned round",
        "W_hh h is written h @ W_hh.T for a batch of rows. W_hh is square, so no shape tells.",
        lambda *a: _step(*a, turned=True),
    ),
    Mistake(
        "a bias is counted twice",
        "Each of the two biases once.",
        lambda *a: _step(*a, b=lambda b_ih, b_hh: 2 * (b_ih + b_hh)),
    ),
    Mistake("a bias is missing", "b_hh is added too.", lambda *a: _step(*a, b=lambda b_ih, b_hh: b_ih)),
    Mistake("no bias is added", "b_ih and b_hh are added.", lambda *a: _step(*a, b=lambda b_ih, b_hh: 0)),
)

step = Exercise(
    "step(params, x, h)", rnn.step, with_params(rnn.Params, 1, "BI", "BH"), {"h": "B, H"}, STEP_MISTAKES
)

# ---------------------------------------------------------------- whole sequences


def _forgets(params: Any, x: Any, h0: Any) -> Any:
    return np.stack([rnn.step(params, x_t, h0) for x_t in x])


forward = Exercise(
    "forward(params, x, h0)",
    rnn.forward,
    with_params(rnn.Params, 1, "TBI", "BH"),
    {"h": "T, B, H"},
    (
        Mistake(
            "every step starts from h0",
            "What a step returns is where the next one starts: h = step(params, x[t], h).",
            _forgets,
        ),
        Mistake(
            "the start state is not used",
            "The first step starts from h0, which need not be zero.",
            lambda p, x, h0: over_time(rnn.step, p, x, 0 * h0),
        ),
        Mistake(
            "time runs backwards",
            "Read x[0] first.",
            lambda p, x, h0: over_time(rnn.step, p, x[::-1], h0)[::-1],
        ),
        Mistake(
            "only the last state is returned",
            "Keep the state of every step, and stack them: (T, B, H).",
            lambda p, x, h0: over_time(rnn.step, p, x, h0)[-1],
        ),
        Mistake(
            "the states stand batch first",
            "Time comes first in this book: (T, B, H). np.stack(list_of_states) gives that.",
            lambda p, x, h0: over_time(rnn.step, p, x, h0).swapaxes(0, 1),
        ),
        Mistake(
            "the states are those before each step",
            "h[t] is the state after step t, so h0 is not among them.",
            lambda p, x, h0: np.concatenate([h0[None], over_time(rnn.step, p, x, h0)[:-1]]),
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


def _right_backward(params: Any, x: Any, h0: Any, dh: Any) -> tuple[Any, ...]:
    grads = rnn.backward(params, rnn.forward(params, x, h0), dh)
    dW_ih, dW_hh, db, _ = grads.params
    return dW_ih, dW_hh, db, grads.x, grads.h0


def _backward(
    params: Any,
    x: Any,
    h0: Any,
    dh: Any,
    *,
    carry: float = 1,
    every: bool = True,
    slope: Any = lambda h: 1 - h**2,
    turned: bool = False,
    new_h: bool = False,
    no_bias: bool = False,
    one: bool = False,
    mean: bool = False,
) -> tuple[Any, ...]:
    """Backpropagation through time with a mistake in it, or with none."""
    W_ih, W_hh, _, _ = params
    h = over_time(rnn.step, params, x, h0)
    before = np.concatenate([h0[None], h[:-1]])
    da, flow = np.empty_like(h), np.zeros_like(h0)
    for t in reversed(range(len(x))):
        given = dh[t] if every or t == len(x) - 1 else 0 * dh[t]
        da[t] = (given + carry * flow) * slope(h[t])
        flow = da[t] @ (W_hh.T if turned else W_hh)
    summed = da[:1] if one else da
    dW_ih = np.einsum("tbh,tbi->hi", summed, x[: len(summed)])
    dW_hh = np.einsum("tbh,tbk->hk", summed, (h if new_h else before)[: len(summed)])
    n = len(h0) if mean else 1
    return dW_ih / n, dW_hh / n, (0 if no_bias else 1) * summed.sum((0, 1)) / n, da @ W_ih, flow


backward = Exercise(
    "backward(params, x, h0, dh)",
    _right_backward,
    with_params(rnn.Params, 1, "TBI", "BH", "TBH"),
    {"dW_ih": "H, I", "dW_hh": "H, H", "db": "H", "dx": "T, B, I", "dh0": "B, H"},
    (
        Mistake(
            "nothing is carried back",
            "Each step was treated alone. dh_t = dh[t] + W_hh^T da_{t+1}.",
            lambda *a: _backward(*a, carry=0),
        ),
        Mistake(
            "the loss is read at the last step alone",
            "Here it reads every h_t: add dh[t] at each step.",
            lambda *a: _backward(*a, every=False),
        ),
        Mistake(
            "the slope of tanh is missing",
            "da = dh (1 - h²).",
            lambda *a: _backward(*a, slope=np.ones_like),
        ),
        Mistake(
            "the slope is taken at h, and h is tanh(a) already",
            "da = dh (1 - h²), not dh (1 - tanh(h)²).",
            lambda *a: _backward(*a, slope=lambda h: 1 - np.tanh(h) ** 2),
        ),
        Mistake(
            "the slope is that of sigma",
            "h (1 - h) belongs to sigma; tanh has 1 - h².",
            lambda *a: _backward(*a, slope=lambda h: h * (1 - h)),
        ),
        Mistake(
            "W_hh is turned round on the way back",
            "Forward h @ W_hh.T, backward da @ W_hh. W_hh is square, so no shape tells.",
            lambda *a: _backward(*a, turned=True),
        ),
        Mistake(
            "dW_hh is computed with the state after the step",
            "W_hh has read h_{t-1}: dW_hh = sum over t of da_t^T h_{t-1}.",
            lambda *a: _backward(*a, new_h=True),
        ),
        Mistake(
            "the gradient with respect to the bias is missing",
            "db = da, summed over steps and batch.",
            lambda *a: _backward(*a, no_bias=True),
        ),
        Mistake(
            "the weights' gradients are those of one step",
            "The same weights serve every step: sum over t.",
            lambda *a: _backward(*a, one=True),
        ),
        Mistake(
            "the gradients are averaged over the batch",
            "Sum them: if the loss is a mean, dh has the 1/B in it already.",
            lambda *a: _backward(*a, mean=True),
        ),
    ),
)

# ---------------------------------------------------------------- the loss


def _softmax(a: Any, axis: int = -1) -> Any:
    e = np.exp(a - a.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _draw_logits(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Logits (B, K), those of the second size so large that their exponentials overflow."""
    return (rng.standard_normal((sizes.B, sizes.H)) * (1000 if sizes.B == 3 else 1),)


def _naive(logits: Any) -> Any:
    e = np.exp(logits)
    return e / e.sum(-1, keepdims=True)


LOGITS = {"B": "B", "H": "K"}
SOFTMAX_MISTAKES = (
    Mistake(
        "the exponentials overflow",
        "exp(1000) is inf, and inf / inf is no number. Subtract the largest logit of each row first; "
        "the result stays the same.",
        _naive,
    ),
    Mistake(
        "the sum runs over the batch",
        "Each row is a distribution: sum over the last axis, axis=-1.",
        lambda logits: _softmax(logits, axis=0),
    ),
    Mistake(
        "one sum is taken over all numbers",
        "Each row is a distribution of its own: sum(axis=-1, keepdims=True).",
        lambda logits: np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum(),
    ),
    Mistake(
        "nothing is divided by the sum",
        "exp(a) alone doesn't sum to 1.",
        lambda logits: np.exp(logits - logits.max(-1, keepdims=True)),
    ),
    Mistake(
        "the logarithm is returned",
        "That is log softmax. Take the exponential.",
        lambda logits: _log_softmax(logits),
    ),
)


def _log_softmax(logits: Any) -> Any:
    z = logits - logits.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


softmax = Exercise(
    "softmax(logits)",
    _softmax,
    _draw_logits,
    {"p": "B, K"},
    SOFTMAX_MISTAKES,
    names=LOGITS,
)


def _draw_temperature(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return (*_draw_logits(rng, sizes), {2: 0.5, 3: 2.0, 1: 0.7, 4: 1.5}[sizes.B])


temperature = Exercise(
    "temperature(logits, tau)",
    lambda logits, tau: _softmax(logits / tau),
    _draw_temperature,
    {"p": "B, K"},
    (
        Mistake(
            "the logits are multiplied by tau",
            "A low temperature sharpens: divide the logits by tau.",
            lambda logits, tau: _softmax(logits * tau),
        ),
        Mistake("tau is not used", "softmax(logits / tau).", lambda logits, tau: _softmax(logits)),
        Mistake(
            "the probabilities are divided by tau",
            "Then they don't sum to 1. Divide the logits, before the softmax.",
            lambda logits, tau: _softmax(logits) / tau,
        ),
        *(
            Mistake(m.name, m.help, lambda logits, tau, wrong=m.wrong: wrong(logits / tau))
            for m in SOFTMAX_MISTAKES
        ),
    ),
    names=LOGITS,
)


def _draw_labels(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return (3 * rng.standard_normal((sizes.B, sizes.H)), rng.integers(0, sizes.H, sizes.B))


def _cross_entropy(
    logits: Any, labels: Any, *, n: int | None = None, hot: float = 1, p: Any = _softmax, log: Any = np.log
) -> Any:
    rows, n = np.arange(len(labels)), len(labels) if n is None else n
    probability = p(logits)
    one_hot = np.zeros_like(logits)
    one_hot[rows, labels] = 1
    return -log(probability[rows, labels]).sum() / n, (probability - hot * one_hot) / n


def _cross_entropy_parts(logits: Any, labels: Any, loss: float, gradient: float) -> Any:
    """Loss and gradient, each multiplied by a number."""
    a, b = _cross_entropy(logits, labels)
    return loss * a, gradient * b


cross_entropy = Exercise(
    "cross_entropy(logits, labels)",
    layers.softmax_cross_entropy,
    _draw_labels,
    {"loss": "", "dlogits": "B, K"},
    (
        Mistake(
            "the 1 of the right class is not subtracted",
            "dlogits = (p - onehot(label)) / B.",
            lambda *a: _cross_entropy(*a, hot=0),
        ),
        Mistake(
            "the gradient has the wrong sign",
            "It is p - onehot(label): where p is too small, the gradient is negative and the logit grows.",
            lambda logits, labels: _cross_entropy_parts(logits, labels, 1, -1),
        ),
        Mistake(
            "the loss has the wrong sign",
            "log p is negative; the loss is -log p.",
            lambda logits, labels: _cross_entropy_parts(logits, labels, -1, 1),
        ),
        Mistake(
            "the loss is a mean, and its gradient is not",
            "The loss is divided by B, so its gradient is too.",
            lambda logits, labels: _cross_entropy_parts(logits, labels, 1, len(labels)),
        ),
        Mistake(
            "the losses are summed over the batch",
            "Here the loss is their mean.",
            lambda *a: _cross_entropy(*a, n=1),
        ),
        Mistake(
            "the loss is counted in bits",
            "log is the natural logarithm here: nats.",
            lambda *a: _cross_entropy(*a, log=np.log2),
        ),
        Mistake(
            "the softmax runs over the batch",
            "Each row is a distribution: axis=-1.",
            lambda *a: _cross_entropy(*a, p=lambda logits: _softmax(logits, axis=0)),
        ),
        Mistake(
            "the logarithm is missing",
            "The loss is -log p, not -p.",
            lambda *a: _cross_entropy(*a, log=lambda p: p),
        ),
        Mistake(
            "the gradient is that with respect to p",
            "-1/p goes on through the softmax; together they are p - onehot(label).",
            lambda logits, labels: _with_respect_to_p(logits, labels),
        ),
    ),
    names=LOGITS,
)


def _with_respect_to_p(logits: Any, labels: Any) -> Any:
    loss, d = _cross_entropy(logits, labels)
    rows = np.arange(len(labels))
    d = np.zeros_like(d)
    d[rows, labels] = -1 / _softmax(logits)[rows, labels] / len(labels)
    return loss, d


# ---------------------------------------------------------------- training


def _draw_gradients(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    """Gradients whose norm is above the limit for two sizes, and below it for the others."""
    dW, db = normal("HI", "H")(rng, sizes)
    norm = float(np.sqrt((dW**2).sum() + (db**2).sum()))
    return dW, db, norm * (0.4 if sizes.B % 2 == 0 else 1.5)


def _scaled(dW: Any, db: Any, scale: Any) -> Any:
    return scale * dW, scale * db


def _norm(*arrays: Any, power: int = 2) -> float:
    return float(sum((np.abs(a) ** power).sum() for a in arrays) ** (1 / power))


clip_by_norm = Exercise(
    "clip_by_norm(dW, db, max_norm)",
    lambda dW, db, max_norm: optim.clip_by_norm((dW, db), max_norm)[0],
    with_letters(_draw_gradients, "IH"),
    {"dW": "H, I", "db": "H"},
    (
        Mistake(
            "each array is clipped by a norm of its own",
            "One norm for all of them together keeps the direction: sqrt(sum of all squares).",
            lambda dW, db, m: (dW * min(1, m / _norm(dW)), db * min(1, m / _norm(db))),
        ),
        Mistake(
            "each number is clipped",
            "That is clipping by value, and it turns the direction. Scale all by one number.",
            lambda dW, db, m: (np.clip(dW, -m, m), np.clip(db, -m, m)),
        ),
        Mistake(
            "small gradients are scaled up",
            "Only a norm above max_norm is scaled: min(1, max_norm / norm).",
            lambda dW, db, m: _scaled(dW, db, m / _norm(dW, db)),
        ),
        Mistake(
            "the square root is missing",
            "The norm is the root of the sum of squares.",
            lambda dW, db, m: _scaled(dW, db, min(1, m / _norm(dW, db) ** 2)),
        ),
        Mistake(
            "the norm is the sum of absolute values",
            "It is the root of the sum of squares.",
            lambda dW, db, m: _scaled(dW, db, min(1, m / _norm(dW, db, power=1))),
        ),
        Mistake(
            "the gradients are scaled to norm 1",
            "max_norm / norm, not 1 / norm.",
            lambda dW, db, m: _scaled(dW, db, 1 if _norm(dW, db) <= m else 1 / _norm(dW, db)),
        ),
        Mistake(
            "nothing is clipped",
            "Multiply by min(1, max_norm / norm).",
            lambda dW, db, m: (dW.copy(), db.copy()),
        ),
    ),
    close=1e-5,  # the package's denominator has 1e-6 in it, as torch's
)


def _orthogonal(H: int, rng: Any) -> Any:
    return rnn.init(1, H, rng=rng, recurrent="orthogonal", dtype=np.float64).weight_hh


def _columns(W: Any) -> Any:
    return W / np.linalg.norm(W, axis=0)


orthogonal = Drawn(
    "orthogonal(H, rng)",
    _orthogonal,
    ((40,), (7,)),
    {"W": "H, H"},
    rules=(
        Rule(
            "W^T W is not the identity.",
            lambda a, W: np.allclose(W.T @ W, np.eye(len(W)), atol=1e-4),
        ),
        Rule("W is the identity, or nearly.", lambda a, W: np.abs(np.diagonal(W)).mean() < 0.8),
    ),
    mistakes=(
        Mistake(
            "the columns have length 1, and are not at right angles",
            "np.linalg.qr of a normal matrix gives both.",
            lambda H, rng: _columns(rng.standard_normal((H, H))),
            lambda a, W: (
                np.allclose((W**2).sum(0), 1, atol=1e-4)
                and not np.allclose(W.T @ W, np.eye(len(W)), atol=1e-2)
            ),
        ),
        Mistake(
            "the triangular part of QR is returned",
            "np.linalg.qr returns Q and R; Q is the orthogonal one.",
            lambda H, rng: np.linalg.qr(rng.standard_normal((H, H)))[1],
            lambda a, W: np.allclose(W, np.triu(W)) and not np.allclose(W, np.diag(np.diagonal(W))),
        ),
        Mistake(
            "W is random, and only its size is right",
            "Normal numbers over sqrt(H) have singular values from 0 to 2. Take Q of np.linalg.qr.",
            lambda H, rng: rng.standard_normal((H, H)) * H**-0.5,
            lambda a, W: (
                abs((W**2).sum() / len(W) - 1) < 0.5 and not np.allclose((W**2).sum(0), 1, atol=1e-3)
            ),
        ),
        Mistake(
            "Q is scaled by 1/sqrt(H)",
            "Its singular values are 1 as it is; scaled, the state would fade at once.",
            lambda H, rng: _orthogonal(H, rng) * H**-0.5,
            lambda a, W: np.allclose(W.T @ W * len(W), np.eye(len(W)), atol=1e-3),
        ),
    ),
    praise="W^T W is the identity, so all singular values are 1, and W is drawn from rng.",
)

# ---------------------------------------------------------------- puzzles


def _run(W_ih: Any, W_hh: Any, b: Any, x: Any) -> Any:
    """A plain network with one input, over x (T,): its states (T, H)."""
    params = rnn.Params(W_ih, W_hh, b, np.zeros_like(b))
    return rnn.forward(params, x[:, None, None]).h[:, 0]


def _one_unit(weights: dict[str, np.ndarray], x: np.ndarray) -> Trace:
    w_x, w_h, b = (weights[name].reshape(1, 1) for name in ("w_x", "w_h", "b"))
    h = _run(w_x, w_h, b[0], x)[:, 0]
    a = w_x[0] * x + w_h[0] * np.concatenate([[0.0], h[:-1]]) + b[0]
    return Trace(h, {"w_x x + w_h h + b": a})


latch = Puzzle(
    "latch",
    {"w_x": ("w_x",), "w_h": ("w_h",), "b": ("b",)},
    _one_unit,
    latch_inputs,
    lambda x: latch_wanted(x, off=(-np.inf, -0.5), before=(-np.inf, np.inf)),
    latch_symbol,
    praise="it switches on at +1, off at -1, and remembers in between, for up to {longest} steps.",
)


def _two_units(weights: dict[str, np.ndarray], x: np.ndarray) -> Trace:
    """Unit 1 and unit 2; each has a weight for x, one for each old state, and a bias."""
    rows = np.stack([weights["first"], weights["second"]])
    h = _run(rows[:, :1].copy(), rows[:, 1:3].copy(), rows[:, 3].copy(), x)
    return Trace(h[:, 1], {"first": h[:, 0], "second": h[:, 1]})


def _delay_inputs(rng: np.random.Generator) -> list[np.ndarray]:
    return [np.array([1.0, -1.0, -1.0, 1.0]), *(rng.choice([-1.0, 1.0], T) for T in (30, 500))]


delay = Puzzle(
    "delay",
    {"first": ("w_x", "w_1", "w_2", "b"), "second": ("w_x", "w_1", "w_2", "b")},
    _two_units,
    _delay_inputs,
    lambda x: wanted_sign(
        np.concatenate([[0.0], x[:-1]]),
        ["nothing came before"] + [f"the input before was {v:+.0f}" for v in x[:-1]],
    ),
    lambda value: f"{value:+.0f}",
    output="the second unit",
    praise="the second unit shows the input of one step before, for up to {longest} steps.",
)

# ---------------------------------------------------------------- how many numbers


def _count(I: int, H: int) -> int:
    return sum(array.size for array in rnn.init(I, H, rng=np.random.default_rng(0)))


count_parameters = Exercise(
    "count_parameters(I, H)",
    _count,
    lambda rng, sizes: (sizes.I, sizes.H),
    {"the number": ""},
    (
        Mistake(
            "one of the two biases is not counted",
            "torch keeps two biases of H numbers, b_ih and b_hh, and so do we.",
            lambda I, H: I * H + H * H + H,
        ),
        Mistake("no bias is counted", "There are two, of H numbers each.", lambda I, H: I * H + H * H),
        Mistake(
            "the recurrent weights are not counted",
            "W_hh has H rows and H columns.",
            lambda I, H: I * H + 2 * H,
        ),
        Mistake(
            "the input weights are not counted",
            "W_ih has H rows and I columns.",
            lambda I, H: H * H + 2 * H,
        ),
    ),
)

# ---------------------------------------------------------------- parity


def _parity_cell(weights: dict[str, np.ndarray], x: np.ndarray) -> Trace:
    """Two units, each with a weight for x, one for each old state and a bias; and a readout."""
    rows = np.stack([weights["first"], weights["second"]])
    h = _run(rows[:, :1].copy(), rows[:, 1:3].copy(), rows[:, 3].copy(), x)
    v_1, v_2, c = weights["readout"]
    return Trace(v_1 * h[:, 0] + v_2 * h[:, 1] + c, {"first": h[:, 0], "second": h[:, 1]})


def _parity_wanted(x: np.ndarray) -> Wanted:
    count = np.cumsum(x)
    odd = count % 2 == 1
    return Wanted(
        np.where(odd, 0.5, -np.inf),
        np.where(odd, np.inf, -0.5),
        [f"the number of ones is {int(n)}" for n in count],
    )


def _parity_inputs(rng: np.random.Generator) -> list[np.ndarray]:
    return [np.array([1.0, 0, 1, 1]), *(rng.integers(0, 2, T).astype(float) for T in (8, 40, 1000))]


parity = Puzzle(
    "parity",
    {
        "first": ("w_x", "w_1", "w_2", "b"),
        "second": ("w_x", "w_1", "w_2", "b"),
        "readout": ("v_1", "v_2", "c"),
    },
    _parity_cell,
    _parity_inputs,
    _parity_wanted,
    lambda value: f"{value:.0f}",
    output="the readout",
    praise="it is positive exactly when the number of ones is odd, for up to {longest} steps.",
)
