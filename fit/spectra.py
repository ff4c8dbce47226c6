"""Spectra of fitted models with their errors, from the covariance of all free parameters and exact derivatives."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ..datasets.arrays import Array, for_kernels
from ..datasets.errors import InputError, closest
from ..datasets.hints.modules import Hinted
from ..datasets.models.collection import Models
from ..datasets.models.flatten import ModelDef
from ..datasets.models.sky_model import ModelBase, SkyModel
from ..datasets.models.spectral.base import DNDE, SpectralModel
from ..datasets.units import Given, numbers_in, with_unit
from ..kernels.programs import programs
from ..kernels.quadrature import integrate_bins, order_for_width
from .covariance import DENSE_LIMIT, Curvature
from .joint.parameters import ParameterSpace, parameter_space

Spectrum = Callable[[Array], jax.Array]

PIVOT_RANGE = 3.0
"""Where a pivot energy is looked for: so far from the reference energy in ln E, as in gammapy."""


class Estimate(NamedTuple):
    """A number (or array) and its one-sigma errors down and up.

    They come from exact derivatives and the covariance, so that both errors are the same.
    """

    value: Any
    errn: Any
    errp: Any


@dataclass(frozen=True, eq=False)
class FittedSpectrum(Hinted):
    """The spectrum of one fitted model, with errors sqrt(J C J^T): C is the covariance of all free parameters.

    Energies are Quantities, or numbers in TeV; results are Quantities where an energy has a unit. Made by
    `FitResult.spectrum`::

        crab = result.spectrum("crab")
        flux, errn, errp = crab.integral_error(1 * u.TeV, 10 * u.TeV)
    """

    name: str
    models: Models
    datasets_names: tuple[str, ...]
    free_names: tuple[str, ...]
    curvature: Curvature

    def __repr__(self) -> str:
        shown = [f"{n}={p.text}" for n, p in self.models.parameters.items() if n.startswith(f"{self.name}.spectral.")]
        return f"FittedSpectrum({self.name}: {', '.join(shown).replace(f'{self.name}.spectral.', '')})"

    @property
    def model(self) -> SkyModel:
        """The fitted source."""
        found: SkyModel = self.models[self.name]
        return found

    def evaluate_error(self, energy: Given) -> Estimate:
        """dN/dE at ``energy`` (any shape), in TeV-1 s-1 cm-2."""
        grid = np.asarray(numbers_in(energy, "TeV", "evaluate_error: energy"))
        return self._estimate("dnde", (grid,), DNDE, _has_unit(energy))

    def integral_error(self, energy_min: Given, energy_max: Given) -> Estimate:
        """Flux between two energies, of shapes that broadcast, in s-1 cm-2."""
        return self._between("flux", energy_min, energy_max, "s-1 cm-2")

    def energy_flux_error(self, energy_min: Given, energy_max: Given) -> Estimate:
        """Energy flux between two energies, of shapes that broadcast, in TeV s-1 cm-2."""
        return self._between("energy_flux", energy_min, energy_max, "TeV s-1 cm-2")

    def spectral_index_error(self, energy: Given) -> Estimate:
        """Local index, -d ln(dN/dE) / d ln E, at ``energy`` (any shape)."""
        grid = np.asarray(numbers_in(energy, "TeV", "spectral_index_error: energy"))
        return self._estimate("spectral_index", (grid,), "", False)

    def flux(self, energy_min: Given, energy_max: Given) -> Any:
        """`integral_error` without the errors."""
        return self.integral_error(energy_min, energy_max).value

    def energy_flux(self, energy_min: Given, energy_max: Given) -> Any:
        """`energy_flux_error` without the errors."""
        return self.energy_flux_error(energy_min, energy_max).value

    def spectral_index(self, energy: Given) -> Any:
        """`spectral_index_error` without the errors."""
        return self.spectral_index_error(energy).value

    @property
    def pivot_energy(self) -> u.Quantity:
        """The energy at which the relative error of dN/dE is smallest, within a factor exp(3) of the reference energy.

        NaN if that error is the same at all energies, or smallest at an end of the range. InputError for a spectrum
        without the parameter ``reference``.
        """
        from scipy.optimize import minimize_scalar

        reference = getattr(self.model.spectral, "reference", None)
        if reference is None:
            raise InputError(f"pivot_energy: the spectrum of {self.name!r} has no reference energy to start from.")
        middle = np.log(float(reference.internal))

        def relative(log_energy: np.ndarray) -> np.ndarray:
            value, error, _ = self.evaluate_error(np.exp(log_energy))
            return error / value

        grid = middle + np.linspace(-PIVOT_RANGE, PIVOT_RANGE, 61)
        errors = relative(grid)
        lowest = int(np.argmin(errors))
        if not np.all(np.isfinite(errors)) or np.ptp(errors) < 1e-9 * errors[lowest] or lowest in (0, grid.size - 1):
            return u.Quantity(np.nan, "TeV")
        best = minimize_scalar(
            lambda x: float(relative(np.array([x]))[0]),
            bounds=(grid[lowest - 1], grid[lowest + 1]),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return u.Quantity(np.exp(best.x), "TeV").to(reference.unit)

    @property
    def e_peak(self) -> u.Quantity:
        """The energy at which E^2 dN/dE is largest; of the spectral models that have such a place."""
        peak: u.Quantity = self.model.spectral.e_peak
        return peak

    def _between(self, what: str, energy_min: Given, energy_max: Given, unit: str) -> Estimate:
        low, high = np.broadcast_arrays(
            numbers_in(energy_min, "TeV", f"{what}: energy_min"), numbers_in(energy_max, "TeV", f"{what}: energy_max")
        )
        if not np.all((low > 0) & (high > low)):
            raise InputError(f"{what}: energy_min must be positive and below energy_max, found {low} and {high} TeV.")
        return self._estimate(what, (low, high), unit, _has_unit(energy_min, energy_max))

    def _estimate(self, what: str, energies: tuple[np.ndarray, ...], unit: str, with_unit: bool) -> Estimate:
        shape = np.shape(energies[0])
        flat = tuple(np.ravel(e) for e in energies)
        space, index, value, slopes = derivatives(self.models, self.datasets_names, self.name, flat, what)
        rows, covariance = self._covariance([space.names[i] for i in index], space.free[index])
        # a parameter that is linked within the model stands in several columns of the slopes, whose sum this takes
        jacobian = slopes[:, rows]
        unconstrained = np.isinf(np.diag(covariance))
        finite = np.where(np.isfinite(covariance), covariance, 0.0)
        error = np.sqrt(np.maximum(np.einsum("ei,ij,ej->e", jacobian, finite, jacobian), 0.0))
        error = np.where(np.any(jacobian[:, unconstrained] != 0, axis=1), np.inf, error).reshape(shape)
        value = value.reshape(shape)
        if with_unit:
            value, error = u.Quantity(value, unit), u.Quantity(error, unit)
        return Estimate(value, error, error)

    def _covariance(self, names: list[str], free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of ``names`` are free, and the covariance of those."""
        rows = np.flatnonzero(free)
        wanted = [names[i] for i in rows]
        # shared parameters have their own, small matrix; the one of all may be huge
        known, matrix = list(self.curvature.names), self.curvature.covariance
        if not set(wanted) <= set(known):
            known, matrix = list(self.free_names), dense_covariance(self.curvature, self.free_names)
        place = {name: i for i, name in enumerate(known)}
        order = np.array([place[name] for name in wanted], int)
        return rows, matrix[np.ix_(order, order)]


