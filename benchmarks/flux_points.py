"""Flux points of the Crab: `gj.flux_points` beside gammapy's estimator on the same data, models and bands.

    python benchmarks/flux_points.py [--gammapy] [--maps | --joint | --fermi]

Four H.E.S.S. spectra; with ``--joint`` all ten spectra of the joint Crab, with ``--maps`` the four H.E.S.S. maps, with
``--fermi`` the Fermi-LAT cube of the Crab; and with ``--gammapy`` the FluxPointsEstimator of gammapy
2.1 too, with asymmetric errors and limits, as here. Seconds of wall and processor, first and again.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import astropy.units as u
import jax
import numpy as np
from measure import MODEL_START, data_folder, fit_range, joint_crab_files

import gammajax as gj

jax.config.update("jax_enable_x64", True)

EDGES = [0.7, 1, 1.5, 2.5, 4, 6, 10, 30] * u.TeV
RUNS = ("obs_23523", "obs_23526", "obs_23559", "obs_23592")


JOINT_EDGES = np.geomspace(0.03, 30, 10) * u.TeV
FERMI_EDGES = [0.01, 0.03, 0.1, 0.3, 2] * u.TeV


def spectra(joint: bool) -> tuple[gj.Datasets, gj.Models]:
    found = {}
    for name, path in joint_crab_files().items():
        if joint or name.startswith("hess"):
            low, high = fit_range(name)
            dataset = gj.SpectrumDatasetOnOff.read(path)
            found[name] = dataset.with_mask_fit(energy_min=low, energy_max=high, round_to_edge=False)
    return gj.Datasets(found), gj.Models([gj.SkyModel(gj.LogParabolaSpectralModel(**MODEL_START), name="crab")])


def maps() -> tuple[gj.Datasets, gj.Models]:
    folder = data_folder() / "hess-crab"
    runs = {run: gj.MapDataset.read(folder / "maps" / f"{run}.fits.gz").replace(source_grid="pixel") for run in RUNS}
    return gj.Datasets(runs), gj.Models.read(folder / "crab_joint_ref_models.yaml")


def fermi() -> tuple[gj.Datasets, gj.Models]:
    folder = data_folder() / "fermi-3fhl-crab"
    cube = gj.MapDataset.read(folder / "Fermi-LAT-3FHL_data_Fermi-LAT.fits").replace(source_grid="pixel")
    return gj.Datasets({"Fermi-LAT": cube}), gj.Models.read(folder / "Fermi-LAT-3FHL_models.yaml")


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, processor = time.perf_counter(), time.process_time()
    value = call()
    return time.perf_counter() - wall, time.process_time() - processor, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gammapy", action="store_true")
    which = parser.add_mutually_exclusive_group()
    for name in ("--maps", "--joint", "--fermi"):
        which.add_argument(name, action="store_true")
    args = parser.parse_args()

    datasets, models = maps() if args.maps else fermi() if args.fermi else spectra(args.joint)
    edges = FERMI_EDGES if args.fermi else JOINT_EDGES if args.joint else EDGES
    source = "Crab Nebula" if args.fermi else "crab"
    result = gj.fit(datasets, models)
    print(
        f"{len(datasets)} {'maps' if args.maps or args.fermi else 'spectra'}, {len(edges) - 1} bands: {result.message}"
    )
    wall, processor, points = timed(lambda: gj.flux_points(datasets, result, source, edges))
    print(f"gammajax, first: {wall:.2f} s, processor {processor:.2f} s")
    again = [timed(lambda: gj.flux_points(datasets, result, source, edges))[:2] for _ in range(5)]
    wall, processor = min(again)
    print(f"gammajax, again: {wall * 1e3:.0f} ms, processor {processor * 1e3:.0f} ms")
    if not args.gammapy:
        return

    from gammapy.datasets import Datasets
    from gammapy.estimators import FluxPointsEstimator

    theirs = Datasets([gj.to_gammapy(dataset, name=name) for name, dataset in datasets.items()])
    theirs.models = gj.to_gammapy(result.models)
    estimator = FluxPointsEstimator(energy_edges=edges, source=source, selection_optional=["errn-errp", "ul"])
    wall, processor, found = timed(lambda: estimator.run(theirs))
    print(f"gammapy: {wall:.1f} s, processor {processor:.1f} s")
    table = found.to_table(sed_type="likelihood")
    known = np.asarray(table["success"], bool)
    error = np.asarray(table["norm_err"], float)[known]
    for name in ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul"):
        difference = np.asarray(getattr(points, name))[known] - np.asarray(table[name], float)[known]
        print(f"  {name} differs by at most {np.max(np.abs(difference) / error):.2g} sigma")


if __name__ == "__main__":
    main()
