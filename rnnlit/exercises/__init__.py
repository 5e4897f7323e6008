"""Your turn: one module a chapter, one object an exercise: `exercises.lstm.step.check(my_step)`."""

from rnnlit.exercises import (
    attention,
    birnn,
    counting,
    dropout,
    execution,
    gru,
    language_model,
    lstm,
    pronunciation,
    rnn,
    rnn_gradient,
    speed,
    terminology,
    translation,
)

__all__ = [
    "attention",
    "birnn",
    "counting",
    "dropout",
    "execution",
    "gru",
    "language_model",
    "lstm",
    "pronunciation",
    "rnn",
    "rnn_gradient",
    "speed",
    "terminology",
    "translation",
]
