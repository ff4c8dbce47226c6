"""Spectra with their one-sigma band, as numbers: what pictures show, without any picture."""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from gammajax.datasets.arrays import Array, for_kernels
from gammajax.datasets.errors import InputError, closest
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.flatten import ModelDef
from gammajax.datasets.models.sky_model import ModelBase, SkyModel
from gammajax.datasets.models.spectral.base import DNDE, SpectralModel
from gammajax.datasets.units import Given, to_unit, with_unit
from gammajax.fit.joint.parameters import ParameterSpace, parameter_space
from gammajax.fit.result import FitResult

N_ENERGIES = 200


def flux_band(
    result: FitResult, model_name: str | None, energy: Given
) -> tuple[np.ndarray, np.ndarray] | tuple[u.Quantity, u.Quantity]:
    """dN/dE of a fitted model and its one-sigma error at each of ``energy`` (n,).

    The error is sqrt(J C J^T) with the covariance C of all free parameters and the exact derivatives J of the model.
    Numbers in TeV give numbers in TeV-1 s-1 cm-2; Quantities give Quantities.
    """
    name = source_name(result, model_name)
    energy = with_unit(energy, "flux_band: energy")
    given = np.atleast_1d(np.asarray(to_unit(energy, "TeV", "flux_band: energy")))
    space, index, dnde, slopes = derivatives(result.models, result.datasets_names, name, given)
    rows, covariance = _covariance_of(result, [space.names[i] for i in index], space.free[index])
    # a parameter that is linked within the model stands in several columns of the slopes, whose sum this takes
    jacobian = slopes[:, rows]
    unconstrained = np.isinf(np.diag(covariance))
    finite = np.where(np.isfinite(covariance), covariance, 0.0)
    variance = np.einsum("ei,ij,ej->e", jacobian, finite, jacobian)
    error = np.sqrt(np.maximum(variance, 0.0))
    error = np.where(np.any(jacobian[:, unconstrained] != 0, axis=1), np.inf, error)
    if isinstance(energy, u.Quantity):
        return u.Quantity(dnde, DNDE), u.Quantity(error, DNDE)
    return dnde, error


def derivatives(
    models: Models, datasets_names: tuple[str, ...], name: str, energy: np.ndarray
) -> tuple[ParameterSpace, np.ndarray, np.ndarray, np.ndarray]:
    """Space of all parameters, which of them model ``name`` has (p,), its dN/dE (n,) and its derivatives (n, p)."""
    space = parameter_space(models, datasets_names)
    entry = space.models[models.names.index(name)]
    values = np.asarray(space.values, float)
    tables = [item.content for item, e in zip(entry.items, entry.entries, strict=True) if e is None]
    shapes = tuple(
        None if e is None else np.shape(item.content) if item.kind == "weights" else ()
        for item, e in zip(entry.items, entry.entries, strict=True)
    )
    index = np.concatenate([e for e in entry.entries if e is not None] or [np.zeros(0, int)])
    dnde, slopes = compiled_band(entry.definition, shapes, tables, values[index], energy)
    return space, index, np.asarray(dnde), np.asarray(slopes)


@partial(jax.jit, static_argnums=(0, 1))
def compiled_band(
    definition: ModelDef,
    shapes: tuple[tuple[int, ...] | None, ...],
    tables: list[Array],
    vector: Float[Array, " p"],
    energy: Float[Array, " n"],
) -> tuple[Float[jax.Array, " n"], Float[jax.Array, "n p"]]:
    """dN/dE (n,) and its derivatives (n, p) in the parameters ``vector`` (p,) of a model."""

    def dnde(vector: Float[Array, " p"]) -> Float[jax.Array, " n"]:
        numbers: list[Array] = []
        place, others = 0, iter(tables)
        for shape in shapes:
            if shape is None:
                numbers.append(jnp.asarray(next(others)))
                continue
            size = int(np.prod(shape))
            numbers.append(vector[place : place + size].reshape(shape))
            place += size
        spectral = definition.build(numbers).spectral
        return jnp.asarray(
            spectral.evaluate(for_kernels(energy)) if isinstance(spectral, SpectralModel) else spectral(energy)
        )

    differentiate = jax.jacfwd if vector.shape[0] <= energy.shape[0] else jax.jacrev
    return dnde(vector), differentiate(dnde)(vector)


def _covariance_of(result: FitResult, names: list[str], free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``names`` are free, and the covariance of those."""
    rows = np.flatnonzero(free)
    wanted = [names[i] for i in rows]
    # shared parameters have their own, small matrix; the one of all may be huge
    known, matrix = list(result.curvature.names), result.curvature.covariance
    if not set(wanted) <= set(known):
        known, matrix = list(result.free_names), result.covariance
    place = {name: i for i, name in enumerate(known)}
    order = np.array([place[name] for name in wanted], int)
    return rows, matrix[np.ix_(order, order)]


def source_name(result: FitResult, name: str | None) -> str:
    sources = source_names(result.models)
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
