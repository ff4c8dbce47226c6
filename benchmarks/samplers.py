"""NUTS of numpyro and of blackjax on ``like.whitened(result)``: effective samples per second of processor time.

    python benchmarks/samplers.py [--samples 1000] [--warmup 300] [--chains 2] [--no-maps]

The joint Crab posterior of three parameters, the same with a bound 0.3 sigma from the best value, and the 13 parameters
of a point source and the backgrounds of four H.E.S.S. maps. Compilation is not part of the times: the samplers run once
before. Means and widths are compared with the fit; of the bounded posterior with the samples of the other one that lie
inside. numpyro and blackjax are needed: ``pip install -e ".[samplers]"``.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import blackjax
import jax
import numpy as np
from joint_crab import Gammajax
from measure import MODEL_START, data_folder, load, table
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

import gammajax as gj

jax.config.update("jax_enable_x64", True)

HEADER = (
    "posterior", "sampler", "parameters", "fewest effective samples", "processor (s)", "effective / s", "divergences",
    "mean off by (sigma)", "width off by",
)  # fmt: skip

Draws = tuple[np.ndarray, int, float]
"""Samples (chains, samples, n) of the density, divergences, seconds of processor time."""


def by_numpyro(density: Any, warmup: int, samples: int, chains: int) -> Draws:
    kernel = NUTS(potential_fn=lambda z: -density.log_prob(z))
    mcmc = MCMC(
        kernel, num_warmup=warmup, num_samples=samples, num_chains=chains, chain_method="sequential", progress_bar=False
    )
    start = np.broadcast_to(density.initial, (chains, len(density.names))) if chains > 1 else density.initial
    for seed in (0, 1):
        began = time.process_time()
        mcmc.run(jax.random.key(seed), init_params=jax.numpy.asarray(start), extra_fields=("diverging",))
        z = np.asarray(mcmc.get_samples(group_by_chain=True))
        seconds = time.process_time() - began
    return z, int(np.sum(mcmc.get_extra_fields()["diverging"])), seconds


def by_blackjax(density: Any, warmup: int, samples: int, chains: int) -> Draws:
    def one(density: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        adapt, sample = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, density.log_prob)
        (state, parameters), _ = adaptation.run(adapt, density.initial, num_steps=warmup)
        step = blackjax.nuts(density.log_prob, **parameters).step

        def draw(state: Any, key: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            state, info = step(key, state)
            return state, (state.position, info.is_divergent)

        return jax.lax.scan(draw, state, jax.random.split(sample, samples))[1]

    run = jax.jit(one)
    found: list[Any] = []
    for seed in (0, 1):
        began = time.process_time()
        keys = jax.random.split(jax.random.key(seed), chains)
        found = [jax.block_until_ready(run(density, key)) for key in keys]
        seconds = time.process_time() - began
    z, diverging = (np.stack([np.asarray(f[i]) for f in found]) for i in (0, 1))
    return z, int(diverging.sum()), seconds


SAMPLERS: dict[str, Callable[[Any, int, int, int], Draws]] = {"numpyro": by_numpyro, "blackjax": by_blackjax}


def crab_maps() -> tuple[gj.Datasets, gj.Models]:
    """Four H.E.S.S. maps with a point source, and norm and tilt of the background of each: 13 parameters."""
    folder = data_folder() / "hess-crab" / "maps"
    maps = gj.Datasets({f"run-{i}": gj.MapDataset.read(path) for i, path in enumerate(sorted(folder.glob("obs_*")))})
    spectrum = gj.LogParabolaSpectralModel(reference=1.0, **MODEL_START)
    source = gj.SkyModel(spectrum, name="crab", spatial=gj.PointSpatialModel(lon_0=83.63, lat_0=22.01))
    norm = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0, frozen=False))
    return maps, gj.Models([source, *(gj.FoVBackgroundModel(norm, datasets_names=name) for name in maps.names)])


def report(case: str, sampler: str, draws: Draws, theta: np.ndarray, mean: np.ndarray, width: np.ndarray) -> list[str]:
    """One row: ``theta`` (chains, samples, n) against means and widths."""
    z, divergences, seconds = draws
    ess = np.array([effective_sample_size(z[..., i]) for i in range(z.shape[-1])])
    off = np.abs(theta.mean((0, 1)) - mean) / width
    wide = np.abs(theta.std((0, 1)) / width - 1)
    return [
        case,
        sampler,
        str(z.shape[-1]),
        f"{ess.min():.0f} of {z.shape[0] * z.shape[1]}",
        f"{seconds:.1f}",
        f"{ess.min() / seconds:.0f}",
        str(divergences),
        f"{off.max():.3f}",
        f"{100 * wide.max():.1f} %",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000, help="samples of each chain")
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--no-maps", action="store_true")
    parser.add_argument("--only", choices=tuple(SAMPLERS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # fit ranges inside bins, said once for each spectrum
    print(f"Load average {load()}; {arguments.chains} chains of {arguments.samples} after {arguments.warmup}.\n")
    crab = Gammajax()
    problems = {"joint Crab": (crab.datasets, gj.Models([gj.SkyModel(
        gj.LogParabolaSpectralModel(reference=1.0, **MODEL_START), name="crab")]))}  # fmt: skip
    if not arguments.no_maps:
        problems["four H.E.S.S. maps"] = crab_maps()
    samplers = {n: s for n, s in SAMPLERS.items() if arguments.only in (None, n)}
    rows: list[list[str]] = []
    how = (arguments.warmup, arguments.samples, arguments.chains)
    for case, (datasets, models) in problems.items():
        result = gj.fit(datasets, models)
        assert result.success, result.message
        like = gj.likelihood(datasets, result.models)
        best = np.asarray(like.initial)
        errors = np.sqrt(np.diag(result.covariance))
        for name, sampler in samplers.items():
            density = like.whitened(result)
            draws = sampler(density, *how)
            free = np.asarray(density.to_theta(draws[0]))
            rows.append(report(case, name, draws, free, best, errors))
            if case == "joint Crab":
                edge = best[1] - 0.3 * errors[1]
                bounded = result.models.with_parameter(like.names[1], min=edge)
                cut = gj.likelihood(datasets, bounded).whitened(result)
                draws = sampler(cut, *how)
                inside = free[free[..., 1] > edge]
                theta = np.asarray(cut.to_theta(draws[0]))
                rows.append(report(f"{case}, bound", name, draws, theta, inside.mean(0), inside.std(0)))
            print(table(HEADER, rows), "\n", flush=True)


if __name__ == "__main__":
    main()
