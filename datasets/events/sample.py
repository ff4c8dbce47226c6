"""Lists of events: simulated from models through the response of a dataset, and binned into counts."""

import warnings
from typing import NamedTuple

import jax
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ...kernels.sphere import lonlat_to_vector, vector_to_lonlat
from ..arrays import Array, is_concrete
from ..counts.dataset import CountsDataset, require_counts
from ..counts.instrument import Instrument
from ..counts.npred import SomeModels
from ..counts.simulate import AnyDataset, require_key
from ..counts.template import template_counts
from ..errors import InputError
from ..gti import GTI
from ..hints.calls import hinted
from ..irf.psf import RecoPSFMap
from ..map.reshape import geom_of
from ..meta import Meta
from ..models.collection import Models
from ..models.sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from .draw import between
from .list import EventList
from .response import blurred, dispersed
from .sources import draw_source
from .times import check_gti, draw_times


class Events(NamedTuple):
    """Events as they are recorded: directions (n, 3) or None for spectra, energies in TeV, times in s."""

    vectors: np.ndarray | None
    energy: np.ndarray
    times: np.ndarray


class Origins(NamedTuple):
    """Events before the response acts: directions (n, 3) or None for spectra, energies in TeV."""

    vectors: np.ndarray | None
    energy: np.ndarray


Part = tuple[int, Origins | None, Events]
"""Events of one origin: its number, what they were before the response acted (None: not known), and the events."""


@hinted
def sample_events(
    key: jax.Array,
    dataset: CountsDataset,
    models: SomeModels = (),
    name: str | None = None,
    *,
    npred_background: Float[Array, " n_reco *pixels"] | None = None,
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
    require_counts(dataset, "sample_events")
    rng = _generator(key)
    gti = check_gti(dataset.gti, "sample_events")
    acting = Models(models).acting_on(name)
    expected, background_name = _background(dataset, acting, npred_background)
    parts: list[Part] = []
    names: dict[int, str] = {}
    if expected is not None:
        names[0] = background_name
        parts.append((0, None, _from_bins(rng, dataset, expected, gti, "the background")))
    sources = [m for m in acting if isinstance(m, SkyModel | TemplateNPredModel)]
    for number, model in enumerate(sources, 1):
        names[number] = model.name
        if isinstance(model, SkyModel):
            parts.append((number, *_from_source(rng, dataset, model, gti, dataset.instrument(list(acting)))))
        else:
            counts = np.asarray(template_counts(model, dataset.energy_edges, dataset.data_shape, dataset.energy_interp))
            parts.append((number, None, _from_bins(rng, dataset, counts, gti, f"model {model.name!r}")))
    return _joined(dataset, gti, parts, names)


@hinted
def bin_events(events: EventList, dataset: AnyDataset) -> AnyDataset:
    """The dataset with counts (n_reco, ny, nx), or (n_reco,) for a spectrum, of the events in its bins.

    Bins hold their lower edges. Events outside the map and its energies are not counted; masks are not applied. A
    warning says how many events are left out because their energy or direction is not a number.
    """
    if not isinstance(dataset, CountsDataset) or not isinstance(events, EventList):
        raise InputError(
            f"bin_events: found {type(events).__name__} and {type(dataset).__name__}, expected an EventList and a "
            "dataset of counts."
        )
    shape, n_reco = dataset.data_shape, dataset.n_reco
    columns = {name: getattr(events, name) for name in ("energy", "lon", "lat")}
    lost = {name: ~np.isfinite(np.asarray(c)) for name, c in columns.items() if c is not None}
    odd = np.any(list(lost.values()), axis=0)
    if odd.any():
        named = ", ".join(name for name, bad in lost.items() if bad.any())
        warnings.warn(
            f"bin_events: {int(odd.sum())} of {odd.size} events are left out, the first is number "
            f"{int(np.argmax(odd))}: their {named} is NaN or infinite.",
            UserWarning,
            stacklevel=2,
        )
        events = events[~odd]
    energy = np.searchsorted(np.asarray(dataset.energy_edges), np.asarray(events.energy), side="right") - 1
    directions = None if events.lon is None else lonlat_to_vector(np.asarray(events.lon), np.asarray(events.lat))
    vectors = None if directions is None else np.asarray(directions)
    pixel, in_pixel = dataset.pixel_index(vectors)
    inside = (energy >= 0) & (energy < n_reco) & in_pixel
    index = energy * int(np.prod(shape[1:])) + pixel
    counts = np.bincount(index[inside], minlength=int(np.prod(shape))).reshape(shape)
    return dataset.replace(counts=counts.astype(float))


def _generator(key: jax.Array) -> np.random.Generator:
    """A random generator that is seeded with the numbers of a JAX key."""
    if not is_concrete(key):
        raise InputError("sample_events: events have no fixed number and cannot be drawn inside jit or vmap; use fake.")
    require_key(key, "sample_events")
    typed = jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)
    words = np.asarray(jax.random.key_data(key) if typed else key)
    return np.random.default_rng([int(word) for word in words])


