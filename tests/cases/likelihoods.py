"""Joint likelihoods of every kind of dataset, small: datasets and models by name, for contract tests of all of them."""

import jax
import numpy as np

import gammajax as gj
from cases import flux_points, maps, regions


def _spectra():
    """On/off and known background, local norms, a link, a prior, bounds and a penalty."""
    true, reco = np.geomspace(0.1, 100, 13), np.geomspace(0.2, 50, 9)
    centre = np.sqrt(true[:-1] * true[1:])
    edisp = gj.EDispKernel.from_gauss(true, reco, 0.15)
    common = {"energy_true_edges": true, "exposure": 3e12 * centre / (1 + centre / 3), "edisp": edisp}
    background = 40 * (reco[:-1] / reco[0]) ** -1.5
    tilted = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0, prior=gj.GaussianPrior(mu=0.0, sigma=0.3)))
    sources = [
        gj.SkyModel(gj.PowerLawSpectralModel(index=2.4, amplitude=3e-11), name=name, datasets_names=runs)
        for name, runs in (("a", ["on-off", "known-1"]), ("b", ["known-2", "known-3"]))
    ]
    backgrounds = [gj.FoVBackgroundModel(tilted, datasets_names=f"known-{i}") for i in (1, 2, 3)]
    models = gj.Models([*sources, *backgrounds]).link("a.spectral.index", "b.spectral.index")
    models = models.with_parameter("a.spectral.index", min=1.0, max=5.0)
    names = ("a.spectral.amplitude", "b.spectral.amplitude")
    penalty = gj.GaussianPriorPenalty(names, [3e-11, 3e-11], np.diag([1e-22, 2e-22]))
    models = gj.Models(models, penalties=[penalty])
    known = gj.SpectrumDataset(reco, background=background, **common)
    on_off = gj.SpectrumDatasetOnOff(reco, acceptance_off=8.0, **common)
    keys = jax.random.split(jax.random.key(1), 4)
    datasets = {"on-off": gj.fake(keys[0], on_off, models, "on-off", npred_background=background)}
    for i in (1, 2, 3):
        datasets[f"known-{i}"] = gj.fake(keys[i], known, models, f"known-{i}")
    return gj.Datasets(datasets), models


def _maps():
    """A free Gaussian of free width on two maps that it covers in part, with free backgrounds."""
    models = [maps.source(gj.GaussianSpatialModel(lon_0=83.64, lat_0=22.0, sigma=0.1), amplitude=6e-11)]
    models += [gj.FoVBackgroundModel(datasets_names=name) for name in ("first", "second")]
    empty = maps.small_map(n=44, n_energy=2, background=1.5)
    moved = maps.small_map(n=44, n_energy=2, background=2.0, center=(83.63, 22.2))
    moved = moved.replace(mask_fit=np.arange(44 * 44 * 2).reshape(2, 44, 44) % 7 != 0)
    keys = jax.random.split(jax.random.key(2))
    datasets = {"first": gj.fake(keys[0], empty, models, "first"), "second": gj.fake(keys[1], moved, models, "second")}
    return gj.Datasets(datasets), gj.Models(models)


def _map_on_off():
    like = maps.small_map(n=24, n_energy=2, background=2.0)
    background = np.asarray(like.background)
    fields = {k: getattr(like, k) for k in ("energy_true_edges", "exposure", "psf", "edisp")}
    dataset = gj.MapDatasetOnOff(like.geom, like.energy_edges, acceptance=1.0, acceptance_off=5.0, **fields)
    lon, lat = maps.at_pixel(dataset, 11.2, 12.1)
    models = gj.Models([maps.source(gj.PointSpatialModel(lon_0=lon, lat_0=lat))])
    return gj.Datasets({"map": gj.fake(jax.random.key(3), dataset, models, npred_background=background)}), models


def _region():
    models = gj.Models([regions.source(gj.GaussianSpatialModel(sigma=0.05, **regions.beside(0.02)))])
    models = models.freeze("source.spatial.lon_0", "source.spatial.lat_0", "source.spatial.sigma")
    return gj.Datasets({"region": gj.fake(jax.random.key(4), regions.dataset(), models)}), models


def _points():
    return gj.Datasets({"points": gj.FluxPointsDataset(flux_points.points())}), flux_points.power_law()


LIKELIHOODS = {"spectra": _spectra, "maps": _maps, "map-on-off": _map_on_off, "region": _region, "points": _points}
