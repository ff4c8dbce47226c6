"""Events drawn from a map dataset, gammapy and gammajax in one process.

    python benchmarks/events.py [--no-gammapy] [--repeats 5]

A real run of 60 x 60 pixels and 16 x 27 energy bins with a Gaussian source of increasing flux and its background, and
migration tables in place of its matrices, from which gammapy cannot draw.
Times are those of complete lists: true and reconstructed directions, energies, times, and for gammajax the selection.
gammapy draws in its default bunches of 10,000 events, and makes no detector coordinates.
"""

import argparse
import importlib.util
import time
import warnings
from typing import Any

import jax
import numpy as np
from measure import data_folder, load, median, seconds_of, show_time, table

import gammajax as gj

jax.config.update("jax_enable_x64", True)


def scene(amplitude: float) -> tuple[gj.MapDataset, gj.Models]:
    dataset = gj.MapDataset.read(data_folder() / "hess-crab" / "maps" / "obs_23523.fits.gz")
    edisp = gj.EDispMap.from_gauss(dataset.energy_true_edges, np.linspace(0.2, 5, 161), 0.15)
    dataset = dataset.replace(edisp=edisp)
    spatial = gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1)
    source = gj.SkyModel(gj.PowerLawSpectralModel(index=2.6, amplitude=amplitude), name="source", spatial=spatial)
    return dataset, gj.Models([source, gj.FoVBackgroundModel(name="bkg", datasets_names="run")])


def ours(dataset: gj.MapDataset, models: gj.Models, repeats: int) -> tuple[int, float, float]:
    start = time.perf_counter()
    events = gj.sample_events(jax.random.key(0), dataset, models, "run")
    first = time.perf_counter() - start
    times = [
        seconds_of(lambda k=k: gj.sample_events(jax.random.key(k), dataset, models, "run"))[0] for k in range(repeats)
    ]
    return len(events), first, median(times)


def gammapys(dataset: gj.MapDataset, models: gj.Models, repeats: int) -> float:
    from gammapy.datasets import MapDatasetEventSampler

    peer: Any = gj.to_gammapy(dataset, name="run")
    peer.models = gj.to_gammapy(models)

    def draw(seed: int) -> None:
        sampler = MapDatasetEventSampler(random_state=seed)
        events = sampler.sample_sources(peer)
        events = sampler.sample_psf(peer.psf, events)
        sampler.sample_edisp(peer.edisp, events)
        sampler.sample_background(peer)

    draw(0)
    return median([seconds_of(lambda k=k: draw(k))[0] for k in range(repeats)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-gammapy", dest="gammapy", action="store_false")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    gammapy = args.gammapy and importlib.util.find_spec("gammapy") is not None
    warnings.simplefilter("ignore")
    print(f"Load before: {load()}")
    rows = []
    for amplitude in (4e-11, 1e-8, 4e-8):
        dataset, models = scene(amplitude)
        n, first, again = ours(dataset, models, args.repeats)
        peer = gammapys(dataset, models, max(args.repeats // 2, 1)) if gammapy else np.nan
        rows.append([f"{n:,}", show_time(first), show_time(again), show_time(peer) if np.isfinite(peer) else ""])
    print(table(["events", "first call", "median", "gammapy, median"], rows))
    print(f"Load after: {load()}")


if __name__ == "__main__":
    main()
