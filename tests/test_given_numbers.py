"""Right values for numbers that come with a unit, a mask or another type than float; each was silently wrong once."""

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, Table
from astropy.time import Time
from astropy.utils.masked import Masked
from cases.number_kinds import INTEGERS
from scipy.stats import norm as normal

import gammajax as gj

DNDE = u.Unit("TeV-1 s-1 cm-2")
EDGES = np.array([1, 2, 4, 8.0])
PL = gj.PowerLawSpectralModel(amplitude=3e-11 * DNDE, index=2.3)
SOURCE = gj.SkyModel(PL, name="s")
MODELS = gj.Models([SOURCE])
GEV = Column([1000, 2000.0], unit="GeV")
PER_GEV = Column(np.array(3e-14), unit="GeV-1 s-1 cm-2")
ONOFF = {"counts_off": [50, 20, 10], "acceptance_off": 5, "exposure": np.full(3, 2e12)}


def onoff(counts, **fields):
    return gj.SpectrumDatasetOnOff(EDGES * u.TeV, counts=counts, **(ONOFF | fields))


def wstat(n_on, n_off, alpha, mu_sig):
    """The statistic of XSPEC's manual (appendix B), for positive counts."""
    c = alpha * (n_on + n_off) - (1 + alpha) * mu_sig
    b = (c + np.sqrt(c**2 + 4 * alpha * (alpha + 1) * n_off * mu_sig)) / (2 * alpha * (alpha + 1))
    stat = mu_sig + (1 + alpha) * b - n_on - n_off
    stat -= n_on * np.log((mu_sig + alpha * b) / n_on) + n_off * np.log(b / n_off)
    return 2 * stat


def close(found, wanted, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(found, float), wanted, rtol=rtol)


# units of columns


def test_tables_of_columns():
    template = gj.TemplateSpectralModel(GEV, Column([3e-14, 1e-14], unit="GeV-1 s-1 cm-2"))
    close(template(1 * u.TeV).to_value(DNDE), 3e-11)
    close(template(2.0), 1e-11)
    close(gj.PiecewiseNormSpectralModel(GEV, Column([50, 100.0], unit="%")).evaluate(np.array([1.0, 2])), [0.5, 1])
    grid = gj.TemplateNDSpectralModel(
        GEV, {"tilt": [0, 1]}, Column([[3e-14, 1e-14]] * 2, unit="GeV-1 s-1 cm-2"), tilt=0
    )
    close(grid.evaluate(np.array([1.5])), 3e-11)


def test_energies_of_columns():
    close(PL(GEV).to_value(DNDE), 3e-11 * np.array([1, 2**-2.3]))
    close(PL.integral(GEV[:1], GEV[1:]).to_value("cm-2 s-1"), 3e-11 * (1 - 2**-1.3) / 1.3)
    close(gj.MapAxis.from_edges(GEV, unit="TeV").nodes, [1, 2])
    close(gj.MapAxis.from_edges(GEV).edges.to_value("TeV"), [1, 2])


@pytest.mark.parametrize("given", [PER_GEV, MaskedColumn(3e-14, unit="GeV-1 s-1 cm-2"), "3e-14 GeV-1 s-1 cm-2"])
def test_values_of_parameters(given):
    for models in (MODELS.with_values({"amplitude": given}), MODELS.with_parameter("amplitude", value=given)):
        close(models.parameters["s.spectral.amplitude"].value, 3e-11)
    assert gj.PowerLawSpectralModel(amplitude=given)(1 * u.TeV).to_value(DNDE) == pytest.approx(3e-11, rel=1e-12)
    close(gj.Parameter(1, "TeV-1 s-1 cm-2", min=given).min, 3e-11)


def test_arithmetic_of_models():
    close((PL + PER_GEV)(1.0), 6e-11)
    close((PER_GEV + PL)(1.0), 6e-11)
    close((PL * (50 * u.percent))(1.0), 1.5e-11)
    with pytest.raises(gj.InputError, match="found unit 'TeV'"):
        PL * Column(2.0, unit="TeV")


