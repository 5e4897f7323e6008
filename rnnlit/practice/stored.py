"""Weights as small files: tensors in float16, and in the header how the model is built.

    save("run.safetensors", model, {"hidden": 128, "layers": 2})
    model = load("run.safetensors", Executor)    # Executor(hidden=128, layers=2) with these weights

Two layers may share a tensor, as an embedding and a last layer that are tied. The file holds it once, under
the first of its names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rnnlit.tools.checkpoint import write_atomically
from rnnlit.tools.weights import read_file, safetensors_module

HERE = Path(__file__).parent / "weights"  # those that come with the package
M = TypeVar("M", bound=nn.Module)


def save(
    path: Path,
    weights: nn.Module | Mapping[str, Tensor],
    setting: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write the weights of a module, or tensors by their names, and the arguments of what builds the module.

    The file is there as a whole or not at all.  TypeError: a setting that JSON can't hold.
    """
    state = weights.state_dict(keep_vars=True) if isinstance(weights, nn.Module) else weights
    twins = shared(state)
    kept = {name: x.detach().cpu().to(dtype).contiguous() for name, x in state.items() if name not in twins}
    library = safetensors_module("safetensors.torch")
    write_atomically(path, library.save(kept, {"setting": json.dumps(dict(setting))}))


def load(path: Path, build: Callable[..., M], device: str = "cpu") -> M:
    """The module that `build(**setting)` gives, with the weights of a file, in float32, in evaluation mode.

    FileNotFoundError: no such file.  ValueError: none that `save` has written.
    """
    arrays, header = read_file(path, allowed=("F16", "F32"))
    if "setting" not in header:
        raise ValueError(f"path: expected a file with a setting, as save writes it, got {str(path)!r}")
    state = {name: torch.from_numpy(x).float() for name, x in arrays.items()}
    model = build(**json.loads(header["setting"]))
    twins = shared(model.state_dict(keep_vars=True))
    model.load_state_dict(state | {name: state[first] for name, first in twins.items()})
    return model.to(device).eval()


def shared(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Which names are a second one of a tensor, and its first: {"output.weight": "embed.weight"}."""
    first: dict[int, str] = {}
    names = ((name, first.setdefault(id(x), name)) for name, x in state.items())
    return {name: one for name, one in names if one != name}
