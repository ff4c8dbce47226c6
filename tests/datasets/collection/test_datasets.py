"""The container of datasets."""

import jax
import jax.numpy as jnp
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.collection import Datasets
from gammajax.datasets.spectrum import SpectrumDataset


def run(*counts):
    return SpectrumDataset([1.0, 2, 3], counts=counts)


def test_names_and_order_are_kept():
    datasets = Datasets({"z": run(1, 2), "a": run(3, 4)})
    assert datasets.names == ("z", "a") and list(datasets.keys()) == ["z", "a"] and len(datasets) == 2
    assert datasets["a"].counts[0] == 3 and datasets[0].counts[0] == 1 and datasets[-1].counts[0] == 3
    assert "a" in datasets and "b" not in datasets
    assert [n for n, _ in datasets.items()] == ["z", "a"] and datasets.values() == tuple(datasets)
    assert "z: SpectrumDataset" in repr(datasets)


def test_ways_to_make_one():
    assert Datasets([run(1, 2), run(3, 4)]).names == ("dataset-0", "dataset-1")
    assert Datasets([run(1, 2)], ["x"]).names == ("x",)
    assert Datasets(Datasets({"y": run(1, 2)})).names == ("y",)
    assert len(Datasets()) == 0


def test_slices_selections_and_sums_are_new_containers():
    datasets = Datasets({"a": run(1, 2), "b": run(3, 4), "c": run(5, 6)})
    assert datasets[1:].names == ("b", "c")
    assert datasets.select(["c", "a"]).names == ("c", "a")
    assert (datasets[:1] + datasets[2:]).names == ("a", "c")
    assert datasets.names == ("a", "b", "c")


def test_bad_input():
    datasets = Datasets({"a": run(1, 2)})
    with pytest.raises(InputError, match=r"no dataset 'b'; names are 'a'"):
        datasets["b"]
    with pytest.raises(InputError, match=r"the name 'a' is there twice"):
        datasets + datasets
    with pytest.raises(InputError, match=r"found 1 names for 2 datasets"):
        Datasets([run(1, 2), run(1, 2)], ["a"])
    with pytest.raises(InputError, match=r"do not give them twice"):
        Datasets({"a": run(1, 2)}, ["a"])


def test_it_is_a_pytree():
    datasets = Datasets({"z": run(1, 2), "a": run(3, 4)})
    total = jax.jit(lambda d: sum(jnp.sum(jnp.asarray(x.counts)) for x in d))
    assert total(datasets) == 10
    assert jax.tree.map(lambda x: x, datasets).names == ("z", "a")
