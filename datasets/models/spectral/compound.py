"""Models made of models: sums, products and scaled models, and the arithmetic operators that make them."""

import operator as operators
from collections.abc import Callable
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u

from ....kernels import spectral as k
from ....kernels import spectral_integrals as integrals
from ....kernels.quadrature import integrate_pieces
from ...errors import InputError
from ...io.paths import Filename
from ...shown import robust
from ...units import to_unit
from ..component import Section
from ..parameter import GivenParameter, Parameter, ParameterField, is_parameter, parameter
from .base import DNDE, Edges, Energies, NestedSpectralModel, SpectralModel, Values, kinks_of
from .norms import PowerLawNormSpectralModel

OPERATORS = {"add": operators.add, "sub": operators.sub, "mul": operators.mul, "truediv": operators.truediv}


class ConstantSpectralModel(SpectralModel):
    """The same flux density ``const`` at all energies."""

    const: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    tag = ("ConstantSpectralModel", "const")

    def evaluate(self, energy: Energies) -> Values:
        return k.constant(energy, self.const.internal)

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return integrals.constant(edges, self.const.internal)


class CompoundSpectralModel(NestedSpectralModel):
    """``model1`` and ``model2`` joined by ``operator``: "add", "sub", "mul" or "truediv" (or such a function).

    Sums are integrated term by term. Products and quotients are integrated by quadrature between the energies at which
    either of them has a kink.
    """

    model1: SpectralModel
    model2: SpectralModel
    operator: str = eqx.field(static=True)
    tag = ("CompoundSpectralModel", "compound")

    def __init__(
        self,
        model1: SpectralModel,
        model2: SpectralModel,
        operator: str | Callable[[SpectralModel, SpectralModel], SpectralModel],
    ) -> None:
        self.model1, self.model2 = model1, model2
        self.operator = operator if isinstance(operator, str) else getattr(operator, "__name__", repr(operator))

    def __check_init__(self) -> None:
        if self.operator not in OPERATORS:
            known = ", ".join(OPERATORS)
            raise InputError(f"CompoundSpectralModel: operator must be one of {known}, found {self.operator!r}.")
        for model in (self.model1, self.model2):
            if not isinstance(model, SpectralModel):
                raise InputError(f"CompoundSpectralModel: found {type(model).__name__}, expected a spectral model.")
        first, second = self.model1.unit, self.model2.unit
        if self.operator in ("add", "sub") and u.Unit(first) != u.Unit(second):
            raise InputError(
                f"CompoundSpectralModel: {self.operator} needs two models of one unit, found {first!r} "
                f"({type(self.model1).__name__}) and {second!r} ({type(self.model2).__name__}). "
                "A norm model multiplies a flux model."
            )

    @robust
    def __repr__(self) -> str:
        return f"CompoundSpectralModel({self.model1!r}, {self.model2!r}, {self.operator!r})"

    @property
    def unit(self) -> str:
        if self.operator in ("add", "sub"):
            return self.model1.unit
        if self.model2.unit == "":
            return self.model1.unit
        if self.model1.unit == "" and self.operator == "mul":
            return self.model2.unit
        return OPERATORS[self.operator](u.Unit(self.model1.unit), u.Unit(self.model2.unit)).to_string("fits")

    @property
    def kinks(self) -> jax.Array:
        """Energies (TeV) at which the slope of a part jumps."""
        return jnp.concatenate([kinks_of(self.model1), kinks_of(self.model2)])

    def evaluate(self, energy: Energies) -> Values:
        return OPERATORS[self.operator](self.model1.evaluate(energy), self.model2.evaluate(energy))

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        if self.operator in ("add", "sub"):
            parts = self.model1.integrate_bins(edges, order), self.model2.integrate_bins(edges, order)
            return OPERATORS[self.operator](*parts)
        return integrate_pieces(self.evaluate, edges, self.kinks, order)

    def integrate_energy_bins(self, edges: Edges, order: int) -> Values:
        if self.operator in ("add", "sub"):
            parts = self.model1.integrate_energy_bins(edges, order), self.model2.integrate_energy_bins(edges, order)
            return OPERATORS[self.operator](*parts)
        return integrate_pieces(self.times_energy, edges, self.kinks, order)

    def extra_dict(self) -> Section:
        return {"model1": self.model1, "model2": self.model2, "operator": self.operator}

    @classmethod
    def from_extra(
        cls, data: Section, parameters: dict[str, Parameter] | None = None, base_path: Filename | None = None
    ) -> Self:
        return cls(data["model1"], data["model2"], data["operator"])


class ScaleSpectralModel(NestedSpectralModel):
    """``norm`` times a model whose own parameters are frozen."""

    norm: ParameterField = parameter(1.0, role="norm")
    model: SpectralModel = eqx.field(default=None)
    tag = ("ScaleSpectralModel", "scale")

    def __init__(self, model: SpectralModel, norm: GivenParameter = 1.0) -> None:
        if not isinstance(model, SpectralModel):
            raise InputError(f"ScaleSpectralModel: found {type(model).__name__}, expected a spectral model.")
        self.model, self.norm = frozen_model(model), norm

    @property
    def unit(self) -> str:
        return self.model.unit

    @property
    def kinks(self) -> jax.Array:
        """Energies (TeV) at which the slope of the model jumps."""
        return kinks_of(self.model)

    def evaluate(self, energy: Energies) -> Values:
        return self.norm.internal * self.model.evaluate(energy)

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return self.norm.internal * self.model.integrate_bins(edges, order)

    def integrate_energy_bins(self, edges: Edges, order: int) -> Values:
        return self.norm.internal * self.model.integrate_energy_bins(edges, order)

    def extra_dict(self) -> Section:
        return {"model": self.model}

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        return cls(data["model"], **parameters)


def frozen_model(model: SpectralModel) -> SpectralModel:
    """The model with all parameters frozen."""
    return jax.tree_util.tree_map(
        lambda leaf: leaf.replace(frozen=True) if is_parameter(leaf) else leaf, model, is_leaf=is_parameter
    )


def _as_model(other: object, unit: str) -> SpectralModel | None:
    """A model for a number: a frozen norm if ``unit`` is '', else a frozen constant flux; None if it is no number."""
    if isinstance(other, SpectralModel):
        return other
    if not isinstance(other, int | float | np.number | np.ndarray | jax.Array) or np.ndim(other):
        return None
    number = to_unit(other, unit, "spectral model: a number in a formula of models")
    if unit == "":
        return frozen_model(PowerLawNormSpectralModel(norm=Parameter(number)))
    return frozen_model(ConstantSpectralModel(const=Parameter(number, unit)))


def _operator(name: str, swapped: bool) -> Callable[[SpectralModel, object], SpectralModel]:
    def method(self: SpectralModel, other: object) -> SpectralModel:
        # a factor is a pure number, a term has the unit of what it is added to
        model = _as_model(other, self.unit if name in ("add", "sub") else "")
        if model is None:
            return NotImplemented
        return CompoundSpectralModel(model, self, name) if swapped else CompoundSpectralModel(self, model, name)

    return method


# Given to the base class from here: its own file would have to import a class derived from it.
for _name in OPERATORS:
    setattr(SpectralModel, f"__{_name}__", _operator(_name, False))
    setattr(SpectralModel, f"__r{_name}__", _operator(_name, True))
