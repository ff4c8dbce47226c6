"""Flux points: conversions between kinds of flux, limits, checks."""

from itertools import pairwise

import astropy.units as u
import numpy as np
import pytest
from cases import flux_points as cases
from scipy.integrate import quad

import gammajax as gj
from gammajax.datasets.flux_points import references

N, ENERGY, EDGES = cases.N, cases.ENERGY, cases.EDGES


def test_conversions():
    """Norm times reference, with the integrals of a power law of index 2 done by scipy."""
    points, base = cases.points(), cases.columns()
    norm, error = base["norm"], base["norm_errp"]
    flux, eflux = (1e-12 * np.array([quad(lambda e, p=p: e**p, a, b)[0] for a, b in pairwise(EDGES)]) for p in (-2, -1))
    np.testing.assert_allclose(points.dnde.to_value("cm-2 s-1 TeV-1"), norm * 1e-12 / ENERGY**2, rtol=1e-12)
    np.testing.assert_allclose(
        points.e2dnde.to_value("erg cm-2 s-1"), (norm * 1e-12 * u.TeV).to_value("erg"), rtol=1e-9
    )
    np.testing.assert_allclose(points.flux_errp.to_value("cm-2 s-1"), error * flux, rtol=1e-9)
    np.testing.assert_allclose(points.quantity("eflux_ul").to_value("TeV cm-2 s-1"), base["norm_ul"] * eflux, rtol=1e-9)
    np.testing.assert_array_equal(points.quantity("norm_errn"), base["norm_errn"])
    assert points.dnde_sensitivity is None
    found = references(ENERGY, EDGES[:-1], EDGES[1:], None)
    np.testing.assert_allclose(found["flux_ref"], flux, rtol=1e-9)
    np.testing.assert_allclose(found["eflux_ref"], eflux, rtol=1e-9)


def test_reference_model():
    model = gj.LogParabolaSpectralModel(amplitude=2e-11, alpha=2.2, beta=0.15, reference=1.0)
    found = references(ENERGY, EDGES[:-1], EDGES[1:], gj.SkyModel(model, name="m"))

    def dnde(e):
        return 2e-11 * e ** (-2.2 - 0.15 * np.log(e))

    np.testing.assert_allclose(found["dnde_ref"], dnde(ENERGY), rtol=1e-12)
    for key, power in (("flux_ref", 0), ("eflux_ref", 1)):
        wanted = [quad(lambda e, p=power: 1e11 * e**p * dnde(e), a, b)[0] / 1e11 for a, b in pairwise(EDGES)]
        np.testing.assert_allclose(found[key], wanted, rtol=1e-8)
    with pytest.raises(gj.InputError, match=r"reference_model must be a spectral model, found int"):
        references(ENERGY, None, None, 3)


def test_upper_limits_where_no_flag_says_so():
    plain = {"is_ul": None, "ts": None}
    lost = np.arange(N) == 3
    np.testing.assert_array_equal(cases.points(**plain, norm_ul=None).is_ul, lost)
    limit = np.where(np.arange(N) < 5, np.nan, 1.0)
    with pytest.warns(UserWarning, match=r"points have a value, an error and an upper limit.*is_ul"):
        points = cases.points(**plain, norm_ul=limit)
    np.testing.assert_array_equal(points.is_ul, np.arange(N) >= 5)
    # where it is one or the other there is nothing to say
    alone = {"norm_err": None, "norm_errn": None, "norm_errp": None}
    np.testing.assert_array_equal(cases.points(**plain, **alone, norm_ul=limit).is_ul, np.arange(N) >= 5)
    # a point without norm has a negative root
    np.testing.assert_array_equal(cases.points(is_ul=None).is_ul, (np.arange(N) >= N - 2) | lost)
    root = np.where(np.arange(N) % 2, 3.0, 1.0)
    np.testing.assert_array_equal(cases.points(is_ul=None, sqrt_ts=root).is_ul, root < 2)
    # the root has the sign of the norm
    negative = np.where(np.arange(N) == 0, -1.0, cases.columns()["norm"])
    assert cases.points(is_ul=None, ts=np.full(N, 50.0), norm=negative).is_ul[0]


