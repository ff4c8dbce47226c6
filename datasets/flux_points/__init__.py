"""Flux points and the dataset that compares them with models."""

from .dataset import FluxPointsDataset as FluxPointsDataset
from .light_curve import LightCurve as LightCurve
from .points import FluxPoints as FluxPoints
from .prepared import PointsSpec as PointsSpec
from .profile import FluxProfile as FluxProfile
from .reference import references as references
from .statistic import column as column
from .statistic import data_arrays as data_arrays
from .statistic import require_positive as require_positive
from .table import REQUIRED as REQUIRED
