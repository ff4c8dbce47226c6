"""Simulated nights: on/off spectra of one source with IACT-like responses, as plain arrays and as datasets.

The same arrays, drawn with numpy from a fixed seed, go to both packages.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

N_RECO, N_TRUE = 30, 60
"""Energy bins: 10 per decade from 0.1 to 100 TeV, and 60 true ones from 0.05 to 200 TeV."""

TRUTH = {"amplitude": 3.8e-11, "alpha": 2.5, "beta": 0.1}
START = {"amplitude": 1e-11, "alpha": 2.0, "beta": 0.05}
LIVETIME = 1680.0
ALPHA = 0.125


@dataclass
class Run:
    """Arrays of one run: exposure in cm2 s, edisp (n_true, n_reco), numbers per reconstructed bin."""

    exposure: np.ndarray
    edisp: np.ndarray
    mask_safe: np.ndarray
    background: np.ndarray
    counts: np.ndarray
    counts_off: np.ndarray


def edges() -> tuple[np.ndarray, np.ndarray]:
    """True and reconstructed energy edges in TeV."""
    return np.geomspace(0.05, 200, N_TRUE + 1), np.geomspace(0.1, 100, N_RECO + 1)


def simulate(
    n: int, responses: str, known_background: bool = False, background_scale: float | None = None, seed: int = 42
) -> list[Run]:
    """``n`` runs; ``responses`` is "own" (efficiency, threshold, resolution and bias of each run) or "shared".

    With ``known_background`` each run's background is off by its own norm and tilt, which a fit has to find; it is then
    that of an extended region, ten times more (``background_scale``), since a point source leaves a tilt undetermined.
    """
    scale = background_scale or (10.0 if known_background else 1.0)
    rng = np.random.default_rng(seed)
    true, reco = edges()
    if responses == "own":
        efficiency, threshold = rng.uniform(0.7, 1.1, n), np.exp(rng.uniform(-0.3, 0.9, n))
        resolution, bias = rng.uniform(0.10, 0.18, n), rng.uniform(-0.05, 0.05, n)
    else:
        efficiency, threshold, resolution, bias = np.ones(n), np.ones(n), np.full(n, 0.13), np.zeros(n)
    shared: tuple[Any, ...] | None = None
    runs = []
    for i in range(n):
        if shared is None or responses == "own":
            exposure = LIVETIME * efficiency[i] * effective_area(true, threshold[i])
            edisp = gauss_response(true, reco, resolution[i], bias[i])
            mask = reco[:-1] >= 0.25 * threshold[i]
            background = 25 * scale * efficiency[i] * (reco[:-1] / 0.3) ** -1.7
            signal = (exposure * integral_flux(true)) @ edisp
            shared = (exposure, edisp, mask, background, signal)
        exposure, edisp, mask, background, signal = shared
        expected = background
        if known_background:
            expected = background * rng.normal(1.0, 0.1) * reco[:-1] ** rng.normal(0.0, 0.1)
        counts = rng.poisson(signal + expected).astype(float)
        counts_off = rng.poisson(background / ALPHA).astype(float)
        runs.append(Run(exposure, edisp, mask, background, counts, counts_off))
    return runs


def effective_area(true: np.ndarray, threshold: float) -> np.ndarray:
    """Effective area in cm2 of an H.E.S.S.-like array (Abramowski et al. 2010), its threshold scaled."""
    energy = np.sqrt(true[:-1] * true[1:]) * 1e6
    return 6.85e9 * energy**-0.0891 * np.exp(-5e5 * threshold / energy)


def gauss_response(true: np.ndarray, reco: np.ndarray, resolution: float, bias: float) -> np.ndarray:
    """Probability of each reconstructed bin, for a Gaussian in E_reco / E_true."""
    from scipy.special import ndtr

    centre = np.sqrt(true[:-1] * true[1:])
    return np.diff(ndtr((reco[None, :] / centre[:, None] - 1 - bias) / resolution), axis=1)


def integral_flux(true: np.ndarray) -> np.ndarray:
    """Flux of the true log parabola per bin, in cm-2 s-1."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    log = np.log(true)
    half, middle = np.diff(log)[:, None] / 2, (log[1:] + log[:-1])[:, None] / 2
    energy = np.exp(middle + half * nodes)
    index = TRUTH["alpha"] + TRUTH["beta"] * np.log(energy)
    return np.sum(half * weights * energy * TRUTH["amplitude"] * energy**-index, axis=1)


