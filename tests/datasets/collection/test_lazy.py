"""A dataset that is read when it is first asked for."""

import pytest

from gammajax.datasets import InputError
from gammajax.datasets.collection import Datasets, LazyDataset
from gammajax.datasets.spectrum import SpectrumDataset


def test_it_is_read_once():
    reads = []
    lazy = LazyDataset("a", "MapDataset", lambda: reads.append(1) or object())
    assert not lazy.is_loaded and repr(lazy) == "MapDataset (not read yet)"
    assert lazy.load() is lazy.load() and reads == [1]
    assert lazy.is_loaded and repr(lazy) == repr(lazy.load())


def test_a_failed_read_may_be_tried_again():
    there = SpectrumDataset([1, 2, 4], counts=[3, 1])
    results = [InputError("a.fits: gone"), there]

    def read():
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    datasets = Datasets([LazyDataset("a", "MapDataset", read)], ["a"])
    with pytest.raises(InputError, match="gone"):
        datasets["a"]
    assert datasets["a"] is there and datasets.datasets == (there,) and datasets.load().entries == (there,)
