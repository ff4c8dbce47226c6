"""Runs of a source whose flux changes, with their times."""

import numpy as np

import gammajax as gj

REFERENCE = 55000.0

DAYS = (0.1, 0.13, 1.05, 1.2, 4.3)
"""Starts of the runs after `REFERENCE`, MJD (TT)."""

LENGTH = 1500.0

FLUXES = (1.0, 1.3, 4.0, 2.0, 0.7)
"""Of each run, in units of that of `spectrum_factory`."""


def runs(spectrum_factory, **options):
    found = {}
    for i, (day, flux) in enumerate(zip(DAYS, FLUXES, strict=True)):
        run = spectrum_factory(i, amplitude=3e-11 * flux, **options)
        start = 86400 * day
        # two intervals with a pause
        gti = gj.GTI([start, start + 800], [start + 700, start + LENGTH], REFERENCE)
        found[f"run-{i}"] = run.replace(gti=gti)
    return gj.Datasets(found)


def curve(seed=0, n_times=12, n_energies=2, **changes):
    """A light curve of known errors, without any fit."""
    rng = np.random.default_rng(seed)
    edges = np.geomspace(1, 10, n_energies + 1)
    error = rng.uniform(0.05, 0.2, (n_times, n_energies))
    norm = 1 + 0.5 * np.sin(np.arange(n_times))[:, None] + error * rng.normal(size=error.shape)
    low, high = np.tile(edges[:-1], n_times), np.tile(edges[1:], n_times)
    fields = {
        "norm": norm.ravel(),
        "norm_err": error.ravel(),
        "norm_errn": 0.9 * error.ravel(),
        "norm_errp": 1.1 * error.ravel(),
        "norm_ul": (norm + 2 * error).ravel(),
        "sqrt_ts": (norm / error).ravel(),
        "ts": (norm / error).ravel() ** 2,
    }
    points = gj.FluxPoints(
        energy_ref=np.sqrt(low * high),
        energy_min=low,
        energy_max=high,
        dnde_ref=1e-12 / (low * high),
        flux_ref=1e-12 * (1 / low - 1 / high),
        eflux_ref=1e-12 * np.log(high / low),
        **fields | changes,
    )
    start = REFERENCE + np.arange(n_times) + 0.1 * (np.arange(n_times) % 3)
    return gj.LightCurve(start, start + 0.02, points)
