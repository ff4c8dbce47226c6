"""Fits with parameters held: profiles, intervals, limits, contours."""

from .conditional import ConditionalFit as ConditionalFit
from .contour import Contour as Contour
from .contour import contour as contour
from .profile import Interval as Interval
from .profile import Profile as Profile
from .profile import UpperLimit as UpperLimit
from .profile import confidence_interval as confidence_interval
from .profile import profile as profile
from .profile import upper_limit as upper_limit
