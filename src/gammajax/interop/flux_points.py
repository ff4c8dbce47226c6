"""Flux points to and from gammapy, in memory."""

import math
from typing import TYPE_CHECKING, cast

import numpy as np

from gammajax.datasets.arrays import Mask
from gammajax.datasets.errors import InputError
from gammajax.datasets.flux_points.dataset import FluxPointsDataset
from gammajax.datasets.flux_points.light_curve import LightCurve
from gammajax.datasets.flux_points.points import FluxPoints
from gammajax.datasets.flux_points.profile import FluxProfile
from gammajax.datasets.flux_points.table import FURTHER, PER_POINT, SUFFIXES
from gammajax.datasets.gti import GTI
from gammajax.datasets.io.fits import Fields
from gammajax.datasets.meta import Meta
from gammajax.datasets.models.spectral.base import SpectralModel
from gammajax.interop.api import Api
from gammajax.interop.models import part_from

if TYPE_CHECKING:
    import gammapy.data
    import gammapy.datasets
    import gammapy.estimators
    import gammapy.modeling.models
    from astropy.table import Table


def points_from(peer: "gammapy.estimators.FluxPoints", gti: GTI | None) -> FluxPoints:
    """Flux points of gammapy with one energy axis."""
    if list(peer.geom.axes.names) != ["energy"]:
        raise InputError(
            f"from_gammapy: FluxPoints with the axes {', '.join(peer.geom.axes.names)}, expected energy, with time or "
            "projected-distance at most. Take one spectrum out: flux_points.slice_by_idx(...)."
        )

    def values(name: str) -> np.ndarray | None:
        found = getattr(peer, name, None)
        return None if found is None else np.array(found.data).reshape(peer.energy_axis.nbin, -1)

    fields: Fields = {}
    for name in (*(f"norm{suffix}" for suffix in SUFFIXES), *PER_POINT, "is_ul"):
        found = values(name) if name in (*peer.available_quantities, "norm", "is_ul") else None
        fields[name] = None if found is None else found[:, 0]
    fields |= {"energy_ref": peer.energy_ref, "dnde_ref": peer.dnde_ref[:, 0, 0]}
    if peer.is_convertible_to_flux_sed_type:
        fields |= {"energy_min": peer.energy_min, "energy_max": peer.energy_max}
        fields |= {"flux_ref": peer.flux_ref[:, 0, 0], "eflux_ref": peer.eflux_ref[:, 0, 0]}
    if peer.has_stat_profiles:
        fields |= {"stat_scan": values("stat_scan"), "norm_scan": peer.stat_scan.geom.axes["norm"].center.value}
    meta: dict[str, object] = {"SED_TYPE": peer.sed_type_init or "likelihood"}
    if peer.n_sigma_ul:
        meta["UL_CONF"] = round(math.erf(peer.n_sigma_ul / math.sqrt(2)), 7)
    if "sqrt_ts_threshold_ul" in peer.meta:
        meta["sqrt_ts_threshold_ul"] = peer.meta["sqrt_ts_threshold_ul"]
    further = {name: values(name) for name in FURTHER if name in peer.available_quantities}
    if further:
        meta["columns"] = further
    return FluxPoints(**fields, gti=gti, reference_model=_model_from(peer), meta=Meta(meta))


def _model_from(peer: "gammapy.estimators.FluxPoints") -> SpectralModel | None:
    try:
        return cast(SpectralModel, part_from(peer.reference_spectral_model))
    except (InputError, NotImplementedError):
        # the reference fluxes say all that is needed; tables from FITS files cannot be written out by gammapy
        return None


def rows_from(peer: "gammapy.estimators.FluxPoints", gti: GTI | None) -> FluxPoints | LightCurve | FluxProfile:
    """Flux points of gammapy, which are a light curve or a profile where they have such an axis."""
    model = _model_from(peer)
    axes = set(peer.geom.axes.names) - {"energy"}
    if axes == {"time"}:
        return LightCurve.from_table(_table_from(peer, "lightcurve"), "likelihood", model, gti)
    if axes == {"projected-distance"}:
        return FluxProfile.from_table(_table_from(peer, "profile"), "likelihood", model, gti)
    return points_from(peer, gti)


