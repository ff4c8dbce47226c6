"""Datasets of counts in energy bins."""

from .dataset import SpectrumDataset as SpectrumDataset
from .dataset import SpectrumDatasetOnOff as SpectrumDatasetOnOff
