"""Meta: descriptions that travel with a dataset."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.datasets import Meta
from gammajax.datasets.spectrum import SpectrumDataset


def test_mapping():
    meta = Meta({"OBS_ID": 1, "region": {"cards": []}})
    assert meta["OBS_ID"] == 1 and meta.get("x", 5) == 5 and "region" in meta and len(meta) == 2
    assert list(meta) == ["OBS_ID", "region"] and repr(meta) == "Meta(OBS_ID, region)"
    with pytest.raises(KeyError):
        meta["x"]


def test_updating_gives_a_new_one():
    data = {"OBS_ID": 1}
    meta = Meta(data)
    changed = meta.updated(OBS_ID=2, TELESCOP="HESS")
    data["OBS_ID"] = 9
    assert meta["OBS_ID"] == 1 and changed["OBS_ID"] == 2 and changed["TELESCOP"] == "HESS"


def test_descriptions_do_not_split_compilation():
    traces = []

    @jax.jit
    def total(dataset):
        traces.append(1)
        return jnp.sum(jnp.asarray(dataset.counts))

    for i in range(3):
        total(SpectrumDataset([1, 2, 3], counts=[i, 1], meta=Meta({"OBS_ID": i, "array": np.arange(i)})))
    assert len(traces) == 1


def test_a_trace_never_hands_on_the_first_callers_description():
    double = jax.jit(lambda d: d)
    first = double(SpectrumDataset([1, 2], counts=[1], meta=Meta({"OBS_ID": 1})))
    second = double(SpectrumDataset([1, 2], counts=[2], meta=Meta({"OBS_ID": 2})))
    assert first.meta.get("OBS_ID") != 1 or second.meta.get("OBS_ID") == 2
    assert second.meta.get("OBS_ID") in (None, 2)


def test_tree_map_keeps_it():
    dataset = SpectrumDataset([1, 2], counts=[1], meta=Meta({"OBS_ID": 1}))
    assert jax.tree.map(lambda x: x, dataset).meta["OBS_ID"] == 1
    # stacking runs with different descriptions is possible
    other = SpectrumDataset([1, 2], counts=[5], meta=Meta({"OBS_ID": 2}))
    stacked = jax.tree.map(lambda *x: jnp.stack(x), dataset, other)
    assert stacked.counts.shape == (2, 1)
