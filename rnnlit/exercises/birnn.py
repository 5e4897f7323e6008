"""Exercises of the chapter on two directions.   B batch, T steps, I inputs, H hidden.

    mask(lengths, T) -> (T, B), True where a sequence still goes on
    flip(x, lengths) -> x, each sequence turned round from its own end
    merge(h_f, h_r, lengths) -> h, both chains side by side; h_r in the reverse chain's own time
    last(h, lengths) -> h_n, each chain's last state, out of h (T, B, 2H)
    forward(params, x, lengths) -> h; params.forward and params.reverse are those of `rnnlit.rnn`
    backward(dx_f, dx_r, lengths) -> dx; dx_r in the reverse chain's own time
    mean_pool(h, lengths) -> the mean over each sequence's own steps
    masked_loss(losses, lengths) -> the mean over all steps that are no padding

lengths (B,) are integers. What stands at the padding may be anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlit import birnn, rnn
from rnnlit.exercises.check import Exercise, Mistake, Sizes
from rnnlit.exercises.draw import Draw, drawn_lengths, normal, with_letters, with_params
from rnnlit.tools import layers
from rnnlit.tools.sequences import clear_padding


def _with_lengths(draw: Draw, letters: str) -> Draw:
    """A drawer of what another draws, and of lengths."""
    return with_letters(lambda rng, sizes: (*draw(rng, sizes), drawn_lengths(rng, sizes)), letters)


def _within(lengths: Any, T: int) -> Any:
    return np.arange(T)[:, None] < lengths


# ---------------------------------------------------------------- padding

mask = Exercise(
    "mask(lengths, T)",
    lambda lengths, T: _within(lengths, T),
    with_letters(lambda rng, sizes: (drawn_lengths(rng, sizes), sizes.T), "TB"),
    {"mask": "T, B"},
    (
        Mistake(
            "one step too many is let through",
            "Steps are counted from 0: a sequence of length 3 has the steps 0, 1 and 2, so t < length.",
            lambda lengths, T: np.arange(T)[:, None] <= lengths,
        ),
        Mistake(
            "the mask is the wrong way round",
            "True where the sequence still goes on: t < length.",
            lambda lengths, T: ~_within(lengths, T),
        ),
        Mistake(
            "the mask is batch first",
            "Time comes first in this book: np.arange(T)[:, None] < lengths is (T, B).",
            lambda lengths, T: _within(lengths, T).T,
        ),
        Mistake(
            "the first step is missing",
            "Steps are counted from 0: np.arange(T).",
            lambda lengths, T: _within(lengths, T) & (np.arange(T)[:, None] > 0),
        ),
    ),
)


def _rolled(x: Any, lengths: Any, shift: int) -> Any:
    """Each sequence turned round, and moved on by some steps within its length."""
    t = np.arange(len(x))[:, None]
    return x[np.where(t < lengths, (lengths - 1 - t + shift) % lengths, t), np.arange(x.shape[1])]


def _cleared(x: Any, lengths: Any) -> Any:
    x = x.copy()
    clear_padding(lengths, x)
    return x


flip = Exercise(
    "flip(x, lengths)",
    birnn.flip,
    _with_lengths(normal("TBI"), "TBI"),
    {"x": "T, B, I"},
    (
        Mistake(
            "the padding is turned round too",
            "x[::-1] brings the padding to the front. Turn each sequence from its own end: step t becomes "
            "step length - 1 - t.",
            lambda x, lengths: x[::-1].copy(),
        ),
        Mistake(
            "nothing is turned round",
            "Step t becomes step length - 1 - t.",
            lambda x, lengths: x.copy(),
        ),
        Mistake(
            "the batch is turned round",
            "Time is the first axis, the batch the second.",
            lambda x, lengths: x[:, ::-1].copy(),
        ),
        Mistake(
            "the inputs of a step are turned round",
            "Time is the first axis, not the last.",
            lambda x, lengths: x[..., ::-1].copy(),
        ),
        Mistake(
            "every sequence is off by one step",
            "Steps are counted from 0, so the last one is length - 1.",
            lambda x, lengths: _rolled(x, lengths, 1),
        ),
        Mistake(
            "the padding is set to zero",
            "Here it stays as it is, so that turning twice gives x back.",
            lambda x, lengths: _cleared(birnn.flip(x, lengths), lengths),
        ),
    ),
)

# ---------------------------------------------------------------- both chains


def _merge(h_f: Any, h_r: Any, lengths: Any) -> Any:
    return np.concatenate([h_f, birnn.flip(h_r, lengths)], axis=-1)


MERGE_MISTAKES = (
    Mistake(
        "the reverse states are not turned back",
        "h_r[0] belongs to the last step. Turn them round before you set them beside h_f.",
        lambda h_f, h_r, lengths: np.concatenate([h_f, h_r], axis=-1),
    ),
    Mistake(
        "the padding is turned round too",
        "Turn each sequence from its own end, not h_r[::-1].",
        lambda h_f, h_r, lengths: np.concatenate([h_f, h_r[::-1]], axis=-1),
    ),
    Mistake(
        "the reverse half comes first",
        "The forward chain's states come first, as in torch.",
        lambda h_f, h_r, lengths: np.concatenate([birnn.flip(h_r, lengths), h_f], axis=-1),
    ),
)

merge = Exercise(
    "merge(h_f, h_r, lengths)",
    _merge,
    _with_lengths(normal("TBH", "TBH"), "TBH"),
    {"h": "T, B, 2H"},
    (
        *MERGE_MISTAKES,
        Mistake(
            "the states are added",
            "Here they stand side by side: np.concatenate(..., axis=-1).",
            lambda h_f, h_r, lengths: h_f + birnn.flip(h_r, lengths),
        ),
        Mistake(
            "the states are averaged",
            "Here they stand side by side: np.concatenate(..., axis=-1).",
            lambda h_f, h_r, lengths: (h_f + birnn.flip(h_r, lengths)) / 2,
        ),
        Mistake(
            "the states stand one after the other in time",
            "np.concatenate joins along the first axis unless told axis=-1.",
            lambda h_f, h_r, lengths: np.concatenate([h_f, birnn.flip(h_r, lengths)]),
        ),
    ),
)


def _last(h: Any, lengths: Any, *, ahead: Any = None, back: Any = None) -> Any:
    """The forward half at one step, the reverse half at another; the true ones if not given."""
    H, b = h.shape[2] // 2, np.arange(h.shape[1])
    ahead = lengths - 1 if ahead is None else ahead
    back = 0 * lengths if back is None else back
    return np.concatenate([h[ahead, b, :H], h[back, b, H:]], axis=1)


def _draw_last(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    return (rng.standard_normal((sizes.T, sizes.B, 2 * sizes.H)), drawn_lengths(rng, sizes))


last = Exercise(
    "last(h, lengths)",
    _last,
    with_letters(_draw_last, "TBH"),
    {"h_n": "B, 2H"},
    (
        Mistake(
            "the last row is read, padding and all",
            "h[-1] is padding for a short sequence, and there the reverse chain has only begun. "
            "Read the forward half at length - 1 and the reverse half at step 0.",
            lambda h, lengths: h[-1].copy(),
        ),
        Mistake(
            "the last state is taken at the padding",
            "The forward chain of sequence b ends at step lengths[b] - 1.",
            lambda h, lengths: _last(h, lengths, ahead=0 * lengths + len(h) - 1),
        ),
        Mistake(
            "the reverse half is read at the last step",
            "There the reverse chain has seen one input. It ends at step 0.",
            lambda h, lengths: _last(h, lengths, back=lengths - 1),
        ),
        Mistake(
            "both halves are read at step 0",
            "There the forward chain has seen one input. It ends at step length - 1.",
            lambda h, lengths: h[0].copy(),
        ),
    ),
)


def _draw_forward(rng: np.random.Generator, sizes: Sizes) -> tuple[Any, ...]:
    ahead, x = with_params(rnn.Params, 1, "TBI")(rng, sizes)
    (back,) = with_params(rnn.Params, 1)(rng, sizes)
    lengths = drawn_lengths(rng, sizes)
    clear_padding(lengths, x)
    return birnn.Params(ahead, back), x, lengths


def _forward(
    params: Any,
    x: Any,
    lengths: Any,
    *,
    ahead: Any = "forward",
    reverse: Any = "reverse",
    turn: Any = birnn.flip,
    back: Any = birnn.flip,
) -> Any:
    """Both chains, merged with a mistake, or with none; zero at the padding."""
    h_f = rnn.forward(getattr(params, ahead), x).h
    h_r = rnn.forward(getattr(params, reverse), np.ascontiguousarray(turn(x, lengths))).h
    return _cleared(np.concatenate([h_f, back(h_r, lengths)], axis=-1), lengths)


def _as_it_is(x: Any, lengths: Any) -> Any:
    return x


def _whole(x: Any, lengths: Any) -> Any:
    return x[::-1]


forward = Exercise(
    "forward(params, x, lengths)",
    lambda params, x, lengths: birnn.forward(rnn, params, x, lengths).h,
    with_letters(_draw_forward, "TBIH"),
    {"h": "T, B, 2H"},
    (
        Mistake(
            "padding is read first",
            "x[::-1] brings the padding to the front, and the reverse chain starts from it. "
            "Turn each sequence from its own end.",
            lambda *a: _forward(*a, turn=_whole, back=_whole),
        ),
        Mistake(
            "the reverse states are not turned back",
            "The reverse chain's first state belongs to the last step.",
            lambda *a: _forward(*a, back=_as_it_is),
        ),
        Mistake(
            "the second chain reads forward as well",
            "Give it the sequence turned round.",
            lambda *a: _forward(*a, turn=_as_it_is, back=_as_it_is),
        ),
        Mistake(
            "both chains have the forward chain's weights",
            "The reverse chain has parameters of its own: params.reverse.",
            lambda *a: _forward(*a, reverse="forward"),
        ),
        Mistake(
            "the two chains' weights are swapped",
            "params.forward reads from the first step on.",
            lambda *a: _forward(*a, ahead="reverse", reverse="forward"),
        ),
        Mistake(
            "the states at the padding are not cleared",
            "After a sequence's end there is no state: set h to zero there.",
            lambda params, x, lengths: np.concatenate(
                [
                    rnn.forward(params.forward, x).h,
                    birnn.flip(rnn.forward(params.reverse, birnn.flip(x, lengths)).h, lengths),
                ],
                axis=-1,
            ),
        ),
    ),
)

backward = Exercise(
    "backward(dx_f, dx_r, lengths)",
    lambda dx_f, dx_r, lengths: dx_f + birnn.flip(dx_r, lengths),
    _with_lengths(normal("TBI", "TBI"), "TBI"),
    {"dx": "T, B, I"},
    (
        Mistake(
            "the reverse chain's gradient is not turned back",
            "The reverse chain has read flip(x), so what it sends is in its own time.",
            lambda dx_f, dx_r, lengths: dx_f + dx_r,
        ),
        Mistake(
            "the padding is turned round too",
            "Turn each sequence from its own end, not dx_r[::-1].",
            lambda dx_f, dx_r, lengths: dx_f + dx_r[::-1],
        ),
        Mistake(
            "the gradients are averaged",
            "The loss depends on x in two ways, so the gradients add up.",
            lambda dx_f, dx_r, lengths: (dx_f + birnn.flip(dx_r, lengths)) / 2,
        ),
        Mistake(
            "only the forward chain's gradient is used",
            "The reverse chain has read x too.",
            lambda dx_f, dx_r, lengths: dx_f.copy(),
        ),
    ),
)

# ---------------------------------------------------------------- means over what is no padding

mean_pool = Exercise(
    "mean_pool(h, lengths)",
    layers.mean_pool,
    _with_lengths(normal("TBH"), "TBH"),
    {"mean": "B, H"},
    (
        Mistake(
            "the padding is counted",
            "Only the first lengths[b] steps of sequence b belong to it.",
            lambda h, lengths: h.mean(0),
        ),
        Mistake(
            "the sum is divided by T",
            "The padding is left out of the sum, so divide by the sequence's own length.",
            lambda h, lengths: _cleared(h, lengths).sum(0) / len(h),
        ),
        Mistake(
            "the sum over the padding too is divided by the length",
            "Set the padding to zero before you sum.",
            lambda h, lengths: h.sum(0) / lengths[:, None].astype(h.dtype),
        ),
        Mistake(
            "the sum is not divided",
            "A mean is the sum over lengths[b] steps, divided by lengths[b].",
            lambda h, lengths: _cleared(h, lengths).sum(0),
        ),
        Mistake(
            "the last state is taken",
            "Here it is the mean over all steps.",
            lambda h, lengths: h[lengths - 1, np.arange(h.shape[1])],
        ),
        Mistake(
            "the largest value is taken",
            "Here it is the mean, not the maximum.",
            lambda h, lengths: (
                np.where(_within(lengths, len(h))[:, :, None], h, -np.inf).max(0).astype(h.dtype)
            ),
        ),
    ),
)

masked_loss = Exercise(
    "masked_loss(losses, lengths)",
    lambda losses, lengths: (losses * _within(lengths, len(losses))).sum() / lengths.sum(),
    _with_lengths(normal("TB"), "TB"),
    {"loss": ""},
    (
        Mistake(
            "the padding is counted",
            "Losses at the padding are no losses: leave them out.",
            lambda losses, lengths: losses.mean(),
        ),
        Mistake(
            "the sum is divided by all T·B steps",
            "Divide by the number of steps that count: lengths.sum().",
            lambda losses, lengths: _cleared(losses, lengths).mean(),
        ),
        Mistake(
            "each sequence counts the same, however long it is",
            "That is the mean of the sequences' means. Here each step counts the same.",
            lambda losses, lengths: (_cleared(losses, lengths).sum(0) / lengths).mean(),
        ),
        Mistake(
            "the losses are summed",
            "Divide by the number of steps that count: lengths.sum().",
            lambda losses, lengths: _cleared(losses, lengths).sum(),
        ),
        Mistake(
            "the sum is divided by the number of sequences",
            "Divide by the number of steps that count: lengths.sum().",
            lambda losses, lengths: _cleared(losses, lengths).sum() / len(lengths),
        ),
    ),
)
