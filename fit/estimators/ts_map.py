"""TS maps: the norm of a source at every pixel, fitted over what other models predict."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ...datasets.arrays import Array
from ...datasets.counts.dataset import CountsDataset
from ...datasets.counts.npred import SomeModels
from ...datasets.counts.trials import Trials
from ...datasets.dataset import fitted_bins
from ...datasets.errors import InputError
from ...datasets.flux_points.reference import references
from ...datasets.hints.calls import hinted
from ...datasets.models.collection import Models as AllModels
from ...datasets.models.instrument import InstrumentModel
from ...datasets.models.parameter import SCALING
from ...datasets.models.sky_model import SkyModel
from ...datasets.models.spectral.base import SpectralModel
from ...datasets.prepared import Arrays, Models
from ...datasets.sky.cutout import rebinned
from ...datasets.sky.geom import SkyGeom
from ...datasets.statistics.base import Statistic
from ...datasets.units import Given, number_in
from ..double import require_double
from ..joint.problem import SomeDatasets
from ..result import FitResult
from ..scans.profile import positive
from .bands import band_places, lowest_norm, warn_of_negative
from .bins import require_source
from .map_input import band_edges, fitted_energies, geom_of, map_input, predictions_of, warn_of_outside
from .sky_maps import SkyMaps
from .trial_fits import Trial, TrialFits, TrialMap, trial_fits

CONTAINMENT = 0.99
"""Share of a source's counts that its window holds by default."""

RULES = (5, 3)
"""Places along each side of a map at which responses are taken, where they differ; steps of a pixel to which places
between pixels are rounded."""

MANY_NEGATIVE = 0.1
"""Share of pixels with upper limits below zero from which a warning tells: a few are as low by chance."""

WORK = 2**19
"""Bins of windows that are done at a time: what keeps memory bounded."""

MOST_SAID = 3
"""Parameters of a shape, and of a spectrum, that describe a source."""

OUTSIDE = {"counts": 0.0, "counts_off": 0.0, "acceptance": 1.0, "acceptance_off": 1.0, "weights": 0.0}
"""Data of bins that are not fitted, which no source reaches."""


