"""Where `gj.fit` spends its time on N simulated spectra: seconds per stage, and the Python profile.

    python benchmarks/fit_stages.py 1000 [--responses own|shared] [--local] [--profile]

Looks inside gammajax, and so goes along with its internals; the other benchmarks use the public functions only.
"""

import argparse
import cProfile
import pstats
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from measure import load, median, repeat, show_time, table
from simulated import simulate, to_gammajax

import gammajax as gj
from gammajax.fit import curvature
from gammajax.fit.fit import _fitted_models
from gammajax.fit.joint import (
    compiled_exact_normal,
    compiled_normal,
    compiled_stat,
    compiled_value_and_grad,
    from_free,
    make_problem,
    parameter_space,
)
from gammajax.fit.solvers import minimise

jax.config.update("jax_enable_x64", True)


def stages(datasets: Any, models: Any) -> dict[str, Callable[[], Any]]:
    """The parts of a fit as functions to call again."""
    problem = make_problem(datasets, models)
    start = from_free(problem.arrays, np.asarray(problem.start(), float))
    state, *_ = minimise(problem.spec, problem.arrays, start, tolerance=1e-8, max_iterations=200)
    theta = state.theta
    exact = compiled_exact_normal(problem.spec)(problem.spec, problem.arrays, theta)
    errors = curvature(problem, theta, exact, state.normal)
    free = problem.to_free(theta)

    def ready(function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        return lambda: jax.block_until_ready(function(problem.spec, problem.arrays, *args))

    return {
        "fit as a whole": lambda: gj.fit(datasets, models),
        "make_problem": lambda: make_problem(datasets, models),
        "  of which parameter_space": lambda: parameter_space(problem.models, datasets.names),
        f"minimise ({int(state.evaluations)} evaluations)": lambda: minimise(
            problem.spec, problem.arrays, start, tolerance=1e-8, max_iterations=200
        ),
        "  one evaluation: statistic, slope, expected curvature": ready(compiled_normal, theta),
        "  for comparison: statistic alone": ready(compiled_stat, free),
        "  for comparison: statistic and gradient": ready(compiled_value_and_grad, free),
        "exact_normal": ready(compiled_exact_normal(problem.spec), theta),
        "curvature": lambda: curvature(problem, theta, exact, state.normal),
        "new models with values and errors": lambda: _fitted_models(problem, free, errors.errors),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", type=int, help="number of spectra")
    parser.add_argument("--responses", choices=("own", "shared"), default="own")
    parser.add_argument("--local", action="store_true", help="free background norm and tilt in each run")
    parser.add_argument("--profile", action="store_true", help="add the Python profile of one fit")
    args = parser.parse_args()
    datasets, models = to_gammajax(simulate(args.n, args.responses, args.local), args.local)
    rows = []
    for name, function in stages(datasets, models).items():
        function()
        times = repeat(function, least=3, most=20, budget=2.0)
        rows.append([name, show_time(min(times)), show_time(median(times))])
    print(f"### Stages of a fit of {args.n} spectra ({args.responses} responses{', local' if args.local else ''})\n")
    print(f"Load average: {load()}\n")
    print(table(["stage", "fastest", "median"], rows) + "\n")
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(gj.fit, datasets, models)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(25)


if __name__ == "__main__":
    main()
