"""Checks of arguments and of gradients, training, weights, and interchange with other libraries."""

from rnnlit.tools.source import show

__all__ = ["show"]
