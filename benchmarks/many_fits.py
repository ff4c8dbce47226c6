"""Memory and programs of a process that fits for days: a thousand fits of one kind, of spectra and of maps.

    python benchmarks/many_fits.py --fits 1000

The maps are of one size; width and position of the source, and the counts, are others each time.
"""

import argparse
import gc
import time
from pathlib import Path

import jax
import numpy as np

import gammajax as gj
from gammajax.kernels import programs

jax.config.update("jax_enable_x64", True)
EDGES = [1.0, 2.0, 4.0, 8.0]


def resident() -> float:
    """MB of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def n_programs() -> int:
    """Compiled programs that are kept."""
    held = [getattr(clear, "__self__", None) for clear in programs._kept]
    return sum(program.count() for program in held if isinstance(program, programs.Programs))


def spectrum() -> gj.SpectrumDatasetOnOff:
    """An on/off spectrum without counts."""
    data = {"acceptance": 1, "acceptance_off": 5, "exposure": [2e12] * 3, "livetime": 1800.0}
    return gj.SpectrumDatasetOnOff(EDGES, counts=[0] * 3, counts_off=[20, 10, 5], **data)


def of_spectra(run: gj.SpectrumDatasetOnOff, rng: np.random.Generator) -> None:
    """Simulate and fit one spectrum."""
    model = gj.PowerLawSpectralModel(index=rng.uniform(1.8, 2.6), amplitude=f"{rng.uniform(2, 4)}e-11 cm-2 s-1 TeV-1")
    models = gj.Models([gj.SkyModel(model, name="crab")])
    gj.fit({"run": gj.fake(jax.random.key(int(rng.integers(2**31))), run, models)}, models, starts=1)


def sky() -> gj.MapDataset:
    """A map of 20 x 20 pixels and three energies, with a PSF."""
    geom = gj.SkyGeom.create((83.6, 22.0), 0.1, npix=20)
    return gj.MapDataset(
        geom,
        EDGES,
        background=np.full((3, 20, 20), 0.3),
        exposure=np.full((3, 20, 20), 2e13),
        psf=gj.PSFMap.from_gauss(EDGES, 0.08),
        livetime=1800.0,
    )


def of_maps(run: gj.MapDataset, rng: np.random.Generator) -> None:
    """Simulate and fit one map."""
    place = gj.GaussianSpatialModel(
        lon_0=83.6 + rng.uniform(-0.3, 0.3), lat_0=22 + rng.uniform(-0.3, 0.3), sigma=rng.uniform(0.05, 0.3)
    )
    models = gj.Models(
        [gj.SkyModel(gj.PowerLawSpectralModel(amplitude="3e-11 cm-2 s-1 TeV-1"), spatial=place, name="crab")]
    )
    gj.fit({"run": gj.fake(jax.random.key(int(rng.integers(2**31))), run, models)}, models, starts=1)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--fits", type=int, default=1000)
parser.add_argument("--kinds", nargs="*", default=["spectra", "maps"])
arguments = parser.parse_args()
for kind, make, once in (("spectra", spectrum, of_spectra), ("maps", sky, of_maps)):
    if kind not in arguments.kinds:
        continue
    data, rng, began = make(), np.random.default_rng(1), time.process_time()
    for n in range(1, arguments.fits + 1):
        once(data, rng)
        if n in (10, 20, 50, 100, 200, 300, 500, 700, 1000) or n == arguments.fits:
            gc.collect()
            print(
                f"{kind}: {n} fits, {resident():.0f} MB, {n_programs()} programs, "
                f"{time.process_time() - began:.0f} s of processor time",
                flush=True,
            )
