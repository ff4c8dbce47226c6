"""True directions and energies of the events of a source."""

from typing import NamedTuple, cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels.programs import programs
from ...kernels.sphere import offset_vectors
from ..arrays import Array, Numbers, for_kernels
from ..compile import Program
from ..counts.base import CountsBase
from ..counts.flux import source_flux
from ..counts.instrument import NOMINAL, Instrument
from ..errors import InputError
from ..gti import GTI
from ..irf.psf import PSFKernel
from ..map.reshape import geom_of
from ..models.flatten import ModelDef, canonical
from ..models.sky_model import SkyModel
from ..models.spatial.base import PositionedModel, SpatialModel
from ..models.spatial.builtin import GaussianSpatialModel
from ..sky.geom import SkyGeom
from .draw import between, pick

MOST_EVENTS = 1e8
"""Events of one source above which drawing is refused: they would take more than 10 GB."""

FINE = 0.02
"""Width in ln E of the parts of a true-energy bin, inside which events are uniform in ln E."""

RADII, ANGLES = 2000, 96
"""Cells in radius and in angle from which events of a shape are drawn."""


class TrueEvents(NamedTuple):
    """Events before the response acts: directions (n, 3) or None for spectra, energies in TeV, true-energy bins."""

    vectors: np.ndarray | None
    energy: np.ndarray
    bins: np.ndarray


def draw_source(
    rng: np.random.Generator, dataset: CountsBase, model: SkyModel, instrument: Instrument = NOMINAL
) -> TrueEvents:
    """Events of a source that the detector sees, in true directions; energies are those that the ``instrument`` sees.

    Their number is Poisson around flux times exposure, the exposure being that at the true direction (linear between
    pixels; beyond the map that at its edge). Directions follow the shape of the source itself, not its pixels; maps of
    surface brightness without a position are drawn by pixels of the dataset, and uniform inside them.
    """
    edges = np.asarray(dataset.energy_true_edges)
    flux, fine, shares = _spectrum(dataset, model, edges, instrument)
    if not np.all(np.isfinite(flux)) or np.min(flux) < 0:
        bad = int(np.argmax(~(np.isfinite(flux) & (flux >= 0))))
        raise InputError(
            f"sample_events: model {model.name!r} has the flux {flux[bad]:.3g} cm-2 s-1 in true-energy bin {bad}; it "
            "must be finite and not negative. Change its parameters."
        )
    if model.flags.exposure and dataset.exposure is None:
        raise InputError(
            f"sample_events: the dataset has no exposure, so that model {model.name!r} gives no events. Give "
            "exposure=..., or switch it off with apply_irf={'exposure': False}."
        )
    exposure = np.asarray(dataset.exposure) if model.flags.exposure else np.ones((edges.size - 1, *dataset.pixels))
    if dataset.pixels:
        vectors, bins = _on_sky(rng, dataset, model, flux, exposure)
    else:
        model.check_spectrum()
        vectors, bins = None, _bins(rng, flux * exposure, model)
    parts = shares.shape[1]
    cells = pick(rng, shares, bins)
    energy = between(rng, fine, bins * parts + np.maximum(cells, 0), 0.0)
    return TrueEvents(vectors, energy, bins)


