"""Bins of time, and which datasets lie in them by their good time."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from astropy.time import Time
from jaxtyping import Float

from ...datasets.counts.dataset import CountsDataset
from ...datasets.errors import InputError, listed, warn
from ...datasets.gti import TOUCH
from ...datasets.units import Given, number_in, to_unit

TimeEdges: TypeAlias = Time | Given | Sequence[Time] | str
"""Edges of bins of time, see `time_bins`."""

TOLERANCE = TOUCH / 86400
"""Days by which good time may reach out of a bin: times in MJD are no better known."""

FULL_TURN = 360.0


class TimeBins(NamedTuple):
    """Bins with datasets in them: start and stop (n,) in MJD (TT), in order, and the place of each dataset that lies
    in one, by name."""

    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]
    place: dict[str, int]


def time_bins(datasets: Mapping[str, CountsDataset], time_edges: TimeEdges, longitude: Given, what: str) -> TimeBins:
    """Bins that hold datasets, each with all of its good time; an `InputError` that begins with ``what`` for none.

    ``time_edges``: "run-wise", "night-wise", edges (n + 1,), or starts and stops (n, 2); see `light_curve`. Datasets
    with good time on both sides of an edge are left out with a warning, those outside of all bins without; bins that
    hold no dataset are left out.
    """
    spans = {name: _span(dataset, f"{what}: {name}") for name, dataset in datasets.items()}
    if isinstance(time_edges, str):
        kinds = {
            "run-wise": lambda found: _runs(found, what),
            "night-wise": lambda found: _nights(found, longitude, what),
        }
        if time_edges not in kinds:
            raise InputError(
                f"{what}: time_edges must be 'run-wise', 'night-wise' or times, found {time_edges!r}. Of text make "
                "times: astropy.time.Time([...])."
            )
        low, high = kinds[time_edges](spans)
    else:
        low, high = _intervals(time_edges, what)
    late = np.flatnonzero(low[1:] < high[:-1] - TOLERANCE)
    if late.size:
        i = int(late[0])
        raise InputError(
            f"{what}: bins of time overlap, MJD {low[i]:.6f} to {high[i]:.6f} and {low[i + 1]:.6f} to "
            f"{high[i + 1]:.6f}. Give bins that do not, or 'run-wise', which joins runs that overlap."
        )
    place, cut = {}, []
    for name, (start, stop) in spans.items():
        inside = np.flatnonzero((start >= low - TOLERANCE) & (stop <= high + TOLERANCE))
        if inside.size:
            place[name] = int(inside[0])
        elif np.any((start < high - TOLERANCE) & (stop > low + TOLERANCE)):
            cut.append(name)
    if cut:
        noon = ", or the longitude of the telescopes" if isinstance(time_edges, str) else ""
        warn(
            f"{what}: {len(cut)} of {len(spans)} datasets have good time in a bin and outside of it, and are left out: "
            f"{listed(cut)}. Give edges that lie between runs{noon}."
        )
    if not place:
        first, last = min(s[0] for s in spans.values()), max(s[1] for s in spans.values())
        raise InputError(
            f"{what}: no dataset lies in a bin of time with all of its good time. Datasets reach from MJD {first:.6f} "
            f"to {last:.6f} (TT), bins from {low[0]:.6f} to {high[-1]:.6f}. Give other time_edges."
        )
    used = np.unique(list(place.values()))
    return TimeBins(low[used], high[used], {name: int(np.searchsorted(used, i)) for name, i in place.items()})


def _span(dataset: CountsDataset, what: str) -> tuple[float, float]:
    """First start and last stop of the good time, MJD (TT)."""
    gti = dataset.gti
    if gti is None or not np.size(gti.start):
        raise InputError(
            f"{what}: the dataset has no good time intervals, which say when it was taken. Give them: "
            "dataset.replace(gti=gj.GTI([0.0], [1680.0], Time('2004-12-04T22:08:00'))), with start and stop in s."
        )
    start, stop = float(np.min(np.asarray(gti.start))), float(np.max(np.asarray(gti.stop)))
    if stop <= start:
        raise InputError(
            f"{what}: its good time is no longer than 0 s. Correct it: "
            "dataset.replace(gti=gj.GTI(start, stop, reference))."
        )
    return float(gti.reference) + start / 86400, float(gti.reference) + stop / 86400


def _runs(spans: Mapping[str, tuple[float, float]], what: str) -> tuple[np.ndarray, np.ndarray]:
    """One bin for each dataset; those that overlap share theirs, of which a warning tells unless their times are equal,
    as of event types of one run."""
    names = sorted(spans, key=spans.__getitem__)
    groups: list[list[str]] = []
    last = -np.inf
    for name in names:
        start, stop = spans[name]
        if start < last - TOLERANCE:
            groups[-1].append(name)
        else:
            groups.append([name])
        last = max(last, stop)
    ends = [np.array([spans[name] for name in group]) for group in groups]
    low, high = np.array([own[:, 0].min() for own in ends]), np.array([own[:, 1].max() for own in ends])
    unequal = [group for group, own in zip(groups, ends, strict=True) if np.any(np.ptp(own, axis=0) > TOLERANCE)]
    if unequal:
        warn(
            f"{what}: {sum(map(len, unequal))} datasets overlap in time, and share {len(unequal)} bins, in which they "
            f"are fitted jointly: {'; '.join(listed(group) for group in unequal[:3])}{'; ...' * (len(unequal) > 3)}. "
            "For a point of each make a light curve of those that do not overlap, and another of the rest: "
            "datasets.select(names)."
        )
    return low, high


def _nights(spans: Mapping[str, tuple[float, float]], longitude: Given, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Bins from noon to noon of all days with good time, of the mean solar time at a longitude."""
    east = number_in(longitude, "deg", f"{what}: longitude")
    if not np.isfinite(east):
        raise InputError(f"{what}: longitude must be finite, found {east}.")
    # noon lies at half a day of MJD in UTC, and earlier in the east
    shift = 0.5 - east / FULL_TURN
    starts = Time([start for start, _ in spans.values()], format="mjd", scale="tt").utc.mjd
    days = np.unique(np.floor(starts - shift)) + shift
    noons = [Time(days + step, format="mjd", scale="utc").tt.mjd for step in (0.0, 1.0)]
    return noons[0], noons[1]


def _intervals(given: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Start and stop of bins from edges (n + 1,), or from pairs (n, 2), in MJD (TT)."""
    if isinstance(given, Sequence) and any(isinstance(t, Time) for t in given):
        if not all(isinstance(t, Time) for t in given) or len({t.shape for t in given}) > 1:
            raise InputError(f"{what}: time_edges must be times of one kind: edges, or pairs of start and stop.")
        times = np.array([t.tt.mjd for t in given])
    else:
        numbers = to_unit(given.tt.mjd if isinstance(given, Time) else given, "d", f"{what}: time_edges")
        times = np.asarray(numbers, float)
    if times.ndim == 1 and len(times) > 1:
        times = np.stack([times[:-1], times[1:]], axis=1)
    if times.ndim != 2 or times.shape[1] != 2 or not len(times):
        raise InputError(
            f"{what}: time_edges has shape {times.shape}, expected edges (n + 1,), or starts and stops (n, 2)."
        )
    if not np.all(np.isfinite(times)) or np.any(times[:, 1] <= times[:, 0]):
        raise InputError(
            f"{what}: time_edges must be finite, each stop after its start, found MJD "
            f"{np.array2string(times.ravel())}. Give edges that rise."
        )
    times = times[np.argsort(times[:, 0], kind="stable")]
    return times[:, 0], times[:, 1]
