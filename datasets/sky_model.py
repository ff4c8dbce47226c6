"""Source and background models: a spectrum with a name and the datasets it acts on."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from astropy import units as u

from ..kernels.quadrature import integrate_bins
from .errors import InputError
from .spectral_base import DNDE, SpectralModel
from .spectral_models import PowerLawNormSpectralModel

APPLY_IRF = {"exposure": True, "psf": True, "edisp": True}


def _names(given: Any) -> tuple[str, ...] | None:
    if given is None:
        return None
    return (given,) if isinstance(given, str) else tuple(str(n) for n in given)


class ModelBase(eqx.Module):
    """A named model that acts on some datasets."""

    tag: ClassVar[tuple[str, ...]] = ()
    spectral: eqx.AbstractVar[Any]
    name: eqx.AbstractVar[str]
    datasets_names: eqx.AbstractVar[tuple[str, ...] | None]
    # static choices that change the program, beside the types of the components
    flags: eqx.AbstractVar[tuple[Any, ...]]

    def acts_on(self, dataset_name: str) -> bool:
        return self.datasets_names is None or dataset_name in self.datasets_names

    @property
    def components(self) -> dict[str, Any]:
        """Model components by the word that stands for them in full parameter names."""
        return {"spectral": self.spectral}

    def replace(self, **changes: Any) -> Any:
        """A copy with changed fields."""
        return dataclasses.replace(self, **changes)


class SkyModel(ModelBase):
    """A source: spectral model, name, and the datasets it acts on (all when ``datasets_names`` is None).

    ``spectral`` is a `SpectralModel` or any ``eqx.Module`` that maps energies in TeV (any shape) to dN/dE in
    TeV-1 s-1 cm-2; the inexact arrays of such a module are its free parameters. ``apply_irf`` switches parts of the
    response off: ``{"exposure": True, "psf": True, "edisp": True}``.
    """

    spectral: Any
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    flags: tuple[Any, ...] = eqx.field(static=True)
    tag = ("SkyModel", "sky-model")

    def __init__(
        self,
        spectral: Any,
        name: str = "source",
        datasets_names: Any = None,
        apply_irf: dict[str, bool] | None = None,
        spatial: None = None,
        temporal: None = None,
    ):
        for word, part in (("spatial", spatial), ("temporal", temporal)):
            if part is not None:
                raise InputError(
                    f"SkyModel {name!r}: this version handles spectral models of spectra only. Leave {word} out: the "
                    "exposure of a spectrum carries the containment."
                )
        if not callable(spectral) or isinstance(spectral, type):
            raise InputError(
                f"SkyModel {name!r}: spectral must be a spectral model or an eqx.Module that maps energy to dN/dE, "
                f"found {spectral!r}."
            )
        unknown = set(apply_irf or {}) - set(APPLY_IRF)
        if unknown:
            raise InputError(
                f"SkyModel {name!r}: apply_irf knows {', '.join(APPLY_IRF)}, found {sorted(unknown)[0]!r}."
            )
        switches = APPLY_IRF | (apply_irf or {})
        if (
            isinstance(spectral, SpectralModel)
            and switches["exposure"]
            and not u.Unit(spectral.unit).is_equivalent(DNDE)
        ):
            raise InputError(
                f"SkyModel {name!r}: the spectrum has unit {spectral.unit!r}, expected a differential flux such as "
                f"{DNDE!r}. Multiply a norm model by a flux model."
            )
        self.spectral, self.name, self.datasets_names = spectral, str(name), _names(datasets_names)
        self.flags = tuple(bool(switches[key]) for key in APPLY_IRF)

    @property
    def apply_irf(self) -> dict[str, bool]:
        return dict(zip(APPLY_IRF, self.flags, strict=True))

    def replace(self, **changes):
        fields = {
            "spectral": self.spectral,
            "name": self.name,
            "datasets_names": self.datasets_names,
            "apply_irf": self.apply_irf,
        }
        return SkyModel(**(fields | changes))

    def integrate_bins(self, edges: Any, order: int) -> jax.Array:
        """Flux in each bin of ``edges`` (TeV), in s-1 cm-2, shape (n_bins,)."""
        if isinstance(self.spectral, SpectralModel):
            return self.spectral.integrate_bins(edges, order)
        return integrate_bins(self.spectral, edges, order)


def background_name(datasets_names: tuple[str, ...] | None) -> str:
    """Name of a background model that was given none."""
    return f"{datasets_names[0]}-bkg" if datasets_names else "bkg"


class FoVBackgroundModel(ModelBase):
    """A norm spectrum that multiplies the background of its dataset, evaluated at bin centres."""

    spectral: Any
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    tag = ("FoVBackgroundModel", "fov-bkg")
    flags = ()

    def __init__(self, spectral: Any = None, datasets_names: Any = None, name: str | None = None):
        names = _names(datasets_names)
        if spectral is None:
            spectral = PowerLawNormSpectralModel()
        if name is None:
            name = background_name(names)
        if isinstance(spectral, SpectralModel) and spectral.unit != "":
            raise InputError(
                f"FoVBackgroundModel {name!r}: a norm model is needed (PowerLawNormSpectralModel, say), "
                f"found {type(spectral).__name__} with unit {spectral.unit!r}."
            )
        self.spectral, self.name, self.datasets_names = spectral, str(name), names

    def evaluate(self, energy: Any) -> jax.Array:
        """Norm at ``energy`` (TeV)."""
        model = self.spectral
        return jnp.asarray(model.evaluate(energy) if isinstance(model, SpectralModel) else model(energy))
