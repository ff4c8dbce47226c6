"""Spatial models by tag."""

from typing import TypeVar

from ...hints.calls import hinted
from ..registry import Registry
from .base import SpatialModel
from .builtin import (
    ConstantFluxSpatialModel,
    ConstantSpatialModel,
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    PointSpatialModel,
    Shell2SpatialModel,
    ShellSpatialModel,
)
from .piecewise import PiecewiseNormSpatialModel
from .template import TemplateSpatialModel
from .template_nd import TemplateNDSpatialModel

Model = TypeVar("Model", bound=SpatialModel)

CLASSES: tuple[type[SpatialModel], ...] = (
    ConstantFluxSpatialModel,
    ConstantSpatialModel,
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    PiecewiseNormSpatialModel,
    PointSpatialModel,
    Shell2SpatialModel,
    ShellSpatialModel,
    TemplateNDSpatialModel,
    TemplateSpatialModel,
)
"""The models of the package."""

SPATIAL_MODELS: Registry[type[SpatialModel]] = Registry(SpatialModel, CLASSES, "register_spatial_model")
"""Models by tag. As for spectra (`spectral.registry.ExtraData`), classes with keys besides parameters have
``from_extra`` and ``extra_dict``."""


@hinted
def register_spatial_model(cls: type[Model]) -> type[Model]:
    """Let YAML files name models of this class by its ``tag``: a tuple of words. Usable as a decorator.

    A class with keys besides its parameters has `ExtraData`'s two methods too. A class may be registered again, which
    replaces it, but not in place of one of the package's.

    Raises
    ------
    InputError
        for what is no class derived from `SpatialModel`, one without tag, and a tag of one of the package's.
    """
    SPATIAL_MODELS.register(cls)
    return cls
