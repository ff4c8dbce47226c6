"""Temporal models by tag."""

from typing import TypeVar

from ...hints.calls import hinted
from ..registry import Registry
from .base import TemporalModel
from .builtin import (
    ConstantTemporalModel,
    ExpDecayTemporalModel,
    GaussianTemporalModel,
    GeneralizedGaussianTemporalModel,
    LinearTemporalModel,
    PowerLawTemporalModel,
    SineTemporalModel,
)
from .tables import (
    LightCurveTemplateTemporalModel,
    TemplatePhaseCurveTemporalModel,
)

Model = TypeVar("Model", bound=TemporalModel)

CLASSES: tuple[type[TemporalModel], ...] = (
    ConstantTemporalModel,
    ExpDecayTemporalModel,
    GaussianTemporalModel,
    GeneralizedGaussianTemporalModel,
    LinearTemporalModel,
    PowerLawTemporalModel,
    SineTemporalModel,
    LightCurveTemplateTemporalModel,
    TemplatePhaseCurveTemporalModel,
)
"""The models of the package."""

TEMPORAL_MODELS: Registry[type[TemporalModel]] = Registry(TemporalModel, CLASSES, "register_temporal_model")
"""Models by tag. As for spectra (`spectral.registry.ExtraData`), classes with keys besides parameters have
``from_extra`` and ``extra_dict``; the key ``scale`` is the time scale of every temporal model."""


@hinted
def register_temporal_model(cls: type[Model]) -> type[Model]:
    """Let YAML files name models of this class by its ``tag``: a tuple of words. Usable as a decorator.

    A class with keys besides its parameters has `ExtraData`'s two methods too. A class may be registered again, which
    replaces it, but not in place of one of the package's.

    Raises
    ------
    InputError
        for what is no class derived from `TemporalModel`, one without tag, and a tag of one of the package's.
    """
    TEMPORAL_MODELS.register(cls)
    return cls
