"""Batches without end, from the same place again after a break.

A training that goes on from a checkpoint has to get the batches that the undisturbed one would get. A
function of rng needs nothing but the rng. An iterable, such as a DataLoader of torch, is drawn again up to
the same place, and so that it gives the same batches, its own random numbers are put back to where they were
at the start.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

# Where an iterable of batches may have random numbers: a DataLoader, its samplers, an iterable of one's own.
_HOLDERS = ("", "sampler.", "batch_sampler.", "batch_sampler.sampler.")
_KINDS = ("generator", "rng")  # a Generator of torch, one of NumPy


class Stream:
    """Batches for `train.fit`: `next(stream)` gives one, as often as one likes.

    batches  a function rng -> batch, or an iterable, which is begun anew whenever it ends
    rng      is passed to the function
    """

    def __init__(self, batches: Any, rng: np.random.Generator | None = None) -> None:
        self.sources = {} if callable(batches) else random_sources(batches)
        self.start = self._states()
        if callable(batches):
            self.batches: Iterator[Any] = (batches(rng) for _ in itertools.count())
        else:
            self.batches = _cycle(batches)
        self.is_function = callable(batches)

    def __next__(self) -> Any:
        return next(self.batches)

    def state_dict(self) -> dict[str, Any]:
        """The iterable's random numbers at its start and now."""
        return {
            f"{when}.{name}": state
            for when, states in (("start", self.start), ("now", self._states()))
            for name, state in states.items()
        }

    def skip(self, count: int, saved: Mapping[str, Any]) -> None:
        """Go to where `count` batches have been drawn, with the random numbers of `state_dict`.

        Of an iterable these batches are drawn here and now, and dropped.

        ValueError: other sources of random numbers than in `saved`; their place is another one afterwards,
        since the iterable is another one, or since something else draws from them.
        """
        if self.is_function:
            return
        if saved:
            self._put_back(saved)
        for _ in range(count):
            next(self)
        for name, state in self._states().items() if saved else ():
            if not _same(state, saved[f"now.{name}"]):
                raise ValueError(
                    f"batches: after {count} batches, {name} stands elsewhere than when the checkpoint was "
                    "written: expected the same iterable, and random numbers from which nothing else draws"
                )

    def _put_back(self, saved: Mapping[str, Any]) -> None:
        expected = {name.partition(".")[2] for name in saved}
        if expected != self.sources.keys():
            both = (", ".join(sorted(names)) or "none" for names in (expected, self.sources))
            raise ValueError("batches: expected those of the checkpoint, with {}, got {}".format(*both))
        self.start = {name: saved[f"start.{name}"] for name in self.sources}
        for name, source in self.sources.items():
            if isinstance(source, np.random.Generator):
                source.bit_generator.state = self.start[name]
            else:
                source.set_state(self.start[name])

    def _states(self) -> dict[str, Any]:
        return {
            name: source.bit_generator.state
            if isinstance(source, np.random.Generator)
            else source.get_state()
            for name, source in self.sources.items()
        }


def random_sources(batches: Any) -> dict[str, Any]:
    """The Generators of torch and NumPy that an iterable of batches draws from, each once, by their names."""
    found: dict[str, Any] = {}
    for name, source in _named(batches):
        known = isinstance(source, np.random.Generator) or hasattr(source, "set_state")
        if known and all(source is not other for other in found.values()):
            found[name] = source
    return found


def check_repeatable(batches: Any) -> None:
    """ValueError: an iterable with a sampler that draws from torch's global random numbers, as a DataLoader
    with shuffle=True and no generator does; these batches can't come again after a break.
    """
    for name, source in _named(batches):
        if source is None and "sampler" in name:
            raise ValueError(
                "batches: expected a generator of their own beside a checkpoint, so that they come again on "
                "resume, such as DataLoader(..., generator=torch.Generator().manual_seed(0)), got "
                f"{name}=None"
            )


def _named(batches: Any) -> Iterator[tuple[str, Any]]:
    for holder in _HOLDERS:
        place = batches
        for part in holder.split(".")[:-1]:
            place = getattr(place, part, None)
        for kind in _KINDS:
            if hasattr(place, kind):
                yield holder + kind, getattr(place, kind)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(value, b[name]) for name, value in a.items())
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


def _cycle(batches: Iterable[Any]) -> Iterator[Any]:
    for turn in itertools.count(1):
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ValueError(
                f"batches: expected an iterable that can be begun anew, got nothing in turn {turn}"
            )
