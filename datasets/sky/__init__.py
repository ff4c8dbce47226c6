"""Geometry of pixels and axes."""

from .axis import MATCH as MATCH
from .axis import MapAxis as MapAxis
from .bend import bend as bend
from .cutout import covering_slices as covering_slices
from .cutout import cropped as cropped
from .cutout import cutout_slices as cutout_slices
from .cutout import downsampled as downsampled
from .cutout import image_around as image_around
from .cutout import is_inside as is_inside
from .cutout import pad_slices as pad_slices
from .cutout import padded as padded
from .cutout import pixel_offset as pixel_offset
from .cutout import rebinned as rebinned
from .cutout import upsampled as upsampled
from .cutout import window as window
from .geom import SkyGeom as SkyGeom
from .strips import rectangles_along as rectangles_along
from .strips import rings_around as rings_around