def _spectrum(
    dataset: CountsBase, model: SkyModel, edges: np.ndarray, instrument: Instrument
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean flux in each true bin, edges of fine parts of the bins, and the fluxes of the parts (n_true, n_parts)."""
    parts = max(int(np.ceil(np.max(np.diff(np.log(edges))) / FINE)), 1)
    steps = np.arange(parts) / parts
    fine = np.append((edges[:-1, None] * (edges[1:] / edges[:-1])[:, None] ** steps).ravel(), edges[-1])
    if model.temporal is not None:
        model.check_times(dataset.gti, type(dataset).__name__)
    definition, numbers = canonical(model)
    true = instrument.true_energy(fine, edges)
    flux, shares = _fluxes((definition, dataset.nodes), numbers, edges, true, dataset.gti, instrument)
    return np.asarray(flux), fine, np.maximum(np.asarray(shares).reshape(-1, parts), 0.0)


@Program
def _fluxes(
    static: tuple[ModelDef, int],
    numbers: list[Array],
    edges: Numbers,
    fine: Numbers,
    gti: GTI | None,
    instrument: Instrument,
) -> tuple[Numbers, Numbers]:
    """Fluxes in true bins, the means over time, and in fine parts of them."""
    definition, nodes = static
    model = cast(SkyModel, definition.build(numbers))
    return source_flux(model, edges, nodes, gti, instrument), model.integrate_bins(for_kernels(fine), nodes)


def _bins(rng: np.random.Generator, expected: np.ndarray, model: SkyModel) -> np.ndarray:
    """True-energy bins of events whose number in each bin is Poisson around ``expected``."""
    total = float(expected.sum())
    if not total <= MOST_EVENTS:
        raise InputError(
            f"sample_events: model {model.name!r} gives {total:.3g} events before selections, more than "
            f"{MOST_EVENTS:.0g}. Check its amplitude and the exposure; fake() draws counts of any number."
        )
    return np.repeat(np.arange(expected.size), rng.poisson(expected))


def _on_sky(
    rng: np.random.Generator, dataset: CountsBase, model: SkyModel, flux: np.ndarray, exposure: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Directions (n, 3) and true bins of the events of a source."""
    spatial = model.spatial
    if spatial is None:
        raise InputError(
            f"sample_events: model {model.name!r} has no spatial part, and the dataset is a map. Give it one, such as "
            "spatial=PointSpatialModel(lon_0=..., lat_0=...)."
        )
    geom = geom_of(dataset)
    centre = None if spatial.center_vector is None else np.asarray(spatial.center_vector)[None]
    if spatial.scheme == "point" and centre is not None:
        bins = _bins(rng, flux * _exposure_at(geom, exposure, centre, np.arange(len(flux))), model)
        return np.repeat(centre, bins.size, axis=0), bins
    if not isinstance(spatial, PositionedModel):
        return _by_pixel(rng, dataset, model, flux, exposure)
    # more events than are seen anywhere in the source, and then thinned out
    assert centre is not None
    highest = _highest(geom, exposure, centre, float(spatial.evaluation_radius))
    bins = _bins(rng, flux * highest, model)
    vectors = draw_directions(rng, spatial, bins.size)
    seen = rng.random(bins.size) * highest[bins] < _exposure_at(geom, exposure, vectors, bins)
    return vectors[seen], bins[seen]


def draw_directions(rng: np.random.Generator, spatial: PositionedModel, n: int) -> np.ndarray:
    """ICRS unit vectors (n, 3) that follow the surface brightness of a source.

    Gaussians by the inverse of their integral on the sphere; other shapes from a fine grid of radii and angles (on
    ellipses for elliptical ones) out to where they end, uniform within its cells.
    """
    if isinstance(spatial, GaussianSpatialModel):
        sigma, e, phi = (float(p.internal) for p in (spatial.sigma, spatial.e, spatial.phi))
        east, north = _gaussian(rng, sigma, e, phi, n)
    else:
        east, north = _shape(rng, spatial, n)
    lon, lat = (float(c) for c in spatial.position)
    return np.asarray(offset_vectors(east, north, lon, lat, spatial.frame))


def _gaussian(rng: np.random.Generator, sigma: float, e: float, phi: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (deg) of exp(-(1 - cos r) / A), A = 2 (1 - cos s(angle)): 1 - cos r is exponential up to 2."""
    if not sigma > 0:
        return np.zeros(n), np.zeros(n)
    axes = np.array([sigma, sigma * np.sqrt(max((1 - e) * (1 + e), 0.0))])
    angle = np.empty(n)
    open_ = np.arange(n)
    while open_.size:
        t = 2 * np.pi * rng.random(open_.size)
        # uniform in the plane's ellipse; the sphere has a little less, the farther out the less
        angle[open_] = np.arctan2(axes[1] * np.sin(t), axes[0] * np.cos(t))
        scale, square = _scale(axes, angle[open_])
        open_ = open_[rng.random(open_.size) * square >= scale * -np.expm1(-2 / scale)]
    scale, _ = _scale(axes, angle)
    versine = -scale * np.log1p(rng.random(n) * np.expm1(-2 / scale))
    radius = 2 * np.degrees(np.arcsin(np.sqrt(np.minimum(versine / 2, 1.0))))
    angle = angle + np.radians(phi)
    return radius * np.sin(angle), radius * np.cos(angle)


def _scale(axes: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A = 2 (1 - cos s) and s^2 for the width s (rad) in a direction from the major axis."""
    ratio = np.maximum(axes[1] / axes[0], 1e-9)
    width = np.radians(axes[0]) / np.sqrt(np.cos(angle) ** 2 + (np.sin(angle) / ratio) ** 2)
    return np.maximum(4 * np.sin(width / 2) ** 2, 1e-300), width**2


def _shape(rng: np.random.Generator, spatial: PositionedModel, n: int) -> tuple[np.ndarray, np.ndarray]:
    reach = float(spatial.evaluation_radius)
    if not reach > 0:
        return np.zeros(n), np.zeros(n)
    found = {p.role: float(p.internal) for p in spatial.parameters.values()}
    e, phi = found.get("eccentricity", 0.0), found.get("angle", 0.0)
    ratio = np.sqrt(max((1 - e) * (1 + e), 1e-12))
    edges, turns = np.linspace(0, reach, RADII + 1), np.linspace(0, 2 * np.pi, ANGLES + 1)
    middle, turn = (edges[1:] + edges[:-1]) / 2, (turns[1:] + turns[:-1]) / 2
    east, north = _on_ellipse(middle[:, None], turn[None, :], ratio, phi)
    # the element of area of azimuthal equidistant offsets
    jacobian = np.sinc(np.hypot(east, north) / 180)
    values = np.asarray(_profile(spatial, east, north))
    weights = np.maximum(np.where(np.isfinite(values), values, 0.0), 0.0) * jacobian * middle[:, None]
    cell = np.maximum(pick(rng, weights.reshape(1, -1), np.zeros(n, int)), 0)
    return _on_ellipse(between(rng, edges, cell // ANGLES, 2.0), between(rng, turns, cell % ANGLES), ratio, phi)


def _on_ellipse(radius: np.ndarray, turn: np.ndarray, ratio: float, phi: float) -> tuple[np.ndarray, np.ndarray]:
    """Offsets to the east and north at elliptical radii, the major axis at position angle ``phi`` (deg)."""
    along, across = radius * np.cos(turn), radius * ratio * np.sin(turn)
    s, c = np.sin(np.radians(phi)), np.cos(np.radians(phi))
    return along * s + across * c, along * c - across * s


def _by_pixel(
    rng: np.random.Generator, dataset: CountsBase, model: SkyModel, flux: np.ndarray, exposure: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Surface brightness at the pixels of the dataset, and of a margin from which the PSF brings events in."""
    geom, spatial, psf = geom_of(dataset), model.spatial, dataset.psf if model.flags.psf else None
    assert spatial is not None
    margin = 0
    if isinstance(psf, PSFKernel):
        margin = np.shape(psf.values)[-1] // 2
    elif psf is not None:
        margin = int(np.ceil(psf.reach / geom.pixel_size)) + 1
    ny, nx = geom.shape
    x, y = np.meshgrid(np.arange(-margin, nx + margin), np.arange(-margin, ny + margin))
    vectors, shown = geom.shown_vectors(x, y)
    area = np.nan_to_num(np.asarray(geom.cell_solid_angle(x, y)))
    edges = np.asarray(dataset.energy_true_edges)
    values = np.asarray(_brightness(spatial, vectors, np.sqrt(edges[1:] * edges[:-1])))
    if not np.all(values >= 0):
        raise InputError(
            f"sample_events: model {model.name!r} has a negative surface brightness. Change its parameters."
        )
    values = np.where(shown, values if spatial.per_pixel else values * area, 0.0)
    seen = exposure[:, np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)] * values
    bins = _bins(rng, flux * seen.sum(axis=(1, 2)), model)
    cell = pick(rng, seen.reshape(len(seen), -1), bins)
    px, py = (c.ravel()[cell] + rng.random(cell.size) - 0.5 for c in (x, y))
    drawn = np.asarray(geom.pixel_to_vector(px, py))
    # at the rim of the sky the middle of the pixel has to do
    return np.where(np.isfinite(drawn), drawn, vectors.reshape(-1, 3)[cell]), bins


@programs()
def _profile(spatial: PositionedModel, east: Numbers, north: Numbers) -> Numbers:
    return spatial.profile(jnp.asarray(east), jnp.asarray(north))


@programs()
def _brightness(spatial: SpatialModel, vectors: Float[Array, "*shape 3"], energy: Float[Array, " n_true"]) -> Numbers:
    return spatial.evaluate(vectors, for_kernels(energy))


def _exposure_at(geom: SkyGeom, exposure: np.ndarray, vectors: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Exposure in true bins at directions (n, 3), linear between pixels; that of the edge beyond the map."""
    ny, nx = geom.shape
    x, y = (np.asarray(c) for c in geom.vector_to_pixel(vectors))
    shown = np.isfinite(x) & np.isfinite(y)
    x, y = np.clip(np.where(shown, x, 0.0), 0, nx - 1), np.clip(np.where(shown, y, 0.0), 0, ny - 1)
    ix, iy = np.minimum(x.astype(int), max(nx - 2, 0)), np.minimum(y.astype(int), max(ny - 2, 0))
    u, v = x - ix, y - iy
    jx, jy = np.minimum(ix + 1, nx - 1), np.minimum(iy + 1, ny - 1)
    low = exposure[bins, iy, ix] * (1 - u) + exposure[bins, iy, jx] * u
    high = exposure[bins, jy, ix] * (1 - u) + exposure[bins, jy, jx] * u
    value = np.where(shown, low * (1 - v) + high * v, 0.0)
    return value


def _highest(geom: SkyGeom, exposure: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Highest exposure in each true bin within ``radius`` (deg) of a direction; of the map where that is unclear."""
    x, y = (float(np.asarray(c)[0]) for c in geom.vector_to_pixel(centre))
    ny, nx = geom.shape
    if not (np.isfinite(x) and np.isfinite(y) and radius < 20):
        return exposure.max(axis=(1, 2))
    # twice the radius: pixels of some projections are narrower than the geometry's pixel size
    half = 2 * radius / geom.pixel_size + 2
    x0, x1 = (int(np.clip(np.floor(x + s * half), 0, nx - 1)) for s in (-1, 1))
    y0, y1 = (int(np.clip(np.floor(y + s * half), 0, ny - 1)) for s in (-1, 1))
    return exposure[:, y0 : y1 + 1, x0 : x1 + 1].max(axis=(1, 2))
