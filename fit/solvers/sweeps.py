"""Sweeps: starts from coarse profiles along the parameters that make several minima.

Along a break the statistic has a minimum for every few bins, and of a sum a second component has one for every way in
which the spectrum bends. With that one parameter held (the energy of the break, the index of the second component) the
rest is a fit with one minimum, as a rule. So it is held at values all over the range of the data, each fit going on
from its neighbour's, and the minima of this profile are the starts. A second component begins with amplitude zero: its
index has no effect there, and the first component is the whole spectrum (a parameter that is present only under the
alternative; Davies 1977, Biometrika 64, 247).
"""

from collections.abc import Hashable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from astropy import units as u

from ...datasets.energies import fitted_energies
from ..joint.objective import from_free
from ..joint.problem import Problem
from .components import by_role
from .globalise import best_members
from .scoring import BAD_START, initial_state, run_scoring

AWAY = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0])
OFFSETS = np.concatenate([-AWAY[::-1], AWAY])
"""Indices of a second component at which it is tried, relative to the first's."""

ENERGIES, WIDER = 16, 1.2
"""Number of energies at which a break is tried, evenly spaced in their logarithm over the range of the data; and the
factor by which one more on either side is outside."""

BEND = 0.7
"""Difference of the indices on both sides of a break at first: where they are equal, a break has no effect."""

EDGE, STEEP = 3, 8.0
"""Energies at either end of the range at which a spectrum may also end, or rise: the outer index differs by so much."""

EVERY = 3
"""One in so many energies is tried with the indices exchanged."""

FIRST, EACH, LOOK, HOPELESS = 30, 12, 5, 30.0
"""Most evaluations of the fit that a sweep begins with, and at each value; after how many of them a start that is not
its neighbour's has to be less far than that above the lowest."""

WORTH = 10.0
"""How far above the lowest minimum of a profile another one may lie to be a start."""

DECISIVE = 50.0
"""How much lower than the straight spectrum a break has to be found for its bend not to be noise of a few bins: then
no other way to bend is tried.
"""

TOLERANCE = 1e-2
"""Estimated distance to the minimum that is near enough."""

MOST = 3
"""Sweeps of a fit; with more parameters of this kind the other starts are scattered."""


NONE = np.zeros(0, int)


class Sweep(NamedTuple):
    """Values at which parameters are held in turn.

    ``places`` (k,) of the parameter among the free ones, one of each of k models alike with datasets of their own;
    ``values`` (n,), ascending. Of sums, values are relative to the index of another component, with the place
    ``beside`` (k,), and the ``amplitudes`` (k,) begin at zero. Of breaks, ``below`` and ``above`` (k,) are the places
    of the indices on either side.
    """

    places: np.ndarray
    values: np.ndarray
    beside: np.ndarray = NONE
    amplitudes: np.ndarray = NONE
    below: np.ndarray = NONE
    above: np.ndarray = NONE


def sweeps(problem: Problem) -> list[Sweep]:
    """The sweeps that the roles of the free parameters ask for; none if they are too many."""
    space, place = problem.space, np.cumsum(problem.space.free) - 1
    low, high = fitted_range(problem)
    rows: dict[Hashable, list[dict[str, int]]] = {}
    grids: dict[Hashable, np.ndarray] = {}
    for number, entry in enumerate(space.models):
        roles_of = [space.roles[i[0]] for i in entry.entries if i is not None and i.size == 1 and space.free[i[0]]]
        if "energy" not in roles_of and roles_of.count("amplitude") < 2:
            continue
        components = by_role(problem, number)
        for name, roles in components.items():
            if "energy" in roles and low > 0:
                index = roles["energy"][0]
                found = {"places": index}
                if len(roles.get("index", [])) > 1:
                    found |= {"below": roles["index"][0], "above": roles["index"][-1]}
                key = ("energy", name.partition(".")[2], entry.definition if space.owner[index] >= 0 else number)
                rows.setdefault(key, []).append(found)
                parameter = space.parameters[index]
                unit = 1.0 if parameter is None else u.Unit("TeV").to(parameter.unit)
                inside = np.geomspace(low, high, ENERGIES + 2)[1:-1]
                grids[key] = np.array([low / WIDER, *inside, high * WIDER]) * unit
        summed = {name: roles for name, roles in components.items() if "amplitude" in roles and "index" in roles}
        # of components that are alike it does not matter which is the second
        for name in {tuple(roles): name for name, roles in summed.items()}.values() if len(summed) > 1 else ():
            index = summed[name]["index"][0]
            other = next(roles for another, roles in summed.items() if another != name)["index"][0]
            key = ("index", name.partition(".")[2], entry.definition if space.owner[index] >= 0 else number)
            rows.setdefault(key, []).append(
                {"places": index, "beside": other, "amplitudes": summed[name]["amplitude"][0]}
            )
            grids[key] = OFFSETS
    if len(rows) > MOST:
        return []
    return [
        Sweep(values=grids[key], **{name: place[[row[name] for row in found]] for name in found[0]})
        for key, found in rows.items()
    ]


