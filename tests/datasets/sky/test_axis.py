"""Map axes: edges and centres in three scales."""

import pickle

import astropy.units as u
import numpy as np
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.sky import MapAxis


@pytest.mark.parametrize(
    ("interp", "edges", "center"),
    [
        ("lin", [1, 3, 10], [2, 6.5]),
        ("log", [1, 100, 400], [10, 200]),
        ("sqrt", [0, 1, 4], [0.25, 2.25]),
    ],
)
def test_centres_of_edges(interp, edges, center):
    axis = MapAxis.from_edges(edges, interp, "rad", "deg")
    np.testing.assert_allclose(axis.center.to_value("deg"), center, rtol=1e-15)
    np.testing.assert_array_equal(axis.edges.to_value("deg"), edges)
    assert axis.nbin == 2
    np.testing.assert_allclose(axis.bin_width.to_value("deg"), np.diff(edges), rtol=1e-15)


@pytest.mark.parametrize(
    ("interp", "center", "edges"),
    [
        ("lin", [1, 3, 4], [0, 2, 3.5, 4.5]),
        ("log", [1, 3, 10], [1 / np.sqrt(3), np.sqrt(3), np.sqrt(30), 10 * np.sqrt(10 / 3)]),
        ("sqrt", [1, 9, 16], [0, 4, 12.25, 20.25]),
        # a scale that would go on below zero ends there
        ("sqrt", [0, 1, 4], [0, 0.25, 2.25, 6.25]),
    ],
)
def test_edges_of_centres(interp, center, edges):
    axis = MapAxis.from_nodes(center, interp, "rad", "deg")
    np.testing.assert_allclose(axis.edges.to_value("deg"), edges, rtol=1e-15, atol=1e-15)
    np.testing.assert_array_equal(axis.center.to_value("deg"), center)
    assert axis.nbin == 3


