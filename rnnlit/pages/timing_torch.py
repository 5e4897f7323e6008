"""Times of short runs side by side, and what a training pass of an LSTM cannot do without.

B batch, T steps, I inputs, H hidden;   gates i f g o.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from rnnlit import lstm_variants
from rnnlit.tools.checks import check_size

ROWS = 512  # that one call takes, where rows need not wait for each other
Run = Callable[[], Any]


def in_turn(runs: Mapping[str, Run], seconds: float = 1.0, rounds: int = 5) -> dict[str, float]:
    """The median time of each run in milliseconds, all taken in turn, so that noise meets all alike.

    seconds: about how long all rounds take together;   rounds: at least so many
    With one thread the processor's time is counted, otherwise the clock's.
    ValueError: no runs, or fewer than one round.
    """
    if not runs:
        raise ValueError("runs: expected at least one, got none")
    check_size("rounds", rounds)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()  # the first call may have more to do
    end = time.perf_counter() + seconds
    while len(next(iter(times.values()))) < rounds or time.perf_counter() < end:
        for name, run in runs.items():
            start = clock()
            run()
            times[name].append(1e3 * (clock() - start))
    return {name: statistics.median(taken) for name, taken in times.items()}


def training(call: Callable[[], Tensor]) -> Run:
    """A run of `call` forward, and backward from the sum of its output."""
    return lambda: call().sum().backward()


def loop(cell: torch.nn.LSTMCell, x: Tensor) -> Tensor:
    """The hidden states of a loop over torch's cell.   x (T, B, I)  ->  (T, B, H)"""
    h = c = x.new_zeros(x.shape[1], cell.hidden_size)
    outputs = []
    for x_t in x:
        h, c = cell(x_t, (h, c))
        outputs.append(h)
    return torch.stack(outputs)


def products(T: int, B: int, I: int, H: int) -> Run:
    """A run of the six matrix products of a training pass, taken together where they need not wait.

        a_t = W_ih x_t + W_hh h_{t-1}          dx_t = W_ih^T da_t        dh_{t-1} = W_hh^T da_t
                                               dW_ih = sum_t da_t x_t^T      dW_hh = sum_t da_t h_{t-1}^T

    W_hh h_{t-1} and W_hh^T da_t are one call for each step, the others one for each 512 rows.
    ValueError: a size that is no positive integer.
    """
    for name, size in (("T", T), ("B", B), ("I", I), ("H", H)):
        check_size(name, size)
    W_ih, W_hh = torch.zeros(4 * H, I), torch.zeros(4 * H, H)
    x, h, da = torch.zeros(T, B, I), torch.zeros(T, B, H), torch.zeros(T, B, 4 * H)
    blocks = [rows.split(ROWS) for rows in (x.flatten(0, 1), h.flatten(0, 1), da.flatten(0, 1))]

    def run() -> None:
        dW_ih, dW_hh = torch.zeros_like(W_ih), torch.zeros_like(W_hh)
        for x_rows, h_rows, da_rows in zip(*blocks, strict=True):
            torch.mm(x_rows, W_ih.t())
            torch.mm(da_rows, W_ih)
            dW_ih.addmm_(da_rows.t(), x_rows)
            dW_hh.addmm_(da_rows.t(), h_rows)
        for t in range(T):
            torch.mm(h[t], W_hh.t())
            torch.mm(da[t], W_hh)

    return run


def element_wise(T: int, B: int, H: int) -> Run:
    """A run of the element-wise work of a training pass, 512 rows in a call, forward and backward.

        c' = sigma(f) c + sigma(i) tanh(g)        h' = sigma(o) tanh(c')

    ValueError: a size that is no positive integer.
    """
    for name, size in (("T", T), ("B", B), ("H", H)):
        check_size(name, size)
    rows = min(ROWS, T * B)
    a, c = torch.randn(rows, 4 * H, requires_grad=True), torch.randn(rows, H, requires_grad=True)
    ones = torch.ones(rows, H)

    def run() -> None:
        for _ in range(-(-T * B // rows)):
            new = lstm_variants.cell(a.chunk(4, 1), c, sigmoid=torch.sigmoid, tanh=torch.tanh)
            torch.autograd.grad(new.h, (a, c), ones)

    return run
