"""`rnnlit.nn.GRU`, the GRU layer for work: torch's kernels where they can, our scan where they can't.

B batch, T steps, I inputs, H hidden, L layers, D directions;   blocks r z n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.nn.direction import Direction, scan_gru
from rnnlit.nn.direction import States as DirectionStates
from rnnlit.nn.fused import kernel_weights, steps_and_batch
from rnnlit.nn.layer import Layer
from rnnlit.nn.scan.steps import gradient_wanted
from rnnlit.nn.types import Call
from rnnlit.nn.variants import check_variants
from rnnlit.tools.checks import check_size
from rnnlit.tools.private_torch import follows
from rnnlit.tools.sequences_torch import last_state

# From where on the scan is quicker than torch's GRU on a CPU: T, and without gradients also B H H.
LEAST_STEPS, LEAST_PRODUCT = 32, 2**22


class States(NamedTuple):
    """All states of a `GRU`; the first axis has a row for each layer and direction, in the order of h_n."""

    h: Tensor  # (L·D, T, B, H); (L·D, B, T, H) with batch_first; (L·D, T, H) for one sequence


class GRU(Layer, torch.nn.GRU):
    """Drop-in replacement of `torch.nn.GRU`, with lengths, all states and the variants on request.

    Arguments, parameters, initialisation and results are torch's. The plain call is torch's call, or our scan
    where that is quicker: on the CPU, in float32, for sequences of 32 steps and more; its results are torch's
    to within rounding. The call itself is described at `Layer.forward`.

    hidden_size: H; or a sequence of them, one for each layer.
    reset_after: False computes the candidate from W_hn (r h) as Cho et al. (2014), with the same parameters.
        No kernel of torch does that; the scan does, with two products in each step.
    orthogonal: at the start each block (H, H) of weight_hh is an orthogonal matrix (Saxe et al. 2014).

    The following numbers are probabilities to drop, 0 <= p < 1. What is kept is divided by 1 - p, and nothing
    is dropped in evaluation.

    input_dropout: of the input of each layer and direction, one mask per sequence, the same at every step.
    recurrent_dropout: of h_{t-1} where the gates and the candidate read it, one mask per sequence; the state
        that z carries over stays whole. With input_dropout, the tied form of Gal & Ghahramani (2016).
    output_dropout: of the output of the last layer, one mask per sequence; h_n and all states are without it.
    candidate_dropout:  h_t = (1 - z) (m n) + z h_{t-1},  another mask at every step (Semeniuta et al. 2016).
    weight_drop: of the entries of weight_hh in each layer and direction, one mask for the whole batch,
        another at each call (Merity et al. 2018). The parameter and the state_dict stay whole.
    zoneout: the probability that a unit keeps its old value, another mask at every step; in evaluation the
        mean,  p h_{t-1} + (1 - p) h'  (Krueger et al. 2017). One number, for there is no c.
    layer_norm: LN(W_ih x) and LN(W_hh h), the blocks r and z normalised together and n apart, each with its
        own gain and shift; r multiplies the candidate's LN(W_hn h) + b_hn (Ba et al. 2016). With
        reset_after=False, LN(W_hn (r h)).

    All parameters that torch's layer has are drawn as torch draws them, and are the same under the same seed.

    proj_size: must be 0; it stands here so that torch's error, a ValueError, is ours too.

    ValueError, TypeError: a size that is no positive integer; reset_after no bool; no probability; what torch
    refuses itself.

    >>> layer = GRU(3, 5, reset_after=False)  # as Cho et al. published it
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
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
        orthogonal: bool = False,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        output_dropout: float = 0.0,
        candidate_dropout: float = 0.0,
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
            reset_after=reset_after,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            output_dropout=output_dropout,
            candidate_dropout=candidate_dropout,
            weight_drop=weight_drop,
        )
        self.reset_after = reset_after
        H, L = self._set_up(variants, orthogonal, hidden_size, num_layers)
        I = check_size("input_size", input_size)
        super().__init__(I, H, L, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype)
        self._complete()

    def _scan_is_quicker(self, x: Tensor, batch_first: bool = False) -> bool:
        """On the CPU torch's GRU is a loop of small operations. Measured by `benchmarks/nn_variants.py`.

        A transform of torch.func, a tangent of forward mode, torch.jit and torch.compile get torch's call.
        """
        if not _on_cpu_alone(x) or torch.is_autocast_enabled("cpu"):
            return False
        T, B = steps_and_batch(x, batch_first)
        weight = self.all_weights[0][1]
        trains, H = gradient_wanted(x, weight), weight.shape[1]
        return T >= LEAST_STEPS and (trains or B * H * H >= LEAST_PRODUCT)

    _scan = scan_gru

    def _fused(self, one: Direction, all_states: bool, *states: Tensor) -> DirectionStates:
        """The states (T, B, H) of one layer and direction, and its last state (B, H).

        At the padding x is zero and a state is a mean of states and tanhs, so nothing can grow there.
        """
        (h0,), padding, weights = states, one.padding, kernel_weights(one.weights)
        h, _ = torch.gru(one.x, h0[None], weights, self.bias, 1, 0.0, self.training, False, False)
        if padding is not None:
            h = h.masked_fill(padding.mask, 0)
        return [h], [last_state(h, padding)]

    if TYPE_CHECKING:
        __call__: Call[Tensor, States]
        forward: Call[Tensor, States]  # type: ignore[assignment]


def _on_cpu_alone(x: Tensor) -> bool:
    """Whether x is a float32 tensor on the CPU that nothing but autograd follows."""
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    return not follows()
