"""The variants that `rnnlit.nn.LSTM`, `GRU` and `RNN` share: their checks, their names and their parameters.

B batch, T steps, H hidden;   all numbers are probabilities: to drop, or to stay.

Masks of a whole sequence and dropped weights can be made before the recurrence starts, so torch's fused
kernels run with them. What works inside a step (recurrent dropout, zoneout, layer normalisation, peepholes,
the reset before the product) is the business of `rnnlit.nn.scan`. `Variants.inside` and `outside` tell the
two kinds apart.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnlit.tools.checks import check_probability

PEEPHOLES = ("weight_ci", "weight_cf", "weight_co")
BLOCKS = {
    "LSTM": 4,
    "GRU": 3,
    "RNN_TANH": 1,
    "RNN_RELU": 1,
}  # of each weight matrix, by torch's name of the mode


class Variants(NamedTuple):
    """What a layer does beside the plain cell."""

    input_dropout: float = 0.0  # of the input of every layer and direction; one mask per sequence
    output_dropout: float = 0.0  # of the output of the last layer; one mask per sequence
    recurrent_dropout: float = 0.0  # of h_{t-1} on its way into the gates; one mask per sequence
    candidate_dropout: float = 0.0  # of the candidate; another mask at every step
    weight_drop: float = 0.0  # of the entries of weight_hh; one mask per call
    zoneout_h: float = 0.0  # to keep the old h; another mask at every step
    zoneout_c: float = 0.0  # to keep the old c, likewise
    layer_norm: bool = False
    peephole: bool = False
    reset_before: bool = False  # a GRU's reset_after=False

    def inside(self, training: bool) -> list[str]:
        """The arguments that work inside a step, so that no fused kernel can do them."""
        dropped = ("recurrent_dropout", "candidate_dropout") if training else ()
        names = [name for name in dropped if getattr(self, name)]
        names += ["zoneout"] if self.zoneout_h or self.zoneout_c else []
        names += [name for name in ("layer_norm", "peephole") if getattr(self, name)]
        return names + (["reset_after=False"] if self.reset_before else [])

    def outside(self, training: bool) -> list[str]:
        """The arguments that are made use of before the recurrence starts, or after its end."""
        names = ("input_dropout", "output_dropout", "weight_drop") if training else ()
        return [name for name in names if getattr(self, name)]

    @property
    def draws_masks(self) -> bool:
        """Whether a call in training mode draws masks."""
        dropped = self.input_dropout, self.output_dropout, self.recurrent_dropout, self.candidate_dropout
        return any((*dropped, self.weight_drop, self.zoneout_h, self.zoneout_c))


PLAIN = Variants()


def check_variants(
    zoneout: Any = 0.0,
    *,
    layer_norm: Any = False,
    peephole: Any = False,
    reset_after: Any = True,
    pair: bool = False,
    **fractions: Any,
) -> Variants:
    """Check what a constructor was given; with `pair`, zoneout may be one of (p_h, p_c).

    TypeError: no number, or no bool.  ValueError: a probability outside 0 <= p < 1; a pair for a cell without
        c.
    """
    several = isinstance(zoneout, tuple | list)
    if several and not (pair and len(zoneout) == 2):
        wanted = "a number, or a pair of them for h and c" if pair else "one number, for a state without c"
        raise ValueError(f"zoneout: expected {wanted}, got {zoneout!r}")
    zoneout_h, zoneout_c = zoneout if several else (zoneout, zoneout)
    fractions |= {"zoneout_h": zoneout_h, "zoneout_c": zoneout_c}
    for name, value in fractions.items():
        check_probability(name.split("_")[0] if "zoneout" in name else name, value)
    for name, value in (("layer_norm", layer_norm), ("peephole", peephole), ("reset_after", reset_after)):
        check_flag(name, value)
    fractions = {name: float(value) for name, value in fractions.items()}
    fractions["zoneout_c"] *= pair
    variants = Variants(**fractions, layer_norm=layer_norm, peephole=peephole, reset_before=not reset_after)
    return PLAIN if variants == PLAIN else variants


def check_flag(name: str, value: Any) -> None:
    """TypeError: no bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, got {value!r}")


def check_biases(bias: bool, forget_bias: Any, chrono: Any) -> None:
    """Check an LSTM's initial biases: numbers, finite, bias=True beside them, not both; chrono above 2."""
    for name, value in (("forget_bias", forget_bias), ("chrono", chrono)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name}: expected a number or None, got {value!r}")
        if not bias:
            raise ValueError(f"{name}: expected bias=True beside it, got bias={bias}")
        if not math.isfinite(value) or (name == "chrono" and value <= 2):
            wanted = "a lag of more than 2 steps" if name == "chrono" else "a finite number"
            raise ValueError(f"{name}: expected {wanted}, got {value}")
    if forget_bias is not None and chrono is not None:
        raise ValueError(f"forget_bias, chrono: expected one of them, got both ({forget_bias} and {chrono})")