def test_failed_fits_are_unknown():
    success = np.arange(N) != 1
    points = cases.points(success=success)
    assert np.isnan(points.norm[1]) and np.isnan(points.norm_err[1]) and np.isfinite(points.norm_errp[1])
    assert np.isfinite(points.norm[0])


def test_units_and_one_scan_for_all():
    points = gj.FluxPoints(
        energy_ref=[500, 2000] * u.GeV, norm=[1.0, 2.0], dnde_ref=[1e-15, 1e-16] / u.GeV / u.cm**2 / u.s,
        stat=[0.0, 0.0], stat_scan=np.ones((2, 3)), norm_scan=[0.5, 1.0, 2.0],
    )  # fmt: skip
    np.testing.assert_allclose(points.energy_ref, [0.5, 2])
    np.testing.assert_allclose(points.dnde_ref, [1e-12, 1e-13])
    np.testing.assert_array_equal(points.norm_scan, [[0.5, 1, 2]] * 2)
    assert "points 2, upper limits 0" in repr(points)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: cases.points(energy_ref=np.ones((2, 2))), r"energy_ref has shape \(2, 2\), expected a list"),
        (lambda: cases.points(energy_ref=[]), r"energy_ref has shape \(0,\)"),
        (lambda: cases.points(energy_ref=-ENERGY), r"energy_ref must be positive and finite, found -0"),
        (lambda: cases.points(energy_ref=ENERGY * u.s), r"energy_ref: found unit 's', expected one"),
        (lambda: cases.points(norm=None), r"norm is missing"),
        (lambda: cases.points(norm_err=[1.0, 2]), r"norm_err has shape \(2,\), expected \(12,\), one per point"),
        (lambda: cases.points(energy_min=None), r"must be given both, or neither"),
        (lambda: cases.points(energy_max=cases.EDGES[:-1]), r"energy_max must be above energy_min, found 0.3 to 0.3"),
        (lambda: cases.points(dnde_ref=np.zeros(N)), r"dnde_ref must be positive and finite, found 0.0 for point 0"),
        (lambda: cases.points(stat_scan=np.ones(N)), r"stat_scan has shape \(12,\), expected \(12, n_norm\)"),
        (lambda: cases.points(norm_scan=np.ones((N, 2))), r"norm_scan has shape \(12, 2\), expected that of stat_scan"),
        (lambda: cases.points().quantity("dnde_x"), r"there is no quantity 'dnde_x'"),
        (lambda: cases.points().reference("x"), r"the kinds of flux are norm, dnde, e2dnde, flux, eflux; found 'x'"),
        (lambda: cases.points(flux_ref=None).flux, r"flux needs flux_ref, which the points do not have"),
        (
            lambda: cases.points(energy_min=None, energy_max=None, flux_ref=None).flux,
            r"flux needs energy_min and energy_max",
        ),
    ],
)  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(gj.InputError, match=message):
        make()


def test_unknown_attributes():
    with pytest.raises(AttributeError, match=r"no attribute 'dnde_extra'"):
        _ = cases.points().dnde_extra


def test_replace_tells_limits_again():
    points = gj.FluxPoints([1.0, 2.0], [1.0, np.nan], [1e-12, 1e-13], norm_err=[0.1, 0.1])
    np.testing.assert_array_equal(points.is_ul, [False, True])
    np.testing.assert_array_equal(points.replace(norm=[np.nan, 2.0]).is_ul, [True, False])
    # what was stated, stays
    stated = points.replace(is_ul=[True, True])
    np.testing.assert_array_equal(stated.replace(norm=[1.0, 2.0]).is_ul, [True, True])
