"""Event lists as tables and files in the GADF form: an EVENTS and a GTI table.

https://gamma-astro-data-formats.readthedocs.io/en/v0.3/events/events.html
"""

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from astropy import units as u

from ..arrays import Array, is_known
from ..errors import InputError, warn
from ..gti import GTI, seconds_after
from ..io.fits import FitsFile, naming, table_hdu, to_bytes
from ..io.gti_table import TIME_CARDS, gti_hdu, read_gti, reference_time
from ..io.paths import Filename, as_path, write_files
from ..meta import Meta

if TYPE_CHECKING:
    from astropy.table import Table


COLUMNS = (
    ("TIME", "D", "time", "s"),
    ("ENERGY", "D", "energy", "TeV"),
    ("RA", "D", "lon", "deg"),
    ("DEC", "D", "lat", "deg"),
    ("ENERGY_TRUE", "D", "energy_true", "TeV"),
    ("RA_TRUE", "D", "lon_true", "deg"),
    ("DEC_TRUE", "D", "lat_true", "deg"),
    ("MC_ID", "J", "mc_id", None),
)
"""Columns of the table: name, FITS format, field of the event list, unit."""

CARDS = ("OBS_ID", "TELESCOP", "INSTRUME", "OBJECT", "OBS_MODE", "RA_PNT", "DEC_PNT", "ALT_PNT", "AZ_PNT")
"""Cards of the header that are read into the event list's ``meta`` and written from there."""


class Events(Protocol):
    """What is written of an `EventList`, which stands on this file: fields (n,), by the names of `COLUMNS`."""

    @property
    def gti(self) -> GTI | None: ...
    @property
    def meta(self) -> Meta: ...
    def __len__(self) -> int: ...


def events_table(events: Events) -> "Table":
    """An `astropy.table.Table` with the columns EVENT_ID, TIME (s after MJDREFI + MJDREFF), ENERGY (TeV), RA, DEC.

    Simulated events also have ENERGY_TRUE, RA_TRUE, DEC_TRUE (NaN for background) and MC_ID. ``meta`` holds the header.
    """
    from astropy.table import QTable, Table

    table = QTable({"EVENT_ID": np.arange(1, len(events) + 1)}, meta=_header(events))
    for name, values, unit in _columns(events):
        table[name] = np.array(values) if unit is None else u.Quantity(values, unit)
    return Table(table)


EXPECTED = {"energy": "positive energies", "lat": "latitudes from -90 to 90 deg"}
"""What the columns of an event list hold, or NaN: not known."""


def flawed(energy: Array, lat: Array | None) -> dict[str, np.ndarray]:
    """Which events there cannot be, (n_events,), by the column that says so."""
    found = {"energy": np.asarray(energy) <= 0} if is_known(energy) else {}
    return found if lat is None or not is_known(lat) else found | {"lat": np.abs(np.asarray(lat)) > 90 + 1e-6}


def write_events(events: Events, filename: Filename, overwrite: bool = False) -> None:
    """Write a FITS file with the HDUs EVENTS and GTI, whole or not at all.

    RA and DEC, which the format demands, are NaN for events of a spectrum. The pointing is that of the observation,
    where the dataset had one, else the middle of the map. Raises InputError for an existing file unless ``overwrite``,
    and for events without good time intervals.
    """
    if events.gti is None:
        raise InputError(f"{filename}: events without good time intervals have no times. Give gti=GTI(start, stop).")
    columns: list[tuple[str, str, np.ndarray, str | None]] = [("EVENT_ID", "K", np.arange(1, len(events) + 1), None)]
    formats = {name: form for name, form, _, _ in COLUMNS}
    found = {name: (values, unit) for name, values, unit in _columns(events)}
    for name in ("RA", "DEC"):
        found.setdefault(name, (np.full(len(events), np.nan), "deg"))
    columns += [(name, formats[name], *found[name]) for name, *_ in COLUMNS if name in found]
    hdus = [table_hdu("EVENTS", columns, _header(events)), gti_hdu(events.gti)]
    write_files({as_path(filename): to_bytes(hdus)}, overwrite)


