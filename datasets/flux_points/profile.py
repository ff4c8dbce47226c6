"""Flux profiles: fluxes in regions along a line, or around a place, and bins of energy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Float

from ..arrays import Array, is_concrete
from ..errors import InputError
from ..gti import GTI
from ..io.fits import naming
from ..io.paths import Filename, as_path, write_files
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from ..shown import Facts, html_table, number_text, robust, sum_text
from ..units import Given, to_unit
from .points import FluxPoints
from .profile_table import profile_contents, profile_fields, profile_table, read_profile_fields
from .rows import PointRows, places_of
from .table import formatted_table

if TYPE_CHECKING:
    from astropy.table import Table

PerRegion = Float[Array, " n_regions"]


class FluxProfile(PointRows):
    """Fluxes in regions of the sky and bins of energy, what `gammajax.flux_profile` makes. From a file by `read`.

    Fluxes are `FluxPoints`, those of all energies of the first region, then of the second, ...; every region has the
    same energies. ``profile.norm``, ``profile.flux``, ``profile.dnde_err``, ``profile.is_ul``, ``profile.sqrt_ts`` and
    all others of their kind have the shape (n_regions, n_energies).

    Parameters
    ----------
    distance_min, distance_max : where the regions begin and end along the profile (n_regions,), Quantity or deg; both
        rise
    points : `FluxPoints` (n_regions n_energies,)
    solid_angle : of the regions (n_regions,), Quantity or sr, if it is known: fluxes divided by it are intensities

    Examples
    --------
    >>> profile = gj.flux_profile(datasets, result, regions, [1, 10] * u.TeV, exclude="jet")
    >>> profile.distance, profile.flux[:, 0], profile.flux_err[:, 0]
    >>> profile.flux[:, 0] / (profile.solid_angle * u.sr)
    """

    distance_min: PerRegion
    distance_max: PerRegion
    points: FluxPoints
    solid_angle: PerRegion | None = None

    def __init__(self, distance_min: Given, distance_max: Given, points: FluxPoints, solid_angle: Given | None = None):
        self.distance_min = to_unit(distance_min, "deg", "FluxProfile: distance_min")
        self.distance_max = to_unit(distance_max, "deg", "FluxProfile: distance_max")
        self.points = points
        self.solid_angle = to_unit(solid_angle, "sr", "FluxProfile: solid_angle")

    def __check_init__(self) -> None:
        shape = np.shape(self.distance_min)
        if len(shape) != 1 or not shape[0] or np.shape(self.distance_max) != shape:
            raise InputError(
                f"FluxProfile: distance_min and distance_max must be lists of one length, found shapes {shape} and "
                f"{np.shape(self.distance_max)}."
            )
        self.check_rows("regions")
        if self.solid_angle is not None and np.shape(self.solid_angle) != shape:
            raise InputError(
                f"FluxProfile: solid_angle has shape {np.shape(self.solid_angle)}, expected {shape}, one per region."
            )
        if is_concrete(self.distance_min) and is_concrete(self.distance_max):
            low, high = np.asarray(self.distance_min), np.asarray(self.distance_max)
            if not np.all(np.isfinite(low) & np.isfinite(high) & (high > low)):
                raise InputError("FluxProfile: every region needs a finite distance_min below its distance_max.")
            if np.any(np.diff(low) <= 0):
                raise InputError("FluxProfile: distance_min must rise. Sort the regions by their distance.")

    @property
    def n_regions(self) -> int:
        return int(np.shape(self.distance_min)[0])

    @property
    def n_rows(self) -> int:
        """Regions."""
        return self.n_regions

    @property
    def distance(self) -> PerRegion:
        """Middle of each region along the profile in deg, (n_regions,)."""
        return (self.distance_min + self.distance_max) / 2

    def select_regions(self, chosen: Sequence[bool] | Sequence[int] | Array | slice) -> Self:
        """The profile of some regions: a mask (n_regions,), their places in order, or a slice."""
        places = places_of(chosen, self.n_regions, "FluxProfile.select_regions")
        low, high = (np.asarray(edges)[places] for edges in (self.distance_min, self.distance_max))
        solid = None if self.solid_angle is None else np.asarray(self.solid_angle)[places]
        return type(self)(low, high, self.points_of(places, slice(None)), solid)

    def select_energies(self, chosen: Sequence[bool] | Sequence[int] | Array | slice) -> Self:
        """The profile of some bands of energy: a mask (n_energies,), their places, or a slice."""
        places = places_of(chosen, self.n_energies, "FluxProfile.select_energies")
        points = self.points_of(slice(None), places)
        return type(self)(self.distance_min, self.distance_max, points, self.solid_angle)

    @property
    def facts(self) -> Facts:
        return {
            "regions": str(self.n_regions),
            "energies": str(self.n_energies),
            "upper limits": sum_text(self.points.is_ul),
            "distance": f"{number_text(self.distance_min[0])} to {number_text(self.distance_max[-1])} deg",
        }

    @robust
    def _repr_html_(self) -> str:
        names = ("flux", "flux_err", "flux_ul", "sqrt_ts", "is_ul")
        columns = {name: values for name in names if (values := getattr(self, name)) is not None}
        rows = []
        for i, (low, high) in enumerate(zip(np.asarray(self.distance_min), np.asarray(self.distance_max), strict=True)):
            cells = {name: ", ".join(f"{v:.4g}" for v in np.asarray(values)[i]) for name, values in columns.items()}
            rows.append({"distance_min": f"{low:.4g}", "distance_max": f"{high:.4g}"} | cells)
        return html_table(rows, repr(self))

    @classmethod
    def from_table(
        cls,
        table: "Table",
        sed_type: str | None = None,
        reference_model: SpectralModel | SkyModel | None = None,
        gti: GTI | None = None,
    ) -> Self:
        """From an `astropy.table.Table` in gammapy's form "profile": one row for each region, with ``x_min`` and
        ``x_max``, energies along the other columns, which are those of flux points."""
        low, high, solid, points = profile_fields(table, sed_type, reference_model, gti)
        return cls(low, high, FluxPoints(**points), solid)

    def to_table(self, sed_type: str | None = None, format: str = "profile", *, formatted: bool = False) -> "Table":
        """An `astropy.table.Table` in gammapy's form "profile": one row for each region.

        ``sed_type``: dnde, e2dnde, flux, eflux or likelihood, by default that of the table the fluxes came from.
        ``formatted``: to be read, with few digits.
        """
        if format != "profile":
            raise InputError(f"FluxProfile.to_table: format must be 'profile', found {format!r}.")
        table = profile_table(self, sed_type)
        return formatted_table(table) if formatted else table

    @classmethod
    def read(
        cls,
        filename: Filename,
        sed_type: str | None = None,
        reference_model: SpectralModel | SkyModel | None = None,
    ) -> Self:
        """Read a FITS or ECSV table; see `from_table`."""
        with naming(filename):
            low, high, solid, points = read_profile_fields(filename, sed_type, reference_model)
            return cls(low, high, FluxPoints(**points), solid)

    def write(self, filename: Filename, sed_type: str | None = None, overwrite: bool = False) -> None:
        """Write a FITS table, or ECSV if the name ends in ``.ecsv``."""
        write_files(profile_contents(self, as_path(filename), sed_type), overwrite)
