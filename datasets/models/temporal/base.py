"""What every temporal model is: parameters, a light curve, and its mean over good time intervals."""

import dataclasses
from abc import abstractmethod
from typing import Any, ClassVar, Self

import equinox as eqx
import erfa
import jax
import jax.numpy as jnp
import numpy as np
from astropy.time import Time
from jaxtyping import Float

from ....kernels.time_scales import SCALES, SECONDS_PER_DAY, offset_from_tt
from ...arrays import Array, for_kernels, frozen_array, set_fields
from ...errors import InputError
from ...gti import GTI
from ...units import Given, to_unit
from ..component import Formulas, ModelComponent
from ..parameter import parameter
from ..spectral.base import Energies, Values, energy_in_tev

Days = Float[jax.Array, "..."]

REFERENCE_MJD = 51544.0
"""Default reference time, 2000-01-01."""


def _leap_days() -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (MJD, TAI) of the days with a leap second, and UTC - TAI there in s; from 1972 on."""
    table = erfa.leap_seconds.get()
    table = table[table["year"] >= 1972]
    # day number at which each difference begins
    begins = np.array([erfa.cal2jd(row["year"], row["month"], 1)[1] for row in table])
    before, after = table["tai_utc"][:-1], table["tai_utc"][1:]
    starts, stops = begins[1:] - 1 + before / SECONDS_PER_DAY, begins[1:] + after / SECONDS_PER_DAY
    return np.stack([starts, stops], axis=1).ravel(), -np.stack([before, after], axis=1).ravel()


LEAP_KNOTS, LEAP_OFFSETS = (frozen_array(array) for array in _leap_days())


def _require_instant(time: Time, what: str) -> None:
    if time.scale == "local":
        raise InputError(f"{what}: a time in the scale 'local' is at no known instant.")


def mjd_in(time: Time, scale: str, what: str) -> Any:
    """MJD of a time, in another scale."""
    _require_instant(time, what)
    return getattr(time, scale).mjd


def t_ref(default: float = REFERENCE_MJD, *, frozen: bool = True) -> Any:
    """Declare a reference time (MJD in the model's scale) as a field of a model class."""
    return parameter(default, "d", frozen=frozen, role="time")


class TemporalModel(ModelComponent):
    """Base of the temporal models: a factor without unit that multiplies the flux.

    A subclass declares its parameters as fields, the YAML tags in ``tag``, the light curve as `value` and its mean over
    intervals as `value_mean`, both as functions of the days after ``t_ref`` (a field of all models but the constant).
    ``scale`` is the time scale of ``t_ref`` and of the days: "utc", "tai", "tt" or "tdb". Days with a leap second are
    as long as others in UTC, as in astropy; before 1972 UTC counts as TAI - 10 s.
    """

    scale: str = eqx.field(static=True, default="utc", kw_only=True)
    formulas: ClassVar[Formulas] = {
        "value": ("d", "TeV"),
        "value_mean": ("d", "d", "TeV"),
        "days_after": ("s", "d"),
    }

    def __check_init__(self) -> None:
        if self.scale not in SCALES:
            raise InputError(f"{type(self).__name__}: scale must be one of {', '.join(SCALES)}, found {self.scale!r}.")
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            if isinstance(given, Time):
                # only now is the scale known
                mjd = mjd_in(given, self.scale, field.name)
                set_fields(self, {field.name: field.metadata["converter"](mjd)})

    def replace(self, **changes: Any) -> Self:
        """As that of all components; reference times may be an astropy Time."""
        times = {n for n, p in self.parameters.items() if p.role == "time"}
        known = {n: mjd_in(v, self.scale, n) if isinstance(v, Time) and n in times else v for n, v in changes.items()}
        return super().replace(**known)

    @abstractmethod
    def value(self, days: Days, energy: Energies | None = None) -> Values:
        """Value at ``days`` after the reference time; (..., n_energy) for an energy-dependent model."""

    @abstractmethod
    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        """Mean between ``low`` and ``high``, (n,) days after the reference time; (n, n_energy) if energy-dependent."""

    @property
    def is_energy_dependent(self) -> bool:
        return False

    def check_intervals(self, gti: GTI, what: str) -> None:
        """A warning that starts with ``what`` for good time intervals of which the light curve says nothing."""

    @property
    def reference_mjd(self) -> jax.Array | float:
        """MJD from which days count, in the scale of the model."""
        found = self.parameters.get("t_ref")
        return REFERENCE_MJD if found is None else found.internal

    @property
    def reference_time(self) -> Time:
        return Time(float(self.reference_mjd), format="mjd", scale=self.scale)

    def evaluate(self, time: Time | Given, energy: Given | None = None) -> Values:
        """Value at ``time``: an astropy Time, or MJD in the scale of the model; ``energy`` in TeV, or a Quantity.

        Numbers of the shape of ``time``; an energy-dependent model adds an axis of energies, (..., n_energy).
        """
        if isinstance(time, Time):
            _require_instant(time, type(self).__name__)
            own = getattr(time, self.scale)
            days = (own.jd1 - 2400000.5 - self.reference_mjd) + own.jd2
        else:
            days = jnp.asarray(to_unit(time, "d", "time")) - self.reference_mjd
        return self.value(days, None if energy is None else energy_in_tev(energy))

    __call__ = evaluate

    def days_after(self, seconds: Array, reference: Array | float) -> Days:
        """Days after the reference time of the model of ``seconds`` after ``reference`` (MJD, TT)."""
        days = jnp.asarray(seconds) / SECONDS_PER_DAY
        offset = offset_from_tt(reference + days, self.scale, LEAP_KNOTS, LEAP_OFFSETS)
        # large numbers first: the rest keeps its digits
        return for_kernels((reference - self.reference_mjd) + days + offset / SECONDS_PER_DAY)

    def mean(self, gti: GTI, energy: Given | None = None) -> Values:
        """Mean over good time intervals, sum_i int_i f dt / sum_i dt: a number, or (n_energy,) if energy-dependent.

        Differentiable in the parameters and the intervals. Intervals of no length count nothing. Raises InputError for
        an empty list of intervals.
        """
        start, stop = jnp.asarray(gti.start), jnp.asarray(gti.stop)
        if start.shape[0] == 0:
            raise InputError(
                f"{type(self).__name__}: the dataset has no good time intervals to average a light curve over. Give it "
                "a GTI, or leave the temporal model out."
            )
        low, high = self.days_after(start, gti.reference), self.days_after(stop, gti.reference)
        values = self.value_mean(low, high, None if energy is None else energy_in_tev(energy))
        duration = stop - start
        return jnp.tensordot(duration, values, axes=1) / jnp.sum(duration)
