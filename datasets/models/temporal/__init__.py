"""Light curves."""

from .base import LEAP_KNOTS as LEAP_KNOTS
from .base import LEAP_OFFSETS as LEAP_OFFSETS
from .base import TemporalModel as TemporalModel
from .builtin import ConstantTemporalModel as ConstantTemporalModel
from .builtin import ExpDecayTemporalModel as ExpDecayTemporalModel
from .builtin import GaussianTemporalModel as GaussianTemporalModel
from .builtin import GeneralizedGaussianTemporalModel as GeneralizedGaussianTemporalModel
from .builtin import LinearTemporalModel as LinearTemporalModel
from .builtin import PowerLawTemporalModel as PowerLawTemporalModel
from .builtin import SineTemporalModel as SineTemporalModel
from .registry import CLASSES as CLASSES
from .registry import TEMPORAL_MODELS as TEMPORAL_MODELS
from .registry import register_temporal_model as register_temporal_model
from .tables import LightCurveTemplateTemporalModel as LightCurveTemplateTemporalModel
from .tables import TemplatePhaseCurveTemporalModel as TemplatePhaseCurveTemporalModel
