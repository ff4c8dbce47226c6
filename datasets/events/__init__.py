"""Simulated event lists and their files."""

from .draw import between as between
from .draw import pick as pick
from .list import EventList as EventList
from .response import blurred as blurred
from .response import dispersed as dispersed
from .response import moved as moved
from .response import pixels_of as pixels_of
from .sample import bin_events as bin_events
from .sample import sample_events as sample_events
from .sources import draw_directions as draw_directions
from .sources import draw_source as draw_source
from .times import check_gti as check_gti
from .times import draw_times as draw_times
