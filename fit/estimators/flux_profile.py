"""Flux profiles: fluxes in regions of the sky along a line, or around a place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ...datasets.collection.datasets import Datasets
from ...datasets.counts.dataset import CountsDataset, require_counts
from ...datasets.counts.npred import SomeModels
from ...datasets.dataset import Models as ActingModels
from ...datasets.dataset import fitted_bins
from ...datasets.errors import InputError, warn
from ...datasets.flux_points.points import FluxPoints
from ...datasets.flux_points.profile import FluxProfile
from ...datasets.hints.calls import hinted
from ...datasets.models.collection import Models
from ...datasets.models.instrument import InstrumentModel
from ...datasets.models.sky_model import SkyModel
from ...datasets.models.spectral.base import SpectralModel
from ...datasets.models.spectral.builtin import PowerLawSpectralModel
from ...datasets.sky.cutout import padded
from ...datasets.units import Given
from ..joint.problem import SomeDatasets
from ..result import FitResult
from .bands import SCANNED, SomeNorms, band_task, fitted_bands
from .map_input import geom_of, map_input, predictions_of

if TYPE_CHECKING:
    from regions import Region

SOURCE = "in the region"
"""Name of the source whose norm is fitted."""

NO_HOLE = 1e-8
"""Radius of a hole, in outer radii, up to which a ring is a disk."""

Ends = Float[np.ndarray, " n_regions"]


@hinted
def flux_profile(
    datasets: SomeDatasets,
    models: FitResult | SomeModels,
    regions: "Sequence[Region]",
    energy_edges: Given,
    spectrum: SpectralModel | None = None,
    *,
    exclude: str | Sequence[str] = (),
    n_sigma: Given = 1.0,
    n_sigma_ul: Given = 2.0,
    norms: SomeNorms = SCANNED,
) -> FluxProfile:
    """Flux profile: in each region of the sky and band of energy the flux that comes from there.

    The counts of the pixels in a region, of all datasets jointly, are compared with what ``models`` predict there (all
    of them: leave the source out that is to be seen), which is held, and a source of the given ``spectrum`` whose norm
    is fitted, as `flux_points` does, all regions and bands in one program. The fluxes are those of gammapy's
    ``FluxProfileEstimator``: of photons that are reconstructed in the region, by the mean exposure in it. The point
    spread function is not taken out, so that a point source has the profile of it.

    ``profile.solid_angle`` is that of the pixels of a region, of the first dataset that holds it: flux over solid angle
    is the intensity. The distance of a region is that of its centre from the centre of the first; regions begin and end
    half way between. Rings (`regions.CircleAnnulusSkyRegion`) begin and end at their radii. Of a dataset in which only
    a part of a region is fitted at some energy, that energy is left out, and a warning says so; so is a region that its
    map does not hold.

    Parameters
    ----------
    datasets : map datasets: `Datasets`, a mapping of names to datasets, or one
    models : what `fit` gave, or models. On/off maps take no source in them
    regions : at least two, of the ``regions`` package, each farther from the first than the one before:
        `rectangles_along` and `rings_around` make some
    energy_edges : (n + 1,) rising energies, Quantity or TeV, moved to the nearest edges of bins
    spectrum : shape inside the bands; by default a power law of index 2
    exclude : name, or names, of models to leave out
    n_sigma, n_sigma_ul : standard deviations of errors and of limits
    norms : (n_norms,) at which ``stat_scan`` is given, in units of the fluxes of ``spectrum``

    Raises
    ------
    InputError
        for datasets without counts or pixels, regions that no dataset holds or that are not sorted, edges that meet no
        bin.

    Examples
    --------
    >>> regions = gj.rings_around(SkyCoord("83.63d", "22.01d"), [0, 0.1, 0.2, 0.4])
    >>> profile = gj.flux_profile(datasets, result, regions, [1, 10] * u.TeV, exclude="crab")
    >>> profile.distance, profile.flux, profile.flux_err
    """
    what = "flux_profile"
    low, high = _distances(list(regions), what)
    known, kept, _ = map_input(datasets, models, exclude, None, what)
    found: dict[str, CountsDataset] = {}
    when: dict[str, int] = {}
    instruments: list[InstrumentModel] = []
    partly: list[str] = []
    solid = np.full(len(low), np.nan)
    for name, dataset in known.items():
        acting = list(kept.acting_on(name))
        expected = _as_background(dataset, name, acting, what)
        parts: dict[str, CountsDataset] = {}
        for k, region in enumerate(regions):
            part = _in_region(expected, region, f"{name}, region {k}", partly, what)
            if part is not None:
                parts[f"{name}, region {k}"] = part
                when[f"{name}, region {k}"] = k
                if np.isnan(solid[k]):
                    solid[k] = np.sum(geom_of(dataset).solid_angle[geom_of(dataset).region_mask(region)])
        found |= parts
        for model in acting:
            if isinstance(model, InstrumentModel):
                instruments.append(model.replace(name=f"{model.name}, {name}", datasets_names=list(parts)))
    for k in range(len(low)):
        if k not in when.values():
            raise InputError(f"{what}: no dataset holds the region {k} in its fitted pixels. Leave it out.")
    if partly:
        warn(
            f"{what}: only a part of the region is fitted at some energies, or on the map, which are left out there: "
            f"{'; '.join(partly[:4])}{f'; and {len(partly) - 4} more' if len(partly) > 4 else ''}."
        )
    shape = PowerLawSpectralModel(index=2.0, amplitude=1e-12) if spectrum is None else spectrum
    source = Models([SkyModel(shape, name=SOURCE), *instruments])
    order = sorted(when, key=lambda name: when[name])
    task = band_task(
        what,
        Datasets({name: found[name] for name in order}),
        source,
        SOURCE,
        energy_edges,
        n_sigma,
        n_sigma_ul,
        None,
        norms,
        False,
    )
    points: FluxPoints = fitted_bands(task, {name: when[name] for name in order}, Datasets(known).gti, by_dataset=False)
    return FluxProfile(low, high, points, solid)


def _distances(regions: "list[Region]", what: str) -> tuple[Ends, Ends]:
    """Where regions begin and end along the profile, in deg."""
    if len(regions) < 2:
        raise InputError(f"{what}: found {len(regions)} regions, expected at least two.")
    for region in regions:
        if not hasattr(region, "to_pixel") or not hasattr(region, "center"):
            raise InputError(
                f"{what}: found the region {type(region).__name__}, expected regions of the sky with a centre, such as "
                "gj.rectangles_along makes."
            )
    if all(hasattr(r, "inner_radius") and hasattr(r, "outer_radius") for r in regions):
        low = np.array([r.inner_radius.to_value("deg") for r in regions])
        high = np.array([r.outer_radius.to_value("deg") for r in regions])
    else:
        first = regions[0].center
        places = np.array([first.separation(r.center.transform_to(first.frame)).deg for r in regions])
        if np.all(np.diff(places) > 0):
            between = (places[1:] + places[:-1]) / 2
            edges = np.array([1.5 * places[0] - 0.5 * places[1], *between, 1.5 * places[-1] - 0.5 * places[-2]])
            return edges[:-1], edges[1:]
        low = high = places
    if not np.all(np.diff(low) > 0):
        raise InputError(f"{what}: each region must lie farther from the first than the one before. Sort the regions.")
    return low, high


def _as_background(dataset: CountsDataset, name: str, models: ActingModels, what: str) -> CountsDataset:
    """The dataset with all that is predicted as its background."""
    if "counts_off" in dataset.statistic_data:
        sources = [model.name for model in models if isinstance(model, SkyModel)]
        if sources:
            raise InputError(
                f"{what}: the dataset {name!r} has off counts, and no place for what {', '.join(sources)} predict in "
                f"it. Leave them out: exclude={sources!r}."
            )
        return dataset
    signal, background = predictions_of(dataset, models)[:2]
    return dataset.replace(background=np.asarray(signal) + np.asarray(background))


def _in_region(
    dataset: CountsDataset, region: "Region", where: str, partly: list[str], what: str
) -> CountsDataset | None:
    """The spectrum of the pixels in a region at the energies at which all of them are fitted, if there are any."""
    geom = geom_of(dataset)
    around = padded(geom, 1)
    wide = around.region_mask(region)
    inside = wide[1:-1, 1:-1]
    if not inside.any():
        return None
    if wide.sum() > inside.sum():
        partly.append(f"{where}, at the rim of the map")
        return None
    mask = np.broadcast_to(fitted_bins(dataset), dataset.data_shape)
    of_region = mask[:, inside]
    whole = of_region.all(axis=1)
    cut = int((of_region.any(axis=1) & ~whole).sum())
    if cut:
        partly.append(f"{where}, {cut} energies")
    if not whole.any():
        return None
    shown = dataset.replace(mask_safe=None, mask_fit=np.broadcast_to(np.expand_dims(whole, (1, 2)), mask.shape))
    (spectrum,) = Datasets({where: shown}).to_spectrum_datasets(region).values()
    return require_counts(spectrum, what)
