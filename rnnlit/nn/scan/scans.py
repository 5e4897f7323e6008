"""The recurrence of an LSTM, a GRU and a plain network, each as one autograd function with its own backward.

T steps, B batch, H hidden; blocks i f g o (LSTM), r z n (GRU).

torch's fused kernels compute the plain cells alone. A loop over steps computes anything, but autograd then
keeps a graph of a dozen nodes for every step. Here the loop runs without a graph: the gates are kept, the
gradient of a step is written out as in the chapters, and the weights' gradient is one product over all steps.
What changes inside the recurrence, such as masks or peepholes, comes in as an argument.

gates are the sums W_ih x + b of all steps; or `Affine(x, weight_ih, bias)`, and then the scan takes that
product too, and normalises it if a gain is given, a few steps at a time, which is quicker on a CPU.

Masks are (T, B, H), another one for each step, or (1, B, H), one for the whole sequence, and hold their
scaling; they are constants, without gradient. `keep` is where a state stays as it was (zoneout): 1 keeps the
old, 0 takes the new, a number between mixes. `Norm` is layer normalisation. Nothing here knows of lengths:
the caller puts zero where a sequence has ended. A second derivative (create_graph=True) comes from
the loops of `rnnlit.nn.scan.loop`, with a graph of every step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from rnnlit.nn.gpu.way import fusable, run
from rnnlit.nn.gpu.way import lstm as fused_lstm
from rnnlit.nn.scan import loop
from rnnlit.nn.scan.gru import ScanGRU
from rnnlit.nn.scan.lstm import ScanLSTM
from rnnlit.nn.scan.norm import Norm
from rnnlit.nn.scan.rnn import ScanRNN
from rnnlit.nn.scan.steps import gradient_wanted
from rnnlit.nn.scan.sums import Affine, arguments
from rnnlit.tools.private_torch import follows

__all__ = ["Affine", "GRUOptions", "LSTMOptions", "Norm", "RNNOptions", "gru", "lstm", "rnn"]

NO_NORM = (None, None, 0.0)


class LSTMOptions(NamedTuple):
    """What stands inside the recurrence of an LSTM beside the plain cell; None leaves it out."""

    mask_h: Tensor | None = None  # h_{t-1} times it enters the gates (Gal & Ghahramani 2016)
    mask_g: Tensor | None = None  # the candidate times it is written (Semeniuta et al. 2016)
    mask_c: Tensor | None = None  # the new cell state times it is kept (Moon et al. 2015)
    keep_h: Tensor | None = None  # zoneout (Krueger et al. 2017)
    keep_c: Tensor | None = None
    peephole: Tensor | None = None  # (3, H): the cell state's weights in i, f and o (Gers et al. 2002)
    norm_h: Norm | None = None  # of W_hh h, N = 4H (Ba et al. 2016)
    norm_c: Norm | None = None  # of the cell state on its way out, N = H


class GRUOptions(NamedTuple):
    """What stands inside the recurrence of a GRU beside the plain cell; None leaves it out."""

    mask_h: Tensor | None = None  # h_{t-1} times it enters the gates and the candidate
    mask_n: Tensor | None = None  # the candidate times it is written
    keep_h: Tensor | None = None  # zoneout
    norm_rz: Norm | None = None  # of the blocks r z of W_hh h, N = 2H
    norm_n: Norm | None = None  # of the block n of W_hh h, N = H


class RNNOptions(NamedTuple):
    """What stands inside the recurrence of a plain network; None leaves it out."""

    mask_h: Tensor | None = None  # h_{t-1} times it enters the sum
    keep_h: Tensor | None = None  # zoneout
    norm: Norm | None = None  # of the whole sum, N = H


def lstm(
    gates: Tensor | Affine, weight_hh: Tensor, h0: Tensor, c0: Tensor, options: LSTMOptions | None = None
) -> tuple[Tensor, Tensor]:
    """Run an LSTM's recurrence over given input products.

        a    = gates_t + norm_h(W_hh (m_h h_{t-1}))
        i, f = sigma(a_i + p_i c_{t-1}, a_f + p_f c_{t-1})      g = tanh(a_g)
        c'   = m_c (f c_{t-1} + i m_g g)
        o    = sigma(a_o + p_o c')                              h' = o tanh(norm_c(c'))
        c_t  = k_c c_{t-1} + (1 - k_c) c'                       h_t = k_h h_{t-1} + (1 - k_h) h'

    What leaves the cell is read from c', before zoneout, as in Krueger et al. (2017).

    gates (T, B, 4H): W_ih x + b of all steps; weight_hh (4H, H); h0, c0 (B, H)  ->  h, c (T, B, H)
    """
    options = options or LSTMOptions()
    given, rest = arguments(gates), (weight_hh, h0, c0, *options[:6])
    normalised = isinstance(gates, Affine) and gates.gain is not None
    if not normalised and not _loops(h0) and fusable(weight_hh, h0, c0, *options):
        return fused_lstm(*given[:4], *rest)
    inputs = *given, *rest, *(options.norm_h or NO_NORM), *(options.norm_c or NO_NORM)
    if _loops(h0):
        return loop.lstm(*inputs)
    return run(ScanLSTM, _keeps(inputs), *inputs)


def gru(
    gates: Tensor | Affine,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    h0: Tensor,
    options: GRUOptions | None = None,
    *,
    reset_after: bool = True,
) -> Tensor:
    """Run a GRU's recurrence over given input products.

        r, z = sigma(gates_rz + norm_rz(W_hrz (m_h h_{t-1})) + b_hrz)
        n    = tanh(gates_n + r (norm_n(W_hn (m_h h_{t-1})) + b_hn))      with reset_after
        n    = tanh(gates_n + norm_n(W_hn (r m_h h_{t-1})) + b_hn)        without
        h_t  = k_h h_{t-1} + (1 - k_h) ((1 - z) m_n n + z h_{t-1})

    gates (T, B, 3H): W_ih x + b_ih of all steps; weight_hh (3H, H); bias_hh (3H,) or None  ->  h (T, B, H)
    """
    options = options or GRUOptions()
    norms = *(options.norm_rz or NO_NORM), *(options.norm_n or NO_NORM)
    inputs = *arguments(gates), weight_hh, bias_hh, h0, reset_after, *options[:3], *norms
    if _loops(h0):
        return loop.gru(*inputs)[0]
    return run(ScanGRU, _keeps(inputs), *inputs)


def rnn(
    gates: Tensor | Affine,
    weight_hh: Tensor,
    h0: Tensor,
    options: RNNOptions | None = None,
    *,
    relu: bool = False,
) -> Tensor:
    """Run a plain network's recurrence over given input products.

        h_t = k_h h_{t-1} + (1 - k_h) tanh(norm(gates_t + W_hh (m_h h_{t-1})))

    gates (T, B, H): W_ih x + b of all steps; weight_hh (H, H); h0 (B, H)  ->  h (T, B, H)
    relu takes the place of tanh where it is asked for.
    """
    options = options or RNNOptions()
    inputs = *arguments(gates), weight_hh, h0, relu, *options[:2], *(options.norm or NO_NORM)
    if _loops(h0):
        return loop.rnn(*inputs)[0]
    return run(ScanRNN, _keeps(inputs), *inputs)


def _loops(h0: Tensor) -> bool:
    """Whether to run the loop of torch's own operations: where they are followed, and for an empty batch."""
    return follows() or h0.shape[0] == 0


def _keeps(inputs: tuple[Any, ...]) -> bool:
    """Whether the steps are to be kept: not where no gradient is wanted, for that saves the memory."""
    return gradient_wanted(*(value for value in inputs if isinstance(value, Tensor)))
