"""Reduced instrument responses: point spread functions and energy dispersion."""

from .edisp import EDisp as EDisp
from .edisp import EDispKernel as EDispKernel
from .edisp import EDispKernelMap as EDispKernelMap
from .edisp import EDispMap as EDispMap
from .edisp import edisp_at as edisp_at
from .edisp import matrix_at as matrix_at
from .grid import RESPONSE_PIXEL as RESPONSE_PIXEL
from .grid import Shares as Shares
from .grid import response_grid as response_grid
from .grid import response_mask as response_mask
from .psf import PSFKernel as PSFKernel
from .psf import PSFMap as PSFMap
from .psf import RecoPSFMap as RecoPSFMap
from .psf import psf_at as psf_at
from .stack import Part as Part
from .stack import require_one_kind as require_one_kind
from .stack import require_same as require_same
from .stack import same_responses as same_responses
from .stack import stack_edisp as stack_edisp
from .stack import stack_matrix as stack_matrix
from .stack import stack_psf as stack_psf
