"""Light curve of a source with a flare in 100 simulated runs: `gj.light_curve` beside gammapy's estimator.

    python benchmarks/light_curve.py [--gammapy] [--runs 100]

On/off spectra of 28 minutes each, one after the other; the flux rises to five times its quiet value and falls again.
Pulls are differences to the flux that the runs were drawn with, in errors of the side of the truth. Seconds of wall and
processor, first and again.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import astropy.units as u
import jax
import numpy as np

import gammajax as gj

jax.config.update("jax_enable_x64", True)

EDGES = [0.5, 2.0, 20.0] * u.TeV
RUN = 1700.0
PAUSE = 100.0
RISE, FALL, PEAK = 15_000.0, 30_000.0, 4.0


def flare(seconds: np.ndarray, peak_at: float) -> np.ndarray:
    """Flux in units of the quiet one."""
    after = seconds - peak_at
    return 1 + PEAK * np.exp(np.where(after < 0, after / RISE, -after / FALL))


def simulate(n_runs: int) -> tuple[gj.Datasets, gj.Models, np.ndarray]:
    """Runs, the model of the quiet source, and the norm of each run."""
    true, reco = np.geomspace(0.1, 100, 41), np.geomspace(0.2, 50, 25)
    centre = np.sqrt(true[:-1] * true[1:])
    spectrum = gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11)
    empty = gj.SpectrumDatasetOnOff(
        reco,
        acceptance_off=8.0,
        energy_true_edges=true,
        exposure=3e12 * centre / (1 + centre / 3),
        edisp=gj.EDispKernel.from_gauss(true, reco, 0.15),
        livetime=RUN,
    )
    background = 20.0 * (reco[:-1] / reco[0]) ** -1.5
    start = np.arange(n_runs) * (RUN + PAUSE)
    norms = flare(start + RUN / 2, 0.4 * start[-1])
    runs = {}
    for i, key in enumerate(jax.random.split(jax.random.key(1), n_runs)):
        now = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11 * norms[i]), name="source")])
        run = gj.fake(key, empty, now, npred_background=background)
        runs[f"run-{i:03d}"] = run.replace(gti=gj.GTI([start[i]], [start[i] + RUN], 55000.0))
    return gj.Datasets(runs), gj.Models([gj.SkyModel(spectrum, name="source")]), norms


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, processor = time.perf_counter(), time.process_time()
    value = call()
    return time.perf_counter() - wall, time.process_time() - processor, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gammapy", action="store_true")
    parser.add_argument("--runs", type=int, default=100)
    args = parser.parse_args()

    datasets, models, norms = simulate(args.runs)

    def curve() -> gj.LightCurve:
        return gj.light_curve(datasets, models, "source", "run-wise", EDGES)

    print(f"{args.runs} runs, {len(EDGES) - 1} bands")
    wall, processor, found = timed(curve)
    print(f"gammajax, first: {wall:.2f} s, processor {processor:.2f} s")
    wall, processor = min(timed(curve)[:2] for _ in range(5))
    print(f"gammajax, again: {wall * 1e3:.0f} ms, processor {processor * 1e3:.0f} ms")
    difference = np.asarray(found.norm) - norms[:, None]
    pulls = difference / np.where(difference > 0, found.norm_errn, found.norm_errp)
    for band in range(found.n_energies):
        known = pulls[np.isfinite(pulls[:, band]), band]
        print(
            f"  band {band}: pulls {known.mean():+.2f} +- {known.std(ddof=1) / np.sqrt(len(known)):.2f} wide "
            f"{known.std(ddof=1):.2f}, largest {np.abs(known).max():.1f}"
        )
    print(f"  F_var {found.fvar().value}, of the truth {np.std(norms, ddof=1) / np.mean(norms):.3f}")
    print(f"  constancy: chi2 {found.constancy().chi2} for {found.constancy().ndf} degrees of freedom")
    if not args.gammapy:
        return

    from gammapy.datasets import Datasets
    from gammapy.estimators import LightCurveEstimator

    theirs = Datasets([gj.to_gammapy(dataset, name=name) for name, dataset in datasets.items()])
    theirs.models = gj.to_gammapy(models)
    estimator = LightCurveEstimator(energy_edges=EDGES, source="source", selection_optional=["errn-errp", "ul", "scan"])
    wall, processor, peer = timed(lambda: estimator.run(theirs))
    print(f"gammapy: {wall:.1f} s, processor {processor:.1f} s")
    error = peer.norm_err.data[..., 0, 0]
    for name in ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul"):
        off = np.abs(np.asarray(getattr(found, name)) - getattr(peer, name).data[..., 0, 0]) / error
        print(f"  {name} differs by at most {np.nanmax(off):.2g} sigma")


if __name__ == "__main__":
    main()
