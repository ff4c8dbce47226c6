"""Lists of events: simulated from models through the response of a dataset, and binned into counts."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from astropy import units as u
from astropy.time import Time

from ..kernels.sphere import lonlat_to_vector, vector_to_lonlat
from ..kernels.time_scales import SECONDS_PER_DAY
from .convert import is_concrete, to_unit
from .counts_base import CountsBase
from .errors import InputError
from .events_response import blurred, dispersed
from .events_sources import draw_source
from .events_tables import between
from .events_times import check_gti, draw_times
from .gti import GTI
from .map import MapBase
from .meta import Meta
from .models import Models
from .npred import background, template
from .parameter import frozen_array
from .psf import RecoPSFMap
from .region_map import RegionMapDataset
from .sky_model import SkyModel, TemplateNPredModel
from .statistic import WStatistic

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


class EventList(eqx.Module):
    """Events, one entry each in arrays of shape (n_events,), in the order of their times.

    Quantities are converted, bare numbers are in the units given here.

    ``energy``: TeV. ``time``: s after the reference of ``gti`` (MJD, TT). ``lon``, ``lat``: ICRS, deg; None for events
    of a spectrum, which have no direction. ``energy_true``, ``lon_true``, ``lat_true``: before the response acted, NaN
    for events that have no such (background). ``mc_id``: number of the model that an event comes from, 0 for the
    background; ``meta["models"]`` has their names by number. Fields other than energy and time may be None.
    """

    energy: Any
    time: Any
    gti: GTI | None
    lon: Any = None
    lat: Any = None
    energy_true: Any = None
    lon_true: Any = None
    lat_true: Any = None
    mc_id: Any = None
    meta: Meta = eqx.field(default_factory=Meta)

    def __post_init__(self):
        for name, unit in UNITS.items():
            setattr(self, name, to_unit(getattr(self, name), unit, f"EventList: {name}"))
        try:
            self.mc_id = frozen_array(self.mc_id, int)
        except (TypeError, ValueError) as error:
            raise InputError(f"EventList: mc_id must be whole numbers, found {str(self.mc_id)[:60]!r}.") from error

    def __check_init__(self):
        n = np.shape(self.energy)
        for name in (*UNITS, "mc_id"):
            value = getattr(self, name)
            if value is not None and (np.shape(value) != n or len(n) != 1):
                raise InputError(f"EventList: {name} has shape {np.shape(value)}, expected one number an event, {n}.")
        if (self.lon is None) != (self.lat is None):
            raise InputError("EventList: lon and lat belong together; one of them is missing.")

    def __len__(self) -> int:
        return int(np.size(self.energy))

    def __getitem__(self, chosen: Any) -> "EventList":
        """The events of a slice, a mask or an array of indices."""
        if isinstance(chosen, int | np.integer):
            raise InputError("EventList: give a slice, a mask or an array of indices; fields are columns.")
        try:
            np.zeros(len(self))[chosen]
        except (IndexError, TypeError, ValueError) as error:
            raise InputError(
                f"EventList: {error}. Expected a slice, a mask of shape ({len(self)},) or an array of indices."
            ) from error
        columns = {
            name: None if getattr(self, name) is None else np.asarray(getattr(self, name))[chosen]
            for name in (*UNITS, "mc_id")
        }
        return EventList(**columns, gti=self.gti, meta=self.meta)

    @property
    def times(self) -> Time:
        """Times of the events (TT)."""
        if self.gti is None:
            raise InputError("EventList: without gti the times count from nowhere. Give gti=GTI(start, stop).")
        days = np.asarray(self.time) / SECONDS_PER_DAY
        return Time(np.full(len(self), float(self.gti.reference)), days, format="mjd", scale="tt")

    def table(self) -> Any:
        """An `astropy.table.Table` with the columns of the GADF event list; see `events_table`."""
        from .events_files import events_table

        return events_table(self)

    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write a GADF event list with its good time intervals; see `write_events`."""
        from .events_files import write_events

        write_events(self, filename, overwrite)

    @classmethod
    def read(cls, filename: Any) -> "EventList":
        """Read a GADF event list; see `read_events`."""
        from .events_files import read_events

        return read_events(filename)


