"""Datasets of counts in regions of the sky, with a point spread function."""

from .dataset import RegionMapDataset as RegionMapDataset
from .geom import MOST_NODES as MOST_NODES
from .geom import RegionGeom as RegionGeom
