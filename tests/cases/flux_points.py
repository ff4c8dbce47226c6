"""Flux points for tests: a Crab-like spectrum with limits, points without errors, and scans."""

import numpy as np

import gammajax as gj

EDGES = np.geomspace(0.3, 30, 13)
ENERGY = np.sqrt(EDGES[:-1] * EDGES[1:])
N = len(ENERGY)
INDEX, AMPLITUDE = 2.4, 3.5e-11
NAN = np.nan


def power_law(index=INDEX, amplitude=AMPLITUDE, **options):
    spectrum = gj.PowerLawSpectralModel(index=index, amplitude=amplitude)
    return gj.Models([gj.SkyModel(spectrum, name="m", **options)])


def columns(seed=0):
    """Norms with errors of 10 % and more: the last two points are limits, the fourth is NaN."""
    rng = np.random.default_rng(seed)
    reference = 1e-12 * ENERGY**-2.0
    true = AMPLITUDE * ENERGY**-INDEX / reference
    error = true * np.geomspace(0.08, 0.4, N)
    norm = true + error * rng.normal(size=N)
    low, high = 0.9 * error, 1.15 * error
    is_ul = np.arange(N) >= N - 2
    norm[3] = NAN
    scan = norm[:, None] * np.linspace(0.2, 2.5, 11)
    rise = (scan - norm[:, None]) / np.where(scan > norm[:, None], high[:, None], low[:, None])
    fields = {
        "norm": norm, "norm_err": error, "norm_errn": low, "norm_errp": high, "norm_ul": true * 1.5, "is_ul": is_ul,
        "stat": np.full(N, 7.0), "stat_scan": 7.0 + rise**2 + 0.1 * np.abs(rise) ** 3, "norm_scan": scan,
        "ts": np.where(is_ul, 1.0, 50.0),
    }  # fmt: skip
    flux = {"flux_ref": 1e-12 * (1 / EDGES[:-1] - 1 / EDGES[1:]), "eflux_ref": 1e-12 * np.log(EDGES[1:] / EDGES[:-1])}
    return {
        "energy_ref": ENERGY, "energy_min": EDGES[:-1], "energy_max": EDGES[1:], "dnde_ref": reference, **flux, **fields
    }  # fmt: skip


def points(seed=0, **changes):
    return gj.FluxPoints(**(columns(seed) | changes))


def second_differences(function, n, step=0.02):
    """Slope (n,) and Hessian (n, n) at zero of a function of n numbers, by central differences."""
    at = step * np.eye(n)
    slope = np.array([float(function(a)) - float(function(-a)) for a in at]) / (2 * step)
    hessian = np.array([
        [float(function(a + b) - function(a - b) - function(b - a) + function(-a - b)) / (4 * step**2) for b in at]
        for a in at
    ])  # fmt: skip
    return slope, hessian


def dataset(stat_type="chi2", seed=0, **changes):
    return gj.FluxPointsDataset(points(seed, **changes), stat_type=stat_type)
