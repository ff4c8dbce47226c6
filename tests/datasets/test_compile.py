"""Preparing without computing: what programs need to know is the same."""

import jax
import numpy as np
from cases import maps as cases

import gammajax as gj
from gammajax.datasets.compile import Program, is_tracing_ahead, tracing_ahead
from gammajax.datasets.map import prepared
from gammajax.fit.joint import make_problem


def test_programs_and_shapes_are_those_of_the_problem():
    """Of sources with a place and a width, frozen shapes, wholly frozen ones, and one beside the map."""
    data = cases.small_map()
    narrow = gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.06)
    models = gj.Models(
        [
            cases.source(gj.PointSpatialModel(lon_0=83.7, lat_0=22.05), name="point"),
            cases.source(narrow, name="gauss"),
            cases.source(gj.DiskSpatialModel(lon_0=83.63, lat_0=22.01, r_0=0.1), name="disk"),
            cases.source(gj.PointSpatialModel(lon_0=93.7, lat_0=22.05), name="beside"),
            cases.source(narrow, name="frozen"),
        ]
    )
    shape = [n for n in models.parameters if n.startswith("disk.spatial")]
    models = models.freeze(*shape, *[n for n in models.parameters if n.startswith("frozen")])
    # as if no other test had asked for any of these programs
    for program in [p for p in vars(prepared).values() if isinstance(p, Program)]:
        program._prepared.clear()
    assert not is_tracing_ahead()
    with tracing_ahead() as threads:
        assert is_tracing_ahead()
        before = make_problem(data, models)
    assert not is_tracing_ahead() and len(threads) >= 3
    for thread in threads:
        thread.join()
    after = make_problem(data, models)
    assert before.spec == after.spec
    assert jax.tree.structure(before.arrays) == jax.tree.structure(after.arrays)
    for one, other in zip(jax.tree.leaves(before.arrays), jax.tree.leaves(after.arrays), strict=True):
        assert np.shape(one) == np.shape(other) and np.result_type(one) == np.result_type(other)
    # once more there is nothing to compile
    with tracing_ahead() as threads:
        make_problem(data, models)
    assert not threads


def test_errors_come_through():
    """Tracing ahead that fails leaves no trace."""
    try:
        with tracing_ahead():
            raise gj.InputError("no")
    except gj.InputError:
        pass
    assert not is_tracing_ahead()
