"""What a drop-in replacement owes to those of torch's tools that go by the exact class.

torch.fx takes torch's own modules as one node, torch.jit.script knows how to compile them, and quantization
swaps them for others. The layers and cells are classes of their own, so they say what is to be done.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from rnnlit.tools.private_torch import SCRIPT

QUANTIZE = (
    "quantization swaps torch's own classes alone, and {what} would stay as it is: put {instead} in its "
    "place before, or name only other classes in qconfig_spec"
)


class DropIn(torch.nn.Module):
    """The part that layers and cells share. A class inherits from it before torch's."""

    variants: Any

    def as_torch(self) -> Any:
        """torch's own module with this one's parameters: the same tensors, so both train together.

        It answers as this one does in its present mode, and takes what torch's takes.
        ValueError: an option is in use that torch's module doesn't have.
        """
        lacks = self._lacks(self.training)
        if lacks:
            raise ValueError(f"as_torch: {lacks} is not known to torch.nn.{self._torchs.__name__}")
        twin = self._torchs(**self._arguments(), device="meta").train(self.training)
        for name, parameter in self.named_parameters():
            setattr(twin, name, parameter)
        return twin

    @property
    def _torchs(self) -> Any:
        """torch's class."""
        return next(one for one in type(self).__mro__ if one.__module__ == "torch.nn.modules.rnn")

    def _arguments(self) -> dict[str, Any]:
        """What torch's constructor is called with."""
        names = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]
        names += ["proj_size"] if getattr(self, "proj_size", 0) else []
        names += ["nonlinearity"] if "RNN" in self._torchs.__name__ else []
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def _lacks(self, training: bool) -> str:
        """The options that torch's module doesn't have, in words; empty if there are none."""
        options = self.variants.inside(training) + self.variants.outside(training)
        options += ["a hidden_size for each layer"] if getattr(self, "sizes", None) else []
        return f"rnnlit.nn.{self._torchs.__name__} with {', '.join(options)}" if options else ""

    def __prepare_scriptable__(self) -> Any:
        """What torch.jit.script compiles: torch's own module with the same parameters."""
        lacks = self._lacks(True)
        if lacks:
            raise RuntimeError(SCRIPT.format(what=lacks))
        return self.as_torch()

    @property
    def qconfig(self) -> Any:
        """What torch.ao.quantization notes on every module; see `QUANTIZE`."""
        raise AttributeError("qconfig")

    @qconfig.setter
    def qconfig(self, value: Any) -> None:
        if value is None and not _asked_for(self._torchs):
            return
        lacks = self._lacks(False)
        name = self._torchs.__name__
        instead = f"layers of torch.nn.{name} without them" if lacks else "its as_torch()"
        raise RuntimeError(QUANTIZE.format(what=lacks or f"rnnlit.nn.{name}", instead=instead))


def _asked_for(kind: type) -> bool:
    """Whether the quantization that sets a qconfig now was asked to swap torch's class.

    Its own variable says so, a few frames up; in a torch where it has another name, nothing is said.
    """
    frame = sys._getframe(2)
    for _ in range(3):
        asked = frame.f_locals.get("qconfig_dict")
        if isinstance(asked, dict):
            return kind in asked
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False


def proxied(module: torch.nn.Module, input: Any, *args: Any, **options: Any) -> Any:
    """For torch.fx: the call as one node of the graph. None: the input is not one of torch.fx's proxies."""
    if not isinstance(input, torch.fx.Proxy):
        return None
    tracer: Any = input.tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(module), (input, *args), options)
