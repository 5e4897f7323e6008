"""Your turn: one module a chapter, one object an exercise: `exercises.lstm.step.check(my_step)`."""

from rnnlit.exercises import lstm

__all__ = ["lstm"]
