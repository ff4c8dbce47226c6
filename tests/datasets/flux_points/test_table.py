"""Flux points to and from tables."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table
from cases import flux_points as cases

import gammajax as gj
from gammajax.datasets.flux_points import REQUIRED

N, ENERGY, EDGES = cases.N, cases.ENERGY, cases.EDGES


@pytest.mark.parametrize("kind", REQUIRED)
def test_round_trip(kind):
    points = cases.points()
    table = points.to_table(kind)
    assert table.meta["SED_TYPE"] == kind
    back = gj.FluxPoints.from_table(table)
    assert back.sed_type == kind
    for name in ("dnde", "dnde_err", "dnde_errn", "dnde_errp", "dnde_ul", "flux", "eflux_err"):
        np.testing.assert_allclose(back.quantity(name), points.quantity(name), rtol=1e-12)
    for name in ("energy_ref", "energy_min", "energy_max", "is_ul", "ts", "stat", "stat_scan", "norm_scan"):
        np.testing.assert_array_equal(getattr(back, name), getattr(points, name))
    # the kind is guessed from the columns
    del table.meta["SED_TYPE"]
    assert gj.FluxPoints.from_table(table).sed_type == kind


def test_units_and_photons():
    """MeV and photons, masked numbers, a mapping of Quantities: the same points."""
    dnde, errors = 1e-11 * ENERGY**-2.5, 1e-12 * ENERGY**-2.5
    plain = gj.FluxPoints.from_table(
        {"e_ref": ENERGY * u.TeV, "dnde": dnde / u.TeV / u.s / u.cm**2, "dnde_err": errors / u.TeV / u.s / u.cm**2}
    )
    table = Table({"e_ref": (ENERGY * u.TeV).to("MeV")})
    table["dnde"] = MaskedColumn(dnde * 1e-6, unit="ph / (MeV s cm2)", mask=np.arange(N) == 2)
    table["dnde_err"] = MaskedColumn(errors * 1e-6, unit="ph / (MeV s cm2)")
    counted = gj.FluxPoints.from_table(table)
    assert counted.sed_type == "dnde" and np.isnan(counted.norm[2])
    kept = np.arange(N) != 2
    np.testing.assert_allclose(counted.dnde[kept], plain.dnde[kept], rtol=1e-12)
    np.testing.assert_allclose(counted.dnde_err, plain.dnde_err, rtol=1e-12)
    np.testing.assert_array_equal(counted.is_ul, ~kept)
    with_units = gj.FluxPoints.from_table(QTable(table))
    np.testing.assert_allclose(with_units.norm, counted.norm, rtol=1e-12)


def test_energies():
    """The energy that the table gives, else the logarithmic centre of its bin."""
    flux = {"e_min": EDGES[:-1] * u.TeV, "e_max": EDGES[1:] * u.TeV, "flux": np.ones(N) / u.s / u.cm**2}
    np.testing.assert_allclose(gj.FluxPoints.from_table(flux).energy_ref, ENERGY)
    shifted = flux | {"e_ref": 1.05 * ENERGY * u.TeV}
    np.testing.assert_allclose(gj.FluxPoints.from_table(shifted).energy_ref, 1.05 * ENERGY)
    np.testing.assert_allclose(gj.FluxPoints.from_table(flux).flux.value, 1, rtol=1e-12)


def test_reference_model():
    """The shape decides how fluxes become dnde."""
    flux = {"e_min": EDGES[:-1] * u.TeV, "e_max": EDGES[1:] * u.TeV, "flux": np.ones(N) / u.s / u.cm**2}
    model = gj.PowerLawSpectralModel(index=3.0, amplitude=1e-12)
    points = gj.FluxPoints.from_table(flux, reference_model=model)
    wanted = 2 * ENERGY**-3.0 / (EDGES[:-1] ** -2 - EDGES[1:] ** -2)
    np.testing.assert_allclose(points.dnde.value, wanted, rtol=1e-9)
    assert points.reference_model is model


def test_flags_as_text():
    table = cases.points().to_table("dnde")
    table["is_ul"] = [str(bool(flag)) for flag in table["is_ul"]]
    np.testing.assert_array_equal(gj.FluxPoints.from_table(table).is_ul, cases.points().is_ul)
    table["is_ul"] = ["maybe"] * N
    with pytest.raises(gj.InputError, match=r"is_ul must hold True and False, found 'maybe'"):
        gj.FluxPoints.from_table(table)


def test_further_columns_are_kept():
    table = cases.points().to_table("likelihood")
    table["npred"], table["niter"] = np.arange(N * 2.0).reshape(N, 2), np.arange(N)
    table.meta["UL_CONF"] = 0.95
    back = gj.FluxPoints.from_table(table).to_table()
    np.testing.assert_array_equal(back["npred"], table["npred"])
    np.testing.assert_array_equal(back["niter"], table["niter"])
    assert back.meta["UL_CONF"] == 0.95


def changed(**columns):
    table = cases.points().to_table("dnde")
    for name, values in columns.items():
        if values is None:
            del table[name]
        else:
            table[name] = values
    return table


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: gj.FluxPoints.from_table(changed(dnde=None)), r"dnde missing in a table of kind 'dnde'; there are"),
        (lambda: gj.FluxPoints.from_table(changed(e_ref=None, e_min=None)), r"e_ref \(or e_min and e_max\) missing"),
        (lambda: gj.FluxPoints.from_table(changed(), sed_type="flux"), r"flux missing in a table of kind 'flux'"),
        (lambda: gj.FluxPoints.from_table(changed(), sed_type="sed"), r"kind of table is 'sed', expected one of"),
        (lambda: gj.FluxPoints.from_table({"a": [1.0]}), r"found the columns a; expected e_ref"),
        (lambda: gj.FluxPoints.from_table(changed(dnde=np.ones(N))), r"unit of dnde: found none, expected .*'TeV-1"),
        (lambda: gj.FluxPoints.from_table(changed(dnde_err=np.ones(N) * u.m)), r"unit of dnde_err: found 'm'"),
        (lambda: gj.FluxPoints.from_table(changed(e_ref=np.ones(N) * u.s)), r"unit of e_ref: found 's'"),
        (lambda: gj.FluxPoints.from_table(changed(dnde=["x"] * N)), r"the column dnde must hold numbers"),
        (lambda: gj.FluxPoints.from_table(changed(norm_scan=None)), r"stat_scan without norm_scan"),
        (lambda: gj.FluxPoints.from_table(changed(time_min=np.ones(N))), r"time_min says .* gj\.LightCurve\.read"),
        (lambda: gj.FluxPoints.from_table(changed(x_min=np.ones(N))), r"x_min says a flux profile along a line"),
        (lambda: cases.points().to_table("sed"), r"sed_type must be one of dnde, .*, found 'sed'"),
    ],
)  # fmt: skip
def test_bad_tables(make, message):
    with pytest.raises(gj.InputError, match=message):
        make()


DNDE = u.Unit("TeV-1 s-1 cm-2")


@pytest.mark.parametrize(
    "table, message",
    [
        ([1, 2], "found list, expected a table"),
        ({"e_ref": 1 * u.TeV, "dnde": 1e-12 * DNDE}, "column e_ref is a single number"),
        ({"e_ref": [1, 2] * u.TeV, "dnde": [1e-12] * DNDE}, "column dnde has 1 entries, and e_ref has 2"),
        (
            {"e_ref": [1, 2] * u.TeV, "dnde": [1e-12, 1e-12] * DNDE, "dnde_err": 1e-13 * DNDE},
            "column dnde_err is a single number",
        ),
        (
            {"e_ref": [1, 2] * u.TeV, "dnde": [1e-12, 1e-12] * DNDE, "sqrt_ts": [3.0, 2.0, 1.0]},
            "column sqrt_ts has 3 entries, and e_ref has 2",
        ),
        ({"energy": [1] * u.TeV, "dnde": [1] * DNDE}, "found the columns energy, dnde; expected e_ref"),
    ],
)
def test_columns_that_do_not_fit(table, message):
    with pytest.raises(gj.InputError, match=message):
        gj.FluxPoints.from_table(table)


def test_formatted_tables_are_short_and_have_the_same_numbers():
    points = gj.FluxPoints([1.0, 3.0], [1 / 3, 2 / 3], [1e-11, 1e-12], sqrt_ts=[10 / 3, 20 / 3])
    table, plain = points.to_table("dnde", formatted=True), points.to_table("dnde")
    np.testing.assert_array_equal(table["dnde"], plain["dnde"])
    assert str(table["dnde"][:1]).split()[-1] == "3.333e-12" and str(table["sqrt_ts"][:1]).split()[-1] == "3.333"


def test_terminals_show_fluxes_and_significances():
    """Of tables that are too wide the first columns and the last are printed; scans stand between. Energies are TeV."""
    points = cases.points(sqrt_ts=np.linspace(1, 2, N))
    assert points.stat_scan is not None
    table = points.to_table("e2dnde", formatted=True)
    lines = table.pformat(max_width=80)
    shown = lines[0].split()
    assert shown[:4] == ["e_ref", "e_min", "e_max", "e2dnde"] and shown[-2:] == ["sqrt_ts", "is_ul"]
    assert "TeV" in lines[1] and "erg" not in lines[1]
