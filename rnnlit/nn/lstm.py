"""`rnnlit.nn.LSTM`, the LSTM layer for work: torch's kernels where they can, our scan where they can't.

B batch, T steps, I inputs, H hidden, L layers, D directions;   gates i f g o.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.nn.direction import Direction, scan_lstm
from rnnlit.nn.direction import States as DirectionStates
from rnnlit.nn.fused import SHUT, cell_states, flag_padding, kernel_weights
from rnnlit.nn.layer import Layer
from rnnlit.nn.scan.steps import gradient_wanted
from rnnlit.nn.types import Call
from rnnlit.nn.variants import check_biases, check_variants, reset_biases
from rnnlit.tools.checks import check_size
from rnnlit.tools.private_torch import autocasts, has_lstm
from rnnlit.tools.sequences_torch import last_state


class States(NamedTuple):
    """All states of an `LSTM`; the first axis has a row for each layer and direction, in the order of h_n.

    (L·D, T, B, H); with batch_first (L·D, B, T, H); for one sequence (L·D, T, H). Row k at step t is the
    state after the layer has read step t, in its direction; zero after a sequence's end. With proj_size P, h
    has P units and c has H.
    """

    h: Tensor
    c: Tensor


class LSTM(Layer, torch.nn.LSTM):
    """Drop-in replacement of `torch.nn.LSTM`, with lengths, all states and the variants on request.

    Arguments, parameters, initialisation and results are torch's, and so is the speed: the plain call is
    torch's call. The call itself is described at `Layer.forward`.

    hidden_size: H; or a sequence of them, one for each layer.
    forget_bias: the forget gate's bias at the start, in every layer and direction; None leaves torch's random
        one. torch adds two biases, so bias_ih takes the number and bias_hh takes zero; 1 is the advice of
        Jozefowicz et al. (2015).
    chrono: the longest lag T_max that the task is thought to have, in steps, more than 2; then b_f = log u
        with u ~ U(1, T_max - 1) for each unit and b_i = -b_f (Tallec & Ollivier 2018).
    orthogonal: at the start each block (H, H) of weight_hh is an orthogonal matrix (Saxe et al. 2014).

    The following numbers are probabilities to drop, 0 <= p < 1. What is kept is divided by 1 - p, and nothing
    is dropped in evaluation.

    input_dropout: of the input of each layer and direction, one mask per sequence, the same at every step.
    recurrent_dropout: of h_{t-1} where it is read, one mask per sequence, the same for the three gates and
        the candidate and at every step: with input_dropout, the tied form of Gal & Ghahramani (2016).
    output_dropout: of the output of the last layer, one mask per sequence; h_n and all states are without it.
    candidate_dropout: of the candidate, c = f c + i (m g), another mask at every step (Semeniuta et al.
        2016).
    weight_drop: of the entries of weight_hh in each layer and direction, one mask for the whole batch,
        another at each call (Merity et al. 2018). The parameter and the state_dict stay whole.
    zoneout: the probability that a unit of the state keeps its old value; a number, or a pair for h and c.
        Another mask at every step; in evaluation the mean,  c_t = p c_{t-1} + (1 - p) c'.  h' is read from
        c', before zoneout, as in Krueger et al. (2017).
    layer_norm:  a = LN(W_ih x) + LN(W_hh h) + b  and  h = o tanh(LN(c)),  each with its own gain and shift,
        the blocks i f g o normalised together (Ba et al. 2016).
    peephole: i and f see c_{t-1}, o sees c_t, through one weight a unit (Gers et al. 2002).
        weight_ci_l0 and its like are vectors (H,), named as in `rnnlit.lstm_peephole`. A loop that calls
        torch.nn.init.orthogonal_ and its like takes the weights with two axes, as beside a
        torch.nn.LayerNorm, whose weight is a vector too.

    All parameters that torch's layer has are drawn as torch draws them, and are the same under the same seed.

    ValueError, TypeError: a size that is no positive integer; both kinds of bias, or one of them without
    bias=True; chrono not above 2; no probability; proj_size beside what works inside a step
    (recurrent_dropout, candidate_dropout, zoneout, layer_norm, peephole) or beside a sequence of sizes; what
    torch refuses itself.

    >>> layer = LSTM(3, 5, num_layers=2, peephole=True, zoneout=0.1)
    >>> x = torch.randn(7, 4, 3)  # T, B, I
    >>> output, (h, c) = layer(x, lengths=torch.tensor([7, 2, 5, 7]))
    >>> output.shape, h.shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    >>> torch.equal(h[1, 1], output[1, 1])  # the second sequence ends after 2 steps
    True
    """

    kinds = ("h", "c")
    result = States

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        forget_bias: float | None = None,
        chrono: float | None = None,
        orthogonal: bool = False,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        output_dropout: float = 0.0,
        candidate_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        layer_norm: bool = False,
        peephole: bool = False,
    ) -> None:
        check_biases(bias, forget_bias, chrono)
        self.forget_bias, self.chrono = forget_bias, chrono
        variants = check_variants(
            zoneout,
            pair=True,
            layer_norm=layer_norm,
            peephole=peephole,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            output_dropout=output_dropout,
            candidate_dropout=candidate_dropout,
            weight_drop=weight_drop,
        )
        H, L = self._set_up(variants, orthogonal, hidden_size, num_layers)
        alone = variants.inside(True) + (["a hidden_size for each layer"] if self.sizes else [])
        if proj_size and alone:
            raise ValueError(f"proj_size: expected 0 with {', '.join(alone)}, got {proj_size}")
        I = check_size("input_size", input_size)
        super().__init__(I, H, L, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)
        self._complete()

    def _reset_biases(self) -> None:
        """Set what forget_bias and chrono ask for."""
        if self.bias:
            for _, _, bias_ih, bias_hh, *_ in self.all_weights:
                reset_biases(bias_ih, bias_hh, self.forget_bias, self.chrono)

    def extra_repr(self) -> str:
        """The arguments that are not the default's, as in torch, and those of this class."""
        own = {"forget_bias": self.forget_bias, "chrono": self.chrono}
        return super().extra_repr() + "".join(f", {k}={v}" for k, v in own.items() if v is not None)

    def _instead(self, x: Tensor, batch_first: bool = False) -> str:
        """Also where torch's LSTM does not run: under CPU autocast, on some processors."""
        if x.device.type == "cpu" and autocasts(x) and not self.proj_size:
            trains = gradient_wanted(x, self.weight_ih_l0)
            if not has_lstm(torch.get_autocast_dtype("cpu"), trains):
                return "autocast"
        return super()._instead(x, batch_first)

    _scan = scan_lstm

    def _fused(self, one: Direction, all_states: bool, *states: Tensor) -> DirectionStates:
        """The states of one layer and direction: h (T, B, N), c (T, B, H) if asked for; and the last h and c.

        At the padding the input and output gates are shut and the forget gate is open: h is zero there, and c
        stays.
        """
        x, weights, padding, (h0, c0) = one.x, list(one.weights), one.padding, states
        if padding is not None:
            x, weights[0] = flag_padding(x, weights[0], [-SHUT, SHUT, 0.0, -SHUT], padding)
        hx, given = (h0[None], c0[None]), kernel_weights(weights)
        h, _, c_n = torch.lstm(x, hx, given, self.bias, 1, 0.0, self.training, False, False)
        last = [last_state(h, padding), c_n[0]]
        if not all_states:
            return [h], last
        c = cell_states(weights, self.bias, x, h, h0, c0)
        return [h, c if padding is None else c.masked_fill(padding.mask, 0)], last

    if TYPE_CHECKING:
        __call__: Call[tuple[Tensor, Tensor], States]
        forward: Call[tuple[Tensor, Tensor], States]  # type: ignore[assignment]
