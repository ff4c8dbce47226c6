"""Good time intervals."""

from collections.abc import Iterable, Mapping

import numpy as np
from astropy import units as u
from astropy.time import Time
from jaxtyping import Float

from .arrays import Array, module_with
from .errors import InputError
from .hints.modules import HintedModule
from .shown import Facts, Shown, number_text, sum_text
from .units import Given, to_unit

REFERENCE = "2000-01-01T00:00:00"

TOUCH = 1e-6
"""Largest gap (s) between intervals that are one: times since references in days are no better known."""

FIELDS = ("start", "stop", "reference")


class GTI(Shown, HintedModule):
    """Good time intervals: ``start`` and ``stop``, shape (n_intervals,), in seconds after ``reference`` (MJD, TT).

    All three may be an astropy Time instead.
    """

    start: Float[Array, " n_intervals"]
    stop: Float[Array, " n_intervals"]
    reference: Float[Array, ""]

    def __init__(self, start: Time | Given, stop: Time | Given, reference: Time | Given | None = None) -> None:
        if reference is None:
            reference = Time(REFERENCE, scale="tt")
        mjd = reference.tt.mjd if isinstance(reference, Time) else reference
        self.reference = to_unit(mjd, "d", "GTI: reference")
        for name, given in (("start", start), ("stop", stop)):
            seconds = seconds_after(self.reference, given) if isinstance(given, Time) else given
            setattr(self, name, to_unit(seconds, "s", f"GTI: {name}"))

    def __check_init__(self) -> None:
        start, stop = np.asarray(self.start), np.asarray(self.stop)
        if start.ndim != 1 or start.shape != stop.shape:
            raise InputError(
                f"GTI: start and stop must be lists of one length, found shapes {start.shape} and {stop.shape}."
            )
        if not np.all(np.isfinite(np.asarray(self.reference))):
            raise InputError(f"GTI: reference must be a finite time, found {self.reference}.")
        if np.any(~np.isfinite(start)) or np.any(~np.isfinite(stop)) or np.any(stop < start):
            raise InputError("GTI: every interval needs a finite start before its stop.")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "GTI | None":
        """The intervals among ``arrays`` (see `to_arrays`), unchecked: they may be traced. None if there are none."""
        if "gti_start" not in arrays:
            return None
        return module_with(cls, {field: arrays[f"gti_{field}"] for field in FIELDS})

    def to_arrays(self) -> dict[str, Array]:
        """Arrays with names of their own."""
        return {f"gti_{field}": getattr(self, field) for field in FIELDS}

    @classmethod
    def union(cls, gtis: "Iterable[GTI]") -> "GTI":
        """All intervals of several, sorted; those that overlap or touch (to a microsecond) become one.

        Times count from the earliest reference. InputError for no GTI at all.
        """
        gtis = list(gtis)
        if not gtis:
            raise InputError("GTI.union: an empty list; give at least one GTI.")
        # an empty one may count from anywhere
        gtis = [g for g in gtis if np.size(g.start)] or gtis
        reference = min(float(g.reference) for g in gtis)
        shifts = [(float(g.reference) - reference) * 86400 for g in gtis]
        start, stop = (
            np.concatenate([np.asarray(getattr(g, end)) + shift for g, shift in zip(gtis, shifts, strict=True)])
            for end in ("start", "stop")
        )
        order = np.lexsort((stop, start))
        start, stop = start[order], stop[order]
        latest = np.maximum.accumulate(stop)
        first = np.ones(start.size, bool)
        first[1:] = start[1:] > latest[:-1] + TOUCH
        last = np.append(first[1:], True)[: start.size]
        return cls(start[first], latest[last], reference)

    @property
    def facts(self) -> Facts:
        found = {"intervals": str(np.size(self.start)), "ontime": f"{sum_text(self.stop - self.start)} s"}
        return found | {"after MJD": number_text(self.reference, 12)}

    @property
    def ontime(self) -> u.Quantity:
        """Sum of the intervals; what lies in two counts twice, see `union`."""
        return u.Quantity(np.sum(np.asarray(self.stop) - np.asarray(self.start)), "s")

    @property
    def time_start(self) -> Time:
        return self._times(self.start)

    @property
    def time_stop(self) -> Time:
        return self._times(self.stop)

    def _times(self, seconds: Array) -> Time:
        return Time(float(self.reference), format="mjd", scale="tt") + np.asarray(seconds) * u.s


def seconds_after(reference: Array, time: Time) -> np.ndarray:
    # large numbers first: the rest keeps its digits
    return np.asarray((time.tt.jd1 - 2400000.5 - float(reference)) + time.tt.jd2) * 86400
