import dataclasses

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits

from gammajax.datasets import InputError
from gammajax.datasets.models import SkyModel
from gammajax.datasets.models.spectral import TemplateNDSpectralModel, TemplateSpectralModel

pytestmark = pytest.mark.slow

FLUX = u.Unit("TeV-1 s-1 cm-2")
E = np.array([0.5, 1, 2, 5, 10, 20, 100, 200])
INTEGRATE = jax.jit(lambda m, e: m.integrate_bins(e, 12))


def test_template_is_that_of_gammapy():
    """Numbers made with gammapy 2.1."""
    model = TemplateSpectralModel([1, 10, 100] * u.TeV, [1e-12, 1e-14, 1e-15] * FLUX)
    wanted = [4.0e-12, 1.0e-12, 2.5e-13, 4.0e-14, 1.0e-14, 5.0e-15, 1.0e-15, 5.0e-16]
    np.testing.assert_allclose(model.evaluate(E), wanted, rtol=1e-12)
    assert model.unit == "TeV-1 s-1 cm-2"
    norm = TemplateSpectralModel([1, 10, 100] * u.TeV, [1.0, 2, 3] * u.dimensionless_unscaled)
    wanted = [0.8116727, 1.0, 1.23202369, 1.62334541, 2.0, 2.25963736, 3.0, 3.38945604]
    np.testing.assert_allclose(norm.evaluate(E), wanted, rtol=1e-7)
    assert norm.unit == ""


def test_template_zero_entries_are_zero_as_in_gammapy():
    """gammapy 2.1 gives 2.2e-219 at 5 TeV; it extrapolates through ln 0 (1e77 at 0.5 TeV), we hold the end value."""
    model = TemplateSpectralModel([1, 10, 100], [1e-12, 0, 1e-15])
    found = model.evaluate(E)
    np.testing.assert_allclose(found[3], 2.22670177e-219, rtol=1e-6)
    assert found[4] == 0 and found[2] < 1e-95
    np.testing.assert_allclose(np.asarray(found)[[0, 1, -1]], [1e-12, 1e-12, 1e-15], rtol=1e-12)
    edges = np.geomspace(0.1, 1000, 14)

    def sums(values):
        return dataclasses.replace(model, values=values).integrate_bins(edges, 12)

    values, slopes = jax.jit(lambda v: (sums(v), jax.jacfwd(sums)(v)))(jnp.array([0.0, 1e-12, 0.0]))
    assert np.all(np.isfinite(values)) and np.all(np.isfinite(slopes)) and values[-1] == 0


def test_template_integral_is_that_of_the_power_laws_between_nodes():
    model = TemplateSpectralModel([1, 10, 100], [1e-12, 1e-14, 1e-15])
    edges = np.array([0.5, 2.0, 20.0, 200.0])
    low, high = (lambda e: -1e-12 / e), (lambda e: 1e-13 * np.log(e))
    wanted = [low(2) - low(0.5), low(10) - low(2) + high(20) - high(10), high(200) - high(20)]
    np.testing.assert_allclose(INTEGRATE(model, edges), wanted, rtol=1e-13)


def test_template_numbers_are_leaves_and_programs_are_shared():
    one = TemplateSpectralModel([1, 10, 100], [1e-12, 1e-14, 1e-15])
    two = TemplateSpectralModel([2, 3, 4], [1.0, 2.0, 3.0])
    assert jax.tree_util.tree_structure(one) == jax.tree_util.tree_structure(two)
    assert len(jax.tree_util.tree_leaves(one)) == 2 and not one.values.flags.writeable
    stacked = jax.tree_util.tree_map(lambda a, b: jnp.stack([a, b]), one, two)
    np.testing.assert_allclose(jax.vmap(lambda m: m.evaluate(E))(stacked), [one.evaluate(E), two.evaluate(E)])


def test_template_extra_keys_round_trip():
    model = TemplateSpectralModel([1, 10] * u.GeV, [3.0, 4.0] * u.Unit("GeV-1 s-1 m-2"))
    data = model.extra_dict()
    assert data["energy"] == {"data": [0.001, 0.01], "unit": "TeV"} and data["values"]["unit"] == "TeV-1 s-1 cm-2"
    np.testing.assert_allclose(data["values"]["data"], [0.3, 0.4])
    again = TemplateSpectralModel.from_extra(data, {}, None)
    np.testing.assert_allclose(again.evaluate(E), model.evaluate(E), rtol=1e-14)
    with pytest.raises(InputError, match="values"):
        TemplateSpectralModel.from_extra({"energy": data["energy"]}, {}, None)


