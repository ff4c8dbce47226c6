"""Datasets by name, their index files, and tables about them."""

from .datasets import Datasets as Datasets
from .datasets import info_table as info_table
from .datasets import stack as stack
from .info import info_dict as info_dict
from .lazy import LazyDataset as LazyDataset
from .registry import DATASET_TYPES as DATASET_TYPES
from .registry import dataset_type as dataset_type
from .registry import read_dataset as read_dataset
from .registry import read_map as read_map
from .registry import read_map_on_off as read_map_on_off
from .registry import register_dataset as register_dataset
