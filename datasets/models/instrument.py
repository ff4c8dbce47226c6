"""The instrument as parameters: factors of the responses of datasets, nominally 1."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..units import Given, kernel_numbers
from .component import frozen_arrays
from .parameter import GivenParameter, is_parameter
from .sky_model import ModelBase, Names, _names
from .spectral.base import SpectralModel
from .spectral.norms import PowerLawNormSpectralModel

ScaleOf = Literal["dispersion", "response"]
"""What an energy scale acts on, see `InstrumentModel`."""

Factor = GivenParameter | SpectralModel | Any
"""A factor as the constructor takes it: a number or `Parameter`, a norm model, or a module from energy to a factor."""


class InstrumentFlags(NamedTuple):
    """Static choices of an `InstrumentModel`, and the paths to arrays of modules that are not free."""

    energy_scale_of: ScaleOf
    frozen: tuple[str, ...] = ()


WIDEST = 2.0
"""Factor of the width of a point spread function up to which images are right to a per cent of their peak."""


class InstrumentModel(ModelBase):
    """What is uncertain about the responses of some datasets, as factors whose nominal value is 1.

    Each factor is a number or a `Parameter` (the ``norm`` of a `PowerLawNormSpectralModel`, whose ``tilt`` is frozen at
    0), another norm model (tilted, piecewise in energy, ...), or any ``eqx.Module`` from energies in TeV to factors. A
    factor that is not given does not act, and factors of several instrument models on one dataset multiply.

    Parameters
    ----------
    exposure : multiplies the exposure, at the centres of true-energy bins
    energy_scale : s. With ``energy_scale_of="dispersion"`` reconstructed energies are multiplied by s, and nothing else
        changes; where it depends on energy, an event is recorded at the E that is s(E) times what it would be. With
        "response" a photon of true energy E / s(E) is seen as one of energy E: by exposure, point spread function and
        energy dispersion alike, as if a telescope collected s times the light (Nigro et al. 2019, A&A 625, A10,
        section 5, with s = 1 + z)
    psf_width : multiplies the angular radius of the point spread function, whose normalisation stays; at most 2
    livetime : multiplies all that is expected in the time of the dataset: exposure, and a known background
    name : default "instrument"
    datasets_names : datasets on which it acts; all when None
    energy_scale_of : "dispersion" or "response"
    frozen : paths to arrays of modules that are to stay as they are, as of a `SkyModel`: ``["exposure.layers.0"]``

    Parameters go by the names ``inst.exposure.norm``, ``inst.energy_scale.norm`` and so on. Backgrounds have a
    `FoVBackgroundModel` of their own. Factors are not negative, energy scales positive; fits keep to that. Raises
    `InputError` for such factors, and for those with a unit::

        prior = gj.GaussianPrior(mu=1, sigma=0.15)
        scale = gj.InstrumentModel(energy_scale=gj.Parameter(1, prior=prior), name="hess", datasets_names=["run-1"])
    """

    exposure: Any
    energy_scale: Any
    psf_width: Any
    livetime: Any
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    flags: InstrumentFlags = eqx.field(static=True)
    tag = ("InstrumentModel", "instrument")
    parts = ("exposure", "energy_scale", "psf_width", "livetime")

    def __init__(
        self,
        exposure: Factor = None,
        energy_scale: Factor = None,
        psf_width: Factor = None,
        livetime: Factor = None,
        name: str = "instrument",
        datasets_names: Names = None,
        energy_scale_of: ScaleOf = "dispersion",
        frozen: str | Iterable[str] = (),
    ) -> None:
        if energy_scale_of not in get_args(ScaleOf):
            raise InputError(
                f"InstrumentModel {name!r}: energy_scale_of must be 'dispersion' or 'response', found "
                f"{energy_scale_of!r}."
            )
        factors = {"exposure": exposure, "energy_scale": energy_scale, "psf_width": psf_width, "livetime": livetime}
        if all(given is None for given in factors.values()):
            raise InputError(f"InstrumentModel {name!r}: give one or more of {', '.join(factors)}, such as 1.")
        for word, given in factors.items():
            setattr(self, word, None if given is None else _factor(given, f"InstrumentModel {name!r}: {word}"))
            _require_factor(getattr(self, word), f"InstrumentModel {name!r}: {word}", word)
        if self.livetime is not None and not _is_one_number(self.livetime):
            raise InputError(
                f"InstrumentModel {name!r}: livetime must be one factor for all energies, a number or a Parameter. "
                "What depends on energy is part of the exposure."
            )
        if isinstance(self.psf_width, PowerLawNormSpectralModel):
            norm = self.psf_width.norm
            self.psf_width = eqx.tree_at(
                lambda m: m.norm, self.psf_width, norm.replace(max=min(norm.max, WIDEST / norm.scale))
            )
        self.name, self.datasets_names = str(name), _names(datasets_names)
        held = frozen_arrays(frozen, {part: getattr(self, part) for part in self.parts}, f"InstrumentModel {name!r}")
        self.flags = InstrumentFlags(energy_scale_of, held)

    @property
    def energy_scale_of(self) -> ScaleOf:
        """What the energy scale acts on."""
        return self.flags.energy_scale_of

    def resized(self) -> "InstrumentModel":
        """After new values: they have to be factors."""
        for word in self.parts:
            _require_factor(getattr(self, word), f"InstrumentModel {self.name!r}: {word}", word)
        return self

    def replace(self, **changes: Any) -> "InstrumentModel":
        fields = {"name": self.name, "datasets_names": self.datasets_names, **self.flags._asdict()}
        return InstrumentModel(**({part: getattr(self, part) for part in self.parts} | fields | changes))

    def evaluate(self, part: str, energy: Given) -> jax.Array:
        """The factor ``part`` ("exposure", ...) at ``energy`` (Quantity or TeV, any shape); 1 where it is not given."""
        at = jnp.asarray(kernel_numbers(energy, "TeV", "evaluate: energy"))
        if part not in self.parts:
            raise InputError(f"InstrumentModel.evaluate: part must be one of {', '.join(self.parts)}, found {part!r}.")
        return factor_at(getattr(self, part), at)


def factor_at(factor: Any, energy: jax.Array) -> jax.Array:
    """A factor, or None for one that does not act, at energies in TeV."""
    if factor is None:
        return jnp.ones_like(energy)
    return jnp.asarray(factor.evaluate(energy) if isinstance(factor, SpectralModel) else factor(energy))


def _factor(given: Factor, what: str) -> Any:
    if isinstance(given, SpectralModel):
        if given.unit != "":
            raise InputError(
                f"{what}: a norm model is needed (PowerLawNormSpectralModel, say), found {type(given).__name__} with "
                f"unit {given.unit!r}."
            )
        return given
    if isinstance(given, eqx.Module) and not is_parameter(given):
        if not callable(given):
            raise InputError(f"{what}: found {type(given).__name__}, expected a number, a Parameter or a norm model.")
        return given
    try:
        return PowerLawNormSpectralModel(norm=given)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def _require_factor(factor: Any, what: str, part: str) -> None:
    """Raise an `InputError` that starts with ``what`` for norms that no factor of a response can have."""
    if not isinstance(factor, SpectralModel):
        return
    for parameter in factor.parameters.values():
        if parameter.role != "norm" or isinstance(parameter.value, jax.core.Tracer) or np.ndim(parameter.value):
            continue
        value = float(parameter.value) * parameter.scale
        if value < 0 or (part == "energy_scale" and value == 0):
            least = "above 0" if part == "energy_scale" else "of at least 0"
            raise InputError(f"{what}: found {value:.6g}, expected a factor {least}.")
        if part == "psf_width" and value > WIDEST:
            raise InputError(
                f"{what}: found {value:.6g}, expected a factor of at most {WIDEST:g}, as images end where the "
                "nominal point spread function does. Make the dataset with a wider one."
            )


def _is_one_number(factor: Any) -> bool:
    if not isinstance(factor, PowerLawNormSpectralModel) or not factor.tilt.frozen:
        return False
    tilt = factor.tilt.value
    # inside a transformation a frozen tilt is what it was outside
    return isinstance(tilt, jax.core.Tracer) or float(tilt) == 0