def _background(dataset: CountsDataset, acting: Models, given: Array | None) -> tuple[np.ndarray | None, str]:
    """Background expected in the on region, and a name for it; None where there is none."""
    expected = dataset.expected_background(list(acting), given, "sample_events")
    model = next((m.name for m in acting if isinstance(m, FoVBackgroundModel)), "background")
    return None if expected is None else np.asarray(expected), model


def _from_source(
    rng: np.random.Generator, dataset: CountsDataset, model: SkyModel, gti: GTI, instrument: Instrument
) -> tuple[Origins, Events]:
    """The events of a source that are inside the dataset, before and after the response."""
    seen_by = dataset.seen_dataset(model, instrument)
    vectors, energy, bins = draw_source(rng, seen_by, model, instrument)
    edges = np.asarray(seen_by.energy_true_edges)
    apply_psf, apply_edisp = model.flags.psf, model.flags.edisp
    times = draw_times(rng, gti, model.temporal, bins, np.sqrt(edges[1:] * edges[:-1]))
    reco_edges = np.asarray(seen_by.energy_edges)
    edisp, wide = instrument.extended(seen_by.edisp if apply_edisp else None, edges, reco_edges)
    reco = dispersed(rng, edisp, np.asarray(wide), vectors, energy, bins)
    if apply_edisp:
        reco = instrument.recorded(reco, reco_edges)
    kept = (reco >= reco_edges[0]) & (reco < reco_edges[-1])
    if vectors is None:
        return Origins(None, instrument.true_energy(energy[kept], edges)), Events(None, reco[kept], times[kept])
    vectors, energy, reco, times, bins = (a[kept] for a in (vectors, energy, reco, times, bins))
    seen = vectors
    if apply_psf and seen_by.psf is not None:
        of_reco = isinstance(seen_by.psf, RecoPSFMap)
        axis, at = (reco, (reco_edges, "reco")) if of_reco else (energy, (edges, "true"))
        seen = blurred(
            rng, seen_by.psf, geom_of(seen_by), vectors, axis, bins, lambda r: instrument.widened(r, axis, *at)
        )
    kept = np.asarray(seen_by.pixel_index(seen)[1])
    true = instrument.true_energy(energy[kept], edges)
    return Origins(vectors[kept], true), Events(seen[kept], reco[kept], times[kept])


def _from_bins(rng: np.random.Generator, dataset: CountsDataset, expected: np.ndarray, gti: GTI, what: str) -> Events:
    """Events with ``expected`` numbers in the bins of the dataset."""
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
    if not dataset.pixels:
        return Events(None, energy, times)
    x, y = (i + rng.random(drawn.size) - 0.5 for i in (index[2], index[1]))
    geom = geom_of(dataset)
    vectors = np.asarray(geom.pixel_to_vector(x, y))
    off_sky = ~np.isfinite(vectors[:, 0])
    if off_sky.any():
        # at the rim of the sky the middle of the pixel has to do
        vectors[off_sky] = geom.pixel_to_vector(index[2][off_sky], index[1][off_sky])
    return Events(vectors, energy, times)


def _joined(dataset: CountsDataset, gti: GTI, parts: list[Part], names: dict[int, str]) -> EventList:
    """One list of the events of all parts, (number, true or None, reconstructed) each, in the order of time."""
    on_sky = bool(dataset.pixels)
    columns: dict[str, list[np.ndarray]] = {}
    for number, true, (vectors, energy, times) in parts:
        missing = np.full(energy.size, np.nan)
        row: dict[str, Array] = {"energy": energy, "time": times, "mc_id": np.full(energy.size, number)}
        row["energy_true"] = missing if true is None else true.energy
        if vectors is not None:
            row["lon"], row["lat"] = vector_to_lonlat(vectors)
            before = None if true is None else true.vectors
            row["lon_true"], row["lat_true"] = (missing, missing) if before is None else vector_to_lonlat(before)
        for column, values in row.items():
            columns.setdefault(column, []).append(np.asarray(values))
    empty = ("energy", "time", *(("lon", "lat") if on_sky else ()))
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    joined = joined or {name: np.zeros(0) for name in empty}
    order = np.argsort(joined["time"], kind="stable")
    about = {key: dataset.meta[key] for key in dataset.meta if key.isupper()}
    about |= {"models": names, "livetime": u.Quantity(float(np.asarray(dataset.livetime)), "s")}
    if on_sky:
        about["center"] = geom_of(dataset).center
    return EventList(**{name: values[order] for name, values in joined.items()}, gti=gti, meta=Meta(about))
