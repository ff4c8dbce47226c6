"""Fits with instrument models: published energy scales of the joint Crab fit, simulated truth, local parameters."""

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

import gammajax as gj

WIDTHS = {"fermi": 0.05, "magic": 0.15, "hess": 0.15, "veritas": 0.15, "fact": 0.15}

# Nigro et al. 2019 (A&A 625, A10), section 5: results/fit/fit_joint_systematics.yaml of the repository joint-crab;
# amplitude in 1e-11 TeV-1 s-1 cm-2, beta for the decimal logarithm
PUBLISHED = {
    "amplitude": (3.880974551192685, 0.35392878987356197),
    "alpha": (2.510857652434044, 0.037644538206350164),
    "beta": (0.24242192119202222, 0.027580219310414933),
    "fermi": (0.0043058902297217205, 0.04495043400920368),
    "magic": (-0.0029368060697278486, 0.06048866284591728),
    "hess": (0.09911011482639209, 0.07214921484422779),
    "veritas": (-0.05581421388985866, 0.06378188844843713),
    "fact": (-0.10296067023210967, 0.06523859604865435),
}


def energy_scales(datasets, of):
    for instrument, width in WIDTHS.items():
        scale = gj.Parameter(1.0, prior=gj.GaussianPrior(mu=1, sigma=width))
        names = [name for name in datasets.names if name.startswith(instrument)]
        yield gj.InstrumentModel(energy_scale=scale, name=instrument, datasets_names=names, energy_scale_of=of)


def test_energy_scales_of_the_joint_crab_fit_as_published(joint_crab, log_parabola):
    datasets = joint_crab[0]
    models = gj.Models([*log_parabola(), *energy_scales(datasets, "response")])
    assert float(gj.stat_sum(datasets, gj.Models([*log_parabola()]))) == pytest.approx(
        float(gj.stat_sum(datasets, models)) - sum(np.log(2 * np.pi * width**2) for width in WIDTHS.values()),
        rel=1e-12,
    )
    result = gj.fit(datasets, models)
    assert result.success
    for name, (value, error) in PUBLISHED.items():
        word = f"{name}.energy_scale.norm" if name in WIDTHS else f"crab.spectral.{name}"
        scale = {"amplitude": 1e11, "beta": np.log(10)}.get(name, 1.0)
        ours = result.parameters[word]
        found = float(ours.value) * scale - (name in WIDTHS)
        assert found == pytest.approx(value, abs=0.01 * error), name
        # theirs are of numerical second derivatives
        assert float(ours.error) * scale == pytest.approx(error, rel=0.02), name


TRUE, RECO = np.geomspace(0.1, 100, 37), np.geomspace(0.5, 50, 21)
CENTERS = np.sqrt(TRUE[1:] * TRUE[:-1])
EDISP = gj.EDispKernel.from_gauss(TRUE, RECO, 0.15)
SHIFTED = gj.EDispKernel.from_gauss(TRUE, RECO, 0.15 * 1.1, 0.1)
SOURCE = gj.SkyModel(
    gj.ExpCutoffPowerLawSpectralModel(index=2.0, amplitude=3e-11, lambda_=gj.Parameter(0.2, "TeV-1", frozen=True)),
    name="s",
)


def run(edisp):
    return gj.SpectrumDataset(
        RECO, TRUE, exposure=2e13 * CENTERS**0.5, edisp=edisp, background=np.geomspace(10, 0.5, 20)
    )


def test_a_simulated_scale_is_found():
    """Pulls of forty spectra whose dispersion was made at 1.1 times the energy; the cutoff says what the scale is."""
    simulate = jax.jit(jax.vmap(lambda key: gj.fake(key, run(SHIFTED), SOURCE).counts))
    counts = np.asarray(simulate(jax.random.split(jax.random.key(5), 40)))
    models = gj.Models([SOURCE, gj.InstrumentModel(energy_scale=1.0, name="i")])
    pulls = []
    for n in counts:
        result = gj.fit(run(EDISP).replace(counts=n), models)
        scale = result.parameters["i.energy_scale.norm"]
        assert result.success
        pulls.append((float(scale.value) - 1.1) / float(scale.error))
    assert abs(np.mean(pulls)) < 3 / np.sqrt(40)
    assert 0.65 < np.std(pulls) < 1.4


