"""Datasets and models to and from gammapy, in memory. gammapy is imported only when one of these is called."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.time import Time

from gammajax.datasets.arrays import Array
from gammajax.datasets.collection.datasets import Datasets
from gammajax.datasets.counts.base import CountsBase
from gammajax.datasets.counts.dataset import CountsDataset
from gammajax.datasets.counts.known import KnownBackground
from gammajax.datasets.errors import InputError
from gammajax.datasets.flux_points.dataset import FluxPointsDataset
from gammajax.datasets.flux_points.light_curve import LightCurve
from gammajax.datasets.flux_points.points import FluxPoints
from gammajax.datasets.flux_points.profile import FluxProfile
from gammajax.datasets.gti import GTI
from gammajax.datasets.hints.calls import hinted
from gammajax.datasets.io.bins import usable_bins
from gammajax.datasets.io.fits import Fields, FitsTable
from gammajax.datasets.io.meta_table import meta_table_hdus, read_meta_table
from gammajax.datasets.io.region_table import pack_region, unpack_region
from gammajax.datasets.irf.edisp import EDispKernel
from gammajax.datasets.map.dataset import MapDataset, MapDatasetOnOff
from gammajax.datasets.meta import Meta
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.sky_model import ModelBase
from gammajax.datasets.models.spatial.base import SpatialModel
from gammajax.datasets.models.spectral.base import SpectralModel
from gammajax.datasets.models.temporal.base import TemporalModel
from gammajax.datasets.region.dataset import RegionMapDataset
from gammajax.datasets.spectrum.dataset import SpectrumDataset, SpectrumDatasetOnOff
from gammajax.interop.api import Api, load_api
from gammajax.interop.flux_points import dataset_from, dataset_to, points_to, rows_from, rows_to
from gammajax.interop.maps import is_region, map_from, map_to, region_from
from gammajax.interop.models import models_from, models_to, part_from, part_to

if TYPE_CHECKING:
    import gammapy.data
    import gammapy.datasets
    import gammapy.maps
    import gammapy.modeling.models
    from astropy.table import Table

SUPPORTED = (
    "SpectrumDataset, SpectrumDatasetOnOff, MapDataset, MapDatasetOnOff, RegionMapDataset, FluxPointsDataset, "
    "Datasets of these, "
    "FluxPoints, LightCurve, FluxProfile, SkyModel, "
    "FoVBackgroundModel, TemplateNPredModel, Models of these, and spectral, spatial and temporal models"
)

REGION = "COUNTS_REGION"


@hinted
def from_gammapy(obj: object) -> Any:
    """The gammajax form of a gammapy object; nothing is shared with it.

    Spectrum datasets keep counts, background or off counts and acceptances, exposure, energy dispersion (as a kernel),
    masks, good time intervals, livetime, region and observation id; map datasets what their FITS files keep, which is
    all of that and the PSF. Models attached to datasets are not taken along: convert ``datasets.models``. Templates are
    taken from memory; no file is written or read. Of a covariance the errors are kept; correlations are those of the
    next fit. Anything else raises `InputError`.
    """
    peer = load_api("from_gammapy")
    datasets, models = peer.datasets, peer.models
    if isinstance(obj, datasets.SpectrumDatasetOnOff):
        return _spectrum_from(obj, SpectrumDatasetOnOff)
    if isinstance(obj, datasets.SpectrumDataset):
        return _spectrum_from(obj, SpectrumDataset)
    if isinstance(obj, datasets.MapDataset):
        return _map_from(obj, peer)
    if isinstance(obj, datasets.FluxPointsDataset):
        return dataset_from(obj, None if obj.gti is None else _gti_from(obj.gti))
    if isinstance(obj, peer.estimators.FluxPoints):
        return rows_from(obj, None if obj.gti is None else _gti_from(obj.gti))
    if isinstance(obj, datasets.Datasets):
        return Datasets({dataset.name: from_gammapy(dataset) for dataset in obj})
    if isinstance(obj, models.DatasetModels):
        for model in obj:
            if not isinstance(model, models.SkyModel | models.FoVBackgroundModel | models.TemplateNPredModel):
                raise _unsupported("from_gammapy", model)
        return models_from(obj, peer)
    if isinstance(obj, models.SkyModel | models.FoVBackgroundModel | models.TemplateNPredModel):
        return models_from(models.Models([obj]), peer)[0]
    if isinstance(obj, models.SpectralModel | models.SpatialModel | models.TemporalModel):
        return part_from(obj)
    raise _unsupported("from_gammapy", obj)


@hinted
def to_gammapy(obj: object, name: str | None = None, dataset: CountsBase | None = None) -> Any:
    """The gammapy form of a gammajax object; nothing is shared with it.

    ``name`` is that of a single dataset: in gammajax names are the keys of `Datasets`. Models are not attached to
    datasets: set ``datasets.models = to_gammapy(models)``. ``dataset`` is one whose energies and pixels the counts of
    `TemplateNPredModel`s have; those that name a file get them from there. What gammapy has no form for raises
    `InputError`.
    """
    peer = load_api("to_gammapy")
    if isinstance(obj, SpectrumDataset | SpectrumDatasetOnOff):
        return _spectrum_to(obj, name, peer)
    if isinstance(obj, MapDataset | MapDatasetOnOff | RegionMapDataset):
        made, weights = map_to(obj, name, peer), weighted_mask(obj)
        if weights is not None:
            geom = made._geom
            made.mask_fit = peer.maps.Map.from_geom(geom, data=weights.reshape(geom.data_shape), dtype=float)
            made.stat_type = WEIGHTED
        return made
    if isinstance(obj, FluxPointsDataset):
        return dataset_to(obj, name, peer, *_points_extras(obj.data, peer))
    if name is not None:
        raise InputError("to_gammapy: name is for a single dataset; datasets and models have their own.")
    if isinstance(obj, Datasets):
        return peer.datasets.Datasets([to_gammapy(dataset, name=key) for key, dataset in obj.items()])
    if isinstance(obj, FluxPoints):
        return points_to(obj, peer, *_points_extras(obj, peer))
    if isinstance(obj, LightCurve | FluxProfile):
        return rows_to(obj, peer, *_points_extras(obj.points, peer))
    if isinstance(obj, Models | ModelBase):
        geom = None if dataset is None else _counts_geom(dataset, peer)
        found = models_to(Models(obj), peer, geom)
        return found if isinstance(obj, Models) else found[0]
    if isinstance(obj, SpectralModel | SpatialModel | TemporalModel):
        return part_to(obj, peer)
    raise _unsupported("to_gammapy", obj)


WEIGHTED = "cash_weighted"


def _unsupported(function: str, obj: object) -> InputError:
    kind = type(obj)
    return InputError(f"{function}: found {kind.__module__}.{kind.__name__}. Supported are {SUPPORTED}.")


def _map_from(peer: "gammapy.datasets.MapDataset", api: Api) -> CountsDataset:
    on_off = isinstance(peer, api.datasets.MapDatasetOnOff)
    if is_region(peer):
        if peer.psf is not None:
            _check_statistic(peer, MapDatasetOnOff if on_off else MapDataset)
            return _weighted(region_from(peer, api), peer)
        return _spectrum_from(peer, SpectrumDatasetOnOff if on_off else SpectrumDataset)
    _check_statistic(peer, MapDatasetOnOff if on_off else MapDataset)
    return _weighted(map_from(peer, api), peer)


def _weighted(found: CountsDataset, peer: "gammapy.datasets.MapDataset") -> CountsDataset:
    """With weights, if the statistic has them: files of gammapy hold them as whole numbers."""
    if peer.stat_type != WEIGHTED:
        return found
    mask = None if peer.mask_fit is None else np.asarray(peer.mask_fit.data).reshape(found.data_shape)
    return found.replace(**_weights_from(mask))


def _check_statistic(peer: "gammapy.datasets.MapDataset", kind: type[CountsDataset]) -> None:
    weighted = peer.stat_type == WEIGHTED and issubclass(kind, KnownBackground)
    if peer.stat_type != kind.stat_type and not weighted:
        raise InputError(
            f"from_gammapy: {peer.tag} {peer.name!r}: its statistic is {peer.stat_type!r}, and {kind.__name__} has "
            f"{kind.stat_type!r}. Set stat_type to {kind.stat_type!r}."
        )


def _spectrum_from(
    peer: "gammapy.datasets.SpectrumDataset", kind: type[SpectrumDataset] | type[SpectrumDatasetOnOff]
) -> SpectrumDataset | SpectrumDatasetOnOff:
    where = f"from_gammapy: {peer.tag} {peer.name!r}"
    _check_statistic(peer, kind)
    # the first map that is there; gammapy makes sure that they agree
    geom = peer._geom
    energy = geom.axes["energy"]
    edges, true_edges, exposure, livetime = energy.edges, None, None, None
    if peer.exposure is not None:
        true_edges = peer.exposure.geom.axes["energy_true"].edges
        exposure = peer.exposure.quantity[:, 0, 0]
        livetime = (peer.exposure.meta or {}).get("livetime")
    matrix = None
    if peer.edisp is not None:
        kernel = peer.edisp.get_edisp_kernel(position=None, energy_axis=energy)
        matrix = EDispKernel(kernel.pdf_matrix)
        own = kernel.axes["energy_true"].edges
        true_edges = own if true_edges is None else true_edges
        if len(own) != len(true_edges) or not u.allclose(own, true_edges, rtol=1e-5):
            raise InputError(f"{where}: its exposure and its energy dispersion have different true energies.")
    safe = _values(peer.mask_safe, bool)
    excluded = None if safe is None else ~safe
    fields: Fields = {
        "energy_edges": edges,
        "energy_interp": energy.interp,
        "energy_true_edges": true_edges,
        "counts": _numbers(peer.counts, f"{where}: counts", excluded),
        "exposure": exposure,
        "edisp": matrix,
        "mask_safe": safe,
        "mask_fit": _values(peer.mask_fit, bool),
        "livetime": livetime,
        "gti": None if peer.gti is None else _gti_from(peer.gti),
    }
    meta = _meta_from(peer.meta_table) | _region_from(geom, "region")
    if peer.stat_type == WEIGHTED:
        fields |= _weights_from(_values(peer.mask_fit))
    if kind is SpectrumDataset:
        fields["background"] = _numbers(peer.background, f"{where}: background", excluded)
    else:
        fields["counts_off"] = _numbers(peer.counts_off, f"{where}: counts_off", excluded)
        for key in ("acceptance", "acceptance_off"):
            values = _values(getattr(peer, key))
            # stacking leaves undefined acceptances in bins without off counts; gammapy takes alpha as 0 there
            fields[key] = 0.0 if values is None else np.where(np.isfinite(values), values, 0.0)
        if peer.counts_off is not None:
            meta |= _region_from(peer.counts_off.geom, "region_off")
    try:
        return kind(**fields, meta=Meta(meta))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _weights_from(mask: np.ndarray | None) -> Fields:
    """Arguments for the statistic whose weights gammapy keeps in ``mask_fit``; it leaves negative ones out."""
    if mask is None:
        return {"stat_type": WEIGHTED}
    numbers = np.asarray(mask, float)
    return {"stat_type": WEIGHTED, "mask_fit": numbers > 0, "weights": np.where(numbers > 0, numbers, 1.0)}


def weighted_mask(dataset: CountsBase) -> np.ndarray | None:
    """The fit mask as numbers, as gammapy has weights; None for other statistics."""
    if dataset.stat_type != WEIGHTED:
        return None
    weights = np.asarray(getattr(dataset, "weights"))  # noqa: B009  # of known backgrounds
    return weights if dataset.mask_fit is None else weights * np.asarray(dataset.mask_fit)


def _values(peer_map: "gammapy.maps.RegionNDMap | None", dtype: type[float] | type[bool] = float) -> np.ndarray | None:
    return None if peer_map is None else np.array(peer_map.data[..., 0, 0], dtype)


def _numbers(peer_map: "gammapy.maps.RegionNDMap | None", where: str, excluded: np.ndarray | None) -> np.ndarray | None:
    """Numbers of the bins, by the rule of files: bad ones do not matter where the safe mask excludes them."""
    values = _values(peer_map)
    return None if values is None else usable_bins(values, where, excluded)


def _meta_from(table: "Table | None") -> dict[str, object]:
    """Descriptions from a table of observations, of which a sum of datasets has several."""
    if table is None or not len(table):
        return {}
    with warnings.catch_warnings():
        # columns without a form in FITS
        warnings.simplefilter("ignore")
        return read_meta_table(FitsTable(fits.table_to_hdu(table), "meta_table"))


def _region_from(geom: "gammapy.maps.RegionGeom", key: str) -> dict[str, object]:
    """The region as files keep it; a region that FITS cannot express is left out."""
    if geom.region is None:
        return {}
    try:
        hdus = geom.to_hdulist(format="gadf", hdu_region=REGION)
        return {key: pack_region(FitsTable(hdus[REGION], key))}
    except (TypeError, ValueError, KeyError, AttributeError, InputError):
        return {}


def _gti_from(peer: "gammapy.data.GTI") -> GTI:
    reference = peer.time_ref.tt
    start, stop = ((time.tt - reference).to_value("s") for time in (peer.time_start, peer.time_stop))
    return GTI(np.atleast_1d(start), np.atleast_1d(stop), reference)


def _spectrum_to(
    dataset: SpectrumDataset | SpectrumDatasetOnOff, name: str | None, peer: Api
) -> "gammapy.datasets.SpectrumDataset":
    from astropy.table import Table

    axis = _energy_axis(dataset, peer)
    axis_true = peer.maps.MapAxis.from_energy_edges(np.asarray(dataset.energy_true_edges) * u.TeV, name="energy_true")
    region = _region_to(dataset.meta, "region", peer)

    def to_map(
        values: Array | float | None,
        axes: "gammapy.maps.MapAxis" = axis,
        place: dict[str, object] = region,
        unit: str = "",
    ) -> "gammapy.maps.RegionNDMap | None":
        if values is None:
            return None
        geom = peer.maps.RegionGeom(axes=[axes], **place)
        return peer.maps.RegionNDMap(geom, data=np.array(values)[:, None, None], unit=unit)

    exposure = to_map(dataset.exposure, axis_true, unit="cm2 s")
    livetime = float(np.asarray(dataset.livetime))
    if exposure is not None and np.isfinite(livetime):
        exposure.meta["livetime"] = livetime * u.s
    # gammapy takes a missing dispersion for equal axes
    matrix = None if dataset.edisp is None else dataset.edisp.matrix
    if matrix is None and not np.array_equal(dataset.energy_edges, dataset.energy_true_edges):
        matrix = dataset.diagonal_matrix()
    edisp = None
    if matrix is not None:
        kernel = peer.irf.EDispKernel(axes=[axis_true, axis], data=np.array(matrix))
        geom = peer.maps.RegionGeom(axes=[axis_true], **region)
        edisp = peer.irf.EDispKernelMap.from_edisp_kernel(kernel, geom=geom)
        # it is made in float32
        edisp.edisp_map.data = np.array(matrix)[..., None, None]
    observations = meta_table_hdus(dataset.meta)
    fields: dict[str, object] = {
        "counts": to_map(dataset.counts),
        "exposure": exposure,
        "edisp": edisp,
        "mask_safe": to_map(dataset.mask_safe),
        "mask_fit": to_map(dataset.mask_fit),
        "gti": None if dataset.gti is None else _gti_to(dataset.gti, peer),
        "meta_table": Table.read(observations[0]) if observations else None,
        "name": name,
    }
    if isinstance(dataset, SpectrumDataset):
        weights = weighted_mask(dataset)
        if weights is not None:
            fields |= {"mask_fit": to_map(weights), "stat_type": WEIGHTED}
        return peer.datasets.SpectrumDataset(**fields, background=to_map(dataset.background))
    off = _region_to(dataset.meta, "region_off", peer)
    fields |= {
        "counts_off": to_map(dataset.counts_off, place=off),
        "acceptance": to_map(dataset.acceptance),
        "acceptance_off": to_map(dataset.acceptance_off, place=off),
    }
    return peer.datasets.SpectrumDatasetOnOff(**fields)


def _energy_axis(dataset: CountsBase, peer: Api) -> "gammapy.maps.MapAxis":
    edges = np.asarray(dataset.energy_edges) * u.TeV
    return peer.maps.MapAxis.from_edges(edges, interp=dataset.energy_interp, name="energy")


def _region_to(meta: Meta, key: str, peer: Api) -> dict[str, object]:
    if key not in meta:
        return {"region": None}
    # the reader of regions wants an axis beside them
    axes = peer.maps.MapAxes([peer.maps.MapAxis.from_energy_edges([1, 10] * u.TeV)])
    bands = axes.to_table_hdu(format="gadf", hdu_bands="COUNTS_BANDS")
    hdus = fits.HDUList([fits.PrimaryHDU(), bands, unpack_region(meta[key], REGION)])
    geom = peer.maps.RegionGeom.from_hdulist(hdus, format="gadf", hdu="COUNTS")
    return {"region": geom.region, "wcs": geom.wcs}


def _gti_to(gti: GTI, peer: Api) -> "gammapy.data.GTI":
    reference = Time(float(gti.reference), format="mjd", scale="tt")
    return peer.data.GTI.create(np.asarray(gti.start) * u.s, np.asarray(gti.stop) * u.s, reference)


def _points_extras(
    points: FluxPoints, peer: Api
) -> "tuple[gammapy.data.GTI | None, gammapy.modeling.models.SpectralModel | None]":
    """Good time intervals and reference model of flux points, in gammapy; None where there are none."""
    gti, model = points.gti, points.reference_model
    return None if gti is None else _gti_to(gti, peer), None if model is None else part_to(model, peer)


def _counts_geom(dataset: CountsBase, peer: Api) -> "gammapy.maps.WcsGeom | gammapy.maps.RegionGeom":
    """Geometry of the counts of a dataset, in gammapy."""
    if not isinstance(dataset, CountsBase):
        raise InputError(f"to_gammapy: dataset must be one dataset, found {type(dataset).__name__}.")
    axis = _energy_axis(dataset, peer)
    if isinstance(dataset, MapDataset | MapDatasetOnOff):
        return peer.maps.WcsGeom(dataset.geom.wcs, npix=dataset.geom.shape[::-1], axes=[axis])
    meta = dataset.meta
    if isinstance(dataset, RegionMapDataset):
        meta = Meta({"region": pack_region(FitsTable(dataset.region.to_table(), "region"))})
    return peer.maps.RegionGeom(axes=[axis], **_region_to(meta, "region", peer))
