"""What every spectral model is: parameters, a formula, and its integral over energy bins."""

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from astropy import units as u

from ..kernels.quadrature import integrate_bins, nodes_for
from .errors import InputError
from .parameter import Parameter, is_parameter

DNDE = "TeV-1 s-1 cm-2"


def energy_in_tev(energy: Any, what: str = "energy") -> Any:
    """Numbers in TeV from a Quantity (or numbers already in TeV)."""
    if isinstance(energy, u.Quantity):
        try:
            return energy.to_value(u.TeV)
        except u.UnitConversionError as error:
            raise InputError(
                f"{what}: found unit {energy.unit.to_string()!r}, expected an energy such as TeV."
            ) from error
    return jnp.asarray(energy)


class SpectralModel(eqx.Module):
    """Base of the spectral models.

    A subclass declares its parameters as fields (see `parameter`), the YAML tags in ``tag``, and ``evaluate``. The
    integral over bins is Gauss-Legendre quadrature in ln E unless the subclass overrides ``integrate_bins``
    with a closed form.
    """

    tag: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def evaluate(self, energy: Any) -> Any:
        """Value at ``energy`` (TeV, any shape), in ``unit``."""

    @property
    def unit(self) -> str:
        """Unit of the value: that of a differential flux, or '' for norms."""
        return DNDE

    def integrate_bins(self, edges: Any, order: int) -> Any:
        """Integral over each bin of ``edges`` (TeV, shape (n + 1,)); ``order`` is the number of quadrature nodes."""
        return integrate_bins(self.evaluate, edges, order)

    def __call__(self, energy: Any) -> Any:
        """Value at ``energy``: a Quantity for a Quantity, an array (in ``unit``) for numbers in TeV."""
        value = self.evaluate(energy_in_tev(energy))
        return u.Quantity(np.asarray(value), self.unit) if isinstance(energy, u.Quantity) else value

    def integral(self, energy_min: Any, energy_max: Any) -> Any:
        """Integral from ``energy_min`` to ``energy_max`` (Quantities, or numbers in TeV; broadcast against each other)."""
        return self._integral(self, energy_min, energy_max, u.Unit(self.unit) * u.TeV)

    def energy_flux(self, energy_min: Any, energy_max: Any) -> Any:
        """Integral of E times the value, in erg s-1 cm-2 for Quantities and in TeV s-1 cm-2 for numbers."""
        return self._integral(_TimesEnergy(self), energy_min, energy_max, u.Unit(self.unit) * u.TeV**2)

    @staticmethod
    def _integral(model: "SpectralModel", energy_min: Any, energy_max: Any, unit: u.UnitBase) -> Any:
        low, high = np.broadcast_arrays(energy_in_tev(energy_min), energy_in_tev(energy_max))
        values = [
            float(model.integrate_bins(jnp.array(pair), nodes_for(np.array(pair)))[0])
            for pair in zip(low.flat, high.flat, strict=True)
        ]
        result = np.array(values).reshape(low.shape)
        return u.Quantity(result, unit) if isinstance(energy_min, u.Quantity) else jnp.asarray(result)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters by name, in the order of their declaration."""
        return dict(iter_parameters(self))

    def replace(self, **changes: Any) -> Any:
        """A copy with changed parameters: numbers and Quantities set the value only, a `Parameter` replaces it whole."""
        for name, given in changes.items():
            current = getattr(self, name, None)
            if not isinstance(current, Parameter):
                raise InputError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(self.parameters)}."
                )
            if not isinstance(given, Parameter):
                changes[name] = current.replace(value=given)
        return dataclasses.replace(self, **changes)


class _TimesEnergy(SpectralModel):
    """E times a model: the integrand of an energy flux."""

    model: SpectralModel

    def evaluate(self, energy):
        return energy * self.model.evaluate(energy)


def iter_parameters(model: Any) -> Iterator[tuple[str, Parameter]]:
    """(name, Parameter) of a model component; fields of nested models follow in field order."""
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if is_parameter(value):
            yield field.name, value
        elif isinstance(value, SpectralModel):
            yield from iter_parameters(value)
