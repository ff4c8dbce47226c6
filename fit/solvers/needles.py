"""Needles: starts that put all of a faint source into a few neighbouring bins.

A curved spectrum can become a line of any width at any energy, or rise at an end of the data: of a dozen counts a few
in one bin are as good a source as all of them, so that the statistic has a minimum for every such place, whatever the
parameters are called. Fits to the events of one stretch of energies alone, all other bins of counts being empty, lead
there; from their ends the data as they are decide. Of a source that is bright enough no few bins hold so much that the
rest may be missed.
"""

import jax
import numpy as np
from jaxtyping import PyTree

from ..joint.objective import from_free
from ..joint.problem import Problem
from .scoring import BAD_START, Scoring, initial_state, run_scoring
from .sweeps import fitted_range

FAINT = 150.0
"""Square of the significance of a source up to which it is faint."""

STRETCHES = 12
"""Energies that part the range of the data, evenly in their logarithm; a stretch is from each to the next but one."""

ALONE, LOOK = 20, 8
"""Evaluations of the fit to the events of one stretch alone, and of the look at all the data from there."""

WORTH, MOST = 5.0, 4
"""How far above the lowest statistic such a look may end to be followed, and how many are."""

SHAPES, MOST_PARAMETERS = 2, 12
"""Least number of free parameters of shape with which a spectrum is curved, and most parameters with which this is
tried."""

TOLERANCE = 1e-2
"""Estimated distance to the minimum that is near enough."""


def is_faint(problem: Problem, state: Scoring) -> bool:
    """Whether the significance of all sources together, at the end of a fit, is so low that needles have to be tried.

    That of multiplying all amplitudes by one factor, from the expected curvature: no parametrisation matters.
    """
    scales = np.asarray(problem.arrays["scale_like"].globals, bool)
    if any(np.size(x) for x in state.theta.locals) or not scales.any():
        return False
    if len(scales) > MOST_PARAMETERS or np.sum(~scales) < SHAPES or not _spectra(problem):
        return False
    along = np.where(scales, np.asarray(state.theta.globals, float), 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        squared = float(along @ np.asarray(state.normal.matrix, float) @ along) / 2
    return not squared > FAINT


def _spectra(problem: Problem) -> bool:
    """Whether all data are counts along energy, and nothing else, on one device."""
    datasets = problem.share.held.values()
    given = [(group["data_own"], group["data"] | group["data_own"]) for group in problem.arrays["groups"]]
    return (
        problem.share.processes == 1
        and all(group.spec.mesh is None for group in problem.groups)
        and all(d.has_counts and len(d.data_shape) == 1 for d in datasets)
        and all("counts" in own and "energy_edges" in every for own, every in given)
    )


def needles(problem: Problem, base: np.ndarray, lowest: float) -> tuple[list[np.ndarray], int]:
    """Starts near the minima of few bins, the lowest first, and the evaluations that it took.

    ``base``: where fits to a stretch begin; ``lowest``: the lowest statistic so far.
    """
    spent = 0

    def run(arrays: dict[str, PyTree], start: np.ndarray, limit: int) -> tuple[float, np.ndarray]:
        nonlocal spent
        state = initial_state(problem.spec, from_free(arrays, start.astype(arrays["low"].globals.dtype)))
        tolerance = np.asarray(TOLERANCE, state.stat.dtype)
        state, constant = jax.device_get(run_scoring(problem.spec, arrays, state, tolerance, np.asarray(limit)))
        spent += int(state.evaluations)
        bad = int(state.status) == BAD_START or not np.isfinite(state.stat)
        return np.inf if bad else float(state.stat + constant), problem.to_free(state.theta)

    edges = np.geomspace(*fitted_range(problem), STRETCHES + 1)
    found = []
    for low, high in zip(edges[:-2], edges[2:], strict=True):
        alone = only(problem, low, high)
        if alone is None:
            continue
        stat, start = run(alone, base, ALONE)
        if np.isfinite(stat):
            found.append(run(problem.arrays, start, LOOK))
    found = sorted((end for end in found if end[0] < lowest + WORTH), key=lambda end: end[0])
    return [free for _, free in found[:MOST]], spent


def only(problem: Problem, low: float, high: float) -> dict[str, PyTree] | None:
    """The arrays with no counts in bins whose middle lies outside these energies in TeV; None if none is left."""
    groups, left = [], 0.0
    for group in problem.arrays["groups"]:
        own = group["data_own"]
        edges = np.asarray(own.get("energy_edges", group["data"].get("energy_edges")))
        middle = np.sqrt(edges[..., :-1] * edges[..., 1:])
        counts = np.asarray(own["counts"])
        inside = (middle >= low) & (middle < high)
        there = np.where(inside, counts, 0)
        left += float(np.sum(there, where=np.asarray(own["mask_safe"], bool)))
        groups.append(group | {"data_own": own | {"counts": there}})
    return problem.arrays | {"groups": tuple(groups)} if left > 0 else None
