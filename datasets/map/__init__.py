"""Datasets of counts on the sky."""

from .dataset import MapDataset as MapDataset
from .dataset import MapDatasetOnOff as MapDatasetOnOff
from .plan import plan as plan
from .response import Response as Response
from .source_image import prepare_image as prepare_image
