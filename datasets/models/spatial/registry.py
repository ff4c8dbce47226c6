"""Spatial models by tag."""

from . import builtin as spatial_models
from . import template as spatial_template
from .base import SpatialModel

CLASSES: tuple[type[SpatialModel], ...] = (
    *(getattr(spatial_models, name) for name in spatial_models.__all__),
    spatial_template.TemplateSpatialModel,
)

SPATIAL_MODELS: dict[str, type[SpatialModel]] = {tag: cls for cls in CLASSES for tag in cls.tag}
"""As for spectra (`spectral_registry.ExtraData`), classes with keys besides parameters have ``from_extra`` and
``extra_dict``."""
