"""Models in YAML files."""

from .components import PARTS as PARTS
from .components import part_to_dict as part_to_dict
from .components import read_part as read_part
from .models import MODELS as MODELS
from .models import read_template_counts as read_template_counts
from .parameters import Links as Links
from .parameters import declared_parameters as declared_parameters
from .parameters import parameter_to_dict as parameter_to_dict
from .parameters import read_parameters as read_parameters
