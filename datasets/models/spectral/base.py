"""What every spectral model is: parameters, a formula, and its integral over energy bins."""

import dataclasses
from abc import abstractmethod
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jax.tree_util import PyTreeDef
from jaxtyping import Float

from ....kernels.elementary import overflowing
from ....kernels.programs import programs
from ....kernels.quadrature import integrate_bins, integrate_pieces, integrate_steep_bins, order_for_width
from ...arrays import Array, is_known
from ...errors import InputError
from ...units import Given, numbers_in, with_unit
from ..component import Formulas, ModelComponent, fields_by_name
from ..parameter import Parameter, is_parameter

DNDE = "TeV-1 s-1 cm-2"

Energies = Float[jax.Array, "..."]
Edges = Float[jax.Array, " n_edges"]
Values = Float[jax.Array, "..."]


def energy_in_tev(energy: Given, what: str = "energy") -> jax.Array:
    """Numbers in TeV for kernels, see `numbers_in`; InputError for energies that are negative or 0."""
    numbers = numbers_in(energy, "TeV", what)
    if is_known(numbers) and np.any(np.asarray(numbers) <= 0):
        raise InputError(f"{what}: energies must be positive, found {np.min(np.asarray(numbers)):g} TeV.")
    return jnp.asarray(numbers)


class SpectralModel(ModelComponent):
    """Base of the spectral models.

    A subclass declares its parameters as fields (see `parameter`), the YAML tags in ``tag``, and ``evaluate``. The
    integral over bins is Gauss-Legendre quadrature in ln E unless the subclass overrides ``integrate_bins``
    with a closed form. A subclass whose value may fall by many e-foldings within a bin (an exponential cutoff) says so
    by ``steep = True``; one that is not smooth gives the energies as ``kinks``.
    """

    steep: ClassVar[bool] = False
    formulas: ClassVar[Formulas] = dict.fromkeys(
        ("evaluate", "integrate_bins", "times_energy", "integrate_energy_bins"), ("TeV",)
    )
    # numpy numbers and Quantities on the left of an operator leave the operation to the model
    __array_ufunc__ = None

    @abstractmethod
    def evaluate(self, energy: Energies) -> Values:
        """Value at ``energy`` (TeV, any shape), in ``unit``."""

    @property
    def unit(self) -> str:
        """Unit of the value: that of a differential flux, or '' for norms."""
        return DNDE

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        """Integral over each bin of ``edges`` (TeV, shape (n + 1,)); ``order`` is the number of quadrature nodes."""
        return (integrate_steep_bins if self.steep else integrate_bins)(self.evaluate, edges, order)

    def times_energy(self, energy: Energies) -> Values:
        """E times the value at ``energy`` (TeV): the integrand of an energy flux."""
        return energy * self.evaluate(energy)

    def integrate_energy_bins(self, edges: Edges, order: int) -> Values:
        """Integral of E times the value over each bin, as `integrate_bins`."""
        kinks = kinks_of(self)
        if self.steep or kinks.size:
            return integrate_pieces(self.times_energy, edges, kinks, order)
        return integrate_bins(self.times_energy, edges, order)

    def __call__(self, energy: Given) -> Array:
        """Value at ``energy``: a Quantity for what has a unit, an array (in ``unit``) for numbers in TeV.

        Infinite beyond 1e154, where an exponential has run away: the wrong unit in a cutoff, say.
        """
        energy = with_unit(energy, "energy")
        value = overflowing(self.evaluate(energy_in_tev(energy)))
        return u.Quantity(np.asarray(value), self.unit) if isinstance(energy, u.Quantity) else value

    def integral(self, energy_min: Given, energy_max: Given) -> Array:
        """Integral from ``energy_min`` to ``energy_max``: Quantities or numbers in TeV, of shapes that broadcast.

        ``energy_max`` may be infinite. InputError where the integral does not exist then, and for an ``energy_min``
        that is not positive.
        """
        return self._between("integrate_bins", energy_min, energy_max, u.Unit(self.unit) * u.TeV)

    def energy_flux(self, energy_min: Given, energy_max: Given) -> Array:
        """Integral of E times the value, in TeV s-1 cm-2 for a flux; energies as in `integral`."""
        return self._between("integrate_energy_bins", energy_min, energy_max, u.Unit(self.unit) * u.TeV**2)

    def spectral_index(self, energy: Given) -> Array:
        """Local index, -d ln(value) / d ln E, at ``energy`` (Quantity or TeV, any shape)."""
        at = energy_in_tev(energy)
        value, slope = jax.jvp(self.evaluate, (at,), (at,))
        return -slope / value

    def _between(self, method: str, energy_min: Given, energy_max: Given, unit: u.UnitBase) -> Array:
        """All pairs of energies as bins of their own, in one program; the widest sets the number of nodes."""
        energy_min = with_unit(energy_min, "energy_min")
        ends = energy_in_tev(energy_min, "energy_min"), energy_in_tev(energy_max, "energy_max")
        low, high = np.broadcast_arrays(*ends)
        if np.any(low <= 0) or np.any(high <= 0):
            raise InputError(f"energies must be positive, found {min(np.min(low), np.min(high)):g} TeV.")
        endless = np.isinf(high)
        high = np.where(endless, 2 * low, high)
        order = order_for_width(float(np.max(np.log(high / low), initial=0.0)))
        pairs = jnp.asarray(np.stack([low.ravel(), high.ravel()], axis=-1), float)
        result = overflowing(_integrate_pairs(self, pairs, method, order))
        if endless.any():
            tails = [_to_infinity(self, float(e), method) for e in low[endless]]
            result = result.at[np.flatnonzero(endless)].set(jnp.asarray(tails))
        result = result.reshape(low.shape)
        return u.Quantity(np.asarray(result), unit) if isinstance(energy_min, u.Quantity) else result