def event_fields(filename: Filename) -> dict[str, Any]:
    """Constructor arguments of a GADF event list with its good time intervals (None where there is no GTI table).

    Times are converted to seconds after the reference of the intervals. Of the header ``meta`` keeps the cards
    `CARDS`, LIVETIME (as ``livetime``), and the names of the models by MC_ID.
    """
    file = FitsFile(filename)
    table = file.table("EVENTS")
    with naming(file):
        gti = read_gti(file.table("GTI")) if "GTI" in file else None
        fields: dict[str, Any] = {
            field: table.column(name, unit) if unit else table.column(name).astype(int)
            for name, _, field, unit in COLUMNS
            if name in table
        }
        for name in ("TIME", "ENERGY"):
            if name not in table:
                table.raw(name)
        if all(np.all(np.isnan(fields.get(field, np.nan))) for field in ("lon", "lat")) and len(table) > 0:
            fields = {name: values for name, values in fields.items() if name not in ("lon", "lat")}
        if gti is not None:
            reference = reference_time({key: table.card(key, None) for key in TIME_CARDS}, table.where)
            fields["time"] = fields["time"] + seconds_after(gti.reference, reference)
        for name, values in fields.items():
            if values.ndim != 1:
                raise InputError(f"{table.where}: {name} has shape {values.shape}, expected one number an event.")
        # of simulated events nothing else need be known
        known = [~np.isfinite(fields[name]) for name in ("energy", "time", "lon", "lat") if name in fields]
        bad = np.any([*flawed(fields["energy"], fields.get("lat")).values(), *known], axis=0)
        if bad.any():
            warn(
                f"{file}: {int(bad.sum())} of {bad.size} events are left out: their energies are not positive, or "
                "their times or directions are none."
            )
            fields = {name: values[~bad] for name, values in fields.items()}
        header = {
            key: table.card(key, "") for key in table.header if key.isupper() and key not in ("COMMENT", "HISTORY")
        }
        names = {
            int(header[k]): str(header[f"MMN{k[3:]}"]) for k in header if k[:3] == "MID" and f"MMN{k[3:]}" in header
        }
        kept = {key: header[key] for key in CARDS if key in header}
        livetime = header.get("LIVETIME")
        if isinstance(livetime, Real) and math.isfinite(livetime):
            kept["livetime"] = u.Quantity(float(livetime), "s")
        return fields | {"gti": gti, "meta": Meta(kept | {"models": names})}


def _columns(events: Events) -> list[tuple[str, np.ndarray, str | None]]:
    """Name, values and unit of the columns that are there."""
    found = [(name, getattr(events, field), unit) for name, _, field, unit in COLUMNS]
    return [(name, np.asarray(values), unit) for name, values, unit in found if values is not None]


def _header(events: Events) -> dict[str, str | float]:
    """Cards that the format asks for, as far as they are known, and the names of the models by MC_ID."""
    cards: dict[str, str | float] = {
        "HDUCLASS": "GADF",
        "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
        "HDUVERS": "0.3",
        "HDUCLAS1": "EVENTS",
        "RADECSYS": "ICRS",
        "EQUINOX": 2000.0,
        "OBS_ID": 0,
        "OBS_MODE": "POINTING",
        "CREATOR": "gammajax",
    }
    meta, gti = events.meta, events.gti
    if "center" in meta:
        cards |= {"RA_PNT": float(meta["center"].ra.deg), "DEC_PNT": float(meta["center"].dec.deg)}
    for key in CARDS:
        value = meta.get(key)
        value = value.value if isinstance(value, u.Quantity) else value
        if np.ndim(value) == 0 and isinstance(value, str | Real):
            cards[key] = cast(str | float, value)
    if gti is not None:
        reference, ontime = float(gti.reference), float(gti.ontime.value)
        livetime = meta["livetime"].to_value("s") if "livetime" in meta else math.nan
        livetime = livetime if math.isfinite(livetime) else ontime
        start, stop = np.asarray(gti.start), np.asarray(gti.stop)
        cards |= {
            "MJDREFI": math.floor(reference),
            "MJDREFF": reference - math.floor(reference),
            "TIMEUNIT": "s",
            "TIMESYS": "TT",
            "TIMEREF": "LOCAL",
            "TSTART": float(start.min()),
            "TSTOP": float(stop.max()),
            "TELAPSE": float(stop.max() - start.min()),
            "ONTIME": ontime,
            "LIVETIME": livetime,
            "DEADC": livetime / ontime if ontime > 0 else 1.0,
        }
        begin, end = gti.time_start.min(), gti.time_stop.max()
        cards |= {"DATE-OBS": begin.utc.isot, "DATE-END": end.utc.isot}
    for number, name in meta.get("models", {}).items():
        cards |= {f"MID{number:05d}": number, f"MMN{number:05d}": name}
    return cards
