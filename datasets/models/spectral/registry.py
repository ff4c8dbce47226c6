"""Spectral models by tag, and how those with more than parameters are written and read."""

from typing import Any, Protocol

from ..parameter import Parameter
from . import builtin as spectral_models
from . import ebl
from . import template as spectral_template
from .base import SpectralModel


class ExtraData(Protocol):
    """What a spectral model offers whose YAML form has keys besides ``type`` and ``parameters``.

    `extra_dict` gives these keys as gammapy writes them; values under ``model``, ``model1`` and ``model2`` are
    `SpectralModel` instances, which the writer turns into dictionaries. `from_extra` takes the whole dictionary of the
    component, with such instances already built, the parameters by name, and the folder that relative file names
    start from.
    """

    def extra_dict(self) -> dict: ...

    @classmethod
    def from_extra(cls, data: dict, parameters: dict[str, Parameter], base_path: Any) -> SpectralModel: ...


CLASSES: tuple[type[SpectralModel], ...] = (
    *(getattr(spectral_models, name) for name in spectral_models.__all__),
    spectral_template.TemplateSpectralModel,
    spectral_template.TemplateNDSpectralModel,
    ebl.EBLAbsorptionNormSpectralModel,
)

SPECTRAL_MODELS: dict[str, type[SpectralModel]] = {tag: cls for cls in CLASSES for tag in cls.tag}
