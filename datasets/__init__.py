"""Reduced data and models: immutable pytrees, their files, and their predicted counts."""

from .dataset import Dataset as Dataset
from .errors import InputError as InputError
from .gti import GTI as GTI
from .meta import Meta as Meta
