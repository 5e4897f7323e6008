"""What is no concept: checks, gradient checks, training, data, figures and weights."""

from rnnlit.tools.source import show

__all__ = ["show"]
