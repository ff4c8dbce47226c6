"""Spectral models by tag, and how those with more than parameters are written and read."""

from pathlib import Path
from typing import Protocol, TypeVar

from ...hints.calls import hinted
from ..component import Section
from ..parameter import Parameter
from ..registry import Registry
from .base import SpectralModel
from .builtin import (
    BrokenPowerLawSpectralModel,
    ExpCutoffPowerLaw3FGLSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    GaussianSpectralModel,
    LogParabola2SpectralModel,
    LogParabolaSpectralModel,
    PowerLaw2SpectralModel,
    PowerLawSpectralModel,
    SmoothBrokenPowerLawSpectralModel,
    SuperExpCutoffPowerLaw3FGLSpectralModel,
    SuperExpCutoffPowerLaw4FGLDR3SpectralModel,
    SuperExpCutoffPowerLaw4FGLSpectralModel,
)
from .compound import (
    CompoundSpectralModel,
    ConstantSpectralModel,
    ScaleSpectralModel,
)
from .crab import MeyerCrabSpectralModel
from .ebl import EBLAbsorptionNormSpectralModel
from .norms import (
    ExpCutoffPowerLawNormSpectralModel,
    LogParabolaNormSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawNormSpectralModel,
)
from .template import (
    TemplateNDSpectralModel,
    TemplateSpectralModel,
)

Model = TypeVar("Model", bound=SpectralModel)


class ExtraData(Protocol):
    """Methods of a model whose YAML form has keys besides ``type`` and ``parameters``.

    `extra_dict` gives these keys as gammapy writes them; values under ``model``, ``model1`` and ``model2`` are
    `SpectralModel` instances, which the writer turns into dictionaries. `from_extra` takes the whole dictionary of the
    component, with such instances already built, the parameters by name, and the folder that relative file names
    start from.
    """

    def extra_dict(self) -> Section: ...

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Path) -> SpectralModel: ...


CLASSES: tuple[type[SpectralModel], ...] = (
    BrokenPowerLawSpectralModel,
    ExpCutoffPowerLaw3FGLSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    GaussianSpectralModel,
    LogParabola2SpectralModel,
    LogParabolaSpectralModel,
    MeyerCrabSpectralModel,
    PowerLaw2SpectralModel,
    PowerLawSpectralModel,
    SmoothBrokenPowerLawSpectralModel,
    SuperExpCutoffPowerLaw3FGLSpectralModel,
    SuperExpCutoffPowerLaw4FGLDR3SpectralModel,
    SuperExpCutoffPowerLaw4FGLSpectralModel,
    CompoundSpectralModel,
    ConstantSpectralModel,
    ScaleSpectralModel,
    EBLAbsorptionNormSpectralModel,
    ExpCutoffPowerLawNormSpectralModel,
    LogParabolaNormSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawNormSpectralModel,
    TemplateNDSpectralModel,
    TemplateSpectralModel,
)
"""The models of the package."""

SPECTRAL_MODELS: Registry[type[SpectralModel]] = Registry(SpectralModel, CLASSES, "register_spectral_model")
"""Models by tag."""


@hinted
def register_spectral_model(cls: type[Model]) -> type[Model]:
    """Let YAML files name models of this class by its ``tag``: a tuple of words. Usable as a decorator.

    A class with keys besides its parameters has `ExtraData`'s two methods too. A class may be registered again, which
    replaces it, but not in place of one of the package's.

    Raises
    ------
    InputError
        for what is no class derived from `SpectralModel`, one without tag, and a tag of one of the package's.
    """
    SPECTRAL_MODELS.register(cls)
    return cls