def sample_events(
    key: Any, dataset: Any, models: Any = (), name: str | None = None, *, npred_background: Any = None
) -> EventList:
    """Events of ``models`` and of the background as the dataset would have recorded them.

    Every source gives a Poisson number of events around its flux times the exposure. Directions and energies are drawn
    from the model itself, and each event then goes through the energy dispersion and the PSF at its own true place and
    energy. Background, and `TemplateNPredModel`, give events by bins, uniform inside pixels and in ln E. Times are
    within the good time intervals and follow the light curves of the models. What falls outside the map or its energy
    axis is left out; masks are not applied. For spectra there are energies and times only; for on/off data the events
    are those of the on region, the background expected there being alpha n_off or ``npred_background`` (one number per
    bin), as for `fake`.

    ``key`` is a JAX random key: the same key gives the same events. ``name`` is the name of the dataset, for models
    with ``datasets_names``. The work is done with numpy on the host and cannot be jitted. Raises InputError for missing
    good time intervals, exposures and spatial models, and for negative fluxes, backgrounds and light curves.
    """
    if not isinstance(dataset, CountsBase):
        raise InputError(
            f"sample_events: found {type(dataset).__name__}, expected one dataset of counts: datasets['name']."
        )
    rng = _generator(key)
    gti = check_gti(dataset.gti, "sample_events")
    acting = Models(models).acting_on(name)
    expected, background_name = _background(dataset, acting, npred_background)
    parts, names = [], {}
    if expected is not None:
        names[0] = background_name
        parts.append((0, None, _from_bins(rng, dataset, expected, gti, "the background")))
    sources = [m for m in acting if isinstance(m, SkyModel | TemplateNPredModel)]
    for number, model in enumerate(sources, 1):
        names[number] = model.name
        if isinstance(model, SkyModel):
            parts.append((number, *_from_source(rng, dataset, model, gti)))
        else:
            counts = np.asarray(template(dataset, model))
            parts.append((number, None, _from_bins(rng, dataset, counts, gti, f"model {model.name!r}")))
    return _joined(dataset, gti, parts, names)


def bin_events(events: EventList, dataset: Any) -> Any:
    """The dataset with counts (n_reco, ny, nx), or (n_reco,) for a spectrum, of the events in its bins.

    Bins hold their lower edges. Events outside the map and its energies are not counted; masks are not applied.
    """
    if not isinstance(dataset, CountsBase) or not isinstance(events, EventList):
        raise InputError(
            f"bin_events: found {type(events).__name__} and {type(dataset).__name__}, expected an EventList and a "
            "dataset of counts."
        )
    shape, n_reco = dataset.data_shape, dataset.n_reco
    energy = np.searchsorted(np.asarray(dataset.energy_edges), np.asarray(events.energy), side="right") - 1
    inside, index = (energy >= 0) & (energy < n_reco), energy
    if isinstance(dataset, MapBase):
        if events.lon is None:
            raise InputError("bin_events: the events have no directions, and the dataset is a map. Bin them in energy.")
        column, row, on_map = _pixels(dataset, lonlat_to_vector(np.asarray(events.lon), np.asarray(events.lat)))
        inside = inside & on_map
        index = (energy * shape[1] + row) * shape[2] + column
    elif isinstance(dataset, RegionMapDataset) and events.lon is not None:
        inside = inside & dataset.region.contains(lonlat_to_vector(np.asarray(events.lon), np.asarray(events.lat)))
    counts = np.bincount(index[inside], minlength=int(np.prod(shape))).reshape(shape)
    return dataset.replace(counts=counts.astype(float))


def _generator(key: Any) -> np.random.Generator:
    """A random generator that is seeded with the numbers of a JAX key."""
    if not is_concrete(key):
        raise InputError("sample_events: events have no fixed number and cannot be drawn inside jit or vmap; use fake.")
    try:
        typed = jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)
        words = np.asarray(jax.random.key_data(key) if typed else key)
        if words.dtype.kind not in "ui" or words.ndim != 1:
            raise TypeError
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"sample_events: found {key!r} as key, expected jax.random.key(seed).") from error
    return np.random.default_rng([int(word) for word in words])


def _background(dataset: Any, acting: Models, given: Any) -> tuple[np.ndarray | None, str]:
    """Background expected in the on region, and a name for it; None where there is none."""
    shape: tuple[int, ...] = dataset.data_shape
    if not isinstance(dataset, WStatistic):
        if given is not None:
            raise InputError("sample_events: npred_background is for on/off data; give background models for others.")
        model = next((m.name for m in acting if m.tag[0] == "FoVBackgroundModel"), "background")
        return (None if dataset.background is None else np.asarray(background(dataset, acting))), model
    if given is None and dataset.counts_off is None:
        raise InputError(
            "sample_events: an on/off dataset without off counts needs npred_background, the expected background."
        )
    expected = np.asarray(dataset.background if given is None else given, float)
    try:
        return np.broadcast_to(expected, shape), "background"
    except ValueError as error:
        raise InputError(f"sample_events: npred_background has shape {expected.shape}, expected {shape}.") from error


