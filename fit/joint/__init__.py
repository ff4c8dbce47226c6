"""The joint likelihood of many datasets: sums over groups of equal programs."""

from .arrowhead import slopes_of as slopes_of
from .blocks import evaluate as evaluate
from .blocks import inputs as inputs
from .devices import check_mesh as check_mesh
from .devices import n_processes as n_processes
from .devices import placed_everywhere as placed_everywhere
from .devices import placed_rows as placed_rows
from .devices import rows_per_device as rows_per_device
from .objective import compiled_exact_normal as compiled_exact_normal
from .objective import compiled_normal as compiled_normal
from .objective import compiled_stat as compiled_stat
from .objective import compiled_value_and_grad as compiled_value_and_grad
from .objective import exact_normal as exact_normal
from .objective import from_free as from_free
from .objective import stat_and_normal as stat_and_normal
from .objective import stat_of_free as stat_of_free
from .padding import all_same as all_same
from .padding import stack_equal as stack_equal
from .padding import stack_padded as stack_padded
from .parameters import parameter_space as parameter_space
from .problem import make_problem as make_problem
from .processes import Share as Share
from .processes import digest as digest
from .processes import owners as owners
from .processes import share_of as share_of
