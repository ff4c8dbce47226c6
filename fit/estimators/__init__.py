"""What is made of a fit: flux points, light curves, sensitivities, maps of the sky."""

from .excess_map import excess_map as excess_map
from .excess_map import residual_map as residual_map
from .flux_points import flux_points as flux_points
from .flux_profile import flux_profile as flux_profile
from .light_curve import light_curve as light_curve
from .sensitivity import sensitivity as sensitivity
from .sky_maps import SkyMaps as SkyMaps
from .ts_map import ts_map as ts_map