def _table_from(peer: "gammapy.estimators.FluxPoints", format: str) -> "Table":
    table = peer.to_table(sed_type="likelihood", format=format)
    if peer.n_sigma_ul:
        table.meta["UL_CONF"] = round(math.erf(peer.n_sigma_ul / math.sqrt(2)), 7)
    if format == "lightcurve":
        # the table has days of the axis' scale counted from MJD 0 as elapsed time, which lack the leap seconds of UTC
        axis = peer.geom.axes["time"]
        table["time_min"], table["time_max"] = axis.time_min.tt, axis.time_max.tt
    return table


def rows_to(
    rows: LightCurve | FluxProfile,
    peer: Api,
    gti: "gammapy.data.GTI | None",
    model: "gammapy.modeling.models.SpectralModel | None",
) -> "gammapy.estimators.FluxPoints":
    """A light curve, or a profile, as gammapy's flux points with such an axis."""
    form = "lightcurve" if isinstance(rows, LightCurve) else "profile"
    table = rows.to_table("likelihood", format=form)
    found = peer.estimators.FluxPoints.from_table(table, format=form, reference_model=model, gti=gti)
    found.meta["sed_type_init"] = rows.sed_type
    return found


def points_to(
    points: FluxPoints,
    peer: Api,
    gti: "gammapy.data.GTI | None",
    model: "gammapy.modeling.models.SpectralModel | None",
) -> "gammapy.estimators.FluxPoints":
    """The same flux points in gammapy. ``model`` is the reference model; without it gammapy interpolates between the
    reference fluxes."""
    kind = "likelihood" if points.energy_min is not None else "dnde"
    table = points.to_table(kind)
    if kind == "likelihood":
        edges = (np.asarray(points.energy_min), np.asarray(points.energy_max))
        if not np.allclose(edges[1][:-1], edges[0][1:], rtol=1e-6):
            raise InputError("to_gammapy: the bins of the flux points do not join, and gammapy has one energy axis.")
        if not np.allclose(np.sqrt(edges[0] * edges[1]), points.energy_ref, rtol=1e-6):
            raise InputError(
                "to_gammapy: the flux points are not at the logarithmic centres of their bins, where gammapy takes "
                "them to be. Drop the bins: points.replace(energy_min=None, energy_max=None)."
            )
    found = peer.estimators.FluxPoints.from_table(table, format="gadf-sed", reference_model=model, gti=gti)
    found.meta["sed_type_init"] = points.sed_type
    return found


def dataset_from(peer: "gammapy.datasets.FluxPointsDataset", gti: GTI | None) -> FluxPointsDataset:
    """A dataset of gammapy; its models are not taken along."""
    safe = np.array(peer._mask_safe, bool).reshape(-1)
    fit = None if peer.mask_fit is None else np.array(getattr(peer.mask_fit, "data", peer.mask_fit), bool).reshape(-1)
    return FluxPointsDataset(points_from(peer.data, gti), None if safe.all() else safe, fit, stat_type=peer.stat_type)


def dataset_to(
    dataset: FluxPointsDataset,
    name: str | None,
    peer: Api,
    gti: "gammapy.data.GTI | None",
    model: "gammapy.modeling.models.SpectralModel | None",
) -> "gammapy.datasets.FluxPointsDataset":
    """The same dataset in gammapy, without models."""

    def mask(values: Mask | None) -> np.ndarray | None:
        return None if values is None else np.array(values)[:, None, None]

    data = points_to(dataset.data, peer, gti, model)
    if dataset.stat_type == "distrib" and dataset.data.norm_ul is None:
        raise InputError(
            "to_gammapy: gammapy's 'distrib' needs a column of upper limits; give norm_ul, NaN all through."
        )
    return peer.datasets.FluxPointsDataset(
        data=data,
        mask_safe=mask(dataset.mask_safe),
        mask_fit=mask(dataset.mask_fit),
        name=name,
        stat_type=dataset.stat_type,
    )
