"""Lists of events: what is kept of each, and the files of them."""

from typing import TYPE_CHECKING

import equinox as eqx
import numpy as np
from astropy.time import Time
from jaxtyping import Float, Int

from ...kernels.time_scales import SECONDS_PER_DAY
from ..arrays import Array, frozen_array
from ..errors import InputError
from ..gti import GTI
from ..hints.modules import HintedModule
from ..io.fits import naming
from ..io.paths import Filename
from ..meta import Meta
from ..shown import Facts, Shown
from ..units import to_unit, whole_numbers
from .files import EXPECTED, event_fields, events_table, flawed, write_events

if TYPE_CHECKING:
    from astropy.table import Table

Column = Float[Array, " n_events"]

UNITS = {
    "energy": "TeV",
    "time": "s",
    "lon": "deg",
    "lat": "deg",
    "energy_true": "TeV",
    "lon_true": "deg",
    "lat_true": "deg",
}
"""Columns of events that are numbers with a unit."""


class EventList(Shown, HintedModule):
    """Events, one entry each in arrays of shape (n_events,), in the order of their times.

    Quantities are converted, bare numbers are in the units given here.

    ``energy``: TeV. ``time``: s after the reference of ``gti`` (MJD, TT). ``lon``, ``lat``: ICRS, deg; None for events
    of a spectrum, which have no direction. ``energy_true``, ``lon_true``, ``lat_true``: before the response acted, NaN
    for events that have no such (background). ``mc_id``: number of the model that an event comes from, 0 for the
    background; ``meta["models"]`` has their names by number. Fields other than energy and time may be None.
    """

    energy: Column
    time: Column
    gti: GTI | None
    lon: Column | None = None
    lat: Column | None = None
    energy_true: Column | None = None
    lon_true: Column | None = None
    lat_true: Column | None = None
    mc_id: Int[Array, " n_events"] | None = None
    meta: Meta = eqx.field(default_factory=Meta)

    def __post_init__(self) -> None:
        for name, unit in UNITS.items():
            # of the background nothing is known before the response
            masked = np.nan if name.endswith("_true") else None
            setattr(self, name, to_unit(getattr(self, name), unit, f"EventList: {name}", masked))
        if self.mc_id is not None:
            self.mc_id = frozen_array(whole_numbers(self.mc_id, "EventList: mc_id"), int)

    def __check_init__(self) -> None:
        n = np.shape(self.energy)
        for name in (*UNITS, "mc_id"):
            value = getattr(self, name)
            if value is not None and (np.shape(value) != n or len(n) != 1):
                raise InputError(f"EventList: {name} has shape {np.shape(value)}, expected one number an event, {n}.")
        for field, values in flawed(self.energy, self.lat).items():
            if values.any():
                first = int(np.argmax(values))
                raise InputError(
                    f"EventList: {field} of event {first} is {np.asarray(getattr(self, field))[first]}, expected "
                    f"{EXPECTED[field]} ({int(values.sum())} such events). Leave them out."
                )
        if (self.lon is None) != (self.lat is None):
            raise InputError("EventList: lon and lat belong together; one of them is missing.")

    @property
    def facts(self) -> Facts:
        low, high = (float(f(np.asarray(self.energy), initial=np.nan)) for f in (np.nanmin, np.nanmax))
        return {"events": str(len(self)), "energy": f"{low:.6g} to {high:.6g} TeV"}

    def __len__(self) -> int:
        return int(np.size(self.energy))

    def __getitem__(self, chosen: slice | np.ndarray | list[int]) -> "EventList":
        """The events of a slice, a mask or an array of indices."""
        if isinstance(chosen, int | np.integer):
            raise InputError("EventList: give a slice, a mask or an array of indices; fields are columns.")
        try:
            np.zeros(len(self))[chosen]
        except (IndexError, TypeError, ValueError) as error:
            raise InputError(
                f"EventList: {error}. Expected a slice, a mask of shape ({len(self)},) or an array of indices."
            ) from error
        others = {name: getattr(self, name) for name in (*UNITS, "mc_id") if name not in ("energy", "time")}
        columns = {name: None if values is None else np.asarray(values)[chosen] for name, values in others.items()}
        energy, time = np.asarray(self.energy)[chosen], np.asarray(self.time)[chosen]
        return EventList(energy, time, self.gti, **columns, meta=self.meta)

    @property
    def times(self) -> Time:
        """Times of the events (TT)."""
        if self.gti is None:
            raise InputError("EventList: without gti the times count from nowhere. Give gti=GTI(start, stop).")
        days = np.asarray(self.time) / SECONDS_PER_DAY
        return Time(np.full(len(self), float(self.gti.reference)), days, format="mjd", scale="tt")

    def table(self) -> "Table":
        """An `astropy.table.Table` with the columns of the GADF event list; see `events_table`."""
        return events_table(self)

    def write(self, filename: Filename, overwrite: bool = False) -> None:
        """Write a GADF event list with its good time intervals; see `write_events`."""
        write_events(self, filename, overwrite)

    @classmethod
    def read(cls, filename: Filename) -> "EventList":
        """Read a GADF event list; see `files.event_fields`."""
        with naming(filename):
            return cls(**event_fields(filename))
