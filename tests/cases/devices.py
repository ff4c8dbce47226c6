"""Joint fits on many devices, for the tests of meshes and processes: a program that prints what it found as JSON.

python devices.py mesh
python devices.py process RANK SIZE PORT
"""

import gc
import importlib
import json
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script too


def compile_quickest():
    """Programs without any optimisation: each runs a few times here."""

    from gammajax.datasets.compile import QUICKEST, Program

    for program in [p for p in gc.get_objects() if isinstance(p, Program)]:
        program._quick.options = QUICKEST


def spectra(gj, n=11, n_reco=8, n_true=8):
    """Spectra with their own exposures, of a source whose index they share; its amplitude belongs to some of them, and
    to each a norm and tilt of the background."""
    rng = np.random.default_rng(1)
    true, reco = np.geomspace(0.1, 100, n_true + 1), np.geomspace(0.2, 50, n_reco + 1)
    middle = np.log(reco[1:] * reco[:-1]) / 2
    response = np.exp(-((middle - np.log(true[1:] * true[:-1])[:, None] / 2) ** 2) / (2 * 0.3**2))
    edisp = gj.EDispKernel(response / response.sum(axis=1, keepdims=True))
    names = [f"run-{i}" for i in range(n)]
    tilted = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0, frozen=False))
    models = gj.Models(
        [
            gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11), name="a", datasets_names=names[:6]),
            gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=4e-11), name="b", datasets_names=names[6:]),
            *[gj.FoVBackgroundModel(tilted, datasets_names=name) for name in names],
        ]
    ).link("a.spectral.index", "b.spectral.index")
    datasets = {}
    for i, name in enumerate(names):
        exposure = 3e12 * rng.uniform(0.7, 1.3) * true[1:] / (1 + true[1:] / 3)
        background = rng.uniform(2000, 4000) * (reco[:-1] / reco[0]) ** -2.2
        flux = (3e-11 if i < 6 else 4e-11) * -np.diff(true**-1.5) / 1.5
        datasets[name] = gj.SpectrumDataset(
            reco,
            energy_true_edges=true,
            exposure=exposure,
            edisp=edisp,
            background=background,
            counts=rng.poisson(background + (exposure * flux) @ np.asarray(edisp.matrix)).astype(float),
        )
    return gj.Datasets(datasets), models


def maps(gj, n=5, free=()):
    """Small maps with a Gaussian source, of whose shape ``free`` is free, and a free norm of the background in each."""
    from cases import maps as cases

    rng = np.random.default_rng(2)
    y, x = np.meshgrid(np.arange(8) - 3.5, np.arange(8) - 3.5, indexing="ij")
    datasets = {}
    for i in range(n):
        empty = cases.small_map(n=8, n_energy=2, background=3 + 0.5 * i)
        bump = np.array([[[30.0]], [[8.0]]]) * np.exp(-(x**2 + y**2) / 16)
        datasets[f"run-{i}"] = empty.replace(counts=rng.poisson(np.asarray(empty.background) + bump).astype(float))
    model = cases.source(gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1))
    models = gj.Models([model, *[gj.FoVBackgroundModel(datasets_names=k) for k in datasets]])
    shape = {f"source.spatial.{k}" for k in ("lon_0", "lat_0", "sigma")}
    return gj.Datasets(datasets), models.freeze(*(shape - set(free)))


def numbers(result):
    """What two fits of the same data have to agree on."""
    parameters = {k: (float(result.parameters[k].value), float(result.parameters[k].error)) for k in result.free_names}
    return {
        "status": result.status,
        "stat": result.stat,
        "iterations": result.iterations,
        "n_bins": result.n_bins,
        "parameters": parameters,
    }


def on_meshes():
    """A fit of spectra on eight devices, in batches; the normal equations of spectra on one, two and four of them, and
    of maps on two; what a step on eight sends around; a fit of five maps on as many devices as it takes by itself, and
    on one."""
    import jax
    from jax.sharding import Mesh

    import gammajax as gj

    minimise = importlib.import_module("gammajax.fit.solvers.minimise")
    from gammajax.fit.joint import compiled_normal, from_free, make_problem, slopes_of
    from gammajax.fit.solvers import initial_state, run_scoring

    compile_quickest()
    # so that there are steps of Newton's
    minimise.PATIENCE = 3

    def on(n):
        return Mesh(np.array(jax.devices()[:n]), ("datasets",)) if n else None

    def step(case, n, batch_size):
        problem = make_problem(*case, mesh=on(n), batch_size=batch_size)
        at = from_free(problem.arrays, problem.start())
        stat, normal = compiled_normal(problem.spec, problem.arrays, at)
        slope = problem.to_free(slopes_of(normal, at))
        return [float(stat), *slope.tolist(), *np.asarray(normal.matrix).ravel().tolist()]

    runs, some_maps = spectra(gj), maps(gj)
    found = {"fits": [numbers(gj.fit(*runs)), numbers(gj.fit(*runs, mesh=on(8), batch_size=1))]}
    found["spectra"] = [step(runs, 0, None), step(runs, 1, None), step(runs, 2, 2), step(runs, 4, None)]
    found["maps"] = [step(some_maps, 0, None), step(some_maps, 2, None)]
    problem = make_problem(*runs, mesh=on(8))
    state = initial_state(problem.spec, from_free(problem.arrays, problem.start()))
    lowered = run_scoring._quick.lower(problem.spec, problem.arrays, state, np.asarray(1e-8), np.asarray(20))
    # no trace of the fit before it: the step above has compiled what prepares maps
    found["spread"] = [numbers(gj.fit(*some_maps)), numbers(gj.fit(*some_maps, mesh=on(1)))]
    found["spread_over"] = make_problem(*some_maps, spread=True).mesh.size
    found["hlo"] = [line for line in lowered.compile().as_text().splitlines() if "channel_id=" in line]
    found["n_global"], found["n_shared"] = problem.spec.n_global, problem.spec.groups[0].n_shared
    print(json.dumps(found))


def in_process(rank, size, port):
    """The same fit in several processes, each with every ``size``-th dataset, the fourth in all; and two mistakes."""
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", size, rank)
    from jax.sharding import Mesh

    import gammajax as gj

    compile_quickest()
    mesh = Mesh(np.array(jax.devices()), ("datasets",))
    datasets, models = spectra(gj)
    # held by both: the fourth
    mine = datasets.select([k for i, k in enumerate(datasets.names) if i % size == rank or i == 3])
    found = {"together": numbers(gj.fit(mine, models, mesh=mesh, batch_size=2))}
    if rank == 0:
        found["alone"] = numbers(gj.fit(datasets, models))
    other = models.with_values({"a.spectral.index": 2.0 + rank})
    odd = {"run-0": datasets[rank], **{k: datasets[k] for k in datasets.names[1:]}}
    for what, given in {"models": (datasets, other), "dataset": (odd, models)}.items():
        try:
            gj.fit(*given, mesh=mesh)
        except gj.InputError as error:
            found[what] = str(error)
    print(json.dumps(found))


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    devices = 8 if kind == "mesh" else 2
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}".strip()
    )
    import jax

    jax.config.update("jax_enable_x64", True)
    if kind == "mesh":
        on_meshes()
    else:
        in_process(*map(int, rest))