@hinted
def ts_map(
    datasets: SomeDatasets,
    models: FitResult | SomeModels,
    source: str | SkyModel,
    energy_edges: Given | None = None,
    *,
    exclude: str | Sequence[str] = (),
    geom: SkyGeom | None = None,
    stride: int = 1,
    kernel_width: Given | None = None,
    errors: bool = False,
    limits: bool = True,
    n_sigma: Given = 1.0,
    n_sigma_ul: Given = 2.0,
) -> SkyMaps:
    """Norm, flux and test statistic of a source at every pixel, over what ``models`` and background predict.

    At each pixel the source, with its shape and spectrum, is put there, and its norm is fitted to the bins of all
    datasets in a window around it, all else held: a convex problem of one number, done for all pixels in one program.
    Bins of energy are fitted together, not added up. Quantities, (n, ny, nx): ``norm`` (may be negative), ``norm_err``
    from the curvature, with ``limits`` ``norm_ul``, where the statistic has risen by ``n_sigma_ul``^2 above the best
    norm, with ``errors`` ``norm_errn`` and ``norm_errp``; ``flux``, ``flux_err``, ..., the same times the flux of the
    spectrum in the band; ``ts``, the fall of the statistic from no source to the best norm, ``sqrt_ts`` with the sign
    of the norm; and ``npred_excess``, counts of the source in its window. NaN where a pixel has no fitted bin. Limits
    may be below zero, as every fortieth is by chance at two sigma; of more than a tenth a warning tells. They are not
    where the amplitude of the source has a lower bound of 0.

    What is approximate: the point spread function and energy dispersion of a pixel are those of the nearest of 5 by 5
    places (exact where they are the same everywhere), the energies of the exposure inside a window are those of that
    place, and the window holds 99 % of the counts of the source, or is ``kernel_width`` wide. The exposure itself is
    that of every pixel. Where pixels of the map lie between those of a dataset, places are rounded to a third of its
    pixels. A dataset counts for the places on its own pixels only: not for those beside it, from where a source still
    reaches into it.

    Parameters
    ----------
    datasets : map datasets: `Datasets`, a mapping of names to datasets, or one
    models : what `fit` gave, or models, without the source that is looked for
    source : `SkyModel` with a shape that has a position (which does not matter) and a spectrum; or the name of one of
        the models, which is then left out of them
    energy_edges : (n + 1,) edges of the bands, Quantity or TeV, moved to the nearest of bins; one band by default
    exclude : name, or names, of models to leave out
    geom : `SkyGeom` whose pixels are the places, that of the first dataset by default
    stride : places are the middles of blocks of so many pixels a side
    kernel_width : width of the window, Quantity or deg
    errors, limits : whether asymmetric errors, and upper limits, are made
    n_sigma, n_sigma_ul : standard deviations of errors and of limits

    Raises
    ------
    InputError
        for datasets without counts or pixels, shapes without a position, spectra that are negative.

    Examples
    --------
    >>> point = gj.SkyModel(gj.PowerLawSpectralModel(index=2.3), spatial=gj.PointSpatialModel(), name="point")
    >>> maps = gj.ts_map(datasets, result, point, exclude="crab")
    >>> maps.peaks("sqrt_ts", threshold=5)
    """
    what = "ts_map"
    require_double(what)
    given = AllModels(models.models if isinstance(models, FitResult) else models)
    if not isinstance(source, SkyModel):
        exclude = [source, *([exclude] if isinstance(exclude, str) else exclude or ())]
        source = require_source(given, source, what)
    if not isinstance(source.spectral, SpectralModel):
        raise InputError(f"{what}: the spectrum is {type(source.spectral).__name__}, expected a SpectralModel.")
    sigma, sigma_ul = positive(n_sigma, f"{what}: n_sigma"), positive(n_sigma_ul, f"{what}: n_sigma_ul")
    if isinstance(stride, bool) or not isinstance(stride, int | np.integer) or stride < 1:
        raise InputError(f"{what}: stride must be a whole number of pixels, found {stride!r}.")
    known, kept, pixels = map_input(datasets, given, exclude, geom, what)
    if geom is None:
        warn_of_outside(known, pixels, what)
    if stride > min(pixels.shape):
        raise InputError(f"{what}: stride is {stride}, but there are only {min(pixels.shape)} pixels a side.")
    if stride > 1:
        pixels = rebinned(pixels, float(stride), (pixels.shape[0] // stride, pixels.shape[1] // stride))
    edges, moved = band_edges(known, energy_edges, what)
    low, high = moved[:-1], moved[1:]
    reference = np.asarray(references(np.sqrt(low * high), low, high, source.spectral)["flux_ref"])
    if np.any(reference <= 0):
        raise InputError(f"{what}: the spectrum is not positive. Give a source whose amplitude is.")

    parts = [
        _Part(name, dataset, kept, source, pixels, kernel_width, what)
        for name, dataset in known.items()
        if source.acts_on(name)
    ]
    if not parts:
        raise InputError(f"{what}: {source.name!r} acts on none of the datasets (datasets_names).")
    amounts = np.array(sigma**2), np.array(sigma_ul**2), np.array(lowest_norm(source.spectral))
    found = [_band(parts, k, edges, amounts, errors, limits) for k in range(len(low))]
    stacked = TrialFits(*(np.stack(values) for values in zip(*found, strict=True)))
    fits = TrialFits(*(values.reshape(-1, *pixels.shape) for values in stacked))
    maps = {"norm": fits.norm, "norm_err": sigma * fits.err}
    if errors:
        maps |= {"norm_errn": fits.errn, "norm_errp": fits.errp}
    if limits:
        maps["norm_ul"] = fits.ul
        if np.sum(fits.ul < 0) > MANY_NEGATIVE * np.sum(np.isfinite(fits.ul)):
            warn_of_negative(what, np.asarray(fits.ul), "pixels", f"{source.name}.spectral")
    flux = {name.replace("norm", "flux"): values * reference[:, None, None] for name, values in maps.items()}
    of_source = {
        "ts": fits.ts,
        "sqrt_ts": np.sign(fits.norm) * np.sqrt(fits.ts),
        "npred_excess": fits.norm * fits.signal,
    }
    meta: dict[str, Any] = {"kind": "ts", "source": described(source)} | fitted_energies(known, edges)
    return SkyMaps(pixels, moved, of_source | maps | flux, source, sigma, sigma_ul if limits else None, meta)


def described(source: SkyModel) -> str:
    """Shape and spectrum of a source in few words, such as "Gaussian (sigma 0.05 deg), PowerLaw (index 2.3)"."""
    parts = []
    for kind, model in (("spatial", source.spatial), ("spectral", source.spectral)):
        said = []
        for name, p in AllModels([source]).parameters.items():
            told = p.role not in (*SCALING, "position", "latitude") and not name.endswith(".reference")
            if f".{kind}." in name and told and float(p.value) != 0:
                said.append(f"{name.rsplit('.', 1)[-1]} {float(p.value):.3g} {p.unit}".strip())
        shape = type(model).__name__.removesuffix(f"{kind.capitalize()}Model")
        parts.append(f"{shape} ({', '.join(said[:MOST_SAID])})" if said else shape)
    return ", ".join(parts)


class _Part:
    """A dataset as it enters: data with a margin, kernels, and where the windows of all places lie."""

    def __init__(
        self,
        name: str,
        dataset: CountsDataset,
        models: AllModels,
        source: SkyModel,
        pixels: SkyGeom,
        kernel_width: Given | None,
        what: str,
    ):
        own = geom_of(dataset)
        x, y = (np.asarray(c).ravel() for c in own.vector_to_pixel_or_far(_vectors(pixels)))
        ny, nx = own.shape
        self.inside = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
        self.n = len(x)
        if not self.inside.any():
            raise InputError(f"{what}: no pixel of the map lies on the dataset {name!r}. Leave it out.")
        acting = list(models.acting_on(name))
        instruments: Models = [model for model in acting if isinstance(model, InstrumentModel)]
        dataset.check_models([source, *instruments], f"{what}: {name}")
        found, kernel = dataset.trials(source, instruments, x[self.inside], y[self.inside], RULES, f"{what}: {name}")
        fitted = np.asarray(fitted_bins(dataset))
        kernels = _trimmed(found, fitted, kernel_width, own, what)
        rest = np.asarray(predictions_of(dataset, acting)[2])
        self.own_edges, self.statistic = np.asarray(dataset.energy_edges), dataset.statistic
        half = kernels.shape[-1] // 2

        def widened(values: Array, fill: float) -> np.ndarray:
            margin = ((0, 0), (half, half), (half, half))
            whole = np.broadcast_to(np.asarray(values, float), fitted.shape)
            return np.pad(np.where(fitted, whole, fill), margin, constant_values=fill)

        data: Arrays = {key: widened(values, OUTSIDE.get(key, 0.0)) for key, values in dataset.statistic_data.items()}
        self.map = TrialMap(data, widened(rest, 1.0), widened(found.seen, 0.0), kernels)
        rows, columns = (np.floor(c + 0.5).astype(int) for c in (y, x))
        self.start = np.where(self.inside[:, None], np.stack([rows, columns], axis=1), 0)
        self.kernel = np.zeros(self.n, int)
        self.kernel[self.inside] = kernel
        self.fitted = np.zeros((len(fitted), self.n), bool)
        self.fitted[:, self.inside] = fitted[:, rows[self.inside], columns[self.inside]]

    def sliced(self, band: np.ndarray) -> TrialMap:
        """The energies of a band. The last kernel is empty: that of places which are not on the dataset."""
        data, rest, seen, kernels = self.map
        of_band = kernels[:, band]
        empty = np.zeros_like(of_band[:1])
        return TrialMap(
            {key: values[band] for key, values in data.items()},
            rest[band],
            seen[band],
            np.concatenate([of_band, empty]),
        )


def _band(
    parts: Sequence[_Part],
    k: int,
    edges: np.ndarray,
    amounts: tuple[np.ndarray, np.ndarray, np.ndarray],
    errors: bool,
    limits: bool,
) -> TrialFits:
    """The fits of one band at all places, (n,) each; ``amounts``: rises for errors and limits, and the floor."""
    chosen = [(part, band_places(part.own_edges, edges) == k) for part in parts]
    chosen = [(part, band) for part, band in chosen if band.any()]
    known = np.any([part.fitted[band].any(axis=0) for part, band in chosen], axis=0)
    places = np.flatnonzero(known)
    none = np.full(known.shape, np.nan)
    if not places.size:
        return TrialFits(*([none] * len(TrialFits._fields)))
    maps = [part.sliced(band) for part, band in chosen]
    size = sum(m.rest.shape[0] * m.kernels.shape[-1] ** 2 for m in maps)
    batch = int(np.clip(WORK // size, 1, 256))
    rows = -(-places.size // batch) * batch
    padded = np.concatenate([places, np.full(rows - places.size, places[0])])
    trials = [
        Trial(part.start[padded], np.where(part.inside, part.kernel, m.kernels.shape[0] - 1)[padded])
        for (part, _), m in zip(chosen, maps, strict=True)
    ]
    statistics: tuple[Statistic, ...] = tuple(part.statistic for part, _ in chosen)
    found = trial_fits((statistics, batch, errors, limits), maps, trials, *amounts)
    whole = []
    for values in found:
        image = none.copy()
        image[places] = np.asarray(values)[: places.size]
        whole.append(image)
    return TrialFits(*whole)


def _vectors(pixels: SkyGeom) -> Float[np.ndarray, "n 3"]:
    x, y = pixels.pixel_grid
    vectors = np.asarray(pixels.pixel_to_vector(x, y)).reshape(-1, 3)
    # off the sky: a direction opposite to the middle of the map is on no dataset
    middle = np.asarray(pixels.pixel_to_vector(*pixels.middle))
    return np.where(np.isfinite(vectors), vectors, -middle)


def _trimmed(
    found: Trials, fitted: np.ndarray, kernel_width: Given | None, geom: SkyGeom, what: str
) -> Float[np.ndarray, "n n_reco w w"]:
    """The kernels in their windows."""
    kernels = found.kernels
    middle = kernels.shape[-1] // 2
    if kernel_width is not None:
        width = number_in(kernel_width, "deg", f"{what}: kernel_width")
        if not 0 < width < 360:
            raise InputError(f"{what}: kernel_width must be a positive angle, found {kernel_width!r}.")
        half = min(int(np.rint(width / geom.pixel_size / 2)), middle)
    else:
        # counts of the source in the fitted bins, energies added up
        seen = np.einsum("krij,r->kij", kernels, np.mean(np.where(fitted, found.seen, 0.0), axis=(1, 2)))
        whole = seen.sum(axis=(1, 2))
        half = middle
        for h in range(middle + 1):
            inside = seen[:, middle - h : middle + h + 1, middle - h : middle + h + 1].sum(axis=(1, 2))
            if np.all(inside >= CONTAINMENT * whole):
                half = h
                break
    cut = slice(middle - half, middle + half + 1)
    return kernels[:, :, cut, cut]
