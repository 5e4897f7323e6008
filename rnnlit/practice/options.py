"""What the scripts of the practice pages share: where a run computes, what it reads and writes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import torch


def add_run(parser: ArgumentParser) -> None:
    """Add --device, a checkpoint to go on from, and files for rows, weights and scores."""
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checkpoint", type=Path, help="a .safetensors file")
    parser.add_argument("--resume", nargs="?", const=True, default=False, choices=["auto"])
    parser.add_argument("--csv", type=Path, help="a file for the rows of the history")
    parser.add_argument("--export", type=Path, help="a .safetensors file for the trained weights, in float16")
    parser.add_argument("--record", type=Path, help="a .json file for the scores")


def parsed(parser: ArgumentParser, arguments: Sequence[str] | None = None) -> Namespace:
    """What was typed. SystemExit, with the usage: an unknown option; --resume without --checkpoint."""
    options = parser.parse_args(arguments)
    if options.resume and options.checkpoint is None:
        parser.error("--resume needs --checkpoint")
    return options
