"""Shapes on the sky."""

from .base import SCHEMES as SCHEMES
from .base import ExtendedModel as ExtendedModel
from .base import PositionedModel as PositionedModel
from .base import SpatialModel as SpatialModel
from .builtin import ConstantFluxSpatialModel as ConstantFluxSpatialModel
from .builtin import ConstantSpatialModel as ConstantSpatialModel
from .builtin import DiskSpatialModel as DiskSpatialModel
from .builtin import GaussianSpatialModel as GaussianSpatialModel
from .builtin import GeneralizedGaussianSpatialModel as GeneralizedGaussianSpatialModel
from .builtin import PointSpatialModel as PointSpatialModel
from .builtin import Shell2SpatialModel as Shell2SpatialModel
from .builtin import ShellSpatialModel as ShellSpatialModel
from .extent import NODE_SPACING as NODE_SPACING
from .extent import STEP as STEP
from .extent import Sizes as Sizes
from .extent import extended_nodes as extended_nodes
from .extent import fits_in as fits_in
from .extent import sizes_of as sizes_of
from .extent import with_margin as with_margin
from .registry import CLASSES as CLASSES
from .registry import SPATIAL_MODELS as SPATIAL_MODELS
from .registry import register_spatial_model as register_spatial_model
from .template import DNDE_SURFACE as DNDE_SURFACE
from .template import TemplateSpatialModel as TemplateSpatialModel
from .template import pixel_areas as pixel_areas
from .template_nd import TemplateNDSpatialModel as TemplateNDSpatialModel
