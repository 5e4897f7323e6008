"""Batches that come again: the oracle is the list of what an undisturbed stream gives."""

import numpy as np
import pytest
import torch

from rnnlit.tools.stream import Stream, check_repeatable, random_sources


class Shuffled:
    """Numbers in a new order each turn, by NumPy's random numbers."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __iter__(self):
        return iter(self.rng.permutation(5).tolist())


def loader(seed, **options):
    own = torch.Generator().manual_seed(seed)
    return torch.utils.data.DataLoader(range(5), shuffle=True, generator=own, collate_fn=sum, **options)


@pytest.mark.parametrize("make", [Shuffled, loader])
@pytest.mark.parametrize("count", [0, 3, 5, 12])
def test_an_iterable_goes_on_at_the_same_place(make, count):
    undisturbed = Stream(make(7))
    whole = [next(undisturbed) for _ in range(20)]
    assert whole[:5] != whole[5:10]
    first = Stream(make(7))
    assert [next(first) for _ in range(count)] == whole[:count]
    saved = first.state_dict()
    second = Stream(make(99))
    second.skip(count, saved)
    assert [next(second) for _ in range(20 - count)] == whole[count:]
    third = Stream(make(99))  # what was put back at the start is what the next checkpoint holds
    third.skip(count, saved)
    assert str(third.state_dict()) == str(saved)


def test_a_function_goes_by_the_rng_alone():
    rng = np.random.default_rng(3)
    stream = Stream(lambda rng: float(rng.random()), rng)
    assert stream.state_dict() == {}
    stream.skip(4, {})  # draws nothing: the rng is put back by fit
    expected = np.random.default_rng(3)
    assert [next(stream), next(stream)] == [expected.random(), expected.random()]


def test_what_has_no_random_numbers_is_drawn_again():
    stream = Stream([1, 2, 3])
    stream.skip(4, {})
    assert [next(stream) for _ in range(4)] == [2, 3, 1, 2]


def test_each_source_is_found_once():
    one = loader(0)
    assert random_sources(one) == {"generator": one.generator}  # the sampler has the same one
    sampler = torch.utils.data.RandomSampler(range(5), generator=torch.Generator())
    two = torch.utils.data.DataLoader(range(5), sampler=sampler)
    assert random_sources(two) == {"sampler.generator": sampler.generator}
    assert random_sources([1, 2]) == {} == random_sources("text")


def test_batches_that_cannot_come_again_are_refused():
    check_repeatable(loader(0))
    check_repeatable([1, 2])
    check_repeatable(torch.utils.data.DataLoader(range(5)))
    with pytest.raises(
        ValueError, match=r"batches: expected a generator of their own .* sampler\.generator=None"
    ):
        check_repeatable(torch.utils.data.DataLoader(range(5), shuffle=True))
    first = Stream(Shuffled(7))
    next(first)
    with pytest.raises(ValueError, match="after 6 batches, rng stands elsewhere"):
        Stream(Shuffled(7)).skip(6, first.state_dict())
    with pytest.raises(
        ValueError, match="batches: expected those of the checkpoint, with rng, got generator"
    ):
        Stream(loader(7)).skip(1, first.state_dict())
    with pytest.raises(ValueError, match="batches: expected those of the checkpoint, with rng, got none"):
        Stream([1]).skip(1, first.state_dict())
