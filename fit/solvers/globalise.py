"""Several starts for fits whose statistic may have several minima.

No damping leads out of the basin in which a fit begins: a cutoff or a break at the wrong energy, or two components that
have become one, is a minimum by itself. Other starts, scattered in a fixed way about the first or at the minima of a
coarse profile (``sweeps``), lie in other basins. They run one after another in the program that is compiled already,
and the lowest end counts.
"""

from typing import Literal

import numpy as np

from ...datasets.errors import InputError
from ...datasets.models.parameter import SCALING
from ...datasets.models.sky_model import SkyModel
from ..joint.arrowhead import Theta
from ..joint.cutoffs import cutoff_pairs
from ..joint.objective import compiled_member_stats
from ..joint.problem import Problem
from ..result import Minima
from .components import by_role, components
from .solution import Solution

Starts = int | Literal["auto"]
"""How many starts a fit takes; "auto" lets the models decide."""

SCATTER: dict[str, tuple[str, float]] = {
    "index": ("add", 0.7),
    "energy": ("factor", 10.0),
    "cutoff": ("factor", 10.0),
    "rate": ("factor", 10.0),
    "exponent": ("factor", 1.6),
}
"""By role, how far another start is from the first: a difference, or a factor."""

SEVERAL_MINIMA = ("energy", "cutoff", "rate", "exponent", "coefficient")
"""Roles of free parameters with which the statistic of a spectrum may have several minima."""

FADED = 1e-3
"""Share of its start below which an amplitude has faded."""

GONE = 1e-3
"""Share of its error below which it is gone."""

AUTO = 4
"""Starts where the models say that there may be several minima, or where the first fit ended badly; twice as many where
a spectrum is a sum."""

HARDLY, INSIDE = 1e-3, 0.3
"""Share of its amplitude with which a source is hardly there, and of a deficit that is far from using up a bin."""

MOST = 16

SIGNS = np.array([[(-1) ** bin(row & column).count("1") for column in range(MOST)] for row in range(MOST)])
"""Signs of the steps along each parameter (columns) of each start (rows): Hadamard's matrix, orthogonal patterns."""


def check_starts(starts: Starts) -> None:
    """Raise an `InputError` unless ``starts`` is a positive number or "auto"."""
    whole = isinstance(starts, int | np.integer) and not isinstance(starts, bool)
    if starts != "auto" and not (whole and 1 <= starts <= MOST):
        raise InputError(f"fit: starts must be 'auto' or a number from 1 to {MOST}, found {starts!r}.")


def automatic(problem: Problem) -> int:
    """How many starts a fit takes whose first one ended well, as far as the roles of the free parameters tell.

    The statistic may have several minima along cutoffs and breaks, and more if a spectrum has two free amplitudes.
    """
    space = problem.space
    roles = [role if free else "" for role, free in zip(space.roles, space.free.tolist(), strict=True)]
    if roles.count("amplitude") > 1 and any(
        sum(roles[index[0]] == "amplitude" for index in entry.entries if index is not None and index.size) > 1
        for entry in space.models
    ):
        return 2 * AUTO
    return 1 if set(roles).isdisjoint(SEVERAL_MINIMA) else AUTO