def _integrate_pairs(model: SpectralModel, pairs: jax.Array, method: str, order: int) -> jax.Array:
    leaves, tree = jax.tree.flatten(model)
    # a model of somebody's own may hold functions too
    known = [isinstance(leaf, jax.Array | np.ndarray | np.generic) for leaf in leaves]
    others = tuple(None if is_array else leaf for leaf, is_array in zip(leaves, known, strict=True))
    arrays = [leaf if is_array else None for leaf, is_array in zip(leaves, known, strict=True)]
    return _integrals((tree, others, method, order), arrays, pairs)


@programs(0)
def _integrals(
    static: tuple[PyTreeDef, tuple[object, ...], str, int], arrays: list[Array | None], pairs: jax.Array
) -> jax.Array:
    tree, others, method, order = static
    leaves = [other if array is None else array for array, other in zip(arrays, others, strict=True)]
    model = jax.tree.unflatten(tree, leaves)
    return jax.vmap(lambda pair: getattr(model, method)(pair, order)[0])(pairs)


FAR, PIECES = 1e12, 49
"""Energy, in units of the lowest, beyond which a spectrum is a power law, and ends of the pieces up to there."""


def _to_infinity(model: SpectralModel, low: float, method: str) -> float:
    """`SpectralModel.integral` (or of E times the value) from ``low`` (TeV) up: beyond `FAR` as a power law."""
    edges = np.geomspace(low, FAR * low, PIECES)
    pairs = jnp.asarray(np.stack([edges[:-1], edges[1:]], axis=-1))
    order = order_for_width(float(np.log(edges[1] / edges[0])))
    within = float(jnp.sum(_integrate_pairs(model, pairs, method, order)))
    far = jnp.asarray(edges[-1])
    value = float(model.evaluate(far)) * edges[-1] ** (2 if method == "integrate_energy_bins" else 1)
    if value == 0:
        return within
    # the value times E (times E again) falls as E^-steepness
    steepness = float(model.spectral_index(far)) - (2 if method == "integrate_energy_bins" else 1)
    if not steepness > 0:
        raise InputError(
            f"the integral of {type(model).__name__} to infinity does not exist: far out it falls as E^"
            f"{-steepness - (2 if method == 'integrate_energy_bins' else 1):.4g}. Give a finite energy_max."
        )
    return within + value / steepness


def kinks_of(model: SpectralModel) -> jax.Array:
    """Energies (TeV) at which a model is not smooth, or changes on a scale that quadrature nodes could miss."""
    found = getattr(model, "kinks", None)
    return jnp.zeros(0) if found is None else found


class NestedSpectralModel(SpectralModel):
    """Base of models that hold parameters in containers or sub-models; they are attributes under their names."""

    def __getattr__(self, name: str) -> Parameter:
        if not name.startswith("_") and name not in fields_by_name(type(self)):
            found = self.parameters.get(name)
            if found is not None:
                return found
        return super().__getattr__(name)  # type: ignore[misc]

    def replace(self, **changes: Any) -> Self:
        """A copy with changed parameters (numbers and Quantities set the value) or changed fields."""
        fields = {name: given for name, given in changes.items() if name in fields_by_name(type(self))}
        own = {name: given for name, given in fields.items() if not is_parameter(getattr(self, name))}
        base = dataclasses.replace(self, **own) if own else self
        return ModelComponent.replace(base, **{n: given for n, given in changes.items() if n not in own})
