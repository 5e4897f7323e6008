"""`rnnlit.nn.RNN`, the plain layer for work: torch's kernels where they can, our scan where they can't.

B batch, T steps, I inputs, H hidden, L layers, D directions;   no gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor

from rnnlit.nn.direction import Direction, scan_rnn
from rnnlit.nn.direction import States as DirectionStates
from rnnlit.nn.fused import kernel_weights, shut_relu
from rnnlit.nn.layer import Layer
from rnnlit.nn.types import Call
from rnnlit.nn.variants import check_variants
from rnnlit.tools.checks import check_size
from rnnlit.tools.sequences_torch import last_state


class States(NamedTuple):
    """All states of an `RNN`; the first axis has a row for each layer and direction, in the order of h_n."""

    h: Tensor  # (L·D, T, B, H); (L·D, B, T, H) with batch_first; (L·D, T, H) for one sequence


class RNN(Layer, torch.nn.RNN):
    """Drop-in replacement of `torch.nn.RNN`, with lengths, all states and the variants on request.

    Arguments, parameters, initialisation and results are torch's, and so is the speed: the plain call is
    torch's call. The call itself is described at `Layer.forward`.

    hidden_size: H; or a sequence of them, one for each layer.
    orthogonal: at the start weight_hh is an orthogonal matrix (Saxe et al. 2014).

    The following numbers are probabilities to drop, 0 <= p < 1. What is kept is divided by 1 - p, and nothing
    is dropped in evaluation.

    input_dropout: of the input of each layer and direction, one mask per sequence, the same at every step.
    recurrent_dropout: of h_{t-1} where the sum reads it, one mask per sequence (Gal & Ghahramani 2016).
    output_dropout: of the output of the last layer, one mask per sequence; h_n and all states are without it.
    weight_drop: of the entries of weight_hh in each layer and direction, one mask for the whole batch,
        another at each call (Merity et al. 2018). The parameter and the state_dict stay whole.
    zoneout: the probability that a unit keeps its old value, another mask at every step; in evaluation the
        mean,  p h_{t-1} + (1 - p) h'  (Krueger et al. 2017). One number, for there is no c.
    layer_norm:  h = tanh(LN(W_ih x + W_hh h) + b),  with one gain and shift (Ba et al. 2016).

    All parameters that torch's layer has are drawn as torch draws them, and are the same under the same seed.

    proj_size: must be 0; it stands here so that torch's error, a ValueError, is ours too.

    ValueError, TypeError: a size that is no positive integer; no probability; what torch refuses itself.

    >>> layer = RNN(3, 5, nonlinearity="relu", orthogonal=True)
    >>> output, h = layer(torch.randn(7, 4, 3))
    >>> output.shape, h.shape
    (torch.Size([7, 4, 5]), torch.Size([1, 4, 5]))
    """

    result = States

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        orthogonal: bool = False,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        output_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        layer_norm: bool = False,
        proj_size: int = 0,
    ) -> None:
        if proj_size:
            raise ValueError(f"proj_size: expected 0, for only an LSTM has a projection, got {proj_size!r}")
        variants = check_variants(
            zoneout,
            layer_norm=layer_norm,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            output_dropout=output_dropout,
            weight_drop=weight_drop,
        )
        H, L = self._set_up(variants, orthogonal, hidden_size, num_layers)
        I = check_size("input_size", input_size)
        super().__init__(
            I, H, L, nonlinearity, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )
        self._complete()

    def _packs(self, x: Tensor) -> bool:
        return x.is_cuda or not torch.is_grad_enabled()

    _scan = scan_rnn

    def _fused(self, one: Direction, all_states: bool, *states: Tensor) -> DirectionStates:
        """The states (T, B, H) of one layer and direction, and its last state (B, H)."""
        x, weights, padding, (h0,) = one.x, list(one.weights), one.padding, states
        relu = self.nonlinearity == "relu"
        if padding is not None and relu:
            x, weights[0] = shut_relu(x, weights[0], padding)
        kernel = torch.rnn_relu if relu else torch.rnn_tanh
        given = kernel_weights(weights)
        h, _ = kernel(x, h0[None], given, self.bias, 1, 0.0, self.training, False, False)
        if padding is not None:
            h = h.masked_fill(padding.mask, 0)
        return [h], [last_state(h, padding)]

    if TYPE_CHECKING:
        __call__: Call[Tensor, States]
        forward: Call[Tensor, States]  # type: ignore[assignment]