def fitted_range(problem: Problem) -> tuple[float, float]:
    """Range of the fitted energies of all datasets in TeV; 0 and 0 if there is none."""

    def mine() -> list[tuple[float, float]]:
        found = (fitted_energies(dataset) for dataset in problem.share.held.values())
        return [ends for ends in found if ends is not None]

    ranges = [r for part in problem.share.collect(mine) for r in part]
    return (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (0.0, 0.0)


def swept(problem: Problem, sweep: Sweep, first: np.ndarray) -> tuple[list[np.ndarray], int]:
    """Starts at the minima of the profile along ``sweep``, the lowest first, and the evaluations that it took."""
    spent, size = 0, len(sweep.values)
    low, high = problem.space.low[problem.space.free], problem.space.high[problem.space.free]

    def run(start: np.ndarray, held: np.ndarray, limit: int) -> tuple[float, np.ndarray]:
        nonlocal spent
        arrays = problem.arrays | problem.held(start, held)
        state = initial_state(problem.spec, from_free(arrays, start.astype(arrays["low"].globals.dtype)))
        tolerance = np.asarray(TOLERANCE, state.stat.dtype)
        state, constant = run_scoring(problem.spec, arrays, state, tolerance, np.asarray(limit))
        # nothing else: it is a small part of what there is
        wanted = state.status, state.evaluations, state.stat, constant, state.theta
        status, evaluations, stat, constant, theta = jax.device_get(wanted)
        spent += int(evaluations)
        bad = int(status) == BAD_START or not np.isfinite(stat)
        return np.inf if bad else float(stat + constant), problem.to_free(theta)

    base, held = np.array(first, float), np.zeros(len(first), bool)
    held[sweep.places], held[sweep.amplitudes] = True, True
    base[sweep.amplitudes] = 0.0
    if not len(sweep.beside):
        base[sweep.places] = sweep.values[size // 2]
        middle = (base[sweep.below] + base[sweep.above]) / 2
        base[sweep.below], base[sweep.above] = middle - BEND / 2, middle + BEND / 2
    _, base = run(np.clip(base, low, high), held, FIRST)
    held[sweep.amplitudes] = False

    def at(k: int, start: np.ndarray, most: int = EACH) -> tuple[float, np.ndarray]:
        start = np.array(start)
        start[sweep.places] = sweep.values[k] + (base[sweep.beside] if len(sweep.beside) else 0.0)
        inside = np.all((start >= low) & (start <= high))
        return run(start, held, most) if inside else (np.inf, base)

    ends: dict[int, tuple[float, np.ndarray]] = {}
    apart = 1 if len(sweep.beside) else 2
    for order in (range(size // 2, size, apart), range(size // 2 - apart, -1, -apart)):
        last = base
        for k in [*order, *({0, size - 1} & {order[-1] + 1, order[-1] - 1})]:
            ends[k] = at(k, last)
            last = ends[k][1] if np.isfinite(ends[k][0]) else base
    # those in between only where the profile is not far above its lowest
    for k in sorted(set(range(size)) - set(ends)):
        near = min((ends[k - 1], ends[k + 1]), key=lambda end: end[0])
        if near[0] < min(end[0] for end in ends.values()) + HOPELESS:
            ends[k] = at(k, near[1])
    known = [ends[k] for k in sorted(ends)]
    found = _minima(known)
    # with the break outside the data: the spectrum without one
    straight, lowest = min(ends[0][0], ends[size - 1][0]), min(end[0] for end in known)
    turned = [] if np.isfinite(straight) and straight > lowest + DECISIVE else _turned(sweep, ends, len(base))
    for start, tried in turned:
        more, worth = [], min(end[0] for end in known) + HOPELESS
        for k in tried:
            end = at(k, start[k], LOOK)
            more.append(at(k, end[1]) if end[0] < worth else end)
        found += _minima(more)
        known += more
    found.sort(key=lambda end: end[0])
    known = [end for end in known if np.isfinite(end[0])]
    if known and any(np.isin(place, sweep.places).any() for place in problem.arrays["places"].locals):
        # no value suits all datasets
        thetas = [from_free(problem.arrays, free) for _, free in known]
        best = min(range(len(known)), key=lambda k: known[k][0])
        found.insert(0, (known[best][0], problem.to_free(best_members(problem, thetas[best], thetas))))
    return [free for stat, free in found if np.isfinite(stat) and stat <= found[0][0] + WORTH], spent


def _minima(ends: list[tuple[float, np.ndarray]]) -> list[tuple[float, np.ndarray]]:
    """Those of a row of ends that are not above their neighbours."""
    stat = np.array([np.inf, *(end[0] for end in ends), np.inf])
    lowest = np.isfinite(stat[1:-1]) & (stat[1:-1] <= stat[:-2]) & (stat[1:-1] < stat[2:])
    return [ends[k] for k in np.flatnonzero(lowest)]


def _turned(
    sweep: Sweep, ends: dict[int, tuple[float, np.ndarray]], size: int
) -> Iterator[tuple[list[np.ndarray], range]]:
    """Other starts along breaks, and the values from which to take them.

    Indices exchanged, for a smooth break bends the one way in which it began; and spectra that end, or rise, at either
    end of the range.
    """
    if not len(sweep.below):
        return
    n = len(sweep.values)
    # of those that were left out the one before
    row = [ends[k if k in ends else k - 1][1] for k in range(n)]
    exchanged = [np.array(free) for free in row]
    for free in exchanged:
        free[sweep.below], free[sweep.above] = free[sweep.above].copy(), free[sweep.below].copy()
    yield exchanged, range(1, n, EVERY)
    for places, outwards in ((sweep.above, 1.0), (sweep.below, -1.0)):
        for sign in (1.0, -1.0):
            steeper = np.zeros(size)
            steeper[places] = STEEP * outwards * sign
            yield [free + steeper for free in row], range(n - EDGE, n) if outwards > 0 else range(EDGE)
