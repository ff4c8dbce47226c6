"""Temporal models by tag."""

from . import builtin as temporal_models
from . import tables as temporal_tables
from .base import TemporalModel

CLASSES: tuple[type[TemporalModel], ...] = (
    *(getattr(temporal_models, name) for name in temporal_models.__all__),
    temporal_tables.LightCurveTemplateTemporalModel,
    temporal_tables.TemplatePhaseCurveTemporalModel,
)

TEMPORAL_MODELS: dict[str, type[TemporalModel]] = {tag: cls for cls in CLASSES for tag in cls.tag}
"""As for spectra (`spectral_registry.ExtraData`), classes with keys besides parameters have ``from_extra`` and
``extra_dict``; the key ``scale`` is the time scale of every temporal model."""
