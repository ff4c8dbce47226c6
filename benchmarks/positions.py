"""Positions and widths of sources between the pixels, as gammajax and gammapy find them in the same counts.

    python benchmarks/positions.py [--no-gammapy] [--positions 25] [--draws 4]

Points: the PSF and background of the H.E.S.S. run 23523 (pixels of 0.05 deg), positions drawn evenly from one pixel,
counts from separations alone (tests/map_cases.py: no lattice, no transform). Gaussians: a small map with a Gaussian
PSF, for which the counts are known in closed form. Expected counts show the bias; draws of a Poisson distribution
show how it compares with the errors. gammapy starts at the truth with first steps of about the errors, gammajax 0.01
deg off. "Failed" counts fits that do not claim success; their values are in the biases, but not in the pulls.
"""

import argparse
import importlib.util
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from measure import data_folder, load, table

import gammajax as gj

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import map_cases as cases
import test_map_positions as closed

jax.config.update("jax_enable_x64", True)

PIXEL = 0.05
WIDTHS = (0.2, 0.5, 1.0, 3.0)
ERRORS = {"lon_0": 0.005, "lat_0": 0.005, "sigma": 0.005}


class Found(NamedTuple):
    """Value and error of each free parameter, and whether the fit claims success."""

    numbers: dict[str, tuple[float, float]]
    success: bool


def our_fit(dataset: gj.MapDataset, model: gj.SkyModel) -> Found:
    result = gj.fit(gj.Datasets({"map": dataset}), model)
    free = result.parameters.free
    return Found({n.rsplit(".", 1)[1]: (float(p.value), float(p.error)) for n, p in free.items()}, result.success)


def gammapy_fit(dataset: gj.MapDataset, model: gj.SkyModel, errors: bool) -> Found:
    from gammapy.modeling import Fit

    peer = gj.to_gammapy(dataset)
    peer.models = gj.to_gammapy(gj.Models([model]))
    parameters = peer.models[0].parameters.free_parameters
    for parameter in parameters:
        parameter.error = ERRORS.get(parameter.name, 0.05 * abs(parameter.value))
    fit = Fit()
    success = fit.optimize([peer]).success
    if errors:
        success = success and fit.covariance([peer]).success
    return Found({p.name: (p.value, p.error) for p in parameters}, bool(success))


def shifts(dataset: gj.MapDataset, found: Found, x: float, y: float) -> np.ndarray:
    at = dataset.geom.wcs.wcs_world2pix(found.numbers["lon_0"][0], found.numbers["lat_0"][0], 0)
    return np.array(at) - [x, y]


def away(model: gj.SkyModel) -> gj.SkyModel:
    """A start for gammajax, which needs no good one."""
    spatial = model.spatial
    assert spatial is not None
    return model.replace(spatial=spatial.replace(lon_0=spatial.lon_0.value + 0.01, lat_0=spatial.lat_0.value - 0.01))


def packages(gammapy: bool) -> dict[str, Any]:
    """Functions (dataset, model, errors wanted) by name."""
    found = {
        "gammajax": lambda d, m, errors: our_fit(d, away(m)),
        'gammajax, source_grid="pixel"': lambda d, m, errors: our_fit(d.replace(source_grid="pixel"), away(m)),
    }
    return found | ({"gammapy 2.1": gammapy_fit} if gammapy else {})