def _from_source(rng: np.random.Generator, dataset: Any, model: SkyModel, gti: GTI) -> tuple[Any, Any]:
    """True and reconstructed (vectors, energy, time) of the events of a source that are inside the dataset."""
    if isinstance(dataset, RegionMapDataset):
        # of the events in a region directions are not drawn, only how many there are
        dataset = dataset.to_spectrum_dataset(model)
    vectors, energy, bins = draw_source(rng, dataset, model)
    edges = np.asarray(dataset.energy_true_edges)
    _, apply_psf, apply_edisp, _ = model.flags
    times = draw_times(rng, gti, model.temporal, bins, np.sqrt(edges[1:] * edges[:-1]))
    reco_edges = np.asarray(dataset.energy_edges)
    reco = dispersed(rng, dataset.edisp if apply_edisp else None, reco_edges, vectors, energy, bins)
    kept = (reco >= reco_edges[0]) & (reco < reco_edges[-1])
    if vectors is None:
        return (None, energy[kept]), (None, reco[kept], times[kept])
    vectors, energy, reco, times, bins = (a[kept] for a in (vectors, energy, reco, times, bins))
    seen = vectors
    if apply_psf and dataset.psf is not None:
        axis = reco if isinstance(dataset.psf, RecoPSFMap) else energy
        seen = blurred(rng, dataset.psf, dataset.geom, vectors, axis, bins)
    kept = _pixels(dataset, seen)[2]
    return (vectors[kept], energy[kept]), (seen[kept], reco[kept], times[kept])


def _from_bins(rng: np.random.Generator, dataset: Any, expected: np.ndarray, gti: GTI, what: str) -> tuple[Any, ...]:
    """(vectors, energy, time) of events with ``expected`` numbers in the bins of the dataset."""
    bad = ~(np.isfinite(expected) & (expected >= 0))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"sample_events: the counts expected of {what} must be finite and not negative, found {expected[place]} in "
            f"bin {', '.join(map(str, place))}."
        )
    drawn = np.repeat(np.arange(expected.size), rng.poisson(expected.ravel()))
    index = np.unravel_index(drawn, expected.shape)
    energy = between(rng, np.asarray(dataset.energy_edges), index[0], 0.0)
    times = draw_times(rng, gti, None, drawn, energy)
    if not isinstance(dataset, MapBase):
        return None, energy, times
    x, y = (i + rng.random(drawn.size) - 0.5 for i in (index[2], index[1]))
    vectors = np.asarray(dataset.geom.pixel_to_vector(x, y))
    off_sky = ~np.isfinite(vectors[:, 0])
    if off_sky.any():
        # at the rim of the sky the middle of the pixel has to do
        vectors[off_sky] = dataset.geom.pixel_to_vector(index[2][off_sky], index[1][off_sky])
    return vectors, energy, times


def _pixels(dataset: Any, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column and row of the pixels of directions (n, 3), and which of them are on the map."""
    ny, nx = dataset.geom.shape
    x, y = (np.asarray(c) for c in dataset.geom.vector_to_pixel(vectors))
    shown = np.isfinite(x) & np.isfinite(y)
    column, row = (np.floor(np.where(shown, c, -1e6) + 0.5).astype(int) for c in (x, y))
    return column, row, (column >= 0) & (column < nx) & (row >= 0) & (row < ny)


def _joined(dataset: Any, gti: GTI, parts: list[Any], names: dict[int, str]) -> EventList:
    """One list of the events of all parts, (number, true or None, reconstructed) each, in the order of time."""
    on_sky = isinstance(dataset, MapBase)
    columns: dict[str, list[np.ndarray]] = {}
    for number, true, (vectors, energy, times) in parts:
        missing = np.full(energy.size, np.nan)
        row = {"energy": energy, "time": times, "mc_id": np.full(energy.size, number)}
        row["energy_true"] = missing if true is None else true[1]
        if on_sky:
            row["lon"], row["lat"] = vector_to_lonlat(vectors)
            row["lon_true"], row["lat_true"] = (missing, missing) if true is None else vector_to_lonlat(true[0])
        for column, values in row.items():
            columns.setdefault(column, []).append(np.asarray(values))
    empty = ("energy", "time", *(("lon", "lat") if on_sky else ()))
    joined: dict[str, Any] = {name: np.concatenate(values) for name, values in columns.items()}
    joined = joined or {name: np.zeros(0) for name in empty}
    order = np.argsort(joined["time"], kind="stable")
    about = {key: dataset.meta[key] for key in dataset.meta if key.isupper()}
    about |= {"models": names, "livetime": u.Quantity(float(np.asarray(dataset.livetime)), "s")}
    if on_sky:
        about["center"] = dataset.geom.center
    return EventList(**{name: values[order] for name, values in joined.items()}, gti=gti, meta=Meta(about))