def test_template_refuses_bad_tables():
    for energy, values in (([1, 2], [1, 2, 3]), ([1], [1, 2]), ([1, 2], [1, np.nan]), ([1, 2] * u.s, [1, 2])):
        with pytest.raises(InputError):
            TemplateSpectralModel(energy, values)
    for values, unit in (([1, 2] * u.TeV, None), ([1, 2], "GeV")):
        # such a table is one, but no flux
        with pytest.raises(InputError, match=r"unit '[TG]eV', expected a differential flux"):
            SkyModel(TemplateSpectralModel([1, 2], values, unit), name="x")
    with pytest.raises(InputError, match="value_unit"):
        TemplateSpectralModel([1, 2], [1, 2], value_unit="nonsense")


ENERGY = np.geomspace(0.1, 100, 7)
AXES = {"norm": np.array([1.0, 2.0, 4.0]), "tilt": np.array([1.0, 2.0, 4.0, 10.0]) * u.GeV}
VALUES = 1e-12 * np.random.default_rng(0).uniform(0.1, 10, (7, 3, 4))


def _grid(**parameters):
    return TemplateNDSpectralModel(ENERGY, AXES, VALUES, interp={"tilt": "log"}, **parameters)


def test_grid_parameters_start_in_the_middle_between_bounds():
    model = _grid()
    assert [(n, float(p.value), p.unit, p.min, p.max) for n, p in model.parameters.items()] == [
        ("norm", 2.5, "", 1.0, 4.0),
        ("tilt", 5.5, "GeV", 1.0, 10.0),
    ]
    changed = model.replace(norm=3.0)
    assert float(changed.norm.value) == 3.0 and changed.norm.max == 4.0
    assert float(dataclasses.replace(changed, filename="x").norm.value) == 3.0


def test_grid_meets_its_nodes_and_interpolates_logarithms():
    at_node = _grid(norm=2.0, tilt=4 * u.GeV)
    np.testing.assert_allclose(at_node.evaluate(ENERGY), VALUES[:, 1, 2], rtol=1e-12)
    between = _grid(norm=3.0, tilt=np.sqrt(8) * u.GeV)
    wanted = (VALUES[:, 1, 1] * VALUES[:, 1, 2] * VALUES[:, 2, 1] * VALUES[:, 2, 2]) ** 0.25
    np.testing.assert_allclose(between.evaluate(ENERGY), wanted, rtol=1e-12)
    wanted = np.exp(np.interp(np.log(0.2), np.log(ENERGY), np.log(wanted)))
    np.testing.assert_allclose(between.evaluate(0.2), wanted, rtol=1e-12)
    outside = _grid(norm=5.0, tilt=4000 * u.MeV)
    np.testing.assert_allclose(outside.evaluate(ENERGY), VALUES[:, 2, 2] ** 1.5 / VALUES[:, 1, 2] ** 0.5, rtol=1e-12)


def test_grid_integral_and_gradient():
    model, edges = _grid(norm=3.3, tilt=5.0), np.geomspace(0.05, 200, 9)
    template = TemplateSpectralModel(ENERGY, model.evaluate(ENERGY))
    np.testing.assert_allclose(INTEGRATE(model, edges), INTEGRATE(template, edges), rtol=1e-12)
    slopes = jax.jit(jax.jacfwd(lambda m: m.integrate_bins(edges, 12)))(model)
    ends = [INTEGRATE(model.replace(norm=3.3 + s), edges) for s in (-1e-5, 1e-5)]
    np.testing.assert_allclose(slopes.coordinates["norm"].value, (ends[1] - ends[0]) / 2e-5, rtol=1e-7)


def test_grid_refuses_bad_shapes_and_scales():
    with pytest.raises(InputError, match="expected"):
        TemplateNDSpectralModel(ENERGY, AXES, VALUES.T)
    with pytest.raises(InputError, match="cubic"):
        TemplateNDSpectralModel(ENERGY, AXES, VALUES, interp={"tilt": "cubic"})
    with pytest.raises(InputError, match="'nothing'"):
        _grid(nothing=1)
    with pytest.raises(InputError, match="'s'"):
        _grid(tilt=u.Quantity(1, "s"))
    with pytest.raises(InputError, match="file name"):
        _grid().extra_dict()


