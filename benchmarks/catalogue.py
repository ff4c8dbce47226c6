"""A catalogue of the whole sky on one map: predicted counts, and a fit with nearly all of its sources frozen.

    python benchmarks/catalogue.py [--no-gammapy] [--sources 1500] [--seed 0]

The catalogue is simulated: positions even on the sphere with some in the galactic plane, power laws and log parabolas,
a twentieth of them Gaussians. The map is a cube of 200 x 400 pixels of 0.05 deg and 11 energies, as of the Fermi-LAT
above 10 GeV. Calls are timed in a new process, first and again; gammapy is run where it is installed, on the same
models.
"""

import argparse
import importlib.util
import logging
import time
import warnings

import jax
import numpy as np
from astropy.coordinates import SkyCoord
from measure import load, memory_mb, seconds_of, show_time, table

import gammajax as gj

jax.config.update("jax_enable_x64", True)

NY, NX, PIXEL = 200, 400, 0.05


def cube() -> gj.MapDataset:
    """The galactic centre, with a PSF of 0.3 to 0.1 deg at a grid of positions, and counts of a flat background."""
    edges, true = np.geomspace(0.01, 2, 12), np.geomspace(0.008, 2.5, 15)
    centres = np.sqrt(true[1:] * true[:-1])
    geom = gj.SkyGeom.create((0.0, 0.0), PIXEL, npix=(NX, NY), proj="CAR", frame="galactic")
    grid = gj.SkyGeom.create((0.0, 0.0), 4.0, npix=(7, 5), proj="CAR", frame="galactic")
    return gj.MapDataset(
        geom,
        edges,
        energy_true_edges=true,
        exposure=np.broadcast_to(np.geomspace(2e11, 4e11, 14)[:, None, None], (14, NY, NX)),
        background=np.broadcast_to(np.geomspace(2.0, 0.01, 11)[:, None, None], (11, NY, NX)),
        psf=gj.PSFMap.from_gauss(centres, np.geomspace(0.3, 0.1, 14), geom=grid),
        edisp=gj.EDispKernel.from_gauss(true, edges, 0.08),
    )


def catalogue(n: int, seed: int) -> gj.Models:
    """``n`` sources of the sky, the brightest of which is in the middle of the map and free, and a background norm."""
    rng = np.random.default_rng(seed)
    lon = rng.uniform(-180, 180, n)
    lat = np.where(rng.random(n) < 0.3, rng.normal(0, 2, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n))))
    lon[0], lat[0] = 0.3, -0.2
    at = SkyCoord(lon, np.clip(lat, -89.9, 89.9), unit="deg", frame="galactic").icrs
    amplitude = 1e-9 * rng.pareto(1.5, n) + 1e-10
    amplitude[0] = 1e-7
    models: list[gj.SkyModel | gj.FoVBackgroundModel] = []
    for i in range(n):
        place = {"lon_0": float(at.ra.deg[i]), "lat_0": float(at.dec.deg[i])}
        curved = i % 3 == 2
        spectral = (
            gj.LogParabolaSpectralModel(amplitude=amplitude[i], reference=0.05, alpha=2.2, beta=0.1)
            if curved
            else gj.PowerLawSpectralModel(amplitude=amplitude[i], reference=0.05, index=rng.uniform(1.8, 3.0))
        )
        wide = i % 20 == 19
        spatial = (
            gj.GaussianSpatialModel(sigma=rng.uniform(0.1, 1.0), **place) if wide else gj.PointSpatialModel(**place)
        )
        models.append(gj.SkyModel(spectral, f"source-{i}", spatial=spatial))
    models.append(gj.FoVBackgroundModel(name="bkg", datasets_names=["map"]))
    return gj.Models(models).freeze().unfreeze("source-0.spectral.amplitude", "bkg.spectral.norm")


def ours(dataset: gj.MapDataset, models: gj.Models) -> tuple[list[object], np.ndarray, gj.FitResult]:
    start = memory_mb("VmRSS")
    first, counts = seconds_of(lambda: np.asarray(gj.npred(dataset, models, name="map")))
    again = min(seconds_of(lambda: np.asarray(gj.npred(dataset, models, name="map")))[0] for _ in range(3))
    datasets = gj.Datasets({"map": dataset.replace(counts=np.random.default_rng(1).poisson(counts))})
    fit_first, result = seconds_of(lambda: gj.fit(datasets, models))
    fit_again = min(seconds_of(lambda: gj.fit(datasets, models))[0] for _ in range(3))
    times = [show_time(t) for t in (first, again, fit_first, fit_again)]
    return [*times, f"{memory_mb() - start:.0f} MB", f"{result.stat:.4f}"], counts, result


def peers(dataset: gj.MapDataset, models: gj.Models, counts: np.ndarray) -> tuple[list[object], np.ndarray]:
    logging.disable(logging.WARNING)
    from gammapy.datasets import Datasets
    from gammapy.modeling import Fit

    start = memory_mb("VmRSS")
    peer = gj.to_gammapy(dataset, name="map")
    peer.models = gj.to_gammapy(models)

    def npred() -> np.ndarray:
        return np.asarray(peer.npred().data)

    first, found = seconds_of(npred)
    again = min(seconds_of(npred)[0] for _ in range(3))
    peer.counts = peer.background.copy(data=np.random.default_rng(1).poisson(counts).astype(float))
    fit = Fit(store_trace=False)
    fit_first, result = seconds_of(lambda: fit.run(Datasets([peer])))
    fit_again, _ = seconds_of(lambda: fit.run(Datasets([peer])))
    times = [show_time(t) for t in (first, again, fit_first, fit_again)]
    return [*times, f"{memory_mb() - start:.0f} MB", f"{result.total_stat:.4f}"], found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-gammapy", dest="gammapy", action="store_false")
    parser.add_argument("--sources", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"Load before: {load()}")
    start = time.perf_counter()
    dataset, models = cube(), catalogue(args.sources, args.seed)
    print(f"{args.sources} sources and a map, made in {show_time(time.perf_counter() - start)}")
    row, counts, result = ours(dataset, models)
    rows = [["gammajax", *row]]
    header = ["", "npred, first", "again", "fit, first", "again", "memory added", "statistic"]
    print(table(header, rows), flush=True)
    print(f"{result.status}: {result.message}")
    if args.gammapy and importlib.util.find_spec("gammapy") is not None:
        row, found = peers(dataset, models, counts)
        rows.append(["gammapy", *row])
        print(f"Largest difference of the counts of a bin: {np.max(np.abs(found - counts)):.3g} of {counts.max():.3g}")
    print(table(header, rows))
    print(f"Load after: {load()}")


if __name__ == "__main__":
    main()
