"""Light curves: fluxes of a source in bins of time and energy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from astropy.time import Time
from jaxtyping import Float

from ..arrays import Array
from ..errors import InputError, listed, warn
from ..gti import GTI
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from ..shown import Facts, number_text, sum_text
from ..units import Given, to_unit
from .light_curve_table import curve_fields, curve_table
from .points import FluxPoints
from .reference import UNITS
from .rows import PointRows
from .variability import (
    Constancy,
    Doubling,
    Variability,
    constancy,
    doubling,
    excess_variance,
    point_to_point_variance,
)

if TYPE_CHECKING:
    from astropy.table import Table

PerTime = Float[Array, " n_times"]

PerBin = Float[np.ndarray, "n_times n_energies"]


class LightCurve(PointRows):
    """Fluxes in bins of time and energy, what `gammajax.light_curve` makes. From a file by `read`.

    Fluxes are `FluxPoints`, those of all energies of the first time, then of the second, ...; every time has the same
    energies. ``curve.norm``, ``curve.flux``, ``curve.dnde_err``, ``curve.is_ul``, ``curve.sqrt_ts`` and all others of
    their kind have the shape (n_times, n_energies).

    Parameters
    ----------
    time_min, time_max : start and stop of the bins (n_times,), Time, or MJD (TT) in days; starts rise
    points : `FluxPoints` (n_times n_energies,)

    Examples
    --------
    >>> curve = gj.light_curve(datasets, result, "crab", "run-wise", [1, 10] * u.TeV)
    >>> curve.flux[:, 0], curve.flux_err[:, 0], curve.time
    >>> curve.fvar(), curve.constancy().p_value
    """

    FORM, ROWS, ENDS = "lightcurve", "times", ("time_min", "time_max")

    time_min: PerTime
    time_max: PerTime
    points: FluxPoints

    def __init__(self, time_min: Time | Given, time_max: Time | Given, points: FluxPoints):
        self.time_min, self.time_max = mjd(time_min, "LightCurve: time_min"), mjd(time_max, "LightCurve: time_max")
        self.points = points

    @property
    def n_times(self) -> int:
        return self.n_rows

    @property
    def time(self) -> Time:
        """Centres of the bins, astropy Time in the scale TT, (n_times,)."""
        return Time((np.asarray(self.time_min) + np.asarray(self.time_max)) / 2, format="mjd", scale="tt")

    @property
    def time_start(self) -> Time:
        """Starts of the bins, (n_times,)."""
        return Time(np.asarray(self.time_min), format="mjd", scale="tt")

    @property
    def time_stop(self) -> Time:
        """Stops of the bins, (n_times,)."""
        return Time(np.asarray(self.time_max), format="mjd", scale="tt")

    def select_times(self, chosen: Sequence[bool] | Sequence[int] | Array | slice) -> Self:
        """The light curve of some times: a mask (n_times,), their places in order, or a slice."""
        return self._select_rows(chosen, "select_times")

    def fvar(self, kind: str = "flux") -> Variability:
        """Fractional excess variance of each band, see `excess_variance`; ``kind``: of flux, dnde, e2dnde, eflux, norm.

        Fluxes without an error, such as those without any counts, are left out, here and in the other measures, with a
        warning: limits have no part in them.
        """
        return excess_variance(*self._values(kind))

    def fpp(self, kind: str = "flux") -> Variability:
        """Point-to-point fractional excess variance of each band, see `point_to_point_variance`."""
        return point_to_point_variance(*self._values(kind))

    def constancy(self, kind: str = "flux") -> Constancy:
        """Chi-square of a constant flux in each band, with errors taken as Gaussian; its mean in the package's unit.

        With few counts that mean is low, as points that fluctuate down have smaller errors: `gammajax.flux_points` of
        all times has none of it.
        """
        return constancy(*self._values(kind))

    def doubling_time(self, kind: str = "flux") -> Doubling:
        """Shortest doubling time in days between two successive points of each band, see `doubling`."""
        return doubling(*self._values(kind), self._days())

    def halving_time(self, kind: str = "flux") -> Doubling:
        """Shortest halving time in days between two successive points of each band."""
        return doubling(*self._values(kind), self._days(), falling=True)

    def _values(self, kind: str) -> tuple[PerBin, PerBin]:
        if kind not in UNITS:
            raise InputError(f"LightCurve: kind must be one of {', '.join(UNITS)}, found {kind!r}.")
        value, error = self.quantity(kind), self.quantity(f"{kind}_err")
        if error is None:
            raise InputError("LightCurve: the fluxes have no errors (norm_err), which measures of variability need.")
        assert value is not None
        blank = np.isfinite(value.value) & ~(np.isfinite(error.value) & (error.value > 0))
        if blank.any():
            times = np.flatnonzero(blank.any(axis=1))
            warn(
                f"LightCurve: {blank.sum()} of {np.isfinite(value.value).sum()} fluxes have no error, as those without "
                f"counts, and are left out (times {listed([str(t) for t in times])}). If their limits lie below the "
                "others, the source varies more than is said: take longer bins of time, so that all have counts."
            )
        return value.value, error.value

    def _days(self) -> Float[np.ndarray, " n_times"]:
        """Centres of the bins in days after the first start."""
        first = np.asarray(self.time_min)[0]
        return ((np.asarray(self.time_min) - first) + (np.asarray(self.time_max) - first)) / 2

    @property
    def facts(self) -> Facts:
        energy: Any = (
            self.points.energy_ref if self.energy_min is None else [*self.energy_min, np.asarray(self.energy_max)[-1]]
        )
        return {
            "times": str(self.n_times),
            "energies": str(self.n_energies),
            "upper limits": sum_text(self.points.is_ul),
            "MJD": f"{number_text(self.time_min[0], 12)} to {number_text(self.time_max[-1], 12)}",
            "energy": f"{np.min(energy):.6g} to {np.max(energy):.6g} TeV",
        }

    @classmethod
    def _of_table(
        cls, table: "Table", sed_type: str | None, reference_model: SpectralModel | SkyModel | None, gti: GTI | None
    ) -> Self:
        low, high, points = curve_fields(table, sed_type, reference_model, gti)
        return cls(low, high, FluxPoints(**points))

    def _as_table(self, sed_type: str | None) -> "Table":
        return curve_table(self, sed_type)


def mjd(value: Time | Given, what: str) -> PerTime:
    """MJD (TT) of a Time, or of numbers in days."""
    return to_unit(value.tt.mjd if isinstance(value, Time) else value, "d", what)
