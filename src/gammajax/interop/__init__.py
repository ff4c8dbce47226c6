"""The bridge to gammapy objects."""

from .datasets import from_gammapy as from_gammapy
from .datasets import to_gammapy as to_gammapy