@pytest.mark.parametrize("interp", ["lin", "log", "sqrt"])
@pytest.mark.parametrize("make", [MapAxis.from_edges, MapAxis.from_nodes])
def test_pixels_and_coordinates_are_inverse(interp, make):
    axis = make([1.0, 3.0, 10.0, 11.0], interp, unit="TeV")
    pix = np.array([-0.4, -0.1, 0.0, 0.5, 1.3, 2.0, 2.9, 3.6])
    np.testing.assert_allclose(axis.coord_to_pix(axis.pix_to_coord(pix)), pix, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(axis.pix_to_coord(np.arange(axis.nbin)).value, axis.center.value, rtol=1e-15)
    np.testing.assert_allclose(axis.pix_to_coord(np.arange(axis.nbin + 1) - 0.5).value, axis.edges.value, rtol=1e-14)


def test_coordinates_in_another_unit_and_outside():
    axis = MapAxis.from_edges([1, 10, 100], "log", "energy", "TeV")
    np.testing.assert_allclose(axis.coord_to_pix([0.1, 1000.0] * u.TeV), [-1.5, 2.5], rtol=1e-14)
    np.testing.assert_allclose(axis.coord_to_pix(1e4 * u.GeV), 0.5, rtol=1e-14)


def test_energy_bounds():
    axis = MapAxis.from_energy_bounds("1000 GeV", "20 TeV", nbin=5, per_decade=True)
    assert axis.nbin == 7 and axis.unit == u.TeV and axis.interp == "log" and axis.name == "energy"
    edges = axis.edges.to_value("TeV")
    assert edges[0] == 1 and edges[-1] == 20
    np.testing.assert_allclose(np.diff(np.log(edges)), np.log(20) / 7, rtol=1e-13)
    assert MapAxis.from_energy_bounds(1 * u.TeV, 20 * u.TeV, 3, name="energy_true").nbin == 3


def test_bounds_in_other_scales():
    np.testing.assert_allclose(MapAxis.from_bounds(0, 0.66, 66, name="rad", unit="deg").edges.value[33], 0.33)
    np.testing.assert_allclose(MapAxis.from_bounds(0 * u.deg, 60 * u.arcmin, 2, "sqrt").edges.value, [0, 15, 60])
    np.testing.assert_allclose(MapAxis.from_bounds(-1, 1, 4).edges.value, [-1, -0.5, 0, 0.5, 1])


def test_equality_is_by_value_whatever_the_unit():
    axis = MapAxis.from_edges([1, 2, 5] * u.TeV, "log", "energy")
    assert axis == MapAxis.from_edges([1000, 2000, 5000.001] * u.GeV, "log", "ENERGY")
    for other in (
        MapAxis.from_edges([1, 2, 5.1] * u.TeV, "log", "energy"),
        MapAxis.from_edges([1, 2, 5] * u.TeV, "lin", "energy"),
        MapAxis.from_edges([1, 2, 5] * u.TeV, "log", "energy_true"),
        MapAxis.from_edges([1, 2, 5] * u.deg, "log", "energy"),
        MapAxis.from_nodes([1, 2, 5] * u.TeV, "log", "energy"),
        MapAxis.from_edges([1, 2, 5, 6] * u.TeV, "log", "energy"),
    ):
        assert axis != other
    assert axis != "energy"


def test_it_is_immutable_and_survives_pickle():
    axis = MapAxis.from_edges([1, 2, 5] * u.TeV, "log", "energy")
    with pytest.raises(AttributeError, match="immutable"):
        axis.name = "x"
    with pytest.raises(ValueError):
        axis.nodes[0] = 3
    assert pickle.loads(pickle.dumps(axis)) == axis
    assert repr(axis) == "MapAxis(energy: 2 log bins, edges from 1 to 5 TeV)"
    assert repr(MapAxis([0, 1])) == "MapAxis(unnamed: 1 lin bins, edges from 0 to 1)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MapAxis([1, 2], "cubic"), r"interp is 'cubic', expected one of lin, log, sqrt"),
        (lambda: MapAxis([1, 2], node_type="middle"), r"node_type is 'middle'"),
        (lambda: MapAxis([1.0]), r"at least two edges is needed"),
        (lambda: MapAxis([], node_type="center"), r"at least one centre is needed"),
        (lambda: MapAxis([[1, 2], [3, 4]]), r"found shape \(2, 2\)"),
        (lambda: MapAxis([1, 1, 2], name="rad"), r"'rad'.*must be finite and increasing"),
        (lambda: MapAxis([3, 2, 1]), r"increasing"),
        (lambda: MapAxis([1, np.nan]), r"finite"),
        (lambda: MapAxis(["a", "b"]), r"nodes: found"),
        (lambda: MapAxis([0, 1], "log"), r"log axis must be positive, found 0\.0"),
        (lambda: MapAxis([-1, 1], "sqrt"), r"sqrt axis must not be negative, found -1\.0"),
        (lambda: MapAxis([1, 2] * u.TeV, unit="deg"), r"nodes: found unit 'TeV', expected one convertible to 'deg'"),
        (lambda: MapAxis([1, 2], unit="bananas"), r"unit: 'bananas' is not a unit"),
        (lambda: MapAxis([1.0], node_type="center", name="rad").edges, r"'rad': one centre alone has no bin width"),
        (lambda: MapAxis.from_bounds(1, 2, 0), r"number of bins must be a positive integer, found 0"),
        (lambda: MapAxis.from_bounds(1, 2, 1.5), r"positive integer, found 1\.5"),
        (lambda: MapAxis.from_bounds(2, 1, 3), r"bounds must be finite, increasing"),
        (lambda: MapAxis.from_bounds(0, 1, 3, "log"), r"in the range of a log axis"),
        (lambda: MapAxis.from_bounds(-1, 1, 3, "sqrt"), r"in the range of a sqrt axis"),
        (lambda: MapAxis.from_bounds(1, 2, 3, "cubic"), r"interp is 'cubic'"),
        (lambda: MapAxis.from_bounds("1 m", "2 s", 3), "low: found unit 'm', expected one convertible to 's'"),
        (lambda: MapAxis.from_bounds("one", 2, 3, unit="s"), r"low: found 'one'"),
        (lambda: MapAxis.from_energy_bounds(1, 2, 3), r"must be energies such as '0\.5 TeV', found 1\."),
        (lambda: MapAxis.from_energy_bounds("0 TeV", "2 TeV", 3, per_decade=True), r"range of a log axis"),
    ],
)
def test_bad_axes(call, message):
    with pytest.raises(InputError, match=rf"(?s)MapAxis.*{message}"):
        call()