def test_places_and_times_of_columns():
    gauss = gj.GaussianSpatialModel(sigma=1)
    lon, lat = Column([60, 0.0], unit="arcmin"), Column([0, 60.0], unit="arcmin")
    close(gauss(lon, lat).to_value("sr-1"), gauss([1, 0], [0, 1]))
    curve = gj.LightCurveTemplateTemporalModel(Column([0, 86400.0], unit="s"), [1, 2], t_ref=55555 * u.d)
    close(curve.time, [0, 1])
    close(curve.evaluate(Column([55555.5 * 24], unit="h")), 1.5)


def test_linked_parameters_are_compared_in_one_unit():
    two = gj.Models([SOURCE, SOURCE.replace(name="t")]).link("s.spectral.reference", "t.spectral.reference")
    same = two.with_values({"s.spectral.reference": 2 * u.TeV, "t.spectral.reference": 2000 * u.GeV})
    assert same.parameters["t.spectral.reference"].value == 2
    with pytest.raises(gj.InputError, match="linked"):
        two.with_values({"s.spectral.reference": 2 * u.TeV, "t.spectral.reference": 2 * u.GeV})


# units and scales of Quantities


def test_formulas_of_quantities():
    tev = 1000 * u.GeV
    close(gj.dnde(MODELS, tev), 3e-11)
    close(PL.evaluate(tev), 3e-11)
    flux = 3e-11 * (1 - 2**-1.3) / 1.3
    close(SOURCE.integrate_bins([1000, 2000] * u.GeV, 5), [flux])
    norms = gj.PowerLawNormSpectralModel(tilt=1, norm=2)
    close(gj.FoVBackgroundModel(norms).evaluate(2000 * u.GeV), 1)
    close(gj.TemplateNPredModel([1, 2], norms).evaluate(2000 * u.GeV), 1)
    with pytest.raises(gj.InputError, match="energy: found unit 's'"):
        PL.evaluate(1 * u.s)


def test_logarithmic_units():
    close(PL(0.3 * u.dex(u.TeV)).to_value(DNDE), 3e-11 * 10 ** (-0.3 * 2.3))
    close(gj.PowerLawSpectralModel(amplitude=5 * u.mag(DNDE)).amplitude.value, 1e-2)


def test_formulas_of_somebodys_own_classes():
    class Flat(gj.SpectralModel):
        norm: gj.Parameter = gj.parameter(1.0, "TeV-2 s-1 cm-2")

        @property
        def unit(self):
            return "TeV-1 s-1 cm-2"

        def evaluate(self, energy):
            return self.norm.internal * energy

    assert Flat().evaluate(2000 * u.GeV) == 2.0
    with pytest.raises(gj.InputError, match="norm: found unit 's'"):
        Flat(norm=1 * u.s)

    class Everywhere(gj.SpatialModel):
        def evaluate(self, vectors):
            return vectors[..., 0]

    close(Everywhere().evaluate([[1, 0, 0]]), 1)


def test_relative_widths():
    # of the bin from 2 to 4 TeV at its logarithmic centre, into itself
    for given in (10 * u.percent, 0.1, Column(np.full(3, 10.0), unit="%")):
        kernel = gj.EDispKernel.from_gauss(EDGES, EDGES, given)
        edge = EDGES[1:3] / np.sqrt(8)
        close(kernel.matrix[1, 1], np.diff(normal.cdf((edge - 1) / 0.1))[0], rtol=1e-9)
        close(kernel.matrix, gj.EDispKernel.from_gauss(EDGES, EDGES, 0.1).matrix)
        close(gj.EDispKernelMap.from_gauss(EDGES, EDGES, given).values[..., 0, 0], kernel.matrix)
        tables = gj.EDispMap.from_gauss(EDGES, [0.5, 1, 1.5], given, bias=1 * u.percent).values
        close(tables, gj.EDispMap.from_gauss(EDGES, [0.5, 1, 1.5], 0.1, bias=0.01).values)
    for make in (gj.EDispKernel, gj.EDispKernelMap, gj.EDispMap):
        with pytest.raises(gj.InputError, match="sigma: found unit 'TeV'"):
            make.from_gauss(EDGES, EDGES, sigma=0.1 * u.TeV)


