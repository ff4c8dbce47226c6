"""Arrival times of events: within good time intervals, along a light curve."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels.programs import programs
from ..arrays import Array, Numbers
from ..errors import InputError
from ..gti import GTI
from ..models.temporal.base import TemporalModel
from ..models.temporal.builtin import ConstantTemporalModel
from .draw import between, pick

CELLS = 16384
"""Cells of time into which the good time intervals are divided for a light curve."""

RESOLVED = 1e-2
"""Difference of a cell's mean from that of its ends, in units of the largest mean, up to which cells are even."""

BLOCK = 8192
"""Times at which a light curve is evaluated at once: one program for all blocks."""


Times = Float[Array, " n_times"]
"""Times in s after the reference of good time intervals."""


def check_gti(gti: GTI | None, what: str) -> GTI:
    """The intervals, or an `InputError` where events could have no time."""
    if gti is None or np.size(gti.start) == 0 or not float(gti.ontime.value) > 0:
        found = "has no good time intervals" if gti is None or np.size(gti.start) == 0 else "has intervals of no length"
        raise InputError(f"{what}: the dataset {found}, so that events have no times. Give gti=GTI(start, stop).")
    return gti


def draw_times(
    rng: np.random.Generator, gti: GTI, temporal: TemporalModel | None, bins: np.ndarray, energy: np.ndarray
) -> np.ndarray:
    """Times of events in s after the reference of ``gti``, (n_events,).

    Without a light curve they are uniform. Else they follow its integrals over cells of time, and within a cell its
    values where these change a lot (rejection). ``bins`` (n_events,) are the true-energy bins of the events and
    ``energy`` (n_true,) their centres in TeV, for light curves that depend on energy.
    """
    start, stop = np.asarray(gti.start), np.asarray(gti.stop)
    if temporal is None or isinstance(temporal, ConstantTemporalModel):
        return _uniform(rng, start, stop, bins.size)
    low, high = _cells(start, stop)
    reference = float(gti.reference)
    depends = temporal.is_energy_dependent
    means = _blocks(_mean, temporal, reference, low, high, energy=jnp.asarray(energy) if depends else None)
    means, rows = (means.T, bins) if depends else (means[None], np.zeros(bins.size, int))
    if not np.all(np.isfinite(means)) or np.min(means) < 0:
        raise InputError(
            f"{type(temporal).__name__}: the light curve is negative or not finite within the good time intervals, "
            f"found a mean of {np.min(means):.3g} over {(high - low)[0]:.3g} s. Change its parameters."
        )
    cells = pick(rng, means * (high - low), rows)
    cells = np.where(cells < 0, 0, cells)
    times = low[cells] + rng.random(cells.size) * (high - low)[cells]
    if depends:
        return times

    def value(at: np.ndarray) -> np.ndarray:
        return _blocks(_value, temporal, reference, at)

    ends = (value(low) + value(high)) / 2
    if np.all(np.abs(ends - means[0]) <= RESOLVED * means.max()):
        return times
    # pulses shorter than a cell: by rejection, below the highest of many values
    bound = max(float(value(low + rng.random(low.size) * (high - low)).max()), float(ends.max()))
    open_ = np.arange(times.size)
    while open_.size:
        open_ = open_[rng.random(open_.size) * bound > value(times[open_])]
        times[open_] = low[cells[open_]] + rng.random(open_.size) * (high - low)[cells[open_]]
    return times


def _uniform(rng: np.random.Generator, start: np.ndarray, stop: np.ndarray, n: int) -> np.ndarray:
    intervals = pick(rng, (stop - start)[None], np.zeros(n, int))
    return between(rng, np.stack([start, stop], 1).ravel(), 2 * intervals)


def _cells(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of cells of time, all about as long; none crosses the end of an interval."""
    length = stop - start
    start, stop, length = start[length > 0], stop[length > 0], length[length > 0]
    number = np.maximum(np.ceil(CELLS * length / length.sum()).astype(int), 1)
    first = np.repeat(np.cumsum(number) - number, number)
    index = np.arange(number.sum()) - first
    step = np.repeat(length / number, number)
    low = np.repeat(start, number) + index * step
    return low, np.minimum(low + step, np.repeat(stop, number))


def _blocks(
    function: Callable[..., Numbers],
    temporal: TemporalModel,
    reference: float,
    *times: np.ndarray,
    **rest: Array | None,
) -> np.ndarray:
    """A function of times, block by block: one program for any number of them."""
    n = times[0].size
    if n == 0:
        return np.zeros(0)
    padded = [np.append(t, np.full(-n % BLOCK, t[-1])).reshape(-1, BLOCK) for t in times]
    found = [np.asarray(function(temporal, reference, *block, **rest)) for block in zip(*padded, strict=True)]
    return np.concatenate(found)[:n]


@programs()
def _mean(
    temporal: TemporalModel, reference: float, low: Times, high: Times, energy: Float[jax.Array, " n_true"] | None
) -> Numbers:
    return temporal.value_mean(temporal.days_after(low, reference), temporal.days_after(high, reference), energy)


@programs()
def _value(temporal: TemporalModel, reference: float, times: Times) -> Numbers:
    return temporal.value(temporal.days_after(times, reference))
