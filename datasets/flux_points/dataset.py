"""Flux points with a fit statistic: a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Self, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ..arrays import Array, Mask, fields_of, is_concrete
from ..bins import on_host
from ..counts.npred import SomeModels
from ..counts.summary import Info
from ..dataset import Dataset
from ..dataset import Models as ActingModels
from ..energies import fitted_energies
from ..errors import InputError
from ..gti import GTI
from ..hints.modules import require_models
from ..io.fits import naming
from ..io.paths import Filename, as_path, write_files
from ..meta import Meta
from ..models.collection import Models
from ..models.sky_model import SkyModel, summed_flux
from ..prepared import Arrays, Frozen
from ..shown import Facts, sum_text
from ..statistics.base import Bins
from ..statistics.registry import STATISTICS
from ..units import EDGE_TOLERANCE, NOT_FITTED, Given, nearest_edge, number_in, to_mask, to_unit, warn_of_cut_bins
from .files import dataset_contents, read_dataset_fields
from .points import FluxPoints, PerPoint, PointsMask
from .prepared import PointsSpec
from .reference import UNITS
from .statistic import Read, available_statistics, data_arrays, require_errors

if TYPE_CHECKING:
    from astropy.table import Table

METHODS = ("diff", "diff/model", "diff/sigma")

SIZE_STEP = 32
"""Numbers of points are rounded up to multiples of this, so that similar tables share a program."""


class FluxPointsDataset(Dataset):
    """Flux points to be fitted: the prediction is the summed flux of the sky models at the reference energies.

    Parameters
    ----------
    data : `FluxPoints`, or a table of them
    mask_safe, mask_fit : (n,) bool
    stat_type : "chi2" (limits are left out), "distrib" (errors by side, and limits) or "profile" (scans of the
        likelihood); see `flux_points.statistic`
    meta : `Meta`

    Points for which the statistic lacks what it needs, such as NaN fluxes or NaN errors, do not take part:
    `mask_valid`. Of the models the spectra count, and light curves if ``data.gti`` is known; shapes on the sky do not.
    """

    data: FluxPoints
    mask_safe: PointsMask | None
    mask_fit: PointsMask | None
    meta: Meta
    stat_type: str = eqx.field(static=True)

    tag = "FluxPointsDataset"

    def __init__(
        self,
        data: "FluxPoints | Table | Mapping[str, u.Quantity]",
        mask_safe: Mask | Sequence[bool] | None = None,
        mask_fit: Mask | Sequence[bool] | None = None,
        stat_type: str = "chi2",
        meta: Meta | None = None,
    ):
        if not isinstance(data, FluxPoints):
            if not isinstance(data, Mapping) and not hasattr(data, "colnames"):
                raise InputError(f"FluxPointsDataset: data must be FluxPoints, found {type(data).__name__}.")
            data = FluxPoints.from_table(data)
        self.data, self.meta = data, meta or Meta()
        self.mask_safe, self.mask_fit = to_mask(mask_safe, "mask_safe"), to_mask(mask_fit, "mask_fit")
        self.stat_type = stat_type

    def __check_init__(self) -> None:
        if self.stat_type not in available_statistics():
            raise InputError(
                f"FluxPointsDataset: stat_type must be one of {', '.join(available_statistics())}, found "
                f"{self.stat_type!r}."
            )
        for name in ("mask_safe", "mask_fit"):
            mask = getattr(self, name)
            if mask is not None and np.shape(mask) != self.data_shape:
                raise InputError(
                    f"FluxPointsDataset: {name} has shape {np.shape(mask)}, expected {self.data_shape}, one per point."
                )
        if is_concrete(self.data.norm):
            if is_concrete(self.data.is_ul):
                require_errors(self.data, self.stat_type)
            self._data_arrays()

    @property
    def available_stat_type(self) -> tuple[str, ...]:
        """What ``stat_type`` may be."""
        return tuple(available_statistics())

    @property
    def data_shape(self) -> tuple[int, ...]:
        return (self.data.n_points,)

    @property
    def n_reco(self) -> int:
        """Number of points."""
        return self.data.n_points

    @property
    def gti(self) -> GTI | None:
        return self.data.gti

    @property
    def energy_ref(self) -> PerPoint:
        """Reference energies in TeV."""
        return self.data.energy_ref

    @property
    def energy_edges(self) -> Float[np.ndarray, " n+1"]:
        """Edges of bins around the points in TeV, (n + 1,): the lower end of each bin, and the upper end of the last.

        Points without bins have edges half way to the next point in ln E; a single one has its own energy twice.
        """
        if self.data.energy_min is not None:
            return np.append(np.asarray(self.data.energy_min), np.asarray(self.data.energy_max)[-1])
        energy = np.asarray(self.data.energy_ref)
        if len(energy) == 1:
            return np.array([energy[0], energy[0]])
        middle = np.sqrt(energy[:-1] * energy[1:])
        return np.concatenate([energy[:1] ** 2 / middle[:1], middle, energy[-1:] ** 2 / middle[-1:]])

    @property
    def energy_bins(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of the bins of points in TeV, (n,): between two there may be a gap."""
        low, high = self.energy_edges[:-1], self.energy_edges[1:]
        return low, high if self.data.energy_max is None else np.asarray(self.data.energy_max)

    @property
    def mask_valid(self) -> PointsMask:
        """Points for which the fit statistic has what it needs."""
        return self._data_arrays()[1]

    @property
    def mask(self) -> PointsMask:
        """Points that enter the fit statistic: valid, and in both masks."""
        kept = super().mask
        return self.mask_valid if kept is None else self.mask_valid & kept

    def with_mask_fit(
        self,
        mask: Mask | None = None,
        *,
        energy_min: Given | None = None,
        energy_max: Given | None = None,
        round_to_edge: bool | None = None,
    ) -> Self:
        """A copy that fits points wholly inside [energy_min, energy_max], or those where ``mask`` is True.

        Energies are Quantities or numbers in TeV; `energy_mask` says which points those are. For ``round_to_edge`` see
        `SpectrumDataset.with_mask_fit`. Called without arguments it removes the fit mask.
        """
        if mask is not None and (energy_min is not None or energy_max is not None):
            raise InputError("with_mask_fit: give either a mask or an energy range, not both.")
        if mask is None and (energy_min is not None or energy_max is not None):
            mask = self.energy_mask(energy_min, energy_max, bool(round_to_edge))
            if round_to_edge is None and self.data.energy_min is not None:
                low, high = (np.asarray(e) for e in (self.data.energy_min, self.data.energy_max))
                warn_of_cut_bins(low, high, (energy_min, energy_max), "with_mask_fit", NOT_FITTED)
        return self.replace(mask_fit=mask)

    def with_mask_safe(self, mask: Mask | None) -> Self:
        """A copy with another safe mask."""
        return self.replace(mask_safe=mask)

    def energy_mask(
        self, energy_min: Given | None = None, energy_max: Given | None = None, round_to_edge: bool = False
    ) -> np.ndarray:
        """Points whose bin, or reference energy if there are no bins, is wholly inside [energy_min, energy_max].

        ``round_to_edge`` moves the two to the nearest edges of bins first, in ln E.
        """
        on_host((self.data.energy_ref, self.data.energy_min, self.data.energy_max), "energy_mask")
        low = -np.inf if energy_min is None else number_in(energy_min, "TeV", "energy_min")
        high = np.inf if energy_max is None else number_in(energy_max, "TeV", "energy_max")
        points = self.data
        if round_to_edge and points.energy_min is not None:
            edges = np.unique([np.asarray(points.energy_min), np.asarray(points.energy_max)])
            low, high = (nearest_edge(energy, edges, "log") for energy in (low, high))
        bottom, top = (points.energy_ref if e is None else e for e in (points.energy_min, points.energy_max))
        inside = np.asarray(bottom) >= low * (1 - EDGE_TOLERANCE)
        return inside & (np.asarray(top) <= high * (1 + EDGE_TOLERANCE))

    def predict(self, models: ActingModels) -> Bins:
        """Flux of the sky models at the reference energies, (n,) in TeV-1 s-1 cm-2."""
        return summed_flux(models, jnp.asarray(self.data.energy_ref), self.data.gti)

    def flux_pred(self, models: SomeModels | None = None, name: str | None = None) -> Bins:
        """`predict` for models of which those that act on the dataset ``name`` count."""
        given = cast(SomeModels, require_models(models, "flux_pred"))
        return self.predict(list(Models(given).acting_on(name)))

    def residual_methods(self) -> tuple[str, ...]:
        return METHODS

    def residuals(
        self, models: SomeModels | ActingModels | None = None, method: str = "diff", name: str | None = None
    ) -> np.ndarray:
        """Data minus prediction ("diff", in TeV-1 s-1 cm-2), divided by the prediction ("diff/model") or by the error
        on the side of the prediction ("diff/sigma"); NaN for limits."""
        given = require_models(models, "residuals")
        acting = [m for m in Models(cast(SomeModels, given)) if name is None or m.acts_on(name)]
        predicted = np.asarray(self.predict(acting))
        points = self.data
        difference = np.asarray(points.norm) * np.asarray(points.dnde_ref) - predicted
        if method == "diff/model":
            difference = difference / predicted
        elif method == "diff/sigma":
            arrays, _ = data_arrays("distrib", points, np)
            sigma = np.where(difference <= 0, arrays["errors_high"], arrays["errors_low"])
            difference = difference / (sigma * np.asarray(points.dnde_ref))
        elif method != "diff":
            raise InputError(f"residuals: method must be 'diff', 'diff/model' or 'diff/sigma', found {method!r}.")
        return np.where(np.asarray(points.is_ul), np.nan, difference)

    def stat_bins(self, prediction: Array) -> Bins:
        """The fit statistic per point for a flux in TeV-1 s-1 cm-2, masks not applied."""
        norm = jnp.asarray(to_unit(prediction, UNITS["dnde"], "prediction")) / jnp.asarray(self.data.dnde_ref)
        return STATISTICS[self.stat_type].stat_bins(self._data_arrays()[0], norm)

    def scoring_bins(self, prediction: Array) -> tuple[Bins, Bins, Bins]:
        reference = jnp.asarray(self.data.dnde_ref)
        norm = jnp.asarray(to_unit(prediction, UNITS["dnde"], "prediction")) / reference
        stat, slope, curvature = STATISTICS[self.stat_type].scoring_bins(self._data_arrays()[0], norm)
        return stat, slope / reference, curvature / reference**2

    def check_models(self, models: ActingModels, what: str) -> None:
        for model in models:
            if not isinstance(model, SkyModel):
                raise InputError(
                    f"{what}: model {fields_of(model)['name']!r} is a {type(model).__name__}, and flux points have no "
                    "counts that it could act on. Name its datasets: datasets_names=[...]."
                )
            model.check_spectrum()
            if not model.flags.exposure:
                raise InputError(
                    f"{what}: model {model.name!r} is no flux (its exposure is switched off), and flux points are "
                    "compared with fluxes. Name its datasets: datasets_names=[...]."
                )

    def prepare(self, models: ActingModels, frozen: Sequence[Frozen] = (), name: str = "") -> tuple[PointsSpec, Arrays]:
        """Spec and arrays of a fit, with points of padding, masked."""
        data, valid = self._data_arrays()
        kept = super().mask
        arrays = {"energy": self.data.energy_ref, "reference": self.data.dnde_ref} | data
        arrays["mask_safe"] = valid if kept is None else valid & kept
        extra = -self.n_reco % SIZE_STEP
        if extra:
            arrays = {name: _padded(values, extra) for name, values in arrays.items()}
        if self.gti is not None and any(isinstance(m, SkyModel) and m.temporal is not None for m in models):
            arrays |= self.gti.to_arrays()
        shapes = tuple((name, np.shape(values)) for name, values in arrays.items())
        return PointsSpec(STATISTICS[self.stat_type], shapes), arrays

    def info_dict(self) -> dict[str, Info]:
        """Numbers of points: all, upper limits, fitted; and the energies of the fitted ones."""
        mask = np.asarray(self.mask)
        low, high = fitted_energies(self) or (np.nan, np.nan)
        return {
            "type": self.tag,
            "stat_type": self.stat_type,
            "n_bins": self.n_reco,
            "n_fit_bins": int(mask.sum()),
            "n_ul": int(np.sum(np.asarray(self.data.is_ul))),
            "energy_min": u.Quantity(low, "TeV"),
            "energy_max": u.Quantity(high, "TeV"),
        }

    def _data_arrays(self) -> Read:
        names = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "is_ul", "stat", "stat_scan", "norm_scan")
        known = all(not isinstance(getattr(self.data, name), jax.Array) for name in names)
        kept = super().mask
        return data_arrays(
            self.stat_type, self.data, np if known else jnp, True if kept is None or not known else np.asarray(kept)
        )

    @classmethod
    def read(cls, filename: Filename) -> Self:
        """Read a FITS or ECSV table of flux points, with masks if there are; see `files.read_dataset_fields`."""
        points, fields = read_dataset_fields(filename)
        with naming(filename):
            return cls(FluxPoints(**points), **fields)

    def write(self, filename: Filename, overwrite: bool = False) -> None:
        """Write a table of flux points with both masks: FITS, or ECSV if the name ends in ``.ecsv``."""
        write_files(dataset_contents(self, as_path(filename)), overwrite)

    def contents(self, path: Path, name: str) -> Mapping[Path, bytes]:
        """The file of the dataset as bytes by path; ``name``: that of the dataset."""
        return dataset_contents(self, as_path(path))

    @property
    def facts(self) -> Facts:
        fitted = sum_text(self.mask) if self.mask is not None else "all"
        return {**self.data.facts, "fitted": fitted, "statistic": self.stat_type}


def _padded(values: Array, extra: int) -> Array:
    """More entries like the last one; a mask gets False."""
    xp: ModuleType = jnp if isinstance(values, jax.Array) else np
    last = xp.asarray(values)[-1:]
    filling = xp.repeat(last & False if last.dtype == bool else last, extra, axis=0)
    return xp.concatenate([xp.asarray(values), filling])