def test_absorption_in_percent():
    ebl = gj.EBLAbsorptionNormSpectralModel([1, 10] * u.TeV, [0.1, 0.2], [[50, 40], [30, 20]] * u.percent, redshift=0.1)
    close(ebl.evaluate(np.array([1.0, 10.0])), [0.5, 0.4])


def test_counts_and_norms_with_units():
    simulated = gj.asimov(onoff([60, 30, 12]), npred_background=[500] * 3 * u.percent)
    close(simulated.counts, 5)
    close(simulated.counts_off, 25)
    close(onoff([60, 30, 12] * u.ct).counts, [60, 30, 12])
    with pytest.raises(gj.InputError, match="counts: found unit 'cm2'"):
        gj.TemplateNPredModel([1, 2] * u.cm**2)
    curve = gj.LightCurveTemplateTemporalModel([0, 1], [50, 100] * u.percent, t_ref=55555)
    close(curve.evaluate(55555.5), 0.75)
    with pytest.raises(gj.InputError, match="norm: found unit"):
        gj.LightCurveTemplateTemporalModel([0, 1], [1, 2] / u.cm**2)


# masks of masked arrays

HIDDEN = [
    np.ma.array([60, 9999, 12], mask=[0, 1, 0]),
    MaskedColumn([60, 9999, 12], mask=[0, 1, 0]),
    MaskedColumn([60.0, np.nan, 12], mask=[0, 1, 0], unit="ct"),
    Masked(np.array([60, 9999, 12.0]), mask=[False, True, False]),
    Masked([60, 9999, 12.0] * u.ct, mask=[False, True, False]),
    [60, np.ma.masked, 12],
]


@pytest.mark.parametrize("counts", HIDDEN, ids=lambda c: type(c).__name__)
def test_masked_counts_are_not_fitted(counts):
    dataset = onoff(counts)
    np.testing.assert_array_equal(dataset.mask_safe, [True, False, True])
    wanted = gj.stat_sum(onoff([60, 30, 12], mask_safe=[True, False, True]), MODELS)
    assert float(gj.stat_sum(dataset, MODELS)) == pytest.approx(float(wanted), rel=1e-14)
    both = onoff(counts, mask_safe=[False, True, True])
    np.testing.assert_array_equal(both.mask_safe, [False, False, True])
    np.testing.assert_array_equal(onoff([1, 2, 3]).replace(counts=counts).mask_safe, [True, False, True])


def test_masked_numbers_elsewhere():
    hidden = HIDDEN[0]
    for field in ("counts_off", "acceptance", "acceptance_off"):
        np.testing.assert_array_equal(onoff([60, 30, 12], **{field: hidden}).mask_safe, [True, False, True])
    with pytest.raises(gj.InputError, match="exposure: found 1 masked of 3"):
        onoff([60, 30, 12], exposure=hidden)
    with pytest.raises(gj.InputError, match="acceptance: found 1 masked"):
        onoff([60, 30, 12], acceptance=np.ma.masked)
    mask = np.ma.array([True, True, True], mask=[0, 1, 0])
    np.testing.assert_array_equal(onoff([60, 30, 12], mask_safe=mask).mask_safe, [True, False, True])
    geom = gj.SkyGeom.create((0, 0), 1.0, npix=2)
    cube = np.ma.array(np.arange(12.0).reshape(3, 2, 2), mask=False)
    cube[1, 0, 1] = np.ma.masked
    maps = gj.MapDataset(geom, EDGES, counts=cube, background=np.ones((3, 2, 2)))
    np.testing.assert_array_equal(maps.mask_safe, ~np.ma.getmaskarray(cube))
    points = gj.FluxPoints([1, 2, 4], np.ma.array([3, 9999, 1.0], mask=[0, 1, 0]), [1, 1, 1], norm_err=[1, 1, 1])
    np.testing.assert_array_equal(gj.FluxPointsDataset(points).mask, [True, False, True])
    with pytest.raises(gj.InputError, match="counts: found 1 masked"):
        gj.TemplateNPredModel(hidden)
    with pytest.raises(gj.InputError, match="npred_background: found 1 masked"):
        gj.asimov(onoff([60, 30, 12]), npred_background=hidden)