def scattered(problem: Problem, free: np.ndarray, number: int, ended: np.ndarray | None = None) -> np.ndarray:
    """Another start than ``free`` (n,), inside the bounds; ``number`` counts from 1.

    Parameters that are not scattered (amplitudes, places, backgrounds) begin where the first fit ``ended``. In every
    second pair of starts components of a sum are subtracted from each other.
    """
    space = problem.space
    start = np.array(free, float)
    if ended is not None and np.all(np.isfinite(ended)):
        roles = [space.roles[i] for i in space.free_index]
        stays = np.array([role not in SCATTER for role in roles])
        # next to nothing is no place to begin from
        faded = np.array([role in SCALING for role in roles]) & (np.abs(ended) < FADED * np.abs(start))
        start[stays & ~faded] = ended[stays & ~faded]
    signs = iter(np.roll(SIGNS[number % MOST], -1).tolist() * (1 + len(start) // MOST))
    for place, index in enumerate(space.free_index):
        role = space.roles[index]
        if role in SCATTER:
            kind, size = SCATTER[role]
            sign = next(signs)
            if role == "rate":
                # a negative one is a spectrum that rises for ever
                start[place] = abs(start[place])
            start[place] = start[place] * size**sign if kind == "factor" else start[place] + sign * size
    for coefficient, exponent in cutoff_pairs(problem.space):
        place = int(np.searchsorted(space.free_index, coefficient))
        before = float(space.values[exponent])
        after = float(start[np.searchsorted(space.free_index, exponent)]) if space.free[exponent] else before
        if free[place] > 0 and before > 0 < after:
            sign = next(signs)
            # beyond the largest number no fit begins
            with np.errstate(over="ignore", under="ignore", divide="ignore"):
                start[place] = (free[place] ** (-1 / before) * SCATTER["cutoff"][1] ** sign) ** -after
    if number % 4 in (2, 3):
        base = ended if ended is not None and np.all(np.isfinite(ended)) else free
        for amplitudes, indices in _sums(problem):
            total = float(np.sum(base[amplitudes]))
            total = total if total > 0 else float(np.sum(np.abs(free[amplitudes])))
            first = (np.arange(len(amplitudes)) + number) % 2 == 0
            start[amplitudes] = np.where(first, 2 * total, -total)
            if len(indices) == len(amplitudes):
                spread = SCATTER["index"][1] / 2
                start[indices] = np.mean(base[indices]) + np.where(np.arange(len(indices)) % 2 == 0, spread, -spread)
    return np.clip(start, space.low[space.free], space.high[space.free])


def _sums(problem: Problem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Free amplitudes of spectra that are sums, where they may be negative, and their free indices, as places.

    Two components of one sign bend a spectrum upwards and merge where it bends downwards: one has to be subtracted from
    the other, and which one of the two is a choice between minima.
    """
    space, found = problem.space, []
    for entry in space.models:
        of_role: dict[str, list[int]] = {"amplitude": [], "index": []}
        for item, index in zip(entry.items, entry.entries, strict=True):
            if item.kind == "parameter" and index is not None and space.free[index[0]]:
                of_role.get(space.roles[index[0]], []).append(int(index[0]))
        amplitudes = of_role["amplitude"]
        if len(amplitudes) > 1 and np.all(space.low[amplitudes] < 0):
            places = [np.searchsorted(space.free_index, np.array(x, int)) for x in (amplitudes, of_role["index"])]
            found.append((places[0], places[1]))
    return found


def revived(problem: Problem, first: np.ndarray, ended: np.ndarray, curvature: np.ndarray) -> np.ndarray | None:
    """Another start for components that have faded to next to nothing; None if there are none.

    Their shapes are those of ``first``, their amplitudes one error by the ``curvature`` (n,) of the free parameters. A
    step too long in the shape of a component (a width of 2 deg) makes its amplitude fade, as a start at 1e-30 does, and
    without an amplitude nothing leads back.
    """
    low, high = problem.space.low[problem.space.free], problem.space.high[problem.space.free]
    error = np.sqrt(2 / np.where(curvature > 0, curvature, np.nan))
    # zero at a bound is an answer
    gone = (np.abs(ended) < GONE * error) & (ended > low) & (ended < high)
    if not np.all(np.isfinite(ended)) or not gone.any():
        return None
    start = np.array(ended)
    for _, scales, shapes in components(problem):
        if len(scales) and len(shapes) and np.all(gone[scales]):
            start[scales], start[shapes] = error[scales], first[shapes]
    start = np.clip(start, low, high)
    return None if np.array_equal(start, ended) else start


def hardly_there(problem: Problem, first: np.ndarray) -> np.ndarray:
    """A start with the shapes of ``first`` (n,) and hardly any flux, from where amplitudes find the sign of their own.

    An amplitude of the wrong sign, or one too large, crosses zero with all shapes on their way, and what is a deficit
    of counts becomes one of a single bin.
    """
    start = np.where(_amplitudes(problem), HARDLY * np.abs(first), first)
    return np.clip(start, problem.space.low[problem.space.free], problem.space.high[problem.space.free])


def away_from_nothing(problem: Problem, suited: np.ndarray) -> np.ndarray:
    """The same with amplitudes below zero reduced, so that no bin is near to where nothing is predicted."""
    return np.where(_amplitudes(problem) & (suited < 0), INSIDE * suited, suited)


def is_deficit(problem: Problem, ended: np.ndarray) -> bool:
    """Whether an amplitude is below zero at the end of a fit: there may be other such ends, of less bins or of more."""
    return bool(np.any(_amplitudes(problem) & (ended < 0)))


def _amplitudes(problem: Problem) -> np.ndarray:
    """Which free parameters scale sources: amplitudes, and norms of templates, which have no other."""
    scales = np.array([problem.space.roles[i] == "amplitude" for i in problem.space.free_index], bool)
    for number, model in enumerate(problem.models.models):
        for roles in by_role(problem, number).values() if isinstance(model, SkyModel) else ():
            if "norm" in roles and "amplitude" not in roles:
                scales[np.searchsorted(problem.space.free_index, roles["norm"])] = True
    return scales


def best_members(problem: Problem, best: Theta, others: list[Theta]) -> Theta:
    """``best`` with the local parameters of each dataset from that of ``others`` that suits it best.

    Datasets have minima of their own, and no start is the best of all of them.
    """
    stats = [compiled_member_stats(problem.spec, problem.arrays, theta) for theta in others]
    locals_ = []
    for number in range(len(best.locals)):
        chosen = np.argmin(np.array([np.asarray(s[number]) for s in stats]), axis=0)
        values = np.array([np.asarray(theta.locals[number]) for theta in others])
        locals_.append(values[chosen, np.arange(len(chosen))])
    return best._replace(locals=tuple(locals_))


SAME = 1e-3
"""Difference of the statistic up to which two ends are one minimum."""


def distinct(stats: list[float]) -> Minima:
    """The distinct minima among the ends of several starts."""
    found: list[list[float]] = []
    for stat in sorted(s for s in stats if np.isfinite(s)):
        if found and stat - found[-1][0] <= SAME:
            found[-1].append(stat)
        else:
            found.append([stat])
    return Minima(tuple(f[0] for f in found), tuple(len(f) for f in found))


def joined(solution: Solution, stats: list[float]) -> Minima:
    """What several starts led to: those of the ``solution``, and more ends of these statistics."""
    minima = solution.minima or Minima((solution.stat,), (1,))
    before = [s for stat, count in zip(minima.stats, minima.counts, strict=True) for s in [stat] * count]
    return distinct([*before, *stats])