def test_scales_of_runs_are_local():
    """Many runs with a scale each, eliminated one by one: the same fit as one by one when the source is held."""
    keys = jax.random.split(jax.random.key(7), 6)
    runs = gj.Datasets({f"run-{i}": gj.fake(key, run(EDISP), SOURCE) for i, key in enumerate(keys)})
    prior = gj.GaussianPrior(mu=1, sigma=0.1)
    held = gj.Models(SOURCE).freeze()
    scales = [
        gj.InstrumentModel(energy_scale=gj.Parameter(1.0, prior=prior), name=f"i-{name}", datasets_names=name)
        for name in runs.names
    ]
    together = gj.fit(runs, gj.Models([*held, *scales]))
    for name, scale in zip(runs.names, scales, strict=True):
        alone = gj.fit(gj.Datasets({name: runs[name]}), gj.Models([*held, scale]))
        key = f"i-{name}.energy_scale.norm"
        one, other = alone.parameters[key], together.parameters[key]
        assert float(other.value) == pytest.approx(float(one.value), abs=1e-4 * float(one.error))
        assert float(other.error) == pytest.approx(float(one.error), rel=1e-4)


def test_a_scale_for_a_group_and_correlated_priors():
    keys = jax.random.split(jax.random.key(9), 3)
    runs = gj.Datasets({f"run-{i}": gj.fake(key, run(EDISP), SOURCE) for i, key in enumerate(keys)})
    group = gj.InstrumentModel(exposure=1.0, energy_scale=1.0, name="i", datasets_names=["run-0", "run-1"])
    names = ["i.exposure.norm", "i.energy_scale.norm"]
    penalty = gj.GaussianPriorPenalty(names, mean=1.0, covariance=[[0.01, 0.004], [0.004, 0.01]])
    result = gj.fit(runs, gj.Models([SOURCE, group], penalties=[penalty]))
    assert result.success
    x = np.array([float(result.parameters[n].value) for n in names]) - 1
    expected = x @ np.linalg.solve([[0.01, 0.004], [0.004, 0.01]], x)
    by_run = sum(
        float(np.sum(gj.stat_array(d, gj.Models(list(result.models)).acting_on(n), name=n))) for n, d in runs.items()
    )
    assert result.stat - expected == pytest.approx(by_run, rel=1e-10)


GEOM = gj.SkyGeom.create((83.6, 22.0), 0.05, npix=20)
PSF = gj.PSFMap.from_gauss(CENTERS, 0.06 * np.ones(36), rad=np.linspace(0, 0.5, 51))
PLACED = gj.SkyModel(SOURCE.spectral, name="s", spatial=gj.PointSpatialModel(lon_0=83.61, lat_0=22.02))
ALL = gj.InstrumentModel(exposure=1.1, energy_scale=1.05, psf_width=1.1, livetime=0.9, name="i")
SEEN = {
    "spectrum": (run(EDISP), ALL.replace(psf_width=None)),
    "map": (
        gj.MapDataset(
            GEOM,
            RECO,
            TRUE,
            exposure=2e13 * CENTERS[:, None, None] ** 0.5 * np.ones((1, 20, 20)),
            psf=PSF,
            edisp=EDISP,
            background=np.geomspace(0.2, 0.01, 20)[:, None, None] * np.ones((1, 20, 20)),
        ),
        ALL,
    ),
    "region": (
        gj.RegionMapDataset(
            CircleSkyRegion(SkyCoord(83.6, 22.0, unit="deg"), 0.15 * u.deg),
            RECO,
            TRUE,
            exposure=2e13 * CENTERS**0.5,
            psf=PSF,
            edisp=gj.EDispKernelMap.from_kernel(EDISP),
            background=np.geomspace(10, 0.5, 20),
        ),
        ALL,
    ),
}


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("frozen", ["s", "i", ""])
def test_fits_see_the_responses_that_predictions_do(kind, frozen):
    """Whatever is frozen: the statistic of a dataset inside a fit is that of its prediction."""
    dataset, instrument = SEEN[kind]
    models = gj.Models([PLACED, instrument.replace(energy_scale_of="response" if frozen == "" else "dispersion")])
    if frozen:
        models = models.freeze(*(n for n in models.parameters if n.startswith(f"{frozen}.")))
    dataset = gj.fake(jax.random.key(3), dataset, models)
    expected = float(np.sum(gj.stat_array(dataset, models)))
    assert float(gj.stat_sum(dataset, models)) == pytest.approx(expected, rel=1e-9)