def repr_of(variants: Variants, pair: bool = False, **others: Any) -> str:
    """The arguments that are not the default's, as text for `extra_repr`; pair as in `check_variants`."""
    values = variants._asdict()
    zoneout = values.pop("zoneout_h"), values.pop("zoneout_c")
    values["zoneout"] = zoneout if pair and zoneout[0] != zoneout[1] else zoneout[0]
    before = values.pop("reset_before")
    given = {name: value for name, value in values.items() if value}
    given |= {"reset_after": False} if before else {}
    given |= {name: value for name, value in others.items() if value is not None and value is not False}
    return "".join(f", {name}={value}" for name, value in given.items())


def extra_sizes(variants: Variants, mode: str, H: int) -> dict[str, int]:
    """The parameters of one layer and direction that torch's layer doesn't have, and the size of each.

    Gains and shifts of the normalisations: of W_ih x, of W_hh h, and of c or, in a plain network, of their
    sum; a GRU's block n has its own. Then an LSTM's peepholes.
    """
    norms = {"a": H}
    if mode == "LSTM":
        norms = {"ih": 4 * H, "hh": 4 * H, "c": H}
    elif mode == "GRU":
        norms = {"ih_rz": 2 * H, "hh_rz": 2 * H, "ih_n": H, "hh_n": H}
    sizes = {}
    if variants.layer_norm:
        sizes = {f"norm_{part}_{name}": size for name, size in norms.items() for part in ("gain", "shift")}
    return sizes | (dict.fromkeys(PEEPHOLES, H) if variants.peephole else {})


def add_parameters(
    module: torch.nn.Module, variants: Variants, mode: str, like: Tensor, suffix: str = ""
) -> None:
    """Register the parameters of `extra_sizes` with a start: gains 1, shifts 0, peepholes as torch's weights.

    like: the row's weight_hh (G·H, H), which tells H, dtype and device.
    """
    for name, size in extra_sizes(variants, mode, like.shape[1]).items():
        parameter = torch.nn.Parameter(torch.empty(size, dtype=like.dtype, device=like.device))
        module.register_parameter(name + suffix, parameter)
        reset_extra(name, parameter)


def is_extra(name: str) -> bool:
    """Whether a parameter of this name is one of `extra_sizes`, and not torch's."""
    return name.startswith(("norm_", *PEEPHOLES))


def reset_uniform(parameter: Tensor, H: int) -> None:
    """Draw from U(-1/sqrt(H), 1/sqrt(H)), as torch's layers and cells do."""
    k = 1 / math.sqrt(H) if H else 0.0
    with torch.no_grad():
        parameter.uniform_(-k, k)


def reset_extra(name: str, parameter: Tensor) -> None:
    """Set one of these parameters: gains 1, shifts 0, peepholes (H,) from U(-1/sqrt(H), 1/sqrt(H))."""
    with torch.no_grad():
        if name.startswith("norm_gain"):
            parameter.fill_(1.0)
        elif name.startswith("norm_shift"):
            parameter.zero_()
        elif name.startswith(PEEPHOLES):
            k = parameter.shape[0] ** -0.5
            parameter.uniform_(-k, k)


def reset_orthogonal(weight_hh: Tensor, blocks: int) -> None:
    """Make each block (H, N) of weight_hh an orthogonal matrix (Saxe, McClelland & Ganguli 2014)."""
    with torch.no_grad():
        for block in weight_hh.chunk(blocks):
            torch.nn.init.orthogonal_(block)


def reset_biases(
    bias_ih: Tensor, bias_hh: Tensor, forget_bias: float | None = None, chrono: float | None = None
) -> None:
    """Set an LSTM's biases (4H,) as forget_bias or chrono ask: torch adds the two, so b_hh takes zero."""
    if forget_bias is None and chrono is None:
        return
    with torch.no_grad():
        i, f, _, _ = bias_ih.chunk(4)
        i_hh, f_hh, _, _ = bias_hh.chunk(4)
        f_hh.zero_()
        if forget_bias is not None:
            f.fill_(forget_bias)
        elif chrono is not None:
            f.uniform_(1, chrono - 1).log_()
            i.copy_(-f)
            i_hh.zero_()
