"""Datasets of counts on the sky."""

from .dataset import MapDataset as MapDataset
from .dataset import MapDatasetOnOff as MapDatasetOnOff
from .footprint import stage as stage
from .plan import plan as plan
from .response import Response as Response