def test_masked_rows_of_light_curves(tmp_path):
    table = Table({"TIME": [0, 1, 2.0] * u.d, "NORM": MaskedColumn([1, 9999, 2.0], mask=[0, 1, 0])})
    table.meta = {"MJDREFI": 55555, "MJDREFF": 0.0, "TIMESYS": "tt"}
    table.write(tmp_path / "curve.ecsv")
    with pytest.warns(UserWarning, match="1 of 3 norms are missing"):
        curve = gj.LightCurveTemplateTemporalModel.read(tmp_path / "curve.ecsv")
    np.testing.assert_array_equal(curve.time, [0, 2])
    np.testing.assert_array_equal(curve.norm, [1, 2])


# integers and booleans of JAX


@pytest.mark.parametrize("kind", INTEGERS)
def test_integer_counts_are_numbers(kind):
    n_on, n_off = np.array([60, 30, 12]), np.array([50, 20, 10])
    mu = np.asarray(gj.npred_signal(onoff(n_on), MODELS))
    wanted = wstat(n_on, n_off, 0.2, mu)
    for array in (np.asarray, jnp.asarray):
        dataset = onoff(array(n_on.astype(kind)), counts_off=array(n_off.astype(kind)))
        close(gj.stat_array(dataset, MODELS), wanted, rtol=1e-11)


@pytest.mark.parametrize("kind", ["int32", "uint32"])
def test_large_integer_counts(kind):
    counts = np.array([2_000_000_000, 30, 12])
    dataset = onoff(jnp.asarray(counts, kind))
    close(dataset.counts, counts)
    close(dataset.excess, counts - 0.2 * np.array([50, 20, 10]))


@pytest.mark.slow
def test_fit_of_unsigned_counts():
    found = [gj.fit(onoff(counts), MODELS) for counts in (np.array([60, 30, 12]), jnp.array([60, 30, 12], "uint32"))]
    assert found[0].success
    assert found[1].stat == pytest.approx(found[0].stat, rel=1e-10)


def test_masks_of_any_type(tmp_path):
    wanted = [False, True, True]
    for number, mask in enumerate(
        (jnp.array([0, 1, 1]), jnp.array([0.0, 1, 1]), [0, 1, 1], np.array([0, 1, 1], ">i2"), jnp.array(wanted))
    ):
        dataset = onoff([60, 30, 12], mask_safe=mask, livetime=100)
        path = tmp_path / f"pha_{number}.fits"
        dataset.write(path)
        np.testing.assert_array_equal(gj.SpectrumDatasetOnOff.read(path).mask_safe, wanted)
        np.testing.assert_array_equal(gj.stack([dataset, dataset]).mask_safe, wanted)
        np.testing.assert_array_equal(gj.stack([dataset, dataset]).counts, [0, 60, 24])
    for bad in (["False"] * 3, [np.nan, 1, 1], [0, 2, 1], [0.5, 1, 1], ["0", "1", "1"], [0, 1, None]):
        with pytest.raises(gj.InputError, match=r"mask_safe: found .*, expected True and False"):
            onoff([60, 30, 12], mask_safe=bad)


# texts and times


def test_times_are_those_of_the_scale():
    time = Time(55555.5, format="mjd", scale="tt")
    assert gj.GaussianTemporalModel(t_ref=time, scale="tt").t_ref.value == 55555.5
    # 66.184 s in 2011: 34 leap seconds and 32.184 s
    for model in (gj.GaussianTemporalModel(t_ref=time), gj.GaussianTemporalModel().replace(t_ref=time)):
        assert (model.t_ref.value - 55555.5) * 86400 == pytest.approx(-66.184, abs=1e-5)
        assert model.t_ref.role == "time"
    with pytest.raises(gj.InputError, match="index: found"):
        gj.PowerLawSpectralModel(index=time)


def test_intervals_between_times():
    """Leap seconds count: the day at whose end one was put in lasted 86401 s."""
    start, stop = Time(["2016-12-31"], scale="utc"), Time(["2017-01-01"], scale="utc")
    gti = gj.GTI(start, stop, start[0])
    np.testing.assert_allclose(gti.start, 0, atol=1e-5)
    close(gti.stop, 86401, rtol=1e-9)
    close(gj.GTI(start, stop).ontime.to_value("s"), 86401, rtol=1e-9)


