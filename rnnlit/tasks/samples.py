"""One real piece each of text, speech, film and prices, as arrays that a recurrent network reads.

T steps, B sequences, I inputs. Nothing is fetched: text and film come with this package, the speech is one
of the Japanese Vowels, the prices come inside matplotlib (`pip install rnnlit[book]`).
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from rnnlit.tasks.data import japanese_vowels

# Li Bai (701 to 762), "Quiet Night Thoughts", in the form that schools in China teach. Editions of the Song
# dynasty differ in two characters: 床前看月光 and 望山月.
POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"


def one_hot(text: str) -> tuple[np.ndarray, str]:
    """Turn a text into one step for each character.

        x[t, 0, k] = 1 where character t of the text has number k, else 0

    text: N characters, V of them different  ->  x (N, 1, V) float32, and the V
    characters in the order of their numbers, which is that of their code points.
    TypeError: no string.  ValueError: an empty one.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, got {type(text).__name__}")
    if not text:
        raise ValueError("text: expected one character or more, got an empty string")
    alphabet = "".join(sorted(set(text)))
    number = [alphabet.index(character) for character in text]
    return np.eye(len(alphabet), dtype=np.float32)[number][:, None], alphabet


def utterance(number: int = 0) -> np.ndarray:
    """One training utterance of the Japanese Vowels without padding: (frames, 1, 12) float32, 6.4 ms a frame.

    ValueError: a number outside 0 to 269.
    """
    train, _ = japanese_vowels()
    if not 0 <= number < len(train.lengths):
        raise ValueError(f"number: expected 0 to {len(train.lengths) - 1}, got {number}")
    return train.x[: train.lengths[number], number : number + 1]


def clip() -> np.ndarray:
    """A small clip from the film "Big Buck Bunny": (33, 36, 64) float32 from 0, black, to 1; 0.16 s a frame.

    The axes are time, height, width.  (c) 2008 Blender Foundation, CC BY 3.0: rnnlit/data/BUNNY.md.
    """
    with files("rnnlit").joinpath("data", "bunny.npz").open("rb") as stream, np.load(stream) as stored:
        return stored["grey"].astype(np.float32) / 255


def prices() -> tuple[np.ndarray, np.ndarray]:
    """A share's price on 1047 trading days: the days, and x (1047, 1, 4) float32 in US dollars.

    The four numbers of a day are the prices at opening, at its highest, at its lowest and at closing. It is
    Google's share from 19 August 2004, its first day, to 14 October 2008: matplotlib's own sample data.
    """
    from matplotlib import cbook

    with np.load(cbook.get_sample_data("goog.npz", asfileobj=False)) as stored:
        table = stored["price_data"]
    columns = [table[name] for name in ("open", "high", "low", "close")]
    return table["date"], np.stack(columns, axis=1).astype(np.float32)[:, None]
