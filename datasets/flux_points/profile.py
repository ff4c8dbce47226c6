"""Flux profiles: fluxes in regions along a line, or around a place, and bins of energy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from jaxtyping import Float

from ..arrays import Array
from ..gti import GTI
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from ..shown import Facts, number_text, sum_text
from ..units import Given, to_unit
from .points import FluxPoints
from .profile_table import profile_fields, profile_table
from .rows import PointRows

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

    FORM, ROWS, ENDS = "profile", "regions", ("distance_min", "distance_max")
    OF_ROWS = ("solid_angle",)

    distance_min: PerRegion
    distance_max: PerRegion
    points: FluxPoints
    solid_angle: PerRegion | None = None

    def __init__(self, distance_min: Given, distance_max: Given, points: FluxPoints, solid_angle: Given | None = None):
        self.distance_min = to_unit(distance_min, "deg", "FluxProfile: distance_min")
        self.distance_max = to_unit(distance_max, "deg", "FluxProfile: distance_max")
        self.points = points
        self.solid_angle = to_unit(solid_angle, "sr", "FluxProfile: solid_angle")

    @property
    def n_regions(self) -> int:
        return self.n_rows

    @property
    def distance(self) -> PerRegion:
        """Middle of each region along the profile in deg, (n_regions,)."""
        return (self.distance_min + self.distance_max) / 2

    def select_regions(self, chosen: Sequence[bool] | Sequence[int] | Array | slice) -> Self:
        """The profile of some regions: a mask (n_regions,), their places in order, or a slice."""
        return self._select_rows(chosen, "select_regions")

    @property
    def facts(self) -> Facts:
        return {
            "regions": str(self.n_regions),
            "energies": str(self.n_energies),
            "upper limits": sum_text(self.points.is_ul),
            "distance": f"{number_text(self.distance_min[0])} to {number_text(self.distance_max[-1])} deg",
        }

    @classmethod
    def _of_table(
        cls, table: "Table", sed_type: str | None, reference_model: SpectralModel | SkyModel | None, gti: GTI | None
    ) -> Self:
        low, high, solid, points = profile_fields(table, sed_type, reference_model, gti)
        return cls(low, high, FluxPoints(**points), solid)

    def _as_table(self, sed_type: str | None) -> "Table":
        return profile_table(self, sed_type)
