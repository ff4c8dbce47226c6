"""Norm models: dimensionless factors that multiply a flux or a background."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ....kernels import spectral as k
from ....kernels import spectral_integrals as integrals
from ....kernels import tables
from ...arrays import Array, for_kernels, is_known
from ...errors import InputError
from ...io.paths import Filename
from ...units import Given, numbers_in, to_unit
from ..component import Section
from ..parameter import GivenParameter, Parameter, ParameterField, declared, internal, parameter
from .base import Edges, Energies, NestedSpectralModel, SpectralModel, Values


class PowerLawNormSpectralModel(SpectralModel):
    """norm (E / reference)^-tilt."""

    tilt: ParameterField = parameter(0.0, frozen=True, role="index")
    norm: ParameterField = parameter(1.0, role="norm")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    tag = ("PowerLawNormSpectralModel", "pl-norm")

    @property
    def unit(self) -> str:
        return ""

    def evaluate(self, energy: Energies) -> Values:
        return k.power_law(energy, *internal(self.tilt, self.norm, self.reference))

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return integrals.power_law(edges, *internal(self.tilt, self.norm, self.reference))


class LogParabolaNormSpectralModel(SpectralModel):
    """norm (E / reference)^(-alpha - beta ln(E / reference))."""

    norm: ParameterField = parameter(1.0, role="norm")
    reference: ParameterField = parameter(10.0, "TeV", frozen=True, role="energy")
    alpha: ParameterField = parameter(0.0, role="index")
    beta: ParameterField = parameter(0.0)
    tag = ("LogParabolaNormSpectralModel", "lp-norm")

    @property
    def unit(self) -> str:
        return ""

    @classmethod
    def from_log10(
        cls, norm: GivenParameter, reference: GivenParameter, alpha: GivenParameter, beta: GivenParameter
    ) -> Self:
        """From a curvature ``beta`` defined with the decimal logarithm."""
        return cls(norm=norm, reference=reference, alpha=alpha, beta=from_log10(beta))

    def evaluate(self, energy: Energies) -> Values:
        return k.log_parabola(energy, *internal(self.norm, self.reference, self.alpha, self.beta))


def from_log10(beta: GivenParameter) -> GivenParameter:
    """Curvature for the natural logarithm from one for the decimal logarithm (a number or a `Parameter`)."""
    if isinstance(beta, Parameter):
        return beta.replace(value=beta.value / np.log(10), error=beta.error / np.log(10))
    return numbers_in(beta, "", "beta") / np.log(10)


class ExpCutoffPowerLawNormSpectralModel(SpectralModel):
    """norm (E / reference)^-index exp(-(lambda_ E)^alpha)."""

    index: ParameterField = parameter(0.0, role="index")
    norm: ParameterField = parameter(1.0, role="norm")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    lambda_: ParameterField = parameter(0.1, "TeV-1", role="rate")
    alpha: ParameterField = parameter(1.0, frozen=True, role="exponent")
    tag = ("ExpCutoffPowerLawNormSpectralModel", "ecpl-norm")
    steep = True

    @property
    def unit(self) -> str:
        return ""

    def evaluate(self, energy: Energies) -> Values:
        return k.exp_cutoff_power_law(
            energy, *internal(self.index, self.norm, self.reference, self.lambda_, self.alpha)
        )


def table_energy(energy: Given, what: str, least: int = 2) -> Float[Array, " n_energy"]:
    """Energy nodes in TeV, checked to be at least two (or one), positive and increasing."""
    nodes = to_unit(energy, "TeV", f"{what}: energy")
    if is_known(nodes):
        if nodes.ndim != 1 or nodes.size < least:
            count = {1: "one energy", 2: "two energies"}[least]
            raise InputError(f"{what}: at least {count} in a row are needed, found an array of shape {nodes.shape}.")
        if not (np.all(np.isfinite(nodes)) and nodes[0] > 0 and np.all(np.diff(nodes) > 0)):
            raise InputError(f"{what}: the energies must be positive and increase, found {nodes}.")
    return nodes


GivenNorms = Mapping[str, GivenParameter] | Sequence[GivenParameter] | Given


class PiecewiseNormSpectralModel(NestedSpectralModel):
    """Norms at energy nodes, interpolated between them and constant beyond the first and last.

    ``interp`` "log": a straight line in ln norm against ln E; "lin": in norm against E. The parameters are ``norm_0``,
    ``norm_1``, ...; norms that are not positive count as 0 in the logarithmic interpolation.
    """

    energy: Float[Array, " n_energy"]
    norms: OrderedDict[str, Parameter]
    interp: str = eqx.field(static=True)
    tag = ("PiecewiseNormSpectralModel", "piecewise-norm")

    def __init__(
        self,
        energy: Given,
        norms: GivenNorms | None = None,
        interp: str = "log",
    ) -> None:
        if interp not in ("log", "lin"):
            raise InputError(f"PiecewiseNormSpectralModel: interp must be 'log' or 'lin', found {interp!r}.")
        self.energy = table_energy(energy, "PiecewiseNormSpectralModel")
        self.norms = norms_of(norms, self.energy.shape[0], "PiecewiseNormSpectralModel", "energies")
        self.interp = interp

    @property
    def unit(self) -> str:
        return ""

    @property
    def kinks(self) -> jax.Array:
        """Energies (TeV) at which the slope jumps."""
        return jnp.asarray(self.energy)

    def _values(self) -> jax.Array:
        return jnp.stack([jnp.asarray(norm) for norm in internal(*self.norms.values())])

    def evaluate(self, energy: Energies) -> Values:
        if self.interp == "lin":
            return tables.interpolate(energy, for_kernels(self.energy), self._values(), "constant")
        logs = tables.floor_log(self._values())
        return tables.unfloor_exp(tables.interpolate(jnp.log(energy), jnp.log(self.energy), logs, "constant"))

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        if self.interp == "lin":
            return tables.integrate_lin_lin(edges, for_kernels(self.energy), self._values(), "constant")
        logs = tables.floor_log(self._values())
        return tables.integrate_log_log(edges, jnp.log(self.energy), logs, "constant")

    def extra_dict(self) -> Section:
        return {"energy": {"data": np.asarray(self.energy).tolist(), "unit": "TeV"}, "interp": self.interp}

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        energy = quantity_from(data, "energy", cls.__name__)
        names = [f"norm_{i}" for i in range(len(energy))]
        missing = [name for name in names if name not in parameters]
        if missing:
            raise InputError(
                f"{cls.__name__}: {len(names)} energies need the parameter {missing[0]!r}, it is not there."
            )
        return cls(energy, [parameters[name] for name in names], data.get("interp", "log"))


def norms_of(norms: GivenNorms | None, count: int, what: str, nodes: str) -> OrderedDict[str, Parameter]:
    """The parameters ``norm_0``, ... of a model, by default 1: one for each of ``count`` nodes."""
    given = [1.0] * count if norms is None else list(norms.values()) if isinstance(norms, Mapping) else _as_list(norms)
    if len(given) != count:
        raise InputError(f"{what}: {count} {nodes} need as many norms, found {len(given)}.")
    return OrderedDict((f"norm_{i}", _norm(norm, f"norms: norm_{i}")) for i, norm in enumerate(given))


def _norm(given: GivenParameter, what: str) -> Parameter:
    made = given if isinstance(given, Parameter) else Parameter(to_unit(given, "", what))
    return declared(made, 1.0, "norm")


def _as_list(norms: Sequence[GivenParameter] | Given) -> list[GivenParameter]:
    if isinstance(norms, list | tuple):
        return list(norms)
    numbers = to_unit(norms, "", "norms")
    return list(numbers if numbers.ndim else numbers.reshape(1))


def quantity_from(data: Section, key: str, what: str) -> u.Quantity:
    """The Quantity that stands as ``{data: [...], unit: ...}`` under ``key``."""
    try:
        return u.Quantity(np.asarray(data[key]["data"], float), data[key].get("unit", ""))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{what}: expected {key}: {{data: [numbers], unit: text}}, found {data.get(key)!r}."
        ) from error
