"""The sequences that the chapters learn from.   B batch, T steps.

`japanese_vowels` reads recordings that come with the package; `adding` and `adding_1997` draw the adding
problem in its modern and its original form. NumPy only; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from rnnlit.tools.checks import check_array, check_lengths, check_size
from rnnlit.tools.sequences import beyond


class Utterances(NamedTuple):
    """A padded batch of labelled sequences, time first."""

    x: np.ndarray  # (T, B, 12) float32, zero after a sequence's end
    lengths: np.ndarray  # (B,) int64
    speaker: np.ndarray  # (B,) int64, from 0 to 8


def japanese_vowels() -> tuple[Utterances, Utterances]:
    """Read the 270 training and 370 test utterances of the Japanese Vowels recordings.

    ->  train with x (26, 270, 12), test with x (29, 370, 12)

    Nine men say /ae/; a frame is 12 LPC cepstrum coefficients, one every 6.4 ms. The split is the official
    one. Utterances stand in UCI's order: all of speaker 0 (UCI's speaker 1) first, then all of speaker 1, up
    to speaker 8. Shuffle them before training, as `minibatches` does.

    Source: Kudo, Toyama & Shimbo 1999, Pattern Recognition Letters 20(11-13), 1103-1111; UCI data set 128,
    doi 10.24432/C5NS47, CC BY 4.0. Authors, licence and changes: rnnlit/data/JAPANESE_VOWELS.md.
    """
    source = files("rnnlit").joinpath("data", "japanese_vowels.npz")
    with source.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        train, test = (
            _pad(stored[f"{split}_millionths"], stored[f"{split}_lengths"], stored[f"{split}_speaker"])
            for split in ("train", "test")
        )
    return train, test


def _pad(millionths: np.ndarray, lengths: np.ndarray, speaker: np.ndarray) -> Utterances:
    # millionths (12, frames of all utterances, one after the other)
    lengths = lengths.astype(np.int64)
    x = np.zeros((lengths.max(), len(lengths), len(millionths)), np.float32)
    # A mask is walked row by row: with the utterances as rows, the frames fall into place in their order.
    x.swapaxes(0, 1)[~beyond(lengths, len(x)).T] = millionths.T / 1e6
    return Utterances(x, lengths, speaker.astype(np.int64))


def standardise(train: Utterances, test: Utterances) -> tuple[Utterances, Utterances]:
    """Give each coefficient mean 0 and standard deviation 1 over the training set's valid steps.

    The test set is shifted and scaled by the training set's numbers, as a sequence that comes later would be.
    Padding counts nowhere and stays zero. The arguments are left as they are.

    TypeError: no Utterances.  ValueError: a coefficient that never varies in train, or another number of them
    in test.
    """
    _check_utterances("train", train)
    _check_utterances("test", test)
    check_array("test.x", test.x, ("T", "B", train.x.shape[2]))
    # float64, for a mean over thousands of steps
    frames = train.x[~beyond(train.lengths, len(train.x))].astype(np.float64)
    constant = np.flatnonzero(np.ptp(frames, axis=0) == 0).tolist()
    if constant:
        raise ValueError(
            f"train.x: expected coefficients that vary, got one value at all steps for {constant}"
        )
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)

    def scale(utterances: Utterances) -> Utterances:
        x = ((utterances.x - mean) / deviation).astype(utterances.x.dtype)
        x[beyond(utterances.lengths, len(x))] = 0
        return utterances._replace(x=x)

    return scale(train), scale(test)


def minibatches(utterances: Utterances, size: int, rng: np.random.Generator) -> Iterator[Utterances]:
    """Go once through the utterances in random order, `size` at a time; the last batch holds what is left.

    Each batch is cut to its own longest sequence, so that no step is spent on padding alone.

    TypeError, ValueError: no Utterances, a size below 1, no Generator; raised at the call.
    """
    _check_utterances("utterances", utterances)
    size = check_size("size", size)
    _check_rng(rng)
    # No generator itself: the checks would then wait for the first batch.
    return _cut(utterances, size, rng.permutation(len(utterances.lengths)))


def _cut(utterances: Utterances, size: int, order: np.ndarray) -> Iterator[Utterances]:
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        lengths = utterances.lengths[chosen]
        yield Utterances(utterances.x[: lengths.max(), chosen], lengths, utterances.speaker[chosen])


def adding(
    T: int, B: int, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the adding problem as it is posed today: add the two marked numbers of a sequence.

    T >= 2 steps, B sequences  ->  x (T, B, 2), y (B, 1)

    Values x[t, b, 0] come from U[0, 1]. The markers x[t, b, 1] are 1 at two steps, one anywhere in the first
    half (t < T // 2) and one anywhere in the second, and 0 elsewhere. The target is the sum of the two marked
    values.

    What a net without memory can reach: it knows nothing of the marked values U1 and U2, so its best answer
    is their mean sum, 1, with mean squared error  Var(U1 + U2) = Var U1 + Var U2 = 1/12 + 1/12 = 1/6.

    Source: Arjovsky, Shah & Bengio 2016, "Unitary evolution recurrent neural networks", ICML, who give the
    baseline as 0.167.
    """
    _check_draw(T, 2, B, rng)
    number = _float_type(dtype)
    sequence = np.arange(B)
    first, second = rng.integers(0, T // 2, B), rng.integers(T // 2, T, B)

    x: np.ndarray = np.zeros((T, B, 2), number)
    x[:, :, 0] = rng.random((T, B), number)
    x[first, sequence, 1] = x[second, sequence, 1] = 1
    y = x[first, sequence, 0] + x[second, sequence, 0]
    return x, y[:, None]


def adding_1997(
    T: int, B: int, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the adding problem as the paper that introduced the LSTM posed it (experiment 4).

    T >= 20 steps, B sequences  ->  x (T + T // 10, B, 2) zero after a sequence's end, lengths (B,), y (B, 1)

    Each sequence has a length from T to T + T // 10, all equally likely. Values x[t, b, 0] come from
    U[-1, 1]. Two pairs get the marker x[t, b, 1] = 1: one of the first ten, then one of the first T // 2 - 1
    pairs that are still unmarked, so that at least T // 2 steps follow each. The first and the final pair
    have the marker -1, all others 0. The target is 0.5 + (X1 + X2) / 4, where X1 and X2 are the marked
    values: a number between 0 and 1. An answer counts as right if it is less than 0.04 away.

    Where a mark falls on the first pair, the paper sets that value to zero and leaves its marker open. Here
    the pair becomes (0, -1), so that the target is always 0.5 plus a quarter of the sum of the values whose
    marker is 1. This happens with probability p = 1/10 + 9/10 / (T // 2 - 1).

    What a net without memory can reach: the target's mean is 0.5 and the variance of a value is 1/3, so the
    mean squared error is (1 - p) (2/3) / 16 + p (1/3) / 16 = (2 - p) / 48, or 0.0392 at T = 100.

    Source: Hochreiter & Schmidhuber 1997, "Long short-term memory", Neural Computation 9(8), section 5.4.
    """
    _check_draw(T, 20, B, rng)
    number = _float_type(dtype)
    longest = T + T // 10
    lengths = rng.integers(T, longest + 1, B)
    sequence = np.arange(B)
    first = rng.integers(0, 10, B)
    # Counted among the pairs still unmarked: from the first mark on, each of them stands one place further.
    second = rng.integers(0, T // 2 - 1, B)
    second += second >= first

    x: np.ndarray = np.zeros((longest, B, 2), number)
    x[:, :, 0] = rng.uniform(-1, 1, (longest, B))
    x[0, (first == 0) | (second == 0), 0] = 0
    x[first, sequence, 1] = x[second, sequence, 1] = 1
    x[0, :, 1] = x[lengths - 1, sequence, 1] = -1
    x[beyond(lengths, longest)] = 0
    y = 0.5 + (x[first, sequence, 0] + x[second, sequence, 0]) / 4
    return x, lengths, y[:, None]


def _float_type(dtype: DTypeLike) -> type:
    number = np.dtype(dtype).type
    if number not in (np.float32, np.float64):
        raise TypeError(f"dtype: expected float32 or float64, got {np.dtype(dtype)}")
    return number


def _check_draw(T: int, least: int, B: int, rng: np.random.Generator) -> None:
    if check_size("T", T) < least:
        raise ValueError(f"T: expected at least {least} steps for the two marks, got {T}")
    check_size("B", B)
    _check_rng(rng)


def _check_rng(rng: np.random.Generator) -> None:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng: expected a NumPy Generator, as default_rng makes, got {type(rng).__name__}")


def _check_utterances(name: str, utterances: Utterances) -> None:
    if not isinstance(utterances, Utterances):
        raise TypeError(f"{name}: expected Utterances, got {type(utterances).__name__}")
    T, B, _ = check_array(f"{name}.x", utterances.x, ("T", "B", "I")).shape
    check_lengths(utterances.lengths, T, B)
    speaker = np.asarray(utterances.speaker)
    if speaker.shape != (B,) or speaker.dtype.kind not in "iu":
        raise ValueError(f"{name}.speaker: expected {B} integers, got {speaker.dtype} {speaker.shape}")