def to_gammajax(runs: list[Run], known_background: bool = False) -> tuple[Any, Any]:
    """Datasets and models of gammajax."""
    import gammajax as gj

    true, reco = edges()
    datasets, kernels, models = {}, {}, []
    for i, run in enumerate(runs):
        # one kernel object for runs that share their response
        kernel = kernels.setdefault(id(run.edisp), gj.EDispKernel(run.edisp))
        common = {
            "energy_edges": reco,
            "energy_true_edges": true,
            "counts": run.counts,
            "exposure": run.exposure,
            "edisp": kernel,
            "mask_safe": run.mask_safe,
            "livetime": LIVETIME,
        }
        name = f"run-{i}"
        if known_background:
            datasets[name] = gj.SpectrumDataset(background=run.background, **common)
            spectral = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0, frozen=False))
            models.append(gj.FoVBackgroundModel(spectral, datasets_names=name))
        else:
            datasets[name] = gj.SpectrumDatasetOnOff(
                counts_off=run.counts_off, acceptance=1.0, acceptance_off=1 / ALPHA, **common
            )
    spectrum = gj.LogParabolaSpectralModel(reference=1.0, **START)
    return gj.Datasets(datasets), gj.Models([gj.SkyModel(spectrum, name="source"), *models])


def to_gammapy(runs: list[Run], known_background: bool = False) -> Any:
    """Datasets of gammapy; give them `gammapy_models`."""
    import astropy.units as u
    from astropy.coordinates import SkyCoord
    from gammapy.datasets import Datasets, SpectrumDataset, SpectrumDatasetOnOff
    from gammapy.irf import EDispKernel, EDispKernelMap
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap
    from regions import CircleSkyRegion

    true, reco = edges()
    energy = MapAxis.from_energy_edges(reco * u.TeV)
    energy_true = MapAxis.from_energy_edges(true * u.TeV, name="energy_true")
    region = CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.1 * u.deg)
    geom, geom_true = RegionGeom(region, axes=[energy]), RegionGeom(region, axes=[energy_true])

    def spectrum(values: np.ndarray, geom: Any = geom, unit: str = "") -> Any:
        return RegionNDMap.from_geom(geom, data=values.reshape(-1, 1, 1), unit=unit)

    datasets = Datasets()
    for i, run in enumerate(runs):
        common = {
            "name": f"run-{i}",
            "counts": spectrum(run.counts),
            "exposure": spectrum(run.exposure, geom_true, "cm2 s"),
            "edisp": EDispKernelMap.from_edisp_kernel(EDispKernel([energy_true, energy], run.edisp), geom=geom_true),
            "mask_safe": spectrum(run.mask_safe),
        }
        if known_background:
            datasets.append(SpectrumDataset(background=spectrum(run.background), **common))
        else:
            off = spectrum(np.full(N_RECO, 1 / ALPHA))
            datasets.append(
                SpectrumDatasetOnOff(
                    counts_off=spectrum(run.counts_off),
                    acceptance=spectrum(np.ones(N_RECO)),
                    acceptance_off=off,
                    **common,
                )
            )
    return datasets


def gammapy_models(datasets: Any, known_background: bool = False) -> list[Any]:
    """Fresh models for gammapy, with good first steps for Minuit."""
    from gammapy.modeling.models import (
        FoVBackgroundModel,
        LogParabolaSpectralModel,
        PowerLawNormSpectralModel,
        SkyModel,
    )

    spectrum = LogParabolaSpectralModel(
        amplitude=f"{START['amplitude']} cm-2 s-1 TeV-1", reference="1 TeV", alpha=START["alpha"], beta=START["beta"]
    )
    scale = 1 / np.sqrt(len(datasets))
    spectrum.amplitude.error, spectrum.alpha.error, spectrum.beta.error = 3e-12 * scale, 0.1 * scale, 0.05 * scale
    models = [SkyModel(spectrum, name="source")]
    for name in datasets.names if known_background else ():
        norm = PowerLawNormSpectralModel()
        norm.tilt.frozen = False
        norm.norm.error, norm.tilt.error = 0.1, 0.1
        models.append(FoVBackgroundModel(spectral_model=norm, dataset_name=name))
    return models
