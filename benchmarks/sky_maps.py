"""Maps of the sky: `gj.ts_map`, `gj.excess_map` and `gj.residual_map` on simulated and on H.E.S.S. data.

    python benchmarks/sky_maps.py [--gammapy] [--hess]

A simulated field of 100 x 100 pixels with five sources, and the same without any; with ``--hess`` one H.E.S.S. run of
the Crab nebula and the residuals of the joint fit of four; with ``--gammapy`` the estimators of gammapy 2.1 too.
Seconds of wall and processor.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import astropy.units as u
import jax
import numpy as np
from measure import data_folder
from scipy.stats import kstest

import gammajax as gj

jax.config.update("jax_enable_x64", True)

N, BINSZ = 100, 0.03
EDGES, TRUE = np.geomspace(0.5, 20, 9), np.geomspace(0.3, 30, 17)
PLACES = ((50, 50, 4e-12), (20, 30, 5e-12), (75, 25, 6e-12), (30, 78, 8e-12), (80, 80, 1.2e-11))
"""Pixels x and y, and amplitudes, of the sources."""

RUNS = ("obs_23523", "obs_23526", "obs_23559", "obs_23592")


def field() -> gj.MapDataset:
    """An instrument whose point spread function falls with the energy and whose exposure falls outwards."""
    geom = gj.SkyGeom.create((83.63, 22.01), BINSZ, npix=N)
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    fall = np.exp(-(x**2 + y**2) / (0.7 * N) ** 2)
    centers = np.sqrt(TRUE[1:] * TRUE[:-1])
    return gj.MapDataset(
        geom,
        EDGES,
        TRUE,
        exposure=2e13 * fall * (centers[:, None, None] / 1.0) ** 0.3,
        background=1.2 * fall * (np.sqrt(EDGES[1:] * EDGES[:-1])[:, None, None] / 0.5) ** -1.2,
        psf=gj.PSFMap.from_gauss(centers, 0.07 * centers**-0.15),
        edisp=gj.EDispKernel.from_gauss(TRUE, EDGES, 0.12),
    )


def source_at(dataset: gj.MapDataset, x: float, y: float, amplitude: float, name: str) -> gj.SkyModel:
    lon, lat = dataset.geom.wcs.wcs_pix2world(x, y, 0)
    spectrum = gj.PowerLawSpectralModel(index=2.3, amplitude=amplitude)
    return gj.SkyModel(spectrum, spatial=gj.PointSpatialModel(lon_0=float(lon), lat_0=float(lat)), name=name)


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, processor = time.perf_counter(), time.process_time()
    value = call()
    return time.perf_counter() - wall, time.process_time() - processor, value


def first_and_again(what: str, call: Callable[[], Any], repeats: int = 1) -> Any:
    wall, processor, found = timed(call)
    again = min(timed(call)[:2] for _ in range(repeats))
    print(f"{what}, first: {wall:.2f} s, processor {processor:.2f} s; again: {again[0]:.2f} s, {again[1]:.2f} s")
    return found


def beside_fits(dataset: gj.MapDataset, models: gj.Models, maps: gj.SkyMaps, places: Any, spectrum: Any) -> None:
    """TS of the map at pixels beside that of a fit of the norm to the whole dataset."""
    worst = 0.0
    for x, y in places:
        lon, lat = dataset.geom.wcs.wcs_pix2world(x, y, 0)
        point = gj.PointSpatialModel(lon_0=float(lon), lat_0=float(lat))
        whole = gj.Models([*models, gj.SkyModel(spectrum, spatial=point, name="here")])
        fitted = gj.flux_points({"run": dataset}, whole, "here", np.asarray(dataset.energy_edges)[[0, -1]])
        ts = float(maps["ts"][0, y, x])
        worst = max(worst, abs(ts / float(fitted.ts[0]) - 1))
        print(f"  pixel {x}, {y}: TS {ts:.2f}, of a whole fit {float(fitted.ts[0]):.2f}")
    print(f"  differ by at most {100 * worst:.2f} %")


def peer_map(dataset: gj.MapDataset, models: gj.Models, point: gj.SkyModel, ours: gj.SkyMaps) -> None:
    from gammapy.estimators import TSMapEstimator

    theirs = gj.to_gammapy(dataset, name="run")
    theirs.models = gj.to_gammapy(models)
    edges = np.asarray(dataset.energy_edges)[[0, -1]] * u.TeV
    for summed in (True, False):
        estimator = TSMapEstimator(
            gj.to_gammapy(gj.Models([point]))[0],
            kernel_width="0.8 deg",
            energy_edges=edges,
            sum_over_energy_groups=summed,
            selection_optional=["ul"],
        )
        wall, processor, found = timed(partial(estimator.run, theirs))
        print(f"gammapy, energies {'added up' if summed else 'apart'}: {wall:.1f} s, processor {processor:.1f} s")
        root = found["sqrt_ts"].data
        known = np.isfinite(root) & np.isfinite(ours["sqrt_ts"])
        difference = (root - ours["sqrt_ts"])[known]
        print(f"  sqrt_ts differs by {np.mean(difference):+.3f} +- {np.std(difference):.3f}")
        print(
            "  at the sources", ", ".join(f"{root[0, y, x]:.2f} ({ours['sqrt_ts'][0, y, x]:.2f})" for x, y, _ in PLACES)
        )


def simulated(gammapy: bool) -> None:
    dataset = field()
    sources = [source_at(dataset, *place, f"source-{k}") for k, place in enumerate(PLACES)]
    background = gj.Models([gj.FoVBackgroundModel(name="bkg", datasets_names=["run"])])
    point = gj.SkyModel(
        gj.PowerLawSpectralModel(index=2.3, amplitude=1e-12), spatial=gj.PointSpatialModel(), name="point"
    )
    run = gj.fake(jax.random.key(0), dataset, gj.Models([*sources, *background]), name="run")
    print(f"{N} x {N} pixels, {len(EDGES) - 1} energies, {len(sources)} sources, {int(np.sum(run.counts))} counts")
    maps = first_and_again("TS map", lambda: gj.ts_map({"run": run}, background, point))
    beside_fits(run, background, maps, [p[:2] for p in PLACES], point.spectral)
    first_and_again("excess map", lambda: gj.excess_map({"run": run}, background, 0.1))
    if gammapy:
        peer_map(run, background, point, maps)
    roots = []
    for seed in range(4):
        empty = gj.fake(jax.random.key(100 + seed), dataset, background, name="run")
        roots.append(gj.ts_map({"run": empty}, background, point, limits=False)["sqrt_ts"][0, 4::12, 4::12])
    values = np.concatenate([r.ravel() for r in roots])
    print(
        f"four empty fields, {values.size} places of no common window: sqrt_ts {values.mean():+.3f} "
        f"+- {values.std():.3f}, "
        f"Kolmogorov-Smirnov p {kstest(values, 'norm').pvalue:.2f}"
    )


def hess(gammapy: bool) -> None:
    folder = data_folder() / "hess-crab"
    runs = gj.Datasets({run: gj.MapDataset.read(folder / "maps" / f"{run}.fits.gz") for run in RUNS})
    models = gj.Models.read(folder / "crab_joint_ref_models.yaml")
    result = gj.fit(runs, models)
    print(f"four H.E.S.S. runs, {runs[RUNS[0]].geom}: {result.message}")
    crab = result.models["crab"]
    maps = first_and_again("residual map", lambda: gj.residual_map(runs, result, 0.1 * u.deg))
    residual = maps["residual"][0]
    x, y = maps.geom.pixel_grid
    vectors = np.asarray(maps.geom.pixel_to_vector(x, y))
    outside = np.degrees(np.arccos(np.clip(vectors @ np.asarray(crab.spatial.center_vector), -1, 1))) > 0.3
    values = residual[outside & np.isfinite(residual)]
    print(f"  residual significance outside 0.3 deg of the source: {values.mean():+.3f} +- {values.std():.3f}")
    first = gj.Datasets({RUNS[0]: runs[RUNS[0]]})
    maps = first_and_again("TS map of one run", lambda: gj.ts_map(first, result, "crab"))
    lon, lat = (float(np.asarray(p.value)) for p in (crab.spatial.lon_0, crab.spatial.lat_0))
    px, py = (int(np.rint(c)) for c in maps.geom.wcs.wcs_world2pix(lon, lat, 0))
    without = gj.Models([m for m in result.models.acting_on(RUNS[0]) if m.name != "crab"])
    beside = gj.Models([m.replace(datasets_names=None) if hasattr(m, "datasets_names") else m for m in without])
    beside_fits(runs[RUNS[0]], beside, maps, [(px, py), (px + 3, py)], crab.spectral)
    if gammapy:
        print("(gammapy's TSMapEstimator on the same run)")
        from gammapy.estimators import TSMapEstimator

        theirs = gj.to_gammapy(runs[RUNS[0]], name=RUNS[0])
        theirs.models = gj.to_gammapy(without)
        estimator = TSMapEstimator(
            gj.to_gammapy(gj.Models([crab]))[0],
            energy_edges=np.asarray(runs[RUNS[0]].energy_edges)[[0, -1]] * u.TeV,
            kernel_width="0.6 deg",
            sum_over_energy_groups=False,
        )
        wall, processor, _ = timed(lambda: estimator.run(theirs))
        print(f"gammapy: {wall:.1f} s, processor {processor:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gammapy", action="store_true")
    parser.add_argument("--hess", action="store_true")
    args = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (hess if args.hess else simulated)(args.gammapy)


if __name__ == "__main__":
    main()