def test_texts():
    model = gj.PowerLawSpectralModel(amplitude="2e-11 cm-2 s-1 TeV-1", index="2.3", reference="1000 GeV")
    close(model("1 TeV").to_value(DNDE), 2e-11)
    spectrum = gj.SpectrumDataset(["1 TeV", "2000 GeV"], counts=[3], exposure=["1 m2 h"] * 1)
    close(spectrum.energy_edges, [1, 2])
    close(spectrum.exposure, [3.6e7])


# inside transformations of JAX


def test_under_jit_vmap_and_grad():
    def stat(counts, mask, index):
        dataset = onoff(counts, mask_safe=mask)
        return gj.stat_array(dataset, gj.SkyModel(PL.replace(index=index), name="s")).sum()

    counts, mask = jnp.array([60, 30, 12], "uint8"), jnp.array([1, 1, 0])
    plain = float(stat(np.array([60, 30, 12]), np.array([True, True, False]), 2.3))
    assert float(jax.jit(stat)(counts, mask, 2.3)) == pytest.approx(plain, rel=1e-12)
    many = jax.vmap(stat, (0, None, None))(jnp.stack([counts, counts]), mask, 2.3)
    close(many, [plain, plain])
    step = 1e-5
    slope = (float(stat(counts, mask, 2.3 + step)) - float(stat(counts, mask, 2.3 - step))) / (2 * step)
    assert float(jax.grad(stat, 2)(counts, mask, 2.3)) == pytest.approx(slope, rel=1e-5)
    of_energy = jax.grad(lambda e: PL.evaluate(e))(jnp.array(1.0))
    assert float(of_energy) == pytest.approx(-2.3 * 3e-11, rel=1e-12)
    close(jax.jit(lambda e: PL(e))(jnp.array([1, 2])), 3e-11 * np.array([1, 2**-2.3]))
    gauss = gj.GaussianSpatialModel(sigma=1)
    close(jax.jit(lambda x: gauss(x, 0.0))(jnp.array([0.5])), gauss([0.5], [0.0]))


def test_lists_of_traced_numbers():
    values = jax.jit(lambda x: gj.SpectrumDataset(EDGES, counts=[x, 2 * x, 0.0], background=[1, 1, 1]).counts)(3.0)
    close(values, [3, 6, 0])


def test_devices_keep_their_arrays():
    """Floating-point arrays of JAX are not copied, whatever their width."""
    for kind in ("float32", "float64"):
        counts = jnp.asarray([60, 30, 12], kind)
        assert onoff(counts).counts is counts


def test_positions_are_not_touched():
    model = gj.PointSpatialModel.from_position(SkyCoord(83.6, 22.0, unit="deg"))
    close([float(model.lon_0.value), float(model.lat_0.value)], [83.6, 22.0])


def test_linked_parameters_in_different_units_are_refused():
    """A number in the unit of one of them was given to the other."""
    first, second = (
        gj.PowerLawSpectralModel(amplitude=gj.Parameter(value, unit=f"cm-2 s-1 {energy}-1", link="L"))
        for value, energy in ((1e-11, "TeV"), (1e-14, "GeV"))
    )
    models = gj.Models([gj.SkyModel(first, name="a"), gj.SkyModel(second, name="b")])
    wanted = u.Quantity(2e-11, "cm-2 s-1 TeV-1")
    for change in (
        lambda: models.with_values({"b.spectral.amplitude": wanted}),
        lambda: models.with_parameter("a.spectral.amplitude", value=2e-11),
        lambda: gj.fit(onoff(np.array([60, 30, 12])), models),
    ):
        with pytest.raises(gj.InputError, match=r"linked .* different units"):
            change()


@pytest.mark.parametrize(
    "given", [{"tolerance": np.inf}, {"tolerance": -1}, {"max_iterations": -1}, {"max_iterations": 2.5}], ids=str
)
def test_limits_of_fits_are_numbers_that_make_sense(given):
    with pytest.raises(gj.InputError, match="must be"):
        gj.fit(onoff(np.array([60, 30, 12])), MODELS, **given)
