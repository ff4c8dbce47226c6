"""Kinds of flux, and the reference fluxes in units of which flux points are norms."""

from collections.abc import Mapping

import numpy as np

from ..arrays import Array, for_kernels
from ..errors import InputError
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel

DEFAULT_AMPLITUDE = 1e-12

UNITS = {
    "norm": "",
    "dnde": "TeV-1 s-1 cm-2",
    "e2dnde": "TeV s-1 cm-2",
    "flux": "s-1 cm-2",
    "eflux": "TeV s-1 cm-2",
}
"""Quantities in which fluxes are given, with the units of this package."""

SUFFIXES = ("", "_err", "_errn", "_errp", "_ul", "_sensitivity")

PER_POINT = ("ts", "sqrt_ts", "stat", "stat_null", "success")


def reference_flux(kind: str, fields: Mapping[str, Array | None]) -> Array:
    """Reference fluxes in the package's unit of ``kind`` (`UNITS`), (n,), from the fields of flux points."""
    if kind == "norm":
        return np.ones(len(_given(fields, "energy_ref")))
    if kind == "dnde":
        return _given(fields, "dnde_ref")
    if kind == "e2dnde":
        return _given(fields, "dnde_ref") * _given(fields, "energy_ref") ** 2
    found = {"flux": fields.get("flux_ref"), "eflux": fields.get("eflux_ref")}.get(kind)
    if found is not None:
        return found
    if kind not in UNITS:
        raise InputError(f"FluxPoints: the kinds of flux are {', '.join(UNITS)}; found {kind!r}.")
    why = "energy_min and energy_max" if fields.get("energy_min") is None else f"{kind}_ref"
    raise InputError(f"FluxPoints: {kind} needs {why}, which the points do not have.")


def _given(fields: Mapping[str, Array | None], name: str) -> Array:
    value = fields[name]
    assert value is not None
    return value


def references(
    energy_ref: Array, energy_min: Array | None, energy_max: Array | None, model: SpectralModel | SkyModel | None
) -> dict[str, Array]:
    """Reference fluxes of a spectral model (default: a power law of index 2) at energies in TeV."""
    if model is None:
        found: dict[str, Array] = {"dnde_ref": DEFAULT_AMPLITUDE / energy_ref**2}
        if energy_min is not None and energy_max is not None:
            found["flux_ref"] = DEFAULT_AMPLITUDE * (1 / energy_min - 1 / energy_max)
            found["eflux_ref"] = DEFAULT_AMPLITUDE * np.log(energy_max / energy_min)
        return found
    if isinstance(model, SkyModel):
        model = model.spectral
    if not isinstance(model, SpectralModel):
        raise InputError(f"FluxPoints: reference_model must be a spectral model, found {type(model).__name__}.")
    found = {"dnde_ref": np.asarray(model.evaluate(for_kernels(energy_ref)))}
    if energy_min is not None and energy_max is not None:
        found["flux_ref"] = np.asarray(model.integral(energy_min, energy_max))
        found["eflux_ref"] = np.asarray(model.energy_flux(energy_min, energy_max))
    return found
