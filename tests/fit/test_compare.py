"""Likelihood ratio tests, beside scipy's distributions."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats

import gammajax as gj
from gammajax.fit.joint.identity import fitted_data
from gammajax.fit.joint.processes import share_of

EDGES = np.geomspace(1, 100, 11)


def run(counts):
    return gj.SpectrumDataset(EDGES, counts=counts, background=np.full(10, 20.0), exposure=np.full(10, 3e12))


def power_law(name="source", **changes):
    return gj.SkyModel(gj.PowerLawSpectralModel(**({"index": 2.0, "amplitude": 5e-12} | changes)), name=name)


@pytest.fixture(scope="module")
def data():
    return gj.Datasets({"run": gj.fake(jax.random.key(3), run(np.zeros(10)), [power_law()])})


@pytest.fixture(scope="module")
def straight(data):
    return gj.fit(data, [power_law()])


@pytest.fixture(scope="module")
def curved(data):
    spectrum = gj.LogParabolaSpectralModel(amplitude=5e-12, alpha=2.0, beta=0.0)
    return gj.fit(data, [gj.SkyModel(spectrum, name="source")])


def test_one_more_parameter_is_chi2_of_one(straight, curved):
    found = gj.compare(straight, curved)
    assert found.ndf == 1 and found.larger == 1 and found.boundary == "" and found.message == ""
    assert found.delta_ts == straight.stat - curved.stat > 0
    assert found.p_value == pytest.approx(stats.chi2.sf(found.delta_ts, 1), rel=1e-9)
    assert found.sigma == pytest.approx(np.sqrt(found.delta_ts), rel=1e-9)
    again = gj.compare(curved, straight)
    assert again == replace(found, larger=0)
    assert "1 sigma" not in repr(found) and repr(found).startswith(
        f"Comparison(delta_ts = {found.delta_ts:.4f}, ndf = 1"
    )


@pytest.mark.parametrize("ndf", [1, 2, 5])
@pytest.mark.parametrize("rise", [0.3, 9.0, 60.0])
@pytest.mark.parametrize("at_bound", [False, True])
def test_distributions_are_those_of_scipy(straight, ndf, rise, at_bound):
    """The mean of two chi2 where an amplitude is at its bound (Chernoff 1954; Self & Liang 1987, case 5)."""
    models = gj.Models([*straight.models, *(power_law(f"more-{i}") for i in range(ndf))])
    if at_bound:
        models = models.with_parameter("more-0.spectral.amplitude", min=0.0)
    free = (*straight.free_names, *(f"more-{i}.spectral.amplitude" for i in range(ndf)))
    larger = replace(straight, models=models, free_names=free, stat=straight.stat - rise)
    found = gj.compare(larger, straight)
    expected = stats.chi2.sf(rise, ndf)
    if at_bound:
        expected = expected / 2 + (stats.chi2.sf(rise, ndf - 1) / 2 if ndf > 1 else 0.0)
    assert found.p_value == pytest.approx(expected, rel=1e-8)
    assert found.sigma == pytest.approx(stats.norm.isf(expected if at_bound else expected / 2), rel=1e-8)
    assert found.boundary == ("more-0.spectral.amplitude" if at_bound else "")
    assert ("half of the probability" in found.message) == at_bound
    if ndf == 1:
        assert found.sigma == pytest.approx(np.sqrt(rise), rel=1e-8)


def test_far_tails_have_a_significance(straight):
    larger = replace(straight, free_names=(*straight.free_names, "a"), stat=straight.stat - 2500.0)
    found = gj.compare(straight, larger)
    assert found.sigma == pytest.approx(50.0) and found.p_value == 0.0


def test_component_of_a_fit(data, straight):
    """Without it there is the background alone, of which the statistic is known."""
    found = gj.component_ts(data, straight, "source")
    counts, background = np.asarray(data["run"].counts), 20.0
    null = 2 * np.sum(background - counts * np.log(background))
    assert found.delta_ts == pytest.approx(null - straight.stat, rel=1e-9)
    assert found.ndf == 2 and found.sigma == pytest.approx(float(gj.ts_to_sigma(found.delta_ts, 2)))
    assert "source.spectral.index mean nothing" in found.message
    alone = gj.fit(data, gj.Models([power_law()]).freeze("index"))
    assert gj.component_ts(data, alone, "source").message == ""
    two = gj.fit(data, gj.Models([*alone.models, power_law("line", amplitude=1e-13)]).freeze("line.spectral.index"))
    found = gj.component_ts(data, two, "line")
    assert found.ndf == 1 and found.delta_ts == pytest.approx(alone.stat - two.stat, abs=1e-6)


def test_curvature_that_is_consistent_with_none_is_said(straight, curved):
    beta = curved.parameters["beta"]
    assert straight.hints == []
    assert bool(curved.hints) == (abs(float(beta.value)) < 2 * float(beta.error))
    near = replace(curved, models=curved.models.with_parameter("beta", value=0.01, error=0.1))
    assert near.hints[0] in repr(near) and near.hints[0].startswith("source.spectral.beta is within 2 sigma of 0")
    assert replace(near, status=gj.Status.FLAT).hints == []


def test_the_same_data_or_none(data, straight, curved, tmp_path):
    other = gj.Datasets({"run": data["run"].replace(counts=np.asarray(data["run"].counts)[::-1])})
    narrow = gj.Datasets({"run": data["run"].with_mask_fit(np.arange(10) > 0)})
    shifted = gj.Datasets({"run": data["run"].with_mask_fit(np.arange(10) < 9)})
    fits = {name: gj.fit(d, [power_law()]) for name, d in (("a", other), ("b", narrow), ("c", shifted))}
    fits["d"] = gj.fit(gj.Datasets({"else": data["run"]}), [power_law()])
    for wrong in fits.values():
        with pytest.raises(gj.InputError, match="differ"):
            gj.compare(curved, wrong)
    with pytest.raises(gj.InputError, match="the data differ"):
        gj.compare(replace(fits["c"], free_names=("a",)), fits["b"])
    with pytest.raises(gj.InputError, match="component_ts: the data differ"):
        gj.component_ts(other, straight, "source")
    straight.write(tmp_path / "result.yaml")
    assert gj.compare(gj.FitResult.read(tmp_path / "result.yaml"), curved).ndf == 1
    old = replace(straight, data_checksum="")
    assert gj.compare(old, curved).ndf == 1, "files of earlier versions"


def test_what_cannot_be_compared(data, straight, curved):
    with pytest.raises(gj.InputError, match="both fits have 2 free parameters"):
        gj.compare(straight, straight)
    with pytest.raises(gj.InputError, match="ended 'max_iterations'"):
        gj.compare(straight, replace(curved, status=gj.Status.MAX_ITERATIONS))
    with pytest.raises(gj.InputError, match="expected two results"):
        gj.compare(straight, data)
    with pytest.raises(gj.InputError, match="there is no model 'sourc'"):
        gj.component_ts(data, straight, "sourc")
    worse = gj.compare(straight, replace(curved, stat=straight.stat + 1))
    assert "fits worse by 1" in worse.message and worse.sigma == 0 and worse.p_value == 1


@pytest.mark.parametrize("field", ["background", "exposure"])
def test_other_backgrounds_and_exposures_are_other_data(data, straight, field):
    changed = data["run"].replace(**{field: np.asarray(getattr(data["run"], field)) * 0.5})
    with pytest.raises(gj.InputError, match="the data differ"):
        gj.compare(straight, gj.fit({"run": changed}, [power_law(index=gj.Parameter(2.0, frozen=True))]))


def checksum_of(dataset):
    return fitted_data(share_of(gj.Datasets({"run": dataset}), 1)).checksum


def test_other_dispersions_and_point_spread_functions_are_other_data():
    def spectrum(bias):
        return run(np.ones(10)).replace(edisp=gj.EDispKernel.from_gauss(EDGES, EDGES, 0.1, bias))

    assert checksum_of(spectrum(0.0)) == checksum_of(spectrum(0.0))
    assert checksum_of(spectrum(0.0)) != checksum_of(spectrum(0.02)) != checksum_of(run(np.ones(10)))

    def image(sigma):
        geom = gj.SkyGeom.create((83.6, 22.0), 0.1, 0.4, frame="icrs")
        psf = gj.PSFMap.from_gauss(EDGES, np.full(11, sigma))
        return gj.MapDataset(
            geom, EDGES, counts=np.ones((10, 4, 4)), background=np.ones((10, 4, 4)),
            exposure=np.ones((10, 4, 4)), energy_true_edges=EDGES, psf=psf,
        )  # fmt: skip

    assert checksum_of(image(0.1)) == checksum_of(image(0.1)) != checksum_of(image(0.11))


def test_results_are_equal_to_themselves_only(data, straight):
    """NumPy's arrays have no truth: what holds them is compared as an object, and can be kept in sets and lists."""
    again, spectrum = replace(straight), straight.spectrum("source")
    scan = gj.profile(data, straight, "source.spectral.index", n=3)
    for one, other in ((straight, again), (spectrum, straight.spectrum("source")), (scan, replace(scan))):
        assert one == one and one != other and one in [other, one] and len({one, other}) == 2