def _has_unit(*energies: Given) -> bool:
    """Whether results are Quantities: where an energy has a unit, as a Quantity, text or column."""
    return any(isinstance(with_unit(energy, "energy"), u.Quantity) for energy in energies)


def dense_covariance(curvature: Curvature, free_names: tuple[str, ...]) -> np.ndarray:
    """Covariance of all free parameters, (n, n); InputError where that is too large."""
    if len(free_names) > DENSE_LIMIT:
        raise InputError(
            f"The covariance of {len(free_names)} parameters would be a dense matrix of that size. Use "
            "result.curvature.covariance (parameters shared by datasets) and .local_covariance (the others)."
        )
    return curvature.dense()


def source_name(models: Models, name: str | None) -> str:
    """The name itself, or that of the only source; InputError where there is no such source."""
    sources = source_names(models)
    if name is None and len(sources) == 1:
        return sources[0]
    if name is None:
        raise InputError(f"There are {len(sources)} source models, say which: {', '.join(sources) or 'none'}.")
    if name not in sources:
        raise InputError(f"There is no source model {name!r}. {closest(name, sources)}")
    return name


def source_names(models: Iterable[ModelBase]) -> list[str]:
    """Names of the models that have a flux."""
    return [m.name for m in models if isinstance(m, SkyModel)]


