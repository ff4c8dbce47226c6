"""Good time intervals."""

from typing import Any

import equinox as eqx
import numpy as np
from astropy import units as u
from astropy.time import Time

from .errors import InputError
from .parameter import frozen_array

REFERENCE = "2000-01-01T00:00:00"


class GTI(eqx.Module):
    """Good time intervals: ``start`` and ``stop``, shape (n_intervals,), in seconds after ``reference`` (MJD, TT)."""

    start: Any
    stop: Any
    reference: Any

    def __init__(self, start: Any, stop: Any, reference: Any = None):
        if reference is None:
            reference = Time(REFERENCE, scale="tt")
        self.reference = frozen_array(reference.tt.mjd if isinstance(reference, Time) else reference)
        self.start = frozen_array(start.to_value("s") if isinstance(start, u.Quantity) else start)
        self.stop = frozen_array(stop.to_value("s") if isinstance(stop, u.Quantity) else stop)

    def __check_init__(self):
        start, stop = np.asarray(self.start), np.asarray(self.stop)
        if start.ndim != 1 or start.shape != stop.shape:
            raise InputError(
                f"GTI: start and stop must be lists of one length, found shapes {start.shape} and {stop.shape}."
            )
        if np.any(~np.isfinite(start)) or np.any(~np.isfinite(stop)) or np.any(stop < start):
            raise InputError("GTI: every interval needs a finite start before its stop.")

    @property
    def ontime(self) -> u.Quantity:
        """Sum of the intervals."""
        return u.Quantity(np.sum(np.asarray(self.stop) - np.asarray(self.start)), "s")

    @property
    def time_start(self) -> Time:
        return self._times(self.start)

    @property
    def time_stop(self) -> Time:
        return self._times(self.stop)

    def _times(self, seconds: Any) -> Time:
        return Time(float(self.reference), format="mjd", scale="tt") + np.asarray(seconds) * u.s
