"""What is made of a fit: flux points, light curves, sensitivities."""

from .flux_points import flux_points as flux_points
from .light_curve import light_curve as light_curve
from .sensitivity import sensitivity as sensitivity