def points(args: argparse.Namespace) -> None:
    run = gj.MapDataset.read(data_folder() / "hess-crab" / "maps" / "obs_23523.fits.gz")
    run = run.replace(mask_fit=None)
    spectrum = gj.PowerLawSpectralModel(index=2.4, amplitude=4e-11)
    edges = np.asarray(run.energy_true_edges)
    flux = np.asarray(spectrum.integral(edges[:-1], edges[1:]))
    fits = packages(args.gammapy)
    offsets: dict[str, list[Any]] = {name: [] for name in fits}
    spectra: dict[str, list[Any]] = {name: [] for name in fits}
    pulls: dict[str, list[Any]] = {name: [] for name in fits}
    failed = {name: [0, 0] for name in fits}
    seconds = dict.fromkeys(fits, 0.0)
    for number, (x, y) in enumerate(closed.random_positions(args.positions)):
        lon, lat = cases.at_pixel(run, x, y)
        model = gj.SkyModel(spectrum, "source", spatial=gj.PointSpatialModel(lon_0=lon, lat_0=lat))
        truth = {"lon_0": lon, "lat_0": lat, "amplitude": 4e-11, "index": 2.4}
        expected = cases.brute_force(run, flux, [(lon, lat, 1.0)], frame_lonlat=(lon, lat))
        expected = expected + np.asarray(run.background)
        draws = [
            np.random.default_rng(100 * number + seed).poisson(expected).astype(float) for seed in range(args.draws)
        ]
        for name, fit in fits.items():
            start = time.perf_counter()
            found = fit(run.replace(counts=expected), model, False)
            failed[name][0] += not found.success
            offsets[name].append(shifts(run, found, x, y))
            spectra[name].append([found.numbers["amplitude"][0] / 4e-11 - 1, found.numbers["index"][0] - 2.4])
            for counts in draws if "pixel" not in name else []:
                found = fit(run.replace(counts=counts), model, True)
                failed[name][1] += not found.success
                if found.success:
                    pulls[name].append([(v - truth[n]) / e for n, (v, e) in sorted(found.numbers.items())])
            seconds[name] += time.perf_counter() - start
        print(f"position {number + 1} of {args.positions}", file=sys.stderr, flush=True)
    rows = []
    for name in fits:
        distance = np.hypot(*np.array(offsets[name]).T)
        amplitude, index = np.array(spectra[name]).T
        rows.append(
            [
                name,
                f"{distance.mean():.4f}",
                f"{distance.max():.4f}",
                f"{100 * amplitude.mean():+.2f} %",
                f"{100 * np.abs(amplitude).max():.2f} %",
                f"{index.mean():+.4f}",
                f"{np.abs(index).max():.4f}",
                failed[name][0],
            ]
        )
    header = ["package", "off, mean (pixels)", "off, most", "amplitude, mean", "most", "index, mean", "most", "failed"]
    print(f"### A point at {args.positions} positions in one pixel: expected counts\n")
    print(table(header, rows))
    rows = []
    for name in (n for n in fits if pulls[n]):
        values = np.array(pulls[name])
        cells = [f"{m:+.2f}, {s:.2f}" for m, s in zip(values.mean(0), values.std(0), strict=True)]
        far = np.abs(values).max()
        rows.append([name, *cells, f"{far:.1f}", len(values), failed[name][1], f"{seconds[name]:.0f} s"])
    if rows:
        number = args.positions * args.draws
        print(f"\n### The same, {number} Poisson draws: mean and width of the pulls")
        print(f"\nStatistical errors: {1 / np.sqrt(number):.2f} of a mean, {1 / np.sqrt(2 * number):.2f} of a width.\n")
        header = ["package", *sorted(truth), "largest of all", "fits", "failed", "all fits took"]
        print(table(header, rows))


def gaussians(args: argparse.Namespace) -> None:
    rows = []
    for sigma in WIDTHS:
        dataset = cases.small_map(n=40)
        found: dict[str, list[Any]] = {name: [] for name in packages(args.gammapy)}
        failed = dict.fromkeys(found, 0)
        for x, y in closed.BETWEEN:
            lon, lat = cases.at_pixel(dataset, x, y)
            model = cases.source(gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=sigma * PIXEL))
            counts = closed.gauss_truth(dataset, model.spectral, x, y, sigma * PIXEL) + np.asarray(dataset.background)
            for name, fit in packages(args.gammapy).items():
                fitted = fit(dataset.replace(counts=counts), model, False)
                failed[name] += not fitted.success
                width = fitted.numbers["sigma"][0] / PIXEL
                amplitude = fitted.numbers["amplitude"][0] / float(model.spectral.amplitude.value) - 1
                found[name].append([np.hypot(*shifts(dataset, fitted, x, y)), width - sigma, amplitude])
        for name, values in found.items():
            off, width, amplitude = np.array(values).T
            cells = [f"{off.max():.4f}", f"{width[np.argmax(np.abs(width))]:+.4f}"]
            cells.append(f"{100 * amplitude[np.argmax(np.abs(amplitude))]:+.2f} %")
            rows.append([sigma, name, *cells, failed[name]])
        print(f"width {sigma}", file=sys.stderr, flush=True)
    print("\n### Gaussians at three positions: expected counts, the worst of the three\n")
    print(table(["width (pixels)", "package", "position off (pixels)", "width off", "amplitude off", "failed"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-gammapy", dest="gammapy", action="store_false")
    parser.add_argument("--positions", type=int, default=25)
    parser.add_argument("--draws", type=int, default=4)
    args = parser.parse_args()
    args.gammapy = args.gammapy and importlib.util.find_spec("gammapy") is not None
    warnings.simplefilter("ignore")
    print(f"Load before: {load()}\n")
    points(args)
    gaussians(args)
    print(f"\nLoad after: {load()}")


if __name__ == "__main__":
    main()
