"""Models of sources and backgrounds, and their parameters."""

from .collection import Models as Models
from .collection import Parameters as Parameters
from .component import ModelComponent as ModelComponent
from .flatten import Item as Item
from .flatten import ModelDef as ModelDef
from .flatten import canonical as canonical
from .flatten import flatten as flatten
from .flatten import free_by_default as free_by_default
from .parameter import Parameter as Parameter
from .parameter import ParameterField as ParameterField
from .parameter import bounds_of as bounds_of
from .parameter import is_parameter as is_parameter
from .parameter import parameter as parameter
from .prior import PRIORS as PRIORS
from .prior import GaussianPrior as GaussianPrior
from .prior import GeneralizedGaussianPrior as GeneralizedGaussianPrior
from .prior import LogUniformPrior as LogUniformPrior
from .prior import Prior as Prior
from .prior import UniformPrior as UniformPrior
from .sky_model import APPLY_IRF as APPLY_IRF
from .sky_model import FoVBackgroundModel as FoVBackgroundModel
from .sky_model import ModelBase as ModelBase
from .sky_model import SkyModel as SkyModel
from .sky_model import TemplateNPredModel as TemplateNPredModel
from .sky_model import background_name as background_name
from .sky_model import dnde as dnde
