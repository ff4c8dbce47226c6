"""Fits with instrument models beside the same fits without them: time, and what they find.

    python benchmarks/instrument.py [--spectra 100 300 1000] [--maps]

Simulated spectra with an energy scale each; with ``--maps`` the four H.E.S.S. runs on the Crab with an exposure and a
width of the point spread function each (GAMMAJAX_TEST_DATA names the folder of the data).
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from measure import load, table

import gammajax as gj

jax.config.update("jax_enable_x64", True)

TRUE, RECO = np.geomspace(0.1, 100, 49), np.geomspace(0.3, 50, 25)
PRIOR = gj.GaussianPrior(mu=1, sigma=0.1)


def spectra(n: int) -> gj.Datasets:
    """Runs of one source whose energies are off by a tenth, up or down."""
    rng = np.random.default_rng(1)
    exposure = 3e12 * np.sqrt(TRUE[1:] * TRUE[:-1]) ** 0.5
    source = gj.SkyModel(
        gj.LogParabolaSpectralModel(amplitude=3.8e-11, alpha=2.4, beta=0.1, reference=1.0), name="crab"
    )
    edisp, off = gj.EDispKernel.from_gauss(TRUE, RECO, 0.15), rng.normal(0, 0.1, n)
    runs = {}
    for i, scale in enumerate(off):
        shifted = gj.EDispKernel.from_gauss(TRUE, RECO, 0.15 * (1 + scale), scale)
        run = gj.SpectrumDataset(RECO, TRUE, exposure=exposure, edisp=shifted, background=np.geomspace(3, 0.1, 24))
        runs[f"run-{i}"] = gj.fake(jax.random.key(i), run, source).replace(edisp=edisp)
    return gj.Datasets(runs)


def scales(names: tuple[str, ...], of: str) -> list[gj.InstrumentModel]:
    free = gj.Parameter(1.0, prior=PRIOR)
    return [gj.InstrumentModel(energy_scale=free, name=f"i-{n}", datasets_names=n, energy_scale_of=of) for n in names]


def timed(fit: Callable[[], gj.FitResult], repeats: int = 5) -> tuple[float, float, float, gj.FitResult]:
    """Seconds of the first call, of the fastest of the others, and processor seconds of that."""
    began = time.perf_counter()
    result = fit()
    first = time.perf_counter() - began
    best = (np.inf, np.inf)
    for _ in range(repeats):
        began, used = time.perf_counter(), time.process_time()
        result = fit()
        best = min(best, (time.perf_counter() - began, time.process_time() - used))
    return first, *best, result


def row(name: str, found: tuple[float, float, float, gj.FitResult]) -> list[str]:
    first, warm, cpu, result = found
    free = len(result.parameters.free)
    return [name, str(free), f"{first:.2f}", f"{warm:.3f}", f"{cpu:.3f}", str(result.iterations), str(result.status)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, nargs="*", default=[100, 300, 1000])
    parser.add_argument("--maps", action="store_true")
    args = parser.parse_args()
    print(f"Load average at the start: {load()}\n")
    rows = []
    source = gj.SkyModel(
        gj.LogParabolaSpectralModel(amplitude=3.5e-11, alpha=2.3, beta=0.1, reference=1.0), name="crab"
    )
    for n in args.spectra:
        runs = spectra(n)
        cases = {"without": [source]} | {of: [source, *scales(runs.names, of)] for of in ("dispersion", "response")}
        for name, models in cases.items():
            made = gj.Models(models)
            rows.append(row(f"{n} spectra, {name}", timed(lambda runs=runs, made=made: gj.fit(runs, made))))
    if args.maps:
        folder = Path(os.environ["GAMMAJAX_TEST_DATA"]) / "hess-crab" / "maps"
        maps = gj.Datasets({p.name.split(".")[0]: gj.MapDataset.read(p) for p in sorted(folder.glob("*.fits.gz"))})
        crab = gj.SkyModel(
            gj.LogParabolaSpectralModel(amplitude=4.5e-11, alpha=2.2, beta=0.25, reference=1.0),
            name="crab",
            spatial=gj.PointSpatialModel(lon_0=83.618, lat_0=22.0236),
        )
        tilted = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0))
        backgrounds = [gj.FoVBackgroundModel(tilted, datasets_names=n) for n in maps.names]
        free = gj.Parameter(1.0, prior=PRIOR)
        for name, parts in {
            "without": (),
            "exposure": ("exposure",),
            "exposure and width of the PSF": ("exposure", "psf_width"),
        }.items():
            factors = dict.fromkeys(parts, free)
            extra = [gj.InstrumentModel(**factors, name=f"i-{n}", datasets_names=n) for n in maps.names if parts]
            made = gj.Models([crab, *backgrounds, *extra])
            rows.append(row(f"four H.E.S.S. maps, {name}", timed(lambda made=made: gj.fit(maps, made))))
    print(table(["fit", "free", "first (s)", "warm (s)", "processor (s)", "iterations", "status"], rows))


if __name__ == "__main__":
    main()
