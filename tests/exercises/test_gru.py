"""Answers to the exercises of the GRU chapter, written as a reader may write them; and its puzzle."""

import numpy as np
import pytest

from rnnlit import gru as cell
from rnnlit.exercises import gru
from rnnlit.exercises.check import RIGHT, WRONG


def sigma(a):
    return 1 / (1 + np.exp(-a))


def parts(params, x, h):
    W_ih, W_hh, b_ih, b_hh = params
    H = h.shape[1]
    rows = [slice(0, H), slice(H, 2 * H), slice(2 * H, None)]
    return [x @ W_ih[k].T + b_ih[k] for k in rows], [(W_hh[k], b_hh[k]) for k in rows]


def step(params, x, h):
    (x_r, x_z, x_n), ((W_r, b_r), (W_z, b_z), (W_n, b_n)) = parts(params, x, h)
    r = sigma(x_r + h @ W_r.T + b_r)
    z = sigma(x_z + h @ W_z.T + b_z)
    n = np.tanh(x_n + r * (h @ W_n.T + b_n))
    return n + z * (h - n)


def step_before(params, x, h):
    (x_r, x_z, x_n), ((W_r, b_r), (W_z, b_z), (W_n, b_n)) = parts(params, x, h)
    r = sigma(x_r + h @ W_r.T + b_r)
    z = sigma(x_z + h @ W_z.T + b_z)
    n = np.tanh(x_n + (r * h) @ W_n.T + b_n)
    return n + z * (h - n)


def forward(params, x, h0):
    states = []
    for x_t in x:
        h0 = step(params, x_t, h0)
        states.append(h0)
    return np.array(states)


def backward_step(params, x, h, dh):
    (x_r, x_z, x_n), ((W_r, b_r), (W_z, b_z), (W_n, b_n)) = parts(params, x, h)
    r, z = sigma(x_r + h @ W_r.T + b_r), sigma(x_z + h @ W_z.T + b_z)
    q = h @ W_n.T + b_n
    n = np.tanh(x_n + r * q)
    dn = dh * (1 - z) * (1 - n * n)
    dr = dn * q * r * (1 - r)
    dz = dh * (h - n) * z * (1 - z)
    to_x, to_h = np.hstack([dr, dz, dn]), np.hstack([dr, dz, dn * r])
    dx = to_x @ params.weight_ih
    return to_x.T @ x, to_h.T @ h, to_x.sum(0), to_h.sum(0), dx, dh * z + to_h @ params.weight_hh


def count_parameters(I, H):
    return 3 * H * (I + H + 2)


def init(I, H, rng):
    k = H**-0.5
    b = np.zeros(3 * H)
    b[H : 2 * H] = 1
    return {
        "weight_ih": rng.uniform(-k, k, (3 * H, I)),
        "weight_hh": rng.uniform(-k, k, (3 * H, H)),
        "bias_ih": np.zeros(3 * H),
        "bias_hh": b,
    }


@pytest.mark.parametrize(
    "answer",
    [step, step_before, forward, backward_step, count_parameters, init],
    ids=lambda answer: answer.__name__,
)
def test_an_answer_written_anew_is_right(answer):
    verdict = getattr(gru, answer.__name__).judge(answer)
    assert verdict.outcome == RIGHT, verdict.text


def test_each_form_of_reset_is_the_others_mistake():
    assert gru.step.judge(step_before).mistake == "the reset gate acts before the recurrent product"
    assert gru.step_before.judge(step).mistake == "the reset gate acts after the recurrent product"
    before = gru.forward.judge(lambda p, x, h: cell.forward(p, x, h, reset_after=False))
    assert before.mistake == "in the step, the reset gate acts before the recurrent product"


TOGGLE = dict(r=(0, 0, 50), z=(-40, 0, 20), n=(0, -5, 0))


def test_toggle():
    assert gru.toggle.judge(TOGGLE).outcome == RIGHT
    stuck = gru.toggle.judge({**TOGGLE, "n": (0, 5, 0)})
    assert stuck.outcome == WRONG and "h should be at least 0.5 (1 times 1 so far)" in stuck.text
    assert "r = 1.000, z = 0.000, n = -1.000" in stuck.text
    assert gru.toggle.judge({**TOGGLE, "z": (0, 0, -20)}).outcome == WRONG
    assert gru.toggle.judge({**TOGGLE, "r": (0, 0, -50)}).outcome == WRONG
