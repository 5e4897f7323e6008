"""Text as sequences of characters, and the perplexity that counting reaches.

T steps, B batch, K different characters. The text is the one that Python's `help()` prints: it comes
with every Python, so nothing is fetched.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlit.tools.checks import check_size


class Text(NamedTuple):
    """A text as numbers, cut in two: its beginning to learn from, its end to be tested on."""

    train: np.ndarray  # (N,) int64, from 0 to K-1
    test: np.ndarray  # (M,) int64
    alphabet: str  # the K characters, in the order of their numbers


def help_texts() -> str:
    """The help topics of the running Python, such as `help("for")`, one after the other in their order.

    Some 465 000 characters in Python 3.11; other versions differ a little. Source: the module
    `pydoc_data.topics` of the standard library, Python Software Foundation License.
    """
    from pydoc_data.topics import topics

    return "".join(topics[name] for name in sorted(topics))


def encode(text: str, share: float = 0.1) -> Text:
    """Number the characters of a text and keep its last `share` for testing.

    TypeError, ValueError: no text; a share that leaves one of the parts empty.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    cut = len(text) - round(share * len(text))
    if not 0 < cut < len(text):
        raise ValueError(f"share: expected both parts to hold a character, got {share!r} of {len(text)}")
    alphabet, numbers = np.unique(np.array(list(text)), return_inverse=True)
    numbers = numbers.astype(np.int64)
    return Text(numbers[:cut], numbers[cut:], "".join(alphabet))


def streams(numbers: np.ndarray, size: int) -> np.ndarray:
    """Cut one long sequence (N,) into `size` pieces that are read side by side:  (N // size, size)

    Column b is the b-th piece, in order. What is left over at the end is dropped.
    """
    _check_numbers("numbers", numbers)
    size = check_size("size", size)
    if len(numbers) < size:
        raise ValueError(f"size: expected at most {len(numbers)} pieces of that sequence, got {size}")
    T = len(numbers) // size
    return np.ascontiguousarray(numbers[: T * size].reshape(size, T).T)


def one_hot(numbers: np.ndarray, K: int) -> np.ndarray:
    """A 1 in the place of each number, and zeros elsewhere.   numbers (...)  ->  float32 (..., K)"""
    _check_numbers("numbers", numbers)
    if numbers.size and numbers.max() >= check_size("K", K):
        raise ValueError(f"numbers: expected 0 <= number < K = {K}, got {numbers.max()}")
    return np.eye(K, dtype=np.float32)[numbers]


def ngram_perplexity(
    train: np.ndarray,
    test: np.ndarray,
    n: int,
    K: int,
    *,
    alpha: float = 0.1,
) -> float:
    """Perplexity on `test` of the model that counts the n-grams of `train`:

        p(c | context) = (count(context c) + alpha) / (count(context) + alpha K)
        perplexity = exp(mean of -log p)

    train (N,), test (M,), numbers from 0 to K-1. The context is the n - 1 characters
    before; n = 1 has none. The first n - 1 characters of the test are not asked for.
    alpha, above 0, leaves something to what was never seen (Lidstone smoothing).

    ValueError: a sequence shorter than n, an alpha that is not above 0.
    """
    n = check_size("n", n)
    for name, numbers in (("train", train), ("test", test)):
        _check_numbers(name, numbers)
        if (N := len(numbers)) < n:
            raise ValueError(f"{name}: expected {n} numbers at least, got {N}")
    if not 0 < alpha < np.inf:
        raise ValueError(f"alpha: expected a finite number above 0, got {alpha!r}")
    seen, asked = _grams(train, n, K), _grams(test, n, K)
    contexts = seen // K  # a gram without its last character
    p = (_count(seen, asked) + alpha) / (_count(contexts, asked // K) + alpha * K)
    return float(np.exp(-np.mean(np.log(p))))


def _grams(numbers: np.ndarray, n: int, K: int) -> np.ndarray:
    """Each n neighbours as one number in base K."""
    return np.lib.stride_tricks.sliding_window_view(numbers, n) @ K ** np.arange(n)[::-1]


def _count(seen: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """How often each number of `asked` stands in `seen`."""
    seen = np.sort(seen)
    return np.searchsorted(seen, asked, side="right") - np.searchsorted(seen, asked, side="left")


def _check_numbers(name: str, numbers: Any) -> None:
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "iu":
        kind = getattr(numbers, "dtype", type(numbers).__name__)
        raise TypeError(f"{name}: expected an array of integers, got {kind}")
    if numbers.size and numbers.min() < 0:
        raise ValueError(f"{name}: expected numbers from 0 on, got {numbers.min()}")
