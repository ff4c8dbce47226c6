"""What the instrument models that act on a dataset do to its responses, as arrays."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels.edisp import GHOSTS, extended_response, fold, rescaled
from ...kernels.quadrature import log_centers
from ..arrays import Array, for_kernels
from ..errors import InputError
from ..irf.edisp import EDisp, EDispKernel, EDispKernelMap, Matrix
from ..irf.psf import PSFMap
from ..models.flatten import models_of_type
from ..models.instrument import InstrumentModel, factor_at
from ..prepared import Frozen

PerEnergy = Float[jax.Array, " n_true"]


class Instrument(NamedTuple):
    """Changes of the responses of one dataset; None for what stays as it is.

    ``exposure`` (n_true,) multiplies the exposure. ``seen_as`` (n_true + 1,): true energies (TeV) that are seen as the
    edges of the true bins. ``dispersion`` (n_reco + 1,) multiplies reconstructed energies, at the edges of their bins.
    ``psf_width`` (n_true,) multiplies angular radii of a point spread function, ``reco_psf_width`` (n_reco,) those of
    one in reconstructed energy.
    """

    exposure: PerEnergy | None = None
    seen_as: Float[jax.Array, " n_true+1"] | None = None
    dispersion: Float[jax.Array, " n_reco+1"] | None = None
    psf_width: PerEnergy | None = None
    reco_psf_width: Float[jax.Array, " n_reco"] | None = None

    def width_of(self, psf: str) -> Float[jax.Array, " n"] | None:
        """Factors of the radii of a point spread function in "true" or "reco" energy."""
        return {"true": self.psf_width, "reco": self.reco_psf_width}.get(psf)

    def true_energy(self, seen: np.ndarray, energy_true_edges: np.ndarray) -> np.ndarray:
        """True energies (n,) of photons that are seen as of energies ``seen`` (n,), both in TeV."""
        if self.seen_as is None:
            return seen
        scale = np.log(energy_true_edges) - np.log(np.asarray(self.seen_as))
        return np.asarray(seen * np.exp(-np.interp(np.log(seen), np.log(energy_true_edges), scale)))

    def extended(
        self, edisp: EDisp | None, energy_true_edges: Array, energy_edges: Array
    ) -> tuple[EDisp | None, Array]:
        """An energy dispersion that knows the energies which the scale brings inside the axis, and all edges."""
        if self.dispersion is None or not isinstance(edisp, EDispKernel | EDispKernelMap):
            return edisp, energy_edges
        true, reco = for_kernels(energy_true_edges), np.asarray(energy_edges)
        ends = reco[[1, -1]] / reco[[0, -2]]
        beyond = np.arange(1, GHOSTS + 1)
        wide = np.concatenate([reco[0] * ends[0] ** -beyond[::-1], reco, reco[-1] * ends[1] ** beyond])
        if isinstance(edisp, EDispKernel):
            return EDispKernel(np.asarray(extended_response(for_kernels(edisp.matrix), true, for_kernels(reco)))), wide
        shape = np.shape(edisp.values)
        planes = jnp.asarray(edisp.values).reshape(*shape[:2], -1)
        each = jax.vmap(lambda m: extended_response(m, true, for_kernels(reco)), in_axes=2, out_axes=2)(planes)
        return EDispKernelMap(edisp.geom, np.asarray(each).reshape(shape[0], -1, *shape[2:])), wide

    def recorded(self, reconstructed: np.ndarray, energy_edges: np.ndarray) -> np.ndarray:
        """Energies (n,) that are recorded where ``reconstructed`` (n,) would be, both in TeV."""
        if self.dispersion is None:
            return reconstructed
        at, scale = np.log(energy_edges), np.log(np.asarray(self.dispersion))
        logs = found = np.log(reconstructed)
        # a recorded energy is multiplied by the scale at itself
        for _ in range(SEARCH):
            found = logs + np.interp(found, at, scale)
        return np.asarray(np.exp(found))

    def widened(self, radius: np.ndarray, energy: np.ndarray, energy_edges: np.ndarray, psf: str) -> np.ndarray:
        """Radii (n,) of events from where they come, at energies (n,) of a PSF in "true" or "reco" energy."""
        width = self.width_of(psf)
        if width is None:
            return radius
        return np.asarray(radius * np.interp(np.log(energy), np.log(log_centers(energy_edges)), np.asarray(width)))

    def matrix(self, nominal: Matrix, energy_true_edges: Array, energy_edges: Array) -> Matrix:
        """The energy dispersion, (n_true, n_reco), from the ``nominal`` one."""
        if self.dispersion is None:
            return nominal
        edges = for_kernels(energy_edges)
        return rescaled(extended_response(nominal, for_kernels(energy_true_edges), edges), edges, self.dispersion)

    def folded(
        self,
        counts: PerEnergy,
        nominal: Matrix,
        energy_true_edges: Array,
        energy_edges: Array,
        n_reco: Array | int | None = None,
    ) -> Float[jax.Array, " n_reco"]:
        """Counts per true bin folded with `matrix`, which is dearer; ``n_reco``: bins that are no padding."""
        if self.dispersion is None:
            return fold(nominal, counts)
        edges = for_kernels(energy_edges)
        wide = extended_response(nominal, for_kernels(energy_true_edges), edges, n_reco)
        return rescaled(fold(wide, counts), edges, self.dispersion, n_reco)


SEARCH = 30
"""Repetitions that find a recorded energy where the scale depends on it; each adds a digit for slopes of a tenth."""

NOMINAL = Instrument()
"""Responses as they are."""


def instrument_of(
    models: Sequence[eqx.Module],
    energy_true_edges: Float[Array, " n_true+1"],
    energy_edges: Float[Array, " n_reco+1"],
) -> Instrument:
    """What the instrument models among ``models`` do to a dataset of these true and reconstructed energies (TeV)."""
    acting = models_of_type(models, InstrumentModel)
    if not acting:
        return NOMINAL
    edges = jnp.asarray(energy_true_edges)
    centers = log_centers(edges)

    def product(wanted: Callable[[InstrumentModel], tuple[object, ...]], at: jax.Array) -> jax.Array | None:
        factors = [f for model in acting for f in wanted(model) if f is not None]
        total: jax.Array | None = None
        for factor in factors:
            total = factor_at(factor, at) if total is None else total * factor_at(factor, at)
        return total

    def scale(of: str) -> Callable[[InstrumentModel], tuple[object, ...]]:
        return lambda m: (m.energy_scale,) if m.flags.energy_scale_of == of else ()

    seen_as = product(scale("response"), edges)
    return Instrument(
        product(lambda m: (m.exposure, m.livetime), centers),
        None if seen_as is None else edges / seen_as,
        product(scale("dispersion"), jnp.asarray(energy_edges)),
        product(lambda m: (m.psf_width,), centers),
        product(lambda m: (m.psf_width,), log_centers(jnp.asarray(energy_edges))),
    )


class Instruments(NamedTuple):
    """The instrument models of a fit, whether one of them is free, and whether one has a ``psf_width``."""

    models: list[eqx.Module]
    free: bool
    psf_width: bool


def instruments_of(models: Sequence[eqx.Module], frozen: Sequence[Frozen]) -> Instruments:
    """The instrument models among the ``models`` of a fit."""
    found = [(m, f) for m, f in zip(models, frozen, strict=True) if type(m) is InstrumentModel]
    known: list[eqx.Module] = [m for m, _ in found]
    return Instruments(known, any(not f.model for _, f in found), any(m.psf_width is not None for m, _ in found))


def check_instruments(models: Sequence[eqx.Module], psf: object, source_grid: str, what: str) -> None:
    """Raise an `InputError` that starts with ``what`` for a width of a point spread function that has none."""
    widths = [m.name for m in models if type(m) is InstrumentModel and m.psf_width is not None]
    if widths and (not isinstance(psf, PSFMap) or source_grid == "pixel"):
        has = "source_grid='pixel'" if isinstance(psf, PSFMap) else "no PSFMap" if psf is None else type(psf).__name__
        raise InputError(
            f"{what}: the instrument model {widths[0]!r} has a psf_width, and the dataset has {has}. Let it act on "
            "datasets with a PSFMap only (datasets_names=[...]); the containment of a spectrum is part of its exposure."
        )


def livetime_factor(models: Sequence[eqx.Module]) -> jax.Array | float:
    """What a known background is multiplied by because of the livetime."""
    total: jax.Array | float = 1.0
    for model in models_of_type(models, InstrumentModel):
        if model.livetime is not None:
            total = total * factor_at(model.livetime, jnp.ones(()))
    return total