def test_grid_is_read_from_a_map_file(tmp_path):
    """A map of one region in the layout that gammapy 2.1 writes: axes in a BANDS table, last axis first in the data."""
    path = tmp_path / "grid.fits"
    nodes = np.stack(np.meshgrid(ENERGY, AXES["norm"], AXES["tilt"].value, indexing="ij"), axis=-1).reshape(-1, 3)
    bands = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "K", array=np.arange(len(nodes))),
            fits.Column("ENERGY_TRUE", "D", unit="TeV", array=nodes[:, 0]),
            fits.Column("NORM", "D", array=nodes[:, 1]),
            fits.Column("TILT", "D", unit="GeV", array=nodes[:, 2]),
        ],
        name="SKYMAP_BANDS",
    )
    data = VALUES.T.reshape(4, 21)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "I", array=np.arange(4)),
            fits.Column("DATA", "21D", dim="(1,1,7,3)", unit="TeV-1 s-1 cm-2", array=data.reshape(4, 3, 7, 1, 1)),
        ],
        name="SKYMAP",
    )
    for i, (name, scale) in enumerate((("ENERGY_TRUE", "log"), ("NORM", "lin"), ("TILT", "log")), start=1):
        table.header[f"AXCOLS{i}"], table.header[f"INTERP{i}"] = name, scale
    fits.HDUList([fits.PrimaryHDU(), table, bands]).writeto(path)
    model = TemplateNDSpectralModel.read(path, norm=3.3)
    np.testing.assert_array_equal(model.values, VALUES)
    np.testing.assert_allclose(model.replace(tilt=5.0).evaluate(E), _grid(norm=3.3, tilt=5.0).evaluate(E), rtol=1e-14)
    assert model.extra_dict() == {"filename": str(path), "unit": "TeV-1 s-1 cm-2"}
    again = TemplateNDSpectralModel.from_extra({"filename": "grid.fits"}, model.parameters, tmp_path)
    np.testing.assert_array_equal(again.evaluate(E), model.evaluate(E))
    with pytest.raises(InputError, match="there is no file"):
        TemplateNDSpectralModel.read(tmp_path / "other.fits")


def test_template_of_one_energy_is_a_constant():
    model = TemplateSpectralModel([2.0] * u.TeV, [3e-12] * FLUX)
    np.testing.assert_array_equal(model.evaluate(E), 3e-12)
    np.testing.assert_allclose(INTEGRATE(model, E), 3e-12 * np.diff(E), rtol=1e-12)
    with pytest.raises(InputError, match="no value is above zero"):
        TemplateSpectralModel([2.0], [-1.0], "")
    with pytest.raises(InputError, match="at least one energy"):
        TemplateSpectralModel([], [])


def test_template_in_other_units():
    """They stay, are converted to the usual one of their kind, and make a flux in products."""
    area = TemplateSpectralModel([1, 10] * u.TeV, [1.0, 10.0] * u.m**2)
    assert u.Unit(area.unit) == u.m**2
    assert area(np.sqrt(10) * u.TeV).to_value("cm2") == pytest.approx(np.sqrt(10) * 1e4, rel=1e-12)
    per = TemplateSpectralModel([1, 10], [2e-16, 2e-16], "TeV-1 s-1 cm-2 m-2")
    assert u.Unit(per.unit) == FLUX / u.m**2
    flux = area * per
    assert u.Unit(flux.unit).is_equivalent(FLUX)
    value = flux(10 * u.TeV)
    assert value.to_value(FLUX) == pytest.approx(2e-15, rel=1e-12)
    percent = TemplateSpectralModel([1, 10], [50.0, 50.0], "%")
    assert percent.unit == "" and percent.evaluate(np.array([3.0]))[0] == pytest.approx(0.5)
    per_mev = TemplateSpectralModel([1, 10], [2.0, 2.0], "MeV-1 s-1 cm-2")
    assert per_mev.unit == "TeV-1 s-1 cm-2" and float(per_mev.values[0]) == pytest.approx(2e6)
    again = TemplateSpectralModel.from_extra(area.extra_dict(), {}, None)
    assert again.unit == area.unit and np.array_equal(again.values, area.values)
    traced = jax.jit(lambda v: dataclasses.replace(area, values=v).evaluate(E))(jnp.array([1.0, 10.0]))
    np.testing.assert_allclose(traced, area.evaluate(E), rtol=1e-12)
    with pytest.raises(InputError, match="expected a differential flux"):
        SkyModel(area, name="x")
