"""Source and background models: a spectrum, and perhaps a shape and a light curve, with a name and datasets."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ...kernels.elementary import overflowing
from ...kernels.programs import remembered
from ...kernels.quadrature import integrate_bins, log_centers
from ..arrays import Array, fields_of, is_concrete, is_known, module_with
from ..errors import InputError, closest
from ..gti import GTI
from ..hints.calls import hinted
from ..hints.modules import HintedModule, found
from ..hints.switches import to_flag
from ..shown import html_table, number_text, robust
from ..units import Given, as_bins, kernel_numbers
from .component import Held, ModelComponent, frozen_arrays
from .spatial.base import SpatialModel
from .spatial.extent import Rungs, Sizes, sizes_in_fit, sizes_of
from .spatial.module import as_spatial
from .spatial.registry import SPATIAL_MODELS
from .spectral.base import DNDE, Edges, Energies, SpectralModel, energy_in_tev
from .spectral.norms import PowerLawNormSpectralModel
from .spectral.registry import SPECTRAL_MODELS
from .temporal.base import TemporalModel
from .temporal.registry import TEMPORAL_MODELS

Names = str | int | Iterable[str | int] | None
"""Names of datasets as constructors take them; in YAML files they may be numbers."""

APPLY_IRF = {"exposure": True, "psf": True, "edisp": True}


class Flags(NamedTuple):
    """Static choices of a `SkyModel`: which parts of the response act, what sets the size of its image, and the paths
    to arrays of modules that are not free."""

    exposure: bool
    psf: bool
    edisp: bool
    sizes: Sizes | None
    frozen: tuple[str, ...] = ()


def _names(given: Names) -> tuple[str, ...] | None:
    if given is None:
        return None
    # names in YAML files may be numbers
    names = [given] if isinstance(given, str | int) or not hasattr(given, "__iter__") else list(given)
    wrong = [type(n).__name__ for n in names if not isinstance(n, str | int)]
    if wrong:
        raise InputError(
            f"datasets_names must be a name or a list of names, found {wrong[0]}. Those of datasets are datasets.names."
        )
    return tuple(str(n) for n in names)


LARGEST = 720.0
"""Half-width (deg) of a source beyond which it is an error: a Gaussian is evaluated out to five widths."""


class ModelBase(HintedModule):
    """A named model that acts on some datasets."""

    tag: ClassVar[tuple[str, ...]] = ()
    # fields that hold parameters or tables, by the word that stands for them in full parameter names
    parts: ClassVar[tuple[str, ...]] = ("spectral",)
    # whether it takes part in predictions; a prior of other models' parameters does not
    predicts: ClassVar[bool] = True
    name: eqx.AbstractVar[str]
    datasets_names: eqx.AbstractVar[tuple[str, ...] | None]
    # static choices that change the program, beside the types of the components
    flags: eqx.AbstractVar[tuple[Any, ...]]

    def acts_on(self, dataset_name: str) -> bool:
        return self.datasets_names is None or dataset_name in self.datasets_names

    @property
    def components(self) -> dict[str, Any]:
        """Model components by the word that stands for them in full parameter names."""
        return {part: getattr(self, part) for part in self.parts if getattr(self, part) is not None}

    @robust
    def __repr__(self) -> str:
        where = f" on {', '.join(self.datasets_names)}" if self.datasets_names else ""
        parts = [f"  {word}: {_shown_part(part)}" for word, part in self.components.items()]
        return "\n".join([f"{type(self).__name__} {self.name!r}{where}", *parts])

    @robust
    def _repr_html_(self) -> str:
        named = {
            f"{word}.{n}": p
            for word, c in self.components.items()
            if isinstance(c, ModelComponent)
            for n, p in c.parameters.items()
        }
        return html_table([p.facts(name) for name, p in named.items()], f"{type(self).__name__} {self.name}")

    def resized(self) -> Self:
        """The model, or a copy whose image has the size that its present numbers ask for."""
        return self

    def replace(self, **changes: Any) -> Self:
        """A copy with changed fields."""
        if not isinstance(self.flags, Held):
            return dataclasses.replace(self, **changes)
        fields = fields_of(self) | {"frozen": self.flags.frozen}
        return type(self)(**{name: value for name, value in (fields | changes).items() if name != "flags"})


# astropy parses units slowly, and pipelines make a model for every fit
@remembered(256)
def _is_flux(spectral: str, spatial: str | None) -> bool:
    """Whether models of these units make a differential flux: a map of diffuse emission has it, and a norm for its
    spectrum."""
    shape = u.dimensionless_unscaled if spatial is None else u.Unit(spatial) * u.sr
    return bool((u.Unit(spectral) * shape).is_equivalent(DNDE))


class SkyModel(ModelBase):
    """A source: spectrum, shape, light curve, name, and the datasets it acts on (all when ``datasets_names`` is None).

    Parameters
    ----------
    spectral : a `SpectralModel`, or any ``eqx.Module`` that maps energies in TeV (any shape) to dN/dE in
        TeV-1 s-1 cm-2; the inexact arrays of such a module are its free parameters
    spatial : a `SpatialModel`, or any ``eqx.Module`` that maps longitude and latitude to a surface brightness, which
        becomes a `ModuleSpatialModel`; maps need one. A spectrum, whose exposure carries the containment, takes no
        notice of it
    temporal : a `TemporalModel`; its mean over the good time intervals of a dataset multiplies the flux
    apply_irf : switches parts of the response off: ``{"exposure": True, "psf": True, "edisp": True}``
    frozen : paths to arrays of such modules that are to stay as they are, or to parts with all arrays in them:
        ``["spectral.network.layers.0", "spatial.module.offset"]``. `Models.freeze` is for parameters
    """

    spectral: Any
    spatial: SpatialModel | None
    temporal: TemporalModel | None
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    flags: Flags = eqx.field(static=True)
    tag = ("SkyModel", "sky-model")
    parts = ("spectral", "spatial", "temporal")

    def __init__(
        self,
        spectral: Any,
        name: str = "source",
        datasets_names: Names = None,
        apply_irf: dict[str, bool] | None = None,
        spatial: eqx.Module | None = None,
        temporal: TemporalModel | None = None,
        frozen: str | Iterable[str] = (),
    ) -> None:
        shape = as_spatial(spatial)
        for word, part, kind in (("spatial", shape, SpatialModel), ("temporal", temporal, TemporalModel)):
            if not isinstance(part, kind | None):
                raise InputError(f"SkyModel {name!r}: {word} must be a {kind.__name__}, found {_short(part)}.")
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
        switches = APPLY_IRF | {
            k: to_flag(v, f"SkyModel {name!r}: apply_irf, {k}") for k, v in (apply_irf or {}).items()
        }
        spatial_unit = None if shape is None else shape.unit
        has_unit = isinstance(spectral, SpectralModel) and switches["exposure"]
        if has_unit and not _is_flux(spectral.unit, spatial_unit):
            together = "" if shape is None else f" and the spatial model {spatial_unit!r}"
            raise InputError(
                f"SkyModel {name!r}: the spectrum has unit {spectral.unit!r}{together}, expected a differential "
                f"flux such as {DNDE!r}. Multiply a norm model by a flux model, and a diffuse map by a norm model."
            )
        self.spectral, self.name, self.datasets_names = spectral, str(name), _names(datasets_names)
        self.spatial, self.temporal = shape, temporal
        held = frozen_arrays(frozen, {"spectral": spectral, "spatial": shape}, f"SkyModel {name!r}")
        self.flags = Flags(sizes=sizes_of(shape), frozen=held, **{key: bool(switches[key]) for key in APPLY_IRF})

    @classmethod
    def create(cls, spectral: str, spatial: str | None = None, temporal: str | None = None, **fields: Any) -> Self:
        """A source of parts with their default parameters, named by their tags; ``fields`` are further arguments.

        ``gj.SkyModel.create("pl", "gauss", name="crab")``
        """
        known: dict[str, Mapping[str, Any]] = {
            "spectral": SPECTRAL_MODELS,
            "spatial": SPATIAL_MODELS,
            "temporal": TEMPORAL_MODELS,
        }
        tags = {"spectral": spectral, "spatial": spatial, "temporal": temporal}
        parts: dict[str, Any] = {}
        for word, tag in tags.items():
            if tag is None:
                continue
            models = known[word]
            if tag not in models:
                raise InputError(f"SkyModel.create: unknown {word} model {tag!r}. {closest(tag, models, 'tags')}")
            try:
                parts[word] = models[tag]()
            except TypeError as error:
                raise InputError(
                    f"SkyModel.create: a {models[tag].__name__} has no defaults. Make it, and give it to SkyModel."
                ) from error
        return cls(**parts, **fields)

    @property
    def apply_irf(self) -> dict[str, bool]:
        return {key: getattr(self.flags, key) for key in APPLY_IRF}

    @property
    def sizes(self) -> Sizes | None:
        """What sets the size of the image of the source, fixed when the model is made."""
        return self.flags.sizes

    def with_room(self, rungs: Mapping[str, Rungs | None]) -> "SkyModel":
        """The model with images so large that free sizes can change in a fit, see `sizes_in_fit`; ``rungs`` of the
        datasets, by name, of which those that it acts on count."""
        found = [of for name, of in rungs.items() if of is not None and type(self).acts_on(self, name)]
        sizes = sizes_in_fit(self.spatial, self.sizes, found if self.flags.psf else [])
        return self if sizes == self.sizes else type(self).with_sizes(self, sizes)

    def with_sizes(self, sizes: Sizes | None) -> "SkyModel":
        """A copy with these sizes: what has the sizes of another has its programs."""
        return module_with(SkyModel, fields_of(self) | {"flags": self.flags._replace(sizes=sizes)})

    def resized(self) -> "SkyModel":
        if self.spatial is None or sizes_of(self.spatial) == self.flags.sizes:
            return self
        return self.replace()

    def replace(self, **changes: Any) -> "SkyModel":
        fields = {
            "spectral": self.spectral,
            "name": self.name,
            "datasets_names": self.datasets_names,
            "apply_irf": self.apply_irf,
            "spatial": self.spatial,
            "temporal": self.temporal,
            "frozen": self.flags.frozen,
        }
        return SkyModel(**(fields | changes))

    def integrate_bins(self, edges: Edges, order: int) -> jax.Array:
        """Flux in each bin of ``edges`` (TeV), in s-1 cm-2, shape (n_bins,)."""
        if isinstance(self.spectral, SpectralModel):
            return self.spectral.integrate_bins(edges, order)
        return integrate_bins(self.spectral, kernel_numbers(edges, "TeV", "integrate_bins: edges"), order)

    def mean_flux(self, edges: Edges, order: int, gti: GTI | None) -> jax.Array:
        """`integrate_bins`, times the mean of the light curve (at the bin centres) over good time intervals (`GTI`)."""
        edges = kernel_numbers(edges, "TeV", "mean_flux: edges")
        flux = self.integrate_bins(edges, order)
        if self.temporal is None:
            return flux
        self.check_times(gti, "SkyModel")
        return flux * self.temporal.mean(cast(GTI, gti), log_centers(edges))

    def check_spectrum(self) -> None:
        """Raise an `InputError` if the model is no flux without its spatial part: a diffuse map with a norm."""
        if self.spatial is not None and u.Unit(self.spatial.unit) != u.Unit("sr-1"):
            raise InputError(
                f"SkyModel {self.name!r}: its map has the unit {self.spatial.unit!r}, so that it has no flux on a "
                "dataset without a sky. Let it act on maps only: datasets_names=[...]."
            )

    def check_place(self, where: str) -> None:
        """Raise an `InputError` for a source off the sphere, or much larger than it."""
        position = cast(SpatialModel, self.spatial).position
        latitude = 0.0 if position is None or not is_concrete(position[1]) else float(position[1])
        if abs(latitude) > 90:
            raise InputError(
                f"{where}: model {self.name!r} is at the latitude {latitude:g} deg, expected -90 to 90. Correct lat_0."
            )
        extent = None if self.sizes is None else self.sizes.extent
        if extent is not None and extent > LARGEST:
            raise InputError(
                f"{where}: model {self.name!r} reaches {extent:.4g} deg from its middle, further than the sky is wide. "
                "Start from a smaller size."
            )

    def check_times(self, gti: GTI | None, where: str) -> None:
        """Raise an `InputError` where a light curve has no good time intervals to be averaged over."""
        if gti is None or np.size(gti.start) == 0:
            raise InputError(
                f"{where}: model {self.name!r} has a light curve, and the dataset has no good time intervals to "
                "average it over. Give gti=GTI(...)."
            )
        if isinstance(self.temporal, TemporalModel):
            self.temporal.check_intervals(gti, f"{where}: model {self.name!r}")


def _short(part: object) -> str:
    """What was given, in a word: models print over many lines."""
    return type(part).__name__ if isinstance(part, eqx.Module) else repr(part)


def _shown_part(part: object) -> str:
    return number_text(part) if isinstance(part, np.ndarray | jax.Array) else repr(part)


def background_name(datasets_names: tuple[str, ...] | None) -> str:
    """Name of a background model that was given none."""
    return f"{datasets_names[0]}-bkg" if datasets_names else "bkg"


class FoVBackgroundModel(ModelBase):
    """A norm spectrum, and perhaps a norm on the sky, that multiply the background of a dataset.

    Both are evaluated at the centres of energy bins and pixels; the numbers of ``spatial`` are taken without unit.
    ``frozen``: paths to arrays of modules that are to stay as they are, as of a `SkyModel`.
    """

    spectral: Any
    spatial: SpatialModel | None
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    flags: Held = eqx.field(static=True)
    tag = ("FoVBackgroundModel", "fov-bkg")
    parts = ("spectral", "spatial")

    def __init__(
        self,
        spectral: Any = None,
        datasets_names: Names = None,
        name: str | None = None,
        spatial: eqx.Module | None = None,
        frozen: str | Iterable[str] = (),
    ) -> None:
        names, shape = _names(datasets_names), as_spatial(spatial)
        if spectral is None:
            spectral = PowerLawNormSpectralModel()
        if name is None:
            name = background_name(names)
        if isinstance(spectral, SpectralModel) and spectral.unit != "":
            raise InputError(
                f"FoVBackgroundModel {name!r}: a norm model is needed (PowerLawNormSpectralModel, say), "
                f"found {type(spectral).__name__} with unit {spectral.unit!r}."
            )
        if not isinstance(shape, SpatialModel | None) or (shape is not None and shape.scheme == "point"):
            raise InputError(
                f"FoVBackgroundModel {name!r}: spatial must be an extended SpatialModel, found {_short(shape)}."
            )
        self.spectral, self.spatial, self.name, self.datasets_names = spectral, shape, str(name), names
        parts = {"spectral": spectral, "spatial": shape}
        self.flags = Held(frozen_arrays(frozen, parts, f"FoVBackgroundModel {name!r}"))

    def evaluate(self, energy: Given) -> jax.Array:
        """Norm at ``energy`` (Quantity or TeV)."""
        return _norm_at(self.spectral, energy)


class TemplateNPredModel(ModelBase):
    """Counts given as a map, times a norm spectrum: signal that no response acts on.

    ``counts`` has the shape of the counts of its datasets, (n_reco, ny, nx) or (n_reco,); the norm is evaluated at bin
    centres. By default it is a `PowerLawNormSpectralModel` with frozen tilt. ``frozen``: paths to arrays of a module in
    its place that are to stay as they are, as of a `SkyModel`.
    """

    spectral: Any
    counts: Float[Array, "n_reco ..."]
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    filename: str | None = eqx.field(static=True)
    flags: Held = eqx.field(static=True)
    tag = ("TemplateNPredModel", "template-npred")
    parts = ("spectral", "counts")

    def __init__(
        self,
        counts: Given,
        spectral: Any = None,
        name: str = "template",
        datasets_names: Names = None,
        filename: str | None = None,
        frozen: str | Iterable[str] = (),
    ) -> None:
        spectral = PowerLawNormSpectralModel() if spectral is None else spectral
        if isinstance(spectral, SpectralModel) and spectral.unit != "":
            raise InputError(
                f"TemplateNPredModel {name!r}: a norm model is needed (PowerLawNormSpectralModel, say), "
                f"found {type(spectral).__name__} with unit {spectral.unit!r}."
            )
        self.counts = as_counts(counts, f"TemplateNPredModel {name!r}")
        self.spectral, self.name, self.datasets_names = spectral, str(name), _names(datasets_names)
        self.filename = None if filename is None else str(filename)
        self.flags = Held(frozen_arrays(frozen, {"spectral": spectral}, f"TemplateNPredModel {name!r}"))

    def evaluate(self, energy: Given) -> jax.Array:
        """Norm at ``energy`` (Quantity or TeV)."""
        return _norm_at(self.spectral, energy)


def _norm_at(spectral: Any, energy: Given) -> jax.Array:
    at: Energies = kernel_numbers(energy, "TeV", "evaluate: energy")
    return jnp.asarray(spectral.evaluate(at) if isinstance(spectral, SpectralModel) else spectral(at))


def as_counts(counts: Given, what: str) -> Array:
    """Finite numbers, one per bin."""
    bins = as_bins(counts, f"{what}: counts")
    if is_known(bins) and not np.all(np.isfinite(bins)):
        raise InputError(f"{what}: counts must be finite, found {int(np.sum(~np.isfinite(bins)))} NaN or infinite.")
    return bins


@hinted
def dnde(models: SkyModel | Iterable[eqx.Module], energy: Given, gti: GTI | None = None) -> jax.Array:
    """Differential flux of sky models at ``energy`` (Quantity or TeV, any shape), summed, in TeV-1 s-1 cm-2.

    Shapes on the sky do not matter. With good time intervals ``gti`` light curves are averaged over them, for energies
    of shape (n,); without, fluxes are those of the spectra, which are averages over time already. Infinite beyond
    1e154, where an exponential has run away.
    """
    given = [models] if isinstance(models, ModelBase | str) or not isinstance(models, Iterable) else list(models)
    for model in given:
        if not isinstance(model, ModelBase):
            raise InputError(f"dnde: found {found(model)}, expected sky models: gj.SkyModel(spectrum, name='...').")
    return overflowing(summed_flux(given, energy_in_tev(energy), gti))


def summed_flux(models: SkyModel | Iterable[eqx.Module], energy: jax.Array, gti: GTI | None = None) -> jax.Array:
    """`dnde` at energies in TeV for fits, in which exponentials that run away are finite."""
    total = jnp.zeros(energy.shape, jnp.result_type(energy.dtype, float))
    for model in [models] if isinstance(models, SkyModel) else models:
        if not isinstance(model, SkyModel):
            continue
        spectral = model.spectral
        flux = spectral.evaluate(energy) if isinstance(spectral, SpectralModel) else spectral(energy)
        if model.temporal is not None and gti is not None:
            flux = flux * model.temporal.mean(gti, energy)
        total = total + flux
    return total
