"""Sequences of tokens as padded arrays, and what counts the errors in them.   T steps, B sequences.

A token is anything hashable: a letter, a phoneme, a word. The numbers PAD, START and STOP are the same in
every vocabulary; the tokens are numbered behind them. NumPy only.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_size

PAD, START, STOP = 0, 1, 2
SPECIAL = ("<pad>", "<start>", "<stop>")


class Vocabulary:
    """A number for each token: PAD, START, STOP, and from 3 on the tokens in the order given.

    TypeError: no sequence of tokens.  ValueError: no token, or one twice.

    >>> letters = Vocabulary.of(["tea", "eat"])
    >>> letters.encode("tea"), letters.decode([4, 3, 5])
    ([5, 4, 3], ['e', 'a', 't'])
    """

    def __init__(self, tokens: Iterable[Hashable]) -> None:
        self.tokens: tuple[Hashable, ...] = (*SPECIAL, *tokens)
        self.index = {token: number for number, token in enumerate(self.tokens)}
        if len(self.tokens) == len(SPECIAL):
            raise ValueError("tokens: expected at least one token, got none")
        if len(self.index) < len(self.tokens):
            twice = next(token for k, token in enumerate(self.tokens) if self.index[token] != k)
            raise ValueError(f"tokens: expected each token once, got {twice!r} twice")

    @classmethod
    def of(cls, sequences: Iterable[Sequence[Any]]) -> Vocabulary:
        """The vocabulary of all tokens that occur in the sequences, sorted."""
        return cls(sorted({token for sequence in sequences for token in sequence}))

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self)}: {' '.join(map(str, self.tokens[:8]))}{' ...' * (len(self) > 8)}"

    def encode(self, sequence: Iterable[Hashable]) -> list[int]:
        """The numbers of the tokens. ValueError: a token that isn't in the vocabulary."""
        sequence = list(sequence)
        unknown = [token for token in sequence if token not in self.index]
        if unknown:
            raise ValueError(f"sequence: expected tokens of the vocabulary, got {unknown[0]!r}")
        return [self.index[token] for token in sequence]

    def decode(self, numbers: Iterable[int]) -> list[Hashable]:
        """The tokens with these numbers. ValueError: a number that isn't in the vocabulary."""
        numbers = [int(number) for number in numbers]
        foreign = [number for number in numbers if not 0 <= number < len(self)]
        if foreign:
            raise ValueError(f"numbers: expected 0 <= number < {len(self)}, got {foreign[0]}")
        return [self.tokens[number] for number in numbers]


class Pairs(NamedTuple):
    """A padded batch of sources and targets, time first: the arguments of `EncoderDecoder.loss`."""

    source: np.ndarray  # (S, B) int64, PAD after a sequence's end
    source_lengths: np.ndarray  # (B,) int64
    target: np.ndarray  # (T, B) int64
    target_lengths: np.ndarray  # (B,) int64


def pad(sequences: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Put lists of numbers side by side.   B sequences  ->  (T, B) int64 with PAD at the end, lengths (B,)

    T is the length of the longest. TypeError: a number that is no integer.  ValueError: no sequence, or an
    empty one.

    >>> array, lengths = pad([[3, 4], [5, 6, 7]])
    >>> array.tolist(), lengths.tolist()
    ([[3, 5], [4, 6], [0, 7]], [2, 3])
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    if not len(lengths) or lengths.min() < 1:
        raise ValueError(
            f"sequences: expected at least one, none of them empty, got lengths {lengths.tolist()}"
        )
    array = np.full((lengths.max(), len(lengths)), PAD, np.int64)
    for b, sequence in enumerate(sequences):
        numbers = np.asarray(sequence)
        if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
            raise TypeError(f"sequences: expected lists of integers, got {sequence!r} at {b}")
        array[: len(numbers), b] = numbers
    return array, lengths


def pairs(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Pairs:
    """Pad sources and targets, each to its own longest. ValueError: not as many of one as of the other.

    >>> batch = pairs([[3, 4], [5, 6, 7]], [[8], [9, 3]])
    >>> batch.source.shape, batch.target_lengths.tolist()
    ((3, 2), [1, 2])
    """
    if len(sources) != len(targets):
        raise ValueError(f"targets: expected {len(sources)} like the sources, got {len(targets)}")
    return Pairs(*pad(sources), *pad(targets))


def batches(
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    size: int,
    rng: np.random.Generator,
    *,
    pool: int = 20,
) -> Iterator[Pairs]:
    """One epoch of padded batches of `size` pairs, in random order; the last may be smaller.

    Sentences of similar length come together, so that little is padding: the shuffled pairs are taken `pool`
    batches at a time, and sorted by the length of the source within these. pool = 1 sorts nothing across
    batches.

    >>> sources, targets = [[3], [4, 5], [6, 7, 8]], [[3], [5, 4], [8, 7, 6]]
    >>> [batch.source.shape for batch in batches(sources, targets, 2, np.random.default_rng(0))]
    [(3, 1), (2, 2)]
    """
    size, pool = check_size("size", size), check_size("pool", pool)
    if len(sources) != len(targets):
        raise ValueError(f"targets: expected {len(sources)} like the sources, got {len(targets)}")
    order, cuts = rng.permutation(len(sources)), []
    for begin in range(0, len(order), size * pool):
        part = sorted(order[begin : begin + size * pool], key=lambda k: len(sources[k]))
        cuts += [part[k : k + size] for k in range(0, len(part), size)]
    for k in rng.permutation(len(cuts)):
        yield pairs([sources[i] for i in cuts[k]], [targets[i] for i in cuts[k]])


def edit_distance(a: Sequence[Any], b: Sequence[Any]) -> int:
    """The fewest insertions, deletions and substitutions that turn a into b   (Levenshtein 1966)

        d(i, j) = min(d(i-1, j) + 1,  d(i, j-1) + 1,  d(i-1, j-1) + [a_i != b_j])

    with d(i, 0) = i and d(0, j) = j. Time len(a)·len(b), memory len(b).

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(b) + 1))
    for i, token in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (token != other))
    return row[-1]


def exact_match(predicted: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Any]]) -> float:
    """The share of sequences that are right from the first token to the last.

    >>> exact_match(["tea", "eat"], ["tea", "ate"])
    0.5
    """
    _check_same("predicted", predicted, wanted)
    return float(np.mean([list(p) == list(w) for p, w in zip(predicted, wanted, strict=True)]))


def token_error_rate(predicted: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Any]]) -> float:
    """The sum of all edit distances over the sum of all wanted lengths; it may be above 1.

    With words for tokens this is the word error rate, with phonemes the phoneme error rate.

    >>> token_error_rate(["a cat sat".split()], ["the cat sat down".split()])
    0.5
    """
    _check_same("predicted", predicted, wanted)
    errors = sum(edit_distance(p, w) for p, w in zip(predicted, wanted, strict=True))
    length = sum(len(w) for w in wanted)
    if not length:
        raise ValueError("wanted: expected at least one token, got none")
    return errors / length


def _check_same(name: str, predicted: Sequence[Any], wanted: Sequence[Any]) -> None:
    if len(predicted) != len(wanted) or not len(wanted):
        raise ValueError(
            f"{name}: expected as many as wanted, at least one, got {len(predicted)} for {len(wanted)}"
        )
