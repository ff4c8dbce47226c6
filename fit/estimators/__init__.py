"""What is made of a fit: flux points."""

from .flux_points import flux_points as flux_points