def derivatives(
    models: Models, datasets_names: tuple[str, ...], name: str, energies: tuple[np.ndarray, ...], what: str = "dnde"
) -> tuple[ParameterSpace, np.ndarray, np.ndarray, np.ndarray]:
    """Space of all parameters, which of them model ``name`` has (p,), a quantity of its spectrum (n,), and the
    derivatives of that (n, p)."""
    space = parameter_space(models, datasets_names)
    entry = space.models[models.names.index(name)]
    values = np.asarray(space.values, float)
    tables = [item.content for item, e in zip(entry.items, entry.entries, strict=True) if e is None]
    shapes = tuple(
        None if e is None else np.shape(item.content) if item.kind == "weights" else ()
        for item, e in zip(entry.items, entry.entries, strict=True)
    )
    index = np.concatenate([e for e in entry.entries if e is not None] or [np.zeros(0, int)])
    width = float(np.max(np.log(energies[-1] / energies[0]), initial=0.0))
    order = order_for_width(width) if width > 0 else 0
    found, slopes = _compiled((what, order), entry.definition, shapes, tables, values[index], energies)
    return space, index, np.asarray(found), np.asarray(slopes)


@programs(0, 1, 2)
def _compiled(
    static: tuple[str, int],
    definition: ModelDef,
    shapes: tuple[tuple[int, ...] | None, ...],
    tables: list[Array],
    vector: Float[Array, " p"],
    energies: tuple[Float[Array, " n"], ...],
) -> tuple[Float[jax.Array, " n"], Float[jax.Array, "n p"]]:
    """A quantity of a spectrum (n,) and its derivatives (n, p) in the parameters ``vector`` (p,) of a model."""
    what, order = static

    def quantity(vector: Float[Array, " p"]) -> Float[jax.Array, " n"]:
        numbers: list[Array] = []
        place, others = 0, iter(tables)
        for shape in shapes:
            if shape is None:
                numbers.append(jnp.asarray(next(others)))
                continue
            size = int(np.prod(shape))
            numbers.append(vector[place : place + size].reshape(shape))
            place += size
        return QUANTITIES[what](cast(SkyModel, definition.build(numbers)).spectral, energies, order)

    differentiate = jax.jacfwd if vector.shape[0] <= energies[0].shape[0] else jax.jacrev
    return quantity(vector), differentiate(quantity)(vector)


def _dnde(spectral: Any, energies: tuple[Array, ...], order: int) -> jax.Array:
    energy = for_kernels(energies[0])
    return jnp.asarray(spectral.evaluate(energy) if isinstance(spectral, SpectralModel) else spectral(energy))


def _flux(spectral: Any, energies: tuple[Array, ...], order: int) -> jax.Array:
    if isinstance(spectral, SpectralModel):
        return _pairs(lambda pair: spectral.integrate_bins(pair, order), energies)
    return _pairs(lambda pair: integrate_bins(spectral, pair, order), energies)


def _energy_flux(spectral: Any, energies: tuple[Array, ...], order: int) -> jax.Array:
    if isinstance(spectral, SpectralModel):
        return _pairs(lambda pair: spectral.integrate_energy_bins(pair, order), energies)
    return _pairs(lambda pair: integrate_bins(lambda e: e * spectral(e), pair, order), energies)


def _pairs(integrate: Callable[[jax.Array], jax.Array], energies: tuple[Array, ...]) -> jax.Array:
    """Integrals over pairs of energies, each a bin of its own."""
    return jax.vmap(lambda pair: integrate(pair)[0])(jnp.stack([jnp.asarray(e) for e in energies], axis=-1))


def _spectral_index(spectral: Any, energies: tuple[Array, ...], order: int) -> jax.Array:
    energy = jnp.asarray(energies[0])
    value, slope = jax.jvp(lambda e: _dnde(spectral, (e,), order), (energy,), (energy,))
    return -slope / value


QUANTITIES: dict[str, Callable[[Any, tuple[Array, ...], int], jax.Array]] = {
    "dnde": _dnde,
    "flux": _flux,
    "energy_flux": _energy_flux,
    "spectral_index": _spectral_index,
}
