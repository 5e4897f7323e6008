"""What this processor gives torch's own layers: a test that needs them asks first, and skips without them."""

from typing import Any

import pytest
import torch


def ask_torch(layer: torch.nn.Module, *inputs: Any) -> Any:
    """Return what a layer of torch's own gives; where this processor lacks what torch needs for it, skip.

    In bfloat16, torch.nn.LSTM needs AVX-512: elsewhere oneDNN has no primitive for it, and torch raises.
    `ONEDNN_MAX_CPU_ISA=AVX2` in the environment shows it on any processor.
    """
    try:
        return layer(*inputs)
    except RuntimeError as error:
        reason, _, _ = str(error).partition(".")
        if not reason.startswith("could not create a primitive"):
            raise
        pytest.skip(f"torch's own {type(layer).__name__} can't run on this processor: {reason}")


def needs_torch(kernel: str) -> bool:
    """Tell whether a call of ours, by what `kernel` says of it, is made of torch's own."""
    return kernel.startswith("torch's")
